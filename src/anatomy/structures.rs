//! The structures that a segmentation tells apart, their numbers and colours in files, and the regions that volumes are
//! reported of.

use serde::{Deserialize, Serialize};

/// Number of [`Structure`]s.
pub const STRUCTURES: usize = 22;

/// A side of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Left,
    Right,
}

/// A structure of the head. The order is that of the segmenter's outputs; left and right are the subject's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Structure {
    /// Air, and what a skull-stripped scan has set to zero.
    Background,
    /// Everything of the head outside the dura: skull, scalp, eyes, neck.
    Head,
    /// Cerebrospinal fluid between brain and dura, with the vessels and nerves in it.
    Csf,
    LeftLateralVentricle,
    RightLateralVentricle,
    /// The temporal horn of the lateral ventricle.
    LeftInferiorLateralVentricle,
    RightInferiorLateralVentricle,
    /// The choroid plexus of the lateral ventricle.
    LeftChoroidPlexus,
    RightChoroidPlexus,
    ThirdVentricle,
    FourthVentricle,
    LeftCerebralCortex,
    RightCerebralCortex,
    LeftCerebralWhiteMatter,
    RightCerebralWhiteMatter,
    /// Thalamus, caudate, putamen, pallidum, accumbens area and ventral diencephalon.
    LeftDeepGrey,
    RightDeepGrey,
    LeftHippocampusAmygdala,
    RightHippocampusAmygdala,
    /// Cortex and white matter of the cerebellum.
    LeftCerebellum,
    RightCerebellum,
    BrainStem,
}

