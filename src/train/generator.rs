//! Training of a generator and its discriminator.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::backend::Autodiff;
use burn::tensor::{Tensor, TensorData};

use super::checkpoint;
use super::data::{Batch, Reals};
use super::group::Group;
use super::prefetch::Prefetch;
use super::record::RunFolder;
use super::run::{Ended, Event, Numbers, Place, Schedule, Trainable, go_on};
use super::share::Share;
use super::state::{Counters, State};
use super::step::step;
use super::transfer::Source;
use super::validation::{Best, REGIONS, Validation, measured};
use super::watch::{Warning, Watch, memorised, unlikeness};
use crate::anatomy::volumes::Volumes;
use crate::config::Recipe;
use crate::convert;
use crate::error::{Error, Result};
use crate::gan::Truncation;
use crate::nn::Noise;
use crate::ops::VolumeOps;
use crate::pretrained::{TrainingSpace, latest_checkpoint, segmenter};
use crate::random::{Purpose, normal, stream};
use crate::report::Montage;
use crate::segment::Encoder;
use crate::segment::Segmenter;
use crate::volume::Volume;
use crate::volume::intensity::IntensityMap;

/// A run to start or resume.
#[derive(Debug)]
pub struct Job<'a> {
    /// The resolved recipe.
    pub recipe: &'a Recipe,
    /// The training set.
    pub reals: &'a Reals,
    /// The validation set, of people who are not in the training set.
    pub validation: Option<&'a Reals>,
    /// Another network's weights to start from, in place of initial values.
    pub from: Option<&'a Source>,
    /// The run's folder.
    pub out: &'a Path,
    /// The ranks that share the run.
    pub group: &'a Group,
    /// A flag that is set from outside (by a signal): the run then finishes its step, saves and ends.
    pub stop: &'a AtomicBool,
    /// The last step, in place of the recipe's; for tests.
    pub last_step: Option<u64>,
}

/// Runs `job` on `device` until its end or until it is stopped, from its last checkpoint if there is one.
///
/// # Errors
/// [`Error::Training`] for a loss that is not finite; [`Error::Value`] for a recipe with a transfer table without other
/// weights; [`Error::File`] or [`Error::Io`] for data, weights, checkpoints and outputs. The last checkpoint is intact
/// in every case.
pub fn run<B: VolumeOps>(job: &Job, device: &B::Device, tell: &dyn Fn(Event)) -> Result<Ended> {
    let place = Place {
        out: job.out,
        recipe: job.recipe.to_toml(),
        data: job.reals.dataset().content_sha256(),
        device: B::name(device),
        group: job.group,
    };
    go_on(begin::<B>(job, device), place, job.stop, tell)
}

/// What a run begins with.
fn begin<'a, B: VolumeOps>(job: &'a Job<'a>, device: &B::Device) -> Result<Training<'a, B>> {
    let recipe = job.recipe;
    let share = Share::new(recipe, job.group.rank(), job.group.size())?;
    let space = job.reals.space();
    let mut state = State::<B>::new(recipe, recipe.conditions.width(), device);
    match job.from {
        Some(source) => state = source.start(state, recipe)?,
        None if !recipe.transfer.is_default() && latest_checkpoint(job.out)?.is_none() => {
            let (expected, advice) =
                ("weights to start from, as [transfer] is set", "give them, or remove the table");
            return Err(Error::value("--from", expected, "none", advice));
        }
        None => {}
    }
    let segmenter = if recipe.output.anatomy_samples > 0 && recipe.network.shape()[0] > 1 {
        Some(segmenter::open::<B>(segmenter::EMBEDDED, device)?.along_the_grid().refining(false))
    } else {
        None
    };
    let encoder = match recipe.coverage.is_on() && recipe.coverage.features > 0.0 {
        true => Some(segmenter::features(device)?),
        false => None,
    };
    let validation = job.validation.map(|reals| Validation::new(reals, device)).transpose()?;
    Ok(Training {
        job,
        space,
        state,
        numbers: share.numbers(),
        share,
        segmenter,
        encoder,
        validation,
        best: Best::read(&RunFolder::best_of(job.out))?,
        variety_of_reals: None,
        watch: Watch::default(),
        prefetch: Prefetch::default(),
        device: device.clone(),
    })
}

/// A generator in training.
struct Training<'a, B: VolumeOps> {
    job: &'a Job<'a>,
    space: TrainingSpace,
    state: State<B>,
    /// The samples of each step that this rank takes, and their numbers.
    share: Share,
    numbers: Vec<u64>,
    /// Measures samples for the log.
    segmenter: Option<Segmenter<B>>,
    /// What coverage compares features with.
    encoder: Option<Encoder<Autodiff<B>>>,
    validation: Option<Validation<'a, B>>,
    best: Option<Best>,
    /// How much real volumes differ.
    variety_of_reals: Option<f64>,
    watch: Watch,
    prefetch: Prefetch<Batch>,
    device: B::Device,
}

