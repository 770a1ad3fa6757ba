//! Linear models by least squares.

use nalgebra::{DMatrix, DVector};
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::resampling::Interval;

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
            errors: inverse.row_iter().zip(norms()).map(|(row, norm)| residual_sd * row.norm() / norm).collect(),
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

    /// The outcome of a further subject with these values of the columns, and the interval that holds it with this
    /// probability where residuals are normal.
    pub fn predict(&self, fit: &Fit, at: &[f64], confidence: f64) -> Interval {
        let n = self.left.nrows() as f64;
        let offsets = at.iter().zip(&self.scales).map(|(value, (mean, _))| value - mean);
        let estimate = fit.mean + offsets.clone().zip(&fit.coefficients).map(|(x, b)| x * b).sum::<f64>();
        let scaled =
            DVector::from_iterator(at.len(), offsets.zip(&self.scales).map(|(offset, (_, norm))| offset / norm));
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
        self.coefficients[index] / self.errors[index].max(f64::MIN_POSITIVE)
    }

    /// Two-sided p of a coefficient that is zero.
    pub fn p(&self, index: usize) -> f64 {
        2.0 * self.student().sf(self.t(index).abs())
    }
}
