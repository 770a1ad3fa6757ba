//! Training of translation without pairs (Zhu et al. 2017, CycleGAN).
//!
//! Images of two contrasts are of different heads. Two networks translate between them, with a discriminator between
//! translated and true images of each contrast; and an image that is translated there and back should not change:
//!
//! ```text
//! a ──forward──▶ b' ──backward──▶ a''     |a'' − a|, discriminator of b on b', |forward(b) − b|
//! b ──backward─▶ a' ──forward───▶ b''     |b'' − b|, discriminator of a on a', |backward(a) − a|
//! ```

use std::ops::Range;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;

use burn::backend::Autodiff;
use burn::tensor::Tensor;
use ndarray::Array4;

use super::checkpoint::{from_json, text};
use super::discriminator::DiscriminatorLearner;
use super::group::Group;
use super::learner::{Learner, of_this_run, rate, save};
use super::phases::{add, number};
use super::picture::{PICTURED, PICTURES, draw};
use super::prefetch::Prefetch;
use super::record::RunFolder;
use super::restorer::{Subjects, decibels};
use super::run::{Clock, Ended, Event, Numbers, Place, Schedule, Trainable, finite, go_on};
use super::share::neighbours;
use super::subjects::Rounds;
use crate::config::{HeadRecipe, RestorationRecipe, UnpairedRecipe};
use crate::convert::{image_to_tensor, tensor_to_image};
use crate::error::{Error, Result};
use crate::heads::{Example, Head, Problem, Restorer, Translate, loss};
use crate::io::dataset::Dataset;
use crate::nn::parameters::{Named, gradients};
use crate::nn::schedule::rise;
use crate::ops::{VolumeOps, backward, tape};
use crate::pretrained::restorer::BACKWARD;
use crate::pretrained::{ImageSpace, Weights};
use crate::simulate::synthesis::LabelMap;

/// The two directions: what they are called in the log, and in a checkpoint.
const DIRECTIONS: [(&str, &str); 2] = [("forward", ""), ("backward", BACKWARD)];
/// The seed of the way back is told from that of the way there by this.
const SEED: u64 = 1 << 33;

/// A run to start or resume.
#[derive(Debug)]
pub struct Job<'a> {
    /// The recipe, with a table `[unpaired]`.
    pub recipe: &'a RestorationRecipe,
    /// The source of images of the two contrasts.
    pub domains: Domains<'a>,
    /// The run's folder.
    pub out: &'a Path,
    /// The ranks that share the run.
    pub group: &'a Group,
    /// A flag that is set from outside (by a signal): the run then finishes its step, saves and ends.
    pub stop: &'a AtomicBool,
}

