//! The places of the overlapping blocks of a volume, over the brain, and their weights.

use crate::volume::blocks;

/// What is looked at on either side of the middle of the brain's core, in millimetres (voxels of 1 mm): at most half of
/// the longest brain and some more, and at least what surely is brain.
const REACH: [usize; 2] = [60, 100];
/// What is looked at beyond the core.
const MARGIN: usize = 18;
/// Greatest part of a block's length between one block and the next.
const STEP: f64 = 0.8;

/// First voxels of the blocks of `length` voxels along an axis of `extent` voxels, over a core from `first` to `last`
/// with the median `middle`. A block may be longer than the axis.
pub fn starts(extent: usize, [first, middle, last]: [usize; 3], length: usize) -> Vec<usize> {
    let [least, most] = REACH;
    let first =
        first.saturating_sub(MARGIN).min(middle.saturating_sub(least)).max(middle.saturating_sub(most));
    let last = (last + 1 + MARGIN).max(middle + least).min(middle + most).min(extent);
    // The region is never shorter than a block, where the axis is not.
    let first = first.min(extent.saturating_sub(length));
    let last = last.max((first + length).min(extent));
    let step = (STEP * length as f64) as usize;
    blocks::starts(last - first, length, step, 1).into_iter().map(|start| first + start).collect()
}

/// The weights of the voxels along an axis of a block, largest in the middle.
pub fn window(length: usize) -> Vec<f32> {
    (0..length).map(|i| (i.min(length - 1 - i) as f32 + 0.5) / (length as f32 / 2.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_the_core_and_stay_inside() {
        for extent in [60, 96, 128, 180, 256, 400] {
            for middle in [0usize, extent / 3, extent / 2, extent - 1] {
                for half in [0, 30, 70, 150] {
                    let core = [middle.saturating_sub(half), middle, (middle + half).min(extent - 1)];
                    let starts = starts(extent, core, 96);
                    assert!(starts.windows(2).all(|p| p[0] < p[1] && p[1] <= p[0] + 64), "{starts:?}");
                    let (first, end) = (starts[0], (starts[starts.len() - 1] + 96).min(extent));
                    let reach = (half + MARGIN).clamp(60, 100);
                    assert!(first <= middle.saturating_sub(reach));
                    assert!(end >= (middle + reach).min(extent));
                    assert!(starts.iter().all(|start| start + 96 <= extent.max(96)), "{extent} {starts:?}");
                }
            }
        }
        assert_eq!(starts(180, [40, 90, 140], 128), [22, 31]);
        assert_eq!(starts(100, [10, 50, 90], 128), [0]);
        assert_eq!(starts(400, [100, 200, 300], 128), [100, 172]);
    }

    #[test]
    fn a_window_is_even_and_counts_every_voxel() {
        let window = window(6);
        assert_eq!(window, [1.0, 3.0, 5.0, 5.0, 3.0, 1.0].map(|x| x / 6.0));
    }
}
