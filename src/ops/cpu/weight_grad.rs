//! The gradient of a convolution by its weights: correlations of the input with the output gradient.

use super::Conv3d;
use super::lanes::{Isa, LANES, isa};
use super::layout::{Margins, Padded, Shared, blocked, filled, from_lanes, parts};
use super::tile::Span;
use rayon::prelude::*;

/// Voxels whose gradients (64 bytes each) stay in the first-level cache while all taps of all channels use them.
const PANEL_VOXELS: usize = 384;
/// Independent jobs that a gradient is cut into, if it is large enough.
const JOBS: usize = 64;

/// The gradient of [`super::conv3d`] by its weights, `[O, I, kd, kh, kw]`, from `x` `[N, C, D, H, W]` and `grad_out`
/// `[N, O, D', H', W']`.
///
/// # Panics
/// If a slice does not have the number of elements that `shape` asks for.
pub fn conv3d_weight_grad(shape: &Conv3d, x: &[f32], grad_out: &[f32]) -> Vec<f32> {
    conv3d_weight_grad_on(isa(), shape, x, grad_out)
}

pub(super) fn conv3d_weight_grad_on(isa: Isa, shape: &Conv3d, x: &[f32], grad_out: &[f32]) -> Vec<f32> {
    shape.check("x", x.len(), shape.input_len());
    shape.check("grad_out", grad_out.len(), shape.output_len());
    let shape = shape.folded();
    if let Some(swapped) = swapped(&shape) {
        let reversed = correlate(isa, &swapped, grad_out, x);
        return unswap(&shape, &reversed);
    }
    correlate(isa, &shape, x, grad_out)
}

/// With few output channels most of the sixteen lanes would be idle. The roles can be exchanged at stride 1: the output
/// gradient, with the complementary margin, is correlated with the input; taps come out reversed, channels transposed.
fn swapped(shape: &Conv3d) -> Option<Conv3d> {
    let thin = shape.out_channels < LANES && shape.in_channels > shape.out_channels;
    let fits = (0..3).all(|a| shape.stride[a] == 1 && shape.padding[a] < shape.kernel[a]);
    (thin && fits).then(|| Conv3d {
        in_channels: shape.out_channels,
        out_channels: shape.in_channels,
        input: shape.output(),
        padding: std::array::from_fn(|a| shape.kernel[a] - 1 - shape.padding[a]),
        ..*shape
    })
}

/// `[I, O, taps reversed]` as `[O, I, taps]`.
fn unswap(shape: &Conv3d, reversed: &[f32]) -> Vec<f32> {
    let (inputs, outputs, taps) = (shape.in_channels, shape.out_channels, shape.taps());
    let mut w = Vec::with_capacity(reversed.len());
    for o in 0..outputs {
        for i in 0..inputs {
            w.extend(reversed[(i * outputs + o) * taps..][..taps].iter().rev());
        }
    }
    w
}

