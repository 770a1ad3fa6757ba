//! The gradient by the weights: in frequencies, a product of transformed input and transformed output gradient.

use super::kernels::{Correlation, Kernels, PLANE};
use super::tiles::{Ahead, Grid, Strip, batches, borrowed, size, whole_blocks};
use super::weights::{clear_slack, frequency_len, transformed_back};
use crate::lanes::LANES;
use crate::layout::{filled, parts};
use crate::shape::Conv3d;
use rayon::prelude::*;

/// Blocks of input and of output channels that a job takes at most: its sums (16 KiB for each pair) and both sides'
/// frequencies (1 KiB for each block and tile) stay in the second-level cache.
const BLOCKS: usize = 4;
/// Tiles of a batch at most.
const TILES: usize = 32;
/// Independent jobs that a gradient is cut into, if it is large enough.
const JOBS: usize = 32;
/// Batches of a job at least, unless there are fewer in all: each set of sums is written and read once more.
const BATCHES: usize = 4;

/// `[O, I, 27]` from `x` `[N, I, D, H, W]` and `g` `[N, O, D, H, W]`, both in the blocked layout.
pub(super) fn weight_grad(
    kernels: &Kernels,
    shape: &Conv3d,
    (x, g): (&[f32], &[f32]),
    x_scale: Option<&[f32]>,
    g_scale: Option<&[f32]>,
) -> Vec<f32> {
    let (inputs, outputs, dims) = (shape.in_channels, shape.out_channels, shape.input);
    let (in_blocks, out_blocks) = (inputs.div_ceil(LANES), outputs.div_ceil(LANES));
    let zeros = vec![0.0; dims[2] * LANES];
    let work = Work {
        kernels,
        inputs,
        x: Grid { data: x, blocks: in_blocks, dims, zeros: &zeros },
        g: Grid { data: g, blocks: out_blocks, dims, zeros: &zeros },
        x_scale: x_scale.map(|s| whole_blocks(s, inputs)),
        g_scale: g_scale.map(|s| whole_blocks(s, outputs)),
    };
    // The partition sets the order of sums, so it follows from the shape alone.
    let batches = batches(shape.batch, dims, TILES);
    let mut jobs = Vec::new();
    for depth in 0..4 {
        for g_blocks in parts(out_blocks, BLOCKS) {
            jobs.extend(parts(in_blocks, BLOCKS).map(|x_blocks| Job { depth, x_blocks, g_blocks }));
        }
    }
    let chunks = (JOBS / jobs.len()).min(batches.len() / BATCHES).max(1);
    let block_len = PLANE * frequency_len(inputs);
    // SAFETY: the jobs cover every chunk, frequency along D, and pair of blocks, and the slack between frequencies.
    let sums = unsafe {
        filled(chunks * 4 * out_blocks * block_len, |out| {
            (0..chunks * jobs.len()).into_par_iter().for_each(|i| {
                let (chunk, job) = (i / jobs.len(), &jobs[i % jobs.len()]);
                let batches = &batches[chunk * batches.len() / chunks..(chunk + 1) * batches.len() / chunks];
                let at = ((chunk * 4 + job.depth) * out_blocks + job.g_blocks.0) * block_len;
                work.run(job, batches, out.at(at));
            });
        })
    };
    transformed_back(kernels, &sums, chunks, inputs, outputs)
}

/// Sums for one frequency along D, and blocks (first and count) of both sides.
struct Job {
    depth: usize,
    x_blocks: (usize, usize),
    g_blocks: (usize, usize),
}

struct Work<'a> {
    kernels: &'a Kernels,
    inputs: usize,
    x: Grid<'a>,
    g: Grid<'a>,
    x_scale: Option<Vec<f32>>,
    g_scale: Option<Vec<f32>>,
}

