//! Training of a generator against its discriminator.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::tensor::{Tensor, TensorData};

use super::checkpoint;
use super::data::Reals;
use super::phases::{Context, MicroBatch, Outcome, add, clean};
use super::record::RunFolder;
use super::run::{Ended, Event, Numbers, Place, Schedule, Trainee, go_on};
use super::state::{Counters, State, optimisers};
use super::transfer::{Origin, Source};
use crate::anatomy::Segmenter;
use crate::anatomy::volumes::Volumes;
use crate::bridge;
use crate::config::Recipe;
use crate::error::{Error, Result};
use crate::gan::{Augmentation, Truncation};
use crate::nn::Noise;
use crate::nn::parameters::Named;
use crate::nn::schedule::rise;
use crate::ops::{VolumeOps, tape};
use crate::pretrained::{TrainingSpace, latest_checkpoint, segmenter};
use crate::random::{Purpose, normal, stream};
use crate::report::{Montage, write_png};
use crate::volume::Volume;
use crate::volume::resample::Grid;

/// Regions whose volumes are logged.
const LOGGED: [&str; 5] =
    ["brain", "lateral_ventricles", "cerebral_cortex", "cerebral_white_matter", "cerebellum"];

/// A run that is to be started or resumed.
#[derive(Debug)]
pub struct Job<'a> {
    /// The resolved recipe.
    pub recipe: &'a Recipe,
    /// The training set.
    pub reals: &'a Reals,
    /// Another network's weights to start from, instead of initial values.
    pub from: Option<&'a Source>,
    /// The run's folder.
    pub out: &'a Path,
    /// Set from outside (a signal): the run finishes its step, saves and ends.
    pub stop: &'a AtomicBool,
    /// Ends after this many steps in all, whatever the recipe says; for tests.
    pub last_step: Option<u64>,
}

/// Runs `job` on `device` to its end or until it is stopped, from its last checkpoint if there is one.
///
/// # Errors
/// [`Error::Training`] for a loss that is not finite; errors of files and data as they are. The last checkpoint is
/// intact in every case.
pub fn run<B: VolumeOps>(job: &Job, device: &B::Device, tell: &dyn Fn(Event)) -> Result<Ended> {
    let recipe = job.recipe;
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
        Some(segmenter::open::<B>(segmenter::EMBEDDED, device)?)
    } else {
        None
    };
    let training = Training { job, space, state, segmenter, device: device.clone() };
    let place = Place { out: job.out, recipe: recipe.to_toml()?, device: B::name(device) };
    go_on(training, &place, job.stop, tell)
}

/// A generator in training.
struct Training<'a, B: VolumeOps> {
    job: &'a Job<'a>,
    space: TrainingSpace,
    state: State<B>,
    /// Measures samples for the log.
    segmenter: Option<Segmenter<B>>,
    device: B::Device,
}

impl<B: VolumeOps> Trainee for Training<'_, B> {
    fn schedule(&self) -> Schedule {
        let (training, output) = (&self.job.recipe.training, &self.job.recipe.output);
        let every = |kimg: f64| ((kimg * 1000.0 / training.batch as f64).round() as u64).max(1);
        Schedule {
            steps: self.job.last_step.map_or(training.steps(), |last| last.min(training.steps())),
            log: output.log_every_steps as u64,
            picture: every(output.snapshot_kimg),
            checkpoint: every(output.checkpoint_kimg),
        }
    }

    fn done(&self) -> u64 {
        self.state.counters.step
    }

    fn step(&mut self) -> Result<Numbers> {
        let numbers = step(&mut self.state, self.job, &self.device)?;
        Ok(numbers.into_iter().map(|(name, value)| (name.to_string(), value)).collect())
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

    fn picture(&self, folder: &mut RunFolder, tell: &dyn Fn(Event)) -> Result<()> {
        let (recipe, counters) = (self.job.recipe, &self.state.counters);
        if counters.step == 0 {
            picture(folder, "reals", &self.job.reals.first(recipe.output.sample_grid)?, tell)?;
        }
        let volumes = samples(&self.state, recipe, &self.space, self.job.reals, &self.device)?;
        picture(folder, &format!("kimg-{:07.1}", counters.images as f64 / 1000.0), &volumes, tell)?;
        match &self.segmenter {
            Some(segmenter) if counters.step > 0 => {
                let measured = &volumes[..recipe.output.anatomy_samples.min(volumes.len())];
                folder.log(&anatomy(measured, segmenter, counters))
            }
            _ => Ok(()),
        }
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
        checkpoint::save(path, &self.state, self.job.recipe, &self.space)
    }
}

