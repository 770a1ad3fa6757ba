//! Convolution in frequencies, which the input gradient shares.

use super::kernels::{Finish, Fold, Kernels, PLANE, Product};
use super::tiles::{Ahead, Grid, Strip, batches, borrowed, lanes_of, size, tile_counts, whole_blocks};
use super::weights::{Direction, frequency_len, transformed};
use crate::lanes::LANES;
use crate::layout::{Shared, filled, parts};
use crate::passes::epilogue::Epilogue;
use crate::shape::Conv3d;
use rayon::prelude::*;

/// Floats of transformed input that a job holds at most, if a batch is not too small by that.
const INPUT_FLOATS: usize = 1 << 17;
/// Tiles of a batch: enough that weights are read seldom, and what they need when channels are many.
const TILES: (usize, usize) = (24, 32);

/// Convolves `x` along `direction`; the result has the other side's channels.
pub(super) fn convolve(
    kernels: &Kernels,
    shape: &Conv3d,
    (x, w): (&[f32], &[f32]),
    direction: Direction,
    in_scale: Option<&[f32]>,
    epilogue: &Epilogue<'_>,
) -> Vec<f32> {
    let (sources, targets) = match direction {
        Direction::Forward => (shape.in_channels, shape.out_channels),
        Direction::Transposed => (shape.out_channels, shape.in_channels),
    };
    let voxels: usize = shape.input.iter().product();
    let blocks = targets.div_ceil(LANES);
    let zeros = vec![0.0; shape.input[2] * LANES];
    let job = Job {
        kernels,
        sources,
        blocks,
        source: Grid { data: x, blocks: sources.div_ceil(LANES), dims: shape.input, zeros: &zeros },
        weights: &transformed(kernels, w, shape.in_channels, shape.out_channels, direction),
        in_scale: in_scale.map(|s| whole_blocks(s, sources)),
        scale: epilogue.scale.map(|s| whole_blocks(s, targets)),
        bias: epilogue.bias.map(|b| whole_blocks(b, targets)),
        lanes: whole_blocks(&vec![1.0; targets], targets),
        field: epilogue.field,
        lrelu: epilogue.lrelu,
    };
    let tiles = shape.batch * tile_counts(shape.input).iter().product::<usize>();
    // No result depends on its batch, so these may depend on the number of threads.
    let most = tiles.div_ceil(rayon::current_num_threads()).clamp(TILES.0 / 2, TILES.1);
    let limit = (INPUT_FLOATS / (PLANE * sources)).clamp(TILES.0, TILES.1).min(most);
    let batches = batches(shape.batch, shape.input, limit);
    // SAFETY: the batches cover every tile of every volume, and each writes its tiles in every block.
    unsafe {
        filled(shape.batch * blocks * voxels * LANES, |out| {
            (0..batches.len()).into_par_iter().for_each(|i| {
                job.run(&batches[i], batches.get(i + 1).map_or(&[], Vec::as_slice), out);
            });
        })
    }
}

struct Job<'a> {
    kernels: &'a Kernels,
    sources: usize,
    /// Blocks of the result.
    blocks: usize,
    source: Grid<'a>,
    /// `[fd, block, f, source, 16]`.
    weights: &'a [f32],
    in_scale: Option<Vec<f32>>,
    scale: Option<Vec<f32>>,
    bias: Option<Vec<f32>>,
    /// One in the lanes that hold channels.
    lanes: Vec<f32>,
    field: Option<&'a [f32]>,
    lrelu: Option<f32>,
}

