//! Training of the segmenter's second network, which corrects the first one in ventricles and medial temporal lobes, on
//! images from label maps of 1 mm.

use std::ops::Range;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;

use burn::backend::Autodiff;
use burn::module::AutodiffModule;
use burn::tensor::{Tensor, TensorData};
use ndarray::s;

use super::checkpoint::{from_json, json, write};
use super::group::Group;
use super::learner::{Learner, Names, summed};
use super::prefetch::Prefetch;
use super::record::RunFolder;
use super::run::{Clock, Ended, Event, Numbers, Place, Schedule, Trainable, finite, go_on};
use super::segmenter::numbers;
use super::share::neighbours;
use super::subjects::Rounds;
use crate::anatomy::APART;
use crate::anatomy::Structure;
use crate::config::{DetailRecipe, SegmentationRecipe};
use crate::error::Result;
use crate::nn::Init;
use crate::nn::parameters::{Named, gradients};
use crate::ops::{VolumeOps, backward, tape};
use crate::pretrained::segmenter::{self, DETAIL};
use crate::pretrained::{Weights, load_weights};
use crate::segment::Segmenter;
use crate::segment::{SegmentationNet, detail, loss};
use crate::simulate::synthesis::{Example, LabelMap, View, synthesise};

/// Where the network stands among the arrays of a checkpoint.
const NAMES: Names = Names { network: "D.", average: DETAIL };

/// Ventricles of this many millilitres count once; smaller ones count for more, larger ones for less.
const VENTRICLES_ML: f64 = 20.0;
const WEIGHTS: [f64; 2] = [0.5, 2.0];

/// A run to start or resume.
#[derive(Debug)]
pub struct Job<'a> {
    /// The recipe, with its table `[detail]`.
    pub recipe: &'a SegmentationRecipe,
    /// The table `[detail]` of the recipe.
    pub detail: &'a DetailRecipe,
    /// The label maps to train on.
    pub maps: &'a [LabelMap],
    /// The weights of the first network.
    pub from: &'a Path,
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
/// [`crate::error::Error::Training`] for a loss that is not finite; [`crate::error::Error::File`] or
/// [`crate::error::Error::Io`] for weights, checkpoints and outputs.
pub fn run<B: VolumeOps>(job: &Job, device: &B::Device, tell: &dyn Fn(Event)) -> Result<Ended> {
    let place = Place {
        out: job.out,
        recipe: job.recipe.to_toml(),
        data: job.maps.iter().map(|map| map.name.as_str()).collect::<Vec<_>>().join(", "),
        device: B::name(device),
        group: job.group,
    };
    go_on(Training::<B>::new(job, device), place, job.stop, tell)
}

/// A second network in training.
struct Training<'a, B: VolumeOps> {
    job: &'a Job<'a>,
    /// The file of the first network, and what it says.
    first: Weights,
    segmenter: Segmenter<B>,
    learner: Learner<B, SegmentationNet<Autodiff<B>>>,
    clock: Clock,
    order: Rc<Rounds>,
    /// Numbers of the examples of a step that this rank takes.
    own: Range<u64>,
    prefetch: Prefetch<Vec<Example>>,
    device: B::Device,
}

impl<'a, B: VolumeOps> Training<'a, B> {
    fn new(job: &'a Job<'a>, device: &B::Device) -> Result<Self> {
        let training = &job.recipe.training;
        let first = Weights::read(job.from)?;
        let segmenter = segmenter::open::<B>(&job.from.to_string_lossy(), device)?;
        let config = detail::config(job.detail.widths.clone());
        let network: SegmentationNet<Autodiff<B>> = config.init(&mut Init::new(training.seed), device);
        // It begins with no correction at all.
        let mut start = Weights::default();
        start.insert(&network.valid(), "");
        for name in ["head.weight", "head.bias"] {
            start.arrays.get_mut(name).expect("a network has a head").1.fill(0.0);
        }
        let network = load_weights(network, &start, "")?;
        Ok(Self {
            job,
            first,
            segmenter,
            learner: Learner::new(network, NAMES, training.adam_betas),
            clock: Clock::default(),
            order: Rc::new(Rounds::new(training.seed, 0, job.maps.len())),
            own: neighbours(training.batch, job.group)?,
            prefetch: Prefetch::default(),
            device: device.clone(),
        })
    }
}

