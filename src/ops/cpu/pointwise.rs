//! Operations that touch each voxel once: bound by memory, so each is one pass, parallel over channels.

use rayon::prelude::*;

/// Negative slope of the leaky ReLU.
const SLOPE: f32 = 0.2;

/// Each run of voxels of `x` (there are as many as factors in `s`) times its factor.
pub fn channel_scale(x: &[f32], s: &[f32]) -> Vec<f32> {
    runs(x, x.len() / s.len(), |channel, x, y| {
        let s = s[channel];
        y.iter_mut().zip(x).for_each(|(y, &x)| *y = x * s);
    })
}

/// The sum of `x · y` over each of `channels` runs of voxels, in 64 bits.
pub fn channel_dot(x: &[f32], y: &[f32], channels: usize) -> Vec<f32> {
    let voxels = x.len() / channels;
    let dot = |(x, y): (&[f32], &[f32])| {
        // Lanes of partial sums: an order that depends on the length alone, and that vectorises.
        let mut lanes = [0f64; 8];
        let (x8, y8) = (x.chunks_exact(8), y.chunks_exact(8));
        let tail: f64 =
            x8.remainder().iter().zip(y8.remainder()).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
        for (a, b) in x8.zip(y8) {
            for lane in 0..8 {
                lanes[lane] += f64::from(a[lane]) * f64::from(b[lane]);
            }
        }
        (lanes.iter().sum::<f64>() + tail) as f32
    };
    x.par_chunks(voxels).zip(y.par_chunks(voxels)).map(dot).collect()
}

/// `x`, `runs_in_all` runs of voxels, plus a field for each `channels` of them.
pub fn add_field(x: &[f32], field: &[f32], runs_in_all: usize, channels: usize) -> Vec<f32> {
    let voxels = x.len() / runs_in_all;
    runs(x, voxels, |run, x, y| {
        let field = &field[run / channels * voxels..][..voxels];
        for ((y, &x), &f) in y.iter_mut().zip(x).zip(field) {
            *y = x + f;
        }
    })
}

/// The sum over the `channels` runs of voxels of each of `samples`.
pub fn channel_collect(x: &[f32], samples: usize, channels: usize) -> Vec<f32> {
    const PIECE: usize = 1 << 13;
    let voxels = x.len() / (samples * channels);
    let mut out = vec![0.0; samples * voxels];
    // Pieces of each sample's voxels, channels added in their order.
    let pieces = voxels.div_ceil(PIECE);
    let mut slices: Vec<&mut [f32]> =
        out.chunks_mut(voxels).flat_map(|sample| sample.chunks_mut(PIECE)).collect();
    slices.par_iter_mut().enumerate().for_each(|(i, out)| {
        let first = i / pieces * channels * voxels + i % pieces * PIECE;
        for channel in 0..channels {
            let x = &x[first + channel * voxels..][..out.len()];
            out.iter_mut().zip(x).for_each(|(sum, &x)| *sum += x);
        }
    });
    out
}

/// `lrelu(x + b)·gain`, `x` holding `batch` times as many runs of voxels as `b` has channels.
pub fn bias_lrelu(x: &[f32], b: &[f32], batch: usize, gain: f32) -> Vec<f32> {
    let voxels = x.len() / (b.len() * batch);
    runs(x, voxels, |channel, x, y| {
        let b = b[channel % b.len()];
        for (y, &x) in y.iter_mut().zip(x) {
            let v = x + b;
            *y = if v < 0.0 { v * SLOPE } else { v } * gain;
        }
    })
}

/// `g·gain`, times the slope where `y` is negative.
pub fn lrelu_mask(y: &[f32], g: &[f32], gain: f32) -> Vec<f32> {
    const RUN: usize = 1 << 14;
    runs(g, RUN, |run, g, out| {
        for ((out, &g), &y) in out.iter_mut().zip(g).zip(&y[run * RUN..]) {
            *out = if y < 0.0 { g * SLOPE } else { g } * gain;
        }
    })
}

/// Fills an output of `x`'s length run by run: `fill(number of the run, its input, its output)`.
fn runs(x: &[f32], run: usize, fill: impl Fn(usize, &[f32], &mut [f32]) + Sync) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    out.par_chunks_mut(run).zip(x.par_chunks(run)).enumerate().for_each(|(i, (out, x))| fill(i, x, out));
    out
}
