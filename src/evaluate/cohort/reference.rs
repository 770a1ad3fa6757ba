//! The reference: the distances between two groups of real people, the least that can be expected of a synthetic
//! cohort.
//!
//! The real cohort is split repeatedly into random halves, and each half is compared with the other and with as many
//! synthetic subjects. All distances grow as groups shrink, roughly with 1/√n, and so are compared at one size only:
//! those of the halves are larger than those of the whole cohorts, for real and synthetic alike.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Kind;
use super::joint::{Distances, correlation_distance};
use super::{at, complete};
use crate::random::permutation;
use crate::stats::{self, Draws, Sample, quantile};

/// A distance between halves of the real cohort, beside that to as many synthetic subjects.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// Real half against real half: the median over the splits.
    pub median: f64,
    /// Real half against real half: the 95 % quantile over the splits.
    pub p95: f64,
    /// Real half against as many synthetic subjects: the median over the splits.
    pub synthetic: f64,
    /// Share of the splits in which the synthetic subjects are farther from one half than the other half is, ties
    /// counting half. About one half where they come from the same distribution.
    pub farther: f64,
}

impl Reference {
    /// From pairs (real, synthetic) of distances, those left out that are not finite. `None` if none is left.
    pub(super) fn of(pairs: impl Iterator<Item = (f64, f64)>) -> Option<Self> {
        let (mut real, mut synthetic): (Vec<f64>, Vec<f64>) =
            pairs.filter(|(real, synthetic)| real.is_finite() && synthetic.is_finite()).unzip();
        if real.is_empty() {
            return None;
        }
        let farther = real.iter().zip(&synthetic).map(|(real, synthetic)| match synthetic.total_cmp(real) {
            std::cmp::Ordering::Less => 0.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Greater => 1.0,
        });
        let farther = farther.sum::<f64>() / real.len() as f64;
        real.sort_unstable_by(f64::total_cmp);
        synthetic.sort_unstable_by(f64::total_cmp);
        let (median, p95) = (quantile(&real, 0.5), quantile(&real, 0.95));
        Some(Self { median, p95, synthetic: quantile(&synthetic, 0.5), farther })
    }
}

/// The references of one quantity; `None` where the halves are too small or do not vary.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantityReference {
    /// Of the absolute value of Cohen's d.
    pub cohens_d: Option<Reference>,
    /// Of the Kolmogorov–Smirnov distance.
    pub kolmogorov_smirnov: Option<Reference>,
    /// Of the Wasserstein distance, in the unit.
    pub wasserstein: Option<Reference>,
}

/// The references of the joint distances, among the subjects without missing values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct JointReference {
    /// Number of subjects in each group.
    pub subjects: usize,
    /// Of the distance of the correlation matrices.
    pub correlations: Option<Reference>,
    /// Of the energy distance.
    pub energy: Option<Reference>,
}

/// Three random groups of equal size, by the indices of their subjects: two of the real, one of the synthetic.
pub(super) struct Split {
    pub real: [Vec<usize>; 2],
    pub synthetic: Vec<usize>,
}

/// Half of the real cohort, or all synthetic subjects where they are fewer.
pub(super) fn group_size(real: usize, synthetic: usize) -> usize {
    (real / 2).min(synthetic)
}

pub(super) fn split(real: usize, synthetic: usize, draws: Draws, number: usize) -> Split {
    let mut rng = draws.at(number);
    let size = group_size(real, synthetic);
    let order = permutation(&mut rng, real);
    let synthetic = permutation(&mut rng, synthetic)[..size].to_vec();
    Split { real: [order[..size].to_vec(), order[size..2 * size].to_vec()], synthetic }
}

/// The references of each quantity over this number of splits.
pub(super) fn quantity_references(
    real: &[Vec<f64>],
    synthetic: &[Vec<f64>],
    splits: usize,
    seed: u64,
) -> Vec<QuantityReference> {
    let distances = |a: &Sample, b: &Sample| {
        if a.n().min(b.n()) < 2 {
            return [f64::NAN; 3];
        }
        let d = stats::cohens_d(a, b).abs();
        [d, stats::kolmogorov_smirnov_distance(a, b), stats::wasserstein(a, b)]
    };
    let samples = |columns: &[Vec<f64>], rows: &[usize]| -> Vec<Sample> {
        at(columns, rows).into_iter().map(Sample::of).collect()
    };
    let draws = Draws { seed, step: 0, phase: Kind::Split as u64 };
    let one_split = |number: usize| -> Vec<([f64; 3], [f64; 3])> {
        let split = split(real[0].len(), synthetic[0].len(), draws, number);
        let [half, other] = split.real.map(|rows| samples(real, &rows));
        let synthetic = samples(synthetic, &split.synthetic);
        let quantities = half.iter().zip(&other).zip(&synthetic);
        quantities
            .map(|((half, other), synthetic)| (distances(half, other), distances(half, synthetic)))
            .collect()
    };
    let all: Vec<_> = (0..splits).into_par_iter().map(one_split).collect();
    let reference = |quantity: usize, which: usize| {
        Reference::of(all.iter().map(|split| (split[quantity].0[which], split[quantity].1[which])))
    };
    let of_quantity = |quantity| QuantityReference {
        cohens_d: reference(quantity, 0),
        kolmogorov_smirnov: reference(quantity, 1),
        wasserstein: reference(quantity, 2),
    };
    (0..real.len()).map(of_quantity).collect()
}

