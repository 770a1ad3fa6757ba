//! All quantities together: tests of their correlations and of their joint distribution.

use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::stats::{Draws, Sample, permutation_p, permuted};

/// Fewest subjects without missing values, of either cohort, for the joint tests.
pub(super) const FEWEST: usize = 4;
/// Pairs of quantities that are reported.
const PAIRS: usize = 10;

/// Comparison of the cohorts over all quantities, by the subjects without missing values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Joint {
    /// Number of real subjects without missing values.
    pub real_subjects: usize,
    /// Number of synthetic subjects without missing values.
    pub synthetic_subjects: usize,
    pub correlations: Correlations,
    pub energy: Energy,
}

/// Pearson correlations between the quantities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Correlations {
    /// Rows of the real cohort's matrix; 0 for a quantity that does not vary.
    pub real: Vec<Vec<f64>>,
    /// Rows of the synthetic cohort's matrix.
    pub synthetic: Vec<Vec<f64>>,
    /// Frobenius norm of the difference of the matrices.
    pub distance: f64,
    /// Permutation p of the distance. Subjects are permuted between cohorts after each cohort was standardised to mean
    /// 0 and standard deviation 1, so that differences of the means and of the spread do not count.
    pub p: f64,
    /// The pairs that differ most, the first ten.
    pub largest: Vec<PairDiscrepancy>,
}

/// A pair of quantities whose correlations differ between the cohorts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairDiscrepancy {
    pub first: String,
    pub second: String,
    /// Correlation in the real cohort.
    pub real: f64,
    /// Correlation in the synthetic cohort.
    pub synthetic: f64,
    /// Share of the permutations in which any pair differs as much: adjusted for the number of pairs.
    pub p: f64,
}

/// The energy distance (Székely and Rizzo 2004) between the cohorts, of quantities standardised by the real means and
/// standard deviations: zero for equal distributions only. It depends on differences of means, spread and dependence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Energy {
    /// 2 E‖X − Y‖ − E‖X − X′‖ − E‖Y − Y′‖ over all pairs, including those of a subject with itself.
    pub distance: f64,
    /// Permutation p.
    pub p: f64,
}

impl Joint {
    /// Compares complete `real` and `synthetic` columns of quantities with these names. `None` if either has fewer than
    /// four subjects. `address` is the run's seed and what tells these permutations from others.
    pub(super) fn of(
        real: &[Vec<f64>],
        synthetic: &[Vec<f64>],
        names: &[&str],
        permutations: usize,
        address: (u64, u64),
    ) -> Option<Self> {
        let sizes = (real[0].len(), synthetic[0].len());
        if sizes.0.min(sizes.1) < FEWEST {
            return None;
        }
        let draws = |kind: Kind| Draws { seed: address.0, step: address.1, phase: kind as u64 };
        Some(Self {
            real_subjects: sizes.0,
            synthetic_subjects: sizes.1,
            correlations: compare_correlations(
                real,
                synthetic,
                names,
                permutations,
                draws(Kind::Correlation),
            ),
            energy: compare_energy(real, synthetic, permutations, draws(Kind::Energy)),
        })
    }
}

fn compare_correlations(
    real: &[Vec<f64>],
    synthetic: &[Vec<f64>],
    names: &[&str],
    permutations: usize,
    draws: Draws,
) -> Correlations {
    let sizes = (real[0].len(), synthetic[0].len());
    let everyone: Vec<usize> = (0..sizes.0 + sizes.1).collect();
    let pooled = pool([real, real], [synthetic, synthetic]);
    let of_real = correlation(&pooled, &everyone[..sizes.0]);
    let of_synthetic = correlation(&pooled, &everyone[sizes.0..]);
    let gaps = (&of_real - &of_synthetic).abs();
    let permuted = permuted(sizes, permutations, draws, |a, b| {
        let difference = correlation(&pooled, a) - correlation(&pooled, b);
        (difference.norm(), difference.amax())
    });
    let mut pairs: Vec<(usize, usize)> = (0..names.len())
        .flat_map(|first| (first + 1..names.len()).map(move |second| (first, second)))
        .collect();
    pairs.sort_by(|&a, &b| gaps[b].total_cmp(&gaps[a]));
    let discrepancy = |&pair: &(usize, usize)| PairDiscrepancy {
        first: names[pair.0].to_string(),
        second: names[pair.1].to_string(),
        real: of_real[pair],
        synthetic: of_synthetic[pair],
        p: permutation_p(gaps[pair], permuted.iter().map(|(_, largest)| *largest)),
    };
    let rows = |matrix: &DMatrix<f64>| matrix.row_iter().map(|row| row.iter().copied().collect()).collect();
    let distance = (&of_real - &of_synthetic).norm();
    Correlations {
        real: rows(&of_real),
        synthetic: rows(&of_synthetic),
        distance,
        p: permutation_p(distance, permuted.iter().map(|(distance, _)| *distance)),
        largest: pairs.iter().take(PAIRS).map(discrepancy).collect(),
    }
}

