//! Linear models by least squares.

use nalgebra::{DMatrix, DVector};
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::stats::Interval;

/// A singular value this much smaller than the largest is none: the columns depend on one another.
const DEPENDENT: f64 = 1e-8;

/// The columns of a linear model besides its constant, decomposed.
pub(super) struct Design {
    /// Mean and norm about the mean of each column.
    scales: Vec<(f64, f64)>,
    /// Left singular vectors `[subjects, columns]`, singular values and right singular vectors of the columns about
    /// their means and over their norms.
    left: DMatrix<f64>,
    singular: DVector<f64>,
    right: DMatrix<f64>,
}

/// What a model says of one outcome.
pub(super) struct Fit {
    /// Mean outcome.
    mean: f64,
    /// Coefficients of the columns in the outcome's unit by that of the column.
    pub coefficients: Vec<f64>,
    /// Standard errors of the coefficients.
    errors: Vec<f64>,
    /// Standard deviation of the residuals.
    pub residual_sd: f64,
    /// Degrees of freedom of the residuals.
    pub df: f64,
}

/// Why there is no model.
#[derive(Debug, PartialEq)]
pub(super) enum Unsolvable {
    /// Columns that are constant or follow from one another, by their indices.
    Dependent(Vec<usize>),
    /// As many subjects as coefficients, or fewer.
    TooFew { subjects: usize, coefficients: usize },
}

impl Design {
    /// The model with these columns and a constant.
    ///
    /// # Errors
    /// [`Unsolvable`] for too few subjects or dependent columns.
    pub fn of(columns: &[Vec<f64>]) -> Result<Self, Unsolvable> {
        let (n, count) = (columns.first().map_or(0, Vec::len), columns.len());
        if n <= count + 1 {
            return Err(Unsolvable::TooFew { subjects: n, coefficients: count + 1 });
        }
        let mut matrix = DMatrix::zeros(n, count);
        let mut scales = Vec::with_capacity(count);
        for (index, column) in columns.iter().enumerate() {
            let values = DVector::from_column_slice(column);
            let mean = values.mean();
            let centred = values.add_scalar(-mean);
            let norm = centred.norm();
            if norm <= DEPENDENT * values.norm() {
                return Err(Unsolvable::Dependent(vec![index]));
            }
            matrix.set_column(index, &(centred / norm));
            scales.push((mean, norm));
        }
        let svd = matrix.svd(true, true);
        let (left, singular) = (svd.u.expect("asked for"), svd.singular_values);
        let right = svd.v_t.expect("asked for").transpose();
        let (least, most) = (singular.imin(), singular.max());
        if singular[least] < DEPENDENT * most {
            // The combination that is zero.
            let weights = right.column(least);
            let dependent = (0..count).filter(|&index| weights[index].abs() > 1e-6).collect();
            return Err(Unsolvable::Dependent(dependent));
        }
        Ok(Self { scales, left, singular, right })
    }

    /// The model of these outcomes, one a subject.
    pub fn fit(&self, outcomes: &[f64]) -> Fit {
        let outcomes = DVector::from_column_slice(outcomes);
        let mean = outcomes.mean();
        let centred = outcomes.add_scalar(-mean);
        let along = self.left.tr_mul(&centred);
        let residual = &centred - &self.left * &along;
        let df = (centred.len() - self.scales.len() - 1) as f64;
        let residual_sd = (residual.norm_squared() / df).sqrt();
        let inverse = self.inverse();
        let scaled = &inverse * along;
        let norms = || self.scales.iter().map(|(_, norm)| norm);
        Fit {
            mean,
            coefficients: scaled.iter().zip(norms()).map(|(value, norm)| value / norm).collect(),
            errors: inverse
                .row_iter()
                .zip(norms())
                .map(|(row, norm)| residual_sd * row.norm() / norm)
                .collect(),
            residual_sd,
            df,
        }
    }

    /// From outcomes along the left singular vectors to coefficients of the scaled columns.
    fn inverse(&self) -> DMatrix<f64> {
        let mut inverse = self.right.clone();
        for (mut column, singular) in inverse.column_iter_mut().zip(&self.singular) {
            column /= *singular;
        }
        inverse
    }

