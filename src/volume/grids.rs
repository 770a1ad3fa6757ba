//! Whether two volumes lie on the same grid.

use super::Volume;
use crate::error::{Error, Result};

/// How far apart two grids may lie, as a share of the smallest voxel size: what rounding in a header makes.
const GRID_TOLERANCE: f64 = 0.05;

/// Checks that `other` has the shape of `one` and lies where it lies: no corner of the grids is more than 5 % of the
/// smallest voxel size from the other's.
///
/// # Errors
/// [`Error::Value`] that names what differs.
pub fn check_grids(one: &Volume, other: &Volume) -> Result<()> {
    let [a, b] = [one, other].map(|volume| volume.provenance.source.clone());
    let key = if b.is_empty() { "grid".to_string() } else { format!("grid of {b}") };
    if one.dims() != other.dims() {
        let expected = format!("the {:?} voxels (i, j, k) of {a}", one.dims());
        let advice = "resample one to the other's grid first";
        return Err(Error::value(key, expected.trim_end(), format!("{:?}", other.dims()), advice));
    }
    let apart_mm = one.affine.apart_mm(&other.affine, one.dims());
    let tolerance_mm = GRID_TOLERANCE * one.spacing_mm().into_iter().fold(f64::INFINITY, f64::min);
    if apart_mm <= tolerance_mm {
        return Ok(());
    }
    let expected = format!("the affine of {a} to {tolerance_mm:.3} mm");
    let advice = "resample one to the other's grid, or repair the header that is wrong";
    Err(Error::value(key, expected, format!("corners that lie {apart_mm:.3} mm apart"), advice))
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::*;
    use crate::volume::VoxelToWorld;
    use nalgebra::{Matrix3, Vector3};

    #[test]
    fn grids_agree_to_the_rounding_of_a_header() {
        let a = Volume::new(Array4::zeros((1, 8, 9, 10)), VoxelToWorld::identity());
        let moved = |mm: f64| {
            let mut b = a.clone();
            b.affine = b.affine.with_origin_at([mm, 0.0, 0.0]);
            check_grids(&a, &b)
        };
        assert!(moved(0.0).is_ok() && moved(0.04).is_ok());
        assert!(moved(0.06).unwrap_err().to_string().contains("0.060 mm"));
        let mut mirrored = a.clone();
        let mut steps = Matrix3::identity();
        steps[(0, 0)] = -1.0;
        mirrored.affine = VoxelToWorld::from_axes(&steps, &Vector3::zeros()).unwrap();
        assert!(check_grids(&a, &mirrored).unwrap_err().to_string().contains("18.000 mm"));
        assert!(
            check_grids(&a, &Volume::new(Array4::zeros((1, 8, 9, 11)), VoxelToWorld::identity()))
                .unwrap_err()
                .to_string()
                .contains("[10, 9, 8]")
        );
    }
}
