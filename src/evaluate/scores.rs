//! Scores with their units and details.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::plan::Plan;

/// The value of a measure with its unit and details.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The measure.
    pub name: String,
    /// Its value; infinite for the PSNR of equal images (`null` in JSON).
    pub value: f64,
    /// Its unit: `dB`, or an empty text.
    pub unit: String,
    /// Dimensions, kernel, range and region.
    pub detail: String,
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        // Decimals where numbers of order one have them, digits where they are far from it.
        let (size, unit) = (self.value.abs(), &self.unit);
        let value = match size {
            _ if !unit.is_empty() => format!("{:.2} {unit}", self.value),
            1e-2..1e3 => format!("{:.4}", self.value),
            0.0 => "0".to_string(),
            _ => format!("{:.4e}", self.value),
        };
        write!(f, "{:<24} {value:>12}  ({})", self.name, self.detail)
    }
}

/// The scores of one prediction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// The plan of the score.
    pub plan: Plan,
    /// Shape of the volumes, `[D, H, W]`.
    pub shape: [usize; 3],
    /// Number of voxels of the mask; `None` without a mask.
    pub mask_voxels: Option<usize>,
    /// The measures, those of the profile first.
    pub scores: Vec<Score>,
    /// Differences from the publication, and measures that were left out with the reason.
    pub notes: Vec<String>,
}

impl Scores {
    /// The score of this name; `None` if there is none.
    pub fn get(&self, name: &str) -> Option<&Score> {
        self.scores.iter().find(|score| score.name == name)
    }

    /// Profile, shape, slices and mask in a line.
    pub fn header(&self) -> String {
        let [d, h, w] = self.shape;
        let mask = match self.mask_voxels {
            None => "no mask".to_string(),
            Some(voxels) => format!("mask of {voxels} voxels"),
        };
        let Plan { profile, axis, .. } = &self.plan;
        format!("profile {profile}, volume {d}×{h}×{w}, slices along {axis:?}, {mask}")
    }

    /// Adds a score.
    pub(super) fn add(&mut self, name: &str, value: f64, unit: &str, detail: impl Into<String>) {
        self.scores.push(Score { name: name.into(), value, unit: unit.into(), detail: detail.into() });
    }

    /// Adds the mean of those slices that have a value, and their standard deviation.
    pub(super) fn add_mean(&mut self, name: &str, values: &[Option<f64>], unit: &str, detail: &str) {
        let known: Vec<f64> = values.iter().flatten().copied().collect();
        if known.is_empty() {
            self.notes.push(format!("{name} is left out: no slice has a value"));
            return;
        }
        let count = known.len() as f64;
        let mean = known.iter().sum::<f64>() / count;
        let deviation = (known.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
        let of = if known.len() == values.len() { String::new() } else { format!(" of {}", values.len()) };
        let spread = format!("mean of {}{of} slices, their SD {deviation:.4}", known.len());
        self.add(name, mean, unit, format!("{detail}; {spread}"));
    }
}

impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "{}", self.header())?;
        self.scores.iter().try_for_each(|score| writeln!(f, "  {score}"))?;
        self.notes.iter().try_for_each(|note| writeln!(f, "  note: {note}"))
    }
}
