//! The verdict of the quality check on pairs and on their cohort.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::agreement::{BlandAltman, IntraclassCorrelation, within_subject_cv};
use super::digits::{beside, both_beside, signed_beside};
use super::grids::UnlikeGrids;
use super::limits::{CohortLimits, QualityCheck, RegionLimits};
use super::sides::{Sides, SidesCheck};
use super::{PairRecord, RegionChange};
use crate::anatomy::structures::{REGIONS, Region};

/// The kind of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Change of volume in per cent, beyond the tolerance in millilitres.
    VolumeChange,
    /// Dice.
    Dice,
    /// 95 % Hausdorff distance in millimetres.
    Hausdorff95,
    /// Left and right.
    Sides,
    /// Mean change of volume over the pairs, in per cent.
    Bias,
    /// 95 % limits of agreement in per cent.
    LimitsOfAgreement,
    /// Intraclass correlation for absolute agreement.
    IntraclassCorrelation,
}

/// A limit that is not met.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Its kind.
    pub limit: Limit,
    /// The measured value; `None` where it cannot be measured because the region is missing.
    pub value: Option<f64>,
    /// The limit's value.
    pub bound: f64,
    /// A sentence with both.
    pub sentence: String,
}

/// The verdict on all pairs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether there are pairs, and every pair and the cohort meet every limit.
    pub passed: bool,
    /// The verdict on each pair.
    pub pairs: Vec<PairVerdict>,
    /// The agreement of each region over all pairs; empty for fewer than two pairs.
    pub cohort: Vec<RegionAgreement>,
}

/// The verdict on a pair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairVerdict {
    /// The pair's name.
    pub name: String,
    /// Whether it meets every limit.
    pub passed: bool,
    /// The check of left and right.
    pub sides: SidesCheck,
    /// The failure of that check, unless the limits allow it.
    pub sides_failure: Option<Failure>,
    /// The difference between the grids of the two images, where there is one.
    pub grids: Option<UnlikeGrids>,
    /// The verdict on each region.
    pub regions: Vec<RegionVerdict>,
}

/// The verdict on a region of a pair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegionVerdict {
    /// The measured changes.
    #[serde(flatten)]
    pub change: RegionChange,
    /// Whether it has limits; they are applied unless [`RegionChange::not_judged`] has a reason.
    pub limited: bool,
    /// The limits that it does not meet.
    pub failures: Vec<Failure>,
}

/// Agreement of a region's volumes before and after, over all pairs that it is judged in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegionAgreement {
    /// The region's name.
    pub region: String,
    /// Changes in ml; `None` with fewer than two pairs.
    pub change_ml: Option<BlandAltman>,
    /// Changes in per cent of the volumes before, of pairs that had it before; `None` with fewer than two of them.
    pub change_percent: Option<BlandAltman>,
    /// Intraclass correlation of the volumes before and after; `None` if all are equal or with fewer than two pairs.
    pub icc: Option<IntraclassCorrelation>,
    /// Within-subject coefficient of variation in per cent; `None` if both volumes of a pair are zero.
    pub within_subject_cv_percent: Option<f64>,
    /// Whether limits of a cohort were applied: the region has some, and is judged in enough pairs.
    pub judged: bool,
    /// The limits of a cohort that it does not meet; none are applied below [`QualityCheck::cohort_pairs_min`] pairs.
    pub failures: Vec<Failure>,
}

impl QualityCheck {
    /// Compares measured pairs with the limits. An empty list does not pass.
    pub fn judge(&self, records: Vec<PairRecord>) -> Verdict {
        let cohort = if records.len() < 2 { Vec::new() } else { self.judge_cohort(&records) };
        let pairs: Vec<PairVerdict> = records.into_iter().map(|record| self.judge_pair(record)).collect();
        let passed = !pairs.is_empty()
            && pairs.iter().all(|pair| pair.passed)
            && cohort.iter().all(|region| region.failures.is_empty());
        Verdict { passed, pairs, cohort }
    }

    fn judge_pair(&self, PairRecord { name, sides, grids, regions }: PairRecord) -> PairVerdict {
        let judge = |change: RegionChange| {
            let limits = self.regions.get(&change.region);
            let applied = limits.filter(|_| change.not_judged.is_none());
            let failures = applied.map_or_else(Vec::new, |limits| limits.failures(&change));
            RegionVerdict { change, limited: limits.is_some(), failures }
        };
        let regions: Vec<RegionVerdict> = regions.into_iter().map(judge).collect();
        let sides_failure = sides.failure().filter(|_| !self.mirrored_allowed);
        let passed = sides_failure.is_none() && regions.iter().all(|region| region.failures.is_empty());
        PairVerdict { name, passed, sides, sides_failure, grids, regions }
    }

    fn judge_cohort(&self, records: &[PairRecord]) -> Vec<RegionAgreement> {
        let agreement = |(index, region): (usize, &Region)| {
            let changes = records.iter().map(|record| &record.regions[index]);
            let changes: Vec<&RegionChange> = changes.filter(|change| change.not_judged.is_none()).collect();
            let volumes_ml: Vec<[f64; 2]> =
                changes.iter().map(|change| [change.before_ml, change.after_ml]).collect();
            let percent: Vec<f64> = changes.iter().filter_map(|change| change.change_percent).collect();
            let limits = self.regions.get(region.name).map(|limits| limits.cohort);
            let limits = limits.filter(|limits| {
                changes.len() >= self.cohort_pairs_min && *limits != CohortLimits::default()
            });
            let mut agreement = RegionAgreement {
                region: region.name.into(),
                change_ml: BlandAltman::of(
                    &changes.iter().map(|change| change.change_ml).collect::<Vec<_>>(),
                ),
                change_percent: BlandAltman::of(&percent),
                icc: IntraclassCorrelation::of(&volumes_ml),
                within_subject_cv_percent: within_subject_cv(&volumes_ml).map(|cv| 100.0 * cv),
                judged: limits.is_some(),
                failures: Vec::new(),
            };
            agreement.failures = limits.map_or_else(Vec::new, |limits| limits.failures(&agreement));
            agreement
        };
        REGIONS.iter().enumerate().map(agreement).collect()
    }
}