/// The source of images of the two contrasts.
#[derive(Clone, Copy, Debug)]
pub enum Domains<'a> {
    /// True images: a dataset of the source contrast, and one of the target contrast.
    Scans([&'a Dataset; 2]),
    /// Images that are simulated from label maps of whole heads, the two of different draws and, if there are several,
    /// of different maps.
    Maps(&'a [LabelMap]),
}

impl<'a> Domains<'a> {
    /// What images of contrast `side` are made of.
    fn subjects(self, side: usize) -> Subjects<'a> {
        match self {
            Self::Scans(datasets) => Subjects::Scans(datasets[side]),
            Self::Maps(maps) => Subjects::Maps(maps),
        }
    }

    /// The orders in which subjects of the two contrasts come up.
    fn orders(self, seed: u64) -> [Rounds; 2] {
        [0, 1].map(|side| {
            let phase = if matches!(self, Self::Scans(_)) { side as u64 } else { 0 };
            Rounds::new(seed, phase, self.subjects(side).len())
        })
    }

    /// The subject of contrast `side` that is number `n` of a run.
    fn turn(self, orders: &[Rounds; 2], side: usize, n: u64) -> usize {
        match self {
            Self::Scans(_) => orders[side].at(n),
            // The second contrast looks ahead by one head, so that a step never has one head in both.
            Self::Maps(_) => orders[side].ahead(n, side as u64),
        }
    }

    /// What says which they are.
    fn identity(self) -> String {
        [0, 1].map(|side| self.subjects(side).identity()).join(" to ")
    }

    /// The space of the images of both contrasts.
    fn space(self) -> Result<ImageSpace> {
        let [space, other] = [self.subjects(0).space()?, self.subjects(1).space()?];
        let Self::Scans(datasets) = self else { return Ok(space) };
        let alike = space.normalisation == other.normalisation
            && space.other_spacing(other.spacing_mm.unwrap_or_default(), [true; 3]).is_none();
        if !alike {
            let of = |space: &ImageSpace| serde_json::to_string(space).unwrap_or_default();
            let advice = "prepare both with the same spacing and normalisation";
            return Err(Error::value(
                "--other",
                format!("images as in --data: {}", of(&space)),
                of(&other),
                advice,
            ));
        }
        if datasets[0].content_sha256() == datasets[1].content_sha256() {
            let advice = "give a dataset of the contrast that is translated to";
            return Err(Error::value("--other", "another dataset than --data", "the same images", advice));
        }
        Ok(space)
    }
}

/// Runs `job` on `device` until its end or until it is stopped, from its last checkpoint if there is one.
///
/// # Errors
/// [`Error::Value`] for a recipe that is not of unpaired translation, and for two equal datasets; [`Error::Training`]
/// for a loss that is not finite; [`Error::File`] for a checkpoint of another run; [`Error::Io`] or [`Error::File`] for
/// data and outputs. The last checkpoint is intact in every case.
pub fn run<B: VolumeOps>(job: &Job, device: &B::Device, tell: &dyn Fn(Event)) -> Result<Ended> {
    let place = Place {
        out: job.out,
        recipe: job.recipe.to_toml(),
        data: job.domains.identity(),
        device: B::name(device),
        group: job.group,
    };
    go_on(Training::<B>::new(job, device), place, job.stop, tell)
}

/// Both directions in training.
struct Training<'a, B: VolumeOps> {
    job: &'a Job<'a>,
    space: ImageSpace,
    weights: &'a UnpairedRecipe,
    source: Rc<Source<'a>>,
    prefetch: Prefetch<Vec<[Array4<f32>; 2]>>,
    directions: [Direction<B>; 2],
    pictured: Vec<Pictured<B>>,
    clock: Clock,
    device: B::Device,
}

/// A network, and the discriminator of the contrast that it translates to.
struct Direction<B: VolumeOps> {
    learner: Learner<B, Restorer<Autodiff<B>>>,
    discriminator: DiscriminatorLearner<B>,
}

/// An image of the first contrast that is looked at through the run, and never learned from.
struct Pictured<B: VolumeOps> {
    image: Tensor<B, 5>,
    /// The same head in the second contrast, where it is simulated: for measuring only.
    truth: Option<Tensor<B, 5>>,
}

impl<'a, B: VolumeOps> Training<'a, B> {
    fn new(job: &'a Job<'a>, device: &B::Device) -> Result<Self> {
        let (recipe, space) = (job.recipe, job.domains.space()?);
        let (HeadRecipe::Translate(translate), Some(weights), Some(discriminator)) =
            (&recipe.head, &recipe.unpaired, &recipe.discriminator)
        else {
            let (expected, advice) =
                ("[unpaired] and [discriminator] of the head translate", "add these tables");
            return Err(Error::value("recipe", expected, "another recipe", advice));
        };
        let head = Translate::new(translate);
        let training = &recipe.training;
        let directions = [training.seed, training.seed ^ SEED].map(|seed| Direction {
            learner: Learner::of_head(recipe, &head, seed, device),
            discriminator: DiscriminatorLearner::new(
                discriminator,
                head.channels().image,
                training.patch,
                seed,
                device,
            ),
        });
        let subjects = job.domains.subjects(0);
        let pictured = (0..PICTURED.min(subjects.len() as u64)).map(|sample| {
            let (patch, address) = (training.patch, [training.seed, PICTURES, sample]);
            let on_device = |image: &Array4<f32>| image_to_tensor(image, device);
            subjects.with(sample as usize, |subject| match job.domains {
                Domains::Scans(_) => {
                    let image = on_device(&head.source(subject, patch, address)?);
                    Ok(Pictured { image, truth: None })
                }
                Domains::Maps(_) => {
                    let Example { case, truth } = head.example(subject, patch, address)?;
                    Ok(Pictured { image: on_device(&case.initial), truth: Some(on_device(&truth)) })
                }
            })
        });
        let pictured = pictured.collect::<Result<_>>()?;
        let (domains, own) = (job.domains, neighbours(training.batch, job.group)?);
        let source = Rc::new(Source { recipe, domains, head, orders: domains.orders(training.seed), own });
        let (prefetch, clock, device) = (Prefetch::default(), Clock::default(), device.clone());
        Ok(Self { job, space, weights, source, prefetch, directions, pictured, clock, device })
    }

