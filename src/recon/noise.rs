//! How noisy an image is.

use ndarray::{ArrayView3, s};

use crate::acquisition::Complex32;
use crate::acquisition::operators::wavelet::{Daubechies, Wavelet, pad};
use crate::stats::upper_median;

/// What makes a median of absolute values a standard deviation of normal noise.
const NORMAL: f64 = 1.4826;

/// Standard deviation of the noise in the planes H × W of an image `[D, H, W]`, where `inside` is true: the median of the absolute
/// details along both axes in the finest wavelet band, over 0.6745 (Donoho and Johnstone 1994), by Daubechies' filters of eight taps.
/// Of an image its finest details are few, and a median does not see them. Zero where nothing is inside.
pub fn noise_sd(image: ArrayView3<f32>, inside: ArrayView3<bool>) -> f64 {
    let (d, h, w) = image.dim();
    if h < 2 || w < 2 {
        return 0.0;
    }
    let (shape, axes) = ([d, h, w], [1, 2]);
    let bands = Wavelet::new(shape, &axes, 1, Daubechies::Db4);
    let mut x = pad(&image.mapv(Complex32::from), Wavelet::padded(shape, &axes, 1));
    bands.analyse(&mut x);
    let [_, low_h, low_w] = bands.averages();
    let details = x.slice(s![.., low_h.., low_w..]);
    // Coefficient i is about voxel 2i.
    let of_inside =
        details.indexed_iter().filter(|&((z, y, x), _)| inside.get((z, 2 * y, 2 * x)) == Some(&true));
    NORMAL * upper_median(of_inside.map(|(_, detail)| f64::from(detail.re.abs())).collect()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::random::{Purpose, normal, stream};

    /// White noise is found on a ramp, beside an edge and over an odd number of rows; the orthonormal transform keeps its deviation.
    #[test]
    fn noise_is_found_beside_anatomy() {
        let draws = normal(&mut stream(1, 0, 0, 0, Purpose::Noise), 2 * 95 * 96);
        let of = |sd: f32| {
            Array3::from_shape_fn((2, 95, 96), |(z, y, x)| {
                let ramp = 100.0 + 0.5 * y as f32 + if x > 40 { 80.0 } else { 0.0 };
                ramp + sd * draws[(z * 95 + y) * 96 + x]
            })
        };
        let inside = Array3::from_elem((2, 95, 96), true);
        let found = noise_sd(of(7.0).view(), inside.view());
        assert!((found / 7.0 - 1.0).abs() < 0.03, "{found}");
        assert!(noise_sd(of(0.0).view(), inside.view()) < 1e-3);
        // Outside of what is looked at it may be as noisy as it likes.
        let half = Array3::from_shape_fn((2, 95, 96), |(_, y, _)| y < 40);
        let mut image = of(0.0);
        image.slice_mut(s![.., 60.., ..]).assign(&of(50.0).slice(s![.., 60.., ..]));
        assert!(noise_sd(image.view(), half.view()) < 1e-3);
        assert_eq!(noise_sd(image.view(), half.mapv(|_| false).view()), 0.0);
    }
}
