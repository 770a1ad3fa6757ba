//! The conditions given to a generator against the measured values of its samples.

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use super::linear::Design;
use crate::stats::Interval;

/// The relation of a measured quantity to the condition that was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The condition ("lateral_ventricles_ml").
    pub label: String,
    /// Number of samples.
    pub samples: usize,
    /// Pearson's correlation of the measured values with the condition; 0 where all measured values are equal.
    pub correlation: f64,
    /// Slope of the measured values on the condition, 1 where they agree, with its 95 % interval.
    pub slope: Interval,
    /// Mean of measured value minus condition, in the condition's unit.
    pub mean_difference: f64,
    /// Mean of the condition.
    pub mean_asked: f64,
}

impl Asked {
    /// The relation over pairs of condition and measured value; `None` for fewer than three pairs, or where all
    /// conditions are equal.
    pub fn of(label: impl Into<String>, pairs: &[[f64; 2]]) -> Option<Self> {
        let column = |at: usize| pairs.iter().map(|pair| pair[at]).collect::<Vec<f64>>();
        let (asked, measured) = (column(0), column(1));
        let fit = Design::of(std::slice::from_ref(&asked)).ok()?.fit(&measured);
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let spread = |values: &[f64]| values.iter().map(|x| (x - mean(values)).powi(2)).sum::<f64>().sqrt();
        let slope = fit.interval(0, 0.95);
        let scatter = spread(&measured);
        // Where everything measures the same, nothing follows.
        let correlation = if scatter == 0.0 { 0.0 } else { slope.estimate * spread(&asked) / scatter };
        let mean_asked = mean(&asked);
        Some(Self {
            label: label.into(),
            samples: pairs.len(),
            correlation,
            slope,
            mean_difference: mean(&measured) - mean_asked,
            mean_asked,
        })
    }
}

impl Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { label, samples, correlation, slope, mean_difference, mean_asked } = self;
        let Interval { estimate, low, high } = slope;
        write!(
            f,
            "{label}: r {correlation:.3}, slope {estimate:.3} [{low:.3}, {high:.3}], measured - asked {mean_difference:+.1} of \
             {mean_asked:.1}, {samples} samples"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slope_and_correlation_of_a_closed_form() {
        // Measured is 3 + asked/2, give or take one: residuals that are orthogonal to the column and to the constant.
        let asked = [10.0, 20.0, 30.0, 40.0];
        let residuals = [1.0, -1.0, -1.0, 1.0];
        let pairs: Vec<[f64; 2]> = asked
            .iter()
            .zip(residuals)
            .map(|(asked, residual)| [*asked, 3.0 + asked / 2.0 + residual])
            .collect();
        let found = Asked::of("brain_ml", &pairs).expect("a slope");
        assert!((found.slope.estimate - 0.5).abs() < 1e-12);
        // Sums of squares: 500 of asked, so 125 explained of 129 measured.
        assert!((found.correlation - (125.0f64 / 129.0).sqrt()).abs() < 1e-12);
        assert!((found.mean_difference + 9.5).abs() < 1e-12 && found.mean_asked == 25.0);
        // Standard error √(4/2/500), Student's t of two degrees of freedom 4.3027.
        assert!((found.slope.high - 0.5 - 4.302_652_73 * (2.0f64 / 500.0).sqrt()).abs() < 1e-6);
    }

    #[test]
    fn without_spread_nothing_is_said() {
        assert!(Asked::of("brain_ml", &[[1.0, 2.0], [1.0, 3.0], [1.0, 4.0]]).is_none());
        assert!(Asked::of("brain_ml", &[[1.0, 2.0], [2.0, 3.0]]).is_none());
        let same = Asked::of("brain_ml", &[[1.0, 2.0], [2.0, 2.0], [4.0, 2.0]]).expect("a slope of zero");
        assert_eq!((same.correlation, same.slope.estimate), (0.0, 0.0));
    }
}
