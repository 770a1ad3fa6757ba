//! A convolution of channels that are normalised to unit power first.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::{Init, LRELU_GAIN, downsampling_blur};
use crate::ops::{ConvGeometry, Features, Layer, LayerInputs, VolumeOps, channel_dot, fir, layer};

/// Keeps the division away from zero, in units of a channel's mean square.
const EPSILON: f64 = 1e-6;

/// Shape and kind of a [`NormalisedConv`].
#[derive(Clone, Debug)]
pub struct NormalisedConvConfig {
    /// Number of input channels.
    pub inputs: usize,
    /// Number of output channels.
    pub outputs: usize,
    /// Size of the kernel along `(D, H, W)`.
    pub kernel: [usize; 3],
    /// Downsampling factor of every axis, 1 or 2.
    pub down: usize,
    /// Whether a leaky ReLU with gain √2 follows.
    pub activate: bool,
}

impl NormalisedConvConfig {
    /// The layer with its initial values: weights from N(0, 1), bias zero.
    pub fn init<B: Backend>(&self, init: &mut Init, device: &B::Device) -> NormalisedConv<B> {
        let [d, h, w] = self.kernel;
        NormalisedConv {
            weight: init.normal([self.outputs, self.inputs, d, h, w], 1.0, device),
            bias: init.constant([self.outputs], 0.0, device),
            down: self.down,
            activate: self.activate,
        }
    }
}

/// A convolution with bias, scaled at run time by 1/√fan_in, of channels divided by their root mean square over the
/// grid (filter response normalisation, Singh & Krishnan 2020, equation 1; this layer's weight and the preceding
/// layer's bias replace its scale and shift). Each sample is normalised by itself, so that the result does not depend
/// on the batch.
#[derive(Module, Debug)]
pub struct NormalisedConv<B: Backend> {
    /// `[outputs, inputs, kd, kh, kw]`, before scaling.
    pub weight: Param<Tensor<B, 5>>,
    /// `[outputs]`.
    pub bias: Param<Tensor<B, 1>>,
    down: usize,
    activate: bool,
}

impl<B: VolumeOps> NormalisedConv<B> {
    /// # Shapes
    /// `[N, inputs, D, H, W]` → `[N, outputs, D/down, H/down, W/down]`
    pub fn forward(&self, x: Features<B>) -> Features<B> {
        let x = self.filtered(x);
        let style = normalising(&x);
        self.convolved(x, style)
    }

    /// What the convolution is taken of: filtered where the grid shrinks.
    fn filtered(&self, x: Features<B>) -> Features<B> {
        if self.down == 1 { x } else { fir(x, &downsampling_blur([self.down; 3])) }
    }

    /// The layer after its filter, with the factors `style` `[N, inputs]` of [`normalising`]; for a part of a grid, the
    /// factors of the whole grid.
    pub fn convolved(&self, x: Features<B>, style: Tensor<B, 2>) -> Features<B> {
        let [_, inputs, d, h, w] = self.weight.dims();
        let kernel = [d, h, w];
        let geometry = if self.down == 1 {
            ConvGeometry::same(x.grid(), kernel)
        } else {
            ConvGeometry { input: x.grid(), kernel, stride: [self.down; 3], padding: [0; 3] }
        };
        let weight = self.weight.val() / ((inputs * d * h * w) as f64).sqrt();
        let inputs =
            LayerInputs { style: Some(style), bias: Some(self.bias.val()), ..LayerInputs::default() };
        let convolution = Layer::conv(geometry);
        let convolution = if self.activate { convolution.with_gain(LRELU_GAIN) } else { convolution };
        layer(x, weight, inputs, &convolution)
    }
}

/// The factors `[N, C]` that scale each channel of `x` `[N, C, D, H, W]` to unit power over the grid.
pub fn normalising<B: VolumeOps>(x: &Features<B>) -> Tensor<B, 2> {
    let voxels = x.grid().iter().product::<usize>() as f64;
    let power = channel_dot(x.clone(), x.clone()) / voxels; // [N, C]
    (power + EPSILON).sqrt().recip()
}

#[cfg(test)]
mod tests {
    use burn::backend::Flex;
    use burn::tensor::TensorData;

    use super::*;
    use crate::random::{Purpose, normal, stream};

    const GRID: [usize; 3] = [4, 6, 5];

    fn image(seed: u64, channels: usize) -> Vec<f32> {
        normal(&mut stream(seed, 0, 0, 0, Purpose::Noise), channels * GRID.iter().product::<usize>())
    }

    fn through(conv: &NormalisedConv<Flex>, values: Vec<f32>, channels: usize) -> Vec<f32> {
        let [d, h, w] = GRID;
        let x = Tensor::from_data(TensorData::new(values, [1, channels, d, h, w]), &Default::default());
        conv.forward(Features::from_volumes(x)).into_volumes().into_data().into_vec().unwrap()
    }

    fn conv(inputs: usize, outputs: usize, size: usize) -> NormalisedConv<Flex> {
        let config = NormalisedConvConfig { inputs, outputs, kernel: [size; 3], down: 1, activate: false };
        config.init(&mut Init::new(5), &Default::default())
    }

    /// A kernel of one voxel: the output is a plain sum over channels of unit power.
    #[test]
    fn channels_are_divided_by_their_power() {
        let conv = conv(2, 3, 1);
        let values = image(1, 2);
        let voxels = values.len() / 2;
        let found = through(&conv, values.clone(), 2);
        let weight: Vec<f32> = conv.weight.val().into_data().into_vec().unwrap();
        let power: Vec<f64> = values
            .chunks(voxels)
            .map(|channel| channel.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / voxels as f64)
            .collect();
        for o in 0..3 {
            for v in 0..voxels {
                let expected: f64 = (0..2)
                    .map(|i| {
                        f64::from(weight[o * 2 + i]) / 2f64.sqrt() * f64::from(values[i * voxels + v])
                            / power[i].sqrt()
                    })
                    .sum();
                let found = f64::from(found[o * voxels + v]);
                assert!((found - expected).abs() < 1e-4, "{found} for {expected}");
            }
        }
    }

    #[test]
    fn brighter_images_give_the_same() {
        let conv = conv(2, 4, 3);
        let values = image(2, 2);
        let brighter = values.iter().map(|x| 37.0 * x).collect();
        let (one, other) = (through(&conv, values, 2), through(&conv, brighter, 2));
        assert!(one.iter().zip(&other).all(|(a, b)| (a - b).abs() < 1e-3));
    }
}
