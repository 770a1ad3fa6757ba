//! Resampling of the measures: intervals, and references between two sets of real volumes.
//!
//! In the ordinary bootstrap a volume can be drawn twice. Such duplicates shrink the balls of nearest neighbours to
//! zero, add k(x, x) to what should be a mean over different volumes, and count as a pair without diversity. So volumes
//! are drawn without replacement. Intervals come from random three quarters of the volumes of each set (the delete-d
//! jackknife by random draws; Shao and Wu 1989, <https://doi.org/10.1214/aos/1176347263>, who show it right for
//! statistics that are not smooth as well). A mean of b of n volumes varies about that of all n by σ²/b · (1 − b/n), a
//! third of the mean's own variance σ²/n; so deviations count √3 times.
//!
//! An interval lies about the value of all volumes as the draws lie about their mean, so that the bias of fewer volumes
//! drops out: it is an interval for the expected value with as many volumes, including its bias. For squared
//! discrepancies of equal distributions, which have no linear part, it is too wide by a factor of 1.5 at most. For
//! coverage near one, of sets of fewer than about forty volumes, it is too narrow.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::random::permutation;
use crate::stats::{Draws, quantile};

/// The number of draws and the parameters of the measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Protocol {
    /// Number of random draws for each interval, each matched value and each reference.
    pub repeats: usize,
    /// k of precision and recall: the balls reach to the k-th nearest neighbour.
    pub precision_neighbours: usize,
    /// k of density and coverage: the balls reach to the k-th nearest neighbour.
    pub density_neighbours: usize,
    /// Number of splits of the Inception score.
    pub splits: usize,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for Protocol {
    /// 200 draws, k as in the papers (3 and 5), the Inception score of all volumes at once, seed 0.
    fn default() -> Self {
        Self { repeats: 200, precision_neighbours: 3, density_neighbours: 5, splits: 1, seed: 0 }
    }
}

/// A measure over random draws of volumes. Draws share volumes, so that the standard deviation divided by √draws is not
/// a standard error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Mean over the draws.
    pub mean: f64,
    /// Standard deviation over the draws (n − 1).
    pub standard_deviation: f64,
    /// 2.5 % of the draws are below.
    pub low: f64,
    /// 2.5 % of the draws are above.
    pub high: f64,
}

/// A measure of two sets with its interval, and its reference between real sets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The measure over all volumes.
    pub value: f64,
    /// 95 % interval of `value`.
    pub interval: [f64; 2],
    /// Number of volumes a side in `matched` and `reference`: half of the real ones, or all synthetic ones if those are
    /// fewer.
    pub volumes_a_side: usize,
    /// Random synthetic volumes against random real ones, `volumes_a_side` each. For the kernel distance, this is KID
    /// as published: mean and deviation over random subsets.
    pub matched: Spread,
    /// Random real volumes against other random real ones, `volumes_a_side` each: the value of `matched` if the
    /// synthetic volumes were real.
    pub reference: Spread,
}

/// What draws are for, their streams' phase.
#[derive(Clone, Copy)]
enum Draw {
    Interval,
    Matched,
    Reference,
}

/// √3: how much more the value of all volumes deviates than that of three quarters from theirs.
const SCALE: f64 = 1.732_050_807_568_877_2;

/// Rounded down, so that intervals of few volumes are rather too wide.
const fn three_quarters(volumes: usize) -> usize {
    volumes * 3 / 4
}

impl Protocol {
    /// Refuses sets of which halves would have fewer than `needed` volumes.
    pub(super) fn check(&self, sizes: [usize; 2], needed: usize) -> Result<()> {
        if self.repeats < 2 {
            let advice = "give 200, or 1000 for smoother limits";
            return Err(Error::value("repeats", "2 or more", self.repeats.to_string(), advice));
        }
        if sizes.into_iter().all(|size| size / 2 >= needed) {
            return Ok(());
        }
        let expected = format!("at least {} volumes in each set", 2 * needed);
        let found = format!("{} synthetic and {} real", sizes[0], sizes[1]);
        Err(Error::value("volumes", expected, found, "give more volumes, or fewer neighbours"))
    }

