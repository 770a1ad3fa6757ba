//! The operations in plain burn on `[N, C, D, H, W]`: correct on every backend and for every float type, and the oracle
//! of the tests.

use burn::tensor::backend::Backend;
use burn::tensor::module::{conv_transpose3d, conv3d as burn_conv3d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Slice, Tensor};

use super::geometry::{ConvGeometry, FIR_TAPS, Fir, FirPass};
use super::{Shaped, VolumeOps, product};

/// Negative slope of the leaky ReLU (StyleGAN2).
pub const LRELU_SLOPE: f64 = 0.2;
// The kernels have the same.
const _: () = assert!(LRELU_SLOPE as f32 == voxgan_kernels::SLOPE);

/// See [`super::conv3d`].
pub fn conv3d<B: VolumeOps>(x: Tensor<B, 5>, w: Tensor<B, 5>, geometry: ConvGeometry) -> Tensor<B, 5> {
    convolve(x, w, geometry.stride, geometry.padding)
}

/// `x` `[N, I, D, H, W]` with the kernels `w` `[O, I, kd, kh, kw]`.
///
/// Kernels of one voxel are one product of matrices, `[N·D·H·W, I]·[I, O]`: burn 0.21 reads a channels-last volume that is cut along its first
/// spatial axis as if it were whole there, on every GPU (`docs/decisions/0023-products-of-two-matrices.md`).
pub(super) fn convolve<B: VolumeOps>(
    x: Tensor<B, 5>,
    w: Tensor<B, 5>,
    stride: [usize; 3],
    padding: [usize; 3],
) -> Tensor<B, 5> {
    let [n, i, d, h, k] = x.dims();
    let [o, _, kernel @ ..] = w.dims();
    if (kernel, stride, padding) != ([1; 3], [1; 3], [0; 3]) {
        return burn_conv3d(x, w, None, ConvOptions::new(stride, padding, [1; 3], 1));
    }
    let rows = x.permute([0, 2, 3, 4, 1]).shaped([n * d * h * k, i]);
    product(rows, w.shaped([o, i]).transpose()).shaped([n, d, h, k, o]).permute([0, 4, 1, 2, 3])
}

/// See [`super::conv3d_input_grad`].
pub fn conv3d_input_grad<B: Backend>(
    g: Tensor<B, 5>,
    w: Tensor<B, 5>,
    geometry: ConvGeometry,
) -> Tensor<B, 5> {
    let output = geometry.output();
    let missed = [0, 1, 2].map(|a| {
        geometry.input[a] + 2 * geometry.padding[a]
            - geometry.kernel[a]
            - (output[a] - 1) * geometry.stride[a]
    });
    conv_transpose3d(
        g,
        w,
        None,
        ConvTransposeOptions::new(geometry.stride, geometry.padding, missed, [1; 3], 1),
    )
}

/// See [`super::conv3d_weight_grad`].
///
/// One matrix product a tap: backends are slow at the one convolution with a kernel as large as the gradient.
pub fn conv3d_weight_grad<B: VolumeOps>(
    x: Tensor<B, 5>,
    g: Tensor<B, 5>,
    geometry: ConvGeometry,
) -> Tensor<B, 5> {
    let [n, o, d, h, k] = g.dims();
    let (output, i) = ([d, h, k], x.dims()[1]);
    let voxels = d * h * k;
    let x = (0..3).fold(x, |x, a| pad(x, a + 2, [geometry.padding[a] as isize; 2]));
    let g = g.swap_dims(0, 1).shaped([o, n * voxels]); // [O, N·V]
    let [kd, kh, kw] = geometry.kernel;
    let mut taps = Vec::with_capacity(kd * kh * kw);
    for tap in 0..kd * kh * kw {
        let at = [tap / (kh * kw), tap / kw % kh, tap % kw];
        let mut ranges = [Slice::full(); 5];
        for a in 0..3 {
            let reach = (output[a] - 1) * geometry.stride[a] + 1;
            ranges[a + 2] =
                Slice::new(at[a] as isize, Some((at[a] + reach) as isize), geometry.stride[a] as isize);
        }
        let seen = x.clone().slice(ranges).permute([0, 2, 3, 4, 1]).shaped([n * voxels, i]); // [N·V, I]
        taps.push(product(g.clone(), seen).shaped([o, i, 1])); // [O, I, 1]
    }
    Tensor::cat(taps, 2).shaped([o, i, kd, kh, kw]) // [O, I, kd, kh, kw]
}