/// One step: every phase that is due, and what follows it.
fn step<B: VolumeOps>(
    state: &mut State<B>,
    job: &Job,
    device: &B::Device,
) -> Result<BTreeMap<&'static str, f64>> {
    let _tape = tape();
    let (recipe, training) = (job.recipe, &job.recipe.training);
    let at = state.counters.step;
    let augmentation = Augmentation {
        recipe: recipe.augmentation.clone(),
        grid: recipe.network.shape(),
        spacing_mm: job.reals.spacing_mm(),
    };
    let context = Context { recipe, augmentation: &augmentation, step: at };
    let micro = training.micro_batch.unwrap_or(training.batch);
    let rounds = training.batch / micro;
    let batches: Vec<MicroBatch<B>> = (0..rounds)
        .map(|round| job.reals.batch(at, state.counters.images, round * micro, micro, device))
        .collect::<Result<_>>()?;
    let mut numbers = BTreeMap::new();
    let due = |interval: usize| interval > 0 && at.is_multiple_of(interval as u64);
    type Run<B> = fn(&mut State<B>, &Context, &MicroBatch<B>) -> Outcome<B>;
    let phases: [(bool, bool, Run<B>); 4] = [
        (true, true, State::generator_main),
        (due(training.path_length_interval), true, State::generator_path_length),
        (true, false, State::discriminator_main),
        (due(training.r1_interval), false, State::discriminator_r1),
    ];
    let frozen = state.origin.as_ref().map_or(Vec::new(), |origin| origin.frozen_in_discriminator(recipe));
    set_rates(state, recipe);
    for (due, of_generator, run) in phases {
        if !due {
            continue;
        }
        let mut sum = Named::new();
        for batch in &batches {
            let outcome = run(state, &context, batch);
            add(&mut sum, outcome.gradients, 1.0 / rounds as f64);
            for (name, value) in outcome.numbers {
                if !value.is_finite() {
                    let problem = format!("{name} is {value}");
                    let advice =
                        "lower the learning rates or raise γ, and start again from the last checkpoint";
                    return Err(Error::Training { step: at, problem, advice: advice.into() });
                }
                *numbers.entry(name).or_insert(0.0) += value / rounds as f64;
            }
        }
        if of_generator {
            sum.retain(|path, _| !Origin::freezes_in_generator(recipe, path));
        } else {
            sum.retain(|path, _| !frozen.iter().any(|layer| path.starts_with(layer)));
        }
        let gradients = clean(sum);
        if of_generator {
            state.generator = state.adam_g.step(state.generator.clone(), &gradients);
        } else {
            state.discriminator = state.adam_d.step(state.discriminator.clone(), &gradients);
        }
    }
    let ema_kimg = training.ema_kimg.expect("a resolved recipe has ema_kimg");
    state.counters.step += 1;
    state.counters.images += training.batch as u64;
    // What came from elsewhere is worth its average from the first step on.
    let rampup = if state.origin.is_some() { 0.0 } else { training.ema_rampup };
    state.update_average(training.batch, ema_kimg, rampup);
    state.counters.augmentation.end_step(&recipe.augmentation);
    Ok(numbers)
}

/// Sets the step sizes of a run that began with another network's weights, while they rise.
fn set_rates<B: VolumeOps>(state: &mut State<B>, recipe: &Recipe) {
    let ramp = recipe.transfer.ramp_kimg * 1000.0 / recipe.training.batch as f64;
    let part = rise(state.counters.step, ramp.round() as u64);
    let [generator, discriminator] = optimisers(&recipe.training);
    state.adam_g.set_learning_rate(generator.learning_rate * part);
    state.adam_d.set_learning_rate(discriminator.learning_rate * part);
}

/// The run's sample volumes, made as `voxgan generate` does by default: always the same latents, conditions of the first
/// reals, no truncation, no noise.
fn samples<B: VolumeOps>(
    state: &State<B>,
    recipe: &Recipe,
    space: &TrainingSpace,
    reals: &Reals,
    device: &B::Device,
) -> Result<Vec<Volume>> {
    let mut volumes = Vec::with_capacity(recipe.output.sample_grid);
    for i in 0..recipe.output.sample_grid {
        let z_dim = recipe.network.z_dim;
        let z = normal(&mut stream(recipe.training.seed, 0, 0, i as u64, Purpose::Samples), z_dim);
        let z = Tensor::<B, 2>::from_data(TensorData::new(z, [1, z_dim]), device);
        let condition = reals.condition(i % reals.len(), device);
        let image = state.average.forward(z, condition, Truncation::OFF, Noise::None);
        volumes.extend(bridge::to_volumes(image, &space.affine()));
    }
    Ok(volumes)
}

/// Volumes of the brain and its parts in generated heads, and how plausible these are: means, for the log. A grid on which
/// no head fits has none.
fn anatomy<B: VolumeOps>(volumes: &[Volume], segmenter: &Segmenter<B>, counters: &Counters) -> Numbers {
    let mut line = Numbers::from([
        ("step".to_string(), counters.step as f64),
        ("images".to_string(), counters.images as f64),
    ]);
    let found: Vec<Volumes> = volumes
        .iter()
        .filter_map(|volume| Some(Volumes::of("", &segmenter.segment(volume).ok()?, Some(&Grid::of(volume)))))
        .collect();
    let mut mean = |key: &str, value: &dyn Fn(&Volumes) -> f64| {
        if !found.is_empty() {
            line.insert(key.into(), found.iter().map(value).sum::<f64>() / found.len() as f64);
        }
    };
    for name in LOGGED {
        mean(&format!("volume_ml/{name}"), &|one| {
            one.region(name).map_or(f64::NAN, |region| region.volume_ml)
        });
    }
    mean("anatomy_quality", &|one| one.quality);
    line
}

fn picture(folder: &RunFolder, name: &str, volumes: &[Volume], tell: &dyn Fn(Event)) -> Result<()> {
    // The range that volumes are normalised to, so that pictures of different steps compare.
    let montage = Montage { window: (-1.0, 1.0), ..Montage::fit(volumes)? };
    let path = folder.sample(name);
    write_png(&path, &montage.render(volumes)?)?;
    tell(Event::Wrote(&path));
    Ok(())
}
