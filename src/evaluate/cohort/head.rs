//! What stands for the size of a head.

use serde::{Deserialize, Serialize};

use crate::anatomy::volumes::Volumes;

/// A region that stands for the size of the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadMeasure {
    /// Brain and the fluid around it: what the skull holds, whatever became of the brain.
    Intracranial,
    /// The brain, where the fluid around it is not in the scans: it shrinks with age and illness.
    Brain,
}

impl HeadMeasure {
    /// The region's name.
    pub fn region(self) -> &'static str {
        match self {
            Self::Intracranial => "intracranial",
            Self::Brain => "brain",
        }
    }
}

/// The sizes of both cohorts' heads.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadSize {
    pub measure: HeadMeasure,
    /// In ml, one a subject; none where it cannot be told.
    pub real: Vec<Option<f64>>,
    /// In ml, one a subject; none where it cannot be told.
    pub synthetic: Vec<Option<f64>>,
}

impl HeadSize {
    /// The sizes by `measure`; without one, by intracranial volume if every scan of both cohorts has the fluid around the
    /// brain, and else by brain volume for all.
    pub fn of(real: &[Volumes], synthetic: &[Volumes], measure: Option<HeadMeasure>) -> Self {
        let sizes = |cohort: &[Volumes], measure: HeadMeasure| -> Vec<Option<f64>> {
            cohort.iter().map(|volumes| size(volumes, measure)).collect()
        };
        let whole = |cohort| sizes(cohort, HeadMeasure::Intracranial).iter().all(Option::is_some);
        let measure = measure.unwrap_or(if whole(real) && whole(synthetic) {
            HeadMeasure::Intracranial
        } else {
            HeadMeasure::Brain
        });
        Self { measure, real: sizes(real, measure), synthetic: sizes(synthetic, measure) }
    }
}

fn size(volumes: &Volumes, measure: HeadMeasure) -> Option<f64> {
    let region = volumes.region(measure.region())?;
    // Volumes has no intracranial share where the fluid around the brain is not in the scan.
    let known = measure == HeadMeasure::Brain || region.intracranial_fraction.is_some();
    Some(region.volume_ml).filter(|&ml| known && ml > 0.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn head(brain_ml: f64, intracranial_ml: Option<f64>) -> Volumes {
        let region = |name: &str, volume_ml: f64| {
            json!({
                "name": name,
                "definition": "",
                "volume_ml": volume_ml,
                "intracranial_fraction": intracranial_ml.map(|all| volume_ml / all),
            })
        };
        let regions =
            [region("intracranial", intracranial_ml.unwrap_or(brain_ml)), region("brain", brain_ml)];
        let record = json!({
            "subject": "s",
            "dims": [1, 1, 1],
            "spacing_mm": [1.0, 1.0, 1.0],
            "regions": regions,
            "measures": [],
            "flags": [],
            "quality": 1.0,
        });
        serde_json::from_value(record).unwrap()
    }

    #[test]
    fn intracranial_volume_needs_the_fluid_of_every_scan() {
        let whole = [head(1100.0, Some(1400.0)), head(1000.0, Some(1500.0))];
        let stripped = [head(1100.0, Some(1400.0)), head(900.0, None), head(0.0, None)];
        let found = HeadSize::of(&whole, &whole, None);
        assert_eq!(
            (found.measure, &found.real[..]),
            (HeadMeasure::Intracranial, &[Some(1400.0), Some(1500.0)][..])
        );
        let found = HeadSize::of(&whole, &stripped, None);
        assert_eq!(found.measure, HeadMeasure::Brain);
        assert_eq!(found.real, [Some(1100.0), Some(1000.0)]);
        assert_eq!(found.synthetic, [Some(1100.0), Some(900.0), None]);
        let asked = HeadSize::of(&whole, &stripped, Some(HeadMeasure::Intracranial));
        assert_eq!(asked.synthetic, [Some(1400.0), None, None]);
    }
}
