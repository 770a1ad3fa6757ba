//! Pointwise operations and sums: bound by memory, so that each is one pass, parallel over tiles.
//!
//! Sums over voxels are by lane in 64 bits, and added tile by tile.

use super::epilogue::epilogue_on;
use super::instances::instances;
use super::volumes::{Tile, Volumes, across};
use crate::lanes::{Isa, LANES, isa};
use crate::layout::Layout;
use crate::layout::{Shared, filled};
use crate::passes::epilogue::Epilogue;
use rayon::prelude::*;

/// Floats of one job of the operations for which a tensor is a row of numbers.
const RUN: usize = 1 << 15;

/// Each channel of `x`, of the layout and size of `shape`, times its factor in `s` `[N, C]`.
///
/// # Panics
/// If a slice has the wrong number of elements.
pub fn channel_scale(shape: &Volumes, x: &[f32], s: &[f32]) -> Vec<f32> {
    epilogue_on(isa(), shape, x, &Epilogue { scale: Some(s), ..Epilogue::default() })
}

/// `x` plus the field `f` `[N, V]` in all channels.
///
/// # Panics
/// If a slice has the wrong number of elements.
pub fn add_field(shape: &Volumes, x: &[f32], f: &[f32]) -> Vec<f32> {
    epilogue_on(isa(), shape, x, &Epilogue { field: Some(f), ..Epilogue::default() })
}

/// The sum of `x · y` over each channel's voxels, `[N, C]`.
///
/// # Panics
/// If a slice has the wrong number of elements.
pub fn channel_dot(shape: &Volumes, x: &[f32], y: &[f32]) -> Vec<f32> {
    channel_dot_on(isa(), shape, x, y)
}

pub(crate) fn channel_dot_on(isa: Isa, shape: &Volumes, x: &[f32], y: &[f32]) -> Vec<f32> {
    shape.check("channel_dot: x", x.len(), shape.floats());
    shape.check("channel_dot: y", y.len(), shape.floats());
    let sums = by_tile(shape, |tile, group, sums| {
        let range = shape.range(tile, group);
        dot(isa, &x[range.clone()], &y[range], sums);
    });
    over_voxels(shape, &sums)
}

/// [`channel_scale`] of `g` and `s` `[N, C]`, and [`channel_dot`] of `g` and `x`: the gradients of [`channel_scale`].
///
/// # Panics
/// If a slice has the wrong number of elements.
pub fn scale_and_dot(shape: &Volumes, g: &[f32], x: &[f32], s: &[f32]) -> (Vec<f32>, Vec<f32>) {
    scale_and_dot_on(isa(), shape, g, x, s)
}

pub(crate) fn scale_and_dot_on(
    isa: Isa,
    shape: &Volumes,
    g: &[f32],
    x: &[f32],
    s: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    shape.check("scale_and_dot: g", g.len(), shape.floats());
    shape.check("scale_and_dot: x", x.len(), shape.floats());
    shape.check("scale_and_dot: s", s.len(), shape.batch * shape.channels);
    let mut sums = Vec::new();
    let fill = |out: Shared| {
        sums = by_tile(shape, |tile, group, sums| {
            let range = shape.range(tile, group);
            let s = shape.spread(&s[tile.n * shape.channels..][..shape.channels], group);
            // SAFETY: this range of the output is this job's alone, and all of it is written.
            let to = unsafe { out.slice(range.clone()) };
            scale_dot(isa, &g[range.clone()], &x[range], &s, to, sums);
        });
    };
    // SAFETY: the tiles cover every voxel, the groups every channel.
    let scaled = unsafe { filled(g.len(), fill) };
    (scaled, over_voxels(shape, &sums))
}

/// The sum over batch and voxels, `[C]`.
///
/// # Panics
/// If `x` has the wrong number of elements.
pub fn channel_sum(shape: &Volumes, x: &[f32]) -> Vec<f32> {
    channel_sum_on(isa(), shape, x)
}

