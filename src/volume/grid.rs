//! Grids: where the voxels of a volume lie.

use nalgebra::{Matrix3, Vector3};

use super::orientation::nearest_orthogonal;
use super::resample::COINCIDENT;
use super::{Volume, VoxelToWorld};

/// The number and place of a grid's voxels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// Number of voxels along the voxel axes `(i, j, k)`.
    pub dims: [usize; 3],
    /// Voxel `(i, j, k, 1)` to world millimetres.
    pub affine: VoxelToWorld,
}

impl Grid {
    /// The grid of `volume`.
    pub fn of(volume: &Volume) -> Self {
        Self { dims: volume.dims(), affine: volume.affine }
    }

    /// Size of a voxel along `(i, j, k)` in millimetres.
    pub fn spacing_mm(&self) -> [f64; 3] {
        self.affine.spacing_mm()
    }

    /// This grid with voxels of `spacing_mm` along `(i, j, k)` about the same centre, with as many of them as fill the
    /// field of view, rounded to the nearest whole number and at least one.
    ///
    /// # Panics
    /// If a spacing is not positive and finite: check what a user gives.
    #[must_use]
    pub fn with_spacing(&self, spacing_mm: [f64; 3]) -> Self {
        assert!(
            spacing_mm.iter().all(|s| *s > 0.0 && s.is_finite()),
            "spacing {spacing_mm:?} mm is no voxel size"
        );
        let mut dims = self.dims;
        let own_mm = self.spacing_mm();
        let ratios = [0, 1, 2].map(|axis| spacing_mm[axis] / own_mm[axis]);
        let mut first = [0.0; 3];
        for axis in 0..3 {
            dims[axis] = ((self.dims[axis] as f64 / ratios[axis]).round() as usize).max(1);
            first[axis] = (self.dims[axis] as f64 - 1.0 - (dims[axis] as f64 - 1.0) * ratios[axis]) / 2.0;
        }
        let moved = self.affine.with_origin_at(first);
        Self { dims, affine: (0..3).fold(moved, |affine, axis| affine.stretched(axis, ratios[axis])) }
    }

    /// This grid, or if it is sheared ([`VoxelToWorld::right_angled`]) one of the same voxel sizes whose axes are at right angles, as near to the
    /// old ones as they can be, and which encloses the old one. Networks take axes to be at right angles.
    #[must_use]
    pub fn straight(&self) -> Self {
        if self.affine.right_angled() {
            return *self;
        }
        let axes = nearest_orthogonal(&self.affine);
        let sizes = self.spacing_mm();
        // Corners of the field of view along the new axes, in new voxels.
        let ends = |axis: usize, end: usize| if end == 0 { -0.5 } else { self.dims[axis] as f64 - 0.5 };
        let corners: Vec<Vector3<f64>> = (0..8)
            .map(|at| {
                let corner = [0, 1, 2].map(|axis| ends(axis, (at >> axis) & 1));
                (axes.transpose() * self.affine.world_mm(corner)).component_div(&Vector3::from(sizes))
            })
            .collect();
        let mut steps = Matrix3::zeros();
        let mut first = Vector3::zeros();
        let mut dims = [0; 3];
        for axis in 0..3 {
            let along = || corners.iter().map(|corner| corner[axis]);
            let (least, most) =
                (along().fold(f64::INFINITY, f64::min), along().fold(f64::NEG_INFINITY, f64::max));
            dims[axis] = ((most - least - COINCIDENT).ceil() as usize).max(1);
            first[axis] = (0.5 * (least + most - dims[axis] as f64 + 1.0)) * sizes[axis];
            steps.set_column(axis, &(axes.column(axis) * sizes[axis]));
        }
        Self { dims, affine: VoxelToWorld::derived(&steps, &(axes * first)) }
    }
}
