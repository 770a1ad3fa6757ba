//! The posterior of w: its mode by gradient descent, and a Gaussian about it by variational inference.

use burn::backend::Autodiff;
use burn::module::{Module, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::latent::{collinearity, half_square};
use super::{Observed, Prior};
use crate::error::{Error, Result};
use crate::heads::Measurement;
use crate::nn::adam::{Adam, AdamConfig};
use crate::nn::parameters::gradients;
use crate::nn::schedule::cosine;
use crate::ops::{VolumeOps, backward, tape};
use crate::random::{Purpose, normal, stream};

/// Deviation of q at its start, in those of the prior.
const START_DEVIATION: f64 = 0.05;
/// Part of the steps in which the step size rises.
const WARM_UP: f64 = 0.05;
/// Phases of random draws.
const STEPS: u64 = 0;
const SAMPLES: u64 = 1;

/// Settings of the fit of w to a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FitSettings {
    /// Steps to the mode; with more than one sample, as many again to the posterior about it.
    pub steps: u64,
    /// Step size of Adam, in standard deviations of the prior.
    pub learning_rate: f64,
    /// Standard deviation of the measurement about the generator's, the brightest tissue being one: noise, and what the
    /// generator cannot represent.
    pub sigma: f64,
    /// κ: weight of the agreement between the w's of layers.
    pub kappa: f64,
    /// Whether the noise inputs of the generator are fitted too, with the prior N(0, 1); they stay at their mode.
    pub noise: bool,
    /// Number of draws from the posterior; with one, the mode is taken.
    pub samples: usize,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for FitSettings {
    fn default() -> Self {
        Self { steps: 500, learning_rate: 0.05, sigma: 0.2, kappa: 10.0, noise: false, samples: 16, seed: 0 }
    }
}

impl FitSettings {
    /// Whether all settings are within their ranges.
    ///
    /// # Errors
    /// [`Error::Value`] that names the first that is out of its range.
    pub fn check(&self) -> Result<()> {
        let refused = |key: &str, expected: &str, found: String| {
            Err(Error::value(key, expected, found, "choose another value"))
        };
        let positive = |x: f64| x > 0.0 && x.is_finite();
        if self.steps == 0 {
            return refused("steps", "1 or more", self.steps.to_string());
        }
        if self.samples == 0 {
            return refused("samples", "1 or more", self.samples.to_string());
        }
        if !positive(self.sigma) {
            return refused("sigma", "a positive number", self.sigma.to_string());
        }
        if !positive(self.learning_rate) {
            return refused("learning rate", "a positive number", self.learning_rate.to_string());
        }
        if !(self.kappa >= 0.0 && self.kappa.is_finite()) {
            return refused("kappa", "0 or more", self.kappa.to_string());
        }
        Ok(())
    }
}

/// Progress of the fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FitStep {
    /// Number of the step, from 1, counted over both parts.
    pub number: u64,
    /// Number of steps of both parts.
    pub of: u64,
    /// `‖A·G(w) − y‖²` before the step.
    pub misfit: f64,
}

/// The posterior of standardised w's (see [`super::LatentPrior`]).
#[derive(Clone, Debug)]
pub struct Posterior<B: Backend> {
    /// The mode, or the mean of the Gaussian q, `[1, layers, w_dim]`.
    pub mean: Tensor<B, 3>,
    /// The standard deviation of q, `[1, layers, w_dim]`; `None` where only the mode was fitted.
    pub deviation: Option<Tensor<B, 3>>,
    /// The noise inputs by layer, `[D, H, W]` each; empty for none.
    pub noise: Vec<Tensor<B, 3>>,
}

impl<B: Backend> Posterior<B> {
    /// Draw number `number`, `[1, layers, w_dim]`; the mode where only that was fitted.
    pub fn draw(&self, seed: u64, number: u64) -> Tensor<B, 3> {
        match &self.deviation {
            None => self.mean.clone(),
            Some(deviation) => {
                self.mean.clone() + deviation.clone() * epsilon(&self.mean, [seed, 0, SAMPLES, number])
            }
        }
    }
}

/// A draw from N(0, 1) of the shape of `like`, from the stream (seed, step, phase, sample).
fn epsilon<B: Backend>(like: &Tensor<B, 3>, [seed, step, phase, sample]: [u64; 4]) -> Tensor<B, 3> {
    let shape = like.dims();
    let rng = &mut stream(seed, step, phase, sample, Purpose::Posterior);
    Tensor::from_data(TensorData::new(normal(rng, shape.iter().product()), shape), &like.device())
}

/// What is fitted.
#[derive(Module, Debug)]
struct Unknowns<B: Backend> {
    mean: Param<Tensor<B, 3>>,
    /// The logarithm of q's deviation.
    spread: Option<Param<Tensor<B, 3>>>,
    noise: Vec<Param<Tensor<B, 3>>>,
}

