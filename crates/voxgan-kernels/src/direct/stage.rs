//! The part of a volume that one job reads, copied with zeros around it and its channels scaled.

use super::tile::prefetch;
use crate::lanes::{Isa, LANES};
use crate::layout::Layout;
use crate::layout::split_columns;
use crate::shape::Grid;

/// A box of source positions, some perhaps outside the grid, and how its copy lies in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// First position along D, H, W.
    pub low: [isize; 3],
    /// Positions along D, H, W.
    pub size: [usize; 3],
    /// Columns at even distance from the first come before the others, so that a stride of two along W becomes one.
    pub split: bool,
}

impl Window {
    /// The whole of a grid, as it is.
    pub fn whole(grid: Grid) -> Self {
        Self { low: [0; 3], size: grid.dims, split: false }
    }

    /// Columns of a row of the copy.
    pub fn row(&self) -> usize {
        if self.split { self.size[2].next_multiple_of(2) } else { self.size[2] }
    }

    /// Where column `position` of the grid lies in a row of the copy.
    pub fn column(&self, position: isize) -> usize {
        let column = (position - self.low[2]) as usize;
        if self.split { column % 2 * self.row() / 2 + column / 2 } else { column }
    }

    /// Floats of the copy of one block of `channels` channels.
    pub fn len(&self, layout: Layout, channels: usize) -> usize {
        let voxels = self.size[0] * self.size[1] * self.row();
        match layout {
            Layout::Blocked => voxels * LANES,
            Layout::Plain => voxels * channels,
        }
    }

    /// Copies block `block` of volume `n` of `x` into `to`: `[D, H, W, 16]` from the blocked layout,
    /// `[channels, D, H, W]` from the plain one. Slices outside the grid are left alone. `scale` holds a factor for
    /// each channel of the volume.
    pub fn fill(
        &self,
        isa: Isa,
        (layout, grid, x): (Layout, Grid, &[f32]),
        n: usize,
        block: usize,
        scale: Option<&[f32]>,
        to: &mut [f32],
    ) {
        let [depth, height, width] = grid.dims;
        let first = block * LANES;
        let channels = LANES.min(grid.channels - first);
        let (planes, lanes) = match layout {
            Layout::Blocked => (1, LANES),
            Layout::Plain => (channels, 1),
        };
        let start = match layout {
            Layout::Blocked => n * grid.channels.div_ceil(LANES) + block,
            Layout::Plain => n * grid.channels + first,
        };
        let mut factors = [0.0; LANES];
        if let Some(scale) = scale {
            factors[..channels].copy_from_slice(&scale[first..first + channels]);
        }
        let row = self.row() * lanes;
        for (i, to) in to.chunks_exact_mut(row).take(planes * self.size[0] * self.size[1]).enumerate() {
            let (h, d, plane) =
                (i % self.size[1], i / self.size[1] % self.size[0], i / self.size[1] / self.size[0]);
            let (h, d) = (self.low[1] + h as isize, self.low[0] + d as isize);
            if !(0..depth as isize).contains(&d) {
                continue;
            }
            if !(0..height as isize).contains(&h) {
                to.fill(0.0);
                continue;
            }
            let at = (((start + plane) * depth + d as usize) * height + h as usize) * width;
            let from = &x[at * lanes..(at + width) * lanes];
            // The row after the next, which lies behind this one unless the window ends.
            prefetch(x.as_ptr().wrapping_add((at + 2 * width) * lanes), width * lanes / LANES, LANES);
            match layout {
                Layout::Blocked => self.blocked_row(isa, from, scale.map(|_| &factors), to),
                Layout::Plain => self.plain_row(from, scale.map(|_| factors[plane]), to),
            }
        }
    }

    /// Columns of a row of `width` that the window holds, and where the first goes.
    fn overlap(&self, width: usize) -> (std::ops::Range<usize>, usize) {
        let (low, high) = (self.low[2], self.low[2] + self.size[2] as isize);
        let start = low.clamp(0, width as isize) as usize;
        let end = (high.clamp(0, width as isize) as usize).max(start);
        (start..end, (start as isize - low) as usize)
    }

    fn blocked_row(&self, isa: Isa, from: &[f32], scale: Option<&[f32; LANES]>, to: &mut [f32]) {
        let (columns, first) = self.overlap(from.len() / LANES);
        let from = &from[columns.start * LANES..columns.end * LANES];
        let (front, rest) = to.split_at_mut(first * LANES);
        let (middle, back) = rest.split_at_mut(from.len());
        front.fill(0.0);
        back.fill(0.0);
        match scale {
            None => middle.copy_from_slice(from),
            // SAFETY: both slices have as many voxels; the instruction set was found on this processor.
            Some(scale) => unsafe {
                isa.scale()(from.as_ptr(), from.len() / LANES, scale.as_ptr(), middle.as_mut_ptr());
            },
        }
    }

    fn plain_row(&self, from: &[f32], scale: Option<f32>, to: &mut [f32]) {
        let (columns, first) = self.overlap(from.len());
        let from = &from[columns];
        to.fill(0.0);
        if self.split {
            split_columns(from, first, to, self.row() / 2);
        } else {
            to[first..first + from.len()].copy_from_slice(from);
        }
        if let Some(scale) = scale {
            to.iter_mut().for_each(|to| *to *= scale);
        }
    }
}
