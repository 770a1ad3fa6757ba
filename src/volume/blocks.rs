//! Overlapping blocks along an axis.

/// First voxels of blocks of `length` voxels, multiples of `multiple`, that cover an axis of `extent` voxels evenly, at most
/// `step` from one to the next (`multiple`, where that is more). A block may be longer than the axis.
///
/// # Panics
/// If `multiple` is zero, or the axis is longer than a block and it or the block is no multiple.
pub fn starts(extent: usize, length: usize, step: usize, multiple: usize) -> Vec<usize> {
    let slack = extent.saturating_sub(length);
    assert!(slack.is_multiple_of(multiple), "blocks of {length} at multiples of {multiple} in {extent}");
    let (places, step) = (slack / multiple, (step / multiple).max(1));
    let steps = places.div_ceil(step);
    (0..=steps).map(|i| (places * i).checked_div(steps).unwrap_or(0) * multiple).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_the_axis_at_multiples() {
        for extent in (32..200).step_by(4) {
            let starts = starts(extent, 32, 20, 4);
            assert_eq!(starts[0], 0);
            assert_eq!(starts[starts.len() - 1] + 32, extent);
            assert!(starts.windows(2).all(|pair| pair[0] < pair[1] && pair[1] <= pair[0] + 20), "{starts:?}");
            assert!(starts.iter().all(|start| start % 4 == 0));
        }
        assert_eq!(starts(20, 32, 20, 4), [0]);
    }
}
