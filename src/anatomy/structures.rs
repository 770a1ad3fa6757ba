//! The structures of a segmentation, their numbers and colours in files, and the regions whose volumes are reported.

use serde::{Deserialize, Serialize};

/// Number of [`Structure`]s.
pub const STRUCTURES: usize = 36;

/// The class of each structure, by its index. Protocols differ in the structures that they distinguish: structures that
/// a reference does not distinguish are one class, whose probability is the sum of theirs.
pub type Classes = [u8; STRUCTURES];

/// The classes with every structure by itself.
pub const APART: Classes = {
    let mut classes = [0; STRUCTURES];
    let mut k = 0;
    while k < STRUCTURES {
        classes[k] = k as u8;
        k += 1;
    }
    classes
};

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
    /// Air, and the zeros of a skull-stripped scan.
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
    LeftThalamus,
    RightThalamus,
    LeftCaudate,
    RightCaudate,
    LeftPutamen,
    RightPutamen,
    LeftPallidum,
    RightPallidum,
    LeftHippocampus,
    RightHippocampus,
    LeftAmygdala,
    RightAmygdala,
    /// The accumbens area.
    LeftAccumbens,
    RightAccumbens,
    /// Hypothalamus, subthalamus, substantia nigra and the tissue around them (FreeSurfer's "VentralDC").
    LeftVentralDiencephalon,
    RightVentralDiencephalon,
    LeftCerebellarCortex,
    RightCerebellarCortex,
    LeftCerebellarWhiteMatter,
    RightCerebellarWhiteMatter,
    BrainStem,
}

/// What is written about a structure: name, number in label files, colour.
struct Entry(Structure, &'static str, u16, [u8; 3]);

use Structure::*;

/// Names and numbers are FreeSurfer's (`FreeSurferColorLUT.txt`).
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
    Entry(LeftThalamus, "Left-Thalamus", 10, [0, 118, 14]),
    Entry(RightThalamus, "Right-Thalamus", 49, [0, 150, 40]),
    Entry(LeftCaudate, "Left-Caudate", 11, [122, 186, 220]),
    Entry(RightCaudate, "Right-Caudate", 50, [100, 160, 210]),
    Entry(LeftPutamen, "Left-Putamen", 12, [236, 13, 176]),
    Entry(RightPutamen, "Right-Putamen", 51, [210, 40, 150]),
    Entry(LeftPallidum, "Left-Pallidum", 13, [12, 48, 255]),
    Entry(RightPallidum, "Right-Pallidum", 52, [40, 80, 230]),
    Entry(LeftHippocampus, "Left-Hippocampus", 17, [220, 216, 20]),
    Entry(RightHippocampus, "Right-Hippocampus", 53, [200, 190, 40]),
    Entry(LeftAmygdala, "Left-Amygdala", 18, [103, 255, 255]),
    Entry(RightAmygdala, "Right-Amygdala", 54, [80, 220, 220]),
    Entry(LeftAccumbens, "Left-Accumbens-area", 26, [255, 165, 0]),
    Entry(RightAccumbens, "Right-Accumbens-area", 58, [230, 140, 20]),
    Entry(LeftVentralDiencephalon, "Left-VentralDC", 28, [165, 42, 42]),
    Entry(RightVentralDiencephalon, "Right-VentralDC", 60, [140, 60, 60]),
    Entry(LeftCerebellarCortex, "Left-Cerebellum-Cortex", 8, [230, 148, 34]),
    Entry(RightCerebellarCortex, "Right-Cerebellum-Cortex", 47, [200, 120, 30]),
    Entry(LeftCerebellarWhiteMatter, "Left-Cerebellum-White-Matter", 7, [220, 248, 164]),
    Entry(RightCerebellarWhiteMatter, "Right-Cerebellum-White-Matter", 46, [190, 220, 150]),
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

    /// Its index in the segmenter's outputs and in [`super::Segmentation::labels`].
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

    /// Its side; `None` for structures of the midline and those without a distinction of sides.
    pub fn side(self) -> Option<Side> {
        let name = self.name();
        match name.split_once('-').map(|(side, _)| side) {
            Some("Left") => Some(Side::Left),
            Some("Right") => Some(Side::Right),
            _ => None,
        }
    }

    /// The corresponding structure of the other side; itself for a structure without a side.
    #[must_use]
    pub fn mirrored(self) -> Self {
        match self.side() {
            // Sides stand beside each other, the left one first.
            Some(Side::Left) => Self::ALL[self.index() + 1],
            Some(Side::Right) => Self::ALL[self.index() - 1],
            None => self,
        }
    }

    /// The structure of a label of FreeSurfer, SynthSeg or [`Structure::number`]; `None` for a number that is unknown
    /// or has no side (77, 251–255).
    ///
    /// Labels 136 and 163 (137 and 164) are SynthSeg's choroid plexus of body and temporal horn, 5xx its labels outside
    /// the brain (Billot et al. 2023, "SynthSeg: Segmentation of brain MRI scans of any contrast and resolution without
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
            10 => LeftThalamus,
            49 => RightThalamus,
            11 => LeftCaudate,
            50 => RightCaudate,
            12 => LeftPutamen,
            51 => RightPutamen,
            13 => LeftPallidum,
            52 => RightPallidum,
            17 => LeftHippocampus,
            53 => RightHippocampus,
            18 => LeftAmygdala,
            54 => RightAmygdala,
            26 => LeftAccumbens,
            58 => RightAccumbens,
            28 => LeftVentralDiencephalon,
            60 => RightVentralDiencephalon,
            8 => LeftCerebellarCortex,
            47 => RightCerebellarCortex,
            7 => LeftCerebellarWhiteMatter,
            46 => RightCerebellarWhiteMatter,
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
    /// Its definition in a phrase.
    pub definition: &'static str,
    /// Its structures.
    pub parts: &'static [Structure],
}

