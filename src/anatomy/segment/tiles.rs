//! Where a volume is looked at: blocks of the size that the network was trained on, over the brain, that overlap and fade
//! into each other.

use crate::volume::blocks;

/// What is looked at on either side of the brain's centre, in millimetres (voxels of 1 mm): half of the longest brain, and
/// some more for a centre that is known roughly.
const REACH: usize = 100;
/// Greatest part of a block's length between one block and the next.
const STEP: f64 = 0.6;

/// First voxels of the blocks of `length` voxels along an axis of `extent` voxels about `centre`. A block may be longer than
/// the axis.
pub fn starts(extent: usize, centre: usize, length: usize) -> Vec<usize> {
    let (first, last) = (centre.saturating_sub(REACH), (centre + REACH).min(extent));
    // The region is never shorter than a block, where the axis is not.
    let first = first.min(extent.saturating_sub(length));
    let last = last.max((first + length).min(extent));
    let step = (STEP * length as f64) as usize;
    blocks::starts(last - first, length, step, 1).into_iter().map(|start| first + start).collect()
}

/// How much the voxels along an axis of a block count: most in the middle.
pub fn window(length: usize) -> Vec<f32> {
    (0..length).map(|i| (i.min(length - 1 - i) as f32 + 0.5) / (length as f32 / 2.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_the_brain_and_stay_inside() {
        for extent in [60, 128, 140, 180, 256, 400] {
            for centre in [0, extent / 3, extent / 2, extent - 1] {
                let starts = starts(extent, centre, 128);
                assert!(
                    starts.windows(2).all(|pair| pair[0] < pair[1] && pair[1] <= pair[0] + 77),
                    "{starts:?}"
                );
                let (first, end) = (starts[0], (starts[starts.len() - 1] + 128).min(extent));
                assert!(first <= centre.saturating_sub(REACH) && end >= (centre + REACH).min(extent));
                assert!(starts.iter().all(|start| start + 128 <= extent.max(128)), "{extent} {starts:?}");
            }
        }
        assert_eq!(starts(180, 90, 128), [0, 52]);
        assert_eq!(starts(100, 50, 128), [0]);
        assert_eq!(starts(400, 200, 128), [100, 172]);
    }

    #[test]
    fn a_window_is_even_and_counts_every_voxel() {
        let window = window(6);
        assert_eq!(window, [1.0, 3.0, 5.0, 5.0, 3.0, 1.0].map(|x| x / 6.0));
    }
}
