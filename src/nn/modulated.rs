//! The modulated, demodulated convolution and the synthesis layer around it.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::{FullyConnected, FullyConnectedConfig, Init, LRELU_GAIN, Noise, kernel_over};
use crate::ops::{
    ConvGeometry, Features, Fir, FirPass, Layer, LayerInputs, Shaped, VolumeOps, channel_scale, layer,
    product,
};

/// Keeps the demodulation's square root away from zero.
const DEMODULATION_EPSILON: f64 = 1e-8;

/// The convolution of a modulated layer over `grid`: with `up` 2 along an axis a transposed one with stride 2, followed
/// by the `[1, 3, 3, 1]` filter with gain 2.
fn convolution(grid: [usize; 3], kernel: [usize; 3], up: [usize; 3]) -> Layer {
    if up == [1; 3] {
        return Layer::conv(ConvGeometry::same(grid, kernel));
    }
    let padding = [0, 1, 2].map(|a| if up[a] == 2 { 0 } else { kernel[a] / 2 });
    let input = [0, 1, 2].map(|a| (grid[a] - 1) * up[a] + kernel[a] - 2 * padding[a]);
    let geometry = ConvGeometry { input, kernel, stride: up, padding };
    let blur = Fir::along(up, FirPass { up: 1, down: 1, pad: [1, 1], gain: 2.0 });
    Layer { geometry, transposed: true, blur, gain: None }
}

/// `rsqrt(Σ(w·s)² + 1e-8)` over inputs and taps, which brings the variance of each output channel back to one
/// (StyleGAN2, equation 3).
///
/// # Shapes
/// `weight` `[O, I, kd, kh, kw]`, `style` `[N, I]` → `[N, O]`
pub(super) fn demodulation<B: VolumeOps>(weight: Tensor<B, 5>, style: Tensor<B, 2>) -> Tensor<B, 2> {
    let [o, i, kd, kh, kw] = weight.dims();
    let power = weight.powi_scalar(2).shaped([o, i, kd * kh * kw]).sum_dim(2).shaped([o, i]); // [O, I]
    let energy = product(style.powi_scalar(2), power.transpose()); // [N, O]
    (energy + DEMODULATION_EPSILON).sqrt().recip()
}

/// Shape of a [`ModulatedConv`].
#[derive(Clone, Debug)]
pub struct ModulatedConvConfig {
    /// Number of input channels.
    pub inputs: usize,
    /// Number of output channels.
    pub outputs: usize,
    /// Length of w.
    pub w_dim: usize,
    /// Grid of the output, `[D, H, W]`.
    pub grid: [usize; 3],
    /// Upsampling factor of each axis, 1 or 2.
    pub up: [usize; 3],
    /// Number of the layer in its network, a part of the address of its random noise; below 256.
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
    /// `[outputs, inputs, kd, kh, kw]`; not scaled, because demodulation cancels a scale.
    pub weight: Param<Tensor<B, 5>>,
    /// `[1]`, the factor of the noise.
    pub noise_strength: Param<Tensor<B, 1>>,
    /// Buffer `[D, H, W]`: the noise of [`Noise::Const`].
    pub noise_const: Param<Tensor<B, 3>>,
    /// `[outputs]`.
    pub bias: Param<Tensor<B, 1>>,
    up: [usize; 3],
    layer: usize,
}

impl<B: VolumeOps> ModulatedConv<B> {
    /// Modulated convolution (StyleGAN2, section 2.2): the input's channels scaled by the style, convolved with shared
    /// weights, the output's channels scaled by the demodulation; then noise, bias, leaky ReLU.
    ///
    /// # Shapes
    /// - `x`: `[N, inputs, D, H, W]`, `w`: `[N, w_dim]`
    /// - output: `[N, outputs, D·up, H·up, W·up]`
    pub fn forward(&self, x: Features<B>, w: Tensor<B, 2>, noise: Noise) -> Features<B> {
        let samples = w.dims()[0];
        let (weight, style) = (self.weight.val(), self.affine.forward(w));
        let [_, _, kd, kh, kw] = weight.dims();
        let [d, h, k] = self.noise_const.dims();
        let field = match noise {
            Noise::None => None,
            Noise::Const => Some(self.noise_const.val().shaped([1, 1, d, h, k])),
            Noise::Random { .. } => {
                let field = noise.draw(samples, [d, h, k], self.layer as u64, &weight.device());
                field.map(|field| field.cast(weight.dtype()))
            }
        };
        let convolution = convolution(x.grid(), [kd, kh, kw], self.up).with_gain(LRELU_GAIN);
        let inputs = LayerInputs {
            demodulation: Some(demodulation(weight.clone(), style.clone())),
            style: Some(style),
            field: field.map(|field| {
                let strength = self.noise_strength.val().shaped([1, 1]).expand([samples, 1]);
                let field = Features::from_volumes(field.expand([samples, 1, d, h, k]));
                channel_scale(field, strength).into_volumes()
            }),
            bias: Some(self.bias.val()),
        };
        layer(x, weight, inputs, &convolution)
    }
}
