//! The modulated, demodulated convolution and the synthesis layer around it.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::conv::grid;
use super::resample::along_doubled;
use super::{FullyConnected, FullyConnectedConfig, Init, LRELU_GAIN, Noise, kernel_over};
use crate::ops::{
    ConvGeometry, Fir, VolumeOps, add_field, bias_lrelu, channel_scale, conv3d, conv3d_input_grad,
};

/// Keeps the demodulation's square root away from zero.
const DEMODULATION_EPSILON: f64 = 1e-8;

/// Modulated convolution (StyleGAN2, section 2.2): the input's channels scaled by the style, convolved with shared
/// weights, the output's channels scaled by `rsqrt(Σ(w·s)² + 1e-8)` if `demodulate`. Weights enter unscaled.
///
/// # Shapes
/// - `x`: `[N, I, D, H, W]`, `weight`: `[O, I, kd, kh, kw]`, `style`: `[N, I]`
/// - `up`: factor along each axis, 1 or 2. Where it is 2, a transposed convolution with stride 2 is followed by the
///   `[1, 3, 3, 1]` filter with gain 2.
/// - output: `[N, O, D·up, H·up, W·up]`
pub fn modulated_conv3d<B: VolumeOps>(
    x: Tensor<B, 5>,
    weight: Tensor<B, 5>,
    style: Tensor<B, 2>,
    up: [usize; 3],
    demodulate: bool,
) -> Tensor<B, 5> {
    let [o, i, kd, kh, kw] = weight.dims();
    let kernel = [kd, kh, kw];
    let x = channel_scale(x, style.clone());
    let y = if up == [1; 3] {
        let geometry = ConvGeometry::same(grid(&x), kernel);
        conv3d(x, weight.clone(), geometry)
    } else {
        let padding = [0, 1, 2].map(|a| if up[a] == 2 { 0 } else { kernel[a] / 2 });
        let input = [0, 1, 2].map(|a| (grid(&x)[a] - 1) * up[a] + kernel[a] - 2 * padding[a]);
        let geometry = ConvGeometry { input, kernel, stride: up, padding };
        let y = conv3d_input_grad(x, weight.clone().swap_dims(0, 1), geometry);
        along_doubled(y, up, Fir { axis: 2, up: 1, down: 1, pad: [1, 1], gain: 2.0 })
    };
    if !demodulate {
        return y;
    }
    let taps = kd * kh * kw;
    let power = weight.powi_scalar(2).reshape([o, i, taps]).sum_dim(2).reshape([o, i]); // [O, I]
    let energy = style.powi_scalar(2).matmul(power.transpose()); // [N, O]
    channel_scale(y, (energy + DEMODULATION_EPSILON).sqrt().recip())
}

/// Shape of a [`ModulatedConv`].
#[derive(Clone, Debug)]
pub struct ModulatedConvConfig {
    /// Channels in.
    pub inputs: usize,
    /// Channels out.
    pub outputs: usize,
    /// Length of w.
    pub w_dim: usize,
    /// Grid of the output, `[D, H, W]`.
    pub grid: [usize; 3],
    /// By how much each axis grows: 1 or 2.
    pub up: [usize; 3],
    /// Number of the layer in its network: tells its random noise from that of the others.
    pub layer: usize,
}

impl ModulatedConvConfig {
    /// The layer with its initial values: weights from N(0, 1), style bias one, noise strength zero.
    pub fn init<B: Backend>(&self, init: &mut Init, device: &B::Device) -> ModulatedConv<B> {
        let [d, h, w] = kernel_over(self.grid, 3);
        ModulatedConv {
            affine: FullyConnectedConfig::new(self.w_dim, self.inputs).with_bias(1.0).init(init, device),
            weight: init.normal([self.outputs, self.inputs, d, h, w], 1.0, device),
            noise_strength: init.constant([1], 0.0, device),
            noise_const: init.buffer(self.grid, 1.0, device),
            bias: init.constant([self.outputs], 0.0, device),
            up: self.up,
            layer: self.layer,
        }
    }
}

/// A synthesis layer: style from w, modulated convolution, noise, bias, leaky ReLU (StyleGAN2, `SynthesisLayer`).
#[derive(Module, Debug)]
pub struct ModulatedConv<B: Backend> {
    /// w to style.
    pub affine: FullyConnected<B>,
    /// `[outputs, inputs, kd, kh, kw]`.
    pub weight: Param<Tensor<B, 5>>,
    /// `[1]`.
    pub noise_strength: Param<Tensor<B, 1>>,
    /// Buffer `[D, H, W]`: the noise of [`Noise::Const`].
    pub noise_const: Param<Tensor<B, 3>>,
    /// `[outputs]`.
    pub bias: Param<Tensor<B, 1>>,
    up: [usize; 3],
    layer: usize,
}

impl<B: VolumeOps> ModulatedConv<B> {
    /// # Shapes
    /// - `x`: `[N, inputs, D, H, W]`, `w`: `[N, w_dim]`
    /// - output: `[N, outputs, D·up, H·up, W·up]`
    pub fn forward(&self, x: Tensor<B, 5>, w: Tensor<B, 2>, noise: Noise) -> Tensor<B, 5> {
        let samples = w.dims()[0];
        let y = modulated_conv3d(x, self.weight.val(), self.affine.forward(w), self.up, true);
        let [d, h, k] = self.noise_const.dims();
        let field = match noise {
            Noise::None => None,
            Noise::Const => Some(self.noise_const.val().reshape([1, 1, d, h, k])),
            Noise::Random { .. } => noise.draw(samples, [d, h, k], self.layer as u64, &y.device()),
        };
        let y = match field {
            Some(field) => {
                let field = (field * self.noise_strength.val().reshape([1; 5])).expand([samples, 1, d, h, k]);
                add_field(y, field)
            }
            None => y,
        };
        bias_lrelu(y, self.bias.val(), LRELU_GAIN)
    }
}
