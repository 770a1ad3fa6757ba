//! The recipe of a restoration head: its task, its network, its losses, its training.

use std::path::Path;

use serde::{Deserialize, Serialize};

mod discriminator;
mod head;
mod network;
mod unpaired;

pub use discriminator::{AdversarialLoss, DiscriminatorKind, DiscriminatorRecipe};
pub use head::{
    AgeingGroup, HeadRecipe, InitialEstimate, InpaintRecipe, MotionRecipe, ProgressRecipe, ReconRecipe,
    SuperresRecipe, TranslateRecipe,
};
pub use network::{Between, CascadeRecipe, RestorerRecipe, Upsampling};
pub use unpaired::UnpairedRecipe;

use super::validation::{above_zero, adam_betas, at_least_one, not_below_zero, probability, within};
use super::{parse, to_toml};
use crate::error::{Error, Result};

/// Most networks of a cascade.
const STAGES_MAX: usize = 64;

/// What errors of this file advise.
const ADVICE: &str = "change this key";

/// The recipe of a restoration head and its training: a file with a table `[head]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestorationRecipe {
    /// The task, and the degradation of training examples.
    pub head: HeadRecipe,
    /// The network.
    pub network: RestorerRecipe,
    /// The cascade of networks.
    #[serde(default, alias = "chain")]
    pub cascade: CascadeRecipe,
    /// The losses.
    #[serde(default)]
    pub loss: RestorationLoss,
    /// A discriminator between restored and true images; none by default.
    #[serde(default, alias = "adversary", skip_serializing_if = "Option::is_none")]
    pub discriminator: Option<DiscriminatorRecipe>,
    /// Translation without pairs; with pairs by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpaired: Option<UnpairedRecipe>,
    /// Optimiser and length of the run.
    #[serde(default)]
    pub training: RestorationTraining,
}

/// Weights of the terms of the loss; a term of weight zero is not computed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RestorationLoss {
    /// Mean absolute difference.
    pub l1: f64,
    /// Mean squared difference.
    pub l2: f64,
    /// Mean absolute difference of neighbours' differences along the axes (Mathieu et al. 2016).
    pub gradient: f64,
    /// Mean absolute difference of the spectra.
    pub spectrum: f64,
    /// Mean absolute difference of the features of the segmenter's encoder, a perceptual loss (after Johnson et al.
    /// 2016).
    pub perceptual: f64,
    /// Whether data consistency is applied to the network's output before the loss.
    pub consistent: bool,
    /// Whether each example's loss is divided by the mean absolute error of its initial estimate, so that easy examples
    /// count as much as hard ones.
    pub relative: bool,
}

impl Default for RestorationLoss {
    fn default() -> Self {
        let [l1, l2, gradient, spectrum, perceptual] = [1.0, 0.0, 0.0, 0.0, 0.0];
        Self { l1, l2, gradient, spectrum, perceptual, consistent: true, relative: false }
    }
}

/// Optimiser and length of a head's training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RestorationTraining {
    /// Number of steps.
    pub steps: u64,
    /// Number of examples of a step.
    pub batch: usize,
    /// Grid `[D, H, W]` of an example.
    pub patch: [usize; 3],
    /// Adam's largest step size; it rises over the first steps and falls to zero as a cosine.
    pub learning_rate: f64,
    /// Steps over which the step size rises.
    pub warm_up: u64,
    /// Adam's decay of the first and second moment.
    pub adam_betas: [f64; 2],
    /// Half-life of the network's running average, in steps.
    #[serde(alias = "average_steps")]
    pub ema_half_life_steps: f64,
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
            ema_half_life_steps: 100.0,
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
    /// [`Error::File`] with the key's path if it is not a valid recipe.
    pub fn from_toml(text: &str, path: &Path) -> Result<Self> {
        let mut recipe: Self = parse(text, path)?;
        recipe.complete_discriminator(text);
        recipe.validate().map_err(|e| e.in_file(path))?;
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

    /// Whether patches are slices, of depth one.
    pub fn flat(&self) -> bool {
        self.training.patch[0] == 1
    }

    /// Checks ranges and the consistency of keys.
    ///
    /// # Errors
    /// [`Error::Value`] with the path of the first key that is invalid.
    pub fn validate(&self) -> Result<()> {
        self.head.validate()?;
        self.network.validate(&self.head)?;
        within("cascade.stages", self.cascade.stages.max(1), 1, STAGES_MAX)?;
        if self.cascade.stages == 0 || (self.cascade.stages > 1 && self.network_enlarges()) {
            let expected =
                if self.cascade.stages == 0 { "1 or more" } else { "1 where measured voxels are given" };
            return Err(Error::value("cascade.stages", expected, self.cascade.stages.to_string(), ADVICE));
        }
        let (training, loss) = (&self.training, &self.loss);
        for (key, value) in [
            ("training.steps", training.steps as usize),
            ("training.batch", training.batch),
            ("training.log_every_steps", training.log_every_steps as usize),
            ("training.picture_every_steps", training.picture_every_steps as usize),
            ("training.checkpoint_every_steps", training.checkpoint_every_steps as usize),
        ] {
            at_least_one(key, value)?;
        }
        above_zero("training.learning_rate", training.learning_rate)?;
        above_zero("training.ema_half_life_steps", training.ema_half_life_steps)?;
        adam_betas("training.adam_betas", training.adam_betas)?;
        for (key, weight) in [
            ("loss.l1", loss.l1),
            ("loss.l2", loss.l2),
            ("loss.gradient", loss.gradient),
            ("loss.spectrum", loss.spectrum),
            ("loss.perceptual", loss.perceptual),
        ] {
            not_below_zero(key, weight)?;
        }
        let terms = [loss.l1, loss.l2, loss.gradient, loss.spectrum, loss.perceptual];
        if terms.iter().all(|&weight| weight == 0.0) {
            return Err(Error::value("loss", "a term with a weight", "none", "give l1 a weight"));
        }
        if let Some(discriminator) = &self.discriminator {
            discriminator.validate(training.patch)?;
        }
        if let Some(unpaired) = &self.unpaired {
            unpaired.validate(self)?;
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

    /// A lower bound of the number of parameters of a network of this recipe: those of its convolutions with equal
    /// numbers of input and output channels.
    pub fn least_parameters(&self) -> u128 {
        let taps = if self.flat() { 9 } else { 27 };
        let square = |n: usize| taps * (n as u128).pow(2);
        let stage = match &self.network {
            RestorerRecipe::Residual { channels, blocks, .. } => 2 * *blocks as u128 * square(*channels),
            RestorerRecipe::UNet { widths, .. } => widths.iter().map(|&n| square(n)).sum(),
        };
        self.cascade.stages as u128 * stage
    }

    /// The numbers that the lengths `[D, H, W]` of the network's input grid must be multiples of.
    pub fn multiple(&self) -> [usize; 3] {
        let network = match &self.network {
            RestorerRecipe::Residual { space_to_depth, .. } => *space_to_depth,
            RestorerRecipe::UNet { widths, space_to_depth } => {
                let levels = 1usize << (widths.len() - 1);
                [0, 1, 2].map(|axis| space_to_depth[axis] * if axis == 0 && self.flat() { 1 } else { levels })
            }
        };
        match &self.head {
            HeadRecipe::Superres(superres) => superres
                .factors
                .iter()
                .fold(network, |all, factors| [0, 1, 2].map(|axis| common(all[axis], factors[axis]))),
            _ => network,
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
