//! Coil compression: a few virtual coils with nearly all the signal energy of many coils (Buehrer et al. 2007; Huang et
//! al. 2008).

use ndarray::{Array2, ArrayView4};
use serde::{Deserialize, Serialize};

use crate::acquisition::Complex32;
use crate::error::{Error, Result};

/// How many virtual coils to keep.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Keep {
    /// This many.
    Coils(usize),
    /// As few as have at least this share of the signal's energy, within (0, 1].
    Energy(f64),
}

/// Virtual coils, strongest first.
#[derive(Clone, Debug)]
pub struct Compression {
    /// Orthonormal rows, `[virtual coils, coils]`, for [`super::mix`].
    pub matrix: Array2<Complex32>,
    /// Singular values of the calibration data `[coils, samples]`, all of them, largest first.
    pub singular_values: Vec<f64>,
}

impl Compression {
    /// The virtual coils' share of the calibration data's energy, 0 to 1.
    pub fn energy(&self) -> f64 {
        share(&self.singular_values, self.matrix.nrows())
    }
}

/// The virtual coils of calibration data `[coils, D, H, W]`: the conjugate left singular vectors of the matrix
/// `[coils, samples]`. Places that were not measured are zero and add nothing, so that a whole undersampled k-space may
/// be given; [`super::centre`] cuts out a calibration region.
///
/// # Errors
/// [`Error::Value`] if the data is not finite or all zero, `keep` asks for no coil or more than there are, or its
/// energy share is not within (0, 1].
pub fn compression(calibration: ArrayView4<Complex32>, keep: Keep) -> Result<Compression> {
    let coils = calibration.dim().0;
    let wrong = |expected: String, found: String| {
        Err(Error::value(
            "coil compression",
            expected,
            found,
            "ask for fewer coils or an energy share of 0.95",
        ))
    };
    match keep {
        Keep::Coils(n) if n == 0 || n > coils => {
            return wrong(format!("1 to {coils} virtual coils"), n.to_string());
        }
        Keep::Energy(share) if !(share > 0.0 && share <= 1.0) => {
            return wrong("an energy share within (0, 1]".into(), share.to_string());
        }
        _ => {}
    }
    let covariance = super::covariance(calibration);
    let energy = covariance.trace().re;
    if !(energy.is_finite() && energy > 0.0) {
        return Err(Error::value(
            "calibration data",
            "finite samples that are not all zero",
            format!("an energy of {energy}"),
            "check that the centre of k-space is where DC lies and was measured",
        ));
    }
    let (values, vectors) = super::eigen_descending(covariance);
    let singular_values: Vec<f64> = values.into_iter().map(|value| value.max(0.0).sqrt()).collect();
    let kept = match keep {
        Keep::Coils(n) => n,
        Keep::Energy(energy) => (1..coils).find(|&n| share(&singular_values, n) >= energy).unwrap_or(coils),
    };
    let matrix = Array2::from_shape_fn((kept, coils), |(row, coil)| {
        let z = vectors[(coil, row)];
        Complex32::new(z.re as f32, -z.im as f32)
    });
    Ok(Compression { matrix, singular_values })
}

fn share(singular_values: &[f64], n: usize) -> f64 {
    let energy = |values: &[f64]| values.iter().map(|s| s * s).sum::<f64>();
    energy(&singular_values[..n]) / energy(singular_values)
}
