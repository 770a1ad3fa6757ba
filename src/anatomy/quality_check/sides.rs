//! The check of left and right.

use std::fmt;

use ndarray::{ArrayView3, Axis, Slice};
use serde::{Deserialize, Serialize};

use crate::anatomy::overlap::{BRAIN, Overlap, check_same_grid};
use crate::anatomy::segmentation::Segmentation;
use crate::volume::orientation::orientation;

/// The relation of left and right before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sides {
    /// Unchanged.
    Kept,
    /// AFTER is the mirror image of BEFORE, with left structures on the left: the segmentation of an image that was
    /// flipped without its header.
    Mirrored,
    /// The structures are in place, but left ones are labelled right: labels by a wrong table, or a wrong header.
    Exchanged,
    /// AFTER is the mirror image of BEFORE including its labels: a label map that was flipped without its header.
    Flipped,
}

impl fmt::Display for Sides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kept => "kept",
            Self::Mirrored => "mirrored",
            Self::Exchanged => "exchanged",
            Self::Flipped => "flipped",
        })
    }
}

/// Agreement of AFTER with BEFORE as it is and with left and right changed: the mean Dice over the structures of the
/// brain that either has, after BEFORE was shifted from left to right by whole voxels to align the centres of both
/// brains. So the result does not depend on a shift or on the place of the mirror plane in the field of view.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SidesCheck {
    /// The relation with the best agreement; [`Sides::Kept`] where none agrees better than BEFORE itself.
    pub found: Sides,
    /// Agreement with BEFORE itself.
    pub kept: f64,
    /// Agreement with BEFORE flipped from left to right, sides exchanged.
    pub mirrored: f64,
    /// Agreement with BEFORE, sides exchanged.
    pub exchanged: f64,
    /// Agreement with BEFORE flipped from left to right.
    pub flipped: f64,
}

impl SidesCheck {
    /// The check of two segmentations. The axis that is flipped is the one of BEFORE nearest to the body's left–right
    /// axis. AFTER on another grid is brought to that of BEFORE first ([`Segmentation::on`]), which lowers all
    /// agreements equally.
    pub fn of(before: &Segmentation, after: &Segmentation) -> Self {
        let moved = check_same_grid(before, after).is_err().then(|| after.on(&before.grid()));
        let after = moved.as_ref().unwrap_or(after);
        let axis = Axis(2 - orientation(&before.affine).voxel_axis(0));
        let mut mirror = before.labels.view();
        mirror.invert_axis(axis);
        let upright = centred_overlap(before.labels.view(), after.labels.view(), axis);
        let mirror = centred_overlap(mirror, after.labels.view(), axis);
        let agreements = [
            (Sides::Kept, upright.mean_dice(false)),
            (Sides::Mirrored, mirror.mean_dice(true)),
            (Sides::Exchanged, upright.mean_dice(true)),
            (Sides::Flipped, mirror.mean_dice(false)),
        ];
        let best = agreements.into_iter().reduce(|best, next| if next.1 > best.1 { next } else { best });
        let [kept, mirrored, exchanged, flipped] = agreements.map(|(_, agreement)| agreement);
        Self { found: best.map_or(Sides::Kept, |(sides, _)| sides), kept, mirrored, exchanged, flipped }
    }
}

/// The overlap of two label arrays after the first has been moved along `axis` by as many voxels as brings the
/// centres of the brains together; what leaves the field of view is left out.
fn centred_overlap(one: ArrayView3<u8>, other: ArrayView3<u8>, axis: Axis) -> Overlap {
    let shift = match [&one, &other].map(|labels| brain_centre(labels, axis)) {
        [Some(from), Some(to)] => (to - from).round() as isize,
        _ => 0,
    };
    let (size, by) = (one.len_of(axis), shift.unsigned_abs());
    let (head, tail) = (Slice::from(0..size - by), Slice::from(by..size));
    let (cut_one, cut_other) = if shift < 0 { (tail, head) } else { (head, tail) };
    Overlap::of_labels(one.slice_axis(axis, cut_one), other.slice_axis(axis, cut_other))
}

