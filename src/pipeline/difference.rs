//! Where a pair of scans differs, in a picture: outlines of both over the scan before.

use image::RgbImage;
use ndarray::{Array3, Axis};
use serde::{Deserialize, Serialize};

use crate::anatomy::quality_check::{PairVerdict, RegionVerdict};
use crate::anatomy::{Region, Segmentation};
use crate::error::Result;
use crate::report::{Montage, stacked};
use crate::volume::Volume;
use crate::volume::orientation::to_ras;
use crate::volume::resample::Grid;

/// Most regions in a picture.
const ROWS: usize = 3;

/// Pixels per millimetre.
const PIXELS_PER_MM: f64 = 2.0;

/// Outlines: before, after, and where both are the same.
const COLOURS: [[u8; 3]; 3] = [[70, 150, 255], [255, 140, 0], [60, 210, 90]];

/// The colours in words.
#[cfg(feature = "report")]
pub const IN_WORDS: &str = "before blue, after orange, where they coincide green";

/// A picture beside a verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// The pair.
    pub pair: String,
    /// The file, beside the verdict's.
    pub picture: String,
    /// The region of each of its rows.
    pub regions: Vec<String>,
}

/// The regions of a pair that a picture shows: of those with limits, the ones that do not keep them first, then those that changed most.
pub fn shown(verdict: &PairVerdict) -> Vec<&'static Region> {
    let mut regions: Vec<&RegionVerdict> = verdict.regions.iter().filter(|region| region.limited).collect();
    // What was lost changed by all.
    let change = |region: &RegionVerdict| region.change.change_percent.map_or(100.0, f64::abs);
    regions.sort_by(|a, b| {
        (a.failures.is_empty().cmp(&b.failures.is_empty())).then(change(b).total_cmp(&change(a)))
    });
    regions.iter().take(ROWS).filter_map(|region| Region::named(&region.change.region)).collect()
}

/// The planes through which each region differs most, one region a row, on the grid of the scan before; over the scan, or over the
/// structures before where there is none.
///
/// # Errors
/// As [`Montage::outlined_pair`].
pub fn draw(scan: Option<&Volume>, segmented: [&Segmentation; 2], regions: &[&Region]) -> Result<RgbImage> {
    let [before, after] = segmented;
    let (grid, under) = match scan {
        Some(scan) => {
            let (scan, _) = to_ras(scan.clone());
            (Grid::of(&scan), Some(scan))
        }
        None => (Grid::of(&to_ras(before.to_volume()).0), None),
    };
    let both = [before.on(&grid), after.on(&grid)];
    let under = under
        .unwrap_or_else(|| Volume::new(both[0].labels.mapv(f32::from).insert_axis(Axis(0)), grid.affine));
    let layout =
        Montage { columns: 1, pixels_per_mm: PIXELS_PER_MM, ..Montage::fit(std::slice::from_ref(&under))? };
    let rows = regions.iter().map(|region| {
        let masks = both.each_ref().map(|one| one.mask(region));
        let here = Montage { cut: most_different(&masks), ..layout.clone() };
        here.outlined_pair(&under, masks.each_ref().map(|mask| mask.view()), COLOURS)
    });
    stacked(&rows.collect::<Result<Vec<_>>>()?)
}

/// The planes that most voxels differ in, as a part of the field of view along `(i, j, k)`; of equal masks those that most are in.
fn most_different([one, other]: &[Array3<bool>; 2]) -> [f64; 3] {
    let mut apart = one ^ other;
    if !apart.iter().any(|&apart| apart) {
        apart.clone_from(one);
    }
    [2, 1, 0].map(|axis| {
        let counts = apart.axis_iter(Axis(axis)).map(|plane| plane.iter().filter(|&&on| on).count());
        let (at, _) =
            counts.enumerate().max_by_key(|&(at, count)| (count, std::cmp::Reverse(at))).unwrap_or_default();
        (at as f64 + 0.5) / apart.len_of(Axis(axis)) as f64
    })
}

#[cfg(test)]
mod tests {
    use ndarray::s;

    use super::*;
    use crate::anatomy::Structure;
    use crate::volume::VoxelToWorld;

    /// A ventricle grows by two voxels to the right: the cut goes through them, and the borders have their colours.
    #[test]
    fn the_picture_shows_what_grew() {
        let head = |right: usize| {
            let mut labels = Array3::zeros((20, 20, 20));
            labels.slice_mut(s![8..12, 8..12, 5..right]).fill(Structure::LeftLateralVentricle.index() as u8);
            Segmentation::of_labels(labels, VoxelToWorld::identity())
        };
        let (before, after) = (head(10), head(12));
        let region = Region::named("lateral_ventricles").unwrap();
        let masks = [before.mask(region), after.mask(region)];
        assert_eq!(most_different(&masks), [10.5 / 20.0, 8.5 / 20.0, 8.5 / 20.0]);
        let picture = draw(None, [&before, &after], &[region]).unwrap();
        // Two pixels a voxel: axial, coronal and sagittal planes of 40 pixels with a line between.
        assert_eq!(picture.dimensions(), (122, 40));
        let count = |colour: [u8; 3]| picture.pixels().filter(|pixel| pixel.0 == colour).count();
        let [blue, orange, green] = COLOURS.map(count);
        assert!(blue > 0 && orange > 0 && green > blue, "{blue} {orange} {green}");
        // The sagittal plane lies in what was added: nothing of before.
        let sagittal = picture.enumerate_pixels().filter(|(x, ..)| *x > 82);
        assert!(sagittal.clone().all(|(.., pixel)| pixel.0 != COLOURS[0] && pixel.0 != COLOURS[2]));
        assert!(sagittal.clone().any(|(.., pixel)| pixel.0 == COLOURS[1]));
        let same = draw(None, [&before, &before], &[region]).unwrap();
        assert!(same.pixels().all(|pixel| pixel.0 != COLOURS[0] && pixel.0 != COLOURS[1]));
    }
}
