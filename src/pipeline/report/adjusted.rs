//! Sections of a comparison adjusted for head size, covariates and age.

use super::{figure, readable, table};
use crate::error::Result;
use crate::evaluate::cohort::{Adjusted, AgeTrend, Aged, Rows};
use crate::pipeline::compare::COHORTS;
use crate::report::Series;
use crate::report::page::{Block, Cell};
use crate::report::plots::Trend;

/// The model, ratios and residuals, and the subjects that were left out.
pub fn adjusted(found: &Adjusted, confidence: f64) -> Vec<Block> {
    let named = |rows: Vec<Vec<String>>| {
        rows.into_iter().map(|row| {
            let cells = row.into_iter().enumerate();
            cells
                .map(|(at, text)| Cell::from(if at == 0 { readable(&text) } else { text }))
                .collect::<Vec<_>>()
        })
    };
    let mut blocks = vec![Block::Prose(format!("{} {}", found.terms(), found.counts()))];
    let Rows { head, rows } = found.models();
    let caption = format!(
        "Linear model of each quantity: synthetic minus real at equal head size and covariates, interval of {:.0} %; p \
         after Holm",
        100.0 * confidence
    );
    blocks.push(table(&caption, &head, 3, named(rows)));
    let Rows { head, rows } = found.contrasts();
    if !rows.is_empty() {
        let caption = "Per cent of head size, and residuals of head size and covariates about the real means, by a regression in \
                       the real cohort; g after Hedges, p of Welch's test after Holm";
        blocks.push(table(caption, &head, 1, named(rows)));
    }
    blocks.extend(found.wasserstein_words().map(Block::Prose));
    if !found.dropped.is_empty() {
        let rows = found.dropped.iter().map(|one| {
            vec![COHORTS[usize::from(one.synthetic)].to_string(), one.subject.clone(), one.lacks.join(", ")]
        });
        blocks.push(table("Subjects that do not count", &["cohort", "subject", "lacks"], 3, rows));
    }
    for left in &found.left_out {
        blocks.push(Block::Prose(format!("Not adjusted: {} ({}).", readable(&left.quantity), left.reason)));
    }
    blocks
}

/// The plot of a quantity against age.
///
/// # Errors
/// As [`Trend::plot`].
pub fn against_age(found: &AgeTrend) -> Result<Vec<Block>> {
    let cohorts = [&found.real, &found.synthetic];
    let points =
        |list: &[Aged]| list.iter().filter_map(|one| Some((one.age?, one.value))).collect::<Vec<_>>();
    let strip =
        |list: &[Aged]| list.iter().filter(|one| one.age.is_none()).map(|one| one.value).collect::<Vec<_>>();
    let series = COHORTS.iter().zip(cohorts).map(|(name, list)| {
        let points = points(list);
        Series { name: format!("{name} (n = {})", points.len()), points }
    });
    let trend = Trend {
        labels: (
            "age (years)".into(),
            format!("{} ({})", readable(&found.quantity.name), found.quantity.unit),
        ),
        cohorts: series.collect(),
        without_x: cohorts.iter().map(|list| strip(list)).collect(),
        curve: found
            .curve
            .iter()
            .map(|at| (at.age, at.value.estimate, at.value.low, at.value.high))
            .collect(),
    };
    let shape = if found.bends { "a parabola" } else { "a line" };
    let mut caption = format!(
        "The curve is the real cohort's median ({shape} of the logarithm), the band its prediction interval of {:.0} %.",
        100.0 * found.confidence
    );
    if trend.without_x.iter().any(|values| !values.is_empty()) {
        caption += " Lines at the right edge are scans without a known age.";
    }
    Ok(vec![Block::Prose(found.to_words()), figure(trend.plot()?, caption)])
}