impl RegionLimits {
    /// The limits of a pair that a region does not keep.
    fn failures(&self, change: &RegionChange) -> Vec<Failure> {
        let RegionChange { region, before_ml, after_ml, .. } = change;
        let mut failures = Vec::new();
        let mut fail = |limit, value, bound, sentence| {
            failures.push(Failure { limit, value, bound, sentence });
        };
        if let Some(most) = self.change_max_percent
            && !at_most(change.change_ml.abs(), self.change_tolerance_ml)
            && !change.change_percent.is_some_and(|percent| at_most(percent.abs(), most))
        {
            let by = change.change_percent.map_or("from nothing".to_string(), |percent| {
                format!("by {} %", signed_beside(percent, most, 1))
            });
            let sentence = format!(
                "{region} changed {by}, from {before_ml:.2} to {after_ml:.2} ml; at most ±{most} % may be"
            );
            fail(Limit::VolumeChange, change.change_percent, most, sentence);
        }
        if let Some(least) = self.dice_min
            && let Some(dice) = change.dice
            && !at_most(least, dice)
        {
            let sentence = format!(
                "{region} overlaps with a Dice of {}; at least {least} is asked for",
                beside(dice, least, 3)
            );
            fail(Limit::Dice, Some(dice), least, sentence);
        }
        if let Some(most) = self.hausdorff95_max_mm {
            match change.hausdorff95_mm {
                Some(mm) if !at_most(mm, most) => {
                    let shown = beside(mm, most, 2);
                    let sentence = format!(
                        "{region}: its surface moved by {shown} mm (95 % Hausdorff); at most {most} mm may be"
                    );
                    fail(Limit::Hausdorff95, Some(mm), most, sentence);
                }
                // It has voxels, but not in both.
                None if change.dice.is_some() => {
                    let which = if after_ml < before_ml { "gone after" } else { "missing before" };
                    let sentence = format!(
                        "{region} is {which}, so that its surface has no distance; at most {most} mm may be"
                    );
                    fail(Limit::Hausdorff95, None, most, sentence);
                }
                _ => {}
            }
        }
        failures
    }
}

impl CohortLimits {
    /// The limits of a cohort that a region does not keep; what could not be estimated keeps them.
    fn failures(&self, agreement: &RegionAgreement) -> Vec<Failure> {
        let region = &agreement.region;
        let mut failures = Vec::new();
        let mut fail = |limit, value, bound, sentence| {
            failures.push(Failure { limit, value: Some(value), bound, sentence });
        };
        if let Some(change) = &agreement.change_percent {
            let bias = change.bias.value;
            if let Some(most) = self.bias_max_percent.filter(|&most| !at_most(bias.abs(), most)) {
                let shown = signed_beside(bias, most, 2);
                let sentence = format!("{region} changed by {shown} % on average; at most ±{most} % may be");
                fail(Limit::Bias, bias, most, sentence);
            }
            let [low, high] = [change.lower_limit.value, change.upper_limit.value];
            let farther = if low.abs() > high.abs() { low } else { high };
            if let Some(most) = self.agreement_max_percent.filter(|&most| !at_most(farther.abs(), most)) {
                let [low, high] = [low, high].map(|limit| signed_beside(limit, most, 2));
                let sentence = format!(
                    "{region}: 95 % of its changes lie between {low} and {high} %; at most ±{most} % may be"
                );
                fail(Limit::LimitsOfAgreement, farther, most, sentence);
            }
        }
        if let Some(icc) = agreement.icc.map(|icc| icc.agreement.value)
            && let Some(least) = self.icc_min.filter(|&least| !at_most(least, icc))
        {
            let shown = beside(icc, least, 3);
            let sentence = format!(
                "{region}: intraclass correlation of {shown} (absolute agreement); at least {least} is asked for"
            );
            fail(Limit::IntraclassCorrelation, icc, least, sentence);
        }
        failures
    }
}

impl SidesCheck {
    /// What is wrong with left and right.
    fn failure(&self) -> Option<Failure> {
        let (best, what) = match self.found {
            Sides::Kept => return None,
            Sides::Mirrored => (self.mirrored, "the mirror image of before"),
            Sides::Exchanged => (self.exchanged, "before with the names of left and right exchanged"),
            Sides::Flipped => (self.flipped, "before flipped from left to right, names and all"),
        };
        let [better, kept] = both_beside(best, self.kept, 3);
        let sentence = format!(
            "after is {what}: it agrees with that better (mean Dice {better}) than with before itself ({kept})"
        );
        Some(Failure { limit: Limit::Sides, value: Some(self.kept), bound: best, sentence })
    }
}

/// Whether `value` keeps the bound `most`; what is not a number does not.
fn at_most(value: f64, most: f64) -> bool {
    value <= most
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::VolumeChange => "volume",
            Self::Dice => "dice",
            Self::Hausdorff95 => "hausdorff95",
            Self::Sides => "sides",
            Self::Bias => "bias",
            Self::LimitsOfAgreement => "limits of agreement",
            Self::IntraclassCorrelation => "icc",
        })
    }
}
