//! Filters that amplify octaves of spatial frequency (ADA, appendix B, "image-space filtering").
//!
//! The bands are those of the wavelet that ADA takes (Daubechies' with two vanishing moments, sym2): its low pass has
//! the power response `P(ω) = cos⁴(ω/2)·(1 + 2 sin²(ω/2))`, and `P(ω) + P(ω + π) = 1` (it is orthogonal). So, from high
//! to low, `1 − P(ω)`, `P(ω)(1 − P(2ω))`, `P(ω)P(2ω)(1 − P(4ω))` and `P(ω)P(2ω)P(4ω)` add up to one. A filter is a sum
//! of these with positive factors, symmetric and separable: the same along each axis.
//!
//! Where borders are reflected about the outer faces of the outer voxels, a symmetric filter is diagonal in the basis
//! of the discrete cosine transform (DCT-II). It is kept as the matrix over an axis, which is symmetric, and so its own
//! adjoint, for any length.

use std::f64::consts::PI;

/// Octaves: 0 to π/8, to π/4, to π/2 and to π a voxel.
pub(super) const BANDS: usize = 4;
/// Power that images are expected to have in each (ADA, appendix B).
const POWER: [f64; BANDS] = [10.0 / 13.0, 1.0 / 13.0, 1.0 / 13.0, 1.0 / 13.0];

/// Factors of the bands when band `i` is amplified by `factors[i]`, one band after the other, the expected power being
/// kept.
pub(super) fn amplification(factors: [f64; BANDS]) -> [f64; BANDS] {
    let mut gains = [1.0; BANDS];
    for (band, factor) in factors.into_iter().enumerate() {
        if factor == 1.0 {
            continue;
        }
        let power = 1.0 + POWER[band] * (factor * factor - 1.0);
        (0..BANDS).for_each(|i| gains[i] *= if i == band { factor } else { 1.0 } / power.sqrt());
    }
    gains
}

/// The response at `omega` a voxel of a filter with these factors of the bands.
fn response(gains: &[f64; BANDS], omega: f64) -> f64 {
    let low = |omega: f64| {
        let cos2 = (omega / 2.0).cos().powi(2);
        cos2 * cos2 * (3.0 - 2.0 * cos2)
    };
    let (mut sum, mut rest) = (0.0, 1.0);
    for octave in 0..BANDS - 1 {
        let low = low(omega * f64::from(1 << octave));
        sum += gains[BANDS - 1 - octave] * rest * (1.0 - low);
        rest *= low;
    }
    sum + gains[0] * rest
}

/// The matrix `[L, L]` of the filter over an axis of `length`, row by row.
pub(super) fn matrix(gains: &[f64; BANDS], length: usize) -> Vec<f64> {
    let angle = PI / length as f64;
    let cosines: Vec<Vec<f64>> = (0..length)
        .map(|k| (0..length).map(|i| (angle * k as f64 * (i as f64 + 0.5)).cos()).collect())
        .collect();
    let weights: Vec<f64> = (0..length)
        .map(|k| response(gains, angle * k as f64) * if k == 0 { 1.0 } else { 2.0 } / length as f64)
        .collect();
    let mut matrix = vec![0.0; length * length];
    for (cosines, weight) in cosines.iter().zip(weights) {
        for (row, a) in matrix.chunks_mut(length).zip(cosines) {
            row.iter_mut().zip(cosines).for_each(|(entry, b)| *entry += weight * a * b);
        }
    }
    matrix
}

/// The matrix that leaves an axis of `length` as it is.
pub(super) fn identity(length: usize) -> Vec<f64> {
    (0..length * length).map(|i| if i % (length + 1) == 0 { 1.0 } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The filters by their taps: the autocorrelation of the wavelet's, `[−1, 0, 9, 16, 9, 0, −1]/32`, spread by two
    /// from one octave to the next.
    #[test]
    fn the_matrix_is_the_filter_with_reflected_borders() {
        let gains = [0.7, 1.9, 0.4, 1.3];
        let low = [-1.0, 0.0, 9.0, 16.0, 9.0, 0.0, -1.0].map(|tap| tap / 32.0);
        let high: Vec<f64> = low.iter().enumerate().map(|(t, tap)| f64::from(t == 3) - tap).collect();
        let reach = 21; // 3·(1 + 2 + 4)
        let filtered = |x: &[f64], taps: &[f64], spread: isize| -> Vec<f64> {
            let at = |i: isize| if (0..x.len() as isize).contains(&i) { x[i as usize] } else { 0.0 };
            (0..x.len() as isize)
                .map(|i| taps.iter().zip(-3..).map(|(tap, t)| tap * at(i + spread * t)).sum())
                .collect()
        };
        let mut rest = vec![0.0; 2 * reach + 1];
        rest[reach] = 1.0;
        let mut kernel = vec![0.0; 2 * reach + 1];
        for (octave, band) in [(0, 3), (1, 2), (2, 1)] {
            let high = filtered(&rest, &high, 1 << octave);
            kernel.iter_mut().zip(high).for_each(|(k, h)| *k += gains[band] * h);
            rest = filtered(&rest, &low, 1 << octave);
        }
        kernel.iter_mut().zip(rest).for_each(|(k, r)| *k += gains[0] * r);

        for length in [2, 5, 24, 64] {
            let matrix = matrix(&gains, length);
            let mut expected = vec![0.0; length * length];
            for i in 0..length {
                for (tap, t) in kernel.iter().zip(-(reach as isize)..) {
                    let at = (i as isize + t).rem_euclid(2 * length as isize) as usize;
                    expected[i * length + at.min(2 * length - 1 - at)] += tap;
                }
            }
            for (a, b) in matrix.iter().zip(expected) {
                assert!((a - b).abs() < 1e-14, "length {length}: {a} is not {b}");
            }
        }
    }

    #[test]
    fn bands_lie_in_their_octaves_and_even_factors_do_nothing() {
        for (band, omega) in [(0, 0.1), (1, 0.19), (2, 0.37), (3, 0.8)] {
            let mut gains = [1.0; BANDS];
            gains[band] = 3.0;
            for other in [0.1, 0.19, 0.37, 0.8] {
                let gain = response(&gains, other * PI);
                assert!(
                    if other == omega { gain > 2.0 } else { gain < 2.0 },
                    "band {band} at {other}π: {gain}"
                );
            }
            assert!((response(&[1.0; BANDS], omega) - 1.0).abs() < 1e-15);
        }
        for (a, b) in matrix(&[1.0; BANDS], 9).iter().zip(identity(9)) {
            assert!((a - b).abs() < 1e-14);
        }
    }

    #[test]
    fn amplification_keeps_the_expected_power() {
        assert_eq!(amplification([1.0; BANDS]), [1.0; BANDS]);
        for band in 0..BANDS {
            let mut factors = [1.0; BANDS];
            factors[band] = 2.5;
            let gains = amplification(factors);
            let power: f64 = gains.iter().zip(POWER).map(|(gain, power)| gain * gain * power).sum();
            assert!((power - 1.0).abs() < 1e-14, "{power}");
            assert!((gains[band] / gains[(band + 1) % BANDS] - 2.5).abs() < 1e-14);
        }
    }
}
