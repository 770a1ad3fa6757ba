//! The score of a prediction against its target.

use super::pair::Pair;
use super::plan::Plan;
use super::profile::measure;
use super::scores::Scores;
use crate::error::Result;
use crate::volume::Volume;

/// Scores `prediction` against `target` by the definitions of `plan.profile`.
///
/// Both have one channel and the same shape; their affines are not compared (see
/// [`check_grids`](crate::volume::check_grids)). `mask` is a volume of that shape, inside wherever it is not zero. With
/// a mask, errors are over the voxels inside, and local measures (SSIM, MS-SSIM, VIF, HaarPSI) are pooled over the
/// positions whose centre is inside, with windows that extend beyond the mask; ranges are those of the whole volumes.
/// `sanchez` masks by multiplication instead.
///
/// # Errors
/// [`Error::Value`](crate::error::Error::Value) for several channels, shapes that differ, an empty mask or none where
/// the profile asks for one, an intensity that is not finite, a target without contrast, a grid that is smaller than
/// the profile's window, a data range where the profile has its own.
pub fn score(target: &Volume, prediction: &Volume, mask: Option<&Volume>, plan: &Plan) -> Result<Scores> {
    let (_, d, h, w) = target.data.dim();
    let pair = Pair::new(target, prediction, mask)?;
    let mut scores = Scores {
        plan: plan.clone(),
        shape: [d, h, w],
        mask_voxels: pair.mask.as_ref().map(|mask| mask.iter().filter(|inside| **inside).count()),
        scores: Vec::new(),
        notes: Vec::new(),
    };
    measure(&pair, &mut scores)?;
    Ok(scores)
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::super::plan::Profile;
    use super::*;
    use crate::volume::{Axis, VoxelToWorld};

    fn volume(shape: (usize, usize, usize), k: usize) -> Volume {
        let (d, h, w) = shape;
        let data = Array4::from_shape_fn((1, d, h, w), |(_, d, h, w)| {
            ((d * 3 + h * h * (5 + k) + w * 7 + h * w * d) % 97) as f32
        });
        Volume::new(data, VoxelToWorld::identity())
    }

    #[test]
    fn the_axis_of_slices_is_a_permutation() {
        let shape = (12, 13, 14);
        let (a, b) = (volume(shape, 0), volume(shape, 1));
        let along = |axis| {
            let plan = Plan { axis, ..Plan::new(Profile::FastMri) };
            score(&a, &b, None, &plan).unwrap().get("SSIM").unwrap().value
        };
        for (axis, order) in [(Axis::H, [0, 2, 1, 3]), (Axis::W, [0, 3, 1, 2])] {
            let turn = |v: &Volume| Volume::new(v.data.clone().permuted_axes(order), v.affine);
            let turned = score(&turn(&a), &turn(&b), None, &Plan::new(Profile::FastMri)).unwrap();
            assert_eq!(along(axis), turned.get("SSIM").unwrap().value);
        }
        assert_ne!(along(Axis::D), along(Axis::H));
    }

    #[test]
    fn numbers_say_what_they_rest_on() {
        let (a, b) = (volume((11, 12, 13), 0), volume((11, 12, 13), 1));
        let text = score(&a, &b, None, &Plan::new(Profile::FastMri)).unwrap().to_string();
        for word in ["profile fastmri", "slices along D", "no mask", "uniform 7×7", "range 96", "dB"] {
            assert!(text.contains(word), "{word} is missing in\n{text}");
        }
        let equal = score(&a, &a, None, &Plan { all: true, ..Plan::new(Profile::Monai) }).unwrap();
        assert_eq!(equal.get("PSNR").unwrap().value, f64::INFINITY);
        assert!(equal.notes.iter().any(|note| note.contains("VIF")), "{:?}", equal.notes);
        let json: serde_json::Value = serde_json::to_value(&equal).unwrap();
        assert_eq!(json["plan"]["profile"], "monai");
    }

    #[test]
    fn what_cannot_be_scored_is_an_error() {
        let (a, b) = (volume((8, 9, 10), 0), volume((8, 9, 10), 1));
        let plan = Plan::new(Profile::FastMri);
        let refused = |a: &Volume, b: &Volume, mask: Option<&Volume>, plan: &Plan| {
            score(a, b, mask, plan).unwrap_err().to_string()
        };
        assert!(refused(&a, &volume((8, 10, 9), 1), None, &plan).contains("[8, 10, 9]"));
        let coloured = Volume::new(Array4::zeros((3, 8, 9, 10)), VoxelToWorld::identity());
        assert!(refused(&coloured, &coloured, None, &plan).contains("channel"));
        let empty = Volume::new(Array4::zeros((1, 8, 9, 10)), VoxelToWorld::identity());
        assert!(refused(&a, &b, Some(&empty), &plan).contains("mask"));
        assert!(refused(&empty, &b, None, &plan).contains("target"));
        assert!(refused(&a, &b, Some(&volume((8, 9, 11), 1)), &plan).contains("1×8×9×10"));
        assert!(refused(&a, &b, None, &Plan::new(Profile::Sanchez)).contains("--mask"));
        assert!(refused(&a, &b, None, &Plan { data_range: Some(1.0), ..plan.clone() }).contains("monai"));
        let small = volume((8, 6, 10), 0);
        assert!(refused(&small, &small, None, &plan).contains("1×7×7"));
        let mut broken = b.clone();
        broken.data[[0, 1, 1, 1]] = f32::NAN;
        assert!(refused(&a, &broken, None, &plan).contains("NaN"));
    }
}