/// What is written about a structure: name, number in label files, colour.
struct Entry(Structure, &'static str, u16, [u8; 3]);

use Structure::*;

/// Numbers are FreeSurfer's (`FreeSurferColorLUT.txt`) where it has the structure; those above 9000 are unions that it
/// does not have.
const TABLE: [Entry; STRUCTURES] = [
    Entry(Background, "Background", 0, [0, 0, 0]),
    Entry(Head, "Head", 258, [150, 130, 110]),
    Entry(Csf, "CSF", 24, [60, 60, 140]),
    Entry(LeftLateralVentricle, "Left-Lateral-Ventricle", 4, [230, 60, 200]),
    Entry(RightLateralVentricle, "Right-Lateral-Ventricle", 43, [180, 30, 220]),
    Entry(LeftInferiorLateralVentricle, "Left-Inf-Lat-Vent", 5, [255, 130, 170]),
    Entry(RightInferiorLateralVentricle, "Right-Inf-Lat-Vent", 44, [220, 110, 200]),
    Entry(LeftChoroidPlexus, "Left-choroid-plexus", 31, [0, 230, 230]),
    Entry(RightChoroidPlexus, "Right-choroid-plexus", 63, [0, 190, 210]),
    Entry(ThirdVentricle, "3rd-Ventricle", 14, [220, 190, 60]),
    Entry(FourthVentricle, "4th-Ventricle", 15, [90, 200, 160]),
    Entry(LeftCerebralCortex, "Left-Cerebral-Cortex", 3, [205, 75, 75]),
    Entry(RightCerebralCortex, "Right-Cerebral-Cortex", 42, [225, 105, 85]),
    Entry(LeftCerebralWhiteMatter, "Left-Cerebral-White-Matter", 2, [235, 235, 235]),
    Entry(RightCerebralWhiteMatter, "Right-Cerebral-White-Matter", 41, [205, 215, 225]),
    Entry(LeftDeepGrey, "Left-Deep-Grey", 9001, [20, 150, 60]),
    Entry(RightDeepGrey, "Right-Deep-Grey", 9002, [60, 180, 90]),
    Entry(LeftHippocampusAmygdala, "Left-Hippocampus-Amygdala", 9003, [235, 200, 40]),
    Entry(RightHippocampusAmygdala, "Right-Hippocampus-Amygdala", 9004, [210, 170, 20]),
    Entry(LeftCerebellum, "Left-Cerebellum", 9005, [230, 145, 40]),
    Entry(RightCerebellum, "Right-Cerebellum", 9006, [200, 115, 30]),
    Entry(BrainStem, "Brain-Stem", 16, [120, 160, 180]),
];

impl Structure {
    /// All, in order.
    pub const ALL: [Self; STRUCTURES] = {
        let mut all = [Background; STRUCTURES];
        let mut i = 0;
        while i < STRUCTURES {
            all[i] = TABLE[i].0;
            i += 1;
        }
        all
    };

    /// Its place among the segmenter's outputs and in [`super::Segmentation::labels`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its name in tables and lookup tables.
    pub fn name(self) -> &'static str {
        TABLE[self.index()].1
    }

    /// Its number in label files.
    pub fn number(self) -> u16 {
        TABLE[self.index()].2
    }

    /// Its colour (red, green, blue) in pictures and lookup tables.
    pub fn colour(self) -> [u8; 3] {
        TABLE[self.index()].3
    }

    /// The side it lies on; none for structures of the midline and those that are not told apart.
    pub fn side(self) -> Option<Side> {
        let name = self.name();
        match name.split_once('-').map(|(side, _)| side) {
            Some("Left") => Some(Side::Left),
            Some("Right") => Some(Side::Right),
            _ => None,
        }
    }

    /// The same structure of the other side; itself on the midline.
    pub fn mirrored(self) -> Self {
        match self.side() {
            // Sides stand beside each other, the left one first.
            Some(Side::Left) => Self::ALL[self.index() + 1],
            Some(Side::Right) => Self::ALL[self.index() - 1],
            None => self,
        }
    }

    /// The structure that a label of FreeSurfer or SynthSeg, or of a file of ours, belongs to; none for a number that is
    /// unknown or has no side of its own (77, 251–255).
    ///
    /// Labels 136 and 163 (137 and 164) are SynthSeg's choroid plexus of body and temporal horn, 5xx its labels outside the
    /// brain (Billot et al. 2023, "SynthSeg: Segmentation of brain MRI scans of any contrast and resolution without
    /// retraining").
    pub fn of_label(label: i32) -> Option<Self> {
        Some(match label {
            0 => Background,
            165 | 258 | 500..=599 => Head,
            24 | 30 | 62 | 72 | 85 => Csf,
            4 => LeftLateralVentricle,
            43 => RightLateralVentricle,
            5 => LeftInferiorLateralVentricle,
            44 => RightInferiorLateralVentricle,
            31 | 136 | 137 => LeftChoroidPlexus,
            63 | 163 | 164 => RightChoroidPlexus,
            14 => ThirdVentricle,
            15 => FourthVentricle,
            3 | 1000..=1035 => LeftCerebralCortex,
            42 | 2000..=2035 => RightCerebralCortex,
            2 | 25 | 78 => LeftCerebralWhiteMatter,
            41 | 57 | 79 => RightCerebralWhiteMatter,
            10..=13 | 26 | 28 | 9001 => LeftDeepGrey,
            49..=52 | 58 | 60 | 9002 => RightDeepGrey,
            17 | 18 | 9003 => LeftHippocampusAmygdala,
            53 | 54 | 9004 => RightHippocampusAmygdala,
            7 | 8 | 9005 => LeftCerebellum,
            46 | 47 | 9006 => RightCerebellum,
            16 => BrainStem,
            _ => return None,
        })
    }
}

/// A union of structures whose volume is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its name in tables.
    pub name: &'static str,
    /// What belongs to it, in a phrase.
    pub definition: &'static str,
    /// The structures that make it up.
    pub parts: &'static [Structure],
}

macro_rules! regions {
    ($($name:ident: $definition:literal, [$($part:ident),+ $(,)?];)+) => {
        /// The regions of every table, the larger ones first.
        pub const REGIONS: [Region; [$(stringify!($name)),+].len()] =
            [$(Region { name: stringify!($name), definition: $definition, parts: &[$($part),+] }),+];
    };
}

