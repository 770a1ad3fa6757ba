//! Sliding windows: weighted means at positions where the whole window is on the grid, and SSIM's factors from them.
//!
//! A window is separable, so that its cost grows with its length and not with its area. The few quantities that a
//! measure needs at a voxel are lanes, side by side in memory, so that one pass takes them all.

use ndarray::ArrayView3;
use rayon::prelude::*;

/// SSIM's constants of luminance and of contrast, as shares of the data range.
pub(super) const K1: f64 = 0.01;
/// See [`K1`].
pub(super) const K2: f64 = 0.03;
/// Weights from the first tap on, along `[D, H, W]`.
pub(super) type Weights = [Vec<f64>; 3];

/// Weights of a Gaussian of `taps`, summing to one.
pub(super) fn gaussian(taps: usize, sigma: f64) -> Vec<f64> {
    let radius = (taps / 2) as f64;
    let weights: Vec<f64> =
        (0..taps).map(|tap| (-(tap as f64 - radius).powi(2) / (2.0 * sigma * sigma)).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / total).collect()
}

/// Calls `each` with every row of window means of a plane, from the first on, that lies wholly inside.
///
/// The plane has rows of `row` numbers, `lanes` a voxel. `windows` are the weights down and along the rows; means come
/// in the same lanes, in rows that are shorter by `lanes · (taps − 1)`.
///
/// # Panics
/// Where a window is longer than the plane.
pub(super) fn windowed_rows(
    plane: &[f64],
    row: usize,
    lanes: usize,
    windows: [&[f64]; 2],
    mut each: impl FnMut(usize, &[f64]),
) {
    let [down, along] = windows;
    let mut column_means = vec![0.0; row];
    let mut means = vec![0.0; row - lanes * (along.len() - 1)];
    for top in 0..=(plane.len() / row - down.len()) {
        column_means.fill(0.0);
        for (source, weight) in plane[top * row..].chunks_exact(row).zip(down) {
            add_scaled(&mut column_means, source, *weight);
        }
        means.fill(0.0);
        for (tap, weight) in along.iter().enumerate() {
            add_scaled(&mut means, &column_means[tap * lanes..], *weight);
        }
        each(top, &means);
    }
}

fn add_scaled(sums: &mut [f64], values: &[f64], weight: f64) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += weight * value;
    }
}

/// Sums over the window positions of a plane, those in the mask where there is one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Structure {
    /// Of SSIM.
    pub similarity: f64,
    /// Of its contrast and structure factor.
    pub contrast_structure: f64,
    /// Number of positions.
    pub count: usize,
}

impl Structure {
    /// Mean SSIM, if there is a position.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.similarity / self.count as f64)
    }
}

impl std::iter::Sum for Structure {
    fn sum<I: Iterator<Item = Self>>(planes: I) -> Self {
        planes.fold(Self::default(), |sum, plane| Self {
            similarity: sum.similarity + plane.similarity,
            contrast_structure: sum.contrast_structure + plane.contrast_structure,
            count: sum.count + plane.count,
        })
    }
}

/// SSIM (Wang 2004, equation 13) under separable `windows`, summed over each plane of positions `[H, W]`.
///
/// `covariance` multiplies variances and covariance: 1, or n/(n − 1) for a sample's of n voxels. `range` gives the data
/// range of a plane. A position counts if its window lies on the grid and `mask` holds at its centre. The two variances
/// enter SSIM by their sum only, so that four lanes suffice: both means, the mean of the squares' sum and that of the
/// product.
///
/// # Panics
/// Where a window is longer than the grid, or shapes differ.
pub(super) fn structure<T: Copy + Into<f64> + Sync>(
    a: ArrayView3<T>,
    b: ArrayView3<T>,
    windows: &Weights,
    covariance: f64,
    range: impl Fn(usize) -> f64 + Sync,
    mask: Option<ArrayView3<bool>>,
) -> Vec<Structure> {
    assert_eq!(a.dim(), b.dim(), "two images of one shape");
    let (depth, height, width) = a.dim();
    let (a, b) = (a.as_standard_layout(), b.as_standard_layout());
    let (a, b) =
        (a.as_slice().expect("made standard just above"), b.as_slice().expect("made standard just above"));
    let radius = [0, 1, 2].map(|axis| windows[axis].len() / 2);
    let sums = |plane: usize| {
        let mut lanes = vec![0.0; height * width * 4];
        for (row, sums) in lanes.chunks_exact_mut(width * 4).enumerate() {
            for (tap, &weight) in windows[0].iter().enumerate() {
                let at = ((plane + tap) * height + row) * width;
                let voxels = a[at..at + width].iter().zip(&b[at..at + width]);
                for (sums, (&a, &b)) in sums.chunks_exact_mut(4).zip(voxels) {
                    let (a, b): (f64, f64) = (a.into(), b.into());
                    sums[0] += weight * a;
                    sums[1] += weight * b;
                    sums[2] += weight * (a * a + b * b);
                    sums[3] += weight * (a * b);
                }
            }
        }
        let range = range(plane);
        let (c1, c2) = ((K1 * range).powi(2), (K2 * range).powi(2));
        let mut found = Structure::default();
        windowed_rows(&lanes, width * 4, 4, [&windows[1], &windows[2]], |row, means| {
            for (column, lanes) in means.chunks_exact(4).enumerate() {
                let centre = [plane + radius[0], row + radius[1], column + radius[2]];
                if mask.is_some_and(|mask| !mask[centre]) {
                    continue;
                }
                let (a, b, squares, product) = (lanes[0], lanes[1], lanes[2], lanes[3]);
                let variances = covariance * (squares - a * a - b * b);
                let cs = (2.0 * covariance * (product - a * b) + c2) / (variances + c2);
                found.contrast_structure += cs;
                found.similarity += (2.0 * a * b + c1) / (a * a + b * b + c1) * cs;
                found.count += 1;
            }
        });
        found
    };
    (0..=depth - windows[0].len()).into_par_iter().map(sums).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_of_lanes_under_a_window() {
        // Two lanes, 3 rows of 3 voxels: 1 to 9 and ten times that.
        let plane: Vec<f64> = (1..=9).flat_map(|v| [f64::from(v), f64::from(10 * v)]).collect();
        let mut rows = Vec::new();
        windowed_rows(&plane, 6, 2, [&[0.5, 0.5], &[0.25, 0.75]], |row, means| {
            rows.push((row, means.to_vec()))
        });
        // Rows (1 + 4) / 2 = 2.5, 3.5, 4.5; then a quarter of one and three quarters of the next.
        assert_eq!(rows, [(0, vec![3.25, 32.5, 4.25, 42.5]), (1, vec![6.25, 62.5, 7.25, 72.5])]);
    }

    #[test]
    fn a_gaussian_is_symmetric_and_sums_to_one() {
        let weights = gaussian(11, 1.5);
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-15);
        assert!((weights[4] / weights[5] - (-1.0f64 / 4.5).exp()).abs() < 1e-15);
        assert!((0..11).all(|tap| weights[tap] == weights[10 - tap]));
        assert_eq!(gaussian(1, 1.5), [1.0]);
    }
}
