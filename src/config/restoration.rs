//! The recipe of a restoration head: its task, its network, its losses, its training.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{in_file, parse, to_toml};
use crate::error::{Error, Result};
use crate::mri::degrade::{ProfileShape, RandomMotion};
use crate::mri::sampling::Pattern;

/// Times a grid may become finer along an axis.
const FACTOR_MAX: usize = 8;
/// What errors of this file advise.
const ADVICE: &str = "change this key";

/// A restoration head and how it is trained: the whole of a recipe file that has a table `[head]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestorationRecipe {
    /// What is restored, and how training examples are degraded.
    pub head: HeadRecipe,
    /// The network.
    pub network: RestorerRecipe,
    /// Several networks, one after the other.
    #[serde(default)]
    pub chain: ChainRecipe,
    /// What the network is asked for.
    #[serde(default)]
    pub loss: RestorationLoss,
    /// Optimiser and length of the run.
    #[serde(default)]
    pub training: RestorationTraining,
}

/// What is restored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "kebab-case", deny_unknown_fields)]
pub enum HeadRecipe {
    /// A finer grid.
    Superres(SuperresRecipe),
    /// Voxels that are missing.
    Inpaint(InpaintRecipe),
    /// k-space that was measured in part.
    Recon(ReconRecipe),
    /// A head that moved.
    Motion(MotionRecipe),
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
    /// Their half axes in voxels, `[least, greatest]`.
    pub radius: [f64; 2],
    /// Part of the examples in which slices are missing instead.
    pub slices: f64,
    /// Greatest number of missing slices beside each other.
    pub slices_max: usize,
}

impl Default for InpaintRecipe {
    fn default() -> Self {
        Self { holes: 4, radius: [3.0, 12.0], slices: 0.3, slices_max: 4 }
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
    pub phase: f64,
    /// Greatest standard deviation of the noise of each sample, as a part of the brightest tissue.
    pub noise: f64,
}

impl Default for ReconRecipe {
    fn default() -> Self {
        Self { patterns: Vec::new(), coils: 1, phase: 0.5, noise: 0.0 }
    }
}

/// Motion correction: how heads move, and whether it is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MotionRecipe {
    /// How the head moves between the shots of an example.
    pub motion: RandomMotion,
    /// What was measured at each shot, and where the head lay then, is known: restoration starts from the least-squares image
    /// and is held to the samples. Else only the image is known.
    pub known: bool,
}

/// Several networks of one shape, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChainRecipe {
    /// How many.
    pub stages: usize,
    /// What keeps them to the measurement.
    pub between: Between,
}

impl Default for ChainRecipe {
    fn default() -> Self {
        Self { stages: 1, between: Between::Project }
    }
}

/// What stands between the stages of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Between {
    /// Each result is held to the measurement exactly (RefineGAN: Quan et al. 2018).
    Project,
    /// Each stage takes a step of learned size towards the measurement beside what its network says (variational network:
    /// Hammernik et al. 2018; Sriram et al. 2020).
    Step,
}

/// A restoration network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RestorerRecipe {
    /// Residual blocks at one scale.
    Residual {
        /// Channels within.
        channels: usize,
        /// Residual blocks of two convolutions.
        blocks: usize,
        /// Voxels `[D, H, W]` that become the channels of one place.
        #[serde(default = "one")]
        fold: [usize; 3],
        /// How the grid becomes finer.
        #[serde(default)]
        upsampling: Upsampling,
    },
    /// Several scales.
    UNet {
        /// Channels of each level, finest first.
        widths: Vec<usize>,
        /// Voxels `[D, H, W]` that become the channels of one place.
        #[serde(default = "one")]
        fold: [usize; 3],
    },
}

fn one() -> [usize; 3] {
    [1; 3]
}

/// How a grid becomes finer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Upsampling {
    /// Channels become voxels (Shi et al. 2016): any factor.
    #[default]
    SubPixel,
    /// Filtered enlargement and a convolution, by two at a time.
    Resize,
    /// Transposed convolution, by two at a time.
    Transposed,
}

/// Weights of the terms of the loss; a term of weight zero is not computed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RestorationLoss {
    /// Mean absolute difference.
    pub l1: f64,
    /// Mean absolute difference of neighbours' differences along the axes (Mathieu et al. 2016).
    pub gradient: f64,
    /// Mean absolute difference of the spectra.
    pub spectrum: f64,
    /// Mean absolute difference of what the segmenter's encoder sees, an own perceptual loss (after Johnson et al. 2016).
    pub perceptual: f64,
    /// What is measured replaces what the network says of it before the loss is taken.
    pub consistent: bool,
}

