//! The report of a quality check, the file of `voxgan anatomy check --out`.

use std::path::Path;

use super::{figure, mark, name_of, of, readable, section, table};
use crate::anatomy::quality_check::{Estimate, PairVerdict, RegionAgreement, Verdict};
use crate::error::Result;
use crate::pipeline::derivatives::read_json;
use crate::pipeline::difference::{IN_WORDS, Shown};
use crate::report::page::{Block, Cell, Page, Picture, Section};
use crate::report::plots::{BlandAltman, Level};

/// The page of the check at `path`, with the pictures of `count` pairs.
///
/// # Errors
/// What is wrong with the file.
pub fn page(path: &Path, count: usize) -> Result<Page> {
    let verdict: Verdict = read_json(path)?;
    let failed = verdict.pairs.iter().filter(|pair| !pair.passed).count();
    let text = match (verdict.passed, failed) {
        (true, _) => format!("All {} pairs and the cohort keep every limit.", verdict.pairs.len()),
        (false, 0) => "Every pair keeps its limits, all together do not.".to_string(),
        (false, n) => format!("{n} of {} pairs do not keep the limits on a pair.", verdict.pairs.len()),
    };
    let mut sections =
        vec![section("Outcome", vec![Block::Verdict(mark(verdict.passed), text), failures(&verdict)])];
    let drawn = pictures(path, &verdict, count)?;
    if !drawn.is_empty() {
        sections.push(section("Where they differ", drawn));
    }
    let known = notes(&verdict).into_iter().chain([changes(&verdict)]);
    sections.push(section("Changes", known.collect()));
    sections.extend(agreement(&verdict)?);
    Ok(of(format!("Is the anatomy preserved? {}", name_of(path)), String::new(), sections))
}

fn failures(verdict: &Verdict) -> Block {
    let pairs = verdict.pairs.iter().flat_map(|pair| {
        let regions = pair.regions.iter().flat_map(|region| {
            region.failures.iter().map(move |failure| (region.change.region.as_str(), failure))
        });
        let sides = pair.sides_failure.iter().map(|failure| ("sides", failure));
        sides
            .chain(regions)
            .map(|(region, failure)| [pair.name.clone(), readable(region), failure.sentence.clone()])
    });
    let cohort = verdict.cohort.iter().flat_map(|region| {
        region
            .failures
            .iter()
            .map(|failure| ["all pairs".to_string(), readable(&region.region), failure.sentence.clone()])
    });
    table(
        "Limits that are not kept",
        &["pair", "region", "what was found"],
        3,
        pairs.chain(cohort).map(Vec::from),
    )
}

/// Outlines of `count` pairs, those that do not keep their limits first; nothing of pictures that are no longer there.
fn pictures(path: &Path, verdict: &Verdict, count: usize) -> Result<Vec<Block>> {
    #[derive(serde::Deserialize)]
    struct Pictures {
        #[serde(default)]
        pictures: Vec<Shown>,
    }
    let Pictures { pictures } = read_json(path)?;
    let of = |pair: &PairVerdict| pictures.iter().find(|shown| shown.pair == pair.name);
    let mut pairs: Vec<&PairVerdict> = verdict.pairs.iter().collect();
    pairs.sort_by_key(|pair| pair.passed);
    let mut blocks = Vec::new();
    for (pair, shown) in pairs.iter().filter_map(|pair| Some((pair, of(pair)?))).take(count) {
        let file = path.with_file_name(&shown.picture);
        let Ok(png) = std::fs::read(&file) else { continue };
        let rows: Vec<String> = shown.regions.iter().map(|region| in_words(pair, region)).collect();
        let caption = format!(
            "{}: {IN_WORDS}. Axial, coronal and sagittal planes where most voxels differ, from above: {}.",
            pair.name,
            rows.join("; ")
        );
        let regions = readable(&shown.regions.join(", "));
        let alt = format!("Outlines of {regions} of {} before and after", pair.name);
        blocks.push(Block::Picture(Picture { png, alt, caption }));
    }
    Ok(blocks)
}

