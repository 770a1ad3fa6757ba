//! HaarPSI, the Haar wavelet-based perceptual similarity index, of grey slices.
//!
//! Reisenhofer, Bosse, Kutyniok and Wiegand 2018, <https://doi.org/10.1016/j.image.2017.11.001>, on intensities from 0
//! to 255: the slice is halved by means of 2 × 2 pixels; coefficients of the two finer of three Haar scales are
//! compared (equation 6, constant C), those of the third weigh the comparison (equation 9), and a logistic curve of
//! steepness α goes before the mean and its inverse after it (equation 11). Images are padded with zeros, and an
//! even filter reaches one pixel further down and to the right, as in the authors' MATLAB.
//!
//! In three dimensions the index is not defined. For a volume, [`score`](super::score()) reports the mean over the
//! slices along each of the three axes, and its detail says so.

use ndarray::{Array2, ArrayView2};

/// The two constants of the index, which are fitted to human judgement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HaarPsi {
    /// C of the similarity, in squared intensities of a 255 scale: the larger, the less small differences count.
    pub c: f64,
    /// Steepness α of the logistic curve.
    pub alpha: f64,
}

impl HaarPsi {
    /// Fitted to photographs (Reisenhofer 2018).
    pub const NATURAL: Self = Self { c: 30.0, alpha: 4.2 };
    /// Fitted to photoacoustic and chest X-ray images (Karner et al. 2024, <https://arxiv.org/abs/2410.24098>). How
    /// intensities come to the 255 scale is left open there; here the caller scales.
    pub const MEDICAL: Self = Self { c: 5.0, alpha: 4.9 };

    /// The index of two slices `[H, W]` on a scale of 0 to 255: 1 for equal slices, down to 0.
    ///
    /// `mask` multiplies the weights by the share of each halved pixel that is inside. `None` if no pixel has weight:
    /// both slices are zero (in the mask).
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn of(
        &self,
        target: ArrayView2<f64>,
        prediction: ArrayView2<f64>,
        mask: Option<ArrayView2<bool>>,
    ) -> Option<f64> {
        assert_eq!(target.dim(), prediction.dim(), "two slices of one shape");
        let (a, b) = (Table::new(&halved(target)), Table::new(&halved(prediction)));
        let inside = mask.map(|mask| halved(mask.mapv(|inside| f64::from(u8::from(inside))).view()));
        let (mut sum, mut total) = (0.0, 0.0);
        for row in 0..a.height {
            for column in 0..a.width {
                let share = inside.as_ref().map_or(1.0, |inside| inside[(row, column)]);
                for turned in [false, true] {
                    let coefficients =
                        |scale| (a.haar(row, column, scale, turned), b.haar(row, column, scale, turned));
                    let similar = |scale| {
                        let (a, b) = coefficients(scale);
                        (2.0 * a * b + self.c) / (a * a + b * b + self.c)
                    };
                    let (coarse_a, coarse_b) = coefficients(3);
                    let weight = share * coarse_a.max(coarse_b);
                    sum += weight / (1.0 + (-self.alpha * (similar(1) + similar(2)) / 2.0).exp());
                    total += weight;
                }
            }
        }
        let mean = sum / total;
        (total > 0.0).then(|| ((mean / (1.0 - mean)).ln() / self.alpha).powi(2))
    }
}

/// Means of 2 × 2 pixels; beyond an odd last row or column lie zeros.
fn halved(slice: ArrayView2<f64>) -> Array2<f64> {
    let (height, width) = slice.dim();
    let mut means = Array2::zeros((height.div_ceil(2), width.div_ceil(2)));
    for ((row, column), value) in slice.indexed_iter() {
        means[(row / 2, column / 2)] += value / 4.0;
    }
    means
}

/// Sums of an image over rectangles from its corner, so that one over any rectangle takes four look-ups.
struct Table {
    sums: Array2<f64>,
    height: usize,
    width: usize,
}

