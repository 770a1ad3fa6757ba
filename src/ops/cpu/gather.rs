//! The loop nest that convolution and its input gradient share: every output voxel gathers taps of its neighbourhood.

use super::lanes::{Isa, LANES};
use super::layout::{Margins, Padded, Shared, filled, from_lanes, parts};
use super::tile::{Gather, Run, Tap};
use rayon::prelude::*;
use std::borrow::Cow;
use std::ops::Range;

/// Output positions `start + step·j`, `j < count`, along one axis, which all have the same taps.
#[derive(Clone, Debug)]
pub(super) struct Phase {
    pub start: usize,
    pub step: usize,
    pub count: usize,
    /// Kernel index, and the source position (counted with its margin) that it meets for `j = 0`.
    pub taps: Vec<(usize, usize)>,
}

/// How one axis of the output gathers from the source.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    /// Zeros before and after the source.
    pub front: usize,
    pub back: usize,
    /// Source positions between j and j + 1.
    pub stride: usize,
    /// One phase for each residue of the output position by `step`, in order.
    pub phases: Vec<Phase>,
}

/// Weights `[blocks of 16 outputs, source channels, taps, 16]`.
pub(super) struct Weights {
    pub data: Vec<f32>,
    /// Kernel taps along D, H, W.
    pub kernel: [usize; 3],
}

/// Channels and voxels of one side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    pub channels: usize,
    pub dims: [usize; 3],
}

/// Gathers `source` `[N, channels, dims]` into `[N, channels, dims]` of the target.
pub(super) fn gather(
    isa: Isa,
    batch: usize,
    (source, x): (Grid, &[f32]),
    target: Grid,
    axes: &[Axis; 3],
    weights: &Weights,
) -> Vec<f32> {
    let margins = Margins {
        front: std::array::from_fn(|a| axes[a].front),
        back: std::array::from_fn(|a| axes[a].back),
        split: axes[2].stride == 2,
    };
    let padded = Padded::new(x, batch * source.channels, source.dims, margins);
    let nest = Nest {
        isa,
        source,
        target,
        axes,
        taps: tap_lists(axes, &padded, weights.kernel),
        w_channel: weights.kernel.iter().product::<usize>() * LANES,
        padded: &padded,
        weights: &weights.data,
    };
    let [depth, height, width] = target.dims;
    let blocks = target.channels.div_ceil(LANES);
    // Rows that one job computes: about 32 KiB of results, which stay in cache until they are written out.
    let step = axes[1].phases.len();
    let rows = (512 / width).clamp(1, height).next_multiple_of(step);
    let slabs = height.div_ceil(rows);
    let fill = |out: Shared| {
        (0..batch * blocks * depth * slabs).into_par_iter().for_each_init(
            || vec![0.0; rows * width * LANES],
            |buffer, job| {
                let (h, d) = (job % slabs * rows, job / slabs % depth);
                let (block, n) = (job / slabs / depth % blocks, job / slabs / depth / blocks);
                let until = (h + rows).min(height);
                let at = ((n * target.channels + block * LANES) * depth + d) * height * width + h * width;
                let lanes = LANES.min(target.channels - block * LANES);
                let stride = depth * height * width;
                if nest.is_thin(lanes) {
                    nest.thin_slab(n, block, d, h..until, buffer);
                    let pitch = width.next_multiple_of(LANES);
                    for (i, from) in buffer.chunks_exact(pitch).take(lanes * (until - h)).enumerate() {
                        let (lane, row) = (i / (until - h), i % (until - h));
                        let to = at + lane * stride + row * width;
                        // SAFETY: the row lies in this slab, which is this job's alone.
                        unsafe { from.as_ptr().copy_to_nonoverlapping(out.at(to), width) }
                    }
                    return;
                }
                nest.slab(n, block, d, h..until, buffer);
                // SAFETY: the slab's rows are contiguous within each channel and belong to this job alone.
                unsafe { from_lanes(buffer.as_ptr(), lanes, (until - h) * width, out.at(at), stride) }
            },
        );
    };
    // SAFETY: the jobs cover every channel of every block and every row.
    unsafe { filled(batch * target.channels * depth * height * width, fill) }
}

/// The taps of each combination of phases, `[D phase][H phase][W phase]`.
fn tap_lists(axes: &[Axis; 3], padded: &Padded<'_>, kernel: [usize; 3]) -> Vec<Vec<Vec<Vec<Tap>>>> {
    let list = |d: &Phase, h: &Phase, w: &Phase| {
        let mut taps = Vec::new();
        for &(kd, zd) in &d.taps {
            for &(kh, zh) in &h.taps {
                for &(kw, zw) in &w.taps {
                    let x = zd * padded.depth + zh * padded.row + padded.column(zw);
                    taps.push(Tap { x, w: ((kd * kernel[1] + kh) * kernel[2] + kw) * LANES });
                }
            }
        }
        taps
    };
    let [d, h, w] = axes.each_ref().map(|axis| &axis.phases);
    d.iter().map(|d| h.iter().map(|h| w.iter().map(|w| list(d, h, w)).collect()).collect()).collect()
}

struct Nest<'a> {
    isa: Isa,
    source: Grid,
    target: Grid,
    axes: &'a [Axis; 3],
    taps: Vec<Vec<Vec<Vec<Tap>>>>,
    w_channel: usize,
    padded: &'a Padded<'a>,
    weights: &'a [f32],
}

