//! Ghosts along an axis, from periodic motion during the acquisition (pulsation, breathing).

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::spectrum::through_kspace;
use super::{ALL_AXES, Component, Degraded, check, draw_axis, uniform, whole};
use crate::acquisition::sampling::Axis;
use crate::error::{Error, Result};
use crate::volume::Volume;

/// Ranges of [`Ghosting`], those of torchio's `RandomGhosting`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomGhosting {
    /// Range of the number of ghosts, `[4, 10]` by default.
    pub ghosts: [usize; 2],
    /// Range of the strength, `[0.5, 1]` by default.
    pub strength: [f64; 2],
    /// Range of the part of the axis about the centre of k-space that is unchanged, `[0.02, 0.02]` by default.
    pub restored: [f64; 2],
    /// Axes to choose from.
    pub axes: Vec<Axis>,
    /// Magnitude or real part.
    pub component: Component,
}

impl Default for RandomGhosting {
    fn default() -> Self {
        Self {
            ghosts: [4, 10],
            strength: [0.5, 1.0],
            restored: [0.02, 0.02],
            axes: ALL_AXES.to_vec(),
            component: Component::Magnitude,
        }
    }
}

/// Every n-th plane of k-space across an axis, from the first on, times `1 − strength`, except for those about the
/// centre: n copies of the image at distances of 1/n of the field of view.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ghosting {
    /// The axis along which ghosts appear.
    pub axis: Axis,
    /// Number of ghosts n, one or more.
    pub ghosts: usize,
    /// Strength, 0 (none) to 1 (the planes are lost).
    pub strength: f64,
    /// Part of the axis about the centre of k-space that is unchanged, 0 to 1; the plane of DC always is.
    pub restored: f64,
    /// Magnitude or real part.
    pub component: Component,
}

impl RandomGhosting {
    /// Draws axis, number and strength.
    ///
    /// # Errors
    /// [`Error::Value`] for invalid ranges, or axes of one voxel.
    pub fn draw(&self, volume: &Volume, rng: &mut impl Rng) -> Result<Ghosting> {
        Ok(Ghosting {
            axis: draw_axis(&self.axes, volume, rng)?,
            ghosts: whole("ghosts", self.ghosts, 1, rng)?,
            strength: uniform("strength", self.strength, [0.0, 1.0], rng)?,
            restored: uniform("restored", self.restored, [0.0, 1.0], rng)?,
            component: self.component,
        })
    }
}

impl Ghosting {
    /// The volume with ghosts.
    ///
    /// # Errors
    /// [`Error::Value`] for parameters out of their ranges, as in a damaged record.
    pub fn apply(&self, volume: &Volume) -> Result<Degraded> {
        check("strength", self.strength, [0.0, 1.0])?;
        check("restored", self.restored, [0.0, 1.0])?;
        if self.ghosts == 0 {
            return Err(Error::value("ghosts", "one or more", "0", "leave this degradation out"));
        }
        let planes = volume.data.shape()[1 + self.axis as usize];
        let kept = ((self.restored * planes as f64).round() as usize).max(1);
        let first = planes / 2 - (kept / 2).min(planes / 2);
        let scale = (1.0 - self.strength) as f32;
        let mut degraded = through_kspace(volume, &[0, 1, 2], self.component, |_, mut k| {
            for plane in
                (0..planes).step_by(self.ghosts).filter(|plane| !(first..first + kept).contains(plane))
            {
                k.index_axis_mut(ndarray::Axis(self.axis as usize), plane).mapv_inplace(|z| z * scale);
            }
            Ok(k)
        })?;
        let step = format!("{} ghosts along {:?}, strength {:.3}", self.ghosts, self.axis, self.strength);
        degraded.volume = degraded.volume.with_step(step);
        Ok(degraded)
    }
}
