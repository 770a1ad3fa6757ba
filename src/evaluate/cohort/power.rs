//! Power of a comparison by resampling.

use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Kind;
use super::compare::{Matched, overall_p};
use super::hypothesis::{Tests, Verdict};
use super::joint::Joint;
use super::settings::Settings;
use super::{Cohort, complete};
use crate::error::{Error, Result};
use crate::stats::{Draws, Interval, Sample, with_replacement};

/// Permutations of the joint tests in each repeat: p below 0.05 are as rare as they should be with 199, and the loss of
/// power against more is small (Davison and Hinkley 1997, section 4.2.5).
const PERMUTATIONS: usize = 199;

/// The power to detect an alteration, at the settings' α: shares of the repeats with their 95 % (Wilson) intervals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Power {
    /// Name of the alteration of the synthetic cohort; the first is `unaltered`, whose shares are false alarms.
    pub alteration: String,
    pub real_subjects: usize,
    pub synthetic_subjects: usize,
    pub repeats: usize,
    /// The comparison's overall p shows a difference.
    pub any: Interval,
    /// Welch's test shows a difference in any quantity, after Holm.
    pub welch: Interval,
    /// The Kolmogorov–Smirnov test shows a difference in any quantity, after Holm.
    pub kolmogorov_smirnov: Interval,
    /// The correlations show a difference.
    pub correlations: Interval,
    /// The energy distance shows a difference.
    pub energy: Interval,
    /// The power for each quantity.
    pub quantities: Vec<QuantityPower>,
}

/// The power to detect an alteration in one quantity, after Holm over all of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantityPower {
    pub quantity: String,
    /// Welch's test shows a difference.
    pub welch: Interval,
    /// The Kolmogorov–Smirnov test shows a difference.
    pub kolmogorov_smirnov: Interval,
    /// The verdict is [`Verdict::Equivalent`].
    pub equivalent: Interval,
    /// The verdict is [`Verdict::Different`].
    pub different: Interval,
}

/// What one repeat showed.
struct Repeat {
    /// Any, Welch, Kolmogorov–Smirnov, correlations, energy.
    shown: [bool; 5],
    /// Of each quantity: Welch, Kolmogorov–Smirnov, equivalent, different.
    quantities: Vec<[bool; 4]>,
}

/// Power of the comparison of `real` with `synthetic_subjects` subjects of an altered population: first the false
/// alarms without an alteration, then the power for each named one (the cohort by [`Cohort::altered`], or measured
/// after an alteration of the images).
///
/// In each repeat both cohorts are drawn anew by whole subjects, the real one at its own size, so that the variation of
/// the real sample is included. The draws are smoothed: resampling repeats subjects, which would overestimate the power
/// of the Kolmogorov–Smirnov test by 0.1 to 0.2. The real cohort is taken as its population, which limits the accuracy.
///
/// # Errors
/// As [`compare`](super::compare()) of the real cohort with each altered one; [`Error::Value`] for no repeat or fewer
/// than four synthetic subjects.
pub fn power(
    real: &Cohort,
    alterations: &[(&str, Cohort)],
    synthetic_subjects: usize,
    repeats: usize,
    settings: &Settings,
) -> Result<Vec<Power>> {
    settings.check(real)?;
    if repeats == 0 || synthetic_subjects < 4 {
        let found = format!("{repeats} repeats, {synthetic_subjects} subjects");
        let expected = "at least one repeat and four synthetic subjects";
        return Err(Error::value("power", expected, found, "500 repeats are usual"));
    }
    let unaltered = ("unaltered", real);
    let altered = alterations.iter().map(|(name, cohort)| (*name, cohort));
    std::iter::once(unaltered)
        .chain(altered)
        .map(|(name, cohort)| {
            let matched = Matched::of(real, cohort)?;
            Ok(power_of(name, &matched, synthetic_subjects, repeats, settings))
        })
        .collect()
}

