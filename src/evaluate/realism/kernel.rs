//! Kernel distances: the unbiased squared maximum mean discrepancy under a polynomial kernel (KID) and a Gaussian one.

use ndarray::{Array2, ArrayView2, Axis, concatenate};
use rayon::prelude::*;

use super::Features;
use crate::error::{Error, Result};
use crate::stats::median;

/// Kernel distance (KID where the extractor is Inception; Bińkowski 2018, <https://arxiv.org/abs/1801.01401>): the
/// squared maximum mean discrepancy under (x·y/F + 1)³. Unbiased, so that it can be negative. The paper averages it
/// over random subsets; [`Realism`](super::Realism) has that average with its deviation beside the value of all
/// volumes.
///
/// # Errors
/// [`Error::Value`] if different extractors made the features.
pub fn kernel_distance(synthetic: &Features, real: &Features) -> Result<f64> {
    let values = pooled(synthetic, real)?;
    Ok(between(&polynomial_kernel(values.view()), synthetic, real))
}

/// Squared maximum mean discrepancy under the Gaussian kernel exp(−‖x − y‖²/2σ²), and its σ: the median distance
/// between two volumes of both sets together (Gretton 2012, <https://jmlr.org/papers/v13/gretton12a.html>, equation 3
/// and section 8). Unbiased, so that it can be negative.
///
/// # Errors
/// [`Error::Value`] if different extractors made the features, or half of all pairs of volumes have equal features.
pub fn gaussian_discrepancy(synthetic: &Features, real: &Features) -> Result<(f64, f64)> {
    let squared = squared_distances(pooled(synthetic, real)?.view());
    let bandwidth = median_distance(&squared)?;
    Ok((between(&gaussian_kernel(&squared, bandwidth), synthetic, real), bandwidth))
}

/// The features of both sets, synthetic ones first.
pub(super) fn pooled(synthetic: &Features, real: &Features) -> Result<Array2<f64>> {
    synthetic.check_comparable(real)?;
    let both = [synthetic.values().view(), real.values().view()];
    Ok(concatenate(Axis(0), &both).expect("as many features, as just checked"))
}

fn between(kernel: &Array2<f64>, synthetic: &Features, real: &Features) -> f64 {
    let indices: Vec<usize> = (0..kernel.nrows()).collect();
    let (a, b) = indices.split_at(synthetic.volumes());
    debug_assert_eq!(b.len(), real.volumes());
    squared_discrepancy(kernel, a, b)
}

/// The unbiased squared discrepancy of the volumes `a` from the volumes `b` of a `kernel` matrix: the mean of k(x, x′)
/// over pairs of different volumes within a, plus that within b, minus twice that over pairs across (Gretton 2012,
/// equation 3).
pub(super) fn squared_discrepancy(kernel: &Array2<f64>, a: &[usize], b: &[usize]) -> f64 {
    let sum = |a: &[usize], b: &[usize]| {
        a.iter().map(|&i| b.iter().map(|&j| kernel[[i, j]]).sum::<f64>()).sum::<f64>()
    };
    let within = |set: &[usize]| {
        let same: f64 = set.iter().map(|&i| kernel[[i, i]]).sum();
        (sum(set, set) - same) / (set.len() * (set.len() - 1)) as f64
    };
    within(a) + within(b) - 2.0 * sum(a, b) / (a.len() * b.len()) as f64
}

/// (x·y/F + 1)³ for all pairs of rows.
pub(super) fn polynomial_kernel(values: ArrayView2<f64>) -> Array2<f64> {
    let width = values.ncols() as f64;
    values.dot(&values.t()).mapv_into(|product| (product / width + 1.0).powi(3))
}

/// exp(−d²/2σ²) of the squared distances.
pub(super) fn gaussian_kernel(squared_distances: &Array2<f64>, bandwidth: f64) -> Array2<f64> {
    squared_distances.mapv(|squared| (-squared / (2.0 * bandwidth * bandwidth)).exp())
}

/// Squared Euclidean distances of all pairs of rows. From the differences: so copies have exactly none.
pub(super) fn squared_distances(values: ArrayView2<f64>) -> Array2<f64> {
    let values = values.as_standard_layout();
    let volumes = values.nrows();
    let mut squared = Array2::zeros((volumes, volumes));
    squared.axis_iter_mut(Axis(0)).into_par_iter().zip(values.outer_iter()).for_each(|(mut row, a)| {
        for (squared, b) in row.iter_mut().zip(values.outer_iter()) {
            *squared = a.iter().zip(&b).map(|(a, b)| (a - b) * (a - b)).sum();
        }
    });
    squared
}

/// Median distance over pairs of different rows; the mean of the two in the middle of an even number.
pub(super) fn median_distance(squared_distances: &Array2<f64>) -> Result<f64> {
    let pairs = (0..squared_distances.nrows()).flat_map(|i| (0..i).map(move |j| [i, j]));
    let median = median(pairs.map(|pair| squared_distances[pair].sqrt()).collect());
    if median > 0.0 {
        return Ok(median);
    }
    let (expected, advice) = ("volumes that differ", "look for copies in the sets, or another extractor");
    Err(Error::value("features", expected, "most pairs of volumes with equal features", advice))
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::super::golden::golden;
    use super::*;

    #[test]
    fn agree_with_scikit_learn_and_torch_fidelity() {
        for case in golden() {
            let kernel = kernel_distance(&case.synthetic, &case.real).unwrap();
            let (gaussian, bandwidth) = gaussian_discrepancy(&case.synthetic, &case.real).unwrap();
            let all = [("kernel_distance", kernel), ("gaussian_mmd", gaussian), ("bandwidth", bandwidth)];
            for (name, found) in all {
                let expected = case.expected[name];
                assert!(
                    (found - expected).abs() < 1e-12 * expected.abs().max(1.0),
                    "{name}: {found}, {expected}"
                );
            }
        }
    }

    /// a = {0, 2}, b = {1, 1} with one feature: 1 + 8 − 2·(1 + 27)/2.
    #[test]
    fn by_hand() {
        let of = |values| Features::new("net", values, None).unwrap();
        let (a, b) = (of(array![[0.0], [2.0]]), of(array![[1.0], [1.0]]));
        assert_eq!(kernel_distance(&a, &b).unwrap(), 1.0 + 8.0 - 28.0);
        // Distances 2, 0 and four of 1: the median is 1.
        let (found, bandwidth) = gaussian_discrepancy(&a, &b).unwrap();
        assert_eq!(bandwidth, 1.0);
        assert!((found - ((-2.0f64).exp() + 1.0 - 2.0 * (-0.5f64).exp())).abs() < 1e-15);
        assert!(gaussian_discrepancy(&b, &b).is_err());
    }
}
