//! Training of a restoration head on problems from true images or label maps.

use std::ops::Range;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;

use burn::backend::Autodiff;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::checkpoint::from_json;
use super::discriminator::DiscriminatorLearner;
use super::group::Group;
use super::learner::{Learner, of_this_run, of_this_space, rate, save};
use super::phases::{add, number};
use super::picture::{PICTURED, PICTURES, draw};
use super::prefetch::Prefetch;
use super::record::RunFolder;
use super::run::{Clock, Ended, Event, Numbers, Place, Schedule, Trainable, finite, go_on};
use super::share::neighbours;
use super::subjects::Rounds;
pub use super::subjects::Subjects;
use crate::config::{RestorationLoss, RestorationRecipe};
use crate::convert;
use crate::error::Result;
use crate::heads::{Example, Head, Problem, Restorer, head, loss};
use crate::nn::parameters::{Named, gradients};
use crate::ops::{VolumeOps, backward, tape};
use crate::pretrained::{ImageSpace, Weights, segmenter};
use crate::segment::Encoder;

/// The least error that losses are taken relative to: what is solved already is not weighed without bounds.
const NOTHING_OFF: f64 = 1e-5;

/// A run to start or resume.
#[derive(Debug)]
pub struct Job<'a> {
    /// The recipe.
    pub recipe: &'a RestorationRecipe,
    /// The source of examples.
    pub subjects: Subjects<'a>,
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
/// [`crate::error::Error::Io`] for data, checkpoints and outputs. The last checkpoint is intact in every case.
pub fn run<B: VolumeOps>(job: &Job, device: &B::Device, tell: &dyn Fn(Event)) -> Result<Ended> {
    let place = Place {
        out: job.out,
        recipe: job.recipe.to_toml(),
        data: job.subjects.identity(),
        device: B::name(device),
        group: job.group,
    };
    go_on(Training::<B>::new(job, device), place, job.stop, tell)
}

/// A head in training.
struct Training<'a, B: VolumeOps> {
    job: &'a Job<'a>,
    space: ImageSpace,
    source: Rc<Source<'a>>,
    prefetch: Prefetch<Vec<Example>>,
    learner: Learner<B, Restorer<Autodiff<B>>>,
    /// What the perceptual loss sees with.
    perceptual: Option<Encoder<Autodiff<B>>>,
    discriminator: Option<DiscriminatorLearner<B>>,
    clock: Clock,
    device: B::Device,
}

impl<'a, B: VolumeOps> Training<'a, B> {
    fn new(job: &'a Job<'a>, device: &B::Device) -> Result<Self> {
        let (recipe, training) = (job.recipe, &job.recipe.training);
        let space = job.subjects.space()?;
        let head = head(&recipe.head);
        let learner = Learner::of_head(recipe, &*head, training.seed, device);
        let perceptual = match recipe.loss.perceptual > 0.0 {
            true => Some(segmenter::features::<Autodiff<B>>(device)?),
            false => None,
        };
        let order = Rounds::new(training.seed, 0, job.subjects.len());
        let discriminator = recipe.discriminator.as_ref().map(|discriminator| {
            DiscriminatorLearner::new(
                discriminator,
                head.channels().image,
                training.patch,
                training.seed,
                device,
            )
        });
        let own = neighbours(training.batch, job.group)?;
        let source = Rc::new(Source { recipe, subjects: job.subjects, head, order, own });
        let (prefetch, clock) = (Prefetch::default(), Clock::default());
        Ok(Self {
            job,
            space,
            source,
            prefetch,
            discriminator,
            learner,
            perceptual,
            clock,
            device: device.clone(),
        })
    }
}

/// What a network makes of a rank's examples.
struct Found<B: VolumeOps> {
    /// The rank's share of those of the step.
    gradients: Named<B>,
    /// The images and what they should be, `[1, C, D, H, W]`, for a discriminator.
    made: Vec<Tensor<B, 5>>,
    true_ones: Vec<Tensor<B, 5>>,
    numbers: Numbers,
}