/// What became of a region.
fn in_words(pair: &PairVerdict, region: &str) -> String {
    let found = pair.regions.iter().find(|one| one.change.region == region);
    let change = found
        .and_then(|one| one.change.change_percent)
        .map(|percent| format!("{percent:+.1} % of its volume"));
    let dice = found.and_then(|one| one.change.dice).map(|dice| format!("Dice {dice:.3}"));
    let kept = match found {
        Some(one) if !one.failures.is_empty() => Some("limits not kept".to_string()),
        _ => None,
    };
    let known: Vec<String> = [change, dice, kept].into_iter().flatten().collect();
    format!("{} ({})", readable(region), known.join(", "))
}

/// What is to be known of the pairs: unlike grids, and what is not judged and why; none where there is nothing.
fn notes(verdict: &Verdict) -> Option<Block> {
    let of_pair = |pair: &PairVerdict| {
        pair.notes().into_iter().map(|note| vec![pair.name.clone(), note]).collect::<Vec<_>>()
    };
    let rows: Vec<Vec<String>> = verdict.pairs.iter().flat_map(of_pair).collect();
    let caption = "Grids that differ, and regions that say nothing of the anatomy";
    (!rows.is_empty()).then(|| table(caption, &["pair", "what is to be known"], 2, rows.into_iter()))
}

fn changes(verdict: &Verdict) -> Block {
    let number = |value: Option<f64>, digits: usize| value.map_or("n/a".into(), |v| format!("{v:.digits$}"));
    let rows = verdict.pairs.iter().flat_map(|pair| {
        pair.regions.iter().filter(|region| region.limited).map(|region| {
            let change = &region.change;
            let percent = number(change.change_percent, 2);
            let percent = match change.not_judged {
                None => Cell::marked(mark(region.failures.is_empty()), percent),
                Some(_) => Cell::from(format!("{percent} (not judged)")),
            };
            vec![
                Cell::from(pair.name.clone()),
                readable(&change.region).into(),
                format!("{:.2}", change.before_ml).into(),
                format!("{:.2}", change.after_ml).into(),
                percent,
                number(change.dice, 3).into(),
                number(change.hausdorff95_mm, 2).into(),
            ]
        })
    });
    let head = ["pair", "region", "before (ml)", "after (ml)", "change (%)", "Dice", "95 % Hausdorff (mm)"];
    table("Regions that have limits", &head, 2, rows)
}

/// A Bland–Altman plot for each region that has limits, of two pairs or more.
fn agreement(verdict: &Verdict) -> Result<Option<Section>> {
    let limited = |region: &&RegionAgreement| {
        verdict
            .pairs
            .iter()
            .any(|pair| pair.regions.iter().any(|one| one.limited && one.change.region == region.region))
    };
    let mut blocks = Vec::new();
    for region in verdict.cohort.iter().filter(limited) {
        let Some(found) = &region.change_ml else { continue };
        let of_region = verdict.pairs.iter().flat_map(|pair| &pair.regions);
        let pairs = of_region
            .filter(|one| one.change.region == region.region && one.change.not_judged.is_none())
            .map(|one| (one.change.before_ml, one.change.after_ml))
            .collect();
        let level = |estimate: &Estimate| Level {
            value: estimate.value,
            interval: (estimate.interval[0], estimate.interval[1]),
        };
        let plot = BlandAltman {
            pairs,
            names: ("before".into(), "after".into()),
            unit: "ml".into(),
            bias: level(&found.bias),
            lower: level(&found.lower_limit),
            upper: level(&found.upper_limit),
        };
        let icc = region.icc.as_ref().map_or(String::new(), |icc| {
            format!(" Intraclass correlation (absolute agreement) {:.3}.", icc.agreement.value)
        });
        blocks.push(figure(
            plot.plot()?,
            format!(
                "{}: a point a pair, its change over the mean of both volumes; lines are the mean change (bias) and the limits that \
                 95 % of changes lie within, shaded their intervals.{icc}",
                readable(&region.region)
            ),
        ));
    }
    Ok((!blocks.is_empty()).then(|| section("Agreement", blocks)))
}
