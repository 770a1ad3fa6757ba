//! Thick slices, with or without gaps between them.

use ndarray::Array4;
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::{ALL_AXES, Degraded, draw_axis, uniform};
use crate::acquisition::Complex32;
use crate::acquisition::linear::LinearOperator;
use crate::acquisition::operators::slice_profile::{Profile, SliceProfile, Sliced};
use crate::acquisition::sampling::Axis;
use crate::error::Result;
use crate::volume::Volume;
use crate::volume::resample::{Grid, Interpolation, resample};

/// Ranges of [`ThickSlices`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomThickSlices {
    /// Range of the thickness of a slice in millimetres, `[3, 6]` by default: the width of a boxcar, the full width at
    /// half maximum of a Gaussian.
    pub thickness_mm: [f64; 2],
    /// Range of the gap between slices in millimetres, zero by default.
    pub gap_mm: [f64; 2],
    /// Shape of the slice profile.
    pub shape: ProfileShape,
    /// Axes across the slices to choose from; D by default.
    pub axes: Vec<Axis>,
    /// The interpolation by which the slices are resampled on the volume's grid; `None` for no resampling.
    pub back: Option<Interpolation>,
}

impl Default for RandomThickSlices {
    fn default() -> Self {
        let (thickness_mm, gap_mm) = ([3.0, 6.0], [0.0, 0.0]);
        Self { thickness_mm, gap_mm, shape: ProfileShape::Boxcar, axes: vec![Axis::D], back: None }
    }
}

/// The shape of a slice profile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProfileShape {
    /// Constant within the slice, zero outside.
    #[default]
    Boxcar,
    /// A Gaussian.
    Gaussian,
}

/// Slices of a known profile, at distances of a whole number of voxels and centred in the volume. Voxels at the two
/// ends that are fewer than a distance are not measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThickSlices {
    /// Axis, distance and profile, in voxels.
    pub slices: SliceProfile,
    /// The interpolation by which the slices are resampled on the volume's grid, where unmeasured voxels are 0; `None`
    /// for no resampling.
    pub back: Option<Interpolation>,
}

impl RandomThickSlices {
    /// Draws axis, thickness and gap; the distance between slices, the sum of both, is rounded to whole voxels.
    ///
    /// # Errors
    /// [`Error::Value`](crate::error::Error::Value) for invalid ranges, or axes of one voxel.
    pub fn draw(&self, volume: &Volume, rng: &mut impl Rng) -> Result<ThickSlices> {
        let axes = if self.axes.is_empty() { &ALL_AXES[..] } else { &self.axes[..] };
        let axis = draw_axis(axes, volume, rng)? as usize;
        let spacing_mm = volume.spacing_mm()[2 - axis];
        let thickness_mm =
            uniform("thickness_mm", self.thickness_mm, [f64::MIN_POSITIVE, f64::INFINITY], rng)?;
        let gap_mm = uniform("gap_mm", self.gap_mm, [0.0, f64::INFINITY], rng)?;
        let width = thickness_mm / spacing_mm;
        let profile = match self.shape {
            ProfileShape::Boxcar => Profile::Boxcar { width_voxels: width },
            ProfileShape::Gaussian => Profile::Gaussian { fwhm_voxels: width },
        };
        let factor = (((thickness_mm + gap_mm) / spacing_mm).round() as usize).max(1);
        Ok(ThickSlices { slices: SliceProfile { axis, factor, profile }, back: self.back })
    }
}

impl ThickSlices {
    /// The slices of the volume, with an affine at their measured positions.
    ///
    /// # Errors
    /// As [`SliceProfile::check`].
    pub fn apply(&self, volume: &Volume) -> Result<Degraded> {
        let (channels, d, h, w) = volume.data.dim();
        let sliced = Sliced::new([d, h, w], &self.slices)?;
        let [d, h, w] = self.slices.output([d, h, w]);
        let mut data = Array4::zeros((channels, d, h, w));
        for (from, mut to) in volume.data.outer_iter().zip(data.outer_iter_mut()) {
            let slices = sliced.forward(from.mapv(|value| Complex32::new(value, 0.0)).into_dyn());
            to.iter_mut().zip(&slices).for_each(|(to, z)| *to = z.re);
        }
        let voxel_axis = 2 - self.slices.axis;
        let mut first = [0.0; 3];
        first[voxel_axis] = self.slices.centre_voxels(0, volume.dims()[voxel_axis]);
        let affine = volume.affine.with_origin_at(first).stretched(voxel_axis, self.slices.factor as f64);
        let step =
            format!("slices of {} voxels each along {:?}", self.slices.factor, ALL_AXES[self.slices.axis]);
        let slices = Volume { data, affine, provenance: volume.provenance.clone() }.with_step(step);
        let volume = match self.back {
            None => slices,
            Some(interpolation) => resample(&slices, &Grid::of(volume), interpolation),
        };
        Ok(Degraded { volume, displaced_energy: None })
    }
}