/// Where examples come from.
struct Source<'a> {
    recipe: &'a RestorationRecipe,
    subjects: Subjects<'a>,
    head: Box<dyn Head>,
    order: Rounds,
    /// Numbers of the examples of a step that this rank takes.
    own: Range<u64>,
}

impl Source<'_> {
    /// The example of subject number `index` at an address.
    fn example_of(&self, index: usize, address: [u64; 3]) -> Result<Example> {
        let patch = self.recipe.training.patch;
        self.subjects.with(index, |subject| self.head.example(subject, patch, address))
    }

    /// This rank's examples of step `step`: every subject comes up once in each round.
    fn examples(&self, step: u64) -> Result<Vec<Example>> {
        let training = &self.recipe.training;
        let samples = training.batch as u64;
        let example =
            |sample| self.example_of(self.order.at(step * samples + sample), [training.seed, step, sample]);
        self.own.clone().map(example).collect()
    }
}

impl<B: VolumeOps> Training<'_, B> {
    /// What the network makes of these examples.
    fn find(&self, examples: Vec<Example>) -> Result<Found<B>> {
        let (recipe, at, samples) = (self.job.recipe, self.clock.step, examples.len());
        let mut sum = Named::<B>::new();
        let mut numbers = Numbers::new();
        let (mut made, mut true_ones) = (Vec::new(), Vec::new());
        for Example { case, truth } in examples {
            let problem = Problem::<Autodiff<B>>::new(&case, &self.device)?;
            let truth = convert::image_to_tensor::<Autodiff<B>>(&truth, &self.device);
            let initial = problem.measured.data_consistency(problem.initial.clone(), 1.0);
            let mut x = self.learner.network.forward(&problem);
            if recipe.loss.consistent {
                x = problem.measured.data_consistency(x, 1.0);
            }
            let gain = decibels(&initial.clone().inner(), &x.clone().inner(), &truth.clone().inner());
            let off = number(&loss::l1(initial.inner(), truth.clone().inner())).max(NOTHING_OFF);
            if self.discriminator.is_some() {
                made.push(x.clone().inner());
                true_ones.push(truth.clone().inner());
            }
            let fooling =
                self.discriminator.as_ref().and_then(|discriminator| discriminator.term(x.clone(), at));
            let mut total =
                objective(&recipe.loss, self.perceptual.as_ref(), x, truth, &mut numbers, samples);
            if recipe.loss.relative {
                total = total / off;
                *numbers.entry("loss_relative".into()).or_insert(0.0) +=
                    number(&total.clone().inner()) / samples as f64;
            }
            if let Some(fooling) = fooling {
                *numbers.entry("loss_adversarial".into()).or_insert(0.0) += number(&fooling) / samples as f64;
                total = total + fooling;
            }
            finite(number(&total.clone().inner()), at)?;
            *numbers.entry("psnr_gain_db".into()).or_insert(0.0) += gain / samples as f64;
            let weight = 1.0 / recipe.training.batch as f64;
            add(&mut sum, gradients(&self.learner.network, &backward(&total)), weight);
        }
        Ok(Found { gradients: sum, made, true_ones, numbers })
    }

    /// A step of all networks on these examples; what was found.
    fn learn(&mut self, examples: Vec<Example>) -> Result<Numbers> {
        let (training, group, at) = (&self.job.recipe.training, self.job.group, self.clock.step);
        let _tape = tape();
        let Found { gradients, made, true_ones, mut numbers } = group.agree(self.find(examples))?;
        let rate = rate(training, at);
        let (size, half_life) = (training.learning_rate * rate, training.ema_half_life_steps);
        self.learner.learn(group, gradients, size, half_life, at)?;
        if let Some(discriminator) = &mut self.discriminator {
            let (made, true_ones) = (Tensor::cat(made, 0), Tensor::cat(true_ones, 0));
            discriminator.learn(group, made, true_ones, at, rate, &mut numbers)?;
        }
        self.clock.step += 1;
        Ok(numbers)
    }
}