regions! {
    intracranial: "brain and the cerebrospinal fluid around it",
        [Csf, LeftLateralVentricle, RightLateralVentricle, LeftInferiorLateralVentricle,
         RightInferiorLateralVentricle, LeftChoroidPlexus, RightChoroidPlexus, ThirdVentricle, FourthVentricle,
         LeftCerebralCortex, RightCerebralCortex, LeftCerebralWhiteMatter, RightCerebralWhiteMatter, LeftDeepGrey,
         RightDeepGrey, LeftHippocampusAmygdala, RightHippocampusAmygdala, LeftCerebellum, RightCerebellum, BrainStem];
    brain: "parenchyma and ventricles, without the fluid around them",
        [LeftLateralVentricle, RightLateralVentricle, LeftInferiorLateralVentricle,
         RightInferiorLateralVentricle, LeftChoroidPlexus, RightChoroidPlexus, ThirdVentricle, FourthVentricle,
         LeftCerebralCortex, RightCerebralCortex, LeftCerebralWhiteMatter, RightCerebralWhiteMatter, LeftDeepGrey,
         RightDeepGrey, LeftHippocampusAmygdala, RightHippocampusAmygdala, LeftCerebellum, RightCerebellum, BrainStem];
    parenchyma: "cerebrum, cerebellum and brain stem, without ventricles and choroid plexus",
        [LeftCerebralCortex, RightCerebralCortex, LeftCerebralWhiteMatter, RightCerebralWhiteMatter, LeftDeepGrey,
         RightDeepGrey, LeftHippocampusAmygdala, RightHippocampusAmygdala, LeftCerebellum, RightCerebellum, BrainStem];
    csf: "cerebrospinal fluid around the brain, with vessels and nerves in it", [Csf];
    ventricles: "lateral ventricles with inferior horns and choroid plexus, third and fourth ventricle",
        [LeftLateralVentricle, RightLateralVentricle, LeftInferiorLateralVentricle,
         RightInferiorLateralVentricle, LeftChoroidPlexus, RightChoroidPlexus, ThirdVentricle, FourthVentricle];
    lateral_ventricles: "both lateral ventricles, without choroid plexus and inferior horns",
        [LeftLateralVentricle, RightLateralVentricle];
    lateral_ventricles_with_choroid: "both lateral ventricles with choroid plexus, without inferior horns",
        [LeftLateralVentricle, RightLateralVentricle, LeftChoroidPlexus, RightChoroidPlexus];
    inferior_lateral_ventricles: "inferior (temporal) horns of both lateral ventricles",
        [LeftInferiorLateralVentricle, RightInferiorLateralVentricle];
    choroid_plexus: "choroid plexus of both lateral ventricles", [LeftChoroidPlexus, RightChoroidPlexus];
    left_lateral_ventricle: "left lateral ventricle, without choroid plexus and inferior horn",
        [LeftLateralVentricle];
    right_lateral_ventricle: "right lateral ventricle, without choroid plexus and inferior horn",
        [RightLateralVentricle];
    left_inferior_lateral_ventricle: "inferior horn of the left lateral ventricle", [LeftInferiorLateralVentricle];
    right_inferior_lateral_ventricle: "inferior horn of the right lateral ventricle",
        [RightInferiorLateralVentricle];
    left_choroid_plexus: "choroid plexus of the left lateral ventricle", [LeftChoroidPlexus];
    right_choroid_plexus: "choroid plexus of the right lateral ventricle", [RightChoroidPlexus];
    third_ventricle: "third ventricle", [ThirdVentricle];
    fourth_ventricle: "fourth ventricle", [FourthVentricle];
    cerebral_cortex: "cortical grey matter of both hemispheres", [LeftCerebralCortex, RightCerebralCortex];
    left_cerebral_cortex: "cortical grey matter of the left hemisphere", [LeftCerebralCortex];
    right_cerebral_cortex: "cortical grey matter of the right hemisphere", [RightCerebralCortex];
    cerebral_white_matter: "white matter of both hemispheres",
        [LeftCerebralWhiteMatter, RightCerebralWhiteMatter];
    left_cerebral_white_matter: "white matter of the left hemisphere", [LeftCerebralWhiteMatter];
    right_cerebral_white_matter: "white matter of the right hemisphere", [RightCerebralWhiteMatter];
    deep_grey: "thalamus, basal ganglia, accumbens area and ventral diencephalon of both sides",
        [LeftDeepGrey, RightDeepGrey];
    left_deep_grey: "thalamus, basal ganglia, accumbens area and ventral diencephalon, left", [LeftDeepGrey];
    right_deep_grey: "thalamus, basal ganglia, accumbens area and ventral diencephalon, right", [RightDeepGrey];
    hippocampus_amygdala: "hippocampus and amygdala of both sides",
        [LeftHippocampusAmygdala, RightHippocampusAmygdala];
    left_hippocampus_amygdala: "left hippocampus and amygdala", [LeftHippocampusAmygdala];
    right_hippocampus_amygdala: "right hippocampus and amygdala", [RightHippocampusAmygdala];
    cerebellum: "cortex and white matter of the cerebellum", [LeftCerebellum, RightCerebellum];
    left_cerebellum: "cortex and white matter of the cerebellum, left", [LeftCerebellum];
    right_cerebellum: "cortex and white matter of the cerebellum, right", [RightCerebellum];
    brain_stem: "midbrain, pons and medulla as far as the field of view shows them", [BrainStem];
}

