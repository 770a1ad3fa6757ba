//! SENSE by conjugate gradients (Pruessmann 2001): the image of least squared error to every coil's samples.

use super::{Problem, Reconstruct, Reconstruction, Trace, check_range, image};
use crate::acquisition::ComplexArray;
use crate::acquisition::conjugate_gradient::{ConjugateGradient, Stop, Vector};
use crate::acquisition::linear::LinearOperator;
use crate::error::Result;

/// Minimises `½‖Ax − y‖² + ½λ‖x‖²` by conjugate gradients on `(AᴴA + λ)x = Aᴴy`.
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

impl Reconstruct for Sense {
    fn name(&self) -> String {
        let Self { lambda, iterations, tolerance } = self;
        format!("SENSE, lambda {lambda}, {iterations} iterations at most, tolerance {tolerance}")
    }

    fn reconstruct(&self, problem: &Problem<'_>) -> Result<Reconstruction> {
        check_range("lambda", self.lambda, self.lambda >= 0.0, "a number of at least 0")?;
        check_range("tolerance", self.tolerance, self.tolerance >= 0.0, "a number of at least 0")?;
        problem.by_slice(|slice| Ok(solve(&slice.operator, &slice.zero_filled, slice.coverage, self)))
    }
}

/// The image `[D, H, W]` that minimises `½‖Ax − y‖² + ½λ‖x‖²` for any `operator` A by conjugate gradients;
/// `settings.lambda` is relative to `bound`.
///
/// # Panics
/// If the operator does not act on images `[D, H, W]`, or `y` has another shape than its output.
pub fn least_squares(
    operator: &dyn LinearOperator,
    y: ComplexArray,
    bound: f64,
    settings: &Sense,
) -> Reconstruction {
    solve(operator, &operator.adjoint(y), bound, settings)
}

fn solve(operator: &dyn LinearOperator, rhs: &ComplexArray, bound: f64, settings: &Sense) -> Reconstruction {
    let lambda = settings.lambda * bound;
    let normal = |x: ComplexArray| match lambda == 0.0 {
        true => operator.normal(x),
        false => operator.normal(x.clone()).plus(&lambda, &x),
    };
    let stop = Stop { iterations: settings.iterations, tolerance: settings.tolerance };
    let mut trace = Trace::default();
    let x = ConjugateGradient::new(&normal, stop).solve(rhs, &mut |iteration| trace.note(iteration));
    Reconstruction::traced(image(x), trace)
}