impl<B: VolumeOps> Trainable for Training<'_, B> {
    fn schedule(&self) -> Schedule {
        Schedule::from(&self.job.recipe.training)
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
        let examples = self.job.group.agree(self.prefetch.take(at, |step| source.examples(step)))?;
        let (numbers, prefetch) =
            Prefetch::during(at + 1, |step| source.examples(step), || self.learn(examples));
        self.prefetch = prefetch;
        numbers
    }

    fn clock(&mut self, seconds: f64) {
        self.clock.seconds += seconds;
    }

    fn complete(&self, line: &mut Numbers) {
        line.insert("seconds".into(), self.clock.seconds);
        let training = &self.job.recipe.training;
        line.insert("learning_rate".into(), training.learning_rate * rate(training, self.clock.step));
    }

    /// Problems, the same through a run, a row each: where restoration starts, the result, the truth.
    fn picture(&mut self, folder: &mut RunFolder, tell: &dyn Fn(Event)) -> Result<()> {
        let training = &self.job.recipe.training;
        let mut images = Vec::new();
        for sample in 0..PICTURED.min(self.job.subjects.len() as u64) {
            let address = [training.seed, PICTURES, sample];
            let Example { case, truth } = self.source.example_of(sample as usize, address)?;
            let problem = Problem::<B>::new(&case, &self.device)?;
            let result = problem.measured.data_consistency(self.learner.average.forward(&problem), 1.0);
            images.extend([case.initial, convert::tensor_to_image(result), truth]);
        }
        draw(folder, self.clock.step, 3, images, tell)
    }

    fn restore(&mut self, path: &Path) -> Result<()> {
        let weights = Weights::read(path)?;
        of_this_run(&weights, self.job.recipe)?;
        of_this_space(&weights, &self.space)?;
        self.learner.restore(&weights, "", &self.device)?;
        self.clock = from_json(&weights, "counters")?;
        match &mut self.discriminator {
            Some(discriminator) => discriminator.restore(&weights, "", &self.device),
            None => Ok(()),
        }
    }

    fn save(&self, path: &Path) -> Result<()> {
        let mut weights = Weights { path: path.to_path_buf(), ..Weights::default() };
        self.learner.insert(&mut weights, "")?;
        if let Some(discriminator) = &self.discriminator {
            discriminator.insert(&mut weights, "")?;
        }
        save(weights, self.job.recipe, &self.clock, self.job.subjects.identity(), &self.space)
    }
}

/// The weighted sum of the terms of the loss; their values, as means over `samples`, are added to `numbers`.
fn objective<A: VolumeOps>(
    weights: &RestorationLoss,
    perceptual: Option<&Encoder<A>>,
    x: Tensor<A, 5>,
    truth: Tensor<A, 5>,
    numbers: &mut Numbers,
    samples: usize,
) -> Tensor<A, 1> {
    let mut total = Tensor::zeros([1], &x.device());
    let mut term = |name: &str, weight: f64, value: &dyn Fn() -> Tensor<A, 1>| {
        if weight > 0.0 {
            let value = value();
            *numbers.entry(format!("loss_{name}")).or_insert(0.0) += number(&value) / samples as f64;
            total = total.clone() + value * weight;
        }
    };
    term("l1", weights.l1, &|| loss::l1(x.clone(), truth.clone()));
    term("l2", weights.l2, &|| loss::l2(x.clone(), truth.clone()));
    term("gradient", weights.gradient, &|| loss::gradient(x.clone(), truth.clone()));
    term("spectrum", weights.spectrum, &|| loss::spectrum(x.clone(), truth.clone(), x.dims()[1] == 2));
    term("perceptual", weights.perceptual, &|| {
        let perceptual = perceptual.expect("a perceptual loss has an perceptual");
        (perceptual.seen(x.clone()) - perceptual.seen(truth.clone())).abs().mean()
    });
    total
}

/// By how many decibels the mean square error of `after` is below that of `before`.
pub(super) fn decibels<B: Backend>(before: &Tensor<B, 5>, after: &Tensor<B, 5>, truth: &Tensor<B, 5>) -> f64 {
    let error = |x: &Tensor<B, 5>| number(&(x.clone() - truth.clone()).powi_scalar(2).mean());
    10.0 * (error(before).max(1e-12) / error(after).max(1e-12)).log10()
}
