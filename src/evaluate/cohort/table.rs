//! Comparisons as text: aligned tables for people, CSV for programs.

use std::fmt::Write;

use super::compare::{Comparison, QuantityComparison};
use super::hypothesis::{PValue, Verdict};
use super::joint::Joint;
use super::power::Power;
use super::reference::Reference;
use super::wasserstein::Transport;
use crate::csv::push_row;
use crate::stats::{Interval, Summary};

/// A table of texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// Names of the columns.
    pub head: Vec<&'static str>,
    /// The rows, each with a cell for each column.
    pub rows: Vec<Vec<String>>,
}

impl Comparison {
    /// The comparison as aligned tables: the tests, the references, the joint tests, the quantities left out.
    pub fn to_table(&self) -> String {
        let settings = &self.settings;
        let mut text = format!(
            "{} real and {} synthetic subjects; differences are synthetic minus real; intervals of {:.0} %; p after \
             Holm over {} quantities; α {}\nAny difference at all: p {}\n\n",
            self.real_subjects,
            self.synthetic_subjects,
            100.0 * settings.confidence,
            self.quantities.len(),
            settings.alpha,
            p_text(self.p),
        );
        let Rows { head, rows } = self.tests();
        text += &aligned(&head, rows.into_iter());
        let _ = write!(
            text,
            "\nReal–real reference: {} against {} real subjects, {} splits; beside it {0} synthetic subjects against the same real \
             ones\n",
            self.reference_subjects, self.reference_subjects, settings.splits,
        );
        let Rows { head, rows } = self.reference_rows();
        text += &aligned(&head, rows.into_iter());
        match &self.joint {
            Some(joint) => text += &joint_text(joint, self.wasserstein.as_ref()),
            None => text += "\nJoint tests: too few subjects have all quantities\n",
        }
        if let Some(adjusted) = &self.adjusted {
            text += &adjusted.to_table(settings.confidence);
        }
        if let Some(age) = &self.age {
            let _ = writeln!(text, "\n{}", age.to_words());
        }
        for left in &self.left_out {
            let _ = writeln!(text, "Left out: {} ({})", left.quantity, left.reason);
        }
        text
    }

    /// The tests of each quantity, formatted for reading.
    pub fn tests(&self) -> Rows {
        let head = vec![
            "quantity",
            "unit",
            "real mean (SD)",
            "synthetic mean (SD)",
            "Cohen's d",
            "Wasserstein/SD",
            "SD ratio",
            "p Welch",
            "p KS",
            "p TOST",
            "margin",
            "means",
        ];
        Rows { head, rows: self.quantities.iter().map(tested).collect() }
    }

    /// Every distance beside that between halves of the real cohort, formatted for reading.
    pub fn reference_rows(&self) -> Rows {
        let head = vec!["distance", "synthetic median", "real median", "real 95 %", "synthetic farther in"];
        Rows {
            head,
            rows: self
                .references()
                .filter_map(|(name, reference)| Some(reference_row(name, &reference?)))
                .collect(),
        }
    }

    /// The comparison of the quantities as CSV, one line each.
    pub fn to_csv(&self) -> String {
        let rows: Vec<_> = self.quantities.iter().map(csv_fields).collect();
        csv(&rows)
    }

    /// All references with their names.
    fn references(&self) -> impl Iterator<Item = (String, Option<Reference>)> {
        let joint = [
            ("correlations", self.joint_reference.correlations),
            ("energy", self.joint_reference.energy),
            ("Wasserstein of all", self.wasserstein.as_ref().and_then(|all| all.reference)),
        ];
        let quantities = self.quantities.iter().flat_map(|compared| {
            let (name, reference) = (&compared.quantity.name, &compared.reference);
            [
                (format!("{name} |d|"), reference.cohens_d),
                (format!("{name} KS"), reference.kolmogorov_smirnov),
                (format!("{name} Wasserstein"), reference.wasserstein),
            ]
        });
        quantities.chain(joint.map(|(name, reference)| (name.to_string(), reference)))
    }
}

/// The results of [`power`](super::power()) as aligned tables.
pub fn power_table(powers: &[Power]) -> String {
    let Some(first) = powers.first() else { return String::new() };
    let mut text = format!(
        "Share of {} repeats in which {} synthetic subjects are told from {} real ones\n",
        first.repeats, first.synthetic_subjects, first.real_subjects
    );
    let share = |share: &Interval| format!("{:.2} [{:.2}, {:.2}]", share.estimate, share.low, share.high);
    let head = ["alteration", "any", "Welch", "KS", "correlations", "energy"];
    text += &aligned(
        &head,
        powers.iter().map(|power| {
            let shown =
                [&power.any, &power.welch, &power.kolmogorov_smirnov, &power.correlations, &power.energy];
            std::iter::once(power.alteration.clone()).chain(shown.map(share)).collect()
        }),
    );
    text.push('\n');
    let head = ["alteration", "quantity", "Welch", "KS", "means equivalent", "means different"];
    let rows = powers.iter().flat_map(|power| {
        power.quantities.iter().map(|quantity| {
            let shares =
                [&quantity.welch, &quantity.kolmogorov_smirnov, &quantity.equivalent, &quantity.different];
            let names = [power.alteration.clone(), quantity.quantity.clone()];
            names.into_iter().chain(shares.map(share)).collect()
        })
    });
    text + &aligned(&head, rows)
}

