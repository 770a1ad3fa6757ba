//! The report of a cohort, the folder of `voxgan anatomy volumes`.

use std::path::Path;

use super::{figure, heads, name_of, of, readable, section, table};
use crate::anatomy::volumes::Volumes;
use crate::error::Result;
use crate::evaluate::cohort::{Cohort, QUANTITIES};
use crate::pipeline::derivatives::derived;
use crate::report::page::{Block, Cell, Mark, Page};
use crate::report::plots::{Panel, Sample, violins};

/// Regions in the table of scans.
const SHOWN: [&str; 6] =
    ["intracranial", "brain", "lateral_ventricles", "cerebral_cortex", "cerebral_white_matter", "cerebellum"];

/// The page of the cohort in `folder`, with `scans` scans in the viewer.
///
/// # Errors
/// As [`derived`], and those of scans, label maps and plots.
pub fn page(folder: &Path, scans: usize) -> Result<Page> {
    let derived = derived(folder)?;
    let volumes: Vec<Volumes> = derived.iter().map(|one| one.volumes.clone()).collect();
    let flagged = volumes.iter().filter(|one| !one.flags.is_empty()).count();
    let (outcome, found) = match flagged {
        0 => (Mark::Pass, "none is flagged as implausible".to_string()),
        n => (Mark::Caution, format!("{n} have something that should be looked at")),
    };
    let verdict = Block::Verdict(outcome, format!("{} scans; {found}.", volumes.len()));
    let mut sections = vec![section("Scans", vec![verdict, of_scans(&volumes)])];
    let flags = volumes.iter().flat_map(|one| {
        one.flags.iter().map(|flag| vec![one.subject.clone(), flag.name().to_string(), flag.to_string()])
    });
    if flagged > 0 {
        let blocks = vec![table("What should be looked at", &["scan", "flag", "what it says"], 3, flags)];
        sections.push(section("Flags", blocks));
    }
    let drawn = distributions(&[("scans", &volumes)])?;
    if !drawn.is_empty() {
        sections.push(section("Distributions", drawn));
    }
    sections.extend(heads::sections(&[("", folder, &derived)], scans)?);
    sections.push(section("Definitions", vec![definitions(&volumes)]));
    let subtitle = "Volumes of structures, as the segmenter sees them.".to_string();
    Ok(of(format!("Anatomy of {}", name_of(folder)), subtitle, sections))
}

fn of_scans(volumes: &[Volumes]) -> Block {
    let head: Vec<String> = ["scan".to_string(), "quality".into()]
        .into_iter()
        .chain(SHOWN.iter().map(|name| format!("{} (ml)", readable(name))))
        .chain(["ventricle-to-brain ratio (%)".to_string()])
        .collect();
    let rows = volumes.iter().map(|one| {
        let quality = format!("{:.2}", one.quality);
        let quality =
            if one.flags.is_empty() { quality.into() } else { Cell::marked(Mark::Caution, quality) };
        let ml = |name: &&str| {
            Cell::from(one.region(name).map_or("n/a".into(), |r| format!("{:.1}", r.volume_ml)))
        };
        let ratio = one.measure("ventricle_brain_ratio");
        let ratio = ratio.map_or("n/a".to_string(), |ratio| format!("{:.2}", 100.0 * ratio));
        let mut row = vec![Cell::from(one.subject.clone()), quality];
        row.extend(SHOWN.iter().map(ml));
        row.push(ratio.into());
        row
    });
    table("Every scan; the column of quality is marked where a flag was raised", &head, 1, rows)
}

/// Violin plots of [`QUANTITIES`] for each cohort; empty for cohorts without scans.
///
/// # Errors
/// As [`violins`].
pub fn distributions(cohorts: &[(&str, &[Volumes])]) -> Result<Vec<Block>> {
    let tables = cohorts
        .iter()
        .map(|(name, volumes)| Ok((*name, Cohort::of_volumes(volumes, &QUANTITIES)?)))
        .collect::<Result<Vec<_>>>()?;
    let panels: Vec<Panel> = tables[0]
        .1
        .quantities()
        .iter()
        .filter_map(|quantity| {
            let samples: Vec<Sample> = tables
                .iter()
                .map(|(name, table)| {
                    let values = table.values(&quantity.name).unwrap_or_default().to_vec();
                    Sample { name: (*name).to_string(), values }
                })
                .collect();
            let drawn = samples.iter().any(|sample| sample.values.iter().any(|value| value.is_finite()));
            let unit = if quantity.unit.is_empty() { String::new() } else { format!(" ({})", quantity.unit) };
            drawn.then(|| Panel { title: format!("{}{unit}", readable(&quantity.name)), samples })
        })
        .collect();
    if panels.is_empty() {
        return Ok(Vec::new());
    }
    let caption =
        "Each point is a scan; the bar runs from the lower to the upper quartile, the line marks the median.";
    Ok(vec![figure(violins(&panels)?, caption)])
}

/// The definitions of the volumes.
pub fn definitions(volumes: &[Volumes]) -> Block {
    let rows = volumes.first().into_iter().flat_map(|first| {
        let regions = first
            .regions
            .iter()
            .map(|region| vec![readable(&region.name), "ml".to_string(), region.definition.clone()]);
        let measures = first
            .measures
            .iter()
            .map(|measure| vec![readable(&measure.name), measure.unit.clone(), measure.definition.clone()]);
        regions.chain(measures).collect::<Vec<_>>()
    });
    table(
        "Every volume is a sum over the voxels' probabilities",
        &["quantity", "unit", "definition"],
        3,
        rows,
    )
}
