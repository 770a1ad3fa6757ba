//! Training by a recipe.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::device::{Device, on_device, ready};
use super::labelled::{label_maps, labelled_scans};
use super::progress::{Event, Progress};
use crate::config::{AnyRecipe, Recipe, RestorationRecipe, SegmentationRecipe};
use crate::error::{Error, Result};
use crate::io::dataset::{Dataset, manifest};
use crate::io::lock::FolderLock;
use crate::io::scan::ReadOptions;
use crate::ops::VolumeOps;
use crate::pretrained::{checkpoint_at, latest_checkpoint};
use crate::simulate::synthesis::{LabelMap, LabelledScan};
use crate::train::cycle::{self, Domains};
use crate::train::restorer::{self, Subjects};
use crate::train::transfer::Source;
use crate::train::{Ended, Estimate, Group, Reals, detail, generator, segmenter};

/// The fewest people to validate on.
const VALIDATED_MIN: usize = 4;

/// The recipe, the data and the run's folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The recipe: a .toml file, or one inside the program by its name.
    pub recipe: String,
    /// A prepared dataset; for a segmenter, translation and progression, a folder of whole-head label maps; for
    /// translation without pairs either, a dataset together with `other`.
    pub data: PathBuf,
    /// The dataset of the other contrast, for translation without pairs.
    pub other: Option<PathBuf>,
    /// For a segmenter, real scans to train on beside the label maps.
    pub scans: Option<Scans>,
    /// For a generator or a segmenter, the weights to start from: a run, a checkpoint or exported weights; for a
    /// generator also a name inside the program.
    pub from: Option<PathBuf>,
    /// For a generator, a dataset of people who are not in `data`, to validate on.
    pub validation: Option<PathBuf>,
    /// The run's folder; an existing run is resumed.
    pub out: PathBuf,
    /// For a generator, thousands of volumes to train for instead of the recipe's.
    pub total_kimg: Option<f64>,
    /// The run's seed instead of the recipe's.
    pub seed: Option<u64>,
    /// The device to compute on.
    pub device: Device,
    /// Options for reading label maps and scans.
    pub read: ReadOptions,
}

/// Real skull-stripped scans with label maps on their grids: sub-01_dseg.nii.gz belongs to sub-01_T1w.nii.gz.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scans {
    /// The folder of the scans.
    pub images: PathBuf,
    /// The folder of the label maps.
    pub labels: PathBuf,
}

/// An opened run: recipe and data that fit each other.
#[derive(Debug)]
pub struct Training {
    options: Options,
    inputs: Inputs,
    group: Group,
}

/// What is trained, and of what.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a run has one")]
enum Inputs {
    Generator {
        recipe: Box<Recipe>,
        reals: Reals,
        validation: Option<Reals>,
        from: Option<Source>,
        /// What is taken from there, line by line.
        taken: Vec<String>,
    },
    Segmenter {
        recipe: Box<SegmentationRecipe>,
        maps: Vec<LabelMap>,
        scans: Vec<LabelledScan>,
        from: Option<PathBuf>,
    },
    /// Of label maps, of a dataset, or without pairs of two.
    Head { recipe: Box<RestorationRecipe>, maps: Vec<LabelMap>, datasets: Vec<Dataset> },
}

/// The plan of a run.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Plan {
    /// The training of a generator.
    Generator {
        /// The resolved recipe.
        recipe: Box<Recipe>,
        /// Numbers of parameters and steps, and memory.
        estimate: Estimate,
        /// Voxel size along (i, j, k) in millimetres.
        spacing_mm: [f64; 3],
        /// The parts of other weights that are transferred, a line each.
        taken: Vec<String>,
        /// Number of volumes of the training set.
        volumes: usize,
        /// Number of volumes of the validation set.
        validated: Option<usize>,
    },
    /// The training of a segmenter.
    Segmenter {
        /// The recipe.
        recipe: Box<SegmentationRecipe>,
        /// Number of label maps.
        maps: usize,
        /// Number of real scans with label maps.
        scans: usize,
    },
    /// The training of a restoration head.
    Head {
        /// The recipe.
        recipe: Box<RestorationRecipe>,
        /// Number of label maps; zero for training on datasets.
        maps: usize,
        /// Number of volumes of each dataset.
        volumes: Vec<usize>,
    },
}

/// The duration of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// Number of steps.
    pub steps: u64,
    /// Mean seconds of a step, without pictures, validation and checkpoints.
    pub seconds_per_step: f64,
}