impl<B: VolumeOps> Trainable for Training<'_, B> {
    fn schedule(&self) -> Schedule {
        let (training, output) = (&self.job.recipe.training, &self.job.recipe.output);
        let every = |kimg: f64| training.steps_of(kimg).max(1);
        Schedule {
            steps: self.job.last_step.map_or(training.steps(), |last| last.min(training.steps())),
            log: output.log_every_steps as u64,
            picture: every(output.snapshot_kimg),
            validation: every(output.validation_kimg),
            checkpoint: every(output.checkpoint_kimg),
        }
    }

    fn done(&self) -> u64 {
        self.state.counters.step
    }

    fn images_per_step(&self) -> usize {
        self.job.recipe.training.batch
    }

    fn step(&mut self) -> Result<Numbers> {
        let (job, samples) = (self.job, self.job.recipe.training.batch);
        let Counters { step: at, images, .. } = self.state.counters;
        let (own, share) = (&self.numbers, &self.share);
        let batch = job.group.agree(self.prefetch.take(at, |at| job.reals.batch(at, images, own)))?;
        let next = |next| job.reals.batch(next, images + samples as u64, own);
        let encoder = self.encoder.as_ref();
        self.state.search_coverage(job.group, job.recipe, job.reals, encoder, &self.device)?;
        let (numbers, prefetch) = Prefetch::during(at + 1, next, || {
            step(&mut self.state, job, share, batch, encoder, &self.device)
        });
        self.prefetch = prefetch;
        Ok(numbers?.into_iter().map(|(name, value)| (name.to_string(), value)).collect())
    }

    fn clock(&mut self, seconds: f64) {
        self.state.counters.seconds += seconds;
    }

    fn complete(&self, line: &mut Numbers) {
        let (counters, recipe) = (&self.state.counters, self.job.recipe);
        line.insert("images".into(), counters.images as f64);
        line.insert("augmentation_p".into(), counters.augmentation.p(&recipe.augmentation));
        line.insert("path_mean".into(), counters.path_mean);
        line.insert("seconds".into(), counters.seconds);
        if let Some(seconds) = line.remove("seconds_per_step") {
            line.insert("seconds_per_kimg".into(), seconds / recipe.training.batch as f64 * 1000.0);
        }
    }

    fn picture(&mut self, folder: &mut RunFolder, tell: &dyn Fn(Event)) -> Result<()> {
        let (job, recipe) = (self.job, self.job.recipe);
        let count = recipe.output.sample_grid;
        let Counters { step, images, .. } = self.state.counters;
        if step == 0 {
            let reals: Vec<Volume> = job.reals.volumes(count).collect::<Result<_>>()?;
            picture(folder, "reals", "reals", 0, &reals, tell)?;
        }
        let volumes = self.samples(count, job.reals);
        picture(folder, &format!("kimg-{:09.3}", images as f64 / 1000.0), "samples", step, &volumes, tell)?;
        if step == 0 {
            return Ok(());
        }
        let mut line = counted(step, images);
        if let Some(segmenter) = &self.segmenter {
            line.extend(anatomy(&volumes[..recipe.output.anatomy_samples.min(count)], segmenter));
        }
        let variety = self.variety(&volumes)?;
        line.extend(variety.map(|variety| ("variety".into(), variety)));
        folder.log(&line)?;
        match variety.and_then(|variety| self.watch.picture(variety, images)) {
            Some(warning) => folder.warn(step, warning, tell),
            None => Ok(()),
        }
    }

    fn validate(&mut self, folder: &mut RunFolder, tell: &dyn Fn(Event)) -> Result<()> {
        let (job, output) = (self.job, &self.job.recipe.output);
        let Some(reals) = self.validation.as_ref().map(Validation::reals) else { return Ok(()) };
        let volumes: Vec<Volume> = self
            .samples(output.validation_volumes, reals)
            .into_iter()
            .map(|volume| clipped(volume, &self.space.intensity))
            .collect();
        let Some(validation) = &mut self.validation else { return Ok(()) };
        let found = validation.measure(&volumes, job.reals, self.segmenter.as_ref())?;
        let Counters { step, images, .. } = self.state.counters;
        let mut line = counted(step, images);
        line.extend(found);
        folder.log(&line)?;
        tell(Event::Logged { step, numbers: &line });
        if let Some(warning) = memorised(line["validation/nearest_ratio"]) {
            folder.warn(step, warning, tell)?;
        }
        if let Some(best) = Best::after(self.best.as_ref(), output.best_by, &line, step) {
            let path = RunFolder::best_of(job.out);
            checkpoint::save(&path, &self.state, job.recipe, &self.space, Some(&best))?;
            tell(Event::Wrote(&path));
            self.best = Some(best);
        }
        Ok(())
    }

    fn warning(&mut self, line: &Numbers) -> Option<Warning> {
        self.watch.line(line)
    }

    fn restore(&mut self, path: &Path) -> Result<()> {
        self.state = checkpoint::load::<B>(path, self.job.recipe, &self.space, &self.device)?;
        let (began, given) = (self.state.origin.as_ref(), self.job.from);
        if given.is_some_and(|given| began.is_none_or(|origin| origin.sha256 != given.sha256)) {
            let found = began.map_or("no weights", |_| "others");
            let advice = "leave out --from to go on, or give another --out for a new run";
            return Err(Error::file(path, "origin", "the weights of --from", found, advice));
        }
        Ok(())
    }

    fn save(&self, path: &Path) -> Result<()> {
        checkpoint::save(path, &self.state, self.job.recipe, &self.space, None)
    }
}

