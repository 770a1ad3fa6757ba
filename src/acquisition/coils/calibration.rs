//! The calibration region: where it is, and the subspace that its patches span.
//!
//! All patches of k-space under a window of the kernel's size lie near a subspace, because every coil measures the same
//! image, weighted by a smooth map. The projector onto it, summed along its diagonals, is a set of small convolution
//! kernels whose Fourier transform is a coils × coils matrix at every pixel (Uecker et al. 2014, eqs. 9 to 18).

use nalgebra::DMatrix;
use ndarray::{ArrayView4, s};
use num_complex::Complex64;
use rayon::prelude::*;

use super::eigen::{couples, pairs};
use crate::acquisition::Complex32;
use crate::acquisition::linear::double;

/// The central `widths` of `D`, `H` and `W` of k-space `[coils, D, H, W]`, all of an axis that is shorter. DC moves
/// from index ⌊n/2⌋ to ⌊width/2⌋.
pub fn centre<'a>(kspace: ArrayView4<'a, Complex32>, widths: [usize; 3]) -> ArrayView4<'a, Complex32> {
    let (_, d, h, w) = kspace.dim();
    let range = |n: usize, width: usize| {
        let width = width.min(n);
        n / 2 - width / 2..n / 2 - width / 2 + width
    };
    let [widths_d, widths_h, widths_w] = widths;
    kspace.slice_move(s![.., range(d, widths_d), range(h, widths_h), range(w, widths_w)])
}

/// Widths of the largest fully measured box about DC, at most `limit` along the `transformed` axes of `D`, `H`, `W` and
/// all of the others. Positions at which all coils are zero count as not measured; zero if DC itself is.
///
/// All axes grow together, and each stops where it meets a position that was not measured.
pub fn calibration_widths(kspace: ArrayView4<Complex32>, transformed: [bool; 3], limit: usize) -> [usize; 3] {
    let (_, d, h, w) = kspace.dim();
    let shape = [d, h, w];
    let mut widths = [0, 1, 2].map(|axis| if transformed[axis] { 1 } else { shape[axis] });
    if !fully_measured(centre(kspace, widths)) {
        return [0; 3];
    }
    for width in 2..=limit {
        for axis in (0..3).filter(|&axis| transformed[axis]) {
            let mut wider = widths;
            wider[axis] = width;
            if widths[axis] == width - 1 && width <= shape[axis] && fully_measured(centre(kspace, wider)) {
                widths = wider;
            }
        }
    }
    widths
}

/// Whether at least one coil has a value other than zero at every position.
pub(super) fn fully_measured(region: ArrayView4<Complex32>) -> bool {
    region.lanes(ndarray::Axis(0)).into_iter().all(|coils| coils.iter().any(|z| *z != Complex32::default()))
}

/// Convolution kernels of the projector on the subspace of patches, for every pair of coils.
pub(super) struct PatchProjector {
    /// `[pairs, 2k−1, 2k−1, 2k−1]`, offset zero in the middle; divided by the kernel's number of places, so that the
    /// transform has the eigenvalue one where the image is consistent with one set of maps.
    pub kernels: Vec<Complex32>,
    /// `2k − 1` along `D`, `H` and `W`.
    pub extent: [usize; 3],
}

