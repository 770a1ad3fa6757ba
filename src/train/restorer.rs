//! Training of a restoration head on problems made of true images.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::backend::Autodiff;
use burn::module::AutodiffModule;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use nalgebra::Matrix4;
use ndarray::{Array4, Axis};
use serde::{Deserialize, Serialize};

use super::checkpoint::{from_json, insert_adam, json, restore_adam, text};
use super::opponent::Opponent;
use super::phases::{add, clean, number};
use super::record::RunFolder;
use super::run::{Ended, Event, Numbers, Schedule, Trainee, train};
use super::state::averaged;
use crate::anatomy::Segmenter;
use crate::anatomy::synthesis::LabelMap;
use crate::bridge;
use crate::config::{RestorationLoss, RestorationRecipe};
use crate::error::{Error, Result};
use crate::heads::{Example, Head, Problem, Restorer, Subject, head, loss};
use crate::io::dataset::Dataset;
use crate::io::write_beside;
use crate::nn::adam::{Adam, AdamConfig};
use crate::nn::parameters::{Named, gradients};
use crate::nn::schedule::{cosine, decay};
use crate::ops::{VolumeOps, tape};
use crate::pretrained::latest_checkpoint;
use crate::pretrained::restorer::AVERAGE;
use crate::pretrained::{Weights, load_weights, segmenter};
use crate::random::{Purpose, permutation, stream};
use crate::report::{Montage, write_png};
use crate::volume::Volume;

/// Where network and optimiser stand among the arrays of a checkpoint.
const NETWORK: &str = "R.";
const ADAM: &str = "adam";
/// Problems in a picture.
const PICTURED: u64 = 4;
/// The step whose address the problems of pictures have: one that no run reaches.
const PICTURES: u64 = u64::MAX;

/// A run that is to be started or resumed.
#[derive(Debug)]
pub struct Job<'a> {
    /// The recipe.
    pub recipe: &'a RestorationRecipe,
    /// What examples are made of.
    pub subjects: Subjects<'a>,
    /// The run's folder.
    pub out: &'a Path,
    /// Set from outside (a signal): the run finishes its step, saves and ends.
    pub stop: &'a AtomicBool,
}

/// What a head learns from.
#[derive(Clone, Copy, Debug)]
pub enum Subjects<'a> {
    /// True images.
    Scans(&'a Dataset),
    /// Label maps of whole heads.
    Maps(&'a [LabelMap]),
}

impl Subjects<'_> {
    fn len(self) -> usize {
        match self {
            Self::Scans(dataset) => dataset.len(),
            Self::Maps(maps) => maps.len(),
        }
    }

    /// What says which they are: the content of a dataset, the names of maps.
    fn identity(self) -> String {
        match self {
            Self::Scans(dataset) => dataset.content_sha256(),
            Self::Maps(maps) => maps.iter().map(|map| map.name.as_str()).collect::<Vec<_>>().join(", "),
        }
    }
}

/// Runs `job` on `device` to its end or until it is stopped, from its last checkpoint if there is one.
///
/// # Errors
/// [`Error::Training`] for a loss that is not finite; errors of files as they are. The last checkpoint is intact in
/// every case.
pub fn run<B: VolumeOps>(job: &Job, device: &B::Device, tell: &dyn Fn(Event)) -> Result<Ended> {
    let mut training = Training::<B>::new(job, device)?;
    if let Some(path) = latest_checkpoint(job.out)? {
        training.restore(&path)?;
    }
    let mut folder = RunFolder::open(job.out, &job.recipe.to_toml()?, &B::name(device), training.done())?;
    train(&mut training, &mut folder, job.stop, tell)
}

/// A head in training.
struct Training<'a, B: VolumeOps> {
    job: &'a Job<'a>,
    head: Box<dyn Head>,
    network: Restorer<Autodiff<B>>,
    average: Restorer<B>,
    adam: Adam<Autodiff<B>>,
    /// What the perceptual loss sees with.
    eye: Option<Segmenter<Autodiff<B>>>,
    opponent: Option<Opponent<B>>,
    counters: Counters,
    device: B::Device,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Counters {
    step: u64,
    seconds: f64,
}

impl<'a, B: VolumeOps> Training<'a, B> {
    fn new(job: &'a Job<'a>, device: &B::Device) -> Result<Self> {
        let (recipe, training) = (job.recipe, &job.recipe.training);
        let head = head(&recipe.head);
        let network = Restorer::<Autodiff<B>>::init(recipe, &*head, training.seed, device);
        let (learning_rate, betas) = (training.learning_rate, training.adam_betas);
        let eye = match recipe.loss.perceptual > 0.0 {
            true => Some(segmenter::open::<Autodiff<B>>(segmenter::EMBEDDED, device)?),
            false => None,
        };
        let opponent = recipe.adversary.as_ref().map(|adversary| {
            Opponent::new(adversary, head.channels().image, training.patch, training.seed, device)
        });
        Ok(Self {
            job,
            head,
            opponent,
            average: network.valid(),
            network,
            adam: Adam::new(AdamConfig { learning_rate, betas, epsilon: 1e-8 }),
            eye,
            counters: Counters::default(),
            device: device.clone(),
        })
    }

