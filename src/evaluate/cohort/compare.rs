//! The comparison of two cohorts.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Kind;
use super::adjusted::Adjusted;
use super::age::AgeTrend;
use super::hypothesis::{Equivalence, KolmogorovSmirnov, Tests, Verdict, Welch};
use super::joint::Joint;
use super::reference::{JointReference, QuantityReference, group_size, joint_reference, quantity_references};
use super::settings::{Margin, Settings};
use super::wasserstein::Transport;
use super::{Cohort, Quantity, complete};
use crate::error::{Error, Result};
use crate::stats::{Bootstrap, Draws, Interval, Sample, Summary, hedges_factor};

/// Fewest values of a quantity, in either cohort.
const FEWEST: usize = 4;

/// The comparison of two cohorts. Differences are synthetic minus real, ratios synthetic over real.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    pub settings: Settings,
    /// Number of subjects of the real cohort.
    pub real_subjects: usize,
    /// Number of subjects of the synthetic cohort.
    pub synthetic_subjects: usize,
    /// The quantities that both cohorts have, in the real cohort's order.
    pub quantities: Vec<QuantityComparison>,
    /// All quantities together; `None` if fewer than four subjects of either cohort have them all.
    pub joint: Option<Joint>,
    /// The references of the joint distances.
    pub joint_reference: JointReference,
    /// The Wasserstein distance of all quantities together, with its reference; `None` as for `joint`.
    pub wasserstein: Option<Transport>,
    /// Number of subjects in each group of the quantities' references (fewer where values are missing).
    pub reference_subjects: usize,
    /// The comparison adjusted for head size and covariates, where [`adjust`](super::adjust()) was added.
    pub adjusted: Option<Adjusted>,
    /// A quantity against age, where [`AgeTrend::of`] was added.
    pub age: Option<AgeTrend>,
    /// p of no difference at all (Bonferroni): four times the smallest of the p of Welch's test and of the
    /// Kolmogorov–Smirnov test (each after Holm over the quantities), of the correlations and of the energy distance;
    /// two times the smallest of the first two without `joint`; at most 1. The Wasserstein distance is not among them,
    /// as it tests the hypothesis of the energy distance.
    pub p: f64,
    /// Quantities that could not be compared.
    pub left_out: Vec<LeftOut>,
}

/// One quantity of both cohorts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantityComparison {
    pub quantity: Quantity,
    pub real: Summary,
    pub synthetic: Summary,
    /// Difference of the means in pooled standard deviations (Cohen 1988), with its bootstrap interval (bias-corrected
    /// and accelerated).
    pub cohens_d: Interval,
    /// Cohen's d corrected for small samples (Hedges 1981).
    pub hedges_g: Interval,
    /// 1-Wasserstein distance in the unit, with its bootstrap interval: the upper end by percentile, the lower one by
    /// the triangle inequality, so that it contains zero where both distributions are equal.
    pub wasserstein: Interval,
    /// The 1-Wasserstein distance in real standard deviations.
    pub wasserstein_sds: Interval,
    /// Ratio of the standard deviations, below 1 where the synthetic subjects vary less, with its bootstrap interval
    /// (bias-corrected and accelerated, of the logarithm).
    pub sd_ratio: Interval,
    pub welch: Welch,
    pub kolmogorov_smirnov: KolmogorovSmirnov,
    pub equivalence: Equivalence,
    pub verdict: Verdict,
    /// The distances between halves of the real cohort.
    pub reference: QuantityReference,
}

/// A quantity that could not be compared, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeftOut {
    pub quantity: String,
    pub reason: String,
}

/// What can be compared of two cohorts: the same quantities in the same order.
pub(super) struct Matched {
    pub quantities: Vec<Quantity>,
    pub real: Vec<Vec<f64>>,
    pub synthetic: Vec<Vec<f64>>,
    pub left_out: Vec<LeftOut>,
}

