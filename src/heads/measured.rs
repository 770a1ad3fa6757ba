//! What was measured, on a device: it is compared with a result, and put back into it.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use nalgebra::DMatrix;
use ndarray::Array3;

use super::case::Measurement;
use crate::acquisition::ComplexArray;
use crate::acquisition::conjugate_gradient::{ConjugateGradient, Stop};
use crate::acquisition::operators::slice_profile::SliceProfile;
use crate::convert::image_to_tensor;
use crate::error::Result;
use crate::ops::VolumeOps;
use crate::ops::physics::{Along, Encoder, Matrix, Selection};

/// A measurement and its operator, on `[1, C, D, H, W]`.
#[derive(Clone, Debug)]
pub enum Measured<B: VolumeOps> {
    /// Nothing.
    Nothing,
    /// Nothing, and zero but where something is shown.
    Mask {
        /// Where.
        shown: Selection<B>,
    },
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
    /// k-space of a complex image.
    Kspace {
        /// How it was measured.
        encoder: Box<Encoder<B>>,
        /// What was measured, `[1, 2·coils, …]`.
        values: Tensor<B, 5>,
    },
}

/// Steps towards the nearest image that gives the samples, where they do not follow from it in one.
const STOP: Stop = Stop { iterations: 10, tolerance: 0.0 };

/// Means along one axis, and the minimum-norm image of given means.
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
    ///
    /// # Errors
    /// As [`Encoder::new`].
    pub fn new(
        measurement: &Measurement,
        shape: (usize, usize, usize, usize),
        device: &B::Device,
    ) -> Result<Self> {
        let lengths = [shape.1, shape.2, shape.3];
        Ok(match measurement {
            Measurement::Nothing => Self::Nothing,
            Measurement::Mask { shown } => Self::Mask { shown: selection(shown, device) },
            Measurement::Means { profiles, values } => Self::Means {
                means: profiles.iter().map(|p| Mean::new(p, lengths[p.axis], device)).collect(),
                values: image_to_tensor(values, device),
            },
            Measurement::Voxels { known, values } => {
                let known = selection(known, device);
                Self::Voxels { values: known.apply(image_to_tensor(values, device)), known }
            }
            Measurement::Kspace { encoding, samples } => Self::Kspace {
                encoder: Box::new(Encoder::new(encoding, device)?),
                values: complex_tensor(samples, device),
            },
        })
    }

    /// `A·x`: what would have been measured of `x`; none where nothing is.
    pub fn apply(&self, x: Tensor<B, 5>) -> Option<Tensor<B, 5>> {
        match self {
            Self::Nothing | Self::Mask { .. } => None,
            Self::Means { means, .. } => Some(means.iter().fold(x, |x, mean| mean.forward.apply(x))),
            Self::Voxels { known, .. } => Some(known.apply(x)),
            Self::Kspace { encoder, .. } => Some(encoder.apply(x)),
        }
    }

    /// What was measured.
    pub fn values(&self) -> Option<&Tensor<B, 5>> {
        match self {
            Self::Nothing | Self::Mask { .. } => None,
            Self::Means { values, .. } | Self::Voxels { values, .. } | Self::Kspace { values, .. } => {
                Some(values)
            }
        }
    }

    /// `Aᴴ(y − A·x)`: the way in which `x` comes nearer to the measurement fastest.
    pub fn towards(&self, x: Tensor<B, 5>) -> Tensor<B, 5> {
        match (self, self.apply(x.clone()), self.values()) {
            (Self::Kspace { encoder, .. }, Some(of_x), Some(values)) => {
                encoder.adjoint(values.clone() - of_x)
            }
            (_, Some(of_x), Some(values)) => self.minimum_norm(values.clone() - of_x),
            _ => x.zeros_like(),
        }
    }

    /// `A⁺·y`: the minimum-norm image that measures as `y`; by conjugate gradients where there is no closed form, in so many
    /// steps that images of a few coils or shots are consistent with their samples.
    fn minimum_norm(&self, y: Tensor<B, 5>) -> Tensor<B, 5> {
        match self {
            Self::Nothing | Self::Mask { .. } => y,
            Self::Means { means, .. } => means.iter().fold(y, |y, mean| mean.inverse.apply(y)),
            Self::Voxels { .. } => y,
            Self::Kspace { encoder, .. } => {
                let rhs = encoder.adjoint(y);
                if encoder.is_isometric() {
                    return rhs;
                }
                let normal = |x: Tensor<B, 5>| encoder.adjoint(encoder.apply(x));
                ConjugateGradient::new(&normal, STOP).solve(&rhs, &mut |_| ())
            }
        }
    }

    /// The nearest image to `x` of which `weight` of the way to the measurement is gone: `x + weight·A⁺(y − A·x)`; exactly
    /// consistent with weight one. With noise, v/(1 + v) weighs v samples of the measurement against one of the network
    /// (Schlemper et al. 2018, equation 8).
    pub fn data_consistency(&self, x: Tensor<B, 5>, weight: f64) -> Tensor<B, 5> {
        match (self, self.apply(x.clone()), self.values()) {
            (Self::Mask { shown }, ..) => shown.apply(x.clone()) * weight + x * (1.0 - weight),
            // Voxels that are known stay to the bit.
            (Self::Voxels { known, values }, ..) if weight == 1.0 => known.others(x) + values.clone(),
            (_, Some(of_x), Some(values)) => x + self.minimum_norm(values.clone() - of_x) * weight,
            _ => x,
        }
    }

    /// `A⁺A·x`: the range-space component of `x`, which the measurement determines; the rest is its null-space component.
    pub fn range_component(&self, x: Tensor<B, 5>) -> Tensor<B, 5> {
        match self.apply(x.clone()) {
            Some(of_x) => self.minimum_norm(of_x),
            None => x.zeros_like(),
        }
    }

    /// `‖A·x − y‖²`, `[1]`, differentiable in `x`; none where nothing was measured.
    pub fn misfit(&self, x: Tensor<B, 5>) -> Option<Tensor<B, 1>> {
        let values = self.values()?.clone();
        Some((self.apply(x)? - values).powi_scalar(2).sum())
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

fn selection<B: Backend>(places: &Array3<bool>, device: &B::Device) -> Selection<B> {
    Selection::new(places.iter().copied(), places.dim().into(), device)
}

/// Complex samples `[coils, …]` of rank four as a batch of one, `[1, 2·coils, …]`.
fn complex_tensor<B: Backend>(samples: &ComplexArray, device: &B::Device) -> Tensor<B, 5> {
    let shape = samples.shape();
    let mut values = Vec::with_capacity(2 * samples.len());
    for coil in samples.outer_iter() {
        values.extend(coil.iter().map(|z| z.re));
        values.extend(coil.iter().map(|z| z.im));
    }
    let shape = [1, 2 * shape[0], shape[1], shape[2], shape[3]];
    Tensor::from_data(TensorData::new(values, shape), device)
}