impl PatchProjector {
    /// Of the patches `kernel` of a fully measured region `[coils, d, h, w]`, with the singular values above
    /// `threshold` times the largest.
    pub fn new(region: ArrayView4<Complex32>, kernel: [usize; 3], threshold: f64) -> Self {
        let coils = region.dim().0;
        let places: usize = kernel.iter().product();
        let (values, vectors) = super::eigen_descending(patch_covariance(region, kernel));
        // Eigenvalues of the covariance are the squares of the calibration matrix's singular values.
        let kept = values.iter().take_while(|&&value| value > threshold * threshold * values[0]).count();
        let extent = kernel.map(|k| 2 * k - 1);
        let size: usize = extent.iter().product();
        let mut kernels = vec![Complex32::default(); pairs(coils) * size];
        let couples: Vec<(usize, usize)> = couples(coils).collect();
        kernels.par_chunks_mut(size).zip(couples).for_each(|(sums, (a, b))| {
            let rows = |coil: usize| vectors.view((coil * places, 0), (places, kept));
            let block = rows(a) * rows(b).adjoint();
            let mut diagonals = vec![Complex64::default(); size];
            for (column, l) in offsets(kernel).enumerate() {
                for (row, k) in offsets(kernel).enumerate() {
                    let difference = [0, 1, 2].map(|axis| k[axis] + kernel[axis] - 1 - l[axis]);
                    diagonals[flat(difference, extent)] += block[(row, column)];
                }
            }
            for (to, from) in sums.iter_mut().zip(diagonals) {
                let z = from / places as f64;
                *to = Complex32::new(z.re as f32, z.im as f32);
            }
        });
        Self { kernels, extent }
    }
}

/// `Σ x xᴴ` over all patches x of the region, `[coils · kernel, coils · kernel]`.
///
/// Element ((a, k), (b, l)) sums `x_a(p+k)·conj(x_b(p+l))` over the patches p: for one difference k − l it is one
/// product image summed under a sliding window, so that each product is formed once and not once for every patch.
fn patch_covariance(region: ArrayView4<Complex32>, kernel: [usize; 3]) -> DMatrix<Complex64> {
    let (coils, d, h, w) = region.dim();
    let shape = [d, h, w];
    let places: usize = kernel.iter().product();
    let region = region.as_standard_layout();
    let values: Vec<Complex64> = region.iter().map(double).collect();
    let images: Vec<&[Complex64]> = values.chunks_exact(d * h * w).collect();
    let extent = kernel.map(|k| 2 * k - 1);
    let differences: Vec<[isize; 3]> = offsets(extent)
        .map(|at| [0, 1, 2].map(|axis| at[axis] as isize - (kernel[axis] as isize - 1)))
        .collect();
    let blocks: Vec<Vec<Vec<Complex64>>> = differences
        .par_iter()
        .map(|&difference| {
            couples(coils)
                .map(|(a, b)| window_sums(images[a], images[b], shape, kernel, difference))
                .collect()
        })
        .collect();
    let mut covariance = DMatrix::zeros(coils * places, coils * places);
    for (difference, blocks) in differences.iter().zip(&blocks) {
        let first = difference.map(|difference| (-difference).max(0) as usize);
        let count = [0, 1, 2].map(|axis| kernel[axis] - difference[axis].unsigned_abs());
        for (i, from_first) in offsets(count).enumerate() {
            let l = [0, 1, 2].map(|axis| first[axis] + from_first[axis]);
            let k = [0, 1, 2].map(|axis| l[axis].wrapping_add_signed(difference[axis]));
            let (l, k) = (flat(l, kernel), flat(k, kernel));
            for ((a, b), sums) in couples(coils).zip(blocks) {
                covariance[(a * places + k, b * places + l)] = sums[i];
                covariance[(b * places + l, a * places + k)] = sums[i].conj();
            }
        }
    }
    covariance
}

/// Sums of `a(s + difference)·conj(b(s))` over s under every window of patch positions that both lie in.
fn window_sums(
    a: &[Complex64],
    b: &[Complex64],
    shape: [usize; 3],
    kernel: [usize; 3],
    difference: [isize; 3],
) -> Vec<Complex64> {
    let first = difference.map(|difference| (-difference).max(0) as usize);
    let overlap = [0, 1, 2].map(|axis| shape[axis] - difference[axis].unsigned_abs());
    let mut product = Vec::with_capacity(overlap.iter().product());
    for z in first[0]..first[0] + overlap[0] {
        for y in first[1]..first[1] + overlap[1] {
            let at = flat([z, y, first[2]], shape);
            let shifted = [z, y, first[2]];
            let shifted = [0, 1, 2].map(|axis| shifted[axis].wrapping_add_signed(difference[axis]));
            let from = flat(shifted, shape);
            let lines = a[from..from + overlap[2]].iter().zip(&b[at..at + overlap[2]]);
            product.extend(lines.map(|(a, b)| a * b.conj()));
        }
    }
    let mut size = overlap;
    for axis in (0..3).rev() {
        let window = shape[axis] - kernel[axis] + 1;
        product = slide(&product, size, axis, window);
        size[axis] = size[axis] - window + 1;
    }
    product
}