impl Matched {
    /// # Errors
    /// [`Error::Value`] if no quantity can be compared, or one has different units.
    pub fn of(real: &Cohort, synthetic: &Cohort) -> Result<Self> {
        let mut matched = Self { quantities: vec![], real: vec![], synthetic: vec![], left_out: vec![] };
        let mut leave_out = |quantity: &Quantity, reason: String| {
            matched.left_out.push(LeftOut { quantity: quantity.name.clone(), reason });
        };
        for (quantity, values) in real.quantities.iter().zip(&real.columns) {
            let Some(index) = synthetic.quantities.iter().position(|other| other.name == quantity.name)
            else {
                leave_out(quantity, "the synthetic cohort does not have it".to_string());
                continue;
            };
            let unit = &synthetic.quantities[index].unit;
            if *unit != quantity.unit {
                let key = format!("unit of `{}`", quantity.name);
                let advice = "bring both cohorts to one unit";
                return Err(Error::value(key, format!("`{}`", quantity.unit), format!("`{unit}`"), advice));
            }
            let samples =
                [values, &synthetic.columns[index]].map(|column| Sample::of(column.iter().copied()));
            if let Some(few) = samples.iter().map(Sample::n).find(|&n| n < FEWEST) {
                leave_out(quantity, format!("one cohort has {few} values of it, fewer than {FEWEST}"));
            } else if samples[0].variance == 0.0 {
                leave_out(quantity, format!("all real values are {}", samples[0].mean));
            } else {
                matched.quantities.push(quantity.clone());
                matched.real.push(values.clone());
                matched.synthetic.push(synthetic.columns[index].clone());
            }
        }
        for quantity in &synthetic.quantities {
            if real.values(&quantity.name).is_none() {
                leave_out(quantity, "the real cohort does not have it".to_string());
            }
        }
        if matched.quantities.is_empty() {
            let reasons = matched.left_out.iter().map(|left| format!("{}: {}", left.quantity, left.reason));
            let found = reasons.take(3).collect::<Vec<_>>().join("; ");
            let found = if found.is_empty() { "none".to_string() } else { found };
            let advice = "give two cohorts measured alike, of at least four subjects each";
            return Err(Error::value("cohorts", "a quantity that can be compared", found, advice));
        }
        Ok(matched)
    }

    /// Both samples of each quantity.
    pub fn samples(real: &[Vec<f64>], synthetic: &[Vec<f64>]) -> Vec<(Sample, Sample)> {
        let sample = |column: &Vec<f64>| Sample::of(column.iter().copied());
        real.iter().zip(synthetic).map(|(real, synthetic)| (sample(real), sample(synthetic))).collect()
    }

    /// The quantities' names.
    pub fn names(&self) -> Vec<&str> {
        self.quantities.iter().map(|quantity| quantity.name.as_str()).collect()
    }

    /// The quantities' margins of equivalence.
    pub fn margins(&self, settings: &Settings) -> Vec<Margin> {
        self.quantities.iter().map(|quantity| settings.margin_of(quantity)).collect()
    }
}

/// p of no difference at all, by the smallest of the p of the kinds of tests (Bonferroni).
pub(super) fn overall_p(tests: &[Tests], joint: Option<&Joint>) -> f64 {
    let smallest = |p: fn(&Tests) -> f64| tests.iter().map(p).fold(1.0, f64::min);
    let mut kinds = vec![smallest(|test| test.welch.p.holm), smallest(|test| test.kolmogorov_smirnov.p.holm)];
    kinds.extend(joint.iter().flat_map(|joint| [joint.correlations.p, joint.energy.p]));
    (kinds.len() as f64 * kinds.iter().copied().fold(1.0, f64::min)).min(1.0)
}