    /// What direction `side` makes of an image `[1, 1, D, H, W]` of its contrast, and the gradients of their loss in
    /// its network and in that of the way back.
    fn there_and_back(&self, side: usize, image: &Tensor<B, 5>, numbers: &mut Numbers) -> Result<Round<B>> {
        let (at, samples) = (self.clock.step, self.source.own.clone().count() as f64);
        let [there, back] = [&self.directions[side], &self.directions[1 - side]];
        let through = |network: &Restorer<Autodiff<B>>, x: &Tensor<Autodiff<B>, 5>| {
            network.forward(&Problem::unconstrained(x.clone()))
        };
        let mut note = |name: &str, value: f64| *numbers.entry(name.into()).or_insert(0.0) += value;
        let image = Tensor::from_inner(image.clone());
        let made = through(&there.learner.network, &image);
        let cycle = loss::l1(through(&back.learner.network, &made), image.clone());
        note("loss_cycle", number(&cycle) / (2.0 * samples));
        let risen = rise(at, self.weights.rise);
        let mut total = cycle * (risen * self.weights.cycle);
        if self.weights.identity > 0.0 {
            // The way back leads to the contrast that this image has.
            let identity = loss::l1(through(&back.learner.network, &image), image);
            note("loss_identity", number(&identity) / (2.0 * samples));
            total = total + identity * (risen * self.weights.identity);
        }
        if let Some(fooling) = there.discriminator.term(made.clone(), at) {
            note(&format!("loss_adversarial_{}", DIRECTIONS[side].0), number(&fooling) / samples);
            total = total + fooling;
        }
        finite(number(&total), at)?;
        let found = backward(&total);
        let gradients = [there, back].map(|direction| gradients(&direction.learner.network, &found));
        Ok(Round { made: made.inner(), gradients })
    }
}

/// What the networks make of a rank's images, for each direction.
struct Found<B: VolumeOps> {
    /// The rank's share of those of the step.
    gradients: [Named<B>; 2],
    /// Images in the contrast that is translated to, made and true, `[1, 1, D, H, W]`.
    made: [Vec<Tensor<B, 5>>; 2],
    true_ones: [Vec<Tensor<B, 5>>; 2],
    numbers: Numbers,
}

/// Where images come from.
struct Source<'a> {
    recipe: &'a RestorationRecipe,
    domains: Domains<'a>,
    head: Translate,
    orders: [Rounds; 2],
    /// Numbers of the samples of a step that this rank takes.
    own: Range<u64>,
}

impl Source<'_> {
    /// The images of step `step`, a pair `[1, D, H, W]` of both contrasts for each sample of this rank.
    fn images(&self, step: u64) -> Result<Vec<[Array4<f32>; 2]>> {
        self.own
            .clone()
            .map(|sample| Ok([self.image(0, step, sample)?, self.image(1, step, sample)?]))
            .collect()
    }

    fn image(&self, side: usize, step: u64, sample: u64) -> Result<Array4<f32>> {
        let (training, domains) = (&self.recipe.training, self.domains);
        let index = domains.turn(&self.orders, side, step * training.batch as u64 + sample);
        // The contrasts draw from addresses of their own: nothing of one image tells of the other.
        let (patch, address) = (training.patch, [training.seed, step, 2 * sample + side as u64]);
        domains.subjects(side).with(index, |subject| match side {
            0 => self.head.source(subject, patch, address),
            _ => self.head.target(subject, patch, address),
        })
    }
}

/// An image that has gone there and back.
struct Round<B: VolumeOps> {
    /// What it was there.
    made: Tensor<B, 5>,
    /// Gradients in the network of the way there, and in that of the way back.
    gradients: [Named<B>; 2],
}

