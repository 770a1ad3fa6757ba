//! The record of a refinement of a network's labels by the scan's intensities.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::structures::Structure;

/// The record of a refinement, for the files beside the labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refinement {
    /// The method.
    pub method: RefinementMethod,
    /// Standard deviation of the scan's noise on the grid of 1 mm, in units of its intensities.
    pub noise_sd: f64,
    /// Sharpness of the scan on that grid; below 0.1175 it was interpolated from coarser voxels.
    pub sharpness: Option<f64>,
    /// Mean and standard deviation of the intensity of each group's Gaussian components.
    pub intensities: BTreeMap<Group, Vec<[f64; 2]>>,
    /// The network's mean probability over its ventricles.
    pub ventricle_confidence: Option<f64>,
    /// The least difference of the intensities of tissue around the ventricles from their fluid, in standard
    /// deviations.
    pub ventricle_separation: Option<f64>,
    /// The least difference of the intensities of tissue at the brain's surface from the fluid around it, in standard
    /// deviations.
    pub surface_separation: Option<f64>,
    /// Whether the surface of the brain is the network's, unrefined.
    pub surface_kept: bool,
    /// Whether the border between cortex and white matter is the network's, unrefined.
    pub mantle_kept: bool,
    /// Structures whose labels are the network's, unrefined, with the reason.
    pub fallen_back: BTreeMap<Structure, Reason>,
}

/// The method of a refinement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefinementMethod {
    /// No refinement: no brain, or an image without contrast.
    None,
    /// By a model of the scan's intensities.
    Intensities,
    /// By a model of the scan's intensities, with the walls of the lateral ventricles half-way between fluid and
    /// tissue.
    IntensitiesAndMidpoints,
}

/// A group of structures with one distribution of intensities.
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

/// The reason why a structure's labels stay the network's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// Fluid of ventricles and tissue around them have similar intensities.
    NoContrast,
    /// The network's probability of ventricles is low.
    LowConfidence,
    /// The scan contradicts labels with a high probability.
    Contradiction,
}
