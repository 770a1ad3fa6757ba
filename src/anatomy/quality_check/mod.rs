//! The quality check of a changed image: whether structures have the same volume, place and side as before.
//!
//! A [`Pair`] is measured with [`Pair::record`], one at a time, so that only two segmentations need be in memory.
//! [`QualityCheck::judge`] compares the records with limits such as those of `configs/quality-check.toml`, each pair by
//! itself and, where there are enough of them, all together.

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

/// The segmentations of one head before and after a change of its image.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// Its name in tables.
    pub name: String,
    /// The segmentation of the original image.
    pub before: Segmentation,
    /// The segmentation of the changed image, on any grid.
    pub after: Segmentation,
    /// The difference between the grids of the two images, where there is one.
    pub grids: Option<UnlikeGrids>,
}

/// The measured changes of a pair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairRecord {
    /// The pair's name.
    pub name: String,
    /// The check of left and right.
    pub sides: SidesCheck,
    /// The difference between the grids of the two images, where there is one.
    pub grids: Option<UnlikeGrids>,
    /// Each region, in the order of [`REGIONS`].
    pub regions: Vec<RegionChange>,
}

/// The measured changes of a region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegionChange {
    /// The region's name.
    pub region: String,
    /// Its volume before in ml, with partial volumes.
    pub before_ml: f64,
    /// Its volume after in ml, with partial volumes.
    pub after_ml: f64,
    /// `after_ml − before_ml`.
    pub change_ml: f64,
    /// The change in per cent of `before_ml`; `None` if that is zero.
    pub change_percent: Option<f64>,
    /// Dice of its fractions ([`RegionOverlap::dice`]); `None` if neither segmentation has a voxel of it, 0 if only one
    /// has.
    pub dice: Option<f64>,
    /// 95 % Hausdorff distance of its surfaces in mm; `None` if either segmentation has no voxel of it.
    pub hausdorff95_mm: Option<f64>,
    /// Average symmetric distance of its surfaces in mm; `None` if either segmentation has no voxel of it.
    pub surface_distance_mm: Option<f64>,
    /// The reason why no limit is applied to it: its change is not one of the anatomy.
    pub not_judged: Option<String>,
}

impl Pair {
    /// Measures the pair: volumes, Dice and surface distances of every region, and its sides. Each volume is measured
    /// on its own grid.
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
