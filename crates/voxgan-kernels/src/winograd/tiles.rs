//! How a batch of volumes is cut into tiles of 2×2×2 results, and what memory the jobs borrow.

use super::kernels::Line;
use crate::lanes::LANES;
use crate::layout::parts;
use std::cell::Cell;
use std::ops::Range;

/// A volume in the blocked layout: `[N, blocks, D, H, W, 16]`.
#[derive(Clone, Copy)]
pub(super) struct Grid<'a> {
    pub data: &'a [f32],
    pub blocks: usize,
    pub dims: [usize; 3],
    /// A row of zeros, which stands for every row outside.
    pub zeros: &'a [f32],
}

/// Neighbouring tiles along W; D and H count tiles.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strip {
    pub volume: usize,
    pub depth: usize,
    pub height: usize,
    pub first: usize,
    pub tiles: usize,
    /// Tiles of its batch before it.
    pub at: usize,
}

/// Tiles along D, H, W.
pub(super) fn tile_counts(dims: [usize; 3]) -> [usize; 3] {
    dims.map(|d| d.div_ceil(2))
}

/// All tiles of the volumes, in batches of at most `limit`.
pub(super) fn batches(volumes: usize, dims: [usize; 3], limit: usize) -> Vec<Vec<Strip>> {
    let [depths, heights, widths] = tile_counts(dims);
    // Where rows fit a batch, as many as fit; else a batch is part of a row.
    let rows = (limit / widths).max(1);
    let row_parts: Vec<_> = parts(widths, limit).collect();
    let mut batches = Vec::new();
    for (first_row, count) in parts(volumes * depths * heights, rows) {
        for &(first, tiles) in &row_parts {
            let strip = |i: usize| {
                let row = first_row + i;
                let (height, depth, volume) = (row % heights, row / heights % depths, row / heights / depths);
                Strip { volume, depth, height, first, tiles, at: i * tiles }
            };
            batches.push((0..count).map(strip).collect());
        }
    }
    batches
}

/// Tiles in a batch.
pub(super) fn size(strips: &[Strip]) -> usize {
    strips.last().map_or(0, |last| last.at + last.tiles)
}

/// Rows that will be needed soon, fetched into cache a few lines at a time between products, which leave memory idle.
pub(super) struct Ahead {
    /// Where each row begins, and its cache lines.
    rows: Vec<(*const f32, usize)>,
    at: usize,
    step: usize,
}

impl Ahead {
    /// Rows to be fetched within `steps` calls of [`Ahead::step`].
    pub fn new(rows: Vec<(*const f32, usize)>, steps: usize) -> Self {
        let lines: usize = rows.iter().map(|(_, lines)| lines).sum();
        Self { rows, at: 0, step: lines.div_ceil(steps) }
    }

    /// Fetches the next lines.
    #[inline]
    pub fn step(&mut self) {
        let mut left = self.step;
        while let Some(&(row, lines)) = self.rows.last().filter(|_| left > 0) {
            let until = (self.at + left).min(lines);
            for line in self.at..until {
                fetch(row.wrapping_add(line * LANES));
            }
            left -= until - self.at;
            self.at = until;
            if until == lines {
                self.rows.pop();
                self.at = 0;
            }
        }
    }
}

