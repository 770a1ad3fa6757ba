//! Reconstruction: from undersampled k-space to an image.
//!
//! | Method | Principle | Coils |
//! |---|---|---|
//! | [`ZeroFilled`] | the adjoint: samples that were not measured are zero | any |
//! | [`Sense`] | least squares by conjugate gradients, Tikhonov-regularised | any |
//! | [`Grappa`] | fills k-space by kernels learned from its calibrated centre | several |
//! | [`L1Wavelet`] | least squares + λ‖wavelet details‖₁ by FISTA | any |
//! | [`TotalVariation`] | least squares + λ·total variation by a primal–dual method | any |
//! | [`Homodyne`] | partial Fourier by a phase estimate from the symmetric centre; [`Pocs`] iterates it | any |
//!
//! Each is a [`Reconstruct`]: it makes a [`Reconstruction`] of a [`Problem`]; a trained network is one more (see
//! [`crate::heads`]). Those that only need the problem's operator (zero-filled, SENSE, total variation) also take known
//! motion. Along an axis that is not in k-space, slices are solved one by one, in parallel. Every λ is relative to the
//! data, so that it does not depend on the unit of k-space: each method says to what.
//!
//! [`Measurement`] prepares raw data (prewhitening, coil compression, sensitivities) and makes a volume on the image's
//! own grid of the result.

pub mod fista;
pub mod grappa;
mod homodyne;
mod measurement;
mod method;
mod noise;
mod pocs;
mod problem;
mod sense;
mod total_variation;
mod wavelet;
mod zero_filled;

use ndarray::{Array3, Array4, Ix3};

pub use grappa::Grappa;
pub use homodyne::Homodyne;
pub use measurement::{CoilSettings, LearnedVolumes, Maps, Measurement, Reconstructed};
pub use method::Method;
pub use noise::noise_sd;
pub use pocs::Pocs;
pub use problem::{Acquired, Moves, Part, Problem};
pub use sense::{Sense, least_squares};
pub use total_variation::{TotalVariation, minimum_total_variation};
pub use wavelet::L1Wavelet;
pub use zero_filled::ZeroFilled;

use crate::acquisition::conjugate_gradient::Iteration;
use crate::acquisition::{Complex32, ComplexArray};
use crate::error::{Error, Result};

/// A method of reconstruction.
pub trait Reconstruct: Sync {
    /// Its name with its settings, for records.
    fn name(&self) -> String;

    /// The image of a problem.
    ///
    /// # Errors
    /// [`Error::Value`] for a setting out of its range, and for a problem that the method is not made for.
    fn reconstruct(&self, problem: &Problem<'_>) -> Result<Reconstruction>;

    /// Filled k-space `[coils, D, H, W]`, whose coil images can be combined without sensitivities; `None` for a method
    /// that needs sensitivities.
    ///
    /// # Errors
    /// As [`Reconstruct::reconstruct`].
    fn fill(&self, acquired: &Acquired<'_>) -> Option<Result<Array4<Complex32>>> {
        let _ = acquired;
        None
    }

    /// Whether the image is fitted to all samples, so that its residual over them is a measure of its quality.
    fn explains_samples(&self) -> bool {
        true
    }
}

/// A complex image with the iterations that led to it.
#[derive(Clone, Debug)]
pub struct Reconstruction {
    /// The image, `[D, H, W]`.
    pub image: Array3<Complex32>,
    /// The iterations, one trace for each slice that was solved by itself; empty for methods without iterations.
    pub traces: Vec<Trace>,
    /// Initial estimate and null-space component, where the method is a network.
    pub learned: Option<Learned>,
}

/// Initial estimate and null-space component of a network's image.
#[derive(Clone, Debug)]
pub struct Learned {
    /// The classical method's image that was the network's initial estimate, `[D, H, W]`.
    pub initial: Array3<Complex32>,
    /// The component of the result in the operator's null space, which the samples do not determine, `[D, H, W]`.
    pub null_space: Array3<Complex32>,
}

impl Reconstruction {
    /// An image that was made without iterations.
    pub fn of(image: Array3<Complex32>) -> Self {
        Self { image, traces: Vec::new(), learned: None }
    }

    /// An image and the course of the iterations to it.
    fn traced(image: Array3<Complex32>, trace: Trace) -> Self {
        Self { traces: vec![trace], ..Self::of(image) }
    }
}

/// Objective and residual of an iterative method, one value an iteration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// The objective; empty for methods that minimise none.
    pub objective: Vec<f64>,
    /// The quantity that is compared with the tolerance: for conjugate gradients ‖b − Ax‖ / ‖b‖, for the others the
    /// change of the image, ‖xₖ − xₖ₋₁‖ / ‖xₖ‖.
    pub residual: Vec<f64>,
}

impl Trace {
    /// Notes an iteration of conjugate gradients.
    fn note(&mut self, iteration: Iteration) {
        self.push(Some(iteration.objective), iteration.residual);
    }

    /// Notes an iteration.
    fn push(&mut self, objective: Option<f64>, residual: f64) {
        self.objective.extend(objective);
        self.residual.push(residual);
        tracing::debug!(
            "iteration {}: objective {objective:?}, residual {residual:.3e}",
            self.residual.len()
        );
    }
}

/// The array as an image.
fn image(x: ComplexArray) -> Array3<Complex32> {
    x.into_dimensionality::<Ix3>().expect("an image of rank three")
}

/// Checks that a setting is a number in a range.
fn check_range(key: &str, value: f64, valid: bool, expected: &str) -> Result<()> {
    if value.is_finite() && valid {
        return Ok(());
    }
    Err(Error::value(key, expected, value.to_string(), "choose another value"))
}