/// Zeros in front of and behind an axis; a negative number crops.
pub(super) fn pad<B: Backend>(x: Tensor<B, 5>, axis: usize, amounts: [isize; 2]) -> Tensor<B, 5> {
    let mut x = x;
    for (side, amount) in amounts.into_iter().enumerate() {
        let mut dims = x.dims();
        if amount > 0 {
            dims[axis] = amount as usize;
            let zeros = Tensor::zeros(dims, (&x.device(), x.dtype()));
            x = Tensor::cat(if side == 0 { vec![zeros, x] } else { vec![x, zeros] }, axis);
        } else if amount < 0 {
            let crop = amount.unsigned_abs();
            x = x.narrow(axis, if side == 0 { crop } else { 0 }, dims[axis] - crop);
        }
    }
    x
}

/// See [`super::fir`].
pub fn fir<B: Backend>(x: Tensor<B, 5>, fir: &Fir) -> Tensor<B, 5> {
    (0..3).fold(x, |x, a| match fir.passes[a] {
        Some(pass) => fir_pass(x, a + 2, pass),
        None => x,
    })
}

/// One pass along `axis` (2, 3 or 4).
fn fir_pass<B: Backend>(x: Tensor<B, 5>, axis: usize, pass: FirPass) -> Tensor<B, 5> {
    let output = pass.output(x.dims()[axis]);
    let mut x = x;
    if pass.up > 1 {
        let dims = x.dims();
        let mut spread = [1; 6];
        spread[..=axis].copy_from_slice(&dims[..=axis]);
        spread[axis + 2..].copy_from_slice(&dims[axis + 1..]);
        let samples: Tensor<B, 6> = x.shaped(spread); // [.., L, 1, ..]
        let mut zeros = spread;
        zeros[axis + 1] = pass.up - 1;
        let zeros = Tensor::zeros(zeros, (&samples.device(), samples.dtype()));
        let mut stuffed = dims;
        stuffed[axis] *= pass.up;
        x = Tensor::cat(vec![samples, zeros], axis + 1).shaped(stuffed); // [.., L·up, ..]
    }
    let x = pad(x, axis, pass.pad);
    let reach = (output - 1) * pass.down + 1;
    let tap = |t: usize| {
        let mut ranges = [Slice::full(); 5];
        ranges[axis] = Slice::new(t as isize, Some((t + reach) as isize), pass.down as isize);
        x.clone().slice(ranges)
    };
    let taps = pass.taps();
    (1..FIR_TAPS).fold(tap(0) * taps[0], |sum, t| sum + tap(t) * taps[t])
}

/// See [`super::channel_scale`].
pub fn channel_scale<B: Backend>(x: Tensor<B, 5>, s: Tensor<B, 2>) -> Tensor<B, 5> {
    let [n, c] = s.dims();
    x * s.shaped([n, c, 1, 1, 1])
}

/// See [`super::channel_dot`].
pub fn channel_dot<B: Backend>(x: Tensor<B, 5>, y: Tensor<B, 5>) -> Tensor<B, 2> {
    let [n, c, d, h, w] = x.dims();
    (x * y).shaped([n, c, d * h * w]).sum_dim(2).shaped([n, c])
}

/// See [`super::add_field`].
pub fn add_field<B: Backend>(x: Tensor<B, 5>, f: Tensor<B, 5>) -> Tensor<B, 5> {
    x + f
}

/// See [`super::channel_collect`].
pub fn channel_collect<B: Backend>(x: Tensor<B, 5>) -> Tensor<B, 5> {
    x.sum_dim(1)
}

/// The sum over samples and voxels of `[N, C, D, H, W]`: `[C]`.
pub fn channel_sum<B: Backend>(x: Tensor<B, 5>) -> Tensor<B, 1> {
    let [n, c, d, h, w] = x.dims();
    x.shaped([n, c, d * h * w]).sum_dim(2).sum_dim(0).shaped([c])
}

/// `x` `[N, C, D, H, W]` plus the bias `b` `[C]`, then, if there is a gain, the leaky ReLU times `gain`.
pub fn bias_lrelu<B: Backend>(x: Tensor<B, 5>, b: Option<Tensor<B, 1>>, gain: Option<f64>) -> Tensor<B, 5> {
    let x = match b {
        Some(b) => {
            let c = b.dims()[0];
            x + b.shaped([1, c, 1, 1, 1])
        }
        None => x,
    };
    let Some(gain) = gain else { return x };
    let negative = x.clone().lower_elem(0.0);
    x.clone().mask_where(negative, x * LRELU_SLOPE) * gain
}

/// See [`super::lrelu_mask`]; for tensors of any rank.
pub fn lrelu_mask<B: Backend, const R: usize>(
    y: Tensor<B, R>,
    g: Tensor<B, R>,
    slope: f64,
    gain: f64,
) -> Tensor<B, R> {
    let negative = y.lower_elem(0.0);
    g.clone().mask_where(negative, g * slope) * gain
}