/// What the skull holds, and parts of it: structures stand in this order.
const INTRACRANIAL: &[Structure] = from(Csf);
const BRAIN: &[Structure] = from(LeftLateralVentricle);
const PARENCHYMA: &[Structure] = from(LeftCerebralCortex);
const VENTRICLES: &[Structure] = BRAIN.split_at(PARENCHYMA[0].index() - BRAIN[0].index()).0;

/// The structures from `first` on.
const fn from(first: Structure) -> &'static [Structure] {
    const ALL: &[Structure] = &Structure::ALL;
    ALL.split_at(first.index()).1
}

macro_rules! regions {
    (
        whole { $($name:ident: $definition:literal, $parts:expr;)+ }
        sided { $($pair:ident: $of:literal, [$($left:ident),+], [$($right:ident),+];)+ }
    ) => {
        /// The regions of every table: those of the whole head, and those of each side.
        pub const REGIONS: [Region; [$(stringify!($name)),+].len() + 3 * [$(stringify!($pair)),+].len()] = [
            $(Region { name: stringify!($name), definition: $definition, parts: $parts },)+
            $(
                Region {
                    name: stringify!($pair),
                    definition: concat!($of, ", both sides"),
                    parts: &[$($left,)+ $($right),+],
                },
                Region {
                    name: concat!("left_", stringify!($pair)),
                    definition: concat!($of, ", left"),
                    parts: &[$($left),+],
                },
                Region {
                    name: concat!("right_", stringify!($pair)),
                    definition: concat!($of, ", right"),
                    parts: &[$($right),+],
                },
            )+
        ];
    };
}

