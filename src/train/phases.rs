//! The phases of a step: each computes gradients of one network on a batch (StyleGAN2-ADA, `StyleGAN2Loss`).

use burn::backend::Autodiff;
use burn::module::{AutodiffModule, Module};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use rand::RngExt;
use rayon::prelude::*;

use super::state::State;
use crate::config::Recipe;
use crate::gan::augment::{Augmentation, Draw};
use crate::gan::{Generator, Truncation, image_gradient, loss, path_gradient};
use crate::nn::Noise;
use crate::nn::parameters::{Named, gradients};
use crate::ops::{Shaped, VolumeOps, backward};
use crate::random::{Purpose, normal, stream};
use crate::segment::Encoder;

/// The four phases of a step; their numbers are part of the address of every random draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Phase {
    /// The generator's loss.
    GeneratorMain = 0,
    /// The path-length penalty.
    GeneratorPathLength = 1,
    /// The discriminator's loss.
    DiscriminatorMain = 2,
    /// The R1 penalty.
    DiscriminatorR1 = 3,
}

/// A part of a step's volumes that is processed at once.
#[derive(Clone, Debug)]
pub struct MicroBatch<B: Backend> {
    /// Real volumes, `[N, C, D, H, W]`.
    pub real: Tensor<B, 5>,
    /// Conditions of the real volumes, `[N, width]`; `None` without conditions.
    pub real_condition: Option<Tensor<B, 2>>,
    /// Conditions of the synthetic volumes, `[N, width]`, drawn from the data; `None` without conditions.
    pub fake_condition: Option<Tensor<B, 2>>,
    /// Indices of the real volumes in the dataset.
    pub positions: Vec<usize>,
    /// Number of its first sample within the step.
    pub first: u64,
}

/// The result of a phase: gradients, and numbers for the log.
#[derive(Debug)]
pub struct Outcome<B: Backend> {
    /// Gradients of the phase's network, not yet divided among micro-batches.
    pub gradients: Named<B>,
    /// Loss or penalty and related numbers, by name.
    pub numbers: Vec<(&'static str, f64)>,
}

/// The settings of a phase at a step.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a, B: VolumeOps> {
    /// The resolved recipe.
    pub recipe: &'a Recipe,
    /// The augmentation of the run.
    pub augmentation: &'a Augmentation,
    /// The encoder for the features of the coverage term, if the recipe has them.
    pub encoder: Option<&'a Encoder<Autodiff<B>>>,
    /// Step of the run.
    pub step: u64,
}

impl<B: VolumeOps> Context<'_, B> {
    fn noise(&self, phase: Phase, first_sample: u64) -> Noise {
        Noise::Random { seed: self.recipe.training.seed, step: self.step, phase: phase as u64, first_sample }
    }

    /// A `[N, length]` draw from N(0, 1), one stream a sample.
    fn normals<A: Backend>(
        &self,
        phase: Phase,
        purpose: Purpose,
        first: u64,
        samples: usize,
        length: usize,
        device: &A::Device,
    ) -> Tensor<A, 2> {
        let seed = self.recipe.training.seed;
        let draw = |i| normal(&mut stream(seed, self.step, phase as u64, first + i, purpose), length);
        let values: Vec<f32> = (0..samples as u64).flat_map(draw).collect();
        Tensor::from_data(TensorData::new(values, [samples, length]), device)
    }

    /// The augmentation of this phase's volumes; reals and fakes of one phase are told apart by `offset`.
    fn draw(&self, p: f64, phase: Phase, first: u64, samples: usize, offset: u64) -> Draw {
        let first = first + offset;
        let samples = first..first + samples as u64;
        self.augmentation.draw(p, self.recipe.training.seed, self.step, phase as u64, samples)
    }
}

/// Added to the sample numbers of real volumes, so that their augmentation is not that of the fakes.
const REALS: u64 = 1 << 32;

/// w's for a batch, mixed between two latents with the recipe's probability, and the mean of w before mixing.
fn styles<A: VolumeOps, B: VolumeOps>(
    generator: &Generator<A>,
    context: &Context<B>,
    phase: Phase,
    condition: Option<Tensor<A, 2>>,
    first: u64,
    samples: usize,
    device: &A::Device,
) -> (Tensor<A, 3>, Tensor<A, 1>) {
    let z_dim = context.recipe.network.z_dim;
    let z = context.normals(phase, Purpose::Latent, first, samples, z_dim, device);
    let w = generator.mapping.forward(Some(z), condition.clone());
    let num_ws = generator.synthesis.num_ws();
    let mean = w.clone().detach().mean_dim(0).flat();
    let ws = generator.mapping.broadcast(w, num_ws, Truncation::OFF);
    let probability = context.recipe.training.style_mixing;
    if probability == 0.0 {
        return (ws, mean);
    }
    let z = context.normals(phase, Purpose::MixLatent, first, samples, z_dim, device);
    let other =
        generator.mapping.broadcast(generator.mapping.forward(Some(z), condition), num_ws, Truncation::OFF);
    let keep = |sample: u64| {
        let seed = context.recipe.training.seed;
        let mut rng = stream(seed, context.step, phase as u64, first + sample, Purpose::MixCutoff);
        let cutoff = if rng.random::<f64>() < probability { rng.random_range(1..num_ws) } else { num_ws };
        (0..num_ws).map(move |layer| if layer < cutoff { 1.0f32 } else { 0.0 })
    };
    let mask: Vec<f32> = (0..samples as u64).flat_map(keep).collect();
    let mask = Tensor::<A, 3>::from_data(TensorData::new(mask, [samples, num_ws, 1]), device);
    (ws * mask.clone() + other * (mask.neg() + 1.0), mean)
}

