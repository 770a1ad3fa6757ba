//! The dominant eigenvectors of a Hermitian matrix at every pixel, several pixels at a time.
//!
//! Coil matrices are small (coils × coils) and there is one a pixel, so a matrix library's loops would be all overhead.
//! Here every number is a lane of eight pixels and the compiler vectorises across them. The matrix is squared twice,
//! so that each step of the power method is worth four, and the method stops when all eight have settled.

use crate::acquisition::Complex32;

/// Pixels that are worked on together.
const LANES: usize = 8;
/// Steps of the power method, each worth four of the matrix itself.
const STEPS: usize = 50;
/// Squared change of a unit vector in one step at which it has settled.
const SETTLED: f32 = 1e-9;

/// One complex number of each of eight pixels.
#[derive(Clone, Copy, Default)]
struct Lane {
    re: [f32; LANES],
    im: [f32; LANES],
}

impl Lane {
    /// `self += a·b`.
    #[inline(always)]
    fn add_product(&mut self, a: &Self, b: &Self) {
        for i in 0..LANES {
            self.re[i] += a.re[i] * b.re[i] - a.im[i] * b.im[i];
            self.im[i] += a.re[i] * b.im[i] + a.im[i] * b.re[i];
        }
    }

    /// `self += a·conj(b)`.
    #[inline(always)]
    fn add_product_conj(&mut self, a: &Self, b: &Self) {
        for i in 0..LANES {
            self.re[i] += a.re[i] * b.re[i] + a.im[i] * b.im[i];
            self.im[i] += a.im[i] * b.re[i] - a.re[i] * b.im[i];
        }
    }

    #[inline(always)]
    fn scale(&mut self, factor: &[f32; LANES]) {
        self.re.iter_mut().zip(factor).for_each(|(re, factor)| *re *= factor);
        self.im.iter_mut().zip(factor).for_each(|(im, factor)| *im *= factor);
    }

    fn conj(mut self) -> Self {
        self.im.iter_mut().for_each(|im| *im = -*im);
        self
    }
}

/// The pairs `(a, b)` with `a ≤ b` of the upper triangle, row by row.
pub(super) fn couples(coils: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..coils).flat_map(move |a| (a..coils).map(move |b| (a, b)))
}

/// Number of pairs of the upper triangle.
pub(super) const fn pairs(coils: usize) -> usize {
    coils * (coils + 1) / 2
}

/// The largest eigenvalues and their unit eigenvectors of positive semidefinite matrices along a row of pixels.
///
/// `upper` holds the upper triangles, `[pairs, width]`; `values` is `[maps, width]` and says how many eigenvectors are
/// asked for; `vectors` is `[maps, coils, width]`. The phases of the vectors are arbitrary. Returned is, `[maps, width]`, which of
/// them still changed in the last step: two eigenvalues are nearly equal there, and the vector may be a mixture.
pub(super) fn dominant(
    upper: &[Complex32],
    coils: usize,
    width: usize,
    vectors: &mut [Complex32],
    values: &mut [f32],
) -> Vec<bool> {
    debug_assert_eq!(upper.len(), pairs(coils) * width);
    let mut unsettled = vec![false; values.len()];
    let mut matrix = vec![Lane::default(); coils * coils];
    let mut squared = matrix.clone();
    let mut power = matrix.clone();
    let mut vector = vec![Lane::default(); coils];
    let mut image = vector.clone();
    for start in (0..width).step_by(LANES) {
        let here = LANES.min(width - start);
        load(upper, coils, width, start, here, &mut matrix);
        let pairs = vectors.chunks_exact_mut(coils * width).zip(values.chunks_exact_mut(width));
        for ((vectors, values), unsettled) in pairs.zip(unsettled.chunks_exact_mut(width)) {
            power.copy_from_slice(&matrix);
            let trace = normalise(&mut power, coils);
            matrix.copy_from_slice(&power);
            square(&power, &mut squared, coils);
            square(&squared, &mut power, coils);
            normalise(&mut power, coils);
            let change = iterate(&power, &mut vector, &mut image, coils);
            let value = rayleigh(&matrix, &vector, &mut image);
            for (coil, lane) in vector.iter().enumerate() {
                for i in 0..here {
                    vectors[coil * width + start + i] = Complex32::new(lane.re[i], lane.im[i]);
                }
            }
            (0..here).for_each(|i| {
                values[start + i] = value[i] * trace[i];
                unsettled[start + i] = !settled(change[i]);
            });
            deflate(&mut matrix, &vector, &image, &value);
            matrix.iter_mut().for_each(|lane| lane.scale(&trace));
        }
    }
    unsettled
}

