//! The limits of the quality check, read from TOML.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::anatomy::structures::Region;
use crate::error::{Error, Result};
use crate::settings;

/// The limits inside the program.
const DEFAULT: &str = include_str!("../../../configs/quality-check.toml");

/// The limits of changes in anatomy: the content of a limits file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QualityCheck {
    /// Whether left and right may be exchanged.
    pub mirrored_allowed: bool,
    /// Least number of pairs that limits of a cohort are applied to.
    pub cohort_pairs_min: usize,
    /// Limits by name of the region; regions without an entry have no limits.
    pub regions: BTreeMap<String, RegionLimits>,
}

/// Limits of a region; a limit of `None` is not applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegionLimits {
    /// Largest absolute change of its volume, in per cent of the volume before.
    pub change_max_percent: Option<f64>,
    /// Changes up to this many ml pass, whatever their percentage.
    #[serde(alias = "change_floor_ml")]
    pub change_tolerance_ml: f64,
    /// Smallest Dice.
    pub dice_min: Option<f64>,
    /// Largest 95 % Hausdorff distance in millimetres.
    pub hausdorff95_max_mm: Option<f64>,
    /// Limits over all pairs.
    pub cohort: CohortLimits,
}

/// Limits of a region over a cohort of pairs; a limit of `None` is not applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CohortLimits {
    /// Largest absolute mean change of the volume, in per cent.
    pub bias_max_percent: Option<f64>,
    /// Largest absolute value of a 95 % limit of agreement, in per cent.
    pub agreement_max_percent: Option<f64>,
    /// Smallest intraclass correlation for absolute agreement.
    pub icc_min: Option<f64>,
}

impl Default for QualityCheck {
    /// The limits of `configs/quality-check.toml`.
    fn default() -> Self {
        match Self::from_toml(DEFAULT, Path::new("quality-check.toml")) {
            Ok(check) => check,
            Err(error) => unreachable!("the limits inside the program are valid: {error}"),
        }
    }
}

impl QualityCheck {
    /// Parses and validates `text`; `path` is named in errors.
    ///
    /// # Errors
    /// [`Error::File`] with the key's path if `text` is not a valid limits file.
    pub fn from_toml(text: &str, path: &Path) -> Result<Self> {
        let check: Self = settings::parse(text, path)?;
        check.validate().map_err(|error| error.in_file(path))?;
        Ok(check)
    }

    fn validate(&self) -> Result<()> {
        let wrong = |key: String, expected: &str, found: String| {
            Err(Error::value(key, expected, found, "correct or remove this key"))
        };
        if self.cohort_pairs_min < 2 {
            return wrong("cohort_pairs_min".into(), "2 or more", self.cohort_pairs_min.to_string());
        }
        if self.regions.is_empty() {
            return wrong("regions".into(), "limits of at least one region", "none".into());
        }
        for (name, limits) in &self.regions {
            if Region::named(name).is_none() {
                return wrong(
                    format!("regions.{name}"),
                    "a region of `voxgan anatomy volumes`",
                    name.clone(),
                );
            }
            let cohort = &limits.cohort;
            let lengths = [
                ("change_max_percent", limits.change_max_percent),
                ("change_tolerance_ml", Some(limits.change_tolerance_ml)),
                ("hausdorff95_max_mm", limits.hausdorff95_max_mm),
                ("cohort.bias_max_percent", cohort.bias_max_percent),
                ("cohort.agreement_max_percent", cohort.agreement_max_percent),
            ];
            let shares = [("dice_min", limits.dice_min), ("cohort.icc_min", cohort.icc_min)];
            let lengths = lengths.map(|limit| (limit, f64::MAX, "a finite number, 0 or more"));
            let shares = shares.map(|limit| (limit, 1.0, "a number from 0 to 1"));
            for ((key, limit), most, expected) in lengths.into_iter().chain(shares) {
                if let Some(limit) = limit.filter(|limit| !(0.0..=most).contains(limit)) {
                    return wrong(format!("regions.{name}.{key}"), expected, limit.to_string());
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        QualityCheck::from_toml(text, Path::new("my.toml")).unwrap_err().to_string()
    }

    #[test]
    fn the_limits_inside_the_program_are_valid_and_survive_a_round_trip() {
        let check = QualityCheck::default();
        assert!(!check.mirrored_allowed && check.regions.contains_key("lateral_ventricles"));
        let text = toml::to_string(&check).unwrap();
        assert_eq!(QualityCheck::from_toml(&text, Path::new("again.toml")).unwrap(), check);
    }

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        let head = "mirrored_allowed = false\ncohort_pairs_min = 5\n";
        for (rest, expected) in [
            ("[regions.brain]\ndice = 0.9", "my.toml: regions.brain.dice: expected"),
            (
                "[regions.brain.cohort]\nicc_min = 1.2",
                "regions.brain.cohort.icc_min: expected a number from 0",
            ),
            ("[regions.brian]\ndice_min = 0.9", "regions.brian: expected a region"),
            (
                "[regions.brain]\nchange_max_percent = nan",
                "regions.brain.change_max_percent: expected a finite",
            ),
            (
                "[regions.brain]\nchange_floor_ml = -1.0",
                "regions.brain.change_tolerance_ml: expected a finite",
            ),
            ("[regions]", "regions: expected limits of at least one region"),
            ("[regions.brain]\ndice_min = 0.9.1", "line 4"),
        ] {
            let found = error(&format!("{head}{rest}"));
            assert!(found.contains(expected), "{rest}: {found}");
        }
        assert!(error("mirrored_allowed = false\n[regions.brain]").contains("cohort_pairs_min"));
    }
}