/// The value of a tensor `[1]`.
pub fn number<B: Backend>(x: &Tensor<B, 1>) -> f64 {
    f64::from(x.clone().into_data().iter::<f32>().next().unwrap_or(f32::NAN))
}

impl<B: VolumeOps> State<B> {
    /// Gradients of the generator's loss on one micro-batch.
    ///
    /// # Panics
    /// If this thread does not hold [`crate::ops::tape`].
    pub fn generator_main(&mut self, context: &Context<B>, batch: &MicroBatch<B>) -> Outcome<B> {
        let phase = Phase::GeneratorMain;
        let (samples, device) = (batch.real.dims()[0], batch.real.device());
        let condition = batch.fake_condition.clone().map(Tensor::from_inner);
        let (ws, mean) =
            styles(&self.generator, context, phase, condition.clone(), batch.first, samples, &device);
        self.move_w_avg(context, mean.inner());
        let image = self.generator.synthesis.forward(ws, context.noise(phase, batch.first));
        let draw = context.draw(
            self.counters.augmentation.p(&context.recipe.augmentation),
            phase,
            batch.first,
            samples,
            0,
        );
        let logits = self.discriminator.clone().no_grad().forward(draw.apply(image), condition);
        let loss = loss::logistic_real(logits);
        let numbers = vec![("loss_g", number(&loss))];
        Outcome { gradients: gradients(&self.generator, &backward(&loss)), numbers }
    }

    /// Gradients of the path-length penalty on part of one micro-batch, times the interval.
    ///
    /// # Panics
    /// If this thread does not hold [`crate::ops::tape`].
    pub fn generator_path_length(&mut self, context: &Context<B>, batch: &MicroBatch<B>) -> Outcome<B> {
        let phase = Phase::GeneratorPathLength;
        let training = &context.recipe.training;
        let samples = (batch.real.dims()[0] / training.path_length_batch_shrink).max(1);
        let device = batch.real.device();
        let condition = batch.fake_condition.clone().map(|c| Tensor::from_inner(c.narrow(0, 0, samples)));
        let (ws, mean) = styles(&self.generator, context, phase, condition, batch.first, samples, &device);
        self.move_w_avg(context, mean.inner());
        let [_, c, d, h, w] = batch.real.dims();
        let y = context.normals(phase, Purpose::PathNoise, batch.first, samples, c * d * h * w, &device);
        let y = y.shaped([samples, c, d, h, w]) / ((d * h * w) as f64).sqrt();
        let noise = context.noise(phase, batch.first);
        let lengths = loss::path_lengths(path_gradient(&self.generator.synthesis, ws, y, noise));
        // As in the authors' loop, the freshly updated mean keeps its gradient.
        let decay = training.path_length_decay;
        let mean = number(&lengths.clone().mean());
        // A trained generator whose mean is not known must not be pulled towards nothing.
        let began = self.origin.is_some() || context.recipe.coverage.alone_kimg > 0.0;
        let unknown = began && self.counters.path_mean == 0.0;
        let before = if unknown { mean } else { self.counters.path_mean };
        let target = lengths.clone().mean() * decay + before * (1.0 - decay);
        let target_number = number(&target);
        self.counters.path_mean = target_number;
        let penalty = (lengths - target).powi_scalar(2).mean();
        let numbers = vec![("path_length", mean), ("path_penalty", number(&penalty))];
        let scale = training.path_length_weight * training.path_length_interval as f64;
        Outcome { gradients: gradients(&self.generator, &backward(&(penalty * scale))), numbers }
    }