fn power_of(
    alteration: &str,
    matched: &Matched,
    synthetic_subjects: usize,
    repeats: usize,
    settings: &Settings,
) -> Power {
    let real_subjects = matched.real[0].len();
    // The same draws for each alteration, so that they differ by nothing else.
    let draws = Draws { seed: settings.seed, step: 0, phase: Kind::Repeat as u64 };
    let repeat = |number: usize| {
        let mut rng = draws.at(number);
        let real = smoothed(&matched.real, real_subjects, &mut rng);
        let altered = smoothed(&matched.synthetic, synthetic_subjects, &mut rng);
        // Step 0 is that of the comparison itself.
        observe(matched, &real, &altered, number as u64 + 1, settings)
    };
    let seen: Vec<Repeat> = (0..repeats).into_par_iter().map(repeat).collect();
    let share = |holds: &dyn Fn(&Repeat) -> bool| {
        Interval::of_share(seen.iter().filter(|repeat| holds(repeat)).count(), repeats)
    };
    let [any, welch, kolmogorov_smirnov, correlations, energy] =
        std::array::from_fn(|which| share(&|repeat| repeat.shown[which]));
    let of_quantity = |(index, name): (usize, &str)| {
        let [welch, kolmogorov_smirnov, equivalent, different] =
            std::array::from_fn(|which| share(&|repeat| repeat.quantities[index][which]));
        QuantityPower { quantity: name.to_string(), welch, kolmogorov_smirnov, equivalent, different }
    };
    Power {
        alteration: alteration.to_string(),
        real_subjects,
        synthetic_subjects,
        repeats,
        any,
        welch,
        kolmogorov_smirnov,
        correlations,
        energy,
        quantities: matched.names().into_iter().enumerate().map(of_quantity).collect(),
    }
}

/// `count` subjects of the population that these columns stand for, by the smoothed bootstrap that keeps means and
/// covariances (Silverman and Young 1987): each is one subject plus, in the width of Silverman's rule, the difference
/// of two others, drawn towards the mean. A value is left as it is where one of the others misses it.
fn smoothed(columns: &[Vec<f64>], count: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let n = columns[0].len();
    let width = (4.0 / 3.0 / n as f64).powf(0.2);
    let [subjects, plus, minus] = [(); 3].map(|()| with_replacement(rng, n, count));
    let draw = |column: &Vec<f64>| {
        let mean = Sample::of(column.iter().copied()).mean;
        let value = |((&subject, &plus), &minus): ((&usize, &usize), &usize)| {
            let noise = width * (column[plus] - column[minus]) / 2.0_f64.sqrt();
            let smooth = mean + (column[subject] - mean + noise) / (1.0 + width * width).sqrt();
            if smooth.is_nan() { column[subject] } else { smooth }
        };
        subjects.iter().zip(&plus).zip(&minus).map(value).collect()
    };
    columns.iter().map(draw).collect()
}