pub(crate) fn channel_sum_on(isa: Isa, shape: &Volumes, x: &[f32]) -> Vec<f32> {
    shape.check("channel_sum: x", x.len(), shape.floats());
    let sums = by_tile(shape, |tile, group, sums| sum(isa, &x[shape.range(tile, group)], sums));
    (0..shape.channels).map(|c| sums.iter().map(|tile| tile[c]).sum::<f64>() as f32).collect()
}

/// The sum over channels, `[N, V]`.
///
/// # Panics
/// If `x` has the wrong number of elements.
pub fn channel_collect(shape: &Volumes, x: &[f32]) -> Vec<f32> {
    channel_collect_on(isa(), shape, x)
}

pub(crate) fn channel_collect_on(isa: Isa, shape: &Volumes, x: &[f32]) -> Vec<f32> {
    shape.check("channel_collect: x", x.len(), shape.floats());
    let fill = |out: Shared| {
        shape.tiles().for_each(|tile| {
            // SAFETY: this range of the output is this job's alone, and all of it is written.
            let to = unsafe { out.slice(shape.field(tile)) };
            match shape.layout {
                Layout::Plain => {
                    to.fill(0.0);
                    (0..shape.groups()).for_each(|c| collect_plane(isa, &x[shape.range(tile, c)], to));
                }
                Layout::Blocked => {
                    let blocks: Vec<_> = (0..shape.groups()).map(|b| &x[shape.range(tile, b)]).collect();
                    collect_lanes(isa, &blocks, to);
                }
            }
        });
    };
    // SAFETY: the tiles cover every voxel.
    unsafe { filled(shape.batch * shape.voxels, fill) }
}

/// `g·gain`, times `slope` where `y` is negative. With the slope 0.2 and the gain of an [`Epilogue`] this is the
/// gradient of its activation from the output `y`; with the inverse of both it is the inverse of the activation.
///
/// # Panics
/// If `y` and `g` differ in length.
pub fn lrelu_mask(y: &[f32], g: &[f32], slope: f32, gain: f32) -> Vec<f32> {
    lrelu_mask_on(isa(), y, g, slope, gain)
}

pub(crate) fn lrelu_mask_on(isa: Isa, y: &[f32], g: &[f32], slope: f32, gain: f32) -> Vec<f32> {
    pairs(y, g, |y, g, to| mask(isa, y, g, slope, gain, to))
}

/// `a + b`, element by element.
///
/// # Panics
/// If `a` and `b` differ in length.
pub fn add(a: &[f32], b: &[f32]) -> Vec<f32> {
    add_on(isa(), a, b)
}

pub(crate) fn add_on(isa: Isa, a: &[f32], b: &[f32]) -> Vec<f32> {
    pairs(a, b, |a, b, to| sum_of_two(isa, a, b, to))
}

/// An output as long as `a` and `b`, filled in runs: `fill(run of a, run of b, run of the output)`.
fn pairs(a: &[f32], b: &[f32], fill: impl Fn(&[f32], &[f32], &mut [f32]) + Sync) -> Vec<f32> {
    assert_eq!(a.len(), b.len(), "the operands have different numbers of elements");
    let runs = |out: Shared| {
        let runs = a.par_chunks(RUN).zip(b.par_chunks(RUN)).enumerate();
        // SAFETY: each run of the output is one job's alone, and all of it is written.
        runs.for_each(|(i, (a, b))| fill(a, b, unsafe { out.slice(i * RUN..i * RUN + a.len()) }));
    };
    // SAFETY: the runs cover the output.
    unsafe { filled(a.len(), runs) }
}

/// For each tile one number for each channel: `sums(tile, group, by lane)` adds to zeros.
fn by_tile(shape: &Volumes, sums: impl Fn(Tile, usize, &mut [f64; LANES]) + Sync) -> Vec<Vec<f64>> {
    let of_tile = |tile| {
        let mut channels = vec![0.0; shape.channels];
        for group in 0..shape.groups() {
            let mut lanes = [0.0; LANES];
            sums(tile, group, &mut lanes);
            shape.gather(&lanes, group, &mut channels);
        }
        channels
    };
    shape.tiles().map(of_tile).collect()
}