/// Compares a synthetic with a real cohort.
///
/// # Errors
/// [`Error::Value`] for settings that cannot be used, units that differ, or no quantity with at least four values in
/// both cohorts and any variation in the real one.
pub fn compare(real: &Cohort, synthetic: &Cohort, settings: &Settings) -> Result<Comparison> {
    settings.check(real)?;
    let matched = Matched::of(real, synthetic)?;
    let samples = Matched::samples(&matched.real, &matched.synthetic);
    let tests = Tests::of(&samples, &matched.margins(settings), settings.alpha);
    let (whole_real, whole_synthetic) = (complete(&matched.real), complete(&matched.synthetic));
    let joint =
        Joint::of(&whole_real, &whole_synthetic, &matched.names(), settings.permutations, (settings.seed, 0));
    let wasserstein = Transport::of(&whole_real, &whole_synthetic, &matched.names(), settings, 0);
    let references = quantity_references(&matched.real, &matched.synthetic, settings.splits, settings.seed);
    let p = overall_p(&tests, joint.as_ref());
    let (real_subjects, synthetic_subjects) = (real.subjects.len(), synthetic.subjects.len());
    let one = |(index, (real, synthetic)): (usize, &(Sample, Sample))| {
        let tests = &tests[index];
        let draws = Draws { seed: settings.seed, step: index as u64, phase: Kind::Bootstrap as u64 };
        let Bootstrap { cohens_d, sd_ratio, wasserstein } =
            Bootstrap::of(real, synthetic, settings.resamples, settings.confidence, draws);
        QuantityComparison {
            quantity: matched.quantities[index].clone(),
            real: real.summary(real_subjects),
            synthetic: synthetic.summary(synthetic_subjects),
            cohens_d,
            hedges_g: cohens_d.scaled(hedges_factor(real, synthetic)),
            wasserstein,
            wasserstein_sds: wasserstein.scaled(1.0 / real.sd()),
            sd_ratio,
            welch: tests.welch,
            kolmogorov_smirnov: tests.kolmogorov_smirnov,
            equivalence: tests.equivalence,
            verdict: tests.verdict(settings.alpha),
            reference: references[index],
        }
    };
    let quantities = samples.par_iter().enumerate().map(one).collect();
    Ok(Comparison {
        settings: settings.clone(),
        real_subjects,
        synthetic_subjects,
        quantities,
        joint,
        wasserstein,
        adjusted: None,
        age: None,
        joint_reference: joint_reference(&matched.real, &matched.synthetic, settings.splits, settings.seed),
        reference_subjects: group_size(real_subjects, synthetic_subjects),
        p,
        left_out: matched.left_out,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn fixture() -> Value {
        serde_json::from_str(include_str!("../../../tests/fixtures/cohort/comparison.json")).unwrap()
    }

    fn numbers(value: &Value) -> Vec<f64> {
        value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap_or(f64::NAN)).collect()
    }

    fn cohort(rows: &Value) -> Cohort {
        let quantities = [("brain", "ml"), ("ventricles", "ml"), ("third_ventricle", "ml"), ("ratio", "%")];
        let rows = rows.as_array().unwrap().iter().enumerate();
        let rows = rows.map(|(index, row)| (format!("sub-{index:02}"), numbers(row))).collect();
        Cohort::new(quantities.map(|(name, unit)| Quantity::new(name, unit)).to_vec(), rows).unwrap()
    }

    fn settings() -> Settings {
        let margins = [("brain".to_string(), Margin::Units(40.0))].into();
        Settings { margins, resamples: 10_000, permutations: 4999, ..Settings::default() }
    }

    fn fixture_comparison(settings: &Settings) -> Comparison {
        compare(&cohort(&fixture()["real"]), &cohort(&fixture()["synthetic"]), settings).unwrap()
    }

    fn close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
        assert_eq!(found.len(), expected.len(), "{what}");
        for (found, expected) in found.iter().zip(expected) {
            let error = (found - expected).abs();
            assert!(error <= tolerance * (1e-6 + expected.abs()), "{what}: {found} {expected}");
        }
    }

    #[test]
    fn every_statistic_agrees_with_scipy_and_statsmodels() {
        let comparison = fixture_comparison(&settings());
        for (found, expected) in comparison.quantities.iter().zip(fixture()["quantities"].as_array().unwrap())
        {
            let name = &found.quantity.name;
            let check = |values: &[f64], key: &str| {
                close(values, &numbers(&expected[key]), 1e-9, &format!("{key} of {name}"));
            };
            let Summary { n, missing, mean, sd, minimum, p5, p25, median, p75, p95, maximum, iqr } =
                found.real;
            assert_eq!((n, missing), if name == "ventricles" { (22, 1) } else { (23, 0) });
            check(&[mean, sd, minimum, p5, p25, median, p75, p95, maximum, iqr], "summary");
            check(&[found.welch.t, found.welch.df, found.welch.p.p], "welch");
            check(&[found.welch.difference.low, found.welch.difference.high], "interval_90");
            check(&[found.welch.p.holm, found.welch.p.benjamini_hochberg], "welch_adjusted");
            check(&[found.equivalence.p.holm, found.equivalence.p.benjamini_hochberg], "tost_adjusted");
            let scalars = [
                (found.cohens_d.estimate, "cohens_d"),
                (found.hedges_g.estimate, "hedges_g"),
                (found.wasserstein.estimate, "wasserstein"),
                (found.equivalence.margin, "margin"),
                (found.equivalence.p.p, "tost_p"),
                (found.kolmogorov_smirnov.distance, "ks_distance"),
            ];
            for (value, key) in scalars {
                let expected = if key == "ks_distance" { &expected["ks"][0] } else { &expected[key] };
                close(&[value], &[expected.as_f64().unwrap()], 1e-9, &format!("{key} of {name}"));
            }
            // scipy's exact p knows no ties.
            if let Some(p) = expected["ks"][1].as_f64() {
                close(&[found.kolmogorov_smirnov.p.p], &[p], 1e-9, name);
            }
            let sds = found.wasserstein_sds.estimate * found.real.sd;
            close(&[sds], &[found.wasserstein.estimate], 1e-12, name);
        }
    }

    /// The ends of an interval of 10 000 resamples, half as wide as four standard errors, err by 0.03 standard errors
    /// (normal density 0.058 at the 2.5 % quantile; √(0.025 · 0.975 / 10⁴) / 0.058 = 0.027): four times that.
    #[test]
    fn bootstrap_intervals_agree_with_scipy() {
        let comparison = fixture_comparison(&settings());
        for (found, expected) in comparison.quantities.iter().zip(fixture()["quantities"].as_array().unwrap())
        {
            let log = |of: Interval| Interval { estimate: 0.0, low: of.low.ln(), high: of.high.ln() };
            for (interval, expected, key) in [
                (found.cohens_d, numbers(&expected["bca_d"]), "d"),
                (
                    log(found.sd_ratio),
                    numbers(&expected["bca_sd_ratio"]).iter().map(|ratio| ratio.ln()).collect(),
                    "ratio",
                ),
                (found.wasserstein, numbers(&expected["wasserstein_interval"]), "wasserstein"),
            ] {
                let allowed = 0.11 * (expected[1] - expected[0]) / 4.0;
                let name = &found.quantity.name;
                assert!(
                    (interval.low - expected[0]).abs() < allowed,
                    "{key} of {name}: {interval:?} {expected:?}"
                );
                assert!(
                    (interval.high - expected[1]).abs() < allowed,
                    "{key} of {name}: {interval:?} {expected:?}"
                );
            }
        }
    }

    #[test]
    fn joint_tests_agree_with_numpy() {
        let joint = fixture_comparison(&settings()).joint.unwrap();
        assert_eq!((joint.real_subjects, joint.synthetic_subjects), (22, 31));
        let expected = fixture();
        for (found, expected) in [&joint.correlations.real, &joint.correlations.synthetic]
            .iter()
            .zip(expected["correlations"].as_array().unwrap())
        {
            for (row, expected) in found.iter().zip(expected.as_array().unwrap()) {
                close(row, &numbers(expected), 1e-9, "correlations");
            }
        }
        let number = |key: &str| expected[key].as_f64().unwrap();
        close(
            &[joint.correlations.distance],
            &[number("correlation_distance")],
            1e-9,
            "correlation distance",
        );
        close(&[joint.energy.distance], &[number("energy")], 1e-9, "energy distance");
        // Five standard errors of the share among 5000 permutations.
        for (found, expected) in
            [(joint.correlations.p, number("correlation_p")), (joint.energy.p, number("energy_p"))]
        {
            let error = (expected * (1.0 - expected) / 5000.0).sqrt();
            assert!((found - expected).abs() < 5.0 * error, "{found} {expected}");
        }
        // Brain and ventricles were made to go together in the one cohort, apart in the other.
        let pairs: Vec<_> = joint
            .correlations
            .largest
            .iter()
            .map(|pair| (pair.first.as_str(), pair.second.as_str()))
            .collect();
        assert!(pairs.len() == 6 && pairs[..3].contains(&("brain", "ventricles")), "{pairs:?}");
        assert!(joint.correlations.largest[0].p < 0.01);
    }

    #[test]
    fn the_same_seed_gives_the_same_comparison_on_any_number_of_threads() {
        let settings = Settings { resamples: 200, permutations: 199, splits: 20, ..Settings::default() };
        let [one, three] = [1, 3].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| fixture_comparison(&settings))
        });
        assert_eq!(one, three);
        let other = fixture_comparison(&Settings { seed: 1, ..settings });
        assert_ne!(one.quantities[0].cohens_d, other.quantities[0].cohens_d);
        let text = serde_json::to_string(&one).unwrap();
        assert_eq!(serde_json::from_str::<Comparison>(&text).unwrap(), one);
    }

    #[test]
    fn a_cohort_is_equivalent_to_itself_and_a_collapsed_one_shows() {
        let real = cohort(&fixture()["real"]);
        let quick = Settings { resamples: 999, permutations: 199, splits: 500, ..Settings::default() };
        let wide = Settings { margin: Margin::RealSds(1.5), ..quick.clone() };
        let same = compare(&real, &real, &wide).unwrap();
        assert_eq!(same.p, 1.0);
        for compared in &same.quantities {
            assert_eq!(compared.verdict, Verdict::Equivalent);
            assert_eq!((compared.cohens_d.estimate, compared.wasserstein.estimate), (0.0, 0.0));
            assert!(compared.sd_ratio.low < 1.0 && compared.sd_ratio.high > 1.0);
        }
        let mean = real.columns[0].iter().sum::<f64>() / 23.0;
        let collapsed =
            real.altered(
                |quantity, value| {
                    if quantity.name == "brain" { mean + 0.05 * (value - mean) } else { 3.0 }
                },
            );
        let compared = compare(&real, &collapsed, &quick).unwrap();
        let [brain, ventricles] = [&compared.quantities[0], &compared.quantities[1]];
        assert!((brain.sd_ratio.estimate - 0.05).abs() < 1e-12 && brain.sd_ratio.high < 0.1);
        assert_eq!(brain.welch.p.p, 1.0);
        assert!(brain.kolmogorov_smirnov.p.holm < 0.05 && brain.reference.wasserstein.unwrap().farther > 0.9);
        assert_eq!((ventricles.sd_ratio.estimate, ventricles.sd_ratio.high), (0.0, 0.0));
        assert_eq!(ventricles.verdict, Verdict::Different);
        assert!(compared.p < 0.05);
        // Nothing is infinite, so that all of it can be written as JSON and read again.
        let text = serde_json::to_string(&compared).unwrap();
        assert_eq!(serde_json::from_str::<Comparison>(&text).unwrap(), compared);
    }

    #[test]
    fn what_cannot_be_compared_is_said() {
        let real = cohort(&fixture()["real"]);
        let quick = Settings { resamples: 99, permutations: 99, splits: 5, ..Settings::default() };
        let constant = real.altered(|quantity, value| if quantity.name == "ratio" { 2.0 } else { value });
        let compared = compare(&constant, &real.select(&["ratio", "brain"]).unwrap(), &quick).unwrap();
        let reasons: Vec<_> = compared.left_out.iter().map(|left| left.reason.as_str()).collect();
        assert_eq!(compared.quantities.len(), 1);
        assert!(
            reasons[0].contains("does not have") && reasons[2].contains("all real values are 2"),
            "{reasons:?}"
        );
        let error = |real: &Cohort, settings: &Settings| {
            compare(real, &cohort(&fixture()["synthetic"]), settings).unwrap_err().to_string()
        };
        let none = real.altered(|_, _| f64::NAN);
        assert!(error(&none, &quick).contains("fewer than 4"));
        let mut litres = real.clone();
        litres.quantities[0].unit = "l".to_string();
        assert!(error(&litres, &quick).contains("unit of `brain`"));
        for broken in [
            Settings { alpha: 0.0, ..quick.clone() },
            Settings { resamples: 3, ..quick.clone() },
            Settings { margin: Margin::RealSds(-1.0), ..quick.clone() },
            Settings { margins: [("spleen".to_string(), Margin::Units(1.0))].into(), ..quick.clone() },
        ] {
            assert!(compare(&real, &real, &broken).is_err());
        }
    }
}