    /// Estimates of the `measures` that a function gives of volumes `a` against volumes `b`, of `[synthetic, real]`
    /// volumes numbered one set after the other. Draws are the same for all measures, whatever the threads.
    pub(super) fn estimate<const N: usize>(
        &self,
        [synthetic, real]: [usize; 2],
        measures: impl Fn(&[usize], &[usize]) -> [f64; N] + Sync,
    ) -> [Estimate; N] {
        let volumes_a_side = synthetic.min(real / 2);
        let shuffled = |draw: Draw, repeat: usize, side: usize| {
            let draws = Draws { seed: self.seed, step: repeat as u64, phase: draw as u64 };
            let (first, count) = [(0, synthetic), (synthetic, real)][side];
            permutation(&mut draws.at(side), count).into_iter().map(|i| first + i).collect::<Vec<_>>()
        };
        let drawn = |draw: Draw| -> Vec<[f64; N]> {
            let one = |repeat| match draw {
                Draw::Interval => measures(
                    &shuffled(draw, repeat, 0)[..three_quarters(synthetic)],
                    &shuffled(draw, repeat, 1)[..three_quarters(real)],
                ),
                Draw::Matched => measures(
                    &shuffled(draw, repeat, 0)[..volumes_a_side],
                    &shuffled(draw, repeat, 1)[..volumes_a_side],
                ),
                Draw::Reference => {
                    let reals = shuffled(draw, repeat, 1);
                    let (a, b) = reals.split_at(volumes_a_side);
                    measures(a, &b[..volumes_a_side])
                }
            };
            (0..self.repeats).into_par_iter().map(one).collect()
        };
        let all: Vec<usize> = (0..synthetic + real).collect();
        let (a, b) = all.split_at(synthetic);
        let values = measures(a, b);
        let [parts, matched, reference] = [Draw::Interval, Draw::Matched, Draw::Reference].map(drawn);
        std::array::from_fn(|measure| {
            let spread = |draws: &[[f64; N]]| Spread::of(draws.iter().map(|draw| draw[measure]).collect());
            let (value, parts) = (values[measure], spread(&parts));
            Estimate {
                value,
                interval: [parts.low, parts.high].map(|limit| value + SCALE * (limit - parts.mean)),
                volumes_a_side,
                matched: spread(&matched),
                reference: spread(&reference),
            }
        })
    }
}

impl Spread {
    /// Of two draws or more.
    fn of(mut draws: Vec<f64>) -> Self {
        let count = draws.len() as f64;
        let mean = draws.iter().sum::<f64>() / count;
        let squares: f64 = draws.iter().map(|draw| (draw - mean).powi(2)).sum();
        draws.sort_by(f64::total_cmp);
        let (low, high) = (quantile(&draws, 0.025), quantile(&draws, 0.975));
        Self { mean, standard_deviation: (squares / (count - 1.0)).sqrt(), low, high }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::super::kernel::{gaussian_kernel, squared_discrepancy, squared_distances};
    use super::super::{frechet, manifold};
    use super::*;
    use crate::random::{Purpose, normal, stream};

    /// numpy: mean, std(ddof=1) and quantile.
    #[test]
    fn a_spread_is_as_numpy_has_it() {
        let found = Spread::of(vec![3.0, 1.0, 4.0, 1.5, 9.0, 2.6]);
        let expected = [3.516666666666667, 2.891654658957, 1.0625, 8.375];
        let found = [found.mean, found.standard_deviation, found.low, found.high];
        assert!(found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-9), "{found:?}");
    }

