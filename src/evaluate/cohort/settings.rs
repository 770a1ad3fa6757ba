//! Settings of the comparison of cohorts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Cohort, Quantity};
use crate::error::{Error, Result};
use crate::stats::Sample;

/// The margin of equivalence: the largest difference of the means that counts as none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Margin {
    /// In the quantity's unit.
    Units(f64),
    /// In standard deviations of the real cohort.
    RealSds(f64),
}

impl Margin {
    /// The margin in the unit of these real values.
    pub(super) fn in_units(self, real: &Sample) -> f64 {
        match self {
            Self::Units(margin) => margin,
            Self::RealSds(margin) => margin * real.sd(),
        }
    }
}

/// Settings of the comparison of cohorts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Seed of all draws.
    pub seed: u64,
    /// The significance level of the tests, between 0 and 0.5.
    pub alpha: f64,
    /// Probability of the bootstrap intervals, between 0 and 1.
    pub confidence: f64,
    /// Margin of the equivalence tests; half a real standard deviation by default, a medium effect.
    pub margin: Margin,
    /// Margins of single quantities, by name, instead of `margin`.
    pub margins: BTreeMap<String, Margin>,
    /// Number of bootstrap resamples of each quantity, at least 99.
    pub resamples: usize,
    /// Number of permutations of each joint test, at least 99.
    pub permutations: usize,
    /// Number of splits of the real cohort into halves.
    pub splits: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 0,
            alpha: 0.05,
            confidence: 0.95,
            margin: Margin::RealSds(0.5),
            margins: BTreeMap::new(),
            resamples: 2000,
            permutations: 1999,
            splits: 200,
        }
    }
}

impl Settings {
    /// The margin of this quantity.
    pub(super) fn margin_of(&self, quantity: &Quantity) -> Margin {
        self.margins.get(&quantity.name).copied().unwrap_or(self.margin)
    }

    /// # Errors
    /// [`Error::Value`] for a probability outside 0 to 1, a margin that is not positive, too few draws, or a margin
    /// for a quantity that the real cohort does not have.
    pub(super) fn check(&self, real: &Cohort) -> Result<()> {
        for (key, share, most) in [("alpha", self.alpha, 0.5), ("confidence", self.confidence, 1.0)] {
            if !(share > 0.0 && share < most) {
                let expected = format!("a number between 0 and {most}");
                return Err(Error::value(key, expected, share.to_string(), "0.05 and 0.95 are usual"));
            }
        }
        for (key, count) in [("resamples", self.resamples), ("permutations", self.permutations)] {
            if count < 99 {
                return Err(Error::value(key, "at least 99", count.to_string(), "2000 are usual"));
            }
        }
        if self.splits == 0 {
            return Err(Error::value("splits", "at least one", "none", "200 are usual"));
        }
        for (name, margin) in
            self.margins.iter().map(|(name, margin)| (name.as_str(), margin)).chain([("", &self.margin)])
        {
            let (Margin::Units(size) | Margin::RealSds(size)) = *margin;
            if !(size > 0.0 && size.is_finite()) {
                let key = format!("margin {name}");
                return Err(Error::value(
                    key.trim_end(),
                    "a positive number",
                    size.to_string(),
                    "0.5 real standard deviations are usual",
                ));
            }
            if !name.is_empty() && real.values(name).is_none() {
                let advice = "name a quantity of the cohorts";
                return Err(Error::value("margins", "quantities of the real cohort", name, advice));
            }
        }
        Ok(())
    }
}