impl Region {
    /// The region of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        REGIONS.iter().find(|region| region.name == name)
    }

    /// Which structures belong to it, by index.
    pub fn members(&self) -> [bool; STRUCTURES] {
        let mut members = [false; STRUCTURES];
        self.parts.iter().for_each(|part| members[part.index()] = true);
        members
    }

    /// The side it lies on, where all its parts do.
    pub fn side(&self) -> Option<Side> {
        let side = self.parts[0].side();
        if self.parts.iter().all(|part| part.side() == side) { side } else { None }
    }

    /// The region of the other side, for a region of one.
    pub fn mirrored(&self) -> Option<&'static Self> {
        self.side()?;
        REGIONS.iter().find(|other| {
            other.parts.len() == self.parts.len()
                && self.parts.iter().zip(other.parts).all(|(part, other)| part.mirrored() == *other)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_stands_in_the_order_of_the_structures() {
        for (index, structure) in Structure::ALL.into_iter().enumerate() {
            assert_eq!(structure.index(), index);
            assert_eq!(Structure::of_label(i32::from(structure.number())), Some(structure), "{structure:?}");
        }
    }

    #[test]
    fn sides_mirror_each_other() {
        for structure in Structure::ALL {
            let other = structure.mirrored();
            assert_eq!(other.mirrored(), structure);
            assert_eq!(other == structure, structure.side().is_none(), "{structure:?}");
            assert_eq!(structure.name().replace("Left", "Right"), other.name().replace("Left", "Right"));
        }
    }

    #[test]
    fn regions_have_one_name_each_and_their_sides_add_up() {
        for region in &REGIONS {
            assert_eq!(Region::named(region.name), Some(region));
            if let Some(other) = region.mirrored() {
                assert_ne!(other, region);
                assert_eq!(other.mirrored(), Some(region));
            }
        }
        let both = Region::named("deep_grey").unwrap().members();
        let sides = ["left_deep_grey", "right_deep_grey"].map(|name| Region::named(name).unwrap().members());
        assert!((0..STRUCTURES).all(|i| both[i] == (sides[0][i] || sides[1][i])));
        assert_eq!(Region::named("brain").unwrap().side(), None);
    }
}
