//! A network in training with its optimiser and its running average, and its checkpoint.

use burn::backend::Autodiff;
use burn::module::AutodiffModule;
use burn::tensor::backend::Backend;

use super::checkpoint::{insert_adam, json, restore_adam, text, write};
use super::group::Group;
use super::phases::{add, clean};
use super::run::{Clock, Numbers, Tally};
use super::state::averaged;
use crate::config::{RestorationRecipe, RestorationTraining};
use crate::error::{Error, Result};
use crate::heads::{Head, Restorer};
use crate::nn::adam::{Adam, AdamConfig};
use crate::nn::parameters::{Named, tensors};
use crate::nn::schedule::{cosine, decay};
use crate::ops::VolumeOps;
use crate::pretrained::restorer::AVERAGE;
use crate::pretrained::space;
use crate::pretrained::{ImageSpace, Weights, load_weights};

/// The prefixes of a learner's arrays in a checkpoint, after the prefix of its part of the run.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// Prefix of the network in training.
    pub network: &'static str,
    /// Prefix of its running average.
    pub average: &'static str,
}

/// The name of the optimiser.
const ADAM: &str = "adam";
/// Names of a restoration network.
const RESTORER: Names = Names { network: "R.", average: AVERAGE };

/// A network, its optimiser and its running average.
pub struct Learner<B: VolumeOps, N: AutodiffModule<Autodiff<B>>> {
    /// The network in training.
    pub network: N,
    /// Its running average, which is the result of the training.
    pub average: N::InnerModule,
    adam: Adam<Autodiff<B>>,
    names: Names,
}

impl<B: VolumeOps> Learner<B, Restorer<Autodiff<B>>> {
    /// The network of `recipe` for `head`, with initial values drawn from `seed`.
    pub fn of_head(recipe: &RestorationRecipe, head: &dyn Head, seed: u64, device: &B::Device) -> Self {
        Self::new(Restorer::init(recipe, head, seed, device), RESTORER, recipe.training.adam_betas)
    }
}

impl<B: VolumeOps, N: AutodiffModule<Autodiff<B>>> Learner<B, N> {
    /// A learner of `network` with a new optimiser with decays `betas`; the average is a copy of the network.
    pub fn new(network: N, names: Names, betas: [f64; 2]) -> Self {
        // The step size is that of each step.
        let adam = Adam::new(AdamConfig { learning_rate: 0.0, betas, epsilon: 1e-8 });
        Self { average: network.valid(), network, adam, names }
    }

    /// Takes step number `step`, from 0, of size `learning_rate` along the sum of `gradients` over the ranks of `group`, and
    /// updates the average with a half-life of `ema_half_life_steps`.
    ///
    /// # Errors
    /// Those of the group.
    pub fn learn(
        &mut self,
        group: &Group,
        gradients: Named<B>,
        learning_rate: f64,
        ema_half_life_steps: f64,
        step: u64,
    ) -> Result<()> {
        let gradients = group.sum_gradients(&tensors(&self.network.valid()), gradients, &mut [])?;
        self.adam.set_learning_rate(learning_rate);
        self.network = self.adam.step(self.network.clone(), &clean(gradients));
        let beta = decay(ema_half_life_steps, step + 1);
        self.average = averaged(self.average.clone(), &self.network.valid(), beta);
        Ok(())
    }

    /// Adds network, average and optimiser to a checkpoint, under the prefix `part`.
    ///
    /// # Errors
    /// As [`insert_adam`].
    pub fn insert(&self, weights: &mut Weights, part: &str) -> Result<()> {
        weights.insert(&self.network.valid(), &format!("{part}{}", self.names.network));
        weights.insert(&self.average, &format!("{part}{}", self.names.average));
        insert_adam(weights, &self.adam, &format!("{part}{ADAM}"))
    }

    /// Restores network, average and optimiser from a checkpoint, under the prefix `part`.
    ///
    /// # Errors
    /// [`Error::File`] for a checkpoint without them or with other shapes.
    pub fn restore(&mut self, weights: &Weights, part: &str, device: &B::Device) -> Result<()> {
        let of = |name: &str| format!("{part}{name}");
        self.network = load_weights(self.network.clone(), weights, &of(self.names.network))?;
        self.average = load_weights(self.average.clone(), weights, &of(self.names.average))?;
        restore_adam(&mut self.adam, weights, &of(ADAM), device)
    }
}

/// The sum of the gradients that `find` makes of `examples`, each divided by `batch`, and the means of what it tells of them. Where
/// one fails on any rank of `group`, all fail.
///
/// # Errors
/// Those of `find` and of the group.
pub(super) fn summed<B: Backend, E>(
    group: &Group,
    examples: Vec<E>,
    batch: usize,
    mut find: impl FnMut(E) -> Result<(Named<B>, Numbers)>,
) -> Result<(Named<B>, Numbers)> {
    let (mut sum, mut told) = (Named::new(), Tally::default());
    group.agree(examples.into_iter().try_for_each(|example| {
        let (gradients, numbers) = find(example)?;
        add(&mut sum, gradients, 1.0 / batch as f64);
        told.add(numbers);
        Ok(())
    }))?;
    Ok((sum, told.line()))
}

/// The factor of step sizes after `step` steps.
pub fn rate(training: &RestorationTraining, step: u64) -> f64 {
    cosine(step, training.warm_up, training.steps)
}

/// Whether `weights` are a checkpoint of a run with the head, the networks and the discriminators of `recipe`.
///
/// # Errors
/// [`Error::File`] if not.
pub fn of_this_run(weights: &Weights, recipe: &RestorationRecipe) -> Result<()> {
    let path = &weights.path;
    let saved = RestorationRecipe::from_toml(text(weights, "recipe")?, path)?;
    let parts = |r: &RestorationRecipe| {
        let discriminator = r.discriminator.is_some();
        (r.network.clone(), r.head.clone(), r.cascade, discriminator, r.unpaired.is_some())
    };
    if parts(&saved) != parts(recipe) {
        let advice = "give the run's own recipe.toml, or another --out for a new run";
        let expected = "the head, networks and discriminator of this run";
        return Err(Error::file(path, "recipe", expected, "others", advice));
    }
    Ok(())
}

/// Whether `weights` are a checkpoint of a run on images of this space; true for checkpoints without a recorded space.
///
/// # Errors
/// [`Error::File`] if not.
pub fn of_this_space(weights: &Weights, space: &ImageSpace) -> Result<()> {
    let saved = ImageSpace::of(weights, || space.clone())?;
    if saved != *space {
        let advice = "give the run's own --data, or another --out for a new run";
        let [saved, found] = [&saved, space].map(|space| json(&weights.path, space));
        return Err(Error::file(&weights.path, "training set", saved?, found?, advice));
    }
    Ok(())
}

/// Writes the checkpoint `weights` of a run of `recipe`, with its subjects and the space of its images.
///
/// # Errors
/// As [`write()`].
pub fn save(
    weights: Weights,
    recipe: &RestorationRecipe,
    clock: &Clock,
    subjects: String,
    space: &ImageSpace,
) -> Result<()> {
    let metadata = [
        ("recipe", recipe.to_toml()?),
        ("counters", json(&weights.path, clock)?),
        ("subjects", subjects),
        (space::KEY, json(&weights.path, space)?),
    ];
    write(weights, metadata)
}
