//! One step of a generator's training: its phases, over all samples of the step, whichever rank has them.

use std::collections::BTreeMap;

use burn::backend::Autodiff;
use burn::module::AutodiffModule;

use super::data::Batch;
use super::generator::Job;
use super::phases::{Context, MicroBatch, Outcome, add, clean};
use super::share::Share;
use super::state::{State, optimisers};
use super::transfer::Origin;
use crate::config::Recipe;
use crate::error::{Error, Result};
use crate::gan::Augmentation;
use crate::nn::parameters::{Named, tensors};
use crate::nn::schedule::rise;
use crate::ops::{VolumeOps, tape};
use crate::segment::Encoder;

/// One step on a batch of real volumes: every phase that is due, and what follows it.
pub(super) fn step<B: VolumeOps>(
    state: &mut State<B>,
    job: &Job,
    share: &Share,
    batch: Batch,
    encoder: Option<&Encoder<Autodiff<B>>>,
    device: &B::Device,
) -> Result<BTreeMap<&'static str, f64>> {
    let _tape = tape();
    let (recipe, training) = (job.recipe, &job.recipe.training);
    let at = state.counters.step;
    let augmentation = Augmentation {
        recipe: recipe.augmentation.clone(),
        grid: recipe.network.shape(),
        spacing_mm: job.reals.spacing_mm(),
    };
    let context = Context { recipe, augmentation: &augmentation, encoder, group: job.group, step: at };
    let micro = share.micro;
    let parts = share.batches.iter().enumerate();
    let batches: Vec<MicroBatch<B>> =
        parts.map(|(i, samples)| batch.part(i * micro, micro, *samples, device)).collect();
    drop(batch);
    let mut numbers = BTreeMap::new();
    let due = |interval: usize| interval > 0 && at.is_multiple_of(interval as u64);
    let adversarial = !recipe.coverage.is_alone(state.counters.images);
    let path_length = adversarial && due(training.path_length_interval);
    let discriminator = recipe.coverage.has_discriminator(state.counters.images);
    let r1 = discriminator && due(training.r1_interval);
    // Each takes a step of its network's optimiser; the terms of one are summed.
    let phases: [(bool, Terms<B>); 4] = [
        (
            true,
            &[
                (adversarial, Term::Each(State::generator_main)),
                (recipe.coverage.is_on(), Term::Each(State::generator_coverage)),
            ],
        ),
        (true, &[(path_length, Term::All(State::generator_path_length))]),
        (false, &[(discriminator, Term::Each(State::discriminator_main))]),
        (false, &[(r1, Term::Each(State::discriminator_r1))]),
    ];
    let frozen = state.origin.as_ref().map_or(Vec::new(), |origin| origin.frozen_in_discriminator(recipe));
    set_rates(state, recipe);
    for (of_generator, terms) in phases {
        if !terms.iter().any(|(due, _)| *due) {
            continue;
        }
        let own = job.group.agree(outcomes(state, &context, &batches, terms))?;
        let network = if of_generator {
            tensors(&state.generator.valid())
        } else {
            tensors(&state.discriminator.valid())
        };
        let mut sum = state.take_in(own, &network, &context, &mut numbers)?;
        if of_generator {
            sum.retain(|path, _| !Origin::freezes_in_generator(recipe, path));
        } else {
            sum.retain(|path, _| !frozen.iter().any(|layer| path.starts_with(layer)));
        }
        let gradients = clean(sum);
        if of_generator {
            state.generator = state.adam_g.step(state.generator.clone(), &gradients);
        } else {
            state.discriminator = state.adam_d.step(state.discriminator.clone(), &gradients);
        }
    }
    let ema_kimg = training.ema_kimg.expect("a resolved recipe has ema_kimg");
    state.counters.step += 1;
    state.counters.images += training.batch as u64;
    // What came from elsewhere is worth its average from the first step on.
    let rampup = if state.origin.is_some() { 0.0 } else { training.ema_rampup };
    state.update_average(training.batch, ema_kimg, rampup);
    state.counters.augmentation.end_step(&recipe.augmentation);
    Ok(numbers)
}

