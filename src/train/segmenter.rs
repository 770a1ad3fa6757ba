//! Training of the segmenter on images made of label maps.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::backend::Autodiff;
use burn::module::AutodiffModule;
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::adam::{Adam, AdamConfig};
use super::checkpoint::{from_json, insert_adam, json, restore_adam, text};
use super::phases::clean;
use super::record::RunFolder;
use super::state::averaged;
use super::{Ended, Event};
use crate::anatomy::segment::{SegmentationNet, SegmentationNetConfig, loss};
use crate::anatomy::synthesis::{Example, LabelMap, View, synthesise};
use crate::anatomy::{STRUCTURES, Structure};
use crate::config::{SegmentationRecipe, SegmentationTraining};
use crate::error::{Error, Result};
use crate::io::write_beside;
use crate::nn::Init;
use crate::nn::parameters::gradients;
use crate::ops::{VolumeOps, tape};
use crate::pretrained::model::latest_checkpoint;
use crate::pretrained::segmenter::AVERAGE;
use crate::pretrained::{Weights, load_weights};
use crate::random::{Purpose, permutation, stream};

/// Where network and optimiser stand among the arrays of a checkpoint.
const NETWORK: &str = "S.";
const ADAM: &str = "adam";

/// A run that is to be started or resumed.
#[derive(Debug)]
pub struct Job<'a> {
    /// The recipe.
    pub recipe: &'a SegmentationRecipe,
    /// The label maps to learn from; those held out are not among them.
    pub maps: &'a [LabelMap],
    /// The run's folder.
    pub out: &'a Path,
    /// Set from outside (a signal): the run finishes its step, saves and ends.
    pub stop: &'a AtomicBool,
}

/// What a run carries from one step to the next.
struct State<B: VolumeOps> {
    network: SegmentationNet<Autodiff<B>>,
    average: SegmentationNet<B>,
    adam: Adam<Autodiff<B>>,
    counters: Counters,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Counters {
    step: u64,
    seconds: f64,
}

/// Runs `job` on `device` to its end or until it is stopped, from its last checkpoint if there is one.
///
/// # Errors
/// [`Error::Training`] for a loss that is not finite; errors of files as they are. The last checkpoint is intact in
/// every case.
pub fn run<B: VolumeOps>(job: &Job, device: &B::Device, tell: &dyn Fn(Event)) -> Result<Ended> {
    let training = &job.recipe.training;
    let mut state = State::<B>::new(job.recipe, device);
    if let Some(path) = latest_checkpoint(job.out)? {
        state.restore(&path, job, device)?;
    }
    let toml = job.recipe.to_toml()?;
    let mut folder = RunFolder::open(job.out, &toml, &B::name(device), state.counters.step)?;
    tell(Event::Started { step: state.counters.step, steps: training.steps });
    let mut tally = Tally::default();
    let mut saved = state.counters.step;
    while state.counters.step < training.steps && !job.stop.load(Ordering::Relaxed) {
        let started = Instant::now();
        let found = state.step(job, device)?;
        let seconds = started.elapsed().as_secs_f64();
        state.counters.seconds += seconds;
        tally.add(found, seconds);
        let done = state.counters.step;
        if done.is_multiple_of(training.log_every_steps) || done == training.steps {
            let line = tally.line(&state.counters, rate(training, done));
            folder.log(&line)?;
            tell(Event::Logged { step: done, numbers: &line });
        }
        if done.is_multiple_of(training.checkpoint_every_steps) || done == training.steps {
            state.save(&folder, job, tell)?;
            saved = done;
        }
    }
    if saved != state.counters.step {
        state.save(&folder, job, tell)?;
    }
    Ok(if state.counters.step < training.steps { Ended::Stopped } else { Ended::Complete })
}

/// Adam's step size after `step` steps: a linear rise, then half a cosine.
fn rate(training: &SegmentationTraining, step: u64) -> f64 {
    let rise = ((step + 1) as f64 / training.warm_up.max(1) as f64).min(1.0);
    let part = step as f64 / training.steps.max(1) as f64;
    training.learning_rate * rise * (0.5 + 0.5 * (std::f64::consts::PI * part.min(1.0)).cos())
}

/// The example of a step: every map comes up once in each round.
fn example(job: &Job, step: u64) -> Example {
    let (maps, training) = (job.maps, &job.recipe.training);
    let (round, place) = (step / maps.len() as u64, (step % maps.len() as u64) as usize);
    let order = permutation(&mut stream(training.seed, round, 0, 0, Purpose::Order), maps.len());
    let address = [training.seed, step, 0];
    synthesise(&maps[order[place]], View::Crop(training.crop), &job.recipe.synthesis, address)
}

/// What a step found.
struct Found {
    dice: f64,
    cross_entropy: f64,
    structures: [Option<f64>; STRUCTURES],
}

impl<B: VolumeOps> State<B> {
    fn new(recipe: &SegmentationRecipe, device: &B::Device) -> Self {
        let config = SegmentationNetConfig { widths: recipe.segmenter.widths.clone() };
        let network: SegmentationNet<Autodiff<B>> = config.init(&mut Init::new(recipe.training.seed), device);
        let (learning_rate, betas) = (recipe.training.learning_rate, recipe.training.adam_betas);
        Self {
            average: network.valid(),
            network,
            adam: Adam::new(AdamConfig { learning_rate, betas, epsilon: 1e-8 }),
            counters: Counters::default(),
        }
    }

