//! SENSE by conjugate gradients (Pruessmann 2001): the image that explains every coil's samples best.

use ndarray::Zip;

use super::conjugate_gradient::conjugate_gradient;
use super::{Acquired, Reconstruction, check_range, image};
use crate::acquisition::ComplexArray;
use crate::acquisition::linear::Linear;
use crate::error::Result;

/// Settings of [`sense`].
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sense {
    /// Weight of ‖x‖², relative to the largest `Σ|S|²`, an upper bound of the eigenvalues of `AᴴA`.
    pub lambda: f64,
    /// Iterations at most.
    pub iterations: usize,
    /// Ends when ‖b − (AᴴA + λ)x‖ is below this part of ‖b‖, b = Aᴴy.
    pub tolerance: f64,
}

impl Default for Sense {
    fn default() -> Self {
        Self { lambda: 1e-3, iterations: 30, tolerance: 1e-5 }
    }
}

/// Minimises `½‖Ax − y‖² + ½λ‖x‖²` by conjugate gradients on `(AᴴA + λ)x = Aᴴy`.
///
/// # Errors
/// Where the arrays do not fit together or λ or the tolerance is negative.
pub fn sense(acquired: &Acquired<'_>, settings: &Sense) -> Result<Reconstruction> {
    acquired.check()?;
    check_range("lambda", settings.lambda, settings.lambda >= 0.0, "a number of at least 0")?;
    check_range("tolerance", settings.tolerance, settings.tolerance >= 0.0, "a number of at least 0")?;
    acquired.by_slice(|slice| {
        let (operator, bound) = slice.operator()?;
        Ok(least_squares(&*operator, slice.kspace.to_owned().into_dyn(), bound, settings))
    })
}

/// The image `[D, H, W]` that explains `y` best under any `operator`, by the same method; λ is relative to `bound`.
///
/// # Panics
/// If the operator does not act on images `[D, H, W]`, or `y` is not what it gives.
pub fn least_squares(operator: &dyn Linear, y: ComplexArray, bound: f64, settings: &Sense) -> Reconstruction {
    let lambda = (settings.lambda * bound) as f32;
    let normal = |x: ComplexArray| {
        if lambda == 0.0 {
            return operator.normal(x);
        }
        let mut y = operator.normal(x.clone());
        Zip::from(&mut y).and(&x).par_for_each(|y, x| *y += x * lambda);
        y
    };
    let (x, trace) =
        conjugate_gradient(normal, &operator.adjoint(y), settings.iterations, settings.tolerance);
    Reconstruction { image: image(x), traces: vec![trace] }
}
