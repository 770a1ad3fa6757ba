//! The phases of a step: each computes gradients of one network on a batch (StyleGAN2-ADA, `StyleGAN2Loss`).

use burn::backend::Autodiff;
use burn::module::{AutodiffModule, Module};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use rand::RngExt;
use rayon::prelude::*;

use super::group::Group;
use super::state::State;
use crate::config::Recipe;
use crate::error::Result;
use crate::gan::augment::{Augmentation, Draw, sign_sum};
use crate::gan::{Generator, Truncation, image_gradient, loss, path_gradient};
use crate::nn::Noise;
use crate::nn::parameters::{Named, gradients};
use crate::ops::{Shaped, VolumeOps, backward};
use crate::random::{Purpose, Samples, normal, stream};
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
    /// Numbers of its samples within the step.
    pub numbers: Samples,
}

/// The result of a term of a loss: means over a micro-batch, or a rank's share of the means over all samples of a step.
#[derive(Debug)]
pub struct Outcome<B: Backend> {
    /// Gradients of the phase's network.
    pub gradients: Named<B>,
    /// The mean of w, `[w_dim]`; `None` of terms that draw none.
    pub w_mean: Option<Tensor<B, 1>>,
    /// The sum of the signs of the discriminator's logits on reals, and their number.
    pub signs: (f64, u64),
    /// The running mean of the path lengths from now on.
    pub path_mean: Option<f64>,
    /// Loss or penalty and related numbers, by name: means over the samples of this rank.
    pub numbers: Vec<(&'static str, f64)>,
}

impl<B: Backend> Default for Outcome<B> {
    fn default() -> Self {
        Self { gradients: Named::new(), w_mean: None, signs: (0.0, 0), path_mean: None, numbers: Vec::new() }
    }
}

impl<B: Backend> Outcome<B> {
    /// Adds that of a micro-batch, `weight` times, with `part` of its numbers.
    pub(super) fn gain(&mut self, other: Self, weight: f64, part: f64) {
        add(&mut self.gradients, other.gradients, weight);
        let mean = other.w_mean.map(|mean| if weight == 1.0 { mean } else { mean * weight });
        self.w_mean = match (self.w_mean.take(), mean) {
            (Some(sum), Some(mean)) => Some(sum + mean),
            (sum, mean) => sum.or(mean),
        };
        self.signs = (self.signs.0 + other.signs.0, self.signs.1 + other.signs.1);
        for (name, value) in other.numbers {
            match self.numbers.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => *sum += value * part,
                None => self.numbers.push((name, value * part)),
            }
        }
    }
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
    /// The ranks that share the step.
    pub group: &'a Group,
    /// Step of the run.
    pub step: u64,
}

