//! What was found of a region in one image, beside its truth; as lines of a CSV file.

use std::fmt::Write;
use std::path::Path;

use crate::statistics::mean;

/// A region in one image: truth (or a reference) and what was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Set of images.
    pub set: String,
    pub image: String,
    pub region: String,
    pub dice: Option<f64>,
    pub truth_ml: f64,
    /// With partial volumes.
    pub found_ml: f64,
    /// Of the labelled voxels.
    pub label_ml: f64,
}

impl Found {
    /// Error of the volume in per cent of the truth; none of nothing.
    pub fn signed_percent(&self) -> Option<f64> {
        (self.truth_ml > 0.0).then(|| 100.0 * (self.found_ml / self.truth_ml - 1.0))
    }

    /// The same of the labelled voxels.
    pub fn label_signed_percent(&self) -> Option<f64> {
        (self.truth_ml > 0.0).then(|| 100.0 * (self.label_ml / self.truth_ml - 1.0))
    }
}

/// All rows as CSV.
pub fn csv(found: &[Found]) -> String {
    let mut text = String::from("set,image,region,dice,truth_ml,found_ml,label_ml\n");
    for Found { set, image, region, dice, truth_ml, found_ml, label_ml } in found {
        let dice = dice.map_or_else(String::new, |dice| format!("{dice:.5}"));
        let _ = writeln!(text, "\"{set}\",{image},{region},{dice},{truth_ml:.4},{found_ml:.4},{label_ml:.4}");
    }
    text
}

/// The rows of a file that [`csv`] made; none of one that is not there.
pub fn read(path: &Path) -> Vec<Found> {
    let Ok(text) = std::fs::read_to_string(path) else { return Vec::new() };
    let row = |line: &str| {
        let (set, rest) = line.strip_prefix('"')?.split_once("\",")?;
        let fields: Vec<&str> = rest.split(',').collect();
        let &[image, region, dice, truth, found, label] = &fields[..] else { return None };
        Some(Found {
            set: set.into(),
            image: image.into(),
            region: region.into(),
            dice: dice.parse().ok(),
            truth_ml: truth.parse().ok()?,
            found_ml: found.parse().ok()?,
            label_ml: label.parse().ok()?,
        })
    };
    text.lines().skip(1).map(|line| row(line).unwrap_or_else(|| panic!("{path:?}: {line}"))).collect()
}

/// Mean Dice of some rows.
pub fn mean_dice<'a>(rows: impl IntoIterator<Item = &'a Found>) -> f64 {
    mean(&rows.into_iter().filter_map(|row| row.dice).collect::<Vec<_>>())
}
