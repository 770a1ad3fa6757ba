//! The fraction of a region at every place: its voxels, blurred so that the result does not depend on the grid.

use nalgebra::Vector4;
use ndarray::{Array3, Axis, Slice};
use rayon::prelude::*;

use crate::anatomy::segmentation::Segmentation;
use crate::anatomy::structures::{Region, STRUCTURES};
use crate::volume::VoxelToWorld;
use crate::volume::resample::{Grid, blur};

/// Standard deviation of the blur in voxels, those of the coarser grid along each axis. A label says of a border only
/// which voxels it runs between; over a neighbourhood of this size those errors cancel, while a displacement of the
/// border by less than the blur is left as it is: two flat borders a distance apart enclose the same volume blurred as
/// sharp.
const BLUR_VOXELS: f64 = 0.85;

/// First and one past the last voxel of a box along `(i, j, k)`; it may reach beyond its grid.
pub(super) type Extent = [[i64; 2]; 3];

/// The part of every voxel of a box that belongs to a region.
#[derive(Clone, Debug)]
pub(super) struct Fraction {
    /// Between 0 and 1, `[D, H, W]`.
    pub values: Array3<f32>,
    /// The region's own voxels, which are nowhere near the ends of the box, `[D, H, W]`.
    pub mask: Array3<bool>,
    /// The grid of the box.
    pub grid: Grid,
    /// Standard deviation of the blur along `(i, j, k)`, in millimetres.
    pub sigma_mm: [f64; 3],
}

/// The data from which the fractions of a segmentation are computed.
#[derive(Clone, Debug)]
pub(super) struct Source<'a> {
    labels: &'a Segmentation,
    /// Where the segmentation is taken to lie.
    affine: VoxelToWorld,
    spacing_mm: [f64; 3],
    /// Standard deviation of the blur along `(i, j, k)`, in voxels.
    sigma: [f64; 3],
    /// The box of each structure's voxels; `None` without voxels.
    extents: [Option<Extent>; STRUCTURES],
}

impl<'a> Source<'a> {
    /// Of a segmentation that lies at `affine` and is compared with one at `other`.
    pub fn new(labels: &'a Segmentation, affine: VoxelToWorld, other: VoxelToWorld) -> Self {
        let spacing_mm = affine.spacing_mm();
        let beside = spacings_along(&affine, &other);
        let sigma = [0, 1, 2].map(|axis| BLUR_VOXELS * (beside[axis] / spacing_mm[axis]).max(1.0));
        Self { labels, affine, spacing_mm, sigma, extents: extents(labels) }
    }

    /// The box of a region's voxels; `None` without voxels.
    pub fn extent(&self, region: &Region) -> Option<Extent> {
        region.parts.iter().filter_map(|part| self.extents[part.index()]).reduce(union)
    }

    /// The smallest box of this grid that holds a box of another at `affine`.
    pub fn holding(&self, extent: &Extent, affine: &VoxelToWorld) -> Option<Extent> {
        let here = self.affine.inverse() * **affine;
        let corners = (0..8).map(|corner: usize| {
            let face = |axis: usize| extent[axis][(corner >> axis) & 1] as f64 - 0.5;
            here * Vector4::new(face(0), face(1), face(2), 1.0)
        });
        let corner = |at: Vector4<f64>| {
            [0, 1, 2].map(|axis| [(at[axis] + 0.5).floor() as i64, (at[axis] + 0.5).ceil() as i64])
        };
        corners.map(corner).reduce(union)
    }

    /// The box with a margin that is wide enough for the blur.
    pub fn padded(&self, extent: &Extent) -> Extent {
        [0, 1, 2].map(|axis| {
            let pad = 2 * (4.0 * self.sigma[axis]).ceil() as i64;
            [extent[axis][0] - pad, extent[axis][1] + pad]
        })
    }

