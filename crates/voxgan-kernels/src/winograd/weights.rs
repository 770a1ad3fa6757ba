//! Weights into frequencies, and gradients by weights out of them.

use super::kernels::{Kernels, PLANE};
use crate::lanes::LANES;
use crate::layout::{Shared, filled};
use rayon::prelude::*;

/// Taps of a kernel.
pub(super) const TAPS: usize = 27;

/// Floats between two frequencies of weights with `sources` channels: an odd number of cache lines, so that the 64
/// frequencies that are written at a time do not compete for the same cache sets.
pub(super) fn frequency_len(sources: usize) -> usize {
    (sources | 1) * LANES
}

/// Zeroes the slack between this frequency and the next.
///
/// # Safety
/// `frequency` must point to one of [`frequency_len`] floats.
pub(super) unsafe fn clear_slack(frequency: *mut f32, sources: usize) {
    // SAFETY: the caller vouches for it.
    unsafe { frequency.add(sources * LANES).write_bytes(0, frequency_len(sources) - sources * LANES) }
}

/// Which way a convolution goes through its weights `[O, I, 27]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// From I to O.
    Forward,
    /// From O to I, with the taps reversed.
    Transposed,
}

/// Transforms `w` `[outputs, inputs, 27]` into `[fd, target block, f, source, 16]`, frequencies [`frequency_len`]
/// apart.
pub(super) fn transformed(
    kernels: &Kernels,
    w: &[f32],
    inputs: usize,
    outputs: usize,
    direction: Direction,
) -> Vec<f32> {
    let (sources, targets) = match direction {
        Direction::Forward => (inputs, outputs),
        Direction::Transposed => (outputs, inputs),
    };
    let blocks = targets.div_ceil(LANES);
    let fill = |out: Shared| {
        (0..blocks * sources).into_par_iter().with_min_len(16).for_each(|job| {
            let (block, source) = (job / sources, job % sources);
            let mut taps = [0.0; TAPS * LANES];
            for lane in 0..LANES.min(targets - block * LANES) {
                let target = block * LANES + lane;
                match direction {
                    Direction::Forward => {
                        let from = &w[(target * inputs + source) * TAPS..][..TAPS];
                        for (t, v) in from.iter().enumerate() {
                            taps[t * LANES + lane] = *v;
                        }
                    }
                    Direction::Transposed => {
                        let from = &w[(source * inputs + target) * TAPS..][..TAPS];
                        for (t, v) in from.iter().rev().enumerate() {
                            taps[t * LANES + lane] = *v;
                        }
                    }
                }
            }
            let frequency = frequency_len(sources);
            // SAFETY: these lanes of every frequency, and the last source's slack, are this job's alone; the set was
            // found on this processor.
            unsafe {
                let to = out.at(block * PLANE * frequency + source * LANES);
                (kernels.weights)(taps.as_ptr(), to, blocks * PLANE * frequency, frequency);
                if source + 1 == sources {
                    for f in 0..4 * PLANE {
                        let (depth, f) = (f / PLANE, f % PLANE);
                        clear_slack(out.at(((depth * blocks + block) * PLANE + f) * frequency), sources);
                    }
                }
            }
        });
    };
    // SAFETY: the jobs cover every source of every block and the slack in all frequencies.
    unsafe { filled(4 * blocks * PLANE * frequency_len(sources), fill) }
}

/// Transforms `sums` `[chunks, fd, output block, f, inputs, 16]`, frequencies [`frequency_len`] apart, added over
/// chunks, back into `[outputs, inputs, 27]`.
pub(super) fn transformed_back(
    kernels: &Kernels,
    sums: &[f32],
    chunks: usize,
    inputs: usize,
    outputs: usize,
) -> Vec<f32> {
    let blocks = outputs.div_ceil(LANES);
    let frequency = frequency_len(inputs);
    let depth = blocks * PLANE * frequency;
    assert_eq!(sums.len(), chunks * 4 * depth);
    let fill = |out: Shared| {
        (0..blocks * inputs).into_par_iter().with_min_len(16).for_each(|job| {
            let (block, input) = (job / inputs, job % inputs);
            let mut taps = [0.0; TAPS * LANES];
            let from = &sums[block * PLANE * frequency + input * LANES..];
            // SAFETY: the chunks hold every frequency of this input; the set was found on this processor.
            unsafe {
                (kernels.weights_back)(
                    from.as_ptr(),
                    [depth, frequency, 4 * depth],
                    chunks,
                    taps.as_mut_ptr(),
                );
            }
            for lane in 0..LANES.min(outputs - block * LANES) {
                for t in 0..TAPS {
                    let at = ((block * LANES + lane) * inputs + input) * TAPS + t;
                    // SAFETY: this job alone writes the taps between this input and the block's outputs.
                    unsafe { *out.at(at) = taps[t * LANES + lane] }
                }
            }
        });
    };
    // SAFETY: the jobs cover every pair of input and output.
    unsafe { filled(outputs * inputs * TAPS, fill) }
}
