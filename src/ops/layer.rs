//! A network's layer as one operation: a convolution with what precedes and follows it, done while its operands are
//! read and its results written.

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorMetadata};

use super::features::{join, split};
use super::plain::{self, LRELU_SLOPE};
use super::{ConvGeometry, Features, Fir, Shaped, VolumeOps, lower, raise};

/// The description of a layer `lrelu(blur(conv(x·style, w))·demodulation + field + bias)·gain`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layer {
    /// Geometry of the convolution; if `transposed`, of the convolution whose adjoint is taken.
    pub geometry: ConvGeometry,
    /// Whether the convolution is transposed: [`super::conv3d_input_grad`] in place of [`super::conv3d`], with the
    /// weight's first two axes swapped.
    pub transposed: bool,
    /// The filter after the convolution.
    pub blur: Fir,
    /// Factor after the leaky ReLU; `None` for no activation.
    pub gain: Option<f64>,
}

impl Layer {
    /// A convolution without blur and activation.
    pub fn conv(geometry: ConvGeometry) -> Self {
        Self { geometry, transposed: false, blur: Fir::default(), gain: None }
    }

    /// This layer with a leaky ReLU times `gain`.
    #[must_use]
    pub fn with_gain(self, gain: f64) -> Self {
        Self { gain: Some(gain), ..self }
    }

    /// The grid `[D', H', W']` between convolution and blur.
    pub fn convolved(&self) -> [usize; 3] {
        if self.transposed { self.geometry.input } else { self.geometry.output() }
    }
}

/// [`LayerInputs`] with tensors of type `T`, such as a backend's tensor primitives.
#[derive(Clone, Debug)]
pub struct Modulation<T> {
    /// `[N, I]`: factor of each input channel.
    pub style: Option<T>,
    /// `[N, O]`: factor of each output channel.
    pub demodulation: Option<T>,
    /// `[N, 1, D', H', W']`: added to every output channel.
    pub field: Option<T>,
    /// `[O]`: added to each output channel.
    pub bias: Option<T>,
}

impl<T> Modulation<T> {
    /// Applies `f` to each part that is there.
    pub fn map<U>(self, mut f: impl FnMut(T) -> U) -> Modulation<U> {
        Modulation {
            style: self.style.map(&mut f),
            demodulation: self.demodulation.map(&mut f),
            field: self.field.map(&mut f),
            bias: self.bias.map(&mut f),
        }
    }

    /// Style, demodulation, field, bias.
    pub(super) fn parts(&self) -> [Option<&T>; 4] {
        [&self.style, &self.demodulation, &self.field, &self.bias].map(Option::as_ref)
    }
}

/// Gradients in the operands of a layer's last step: demodulation, field, bias and leaky ReLU.
#[derive(Clone, Debug)]
pub struct EpilogueGrad<T> {
    /// In the output of convolution and blur.
    pub x: T,
    /// In the demodulation, `[N, O]`.
    pub demodulation: Option<T>,
    /// In the field, `[N, 1, D', H', W']`.
    pub field: Option<T>,
    /// In the bias, `[O]`.
    pub bias: Option<T>,
}

/// [`super::layer()`] of separate operations.
pub(super) fn compose<B: VolumeOps>(
    x: FloatTensor<B>,
    w: FloatTensor<B>,
    with: Modulation<FloatTensor<B>>,
    layer: &Layer,
) -> FloatTensor<B> {
    let channels = w.shape()[0];
    let x = match with.style {
        Some(style) => B::volume_channel_scale(x, style),
        None => x,
    };
    let y = if layer.transposed {
        B::volume_conv3d_input_grad(x, B::volume_transpose_weight(w), layer.geometry)
    } else {
        B::volume_conv3d(x, w, layer.geometry)
    };
    let y = if layer.blur.is_identity() { y } else { B::volume_fir(y, &layer.blur) };
    let y = match with.demodulation {
        Some(demodulation) => B::volume_channel_scale(y, demodulation),
        None => y,
    };
    let y = match with.field {
        Some(field) => B::volume_add_field(y, field, channels),
        None => y,
    };
    if with.bias.is_none() && layer.gain.is_none() {
        return y;
    }
    let y: Tensor<B, 6> = raise(y);
    let block = y.dims()[5];
    let bias = with.bias.map(raise::<B, 1>);
    lower(split(plain::bias_lrelu(join(y, channels), bias, layer.gain), block))
}