/// The results of [`power`](super::power()) as CSV: a line for each alteration and quantity, and one for each
/// alteration without a quantity for the tests over all of them.
pub fn power_csv(powers: &[Power]) -> String {
    let row = |power: &Power, quantity: &str, shares: [Option<&Interval>; 7]| {
        let names =
            ["any", "welch", "kolmogorov_smirnov", "correlations", "energy", "equivalent", "different"];
        let mut fields = vec![
            ("alteration".to_string(), power.alteration.clone()),
            ("quantity".to_string(), quantity.to_string()),
            ("real_subjects".to_string(), power.real_subjects.to_string()),
            ("synthetic_subjects".to_string(), power.synthetic_subjects.to_string()),
            ("repeats".to_string(), power.repeats.to_string()),
        ];
        for (name, share) in names.into_iter().zip(shares) {
            interval_fields(&mut fields, name, share);
        }
        fields
    };
    let rows: Vec<_> = powers
        .iter()
        .flat_map(|power| {
            let whole = [
                Some(&power.any),
                Some(&power.welch),
                Some(&power.kolmogorov_smirnov),
                Some(&power.correlations),
                Some(&power.energy),
                None,
                None,
            ];
            let single = power.quantities.iter().map(|of| {
                let (equivalent, different) = (Some(&of.equivalent), Some(&of.different));
                let tests = (Some(&of.welch), Some(&of.kolmogorov_smirnov));
                row(power, &of.quantity, [None, tests.0, tests.1, None, None, equivalent, different])
            });
            std::iter::once(row(power, "", whole)).chain(single).collect::<Vec<_>>()
        })
        .collect();
    csv(&rows)
}

fn tested(compared: &QuantityComparison) -> Vec<String> {
    let interval = |of: &Interval| format!("{:.2} [{:.2}, {:.2}]", of.estimate, of.low, of.high);
    let spread = |of: &Summary| format!("{} ({})", number(of.mean), number(of.sd));
    let verdict = match compared.verdict {
        Verdict::Equivalent => "equivalent",
        Verdict::Different => "different",
        Verdict::Undecided => "undecided",
    };
    vec![
        compared.quantity.name.clone(),
        compared.quantity.unit.clone(),
        spread(&compared.real),
        spread(&compared.synthetic),
        interval(&compared.cohens_d),
        interval(&compared.wasserstein_sds),
        interval(&compared.sd_ratio),
        p_text(compared.welch.p.holm),
        p_text(compared.kolmogorov_smirnov.p.holm),
        p_text(compared.equivalence.p.holm),
        format!("±{}", number(compared.equivalence.margin)),
        verdict.to_string(),
    ]
}

fn reference_row(name: String, reference: &Reference) -> Vec<String> {
    let farther = format!("{:.0} %", 100.0 * reference.farther);
    vec![name, number(reference.synthetic), number(reference.median), number(reference.p95), farther]
}

fn joint_text(joint: &Joint, wasserstein: Option<&Transport>) -> String {
    let (correlations, energy) = (&joint.correlations, &joint.energy);
    let mut text = format!(
        "\nJoint tests, {} real and {} synthetic subjects: energy distance {}, p {}{}; distance of the \
         correlation matrices {}, p {}\n",
        joint.real_subjects,
        joint.synthetic_subjects,
        number(energy.distance),
        p_text(energy.p),
        wasserstein.map_or_else(String::new, |all| {
            format!("; Wasserstein distance {} real SD, p {}", number(all.distance), p_text(all.p))
        }),
        number(correlations.distance),
        p_text(correlations.p),
    );
    let head = ["correlation of", "with", "real", "synthetic", "p"];
    let rows = correlations.largest.iter().map(|pair| {
        let [real, synthetic] = [pair.real, pair.synthetic].map(|r| format!("{r:.2}"));
        vec![pair.first.clone(), pair.second.clone(), real, synthetic, p_text(pair.p)]
    });
    text += &aligned(&head, rows);
    text
}

pub(super) type Fields = Vec<(String, String)>;

