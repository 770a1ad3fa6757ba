//! The space of a restoration network's training images.

use serde::{Deserialize, Serialize};

use super::Weights;
use crate::error::{Error, Result};
use crate::volume::intensity::Normalisation;

/// The key of the space in a checkpoint's metadata.
pub const KEY: &str = "space";

/// By what part voxels may be smaller or larger than those that a network learned on. The networks inside the program
/// learned on 1 mm; scanners' "1 mm" goes from 0.8 to 1.2.
const SIZE_TOLERANCE: f64 = 0.25;

/// The space of a restoration network's images: normalisation, voxel size and channels. It is stored in the checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageSpace {
    /// The normalisation of scans.
    pub normalisation: Normalisation,
    /// Voxel size along (i, j, k) of RAS+ in millimetres; `None` where it was not recorded.
    pub spacing_mm: Option<[f64; 3]>,
    /// Number of channels of an image.
    pub channels: usize,
}

impl Default for ImageSpace {
    /// That of weights that say nothing: version 0.1.0 took what `voxgan prepare` makes by default, of grey images.
    fn default() -> Self {
        Self { normalisation: Normalisation::default(), spacing_mm: None, channels: 1 }
    }
}

impl ImageSpace {
    /// Images of one channel with voxels of 1 mm: the space of label maps, and of the networks inside the program.
    pub fn of_1_mm() -> Self {
        Self { spacing_mm: Some([1.0; 3]), ..Self::default() }
    }

    /// The space in the metadata of `weights`, or else `otherwise`.
    ///
    /// # Errors
    /// [`Error::File`] for metadata that is no valid space.
    pub fn of(weights: &Weights, otherwise: impl FnOnce() -> Self) -> Result<Self> {
        let Some(text) = weights.metadata.get(KEY) else { return Ok(otherwise()) };
        let space: Self = serde_json::from_str(text).map_err(|e| {
            let advice = "use an undamaged file";
            Error::file(
                &weights.path,
                "metadata space",
                "normalisation, voxel size and channels",
                e.to_string(),
                advice,
            )
        })?;
        let sound = |mm: f64| mm > 0.0 && mm.is_finite();
        if space.spacing_mm.is_some_and(|sizes| !sizes.into_iter().all(sound)) {
            let (expected, found) = ("positive voxel sizes", format!("{:?}", space.spacing_mm));
            return Err(Error::file(
                &weights.path,
                "metadata space",
                expected,
                found,
                "use an undamaged file",
            ));
        }
        Ok(space)
    }

    /// The voxel size along (i, j, k) that an image of `spacing_mm` is to be resampled to: the size of the training
    /// along those of `axes` on which both differ by more than a quarter, the image's own along the others; `None`
    /// where no axis differs.
    pub fn other_spacing(&self, spacing_mm: [f64; 3], axes: [bool; 3]) -> Option<[f64; 3]> {
        let learned = self.spacing_mm?;
        let differs = |axis: usize| {
            let ratio = spacing_mm[axis] / learned[axis];
            axes[axis] && ratio.max(1.0 / ratio) > 1.0 + SIZE_TOLERANCE + 1e-6
        };
        let fitting = [0, 1, 2].map(|axis| if differs(axis) { learned[axis] } else { spacing_mm[axis] });
        (0..3).any(differs).then_some(fitting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_axes_that_differ_change() {
        let space = ImageSpace::of_1_mm();
        let all = [true; 3];
        assert_eq!(space.other_spacing([0.8, 1.25, 1.0], all), None);
        assert_eq!(space.other_spacing([1.2, 0.5, 4.0], all), Some([1.2, 1.0, 1.0]));
        assert_eq!(space.other_spacing([1.2, 0.5, 4.0], [true, false, true]), Some([1.2, 0.5, 1.0]));
        assert_eq!(ImageSpace::default().other_spacing([9.0; 3], all), None);
    }

    #[test]
    fn a_space_is_read_as_it_was_written_and_nothing_else_is() {
        let mut weights = Weights::default();
        assert_eq!(ImageSpace::of(&weights, ImageSpace::default).unwrap(), ImageSpace::default());
        let space = ImageSpace {
            normalisation: Normalisation::Percentile { low: 1.0, high: 98.0 },
            spacing_mm: Some([2.0, 2.0, 4.0]),
            channels: 1,
        };
        weights.metadata.insert(KEY.into(), serde_json::to_string(&space).unwrap());
        assert_eq!(ImageSpace::of(&weights, ImageSpace::default).unwrap(), space);
        for wrong in ["{}", "no", &serde_json::to_string(&space).unwrap().replace("4.0", "0.0")] {
            weights.metadata.insert(KEY.into(), wrong.into());
            assert!(ImageSpace::of(&weights, ImageSpace::default).unwrap_err().to_string().contains("space"));
        }
    }
}
