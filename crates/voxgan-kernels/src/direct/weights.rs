//! Kernels `[O, I, kd, kh, kw]` in the order in which a gather reads them.

use crate::lanes::LANES;
use crate::layout::{Shared, filled, to_blocked};
use crate::shape::Conv3d;
use rayon::prelude::*;

/// Floats from an address to the next cache line.
fn line(at: *const f32) -> usize {
    at.align_offset(64) % LANES
}

/// Packed weights: `[targets, source blocks, taps, channels of the block, 16 target channels]`, or where channels are
/// reduced `[targets, source blocks, taps, 16 source channels]`.
pub(super) struct Weights {
    data: Vec<f32>,
    /// Floats of `data` before the first that lies at a cache line.
    skip: usize,
    sources: usize,
    kernel: [usize; 3],
    /// Blocks of sixteen target channels; target channels where they are reduced.
    pub targets: usize,
    /// Whether lanes are source channels, to be summed for one target channel, rather than target channels.
    pub reduce: bool,
}

impl Weights {
    /// Packs `w`, from the input's channels to the output's, or the other way round where `transposed`.
    pub fn pack(shape: &Conv3d, w: &[f32], transposed: bool, reduce: bool) -> Self {
        let taps = shape.taps();
        let (row, column) = (shape.in_channels * taps, taps);
        let (inputs, outputs) = (shape.in_channels, shape.out_channels);
        // Distances in w between neighbouring source channels, and target channels.
        let (sources, channels, source, target) =
            if transposed { (outputs, inputs, row, column) } else { (inputs, outputs, column, row) };
        let blocks = sources.div_ceil(LANES);
        let targets = if reduce { channels } else { channels.div_ceil(LANES) };
        let this = |data: Vec<f32>| Self {
            skip: line(data.as_ptr()),
            data,
            sources,
            kernel: shape.kernel,
            targets,
            reduce,
        };
        let empty = this(Vec::new());
        let len = empty.at(targets, 0);
        let fill = |out: Shared| {
            // SAFETY: there is a line more than is used.
            let skip = unsafe {
                out.at(0).write_bytes(0, LANES);
                out.at(len).write_bytes(0, LANES);
                line(out.at(0))
            };
            (0..targets * blocks).into_par_iter().for_each_init(
                || vec![0.0; taps * LANES],
                |buffer, job| {
                    let (to, block) = (job / blocks, job % blocks);
                    let members = LANES.min(sources - block * LANES);
                    let at = skip + empty.at(to, block);
                    if reduce {
                        let from = &w[to * target + block * LANES * source..];
                        // SAFETY: the rows lie within w; the taps of this block are this job's alone.
                        unsafe { to_blocked(from.as_ptr(), source, members, taps, out.at(at)) }
                        return;
                    }
                    let lanes = LANES.min(channels - to * LANES);
                    for member in 0..members {
                        let from = &w[to * LANES * target + (block * LANES + member) * source..];
                        // SAFETY: the rows lie within w, the buffer holds all taps; the weights of this block are
                        // this job's alone.
                        unsafe {
                            to_blocked(from.as_ptr(), target, lanes, taps, buffer.as_mut_ptr());
                            for (tap, from) in buffer.chunks_exact(LANES).enumerate() {
                                let to = out.at(at + (tap * members + member) * LANES);
                                to.copy_from_nonoverlapping(from.as_ptr(), LANES);
                            }
                        }
                    }
                },
            );
        };
        // SAFETY: the jobs cover every channel of every block.
        this(unsafe { filled(len + LANES, fill) })
    }

    fn at(&self, target: usize, block: usize) -> usize {
        let taps: usize = self.kernel.iter().product();
        let (sources, members) =
            if self.reduce { (self.sources.div_ceil(LANES), 1) } else { (self.sources, LANES) };
        (target * sources + block * members) * taps * LANES
    }

    /// The weights from a block of source channels to a target.
    pub fn block(&self, target: usize, block: usize) -> &[f32] {
        &self.data[self.skip + self.at(target, block)..]
    }

    /// Where a tap begins in [`Weights::block`], for a block of `members` source channels.
    pub fn tap(&self, [d, h, w]: [usize; 3], members: usize) -> usize {
        let members = if self.reduce { 1 } else { members };
        ((d * self.kernel[1] + h) * self.kernel[2] + w) * members * LANES
    }
}
