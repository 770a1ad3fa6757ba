//! Tests between two samples of one quantity, and their correction for the number of quantities.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::linear::bounded;
use super::settings::Margin;
use crate::stats::{Interval, Sample, largest_gap, steps};

/// Above this product of the sample sizes the Kolmogorov–Smirnov p is asymptotic.
const EXACT_PAIRS: usize = 10_000_000;

/// A p value, and its corrections for the number of quantities.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PValue {
    /// p of this test alone.
    pub p: f64,
    /// After Holm (1979), which controls the family-wise error rate.
    pub holm: f64,
    /// After Benjamini and Hochberg (1995), which controls the false discovery rate.
    pub benjamini_hochberg: f64,
}

impl PValue {
    pub(super) fn alone(p: f64) -> Self {
        let p = p.clamp(0.0, 1.0);
        Self { p, holm: p, benjamini_hochberg: p }
    }
}

/// Welch's t-test (1947) of equal means.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Welch {
    /// Synthetic minus real mean, in the unit, with its interval of confidence 1 − 2α; the samples are equivalent at α
    /// if the interval is within the margin.
    pub difference: Interval,
    pub t: f64,
    /// Degrees of freedom after Satterthwaite.
    pub df: f64,
    /// Two-sided.
    pub p: PValue,
}

/// The two-sample Kolmogorov–Smirnov test of equal distributions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct KolmogorovSmirnov {
    /// The largest difference of the cumulative distributions, 0 to 1.
    pub distance: f64,
    /// Two-sided.
    pub p: PValue,
    /// Whether p is exact, given the ties among the values (Schröer and Trenkler 1995), or, above ten million pairs
    /// of subjects, asymptotic (Kolmogorov's limit).
    pub exact: bool,
}

/// The equivalence test: two one-sided Welch tests (TOST; Schuirmann 1987, Lakens 2017).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Equivalence {
    /// Differences of the means smaller than this count as none, in the unit. A margin in real standard deviations
    /// takes the real cohort's standard deviation as exact.
    pub margin: f64,
    /// The larger of both one-sided p.
    pub p: PValue,
}

/// The verdict on the means, at α after Holm. It does not include the spread: a generator that always makes the mean
/// brain is equivalent by it, and is detected by the ratio of standard deviations and the Kolmogorov–Smirnov test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The equivalence test shows the difference to be within the margin (even where it is not zero).
    Equivalent,
    /// Welch's test shows a difference, and nothing shows it to be within the margin.
    Different,
    /// Neither: too few subjects to decide.
    Undecided,
}

/// The tests of one quantity.
pub(super) struct Tests {
    pub welch: Welch,
    pub kolmogorov_smirnov: KolmogorovSmirnov,
    pub equivalence: Equivalence,
}

impl Tests {
    /// All tests of all quantities, each kind adjusted over the quantities.
    pub fn of(samples: &[(Sample, Sample)], margins: &[Margin], alpha: f64) -> Vec<Self> {
        let one = |((real, synthetic), margin): (&(Sample, Sample), &Margin)| {
            let margin = margin.in_units(real);
            if real.n().min(synthetic.n()) < 2 {
                return Self::of_nothing(margin);
            }
            let (welch, equivalence) = means(real, synthetic, margin, alpha);
            Self { welch, kolmogorov_smirnov: kolmogorov_smirnov(real, synthetic), equivalence }
        };
        let mut tests: Vec<Self> = samples.iter().zip(margins).map(one).collect();
        adjust(tests.iter_mut().map(|test| &mut test.welch.p));
        adjust(tests.iter_mut().map(|test| &mut test.kolmogorov_smirnov.p));
        adjust(tests.iter_mut().map(|test| &mut test.equivalence.p));
        tests
    }

    /// Without two values a sample (a resample of many missing may be left with fewer) nothing shows.
    fn of_nothing(margin: f64) -> Self {
        let p = PValue::alone(1.0);
        let difference = Interval { estimate: 0.0, low: f64::NEG_INFINITY, high: f64::INFINITY };
        Self {
            welch: Welch { difference, t: 0.0, df: 1.0, p },
            kolmogorov_smirnov: KolmogorovSmirnov { distance: 0.0, p, exact: true },
            equivalence: Equivalence { margin, p },
        }
    }

