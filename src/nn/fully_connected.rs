//! A fully connected layer with an equalised learning rate.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::leaky_relu;
use burn::tensor::backend::Backend;

use super::{Init, LRELU_GAIN};
use crate::ops::plain::LRELU_SLOPE;
use crate::ops::{Shaped, VolumeOps, product};

/// Shape and kind of a [`FullyConnected`] layer.
#[derive(Clone, Debug)]
pub struct FullyConnectedConfig {
    /// Number of input features.
    pub inputs: usize,
    /// Number of output features.
    pub outputs: usize,
    /// Whether a leaky ReLU with gain √2 follows.
    pub activate: bool,
    /// Learning-rate multiplier: weights are stored divided by it.
    pub lr_multiplier: f64,
    /// Initial bias, after the multiplier.
    pub bias: f64,
}

impl FullyConnectedConfig {
    /// A linear layer with multiplier one and bias zero.
    pub fn new(inputs: usize, outputs: usize) -> Self {
        Self { inputs, outputs, activate: false, lr_multiplier: 1.0, bias: 0.0 }
    }

    /// This layer with the leaky ReLU.
    #[must_use]
    pub fn activated(mut self) -> Self {
        self.activate = true;
        self
    }

    /// This layer with a learning-rate multiplier.
    #[must_use]
    pub fn with_lr_multiplier(mut self, lr_multiplier: f64) -> Self {
        self.lr_multiplier = lr_multiplier;
        self
    }

    /// This layer with an initial bias.
    #[must_use]
    pub fn with_bias(mut self, bias: f64) -> Self {
        self.bias = bias;
        self
    }

    /// The layer with its initial values: weights from N(0, 1)/multiplier, bias `bias`/multiplier.
    pub fn init<B: Backend>(&self, init: &mut Init, device: &B::Device) -> FullyConnected<B> {
        FullyConnected {
            weight: init.normal([self.outputs, self.inputs], 1.0 / self.lr_multiplier, device),
            bias: init.constant([self.outputs], self.bias / self.lr_multiplier, device),
            activate: self.activate,
            lr_multiplier: self.lr_multiplier,
        }
    }
}

/// `y = x·(W·multiplier/√inputs)ᵀ + b·multiplier`, optionally with a leaky ReLU (equalised learning rate, Karras et al.
/// 2018; the multiplier is StyleGAN's).
#[derive(Module, Debug)]
pub struct FullyConnected<B: Backend> {
    /// `[outputs, inputs]`, before scaling.
    pub weight: Param<Tensor<B, 2>>,
    /// `[outputs]`, before scaling.
    pub bias: Param<Tensor<B, 1>>,
    activate: bool,
    lr_multiplier: f64,
}

impl<B: VolumeOps> FullyConnected<B> {
    /// # Shapes
    /// - input: `[N, inputs]`
    /// - output: `[N, outputs]`
    pub fn forward(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        let [outputs, inputs] = self.weight.dims();
        let weight = self.weight.val() * (self.lr_multiplier / (inputs as f64).sqrt());
        let bias = self.bias.val() * self.lr_multiplier;
        // Weight first, so that its gradient comes out as it lies in memory.
        let y = product(weight, x.transpose()).transpose() + bias.shaped([1, outputs]);
        if self.activate { leaky_relu(y, LRELU_SLOPE) * LRELU_GAIN } else { y }
    }
}
