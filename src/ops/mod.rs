//! Tensor operations that are closed under differentiation.
//!
//! The derivative of every operation here is composed of operations here, so that `Autodiff<Autodiff<B>>`
//! differentiates twice on the kernels of `B`:
//!
//! | operation | gradient in its first argument | in its second |
//! |---|---|---|
//! | [`conv3d`] `(x, w)` | [`conv3d_input_grad`] `(g, w)` | [`conv3d_weight_grad`] `(x, g)` |
//! | [`conv3d_input_grad`] `(g, w)` | [`conv3d`] `(v, w)` | [`conv3d_weight_grad`] `(v, g)` |
//! | [`conv3d_weight_grad`] `(x, g)` | [`conv3d_input_grad`] `(g, v)` | [`conv3d`] `(x, v)` |
//! | [`fir`] `(x)` | [`fir`] with [`Fir::adjoint`] | |
//! | [`channel_scale`] `(x, s)` | [`channel_scale`] `(g, s)` | [`channel_dot`] `(x, g)` |
//! | [`channel_dot`] `(x, y)` | [`channel_scale`] `(y, v)` | [`channel_scale`] `(x, v)` |
//! | [`add_field`] `(x, f)` | `g` | [`channel_collect`] `(g)` |
//! | [`channel_collect`] `(x)` | [`add_field`] `(0, v)` | |
//! | [`lrelu_mask`] `(y, g)` | | [`lrelu_mask`] `(y, v)` |
//! | [`product`] `(a, b)` | [`product`] `(g, bᵀ)` | [`product`] `(aᵀ, g)` |
//! | [`warp()`] `(x)` | [`warp()`] with [`WarpPass::transposed`] | |
//!
//! [`layer()`] is a network's layer: a convolution with its style, demodulation, noise, bias and leaky ReLU. Its
//! gradient is composed of the operations above, from its operands and its output.
//!
//! [`VolumeOps`] has default methods in plain burn operations ([`plain`], the oracle of the tests); a backend overrides
//! those that it has kernels for (`flex.rs`). Activations are [`Features`], images `[N, C, D, H, W]`.

mod autodiff;
#[cfg(feature = "wgpu")]
pub mod cards;
#[cfg(feature = "cube")]
pub mod cube;
#[cfg(feature = "cuda")]
pub mod cuda;
mod defaults;
mod features;
mod flex;
mod geometry;
mod layer;
pub mod phases;
pub mod physics;
pub mod plain;
mod shaped;
pub mod warp;

pub use autodiff::{Tape, backward, tape};
pub use features::Features;
pub use geometry::{ConvGeometry, Fir, FirPass};
pub use layer::{EpilogueGrad, Layer, LayerInputs, Modulation, layer};
pub use shaped::Shaped;
pub use voxgan_kernels as cpu;

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{DType, Tensor, TensorMetadata, TensorPrimitive};
use features::{join, split};

use crate::warp::WarpPass;

/// The backend's side of this module: one method an operation, on float tensor primitives. Activations are in the
/// layout of [`Features`].
///
/// Shapes are documented at the functions of the same name without `volume_`, which networks call; their gradients are
/// in the table of this module.
pub trait VolumeOps: Backend {
    /// The block length L in the layout of [`Features`], for a number of channels and a type; 1 is plain
    /// `[N, C, D, H, W]`.
    fn channel_block(_channels: usize, _dtype: DType) -> usize {
        1
    }

    /// `[N, C, D, H, W]` into the layout of [`Features`].
    fn volume_split(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let block = Self::channel_block(x.shape()[1], x.dtype());
        lower(split::<Self>(raise(x), block))
    }

    /// The adjoint of [`VolumeOps::volume_split`], which is its inverse.
    fn volume_join(x: FloatTensor<Self>, channels: usize) -> FloatTensor<Self> {
        lower(join::<Self>(raise(x), channels))
    }

    /// See [`conv3d`].
    fn volume_conv3d(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        geometry: ConvGeometry,
    ) -> FloatTensor<Self> {
        defaults::conv3d::<Self>(x, w, geometry)
    }

    /// See [`conv3d_input_grad`].
    fn volume_conv3d_input_grad(
        g: FloatTensor<Self>,
        w: FloatTensor<Self>,
        geometry: ConvGeometry,
    ) -> FloatTensor<Self> {
        defaults::conv3d_input_grad::<Self>(g, w, geometry)
    }

    /// See [`conv3d_weight_grad`]; `channels` are the numbers of input and output channels.
    fn volume_conv3d_weight_grad(
        x: FloatTensor<Self>,
        g: FloatTensor<Self>,
        geometry: ConvGeometry,
        channels: [usize; 2],
    ) -> FloatTensor<Self> {
        defaults::conv3d_weight_grad::<Self>(x, g, geometry, channels)
    }

