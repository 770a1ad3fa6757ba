//! The classical methods by name, with their settings.

use ndarray::Array4;
use serde::{Deserialize, Serialize};

use super::{
    Acquired, Grappa, Homodyne, L1Wavelet, Pocs, Problem, Reconstruct, Reconstruction, Sense, TotalVariation,
    ZeroFilled,
};
use crate::acquisition::Complex32;
use crate::error::Result;

/// A classical method and its settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Method {
    /// Zeros where nothing was measured.
    ZeroFilled,
    /// Least squares by conjugate gradients.
    Sense(Sense),
    /// Missing samples by GRAPPA kernels.
    Grappa(Grappa),
    /// Least squares with a penalty on the total variation.
    TotalVariation(TotalVariation),
    /// Least squares with a penalty on wavelet details.
    Wavelet(L1Wavelet),
    /// Partial Fourier by the phase of its symmetric centre.
    Homodyne,
    /// Partial Fourier by projections onto convex sets.
    Pocs(Pocs),
}

impl Method {
    fn method(&self) -> &dyn Reconstruct {
        match self {
            Self::ZeroFilled => &ZeroFilled,
            Self::Sense(method) => method,
            Self::Grappa(method) => method,
            Self::TotalVariation(method) => method,
            Self::Wavelet(method) => method,
            Self::Homodyne => &Homodyne,
            Self::Pocs(method) => method,
        }
    }
}

impl Reconstruct for Method {
    fn name(&self) -> String {
        self.method().name()
    }

    fn reconstruct(&self, problem: &Problem<'_>) -> Result<Reconstruction> {
        self.method().reconstruct(problem)
    }

    fn fill(&self, acquired: &Acquired<'_>) -> Option<Result<Array4<Complex32>>> {
        self.method().fill(acquired)
    }

    fn explains_samples(&self) -> bool {
        self.method().explains_samples()
    }
}
