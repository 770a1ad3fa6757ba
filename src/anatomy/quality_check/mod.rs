//! The quality check that a change of an image must pass: are structures still as large, in the same place and on the same
//! side?
//!
//! A [`Pair`] is measured with [`Pair::record`], one at a time, so that only two segmentations need be in memory.
//! [`QualityCheck::judge`] holds the records against the limits of `configs/quality-check.toml`, each pair by itself and, where there
//! are enough of them, all together.

use serde::{Deserialize, Serialize};

use super::overlap::{RegionOverlap, region_overlaps};
use super::segmentation::Segmentation;
use super::structures::{REGIONS, Region};

mod agreement;
mod digits;
mod fluid;
mod grids;
mod limits;
mod sides;
mod tables;
#[cfg(test)]
mod tests;
mod verdict;

pub use agreement::{BlandAltman, Estimate, IntraclassCorrelation, within_subject_cv};
pub use grids::{GridShape, UnlikeGrids};
pub use limits::{CohortLimits, QualityCheck, RegionLimits};
pub use sides::{Sides, SidesCheck};
pub use verdict::{Failure, Limit, PairVerdict, RegionAgreement, RegionVerdict, Verdict};

/// The same head before and after something was done to its image.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// Its name in tables.
    pub name: String,
    /// The segmentation that should be preserved.
    pub before: Segmentation,
    /// That of the changed image, on any grid.
    pub after: Segmentation,
    /// How the grids of the two images differ, where they do.
    pub grids: Option<UnlikeGrids>,
}

/// What a change did to a pair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairRecord {
    /// The pair's name.
    pub name: String,
    /// What became of left and right.
    pub sides: SidesCheck,
    /// How the grids of the two images differ, where they do.
    pub grids: Option<UnlikeGrids>,
    /// Each region, in the order of [`REGIONS`].
    pub regions: Vec<RegionChange>,
}

/// What a change did to a region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegionChange {
    /// The region's name.
    pub region: String,
    /// Its volume before, with partial volumes.
    pub before_ml: f64,
    /// Its volume after, with partial volumes.
    pub after_ml: f64,
    /// `after_ml − before_ml`.
    pub change_ml: f64,
    /// The change as a percentage of `before_ml`; none of nothing.
    pub change_percent: Option<f64>,
    /// Dice of its fractions ([`RegionOverlap::dice`]); none if neither has any, 0 if one has none.
    pub dice: Option<f64>,
    /// 95 % Hausdorff distance of its surfaces; none if either has no voxels.
    pub hausdorff95_mm: Option<f64>,
    /// Average symmetric distance of its surfaces; none if either has no voxels.
    pub surface_distance_mm: Option<f64>,
    /// Why its change says nothing of the anatomy, where it does not: no limit is held against it.
    pub not_judged: Option<String>,
}

impl Pair {
    /// Measures the pair: volumes, Dice and surface distances of every region, and its sides. Each volume is measured on its
    /// own grid.
    pub fn record(&self) -> PairRecord {
        let Self { name, before, after, grids } = self;
        let fluid = fluid::not_judged(before, after);
        let change = |(region, overlap): (&Region, RegionOverlap)| {
            let [before_ml, after_ml] = [before, after].map(|one| one.region_ml(region));
            let change_ml = after_ml - before_ml;
            RegionChange {
                region: region.name.into(),
                before_ml,
                after_ml,
                change_ml,
                change_percent: (before_ml > 0.0).then(|| 100.0 * change_ml / before_ml),
                dice: overlap.dice,
                hausdorff95_mm: overlap.distance.map(|distance| distance.hausdorff95_mm),
                surface_distance_mm: overlap.distance.map(|distance| distance.mean_mm),
                not_judged: fluid.clone().filter(|_| fluid::within(region)),
            }
        };
        let overlaps = region_overlaps(before, after, &REGIONS);
        PairRecord {
            name: name.clone(),
            sides: SidesCheck::of(before, after),
            grids: grids.clone(),
            regions: REGIONS.iter().zip(overlaps).map(change).collect(),
        }
    }
}
