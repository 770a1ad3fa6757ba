//! Grids: where the voxels of a volume lie.

use nalgebra::{Matrix4, Vector3};

use super::orientation::nearest_orthogonal;
use super::resample::COINCIDENT;
use super::{Volume, place, with_origin_at};

/// The cosine between voxel axes from which on a grid is sheared.
const SHEAR: f64 = 1e-3;

/// The number and place of a grid's voxels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// Number of voxels along the voxel axes `(i, j, k)`.
    pub dims: [usize; 3],
    /// Voxel `(i, j, k, 1)` to world millimetres.
    pub affine: Matrix4<f64>,
}

impl Grid {
    /// The grid of `volume`.
    pub fn of(volume: &Volume) -> Self {
        Self { dims: volume.dims(), affine: volume.affine }
    }

    /// Size of a voxel along `(i, j, k)` in millimetres.
    pub fn spacing_mm(&self) -> [f64; 3] {
        [0, 1, 2].map(|axis| self.affine.fixed_view::<3, 1>(0, axis).norm())
    }

    /// This grid with voxels of `spacing_mm` along `(i, j, k)` about the same centre, with as many of them as fill the
    /// field of view, rounded to the nearest whole number and at least one.
    ///
    /// # Panics
    /// If a spacing is not positive and finite: check what a user gives.
    pub fn with_spacing(&self, spacing_mm: [f64; 3]) -> Self {
        assert!(
            spacing_mm.iter().all(|s| *s > 0.0 && s.is_finite()),
            "spacing {spacing_mm:?} mm is no voxel size"
        );
        let mut dims = self.dims;
        let mut affine = self.affine;
        let mut first = [0.0; 3];
        for axis in 0..3 {
            let ratio = spacing_mm[axis] / self.affine.fixed_view::<3, 1>(0, axis).norm();
            // A column without length has no spacing to change.
            let ratio = if ratio.is_finite() { ratio } else { 1.0 };
            dims[axis] = ((self.dims[axis] as f64 / ratio).round() as usize).max(1);
            first[axis] = (self.dims[axis] as f64 - 1.0 - (dims[axis] as f64 - 1.0) * ratio) / 2.0;
            affine.fixed_view_mut::<3, 1>(0, axis).scale_mut(ratio);
        }
        affine.set_column(3, &with_origin_at(&self.affine, first).column(3));
        Self { dims, affine }
    }

    /// This grid, or if it is sheared ([`right_angled`]) one of the same voxel sizes whose axes are at right angles, as near to the
    /// old ones as they can be, and which encloses the old one. Networks take axes to be at right angles.
    pub fn straight(&self) -> Self {
        if right_angled(&self.affine) {
            return *self;
        }
        let axes = nearest_orthogonal(&self.affine);
        let sizes = self.spacing_mm();
        // Corners of the field of view along the new axes, in new voxels.
        let ends = |axis: usize, end: usize| if end == 0 { -0.5 } else { self.dims[axis] as f64 - 0.5 };
        let corners: Vec<Vector3<f64>> = (0..8)
            .map(|at| {
                let corner = Vector3::from_fn(|axis, _| ends(axis, (at >> axis) & 1));
                (axes.transpose() * place(&self.affine, corner)).component_div(&Vector3::from(sizes))
            })
            .collect();
        let mut affine = Matrix4::identity();
        let mut first = Vector3::zeros();
        let mut dims = [0; 3];
        for axis in 0..3 {
            let along = || corners.iter().map(|corner| corner[axis]);
            let (least, most) =
                (along().fold(f64::INFINITY, f64::min), along().fold(f64::NEG_INFINITY, f64::max));
            dims[axis] = ((most - least - COINCIDENT).ceil() as usize).max(1);
            first[axis] = (0.5 * (least + most - dims[axis] as f64 + 1.0)) * sizes[axis];
            affine.fixed_view_mut::<3, 1>(0, axis).copy_from(&(axes.column(axis) * sizes[axis]));
        }
        affine.fixed_view_mut::<3, 1>(0, 3).copy_from(&(axes * first));
        Self { dims, affine }
    }
}

/// Whether the voxel axes of an affine are at right angles, to a twentieth of a degree; registration and gantry tilt shear grids by
/// more.
pub fn right_angled(affine: &Matrix4<f64>) -> bool {
    let column = |axis: usize| affine.fixed_view::<3, 1>(0, axis).into_owned();
    [(0, 1), (0, 2), (1, 2)].into_iter().all(|(a, b)| {
        let (a, b) = (column(a), column(b));
        let cosine = a.dot(&b) / (a.norm() * b.norm());
        // A column without length has no angle.
        cosine.is_nan() || cosine.abs() <= SHEAR
    })
}