/// Mean place of the brain's voxels along an axis; none without brain.
fn brain_centre(labels: &ArrayView3<u8>, axis: Axis) -> Option<f64> {
    let [mut sum, mut voxels] = [0; 2];
    for (place, plane) in labels.axis_iter(axis).enumerate() {
        let within = plane.iter().filter(|&&label| BRAIN.contains(&usize::from(label))).count();
        sum += place * within;
        voxels += within;
    }
    (voxels > 0).then(|| sum as f64 / voxels as f64)
}

#[cfg(test)]
mod tests {
    use nalgebra::{Matrix3, Vector3};
    use ndarray::Array3;

    use super::*;
    use crate::anatomy::structures::Structure;
    use crate::volume::VoxelToWorld;

    /// A lopsided brain, away from the middle of its field of view.
    fn brain() -> Array3<u8> {
        Array3::from_shape_fn((12, 14, 30), |(z, y, x)| {
            let structure = match x {
                4..=8 if y > 3 && z > 2 => Structure::LeftCerebralCortex,
                9..=10 if y > 5 => Structure::LeftCerebralWhiteMatter,
                11..=14 if z > 4 => Structure::RightCerebralWhiteMatter,
                15..=22 if y > 6 => Structure::RightCerebralCortex,
                _ => Structure::Background,
            };
            structure.index() as u8
        })
    }

    fn found(after: Array3<u8>, affine: VoxelToWorld) -> SidesCheck {
        let before = Segmentation::of_labels(brain(), affine);
        SidesCheck::of(&before, &Segmentation::of_labels(after, affine))
    }

    fn exchanged(labels: &Array3<u8>) -> Array3<u8> {
        labels.mapv(|label| Structure::ALL[usize::from(label)].mirrored().index() as u8)
    }

    fn flipped(labels: &Array3<u8>) -> Array3<u8> {
        let mut view = labels.view();
        view.invert_axis(Axis(2));
        view.to_owned()
    }

    #[test]
    fn each_change_of_sides_is_told_by_its_name() {
        let ras = VoxelToWorld::identity();
        for (after, expected) in [
            (brain(), Sides::Kept),
            (exchanged(&flipped(&brain())), Sides::Mirrored),
            (exchanged(&brain()), Sides::Exchanged),
            (flipped(&brain()), Sides::Flipped),
        ] {
            let check = found(after, ras);
            assert_eq!(check.found, expected);
            let all = [check.kept, check.mirrored, check.exchanged, check.flipped];
            assert_eq!(all.iter().filter(|&&agreement| agreement == 1.0).count(), 1, "{check:?}");
        }
    }

    #[test]
    fn a_shift_neither_hides_a_mirror_nor_makes_one() {
        let shifted = |labels: &Array3<u8>| {
            Array3::from_shape_fn(labels.dim(), |(z, y, x)| if x >= 5 { labels[[z, y, x - 5]] } else { 0 })
        };
        assert_eq!(found(shifted(&brain()), VoxelToWorld::identity()).found, Sides::Kept);
        let check = found(shifted(&exchanged(&flipped(&brain()))), VoxelToWorld::identity());
        assert_eq!((check.found, check.mirrored), (Sides::Mirrored, 1.0));
    }

    #[test]
    fn another_grid_neither_hides_a_mirror_nor_makes_one() {
        let before = Segmentation::of_labels(brain(), VoxelToWorld::identity());
        let half = VoxelToWorld::identity().with_origin_at([0.5; 3]);
        for (after, expected) in [(brain(), Sides::Kept), (exchanged(&flipped(&brain())), Sides::Mirrored)] {
            let check = SidesCheck::of(&before, &Segmentation::of_labels(after, half));
            assert_eq!(check.found, expected, "{check:?}");
        }
    }

    #[test]
    fn the_axis_from_left_to_right_is_read_from_the_affine() {
        // Voxel axis j = H runs from left to right here, i to the front.
        let steps = Matrix3::new(0., 1., 0., 1., 0., 0., 0., 0., 1.);
        let turned = VoxelToWorld::from_axes(&steps, &Vector3::zeros()).unwrap();
        let turn = |labels: Array3<u8>| labels.permuted_axes([0, 2, 1]).as_standard_layout().into_owned();
        let before = Segmentation::of_labels(turn(brain()), turned);
        let after = Segmentation::of_labels(turn(exchanged(&flipped(&brain()))), turned);
        assert_eq!(SidesCheck::of(&before, &after).mirrored, 1.0);
    }
}