fn correlate(isa: Isa, shape: &Conv3d, x: &[f32], grad_out: &[f32]) -> Vec<f32> {
    let output @ [depth, height, width] = shape.output();
    let voxels: usize = output.iter().product();
    let margins = Margins { front: shape.padding, back: shape.padding, split: shape.stride[2] == 2 };
    let padded = Padded::new(x, shape.batch * shape.in_channels, shape.input, margins);
    let g = blocked(grad_out, shape.batch, shape.out_channels, voxels);
    let blocks = shape.out_channels.div_ceil(LANES);

    let touching = if shape.kernel[2] == 3 && shape.stride[2] == 1 { 3 } else { 1 };
    let offsets = offsets(shape, &padded, touching);
    let spans: Vec<Span> = (0..shape.batch * depth * height)
        .map(|row| {
            let (h, d, n) = (row % height, row / height % depth, row / height / depth);
            let z = d * shape.stride[0] * padded.depth + h * shape.stride[1] * padded.row;
            let g = (n * blocks * voxels + (d * height + h) * width) * LANES;
            Span { x: n * shape.in_channels * padded.plane + z, g }
        })
        .collect();
    let panels: Vec<&[Span]> = spans.chunks((PANEL_VOXELS / width).max(1)).collect();
    // Chunks of voxels have sums of their own, added in order at the end; slices of the taps need nothing added.
    let slices = offsets.len().div_ceil(32).min(JOBS.div_ceil(blocks));
    let chunks = JOBS.div_ceil(blocks * slices).min(panels.len());
    let sums_len = offsets.len() * touching * LANES;

    let fill = |sums: Shared| {
        (0..chunks * blocks * slices).into_par_iter().for_each(|job| {
            let (slice, block, chunk) = (job % slices, job / slices % blocks, job / slices / blocks);
            let (first, last) = (slice * offsets.len() / slices, (slice + 1) * offsets.len() / slices);
            let panels = &panels[chunk * panels.len() / chunks..(chunk + 1) * panels.len() / chunks];
            let g = &g[block * voxels * LANES..];
            // SAFETY: the offsets of this slice have sums that are this job's alone, zeroed before they are added
            // to; the instruction set was found on this processor; margins hold every tap of every span.
            unsafe {
                let sums = sums.at((chunk * blocks + block) * sums_len + first * touching * LANES);
                sums.write_bytes(0, (last - first) * touching * LANES);
                for panel in panels {
                    for (start, size) in parts(last - first, isa.correlate_limit(touching)) {
                        let offsets = offsets[first + start..].as_ptr();
                        let to = sums.add(start * touching * LANES);
                        let kernel = isa.correlate(touching, size);
                        kernel(padded.data.as_ptr(), offsets, g.as_ptr(), panel, width, to);
                    }
                }
            }
        });
    };
    // SAFETY: the jobs cover every chunk, block and slice.
    let sums = unsafe { filled(chunks * blocks * sums_len, fill) };
    weights_of(shape, &sums, chunks)
}

/// Where in x each tap of each channel begins, in the order of the weights; one for every `touching` taps along W.
fn offsets(shape: &Conv3d, padded: &Padded<'_>, touching: usize) -> Vec<usize> {
    let [kd, kh, kw] = shape.kernel;
    let mut offsets = Vec::with_capacity(shape.in_channels * shape.taps() / touching);
    for channel in 0..shape.in_channels {
        for d in 0..kd {
            for h in 0..kh {
                for w in (0..kw).step_by(touching) {
                    offsets
                        .push(channel * padded.plane + d * padded.depth + h * padded.row + padded.column(w));
                }
            }
        }
    }
    offsets
}

/// Adds the chunks of `sums` `[chunks, O/16, I·taps, 16]` in order into `[O, I, taps]`.
fn weights_of(shape: &Conv3d, sums: &[f32], chunks: usize) -> Vec<f32> {
    const PIECE: usize = 64;
    let (outputs, len) = (shape.out_channels, shape.in_channels * shape.taps());
    let (blocks, pieces) = (outputs.div_ceil(LANES), len.div_ceil(PIECE));
    let fill = |out: Shared| {
        (0..blocks * pieces).into_par_iter().for_each(|job| {
            let (block, start) = (job / pieces, job % pieces * PIECE);
            let size = PIECE.min(len - start);
            let mut total = [0.0; PIECE * LANES];
            for chunk in 0..chunks {
                let from = &sums[((chunk * blocks + block) * len + start) * LANES..][..size * LANES];
                for (t, s) in total.iter_mut().zip(from) {
                    *t += s;
                }
            }
            // SAFETY: this piece of the block's rows in the output is this job's alone.
            unsafe {
                let to = out.at(block * LANES * len + start);
                from_lanes(total.as_ptr(), LANES.min(outputs - block * LANES), size, to, len);
            }
        });
    };
    // SAFETY: the jobs cover every piece of every block.
    unsafe { filled(outputs * len, fill) }
}