impl Default for RestorationLoss {
    fn default() -> Self {
        Self { l1: 1.0, gradient: 0.0, spectrum: 0.0, perceptual: 0.0, consistent: true }
    }
}

/// Optimiser and length of a head's training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RestorationTraining {
    /// Steps in all.
    pub steps: u64,
    /// Examples of a step.
    pub batch: usize,
    /// Grid `[D, H, W]` of an example.
    pub patch: [usize; 3],
    /// Adam's step at its height; it rises over the first steps and falls to nothing as a cosine.
    pub learning_rate: f64,
    /// Steps over which the step size rises.
    pub warm_up: u64,
    /// Adam's decay of the first and second moment.
    pub adam_betas: [f64; 2],
    /// Half-life of the network's average, in steps.
    pub average_steps: f64,
    /// Steps from one line of the log to the next.
    pub log_every_steps: u64,
    /// Steps from one picture to the next.
    pub picture_every_steps: u64,
    /// Steps from one checkpoint to the next.
    pub checkpoint_every_steps: u64,
    /// Seed of everything random in the run.
    pub seed: u64,
}

impl Default for RestorationTraining {
    fn default() -> Self {
        Self {
            steps: 10_000,
            batch: 1,
            patch: [48; 3],
            learning_rate: 0.005,
            warm_up: 50,
            adam_betas: [0.9, 0.99],
            average_steps: 100.0,
            log_every_steps: 20,
            picture_every_steps: 500,
            checkpoint_every_steps: 200,
            seed: 0,
        }
    }
}

impl RestorationRecipe {
    /// Parses and validates `text`; `path` is named in errors.
    ///
    /// # Errors
    /// [`Error::File`] with the key's path if it is no valid recipe.
    pub fn from_toml(text: &str, path: &Path) -> Result<Self> {
        let recipe: Self = parse(text, path)?;
        recipe.validate().map_err(|e| in_file(e, path))?;
        Ok(recipe)
    }

    /// The recipe as TOML.
    ///
    /// # Errors
    /// [`Error::Value`] if a number does not fit TOML (a seed above 2⁶³ − 1).
    pub fn to_toml(&self) -> Result<String> {
        to_toml(self)
    }

    fn network_enlarges(&self) -> bool {
        matches!(&self.head, HeadRecipe::Superres(superres) if superres.measured)
    }

    /// Whether patches are slices.
    pub fn flat(&self) -> bool {
        self.training.patch[0] == 1
    }

    /// Checks that the numbers make sense together.
    ///
    /// # Errors
    /// [`Error::Value`] with the path of the first key that does not.
    pub fn validate(&self) -> Result<()> {
        self.head.validate()?;
        self.network.validate(&self.head)?;
        if self.chain.stages == 0 || (self.chain.stages > 1 && self.network_enlarges()) {
            let expected =
                if self.chain.stages == 0 { "1 or more" } else { "1 where measured voxels are given" };
            return Err(Error::value("chain.stages", expected, self.chain.stages.to_string(), ADVICE));
        }
        let (training, loss) = (&self.training, &self.loss);
        let numbers = [
            ("training.learning_rate", training.learning_rate, true),
            ("training.average_steps", training.average_steps, true),
            ("training.steps", training.steps as f64, true),
            ("training.batch", training.batch as f64, true),
            ("training.log_every_steps", training.log_every_steps as f64, true),
            ("training.picture_every_steps", training.picture_every_steps as f64, true),
            ("training.checkpoint_every_steps", training.checkpoint_every_steps as f64, true),
            ("loss.l1", loss.l1, false),
            ("loss.gradient", loss.gradient, false),
            ("loss.spectrum", loss.spectrum, false),
            ("loss.perceptual", loss.perceptual, false),
        ];
        for (key, value, positive) in numbers {
            number(key, value, positive)?;
        }
        for (key, beta) in
            ["training.adam_betas[0]", "training.adam_betas[1]"].iter().zip(training.adam_betas)
        {
            if !(0.0..1.0).contains(&beta) {
                return Err(Error::value(*key, "0 or more and less than 1", beta.to_string(), ADVICE));
            }
        }
        if [loss.l1, loss.gradient, loss.spectrum, loss.perceptual].iter().all(|&weight| weight == 0.0) {
            return Err(Error::value("loss", "a term with a weight", "none", "give l1 a weight"));
        }
        let multiple = self.multiple();
        let fits = (0..3)
            .all(|axis| training.patch[axis] > 0 && training.patch[axis].is_multiple_of(multiple[axis]));
        if !fits {
            let (expected, found) = (format!("multiples of {multiple:?}"), format!("{:?}", training.patch));
            return Err(Error::value("training.patch", expected, found, ADVICE));
        }
        Ok(())
    }

