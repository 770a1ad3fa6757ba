//! The eighteen classes of brainchop's subcortical networks as regions that other segmentations have too.

use ndarray::{Array3, Axis};

use voxgan::volume::Volume;

/// A region under its name in this program's tables, and the classes that make it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassUnion {
    /// The name of the region of both sides.
    pub region: &'static str,
    /// Class numbers of `model18cls` and `model30chan18cls`.
    pub classes: &'static [u8],
}

const fn union(region: &'static str, classes: &'static [u8]) -> ClassUnion {
    ClassUnion { region, classes }
}

/// The regions that can be made of the eighteen classes. These tell neither sides nor choroid plexus nor the fluid around
/// the brain apart, so that their brain may end elsewhere than another segmentation's.
pub const UNIONS_18: [ClassUnion; 13] = [
    union("brain", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]),
    union("parenchyma", &[1, 2, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16, 17]),
    union("ventricles", &[3, 4, 11, 12]),
    union("lateral_ventricles", &[3]),
    union("inferior_lateral_ventricles", &[4]),
    union("third_ventricle", &[11]),
    union("fourth_ventricle", &[12]),
    union("cerebral_cortex", &[2]),
    union("cerebral_white_matter", &[1]),
    union("deep_grey", &[7, 8, 9, 10, 16, 17]),
    union("hippocampus_amygdala", &[14, 15]),
    union("cerebellum", &[5, 6]),
    union("brain_stem", &[13]),
];

impl ClassUnion {
    /// The union of this name.
    pub fn named(region: &str) -> Option<&'static Self> {
        UNIONS_18.iter().find(|union| union.region == region)
    }

    /// The voxels of the region, `[D, H, W]`, among the labels of [`super::MeshNet::segment`].
    pub fn mask(&self, labels: &Volume) -> Array3<bool> {
        let labels = labels.data.index_axis(Axis(0), 0);
        labels.mapv(|label| self.classes.iter().any(|&class| f32::from(class) == label))
    }
}
