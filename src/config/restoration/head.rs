//! The tasks of restoration heads, and the degradation of true images.

use serde::{Deserialize, Serialize};

use super::{ADVICE, above_zero, at_least_one, not_below_zero, probability};
use crate::acquisition::sampling::Pattern;
use crate::config::{SynthesisRecipe, Weighting};
use crate::error::{Error, Result};
use crate::simulate::degrade::{ProfileShape, RandomMotion};

/// Times a grid may become finer along an axis.
const FACTOR_MAX: usize = 8;

/// The task of a restoration head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum HeadRecipe {
    /// Super-resolution.
    Superres(SuperresRecipe),
    /// In-painting of missing voxels.
    Inpaint(InpaintRecipe),
    /// Reconstruction of undersampled k-space.
    Recon(ReconRecipe),
    /// Motion correction.
    Motion(MotionRecipe),
    /// Translation to another contrast.
    Translate(TranslateRecipe),
    /// Progression: the same brain some years later.
    Progress(ProgressRecipe),
}

impl HeadRecipe {
    /// The name of the task, as in the recipe.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Superres(_) => "superres",
            Self::Inpaint(_) => "inpaint",
            Self::Recon(_) => "recon",
            Self::Motion(_) => "motion",
            Self::Translate(_) => "translate",
            Self::Progress(_) => "progress",
        }
    }
}

/// Translation between contrasts, trained on pairs that are simulated from label maps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TranslateRecipe {
    /// The contrast that T1-weighted images are translated to.
    pub to: Weighting,
    /// The synthesis of heads and images; voxels stay at 1 mm, and contrasts are T1-like.
    pub synthesis: SynthesisRecipe,
    /// Label maps whose names contain one of these are held out, for testing.
    pub held_out: Vec<String>,
}

/// Progression, trained on visits that are simulated from label maps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProgressRecipe {
    /// Largest number of years between the visits.
    pub years: f64,
    /// Groups of people; each example is of one of them.
    pub groups: Vec<AgeingGroup>,
    /// Standard deviation of the logarithm of a person's rate of change relative to the group's.
    pub spread: f64,
    /// The synthesis of heads and images; voxels stay at 1 mm, and contrasts are T1-like.
    pub synthesis: SynthesisRecipe,
    /// Label maps whose names contain one of these are held out, for testing.
    pub held_out: Vec<String>,
}

impl Default for ProgressRecipe {
    fn default() -> Self {
        let (synthesis, held_out) = Default::default();
        Self { years: 10.0, groups: Vec::new(), spread: 0.2, synthesis, held_out }
    }
}

/// A group of people with the same mean rate of change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgeingGroup {
    /// Name of the group.
    pub name: String,
    /// Relative change of the lateral ventricles' volume in a year.
    pub ventricles: f64,
    /// Relative change of the cerebral cortex's volume in a year.
    pub cortex: f64,
}

/// Super-resolution: the measured voxels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SuperresRecipe {
    /// Voxels of the result for each measured one along `[D, H, W]`; of several factors, one is drawn for each example,
    /// and is the network's condition.
    pub factors: Vec<[usize; 3]>,
    /// The slice profile of a measured voxel along an axis whose factor is above one.
    pub profile: ProfileShape,
    /// Width of the profile in measured voxels: the width of a boxcar, the full width at half maximum of a Gaussian;
    /// below one there are gaps.
    pub width: f64,
    /// Greatest standard deviation of the noise that is added to the measurement, as a part of the brightest tissue.
    pub noise: f64,
    /// Whether the network's input is the measured voxels, which it upsamples, rather than their interpolation. Only
    /// with one factor.
    pub measured: bool,
}

impl Default for SuperresRecipe {
    fn default() -> Self {
        let profile = ProfileShape::Boxcar;
        Self { factors: vec![[2; 3]], profile, width: 1.0, noise: 0.0, measured: false }
    }
}

/// In-painting: the missing voxels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InpaintRecipe {
    /// Greatest number of missing ellipsoids, such as lesions.
    pub holes: usize,
    /// Their half axes in voxels, `[minimum, maximum]`.
    #[serde(alias = "radius")]
    pub radius_voxels: [f64; 2],
    /// Part of the examples in which slices are missing instead.
    pub slices: f64,
    /// Greatest number of adjacent missing slices.
    pub slices_max: usize,
}

impl Default for InpaintRecipe {
    fn default() -> Self {
        Self { holes: 4, radius_voxels: [3.0, 12.0], slices: 0.3, slices_max: 4 }
    }
}