impl<B: VolumeOps> Training<'_, B> {
    /// What both networks make of these images.
    fn find(&self, images: &[[Array4<f32>; 2]]) -> Result<Found<B>> {
        let training = &self.job.recipe.training;
        let mut sums = [Named::<B>::new(), Named::new()];
        let mut numbers = Numbers::new();
        let (mut made, mut true_ones) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
        for pair in images {
            for (side, image) in pair.iter().enumerate() {
                let image = image_to_tensor(image, &self.device);
                let round = self.there_and_back(side, &image, &mut numbers)?;
                for (side, found) in [side, 1 - side].into_iter().zip(round.gradients) {
                    add(&mut sums[side], found, 1.0 / training.batch as f64);
                }
                made[side].push(round.made);
                // What is true in this contrast is what the other direction is measured by.
                true_ones[1 - side].push(image);
            }
        }
        Ok(Found { gradients: sums, made, true_ones, numbers })
    }

    /// A step of all networks on these images; what was found.
    fn learn(&mut self, images: &[[Array4<f32>; 2]]) -> Result<Numbers> {
        let (training, group, at) = (&self.job.recipe.training, self.job.group, self.clock.step);
        let _tape = tape();
        let Found { gradients: sums, made, true_ones, mut numbers } = group.agree(self.find(images))?;
        let rate = rate(training, at);
        let directions =
            self.directions.iter_mut().zip(DIRECTIONS).zip(sums).zip(made.into_iter().zip(true_ones));
        for (((direction, (name, _)), sum), (made, true_ones)) in directions {
            let (size, half_life) = (training.learning_rate * rate, training.ema_half_life_steps);
            direction.learner.learn(group, sum, size, half_life, at)?;
            let mut found = Numbers::new();
            let (made, true_ones) = (Tensor::cat(made, 0), Tensor::cat(true_ones, 0));
            direction.discriminator.learn(group, made, true_ones, at, rate, &mut found)?;
            numbers.extend(found.into_iter().map(|(key, value)| (format!("{key}_{name}"), value)));
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
        2 * self.job.recipe.training.batch
    }

    fn step(&mut self) -> Result<Numbers> {
        let at = self.clock.step;
        let source = Rc::clone(&self.source);
        let source: &Source = &source;
        let images = self.job.group.agree(self.prefetch.take(at, |step| source.images(step)))?;
        let (numbers, prefetch) =
            Prefetch::during(at + 1, |step| source.images(step), || self.learn(&images));
        self.prefetch = prefetch;
        numbers
    }

    fn clock(&mut self, seconds: f64) {
        self.clock.seconds += seconds;
    }

    /// Also by how many decibels translated images are nearer to their truth than they were, where it is known.
    fn complete(&self, line: &mut Numbers) {
        let training = &self.job.recipe.training;
        line.insert("seconds".into(), self.clock.seconds);
        line.insert("learning_rate".into(), training.learning_rate * rate(training, self.clock.step));
        let forward = &self.directions[0].learner.average;
        let gain = |Pictured { image, truth }: &Pictured<B>| {
            let truth = truth.as_ref()?;
            Some(decibels(image, &forward.forward(&Problem::unconstrained(image.clone())), truth))
        };
        let gains: Vec<f64> = self.pictured.iter().filter_map(gain).collect();
        if !gains.is_empty() {
            line.insert("psnr_gain_db".into(), gains.iter().sum::<f64>() / gains.len() as f64);
        }
    }

    /// Images, the same through a run, a row each: as they are, there, and back; and the truth, where it is known.
    fn picture(&mut self, folder: &mut RunFolder, tell: &dyn Fn(Event)) -> Result<()> {
        let mut images = Vec::new();
        for Pictured { image, truth } in &self.pictured {
            let through = |side: usize, x: Tensor<B, 5>| {
                self.directions[side].learner.average.forward(&Problem::unconstrained(x))
            };
            let made = through(0, image.clone());
            let returned = through(1, made.clone());
            images.extend(
                [image.clone(), made, returned].into_iter().chain(truth.clone()).map(tensor_to_image),
            );
        }
        draw(folder, self.clock.step, images.len() / self.pictured.len(), images, tell)
    }

    fn restore(&mut self, path: &Path) -> Result<()> {
        let weights = Weights::read(path)?;
        of_this_run(&weights, self.job.recipe)?;
        let (saved, given) = (text(&weights, "subjects")?, self.job.domains.identity());
        if saved != given {
            let advice = "give the run's own --data and --other, or another --out for a new run";
            return Err(Error::file(path, "training set", saved, given, advice));
        }
        for (direction, (_, part)) in self.directions.iter_mut().zip(DIRECTIONS) {
            direction.learner.restore(&weights, part, &self.device)?;
            direction.discriminator.restore(&weights, part, &self.device)?;
        }
        self.clock = from_json(&weights, "counters")?;
        Ok(())
    }

    fn save(&self, path: &Path) -> Result<()> {
        let mut weights = Weights { path: path.to_path_buf(), ..Weights::default() };
        for (direction, (_, part)) in self.directions.iter().zip(DIRECTIONS) {
            direction.learner.insert(&mut weights, part)?;
            direction.discriminator.insert(&mut weights, part)?;
        }
        save(weights, self.job.recipe, &self.clock, self.job.domains.identity(), &self.space)
    }
}
