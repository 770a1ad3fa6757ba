//! The operations on [`super::Features`] by plain burn operations: for backends without kernels of their own, and for
//! the CPU with floats other than 32 bits.

use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorMetadata};

use super::features::{join, split};
use super::{ConvGeometry, Fir, VolumeOps, lower, plain, raise};

/// `f` on `[N, C, D, H, W]`, features in and out.
fn on_volumes<B: VolumeOps>(
    x: FloatTensor<B>,
    channels: usize,
    f: impl FnOnce(Tensor<B, 5>) -> Tensor<B, 5>,
) -> FloatTensor<B> {
    let y = f(join(raise(x), channels));
    let lanes = B::channel_block(y.dims()[1], y.dtype());
    lower(split(y, lanes))
}

/// See [`super::conv3d`].
pub(super) fn conv3d<B: VolumeOps>(
    x: FloatTensor<B>,
    w: FloatTensor<B>,
    geometry: ConvGeometry,
) -> FloatTensor<B> {
    let channels = w.shape()[1];
    on_volumes::<B>(x, channels, |x| plain::conv3d(x, raise(w), geometry))
}

/// See [`super::conv3d_input_grad`].
pub(super) fn conv3d_input_grad<B: VolumeOps>(
    g: FloatTensor<B>,
    w: FloatTensor<B>,
    geometry: ConvGeometry,
) -> FloatTensor<B> {
    let channels = w.shape()[0];
    on_volumes::<B>(g, channels, |g| plain::conv3d_input_grad(g, raise(w), geometry))
}

/// See [`super::conv3d_weight_grad`].
pub(super) fn conv3d_weight_grad<B: VolumeOps>(
    x: FloatTensor<B>,
    g: FloatTensor<B>,
    geometry: ConvGeometry,
    channels: [usize; 2],
) -> FloatTensor<B> {
    let (x, g) = (join::<B>(raise(x), channels[0]), join::<B>(raise(g), channels[1]));
    lower(plain::conv3d_weight_grad(x, g, geometry))
}

/// [`conv3d_weight_grad`] of operands whose channels are scaled first, where there is a scale.
pub(super) fn scaled_weight_grad<B: VolumeOps>(
    [x, g]: [FloatTensor<B>; 2],
    [x_scale, g_scale]: [Option<FloatTensor<B>>; 2],
    geometry: ConvGeometry,
    channels: [usize; 2],
) -> FloatTensor<B> {
    let scaled = |x, scale| match scale {
        Some(scale) => B::volume_channel_scale(x, scale),
        None => x,
    };
    B::volume_conv3d_weight_grad(scaled(x, x_scale), scaled(g, g_scale), geometry, channels)
}

/// See [`super::fir`].
pub(super) fn fir<B: VolumeOps>(x: FloatTensor<B>, fir: &Fir) -> FloatTensor<B> {
    let x: Tensor<B, 6> = raise(x);
    let [_, blocks, _, _, _, lanes] = x.dims();
    // A filter treats idle lanes as channels.
    lower(split(plain::fir(join(x, blocks * lanes), fir), lanes))
}

/// See [`super::channel_scale`].
pub(super) fn channel_scale<B: VolumeOps>(x: FloatTensor<B>, s: FloatTensor<B>) -> FloatTensor<B> {
    let channels = s.shape()[1];
    on_volumes::<B>(x, channels, |x| plain::channel_scale(x, raise(s)))
}

/// See [`super::channel_dot`].
pub(super) fn channel_dot<B: VolumeOps>(
    x: FloatTensor<B>,
    y: FloatTensor<B>,
    channels: usize,
) -> FloatTensor<B> {
    let [x, y] = [x, y].map(|x| join::<B>(raise(x), channels));
    lower(plain::channel_dot(x, y))
}

/// See [`super::add_field`].
pub(super) fn add_field<B: VolumeOps>(
    x: FloatTensor<B>,
    f: FloatTensor<B>,
    channels: usize,
) -> FloatTensor<B> {
    on_volumes::<B>(x, channels, |x| plain::add_field(x, raise(f)))
}

/// See [`super::channel_collect`].
pub(super) fn channel_collect<B: VolumeOps>(x: FloatTensor<B>, channels: usize) -> FloatTensor<B> {
    lower(plain::channel_collect(join::<B>(raise(x), channels)))
}

/// See [`VolumeOps::volume_channel_sum`].
pub(super) fn channel_sum<B: VolumeOps>(x: FloatTensor<B>, channels: usize) -> FloatTensor<B> {
    lower(plain::channel_sum(join::<B>(raise(x), channels)))
}

/// See [`super::lrelu_mask`].
pub(super) fn lrelu_mask<B: VolumeOps>(
    y: FloatTensor<B>,
    g: FloatTensor<B>,
    slope: f64,
    gain: f64,
) -> FloatTensor<B> {
    lower(plain::lrelu_mask::<B, 6>(raise(y), raise(g), slope, gain))
}

/// See [`VolumeOps::volume_scale_and_dot`].
pub(super) fn scale_and_dot<B: VolumeOps>(
    g: FloatTensor<B>,
    x: FloatTensor<B>,
    s: FloatTensor<B>,
) -> [FloatTensor<B>; 2] {
    let channels = s.shape()[1];
    [B::volume_channel_scale(g.clone(), s), B::volume_channel_dot(g, x, channels)]
}
