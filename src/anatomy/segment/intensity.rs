//! The scale that the segmenter sees intensities on.

/// Parts of the voxels below 0 and above 1.
const TAILS: [f64; 2] = [0.005, 0.005];
/// Every how many voxels are looked at.
const STRIDE: usize = 5;

/// Brings the 0.5 and 99.5 percentiles of an image to 0 and 1; an image of one value becomes 0. What is not finite
/// counts as 0.
pub fn rescale(image: &mut [f32]) {
    image.iter_mut().filter(|x| !x.is_finite()).for_each(|x| *x = 0.0);
    let mut seen: Vec<f32> = image.iter().step_by(STRIDE).copied().collect();
    if seen.is_empty() {
        return;
    }
    let last = seen.len() - 1;
    let [low, high] = [TAILS[0], 1.0 - TAILS[1]].map(|part| {
        let place = (part * last as f64).round() as usize;
        *seen.select_nth_unstable_by(place, f32::total_cmp).1
    });
    let scale = if high > low { 1.0 / (high - low) } else { 0.0 };
    image.iter_mut().for_each(|x| *x = (*x - low) * scale);
}