/// How much an example counts whose ventricles have so many millilitres.
fn weight(ventricles_ml: f64) -> f64 {
    (VENTRICLES_ML / ventricles_ml.max(1.0)).sqrt().clamp(WEIGHTS[0], WEIGHTS[1])
}

impl<B: VolumeOps> Training<'_, B> {
    /// A step of the optimiser on these examples; what was found.
    fn learn(&mut self, examples: Vec<Example>) -> Result<Numbers> {
        let (training, group, at) = (&self.job.recipe.training, self.job.group, self.clock.step);
        let (sum, numbers) = summed(group, examples, training.batch, |example| self.find(example))?;
        self.learner.learn(group, sum, training.rate(at), training.ema_half_life_steps, at)?;
        self.clock.step += 1;
        Ok(numbers)
    }

    /// The gradients of an example's loss, and what the log tells of it.
    fn find(&mut self, example: Example) -> Result<(Named<B>, Numbers)> {
        let (job, training, at) = (self.job, &self.job.recipe.training, self.clock.step);
        let Example { image, target, .. } = example;
        let lateral =
            [Structure::LeftLateralVentricle, Structure::RightLateralVentricle].map(Structure::index);
        let ventricles = target.iter().filter(|label| lateral.contains(&usize::from(**label))).count();
        let weight = weight(ventricles as f64 / 1000.0);
        // The middle of what the first network sees.
        let crop = job.detail.crop;
        let from = [0, 1, 2].map(|axis| (training.crop[axis] - crop[axis]) / 2);
        let part = s![from[0]..from[0] + crop[0], from[1]..from[1] + crop[1], from[2]..from[2] + crop[2]];
        let probability = self.segmenter.probabilities_at(image.view(), from, crop);
        let (image, target) = (image.slice(part).to_owned(), target.slice(part).to_owned());
        let _tape = tape();
        let corrections = self.learner.network.forward(detail::input(image, &probability, &self.device));
        let values: Vec<f32> =
            corrections.clone().inner().into_data().into_vec().expect("corrections are float32");
        let logits = detail::corrected(&probability, &values);
        let target = target.as_slice().expect("a copy is contiguous");
        let of = |logits: &[f32]| loss(logits, target, crop, 1, training.cross_entropy, &APART);
        let before = of(&detail::corrected(&probability, &vec![0.0; values.len()])).dice;
        let loss = of(&logits);
        finite(loss.dice + loss.cross_entropy, at)?;
        let slope: Vec<f32> =
            detail::of_corrections(&loss.gradient).into_iter().map(|x| x * weight as f32).collect();
        let slope = Tensor::from_data(TensorData::new(slope, corrections.dims()), &self.device);
        let found = gradients(&self.learner.network, &backward(&(corrections * slope).sum()));
        let mut numbers = numbers(&loss);
        numbers.insert("loss_dice_before".into(), before);
        Ok((found, numbers))
    }
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
        let (recipe, maps, at) = (self.job.recipe, self.job.maps, self.clock.step);
        let (order, own) = (Rc::clone(&self.order), self.own.clone());
        let order: &Rounds = &order;
        let make = |step| {
            let training = &recipe.training;
            let example = |sample| {
                let map = &maps[order.at(step * training.batch as u64 + sample)];
                let (view, address) = (View::Crop(training.crop), [training.seed, step, sample]);
                synthesise(map, view, &recipe.synthesis, address)
            };
            Ok(own.clone().map(example).collect())
        };
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
        self.clock = from_json(&weights, "counters")?;
        self.learner.restore(&weights, "", &self.device)
    }

    fn save(&self, path: &Path) -> Result<()> {
        let mut weights = self.first.clone();
        weights.path = path.to_path_buf();
        weights.arrays.retain(|name, _| name.starts_with(segmenter::AVERAGE));
        self.learner.insert(&mut weights, "")?;
        let metadata =
            [(segmenter::DETAIL_KEY, self.job.recipe.to_toml()?), ("counters", json(path, &self.clock)?)];
        write(weights, metadata)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_ventricles_count_for_more() {
        assert_eq!(weight(20.0), 1.0);
        assert!((weight(80.0) - 0.5).abs() < 1e-12 && (weight(0.0) - 2.0).abs() < 1e-12);
        assert!(weight(10.0) > weight(12.0));
    }
}
