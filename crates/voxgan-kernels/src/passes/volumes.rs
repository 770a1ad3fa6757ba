//! Tiles of voxels and groups of channels of volumes, for passes over memory.

use crate::lanes::LANES;
use crate::layout::Layout;
use rayon::prelude::*;

/// Floats of one tile over all its channels, about.
const TILE: usize = 1 << 15;

/// The layout and size of the volumes of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Volumes {
    /// Layout of the channels in memory.
    pub layout: Layout,
    /// Number of volumes in the batch, N.
    pub batch: usize,
    /// Number of channels, C.
    pub channels: usize,
    /// Number of voxels of one volume, V.
    pub voxels: usize,
}

/// A range of voxels of one volume, with all its channels: what one job works on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tile {
    /// Which volume of the batch.
    pub n: usize,
    /// The first voxel.
    pub voxel: usize,
    /// How many voxels.
    pub voxels: usize,
}

impl Volumes {
    /// Number of floats in memory, including lanes beyond C.
    pub fn floats(&self) -> usize {
        self.layout.len(self.batch, self.channels, self.voxels)
    }

    /// Floats that belong to a voxel in one group of channels.
    pub(crate) fn cell(&self) -> usize {
        match self.layout {
            Layout::Plain => 1,
            Layout::Blocked => LANES,
        }
    }

    /// Groups of channels: what lies together for a voxel. Single channels, or blocks of sixteen.
    pub(crate) fn groups(&self) -> usize {
        self.channels.div_ceil(self.cell())
    }

    /// Where a tile's floats of one group lie.
    pub(crate) fn range(&self, tile: Tile, group: usize) -> std::ops::Range<usize> {
        let start = ((tile.n * self.groups() + group) * self.voxels + tile.voxel) * self.cell();
        start..start + tile.voxels * self.cell()
    }

    /// Where a tile's floats lie in a field `[N, V]`.
    pub(crate) fn field(&self, tile: Tile) -> std::ops::Range<usize> {
        let start = tile.n * self.voxels + tile.voxel;
        start..start + tile.voxels
    }

    /// The tiles of all volumes in their order. They depend on the shape alone.
    pub(crate) fn tiles(&self) -> impl IndexedParallelIterator<Item = Tile> {
        let (voxels, size) = (self.voxels, self.tile());
        let per_volume = voxels.div_ceil(size);
        (0..self.batch * per_volume).into_par_iter().map(move |i| {
            let voxel = i % per_volume * size;
            Tile { n: i / per_volume, voxel, voxels: size.min(voxels - voxel) }
        })
    }

    /// Tiles of each volume.
    pub(crate) fn tiles_of_volume(&self) -> usize {
        self.voxels.div_ceil(self.tile())
    }

    fn tile(&self) -> usize {
        (TILE / (self.groups() * self.cell()).max(1)).next_multiple_of(LANES).max(4 * LANES)
    }

    /// The numbers of one group out of one number for each channel, by lane: sixteen channels of a block, with zeros
    /// beyond C, or one channel's sixteen times.
    pub(crate) fn spread(&self, numbers: &[f32], group: usize) -> [f32; LANES] {
        match self.layout {
            Layout::Plain => [numbers[group]; LANES],
            Layout::Blocked => {
                let first = group * LANES;
                std::array::from_fn(|lane| numbers.get(first + lane).copied().unwrap_or(0.0))
            }
        }
    }

    /// Puts sums over one group's floats, kept by lane, where each channel's sum belongs.
    pub(crate) fn gather(&self, lanes: &[f64; LANES], group: usize, channels: &mut [f64]) {
        match self.layout {
            Layout::Plain => channels[group] = lanes.iter().sum(),
            Layout::Blocked => {
                let channels = &mut channels[group * LANES..];
                let real = LANES.min(channels.len());
                channels[..real].copy_from_slice(&lanes[..real]);
            }
        }
    }

    /// Panics unless `found` elements are what the operand called `name` must have.
    pub(crate) fn check(&self, name: &str, found: usize, expected: usize) {
        assert_eq!(found, expected, "{name} has the wrong number of elements for {self:?}");
    }
}

/// The sum of the lanes, in pairs that the compiler can add as vectors.
#[inline(always)]
pub(crate) fn across(lanes: &[f32]) -> f32 {
    let Ok(lanes) = <&[f32; LANES]>::try_from(lanes) else { return lanes.iter().sum() };
    let eight: [f32; 8] = std::array::from_fn(|i| lanes[i] + lanes[i + 8]);
    let four: [f32; 4] = std::array::from_fn(|i| eight[i] + eight[i + 4]);
    (four[0] + four[2]) + (four[1] + four[3])
}
