//! Scans with labels through the segmenter, and how well the two agree.

use voxgan::anatomy::overlap::{Overlap, dice};
use voxgan::anatomy::{REGIONS, Segmentation, Structure};
use voxgan::error::Result;
use voxgan::volume::Volume;

use crate::found::{Found, csv, mean_dice, read};
use crate::pictures::Worst;
use crate::place::Place;
use crate::plexus::with_plexus_as_ventricle;
use crate::statistics::mean;
use crate::table::{STRUCTURES_MEAN, print};
use crate::targets::{GROUPS, Set};

/// A scan and its truth, which may be on another grid.
pub struct Case {
    pub set: &'static Set,
    pub name: String,
    pub scan: Volume,
    pub truth: Segmentation,
}

/// Scores all cases: a table for each of `sets`, every number in `file`, pictures of the worst three of each set.
pub fn part(
    place: &Place,
    file: &str,
    sets: &[&'static Set],
    cases: impl Iterator<Item = Result<Case>>,
) -> Result<()> {
    let mut found = Vec::new();
    let mut worst = Worst::default();
    for case in cases.take(place.options.only) {
        let case = case?;
        let whole = place.segmenter.segment(&case.scan)?;
        let (case, whole) = if case.set.plexus_apart {
            (case, whole)
        } else {
            let truth = with_plexus_as_ventricle(case.truth);
            (Case { truth, ..case }, with_plexus_as_ventricle(whole))
        };
        let there = whole.on(&case.truth.grid());
        let rows = rows(&case, &whole, &there)?;
        let score = mean_dice(rows.iter().filter(|row| GROUPS.contains(&row.region.as_str())));
        eprintln!("{}, {}: mean Dice {score:.3}", case.set.name, case.name);
        found.extend(rows);
        worst.add(score, case, there);
    }
    let before = place.options.against.as_ref().map(|folder| read(&folder.join(file))).unwrap_or_default();
    for set in sets {
        print(set, &found, &before);
    }
    place.write(file, &csv(&found));
    worst.draw(&place.options.pictures, file.trim_end_matches(".csv"))
}

/// Every region of a case: `whole` is what was found on the segmenter's own grid, `there` on that of the truth.
fn rows(case: &Case, whole: &Segmentation, there: &Segmentation) -> Result<Vec<Found>> {
    let overlap = Overlap::of(&case.truth, there)?;
    let labels = Segmentation::of_labels(whole.labels.clone(), whole.affine);
    let row = |region: &str, dice, [truth_ml, found_ml, label_ml]: [f64; 3]| Found {
        set: case.set.name.into(),
        image: case.name.clone(),
        region: region.into(),
        dice,
        truth_ml,
        found_ml,
        label_ml,
    };
    let mut rows: Vec<Found> = REGIONS
        .iter()
        .filter(|region| case.truth.region_ml(region) > 0.0)
        .map(|region| {
            let volumes = [&case.truth, whole, &labels].map(|of| of.region_ml(region));
            row(region.name, overlap.dice(region), volumes)
        })
        .collect();
    rows.push(row(STRUCTURES_MEAN, Some(of_structures(&case.truth, there)), [0.0; 3]));
    Ok(rows)
}

/// Mean Dice over the structures of the brain that the truth has.
fn of_structures(truth: &Segmentation, found: &Segmentation) -> f64 {
    let first = Structure::LeftLateralVentricle.index();
    let dice: Vec<f64> = (first..Structure::ALL.len())
        .map(|k| [truth, found].map(|one| one.labels.mapv(|label| usize::from(label) == k)))
        .filter(|[truth, _]| truth.iter().any(|&inside| inside))
        .filter_map(|[truth, found]| dice(truth.view(), found.view()))
        .collect();
    mean(&dice)
}
