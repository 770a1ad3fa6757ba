//! Measures of head size.

use serde::{Deserialize, Serialize};

use crate::anatomy::volumes::Volumes;

/// A region whose volume is the measure of head size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadMeasure {
    /// Brain and the fluid around it: the intracranial volume, which atrophy does not change.
    Intracranial,
    /// The brain, for scans without the fluid around it. It shrinks with age and disease.
    Brain,
}

impl HeadMeasure {
    /// The region's name: `intracranial` or `brain`.
    pub fn region(self) -> &'static str {
        match self {
            Self::Intracranial => "intracranial",
            Self::Brain => "brain",
        }
    }
}

/// The head sizes of both cohorts.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadSize {
    pub measure: HeadMeasure,
    /// Head size of each real subject in ml; `None` where it is not known.
    pub real: Vec<Option<f64>>,
    /// Head size of each synthetic subject in ml; `None` where it is not known.
    pub synthetic: Vec<Option<f64>>,
}

impl HeadSize {
    /// The head sizes by `measure`; without one, by intracranial volume if every scan of both cohorts has the fluid
    /// around the brain, or else by brain volume for all.
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
