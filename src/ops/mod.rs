//! Tensor operations that are closed under differentiation.
//!
//! The derivative of every operation here is made of operations here, so that `Autodiff<Autodiff<B>>` differentiates
//! twice without leaving the kernels of `B`:
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
//! | [`bias_lrelu`] `(x, b)` | masked gradient | its sum over all but the channel |
//! | [`warp()`] `(x)` | [`warp()`] with [`WarpPass::transposed`] | |
//!
//! [`VolumeOps`] has default methods in plain burn operations ([`plain`], the oracle of the tests); a backend overrides
//! what it does better (`flex.rs`). All tensors are `[N, C, D, H, W]`.

mod autodiff;
pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
mod flex;
mod geometry;
pub mod plain;
pub mod warp;

pub use autodiff::tape;
pub use geometry::{ConvGeometry, Fir};
pub use warp::WarpPass;

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorPrimitive};

/// The backend's side of this module: one method an operation, on float tensor primitives.
///
/// Shapes, gradients and sources are told at the functions of the same name, which is what networks call.
pub trait VolumeOps: Backend {
    /// See [`conv3d`].
    fn volume_conv3d(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        geometry: ConvGeometry,
    ) -> FloatTensor<Self> {
        lower(plain::conv3d::<Self>(raise(x), raise(w), geometry))
    }

    /// See [`conv3d_input_grad`].
    fn volume_conv3d_input_grad(
        g: FloatTensor<Self>,
        w: FloatTensor<Self>,
        geometry: ConvGeometry,
    ) -> FloatTensor<Self> {
        lower(plain::conv3d_input_grad::<Self>(raise(g), raise(w), geometry))
    }

    /// See [`conv3d_weight_grad`].
    fn volume_conv3d_weight_grad(
        x: FloatTensor<Self>,
        g: FloatTensor<Self>,
        geometry: ConvGeometry,
    ) -> FloatTensor<Self> {
        lower(plain::conv3d_weight_grad::<Self>(raise(x), raise(g), geometry))
    }

    /// See [`fir`].
    fn volume_fir(x: FloatTensor<Self>, fir: Fir) -> FloatTensor<Self> {
        lower(plain::fir::<Self>(raise(x), fir))
    }

    /// See [`channel_scale`].
    fn volume_channel_scale(x: FloatTensor<Self>, s: FloatTensor<Self>) -> FloatTensor<Self> {
        lower(plain::channel_scale::<Self>(raise(x), raise(s)))
    }

    /// See [`channel_dot`].
    fn volume_channel_dot(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        lower(plain::channel_dot::<Self>(raise(x), raise(y)))
    }

    /// See [`add_field`].
    fn volume_add_field(x: FloatTensor<Self>, f: FloatTensor<Self>) -> FloatTensor<Self> {
        lower(plain::add_field::<Self>(raise(x), raise(f)))
    }

    /// See [`channel_collect`].
    fn volume_channel_collect(x: FloatTensor<Self>) -> FloatTensor<Self> {
        lower(plain::channel_collect::<Self>(raise(x)))
    }

    /// See [`bias_lrelu`].
    fn volume_bias_lrelu(x: FloatTensor<Self>, b: FloatTensor<Self>, gain: f64) -> FloatTensor<Self> {
        lower(plain::bias_lrelu::<Self>(raise(x), raise(b), gain))
    }

    /// The gradient of [`bias_lrelu`] in `x`: `g` times the slope that the sign of the output `y` tells. Linear in `g`,
    /// piecewise constant in `y`.
    fn volume_lrelu_mask(y: FloatTensor<Self>, g: FloatTensor<Self>, gain: f64) -> FloatTensor<Self> {
        lower(plain::lrelu_mask::<Self>(raise(y), raise(g), gain))
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
pub fn conv3d<B: VolumeOps>(x: Tensor<B, 5>, w: Tensor<B, 5>, geometry: ConvGeometry) -> Tensor<B, 5> {
    raise(B::volume_conv3d(lower(x), lower(w), geometry))
}

/// The adjoint of [`conv3d`] in its input: `g` `[N, O, D', H', W']`, `w` `[O, I, kd, kh, kw]` → `[N, I, D, H, W]`.
/// With stride 2 this is the transposed convolution of the up-sampling blocks (`w` with its first axes swapped).
pub fn conv3d_input_grad<B: VolumeOps>(
    g: Tensor<B, 5>,
    w: Tensor<B, 5>,
    geometry: ConvGeometry,
) -> Tensor<B, 5> {
    raise(B::volume_conv3d_input_grad(lower(g), lower(w), geometry))
}

/// The adjoint of [`conv3d`] in its weight: `x` `[N, I, D, H, W]`, `g` `[N, O, D', H', W']` → `[O, I, kd, kh, kw]`.
pub fn conv3d_weight_grad<B: VolumeOps>(
    x: Tensor<B, 5>,
    g: Tensor<B, 5>,
    geometry: ConvGeometry,
) -> Tensor<B, 5> {
    raise(B::volume_conv3d_weight_grad(lower(x), lower(g), geometry))
}

/// Zero-insertion, padding, the `[1, 3, 3, 1]` filter and decimation along one axis (StyleGAN2's `upfirdn`, one axis at
/// a time, since the filter is separable).
pub fn fir<B: VolumeOps>(x: Tensor<B, 5>, fir: Fir) -> Tensor<B, 5> {
    raise(B::volume_fir(lower(x), fir))
}

/// Every channel of `x` `[N, C, D, H, W]` times its factor in `s` `[N, C]`.
pub fn channel_scale<B: VolumeOps>(x: Tensor<B, 5>, s: Tensor<B, 2>) -> Tensor<B, 5> {
    raise(B::volume_channel_scale(lower(x), lower(s)))
}

/// The sum over voxels of `x · y`, both `[N, C, D, H, W]`: `[N, C]`.
pub fn channel_dot<B: VolumeOps>(x: Tensor<B, 5>, y: Tensor<B, 5>) -> Tensor<B, 2> {
    raise(B::volume_channel_dot(lower(x), lower(y)))
}

/// A field `[N, 1, D, H, W]` added to every channel of `x` `[N, C, D, H, W]`.
pub fn add_field<B: VolumeOps>(x: Tensor<B, 5>, f: Tensor<B, 5>) -> Tensor<B, 5> {
    raise(B::volume_add_field(lower(x), lower(f)))
}

/// The sum over channels of `x` `[N, C, D, H, W]`: `[N, 1, D, H, W]`.
pub fn channel_collect<B: VolumeOps>(x: Tensor<B, 5>) -> Tensor<B, 5> {
    raise(B::volume_channel_collect(lower(x)))
}

/// `lrelu(x + b) · gain` with slope 0.2 below zero; `x` `[N, C, D, H, W]`, `b` `[C]`.
pub fn bias_lrelu<B: VolumeOps>(x: Tensor<B, 5>, b: Tensor<B, 1>, gain: f64) -> Tensor<B, 5> {
    raise(B::volume_bias_lrelu(lower(x), lower(b), gain))
}

/// Each sample of `x` `[N, C, D, H, W]` resampled along one axis at positions that are affine in the voxel's index, or
/// the transpose of that; the grid stays as it is. Returns `x` itself where nothing is to be done.
pub fn warp<B: VolumeOps>(x: Tensor<B, 5>, pass: &WarpPass) -> Tensor<B, 5> {
    if pass.is_identity(x.dims()[pass.axis]) { x } else { raise(B::volume_warp(lower(x), pass)) }
}
