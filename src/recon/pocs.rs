//! Partial Fourier by projections onto convex sets (Haacke 1991): the phase and the samples in turn.

use ndarray::Zip;

use super::fista::distance;
use super::homodyne::Partial;
use super::{Acquired, Reconstruction, Trace, check_range, image};
use crate::acquisition::linear::{Linear, norm};
use crate::error::Result;

/// Settings of [`pocs`].
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pocs {
    /// Iterations at most.
    pub iterations: usize,
    /// Ends when ‖xₖ − xₖ₋₁‖ is below this part of ‖xₖ‖.
    pub tolerance: f64,
}

impl Default for Pocs {
    fn default() -> Self {
        Self { iterations: 50, tolerance: 1e-4 }
    }
}

/// Alternates between images with the phase of the symmetric centre and images that agree with the samples.
///
/// The second step is that of the projection, x − (AᴴAx − Aᴴy)/‖A‖², which with one coil puts the samples in place.
///
/// No objective is minimised: the trace has residuals only.
///
/// # Errors
/// Where the head moves, the arrays do not fit together, or no axis is measured from one end to beyond the centre.
pub fn pocs(acquired: &Acquired<'_>, settings: &Pocs) -> Result<Reconstruction> {
    acquired.check()?;
    acquired.lies_still("POCS")?;
    check_range("tolerance", settings.tolerance, settings.tolerance >= 0.0, "a number of at least 0")?;
    let partial = Partial::of(acquired)?;
    acquired.by_slice(|slice| {
        let encoding = slice.encoding();
        let low = partial.low_resolution(slice).into_dyn();
        let rhs = encoding.adjoint(slice.measured());
        let step = (1.0 / encoding.bound()) as f32;
        let mut x = rhs.clone();
        let mut trace = Trace::default();
        for _ in 0..settings.iterations {
            let before = x.clone();
            Zip::from(&mut x).and(&low).par_for_each(|x, low| {
                let phase = low / low.norm().max(f32::MIN_POSITIVE);
                *x = phase * (*x * phase.conj()).re.max(0.0);
            });
            let normal = encoding.normal(x.clone());
            Zip::from(&mut x)
                .and(&normal)
                .and(&rhs)
                .par_for_each(|x, normal, rhs| *x -= (normal - rhs) * step);
            let change = distance(&x, &before) / norm(&x).max(f64::MIN_POSITIVE);
            trace.push(None, change);
            if change <= settings.tolerance {
                break;
            }
        }
        Ok(Reconstruction { image: image(x), traces: vec![trace] })
    })
}