/// Steps of a trial.
const TRIED: usize = 3;

/// The end of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// Whether all steps are done; otherwise it was cancelled, and the same options resume it.
    pub complete: bool,
    /// The latest checkpoint.
    pub checkpoint: Option<PathBuf>,
}

/// Recipe and data → run, from its latest checkpoint if there is one. When cancelled, it finishes its step and saves.
///
/// # Errors
/// Those of [`Training::open`] and [`Training::run`].
pub fn train(options: Options, progress: &Progress) -> Result<Trained> {
    Training::open(options)?.run(progress)
}

impl Training {
    /// Opens recipe and data. Where a launcher (`mpirun`, `srun`) has started several processes, each opens them, and they
    /// train together.
    ///
    /// # Errors
    /// Those of [`Group::of_launcher`]; of another rank, [`Error::Rank`];
    /// [`Error::Io`] or [`Error::File`] for recipe, data and weights; [`Error::Value`] for data that does not fit the
    /// recipe, and an option that the recipe's kind does not have.
    pub fn open(options: Options) -> Result<Self> {
        let group = Group::of_launcher()?;
        let inputs = group.agree(Inputs::open(&options))?;
        Ok(Self { options, inputs, group })
    }

    /// The ranks that share the run.
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// The plan of the run.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn plan(&self) -> Result<Plan> {
        Ok(match &self.inputs {
            Inputs::Generator { recipe, reals, validation, taken, .. } => Plan::Generator {
                recipe: recipe.clone(),
                estimate: on_device!(self.options.device, |B, device| Estimate::new::<B>(recipe, &device)),
                spacing_mm: reals.spacing_mm(),
                taken: taken.clone(),
                volumes: reals.len(),
                validated: validation.as_ref().map(Reals::len),
            },
            Inputs::Segmenter { recipe, maps, scans, .. } => {
                Plan::Segmenter { recipe: recipe.clone(), maps: maps.len(), scans: scans.len() }
            }
            Inputs::Head { recipe, maps, datasets } => Plan::Head {
                recipe: recipe.clone(),
                maps: maps.len(),
                volumes: datasets.iter().map(Dataset::len).collect(),
            },
        })
    }

    /// The duration of the run, from a few steps in a temporary folder. A generator's first step has all regularisers,
    /// which recur every few steps; the first step of others is slower than the following ones and is not counted.
    ///
    /// # Errors
    /// As [`Training::run`].
    pub fn trial(&self) -> Result<Trial> {
        let place =
            tempfile::tempdir().map_err(|e| Error::io(&std::env::temp_dir(), "make a folder in it", e))?;
        self.ready(self.options.device)?;
        let (stop, total, seconds) = (AtomicBool::new(false), Cell::new(0), RefCell::new(Vec::new()));
        let tell = |event: crate::train::Event| match event {
            crate::train::Event::Started { steps, .. } => total.set(steps),
            crate::train::Event::Stepped { seconds: step } => {
                seconds.borrow_mut().push(step);
                stop.store(seconds.borrow().len() >= TRIED, Ordering::Relaxed);
            }
            _ => {}
        };
        let group = Group::alone();
        on_device!(self.options.device, |B, device| self.inputs.train::<B>(
            place.path(),
            &device,
            &group,
            &stop,
            &tell
        ))?;
        let seconds = seconds.into_inner();
        let later = seconds.iter().skip(1).copied().fold(f64::INFINITY, f64::min);
        let (first, later) =
            (seconds.first().copied().unwrap_or(0.0), if later.is_finite() { later } else { 0.0 });
        let often = match &self.inputs {
            Inputs::Generator { recipe, .. } => {
                let training = &recipe.training;
                let intervals = [training.r1_interval, training.path_length_interval].into_iter();
                intervals.filter(|&interval| interval > 0).min().map_or(0.0, |interval| 1.0 / interval as f64)
            }
            _ => 0.0,
        };
        let seconds_per_step =
            if seconds.len() < 2 { first } else { later + often * (first - later).max(0.0) };
        Ok(Trial { steps: total.get(), seconds_per_step })
    }

    /// Whether `device` can train it.
    fn ready(&self, device: Device) -> Result<()> {
        match &self.inputs {
            Inputs::Generator { recipe, .. } => ready(device, recipe),
            _ => device.check(),
        }
    }

    /// Trains from the run's latest checkpoint, if there is one. When cancelled, it finishes the step and saves.
    ///
    /// # Errors
    /// [`Error::Training`] for a loss that is not finite; [`Error::File`] while another process trains in the folder;
    /// [`Error::Device`]; [`Error::Io`] or [`Error::File`] for data and checkpoints. The last checkpoint is intact in
    /// every case.
    pub fn run(&self, progress: &Progress) -> Result<Trained> {
        let (Options { out, .. }, group) = (&self.options, &self.group);
        let device = self.options.device.of_rank(group.local_rank());
        group.agree(self.ready(device))?;
        let mut lock = None;
        group.first(|| {
            lock = Some(FolderLock::hold(out)?);
            Ok(())
        })?;
        if group.size() > 1 && group.is_first() {
            progress.tell(Event::Note(&group.to_string()));
        }
        let latest = group.agree(latest_checkpoint(out))?;
        if let (Inputs::Generator { taken, .. }, None) = (&self.inputs, latest) {
            taken.iter().for_each(|line| progress.tell(Event::Note(&format!("from: {line}"))));
        }
        let steps = Cell::new(0);
        let tell = |event: crate::train::Event| match event {
            crate::train::Event::Started { step, steps: of } => {
                steps.set(of);
                progress.tell(Event::Done {
                    what: "steps",
                    done: step as usize,
                    of: of as usize,
                    left: None,
                });
            }
            crate::train::Event::Logged { step, numbers } => {
                progress.tell(Event::Step { step, of: steps.get(), numbers });
            }
            crate::train::Event::Warned { step, text } => {
                progress.tell(Event::Note(&format!("warning at step {step}: {text}")));
            }
            crate::train::Event::Wrote(path) => progress.tell(Event::Wrote(path)),
            crate::train::Event::Stepped { .. } => {}
        };
        let tell = |event: crate::train::Event| {
            if group.is_first() {
                tell(event)
            }
        };
        let ended = on_device!(device, |B, device| self.inputs.train::<B>(
            out,
            &device,
            group,
            progress.cancelled(),
            &tell
        ))?;
        Ok(Trained { complete: ended == Ended::Complete, checkpoint: latest_checkpoint(out)? })
    }
}

