//! What was measured, on a device: it is compared with a result, and put back into it.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use nalgebra::DMatrix;

use super::case::{Measurement, tensor};
use crate::mri::operators::slice_profile::SliceProfile;
use crate::ops::VolumeOps;
use crate::ops::physics::{Along, Matrix, Selection};

/// A measurement and its operator, on `[1, C, D, H, W]`.
#[derive(Clone, Debug)]
pub enum Measured<B: Backend> {
    /// Nothing.
    Nothing,
    /// Means over several voxels.
    Means {
        /// The means along each axis that is coarser.
        means: Vec<Mean<B>>,
        /// What was measured.
        values: Tensor<B, 5>,
    },
    /// Some of the voxels.
    Voxels {
        /// Which.
        known: Selection<B>,
        /// Their values, zero elsewhere.
        values: Tensor<B, 5>,
    },
}

/// Means along one axis, and the least image that has given means.
#[derive(Clone, Debug)]
pub struct Mean<B: Backend> {
    forward: Along<B>,
    inverse: Along<B>,
}

impl<B: VolumeOps> Mean<B> {
    fn new(profile: &SliceProfile, length: usize, device: &B::Device) -> Self {
        let weights = profile.matrix(length);
        let (rows, columns) = weights.dim();
        let m = DMatrix::from_fn(rows, columns, |row, column| f64::from(weights[(row, column)]));
        // Slices do not repeat each other, so M·Mᵀ can be inverted; the pseudo-inverse keeps a profile that is nearly
        // singular from blowing up noise.
        let inverse = m.clone().pseudo_inverse(1e-3).expect("the tolerance is positive");
        let matrix = |m: &DMatrix<f64>| Matrix {
            rows: m.nrows(),
            columns: m.ncols(),
            re: m.row_iter().flat_map(|row| row.iter().copied().collect::<Vec<_>>()).collect(),
            im: Vec::new(),
        };
        let axis = profile.axis + 2;
        Self {
            forward: Along::new(&matrix(&m), axis, device),
            inverse: Along::new(&matrix(&inverse), axis, device),
        }
    }
}

impl<B: VolumeOps> Measured<B> {
    /// The measurement of images `[C, D, H, W]` of this shape.
    pub fn new(measurement: &Measurement, shape: (usize, usize, usize, usize), device: &B::Device) -> Self {
        let lengths = [shape.1, shape.2, shape.3];
        match measurement {
            Measurement::Nothing => Self::Nothing,
            Measurement::Means { profiles, values } => Self::Means {
                means: profiles.iter().map(|p| Mean::new(p, lengths[p.axis], device)).collect(),
                values: tensor(values, device),
            },
            Measurement::Voxels { known, values } => {
                let known = Selection::new(known.iter().copied(), known.dim().into(), device);
                Self::Voxels { values: known.apply(tensor(values, device)), known }
            }
        }
    }

    /// `A·x`: what would have been measured of `x`; none where nothing is.
    pub fn apply(&self, x: Tensor<B, 5>) -> Option<Tensor<B, 5>> {
        match self {
            Self::Nothing => None,
            Self::Means { means, .. } => Some(means.iter().fold(x, |x, mean| mean.forward.apply(x))),
            Self::Voxels { known, .. } => Some(known.apply(x)),
        }
    }

    /// What was measured.
    pub fn values(&self) -> Option<&Tensor<B, 5>> {
        match self {
            Self::Nothing => None,
            Self::Means { values, .. } | Self::Voxels { values, .. } => Some(values),
        }
    }

    /// `A⁺·y`: the least image of which `y` would have been measured.
    fn least(&self, y: Tensor<B, 5>) -> Tensor<B, 5> {
        match self {
            Self::Nothing => y,
            Self::Means { means, .. } => means.iter().fold(y, |y, mean| mean.inverse.apply(y)),
            Self::Voxels { .. } => y,
        }
    }

    /// The nearest image to `x` of which `weight` of the way to the measurement is gone: `x + weight·A⁺(y − A·x)`; exactly
    /// consistent with weight one. With noise, v/(1 + v) weighs v samples of the measurement against one of the network
    /// (Schlemper et al. 2018, equation 8).
    pub fn project(&self, x: Tensor<B, 5>, weight: f64) -> Tensor<B, 5> {
        match (self, self.apply(x.clone()), self.values()) {
            // Voxels that are known stay to the bit.
            (Self::Voxels { known, values }, ..) if weight == 1.0 => known.others(x) + values.clone(),
            (_, Some(of_x), Some(values)) => x + self.least(values.clone() - of_x) * weight,
            _ => x,
        }
    }

    /// `A⁺A·x`: the part of `x` that the measurement determines; the rest was added.
    pub fn determined(&self, x: Tensor<B, 5>) -> Tensor<B, 5> {
        match self.apply(x.clone()) {
            Some(of_x) => self.least(of_x),
            None => x.zeros_like(),
        }
    }

    /// `‖A·x − y‖ / ‖y‖`: what of the measurement `x` does not explain.
    pub fn residual(&self, x: Tensor<B, 5>) -> Option<f64> {
        let values = self.values()?.clone();
        let left = self.apply(x)? - values.clone();
        let norm = |x: Tensor<B, 5>| {
            let values: Vec<f32> = x.into_data().iter::<f32>().collect();
            values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt()
        };
        Some(norm(left) / norm(values).max(f64::MIN_POSITIVE))
    }
}
