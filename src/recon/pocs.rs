//! Partial Fourier by projections onto convex sets (Haacke 1991): of the phase and of the samples in turn.

use ndarray::Zip;

use super::fista::distance;
use super::homodyne::Partial;
use super::{Problem, Reconstruct, Reconstruction, Trace, check_range, image};
use crate::acquisition::linear::{LinearOperator, norm};
use crate::error::Result;

/// Alternates between images with the phase of the symmetric centre and images that agree with the samples.
///
/// The second step is x − (AᴴAx − Aᴴy)/‖A‖², which with one coil is the projection that replaces the measured samples.
/// There must be no motion, and one axis must be measured from one end to beyond the centre.
///
/// No objective is minimised: the trace has residuals only.
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

impl Reconstruct for Pocs {
    fn name(&self) -> String {
        format!("POCS, {} iterations at most, tolerance {}", self.iterations, self.tolerance)
    }

    fn reconstruct(&self, problem: &Problem<'_>) -> Result<Reconstruction> {
        problem.acquired.lies_still("POCS")?;
        check_range("tolerance", self.tolerance, self.tolerance >= 0.0, "a number of at least 0")?;
        let partial = Partial::of(&problem.acquired)?;
        problem.by_slice(|slice| {
            let low = partial.low_resolution(&slice.acquired).into_dyn();
            let rhs = &slice.zero_filled;
            let step = (1.0 / slice.coverage) as f32;
            let mut x = rhs.clone();
            let mut trace = Trace::default();
            for _ in 0..self.iterations {
                let before = x.clone();
                Zip::from(&mut x).and(&low).par_for_each(|x, low| {
                    let phase = low / low.norm().max(f32::MIN_POSITIVE);
                    *x = phase * (*x * phase.conj()).re.max(0.0);
                });
                let normal = slice.operator.normal(x.clone());
                Zip::from(&mut x)
                    .and(&normal)
                    .and(rhs)
                    .par_for_each(|x, normal, rhs| *x -= (normal - rhs) * step);
                let change = distance(&x, &before) / norm(&x).max(f64::MIN_POSITIVE);
                trace.push(None, change);
                if change <= self.tolerance {
                    break;
                }
            }
            Ok(Reconstruction::traced(image(x), trace))
        })
    }

    fn explains_samples(&self) -> bool {
        false
    }
}
