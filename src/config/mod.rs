//! Recipes: a TOML file with all settings of a network and its training.
//!
//! A recipe comes from a file ([`Recipe::read`]) or from those inside the program ([`Recipe::preset`]);
//! [`Recipe::open`] takes either. Unknown keys are refused, and every error names the key by its path.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Result;

mod any;
mod augmentation;
mod coverage;
mod network;
mod presets;
mod restoration;
mod segmentation;
mod transfer;
mod validation;

pub use crate::settings::{parse, to_toml};
pub use crate::simulate::synthesis::{SynthesisRecipe, Weighting};
pub use any::AnyRecipe;
pub use augmentation::{AugmentationPolicy, AugmentationRecipe};
pub use coverage::CoverageRecipe;
pub use network::{NetworkRecipe, block_channels};
use presets::{preset, read, source};
pub use restoration::{
    AdversarialLoss, AgeingGroup, Between, CascadeRecipe, DiscriminatorKind, DiscriminatorRecipe, HeadRecipe,
    InitialEstimate, InpaintRecipe, MotionRecipe, ProgressRecipe, ReconRecipe, RestorationLoss,
    RestorationRecipe, RestorationTraining, RestorerRecipe, SuperresRecipe, TranslateRecipe, UnpairedRecipe,
    Upsampling,
};
pub use segmentation::{DetailRecipe, SegmentationRecipe, SegmentationTraining, SegmenterRecipe};
pub use transfer::TransferRecipe;

/// Largest number of blocks of a network; eight of them reach 512 voxels from a base of 4.
pub const BLOCKS_MAX: usize = 8;
/// Voxels a grid may have along one axis.
const AXIS_MAX: usize = 2048;

/// The recipe of a generator: a network and its training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Grid and widths of the networks.
    pub network: NetworkRecipe,
    /// The conditions of the networks; none by default.
    #[serde(default)]
    pub conditions: ConditionsRecipe,
    /// Optimiser, regularisation and length of the run.
    #[serde(default)]
    pub training: TrainingRecipe,
    /// Transfer from another network's weights.
    #[serde(default, skip_serializing_if = "TransferRecipe::is_default")]
    pub transfer: TransferRecipe,
    /// The coverage term of the generator's loss.
    #[serde(default, skip_serializing_if = "CoverageRecipe::is_default")]
    pub coverage: CoverageRecipe,
    /// Augmentation of the discriminator's input.
    #[serde(default)]
    pub augmentation: AugmentationRecipe,
    /// Outputs of a run and their intervals.
    #[serde(default)]
    pub output: OutputRecipe,
}

/// The conditions of the networks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConditionsRecipe {
    /// Categorical labels, encoded one-hot.
    #[serde(default)]
    pub classes: Vec<ClassCondition>,
    /// Continuous labels, each encoded as several features.
    #[serde(default)]
    pub covariates: Vec<Covariate>,
}

impl ConditionsRecipe {
    /// Length of the condition vector: the classes' values, then the covariates' features; zero without any.
    pub fn width(&self) -> usize {
        let classes = self.classes.iter().map(|class| class.values.len()).sum::<usize>();
        classes + self.covariates.iter().map(|covariate| covariate.encoding.width()).sum::<usize>()
    }
}

/// A categorical label and its values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassCondition {
    /// Name of the label in the dataset ("sex").
    pub label: String,
    /// Its values in the order of the one-hot vector (`["F", "M"]`).
    pub values: Vec<String>,
}

/// A continuous label. It is not encoded as one scalar, because the normalisation of the embedding would leave only its
/// sign.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Covariate {
    /// Name of the label in the dataset, with its unit ("age_years", "ventricles_ml").
    pub label: String,
    /// Value that maps to 0.
    pub min: f64,
    /// Value that maps to 1.
    pub max: f64,
    /// The encoding of the value as features.
    pub encoding: Encoding,
}

/// The encoding of a continuous value `t`, scaled to `[0, 1]`, as features.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Encoding {
    /// `sin` and `cos` of `2ᵏ·π·t/2` for `k` in `0..frequencies`; the lowest is monotone over the range.
    Fourier {
        /// Number of frequencies.
        frequencies: usize,
    },
    /// Linear weights of the two nearest of equally spaced bin centres.
    SoftBins {
        /// Number of centres, the first at 0 and the last at 1.
        bins: usize,
    },
}

