//! Thick slices: the blur by the profile of a slice-selective pulse, sampled at the slices' distance.

use ndarray::{Array2, ArrayD, Axis, Zip};
use serde::{Deserialize, Serialize};

use crate::acquisition::ComplexArray;
use crate::acquisition::linear::LinearOperator;
use crate::error::{Error, Result};

/// Half-widths at half maximum of a Gaussian at which it is cut off: 2⁻¹⁶ of its height.
const GAUSSIAN_REACH: f64 = 4.0;
/// Pieces per voxel that stand for a smooth profile.
const PIECES: f64 = 32.0;

/// Slices along one axis, each a mean of voxels weighted by the profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SliceProfile {
    /// The axis across the slices: 0, 1 or 2 of `[D, H, W]`.
    pub axis: usize,
    /// Distance of neighbouring slices in voxels.
    pub factor: usize,
    /// The sensitivity across a slice.
    pub profile: Profile,
}

/// The sensitivity across a slice; it is normalised to sum one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Profile {
    /// Constant within the slice, zero outside.
    Boxcar {
        /// Thickness of a slice in voxels; more than the slices' distance where they overlap, less where there is a
        /// gap.
        width_voxels: f64,
    },
    /// A Gaussian.
    Gaussian {
        /// Full width at half maximum in voxels.
        fwhm_voxels: f64,
    },
    /// A measured or computed profile.
    Measured {
        /// Sensitivities at distances of one voxel, the middle of the list in the middle of the slice.
        weights: Vec<f64>,
    },
}

impl Profile {
    /// The profile as pieces of constant height: from, to (in voxels from the slice's centre) and the area of each;
    /// areas sum to one.
    fn pieces(&self) -> Vec<(f64, f64, f64)> {
        let centred = |width: f64, areas: Vec<f64>| -> Vec<(f64, f64, f64)> {
            let total: f64 = areas.iter().sum();
            let start = -0.5 * width * areas.len() as f64;
            let piece = |(t, area)| (start + width * t as f64, start + width * (t + 1) as f64, area / total);
            areas.into_iter().enumerate().map(piece).collect()
        };
        match self {
            Self::Boxcar { width_voxels } => centred(*width_voxels, vec![1.0]),
            Self::Measured { weights } => centred(1.0, weights.clone()),
            Self::Gaussian { fwhm_voxels } => {
                let half = fwhm_voxels / 2.0;
                let count = (2.0 * GAUSSIAN_REACH * half * PIECES).ceil().max(PIECES);
                let width = 2.0 * GAUSSIAN_REACH * half / count;
                let middle = |t: usize| (t as f64 + 0.5 - 0.5 * count) * width;
                let areas = (0..count as usize).map(|t| (-(middle(t) / half).powi(2) * 2f64.ln()).exp());
                centred(width, areas.collect())
            }
        }
    }
}

impl SliceProfile {
    /// The number of slices of an axis of `length` voxels, `⌊length / factor⌋`; they are centred in it.
    pub fn slices(&self, length: usize) -> usize {
        length / self.factor
    }

    /// The shape `[D, H, W]` of the slices of an image of this shape.
    pub fn output(&self, mut shape: [usize; 3]) -> [usize; 3] {
        shape[self.axis] = self.slices(shape[self.axis]);
        shape
    }

    /// The position of slice `slice` in an axis of `length` voxels, in voxels from the centre of the first voxel.
    pub fn centre_voxels(&self, slice: usize, length: usize) -> f64 {
        let (last, slices) = (length as f64 - 1.0, self.slices(length) as f64);
        0.5 * last + (slice as f64 - 0.5 * (slices - 1.0)) * self.factor as f64
    }

    /// The weight of each voxel in each slice, `[slices, length]`. The profile's part beyond the image counts as empty.
    pub fn matrix(&self, length: usize) -> Array2<f32> {
        let pieces = self.profile.pieces();
        let mut matrix = Array2::<f64>::zeros((self.slices(length), length));
        for (slice, mut row) in matrix.outer_iter_mut().enumerate() {
            let centre = self.centre_voxels(slice, length);
            for (from, to, area) in &pieces {
                let (from, to) = (centre + from, centre + to);
                // Voxel v covers v − ½ to v + ½.
                let first = (from + 0.5).floor().max(0.0) as usize;
                let last = (to + 0.5).ceil().clamp(0.0, length as f64) as usize;
                for voxel in first..last {
                    let overlap = to.min(voxel as f64 + 0.5) - from.max(voxel as f64 - 0.5);
                    row[voxel] += area * overlap.max(0.0) / (to - from);
                }
            }
        }
        matrix.mapv(|weight| weight as f32)
    }

    /// Whether the profile can act on images `[D, H, W]` of this shape.
    ///
    /// # Errors
    /// [`Error::Value`] with the key of the number that cannot be used.
    pub fn check(&self, shape: [usize; 3]) -> Result<()> {
        let refused = |key: &str, expected: &str, found: String, advice: &str| {
            Err(Error::value(format!("slice_profile.{key}"), expected, found, advice))
        };
        if self.axis > 2 {
            return refused("axis", "0, 1 or 2 for D, H or W", self.axis.to_string(), "choose one of them");
        }
        let length = shape[self.axis];
        if self.factor == 0 || self.factor > length {
            let expected = format!("1 to {length}, the voxels along the axis");
            return refused("factor", &expected, self.factor.to_string(), "leave at least one slice");
        }
        let positive = |width: f64| width > 0.0 && width.is_finite();
        match &self.profile {
            Profile::Boxcar { width_voxels: width } | Profile::Gaussian { fwhm_voxels: width }
                if !positive(*width) =>
            {
                refused(
                    "profile",
                    "a positive width in voxels",
                    width.to_string(),
                    "give the slice's thickness",
                )
            }
            Profile::Measured { weights } if !positive(weights.iter().sum()) => {
                let found = format!("{weights:?}");
                refused(
                    "profile.weights",
                    "finite numbers of positive sum",
                    found,
                    "give the slice's sensitivities",
                )
            }
            _ => Ok(()),
        }
    }
}