impl Table {
    fn new(image: &Array2<f64>) -> Self {
        let (height, width) = image.dim();
        let mut sums = Array2::zeros((height + 1, width + 1));
        for ((row, column), value) in image.indexed_iter() {
            sums[(row + 1, column + 1)] =
                value + sums[(row, column + 1)] + sums[(row + 1, column)] - sums[(row, column)];
        }
        Self { sums, height, width }
    }

    /// Sum over rows `top..bottom` and columns `left..right`, zeros lying beyond the image.
    fn sum(&self, [top, bottom]: [isize; 2], [left, right]: [isize; 2]) -> f64 {
        let within = |place: isize, size: usize| place.clamp(0, size as isize) as usize;
        let (top, bottom) = (within(top, self.height), within(bottom, self.height));
        let (left, right) = (within(left, self.width), within(right, self.width));
        self.sums[(bottom, right)] - self.sums[(top, right)] - self.sums[(bottom, left)]
            + self.sums[(top, left)]
    }

    /// Magnitude of the Haar coefficient at a pixel: 2^−scale times the difference of the halves of the square of
    /// 2^scale pixels around it, the upper and the lower, or when `turned` the left and the right.
    fn haar(&self, row: usize, column: usize, scale: u32, turned: bool) -> f64 {
        let half = 1isize << (scale - 1);
        let [row, column] = [row, column].map(|place| [place as isize + 1 - half, place as isize + 1 + half]);
        let difference = if turned {
            self.sum(row, [column[0], column[0] + half]) - self.sum(row, [column[0] + half, column[1]])
        } else {
            self.sum([row[0], row[0] + half], column) - self.sum([row[0] + half, row[1]], column)
        };
        difference.abs() / f64::from(1u32 << scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(k: usize) -> Array2<f64> {
        Array2::from_shape_fn((21, 18), |(h, w)| ((h * h * 7 + w * (11 + k) + h * w * k) % 251) as f64)
    }

    #[test]
    fn equal_slices_are_similar_by_one_and_empty_ones_say_nothing() {
        for index in [HaarPsi::NATURAL, HaarPsi::MEDICAL] {
            let (a, b) = (pattern(1), pattern(4));
            assert!((index.of(a.view(), a.view(), None).unwrap() - 1.0).abs() < 1e-9);
            let there = index.of(a.view(), b.view(), None).unwrap();
            assert!((0.0..0.9).contains(&there), "{there}");
            assert!((index.of(b.view(), a.view(), None).unwrap() - there).abs() < 1e-12);
            assert_eq!(index.of((&a * 0.0).view(), (&a * 0.0).view(), None), None);
        }
        // The medical constants see a faint difference that the others pass over.
        let (a, faint) = (pattern(1), pattern(1) + &(pattern(4) * 0.02));
        let of = |index: HaarPsi| index.of(a.view(), faint.view(), None).unwrap();
        assert!(of(HaarPsi::MEDICAL) < of(HaarPsi::NATURAL));
    }

    #[test]
    fn a_mask_leaves_out_what_is_wrong_outside() {
        let a = pattern(1);
        let mut b = a.clone();
        b.slice_mut(ndarray::s![.., 14..]).fill(0.0);
        // The third scale reaches 4 halved pixels to the right, so that columns up to 5 see nothing of it.
        let mask = Array2::from_shape_fn(a.dim(), |(_, w)| w < 6);
        assert!(HaarPsi::MEDICAL.of(a.view(), b.view(), None).unwrap() < 0.9);
        assert!((HaarPsi::MEDICAL.of(a.view(), b.view(), Some(mask.view())).unwrap() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_step_has_the_coefficients_of_the_filter() {
        // Zero above row 4, one from there on.
        let table = Table::new(&Array2::from_shape_fn((8, 8), |(h, _)| if h < 4 { 0.0 } else { 1.0 }));
        // Rows 2 to 5 and columns 2 to 5 around (3, 3): 8 ones below, none above, over 4.
        assert_eq!((table.haar(3, 3, 2, false), table.haar(3, 3, 2, true)), (2.0, 0.0));
        // At the last row the filter's lower half is beyond the image.
        assert_eq!(table.haar(7, 3, 1, false), 1.0);
    }
}