type OfMicroBatch<B> = fn(&State<B>, &Context<B>, &MicroBatch<B>) -> Outcome<B>;
type OfRank<B> = fn(&State<B>, &Context<B>, &[MicroBatch<B>]) -> Result<Outcome<B>>;

/// A term of a loss.
enum Term<B: VolumeOps> {
    /// A mean over the samples of a step, from its means over micro-batches.
    Each(OfMicroBatch<B>),
    /// Of all samples at once, from a rank's micro-batches.
    All(OfRank<B>),
}

/// Terms, and whether each is due.
type Terms<'a, B> = &'a [(bool, Term<B>)];

/// This rank's share of each term that is due.
///
/// # Errors
/// [`Error::Training`] for a number that is not finite.
fn outcomes<B: VolumeOps>(
    state: &State<B>,
    context: &Context<B>,
    batches: &[MicroBatch<B>],
    terms: Terms<B>,
) -> Result<Vec<Outcome<B>>> {
    let outcome = |term: &Term<B>| {
        let mut sum = Outcome::default();
        match term {
            Term::All(term) => sum = term(state, context, batches)?,
            Term::Each(term) => {
                for batch in batches {
                    let weight = batch.real.dims()[0] as f64 / context.recipe.training.batch as f64;
                    sum.gain(term(state, context, batch), weight, 1.0 / batches.len() as f64);
                }
            }
        }
        match sum.numbers.iter().find(|(_, value)| !value.is_finite()) {
            None => Ok(sum),
            Some((name, value)) => {
                let problem = format!("{name} is {value}");
                let advice = "lower the learning rates or raise γ, and start again from the last checkpoint";
                Err(Error::Training { step: context.step, problem, advice: advice.into() })
            }
        }
    };
    terms.iter().filter(|(due, _)| *due).map(|(_, term)| outcome(term)).collect()
}

impl<B: VolumeOps> State<B> {
    /// The gradients of a phase over all ranks, of which `own` is this rank's share, in the network with these parameters;
    /// mean of w, signs and path mean go into the state, numbers into `told`.
    ///
    /// # Errors
    /// Those of the group.
    fn take_in(
        &mut self,
        own: Vec<Outcome<B>>,
        network: &Named<B>,
        context: &Context<B>,
        told: &mut BTreeMap<&'static str, f64>,
    ) -> Result<Named<B>> {
        let w_dim = context.recipe.network.w_dim;
        let mut sum = Named::new();
        // Signs and their number, then for each term the mean of w after a 1; zeros of terms that draw none, and of ranks whose
        // samples are not among those of the path-length phase.
        let mut beside = vec![0.0; 2 + own.len() * (1 + w_dim)];
        for (outcome, place) in own.into_iter().zip((2..).step_by(1 + w_dim)) {
            add(&mut sum, outcome.gradients, 1.0);
            beside[0] += outcome.signs.0 as f32;
            beside[1] += outcome.signs.1 as f32;
            if let Some(mean) = outcome.w_mean {
                beside[place] = 1.0;
                beside[place + 1..][..w_dim]
                    .copy_from_slice(&mean.into_data().iter::<f32>().collect::<Vec<_>>());
            }
            self.counters.path_mean = outcome.path_mean.unwrap_or(self.counters.path_mean);
            told.extend(outcome.numbers);
        }
        let sum = context.group.sum_gradients(network, sum, &mut beside)?;
        let (signs, means) = beside.split_at(2);
        for mean in means.chunks_exact(1 + w_dim).filter(|mean| mean[0] > 0.0) {
            self.move_w_avg(context.recipe.training.w_avg_beta, &mean[1..]);
        }
        self.counters.augmentation.observe(f64::from(signs[0]), signs[1] as u64);
        Ok(sum)
    }
}

/// Sets the step sizes of a run that began with another network's weights, while they rise.
fn set_rates<B: VolumeOps>(state: &mut State<B>, recipe: &Recipe) {
    let part = rise(state.counters.step, recipe.training.steps_of(recipe.transfer.ramp_kimg));
    let [generator, discriminator] = optimisers(&recipe.training);
    state.adam_g.set_learning_rate(generator.learning_rate * part);
    state.adam_d.set_learning_rate(discriminator.learning_rate * part);
}
