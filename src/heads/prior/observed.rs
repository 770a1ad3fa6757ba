//! A measurement of a generator's images, which are real and have one channel.

use burn::tensor::Tensor;

use super::super::{Measured, Measurement};
use crate::error::Result;
use crate::ops::VolumeOps;

/// Alternations between consistency with the samples and with a real image. A sample whose mirror image about the
/// centre of k-space was not measured binds both, and each time halves what is left of their difference.
const ALTERNATIONS: usize = 24;

/// A measurement of an image `[1, 1, D, H, W]`; in k-space, of a complex image whose imaginary part is zero.
#[derive(Clone, Debug)]
pub struct Observed<B: VolumeOps> {
    measured: Measured<B>,
}

impl<B: VolumeOps> Observed<B> {
    /// The measurement of images on the grid `[D, H, W]`.
    ///
    /// # Errors
    /// As [`Measured::new`].
    pub fn new(measurement: &Measurement, [d, h, w]: [usize; 3], device: &B::Device) -> Result<Self> {
        let channels = if matches!(measurement, Measurement::Kspace { .. }) { 2 } else { 1 };
        Ok(Self { measured: Measured::new(measurement, (channels, d, h, w), device)? })
    }

    /// See [`Measured::misfit`]; zero without a measurement.
    pub fn misfit(&self, x: Tensor<B, 5>) -> Tensor<B, 1> {
        let device = x.device();
        self.measured.misfit(self.lifted(x)).unwrap_or_else(|| Tensor::zeros([1], &device))
    }

    /// See [`Measured::residual`].
    pub fn residual(&self, x: Tensor<B, 5>) -> Option<f64> {
        self.measured.residual(self.lifted(x))
    }

    /// See [`Measured::data_consistency`]: with weight one the nearest real image that is consistent with the
    /// measurement, for k-space by alternating projections.
    pub fn data_consistency(&self, x: Tensor<B, 5>, weight: f64) -> Tensor<B, 5> {
        if !self.is_complex() {
            return self.measured.data_consistency(x, weight);
        }
        let consistent =
            |x: Tensor<B, 5>| self.measured.data_consistency(self.lifted(x), 1.0).narrow(1, 0, 1);
        let nearest = (0..ALTERNATIONS).fold(x.clone(), |x, _| consistent(x));
        x.clone() + (nearest - x) * weight
    }

    /// `x − A⁺A·x`: the null-space component of `x`.
    pub fn null_space_component(&self, x: Tensor<B, 5>) -> Tensor<B, 5> {
        self.data_consistency(x.clone(), 1.0) - self.data_consistency(x.zeros_like(), 1.0)
    }

    fn is_complex(&self) -> bool {
        matches!(self.measured, Measured::Kspace { .. })
    }

    /// The image with what the measurement sees beside it.
    fn lifted(&self, x: Tensor<B, 5>) -> Tensor<B, 5> {
        if self.is_complex() { Tensor::cat(vec![x.clone(), x.zeros_like()], 1) } else { x }
    }
}