    fn step(&mut self, job: &Job, device: &B::Device) -> Result<Found> {
        let (training, at) = (&job.recipe.training, self.counters.step);
        let Example { image, target } = example(job, at);
        let _tape = tape();
        let (d, h, w) = image.dim();
        let image = TensorData::new(image.into_raw_vec_and_offset().0, [1, 1, d, h, w]);
        let logits = self.network.forward(Tensor::from_data(image, device));
        let values: Vec<f32> = logits.clone().inner().into_data().into_vec().expect("logits are float32");
        let target = target.as_slice().expect("a target is contiguous");
        let loss = loss(&values, target, [d / 2, h / 2, w / 2], training.cross_entropy);
        drop(values);
        if !(loss.dice + loss.cross_entropy).is_finite() {
            let problem = format!("the loss is {}", loss.dice + loss.cross_entropy);
            let advice = "lower training.learning_rate, and start again from the last checkpoint";
            return Err(Error::Training { step: at, problem, advice: advice.into() });
        }
        // The gradient in the logits is known: it enters the tape as that of a linear function of them.
        let slope = Tensor::from_data(TensorData::new(loss.gradient, logits.dims()), device);
        let found = gradients(&self.network, &(logits * slope).sum().backward());
        self.adam.set_learning_rate(rate(training, at));
        self.network = self.adam.step(self.network.clone(), &clean(found));
        self.counters.step += 1;
        // The first steps are far from the later ones: the average forgets them.
        let half_life = training.average_steps.min(self.counters.step as f64 * 0.2);
        let beta = 0.5f64.powf(1.0 / half_life.max(1e-8));
        self.average = averaged(self.average.clone(), &self.network.valid(), beta);
        Ok(Found { dice: loss.dice, cross_entropy: loss.cross_entropy, structures: loss.structures })
    }

    fn save(&self, folder: &RunFolder, job: &Job, tell: &dyn Fn(Event)) -> Result<()> {
        let path = folder.checkpoint(self.counters.step);
        let mut weights = Weights { path: path.clone(), ..Weights::default() };
        weights.insert(&self.network.valid(), NETWORK);
        weights.insert(&self.average, AVERAGE);
        insert_adam(&mut weights, &self.adam, ADAM)?;
        let maps: Vec<&str> = job.maps.iter().map(|map| map.name.as_str()).collect();
        let metadata = [
            ("recipe", job.recipe.to_toml()?),
            ("label_maps", json(&path, &maps)?),
            ("counters", json(&path, &self.counters)?),
            ("version", env!("CARGO_PKG_VERSION").into()),
        ];
        weights.metadata.extend(metadata.map(|(key, text)| (key.to_string(), text)));
        let bytes = weights.to_bytes(false)?;
        write_beside(&path, |file| file.write_all(&bytes))?;
        folder.prune()?;
        tell(Event::Wrote(&path));
        Ok(())
    }

    fn restore(&mut self, path: &Path, job: &Job, device: &B::Device) -> Result<()> {
        let weights = Weights::read(path)?;
        let saved = SegmentationRecipe::from_toml(text(&weights, "recipe")?, path)?;
        if saved.segmenter != job.recipe.segmenter {
            let advice = "give the run's own recipe.toml, or another --out for a new run";
            let (expected, found) =
                (format!("{:?}", job.recipe.segmenter.widths), format!("{:?}", saved.segmenter.widths));
            return Err(Error::file(path, "segmenter.widths", expected, found, advice));
        }
        self.network = load_weights(self.network.clone(), &weights, NETWORK)?;
        self.average = load_weights(self.average.clone(), &weights, AVERAGE)?;
        self.counters = from_json(&weights, "counters")?;
        restore_adam(&mut self.adam, &weights, ADAM, device)
    }
}

/// Means since the last line of the log.
#[derive(Default)]
struct Tally {
    sums: BTreeMap<String, (f64, f64)>,
}

impl Tally {
    fn add(&mut self, found: Found, seconds: f64) {
        let mut add = |name: &str, value: f64| {
            let sum = self.sums.entry(name.into()).or_insert((0.0, 0.0));
            *sum = (sum.0 + value, sum.1 + 1.0);
        };
        add("loss_dice", found.dice);
        add("cross_entropy", found.cross_entropy);
        add("seconds_per_step", seconds);
        for (structure, dice) in Structure::ALL.iter().zip(found.structures) {
            if let Some(dice) = dice {
                add(&format!("dice/{}", structure.name()), dice);
            }
        }
    }

    fn line(&mut self, counters: &Counters, learning_rate: f64) -> BTreeMap<String, f64> {
        let means = std::mem::take(&mut self.sums).into_iter().map(|(name, (sum, n))| (name, sum / n));
        let mut line: BTreeMap<String, f64> = means.collect();
        line.insert("step".into(), counters.step as f64);
        line.insert("seconds".into(), counters.seconds);
        line.insert("learning_rate".into(), learning_rate);
        line
    }
}