impl<B: VolumeOps> Training<'_, B> {
    /// So many sample volumes, made as `voxgan generate` does by default: always the same latents, with conditions of
    /// `people`, no truncation, no noise.
    fn samples(&self, count: usize, people: &Reals) -> Vec<Volume> {
        let recipe = self.job.recipe;
        let mut volumes = Vec::with_capacity(count);
        for i in 0..count {
            let z_dim = recipe.network.z_dim;
            let z = normal(&mut stream(recipe.training.seed, 0, 0, i as u64, Purpose::Samples), z_dim);
            let z = Tensor::<B, 2>::from_data(TensorData::new(z, [1, z_dim]), &self.device);
            let condition = people.condition(i % people.len(), &self.device);
            let image = self.state.average.forward(z, condition, Truncation::OFF, Noise::None);
            volumes.extend(convert::to_volumes(image, &self.space.affine));
        }
        volumes
    }

    /// How much samples differ, as a part of what real volumes do; none of a single one.
    fn variety(&mut self, samples: &[Volume]) -> Result<Option<f64>> {
        let Some(of_samples) = unlikeness(samples)? else { return Ok(None) };
        if self.variety_of_reals.is_none() {
            let reals: Vec<Volume> = self.job.reals.volumes(samples.len()).collect::<Result<_>>()?;
            self.variety_of_reals = unlikeness(&reals)?;
        }
        Ok(self.variety_of_reals.map(|of_reals| of_samples / of_reals))
    }
}

/// A line of the log that has been begun.
fn counted(step: u64, images: u64) -> Numbers {
    Numbers::from([("step".to_string(), step as f64), ("images".to_string(), images as f64)])
}

/// A sample without what lies beyond the range of normalised intensities, as prepared volumes are.
fn clipped(mut volume: Volume, intensity: &IntensityMap) -> Volume {
    if let Some([least, greatest]) = intensity.clip {
        volume.data.mapv_inplace(|x| x.max(least as f32).min(greatest as f32));
    }
    volume
}

/// Volumes of the brain and its parts in generated heads, and how plausible these are: means, for the log.
fn anatomy<B: VolumeOps>(volumes: &[Volume], segmenter: &Segmenter<B>) -> Numbers {
    let found = measured(volumes, segmenter);
    if found.is_empty() {
        return Numbers::new();
    }
    let mean = |value: &dyn Fn(&Volumes) -> f64| found.iter().map(value).sum::<f64>() / found.len() as f64;
    let volume = |name: &str| mean(&|one| one.region(name).map_or(f64::NAN, |region| region.volume_ml));
    let mut line: Numbers = REGIONS.iter().map(|name| (format!("volume_ml/{name}"), volume(name))).collect();
    line.insert("anatomy_quality".into(), mean(&|one| one.quality));
    line
}

/// A picture of `volumes`, and the histogram of their intensities.
fn picture(
    folder: &mut RunFolder,
    name: &str,
    kind: &str,
    step: u64,
    volumes: &[Volume],
    tell: &dyn Fn(Event),
) -> Result<()> {
    // The range that volumes are normalised to, so that pictures of different steps compare.
    let montage = Montage { window: (-1.0, 1.0), ..Montage::fit(volumes)? };
    folder.picture(name, kind, step, &montage.render(volumes)?, tell)?;
    let intensities: Vec<f32> = volumes.iter().flat_map(|volume| volume.data.iter().copied()).collect();
    folder.histogram(&format!("intensities/{kind}"), step, &intensities)
}
