//! The state of a generator's training.

use burn::backend::Autodiff;
use burn::module::{AutodiffModule, Module};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::coverage::Matches;
use super::transfer::Origin;
use crate::config::{Recipe, TrainingRecipe};
use crate::gan::{AdaptiveP, Discriminator, Generator};
use crate::nn::adam::{Adam, AdamConfig};
use crate::nn::parameters::{Named, is_buffer, replace, tensors};
use crate::ops::VolumeOps;

/// Seeds of the two networks are told apart by these.
const DISCRIMINATOR_SEED: u64 = 1 << 32;

/// The state of a run: networks, optimisers and counters.
#[derive(Debug)]
pub struct State<B: VolumeOps> {
    /// The generator in training.
    pub generator: Generator<Autodiff<B>>,
    /// The discriminator in training.
    pub discriminator: Discriminator<Autodiff<B>>,
    /// The running average of the generator, which samples are made with.
    pub average: Generator<B>,
    /// The generator's optimiser.
    pub adam_g: Adam<Autodiff<B>>,
    /// The discriminator's optimiser.
    pub adam_d: Adam<Autodiff<B>>,
    /// The counters.
    pub counters: Counters,
    /// The latents whose samples are nearest to the training volumes.
    pub matches: Matches,
    /// The weights that the run started from; `None` for initial values.
    pub origin: Option<Origin>,
}

/// The counters of a run, saved with its checkpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// Number of steps done.
    pub step: u64,
    /// Number of real volumes shown.
    pub images: u64,
    /// Running mean of the path lengths.
    pub path_mean: f64,
    /// Augmentation probability and its statistics.
    pub augmentation: AdaptiveP,
    /// Seconds of training so far.
    pub seconds: f64,
}

impl<B: VolumeOps> State<B> {
    /// The state at step zero of a resolved recipe, for condition vectors of length `condition_dim`.
    pub fn new(recipe: &Recipe, condition_dim: usize, device: &B::Device) -> Self {
        let (network, training) = (&recipe.network, &recipe.training);
        let generator = Generator::init(network, condition_dim, training.seed, device);
        let discriminator =
            Discriminator::init(network, condition_dim, training.seed ^ DISCRIMINATOR_SEED, device);
        let [adam_g, adam_d] = optimisers(training).map(Adam::new);
        Self {
            average: generator.valid(),
            generator,
            discriminator,
            adam_g,
            adam_d,
            counters: Counters {
                step: 0,
                images: 0,
                path_mean: 0.0,
                augmentation: AdaptiveP::new(&recipe.augmentation),
                seconds: 0.0,
            },
            matches: Matches::default(),
            origin: None,
        }
    }

    /// Updates the running average after a step of `batch` volumes; buffers are copied.
    ///
    /// β = 0.5^(batch/min(1000·ema_kimg, rampup·images)) (StyleGAN2-ADA).
    pub fn update_average(&mut self, batch: usize, ema_kimg: f64, rampup: f64) {
        let mut half_life = ema_kimg * 1000.0;
        if rampup > 0.0 {
            half_life = half_life.min(self.counters.images as f64 * rampup);
        }
        let beta = 0.5f64.powf(batch as f64 / half_life.max(1e-8));
        self.average = averaged(self.average.clone(), &self.generator.valid(), beta);
    }

    /// Numbers of trained parameters: generator, discriminator.
    pub fn parameter_counts(&self) -> [usize; 2] {
        let count = |named: Named<B>| {
            named.into_iter().filter(|(name, _)| !is_buffer(name)).map(|(_, values)| values.dims()[0]).sum()
        };
        [count(tensors(&self.generator.valid())), count(tensors(&self.discriminator.valid()))]
    }
}

/// The optimisers of generator and discriminator at their full step sizes.
pub(super) fn optimisers(training: &TrainingRecipe) -> [AdamConfig; 2] {
    let (betas, epsilon) = (training.adam_betas, training.adam_epsilon);
    [
        (training.learning_rate_generator, training.path_length_interval),
        (training.learning_rate_discriminator, training.r1_interval),
    ]
    .map(|(learning_rate, interval)| AdamConfig { learning_rate, betas, epsilon }.lazy(interval))
}

/// `average·β + current·(1 − β)` of every parameter; buffers are those of `current`.
pub(super) fn averaged<B: Backend, M: Module<B>>(average: M, current: &M, beta: f64) -> M {
    let pairs: Vec<_> = tensors(&average).into_iter().zip(tensors(current)).collect();
    let mut next: Named<B> = pairs
        .into_par_iter()
        .map(|((name, old), (_, new))| {
            let next = if is_buffer(&name) { new } else { old * beta + new * (1.0 - beta) };
            (name, next)
        })
        .collect();
    replace(average, |name, old: Tensor<B, 1>| next.remove(name).unwrap_or(old))
}
