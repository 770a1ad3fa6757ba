//! What the quality check and the comparison of cohorts see of known changes.

use voxgan::anatomy::Segmentation;
use voxgan::anatomy::quality_check::{Pair, PairRecord, QualityCheck};
use voxgan::anatomy::volumes::Volumes;
use voxgan::error::Result;
use voxgan::evaluate::cohort::{Cohort, QUANTITIES, Settings, power, power_csv, power_table};
use voxgan::io::{bids, nifti};
use voxgan::volume::Volume;
use voxgan::volume::orientation::to_ras;
use voxgan::volume::resample::Grid;

use crate::alterations::{Alteration, CHANGES, HARMLESS};
use crate::place::Place;
use crate::scans::kept;

/// Repeats of the power's draws.
const REPEATS: usize = 200;

/// Every change on every scan kept for testing, or on those that limits are chosen on.
pub fn run(place: &Place, validation: bool) -> Result<()> {
    let check = QualityCheck::default();
    let scans: Vec<_> = kept(place, validation)?.into_iter().take(place.options.only).collect();
    let before: Vec<Segmentation> =
        scans.iter().map(|(_, scan, _)| place.segmenter.segment(scan)).collect::<Result<_>>()?;
    println!("| change | pairs that fail | all together |\n|---|---|---|");
    let mut text = String::new();
    for (name, change) in CHANGES.iter().chain(&HARMLESS) {
        let mut records: Vec<PairRecord> = Vec::new();
        for ((subject, scan, labels), before) in scans.iter().zip(&before) {
            let after = place.segmenter.segment(&change(scan, labels)?)?;
            let pair = Pair { name: subject.clone(), before: before.clone(), after, grids: None };
            records.push(pair.record());
        }
        let verdict = check.judge(records);
        let failed = verdict.pairs.iter().filter(|pair| !pair.passed).count();
        let cohort = verdict.cohort.iter().any(|region| !region.failures.is_empty());
        println!(
            "| {name} | {failed} of {} | {} |",
            verdict.pairs.len(),
            if cohort { "fails" } else { "passes" }
        );
        text += &format!("# {name}\n{}", verdict.pairs_csv());
    }
    let suffix = if validation { "-validation" } else { "" };
    place.write(&format!("anatomy-quality-check{suffix}.csv"), &text);
    Ok(())
}

/// What the comparison of cohorts sees of each change, all scans at 2 mm and as many changed ones.
pub fn power_of_cohorts(place: &Place) -> Result<()> {
    let paths = bids::volumes(&place.data("ds002748/T1w_2mm"))?;
    let mut scans = Vec::new();
    for path in &paths {
        let name = path.file_name().expect("a file").to_string_lossy().replace("_T1w", "_seg18");
        let labels = place.data("ds002748/seg18_2mm").join(name);
        scans.push((to_ras(nifti::read(path)?).0, to_ras(nifti::read(labels)?).0));
    }
    let none: Alteration = ("none", |scan, _| Ok(scan.clone()));
    let mut cohorts = Vec::new();
    for (name, change) in std::iter::once(&none).chain(&CHANGES) {
        let measure = |(at, (scan, labels)): (usize, &(Volume, Volume))| {
            let changed = change(scan, labels)?;
            let found = place.segmenter.segment(&changed)?;
            Ok(Volumes::of(format!("{at}"), &found, Some(&Grid::of(&changed))))
        };
        let volumes = scans.iter().enumerate().map(measure).collect::<Result<Vec<_>>>()?;
        eprintln!("{name}: measured");
        cohorts.push((*name, Cohort::of_volumes(&volumes, &QUANTITIES)?));
    }
    let (_, real) = cohorts.remove(0);
    let powers = power(&real, &cohorts, scans.len(), REPEATS, &Settings::default())?;
    println!("{}", power_table(&powers));
    place.write("anatomy-power.csv", &power_csv(&powers));
    Ok(())
}