    /// The fraction of a region in each voxel of a padded box around it; zero beyond the segmentation.
    pub fn fraction(&self, region: &Region, extent: &Extent) -> Fraction {
        let members = region.members();
        let [w, h, d] = extent.map(|[first, end]| (end - first) as usize);
        let mut mask = Array3::from_elem((d, h, w), false);
        let (mut to, mut from) = (mask.view_mut(), self.labels.labels.view());
        for (axis, &[first, end]) in extent.iter().enumerate() {
            let axis = Axis(2 - axis);
            let length = from.len_of(axis) as i64;
            let [low, high] = [first.clamp(0, length), end.clamp(0, length)];
            from.slice_axis_inplace(axis, Slice::from(low as usize..high as usize));
            let start = (low - first).clamp(0, end - first) as usize;
            to.slice_axis_inplace(axis, Slice::from(start..start + (high - low) as usize));
        }
        to.zip_mut_with(&from, |to, &label| *to = members[usize::from(label)]);
        let sharp = mask.mapv(|inside| if inside { 1.0f32 } else { 0.0 }).insert_axis(Axis(0));
        let blurred = (0..3).fold(sharp, |image, axis| blur(&image.into(), 3 - axis, self.sigma[axis]));
        let first = extent.map(|[first, _]| first as f64);
        Fraction {
            values: blurred.index_axis_move(Axis(0), 0),
            mask,
            grid: Grid { dims: [w, h, d], affine: self.affine.with_origin_at(first) },
            sigma_mm: [0, 1, 2].map(|axis| self.sigma[axis] * self.spacing_mm[axis]),
        }
    }
}

/// The grid over a box of the grid at `affine` whose voxels are along no axis larger than those at `other`.
pub(super) fn finer(grid: &Grid, other: &VoxelToWorld) -> Grid {
    let (own, beside) = (grid.spacing_mm(), spacings_along(&grid.affine, other));
    let mut finer = *grid;
    for axis in 0..3 {
        let ratio = (beside[axis] / own[axis]).min(1.0);
        finer.dims[axis] = ((grid.dims[axis] as f64 - 1.0) / ratio).ceil() as usize + 1;
        finer.affine = finer.affine.stretched(axis, ratio);
    }
    finer
}

/// Along each axis of the grid at `affine` the spacing of the grid at `other`: that of the axis which runs most nearly the
/// same way, in millimetres.
fn spacings_along(affine: &VoxelToWorld, other: &VoxelToWorld) -> [f64; 3] {
    let there = other.spacing_mm();
    [0, 1, 2].map(|axis| {
        let along = |k: usize| (affine.step_mm(axis).dot(&other.step_mm(k)) / there[k]).abs();
        let nearest = (1..3).fold(0, |best, k| if along(k) > along(best) { k } else { best });
        there[nearest]
    })
}

/// The smallest box that holds two.
pub(super) fn union(one: Extent, other: Extent) -> Extent {
    [0, 1, 2].map(|axis| [one[axis][0].min(other[axis][0]), one[axis][1].max(other[axis][1])])
}

/// The box of each structure's voxels, by index.
fn extents(segmentation: &Segmentation) -> [Option<Extent>; STRUCTURES] {
    let none = || [None; STRUCTURES];
    let planes = segmentation.labels.axis_iter(Axis(0)).into_par_iter().enumerate();
    let found = planes.map(|(z, plane)| {
        let mut found = none();
        for ((y, x), &label) in plane.indexed_iter() {
            let voxel = [x, y, z].map(|place| [place as i64, place as i64 + 1]);
            let extent: &mut Option<Extent> = &mut found[usize::from(label)];
            *extent = Some(extent.map_or(voxel, |extent| union(extent, voxel)));
        }
        found
    });
    let join = |one: [Option<Extent>; STRUCTURES], other: [Option<Extent>; STRUCTURES]| {
        std::array::from_fn(|k| one[k].into_iter().chain(other[k]).reduce(union))
    };
    found.reduce(none, join)
}