    pub fn verdict(&self, alpha: f64) -> Verdict {
        match (self.equivalence.p.holm <= alpha, self.welch.p.holm <= alpha) {
            (true, _) => Verdict::Equivalent,
            (false, true) => Verdict::Different,
            (false, false) => Verdict::Undecided,
        }
    }
}

/// Welch's test and the equivalence test, which share their standard error.
pub(super) fn means(real: &Sample, synthetic: &Sample, margin: f64, alpha: f64) -> (Welch, Equivalence) {
    let parts =
        [real, synthetic].map(|sample| (sample.variance / sample.n() as f64, sample.n() as f64 - 1.0));
    let squared: f64 = parts.iter().map(|(part, _)| part).sum();
    // Where neither sample varies (a resample may not), any difference is certain.
    let error = squared.sqrt().max(f64::MIN_POSITIVE);
    let df = (squared * squared / parts.iter().map(|(part, df)| part * part / df).sum::<f64>()).max(1.0);
    let student = StudentsT::new(0.0, 1.0, df).expect("degrees of freedom are at least one");
    let difference = synthetic.mean - real.mean;
    let half = error * student.inverse_cdf(1.0 - alpha);
    let t = bounded(difference / error);
    let welch = Welch {
        difference: Interval { estimate: difference, low: difference - half, high: difference + half },
        t,
        df,
        p: PValue::alone(2.0 * student.sf(t.abs())),
    };
    // Both one-sided p fall with the distance to their end of the margin: the larger is that of the nearer end.
    let p = student.sf((margin - difference.abs()) / error);
    (welch, Equivalence { margin, p: PValue::alone(p) })
}

fn kolmogorov_smirnov(real: &Sample, synthetic: &Sample) -> KolmogorovSmirnov {
    let gap = largest_gap(real, synthetic);
    let pairs = real.n() * synthetic.n();
    let distance = gap as f64 / pairs as f64;
    let exact = pairs <= EXACT_PAIRS;
    let p = if exact {
        gap_probability(real, synthetic, gap)
    } else {
        kolmogorov_survival(distance * (pairs as f64 / (real.n() + synthetic.n()) as f64).sqrt())
    };
    KolmogorovSmirnov { distance, p: PValue::alone(p), exact }
}

/// Probability that a random division of the pooled values into samples of these sizes has such a gap or a larger one.
///
/// Divisions are lattice paths from (0, 0) to (n, m). `reached` is, for (i, j), the share of the paths to it that come
/// by a gap; the last step of a random path to (i, j) is one in i with probability i / (i + j). Within a run of equal
/// values there is no step of the distributions, so that no gap counts there.
fn gap_probability(a: &Sample, b: &Sample, gap: u64) -> f64 {
    let (n, m) = (a.n(), b.n());
    let mut counts = vec![false; n + m + 1];
    steps(&a.values, &b.values).for_each(|(_, i, j)| counts[i + j] = true);
    let inverse: Vec<f64> = (0..=n + m).map(|total| 1.0 / total as f64).collect();
    let mut reached = vec![0.0; m + 1];
    for i in 0..=n {
        for j in 0..=m {
            let apart = ((i * m) as u64).abs_diff((j * n) as u64) >= gap;
            reached[j] = if apart && counts[i + j] {
                1.0
            } else if i + j == 0 {
                0.0
            } else {
                let below = if j > 0 { j as f64 * reached[j - 1] } else { 0.0 };
                (i as f64 * reached[j] + below) * inverse[i + j]
            };
        }
    }
    reached[m]
}

/// Kolmogorov's limiting distribution, from above: 2 Σ (−1)^(k−1) exp(−2 k² x²).
fn kolmogorov_survival(x: f64) -> f64 {
    if x < 0.2 {
        // Above 1 − 10⁻¹², where the series needs many terms.
        return 1.0;
    }
    let terms = (1..=40).map(f64::from).map(|k| (k, (-2.0 * k * k * x * x).exp()));
    2.0 * terms.map(|(k, term)| if k % 2.0 == 1.0 { term } else { -term }).sum::<f64>()
}

