//! The adjusted comparison as text: aligned tables for people, CSV for programs.

use std::fmt::Write;

use super::adjusted::{Adjusted, AdjustedQuantity, Contrast, Dropped, GroupEffect};
use super::covariates::CovariateValues;
use super::head::HeadMeasure;
use super::table::{Fields, Rows, aligned, csv, interval_fields, number, p_fields, p_text};
use crate::stats::Interval;

impl Adjusted {
    /// The adjusted comparison as aligned tables: numbers of subjects, the model, ratios and residuals.
    pub fn to_table(&self, confidence: f64) -> String {
        let mut text = format!("\n{}\n{}\n", self.terms(), self.counts());
        for dropped in &self.dropped {
            let _ = writeln!(text, "Not counted: {}", dropped.to_words());
        }
        let _ = writeln!(text, "\nLinear model, intervals of {:.0} %", 100.0 * confidence);
        let Rows { head, rows } = self.models();
        text += &aligned(&head, rows.into_iter());
        let Rows { head, rows } = self.contrasts();
        if !rows.is_empty() {
            let _ = writeln!(
                text,
                "\nRatio to head size, and residual of head size and covariates by the real cohort"
            );
            text += &aligned(&head, rows.into_iter());
        }
        if let Some(sentence) = self.wasserstein_words() {
            let _ = writeln!(text, "\n{sentence}");
        }
        for left in &self.left_out {
            let _ = writeln!(text, "Not adjusted: {} ({})", left.quantity, left.reason);
        }
        text
    }

    /// The terms of the model, as a sentence.
    pub fn terms(&self) -> String {
        let mut text = match self.head {
            HeadMeasure::Intracranial => "Adjusted for head size (intracranial volume".to_string(),
            HeadMeasure::Brain => "Adjusted for head size (brain volume".to_string(),
        };
        let mean = |mean: Option<f64>| mean.map_or_else(|| "n/a".to_string(), number);
        let _ = write!(
            text,
            "; means {} ml real, {} ml synthetic)",
            mean(self.head_real_mean_ml),
            mean(self.head_synthetic_mean_ml)
        );
        for covariate in &self.covariates {
            let _ = match &covariate.values {
                CovariateValues::Numbers => write!(text, ", {}", covariate.name),
                CovariateValues::Levels(levels) => {
                    write!(text, ", {} ({})", covariate.name, levels.join(", "))
                }
            };
        }
        text + "."
    }

    /// The numbers of subjects that count and that were left out, as a sentence.
    pub fn counts(&self) -> String {
        let dropped = |synthetic: bool| self.dropped.iter().filter(|one| one.synthetic == synthetic).count();
        format!(
            "{} real and {} synthetic subjects count; {} and {} do not, as they lack something.",
            self.real_subjects,
            self.synthetic_subjects,
            dropped(false),
            dropped(true)
        )
    }

    /// The Wasserstein distance of the volumes divided by head size, as a sentence; `None` without it.
    pub fn wasserstein_words(&self) -> Option<String> {
        let found = self.wasserstein.as_ref()?;
        let reference = found.reference.map_or_else(String::new, |reference| {
            format!(
                "; of {} subjects a side {} where halves of the real cohort have {} (95 %: {})",
                found.reference_subjects,
                number(reference.synthetic),
                number(reference.median),
                number(reference.p95)
            )
        });
        Some(format!(
            "Wasserstein distance of {} volumes over head size, {} real and {} synthetic subjects: {} real SD, p {}{reference}.",
            found.quantities.len(),
            found.real_subjects,
            found.synthetic_subjects,
            number(found.distance),
            p_text(found.p),
        ))
    }

    /// The model of each quantity, formatted for reading.
    pub fn models(&self) -> Rows {
        let head =
            vec!["quantity", "unit", "head size", "difference", "df", "partial R²", "SD of residuals", "p"];
        let row = |one: &AdjustedQuantity| {
            let GroupEffect { difference, df, p, partial_r2, standardised, .. } = &one.model;
            vec![
                one.quantity.name.clone(),
                one.quantity.unit.clone(),
                if one.by_head_size { "yes" } else { "no" }.to_string(),
                interval(difference),
                format!("{df:.0}"),
                format!("{partial_r2:.3}"),
                format!("{standardised:.2}"),
                p_text(p.holm),
            ]
        };
        Rows { head, rows: self.quantities.iter().map(row).collect() }
    }

