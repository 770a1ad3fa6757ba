//! The scale that networks of whole heads see intensities on.

use crate::stats::nearest_rank;

/// Parts of the voxels below 0 and above 1.
const TAILS: [f64; 2] = [0.005, 0.005];
/// Every how many voxels are looked at.
const STRIDE: usize = 5;

/// Brings the 0.5 and 99.5 percentiles of an image to 0 and 1; an image of one value becomes 0. What is not finite
/// counts as 0.
pub fn rescale(image: &mut [f32]) {
    image.iter_mut().filter(|x| !x.is_finite()).for_each(|x| *x = 0.0);
    let mut seen: Vec<f32> = image.iter().step_by(STRIDE).copied().collect();
    let [Some(low), Some(high)] = [TAILS[0], 1.0 - TAILS[1]].map(|share| nearest_rank(&mut seen, share))
    else {
        return;
    };
    let scale = if high > low { 1.0 / (high - low) } else { 0.0 };
    image.iter_mut().for_each(|x| *x = (*x - low) * scale);
}