regions! {
    whole {
        intracranial: "brain and the cerebrospinal fluid around it", INTRACRANIAL;
        brain: "parenchyma and ventricles, without the fluid around them", BRAIN;
        parenchyma: "cerebrum, cerebellum and brain stem, without ventricles and choroid plexus", PARENCHYMA;
        csf: "cerebrospinal fluid around the brain, with vessels and nerves in it", &[Csf];
        ventricles: "lateral ventricles with inferior horns and choroid plexus, third and fourth ventricle",
            VENTRICLES;
        lateral_ventricles: "both lateral ventricles, without choroid plexus and inferior horns",
            &[LeftLateralVentricle, RightLateralVentricle];
        lateral_ventricles_with_choroid: "both lateral ventricles with choroid plexus, without inferior horns",
            &[LeftLateralVentricle, RightLateralVentricle, LeftChoroidPlexus, RightChoroidPlexus];
        left_lateral_ventricle: "left lateral ventricle, without choroid plexus and inferior horn",
            &[LeftLateralVentricle];
        right_lateral_ventricle: "right lateral ventricle, without choroid plexus and inferior horn",
            &[RightLateralVentricle];
        inferior_lateral_ventricles: "inferior (temporal) horns of both lateral ventricles",
            &[LeftInferiorLateralVentricle, RightInferiorLateralVentricle];
        left_inferior_lateral_ventricle: "inferior horn of the left lateral ventricle",
            &[LeftInferiorLateralVentricle];
        right_inferior_lateral_ventricle: "inferior horn of the right lateral ventricle",
            &[RightInferiorLateralVentricle];
        third_ventricle: "third ventricle", &[ThirdVentricle];
        fourth_ventricle: "fourth ventricle", &[FourthVentricle];
        brain_stem: "midbrain, pons and medulla as far as the field of view shows them", &[BrainStem];
    }
    sided {
        choroid_plexus: "choroid plexus of the lateral ventricle", [LeftChoroidPlexus], [RightChoroidPlexus];
        cerebral_cortex: "cortical grey matter", [LeftCerebralCortex], [RightCerebralCortex];
        cerebral_white_matter: "white matter of the cerebrum, with the corpus callosum",
            [LeftCerebralWhiteMatter], [RightCerebralWhiteMatter];
        deep_grey: "thalamus, basal ganglia, accumbens area and ventral diencephalon",
            [LeftThalamus, LeftCaudate, LeftPutamen, LeftPallidum, LeftAccumbens, LeftVentralDiencephalon],
            [RightThalamus, RightCaudate, RightPutamen, RightPallidum, RightAccumbens, RightVentralDiencephalon];
        thalamus: "thalamus", [LeftThalamus], [RightThalamus];
        caudate: "caudate nucleus", [LeftCaudate], [RightCaudate];
        putamen: "putamen", [LeftPutamen], [RightPutamen];
        pallidum: "globus pallidus", [LeftPallidum], [RightPallidum];
        accumbens: "accumbens area", [LeftAccumbens], [RightAccumbens];
        ventral_diencephalon: "ventral diencephalon", [LeftVentralDiencephalon], [RightVentralDiencephalon];
        hippocampus_amygdala: "hippocampus and amygdala",
            [LeftHippocampus, LeftAmygdala], [RightHippocampus, RightAmygdala];
        hippocampus: "hippocampus", [LeftHippocampus], [RightHippocampus];
        amygdala: "amygdala", [LeftAmygdala], [RightAmygdala];
        cerebellum: "cortex and white matter of the cerebellum",
            [LeftCerebellarCortex, LeftCerebellarWhiteMatter],
            [RightCerebellarCortex, RightCerebellarWhiteMatter];
        cerebellar_cortex: "cortex of the cerebellum, with the vermis",
            [LeftCerebellarCortex], [RightCerebellarCortex];
        cerebellar_white_matter: "white matter of the cerebellum",
            [LeftCerebellarWhiteMatter], [RightCerebellarWhiteMatter];
    }
}

impl Region {
    /// The region of this name; `None` for another name.
    pub fn named(name: &str) -> Option<&'static Self> {
        REGIONS.iter().find(|region| region.name == name)
    }

    /// For each structure, by index, whether it belongs to the region.
    pub fn members(&self) -> [bool; STRUCTURES] {
        let mut members = [false; STRUCTURES];
        self.parts.iter().for_each(|part| members[part.index()] = true);
        members
    }

    /// Its side, if all its parts are of one side.
    pub fn side(&self) -> Option<Side> {
        let side = self.parts[0].side();
        if self.parts.iter().all(|part| part.side() == side) { side } else { None }
    }

    /// The corresponding region of the other side; `None` for a region without a side.
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
