//! The zero-filled image: the adjoint of the measurement.

use ndarray::Array4;

use super::{Acquired, Problem, Reconstruct, Reconstruction};
use crate::acquisition::Complex32;
use crate::error::Result;

/// `Aᴴy`: samples that were not measured are zero, and the coils are combined by their sensitivities, `Σ conj(S)·x`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ZeroFilled;

impl Reconstruct for ZeroFilled {
    fn name(&self) -> String {
        "zero-filled".into()
    }

    fn reconstruct(&self, problem: &Problem<'_>) -> Result<Reconstruction> {
        Ok(Reconstruction::of(problem.zero_filled()))
    }

    fn fill(&self, acquired: &Acquired<'_>) -> Option<Result<Array4<Complex32>>> {
        Some(Ok(acquired.kspace.to_owned()))
    }
}