    /// Weights `[O, I, kd, kh, kw]` as `[I, O, kd, kh, kw]`.
    fn volume_transpose_weight(w: FloatTensor<Self>) -> FloatTensor<Self> {
        lower(raise::<Self, 5>(w).swap_dims(0, 1))
    }

    /// See [`fir`].
    fn volume_fir(x: FloatTensor<Self>, fir: &Fir) -> FloatTensor<Self> {
        defaults::fir::<Self>(x, fir)
    }

    /// See [`channel_scale`].
    fn volume_channel_scale(x: FloatTensor<Self>, s: FloatTensor<Self>) -> FloatTensor<Self> {
        defaults::channel_scale::<Self>(x, s)
    }

    /// See [`channel_dot`].
    fn volume_channel_dot(x: FloatTensor<Self>, y: FloatTensor<Self>, channels: usize) -> FloatTensor<Self> {
        defaults::channel_dot::<Self>(x, y, channels)
    }

    /// See [`add_field`].
    fn volume_add_field(x: FloatTensor<Self>, f: FloatTensor<Self>, channels: usize) -> FloatTensor<Self> {
        defaults::add_field::<Self>(x, f, channels)
    }

    /// See [`channel_collect`].
    fn volume_channel_collect(x: FloatTensor<Self>, channels: usize) -> FloatTensor<Self> {
        defaults::channel_collect::<Self>(x, channels)
    }

    /// The sum over samples and voxels of `[N, C, D, H, W]`: `[C]`.
    fn volume_channel_sum(x: FloatTensor<Self>, channels: usize) -> FloatTensor<Self> {
        defaults::channel_sum::<Self>(x, channels)
    }

    /// See [`lrelu_mask`].
    fn volume_lrelu_mask(
        y: FloatTensor<Self>,
        g: FloatTensor<Self>,
        slope: f64,
        gain: f64,
    ) -> FloatTensor<Self> {
        defaults::lrelu_mask::<Self>(y, g, slope, gain)
    }

    /// See [`layer()`].
    fn volume_layer(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        with: Modulation<FloatTensor<Self>>,
        layer: &Layer,
    ) -> FloatTensor<Self> {
        layer::compose::<Self>(x, w, with, layer)
    }

    /// Gradients of a [`layer()`]'s part after convolution and blur, from its output `y` and the gradient `g` in it;
    /// `wanted` says which of demodulation, field and bias need one.
    fn volume_epilogue_grad(
        y: FloatTensor<Self>,
        g: FloatTensor<Self>,
        with: &Modulation<FloatTensor<Self>>,
        channels: usize,
        gain: Option<f64>,
        wanted: [bool; 3],
    ) -> EpilogueGrad<FloatTensor<Self>> {
        layer::epilogue_grad::<Self>(y, g, with, channels, gain, wanted)
    }

    /// Gradients of [`channel_scale`] `(x, s)` in both arguments: `g·s` and Σ `g·x`.
    fn volume_scale_and_dot(
        g: FloatTensor<Self>,
        x: FloatTensor<Self>,
        s: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 2] {
        defaults::scale_and_dot::<Self>(g, x, s)
    }

    /// [`conv3d_weight_grad`] of operands whose channels are scaled first, where there is a scale.
    fn volume_scaled_weight_grad(
        operands: [FloatTensor<Self>; 2],
        scales: [Option<FloatTensor<Self>>; 2],
        geometry: ConvGeometry,
        channels: [usize; 2],
    ) -> FloatTensor<Self> {
        defaults::scaled_weight_grad::<Self>(operands, scales, geometry, channels)
    }

    /// See [`product`].
    fn matrix_product(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::float_matmul(a, b)
    }

    /// See [`warp()`].
    fn volume_warp(x: FloatTensor<Self>, pass: &WarpPass) -> FloatTensor<Self> {
        lower(warp::warp_tensor::<Self>(raise(x), pass))
    }
}

/// A primitive as a tensor of rank `R`.
pub(crate) fn raise<B: Backend, const R: usize>(x: FloatTensor<B>) -> Tensor<B, R> {
    Tensor::from_primitive(TensorPrimitive::Float(x))
}

/// A tensor's primitive.
pub(crate) fn lower<B: Backend, const R: usize>(x: Tensor<B, R>) -> FloatTensor<B> {
    x.into_primitive().tensor()
}

/// Cross-correlation of `x` `[N, I, D, H, W]` with `w` `[O, I, kd, kh, kw]`: `[N, O, D', H', W']`,
/// `D' = (D + 2·padding − kd)/stride + 1`.
pub fn conv3d<B: VolumeOps>(x: Features<B>, w: Tensor<B, 5>, geometry: ConvGeometry) -> Features<B> {
    let channels = w.dims()[0];
    Features { tensor: raise(B::volume_conv3d(lower(x.tensor), lower(w), geometry)), channels }
}