/// What a comparison of these columns shows.
fn observe(
    matched: &Matched,
    real: &[Vec<f64>],
    synthetic: &[Vec<f64>],
    step: u64,
    settings: &Settings,
) -> Repeat {
    let alpha = settings.alpha;
    let tests = Tests::of(&Matched::samples(real, synthetic), &matched.margins(settings), alpha);
    let joint = Joint::of(
        &complete(real),
        &complete(synthetic),
        &matched.names(),
        PERMUTATIONS,
        (settings.seed, step),
    );
    let joint_shows = |p: fn(&Joint) -> f64| joint.as_ref().is_some_and(|joint| p(joint) <= alpha);
    Repeat {
        shown: [
            overall_p(&tests, joint.as_ref()) <= alpha,
            tests.iter().any(|test| test.welch.p.holm <= alpha),
            tests.iter().any(|test| test.kolmogorov_smirnov.p.holm <= alpha),
            joint_shows(|joint| joint.correlations.p),
            joint_shows(|joint| joint.energy.p),
        ],
        quantities: tests
            .iter()
            .map(|test| {
                let verdict = test.verdict(alpha);
                [
                    test.welch.p.holm <= alpha,
                    test.kolmogorov_smirnov.p.holm <= alpha,
                    verdict == Verdict::Equivalent,
                    verdict == Verdict::Different,
                ]
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {

    use statrs::distribution::{ContinuousCDF, Normal};

    use super::super::{Margin, Quantity};
    use super::*;

    /// `n` subjects at the quantiles of a normal distribution with mean 10 and standard deviation 1.
    fn normal_cohort(n: usize) -> Cohort {
        let normal = Normal::new(0.0, 1.0).unwrap();
        let z: Vec<f64> = (0..n).map(|i| normal.inverse_cdf((i as f64 + 0.5) / n as f64)).collect();
        let sd = (z.iter().map(|z| z * z).sum::<f64>() / n as f64).sqrt();
        let rows = z.iter().enumerate().map(|(i, z)| (format!("sub-{i}"), vec![10.0 + z / sd])).collect();
        Cohort::new(vec![Quantity::new("brain", "ml")], rows).unwrap()
    }

    /// statsmodels: 60 against 60, d = 0.5, α = 0.05: 0.7753. Simulated in numpy (40 000 pairs of samples): equivalence
    /// within 0.5 of equal means, 0.7202. Within 3.3 standard errors of 500 repeats.
    #[test]
    fn power_agrees_with_statsmodels_and_simulation() {
        let real = normal_cohort(60);
        let settings = Settings { margin: Margin::Units(0.5), ..Settings::default() };
        let shifted = real.altered(|_, value| value + 0.5);
        let powers = power(&real, &[("shifted", shifted)], 60, 500, &settings).unwrap();
        let [unaltered, shifted] = &powers[..] else { panic!("two rows") };
        assert!((unaltered.welch.estimate - 0.05).abs() < 0.032, "{unaltered:?}");
        assert!((unaltered.energy.estimate - 0.05).abs() < 0.032, "{unaltered:?}");
        assert!(unaltered.any.estimate < 0.082, "{unaltered:?}");
        assert!((shifted.welch.estimate - 0.7753).abs() < 0.062, "{shifted:?}");
        assert!((unaltered.quantities[0].equivalent.estimate - 0.7202).abs() < 0.066, "{unaltered:?}");
        assert!(shifted.quantities[0].equivalent.estimate < 0.082, "{shifted:?}");
    }

    /// Over 20 000 draws: moments within five standard errors (of a mean 1/√20000, of a second moment of nearly normal
    /// values twice that), and hardly a value twice.
    #[test]
    fn smoothing_keeps_means_and_covariances() {
        let values = normal_cohort(40).columns.remove(0);
        let other: Vec<f64> = values.iter().enumerate().map(|(i, x)| (i % 7) as f64 - 3.0 + x).collect();
        let columns = [values, other];
        let drawn =
            smoothed(&columns, 20_000, &mut Draws { seed: 4, step: 0, phase: Kind::Repeat as u64 }.at(0));
        let moments = |columns: &[Vec<f64>]| {
            let n = columns[0].len() as f64;
            let means = [0, 1].map(|i| columns[i].iter().sum::<f64>() / n);
            let product = |i: usize, j: usize| {
                let pairs = columns[i].iter().zip(&columns[j]);
                pairs.map(|(x, y)| (x - means[i]) * (y - means[j])).sum::<f64>() / n
            };
            (means, [product(0, 0), product(1, 1), product(0, 1)])
        };
        let ((means, products), (expected_means, expected)) = (moments(&drawn), moments(&columns));
        for i in [0, 1] {
            assert!(
                (means[i] - expected_means[i]).abs() < 5.0 * (expected[i] / 20_000.0).sqrt(),
                "{means:?}"
            );
            assert!((products[i] / expected[i] - 1.0).abs() < 10.0 / 20_000.0_f64.sqrt(), "{products:?}");
        }
        let scale = (expected[0] * expected[1]).sqrt();
        assert!((products[2] - expected[2]).abs() < 10.0 * scale / 20_000.0_f64.sqrt(), "{products:?}");
        let mut distinct = drawn[0].clone();
        distinct.sort_unstable_by(f64::total_cmp);
        distinct.dedup();
        assert!(distinct.len() > 10_000);
    }

    /// Wilson's interval of 81 of 263, from Newcombe (1998, table I, method 3).
    #[test]
    fn shares_have_the_published_interval() {
        let share = Interval::of_share(81, 263);
        assert!((share.low - 0.2553).abs() < 5e-5 && (share.high - 0.3662).abs() < 5e-5, "{share:?}");
    }

    #[test]
    fn missing_values_and_small_groups_do_no_harm() {
        let real = normal_cohort(12);
        let rows = real.subjects().iter().zip(real.values("brain").unwrap()).enumerate();
        let rows = rows.map(|(i, (subject, value))| {
            (subject.clone(), vec![*value, if i < 8 { f64::NAN } else { value * 2.0 }])
        });
        let quantities = vec![Quantity::new("brain", "ml"), Quantity::new("tumour", "ml")];
        let real = Cohort::new(quantities, rows.collect()).unwrap();
        let powers = power(&real, &[], 4, 200, &Settings::default()).unwrap();
        assert_eq!(powers.len(), 1);
        assert!(powers[0].welch.estimate < 0.15);
        assert!(power(&real, &[], 3, 10, &Settings::default()).is_err());
    }
}
