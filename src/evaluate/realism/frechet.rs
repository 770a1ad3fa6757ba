//! Fréchet distance between the normal distributions with the moments of two sets of features.

use nalgebra::{DMatrix, RowDVector};

use super::Features;
use crate::error::Result;

/// Fréchet distance, squared as in all publications (FID where the extractor is Inception; Heusel 2017,
/// <https://arxiv.org/abs/1706.08500>, equation 6): ‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½), with covariances over n − 1.
///
/// It is biased upwards for small sets, by about c/N where c depends on the sets (Chong and Forsyth 2020,
/// <https://arxiv.org/abs/1911.07023>); below as many volumes as features, both covariances are singular and the bias
/// can be most of the number. Read it beside a real–real distance of as many volumes a side, which
/// [`Realism`](super::Realism) has, and do not compare it across numbers of volumes.
///
/// # Errors
/// [`Error::Value`](crate::error::Error::Value) if different extractors made the features.
pub fn frechet_distance(synthetic: &Features, real: &Features) -> Result<f64> {
    synthetic.check_comparable(real)?;
    let [a, b] = [synthetic, real].map(|features| {
        let (volumes, width) = features.values().dim();
        DMatrix::from_row_iterator(volumes, width, features.values().iter().copied())
    });
    Ok(between(a, b))
}

/// The distance between the rows of `a` and those of `b`, at least two each.
///
/// With A the centred rows over √(n − 1), so that Σ = AᵀA, the trace of (Σ₁Σ₂)^½ is the sum of the singular values of
/// A₁A₂ᵀ. That holds for any such A: for the rows themselves where they are fewer than the features (no F×F matrix is
/// then made, and none needs to be regular), and otherwise for the triangular factor of their QR decomposition.
pub(super) fn between(a: DMatrix<f64>, b: DMatrix<f64>) -> f64 {
    let ((mean_a, a), (mean_b, b)) = (moments(a), moments(b));
    let traces = a.norm_squared() + b.norm_squared();
    let product = smallest_factor(a) * smallest_factor(b).transpose();
    let root_trace = product.singular_values_unordered().sum();
    // Never negative but for rounding.
    ((mean_a - mean_b).norm_squared() + traces - 2.0 * root_trace).max(0.0)
}

/// Mean of the rows, and A with AᵀA their covariance.
fn moments(mut rows: DMatrix<f64>) -> (RowDVector<f64>, DMatrix<f64>) {
    let mean = rows.row_mean();
    let scale = ((rows.nrows() - 1) as f64).sqrt().recip();
    for mut row in rows.row_iter_mut() {
        row -= &mean;
        row *= scale;
    }
    (mean, rows)
}

/// A or, of fewer rows, another matrix with the same AᵀA.
fn smallest_factor(a: DMatrix<f64>) -> DMatrix<f64> {
    if a.nrows() > a.ncols() { a.qr().r() } else { a }
}

#[cfg(test)]
mod tests {
    use nalgebra::{DVector, dmatrix};
    use ndarray::Array2;

    use super::super::golden::golden;
    use super::*;

    #[test]
    fn agrees_with_scipy_and_with_fifty_digits_where_covariances_are_singular() {
        for case in golden() {
            let found = frechet_distance(&case.synthetic, &case.real).unwrap();
            let expected = case.expected["frechet_distance"];
            assert!((found / expected - 1.0).abs() < 1e-10, "{}: {found} for {expected}", case.name);
        }
    }

    /// Rows ±s_i e_i have mean m and a diagonal covariance: ‖m₁ − m₂‖² + Σ(√Σ₁ᵢᵢ − √Σ₂ᵢᵢ)².
    #[test]
    fn of_axis_aligned_normal_distributions_is_the_closed_form() {
        let rows = |mean: f64, sd: [f64; 3]| {
            let row = |at: usize, sign: f64| {
                let mut row = DVector::from_element(3, mean);
                row[at] += sign * sd[at] * (5.0f64 / 2.0).sqrt();
                row.transpose()
            };
            DMatrix::from_rows(&[
                row(0, 1.0),
                row(0, -1.0),
                row(1, 1.0),
                row(1, -1.0),
                row(2, 1.0),
                row(2, -1.0),
            ])
        };
        let found = between(rows(1.0, [1.0, 2.0, 0.0]), rows(1.5, [3.0, 0.5, 1.0]));
        assert!((found - (3.0 * 0.25 + 4.0 + 2.25 + 1.0)).abs() < 1e-12, "{found}");
    }

    #[test]
    fn nothing_for_equal_sets_and_the_same_after_rotation_and_translation() {
        for case in golden() {
            let of = |values: Array2<f64>| Features::new("net", values, None).unwrap();
            let (a, b) = (of(case.synthetic.values().clone()), of(case.real.values().clone()));
            assert!(frechet_distance(&a, &a).unwrap() < 1e-12);
            let there = frechet_distance(&a, &b).unwrap();
            assert!((there - frechet_distance(&b, &a).unwrap()).abs() < 1e-12 * there);
            // A Householder reflection and a translation.
            let width = a.values().ncols();
            let reflect = Array2::from_shape_fn((width, width), |(i, j)| {
                f64::from(u8::from(i == j)) - 2.0 / width as f64
            });
            let moved = |features: &Features| of(features.values().dot(&reflect) + 7.0);
            assert!((there - frechet_distance(&moved(&a), &moved(&b)).unwrap()).abs() < 1e-10 * there);
        }
    }

    #[test]
    fn constant_features_have_only_their_means() {
        let found = between(dmatrix![1.0, 0.0; 1.0, 0.0; 1.0, 0.0], dmatrix![1.0, 2.0; 1.0, 2.0]);
        assert!((found - 4.0).abs() < 1e-15);
    }
}