/// The adjoint of [`conv3d`] in its input: `g` `[N, O, D', H', W']`, `w` `[O, I, kd, kh, kw]` → `[N, I, D, H, W]`.
/// With stride 2 this is the transposed convolution of the up-sampling blocks (`w` with its first axes swapped).
pub fn conv3d_input_grad<B: VolumeOps>(
    g: Features<B>,
    w: Tensor<B, 5>,
    geometry: ConvGeometry,
) -> Features<B> {
    let channels = w.dims()[1];
    Features { tensor: raise(B::volume_conv3d_input_grad(lower(g.tensor), lower(w), geometry)), channels }
}

/// The adjoint of [`conv3d`] in its weight: `x` `[N, I, D, H, W]`, `g` `[N, O, D', H', W']` → `[O, I, kd, kh, kw]`.
pub fn conv3d_weight_grad<B: VolumeOps>(
    x: Features<B>,
    g: Features<B>,
    geometry: ConvGeometry,
) -> Tensor<B, 5> {
    let channels = [x.channels, g.channels];
    raise(B::volume_conv3d_weight_grad(lower(x.tensor), lower(g.tensor), geometry, channels))
}

/// Zero-insertion, padding, the `[1, 3, 3, 1]` filter and decimation along each axis that has a pass (StyleGAN2's
/// `upfirdn`): `[N, C, D, H, W]` → `[N, C, D', H', W']`. Returns `x` itself where there is no pass.
pub fn fir<B: VolumeOps>(x: Features<B>, fir: &Fir) -> Features<B> {
    if fir.is_identity() {
        return x;
    }
    Features { tensor: raise(B::volume_fir(lower(x.tensor), fir)), channels: x.channels }
}

/// Every channel of `x` `[N, C, D, H, W]` times its factor in `s` `[N, C]`.
pub fn channel_scale<B: VolumeOps>(x: Features<B>, s: Tensor<B, 2>) -> Features<B> {
    Features { tensor: raise(B::volume_channel_scale(lower(x.tensor), lower(s))), channels: x.channels }
}

/// The sum over voxels of `x · y`, both `[N, C, D, H, W]`: `[N, C]`.
pub fn channel_dot<B: VolumeOps>(x: Features<B>, y: Features<B>) -> Tensor<B, 2> {
    raise(B::volume_channel_dot(lower(x.tensor), lower(y.tensor), x.channels))
}

/// A field `[N, 1, D, H, W]` added to every channel of `x` `[N, C, D, H, W]`.
pub fn add_field<B: VolumeOps>(x: Features<B>, f: Tensor<B, 5>) -> Features<B> {
    let channels = x.channels;
    Features { tensor: raise(B::volume_add_field(lower(x.tensor), lower(f), channels)), channels }
}

/// The sum over channels of `x` `[N, C, D, H, W]`: `[N, 1, D, H, W]`.
pub fn channel_collect<B: VolumeOps>(x: Features<B>) -> Tensor<B, 5> {
    raise(B::volume_channel_collect(lower(x.tensor), x.channels))
}

/// `g·gain`, times `slope` where `y` is negative, both `[N, C, D, H, W]`: the gradient of the leaky ReLU by the sign of
/// its output, and with the reciprocals its inverse. Linear in `g`, piecewise constant in `y`.
pub fn lrelu_mask<B: VolumeOps>(y: Features<B>, g: Features<B>, slope: f64, gain: f64) -> Features<B> {
    let channels = g.channels;
    Features { tensor: raise(B::volume_lrelu_mask(lower(y.tensor), lower(g.tensor), slope, gain)), channels }
}

/// The product of the matrices `a` `[M, K]` and `b` `[K, N]`: use this in place of burn's `matmul`, which is wrong on GPUs for some `b`
/// that are transposed, and for batches (`docs/decisions/0023-products-of-two-matrices.md`).
pub fn product<B: VolumeOps>(a: Tensor<B, 2>, b: Tensor<B, 2>) -> Tensor<B, 2> {
    raise(B::matrix_product(lower(a), lower(b)))
}

/// Each sample of `x` `[N, C, D, H, W]` resampled along one axis at positions that are affine in the voxel's index, or
/// the transpose of this resampling; the grid stays the same. Returns `x` itself where the pass is the identity.
pub fn warp<B: VolumeOps>(x: Tensor<B, 5>, pass: &WarpPass) -> Tensor<B, 5> {
    if pass.is_identity(x.dims()[pass.axis]) { x } else { raise(B::volume_warp(lower(x), pass)) }
}
