//! The samples of the fit: the logarithms of every n-th voxel inside the mask, plane by plane.

use std::ops::Range;

use ndarray::{Array3, Axis};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::volume::Volume;
use crate::volume::intensity::foreground;

/// Every `shrink`-th voxel along each axis, where it is inside the mask, finite and positive.
pub struct Samples {
    /// One a plane of the shrunk grid.
    pub slabs: Vec<Slab>,
    /// Along (D, H, W), the indices in the full grid of the shrunk grid's planes, rows and columns.
    pub places: [Vec<usize>; 3],
}

/// The samples of one plane, row after row.
pub struct Slab {
    /// For each row of the shrunk grid, the range of its samples in `columns` and `values`.
    pub rows: Vec<Range<usize>>,
    /// Each sample's column in the shrunk grid.
    pub columns: Vec<u32>,
    /// Logarithms of the intensity, less what was subtracted since.
    pub values: Vec<f64>,
}

impl Samples {
    /// The samples of a volume of one channel; without a `mask` those of its [`tissue`]. The shrunk grid is that
    /// of the volume with `padding` voxels more along (D, H, W), half of them before it.
    ///
    /// # Errors
    /// [`Error::Value`] for a mask of other dimensions, and where fewer than two values that differ remain.
    pub fn new(
        volume: &Volume,
        mask: Option<&Array3<bool>>,
        shrink: usize,
        padding: [usize; 3],
    ) -> Result<Self> {
        let voxels = volume.data.index_axis(Axis(0), 0);
        let found = mask.is_none().then(|| tissue(volume));
        let mask = mask.or(found.as_ref()).filter(|mask| mask.dim() == voxels.dim()).ok_or_else(|| {
            let found = mask.map(|mask| format!("{:?}", mask.dim())).unwrap_or_default();
            let expected = format!("the image's [D, H, W] = {:?}", voxels.dim());
            Error::value("mask", expected, found, "resample it to the image's grid")
        })?;
        let (d, h, w) = voxels.dim();
        let lengths = [d, h, w];
        let places = [0, 1, 2].map(|axis| shrunk(lengths[axis], padding[axis], shrink));
        let slab = |&d: &usize| {
            let mut slab = Slab { rows: Vec::new(), columns: Vec::new(), values: Vec::new() };
            for &h in &places[1] {
                let start = slab.values.len();
                for (column, &w) in places[2].iter().enumerate() {
                    let value = voxels[[d, h, w]];
                    if mask[[d, h, w]] && value.is_finite() && value > 0.0 {
                        slab.columns.push(column as u32);
                        slab.values.push(f64::from(value).ln());
                    }
                }
                slab.rows.push(start..slab.values.len());
            }
            slab
        };
        let samples = Self { slabs: places[0].par_iter().map(slab).collect(), places };
        let [least, greatest] = samples.range();
        if greatest > least {
            return Ok(samples);
        }
        let inside = mask.iter().filter(|&&inside| inside).count();
        let found = match samples.slabs.iter().map(|slab| slab.values.len()).sum::<usize>() {
            0 => format!("none among the {inside} voxels of the mask, at a shrink factor of {shrink}"),
            _ => format!("only {}", least.exp()),
        };
        let advice = "give a mask that covers tissue, shrink less, or leave this image as it is";
        Err(Error::value("mask", "positive intensities that differ inside it", found, advice))
    }

    /// Least and greatest value; `[∞, −∞]` where there is none.
    pub fn range(&self) -> [f64; 2] {
        let none = [f64::INFINITY, f64::NEG_INFINITY];
        let wider = |[low, high]: [f64; 2], other: [f64; 2]| [low.min(other[0]), high.max(other[1])];
        let of = |slab: &Slab| slab.values.iter().fold(none, |range, &value| wider(range, [value; 2]));
        self.slabs.par_iter().map(of).reduce(|| none, wider)
    }
}

/// Where there is tissue in a volume of one channel: its Otsu [`foreground`], or, where the air was set to zero (most
/// of what is not zero is bright then), all that is above zero, dark fluid included.
fn tissue(volume: &Volume) -> Array3<bool> {
    /// Air that was measured is above zero and outweighs the bright voxels.
    const BRIGHT: f64 = 0.6;
    let bright = foreground(volume);
    let above_zero = volume.data.index_axis(Axis(0), 0).mapv(|value| value.is_finite() && value > 0.0);
    let count = |mask: &Array3<bool>| mask.iter().filter(|&&inside| inside).count() as f64;
    let cleared =
        count(&above_zero) < above_zero.len() as f64 && count(&bright) >= BRIGHT * count(&above_zero);
    if cleared { above_zero } else { bright }
}

/// Every `shrink`-th index of an axis, as near the middle as whole indices go of the axis with `padding` more voxels,
/// of which the lesser half stands before it: the voxels that ANTs takes. The middle one where that misses a short
/// axis.
fn shrunk(length: usize, padding: usize, shrink: usize) -> Vec<usize> {
    let (padded, before) = (length + padding, padding / 2);
    let count = (padded / shrink).max(1);
    let start = padded.saturating_sub(1 + (count - 1) * shrink).div_ceil(2);
    let places = (0..count).map(|i| start + i * shrink);
    let places: Vec<usize> =
        places.filter_map(|place| place.checked_sub(before).filter(|&place| place < length)).collect();
    if places.is_empty() { (0..length).skip(length / 2).take(1).collect() } else { places }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shrunk_grid_lies_in_the_middle() {
        assert_eq!(shrunk(8, 0, 4), [2, 6]);
        assert_eq!(shrunk(9, 0, 4), [2, 6]);
        assert_eq!(shrunk(11, 0, 4), [3, 7]);
        assert_eq!(shrunk(12, 0, 4), [2, 6, 10]);
        assert_eq!(shrunk(4, 0, 1), [0, 1, 2, 3]);
        // 16 voxels, of which three stand before the six that there are: indices 2, 6, 10 and 14 of the 16.
        assert_eq!(shrunk(10, 6, 4), [3, 7]);
    }

    #[test]
    fn short_axes_keep_a_voxel() {
        for (length, padding, middle) in [(3, 0, 1), (1, 0, 0), (1, 200, 0), (3, 64, 1), (2, 7, 1)] {
            let places = shrunk(length, padding, 16);
            assert!(places.len() == 1 && places[0] < length, "{length}, {padding}: {places:?}");
            assert!(places[0].abs_diff(middle) <= 1);
        }
        assert!(shrunk(0, 5, 4).is_empty());
    }
}