/// Fits w to a measurement on the prior's grid, starting at the prior's mean. `tell` is called for every step; its
/// error ends the fit.
///
/// The mode is that of `‖A·G(w) − y‖²/2σ² − log p(w)`. About it, q(v) = N(m, diag s²) minimises the negative evidence
/// lower bound, `E_q[‖A·G − y‖²/2σ² − κ Σ cos] + KL(q ‖ N(0, 1))`, its expectation by one draw `m + s·ε` a step (Kingma
/// & Welling 2014, arXiv 1312.6114, section 2.4 and appendix B). As q has no covariances, it is narrower than the
/// posterior where dimensions are correlated.
///
/// # Errors
/// As [`FitSettings::check`] and [`super::super::Measured::new`]; [`Error::Value`] if the misfit is not finite.
///
/// # Panics
/// If this thread holds the [`tape`], which every step takes (a deadlock is also possible; see there).
pub fn fit<B: VolumeOps>(
    prior: &Prior<B>,
    measurement: &Measurement,
    settings: &FitSettings,
    device: &B::Device,
    tell: &mut dyn FnMut(FitStep) -> Result<()>,
) -> Result<Posterior<B>> {
    settings.check()?;
    let shape = [1, prior.num_ws(), prior.latent.mean.dims()[2]];
    let param = |x: Tensor<Autodiff<B>, 3>| Param::from_tensor(x);
    let fields = if settings.noise { prior.noise_grids() } else { Vec::new() };
    let mut search = Search {
        observed: Observed::new(measurement, prior.grid(), device)?,
        prior: prior.tracked(),
        settings,
        unknowns: Unknowns {
            mean: param(Tensor::zeros(shape, device)),
            spread: None,
            noise: fields.into_iter().map(|grid| param(Tensor::zeros(grid, device))).collect(),
        },
    };
    search.descend(0, tell)?;
    if settings.samples > 1 {
        let start = Tensor::full(shape, START_DEVIATION.ln(), device);
        search.unknowns.spread = Some(param(start));
        search.descend(settings.steps, tell)?;
    }
    let Unknowns { mean, spread, noise } = search.unknowns;
    let inner = |param: Param<Tensor<Autodiff<B>, 3>>| param.val().inner();
    Ok(Posterior {
        mean: inner(mean),
        deviation: spread.map(|spread| inner(spread).exp()),
        noise: noise.into_iter().map(inner).collect(),
    })
}

/// A fit under way.
struct Search<'a, B: VolumeOps> {
    observed: Observed<Autodiff<B>>,
    prior: Prior<Autodiff<B>>,
    settings: &'a FitSettings,
    unknowns: Unknowns<Autodiff<B>>,
}

impl<B: VolumeOps> Search<'_, B> {
    /// One part of the fit, after `done` steps.
    fn descend(&mut self, done: u64, tell: &mut dyn FnMut(FitStep) -> Result<()>) -> Result<()> {
        let FitSettings { steps, learning_rate, samples, .. } = *self.settings;
        let of = if samples > 1 { 2 * steps } else { steps };
        let warm_up = (WARM_UP * steps as f64) as u64;
        let mut adam = Adam::new(AdamConfig { learning_rate, betas: [0.9, 0.999], epsilon: 1e-8 });
        for step in 0..steps {
            adam.set_learning_rate(learning_rate * cosine(step, warm_up, steps));
            let _tape = tape();
            let (energy, misfit) = self.energy(step);
            let misfit = f64::from(misfit.into_data().iter::<f32>().next().unwrap_or(f32::NAN));
            if !misfit.is_finite() {
                let advice = "look for voxels that are no numbers, or lower the step size";
                return Err(Error::value("misfit", "a number", misfit.to_string(), advice));
            }
            let gradients = gradients(&self.unknowns, &backward(&energy));
            self.unknowns = adam.step(self.unknowns.clone(), &gradients);
            tell(FitStep { number: done + step + 1, of, misfit })?;
        }
        Ok(())
    }

    /// What is minimised, and the misfit in it.
    fn energy(&self, step: u64) -> (Tensor<Autodiff<B>, 1>, Tensor<Autodiff<B>, 1>) {
        let FitSettings { sigma, kappa, seed, .. } = *self.settings;
        let mean = self.unknowns.mean.val();
        let mut energy = half_square(mean.clone());
        let v = match &self.unknowns.spread {
            None => mean,
            Some(spread) => {
                let (log, deviation) = (spread.val(), spread.val().exp());
                // KL(q ‖ N(0, 1)) but for its constant.
                energy = energy + half_square(deviation.clone()) - log.sum();
                let epsilon = epsilon(&mean, [seed, step, STEPS, 0]);
                mean + deviation * epsilon
            }
        };
        let noise: Vec<_> = self.unknowns.noise.iter().map(Param::val).collect();
        energy = noise.iter().fold(energy, |energy, field| energy + half_square(field.clone()));
        let ws = self.prior.latent.styles(v);
        energy = energy - collinearity(ws.clone()) * kappa;
        let misfit = self.observed.misfit(self.prior.image(ws, &noise));
        (energy + misfit.clone() / (2.0 * sigma * sigma), misfit)
    }
}
