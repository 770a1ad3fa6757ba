//! Scores of a prediction against its target: what is asked for, and numbers that say what they rest on.

use std::fmt;

use ndarray::{Array3, Axis};
use serde::{Deserialize, Serialize};

use super::fidelity::extremes;
use super::profile::Profile;
use super::ssim::same_shape;
use crate::error::{Error, Result};
use crate::volume::Volume;

/// The axis of `[D, H, W]` along which slices are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SliceAxis {
    /// Slices `[H, W]`: the third voxel axis of a NIfTI file.
    #[default]
    D,
    /// Slices `[D, W]`: its second.
    H,
    /// Slices `[D, H]`: its first.
    W,
}

impl SliceAxis {
    /// All three.
    pub const ALL: [Self; 3] = [Self::D, Self::H, Self::W];

    /// The axes with this one first, the others in order.
    const fn order(self) -> [usize; 3] {
        match self {
            Self::D => [0, 1, 2],
            Self::H => [1, 0, 2],
            Self::W => [2, 0, 1],
        }
    }
}

/// What to score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Whose definitions.
    pub profile: Profile,
    /// The slices of two-dimensional measures.
    pub axis: SliceAxis,
    /// Data range, for a profile that leaves it to its user (MONAI); by default the target's maximum − minimum.
    pub data_range: Option<f64>,
    /// Measures beyond those of the profile, too.
    pub all: bool,
}

impl Plan {
    /// The measures of `profile`, slices along D.
    pub fn new(profile: Profile) -> Self {
        Self { profile, axis: SliceAxis::D, data_range: None, all: false }
    }
}

/// A number and what it rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The measure.
    pub name: String,
    /// Its value; infinite for the PSNR of equal images, which JSON has no number for (null).
    pub value: f64,
    /// Its unit: `dB`, or nothing.
    pub unit: String,
    /// Dimensions, kernel, range, region.
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
    /// What was asked for.
    pub plan: Plan,
    /// Shape of the volumes, `[D, H, W]`.
    pub shape: [usize; 3],
    /// Voxels of the mask, where there is one.
    pub mask_voxels: Option<usize>,
    /// The measures, those of the profile first.
    pub scores: Vec<Score>,
    /// What differs from the publication, and what was left out and why.
    pub notes: Vec<String>,
}

impl Scores {
    /// The score of this name.
    pub fn get(&self, name: &str) -> Option<&Score> {
        self.scores.iter().find(|score| score.name == name)
    }

    /// Profile, slices and mask in a line.
    pub fn header(&self) -> String {
        let [d, h, w] = self.shape;
        let mask = match self.mask_voxels {
            None => "no mask".to_string(),
            Some(voxels) => format!("mask of {voxels} voxels"),
        };
        let Plan { profile, axis, .. } = &self.plan;
        format!("profile {profile}, volume {d}×{h}×{w}, slices along {axis:?}, {mask}")
    }
}

impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "{}", self.header())?;
        self.scores.iter().try_for_each(|score| writeln!(f, "  {score}"))?;
        self.notes.iter().try_for_each(|note| writeln!(f, "  note: {note}"))
    }
}

/// Target and prediction as measures take them: finite, of one shape, slices first.
pub(super) struct Pair {
    pub target: Array3<f32>,
    pub prediction: Array3<f32>,
    pub mask: Option<Array3<bool>>,
    /// Smallest and largest intensity of the whole target.
    pub target_extremes: [f64; 2],
    pub prediction_extremes: [f64; 2],
}

impl Pair {
    fn new(target: &Volume, prediction: &Volume, mask: Option<&Volume>) -> Result<Self> {
        for (volume, name) in [(target, "target"), (prediction, "prediction")] {
            if volume.channels() != 1 {
                let found = format!("{} channels {}", volume.channels(), volume.provenance.source);
                let advice = "score channels one by one, complex images by their magnitude";
                return Err(Error::value(name, "one channel", found.trim_end(), advice));
            }
        }
        let (target, prediction) =
            (target.data.index_axis(Axis(0), 0), prediction.data.index_axis(Axis(0), 0));
        same_shape(target.shape(), prediction.shape())?;
        let mask = mask.map(|mask| inside(mask, target.dim())).transpose()?;
        Ok(Self {
            target: target.to_owned(),
            prediction: prediction.to_owned(),
            mask,
            target_extremes: extremes(target)?,
            prediction_extremes: extremes(prediction)?,
        })
    }

    /// The pair with slices along `axis` first.
    pub fn along(&self, axis: SliceAxis) -> Self {
        let [first, second, third] = axis.order();
        let turned = |image: &Array3<f32>| {
            image.view().permuted_axes([first, second, third]).as_standard_layout().into_owned()
        };
        let mask = self
            .mask
            .as_ref()
            .map(|mask| mask.view().permuted_axes([first, second, third]).as_standard_layout().into_owned());
        Self { target: turned(&self.target), prediction: turned(&self.prediction), mask, ..*self }
    }
}

/// The voxels of `mask` that are not zero.
fn inside(mask: &Volume, shape: (usize, usize, usize)) -> Result<Array3<bool>> {
    let (channels, d, h, w) = mask.data.dim();
    let inside = mask.data.index_axis(Axis(0), 0).mapv(|value| value != 0.0);
    let count = inside.iter().filter(|inside| **inside).count();
    if channels == 1 && (d, h, w) == shape && count > 0 {
        return Ok(inside);
    }
    let found = format!("{channels}×{d}×{h}×{w}, {count} of them not zero {}", mask.provenance.source);
    let expected = format!("1×{}×{}×{} voxels, some of them not zero", shape.0, shape.1, shape.2);
    Err(Error::value("mask", expected, found.trim_end(), "make the mask on the target's grid"))
}

