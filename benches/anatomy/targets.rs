//! What is asked of the segmenter: Dice, and the median error of volume in per cent.

/// What is asked of one region.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub dice: Option<f64>,
    pub error: Option<f64>,
}

/// The groups that every table begins with.
pub const GROUPS: [&str; 10] = [
    "lateral_ventricles_with_choroid",
    "third_ventricle",
    "fourth_ventricle",
    "cerebral_cortex",
    "cerebral_white_matter",
    "deep_grey",
    "hippocampus_amygdala",
    "cerebellum",
    "brain_stem",
    "brain",
];

/// Parts of them that are printed below, with nothing asked.
pub const PARTS: [&str; 15] = [
    "ventricles",
    "lateral_ventricles",
    "choroid_plexus",
    "inferior_lateral_ventricles",
    "parenchyma",
    "thalamus",
    "caudate",
    "putamen",
    "pallidum",
    "accumbens",
    "ventral_diencephalon",
    "hippocampus",
    "amygdala",
    "cerebellar_cortex",
    "cerebellar_white_matter",
];

/// Scans with labels: what they are called and what is asked of them.
#[derive(Debug)]
pub struct Set {
    pub name: &'static str,
    /// Dice asked of each of [`GROUPS`]; none where nothing is asked.
    pub dice: Option<[f64; 10]>,
    /// Greatest median error of the volumes of lateral ventricles and brain in per cent.
    pub errors: [Option<f64>; 2],
    /// Whether the labels tell choroid plexus from ventricle.
    pub plexus_apart: bool,
}

impl Set {
    /// What is asked of a region.
    pub fn target(&self, region: &str) -> Target {
        let at = GROUPS.iter().position(|group| *group == region);
        let dice = at.and_then(|at| self.dice.map(|dice| dice[at]));
        let error = match at {
            Some(0) => self.errors[0],
            Some(9) => self.errors[1],
            _ => None,
        };
        Target { dice, error }
    }
}

const MANUAL: Option<[f64; 10]> = Some([0.92, 0.80, 0.86, 0.91, 0.94, 0.87, 0.82, 0.96, 0.93, 0.975]);
const OF_A_NETWORK: Option<[f64; 10]> = Some([0.93, 0.80, 0.85, 0.90, 0.94, 0.90, 0.85, 0.96, 0.93, 0.97]);
const FINE: Option<[f64; 10]> = Some([0.92, 0.80, 0.82, 0.87, 0.91, 0.88, 0.84, 0.95, 0.93, 0.97]);
const COARSE: Option<[f64; 10]> = Some([0.88, 0.72, 0.72, 0.82, 0.89, 0.84, 0.84, 0.95, 0.95, 0.95]);

pub const SEEN: Set = Set {
    name: "manual labels, the five scans of the trial",
    dice: MANUAL,
    errors: [Some(5.0), Some(3.0)],
    plexus_apart: false,
};
pub const UNSEEN: Set = Set { name: "manual labels, the other five", ..SEEN };
pub const IXI: Set = Set {
    name: "IXI, labels of a network, 2 mm",
    dice: OF_A_NETWORK,
    errors: [Some(5.0), Some(2.0)],
    plexus_apart: false,
};
pub const T1_1_MM: Set =
    Set { name: "T1, 1 mm", dice: FINE, errors: [Some(5.0), Some(2.0)], plexus_apart: true };
pub const T1_2_MM: Set =
    Set { name: "T1, 2 mm", dice: COARSE, errors: [Some(7.0), Some(3.0)], plexus_apart: true };
pub const T1_SLICES: Set = Set { name: "T1, 1 × 1 × 4 mm", ..T1_2_MM };
pub const ANY: Set =
    Set { name: "any contrast and resolution", dice: None, errors: [None; 2], plexus_apart: true };