impl Nest<'_> {
    /// Computes rows `rows` of slice `d` for one volume and one block of output channels into `buffer` `[h, w, 16]`.
    fn slab(&self, n: usize, block: usize, d: usize, rows: Range<usize>, buffer: &mut [f32]) {
        let [axis_d, axis_h, axis_w] = self.axes;
        let width = self.target.dims[2];
        assert!(buffer.len() >= rows.len() * width * LANES);
        let phase_d = d % axis_d.phases.len();
        let jd = d / axis_d.phases.len();
        let x = &self.padded.data[n * self.source.channels * self.padded.plane..];
        let w = &self.weights[block * self.source.channels * self.w_channel..];
        let x_row = axis_h.stride * self.padded.row;
        for (h, taps) in axis_h.phases.iter().zip(&self.taps[phase_d]) {
            let first = rows.start.saturating_sub(h.start).div_ceil(h.step);
            let last = rows.end.saturating_sub(h.start).div_ceil(h.step).min(h.count);
            for (v, taps) in axis_w.phases.iter().zip(taps) {
                let shared = Gather {
                    channels: self.source.channels,
                    x_channel: self.padded.plane,
                    w_channel: self.w_channel,
                    x_row,
                    y_row: h.step * width * LANES,
                    y_column: v.step * LANES,
                    taps,
                };
                let (max_rows, max_columns) = self.isa.gather_limits(v.count);
                for (jh, tile_rows) in parts(last.saturating_sub(first), max_rows) {
                    let jh = jh + first;
                    for (jw, tile_columns) in parts(v.count, max_columns) {
                        let from = jd * axis_d.stride * self.padded.depth + jh * x_row + jw;
                        let row = h.start + jh * h.step - rows.start;
                        let to = (row * width + v.start + jw * v.step) * LANES;
                        let kernel = self.isa.gather(tile_rows, tile_columns);
                        // SAFETY: the instruction set was found on this processor; margins hold every tap of
                        // every voxel (the axes were made so), weights every tap of every channel, the buffer
                        // the rows of this slab.
                        unsafe {
                            kernel(x.as_ptr().add(from), w.as_ptr(), buffer.as_mut_ptr().add(to), &shared);
                        }
                    }
                }
            }
        }
    }

    /// Whether voxels fill sixteen lanes better than the `lanes` channels of a block do. Overhanging runs read past their
    /// row, so the source must have been copied; phases along W would leave gaps between voxels; and a single tap, which
    /// reads each voxel once, takes no longer than memory does.
    fn is_thin(&self, lanes: usize) -> bool {
        let width = self.target.dims[2];
        let possible = matches!(self.padded.data, Cow::Owned(_)) && self.axes[2].phases.len() == 1;
        possible && self.w_channel > LANES && lanes * width.next_multiple_of(LANES) * 5 <= LANES * width * 4
    }

    /// As [`Nest::slab`] for a thin block, into `buffer` `[channels, h, w]` with rows of whole runs.
    fn thin_slab(&self, n: usize, block: usize, d: usize, rows: Range<usize>, buffer: &mut [f32]) {
        let [axis_d, axis_h, axis_w] = self.axes;
        let lanes = LANES.min(self.target.channels - block * LANES);
        let pitch = self.target.dims[2].next_multiple_of(LANES);
        let y_channel = rows.len() * pitch;
        assert!(buffer.len() >= lanes * y_channel && axis_w.phases.len() == 1);
        let jd = d / axis_d.phases.len();
        let x = &self.padded.data[n * self.source.channels * self.padded.plane..];
        let w = &self.weights[block * self.source.channels * self.w_channel..];
        let x_row = axis_h.stride * self.padded.row;
        for (h, taps) in axis_h.phases.iter().zip(&self.taps[d % axis_d.phases.len()]) {
            let js = (0..h.count).filter(|j| rows.contains(&(h.start + j * h.step)));
            let runs: Vec<Run> = js
                .flat_map(|j| {
                    let x = jd * axis_d.stride * self.padded.depth + j * x_row;
                    let y = (h.start + j * h.step - rows.start) * pitch;
                    (0..pitch).step_by(LANES).map(move |v| Run { x: x + v, y: y + v })
                })
                .collect();
            let shared = Gather {
                channels: self.source.channels,
                x_channel: self.padded.plane,
                w_channel: self.w_channel,
                x_row: 0,
                y_row: 0,
                y_column: 0,
                taps: &taps[0],
            };
            let (most, _) = self.isa.sweep_limits(lanes);
            for (o, outputs) in parts(lanes, most) {
                for (first, size) in parts(runs.len(), self.isa.sweep_limits(outputs).1) {
                    let kernel = self.isa.sweep(outputs, size);
                    // SAFETY: the instruction set was found on this processor; margins hold every tap of every
                    // voxel, an overhang of up to fifteen floats meets a later row or the floats to spare; the
                    // buffer holds the runs of all lanes.
                    unsafe {
                        let (w, y) = (w.as_ptr().add(o), buffer.as_mut_ptr().add(o * y_channel));
                        kernel(x.as_ptr(), w, y, &runs[first..first + size], y_channel, &shared);
                    }
                }
            }
        }
    }
}
