//! Convolution, and its input gradient, which is the transposed convolution.

use super::Conv3d;
use super::gather::{Axis, Grid, Phase, Weights, gather};
use super::lanes::{Isa, LANES, isa};
use super::layout::{Shared, blocked, filled, to_lanes};
use rayon::prelude::*;

/// Cross-correlates `x` `[N, C, D, H, W]` with `w` `[O, I, kd, kh, kw]` into `[N, O, D', H', W']`, zeros around the input.
///
/// # Panics
/// If a slice does not have the number of elements that `shape` asks for.
pub fn conv3d(shape: &Conv3d, x: &[f32], w: &[f32]) -> Vec<f32> {
    conv3d_on(isa(), shape, x, w)
}

/// The gradient of [`conv3d`] by its input, `[N, C, D, H, W]`, from `grad_out` `[N, O, D', H', W']`: the transposed
/// convolution. With a stride of two each of the eight parities of the input position gathers its own subset of taps.
///
/// # Panics
/// If a slice does not have the number of elements that `shape` asks for.
pub fn conv3d_input_grad(shape: &Conv3d, grad_out: &[f32], w: &[f32]) -> Vec<f32> {
    conv3d_input_grad_on(isa(), shape, grad_out, w)
}

pub(super) fn conv3d_on(isa: Isa, shape: &Conv3d, x: &[f32], w: &[f32]) -> Vec<f32> {
    shape.check("x", x.len(), shape.input_len());
    shape.check("w", w.len(), shape.weight_len());
    let shape = shape.folded();
    let output = shape.output();
    let axes = std::array::from_fn(|a| Axis {
        front: shape.padding[a],
        back: shape.padding[a],
        stride: shape.stride[a],
        phases: vec![Phase {
            start: 0,
            step: 1,
            count: output[a],
            taps: (0..shape.kernel[a]).map(|k| (k, k)).collect(),
        }],
    });
    let data = blocked(w, 1, shape.out_channels, shape.in_channels * shape.taps());
    let source = Grid { channels: shape.in_channels, dims: shape.input };
    let target = Grid { channels: shape.out_channels, dims: output };
    gather(isa, shape.batch, (source, x), target, &axes, &Weights { data, kernel: shape.kernel })
}

pub(super) fn conv3d_input_grad_on(isa: Isa, shape: &Conv3d, grad_out: &[f32], w: &[f32]) -> Vec<f32> {
    shape.check("grad_out", grad_out.len(), shape.output_len());
    shape.check("w", w.len(), shape.weight_len());
    let shape = shape.folded();
    let axes = std::array::from_fn(|a| {
        transposed_axis(shape.input[a], shape.output()[a], shape.kernel[a], shape.stride[a], shape.padding[a])
    });
    let source = Grid { channels: shape.out_channels, dims: shape.output() };
    let target = Grid { channels: shape.in_channels, dims: shape.input };
    let weights = Weights { data: transposed_weights(&shape, w), kernel: shape.kernel };
    gather(isa, shape.batch, (source, grad_out), target, &axes, &weights)
}

/// How input position i gathers from outputs o: tap k where `i + padding = o·stride + k`.
fn transposed_axis(input: usize, output: usize, kernel: usize, stride: usize, padding: usize) -> Axis {
    // For position start + stride·j, tap k meets output j + shift, with the shift possibly negative.
    let shifts = |start: usize| {
        let at = start + padding;
        (0..kernel)
            .rev()
            .filter(move |k| k % stride == at % stride)
            .map(move |k| (k, (at as isize - k as isize) / stride as isize))
    };
    let count = |start: usize| input.saturating_sub(start).div_ceil(stride);
    let (mut front, mut back) = (0, 0);
    for start in (0..stride).filter(|s| count(*s) > 0) {
        for (_, shift) in shifts(start) {
            front = front.max(-shift);
            back = back.max(shift + count(start) as isize - output as isize);
        }
    }
    let phase = |start: usize| Phase {
        start,
        step: stride,
        count: count(start),
        taps: match count(start) {
            0 => Vec::new(),
            _ => shifts(start).map(|(k, shift)| (k, (shift + front) as usize)).collect(),
        },
    };
    let phases = (0..stride).map(phase).collect();
    Axis { front: front as usize, back: back as usize, stride: 1, phases }
}

/// `w` `[O, I, taps]` as `[I/16, O, taps, 16]`.
fn transposed_weights(shape: &Conv3d, w: &[f32]) -> Vec<f32> {
    let (inputs, outputs, taps) = (shape.in_channels, shape.out_channels, shape.taps());
    let blocks = inputs.div_ceil(LANES);
    let fill = |out: Shared| {
        (0..blocks * outputs).into_par_iter().with_min_len(16).for_each(|job| {
            let (block, o) = (job / outputs, job % outputs);
            let from = &w[(o * inputs + block * LANES) * taps..];
            // SAFETY: the block's rows lie within w; these taps of the output are this job's alone.
            unsafe {
                let to = out.at(job * taps * LANES);
                to_lanes(from.as_ptr(), taps, LANES.min(inputs - block * LANES), taps, to);
            }
        });
    };
    // SAFETY: the jobs cover every block and output channel.
    unsafe { filled(blocks * outputs * taps * LANES, fill) }
}