    /// What the axes `[D, H, W]` of a grid that the network sees as a whole must be multiples of.
    pub fn multiple(&self) -> [usize; 3] {
        let network = match &self.network {
            RestorerRecipe::Residual { fold, .. } => *fold,
            RestorerRecipe::UNet { widths, fold } => {
                let levels = 1usize << (widths.len() - 1);
                [0, 1, 2].map(|axis| fold[axis] * if axis == 0 && self.flat() { 1 } else { levels })
            }
        };
        match &self.head {
            HeadRecipe::Superres(superres) => superres
                .factors
                .iter()
                .fold(network, |all, factors| [0, 1, 2].map(|axis| common(all[axis], factors[axis]))),
            HeadRecipe::Inpaint(_) | HeadRecipe::Recon(_) | HeadRecipe::Motion(_) => network,
        }
    }
}

/// The least number that both divide.
fn common(a: usize, b: usize) -> usize {
    let (mut divisor, mut rest) = (a, b);
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    a / divisor * b
}

fn number(key: &str, value: f64, positive: bool) -> Result<()> {
    let valid = value.is_finite() && if positive { value > 0.0 } else { value >= 0.0 };
    let expected = if positive { "a positive number" } else { "zero or more" };
    if valid { Ok(()) } else { Err(Error::value(key, expected, value.to_string(), ADVICE)) }
}

impl HeadRecipe {
    fn validate(&self) -> Result<()> {
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
                number("head.width", superres.width, true)?;
                number("head.noise", superres.noise, false)
            }
            Self::Inpaint(inpaint) => {
                let [least, greatest] = inpaint.radius;
                if !(least > 0.0 && least <= greatest && greatest.is_finite()) {
                    let found = format!("{:?}", inpaint.radius);
                    return Err(Error::value("head.radius", "two positive numbers that rise", found, ADVICE));
                }
                if !(0.0..=1.0).contains(&inpaint.slices) {
                    return Err(Error::value("head.slices", "0 to 1", inpaint.slices.to_string(), ADVICE));
                }
                number("head.holes", inpaint.holes as f64, true)?;
                number("head.slices_max", inpaint.slices_max as f64, true)
            }
            Self::Recon(recon) => {
                if recon.patterns.is_empty() {
                    let advice = "give one, such as { kind = \"radial\", spokes = { acceleration = 4.0 } }";
                    return Err(Error::value("head.patterns", "a pattern of sampling", "none", advice));
                }
                number("head.coils", recon.coils as f64, true)?;
                number("head.phase", recon.phase, false)?;
                number("head.noise", recon.noise, false)
            }
            // Its ranges are looked at where motion is drawn.
            Self::Motion(_) => Ok(()),
        }
    }
}

impl RestorerRecipe {
    fn validate(&self, head: &HeadRecipe) -> Result<()> {
        let enlarging = match head {
            HeadRecipe::Superres(superres) if superres.measured => Some(superres.factors[0]),
            _ => None,
        };
        let fold = match self {
            Self::Residual { channels, blocks, fold, upsampling } => {
                number("network.channels", *channels as f64, true)?;
                number("network.blocks", *blocks as f64, true)?;
                let rise = [0, 1, 2].map(|axis| fold[axis] * enlarging.map_or(1, |factors| factors[axis]));
                let highest = rise.iter().copied().max().unwrap_or(1);
                let doubled = rise.iter().all(|&n| n == 1 || (n == highest && n.is_power_of_two()));
                if *upsampling != Upsampling::SubPixel && !doubled {
                    let expected = "factors of 1 and of one power of two";
                    let advice = "take upsampling = \"sub-pixel\"";
                    return Err(Error::value("network.upsampling", expected, format!("{rise:?}"), advice));
                }
                fold
            }
            Self::UNet { widths, fold } => {
                if widths.is_empty() || widths.contains(&0) {
                    let found = format!("{widths:?}");
                    return Err(Error::value("network.widths", "positive widths", found, ADVICE));
                }
                if enlarging.is_some() {
                    let advice = "take kind = \"residual\", or measured = false";
                    return Err(Error::value("network.kind", "residual", "u-net", advice));
                }
                fold
            }
        };
        if fold.contains(&0) {
            return Err(Error::value("network.fold", "1 or more", format!("{fold:?}"), ADVICE));
        }
        Ok(())
    }
}