/// Thick slices as an operator: images `[D, H, W]` to slices, shorter along one axis by a whole factor.
#[derive(Clone, Debug)]
pub struct Sliced {
    input: [usize; 3],
    output: [usize; 3],
    axis: usize,
    /// First voxel and weights of each slice.
    rows: Vec<(usize, Vec<f32>)>,
}

impl Sliced {
    /// The slices of images `[D, H, W]`.
    ///
    /// # Errors
    /// As [`SliceProfile::check`].
    pub fn new(shape: [usize; 3], profile: &SliceProfile) -> Result<Self> {
        profile.check(shape)?;
        let matrix = profile.matrix(shape[profile.axis]);
        let row = |row: ndarray::ArrayView1<f32>| {
            let first = row.iter().position(|&w| w != 0.0).unwrap_or(0);
            let end = row.iter().rposition(|&w| w != 0.0).map_or(first, |last| last + 1);
            (first, row.iter().copied().take(end).skip(first).collect())
        };
        let rows = matrix.outer_iter().map(row).collect();
        Ok(Self { input: shape, output: profile.output(shape), axis: profile.axis, rows })
    }
}

impl LinearOperator for Sliced {
    fn input_shape(&self) -> &[usize] {
        &self.input
    }

    fn output_shape(&self) -> &[usize] {
        &self.output
    }

    fn forward(&self, x: ComplexArray) -> ComplexArray {
        assert_eq!(x.shape(), self.input, "the image to slice");
        let mut y = ArrayD::zeros(&self.output[..]);
        for (mut slice, (first, weights)) in y.axis_iter_mut(Axis(self.axis)).zip(&self.rows) {
            for (voxel, &weight) in (*first..).zip(weights) {
                let plane = x.index_axis(Axis(self.axis), voxel);
                Zip::from(&mut slice).and(plane).par_for_each(|y, x| *y += x * weight);
            }
        }
        y
    }

    fn adjoint(&self, y: ComplexArray) -> ComplexArray {
        assert_eq!(y.shape(), self.output, "the slices");
        let mut x = ArrayD::zeros(&self.input[..]);
        for (slice, (first, weights)) in y.axis_iter(Axis(self.axis)).zip(&self.rows) {
            for (voxel, &weight) in (*first..).zip(weights) {
                let plane = x.index_axis_mut(Axis(self.axis), voxel);
                Zip::from(plane).and(&slice).par_for_each(|x, y| *x += y * weight);
            }
        }
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sliced(factor: usize, profile: Profile) -> SliceProfile {
        SliceProfile { axis: 0, factor, profile }
    }

    #[test]
    fn a_boxcar_is_the_mean_of_what_it_covers() {
        let matrix = sliced(3, Profile::Boxcar { width_voxels: 3.0 }).matrix(6);
        let third = 1.0 / 3.0;
        assert_eq!(
            matrix.as_slice().unwrap(),
            [third, third, third, 0., 0., 0., 0., 0., 0., third, third, third]
        );
        // Half a voxel more on either side, of 4 in all; the outer ones fall out of the image.
        let matrix = sliced(3, Profile::Boxcar { width_voxels: 4.0 }).matrix(6);
        assert_eq!(matrix.row(0).to_vec(), [0.25, 0.25, 0.25, 0.125, 0.0, 0.0]);
        // Seven voxels in threes: two slices, centred at 1.5 and 4.5.
        let matrix = sliced(3, Profile::Boxcar { width_voxels: 1.0 }).matrix(7);
        assert_eq!(matrix.row(1).to_vec(), [0.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.0]);
    }

    #[test]
    fn a_gaussian_has_its_width_and_a_measured_profile_its_weights() {
        let (length, fwhm_voxels) = (101, 9.0);
        let matrix = sliced(101, Profile::Gaussian { fwhm_voxels }).matrix(length);
        let weight = |voxel: usize| f64::from(matrix[[0, voxel]]);
        // Mean over a voxel and cut tails: within a percent of the closed form.
        let sigma = fwhm_voxels / (8.0 * 2f64.ln()).sqrt();
        for voxel in 40..61 {
            let u = (voxel as f64 - 50.0) / sigma;
            let expected = (-u * u / 2.0).exp() / (sigma * (2.0 * std::f64::consts::PI).sqrt());
            assert!((weight(voxel) - expected).abs() < 0.01 * weight(50), "{voxel}");
        }
        assert!((matrix.sum() - 1.0).abs() < 1e-5);
        let matrix = sliced(2, Profile::Measured { weights: vec![1.0, 2.0, 2.0, 1.0] }).matrix(6);
        let sixth = |row: [f32; 6]| row.map(|weight| weight / 6.0).to_vec();
        assert_eq!(matrix.row(1).to_vec(), sixth([0.0, 1.0, 2.0, 2.0, 1.0, 0.0]));
    }
}
