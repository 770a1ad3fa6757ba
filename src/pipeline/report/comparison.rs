//! The report of two cohorts, the folder of `voxgan anatomy compare`.

use std::path::Path;

use ndarray::Array2;

use super::adjusted::{adjusted, against_age};
use super::cohort::{definitions, distributions};
use super::{figure, heads, mark, name_of, of, readable, section, table};
use crate::anatomy::volumes::Volumes;
use crate::error::Result;
use crate::evaluate::cohort::{Comparison, Joint, Rows, Verdict};
use crate::pipeline::compare::{COHORTS, COMPARISON, MEMORISATION, Nearest, Trust};
use crate::pipeline::derivatives::{derived, read_json};
use crate::report::page::{Block, Cell, Mark, Page};
use crate::report::plots::{Sample, ecdf, heat_map};

/// The page of the comparison in `folder`, with `scans` scans of each cohort in the viewer.
///
/// # Errors
/// As [`read_json`] and [`derived`], and those of scans, label maps and plots.
pub fn page(folder: &Path, scans: usize) -> Result<Page> {
    let comparison: Comparison = read_json(&folder.join(COMPARISON))?;
    let folders = COHORTS.map(|name| folder.join(name));
    let cohorts = [derived(&folders[0])?, derived(&folders[1])?];
    let volumes: [Vec<Volumes>; 2] =
        cohorts.each_ref().map(|list| list.iter().map(|one| one.volumes.clone()).collect());
    let both: Vec<(&str, &[Volumes])> = COHORTS.into_iter().zip(volumes.iter().map(Vec::as_slice)).collect();
    let mut sections = vec![
        section("Outcome", outcome(&comparison, [0, 1].map(|at| Trust::of(COHORTS[at], &volumes[at])))),
        section("Distributions", distributions(&both)?),
        section("What halves of the real cohort differ by", vec![references(&comparison)]),
    ];
    if let Some(found) = &comparison.adjusted {
        let blocks = adjusted(found, comparison.settings.confidence);
        sections.push(section("By head size and covariates", blocks));
    }
    if let Some(age) = &comparison.age {
        sections.push(section("Against age", against_age(age)?));
    }
    if let Some(joint) = &comparison.joint {
        sections.push(section("Structures with one another", correlations(&comparison, joint)?));
    }
    let memorisation = folder.join(MEMORISATION);
    if memorisation.is_file() {
        sections.push(section("Nearest real scans", nearest(&read_json::<Vec<Nearest>>(&memorisation)?)?));
    }
    let shown: Vec<_> =
        (0..2).map(|at| (COHORTS[at], folders[at].as_path(), cohorts[at].as_slice())).collect();
    sections.extend(heads::sections(&shown, scans)?);
    sections.push(section("Definitions", vec![definitions(&volumes[0])]));
    let subtitle = format!(
        "{} synthetic and {} real scans on one grid.",
        comparison.synthetic_subjects, comparison.real_subjects
    );
    Ok(of(format!("Synthetic and real anatomy: {}", name_of(folder)), subtitle, sections))
}

fn outcome(comparison: &Comparison, trust: [Trust; 2]) -> Vec<Block> {
    let (alpha, p) = (comparison.settings.alpha, comparison.p);
    let count = |verdict| comparison.quantities.iter().filter(|one| one.verdict == verdict).count();
    let means = format!(
        "Of {} quantities the means of {} are equivalent, of {} different, of {} undecided.",
        comparison.quantities.len(),
        count(Verdict::Equivalent),
        count(Verdict::Different),
        count(Verdict::Undecided),
    );
    let (mark, text) = if p <= alpha {
        (Mark::Fail, format!("The cohorts differ (p {p:.4} of no difference at all)."))
    } else {
        (Mark::Caution, format!("No difference is shown (p {p:.2}), which with few scans says little."))
    };
    let Rows { head, rows } = comparison.tests();
    let last = head.len() - 1;
    let rows = rows.into_iter().zip(&comparison.quantities).map(|(row, one)| {
        let cells = row.into_iter().enumerate().map(|(at, text)| match (at, one.verdict) {
            (0, _) => Cell::from(readable(&text)),
            (at, Verdict::Equivalent) if at == last => Cell::marked(Mark::Pass, text),
            (at, Verdict::Different) if at == last => Cell::marked(Mark::Fail, text),
            (at, Verdict::Undecided) if at == last => Cell::marked(Mark::Caution, text),
            _ => Cell::from(text),
        });
        cells.collect()
    });
    let trusted = trust.iter().map(|one| {
        let mark = if one.is_doubtful() { Mark::Fail } else { Mark::Pass };
        Block::Verdict(mark, format!("{one}."))
    });
    let mut blocks: Vec<Block> = trusted.collect();
    blocks.extend([
        Block::Verdict(mark, text),
        Block::Prose(means),
        table("Differences are synthetic minus real; p after Holm", &head, 2, rows),
    ]);
    for left in &comparison.left_out {
        blocks.push(Block::Prose(format!("Left out: {} ({}).", readable(&left.quantity), left.reason)));
    }
    blocks
}