impl Job<'_> {
    /// Computes the tiles of `strips`. One frequency along D after the other: transforms the input, multiplies, and
    /// adds what comes back to the results.
    fn run(&self, strips: &[Strip], next: &[Strip], out: Shared) {
        let (tiles, width) = (size(strips), self.kernels.blocks());
        let groups: Vec<_> = parts(self.blocks, width).collect();
        let tile_parts = self.kernels.products.map(|p| parts(tiles, p.len().max(1)).collect::<Vec<_>>());
        // An odd number of cache lines between frequencies, so that they do not compete for the same cache sets.
        let block = (tiles | 1) * LANES;
        let frequency = self.source.blocks * block;
        let lens = [PLANE * frequency, PLANE * width * block, self.blocks * tiles * 8 * LANES];
        let calls: usize = groups.iter().map(|(_, count)| 4 * PLANE * tile_parts[count - 1].len()).sum();
        // What the next batch reads and this one has not (it is one row further), and the rows to be written.
        let mut rows: Vec<_> =
            self.source.rows(next, 0..self.source.blocks, &[-1, 0, 1, 2], [1, 2]).collect();
        for strip in strips {
            for block in 0..self.blocks {
                for row in self.finish(strip, block, out).rows.into_iter().filter(|row| !row.is_null()) {
                    let columns = (2 * strip.tiles).min(self.source.dims[2] - 2 * strip.first);
                    rows.push((row.wrapping_add(2 * strip.first * LANES).cast_const(), columns));
                }
            }
        }
        let mut ahead = Ahead::new(rows, calls);
        borrowed(lens, |[v, m, y]| {
            for depth in 0..4 {
                for strip in strips {
                    for b in 0..self.source.blocks {
                        let mut line = self.source.input(strip, b, depth, self.in_scale.as_deref());
                        line.frequency = frequency;
                        let to = &mut v[b * block + strip.at * LANES..];
                        // SAFETY: the rows are whole, and this piece of the scratch holds sixteen frequencies of all
                        // tiles; the instruction set was found on this processor (so below).
                        unsafe { (self.kernels.input_line)(&line, to.as_mut_ptr()) }
                    }
                }
                for &(first, count) in &groups {
                    let u_block = PLANE * frequency_len(self.sources);
                    let u = &self.weights[(depth * self.blocks + first) * u_block..][..count * u_block];
                    let shared = Product { channels: self.sources, x_block: block, u_block, m_block: block };
                    let products = self.kernels.products[count - 1];
                    for f in 0..PLANE {
                        let u = u[f * frequency_len(self.sources)..].as_ptr();
                        for &(tile, size) in &tile_parts[count - 1] {
                            let x = v[f * frequency + tile * LANES..].as_ptr();
                            let to = &mut m[f * width * block + tile * LANES..];
                            ahead.step();
                            // SAFETY: the tiles lie in their frequency's part of the scratch in all blocks.
                            unsafe { products[size - 1](x, u, to.as_mut_ptr(), &shared) }
                        }
                    }
                    for b in 0..count {
                        for strip in strips {
                            let finish = self.finish(strip, first + b, out);
                            let fold = Fold {
                                depth,
                                frequency: width * block,
                                first: strip.first,
                                tiles: strip.tiles,
                                finish: &finish,
                            };
                            let y = y[((first + b) * tiles + strip.at) * 8 * LANES..].as_mut_ptr();
                            let m = m[b * block + strip.at * LANES..].as_ptr();
                            // SAFETY: the strip's products and results lie in the scratch; its output voxels are
                            // this job's alone.
                            unsafe { (self.kernels.fold)(m, y, &fold) }
                        }
                    }
                }
            }
        });
    }

    fn finish(&self, strip: &Strip, block: usize, out: Shared) -> Finish {
        let [depth, height, width] = self.source.dims;
        let row = |r: usize| {
            let (d, h) = (2 * strip.depth + r / 2, 2 * strip.height + r % 2);
            (d < depth && h < height).then_some((d * height + h) * width)
        };
        let volume = strip.volume * depth * height * width;
        let of_volume = strip.volume * self.blocks + block;
        Finish {
            scale: lanes_of(self.scale.as_deref(), of_volume),
            bias: lanes_of(self.bias.as_deref(), block),
            field: std::array::from_fn(|r| match (self.field, row(r)) {
                (Some(field), Some(at)) => field[volume + at..][..width].as_ptr(),
                _ => std::ptr::null(),
            }),
            lanes: lanes_of(Some(&self.lanes), block),
            lrelu: self.lrelu,
            rows: std::array::from_fn(|r| match row(r) {
                // SAFETY: the row lies in the output.
                Some(at) => unsafe { out.at((of_volume * depth * height * width + at) * LANES) },
                None => std::ptr::null_mut(),
            }),
            width,
        }
    }
}
