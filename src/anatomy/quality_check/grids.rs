//! Differences between the grids of two images.

use std::fmt;
use std::path::Path;

use nalgebra::{Matrix3, Vector3};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::volume::orientation::orientation;
use crate::volume::resample::Grid;
use crate::volume::{Volume, check_grids};

/// The shape of a grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GridShape {
    /// Number of voxels along `(i, j, k)`.
    pub dims: [usize; 3],
    /// Size of a voxel along `(i, j, k)` in millimetres.
    pub spacing_mm: [f64; 3],
    /// The anatomical directions of the voxel axes, as in "RAS".
    pub orientation: String,
}

/// Two grids that differ by more than rounding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnlikeGrids {
    /// The grid of the image before.
    pub before: GridShape,
    /// The grid of the image after.
    pub after: GridShape,
    /// Distance of the centres of both grids in millimetres.
    pub apart_mm: f64,
    /// The largest angle between an axis of one and the axis of the other that is nearest to it, in degrees.
    pub turned_deg: f64,
}

impl UnlikeGrids {
    /// The difference between the grids of two images; `None` where they are the same up to rounding ([`check_grids`]).
    /// The paths are for the error.
    ///
    /// # Errors
    /// [`Error::File`] that names both files and grids where the fields of view have no point in common.
    pub fn of(before: (&Path, &Volume), after: (&Path, &Volume)) -> Result<Option<Self>> {
        if check_grids(before.1, after.1).is_ok() {
            return Ok(None);
        }
        let grids = [Grid::of(before.1), Grid::of(after.1)];
        let unlike = Self::between(&grids[0], &grids[1]);
        if fields_of_view_meet(&grids[0], &grids[1]) {
            return Ok(Some(unlike));
        }
        let expected = format!("one that overlaps with that of {} ({})", before.0.display(), unlike.before);
        let found = format!("{}, {:.0} mm away", unlike.after, unlike.apart_mm);
        let advice = "give scans of one head that lie in one space, or repair the header that is wrong";
        Err(Error::file(after.0, "field of view", expected, found, advice))
    }

    fn between(before: &Grid, after: &Grid) -> Self {
        let [one, other] = [before, after].map(axes);
        let turned = |axis: usize| {
            let along = |k: usize| one.column(axis).dot(&other.column(k)).abs();
            (0..3).map(along).fold(0.0, f64::max).min(1.0).acos().to_degrees()
        };
        Self {
            before: GridShape::of(before),
            after: GridShape::of(after),
            apart_mm: (middle(before) - middle(after)).norm(),
            turned_deg: (0..3).map(turned).fold(0.0, f64::max),
        }
    }
}

impl GridShape {
    fn of(grid: &Grid) -> Self {
        Self {
            dims: grid.dims,
            spacing_mm: spacing_mm(grid).into(),
            orientation: orientation(&grid.affine).to_string(),
        }
    }
}

impl fmt::Display for GridShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [w, h, d] = self.dims;
        // To a micrometre, without zeros at the end.
        let [x, y, z] = self.spacing_mm.map(|mm| (mm * 1e3).round() / 1e3);
        write!(f, "{w} × {h} × {d} voxels of {x} × {y} × {z} mm, {}", self.orientation)
    }
}

impl fmt::Display for UnlikeGrids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the grids differ: before {}; after {}", self.before, self.after)?;
        write!(f, "; their middles lie {:.2} mm apart", self.apart_mm)?;
        if self.turned_deg >= 0.05 {
            write!(f, "; they are turned by {:.1}°", self.turned_deg)?;
        }
        Ok(())
    }
}

/// Whether two fields of view, boxes that end at the outer faces of the outermost voxels, have a point in common: no
/// axis of either and no normal to an axis of each separates them (Gottschalk et al. 1996, "OBBTree: a hierarchical
/// structure for rapid interference detection").
fn fields_of_view_meet(one: &Grid, other: &Grid) -> bool {
    let between = middle(other) - middle(one);
    let halves = [one, other].map(|grid| {
        let mm = spacing_mm(grid);
        Vector3::from_fn(|axis, _| 0.5 * grid.dims[axis] as f64 * mm[axis])
    });
    let [a, b] = [axes(one), axes(other)];
    let faces = (0..3).flat_map(|k| [a.column(k).into_owned(), b.column(k).into_owned()]);
    let edges = (0..9).map(|k| a.column(k / 3).cross(&b.column(k % 3)));
    let separates = |normal: Vector3<f64>| {
        let reach = |axes: &Matrix3<f64>, half: &Vector3<f64>| {
            (0..3).map(|k| half[k] * axes.column(k).dot(&normal).abs()).sum::<f64>()
        };
        between.dot(&normal).abs() > reach(&a, &halves[0]) + reach(&b, &halves[1])
    };
    !faces.chain(edges).any(separates)
}