impl Inputs {
    fn open(options: &Options) -> Result<Self> {
        let recipe = AnyRecipe::open(&options.recipe)?;
        let unpaired = matches!(&recipe, AnyRecipe::Head(recipe) if recipe.unpaired.is_some());
        if let (Some(other), false) = (&options.other, unpaired) {
            let (expected, advice) =
                ("a recipe with a table [unpaired]", "leave it out, or take translate-unpaired");
            return Err(Error::value("--other", expected, other.display().to_string(), advice));
        }
        if let (Some(validation), false) = (&options.validation, matches!(recipe, AnyRecipe::Generator(_))) {
            let found = validation.display().to_string();
            return Err(Error::value("--validation", "a generator's recipe", found, "leave it out"));
        }
        match recipe {
            AnyRecipe::Generator(recipe) => Self::of_generator(*recipe, options),
            AnyRecipe::Segmenter(recipe) => Self::of_segmenter(recipe, options),
            AnyRecipe::Head(recipe) => Self::of_head(recipe, options),
        }
    }

    fn of_generator(mut recipe: Recipe, options: &Options) -> Result<Self> {
        recipe.training.total_kimg = options.total_kimg.unwrap_or(recipe.training.total_kimg);
        recipe.training.seed = options.seed.unwrap_or(recipe.training.seed);
        recipe.validate()?;
        let recipe = Box::new(recipe.resolved());
        let reals = Reals::new(Dataset::open(&options.data)?, &recipe)?;
        let validation = match &options.validation {
            Some(folder) => {
                let validation = Dataset::open(folder)?;
                validation.check_prepared_as(reals.dataset(), "--validation")?;
                Some(others(Reals::new(validation, &recipe)?, &reals)?)
            }
            None => None,
        };
        let from = options.from.as_ref().map(|from| Source::open(&from.to_string_lossy())).transpose()?;
        let taken =
            from.as_ref().map_or(Ok(Vec::new()), |source| source.report(&recipe, reals.spacing_mm()))?;
        Ok(Self::Generator { recipe, reals, validation, from, taken })
    }

