//! Face and ears of a head, which make a person known, from its segmentation.
//!
//! They lie where they lie in a mean head, as [`Pose`] takes it to this one: below and before a plane from the brow to the
//! front of the spine, and beside the temporal bones. What is near the brain is never part of them.

use nalgebra::Vector3;
use ndarray::{Array3, Axis, Zip};
use rayon::prelude::*;

use super::brain::brain_mask;
use super::overlap::distance_transform_mm;
use super::pose::Pose;
use super::segmentation::Segmentation;
use super::structures::Region;
use crate::error::{Error, Result};
use crate::volume::Volume;
use crate::volume::resample::{Grid, Interpolation, resample};

/// The plane of the face through two points of the mean head's midline, `[y, z]` in millimetres: before the frontal pole at
/// the brow, and the front of the spine below the brain.
const BROW: [f64; 2] = [92.0, 0.0];
const SPINE: [f64; 2] = [20.0, -62.0];
/// The ears are farther from the midline than this, between these planes `[low, high]` along y and z.
const EAR_X: f64 = 70.0;
const EAR_Y: [f64; 2] = [-50.0, 25.0];
const EAR_Z: [f64; 2] = [-90.0, -5.0];
/// Millimetres around brain and its fluid that are never removed.
const GUARD_MM: f32 = 5.0;

/// The voxels `[D, H, W]` of `grid` in which face and ears of the segmented head lie.
///
/// # Errors
/// [`Error::Value`] where too few structures are in their places to tell where the face is.
pub fn face_mask(segmentation: &Segmentation, grid: &Grid) -> Result<Array3<bool>> {
    let pose = Pose::of(&segmentation.centres_mm()).filter(Pose::is_reliable).ok_or_else(|| {
        let advice = "check that this is a scan of a head, and its orientation; remove the face by hand";
        Error::value("voxels", "a head whose face can be found", "too few structures in their places", advice)
    })?;
    // Eyes are taken for fluid now and then; behind thin bridges they are no part of the brain's surroundings.
    let brain = brain_mask(segmentation, Region::named("intracranial").expect("a region of the table"));
    let near = distance_transform_mm(brain.view(), segmentation.spacing_mm()).mapv(|far| far <= GUARD_MM);
    let near = Volume::of_mask(near.view(), segmentation.affine);
    let near = resample(&near, grid, Interpolation::Nearest).data;
    let [w, h, d] = grid.dims;
    let mut mask = Array3::from_elem((d, h, w), false);
    mask.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(k, mut plane)| {
        Zip::indexed(&mut plane).and(near.slice(ndarray::s![0, k, .., ..])).for_each(
            |(j, i), face, &near| {
                let at = grid.affine.world_mm([i as f64, j as f64, k as f64]);
                *face = near < 0.5 && is_face(&pose.in_mean_head(&at));
            },
        );
    });
    Ok(mask)
}

/// Whether a place in the mean head, in millimetres, is of the face or of an ear.
fn is_face(at: &Vector3<f64>) -> bool {
    let within = |x: f64, [low, high]: [f64; 2]| (low..=high).contains(&x);
    // The normal of the plane points forwards and downwards.
    let normal = [BROW[1] - SPINE[1], SPINE[0] - BROW[0]];
    let before = (at.y - BROW[0]) * normal[0] + (at.z - BROW[1]) * normal[1] > 0.0;
    before || at.x.abs() > EAR_X && within(at.y, EAR_Y) && within(at.z, EAR_Z)
}

#[cfg(test)]
mod tests {
    use nalgebra::{Matrix4, Rotation3};

    use super::*;
    use crate::anatomy::Structure;
    use crate::volume::VoxelToWorld;

    /// Landmarks of an adult head of the mean head's size, about the brain's centre.
    #[test]
    fn eyes_nose_chin_and_ears_are_face_and_the_rest_is_not() {
        for at in [[33.0, 66.0, -38.0], [0.0, 110.0, -55.0], [0.0, 75.0, -120.0], [-84.0, -10.0, -40.0]] {
            assert!(is_face(&Vector3::from(at)), "{at:?}");
        }
        for at in [
            [0.0, 84.0, 8.0],
            [30.0, 60.0, -20.0],
            [40.0, 46.0, -30.0],
            [0.0, -5.0, -65.0],
            [68.0, 0.0, 20.0],
            [0.0, -95.0, 0.0],
        ] {
            assert!(!is_face(&Vector3::from(at)), "{at:?}");
        }
    }

    /// The mean head's structures as small cubes in a head that is turned and moved.
    #[test]
    fn the_face_turns_with_the_head_and_keeps_away_from_the_brain() {
        let turn = Rotation3::from_euler_angles(0.2, -0.1, 0.3);
        let mut to_world = turn.to_homogeneous();
        (0..3).for_each(|axis| to_world[(axis, 3)] = [4.0, -7.0, 11.0][axis]);
        let grid = Grid {
            dims: [64, 80, 72],
            affine: VoxelToWorld::new(
                to_world
                    * Matrix4::new_translation(&Vector3::new(-94.5, -118.5, -126.5))
                    * Matrix4::from_diagonal(&[3.0, 3.0, 3.0, 1.0].into()),
            )
            .unwrap(),
        };
        let voxel = |at: [f64; 3]| {
            let offset = [94.5, 118.5, 126.5];
            let [i, j, k] = [0, 1, 2].map(|axis| ((at[axis] + offset[axis]) / 3.0).round() as usize);
            (k, j, i)
        };
        let mut labels = Array3::zeros((72, 80, 64));
        for (structure, at) in Pose::mean_head() {
            let (k, j, i) = voxel(at);
            labels
                .slice_mut(ndarray::s![k - 1..k + 2, j - 1..j + 2, i - 1..i + 2])
                .fill(structure.index() as u8);
        }
        // A frontal lobe that reaches beyond the plane.
        let lobe = Structure::LeftCerebralCortex.index() as u8;
        let (k, j, i) = voxel([0.0, 80.0, -12.0]);
        labels.slice_mut(ndarray::s![k - 3..k + 4, j - 4..j + 5, i - 3..i + 4]).fill(lobe);
        let brow_voxel = voxel([0.0, 88.0, -12.0]);
        let segmentation = Segmentation::of_labels(labels.clone(), grid.affine);
        let face = face_mask(&segmentation, &grid).unwrap();
        assert!(face[voxel([0.0, 108.0, -55.0])] && face[voxel([-84.0, -10.0, -40.0])]);
        assert!(!face[voxel([0.0, -100.0, 0.0])] && !face[voxel([0.0, 60.0, 60.0])]);
        assert!(is_face(&Vector3::new(0.0, 88.0, -12.0)) && !face[brow_voxel]);
        assert!(Zip::from(&labels).and(&face).all(|&label, &face| label == 0 || !face));
        let few = Segmentation::of_labels(Array3::zeros((8, 8, 8)), VoxelToWorld::identity());
        assert!(face_mask(&few, &few.grid()).unwrap_err().to_string().contains("orientation"));
    }
}