impl Encoding {
    /// Number of features.
    pub fn width(&self) -> usize {
        match *self {
            Self::Fourier { frequencies } => 2 * frequencies,
            Self::SoftBins { bins } => bins,
        }
    }
}

/// Optimiser, regularisation and length of a run (StyleGAN2, arXiv 1912.04958, appendix B).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingRecipe {
    /// Number of volumes of a step.
    pub batch: usize,
    /// Number of volumes that are processed at once, with gradients summed over a batch; `batch` by default. It divides
    /// `batch` and is a multiple of `network.minibatch_group`, or is less than it: then the group is `micro_batch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub micro_batch: Option<usize>,
    /// The numbers that convolutions multiply; everything else is float32.
    #[serde(skip_serializing_if = "Precision::is_float32")]
    pub precision: Precision,
    /// Length of the run in thousands of real volumes shown.
    pub total_kimg: f64,
    /// Adam's step size for mapping and synthesis.
    pub learning_rate_generator: f64,
    /// Adam's step size for the discriminator.
    pub learning_rate_discriminator: f64,
    /// Adam's decay of the first and second moment.
    pub adam_betas: [f64; 2],
    /// Adam's ε.
    pub adam_epsilon: f64,
    /// Weight γ of R1; by default `0.0002·voxels/batch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gamma: Option<f64>,
    /// Steps from one R1 phase to the next; 0 for none.
    pub r1_interval: usize,
    /// Steps from one path-length phase to the next; 0 for none.
    pub path_length_interval: usize,
    /// Weight of the path-length penalty.
    pub path_length_weight: f64,
    /// Decay of the mean path length.
    pub path_length_decay: f64,
    /// The batch of the path-length phase is `batch` divided by this.
    pub path_length_batch_shrink: usize,
    /// Probability that a sample has the w's of two latents.
    pub style_mixing: f64,
    /// Half-life of the generator's running average, in thousands of volumes; by default `batch·10/32`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema_kimg: Option<f64>,
    /// The half-life is at most this part of the volumes shown so far; 0 for no such limit.
    pub ema_rampup: f64,
    /// Decay of the mean of `w`.
    pub w_avg_beta: f64,
    /// Seed of everything random in the run.
    pub seed: u64,
}

/// The numbers that the convolutions of networks and gradients multiply. Parameters, sums, norms, logits, losses and
/// demodulation are float32 in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits.
    #[default]
    Float32,
    /// 16 bits, 11 of them digits, on cards.
    Float16,
    /// 16 bits, 8 of them digits, with the range of float32, on cards that have them.
    Bfloat16,
}

impl Precision {
    fn is_float32(&self) -> bool {
        *self == Self::Float32
    }
}

impl TrainingRecipe {
    /// Number of steps of the run, for `total_kimg` thousands of volumes.
    pub fn steps(&self) -> u64 {
        (self.total_kimg * 1000.0 / self.batch as f64).ceil() as u64
    }

    /// Number of steps for `kimg` thousands of volumes, rounded.
    pub fn steps_of(&self, kimg: f64) -> u64 {
        (kimg * 1000.0 / self.batch as f64).round() as u64
    }
}

impl Default for TrainingRecipe {
    fn default() -> Self {
        Self {
            batch: 8,
            micro_batch: None,
            precision: Precision::Float32,
            total_kimg: 1000.0,
            learning_rate_generator: 0.0025,
            learning_rate_discriminator: 0.0025,
            adam_betas: [0.0, 0.99],
            adam_epsilon: 1e-8,
            gamma: None,
            r1_interval: 16,
            path_length_interval: 4,
            path_length_weight: 2.0,
            path_length_decay: 0.01,
            path_length_batch_shrink: 2,
            style_mixing: 0.9,
            ema_kimg: None,
            ema_rampup: 0.05,
            w_avg_beta: 0.995,
            seed: 0,
        }
    }
}