/// Gradients of a layer's part behind the convolution, from its output `y` and the gradient `g` in it.
///
/// What entered is not kept: it follows from `y`, since the leaky ReLU can be inverted. `wanted` tells which of
/// demodulation, field and bias need a gradient.
pub(super) fn epilogue_grad<B: VolumeOps>(
    y: FloatTensor<B>,
    g: FloatTensor<B>,
    with: &Modulation<FloatTensor<B>>,
    channels: usize,
    gain: Option<f64>,
    wanted: [bool; 3],
) -> EpilogueGrad<FloatTensor<B>> {
    let masked = match gain {
        Some(gain) => B::volume_lrelu_mask(y.clone(), g, LRELU_SLOPE, gain),
        None => g,
    };
    let demodulation = with.demodulation.clone().filter(|_| wanted[0]).map(|d| {
        let mut entered = match gain {
            Some(gain) => B::volume_lrelu_mask(y.clone(), y, 1.0 / LRELU_SLOPE, 1.0 / gain),
            None => y,
        };
        if let Some(field) = with.field.clone() {
            let field: Tensor<B, 5> = raise(field);
            entered = B::volume_add_field(entered, lower(field.neg()), channels);
        }
        let mut dot: Tensor<B, 2> = raise(B::volume_channel_dot(masked.clone(), entered, channels));
        if let Some(bias) = with.bias.clone() {
            let ones: Tensor<B, 6> = raise(masked.clone());
            let sums = B::volume_channel_dot(masked.clone(), lower(ones.ones_like()), channels);
            dot = dot - raise::<B, 2>(sums) * raise::<B, 1>(bias).shaped([1, channels]);
        }
        lower(dot / raise::<B, 2>(d))
    });
    EpilogueGrad {
        demodulation,
        field: wanted[1].then(|| B::volume_channel_collect(masked.clone(), channels)),
        bias: wanted[2].then(|| B::volume_channel_sum(masked.clone(), channels)),
        x: match with.demodulation.clone() {
            Some(d) => B::volume_channel_scale(masked, d),
            None => masked,
        },
    }
}

/// The optional operands of a layer beside input and weight.
#[derive(Clone, Debug)]
pub struct LayerInputs<B: Backend> {
    /// `[N, I]`: factor of each input channel.
    pub style: Option<Tensor<B, 2>>,
    /// `[N, O]`: factor of each output channel.
    pub demodulation: Option<Tensor<B, 2>>,
    /// `[N, 1, D', H', W']`: added to every output channel.
    pub field: Option<Tensor<B, 5>>,
    /// `[O]`: added to each output channel.
    pub bias: Option<Tensor<B, 1>>,
}

impl<B: Backend> Default for LayerInputs<B> {
    fn default() -> Self {
        Self { style: None, demodulation: None, field: None, bias: None }
    }
}

/// A network's layer, see [`Layer`]: `x` `[N, I, D, H, W]` and `w` `[O, I, kd, kh, kw]` (also if transposed) to
/// `[N, O, D', H', W']`.
pub fn layer<B: VolumeOps>(
    x: Features<B>,
    w: Tensor<B, 5>,
    inputs: LayerInputs<B>,
    layer: &Layer,
) -> Features<B> {
    let channels = w.dims()[0];
    let LayerInputs { style, demodulation, field, bias } = inputs;
    let with = Modulation {
        style: style.map(lower),
        demodulation: demodulation.map(lower),
        field: field.map(lower),
        bias: bias.map(lower),
    };
    Features { tensor: raise(B::volume_layer(lower(x.tensor), lower(w), with, layer)), channels }
}
