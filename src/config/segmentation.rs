//! The recipe of the segmenter: its network, its training images, its training.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::validation::{self, above_zero, adam_betas, at_least, at_least_one, not_below_zero, probability};
use super::{parse, to_toml};
use crate::error::{Error, Result};
use crate::simulate::synthesis::SynthesisRecipe;

/// Levels a network may have: five of them reach 32 mm.
const LEVELS_MAX: usize = 6;
/// Shortest axis of a block of the second network: its borders are not used.
const DETAIL_MIN: usize = 20;

/// The recipe of a segmenter and its training: a file with a table `[segmenter]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentationRecipe {
    /// The network.
    pub segmenter: SegmenterRecipe,
    /// The second network, in a recipe of its training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<DetailRecipe>,
    /// The synthesis of images from label maps.
    #[serde(default)]
    pub synthesis: SynthesisRecipe,
    /// Optimiser and length of the run.
    #[serde(default)]
    pub training: SegmentationTraining,
}

/// The segmentation network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmenterRecipe {
    /// Channels of each level, from half the grid (2 mm) down.
    pub widths: Vec<usize>,
}

/// A second network at full resolution that corrects the first one around ventricles and medial temporal lobes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetailRecipe {
    /// Channels of each level, from 1 mm down.
    pub widths: Vec<usize>,
    /// Grid `[D, H, W]` of a block at 1 mm: the centre of the first network's block.
    pub crop: [usize; 3],
}

/// Optimiser and length of a segmenter's training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SegmentationTraining {
    /// Number of steps.
    pub steps: u64,
    /// Number of images of a step.
    pub batch: usize,
    /// Share of the images that are real scans, if there are scans; the others are made from label maps.
    pub real: f64,
    /// Grid `[D, H, W]` of an image at 1 mm.
    pub crop: [usize; 3],
    /// Adam's largest step size; it rises over the first steps and falls to zero as a cosine.
    pub learning_rate: f64,
    /// Weight of the cross-entropy beside the Dice loss.
    pub cross_entropy: f64,
    /// Steps over which the step size rises.
    pub warm_up: u64,
    /// Adam's decay of the first and second moment.
    pub adam_betas: [f64; 2],
    /// Half-life of the network's running average, in steps.
    #[serde(alias = "average_steps")]
    pub ema_half_life_steps: f64,
    /// Label maps whose names contain one of these are held out, for testing.
    pub held_out: Vec<String>,
    /// Steps from one line of the log to the next.
    pub log_every_steps: u64,
    /// Steps from one checkpoint and picture to the next.
    pub checkpoint_every_steps: u64,
    /// Seed of everything random in the run.
    pub seed: u64,
}

impl Default for SegmentationTraining {
    fn default() -> Self {
        Self {
            steps: 10_000,
            batch: 1,
            real: 0.5,
            crop: [128; 3],
            learning_rate: 0.002,
            cross_entropy: 1.0,
            warm_up: 50,
            adam_betas: [0.9, 0.99],
            ema_half_life_steps: 50.0,
            held_out: Vec::new(),
            log_every_steps: 10,
            checkpoint_every_steps: 100,
            seed: 0,
        }
    }
}

impl SegmentationRecipe {
    /// Parses and validates `text`; `path` is named in errors.
    ///
    /// # Errors
    /// [`Error::File`] with the key's path if it is not a valid recipe.
    pub fn from_toml(text: &str, path: &Path) -> Result<Self> {
        let recipe: Self = parse(text, path)?;
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

    /// Checks ranges and the consistency of keys.
    ///
    /// # Errors
    /// [`Error::Value`] with the path of the first key that is invalid.
    pub fn validate(&self) -> Result<()> {
        let (widths, training, synthesis) = (&self.segmenter.widths, &self.training, &self.synthesis);
        let advice = "change this key";
        validation::widths("segmenter.widths", widths, LEVELS_MAX)?;
        let multiple = 1usize << widths.len();
        if training.crop.iter().any(|&n| n == 0 || !n.is_multiple_of(multiple)) {
            let (expected, found) = (format!("multiples of {multiple}"), format!("{:?}", training.crop));
            return Err(Error::value("training.crop", expected, found, advice));
        }
        if let Some(DetailRecipe { widths, crop }) = &self.detail {
            validation::widths("detail.widths", widths, LEVELS_MAX)?;
            let multiple = 1usize << (widths.len() - 1);
            let fits =
                |(n, whole): (&usize, &usize)| *n >= DETAIL_MIN && n.is_multiple_of(multiple) && n <= whole;
            if !crop.iter().zip(&training.crop).all(fits) {
                let expected = format!("multiples of {multiple} from {DETAIL_MIN} to training.crop");
                return Err(Error::value("detail.crop", expected, format!("{crop:?}"), advice));
            }
        }
        let key = |name: &str| format!("training.{name}");
        above_zero(&key("learning_rate"), training.learning_rate)?;
        above_zero(&key("ema_half_life_steps"), training.ema_half_life_steps)?;
        at_least_one(&key("steps"), training.steps as usize)?;
        at_least_one(&key("batch"), training.batch)?;
        at_least_one(&key("log_every_steps"), training.log_every_steps as usize)?;
        at_least_one(&key("checkpoint_every_steps"), training.checkpoint_every_steps as usize)?;
        adam_betas(&key("adam_betas"), training.adam_betas)?;
        probability(&key("real"), training.real)?;
        not_below_zero(&key("cross_entropy"), training.cross_entropy)?;
        synthesis.validate("synthesis")
    }
}

impl SynthesisRecipe {
    /// Checks ranges; `table` is the recipe's table for errors.
    ///
    /// # Errors
    /// [`Error::Value`] with the path of the first key that is invalid.
    pub fn validate(&self, table: &str) -> Result<()> {
        let key = |name: &str| format!("{table}.{name}");
        above_zero(&key("elastic_spacing_mm"), self.elastic_spacing_mm)?;
        for (name, value) in [
            ("scaling", self.scaling),
            ("mirrored", self.mirrored),
            ("t1_like", self.t1_like),
            ("stripped", self.stripped),
            ("stripped_to_brain", self.stripped_to_brain),
            ("cut", self.cut),
            ("coarse", self.coarse),
        ] {
            probability(&key(name), value)?;
        }
        for (name, value, least) in [
            ("rotation_deg", self.rotation_deg, 0.0),
            ("shear", self.shear, 0.0),
            ("shift_mm", self.shift_mm, 0.0),
            ("elastic_mm", self.elastic_mm, 0.0),
            ("bias", self.bias, 0.0),
            ("noise", self.noise, 0.0),
            ("gamma", self.gamma, 0.0),
            ("isotropic_max_mm", self.isotropic_max_mm, 1.0),
            ("slices_max_mm", self.slices_max_mm, 1.0),
        ] {
            at_least(&key(name), value, least)?;
        }
        Ok(())
    }
}
