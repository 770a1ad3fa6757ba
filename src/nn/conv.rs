//! The discriminator's convolution: equalised learning rate, optional downsampling, bias and leaky ReLU.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::resample::before_convolution;
use super::{Init, LRELU_GAIN, downsample};
use crate::ops::{Features, Layer, LayerInputs, VolumeOps, layer};
use burn::tensor::backend::Backend;

/// Shape and kind of a [`Conv`].
#[derive(Clone, Debug)]
pub struct ConvConfig {
    /// Number of input channels.
    pub inputs: usize,
    /// Number of output channels.
    pub outputs: usize,
    /// Size of the kernel along `(D, H, W)`.
    pub kernel: [usize; 3],
    /// Downsampling factor of each axis, 1 or 2.
    pub down: [usize; 3],
    /// Whether bias and leaky ReLU follow.
    pub activate: bool,
}

impl ConvConfig {
    /// The layer with its initial values: weights from N(0, 1), bias zero.
    pub fn init<B: Backend>(&self, init: &mut Init, device: &B::Device) -> Conv<B> {
        let [d, h, w] = self.kernel;
        Conv {
            weight: init.normal([self.outputs, self.inputs, d, h, w], 1.0, device),
            bias: self.activate.then(|| init.constant([self.outputs], 0.0, device)),
            down: self.down,
        }
    }
}

/// A convolution scaled at run time by 1/√fan_in (StyleGAN2, `Conv2dLayer`).
///
/// Downsampling filters before the strided convolution (padding 2 on halved axes); a kernel of size one is applied
/// after filter and decimation.
#[derive(Module, Debug)]
pub struct Conv<B: Backend> {
    /// `[outputs, inputs, kd, kh, kw]`, before scaling.
    pub weight: Param<Tensor<B, 5>>,
    /// `[outputs]`; `None` in a skip branch, which is linear.
    pub bias: Option<Param<Tensor<B, 1>>>,
    down: [usize; 3],
}

impl<B: VolumeOps> Conv<B> {
    /// The layer's output times `gain`.
    ///
    /// # Shapes
    /// - input: `[N, inputs, D, H, W]`
    /// - output: `[N, outputs, D/down, H/down, W/down]`
    pub fn forward(&self, x: Features<B>, gain: f64) -> Features<B> {
        let [_, inputs, d, h, w] = self.weight.dims();
        let kernel = [d, h, w];
        // A linear branch carries its gain in the weight: one pass over the voxels less.
        let weight_gain = if self.bias.is_some() { 1.0 } else { gain };
        let weight = self.weight.val() * (weight_gain / ((inputs * d * h * w) as f64).sqrt());
        // A kernel of one voxel is applied after filter and decimation.
        let (x, down) = if kernel == [1; 3] { (downsample(x, self.down), [1; 3]) } else { (x, self.down) };
        let (x, geometry) = before_convolution(x, kernel, down);
        let convolution = Layer::conv(geometry);
        match &self.bias {
            Some(bias) => {
                let inputs = LayerInputs { bias: Some(bias.val()), ..LayerInputs::default() };
                layer(x, weight, inputs, &convolution.with_gain(LRELU_GAIN * gain))
            }
            None => layer(x, weight, LayerInputs::default(), &convolution),
        }
    }
}
