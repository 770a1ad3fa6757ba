//! Dice and surface distances of regions in two segmentations, which may be on different grids.

use ndarray::parallel::prelude::*;
use ndarray::{Array3, ArrayView3, Axis};

use super::check_same_grid;
use super::fraction::{Fraction, Source, finer, union};
use super::surface::SurfaceDistance;
use crate::anatomy::segmentation::Segmentation;
use crate::anatomy::structures::Region;
use crate::volume::Volume;
use crate::volume::resample::{Grid, Interpolation, resample};

/// The agreement of a region in two segmentations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RegionOverlap {
    /// Dice of its fractions a and b, 2 Σ min(a, b) / Σ (a + b); `None` if neither segmentation has a voxel of it, 0 if
    /// only one has.
    pub dice: Option<f64>,
    /// Distance between its surfaces; `None` if either segmentation has no voxel of it.
    pub distance: Option<SurfaceDistance>,
}

/// The overlap of each of `regions`, in their order.
///
/// The fraction of a region is its mask, blurred equally in both segmentations, by 0.85 voxels of the coarser grid.
/// Segmentations on the same grid (up to rounding) are compared voxel by voxel; otherwise both fractions are
/// interpolated (cubic) on a grid over both as fine as either. Labels are not moved to the nearest voxel, so that a
/// shift of the grid by half a voxel costs no more than the uncertainty of a border within its voxels. One region is in
/// memory at a time.
pub fn region_overlaps(
    before: &Segmentation,
    after: &Segmentation,
    regions: &[Region],
) -> Vec<RegionOverlap> {
    let same = check_same_grid(before, after).is_ok();
    let affines = [before.affine, if same { before.affine } else { after.affine }];
    let sources = [Source::new(before, affines[0], affines[1]), Source::new(after, affines[1], affines[0])];
    let overlap = |region: &Region| {
        let (one, other) = match [0, 1].map(|side| sources[side].extent(region)) {
            [None, None] => return RegionOverlap { dice: None, distance: None },
            [Some(one), Some(other)] => (one, other),
            _ => return RegionOverlap { dice: Some(0.0), distance: None },
        };
        let [one, other] = if same {
            [union(one, other); 2]
        } else {
            let joint = |side: usize, own, beside| {
                sources[side].holding(beside, &affines[1 - side]).map_or(own, |beside| union(own, beside))
            };
            [joint(0, one, &other), joint(1, other, &one)]
        };
        let fractions = [(0, one), (1, other)]
            .map(|(side, extent)| sources[side].fraction(region, &sources[side].padded(&extent)));
        let distance = SurfaceDistance::between(&fractions[0], &fractions[1]);
        let grid = finer(&fractions[0].grid, &affines[1]);
        let [one, other] = fractions.map(|fraction| if same { fraction.values } else { on(fraction, &grid) });
        RegionOverlap { dice: fractions_dice(one.view(), other.view()), distance }
    };
    regions.iter().map(overlap).collect()
}

/// A fraction on another grid, `[D, H, W]`.
fn on(fraction: Fraction, grid: &Grid) -> Array3<f32> {
    let volume = Volume::new(fraction.values.insert_axis(Axis(0)), fraction.grid.affine);
    let mut moved = resample(&volume, grid, Interpolation::Cubic).data.index_axis_move(Axis(0), 0);
    // Cubic interpolation overshoots.
    moved.par_mapv_inplace(|part| part.clamp(0.0, 1.0));
    moved
}

/// Dice of two fractions of one shape, 2 Σ min(a, b) / Σ (a + b) = 1 − Σ |a − b| / Σ (a + b): that of masks where all
/// are 0 or 1; none if both are zero.
fn fractions_dice(one: ArrayView3<f32>, other: ArrayView3<f32>) -> Option<f64> {
    let planes = one.axis_iter(Axis(0)).into_par_iter().zip(other.axis_iter(Axis(0)));
    // Plane by plane, so that the sums do not depend on the number of threads.
    let sums: Vec<[f64; 2]> = planes
        .map(|(one, other)| {
            one.iter().zip(&other).fold([0.0; 2], |[apart, sum], (&a, &b)| {
                let (a, b) = (f64::from(a), f64::from(b));
                [apart + (a - b).abs(), sum + a + b]
            })
        })
        .collect();
    let [apart, sum] = sums.iter().fold([0.0; 2], |[apart, sum], [a, s]| [apart + a, sum + s]);
    (sum > 0.0).then(|| (1.0 - apart / sum).max(0.0))
}
