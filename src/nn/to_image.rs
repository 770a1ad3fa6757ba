//! The layer from features to an image.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::{FullyConnected, FullyConnectedConfig, Init};
use crate::ops::{ConvGeometry, Features, Layer, LayerInputs, VolumeOps, layer};

/// Shape of a [`ToImage`] layer.
#[derive(Clone, Debug)]
pub struct ToImageConfig {
    /// Channels of the features.
    pub inputs: usize,
    /// Channels of the image.
    pub outputs: usize,
    /// Length of w.
    pub w_dim: usize,
}

impl ToImageConfig {
    /// The layer with its initial values: weights from N(0, 1), style bias one, bias zero.
    pub fn init<B: Backend>(&self, init: &mut Init, device: &B::Device) -> ToImage<B> {
        ToImage {
            affine: FullyConnectedConfig::new(self.w_dim, self.inputs).with_bias(1.0).init(init, device),
            weight: init.normal([self.outputs, self.inputs, 1, 1, 1], 1.0, device),
            bias: init.constant([self.outputs], 0.0, device),
        }
    }
}

/// A modulated convolution of size one without demodulation, its style scaled by 1/√inputs (StyleGAN2, `ToRGBLayer`).
#[derive(Module, Debug)]
pub struct ToImage<B: Backend> {
    /// w to style.
    pub affine: FullyConnected<B>,
    /// `[outputs, inputs, 1, 1, 1]`.
    pub weight: Param<Tensor<B, 5>>,
    /// `[outputs]`.
    pub bias: Param<Tensor<B, 1>>,
}

impl<B: VolumeOps> ToImage<B> {
    /// # Shapes
    /// - `x`: `[N, inputs, D, H, W]`, `w`: `[N, w_dim]`
    /// - output: `[N, outputs, D, H, W]`
    pub fn forward(&self, x: Features<B>, w: Tensor<B, 2>) -> Tensor<B, 5> {
        let inputs = self.weight.dims()[1];
        let style = self.affine.forward(w) / (inputs as f64).sqrt();
        let convolution = Layer::conv(ConvGeometry::same(x.grid(), [1; 3]));
        let inputs =
            LayerInputs { style: Some(style), bias: Some(self.bias.val()), ..LayerInputs::default() };
        layer(x, self.weight.val(), inputs, &convolution).into_volumes()
    }
}