fn settled(change: f32) -> bool {
    change < SETTLED
}

fn load(upper: &[Complex32], coils: usize, width: usize, start: usize, here: usize, matrix: &mut [Lane]) {
    for ((a, b), row) in couples(coils).zip(upper.chunks_exact(width)) {
        let mut lane = Lane::default();
        let row = &row[start..start + here];
        row.iter().enumerate().for_each(|(i, z)| (lane.re[i], lane.im[i]) = (z.re, z.im));
        if a == b {
            lane.im = [0.0; LANES];
        }
        matrix[a * coils + b] = lane;
        matrix[b * coils + a] = lane.conj();
    }
}

/// Divides by the trace, and returns it.
fn normalise(matrix: &mut [Lane], coils: usize) -> [f32; LANES] {
    let mut trace = [0.0; LANES];
    for a in 0..coils {
        (0..LANES).for_each(|i| trace[i] += matrix[a * coils + a].re[i]);
    }
    let inverse = trace.map(|trace| if trace > 0.0 { 1.0 / trace } else { 0.0 });
    matrix.iter_mut().for_each(|lane| lane.scale(&inverse));
    trace
}

/// `to = from²` of a Hermitian matrix.
fn square(from: &[Lane], to: &mut [Lane], coils: usize) {
    for (a, b) in couples(coils) {
        let mut sum = Lane::default();
        let (row, column) = (&from[a * coils..][..coils], &from[b * coils..][..coils]);
        row.iter().zip(column).for_each(|(x, y)| sum.add_product_conj(x, y));
        to[a * coils + b] = sum;
        to[b * coils + a] = sum.conj();
    }
}

/// `to = matrix · from`.
fn multiply(matrix: &[Lane], from: &[Lane], to: &mut [Lane]) {
    for (to, row) in to.iter_mut().zip(matrix.chunks_exact(from.len())) {
        let mut sum = Lane::default();
        row.iter().zip(from).for_each(|(x, y)| sum.add_product(x, y));
        *to = sum;
    }
}

/// Scales to unit length; a zero vector stays.
fn unit(vector: &mut [Lane]) {
    let mut energy = [0.0f32; LANES];
    for lane in vector.iter() {
        (0..LANES).for_each(|i| energy[i] += lane.re[i] * lane.re[i] + lane.im[i] * lane.im[i]);
    }
    let inverse = energy.map(|energy| if energy > 0.0 { 1.0 / energy.sqrt() } else { 0.0 });
    vector.iter_mut().for_each(|lane| lane.scale(&inverse));
}

/// The power method, from the column with the largest diagonal element: it is a power's image of a unit vector already. Returns the
/// squared changes of the last step.
fn iterate(power: &[Lane], vector: &mut [Lane], image: &mut [Lane], coils: usize) -> [f32; LANES] {
    for i in 0..LANES {
        let diagonal = |a: usize| power[a * coils + a].re[i];
        let largest = (1..coils).fold(0, |best, a| if diagonal(a) > diagonal(best) { a } else { best });
        for (a, lane) in vector.iter_mut().enumerate() {
            let from = &power[a * coils + largest];
            (lane.re[i], lane.im[i]) = (from.re[i], from.im[i]);
        }
    }
    unit(vector);
    let mut last = [0.0; LANES];
    for _ in 0..STEPS {
        multiply(power, vector, image);
        unit(image);
        let mut change = [0.0f32; LANES];
        for (new, old) in image.iter().zip(vector.iter_mut()) {
            for (i, change) in change.iter_mut().enumerate() {
                *change += (new.re[i] - old.re[i]).powi(2) + (new.im[i] - old.im[i]).powi(2);
            }
            *old = *new;
        }
        last = change;
        if change.iter().all(|&change| settled(change)) {
            break;
        }
    }
    last
}

/// `vᴴ M v`; `image` becomes `M v`.
fn rayleigh(matrix: &[Lane], vector: &[Lane], image: &mut [Lane]) -> [f32; LANES] {
    multiply(matrix, vector, image);
    let mut sum = Lane::default();
    image.iter().zip(vector).for_each(|(x, v)| sum.add_product_conj(x, v));
    sum.re
}

