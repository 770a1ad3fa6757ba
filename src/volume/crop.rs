//! Cropping and padding to a given number of voxels; every voxel that stays keeps its place in the world.

use ndarray::{Array4, Axis, s};
use serde::{Deserialize, Serialize};

use super::intensity::foreground;
use super::{Volume, data_axis};

/// Share of the foreground, in each half-axis, that may lie outside the box whose middle is the centre: what keeps a
/// few bright specks far from the head from moving it.
const STRAY_SHARE: f64 = 0.005;

/// What lies in the middle after cropping and padding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Centre {
    /// The middle of the grid.
    #[default]
    Grid,
    /// The middle of the box that holds the [`foreground`], but for 0.5 % of it at each end of each axis; the middle
    /// of the grid where there is no foreground.
    Foreground,
}

/// `volume` cut or padded with `fill` to `dims` voxels along `(i, j, k)`, its affine shifted to match.
///
/// About the grid's centre, an odd difference takes or adds the one voxel more at the far end, so that padding and
/// then cropping back returns the same volume.
pub fn crop_pad(volume: &Volume, dims: [usize; 3], centre: Centre, fill: f32) -> Volume {
    let old = volume.dims();
    let middle = match centre {
        Centre::Grid => None,
        Centre::Foreground => foreground_box(volume),
    };
    // Index in the old grid of the new grid's first voxel; negative where it pads.
    let start: [i64; 3] = [0, 1, 2].map(|axis| match middle {
        // Truncation towards zero is what makes a crop undo a pad.
        None => (old[axis] as i64 - dims[axis] as i64) / 2,
        Some(bounds) => {
            let [low, high] = bounds[axis];
            (low as i64 + high as i64 + 1 - dims[axis] as i64).div_euclid(2)
        }
    });

    let mut data = Array4::from_elem((volume.channels(), dims[2], dims[1], dims[0]), fill);
    // The overlap of both grids along each axis: where it begins in the old and in the new, and how long it is.
    let overlap = [0, 1, 2].map(|axis| {
        let from = start[axis].max(0) as usize;
        let to = (-start[axis]).max(0) as usize;
        (from, to, old[axis].saturating_sub(from).min(dims[axis].saturating_sub(to)))
    });
    if overlap.iter().all(|&(_, _, length)| length > 0) {
        let [(i, x, w), (j, y, h), (k, z, d)] = overlap;
        data.slice_mut(s![.., z..z + d, y..y + h, x..x + w]).assign(&volume.data.slice(s![
            ..,
            k..k + d,
            j..j + h,
            i..i + w
        ]));
    }
    let affine = volume.affine.with_origin_at(start.map(|first| first as f64));
    let step = format!("cropped and padded from {old:?} to {dims:?} voxels, first voxel at {start:?}");
    Volume { data, affine, provenance: volume.provenance.clone() }.with_step(step)
}

/// First and last index of the foreground along `(i, j, k)`, without its stray voxels; `None` if there is none.
fn foreground_box(volume: &Volume) -> Option<[[usize; 2]; 3]> {
    let mask = foreground(volume);
    let total = mask.iter().filter(|&&inside| inside).count();
    if total == 0 {
        return None;
    }
    let stray = (total as f64 * STRAY_SHARE) as usize;
    Some([0, 1, 2].map(|axis| {
        let profile: Vec<usize> = mask
            .axis_iter(Axis(data_axis(axis) - 1))
            .map(|plane| plane.iter().filter(|&&inside| inside).count())
            .collect();
        let far_end = first_beyond(profile.iter().rev(), stray);
        [first_beyond(profile.iter(), stray), profile.len() - 1 - far_end]
    }))
}

/// The first plane at which the voxels counted so far are more than `stray`.
fn first_beyond<'a>(mut counts: impl Iterator<Item = &'a usize>, stray: usize) -> usize {
    let mut passed = 0;
    let is_beyond = |count: &usize| {
        passed += count;
        passed > stray
    };
    counts.position(is_beyond).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use crate::volume::VoxelToWorld;

    use super::*;

    #[test]
    fn foreground_goes_to_the_middle_in_spite_of_specks() {
        // A bright box of 8 × 6 × 10 voxels (i, j, k) whose middle is at (9.5, 20.5, 14.5), and two specks.
        let mut data = Array4::from_elem((1, 40, 32, 24), 0.0);
        data.slice_mut(s![0, 10..20, 18..24, 6..14]).fill(100.0);
        data[[0, 39, 31, 23]] = 100.0;
        data[[0, 0, 0, 0]] = 100.0;
        let volume = Volume::new(data, VoxelToWorld::identity());
        let cropped = crop_pad(&volume, [10, 10, 12], Centre::Foreground, 0.0);
        assert_eq!(cropped.world_mm([4.5, 4.5, 5.5]), [9.5, 20.5, 14.5]);
        assert_eq!(cropped.data.sum(), 100.0 * 480.0);
        // Without a foreground, the middle of the grid.
        let flat = Volume::new(Array4::from_elem((1, 5, 5, 5), 7.0), VoxelToWorld::identity());
        let [foreground, grid] =
            [Centre::Foreground, Centre::Grid].map(|c| crop_pad(&flat, [3, 7, 5], c, 0.0));
        assert_eq!((foreground.data, foreground.affine), (grid.data, grid.affine));
    }

    #[test]
    fn grids_may_be_empty_or_far_apart() {
        let volume = Volume::new(Array4::from_elem((1, 2, 2, 2), 1.0), VoxelToWorld::identity());
        assert_eq!(crop_pad(&volume, [0, 3, 1], Centre::Grid, 0.0).dims(), [0, 3, 1]);
        let padded = crop_pad(&volume, [9, 1, 2], Centre::Grid, -1.0);
        assert_eq!(padded.data.iter().filter(|&&value| value == 1.0).count(), 4);
    }
}