    /// The predicted outcome of a further subject with these values of the columns, and its prediction interval of this
    /// confidence, for normal residuals.
    pub fn predict(&self, fit: &Fit, at: &[f64], confidence: f64) -> Interval {
        let n = self.left.nrows() as f64;
        let offsets = at.iter().zip(&self.scales).map(|(value, (mean, _))| value - mean);
        let estimate = fit.mean + offsets.clone().zip(&fit.coefficients).map(|(x, b)| x * b).sum::<f64>();
        let scaled = DVector::from_iterator(
            at.len(),
            offsets.zip(&self.scales).map(|(offset, (_, norm))| offset / norm),
        );
        let leverage = 1.0 / n + self.inverse().tr_mul(&scaled).norm_squared();
        let half = fit.quantile(confidence) * fit.residual_sd * (1.0 + leverage).sqrt();
        Interval { estimate, low: estimate - half, high: estimate + half }
    }
}

impl Fit {
    fn student(&self) -> StudentsT {
        StudentsT::new(0.0, 1.0, self.df).expect("degrees of freedom are at least one")
    }

    fn quantile(&self, confidence: f64) -> f64 {
        self.student().inverse_cdf((1.0 + confidence) / 2.0)
    }

    /// A coefficient with its interval.
    pub fn interval(&self, index: usize, confidence: f64) -> Interval {
        let (estimate, half) = (self.coefficients[index], self.quantile(confidence) * self.errors[index]);
        Interval { estimate, low: estimate - half, high: estimate + half }
    }

    /// A coefficient in standard errors. Where nothing is left to explain, any effect is certain.
    pub fn t(&self, index: usize) -> f64 {
        bounded(self.coefficients[index] / self.errors[index].max(f64::MIN_POSITIVE))
    }

    /// Two-sided p of a coefficient that is zero.
    pub fn p(&self, index: usize) -> f64 {
        2.0 * self.student().sf(self.t(index).abs())
    }
}

/// The nearest finite number, as JSON knows no other.
pub(super) fn bounded(value: f64) -> f64 {
    value.clamp(-f64::MAX, f64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_through_points_is_found_and_its_p_are_those_of_correlation() {
        let x: Vec<f64> = (0..9).map(f64::from).collect();
        let exact: Vec<f64> = x.iter().map(|x| 1e6 + 3.0 * x).collect();
        let design = Design::of(&[x]).unwrap();
        let fit = design.fit(&exact);
        assert!((fit.coefficients[0] - 3.0).abs() < 1e-9 && fit.residual_sd < 1e-6 && fit.p(0) < 1e-9);
        let beyond = design.predict(&fit, &[20.0], 0.95);
        assert!((beyond.estimate - (1e6 + 60.0)).abs() < 1e-6, "{beyond:?}");
    }

    /// A prediction in the middle of n equal designs has leverage 1/n: half-width t₀.₉₇₅(n − 2) s √(1 + 1/n); with
    /// n = 10, t = 2.306004135 (tables).
    #[test]
    fn a_prediction_is_as_wide_as_its_closed_form() {
        let x: Vec<f64> = (0..10).map(|i| f64::from(i) - 4.5).collect();
        let y: Vec<f64> = (0..10).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let design = Design::of(std::slice::from_ref(&x)).unwrap();
        let fit = design.fit(&y);
        let slope = x.iter().zip(&y).map(|(x, y)| x * y).sum::<f64>() / 82.5;
        assert!((fit.coefficients[0] - slope).abs() < 1e-12);
        let sd = (x.iter().zip(&y).map(|(x, y)| (y - slope * x).powi(2)).sum::<f64>() / 8.0).sqrt();
        let found = design.predict(&fit, &[0.0], 0.95);
        assert!((found.high - 2.306_004_135 * sd * 1.1_f64.sqrt()).abs() < 1e-8, "{found:?}");
    }

    #[test]
    fn what_has_no_solution_says_why() {
        let of = |columns: &[&[f64]]| {
            let columns: Vec<Vec<f64>> = columns.iter().map(|column| column.to_vec()).collect();
            Design::of(&columns).err().unwrap()
        };
        let (a, b) = (&[1.0, 2.0, 5.0, 4.0, 9.0], &[2.0, 1.0, 0.0, 7.0, 3.0]);
        let sum: Vec<f64> = a.iter().zip(b).map(|(a, b)| 1e4 - a + 2.0 * b).collect();
        assert_eq!(of(&[a, b, &sum]), Unsolvable::Dependent(vec![0, 1, 2]));
        assert_eq!(of(&[a, &[3.3; 5], b]), Unsolvable::Dependent(vec![1]));
        assert_eq!(of(&[a, b, b, b]), Unsolvable::TooFew { subjects: 5, coefficients: 5 });
    }
}
