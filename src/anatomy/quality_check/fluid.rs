//! The fluid around a brain, and whether a scan still shows where it ends.

use crate::anatomy::segmentation::Segmentation;
use crate::anatomy::structures::{Region, Structure};

/// Least volume of head outside the dura, as a part of the brain's, that a scan with its skull shows: scalp and skull
/// have about as much as the brain, a stripped scan has a rim of it that was left or is taken for it.
const HEAD_MIN: f64 = 0.1;

/// Whether a region takes in the fluid around the brain, whose outer border is where stripping cut.
pub(super) fn within(region: &Region) -> bool {
    region.parts.contains(&Structure::Csf)
}

/// Why such regions say nothing of a pair; none where both scans have their heads.
pub(super) fn not_judged(before: &Segmentation, after: &Segmentation) -> Option<String> {
    let which = match [before, after].map(is_stripped) {
        [false, false] => return None,
        [true, true] => "both scans are",
        [true, false] => "the scan before is",
        [false, true] => "the scan after is",
    };
    let head = 100.0 * HEAD_MIN;
    Some(format!(
        "{which} stripped (head outside the brain is less than {head} % of the brain), and how much fluid is left around \
         the brain depends on where stripping cut"
    ))
}

/// Whether there is too little head around the brain for a scan with its skull.
fn is_stripped(segmentation: &Segmentation) -> bool {
    let brain_ml = Region::named("brain").map_or(0.0, |brain| segmentation.region_ml(brain));
    segmentation.volume_ml[Structure::Head.index()] < HEAD_MIN * brain_ml
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::volume::VoxelToWorld;

    /// A brain of 100 voxels with so many voxels of head.
    fn with_head(voxels: usize) -> Segmentation {
        let labels = Array3::from_shape_fn((1, 10, 30), |(_, y, x)| {
            let structure = match (x, y * 10 + x % 10) {
                (0..10, _) => Structure::LeftCerebralWhiteMatter,
                (10..20, number) if number < voxels => Structure::Head,
                _ => Structure::Background,
            };
            structure.index() as u8
        });
        Segmentation::of_labels(labels, VoxelToWorld::identity())
    }

    #[test]
    fn a_scan_with_more_head_than_a_tenth_of_its_brain_is_not_stripped() {
        assert_eq!(not_judged(&with_head(11), &with_head(90)), None);
        for (before, after, which) in [(9, 11, "before is"), (11, 9, "after is"), (0, 0, "both scans are")] {
            let found = not_judged(&with_head(before), &with_head(after)).unwrap();
            assert!(found.contains(which) && found.contains("10 %"), "{found}");
        }
    }

    #[test]
    fn only_regions_with_the_fluid_around_the_brain_depend_on_it() {
        let named = |name: &str| within(Region::named(name).unwrap());
        assert!(named("csf") && named("intracranial"));
        assert!(!named("brain") && !named("ventricles"));
    }
}
