//! A measurement on a device: its residual to an image, and data consistency.

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
    /// No measurement.
    Nothing,
    /// No measurement, and zero outside a mask.
    Mask {
        /// The mask.
        shown: Selection<B>,
    },
    /// Means over several voxels along some axes.
    Means {
        /// The means along each axis that is coarser.
        means: Vec<Mean<B>>,
        /// The measured means, `[1, C, D, H, W]` on the coarser grid.
        values: Tensor<B, 5>,
    },
    /// The values of some voxels.
    Voxels {
        /// The mask of the measured voxels.
        known: Selection<B>,
        /// Their values, zero elsewhere.
        values: Tensor<B, 5>,
    },
    /// k-space of a complex image.
    Kspace {
        /// The operator of the measurement.
        encoder: Box<Encoder<B>>,
        /// The samples, `[1, 2·coils, …]` in the shape of the output of [`Encoder::apply`].
        values: Tensor<B, 5>,
    },
}

/// Steps towards the nearest image that gives the samples, where they do not follow from it in one.
const STOP: Stop = Stop { iterations: 10, tolerance: 0.0 };

/// The matrix of means along one axis, and its pseudo-inverse, which gives the minimum-norm image of means.
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
    /// A measurement of images of `shape` `[C, D, H, W]`.
    ///
    /// # Errors
    /// As [`Encoder::new`], for k-space.
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

    /// `A·x`: the measurement of `x` `[1, C, D, H, W]`; `None` without a measurement.
    pub fn apply(&self, x: Tensor<B, 5>) -> Option<Tensor<B, 5>> {
        match self {
            Self::Nothing | Self::Mask { .. } => None,
            Self::Means { means, .. } => Some(means.iter().fold(x, |x, mean| mean.forward.apply(x))),
            Self::Voxels { known, .. } => Some(known.apply(x)),
            Self::Kspace { encoder, .. } => Some(encoder.apply(x)),
        }
    }

    /// The measured values y; `None` without a measurement.
    pub fn values(&self) -> Option<&Tensor<B, 5>> {
        match self {
            Self::Nothing | Self::Mask { .. } => None,
            Self::Means { values, .. } | Self::Voxels { values, .. } | Self::Kspace { values, .. } => {
                Some(values)
            }
        }
    }

    /// `Aᴴ(y − A·x)`, the negative gradient of ½‖A·x − y‖² in `x` `[1, C, D, H, W]`, for k-space and known voxels; for
    /// means `A⁺(y − A·x)`. Zero without a measurement.
    pub fn towards(&self, x: Tensor<B, 5>) -> Tensor<B, 5> {
        match (self, self.apply(x.clone()), self.values()) {
            (Self::Kspace { encoder, .. }, Some(of_x), Some(values)) => {
                encoder.adjoint(values.clone() - of_x)
            }
            (_, Some(of_x), Some(values)) => self.minimum_norm(values.clone() - of_x),
            _ => x.zeros_like(),
        }
    }

    /// `A⁺·y`: the minimum-norm image that measures as `y`; by conjugate gradients where there is no closed form, in so
    /// many steps that images of a few coils or shots are consistent with their samples.
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

    /// `x + weight·A⁺(y − A·x)` of `x` `[1, C, D, H, W]`: with weight one the nearest image to `x` that is consistent
    /// with the measurement. With noise, a weight of v/(1 + v) counts the measurement v times and the network's output
    /// once (Schlemper et al. 2018, equation 8).
    pub fn data_consistency(&self, x: Tensor<B, 5>, weight: f64) -> Tensor<B, 5> {
        match (self, self.apply(x.clone()), self.values()) {
            (Self::Mask { shown }, ..) => shown.apply(x.clone()) * weight + x * (1.0 - weight),
            // Voxels that are known stay to the bit.
            (Self::Voxels { known, values }, ..) if weight == 1.0 => known.others(x) + values.clone(),
            (_, Some(of_x), Some(values)) => x + self.minimum_norm(values.clone() - of_x) * weight,
            _ => x,
        }
    }

    /// `A⁺A·x`: the range-space component of `x`, which the measurement determines; the rest is its null-space
    /// component.
    pub fn range_component(&self, x: Tensor<B, 5>) -> Tensor<B, 5> {
        match self.apply(x.clone()) {
            Some(of_x) => self.minimum_norm(of_x),
            None => x.zeros_like(),
        }
    }

    /// `‖A·x − y‖²`, `[1]`, differentiable in `x`; `None` without a measurement.
    pub fn misfit(&self, x: Tensor<B, 5>) -> Option<Tensor<B, 1>> {
        let values = self.values()?.clone();
        Some((self.apply(x)? - values).powi_scalar(2).sum())
    }

    /// `‖A·x − y‖ / ‖y‖`, the relative residual of `x`; `None` without a measurement.
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