    /// Ratio and residual of each volume, formatted for reading.
    pub fn contrasts(&self) -> Rows {
        let head = vec![
            "quantity",
            "% real (SD)",
            "% synthetic (SD)",
            "g",
            "p",
            "residual real (SD)",
            "residual synthetic (SD)",
            "g of residuals",
            "p of residuals",
        ];
        let cells = |of: Option<&Contrast>, scale: f64| {
            let Some(of) = of else { return [const { String::new() }; 4] };
            let spread = |mean: f64, sd: f64| format!("{} ({})", number(scale * mean), number(scale * sd));
            [
                spread(of.real_mean, of.real_sd),
                spread(of.synthetic_mean, of.synthetic_sd),
                format!("{:.2}", of.hedges_g),
                p_text(of.welch.p.holm),
            ]
        };
        let row = |one: &AdjustedQuantity| {
            let cells = cells(one.ratio.as_ref(), 100.0).into_iter().chain(cells(one.residual.as_ref(), 1.0));
            std::iter::once(one.quantity.name.clone()).chain(cells).collect()
        };
        Rows { head, rows: self.quantities.iter().map(row).collect() }
    }

    /// The adjusted quantities as CSV, one line each.
    pub fn to_csv(&self) -> String {
        let rows: Vec<Fields> = self.quantities.iter().map(|one| self.csv_fields(one)).collect();
        csv(&rows)
    }

    fn csv_fields(&self, one: &AdjustedQuantity) -> Fields {
        let covariates: Vec<&str> = self.covariates.iter().map(|one| one.name.as_str()).collect();
        let mut fields: Fields = vec![
            ("quantity".into(), one.quantity.name.clone()),
            ("unit".into(), one.quantity.unit.clone()),
            ("head_size".into(), if one.by_head_size { self.head.region() } else { "" }.to_string()),
            ("covariates".into(), covariates.join(" ")),
        ];
        let GroupEffect { difference, t, df, p, partial_r2, standardised } = one.model;
        interval_fields(&mut fields, "model_difference", Some(&difference));
        let numbers = [("t", t), ("df", df), ("partial_r2", partial_r2), ("standardised", standardised)];
        fields.extend(numbers.map(|(name, value)| (format!("model_{name}"), value.to_string())));
        p_fields(&mut fields, "model", Some(p));
        for (name, contrast) in [("ratio", one.ratio), ("residual", one.residual)] {
            let mut number = |part: &str, value: fn(&Contrast) -> f64| {
                let text = contrast.as_ref().map_or_else(String::new, |of| value(of).to_string());
                fields.push((format!("{name}_{part}"), text));
            };
            number("real_mean", |of| of.real_mean);
            number("real_sd", |of| of.real_sd);
            number("synthetic_mean", |of| of.synthetic_mean);
            number("synthetic_sd", |of| of.synthetic_sd);
            number("hedges_g", |of| of.hedges_g);
            number("welch_t", |of| of.welch.t);
            number("welch_df", |of| of.welch.df);
            let difference = contrast.map(|of| of.welch.difference);
            interval_fields(&mut fields, &format!("{name}_difference"), difference.as_ref());
            p_fields(&mut fields, &format!("{name}_welch"), contrast.map(|of| of.welch.p));
        }
        fields.push(("residual_slope".into(), one.slope.map_or_else(String::new, |slope| slope.to_string())));
        fields
    }
}

impl Dropped {
    /// The subject, its cohort and what it lacks, in words.
    pub fn to_words(&self) -> String {
        let cohort = if self.synthetic { "synthetic" } else { "real" };
        format!("{} ({cohort}), without {}", self.subject, self.lacks.join(", "))
    }
}

fn interval(of: &Interval) -> String {
    format!("{} [{}, {}]", number(of.estimate), number(of.low), number(of.high))
}