fn csv_fields(compared: &QuantityComparison) -> Fields {
    let mut fields: Fields = vec![
        ("quantity".into(), compared.quantity.name.clone()),
        ("unit".into(), compared.quantity.unit.clone()),
    ];
    for (cohort, summary) in [("real", &compared.real), ("synthetic", &compared.synthetic)] {
        let Summary { n, missing, mean, sd, minimum, p5, p25, median, p75, p95, maximum, iqr } = *summary;
        fields.push((format!("{cohort}_n"), n.to_string()));
        fields.push((format!("{cohort}_missing"), missing.to_string()));
        let numbers = [
            ("mean", mean),
            ("sd", sd),
            ("minimum", minimum),
            ("p5", p5),
            ("p25", p25),
            ("median", median),
            ("p75", p75),
            ("p95", p95),
            ("maximum", maximum),
            ("iqr", iqr),
        ];
        fields.extend(numbers.map(|(name, value)| (format!("{cohort}_{name}"), value.to_string())));
    }
    let intervals = [
        ("difference", &compared.welch.difference),
        ("cohens_d", &compared.cohens_d),
        ("hedges_g", &compared.hedges_g),
        ("wasserstein", &compared.wasserstein),
        ("wasserstein_sds", &compared.wasserstein_sds),
        ("sd_ratio", &compared.sd_ratio),
    ];
    intervals.into_iter().for_each(|(name, interval)| interval_fields(&mut fields, name, Some(interval)));
    let mut numbers = |name: &str, value: f64| fields.push((name.to_string(), value.to_string()));
    numbers("welch_t", compared.welch.t);
    numbers("welch_df", compared.welch.df);
    numbers("ks_distance", compared.kolmogorov_smirnov.distance);
    numbers("margin", compared.equivalence.margin);
    let tests = [
        ("welch", compared.welch.p),
        ("ks", compared.kolmogorov_smirnov.p),
        ("tost", compared.equivalence.p),
    ];
    for (test, p) in tests {
        p_fields(&mut fields, test, Some(p));
    }
    fields.push(("verdict".into(), format!("{:?}", compared.verdict).to_lowercase()));
    let references = [
        ("cohens_d", compared.reference.cohens_d),
        ("ks", compared.reference.kolmogorov_smirnov),
        ("wasserstein", compared.reference.wasserstein),
    ];
    for (name, reference) in references {
        let mut of = |part: &str, value: fn(Reference) -> f64| {
            let value = reference.map_or_else(String::new, |reference| value(reference).to_string());
            fields.push((format!("reference_{name}_{part}"), value));
        };
        of("real_median", |reference| reference.median);
        of("real_p95", |reference| reference.p95);
        of("synthetic_median", |reference| reference.synthetic);
        of("synthetic_farther", |reference| reference.farther);
    }
    fields
}

/// The p of a test as three fields; empty ones for nothing.
pub(super) fn p_fields(fields: &mut Fields, test: &str, p: Option<PValue>) {
    let mut part = |suffix: &str, value: fn(PValue) -> f64| {
        fields.push((format!("{test}_p{suffix}"), p.map_or_else(String::new, |p| value(p).to_string())));
    };
    part("", |of| of.p);
    part("_holm", |of| of.holm);
    part("_bh", |of| of.benjamini_hochberg);
}

/// An estimate and its ends as three fields; empty ones for nothing.
pub(super) fn interval_fields(fields: &mut Fields, name: &str, interval: Option<&Interval>) {
    let mut part = |suffix: &str, value: fn(&Interval) -> f64| {
        fields
            .push((format!("{name}{suffix}"), interval.map_or_else(String::new, |of| value(of).to_string())));
    };
    part("", |of| of.estimate);
    part("_low", |of| of.low);
    part("_high", |of| of.high);
}

/// Rows of the same fields as CSV (RFC 4180) under a line of their names.
pub(super) fn csv(rows: &[Fields]) -> String {
    let mut text = String::new();
    if let Some(first) = rows.first() {
        push_row(&mut text, first.iter().map(|(name, _)| name.as_str()));
    }
    for row in rows {
        push_row(&mut text, row.iter().map(|(_, value)| value.as_str()));
    }
    text
}

/// Rows under a head, the first column flush left, the others right.
pub(super) fn aligned(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let head = head.iter().map(|name| (*name).to_string()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let mut line = format!("{:<1$}", row[0], widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            let _ = write!(line, "  {cell:>width$}");
        }
        line + "\n"
    };
    rows.iter().map(line).collect()
}

/// Four significant digits where numbers are near one, none beyond the point where they are large.
pub(super) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        1000.0.. => 0,
        100.0..1000.0 => 1,
        10.0..100.0 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

pub(super) fn p_text(p: f64) -> String {
    if p < 0.001 { "<0.001".to_string() } else { format!("{p:.3}") }
}