/// Scores `prediction` against `target` by the definitions of `plan.profile`.
///
/// Both have one channel, and one shape; where they lie in the world is not looked at (see [`check_grids`](crate::volume::check_grids)). `mask` is
/// a volume of that shape, inside wherever it is not zero. With it, errors are those of the voxels inside, and local
/// measures (SSIM, MS-SSIM, VIF, HaarPSI) are pooled over the positions whose centre is inside, while a window still
/// sees what lies around; ranges are those of the whole volumes. `sanchez` masks in its own way, by multiplication.
///
/// # Errors
/// [`Error::Value`] for several channels, shapes that differ, an empty mask or none where the profile asks for one, an
/// intensity that is not finite, a target without contrast, a grid that is smaller than the profile's window, a data
/// range where the profile has its own.
pub fn score(target: &Volume, prediction: &Volume, mask: Option<&Volume>, plan: &Plan) -> Result<Scores> {
    let (_, d, h, w) = target.data.dim();
    let pair = Pair::new(target, prediction, mask)?;
    let mut scores = Scores {
        plan: plan.clone(),
        shape: [d, h, w],
        mask_voxels: pair.mask.as_ref().map(|mask| mask.iter().filter(|inside| **inside).count()),
        scores: Vec::new(),
        notes: Vec::new(),
    };
    plan.profile.measure(&pair, &mut scores)?;
    Ok(scores)
}

#[cfg(test)]
mod tests {
    use nalgebra::Matrix4;
    use ndarray::Array4;

    use super::*;

    fn volume(shape: (usize, usize, usize), k: usize) -> Volume {
        let (d, h, w) = shape;
        let data = Array4::from_shape_fn((1, d, h, w), |(_, d, h, w)| {
            ((d * 3 + h * h * (5 + k) + w * 7 + h * w * d) % 97) as f32
        });
        Volume::new(data, Matrix4::identity())
    }

    #[test]
    fn the_axis_of_slices_is_a_permutation() {
        let shape = (12, 13, 14);
        let (a, b) = (volume(shape, 0), volume(shape, 1));
        let along = |axis| {
            let plan = Plan { axis, ..Plan::new(Profile::FastMri) };
            score(&a, &b, None, &plan).unwrap().get("SSIM").unwrap().value
        };
        for (axis, order) in [(SliceAxis::H, [0, 2, 1, 3]), (SliceAxis::W, [0, 3, 1, 2])] {
            let turn = |v: &Volume| Volume::new(v.data.clone().permuted_axes(order), v.affine);
            let turned = score(&turn(&a), &turn(&b), None, &Plan::new(Profile::FastMri)).unwrap();
            assert_eq!(along(axis), turned.get("SSIM").unwrap().value);
        }
        assert_ne!(along(SliceAxis::D), along(SliceAxis::H));
    }

    #[test]
    fn numbers_say_what_they_rest_on() {
        let (a, b) = (volume((11, 12, 13), 0), volume((11, 12, 13), 1));
        let text = score(&a, &b, None, &Plan::new(Profile::FastMri)).unwrap().to_string();
        for word in ["profile fastmri", "slices along D", "no mask", "uniform 7×7", "range 96", "dB"] {
            assert!(text.contains(word), "{word} is missing in\n{text}");
        }
        let equal = score(&a, &a, None, &Plan { all: true, ..Plan::new(Profile::Monai) }).unwrap();
        assert_eq!(equal.get("PSNR").unwrap().value, f64::INFINITY);
        assert!(equal.notes.iter().any(|note| note.contains("VIF")), "{:?}", equal.notes);
        let json: serde_json::Value = serde_json::to_value(&equal).unwrap();
        assert_eq!(json["plan"]["profile"], "monai");
    }

    #[test]
    fn what_cannot_be_scored_is_an_error() {
        let (a, b) = (volume((8, 9, 10), 0), volume((8, 9, 10), 1));
        let plan = Plan::new(Profile::FastMri);
        let refused = |a: &Volume, b: &Volume, mask: Option<&Volume>, plan: &Plan| {
            score(a, b, mask, plan).unwrap_err().to_string()
        };
        assert!(refused(&a, &volume((8, 10, 9), 1), None, &plan).contains("[8, 10, 9]"));
        let coloured = Volume::new(Array4::zeros((3, 8, 9, 10)), Matrix4::identity());
        assert!(refused(&coloured, &coloured, None, &plan).contains("channel"));
        let empty = Volume::new(Array4::zeros((1, 8, 9, 10)), Matrix4::identity());
        assert!(refused(&a, &b, Some(&empty), &plan).contains("mask"));
        assert!(refused(&empty, &b, None, &plan).contains("target"));
        assert!(refused(&a, &b, Some(&volume((8, 9, 11), 1)), &plan).contains("1×8×9×10"));
        assert!(refused(&a, &b, None, &Plan::new(Profile::Sanchez)).contains("--mask"));
        assert!(refused(&a, &b, None, &Plan { data_range: Some(1.0), ..plan.clone() }).contains("monai"));
        let small = volume((8, 6, 10), 0);
        assert!(refused(&small, &small, None, &plan).contains("1×7×7"));
        let mut broken = b.clone();
        broken.data[[0, 1, 1, 1]] = f32::NAN;
        assert!(refused(&a, &broken, None, &plan).contains("NaN"));
    }
}