/// Adjusts the p of one family of tests for their number.
pub(super) fn adjust<'a>(family: impl Iterator<Item = &'a mut PValue>) {
    let mut family: Vec<&mut PValue> = family.collect();
    family.sort_by(|a, b| a.p.total_cmp(&b.p));
    let count = family.len() as f64;
    let mut holm: f64 = 0.0;
    for (rank, value) in family.iter_mut().enumerate() {
        holm = holm.max((count - rank as f64) * value.p).min(1.0);
        value.holm = holm;
    }
    let mut benjamini_hochberg: f64 = 1.0;
    for (rank, value) in family.iter_mut().enumerate().rev() {
        benjamini_hochberg = benjamini_hochberg.min(count / (rank + 1) as f64 * value.p);
        value.benjamini_hochberg = benjamini_hochberg;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::random::{Purpose, normal, stream};

    fn sample(values: &[f64]) -> Sample {
        Sample::of(values.iter().copied())
    }

    fn p_values(p: &[f64]) -> Vec<PValue> {
        let mut family: Vec<PValue> = p.iter().map(|&p| PValue::alone(p)).collect();
        adjust(family.iter_mut());
        family
    }

    fn normal_sample(number: u64, n: usize, mean: f64, sd: f64) -> Sample {
        let draws = normal(&mut stream(17, 0, 0, number, Purpose::Noise), n);
        Sample::of(draws.into_iter().map(|z| mean + sd * f64::from(z)))
    }

    /// Values with exactly this mean and standard deviation.
    fn with_moments(n: usize, mean: f64, sd: f64) -> Sample {
        let raw = sample(&(0..n).map(|i| (i as f64).powf(1.3)).collect::<Vec<_>>());
        Sample::of(raw.values.iter().map(|value| mean + sd * (value - raw.mean) / raw.sd()))
    }

    /// Lakens 2017 (doi 10.1177/1948550617697177): ratings of 95 and 89 students, margin d = 0.43 in the root mean
    /// variance, t = −2.69 to the nearer end, p = 0.004.
    #[test]
    fn equivalence_agrees_with_the_published_example() {
        let (real, synthetic) = (with_moments(95, 5.25, 0.95), with_moments(89, 5.22, 0.83));
        let margin = 0.43 * ((0.95_f64.powi(2) + 0.83_f64.powi(2)) / 2.0).sqrt();
        let (welch, equivalence) = means(&real, &synthetic, margin, 0.05);
        let error = welch.difference.estimate / welch.t;
        let nearer = (margin - welch.difference.estimate.abs()) / error;
        assert!((nearer - 2.69).abs() < 0.005, "{nearer}");
        assert!((equivalence.p.p - 0.004).abs() < 0.0005, "{}", equivalence.p.p);
        assert!(welch.difference.low > -margin && welch.difference.high < margin);
    }

    #[test]
    fn exact_p_of_gaps_agree_with_scipy() {
        let fixture: Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/cohort/comparison.json")).unwrap();
        for (case, shift) in fixture["exact_ks"].as_array().unwrap().iter().zip([3.0, 20.0, 4.5, 61.0, 5.0]) {
            let number = |index: usize| case[index].as_f64().unwrap();
            let (n, m) = (number(0), number(1));
            let real = Sample::of((0..n as usize).map(|i| i as f64 / n * 100.0));
            let synthetic = Sample::of((0..m as usize).map(|i| (i as f64 + 0.37) / m * 100.0 + shift));
            let found = kolmogorov_smirnov(&real, &synthetic);
            assert!((found.distance - number(2)).abs() < 1e-12, "{found:?}");
            assert!((found.p.p / number(3) - 1.0).abs() < 1e-9, "{found:?} {}", number(3));
        }
        for case in fixture["kolmogorov"].as_array().unwrap() {
            let (x, expected) = (case[0].as_f64().unwrap(), case[1].as_f64().unwrap());
            assert!((kolmogorov_survival(x) - expected).abs() < 1e-12, "{x}");
        }
    }

    /// All 462 ways to divide eleven values, some of them equal, into five and six.
    #[test]
    fn p_of_gaps_among_ties_is_that_of_all_divisions() {
        let pooled = [0.0, 1.0, 1.0, 1.0, 2.0, 3.0, 3.0, 4.0, 4.0, 5.0, 6.0];
        let divisions: Vec<(Sample, Sample)> = (0u32..1 << 11)
            .filter(|mask| mask.count_ones() == 5)
            .map(|mask| {
                let group = |bit: u32| {
                    Sample::of((0..11).filter(|i| mask >> i & 1 == bit).map(|i| pooled[i as usize]))
                };
                (group(1), group(0))
            })
            .collect();
        assert_eq!(divisions.len(), 462);
        let gaps: Vec<u64> = divisions.iter().map(|(a, b)| largest_gap(a, b)).collect();
        for ((a, b), gap) in divisions.iter().zip(&gaps) {
            let as_large = gaps.iter().filter(|other| *other >= gap).count();
            assert!((gap_probability(a, b, *gap) - as_large as f64 / 462.0).abs() < 1e-12);
        }
    }

    /// The example of Benjamini and Hochberg (1995, section 3.1): 15 p, of which Holm keeps three and theirs four.
    #[test]
    fn corrections_agree_with_the_published_example() {
        let p = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719,
            0.6528, 0.7590, 1.0,
        ];
        let family = p_values(&p);
        assert_eq!(family.iter().filter(|value| value.holm <= 0.05).count(), 3);
        assert_eq!(family.iter().filter(|value| value.benjamini_hochberg <= 0.05).count(), 4);
        assert!((family[2].holm - 13.0 * 0.0019).abs() < 1e-15);
        assert!((family[3].benjamini_hochberg - 15.0 / 4.0 * 0.0095).abs() < 1e-15);
        // In any order of the tests.
        assert_eq!(
            p_values(&[0.04, 0.01, 0.03]).iter().map(|value| value.holm).collect::<Vec<_>>(),
            [0.06, 0.03, 0.06]
        );
    }

    /// Over 2000 families of six quantities without a difference, 20 against 25 subjects with twice the spread for
    /// Welch's test: within 3.3 standard errors (0.0049) of what is promised, and for means that differ by the margin,
    /// equivalence is found in one of twenty.
    #[test]
    fn false_alarms_are_as_rare_as_promised() {
        let trials = 2000;
        let (mut welch, mut gaps, mut equivalent) = (0, 0, 0);
        for trial in 0..trials {
            let samples = |sd: f64, shift: f64| -> Vec<(Sample, Sample)> {
                let pair = |q: u64| {
                    let number = trial * 100 + q * 2;
                    (normal_sample(number, 20, 0.0, 1.0), normal_sample(number + 1, 25, shift, sd))
                };
                (0..6).map(pair).collect()
            };
            let margins = [Margin::Units(1.2); 6];
            let any = |tests: &[Tests], p: fn(&Tests) -> f64| tests.iter().any(|test| p(test) <= 0.05);
            welch +=
                usize::from(any(&Tests::of(&samples(2.0, 0.0), &margins, 0.05), |test| test.welch.p.holm));
            gaps += usize::from(any(&Tests::of(&samples(1.0, 0.0), &margins, 0.05), |test| {
                test.kolmogorov_smirnov.p.holm
            }));
            let edge = Tests::of(&samples(1.0, 1.2)[..1], &margins[..1], 0.05);
            equivalent += usize::from(edge[0].equivalence.p.p <= 0.05);
        }
        let share = |count: usize| count as f64 / trials as f64;
        assert!((share(welch) - 0.05).abs() < 0.016, "{}", share(welch));
        assert!(share(gaps) < 0.066, "{}", share(gaps));
        assert!((share(equivalent) - 0.05).abs() < 0.016, "{}", share(equivalent));
    }

    #[test]
    fn samples_that_do_not_vary_or_are_nearly_empty_are_judged() {
        let margins = [Margin::Units(0.5)];
        let tests = |real: &[f64], synthetic: &[f64]| {
            Tests::of(&[(sample(real), sample(synthetic))], &margins, 0.05).remove(0)
        };
        assert_eq!(tests(&[2.0; 8], &[2.0; 8]).verdict(0.05), Verdict::Equivalent);
        assert_eq!(tests(&[2.0; 8], &[3.0; 8]).verdict(0.05), Verdict::Different);
        assert_eq!(tests(&[2.0; 8], &[f64::NAN, 3.0]).verdict(0.05), Verdict::Undecided);
    }
}