    /// The part of their height that step sizes have after `step` steps.
    fn rate(&self, step: u64) -> f64 {
        let training = &self.job.recipe.training;
        cosine(step, training.warm_up, training.steps)
    }

    /// The example of subject number `index` at an address.
    fn example_of(&self, index: usize, address: [u64; 3]) -> Result<Example> {
        let patch = self.job.recipe.training.patch;
        match self.job.subjects {
            Subjects::Scans(dataset) => {
                // Prepared volumes go from −1 to 1.
                let image = dataset.volume(index)?.data.mapv(|x| 0.5 * (x + 1.0));
                self.head.example(Subject::Scan(&image), patch, address)
            }
            Subjects::Maps(maps) => self.head.example(Subject::Labels(&maps[index]), patch, address),
        }
    }

    /// Example number `sample` of step `step`: every subject comes up once in each round.
    fn example(&self, step: u64, sample: u64) -> Result<Example> {
        let (training, subjects) = (&self.job.recipe.training, self.job.subjects.len() as u64);
        let n = step * training.batch as u64 + sample;
        let rng = &mut stream(training.seed, n / subjects, 0, 0, Purpose::Order);
        let order = permutation(rng, subjects as usize);
        self.example_of(order[(n % subjects) as usize], [training.seed, step, sample])
    }

    fn restore(&mut self, path: &Path) -> Result<()> {
        let weights = Weights::read(path)?;
        let saved = RestorationRecipe::from_toml(text(&weights, "recipe")?, path)?;
        let recipe = self.job.recipe;
        let parts =
            |r: &RestorationRecipe| (r.network.clone(), r.head.clone(), r.chain, r.adversary.is_some());
        if parts(&saved) != parts(recipe) {
            let advice = "give the run's own recipe.toml, or another --out for a new run";
            let expected = "the head, networks and critic of this run";
            return Err(Error::file(path, "recipe", expected, "others", advice));
        }
        self.network = load_weights(self.network.clone(), &weights, NETWORK)?;
        self.average = load_weights(self.average.clone(), &weights, AVERAGE)?;
        self.counters = from_json(&weights, "counters")?;
        if let Some(opponent) = &mut self.opponent {
            opponent.restore(&weights, &self.device)?;
        }
        restore_adam(&mut self.adam, &weights, ADAM, &self.device)
    }
}