/// The references of the joint distances of complete columns, over this number of splits.
pub(super) fn joint_reference(
    real: &[Vec<f64>],
    synthetic: &[Vec<f64>],
    splits: usize,
    seed: u64,
) -> JointReference {
    let (real, synthetic) = (complete(real), complete(synthetic));
    let sizes = (real[0].len(), synthetic[0].len());
    let subjects = group_size(sizes.0, sizes.1);
    if subjects < 2 {
        return JointReference { subjects, correlations: None, energy: None };
    }
    let all = Distances::of(&real, &synthetic);
    let draws = Draws { seed, step: 0, phase: Kind::JointSplit as u64 };
    let one_split = |number: usize| {
        let Split { real: [half, other], synthetic: drawn } = split(sizes.0, sizes.1, draws, number);
        let shifted: Vec<usize> = drawn.iter().map(|subject| subject + sizes.0).collect();
        let correlations = (
            correlation_distance((&real, &half), (&real, &other)),
            correlation_distance((&real, &half), (&synthetic, &drawn)),
        );
        (correlations, (all.energy(&half, &other), all.energy(&half, &shifted)))
    };
    let pairs: Vec<_> = (0..splits).into_par_iter().map(one_split).collect();
    JointReference {
        subjects,
        correlations: Reference::of(pairs.iter().map(|(correlations, _)| *correlations)),
        energy: Reference::of(pairs.iter().map(|(_, energy)| *energy)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, normal, stream};

    fn columns(number: u64, n: usize, change: impl Fn(f64) -> f64) -> Vec<Vec<f64>> {
        (0..3)
            .map(|quantity| {
                let draws = normal(&mut stream(23, quantity, 0, number, Purpose::Noise), n);
                draws.into_iter().map(|z| change(f64::from(z))).collect()
            })
            .collect()
    }

    #[test]
    fn the_floor_is_that_of_halves() {
        // Any half of four subjects: 0, 1, 10, 11 splits with equal chance as {0, 1} | {10, 11} (Wasserstein 10), as
        // {0, 10} | {1, 11} (1) or as {0, 11} | {1, 10} (1); the synthetic ones are 5 to 6 from any half but one.
        let references = quantity_references(&[vec![0.0, 1.0, 10.0, 11.0]], &[vec![30.0; 4]], 300, 0);
        let reference = references[0].wasserstein.unwrap();
        assert!(
            (reference.median - 1.0).abs() < 1e-12 && (reference.p95 - 10.0).abs() < 1e-12,
            "{reference:?}"
        );
        assert!((24.0..25.0).contains(&reference.synthetic) && reference.farther == 1.0, "{reference:?}");
    }

    #[test]
    fn others_of_the_same_distribution_stand_at_the_floor_and_altered_ones_above() {
        let real = columns(0, 80, |z| z);
        let quiet = quantity_references(&real, &columns(1, 60, |z| z), 200, 1);
        let loud = quantity_references(&real, &columns(1, 60, |z| z + 1.0), 200, 1);
        for (quiet, loud) in quiet.iter().zip(&loud) {
            let (quiet, loud) = (quiet.cohens_d.unwrap(), loud.cohens_d.unwrap());
            // Medians of |d| of 40 against 40 subjects: 0.6745 √(2/40) = 0.151; of equal halves about that.
            assert!((0.1..0.22).contains(&quiet.median), "{quiet:?}");
            assert!(loud.farther > 0.95 && loud.synthetic > loud.p95, "{loud:?}");
        }
        let mean = quiet.iter().map(|reference| reference.wasserstein.unwrap().farther).sum::<f64>() / 3.0;
        assert!((0.2..0.85).contains(&mean), "{mean}");
        // One quantity that is the sum of the others goes with them as it does not in the real cohort.
        let mut tied = columns(1, 60, |z| z);
        tied[2] = tied[0].iter().zip(&tied[1]).map(|(a, b)| a + b).collect();
        let joint = joint_reference(&real, &tied, 200, 1);
        assert_eq!(joint.subjects, 40);
        let (correlations, energy) = (joint.correlations.unwrap(), joint.energy.unwrap());
        assert!(correlations.farther > 0.95 && correlations.synthetic > correlations.p95, "{correlations:?}");
        assert!(energy.median > 0.0 && energy.p95 < 0.3, "{energy:?}");
    }
}
