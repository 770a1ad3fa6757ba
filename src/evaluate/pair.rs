//! Target and prediction, checked for the measures.

use ndarray::{Array3, Axis};

use super::fidelity::{Deviation, deviation_of_slices, extremes};
use super::ssim::same_shape;
use crate::error::{Error, Result};
use crate::volume::{Axis as GridAxis, Volume};

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
    /// # Errors
    /// Several channels, shapes that differ, an empty mask, an intensity that is not finite.
    pub fn new(target: &Volume, prediction: &Volume, mask: Option<&Volume>) -> Result<Self> {
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
    pub fn along(&self, axis: GridAxis) -> Self {
        let mut order = [0, 1, 2];
        order[..=axis as usize].rotate_right(1);
        let turned =
            |image: &Array3<f32>| image.view().permuted_axes(order).as_standard_layout().into_owned();
        let mask =
            self.mask.as_ref().map(|mask| mask.view().permuted_axes(order).as_standard_layout().into_owned());
        Self { target: turned(&self.target), prediction: turned(&self.prediction), mask, ..*self }
    }

    /// The sums over all voxels of both, or those of the mask, and a name of these voxels.
    ///
    /// # Errors
    /// As [`deviation_of_slices`].
    pub fn whole(&self) -> Result<(Deviation, &'static str)> {
        let mask = self.mask.as_ref().map(|mask| mask.view());
        let slices = deviation_of_slices(self.target.view(), self.prediction.view(), mask)?;
        Ok((slices.into_iter().sum(), if mask.is_some() { "voxels of the mask" } else { "whole volume" }))
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