/// `(I − v vᴴ) M (I − v vᴴ)`, which stays positive semidefinite however exact `v` is; `image` is `M v`.
fn deflate(matrix: &mut [Lane], vector: &[Lane], image: &[Lane], value: &[f32; LANES]) {
    // M − v wᴴ − w vᴴ with w = M v − (λ/2) v.
    let half = value.map(|value| -0.5 * value);
    let rest: Vec<Lane> = image
        .iter()
        .zip(vector)
        .map(|(image, v)| {
            let mut rest = *v;
            rest.scale(&half);
            (0..LANES).for_each(|i| {
                (rest.re[i], rest.im[i]) = (rest.re[i] + image.re[i], rest.im[i] + image.im[i])
            });
            rest
        })
        .collect();
    let coils = vector.len();
    for a in 0..coils {
        for b in 0..coils {
            let mut sum = Lane::default();
            sum.add_product_conj(&vector[a], &rest[b]);
            sum.add_product_conj(&rest[a], &vector[b]);
            let lane = &mut matrix[a * coils + b];
            (0..LANES)
                .for_each(|i| (lane.re[i], lane.im[i]) = (lane.re[i] - sum.re[i], lane.im[i] - sum.im[i]));
        }
    }
}

#[cfg(test)]
mod tests {
    use nalgebra::{DMatrix, SymmetricEigen};
    use num_complex::Complex64;

    use super::*;
    use crate::random::{Purpose, normal, stream};

    /// Against nalgebra's decomposition: eigenvalues, and the vectors by their residual.
    #[test]
    fn pairs_of_random_matrices_are_those_of_a_full_decomposition() {
        for (coils, width, maps) in [(1, 3, 1), (4, 13, 2), (9, 8, 3)] {
            let draws = normal(&mut stream(4, 0, 0, coils as u64, Purpose::Start), 2 * coils * coils * width);
            let matrices: Vec<DMatrix<Complex64>> = draws
                .chunks_exact(2 * coils * coils)
                .map(|draws| {
                    let root = DMatrix::from_fn(coils, coils, |a, b| {
                        let at = 2 * (a * coils + b);
                        // Columns of decreasing weight keep the eigenvalues apart.
                        Complex64::new(draws[at].into(), draws[at + 1].into()) * 0.5f64.powi(b as i32)
                    });
                    &root * root.adjoint()
                })
                .collect();
            let mut upper = vec![Complex32::default(); pairs(coils) * width];
            for (w, matrix) in matrices.iter().enumerate() {
                for (pair, at) in couples(coils).enumerate() {
                    upper[pair * width + w] = Complex32::new(matrix[at].re as f32, matrix[at].im as f32);
                }
            }
            let mut vectors = vec![Complex32::default(); maps * coils * width];
            let mut values = vec![0.0; maps * width];
            let unsettled = dominant(&upper, coils, width, &mut vectors, &mut values);
            assert!(!unsettled.contains(&true), "{coils} coils");
            for (w, matrix) in matrices.iter().enumerate() {
                let mut exact: Vec<f64> =
                    SymmetricEigen::new(matrix.clone()).eigenvalues.iter().copied().collect();
                exact.sort_by(|a, b| b.total_cmp(a));
                for map in 0..maps {
                    let value = f64::from(values[map * width + w]);
                    assert!((value - exact[map]).abs() < 2e-5 * exact[0], "{value} for {}", exact[map]);
                    let v = DMatrix::from_fn(coils, 1, |coil, _| {
                        let z = vectors[(map * coils + coil) * width + w];
                        Complex64::new(z.re.into(), z.im.into())
                    });
                    assert!((v.norm() - 1.0).abs() < 1e-5);
                    let residual = (matrix * &v - &v * Complex64::from(value)).norm();
                    assert!(residual < 1e-3 * exact[0], "{coils} coils, map {map}: {residual}");
                }
            }
        }
    }

    /// After 50 steps, each worth four, an eigenvalue of 0.9999 times the largest has 0.98 of its share still, one of 0.9 has 1e-9.
    #[test]
    fn what_has_not_settled_is_told() {
        let of = |second: f32| {
            // Eigenvectors (0.8, 0.6) and (−0.6, 0.8).
            [0.64 + 0.36 * second, 0.48 * (1.0 - second), 0.36 + 0.64 * second]
        };
        let matrices = [of(0.9999), of(0.9), of(1.0), [0.0; 3]];
        let upper: Vec<Complex32> =
            (0..3).flat_map(|pair| matrices.map(|matrix| Complex32::from(matrix[pair]))).collect();
        let (mut vectors, mut values) = (vec![Complex32::default(); 8], vec![0.0; 4]);
        let unsettled = dominant(&upper, 2, 4, &mut vectors, &mut values);
        // Equal ones and none have nothing to tell apart.
        assert_eq!(unsettled, [true, false, false, false]);
        assert!((values[0] - 1.0).abs() < 1e-4 && (values[1] - 1.0).abs() < 1e-5);
    }
}
