//! What a refinement of a network's labels by the scan itself did: the record beside the labels.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::structures::Structure;

/// What a refinement found and did, for the files beside the labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refinement {
    /// How.
    pub method: RefinementMethod,
    /// Standard deviation of the scan's noise on the grid of 1 mm, in units of its intensities.
    pub noise_sd: f64,
    /// How fine its detail is there: below 0.125 it was interpolated from coarser voxels.
    pub sharpness: Option<f64>,
    /// Mean and standard deviation of the intensity of each group's parts.
    pub intensities: BTreeMap<Group, Vec<[f64; 2]>>,
    /// The network's mean probability over its ventricles.
    pub ventricle_confidence: Option<f64>,
    /// The least distance of tissue around the ventricles from their fluid, in standard deviations.
    pub ventricle_separation: Option<f64>,
    /// The least distance of tissue at the brain's surface from the fluid around it, in standard deviations.
    pub surface_separation: Option<f64>,
    /// Whether the surface of the brain stayed as the network had it.
    pub surface_kept: bool,
    /// Whether the wall between cortex and white matter did.
    pub mantle_kept: bool,
    /// Structures that stayed as the network had them, and why.
    pub fallen_back: BTreeMap<Structure, Reason>,
}

/// How labels were refined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefinementMethod {
    /// Not at all: no brain, or an image without contrast.
    None,
    /// By a model of the scan's intensities.
    Intensities,
    /// By the same, with the walls of the lateral ventricles half-way between fluid and tissue.
    IntensitiesAndMidpoints,
}

/// Structures of one intensity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Group {
    /// All ventricles.
    Ventricles,
    /// The fluid between brain and dura.
    OuterFluid,
    ChoroidPlexus,
    Cortex,
    WhiteMatter,
    DeepGrey,
    /// Hippocampus and amygdala.
    Hippocampus,
    /// Brain stem and cerebellum.
    Hindbrain,
    /// Air and all of the head outside the dura.
    Outside,
}

/// Why a structure stays as the network has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// Fluid of ventricles and tissue around them look alike.
    NoContrast,
    /// The network is in doubt of its ventricles.
    LowConfidence,
    /// The scan contradicts what the network is sure of.
    Contradiction,
}
