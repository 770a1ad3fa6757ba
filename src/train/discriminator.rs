//! The discriminator in the training of a restoration network.

use burn::backend::Autodiff;
use burn::module::{AutodiffModule, Module};
use burn::tensor::{Tensor, TensorData};
use rand::RngExt;

use super::checkpoint::{insert_adam, restore_adam};
use super::group::Group;
use super::phases::{add, clean, number};
use super::run::Numbers;
use crate::config::{AdversarialLoss, DiscriminatorRecipe};
use crate::error::Result;
use crate::gan::loss;
use crate::heads::RestorationDiscriminator;
use crate::nn::adam::{Adam, AdamConfig};
use crate::nn::parameters::{Named, gradients, tensors};
use crate::ops::{VolumeOps, backward};
use crate::pretrained::{Weights, load_weights};
use crate::random::{Purpose, stream};

/// Names of discriminator and optimiser in a checkpoint, behind that of the part of the run; kept from earlier
/// versions.
const DISCRIMINATOR: &str = "C.";
const ADAM: &str = "adam_c";
/// The discriminator's seed is told from the network's by this.
const SEED: u64 = 1 << 32;

/// A discriminator in training.
pub struct DiscriminatorLearner<B: VolumeOps> {
    recipe: DiscriminatorRecipe,
    discriminator: RestorationDiscriminator<Autodiff<B>>,
    adam: Adam<Autodiff<B>>,
    seed: u64,
}

impl<B: VolumeOps> DiscriminatorLearner<B> {
    /// A discriminator with initial values for images of `channels` channels on `grid` `[D, H, W]`.
    pub fn new(
        recipe: &DiscriminatorRecipe,
        channels: usize,
        grid: [usize; 3],
        seed: u64,
        device: &B::Device,
    ) -> Self {
        let config = AdamConfig { learning_rate: recipe.learning_rate, betas: [0.0, 0.99], epsilon: 1e-8 };
        Self {
            recipe: recipe.clone(),
            discriminator: RestorationDiscriminator::init(recipe, channels, grid, seed ^ SEED, device),
            adam: Adam::new(config),
            seed,
        }
    }

    /// The network's weighted adversarial loss on images `[N, C, D, H, W]`, as `[1]`; `None` before
    /// [`DiscriminatorRecipe::begins`] or without a weight.
    pub fn term(&self, x: Tensor<Autodiff<B>, 5>, step: u64) -> Option<Tensor<Autodiff<B>, 1>> {
        (step >= self.recipe.begins && self.recipe.weight > 0.0).then(|| {
            let logits = self.discriminator.clone().no_grad().forward(x);
            loss::of_real(self.recipe.loss, logits) * self.recipe.weight
        })
    }

    /// A step of the discriminator on restored (`made`) and true images `[N, C, D, H, W]`, which are this rank's of the step;
    /// `rate` is the factor of its step size.
    ///
    /// # Errors
    /// Those of the group.
    pub fn learn(
        &mut self,
        group: &Group,
        made: Tensor<B, 5>,
        truth: Tensor<B, 5>,
        step: u64,
        rate: f64,
        numbers: &mut Numbers,
    ) -> Result<()> {
        let first = (group.rank() * made.dims()[0]) as u64;
        let kind = self.recipe.loss;
        let of_made = loss::of_fake(kind, self.discriminator.forward(Tensor::from_inner(made.clone())));
        let mut value = number(&of_made);
        let mut sum = gradients(&self.discriminator, &backward(&of_made));
        let of_truth = loss::of_real(kind, self.discriminator.forward(Tensor::from_inner(truth.clone())));
        value += number(&of_truth);
        add(&mut sum, gradients(&self.discriminator, &backward(&of_truth)), 1.0);
        numbers.insert("loss_discriminator".into(), value);
        if self.recipe.penalty > 0.0 && step.is_multiple_of(self.recipe.penalty_interval) {
            let wasserstein = kind == AdversarialLoss::Wasserstein;
            let at = if wasserstein { self.between(made, truth, step, first) } else { truth };
            let gradient = self.discriminator.gradient(Tensor::from_inner(at)).gradient;
            let penalty = if wasserstein {
                loss::away_from_one(gradient).mean()
            } else {
                loss::squared_norms(gradient).mean() * 0.5
            };
            numbers.insert("discriminator_penalty".into(), number(&penalty));
            let weight = self.recipe.penalty * self.recipe.penalty_interval as f64;
            add(&mut sum, gradients(&self.discriminator, &backward(&(penalty * weight))), 1.0);
        }
        // Means over the images of a rank: their mean is that over all.
        let mut share = Named::new();
        add(&mut share, sum, 1.0 / group.size() as f64);
        let sum = group.sum_gradients(&tensors(&self.discriminator.valid()), share, &mut [])?;
        self.adam.set_learning_rate(self.recipe.learning_rate * rate);
        self.discriminator = self.adam.step(self.discriminator.clone(), &clean(sum));
        Ok(())
    }

    /// Images somewhere between made and true ones, each its own way; they have the numbers from `first` on.
    fn between(&self, made: Tensor<B, 5>, truth: Tensor<B, 5>, step: u64, first: u64) -> Tensor<B, 5> {
        let samples = made.dims()[0];
        let draw = |sample| stream(self.seed, step, 1, sample, Purpose::Restoration).random::<f32>();
        let parts: Vec<f32> = (first..first + samples as u64).map(draw).collect();
        let parts = Tensor::from_data(TensorData::new(parts, [samples, 1, 1, 1, 1]), &made.device());
        made.clone() + (truth - made) * parts
    }

    /// Adds the discriminator to a checkpoint, under the prefix `part`.
    ///
    /// # Errors
    /// As [`insert_adam`].
    pub fn insert(&self, weights: &mut Weights, part: &str) -> Result<()> {
        weights.insert(&self.discriminator.valid(), &format!("{part}{DISCRIMINATOR}"));
        insert_adam(weights, &self.adam, &format!("{part}{ADAM}"))
    }

    /// Restores the discriminator from a checkpoint, under the prefix `part`.
    ///
    /// # Errors
    /// [`crate::error::Error::File`] for a checkpoint without it.
    pub fn restore(&mut self, weights: &Weights, part: &str, device: &B::Device) -> Result<()> {
        self.discriminator =
            load_weights(self.discriminator.clone(), weights, &format!("{part}{DISCRIMINATOR}"))?;
        restore_adam(&mut self.adam, weights, &format!("{part}{ADAM}"), device)
    }
}