    /// Gradients of the discriminator's loss on one micro-batch of fakes and reals.
    ///
    /// # Panics
    /// If this thread does not hold [`crate::ops::tape`].
    pub fn discriminator_main(&mut self, context: &Context<B>, batch: &MicroBatch<B>) -> Outcome<B> {
        let phase = Phase::DiscriminatorMain;
        let (samples, device) = (batch.real.dims()[0], batch.real.device());
        let p = self.counters.augmentation.p(&context.recipe.augmentation);
        let generator = self.generator.valid();
        // In pairs, it sees each real volume beside the sample that is to become it, both augmented alike: what people differ in is
        // the same on both sides, and what samples lack is all that there is to learn.
        let paired = context.recipe.coverage.in_pairs(context.step, self.counters.images);
        let fakes = if paired { &batch.real_condition } else { &batch.fake_condition }.clone();
        let (ws, mean) = if paired {
            self.matches.styles(&generator, &batch.positions, fakes.clone(), &device)
        } else {
            styles(&generator, context, phase, fakes.clone(), batch.first, samples, &device)
        };
        self.move_w_avg(context, mean);
        let fake = generator.synthesis.forward(ws, context.noise(phase, batch.first));
        let fake = context.draw(p, phase, batch.first, samples, 0).apply(fake);
        let logits = self.discriminator.forward(Tensor::from_inner(fake), fakes.map(Tensor::from_inner));
        let fake_logit = number(&logits.clone().mean());
        let loss_fake = loss::logistic_fake(logits);
        let mut numbers = vec![("logit_fake", fake_logit)];
        let loss_fake_number = number(&loss_fake);
        // Fakes and reals one after the other: half the activations in memory.
        let mut sum = gradients(&self.discriminator, &backward(&loss_fake));
        let offset = if paired { 0 } else { REALS };
        let real = context.draw(p, phase, batch.first, samples, offset).apply(batch.real.clone());
        let condition = batch.real_condition.clone().map(Tensor::from_inner);
        let logits = self.discriminator.forward(Tensor::from_inner(real), condition);
        numbers.push(("logit_real", number(&logits.clone().mean())));
        let signs: Vec<f32> = logits.clone().into_data().iter::<f32>().collect();
        self.counters.augmentation.observe(&signs);
        numbers.push(("r_t", signs.iter().map(|s| f64::from(s.signum())).sum::<f64>() / samples as f64));
        let loss_real = loss::logistic_real(logits);
        numbers.push(("loss_d", loss_fake_number + number(&loss_real)));
        add(&mut sum, gradients(&self.discriminator, &backward(&loss_real)), 1.0);
        Outcome { gradients: sum, numbers }
    }

    /// Gradients of R1 on one micro-batch of reals, times the interval.
    ///
    /// # Panics
    /// If this thread does not hold [`crate::ops::tape`], or the recipe is not resolved.
    pub fn discriminator_r1(&mut self, context: &Context<B>, batch: &MicroBatch<B>) -> Outcome<B> {
        let phase = Phase::DiscriminatorR1;
        let training = &context.recipe.training;
        let samples = batch.real.dims()[0];
        let p = self.counters.augmentation.p(&context.recipe.augmentation);
        let draw = context.draw(p, phase, batch.first, samples, REALS);
        let condition = batch.real_condition.clone().map(Tensor::from_inner);
        let image = Tensor::from_inner(batch.real.clone());
        let gradient =
            image_gradient::<Autodiff<B>>(&self.discriminator, image, condition, |x| draw.apply(x)).gradient;
        let penalty = loss::squared_norms(gradient).mean();
        let gamma = training.gamma.expect("a resolved recipe has γ");
        let numbers = vec![("r1_penalty", number(&penalty))];
        let scale = gamma / 2.0 * training.r1_interval as f64;
        Outcome { gradients: gradients(&self.discriminator, &backward(&(penalty * scale))), numbers }
    }

    /// Moves the running mean of w towards the mean of a batch.
    pub(super) fn move_w_avg(&mut self, context: &Context<B>, mean: Tensor<B, 1>) {
        let beta = context.recipe.training.w_avg_beta;
        let w_avg = self.generator.mapping.w_avg.take();
        self.generator.mapping.w_avg =
            w_avg.map(|w_avg| w_avg.map(|old| Tensor::from_inner(old.inner() * beta + mean * (1.0 - beta))));
    }
}

/// Adds `weight` times `terms` to `sum`.
pub fn add<B: Backend>(sum: &mut Named<B>, terms: Named<B>, weight: f64) {
    for (name, term) in terms {
        let term = if weight == 1.0 { term } else { term * weight };
        let total = match sum.remove(&name) {
            Some(before) => before + term,
            None => term,
        };
        sum.insert(name, total);
    }
}

/// Gradients with NaN as 0 and ±∞ as ±1e5 (StyleGAN2-ADA, training loop).
pub fn clean<B: Backend>(gradients: Named<B>) -> Named<B> {
    let finite = |g: Tensor<B, 1>| {
        let nan = g.clone().is_nan();
        g.mask_fill(nan, 0.0).clamp(-1e5, 1e5)
    };
    let gradients: Vec<_> = gradients.into_iter().collect();
    gradients.into_par_iter().map(|(name, gradient)| (name, finite(gradient))).collect()
}
