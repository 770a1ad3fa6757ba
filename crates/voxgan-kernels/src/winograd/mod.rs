//! Winograd's F(2×2×2, 3×3×3) for convolutions with 3×3×3 taps and stride 1 (Lavin and Gray, "Fast Algorithms for
//! Convolutional Neural Networks", 2016): eight results from 64 products instead of 216.
//!
//! A tile of 4×4×4 inputs (overlapping its neighbours by two) and the weights go through the tensor product of F(2,
//! 3)'s transforms, are multiplied frequency by frequency, summed over input channels, and transformed back into 2×2×2
//! results. In the blocked layout, sixteen channels a block, the transforms are sums of vectors, and the sums over
//! channels matrix products.
//!
//! - `transforms`: lines of tiles and weights into frequencies and back;
//! - `kernels`: the products between, and all loops for each instruction set;
//! - `tiles`: which tiles a job takes, and where their rows are;
//! - `weights`: weights and their gradients as matrices of frequencies;
//! - `convolve`, `gradient`: the operations.

mod convolve;
mod gradient;
mod kernels;
#[cfg(test)]
mod tests;
mod tiles;
mod transforms;
mod weights;

use crate::lanes::{Isa, LANES};
use crate::layout::Layout;
use crate::passes::epilogue::Epilogue;
use crate::passes::volumes::Volumes;
use crate::shape::Conv3d;
use weights::Direction;

/// Whether Winograd's form is possible for a shape and faster than direct sums, including its gradients.
///
/// Weighs cycles as they were measured with AVX-512: the direct form is taken to reach 85 % of the peak of two
/// multiplications of vectors a cycle, and to leave out the taps beyond an axis of one voxel. Small grids lose by the
/// transform of the weights, odd ones by tiles that overhang, thin layers by the transforms of both sides.
pub fn suits(shape: &Conv3d) -> bool {
    let lanes = shape.in_layout == Layout::Blocked && shape.out_layout == Layout::Blocked;
    if !fits(shape) || !lanes || shape.in_channels.min(shape.out_channels) < LANES / 2 {
        return false;
    }
    let axes = |f: fn(usize) -> usize| shape.input.into_iter().map(f).product::<usize>() as f64;
    let batch = shape.batch as f64;
    let blocks = |channels: usize| channels.div_ceil(LANES) as f64;
    let (inputs, outputs) = (blocks(shape.in_channels), blocks(shape.out_channels));
    let direct = batch * axes(|d| if d == 1 { 1 } else { 3 * d }) * (16.0 / 2.0 / 0.85) * inputs * outputs;
    let tiles = batch * axes(|d| d.div_ceil(2));
    let winograd = tiles * (620.0 * inputs * outputs + 250.0 * (inputs + outputs));
    let weights = 16_000.0 * inputs * outputs;
    direct > 1.2 * (winograd + weights)
}

fn fits(shape: &Conv3d) -> bool {
    shape.kernel == [3; 3] && shape.stride == [1; 3] && shape.padding == [1; 3]
}

/// As [`super::Form::conv3d`], both sides in the blocked layout: `x` `[N, I/16, D, H, W, 16]`, times `in_scale`
/// `[N, I]`, with `w` `[O, I, 3, 3, 3]` into `[N, O/16, D, H, W, 16]`, through `epilogue`.
///
/// # Panics
/// If the kernel is not 3×3×3 with stride 1 and a margin of 1, or a slice does not have the number of elements that
/// `shape` asks for.
pub fn conv3d_on(
    isa: Isa,
    shape: &Conv3d,
    x: &[f32],
    w: &[f32],
    in_scale: Option<&[f32]>,
    epilogue: &Epilogue<'_>,
) -> Vec<f32> {
    check(shape, &[("x", x, shape.in_channels)], Some(w));
    check_ends(shape, in_scale, shape.in_channels, epilogue, shape.out_channels);
    convolve::convolve(kernels::kernels(isa), shape, (x, w), Direction::Forward, in_scale, epilogue)
}

/// As [`super::Form::conv3d_input_grad`], both sides in the blocked layout: `grad_out` `[N, O/16, D, H, W, 16]`, times
/// `in_scale` `[N, O]`, into `[N, I/16, D, H, W, 16]`, through `epilogue`.
///
/// # Panics
/// As [`conv3d_on`].
pub fn conv3d_input_grad_on(
    isa: Isa,
    shape: &Conv3d,
    grad_out: &[f32],
    w: &[f32],
    in_scale: Option<&[f32]>,
    epilogue: &Epilogue<'_>,
) -> Vec<f32> {
    check(shape, &[("grad_out", grad_out, shape.out_channels)], Some(w));
    check_ends(shape, in_scale, shape.out_channels, epilogue, shape.in_channels);
    convolve::convolve(kernels::kernels(isa), shape, (grad_out, w), Direction::Transposed, in_scale, epilogue)
}

/// As [`super::Form::conv3d_weight_grad`], both sides in the blocked layout: `x` `[N, I/16, D, H, W, 16]`, times
/// `x_scale` `[N, I]`, and `grad_out` `[N, O/16, D, H, W, 16]`, times `g_scale` `[N, O]`, into `[O, I, 3, 3, 3]`.
///
/// # Panics
/// As [`conv3d_on`].
pub fn conv3d_weight_grad_on(
    isa: Isa,
    shape: &Conv3d,
    x: &[f32],
    grad_out: &[f32],
    x_scale: Option<&[f32]>,
    g_scale: Option<&[f32]>,
) -> Vec<f32> {
    check(shape, &[("x", x, shape.in_channels), ("grad_out", grad_out, shape.out_channels)], None);
    shape.check_scale("x_scale", x_scale, shape.in_channels);
    shape.check_scale("g_scale", g_scale, shape.out_channels);
    gradient::weight_grad(kernels::kernels(isa), shape, (x, grad_out), x_scale, g_scale)
}

fn check(shape: &Conv3d, volumes: &[(&str, &[f32], usize)], w: Option<&[f32]>) {
    assert!(fits(shape), "winograd: needs 3×3×3 taps, stride 1 and a margin of 1, not {shape:?}");
    for (name, values, channels) in volumes {
        let expected = Layout::Blocked.len(shape.batch, *channels, shape.input.iter().product());
        shape.check(name, values.len(), expected);
    }
    if let Some(w) = w {
        shape.check("w", w.len(), shape.weight_len());
    }
}

fn check_ends(
    shape: &Conv3d,
    in_scale: Option<&[f32]>,
    sources: usize,
    epilogue: &Epilogue<'_>,
    targets: usize,
) {
    shape.check_scale("in_scale", in_scale, sources);
    let voxels = shape.input.iter().product();
    epilogue.check(&Volumes { layout: Layout::Blocked, batch: shape.batch, channels: targets, voxels });
}
