//! The calibration region: the fully sampled box about DC.

use std::ops::Range;

use ndarray::{ArrayView3, s};

/// The largest fully sampled box about DC of a mask `[D, H, W]`: along the `transformed` axes it grows from DC on both
/// sides, a place at a time and all axes in turn, as far as everything in it is sampled; the other axes are in it
/// whole. Empty if DC is not sampled.
pub fn calibration_region(sampled: ArrayView3<bool>, transformed: [bool; 3]) -> [Range<usize>; 3] {
    let shape: [usize; 3] = sampled.dim().into();
    let full = |[d, h, w]: &[Range<usize>; 3]| {
        sampled.slice(s![d.clone(), h.clone(), w.clone()]).iter().all(|sampled| *sampled)
    };
    let mut region: [Range<usize>; 3] = std::array::from_fn(|axis| {
        let (n, dc) = (shape[axis], shape[axis] / 2);
        if transformed[axis] { dc..(dc + 1).min(n) } else { 0..n }
    });
    if sampled.is_empty() || !full(&region) {
        return shape.map(|n| n / 2..n / 2);
    }
    loop {
        let before = region.clone();
        for axis in (0..3).filter(|&axis| transformed[axis]) {
            let Range { start, end } = region[axis].clone();
            let mut plane = region.clone();
            if start > 0 {
                plane[axis] = start - 1..start;
                region[axis].start -= usize::from(full(&plane));
            }
            if end < shape[axis] {
                plane[axis] = end..end + 1;
                region[axis].end += usize::from(full(&plane));
            }
        }
        if before == region {
            return region;
        }
    }
}