fn compare_energy(real: &[Vec<f64>], synthetic: &[Vec<f64>], permutations: usize, draws: Draws) -> Energy {
    let sizes = (real[0].len(), synthetic[0].len());
    let everyone: Vec<usize> = (0..sizes.0 + sizes.1).collect();
    let distances = Distances::of(real, synthetic);
    let distance = distances.energy(&everyone[..sizes.0], &everyone[sizes.0..]);
    let permuted = permuted(sizes, permutations, draws, |a, b| distances.energy(a, b));
    Energy { distance, p: permutation_p(distance, permuted) }
}

/// Real and synthetic subjects below one another, `[subjects, quantities]`, each group in the means and standard
/// deviations of its other columns, `(values, reference)`. A quantity whose reference does not vary becomes 0.
fn pool(real: [&[Vec<f64>]; 2], synthetic: [&[Vec<f64>]; 2]) -> DMatrix<f64> {
    let standard = |[values, reference]: [&[Vec<f64>]; 2], quantity: usize| -> Vec<f64> {
        let sample = Sample::of(reference[quantity].iter().copied());
        let scale = if sample.variance > 0.0 { 1.0 / sample.sd() } else { 0.0 };
        values[quantity].iter().map(|value| (value - sample.mean) * scale).collect()
    };
    let columns: Vec<f64> = (0..real[0].len())
        .flat_map(|quantity| [standard(real, quantity), standard(synthetic, quantity)].concat())
        .collect();
    DMatrix::from_vec(columns.len() / real[0].len(), real[0].len(), columns)
}

/// Correlations between the columns of a matrix `[subjects, quantities]` in standard deviations, over these subjects;
/// 0 with a column that does not vary.
fn correlation(standardised: &DMatrix<f64>, subjects: &[usize]) -> DMatrix<f64> {
    let mut chosen = standardised.select_rows(subjects);
    for mut column in chosen.column_iter_mut() {
        let mean = column.mean();
        column.add_scalar_mut(-mean);
        let norm = column.norm();
        // What rounding leaves of equal values is no variation.
        column *= if norm > 1e-9 { 1.0 / norm } else { 0.0 };
    }
    let mut correlation = chosen.tr_mul(&chosen);
    correlation.fill_diagonal(1.0);
    correlation
}

/// Frobenius norm of the difference of the correlation matrices of two groups of subjects of complete columns.
pub(super) fn correlation_distance(
    (a, of_a): (&[Vec<f64>], &[usize]),
    (b, of_b): (&[Vec<f64>], &[usize]),
) -> f64 {
    let pooled = pool([a, a], [b, b]);
    let after: Vec<usize> = of_b.iter().map(|subject| subject + a[0].len()).collect();
    (correlation(&pooled, of_a) - correlation(&pooled, &after)).norm()
}

/// Euclidean distances between all subjects, the real ones first, in real standard deviations.
pub(super) struct Distances(DMatrix<f64>);

impl Distances {
    /// Distances of the subjects of both cohorts, whose values are `[quantity][subject]`.
    pub fn of(real: &[Vec<f64>], synthetic: &[Vec<f64>]) -> Self {
        // Subjects become columns, which lie together in memory.
        let subjects = pool([real, real], [synthetic, real]).transpose();
        let count = subjects.ncols();
        Self(DMatrix::from_fn(count, count, |i, j| (subjects.column(i) - subjects.column(j)).norm()))
    }

    /// Squared distances from the subjects `a` to the subjects `b`, `[a, b]`.
    pub fn squares(&self, a: &[usize], b: &[usize]) -> DMatrix<f64> {
        DMatrix::from_fn(a.len(), b.len(), |i, j| self.0[(a[i], b[j])].powi(2))
    }

    /// Energy distance between the subjects with these indices: −gᵀDg, where g is 1/n on the one group, −1/m on the
    /// other and 0 elsewhere.
    pub fn energy(&self, a: &[usize], b: &[usize]) -> f64 {
        let mut groups = DVector::zeros(self.0.ncols());
        a.iter().for_each(|&subject| groups[subject] = 1.0 / a.len() as f64);
        b.iter().for_each(|&subject| groups[subject] = -1.0 / b.len() as f64);
        -groups.dot(&(&self.0 * &groups))
    }
}