fn references(comparison: &Comparison) -> Block {
    let Rows { head, rows } = comparison.reference_rows();
    let caption = format!(
        "Groups of {} scans, {} random splits: what real people differ by is no fault of a generator",
        comparison.reference_subjects, comparison.settings.splits
    );
    table(&caption, &head, 1, rows.into_iter())
}

fn correlations(comparison: &Comparison, joint: &Joint) -> Result<Vec<Block>> {
    let names: Vec<String> = comparison.quantities.iter().map(|one| readable(&one.quantity.name)).collect();
    let map = |rows: &[Vec<f64>], which: &str| {
        let matrix = Array2::from_shape_fn((rows.len(), rows.len()), |(i, j)| rows[i][j]);
        Ok(figure(
            heat_map(&names, matrix.view())?,
            format!(
                "How quantities go together in the {which} cohort: correlations of each with each, from −1 to 1."
            ),
        ))
    };
    let found = &joint.correlations;
    let mut text = format!(
        "Distance of the correlation matrices {:.2} (p {:.3}); energy distance of all quantities together {:.3} (p {:.3}).",
        found.distance, found.p, joint.energy.distance, joint.energy.p
    );
    if let Some(all) = &comparison.wasserstein {
        text += &format!(
            " Wasserstein distance of all quantities together {:.3} real standard deviations (p {:.3}).",
            all.distance, all.p
        );
    }
    let rows = found.largest.iter().map(|pair| {
        let numbers = [pair.real, pair.synthetic, pair.p].map(|number| format!("{number:.2}"));
        [readable(&pair.first), readable(&pair.second)].into_iter().chain(numbers).collect::<Vec<_>>()
    });
    let head = ["correlation of", "with", "real", "synthetic", "p"];
    let largest = table("The pairs that differ most", &head, 2, rows);
    Ok(vec![Block::Prose(text), map(&found.real, "real")?, map(&found.synthetic, "synthetic")?, largest])
}

fn nearest(list: &[Nearest]) -> Result<Vec<Block>> {
    let sample = |synthetic: bool| Sample {
        name: COHORTS[usize::from(synthetic)].into(),
        values: list.iter().filter(|one| one.synthetic == synthetic).map(|one| one.rmse).collect(),
    };
    let samples = [sample(false), sample(true)];
    let least = samples[0].values.iter().copied().fold(f64::INFINITY, f64::min);
    let mut synthetic: Vec<&Nearest> = list.iter().filter(|one| one.synthetic).collect();
    synthetic.sort_by(|a, b| a.rmse.total_cmp(&b.rmse));
    let nearer = synthetic.iter().filter(|one| one.rmse < least).count();
    let text = format!(
        "{nearer} of {} synthetic scans are nearer to a real one than any two real ones to one another. Copies are; so are \
         scans that are blurred towards the mean, which is near to all.",
        synthetic.len()
    );
    let rows = synthetic.iter().take(20).map(|one| {
        let distance = Cell::marked(mark(one.rmse >= least), format!("{:.3}", one.rmse));
        vec![
            one.subject.clone().into(),
            one.nearest.clone().into(),
            distance,
            format!("{:.3}", one.correlation).into(),
        ]
    });
    let head = ["synthetic", "nearest real", "RMSE", "correlation"];
    Ok(vec![
        Block::Prose(text),
        figure(
            ecdf("RMSE to the nearest real scan", &samples)?,
            "Distances to the nearest real scan; of real ones, to the nearest other.",
        ),
        table("The nearest, up to twenty", &head, 2, rows),
    ])
}