/// Sums under a window that slides along one axis.
fn slide(values: &[Complex64], size: [usize; 3], axis: usize, window: usize) -> Vec<Complex64> {
    let n = size[axis];
    let inner: usize = size[axis + 1..].iter().product();
    let mut sums = Vec::with_capacity(values.len() / n * (n - window + 1));
    let mut sum = vec![Complex64::default(); inner];
    for block in values.chunks_exact(n * inner) {
        sum.fill(Complex64::default());
        for i in 0..n {
            sum.iter_mut().zip(&block[i * inner..]).for_each(|(sum, new)| *sum += new);
            if i + 1 >= window {
                sums.extend_from_slice(&sum);
                let leaving = &block[(i + 1 - window) * inner..];
                sum.iter_mut().zip(leaving).for_each(|(sum, old)| *sum -= old);
            }
        }
    }
    sums
}

/// All positions of a box, the last axis fastest.
fn offsets([d, h, w]: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    (0..d * h * w).map(move |i| [i / (h * w), i / w % h, i % w])
}

const fn flat([z, y, x]: [usize; 3], [_, h, w]: [usize; 3]) -> usize {
    (z * h + y) * w + x
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::*;
    use crate::acquisition::linear::noise;
    use crate::random::{Purpose, stream};

    #[test]
    fn patch_covariance_is_that_of_the_calibration_matrix_row_by_row() {
        let region: Array4<Complex32> = noise(&[2, 5, 4, 6], &mut stream(1, 0, 0, 0, Purpose::Start))
            .into_dimensionality()
            .expect("four axes");
        let kernel = [2, 3, 3];
        let fast = patch_covariance(region.view(), kernel);
        let mut slow = DMatrix::<Complex64>::zeros(36, 36);
        for p in offsets([4, 2, 4]) {
            let patch = DMatrix::from_fn(36, 1, |row, _| {
                let k = offsets(kernel).nth(row % 18).expect("within the kernel");
                let z = region[[row / 18, p[0] + k[0], p[1] + k[1], p[2] + k[2]]];
                Complex64::new(z.re.into(), z.im.into())
            });
            slow += &patch * patch.adjoint();
        }
        assert!((fast - &slow).norm() < 1e-12 * slow.norm());
    }

    #[test]
    fn calibration_widths_stop_where_a_sample_is_missing() {
        let mut kspace = Array4::from_elem((2, 1, 40, 30), Complex32::new(1.0, 0.0));
        kspace.slice_mut(s![.., 0, 30, ..]).fill(Complex32::default());
        let transformed = [false, true, true];
        // Rows 20 − w/2 to 20 − w/2 + w − 1: row 30 is the first that a width of 21 holds.
        assert_eq!(calibration_widths(kspace.view(), transformed, 24), [1, 20, 24]);
        assert_eq!(calibration_widths(kspace.view(), transformed, 64), [1, 20, 30]);
        kspace[[0, 0, 20, 15]] = Complex32::default();
        assert_eq!(calibration_widths(kspace.view(), transformed, 24), [1, 20, 24]);
        kspace[[1, 0, 20, 15]] = Complex32::default();
        assert_eq!(calibration_widths(kspace.view(), transformed, 24), [0; 3]);
    }
}