/// Asks for a cache line.
#[inline(always)]
fn fetch(line: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction belongs to the architecture, and has no effect but on caches.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(line.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}

impl Grid<'_> {
    /// Pieces of rows that the tiles of `strips` read in some blocks: in slices `depths` and rows `heights`, counted
    /// from each tile's first voxel.
    pub fn rows(
        &self,
        strips: &[Strip],
        blocks: Range<usize>,
        depths: &[isize],
        heights: [isize; 2],
    ) -> impl Iterator<Item = (*const f32, usize)> {
        let pieces = strips.iter().flat_map(move |strip| {
            blocks.clone().flat_map(move |block| {
                depths.iter().flat_map(move |d| heights.map(|h| (*strip, block, *d, h)))
            })
        });
        pieces.filter_map(|(strip, block, d, h)| {
            let d = (2 * strip.depth).checked_add_signed(d).filter(|d| *d < self.dims[0])?;
            let h = (2 * strip.height).checked_add_signed(h).filter(|h| *h < self.dims[1])?;
            let column = 2 * strip.first;
            let columns = (2 * strip.tiles + 1).min(self.dims[2] - column);
            Some((self.row(strip.volume, block, d, h).wrapping_add(column * LANES), columns))
        })
    }

    /// Row `(d, h)` of a block, zeros if it is outside (−1 has wrapped).
    fn row(&self, volume: usize, block: usize, d: usize, h: usize) -> *const f32 {
        let [depth, height, width] = self.dims;
        if d >= depth || h >= height {
            return self.zeros.as_ptr();
        }
        let at = (((volume * self.blocks + block) * depth + d) * height + h) * width * LANES;
        self.data[at..at + width * LANES].as_ptr()
    }

    /// What the input transform reads for one block of channels and frequency `depth` along D: four slices and rows
    /// from one before the tile on.
    pub fn input(&self, strip: &Strip, block: usize, depth: usize, scale: Option<&[f32]>) -> Line<4> {
        let (near, far) = [(0, 2), (1, 2), (2, 1), (1, 3)][depth];
        let row = |z: usize, r: usize| {
            let (d, h) = ((2 * strip.depth + z).wrapping_sub(1), (2 * strip.height + r).wrapping_sub(1));
            self.row(strip.volume, block, d, h)
        };
        let rows = std::array::from_fn(|r| [row(near, r), row(far, r)]);
        self.line(strip, block, rows, depth == 1, scale)
    }

    /// What the transform of an output gradient reads: two slices and rows.
    pub fn gradient(&self, strip: &Strip, block: usize, depth: usize, scale: Option<&[f32]>) -> Line<2> {
        let row =
            |z: usize, r: usize| self.row(strip.volume, block, 2 * strip.depth + z, 2 * strip.height + r);
        let rows = std::array::from_fn(|r| match depth {
            0 => [row(0, r), self.zeros.as_ptr()],
            3 => [row(1, r), self.zeros.as_ptr()],
            _ => [row(0, r), row(1, r)],
        });
        self.line(strip, block, rows, depth != 2, scale)
    }

    fn line<const R: usize>(
        &self,
        strip: &Strip,
        block: usize,
        rows: [[*const f32; 2]; R],
        sum: bool,
        scale: Option<&[f32]>,
    ) -> Line<R> {
        let scale = lanes_of(scale, strip.volume * self.blocks + block);
        Line { rows, sum, width: self.dims[2], first: strip.first, tiles: strip.tiles, scale, frequency: 0 }
    }
}

/// The sixteen values of block `block`, or null where there are none.
pub(super) fn lanes_of(values: Option<&[f32]>, block: usize) -> *const f32 {
    values.map_or(std::ptr::null(), |v| v[block * LANES..][..LANES].as_ptr())
}

/// `values` `[rows, channels]` with zeros after each row, up to whole blocks.
pub(super) fn whole_blocks(values: &[f32], channels: usize) -> Vec<f32> {
    let pitch = channels.next_multiple_of(LANES);
    let mut out = vec![0.0; values.len() / channels * pitch];
    for (to, from) in out.chunks_exact_mut(pitch).zip(values.chunks_exact(channels)) {
        to[..channels].copy_from_slice(from);
    }
    out
}

/// Runs `work` on pieces of memory that the thread keeps for the next job; what they hold is arbitrary. Work that is
/// stolen meanwhile gets memory of its own.
pub(super) fn borrowed<const N: usize>(lens: [usize; N], work: impl FnOnce([&mut [f32]; N])) {
    thread_local!(static KEPT: Cell<Vec<f32>> = const { Cell::new(Vec::new()) });
    let mut floats = KEPT.take();
    // Room to begin at a cache line: vectors that straddle two would cost two accesses each.
    let len = lens.iter().sum::<usize>() + LANES;
    if floats.len() < len {
        floats = vec![0.0; len];
    }
    let skip = floats.as_ptr().align_offset(64).min(LANES);
    let mut rest = &mut floats[skip..];
    work(lens.map(|len| rest.split_off_mut(..len).expect("the pieces fit")));
    KEPT.set(floats);
}