/// Adds what [`by_tile`] found over the tiles of each volume: `[N, C]`.
fn over_voxels(shape: &Volumes, sums: &[Vec<f64>]) -> Vec<f32> {
    let of_volume = |tiles: &[Vec<f64>]| {
        let channel = |c: usize| tiles.iter().map(|tile| tile[c]).sum::<f64>() as f32;
        (0..shape.channels).map(channel).collect::<Vec<_>>()
    };
    sums.chunks(shape.tiles_of_volume()).flat_map(of_volume).collect()
}

/// Adds to `sums[lane]` what `value(i)` is at each position of that lane.
#[inline(always)]
fn by_lane(len: usize, sums: &mut [f64; LANES], mut value: impl FnMut(usize) -> f64) {
    let mut lanes = *sums;
    for cell in 0..len / LANES {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += value(cell * LANES + lane);
        }
    }
    for (lane, sum) in lanes.iter_mut().enumerate().take(len % LANES) {
        *sum += value(len / LANES * LANES + lane);
    }
    *sums = lanes;
}

instances! {
    fn dot(x: &[f32], y: &[f32], sums: &mut [f64; LANES]) {
        let (len, y) = (x.len(), &y[..x.len()]);
        // SAFETY: positions stay below `len`, the length of both.
        let value = |i| unsafe { f64::from(*x.get_unchecked(i)) * f64::from(*y.get_unchecked(i)) };
        by_lane(len, sums, value);
    }
}

instances! {
    fn scale_dot(g: &[f32], x: &[f32], s: &[f32; LANES], to: &mut [f32], sums: &mut [f64; LANES]) {
        let s = *s;
        let (len, x, to) = (g.len(), &x[..g.len()], &mut to[..g.len()]);
        // SAFETY: positions stay below `len`, the length of all.
        let value = |i: usize| unsafe {
            let g = *g.get_unchecked(i);
            *to.get_unchecked_mut(i) = g * s[i % LANES];
            f64::from(g) * f64::from(*x.get_unchecked(i))
        };
        by_lane(len, sums, value);
    }
}

instances! {
    fn sum(x: &[f32], sums: &mut [f64; LANES]) {
        // SAFETY: positions stay below the length.
        by_lane(x.len(), sums, |i| f64::from(unsafe { *x.get_unchecked(i) }));
    }
}

instances! {
    /// Adds one channel to `to`.
    fn collect_plane(x: &[f32], to: &mut [f32]) {
        for (sum, x) in to.iter_mut().zip(x) {
            *sum += x;
        }
    }
}

instances! {
    /// Adds all channels of all blocks: one number for each voxel.
    fn collect_lanes<L>(blocks: &[&[f32]], to: &mut [f32]) {
        for (v, to) in to.iter_mut().enumerate() {
            let mut lanes = [0.0; LANES];
            // SAFETY: this is compiled for `L`, and slices have sixteen floats.
            unsafe {
                let mut sum = L::zero();
                for block in blocks {
                    sum = sum.add(L::load(block[v * LANES..][..LANES].as_ptr()));
                }
                sum.store(lanes.as_mut_ptr());
            }
            *to = across(&lanes);
        }
    }
}

instances! {
    fn mask(y: &[f32], g: &[f32], slope: f32, gain: f32, to: &mut [f32]) {
        let below = slope * gain;
        for ((to, &g), &y) in to.iter_mut().zip(g).zip(y) {
            *to = g * if y < 0.0 { below } else { gain };
        }
    }
}

instances! {
    fn sum_of_two(a: &[f32], b: &[f32], to: &mut [f32]) {
        for ((to, a), b) in to.iter_mut().zip(a).zip(b) {
            *to = a + b;
        }
    }
}
