//! VIF, visual information fidelity, of slices in the pixel domain.
//!
//! Sheikh and Bovik 2006, <https://doi.org/10.1109/TIP.2005.859378>: the information that an observer with noise of
//! variance σₙ² gets of the target through the prediction, over what the observer gets of the target itself. The paper
//! works on wavelet bands; here as in most publications it is the authors' pixel-domain variant (vifp): four scales
//! under Gaussian windows of 17, 9, 5 and 3 pixels (σ a fifth of that), each scale the one before it, filtered and
//! halved. 1 for equal images; above 1 where the prediction has more contrast. Not symmetric.
//!
//! In three dimensions it is not defined. For a volume, [`score`](super::score()) reports the mean over the slices
//! along each of the three axes (in the `calgary` profile along one), and its detail says so.

use ndarray::ArrayView2;

use super::window::{gaussian, windowed_rows};

/// The observer's noise variance σₙ² of the authors, for a 255 scale.
pub const NOISE_VARIANCE: f64 = 2.0;
/// Pixels along an axis that the coarsest scale needs.
pub const PIXELS_MIN: usize = 41;

const TAPS: [usize; 4] = [17, 9, 5, 3];
/// Variances below this are none (of the authors' code).
const EPSILON: f64 = 1e-10;

/// VIF of `prediction` for `target`, both `[H, W]`; `noise_variance` is in squared intensities.
///
/// Information is summed over the windows, those whose centre is in `mask` where there is one. `None` if the target has
/// no information (it is flat) or an axis has fewer than 41 pixels.
///
/// # Panics
/// If the shapes differ.
pub fn vif(
    target: ArrayView2<f64>,
    prediction: ArrayView2<f64>,
    noise_variance: f64,
    mask: Option<ArrayView2<bool>>,
) -> Option<f64> {
    assert_eq!(target.dim(), prediction.dim(), "two slices of one shape");
    let (height, mut width) = target.dim();
    if height.min(width) < PIXELS_MIN {
        return None;
    }
    // Both images, pixel by pixel.
    let mut pair: Vec<f64> = target.iter().zip(&prediction).flat_map(|(g, p)| [*g, *p]).collect();
    // Where the pixel (0, 0) of a scale lies in the slice, and the step to the next.
    let (mut origin, mut step) = (0, 1);
    let (mut transmitted, mut available) = (0.0, 0.0);
    for (scale, taps) in TAPS.into_iter().enumerate() {
        let window = gaussian(taps, taps as f64 / 5.0);
        let windows = [&window[..], &window[..]];
        let radius = taps / 2;
        if scale > 0 {
            let mut halved = Vec::new();
            windowed_rows(&pair, 2 * width, 2, windows, |row, means| {
                if row % 2 == 0 {
                    halved.extend(means.chunks_exact(2).step_by(2).flatten());
                }
            });
            width = (width - taps + 1).div_ceil(2);
            pair = halved;
            origin += step * radius;
            step *= 2;
        }
        let moments: Vec<f64> =
            pair.chunks_exact(2).flat_map(|p| [p[0], p[1], p[0] * p[0], p[1] * p[1], p[0] * p[1]]).collect();
        windowed_rows(&moments, 5 * width, 5, windows, |row, means| {
            for (column, moments) in means.chunks_exact(5).enumerate() {
                let centre = [row, column].map(|place| origin + step * (place + radius));
                if mask.is_none_or(|mask| mask[centre]) {
                    let [through, of_target] = information(moments, noise_variance);
                    transmitted += through;
                    available += of_target;
                }
            }
        });
    }
    (available > 0.0).then(|| transmitted / available)
}

/// Information of a window, through the prediction and of the target itself, from the means of g, p, g², p² and gp.
fn information(moments: &[f64], noise_variance: f64) -> [f64; 2] {
    let [g, p, gg, pp, gp] = [0, 1, 2, 3, 4].map(|lane| moments[lane]);
    let (target, prediction, covariance) = ((gg - g * g).max(0.0), (pp - p * p).max(0.0), gp - g * p);
    // The prediction as gain times target plus noise.
    let gain = covariance / (target + EPSILON);
    let (gain, noise) = if target < EPSILON || prediction < EPSILON || gain < 0.0 {
        (0.0, prediction)
    } else {
        (gain, prediction - gain * covariance)
    };
    let target = if target < EPSILON { 0.0 } else { target };
    let through = gain * gain * target / (noise.max(EPSILON) + noise_variance);
    [through.ln_1p(), (target / noise_variance).ln_1p()]
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    fn pattern() -> Array2<f64> {
        Array2::from_shape_fn((44, 47), |(h, w)| ((h * h * 7 + w * 11 + h * w) % 251) as f64)
    }

    #[test]
    fn one_for_equal_more_for_contrast_less_for_blur_none_for_nothing() {
        let a = pattern();
        let of = |b: &Array2<f64>| vif(a.view(), b.view(), NOISE_VARIANCE, None).unwrap();
        assert!((of(&a) - 1.0).abs() < 1e-9);
        assert!(of(&(&a * 1.5)) > 1.0 && of(&(&a * 0.5)) < 1.0);
        assert!(of(&(255.0 - &a)) < 1e-3, "anticorrelated: {}", of(&(255.0 - &a)));
        assert_eq!(vif((&a * 0.0).view(), a.view(), NOISE_VARIANCE, None), None);
        assert_eq!(vif(a.slice(ndarray::s![..40, ..]), a.slice(ndarray::s![..40, ..]), 2.0, None), None);
    }

    #[test]
    fn a_mask_leaves_out_what_is_wrong_outside() {
        let a = pattern();
        let mut b = a.clone();
        b.slice_mut(ndarray::s![40.., ..]).fill(0.0);
        // The coarsest windows that see rows from 40 on have their centres below row 20.
        let mask = Array2::from_shape_fn(a.dim(), |(h, _)| h < 20);
        assert!(vif(a.view(), b.view(), NOISE_VARIANCE, None).unwrap() < 0.99);
        let inside = vif(a.view(), b.view(), NOISE_VARIANCE, Some(mask.view())).unwrap();
        assert!((inside - 1.0).abs() < 1e-9, "{inside}");
    }
}