    fn of_segmenter(mut recipe: Box<SegmentationRecipe>, options: &Options) -> Result<Self> {
        recipe.training.seed = options.seed.unwrap_or(recipe.training.seed);
        no_kimg(options, "a segmenter's")?;
        let held_out = &recipe.training.held_out;
        let maps = label_maps(&options.data, held_out, &options.read)?;
        let from = options.from.as_deref().map(checkpoint_at).transpose()?;
        let scans = options
            .scans
            .as_ref()
            .map_or(Ok(Vec::new()), |scans| labelled_scans(scans, held_out, &options.read))?;
        Ok(Self::Segmenter { recipe, maps, scans, from })
    }

    fn of_head(mut recipe: Box<RestorationRecipe>, options: &Options) -> Result<Self> {
        let Options { data, other, seed, .. } = options;
        recipe.training.seed = seed.unwrap_or(recipe.training.seed);
        no_kimg(options, "a head's")?;
        let unpaired = recipe.unpaired.is_some();
        if unpaired && other.is_none() && data.join(manifest::FILE).exists() {
            let advice = "give it, or a folder of whole-head label maps as --data";
            return Err(Error::value("--other", "the dataset of the other contrast", "none", advice));
        }
        let (mut maps, mut datasets) = (Vec::new(), Vec::new());
        match (other, recipe.head.held_out()) {
            (Some(other), _) => datasets.extend([Dataset::open(data)?, Dataset::open(other)?]),
            (None, None) if !unpaired => datasets.push(Dataset::open(data)?),
            (None, held_out) => maps = label_maps(data, held_out.unwrap_or_default(), &options.read)?,
        }
        Ok(Self::Head { recipe, maps, datasets })
    }

    fn train<B: VolumeOps>(
        &self,
        out: &Path,
        device: &B::Device,
        group: &Group,
        stop: &AtomicBool,
        tell: &dyn Fn(crate::train::Event),
    ) -> Result<Ended> {
        match self {
            Self::Generator { recipe, reals, validation, from, .. } => {
                let (validation, from) = (validation.as_ref(), from.as_ref());
                let job =
                    generator::Job { recipe, reals, validation, from, out, group, stop, last_step: None };
                generator::run::<B>(&job, device, tell)
            }
            Self::Segmenter { recipe, maps, scans, from } => match &recipe.detail {
                Some(detail) => {
                    let from = from.as_deref().ok_or_else(|| {
                        let advice = "give the weights of the first network, which the second one corrects";
                        Error::value("--from", "a segmenter's weights", "none", advice)
                    })?;
                    detail::run::<B>(
                        &detail::Job { recipe, detail, maps, from, out, group, stop },
                        device,
                        tell,
                    )
                }
                None => {
                    let job = segmenter::Job { recipe, maps, scans, from: from.as_deref(), out, group, stop };
                    segmenter::run::<B>(&job, device, tell)
                }
            },
            Self::Head { recipe, maps, datasets } if recipe.unpaired.is_some() => {
                let domains = match &datasets[..] {
                    [data, other] => Domains::Scans([data, other]),
                    _ => Domains::Maps(maps),
                };
                cycle::run::<B>(&cycle::Job { recipe, domains, out, group, stop }, device, tell)
            }
            Self::Head { recipe, maps, datasets } => {
                let subjects = datasets.first().map_or(Subjects::Maps(maps), Subjects::Scans);
                restorer::run::<B>(&restorer::Job { recipe, subjects, out, group, stop }, device, tell)
            }
        }
    }
}

/// People to validate on, if there are enough of them and none is among those that are learned from.
fn others(people: Reals, learned_from: &Reals) -> Result<Reals> {
    if people.len() < VALIDATED_MIN {
        let (expected, found) = (format!("{VALIDATED_MIN} volumes or more"), people.len().to_string());
        return Err(Error::value("--validation", expected, found, "prepare more scans"));
    }
    let known: HashSet<&str> = learned_from.dataset().manifest.entries.iter().map(|e| &*e.sha256).collect();
    match people.dataset().manifest.entries.iter().find(|entry| known.contains(&*entry.sha256)) {
        Some(entry) => {
            let advice = "prepare datasets that have no scan in common";
            Err(Error::value("--validation", "scans that are not in --data", entry.name.as_str(), advice))
        }
        None => Ok(people),
    }
}

/// Only generators are trained for so many thousands of volumes.
fn no_kimg(options: &Options, found: &str) -> Result<()> {
    match options.total_kimg {
        Some(_) => {
            let advice = "set training.steps in the recipe";
            Err(Error::value("--total-kimg", "a generator's recipe", found, advice))
        }
        None => Ok(()),
    }
}
