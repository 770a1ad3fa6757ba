//! Prewhitening: making the noise of the coils uncorrelated and of equal strength.
//!
//! Least squares, adaptive combination and ESPIRiT's thresholds all suppose white noise; real arrays couple, and their
//! amplifiers differ (Pruessmann et al. 2001, appendix A; Hansen & Kellman 2015).

use nalgebra::{Cholesky, DMatrix};
use ndarray::{Array2, ArrayView2, ArrayView4};
use num_complex::Complex64;

use crate::acquisition::Complex32;
use crate::error::{Error, Result};

/// Samples that must be there for each coil, or the covariance would be noise itself.
const SAMPLES_PER_COIL: usize = 4;

/// The covariance `Ψ = E[n nᴴ]`, `[coils, coils]`, of noise `[coils, samples]`; no mean is subtracted.
///
/// # Errors
/// [`Error::Value`] if there are fewer than four samples a coil.
pub fn noise_covariance(noise: ArrayView2<Complex32>) -> Result<Array2<Complex64>> {
    let (coils, samples) = noise.dim();
    if coils == 0 || samples < SAMPLES_PER_COIL * coils {
        return Err(Error::value(
            "noise samples",
            format!("at least {} for {coils} coils", SAMPLES_PER_COIL * coils.max(1)),
            samples.to_string(),
            "use a longer noise scan, or leave prewhitening out",
        ));
    }
    let noise = noise.into_shape_with_order((coils, 1, 1, samples));
    let noise = noise.expect("a new axis does not move anything");
    let covariance = super::covariance(noise);
    Ok(Array2::from_shape_fn((coils, coils), |at| covariance[at] / samples as f64))
}

/// The matrix `L⁻¹` with `Ψ = L Lᴴ` that whitens noise of covariance `Ψ`: the covariance of `L⁻¹ n` is the identity,
/// that is variance ½ each in the real and the imaginary part. [`super::mix`] applies it.
///
/// # Errors
/// [`Error::Value`] if the covariance is not positive definite: a coil without noise, or one that repeats others.
pub fn whitening_matrix(covariance: &Array2<Complex64>) -> Result<Array2<Complex32>> {
    let coils = covariance.nrows();
    let psi = DMatrix::from_fn(coils, covariance.ncols(), |row, column| covariance[[row, column]]);
    let largest = (0..coils).map(|coil| psi[(coil, coil)].re).fold(0.0, f64::max);
    let inverse = Cholesky::new(psi).and_then(|factor| {
        let l = factor.l();
        // A pivot is what one coil's noise has that those before it have not.
        let independent = (0..coils).all(|coil| l[(coil, coil)].norm_sqr() > 1e-10 * largest);
        independent.then(|| l.solve_lower_triangular(&DMatrix::identity(coils, coils))).flatten()
    });
    let inverse = inverse.ok_or_else(|| {
        Error::value(
            "noise covariance",
            "a positive definite matrix",
            "a coil without noise of its own",
            "leave out coils that are off or repeated, or compress the coils first",
        )
    })?;
    Ok(Array2::from_shape_fn((coils, coils), |at| {
        Complex32::new(inverse[at].re as f32, inverse[at].im as f32)
    }))
}

/// The measured samples farthest from the centre of k-space `[coils, D, H, W]`, as `[coils, samples]`: almost pure
/// noise, for data without a noise scan.
///
/// Distance is |k|² with every `transformed` axis (of `D`, `H`, `W`) scaled to ±1, so that corners come first; `share`
/// of the measured samples is taken. Positions at which all coils are zero count as not measured.
///
/// # Errors
/// [`Error::Value`] if `share` is not within (0, 1].
pub fn outer_samples(
    kspace: ArrayView4<Complex32>,
    transformed: [bool; 3],
    share: f64,
) -> Result<Array2<Complex32>> {
    if !(share > 0.0 && share <= 1.0) {
        return Err(Error::value("share of samples", "within (0, 1]", share.to_string(), "use 0.05"));
    }
    let (coils, d, h, w) = kspace.dim();
    let distance = |n: usize, i: usize| ((i as f64 - (n / 2) as f64) / (n as f64 / 2.0)).powi(2);
    let radius = |[z, y, x]: [usize; 3]| {
        let of = [distance(d, z), distance(h, y), distance(w, x)];
        of.iter().zip(transformed).map(|(of, transformed)| if transformed { *of } else { 0.0 }).sum::<f64>()
    };
    let measured = |[z, y, x]: [usize; 3]| (0..coils).any(|c| kspace[[c, z, y, x]] != Complex32::default());
    let mut places: Vec<(f64, [usize; 3])> = ndarray::indices((d, h, w))
        .into_iter()
        .map(|(z, y, x)| [z, y, x])
        .filter(|&place| measured(place))
        .map(|place| (radius(place), place))
        .collect();
    // The order of places breaks ties: the sort is stable.
    places.sort_by(|a, b| b.0.total_cmp(&a.0));
    places.truncate((places.len() as f64 * share).ceil() as usize);
    Ok(Array2::from_shape_fn((coils, places.len()), |(c, i)| {
        let [z, y, x] = places[i].1;
        kspace[[c, z, y, x]]
    }))
}
