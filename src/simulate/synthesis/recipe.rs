//! The recipe of images simulated from label maps.

use serde::{Deserialize, Serialize};

/// The parameters of images simulated from label maps (Billot et al. 2023, "SynthSeg"). Draws are uniform within
/// ranges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SynthesisRecipe {
    /// Greatest rotation about each axis, in degrees.
    pub rotation_deg: f64,
    /// Scaling s of each axis: by a factor from 1 − s to 1 + s.
    pub scaling: f64,
    /// Greatest shear between two axes.
    pub shear: f64,
    /// Greatest shift of the crop's centre from the brain's along each axis, in millimetres.
    pub shift_mm: f64,
    /// Greatest standard deviation of the elastic displacement at its control points, in millimetres.
    pub elastic_mm: f64,
    /// Distance of the control points, in millimetres.
    pub elastic_spacing_mm: f64,
    /// Probability of a mirrored head, sides exchanged.
    pub mirrored: f64,
    /// Probability of contrasts like those of T1-weighted scans; otherwise contrasts are random.
    pub t1_like: f64,
    /// Probability that everything outside the dura is zero, as after skull stripping.
    pub stripped: f64,
    /// Part of the stripped ones without fluid around the brain.
    pub stripped_to_brain: f64,
    /// Probability that a slab at one side is outside the field of view.
    pub cut: f64,
    /// Greatest standard deviation of the logarithm of the bias field at its control points.
    pub bias: f64,
    /// Probability of coarser voxels.
    pub coarse: f64,
    /// Greatest size of coarser isotropic voxels, in millimetres.
    pub isotropic_max_mm: f64,
    /// Greatest distance of thick slices, in millimetres.
    pub slices_max_mm: f64,
    /// Greatest standard deviation of added noise, for an image from 0 to 1.
    pub noise: f64,
    /// Standard deviation of the logarithm of the exponent that intensities are raised to.
    pub gamma: f64,
}

impl Default for SynthesisRecipe {
    fn default() -> Self {
        Self {
            rotation_deg: 15.0,
            scaling: 0.15,
            shear: 0.02,
            shift_mm: 36.0,
            elastic_mm: 5.0,
            elastic_spacing_mm: 28.0,
            mirrored: 0.5,
            t1_like: 0.5,
            stripped: 0.4,
            stripped_to_brain: 0.3,
            cut: 0.15,
            bias: 0.5,
            coarse: 0.6,
            isotropic_max_mm: 4.5,
            slices_max_mm: 6.0,
            noise: 0.06,
            gamma: 0.3,
        }
    }
}

/// A weighting that images are simulated in, beside T1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weighting {
    /// T2: fluid bright, white matter darker than grey.
    #[default]
    T2,
    /// Proton density: little contrast between the tissues.
    Pd,
}