    /// Of a mean, the intervals must give s/√n, and sizes must be as said.
    #[test]
    fn intervals_have_the_standard_error_of_a_mean() {
        let values = normal(&mut stream(1, 0, 0, 0, Purpose::Noise), 60);
        let protocol = Protocol { repeats: 4000, ..Protocol::default() };
        let [mean, volumes] = protocol.estimate([40, 20], |a, b| {
            let mean = a.iter().map(|&i| f64::from(values[i])).sum::<f64>() / a.len() as f64;
            [mean, (100 * a.len() + b.len()) as f64]
        });
        let variance: f64 =
            values[..40].iter().map(|&v| (f64::from(v) - mean.value).powi(2)).sum::<f64>() / 39.0;
        let expected = 2.0 * 1.96 * (variance / 40.0).sqrt();
        let found = mean.interval[1] - mean.interval[0];
        assert!((found / expected - 1.0).abs() < 0.06, "{found} for {expected}");
        assert_eq!((volumes.value, volumes.volumes_a_side), (4020.0, 10));
        assert_eq!(
            [volumes.matched.low, volumes.matched.high, volumes.reference.low, volumes.reference.high],
            [1010.0; 4]
        );
    }

    #[test]
    fn the_floor_is_of_two_different_halves_and_a_seed_is_its_draws() {
        let protocol = Protocol { repeats: 50, ..Protocol::default() };
        let of = |protocol: Protocol| {
            protocol
                .estimate([7, 30], |a, b| [f64::from(u8::from(a.iter().any(|i| b.contains(i)))), a[0] as f64])
        };
        let [shared, first] = of(protocol);
        assert_eq!((shared.reference.high, shared.volumes_a_side), (0.0, 7));
        assert!(first.reference.low >= 7.0 && first.matched.high < 7.0);
        assert_eq!(of(protocol)[1], first);
        assert_ne!(of(Protocol { seed: 1, ..protocol })[1], first);
    }

    /// Intervals must hold what sets of this size give on average about as often as they say: 95 %.
    #[test]
    fn intervals_cover() {
        let (n, width, trials) = (24, 4, 480);
        let protocol = Protocol { repeats: 50, ..Protocol::default() };
        let trial = |trial: u64, sizes_only: bool| {
            let draws = normal(&mut stream(3, trial, 0, 0, Purpose::Noise), 2 * n * width);
            // The synthetic ones are off the real ones' mean by one deviation.
            let value =
                |(i, j): (usize, usize)| f64::from(draws[i * width + j]) + if i < n { 1.0 } else { 0.0 };
            let values = Array2::from_shape_fn((2 * n, width), value);
            let squared = squared_distances(values.view());
            let kernel = gaussian_kernel(&squared, 2.0);
            let rows = nalgebra::DMatrix::from_fn(2 * n, width, |i, j| values[[i, j]]);
            let measures = |a: &[usize], b: &[usize]| {
                let [precision, _] = manifold::shares_inside(&squared, a, b, 3);
                let frechet = frechet::between(rows.select_rows(a), rows.select_rows(b));
                [frechet, squared_discrepancy(&kernel, a, b), precision]
            };
            let all: Vec<usize> = (0..2 * n).collect();
            if sizes_only {
                return measures(&all[..n], &all[n..]).map(|value| (value, [0.0; 2]));
            }
            protocol.estimate([n, n], measures).map(|estimate| (estimate.value, estimate.interval))
        };
        let means: [f64; 3] = std::array::from_fn(|measure| {
            (1000..2000).map(|seed| trial(seed, true)[measure].0).sum::<f64>() / 1000.0
        });
        let mut covered = [0; 3];
        for seed in 0..trials {
            for (measure, (_, [low, high])) in trial(seed, false).into_iter().enumerate() {
                covered[measure] += usize::from((low..=high).contains(&means[measure]));
            }
        }
        let shares = covered.map(|count| count as f64 / trials as f64);
        assert!(shares.iter().all(|share| (0.89..=0.99).contains(share)), "{shares:?}");
    }
}
