//! Training of the segmenter on images from label maps and on real scans with label maps.

use std::ops::Range;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;

use burn::backend::Autodiff;
use burn::tensor::{Tensor, TensorData};

use super::checkpoint::{from_json, json, text, write};
use super::group::Group;
use super::learner::{Learner, Names, summed};
use super::prefetch::Prefetch;
use super::record::RunFolder;
use super::run::{Clock, Ended, Event, Numbers, Place, Schedule, Trainable, finite, go_on};
use super::share::neighbours;
use super::subjects::Rounds;
use crate::anatomy::{STRUCTURES, Structure};
use crate::config::SegmentationRecipe;
use crate::error::{Error, Result};
use crate::nn::Init;
use crate::nn::parameters::{Named, gradients};
use crate::ops::{VolumeOps, backward, tape};
use crate::pretrained::Weights;
use crate::pretrained::segmenter::{self, AVERAGE};
use crate::segment::{Loss, SegmentationNet, SegmentationNetConfig, loss};
use crate::simulate::synthesis::{Example, LabelMap, LabelledScan, View, synthesise};

/// Where the network stands among the arrays of a checkpoint.
const NAMES: Names = Names { network: "S.", average: AVERAGE };

/// A run to start or resume.
#[derive(Debug)]
pub struct Job<'a> {
    /// The recipe.
    pub recipe: &'a SegmentationRecipe,
    /// The label maps to train on, without those held out.
    pub maps: &'a [LabelMap],
    /// The real scans to train on beside them; can be empty.
    pub scans: &'a [LabelledScan],
    /// A segmenter's weights to start from, in place of initial values.
    pub from: Option<&'a Path>,
    /// The run's folder.
    pub out: &'a Path,
    /// The ranks that share the run.
    pub group: &'a Group,
    /// A flag that is set from outside (by a signal): the run then finishes its step, saves and ends.
    pub stop: &'a AtomicBool,
}

/// Runs `job` on `device` until its end or until it is stopped, from its last checkpoint if there is one.
///
/// # Errors
/// [`Error::Training`] for a loss that is not finite; [`Error::File`] or [`Error::Io`] for weights, checkpoints and
/// outputs. The last checkpoint is intact in every case.
pub fn run<B: VolumeOps>(job: &Job, device: &B::Device, tell: &dyn Fn(Event)) -> Result<Ended> {
    let names = job.maps.iter().map(|map| &map.name).chain(job.scans.iter().map(|scan| &scan.name));
    let place = Place {
        out: job.out,
        recipe: job.recipe.to_toml(),
        data: names.map(String::as_str).collect::<Vec<_>>().join(", "),
        device: B::name(device),
        group: job.group,
    };
    go_on(Training::<B>::new(job, device), place, job.stop, tell)
}

/// A segmenter in training.
struct Training<'a, B: VolumeOps> {
    job: &'a Job<'a>,
    learner: Learner<B, SegmentationNet<Autodiff<B>>>,
    clock: Clock,
    source: Rc<Source<'a>>,
    prefetch: Prefetch<Vec<Example>>,
    device: B::Device,
}

/// Where examples come from.
struct Source<'a> {
    recipe: &'a SegmentationRecipe,
    maps: &'a [LabelMap],
    scans: &'a [LabelledScan],
    order_of_maps: Rounds,
    order_of_scans: Rounds,
    /// Numbers of the examples of a step that this rank takes.
    own: Range<u64>,
}

impl Source<'_> {
    /// This rank's examples of a step.
    fn examples(&self, step: u64) -> Vec<Example> {
        self.own.clone().map(|sample| self.example(step, sample)).collect()
    }

    /// An example: every map and every scan comes up once in each of its rounds. Real scans come at even distances, so
    /// that the number of an example alone says what it is.
    fn example(&self, step: u64, sample: u64) -> Example {
        let (training, synthesis) = (&self.recipe.training, &self.recipe.synthesis);
        let (view, address) = (View::Crop(training.crop), [training.seed, step, sample]);
        let share = if self.scans.is_empty() { 0.0 } else { training.real };
        let scans_before = |number: u64| (number as f64 * share) as u64;
        let number = step * training.batch as u64 + sample;
        let n = scans_before(number);
        if scans_before(number + 1) > n {
            self.scans[self.order_of_scans.at(n)].example(view, synthesis, address)
        } else {
            synthesise(&self.maps[self.order_of_maps.at(number - n)], view, synthesis, address)
        }
    }
}

impl<'a, B: VolumeOps> Training<'a, B> {
    fn new(job: &'a Job<'a>, device: &B::Device) -> Result<Self> {
        let (recipe, training) = (job.recipe, &job.recipe.training);
        let config = SegmentationNetConfig::on_half_the_grid(recipe.segmenter.widths.clone(), STRUCTURES);
        let network: SegmentationNet<Autodiff<B>> = match job.from {
            Some(path) => segmenter::start(&Weights::read(path)?, &config, device)?,
            None => config.init(&mut Init::new(training.seed), device),
        };
        Ok(Self {
            job,
            learner: Learner::new(network, NAMES, training.adam_betas),
            clock: Clock::default(),
            source: Rc::new(Source {
                recipe,
                maps: job.maps,
                scans: job.scans,
                order_of_maps: Rounds::new(training.seed, 0, job.maps.len()),
                order_of_scans: Rounds::new(training.seed, 1, job.scans.len()),
                own: neighbours(training.batch, job.group)?,
            }),
            prefetch: Prefetch::default(),
            device: device.clone(),
        })
    }

