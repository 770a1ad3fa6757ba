//! A convolution with optional modulation by a condition: the layer of the restoration networks.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::modulated::demodulation;
use super::resample::before_convolution;
use super::{FullyConnected, FullyConnectedConfig, Init, LRELU_GAIN};
use crate::ops::{Features, Layer, LayerInputs, VolumeOps, layer};

/// Shape and kind of a [`ConditionedConv`].
#[derive(Clone, Copy, Debug)]
pub struct ConditionedConvConfig {
    /// Number of input channels.
    pub inputs: usize,
    /// Number of output channels.
    pub outputs: usize,
    /// Size of the kernel along `(D, H, W)`.
    pub kernel: [usize; 3],
    /// Downsampling factor of each axis, 1 or 2.
    pub down: [usize; 3],
    /// Length of the condition; zero for none.
    pub condition: usize,
    /// Whether a leaky ReLU with gain √2 follows.
    pub activate: bool,
    /// Whether the weights start at zero, so that a residual branch starts as zero.
    pub silent: bool,
}

impl ConditionedConvConfig {
    /// A convolution of 3×3×3 voxels (1×3×3 if `flat`) that keeps the grid, with a leaky ReLU after it.
    pub fn new(inputs: usize, outputs: usize, flat: bool, condition: usize) -> Self {
        let kernel = if flat { [1, 3, 3] } else { [3; 3] };
        Self { inputs, outputs, kernel, down: [1; 3], condition, activate: true, silent: false }
    }

    /// This layer without the leaky ReLU.
    #[must_use]
    pub fn linear(mut self) -> Self {
        self.activate = false;
        self
    }

    /// This layer with weights that start at zero.
    #[must_use]
    pub fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    /// The layer with its initial values: weights from N(0, 1) (zero if silent), bias zero, style one.
    pub fn init<B: Backend>(&self, init: &mut Init, device: &B::Device) -> ConditionedConv<B> {
        let [d, h, w] = self.kernel;
        let shape = [self.outputs, self.inputs, d, h, w];
        let affine = FullyConnectedConfig::new(self.condition, self.inputs).with_bias(1.0);
        ConditionedConv {
            weight: init.normal(shape, if self.silent { 0.0 } else { 1.0 }, device),
            bias: init.constant([self.outputs], 0.0, device),
            affine: (self.condition > 0).then(|| affine.init(init, device)),
            down: self.down,
            activate: self.activate,
            demodulate: !self.silent,
        }
    }
}

/// A convolution with bias, scaled at run time by 1/√fan_in. With a condition, an affine map of the condition scales
/// the input channels, and the weights are demodulated (StyleGAN2, equation 3), except in a layer that starts at zero.
#[derive(Module, Debug)]
pub struct ConditionedConv<B: Backend> {
    /// `[outputs, inputs, kd, kh, kw]`, before scaling.
    pub weight: Param<Tensor<B, 5>>,
    /// `[outputs]`.
    pub bias: Param<Tensor<B, 1>>,
    /// Condition to style; `None` without a condition.
    pub affine: Option<FullyConnected<B>>,
    down: [usize; 3],
    activate: bool,
    demodulate: bool,
}

impl<B: VolumeOps> ConditionedConv<B> {
    /// # Shapes
    /// - `x`: `[N, inputs, D, H, W]`, `condition`: `[N, length]`
    /// - output: `[N, outputs, D/down, H/down, W/down]`
    ///
    /// # Panics
    /// If the layer has a condition and none is given.
    pub fn forward(&self, x: Features<B>, condition: Option<&Tensor<B, 2>>) -> Features<B> {
        let [_, inputs, d, h, w] = self.weight.dims();
        let kernel = [d, h, w];
        let (x, geometry) = before_convolution(x, kernel, self.down);
        let style = self.affine.as_ref().map(|affine| {
            affine.forward(condition.expect("a network with a condition is given one").clone())
        });
        let (weight, scaled) = (self.weight.val(), 1.0 / ((inputs * d * h * w) as f64).sqrt());
        let inputs = LayerInputs {
            demodulation: style
                .clone()
                .filter(|_| self.demodulate)
                .map(|style| demodulation(weight.clone() * scaled, style)),
            style,
            field: None,
            bias: Some(self.bias.val()),
        };
        let convolution = Layer::conv(geometry);
        let convolution = if self.activate { convolution.with_gain(LRELU_GAIN) } else { convolution };
        layer(x, weight * scaled, inputs, &convolution)
    }
}
