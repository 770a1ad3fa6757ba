//! The discriminator in the training of a restoration network.

use serde::{Deserialize, Serialize};

use super::{ADVICE, above_zero, at_least_one, not_below_zero, within};
use crate::error::{Error, Result};

/// A discriminator, and the adversarial losses of it and the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiscriminatorRecipe {
    /// The kind of discriminator.
    #[serde(alias = "critic")]
    pub kind: DiscriminatorKind,
    /// Number of channels on the finest grid, doubled on each coarser one, up to four times.
    pub channels: usize,
    /// Number of times that the grid is halved.
    pub levels: usize,
    /// The adversarial loss; least squares by default for unpaired images.
    pub loss: AdversarialLoss,
    /// Weight of the network's adversarial term beside its other losses; 1 by default for unpaired images.
    pub weight: f64,
    /// Number of steps before the adversarial term is part of the network's loss; the discriminator is trained from the
    /// first.
    pub begins: u64,
    /// Weight of the penalty on the discriminator's gradient: half of it on the squared norm at true images (R1:
    /// Mescheder et al. 2018), or, with the Wasserstein loss, on the squared distance of the norm from one between true
    /// and restored images (Gulrajani et al. 2017). Zero by default for unpaired images.
    pub penalty: f64,
    /// Steps from one penalty to the next; each is multiplied by this number.
    pub penalty_interval: u64,
    /// The discriminator's largest step size; it follows the network's schedule.
    pub learning_rate: f64,
}

impl Default for DiscriminatorRecipe {
    fn default() -> Self {
        Self {
            kind: DiscriminatorKind::Patch,
            channels: 16,
            levels: 3,
            loss: AdversarialLoss::Logistic,
            weight: 1e-3,
            begins: 0,
            penalty: 1.0,
            penalty_interval: 16,
            learning_rate: 0.002,
        }
    }
}

/// The kind of a discriminator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiscriminatorKind {
    /// A logit for every place of the coarsest grid (Isola et al. 2017, PatchGAN).
    Patch,
    /// One logit for the image: the discriminator of StyleGAN2.
    #[serde(rename = "stylegan2")]
    StyleGan2,
}

/// Adversarial losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdversarialLoss {
    /// Non-saturating logistic (Goodfellow et al. 2014).
    Logistic,
    /// Least squares (Mao et al. 2017).
    LeastSquares,
    /// Wasserstein (Arjovsky et al. 2017).
    Wasserstein,
}

impl DiscriminatorRecipe {
    pub(super) fn validate(&self, patch: [usize; 3]) -> Result<()> {
        within("discriminator.channels", self.channels, 1, 1 << 12)?;
        within("discriminator.levels", self.levels, 1, 7)?;
        at_least_one("discriminator.penalty_interval", self.penalty_interval as usize)?;
        not_below_zero("discriminator.weight", self.weight)?;
        not_below_zero("discriminator.penalty", self.penalty)?;
        above_zero("discriminator.learning_rate", self.learning_rate)?;
        let divides = |n: usize| n == 1 || n.is_multiple_of(1 << self.levels);
        if !patch.into_iter().all(divides) {
            let expected = format!("as many halvings as training.patch {patch:?} allows");
            return Err(Error::value("discriminator.levels", expected, self.levels.to_string(), ADVICE));
        }
        Ok(())
    }
}