    /// A step of the optimiser on these examples; what the loss found.
    fn learn(&mut self, examples: Vec<Example>) -> Result<Numbers> {
        let (training, group, at) = (&self.job.recipe.training, self.job.group, self.clock.step);
        let _tape = tape();
        let (sum, numbers) = summed(group, examples, training.batch, |example| self.find(example))?;
        self.learner.learn(group, sum, training.rate(at), training.ema_half_life_steps, at)?;
        self.clock.step += 1;
        Ok(numbers)
    }

    /// The gradients of an example's loss, and what the log tells of it.
    fn find(&self, example: Example) -> Result<(Named<B>, Numbers)> {
        let Example { image, target, classes } = example;
        let (training, at) = (&self.job.recipe.training, self.clock.step);
        let (d, h, w) = image.dim();
        let image = TensorData::new(image.into_raw_vec_and_offset().0, [1, 1, d, h, w]);
        let logits = self.learner.network.forward(Tensor::from_data(image, &self.device));
        let values: Vec<f32> = logits.clone().inner().into_data().into_vec().expect("logits are float32");
        let target = target.as_slice().expect("a target is contiguous");
        let loss = loss(&values, target, [d / 2, h / 2, w / 2], 2, training.cross_entropy, &classes);
        drop(values);
        finite(loss.dice + loss.cross_entropy, at)?;
        let told = numbers(&loss);
        // The gradient in the logits is known: it enters the tape as that of a linear function of them.
        let slope = Tensor::from_data(TensorData::new(loss.gradient, logits.dims()), &self.device);
        Ok((gradients(&self.learner.network, &backward(&(logits * slope).sum())), told))
    }
}

/// What the log tells of a loss.
pub(super) fn numbers(loss: &Loss) -> Numbers {
    let mut numbers =
        Numbers::from([("loss_dice".into(), loss.dice), ("cross_entropy".into(), loss.cross_entropy)]);
    for (structure, dice) in Structure::ALL.iter().zip(loss.structures) {
        numbers.extend(dice.map(|dice| (format!("dice/{}", structure.name()), dice)));
    }
    numbers
}

impl<B: VolumeOps> Trainable for Training<'_, B> {
    fn schedule(&self) -> Schedule {
        (&self.job.recipe.training).into()
    }

    fn done(&self) -> u64 {
        self.clock.step
    }

    fn images_per_step(&self) -> usize {
        self.job.recipe.training.batch
    }

    fn step(&mut self) -> Result<Numbers> {
        let at = self.clock.step;
        let source = Rc::clone(&self.source);
        let source: &Source = &source;
        let make = |step| Ok(source.examples(step));
        let now = self.prefetch.take(at, make)?;
        let (numbers, prefetch) = Prefetch::during(at + 1, make, || self.learn(now));
        self.prefetch = prefetch;
        numbers
    }

    fn clock(&mut self, seconds: f64) {
        self.clock.seconds += seconds;
    }

    fn complete(&self, line: &mut Numbers) {
        line.insert("seconds".into(), self.clock.seconds);
        line.insert("learning_rate".into(), self.job.recipe.training.rate(self.clock.step));
    }

    fn picture(&mut self, _: &mut RunFolder, _: &dyn Fn(Event)) -> Result<()> {
        Ok(())
    }

    fn restore(&mut self, path: &Path) -> Result<()> {
        let weights = Weights::read(path)?;
        let (saved, asked) = (
            SegmentationRecipe::from_toml(text(&weights, "recipe")?, path)?.segmenter,
            &self.job.recipe.segmenter,
        );
        if saved != *asked {
            let advice = "give the run's own recipe.toml, or another --out for a new run";
            let (expected, found) = (format!("{:?}", asked.widths), format!("{:?}", saved.widths));
            return Err(Error::file(path, "segmenter.widths", expected, found, advice));
        }
        self.clock = from_json(&weights, "counters")?;
        self.learner.restore(&weights, "", &self.device)
    }

    fn save(&self, path: &Path) -> Result<()> {
        let mut weights = Weights { path: path.to_path_buf(), ..Weights::default() };
        self.learner.insert(&mut weights, "")?;
        let maps: Vec<&str> = self.job.maps.iter().map(|map| map.name.as_str()).collect();
        let scans: Vec<&str> = self.job.scans.iter().map(|scan| scan.name.as_str()).collect();
        let metadata = [
            ("recipe", self.job.recipe.to_toml()?),
            (segmenter::STRUCTURES_KEY, json(path, &segmenter::own_structures())?),
            ("label_maps", json(path, &maps)?),
            ("scans", json(path, &scans)?),
            ("counters", json(path, &self.clock)?),
        ];
        write(weights, metadata)
    }
}