impl<B: VolumeOps> Trainee for Training<'_, B> {
    fn schedule(&self) -> Schedule {
        let training = &self.job.recipe.training;
        Schedule {
            steps: training.steps,
            log: training.log_every_steps,
            picture: training.picture_every_steps,
            checkpoint: training.checkpoint_every_steps,
        }
    }

    fn done(&self) -> u64 {
        self.counters.step
    }

    fn step(&mut self) -> Result<Numbers> {
        let (recipe, at) = (self.job.recipe, self.counters.step);
        let samples = recipe.training.batch;
        let mut sum = Named::<B>::new();
        let mut numbers = Numbers::new();
        let (mut made, mut true_ones) = (Vec::new(), Vec::new());
        let _tape = tape();
        for sample in 0..samples {
            let Example { case, truth } = self.example(at, sample as u64)?;
            let problem = Problem::<Autodiff<B>>::new(&case, &self.device)?;
            let truth = bridge::image_to_tensor::<Autodiff<B>>(&truth, &self.device);
            let start = problem.measured.project(problem.start.clone(), 1.0);
            let mut x = self.network.forward(&problem);
            if recipe.loss.consistent {
                x = problem.measured.project(x, 1.0);
            }
            let gain = decibels(&start.inner(), &x.clone().inner(), &truth.clone().inner());
            if self.opponent.is_some() {
                made.push(x.clone().inner());
                true_ones.push(truth.clone().inner());
            }
            let fooling = self.opponent.as_ref().and_then(|opponent| opponent.term(x.clone(), at));
            let mut total = objective(&recipe.loss, self.eye.as_ref(), x, truth, &mut numbers, samples);
            if let Some(fooling) = fooling {
                *numbers.entry("loss_adversarial".into()).or_insert(0.0) += number(&fooling) / samples as f64;
                total = total + fooling;
            }
            let value = number(&total.clone().inner());
            if !value.is_finite() {
                let problem = format!("the loss is {value}");
                let advice = "lower training.learning_rate, and start again from the last checkpoint";
                return Err(Error::Training { step: at, problem, advice: advice.into() });
            }
            *numbers.entry("psnr_gain_db".into()).or_insert(0.0) += gain / samples as f64;
            add(&mut sum, gradients(&self.network, &total.backward()), 1.0 / samples as f64);
        }
        let rate = self.rate(at);
        self.adam.set_learning_rate(recipe.training.learning_rate * rate);
        self.network = self.adam.step(self.network.clone(), &clean(sum));
        if let Some(opponent) = &mut self.opponent {
            opponent.learn(Tensor::cat(made, 0), Tensor::cat(true_ones, 0), at, rate, &mut numbers);
        }
        self.counters.step += 1;
        let beta = decay(recipe.training.average_steps, self.counters.step);
        self.average = averaged(self.average.clone(), &self.network.valid(), beta);
        Ok(numbers)
    }

    fn clock(&mut self, seconds: f64) {
        self.counters.seconds += seconds;
    }

    fn complete(&self, line: &mut Numbers) {
        line.insert("seconds".into(), self.counters.seconds);
        let rate = self.job.recipe.training.learning_rate * self.rate(self.counters.step);
        line.insert("learning_rate".into(), rate);
    }

    /// Problems, the same through a run, a row each: where restoration starts, the result, the truth.
    fn picture(&self, folder: &mut RunFolder, tell: &dyn Fn(Event)) -> Result<()> {
        let training = &self.job.recipe.training;
        let mut volumes = Vec::new();
        for sample in 0..PICTURED.min(self.job.subjects.len() as u64) {
            let address = [training.seed, PICTURES, sample];
            let Example { case, truth } = self.example_of(sample as usize, address)?;
            let problem = Problem::<B>::new(&case, &self.device)?;
            let result = problem.measured.project(self.average.forward(&problem), 1.0);
            volumes.extend([case.start, bridge::tensor_to_image(result), truth].map(shown));
        }
        let montage = Montage { window: (0.0, 1.0), columns: 3, ..Montage::fit(&volumes)? };
        let path = folder.sample(&format!("step-{:08}", self.counters.step));
        write_png(&path, &montage.render(&volumes)?)?;
        tell(Event::Wrote(&path));
        Ok(())
    }

    fn save(&self, path: &Path) -> Result<()> {
        let mut weights = Weights { path: path.to_path_buf(), ..Weights::default() };
        weights.insert(&self.network.valid(), NETWORK);
        weights.insert(&self.average, AVERAGE);
        insert_adam(&mut weights, &self.adam, ADAM)?;
        if let Some(opponent) = &self.opponent {
            opponent.insert(&mut weights)?;
        }
        let metadata = [
            ("recipe", self.job.recipe.to_toml()?),
            ("counters", json(path, &self.counters)?),
            ("subjects", self.job.subjects.identity()),
            ("version", env!("CARGO_PKG_VERSION").into()),
        ];
        weights.metadata.extend(metadata.map(|(key, text)| (key.to_string(), text)));
        let bytes = weights.to_bytes(false)?;
        write_beside(path, |file| file.write_all(&bytes))
    }
}

/// The weighted sum of the terms of the loss; their values, as means over `samples`, are added to `numbers`.
fn objective<A: VolumeOps>(
    weights: &RestorationLoss,
    eye: Option<&Segmenter<A>>,
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
    term("gradient", weights.gradient, &|| loss::gradient(x.clone(), truth.clone()));
    term("spectrum", weights.spectrum, &|| loss::spectrum(x.clone(), truth.clone(), x.dims()[1] == 2));
    term("perceptual", weights.perceptual, &|| {
        let eye = eye.expect("a perceptual loss has an eye");
        (eye.seen(x.clone()) - eye.seen(truth.clone())).abs().mean()
    });
    total
}

/// An image `[C, D, H, W]` as a volume to look at: the magnitude of two parts.
fn shown(image: Array4<f32>) -> Volume {
    let magnitude = image.mapv(|x| x * x).sum_axis(Axis(0)).mapv(f32::sqrt).insert_axis(Axis(0));
    Volume::new(if image.dim().0 == 2 { magnitude } else { image }, Matrix4::identity())
}

/// By how many decibels the mean square error of `after` is below that of `before`.
fn decibels<B: Backend>(before: &Tensor<B, 5>, after: &Tensor<B, 5>, truth: &Tensor<B, 5>) -> f64 {
    let error = |x: &Tensor<B, 5>| number(&(x.clone() - truth.clone()).powi_scalar(2).mean());
    10.0 * (error(before).max(1e-12) / error(after).max(1e-12)).log10()
}
