//! The Wasserstein distance of all quantities together.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Kind;
use super::joint::{Distances, FEWEST};
use super::reference::{Reference, Split, group_size, split};
use super::settings::Settings;
use super::transport::least_cost;
use crate::stats::{Draws, permutation_p, permuted};

/// The 2-Wasserstein distance between the cohorts over several quantities, standardised by the real means and standard
/// deviations: the root of the least mean squared distance of a transport of the real subjects to the synthetic ones.
///
/// For regional volumes divided by head size, this is the index of Jafrasteh and colleagues (2025, WASABI,
/// doi 10.48550/arXiv.2504.21771), except for the root and the standardisation, without which the largest region
/// dominates. Finite samples of one distribution have a distance above zero too, the larger the more quantities there
/// are: read it beside its reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transport {
    /// The quantities.
    pub quantities: Vec<String>,
    /// Number of real subjects that have all quantities.
    pub real_subjects: usize,
    /// Number of synthetic subjects that have all quantities.
    pub synthetic_subjects: usize,
    /// The distance in real standard deviations.
    pub distance: f64,
    /// Permutation p.
    pub p: f64,
    /// Number of subjects in each group of the reference.
    pub reference_subjects: usize,
    /// The distances between halves of the real cohort.
    pub reference: Option<Reference>,
}

impl Transport {
    /// Compares complete `real` and `synthetic` columns of quantities with these names. `None` if either has fewer than
    /// four subjects. `step` tells these draws from others of the run.
    pub(super) fn of(
        real: &[Vec<f64>],
        synthetic: &[Vec<f64>],
        names: &[&str],
        settings: &Settings,
        step: u64,
    ) -> Option<Self> {
        let sizes = (real.first()?.len(), synthetic.first()?.len());
        if sizes.0.min(sizes.1) < FEWEST {
            return None;
        }
        let distances = Distances::of(real, synthetic);
        let between = |a: &[usize], b: &[usize]| least_cost(&distances.squares(a, b)).sqrt();
        let draws = |kind: Kind| Draws { seed: settings.seed, step, phase: kind as u64 };
        let everyone: Vec<usize> = (0..sizes.0 + sizes.1).collect();
        let distance = between(&everyone[..sizes.0], &everyone[sizes.0..]);
        let permuted = permuted(sizes, settings.permutations, draws(Kind::Transport), between);
        let one_split = |number: usize| {
            let Split { real: [half, other], synthetic: drawn } =
                split(sizes.0, sizes.1, draws(Kind::TransportSplit), number);
            let shifted: Vec<usize> = drawn.iter().map(|subject| subject + sizes.0).collect();
            (between(&half, &other), between(&half, &shifted))
        };
        let pairs: Vec<_> = (0..settings.splits).into_par_iter().map(one_split).collect();
        Some(Self {
            quantities: names.iter().map(|name| (*name).to_string()).collect(),
            real_subjects: sizes.0,
            synthetic_subjects: sizes.1,
            distance,
            p: permutation_p(distance, permuted),
            reference_subjects: group_size(sizes.0, sizes.1),
            reference: Reference::of(pairs.into_iter()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, normal, stream};

    fn columns(number: u64, n: usize) -> Vec<Vec<f64>> {
        let column = |quantity| {
            let draws = normal(&mut stream(29, quantity, 0, number, Purpose::Noise), n);
            draws.into_iter().map(f64::from).collect()
        };
        (0..3).map(column).collect()
    }

    fn of(real: &[Vec<f64>], synthetic: &[Vec<f64>]) -> Transport {
        let settings = Settings { permutations: 199, splits: 60, ..Settings::default() };
        Transport::of(real, synthetic, &["a", "b", "c"], &settings, 0).unwrap()
    }

    /// W₂ of a cloud and itself shifted by v is |v|, here in standard deviations of each column; of a cloud and itself
    /// about its mean c times as wide, |c − 1| times its root mean squared distance from the mean: √(k (n − 1) / n) for
    /// k standardised columns.
    #[test]
    fn shifts_and_widths_have_their_closed_forms() {
        let mut real = columns(0, 25);
        real[1].iter_mut().for_each(|value| *value *= 40.0);
        let moments: Vec<(f64, f64)> = real
            .iter()
            .map(|column| {
                let mean = column.iter().sum::<f64>() / 25.0;
                (mean, (column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 24.0).sqrt())
            })
            .collect();
        let changed = |change: &dyn Fn(f64, (f64, f64)) -> f64| -> Vec<Vec<f64>> {
            real.iter()
                .zip(&moments)
                .map(|(column, &of)| column.iter().map(|&x| change(x, of)).collect())
                .collect()
        };
        let shifted = of(&real, &changed(&|x, (_, sd)| x + 0.5 * sd));
        assert!((shifted.distance - 0.5 * 3.0_f64.sqrt()).abs() < 1e-9, "{shifted:?}");
        let wider = of(&real, &changed(&|x, (mean, _)| mean + 1.7 * (x - mean)));
        assert!((wider.distance - 0.7 * (3.0_f64 * 24.0 / 25.0).sqrt()).abs() < 1e-9, "{wider:?}");
        assert_eq!((of(&real, &real).distance, of(&real, &real).p), (0.0, 1.0));
    }

    #[test]
    fn others_of_the_same_distribution_stand_at_the_floor_and_shifted_ones_above() {
        let real = columns(0, 40);
        let quiet = of(&real, &columns(1, 33));
        let loud: Vec<Vec<f64>> =
            columns(1, 33).into_iter().map(|column| column.into_iter().map(|x| x + 1.2).collect()).collect();
        let loud = of(&real, &loud);
        let (quiet_reference, loud_reference) = (quiet.reference.unwrap(), loud.reference.unwrap());
        assert_eq!((quiet.reference_subjects, quiet.real_subjects, quiet.synthetic_subjects), (20, 40, 33));
        assert!(quiet.p > 0.05 && (0.1..0.9).contains(&quiet_reference.farther), "{quiet:?}");
        assert!(loud.p <= 0.01 && loud_reference.synthetic > loud_reference.p95, "{loud:?}");
        let few: Vec<Vec<f64>> = columns(1, 3);
        assert_eq!(Transport::of(&real, &few, &["a", "b", "c"], &Settings::default(), 0), None);
    }
}