impl Work<'_> {
    /// Sums over the tiles of all batches into `sums` `[g block, f, inputs, 16]`, for the job's inputs.
    ///
    /// # Safety
    /// `sums` must hold the job's blocks, and no other job use the job's inputs in them.
    unsafe fn run(&self, job: &Job, batches: &[Vec<Strip>], sums: *mut f32) {
        let most = batches.iter().map(|strips| size(strips)).max().unwrap_or(0);
        // An odd number of cache lines between frequencies, so that they do not compete for the same cache sets.
        let block = (most | 1) * LANES;
        let (x_frequency, g_frequency) = (job.x_blocks.1 * block, job.g_blocks.1 * block);
        // Pairs of blocks, and the channels of each that one call takes: all the same for each frequency.
        let mut calls = Vec::new();
        for (g_block, count) in parts(job.g_blocks.1, self.kernels.blocks()) {
            for x_block in 0..job.x_blocks.1 {
                let first = (job.x_blocks.0 + x_block) * LANES;
                let correlations = self.kernels.correlations[count - 1];
                for (channel, size) in parts(LANES.min(self.inputs - first), correlations.len()) {
                    let x = x_block * block + channel;
                    calls.push((correlations[size - 1], x, g_block, first + channel));
                }
            }
        }
        if job.x_blocks.0 + job.x_blocks.1 == self.x.blocks {
            for f in 0..job.g_blocks.1 * PLANE {
                // SAFETY: the slack belongs to whoever has the last inputs.
                unsafe { clear_slack(sums.add(f * frequency_len(self.inputs)), self.inputs) }
            }
        }
        borrowed([PLANE * x_frequency, PLANE * g_frequency], |[xs, gs]| {
            for (i, strips) in batches.iter().enumerate() {
                self.transform(job, strips, block, xs, gs);
                let next = batches.get(i + 1).map_or(&[][..], Vec::as_slice);
                let mut ahead = Ahead::new(self.next_rows(job, next), PLANE * calls.len());
                let shared = Correlation {
                    tiles: size(strips),
                    z_block: block,
                    sum_block: PLANE * frequency_len(self.inputs),
                    fresh: i == 0,
                };
                for f in 0..PLANE {
                    for &(correlate, x, g_block, channel) in &calls {
                        ahead.step();
                        let x = xs[f * x_frequency + x..].as_ptr();
                        let g = gs[f * g_frequency + g_block * block..].as_ptr();
                        let to =
                            g_block * shared.sum_block + f * frequency_len(self.inputs) + channel * LANES;
                        // SAFETY: the scratch holds all tiles of the frequency, and the caller vouches for the
                        // sums; the instruction set was found on this processor.
                        unsafe { correlate(x, g, sums.add(to), &shared) }
                    }
                }
            }
        });
    }

    /// Transforms both sides' tiles into `[f, block, tile, 16]`.
    fn transform(&self, job: &Job, strips: &[Strip], block: usize, xs: &mut [f32], gs: &mut [f32]) {
        for strip in strips {
            for b in 0..job.x_blocks.1 {
                let mut line = self.x.input(strip, job.x_blocks.0 + b, job.depth, self.x_scale.as_deref());
                line.frequency = job.x_blocks.1 * block;
                let to = xs[b * block + strip.at * LANES..].as_mut_ptr();
                // SAFETY: the rows are whole, and the scratch holds sixteen frequencies of all tiles of the batch;
                // the instruction set was found on this processor (so below).
                unsafe { (self.kernels.input_line)(&line, to) }
            }
            for b in 0..job.g_blocks.1 {
                let mut line = self.g.gradient(strip, job.g_blocks.0 + b, job.depth, self.g_scale.as_deref());
                line.frequency = job.g_blocks.1 * block;
                let to = gs[b * block + strip.at * LANES..].as_mut_ptr();
                // SAFETY: as above.
                unsafe { (self.kernels.gradient_line)(&line, to) }
            }
        }
    }

    /// The rows that the next batch's tiles read and those before it (one up along H) did not.
    fn next_rows(&self, job: &Job, next: &[Strip]) -> Vec<(*const f32, usize)> {
        let blocks = |(first, count): (usize, usize)| first..first + count;
        let (x_depths, g_depths): (&[isize], &[isize]) =
            [(&[-1, 1][..], &[0][..]), (&[0, 1], &[0, 1]), (&[0, 1], &[0, 1]), (&[0, 2], &[1])][job.depth];
        let x = self.x.rows(next, blocks(job.x_blocks), x_depths, [1, 2]);
        x.chain(self.g.rows(next, blocks(job.g_blocks), g_depths, [0, 1])).collect()
    }
}
