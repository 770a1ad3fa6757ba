//! What is restored, and how true images are degraded.

use serde::{Deserialize, Serialize};

use super::{ADVICE, above_zero, at_least_one, not_below_zero, probability};
use crate::acquisition::sampling::Pattern;
use crate::config::{SynthesisRecipe, Weighting};
use crate::error::{Error, Result};
use crate::simulate::degrade::{ProfileShape, RandomMotion};

/// Times a grid may become finer along an axis.
const FACTOR_MAX: usize = 8;

/// What is restored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum HeadRecipe {
    /// A finer grid.
    Superres(SuperresRecipe),
    /// Voxels that are missing.
    Inpaint(InpaintRecipe),
    /// k-space that was measured in part.
    Recon(ReconRecipe),
    /// A head that moved.
    Motion(MotionRecipe),
    /// Another contrast.
    Translate(TranslateRecipe),
    /// The same brain some years later.
    Progress(ProgressRecipe),
}

impl HeadRecipe {
    /// Its name.
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

/// Translation between contrasts, learned from pairs that are simulated of label maps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TranslateRecipe {
    /// The contrast that T1-weighted images are translated to.
    pub to: Weighting,
    /// How heads and their images are drawn; voxels stay at 1 mm, and contrasts are T1-like.
    pub synthesis: SynthesisRecipe,
    /// Label maps whose names contain one of these are kept out, for testing.
    pub held_out: Vec<String>,
}

/// Progression, learned from visits that are simulated of label maps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProgressRecipe {
    /// Most years between the visits.
    pub years: f64,
    /// Groups of people, of which each example has one.
    pub groups: Vec<AgeingGroup>,
    /// Standard deviation of the logarithm of how fast a person is beside the group.
    pub spread: f64,
    /// How heads and their images are drawn; voxels stay at 1 mm, and contrasts are T1-like.
    pub synthesis: SynthesisRecipe,
    /// Label maps whose names contain one of these are kept out, for testing.
    pub held_out: Vec<String>,
}

impl Default for ProgressRecipe {
    fn default() -> Self {
        let (synthesis, held_out) = Default::default();
        Self { years: 10.0, groups: Vec::new(), spread: 0.2, synthesis, held_out }
    }
}

/// People whose brains change alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgeingGroup {
    /// What the group is called.
    pub name: String,
    /// Change of the lateral ventricles' volume in a year, as a part of it.
    pub ventricles: f64,
    /// Change of the cerebral cortex's volume in a year, as a part of it.
    pub cortex: f64,
}

/// Super-resolution: how coarse the measured voxels are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SuperresRecipe {
    /// Voxels of the result for each measured one along `[D, H, W]`; of several, one is drawn for each example, and the
    /// network is told which.
    pub factors: Vec<[usize; 3]>,
    /// What a measured voxel weighs along an axis that becomes finer.
    pub profile: ProfileShape,
    /// Width of the profile in measured voxels: a boxcar's whole, a Gaussian's full width at half maximum; below one there
    /// are gaps.
    pub width: f64,
    /// Greatest standard deviation of the noise that is added to what is measured, as a part of the brightest tissue.
    pub noise: f64,
    /// The network is given the measured voxels themselves, and enlarges them, instead of their interpolation. Only with one
    /// factor.
    pub measured: bool,
}

impl Default for SuperresRecipe {
    fn default() -> Self {
        let profile = ProfileShape::Boxcar;
        Self { factors: vec![[2; 3]], profile, width: 1.0, noise: 0.0, measured: false }
    }
}

/// In-painting: what is missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InpaintRecipe {
    /// Greatest number of ellipsoids that are missing, as of lesions.
    pub holes: usize,
    /// Their half axes in voxels, `[minimum, maximum]`.
    #[serde(alias = "radius")]
    pub radius_voxels: [f64; 2],
    /// Part of the examples in which slices are missing instead.
    pub slices: f64,
    /// Greatest number of missing slices beside each other.
    pub slices_max: usize,
}

impl Default for InpaintRecipe {
    fn default() -> Self {
        Self { holes: 4, radius_voxels: [3.0, 12.0], slices: 0.3, slices_max: 4 }
    }
}

/// Reconstruction: how much of k-space is measured, and by what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReconRecipe {
    /// Patterns of sampling; of several, one is drawn for each example, and the network is told its acceleration.
    pub patterns: Vec<Pattern>,
    /// Simulated receive coils of an example.
    pub coils: usize,
    /// Standard deviation of the coefficients of the smooth phase that true images are given, in radians.
    #[serde(alias = "phase")]
    pub phase_rad: f64,
    /// Greatest standard deviation of the noise of each sample, as a part of the brightest tissue.
    pub noise: f64,
    /// The initial estimate.
    #[serde(alias = "start")]
    pub initial: InitialEstimate,
    /// Other images that the network sees besides.
    #[serde(alias = "beside")]
    pub extra_inputs: Vec<InitialEstimate>,
}

/// A classical image of what was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InitialEstimate {
    /// Zeros where nothing was measured.
    #[default]
    ZeroFilled,
    /// The image of minimum total variation, after few iterations.
    TotalVariation,
    /// The image that is sparsest in wavelets, after few iterations; of a head that lay still.
    L1Wavelet,
}

impl Default for ReconRecipe {
    fn default() -> Self {
        let (patterns, initial, extra_inputs) = Default::default();
        Self { patterns, coils: 1, phase_rad: 0.5, noise: 0.0, initial, extra_inputs }
    }
}

/// Motion correction: how heads move, and whether it is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MotionRecipe {
    /// How the head moves between the shots of an example.
    pub motion: RandomMotion,
    /// What was measured at each shot, and where the head lay then, is known: the initial estimate is the
    /// least-squares image, consistent with the samples. Else only the image is known.
    pub known: bool,
}

impl HeadRecipe {
    /// Label maps that are kept out of training; none where a head learns from images.
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