/// The directions of the voxel axes.
fn axes(grid: &Grid) -> Matrix3<f64> {
    let columns = grid.affine.steps_mm();
    Matrix3::from_columns(&[0, 1, 2].map(|axis| columns.column(axis).normalize()))
}

fn spacing_mm(grid: &Grid) -> Vector3<f64> {
    grid.spacing_mm().into()
}

/// The middle of the field of view in world millimetres.
fn middle(grid: &Grid) -> Vector3<f64> {
    let [i, j, k] = grid.dims.map(|length| (length as f64 - 1.0) / 2.0);
    grid.affine.world_mm([i, j, k])
}

#[cfg(test)]
mod tests {
    use nalgebra::{Matrix4, Rotation3};
    use ndarray::Array4;

    use super::*;
    use crate::volume::VoxelToWorld;

    fn scan([w, h, d]: [usize; 3], affine: Matrix4<f64>) -> Volume {
        Volume::new(Array4::zeros((1, d, h, w)), VoxelToWorld::new(affine).unwrap())
    }

    fn unlike(before: &Volume, after: &Volume) -> Result<Option<UnlikeGrids>> {
        UnlikeGrids::of((Path::new("before.nii"), before), (Path::new("after.nii"), after))
    }

    #[test]
    fn grids_are_named_where_they_differ() {
        let head = scan([20, 30, 40], Matrix4::identity());
        let moved = |mm: f64| scan([20, 30, 40], Matrix4::new_translation(&[mm, 0.0, 0.0].into()));
        assert_eq!(unlike(&head, &moved(0.01)).unwrap(), None);
        let found = unlike(&head, &moved(0.5)).unwrap().unwrap();
        assert_eq!((found.apart_mm, found.turned_deg), (0.5, 0.0));
        assert_eq!(
            found.to_string(),
            "the grids differ: before 20 × 30 × 40 voxels of 1 × 1 × 1 mm, RAS; after 20 × 30 × 40 voxels of \
             1 × 1 × 1 mm, RAS; their middles lie 0.50 mm apart"
        );
        // The same field of view in other voxels, seen from the left.
        let mut coarse = Matrix4::new_nonuniform_scaling(&[-2.0, 1.0, 1.0].into());
        coarse[(0, 3)] = 18.5;
        let coarse = scan([10, 30, 40], coarse);
        let found = unlike(&head, &coarse).unwrap().unwrap();
        assert_eq!(found.after.to_string(), "10 × 30 × 40 voxels of 2 × 1 × 1 mm, LAS");
        assert_eq!(found.apart_mm, 0.0);
        let turn = Rotation3::from_axis_angle(&Vector3::z_axis(), 5f64.to_radians()).to_homogeneous();
        let found = unlike(&head, &scan([20, 30, 40], turn)).unwrap().unwrap();
        assert!((found.turned_deg - 5.0).abs() < 1e-9 && found.to_string().ends_with("turned by 5.0°"));
    }

    #[test]
    fn fields_of_view_without_a_point_in_common_are_an_error_that_names_both_files() {
        let head = scan([20, 20, 20], Matrix4::identity());
        let at = |mm: [f64; 3], turn: Matrix4<f64>| {
            scan([20, 20, 20], Matrix4::new_translation(&mm.into()) * turn)
        };
        let none = Matrix4::identity();
        assert!(unlike(&head, &at([19.9, 0.0, 0.0], none)).is_ok());
        let error = unlike(&head, &at([20.1, 0.0, 0.0], none)).unwrap_err().to_string();
        for expected in ["before.nii", "after.nii", "20 × 20 × 20 voxels", "20 mm away"] {
            assert!(error.contains(expected), "{error}");
        }
        // Turned by 45° a square reaches its diagonal.
        let turn = Matrix4::new_translation(&[9.5, 9.5, 0.0].into())
            * Rotation3::from_axis_angle(&Vector3::z_axis(), std::f64::consts::FRAC_PI_4).to_homogeneous()
            * Matrix4::new_translation(&[-9.5, -9.5, 0.0].into());
        let reach = 10.0 + 10.0 * 2f64.sqrt();
        assert!(unlike(&head, &at([reach - 0.1, 0.0, 0.0], turn)).is_ok());
        assert!(unlike(&head, &at([reach + 0.1, 0.0, 0.0], turn)).is_err());
        // Corner to corner the boxes around them would still overlap.
        assert!(unlike(&head, &at([17.5, 17.5, 0.0], turn)).is_err());
    }
}