/// Outputs of a run and their intervals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutputRecipe {
    /// Number of synthetic volumes in a picture of samples.
    pub sample_grid: usize,
    /// Number of a picture's volumes whose structures are measured for the log; ignored for slices.
    pub anatomy_samples: usize,
    /// Thousands of volumes from one picture to the next.
    pub snapshot_kimg: f64,
    /// Thousands of volumes from one checkpoint to the next.
    pub checkpoint_kimg: f64,
    /// Steps from one line of `stats.jsonl` to the next.
    pub log_every_steps: usize,
    /// Thousands of volumes from one validation to the next, with a validation set.
    pub validation_kimg: f64,
    /// Number of synthetic volumes of a validation; four or more.
    pub validation_volumes: usize,
    /// The measure by which the best checkpoint is chosen.
    pub best_by: BestBy,
}

/// A measure on the validation set, by which the best checkpoint of a run is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BestBy {
    /// Fréchet distance in the segmenter's features; the lower, the better.
    #[default]
    FrechetDistance,
    /// Harmonic mean of precision and recall in the segmenter's features; the higher, the better.
    PrecisionRecall,
    /// Mean |Cohen's d| of the volumes of brain, ventricles, cortex, white matter and cerebellum; the lower, the
    /// better.
    Anatomy,
}

impl BestBy {
    /// Its name in texts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FrechetDistance => "Fréchet distance",
            Self::PrecisionRecall => "precision and recall",
            Self::Anatomy => "difference of anatomy",
        }
    }
}

impl Default for OutputRecipe {
    fn default() -> Self {
        Self {
            sample_grid: 9,
            anatomy_samples: 2,
            snapshot_kimg: 4.0,
            checkpoint_kimg: 10.0,
            log_every_steps: 10,
            validation_kimg: 4.0,
            validation_volumes: 16,
            best_by: BestBy::default(),
        }
    }
}

impl Recipe {
    /// Opens the recipe `name_or_path`: a file if it exists or the name ends in `.toml`, or else a preset.
    ///
    /// # Errors
    /// As [`Recipe::read`] and [`Recipe::preset`].
    pub fn open(name_or_path: &str) -> Result<Self> {
        let (path, text) = source(name_or_path)?;
        Self::from_toml(&text, &path)
    }

    /// Reads and validates a recipe file.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) if it cannot be read, and as [`Recipe::from_toml`].
    pub fn read(path: &Path) -> Result<Self> {
        Self::from_toml(&read(path)?, path)
    }

    /// The recipe `name` from inside the program.
    ///
    /// # Errors
    /// [`Error::Value`](crate::error::Error::Value) with the names of all presets if there is none of that name.
    pub fn preset(name: &str) -> Result<Self> {
        let (path, text) = preset(name)?;
        Self::from_toml(text, &path)
    }

    /// Names of the generators' recipes inside the program.
    pub fn preset_names() -> Vec<&'static str> {
        let [generators, ..] = presets::names();
        generators
    }

    /// Parses and validates `text`; `path` is named in errors.
    ///
    /// # Errors
    /// [`Error::File`](crate::error::Error::File) with the key's path if it is not a valid recipe.
    pub fn from_toml(text: &str, path: &Path) -> Result<Self> {
        let recipe: Self = parse(text, path)?;
        recipe.validate().map_err(|e| e.in_file(path))?;
        Ok(recipe)
    }

    /// The recipe as TOML.
    ///
    /// # Errors
    /// [`Error::Value`](crate::error::Error::Value) if a number does not fit TOML (a seed above 2⁶³ − 1).
    pub fn to_toml(&self) -> Result<String> {
        to_toml(self)
    }

    /// The recipe with every default that depends on other keys filled in, as recorded in a run's folder.
    #[must_use]
    pub fn resolved(&self) -> Self {
        let mut recipe = self.clone();
        let (network, training) = (&mut recipe.network, &mut recipe.training);
        let batch = training.batch.max(1) as f64;
        network.resolve();
        training.micro_batch.get_or_insert(training.batch);
        training.gamma.get_or_insert(0.0002 * network.voxels() as f64 / batch);
        training.ema_kimg.get_or_insert(batch * 10.0 / 32.0);
        recipe
    }
}