/// Reconstruction: sampling, coils and noise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReconRecipe {
    /// Sampling patterns; of several, one is drawn for each example, and its acceleration is the network's condition.
    pub patterns: Vec<Pattern>,
    /// Number of simulated receive coils of an example.
    pub coils: usize,
    /// Standard deviation of the coefficients of the smooth phase of true images, in radians.
    #[serde(alias = "phase")]
    pub phase_rad: f64,
    /// Greatest standard deviation of the noise of each sample, as a part of the brightest tissue.
    pub noise: f64,
    /// The initial estimate.
    #[serde(alias = "start")]
    pub initial: InitialEstimate,
    /// Further inputs of the network, beside the initial estimate.
    #[serde(alias = "beside")]
    pub extra_inputs: Vec<InitialEstimate>,
}

/// The image of a classical method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InitialEstimate {
    /// Zeros where nothing was measured.
    #[default]
    ZeroFilled,
    /// The image of minimum total variation, after few iterations.
    TotalVariation,
    /// The image by [`L1Wavelet`](crate::recon::L1Wavelet), after few iterations; only without motion.
    L1Wavelet,
}

impl Default for ReconRecipe {
    fn default() -> Self {
        let (patterns, initial, extra_inputs) = Default::default();
        Self { patterns, coils: 1, phase_rad: 0.5, noise: 0.0, initial, extra_inputs }
    }
}

/// Motion correction: the motion, and whether it is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MotionRecipe {
    /// The motion between the shots of an example.
    pub motion: RandomMotion,
    /// Whether the samples and the head's position of each shot are known: then the initial estimate is the
    /// least-squares image, and the result is consistent with the samples. Otherwise only the image is known.
    pub known: bool,
}

impl HeadRecipe {
    /// Names of label maps that are held out of training; `None` for tasks that are trained on images.
    pub fn held_out(&self) -> Option<&[String]> {
        match self {
            Self::Translate(translate) => Some(&translate.held_out),
            Self::Progress(progress) => Some(&progress.held_out),
            _ => None,
        }
    }

    pub(super) fn validate(&self) -> Result<()> {
        match self {
            Self::Superres(superres) => {
                let factors = &superres.factors;
                let wrong = |factors: &[usize; 3]| {
                    *factors == [1; 3] || factors.iter().any(|&n| n == 0 || n > FACTOR_MAX)
                };
                if factors.is_empty() || factors.iter().any(wrong) {
                    let expected = format!("factors of 1 to {FACTOR_MAX}, not all of them 1");
                    return Err(Error::value("head.factors", expected, format!("{factors:?}"), ADVICE));
                }
                if superres.measured && factors.len() > 1 {
                    let (expected, found) = ("one factor", format!("{} of them", factors.len()));
                    let advice = "let the network see their interpolation: measured = false";
                    return Err(Error::value("head.factors", expected, found, advice));
                }
                above_zero("head.width", superres.width)?;
                not_below_zero("head.noise", superres.noise)
            }
            Self::Inpaint(inpaint) => {
                let [least, greatest] = inpaint.radius_voxels;
                if !(least > 0.0 && least <= greatest && greatest.is_finite()) {
                    let found = format!("{:?}", inpaint.radius_voxels);
                    return Err(Error::value(
                        "head.radius_voxels",
                        "two positive numbers that rise",
                        found,
                        ADVICE,
                    ));
                }
                probability("head.slices", inpaint.slices)?;
                at_least_one("head.holes", inpaint.holes)?;
                at_least_one("head.slices_max", inpaint.slices_max)
            }
            Self::Recon(recon) => {
                if recon.patterns.is_empty() {
                    let advice = "give one, such as { kind = \"radial\", spokes = { acceleration = 4.0 } }";
                    return Err(Error::value("head.patterns", "a pattern of sampling", "none", advice));
                }
                at_least_one("head.coils", recon.coils)?;
                not_below_zero("head.phase_rad", recon.phase_rad)?;
                not_below_zero("head.noise", recon.noise)
            }
            // Ranges are looked at where motion is drawn.
            Self::Motion(_) => Ok(()),
            Self::Translate(translate) => translate.synthesis.validate("head.synthesis"),
            Self::Progress(progress) => {
                if progress.groups.is_empty() {
                    let advice =
                        "give one, such as { name = \"healthy\", ventricles = 0.04, cortex = -0.005 }";
                    return Err(Error::value("head.groups", "a group of people", "none", advice));
                }
                for (n, group) in progress.groups.iter().enumerate() {
                    for (key, yearly) in [("ventricles", group.ventricles), ("cortex", group.cortex)] {
                        if !(-0.5..=0.5).contains(&yearly) {
                            let (key, found) = (format!("head.groups[{n}].{key}"), yearly.to_string());
                            return Err(Error::value(key, "-0.5 to 0.5 in a year", found, ADVICE));
                        }
                    }
                }
                above_zero("head.years", progress.years)?;
                not_below_zero("head.spread", progress.spread)?;
                progress.synthesis.validate("head.synthesis")
            }
        }
    }
}