impl<B: VolumeOps> Context<'_, B> {
    fn noise(&self, phase: Phase, samples: Samples) -> Noise {
        Noise::Random { seed: self.recipe.training.seed, step: self.step, phase: phase as u64, samples }
    }

    /// A `[N, length]` draw from N(0, 1), one stream a sample.
    fn normals<A: Backend>(
        &self,
        phase: Phase,
        purpose: Purpose,
        numbers: Samples,
        samples: usize,
        length: usize,
        device: &A::Device,
    ) -> Tensor<A, 2> {
        let seed = self.recipe.training.seed;
        let draw = |number| normal(&mut stream(seed, self.step, phase as u64, number, purpose), length);
        let values: Vec<f32> = numbers.numbers(samples).flat_map(draw).collect();
        Tensor::from_data(TensorData::new(values, [samples, length]), device)
    }

    /// The augmentation of this phase's volumes; reals and fakes of one phase are told apart by `offset`.
    fn draw(&self, p: f64, phase: Phase, batch: &MicroBatch<B>, offset: u64) -> Draw {
        let samples = batch.numbers.numbers(batch.real.dims()[0]).map(|number| number + offset);
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
    numbers: Samples,
    samples: usize,
    device: &A::Device,
) -> (Tensor<A, 3>, Tensor<A, 1>) {
    let z_dim = context.recipe.network.z_dim;
    let z = context.normals(phase, Purpose::Latent, numbers, samples, z_dim, device);
    let w = generator.mapping.forward(Some(z), condition.clone());
    let num_ws = generator.synthesis.num_ws();
    let mean = w.clone().detach().mean_dim(0).flat();
    let ws = generator.mapping.broadcast(w, num_ws, Truncation::OFF);
    let probability = context.recipe.training.style_mixing;
    if probability == 0.0 {
        return (ws, mean);
    }
    let z = context.normals(phase, Purpose::MixLatent, numbers, samples, z_dim, device);
    let other =
        generator.mapping.broadcast(generator.mapping.forward(Some(z), condition), num_ws, Truncation::OFF);
    let keep = |number: u64| {
        let seed = context.recipe.training.seed;
        let mut rng = stream(seed, context.step, phase as u64, number, Purpose::MixCutoff);
        let cutoff = if rng.random::<f64>() < probability { rng.random_range(1..num_ws) } else { num_ws };
        (0..num_ws).map(move |layer| if layer < cutoff { 1.0f32 } else { 0.0 })
    };
    let mask: Vec<f32> = numbers.numbers(samples).flat_map(keep).collect();
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
    pub fn generator_main(&self, context: &Context<B>, batch: &MicroBatch<B>) -> Outcome<B> {
        let phase = Phase::GeneratorMain;
        let (samples, device) = (batch.real.dims()[0], batch.real.device());
        let condition = batch.fake_condition.clone().map(Tensor::from_inner);
        let (ws, mean) =
            styles(&self.generator, context, phase, condition.clone(), batch.numbers, samples, &device);
        let image = self.generator.synthesis.forward(ws, context.noise(phase, batch.numbers));
        let p = self.counters.augmentation.p(&context.recipe.augmentation);
        let draw = context.draw(p, phase, batch, 0);
        let logits = self.discriminator.clone().no_grad().forward(draw.apply(image), condition);
        let loss = loss::logistic_real(logits);
        let numbers = vec![("loss_g", number(&loss))];
        let gradients = gradients(&self.generator, &backward(&loss));
        Outcome { gradients, numbers, w_mean: Some(mean.inner()), ..Outcome::default() }
    }

    /// This rank's share of the gradients of the path-length penalty, times the interval, on the first samples of the step
    /// (`batch / path_length_batch_shrink` of them), as far as they are among its micro-batches.
    ///
    /// The penalty is (|Jᵀy| − a)², its target a = decay·mean + (1 − decay)·a′ containing the mean over all these samples,
    /// which keeps its gradient as in the authors' loop. So the lengths come first, and the gradient, by
    /// ∂/∂lᵢ = 2/n·((lᵢ − a) − decay·(mean − a)), once their mean over all ranks is known.
    ///
    /// # Errors
    /// Those of the group.
    ///
    /// # Panics
    /// If this thread does not hold [`crate::ops::tape`].
    pub fn generator_path_length(
        &self,
        context: &Context<B>,
        batches: &[MicroBatch<B>],
    ) -> Result<Outcome<B>> {
        let training = &context.recipe.training;
        let all = (training.batch / training.path_length_batch_shrink).max(1);
        let taken = |batch: &MicroBatch<B>| {
            batch.numbers.numbers(batch.real.dims()[0]).take_while(|&number| number < all as u64).count()
        };
        let batches: Vec<_> =
            batches.iter().map(|batch| (batch, taken(batch))).filter(|(_, samples)| *samples > 0).collect();
        let mut outcome = Outcome::default();
        // The lengths of one micro-batch stay recorded; of several, which are not held at once, they are computed again.
        let mut recorded = None;
        let mut mean = [0.0];
        for &(batch, samples) in &batches {
            let (lengths, w_mean) = self.path_lengths(context, batch, samples);
            mean[0] += lengths.clone().into_data().iter::<f64>().sum::<f64>() / all as f64;
            let weight = samples as f64 / all as f64;
            outcome.gain(Outcome { w_mean: Some(w_mean), ..Outcome::default() }, weight, 1.0);
            recorded = (batches.len() == 1).then_some(lengths);
        }
        context.group.sum(&mut mean)?;
        let ([mean], decay) = (mean, training.path_length_decay);
        // A trained generator whose mean is not known must not be pulled towards nothing.
        let began = self.origin.is_some() || context.recipe.coverage.alone_kimg > 0.0;
        let unknown = began && self.counters.path_mean == 0.0;
        let before = if unknown { mean } else { self.counters.path_mean };
        let target = mean * decay + before * (1.0 - decay);
        let scale = training.path_length_weight * training.path_length_interval as f64;
        let own = batches.iter().map(|(_, samples)| samples).sum::<usize>() as f64;
        for (batch, samples) in batches {
            let lengths = recorded.take().unwrap_or_else(|| self.path_lengths(context, batch, samples).0);
            let penalty = number(&(lengths.clone().detach() - target).powi_scalar(2).sum()) / own;
            let slopes =
                (lengths.clone().detach() - (target + decay * (mean - target))) * (2.0 * scale / all as f64);
            let gradients = gradients(&self.generator, &backward(&(lengths * slopes).sum()));
            let numbers = vec![("path_penalty", penalty)];
            outcome.gain(Outcome { gradients, numbers, ..Outcome::default() }, 1.0, 1.0);
        }
        outcome.path_mean = Some(target);
        outcome.numbers.push(("path_length", mean));
        Ok(outcome)
    }

    /// |Jᵀy| of the first `samples` of a micro-batch, `[N]`, and the mean of their w, `[w_dim]`.
    fn path_lengths(
        &self,
        context: &Context<B>,
        batch: &MicroBatch<B>,
        samples: usize,
    ) -> (Tensor<Autodiff<B>, 1>, Tensor<B, 1>) {
        let (phase, device) = (Phase::GeneratorPathLength, batch.real.device());
        let condition = batch.fake_condition.clone().map(|c| Tensor::from_inner(c.narrow(0, 0, samples)));
        let (ws, mean) = styles(&self.generator, context, phase, condition, batch.numbers, samples, &device);
        let [_, c, d, h, w] = batch.real.dims();
        let y = context.normals(phase, Purpose::PathNoise, batch.numbers, samples, c * d * h * w, &device);
        let y = y.shaped([samples, c, d, h, w]) / ((d * h * w) as f64).sqrt();
        let noise = context.noise(phase, batch.numbers);
        let lengths = loss::path_lengths(path_gradient(&self.generator.synthesis, ws, y, noise));
        (lengths, mean.inner())
    }

    /// Gradients of the discriminator's loss on one micro-batch of fakes and reals.
    ///
    /// # Panics
    /// If this thread does not hold [`crate::ops::tape`].
    pub fn discriminator_main(&self, context: &Context<B>, batch: &MicroBatch<B>) -> Outcome<B> {
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
            styles(&generator, context, phase, fakes.clone(), batch.numbers, samples, &device)
        };
        let fake = generator.synthesis.forward(ws, context.noise(phase, batch.numbers));
        let fake = context.draw(p, phase, batch, 0).apply(fake);
        let logits = self.discriminator.forward(Tensor::from_inner(fake), fakes.map(Tensor::from_inner));
        let fake_logit = number(&logits.clone().mean());
        let loss_fake = loss::logistic_fake(logits);
        let mut numbers = vec![("logit_fake", fake_logit)];
        let loss_fake_number = number(&loss_fake);
        // Fakes and reals one after the other: half the activations in memory.
        let mut sum = gradients(&self.discriminator, &backward(&loss_fake));
        let offset = if paired { 0 } else { REALS };
        let real = context.draw(p, phase, batch, offset).apply(batch.real.clone());
        let condition = batch.real_condition.clone().map(Tensor::from_inner);
        let logits = self.discriminator.forward(Tensor::from_inner(real), condition);
        numbers.push(("logit_real", number(&logits.clone().mean())));
        let values: Vec<f32> = logits.clone().into_data().iter::<f32>().collect();
        let signs = (sign_sum(&values), samples as u64);
        numbers.push(("r_t", values.iter().map(|s| f64::from(s.signum())).sum::<f64>() / samples as f64));
        let loss_real = loss::logistic_real(logits);
        numbers.push(("loss_d", loss_fake_number + number(&loss_real)));
        add(&mut sum, gradients(&self.discriminator, &backward(&loss_real)), 1.0);
        Outcome { gradients: sum, numbers, w_mean: Some(mean), signs, ..Outcome::default() }
    }

    /// Gradients of R1 on one micro-batch of reals, times the interval.
    ///
    /// # Panics
    /// If this thread does not hold [`crate::ops::tape`], or the recipe is not resolved.
    pub fn discriminator_r1(&self, context: &Context<B>, batch: &MicroBatch<B>) -> Outcome<B> {
        let training = &context.recipe.training;
        let p = self.counters.augmentation.p(&context.recipe.augmentation);
        let draw = context.draw(p, Phase::DiscriminatorR1, batch, REALS);
        let condition = batch.real_condition.clone().map(Tensor::from_inner);
        let image = Tensor::from_inner(batch.real.clone());
        let gradient =
            image_gradient::<Autodiff<B>>(&self.discriminator, image, condition, |x| draw.apply(x)).gradient;
        let penalty = loss::squared_norms(gradient).mean();
        let gamma = training.gamma.expect("a resolved recipe has γ");
        let numbers = vec![("r1_penalty", number(&penalty))];
        let scale = gamma / 2.0 * training.r1_interval as f64;
        let gradients = gradients(&self.discriminator, &backward(&(penalty * scale)));
        Outcome { gradients, numbers, ..Outcome::default() }
    }

    /// Moves the running mean of w towards the mean of a step's samples.
    pub(super) fn move_w_avg(&mut self, beta: f64, mean: &[f32]) {
        let w_avg = self.generator.mapping.w_avg.take();
        let moved = |old: Tensor<Autodiff<B>, 1>| {
            let mean = Tensor::<B, 1>::from_data(mean, &old.device());
            Tensor::from_inner(old.inner() * beta + mean * (1.0 - beta))
        };
        self.generator.mapping.w_avg = w_avg.map(|w_avg| w_avg.map(moved));
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
