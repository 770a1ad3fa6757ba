//! The zero-filled image: the adjoint of the measurement.

use super::{Acquired, Reconstruction, image};
use crate::acquisition::linear::Linear;
use crate::error::Result;

/// `Aᴴy`: what was not measured is zero, and the coils are combined by their sensitivities, `Σ conj(S)·x`.
///
/// # Errors
/// Where the arrays do not fit together ([`Acquired::check`]).
pub fn zero_filled(acquired: &Acquired<'_>) -> Result<Reconstruction> {
    acquired.check()?;
    acquired.by_slice(|slice| {
        let x = slice.operator()?.0.adjoint(slice.kspace.to_owned().into_dyn());
        Ok(Reconstruction { image: image(x), traces: Vec::new() })
    })
}
