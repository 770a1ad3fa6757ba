//! Differences of the cohorts with head size and covariates accounted for.
//!
//! Three answers for each volume. The *model* asks for the cohort's effect beside head size and covariates. The *ratio*
//! divides by head size. The *residual* takes from each volume what the head's size makes of it in real people (the
//! residual method of Buckner and colleagues 2004, doi 10.1016/j.neuroimage.2004.06.018): V − b (H − H̄), with b and H̄
//! of the real cohort; where there are covariates, what they make of it too, by one regression in the real cohort.

use serde::{Deserialize, Serialize};

use super::Quantity;
use super::compare::LeftOut;
use super::covariates::Covariate;
use super::head::HeadMeasure;
use super::hypothesis::{PValue, Welch, means};
use super::wasserstein::Transport;
use crate::stats::{Interval, Sample, cohens_d, hedges_factor};

/// The comparison with head size and covariates accounted for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adjusted {
    /// What stands for the size of the head.
    pub head: HeadMeasure,
    /// Its mean in the real subjects, in ml; none if no subject counts.
    pub head_real_mean_ml: Option<f64>,
    /// Its mean in the synthetic subjects, in ml; none if no subject counts.
    pub head_synthetic_mean_ml: Option<f64>,
    /// The covariates.
    pub covariates: Vec<Covariate>,
    /// Real subjects that are counted.
    pub real_subjects: usize,
    /// Synthetic subjects that are counted.
    pub synthetic_subjects: usize,
    /// Subjects that are not.
    pub dropped: Vec<Dropped>,
    /// Quantities of which something can be accounted for.
    pub quantities: Vec<AdjustedQuantity>,
    /// What could not be adjusted.
    pub left_out: Vec<LeftOut>,
    /// The Wasserstein distance of the volumes over head size; `None` if fewer than four subjects of either cohort have
    /// them all, or there is only one volume.
    pub wasserstein: Option<Transport>,
}

/// A subject that does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Whether of the synthetic cohort.
    pub synthetic: bool,
    pub subject: String,
    /// What it lacks.
    pub lacks: Vec<String>,
}

/// One quantity, adjusted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdjustedQuantity {
    pub quantity: Quantity,
    /// Whether the model has head size: of volumes, but for the one that stands for it. Else covariates alone.
    pub by_head_size: bool,
    pub model: GroupEffect,
    /// Parts of head size; `None` without it.
    pub ratio: Option<Contrast>,
    /// Residuals of head size and covariates, about the real means, in the unit; `None` where the real cohort alone cannot
    /// tell what they make of it.
    pub residual: Option<Contrast>,
    /// The slope b of the residual: millilitres by millilitre of head size, in the real cohort; `None` without head size.
    pub slope: Option<f64>,
}

/// What being synthetic makes of a quantity, by a linear model with one residual spread for both cohorts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupEffect {
    /// Synthetic minus real at equal head size and covariates, in the unit, with its interval.
    pub difference: Interval,
    pub t: f64,
    /// Degrees of freedom of the residuals.
    pub df: f64,
    /// Two-sided.
    pub p: PValue,
    /// Share of what head size and covariates leave unexplained that the cohort explains: t² / (t² + df).
    pub partial_r2: f64,
    /// The difference in standard deviations of the residuals.
    pub standardised: f64,
}

/// Two cohorts by a derived value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contrast {
    pub real_mean: f64,
    pub real_sd: f64,
    pub synthetic_mean: f64,
    pub synthetic_sd: f64,
    /// Difference of the means in pooled standard deviations without the bias of small samples (Hedges 1981).
    pub hedges_g: f64,
    pub welch: Welch,
}

impl Contrast {
    pub(super) fn of(real: &[f64], synthetic: &[f64], alpha: f64) -> Self {
        let [real, synthetic] = [real, synthetic].map(|values| Sample::of(values.iter().copied()));
        // The margin is of the equivalence test, which is not asked for.
        let (welch, _) = means(&real, &synthetic, f64::INFINITY, alpha);
        let g = cohens_d(&real, &synthetic) * hedges_factor(&real, &synthetic);
        Self {
            real_mean: real.mean,
            real_sd: real.sd(),
            synthetic_mean: synthetic.mean,
            synthetic_sd: synthetic.sd(),
            hedges_g: if g.is_finite() { g } else { 0.0 },
            welch,
        }
    }
}
