//! Agreement of two segmentations: Dice of structures and regions, and distances between their surfaces.

use std::ops::Range;

use ndarray::parallel::prelude::*;
use ndarray::{Array4, ArrayView3, Axis};

use super::segmentation::Segmentation;
use super::structures::{Region, STRUCTURES, Structure};
use crate::error::{Error, Result};
use crate::volume::{Volume, check_grids};

mod distance_transform;
mod fraction;
mod regions;
mod surface;
#[cfg(test)]
mod tests;

pub use distance_transform::distance_transform_mm;
pub use regions::{RegionOverlap, region_overlaps};
pub use surface::SurfaceDistance;

/// Dice's coefficient of two masks, 2|A∩B| / (|A| + |B|) (Dice 1945); `None` if both are empty, 0 if one is.
///
/// # Panics
/// If the masks differ in shape.
pub fn dice(one: ArrayView3<bool>, other: ArrayView3<bool>) -> Option<f64> {
    assert_eq!(one.dim(), other.dim(), "masks of two grids");
    let [mut both, mut sum] = [0; 2];
    for (&a, &b) in one.iter().zip(other) {
        both += u64::from(a && b);
        sum += u64::from(a) + u64::from(b);
    }
    (sum > 0).then(|| 2.0 * both as f64 / sum as f64)
}

/// The confusion matrix of two segmentations: numbers of voxels by structure in the one and in the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Overlap {
    /// Voxels by index of their structure in the first and in the second segmentation.
    voxels: [[u64; STRUCTURES]; STRUCTURES],
}

impl Overlap {
    /// The matrix of two segmentations on one grid.
    ///
    /// # Errors
    /// [`Error::Value`] if their grids differ by more than rounding: bring the second to the first's with
    /// [`Segmentation::on`].
    pub fn of(before: &Segmentation, after: &Segmentation) -> Result<Self> {
        check_same_grid(before, after)?;
        Ok(Self::of_labels(before.labels.view(), after.labels.view()))
    }

    /// Of two label arrays of one shape.
    pub(super) fn of_labels(before: ArrayView3<u8>, after: ArrayView3<u8>) -> Self {
        debug_assert_eq!(before.dim(), after.dim());
        let none = || [[0; STRUCTURES]; STRUCTURES];
        let planes = before.axis_iter(Axis(0)).into_par_iter().zip(after.axis_iter(Axis(0)));
        let voxels = planes.fold(none, |mut voxels, (before, after)| {
            before.iter().zip(after).for_each(|(&a, &b)| voxels[usize::from(a)][usize::from(b)] += 1);
            voxels
        });
        let add = |mut sum: [[u64; STRUCTURES]; STRUCTURES], other: [[u64; STRUCTURES]; STRUCTURES]| {
            sum.iter_mut().flatten().zip(other.iter().flatten()).for_each(|(sum, n)| *sum += n);
            sum
        };
        Self { voxels: voxels.reduce(none, add) }
    }

    /// Dice of a region; `None` if neither segmentation has a voxel of it, 0 if only one has.
    pub fn dice(&self, region: &Region) -> Option<f64> {
        let members = region.members();
        self.dice_between(members, members)
    }

    /// Dice of the structures `one` of the first segmentation with the structures `other` of the second.
    fn dice_between(&self, one: [bool; STRUCTURES], other: [bool; STRUCTURES]) -> Option<f64> {
        let [mut both, mut sum] = [0; 2];
        for (a, row) in self.voxels.iter().enumerate() {
            for (b, &voxels) in row.iter().enumerate() {
                both += if one[a] && other[b] { voxels } else { 0 };
                sum += voxels * (u64::from(one[a]) + u64::from(other[b]));
            }
        }
        (sum > 0).then(|| 2.0 * both as f64 / sum as f64)
    }

    /// Mean Dice over the structures of the brain that either segmentation has, each with itself or, where sides are
    /// `exchanged`, with that of the other side; 0 if there are none.
    pub(super) fn mean_dice(&self, exchanged: bool) -> f64 {
        let only = |structure: Structure| Structure::ALL.map(|other| other == structure);
        let found: Vec<f64> = Structure::ALL[BRAIN]
            .iter()
            .filter_map(|&one| {
                self.dice_between(only(one), only(if exchanged { one.mirrored() } else { one }))
            })
            .collect();
        found.iter().sum::<f64>() / found.len().max(1) as f64
    }
}

/// The structures of the brain among all.
pub(super) const BRAIN: Range<usize> = Structure::LeftLateralVentricle.index()..STRUCTURES;

/// Checks that two segmentations lie on one grid.
pub(super) fn check_same_grid(before: &Segmentation, after: &Segmentation) -> Result<()> {
    // Only shapes, affines and names are looked at; the zeros are never touched.
    let [one, other] = [(before, "BEFORE"), (after, "AFTER")].map(|(segmentation, name)| {
        let (d, h, w) = segmentation.labels.dim();
        let mut volume = Volume::new(Array4::zeros((1, d, h, w)), segmentation.affine);
        volume.provenance.source = name.to_string();
        volume
    });
    check_grids(&one, &other).map_err(|error| match error {
        Error::Value { key, expected, found, .. } => {
            Error::value(key, expected, found, "bring AFTER to the grid of BEFORE first (Segmentation::on)")
        }
        other => other,
    })
}
