//! Differences of the cohorts adjusted for head size and covariates.
//!
//! Three analyses of each volume. The *model* estimates the cohort's effect beside head size and covariates. The
//! *ratio* divides by head size. The *residual* subtracts from each volume its regression on head size in the real
//! cohort (the residual method of Buckner and colleagues 2004, doi 10.1016/j.neuroimage.2004.06.018): V − b (H − H̄),
//! with b and H̄ of the real cohort; covariates enter the same regression.

use serde::{Deserialize, Serialize};

use super::Quantity;
use super::compare::LeftOut;
use super::covariates::Covariate;
use super::head::HeadMeasure;
use super::hypothesis::{PValue, Welch, means};
use super::wasserstein::Transport;
use crate::stats::{Interval, Sample, cohens_d, hedges_factor};

/// The comparison adjusted for head size and covariates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adjusted {
    /// The measure of head size.
    pub head: HeadMeasure,
    /// Mean head size of the counted real subjects in ml; `None` without any.
    pub head_real_mean_ml: Option<f64>,
    /// Mean head size of the counted synthetic subjects in ml; `None` without any.
    pub head_synthetic_mean_ml: Option<f64>,
    /// The covariates.
    pub covariates: Vec<Covariate>,
    /// Number of real subjects with head size and all covariates.
    pub real_subjects: usize,
    /// Number of synthetic subjects with head size and all covariates.
    pub synthetic_subjects: usize,
    /// Subjects that were left out.
    pub dropped: Vec<Dropped>,
    /// The adjusted quantities.
    pub quantities: Vec<AdjustedQuantity>,
    /// Quantities that could not be adjusted, or without a residual.
    pub left_out: Vec<LeftOut>,
    /// The Wasserstein distance of the volumes divided by head size; `None` if fewer than four subjects of either
    /// cohort have them all, or there is only one volume.
    pub wasserstein: Option<Transport>,
}

/// A subject that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Whether it is of the synthetic cohort.
    pub synthetic: bool,
    pub subject: String,
    /// The measures and covariates that it lacks.
    pub lacks: Vec<String>,
}

/// One quantity, adjusted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdjustedQuantity {
    pub quantity: Quantity,
    /// Whether the model has head size: for all volumes but head size itself. Otherwise it has covariates alone.
    pub by_head_size: bool,
    pub model: GroupEffect,
    /// The volume divided by head size; `None` without head size.
    pub ratio: Option<Contrast>,
    /// Residuals of the regression on head size and covariates, about the real means, in the unit; `None` where the
    /// real cohort alone does not determine the regression.
    pub residual: Option<Contrast>,
    /// The slope b of the residual: ml per ml of head size, in the real cohort; `None` without head size.
    pub slope: Option<f64>,
}

/// The effect of the cohort on a quantity, by a linear model with one residual variance for both cohorts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupEffect {
    /// Synthetic minus real at equal head size and covariates, in the unit, with its interval.
    pub difference: Interval,
    pub t: f64,
    /// Degrees of freedom of the residuals.
    pub df: f64,
    /// Two-sided.
    pub p: PValue,
    /// Partial R² of the cohort beside head size and covariates: t² / (t² + df).
    pub partial_r2: f64,
    /// The difference in standard deviations of the residuals.
    pub standardised: f64,
}

/// The two cohorts compared by a derived value (ratio or residual).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contrast {
    pub real_mean: f64,
    pub real_sd: f64,
    pub synthetic_mean: f64,
    pub synthetic_sd: f64,
    /// Difference of the means in pooled standard deviations, corrected for small samples (Hedges 1981).
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
