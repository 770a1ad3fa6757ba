//! A segmented volume: a structure for every voxel, with volumes and confidence.

use std::collections::BTreeSet;

use nalgebra::Vector4;
use ndarray::{Array3, Array4, Axis};

use super::refinement::Refinement;
use super::structures::{Region, STRUCTURES, Structure};
use crate::error::{Error, Result};
use crate::volume::resample::{Grid, Interpolation, resample};
use crate::volume::{Volume, VoxelToWorld};

/// A segmentation of a volume: the structure of each voxel.
#[derive(Clone, Debug, PartialEq)]
pub struct Segmentation {
    /// Index of each voxel's [`Structure`], `[D, H, W]`.
    pub labels: Array3<u8>,
    /// Where they lie, as [`Volume::affine`].
    pub affine: VoxelToWorld,
    /// Volume of each structure in ml, with partial volumes: the sum over voxels of the part that it fills. For labels
    /// without probabilities, the volume of its voxels.
    pub volume_ml: [f64; STRUCTURES],
    /// Mean probability of each structure over its voxels, 0 to 1; 1 for labels without probabilities, 0 for a
    /// structure without voxels.
    pub confidence: [f64; STRUCTURES],
    /// The refinement of a network's labels by the scan; `None` without one, and for label maps.
    pub refinement: Option<Refinement>,
}

impl Segmentation {
    /// A segmentation of labels `[D, H, W]` (indices of structures) without probabilities.
    ///
    /// # Panics
    /// If a label is not the index of a structure.
    pub fn of_labels(labels: Array3<u8>, affine: VoxelToWorld) -> Self {
        let mut voxels = [0usize; STRUCTURES];
        labels.iter().for_each(|&label| voxels[usize::from(label)] += 1);
        let voxel_ml = affine.voxel_ml();
        Self {
            labels,
            affine,
            volume_ml: voxels.map(|n| n as f64 * voxel_ml),
            confidence: voxels.map(|n| if n > 0 { 1.0 } else { 0.0 }),
            refinement: None,
        }
    }

    /// The segmentation of a label map with the numbers of FreeSurfer, SynthSeg or [`Segmentation::to_volume`] (see
    /// [`Structure::of_label`]), on the map's grid.
    ///
    /// # Errors
    /// [`Error::Value`] for a map of several channels, or with numbers of no structure.
    pub fn of_numbers(map: &Volume) -> Result<Self> {
        if map.channels() != 1 {
            let found = format!("{} of them", map.channels());
            return Err(Error::value("channels of the label map", "one", found, "give one label map"));
        }
        let mut unknown = BTreeSet::new();
        let labels = map.data.index_axis(Axis(0), 0).mapv(|number| {
            let whole = number.round();
            let label = if (whole - number).abs() < 1e-3 { Structure::of_label(whole as i32) } else { None };
            label.map_or_else(
                || {
                    unknown.insert(number.to_string());
                    0
                },
                |structure| structure.index() as u8,
            )
        });
        if !unknown.is_empty() {
            let found: Vec<_> = unknown.into_iter().take(8).collect();
            let advice = "give labels numbered as FreeSurfer or SynthSeg do, merging those without a side";
            return Err(Error::value("label map", "numbers of known structures", found.join(", "), advice));
        }
        Ok(Self::of_labels(labels, map.affine))
    }

    /// The grid of the labels.
    pub fn grid(&self) -> Grid {
        let (d, h, w) = self.labels.dim();
        Grid { dims: [w, h, d], affine: self.affine }
    }

    /// Volume of one voxel in ml.
    pub fn voxel_ml(&self) -> f64 {
        self.affine.voxel_ml()
    }

    /// Size of a voxel along `(i, j, k)` in millimetres.
    pub fn spacing_mm(&self) -> [f64; 3] {
        self.affine.spacing_mm()
    }

    /// Volume of a region in ml, with partial volumes.
    pub fn region_ml(&self, region: &Region) -> f64 {
        region.parts.iter().map(|part| self.volume_ml[part.index()]).sum()
    }

    /// Centre of each structure in the world, in millimetres; `None` without voxels.
    pub fn centres_mm(&self) -> [Option<[f64; 3]>; STRUCTURES] {
        self.voxels_and_centres_mm().1
    }

    /// The number of voxels of each structure, and [`centres_mm`](Self::centres_mm).
    pub(crate) fn voxels_and_centres_mm(&self) -> ([u64; STRUCTURES], [Option<[f64; 3]>; STRUCTURES]) {
        let mut sums = [[0u64; 4]; STRUCTURES]; // (count, Σi, Σj, Σk)
        for ((k, j, i), &label) in self.labels.indexed_iter() {
            let sum = &mut sums[usize::from(label)];
            for (sum, term) in sum.iter_mut().zip([1, i as u64, j as u64, k as u64]) {
                *sum += term;
            }
        }
        let centre = |[count, i, j, k]: [u64; 4]| {
            let place =
                *self.affine * Vector4::new(i as f64, j as f64, k as f64, count as f64) / count as f64;
            (count > 0).then(|| place.xyz().into())
        };
        (sums.map(|sum| sum[0]), sums.map(centre))
    }

    /// The mask of a region, `[D, H, W]`.
    pub fn mask(&self, region: &Region) -> Array3<bool> {
        let members = region.members();
        self.labels.mapv(|label| members[usize::from(label)])
    }

    /// The labels as a volume of the numbers in files ([`Structure::number`]).
    pub fn to_volume(&self) -> Volume {
        let numbers = self.labels.mapv(|label| f32::from(Structure::ALL[usize::from(label)].number()));
        Volume::new(numbers.insert_axis(Axis(0)), self.affine)
    }

    /// The labels on another grid; volumes and confidence stay those of this grid.
    ///
    /// Each voxel takes the label of the nearest voxel, or on a coarser grid the most frequent label of the voxels
    /// within it: the nearest would shift labels at 1 mm by half a millimetre along every axis of a grid of 2 mm, whose
    /// centres lie between voxels.
    #[must_use]
    pub fn on(&self, grid: &Grid) -> Self {
        let fine_mm = self.spacing_mm();
        let coarse_mm = grid.spacing_mm();
        let voters = [0, 1, 2].map(|axis| (coarse_mm[axis] / fine_mm[axis]).round().max(1.0) as usize);
        if voters == [1; 3] {
            return self.nearest(grid);
        }
        let spacing_mm = [0, 1, 2].map(|axis| coarse_mm[axis] / voters[axis] as f64);
        let fine = self.nearest(&grid.with_spacing(spacing_mm)).labels;
        let [w, h, d] = grid.dims;
        let labels = Array3::from_shape_fn((d, h, w), |place| elected(&fine, place, voters));
        Self { labels, affine: grid.affine, ..self.clone() }
    }

    fn nearest(&self, grid: &Grid) -> Self {
        let volume = Volume::new(self.labels.mapv(f32::from).insert_axis(Axis(0)), self.affine);
        let moved: Array4<f32> = resample(&volume, grid, Interpolation::Nearest).data;
        let labels = moved.index_axis(Axis(0), 0).mapv(|label| label as u8);
        Self { labels, affine: grid.affine, ..self.clone() }
    }
}

/// The label that most of the `voters` (along W, H, D) of a voxel of a coarse grid have. Where they are at odds the
/// voxels just around them decide, which together weigh less than one of them.
fn elected(fine: &Array3<u8>, (z, y, x): (usize, usize, usize), voters: [usize; 3]) -> u8 {
    let mut votes = [0u32; STRUCTURES];
    let reach = |axis: usize, at: usize| {
        let (first, n) = ((at * voters[axis]) as isize, voters[axis] as isize);
        (first - 1..=first + n).map(move |place| (place, (first..first + n).contains(&place)))
    };
    let around: u32 = voters.iter().map(|&n| n as u32 + 2).product();
    for (k, k_within) in reach(2, z) {
        for (j, j_within) in reach(1, y) {
            for (i, i_within) in reach(0, x) {
                // Beyond the first voxel a place wraps to one far beyond the last.
                if let Some(&label) = fine.get((k as usize, j as usize, i as usize)) {
                    let within = k_within && j_within && i_within;
                    votes[usize::from(label)] += if within { around } else { 1 };
                }
            }
        }
    }
    (0..STRUCTURES).rev().max_by_key(|&label| votes[label]).expect("structures") as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array;

    fn map(numbers: &[f32]) -> Volume {
        let data = Array::from_shape_vec((1, 1, 1, numbers.len()), numbers.to_vec()).unwrap();
        Volume::new(data, VoxelToWorld::identity().stretched(0, 2.0))
    }

    #[test]
    fn numbers_of_files_become_structures_and_volumes() {
        let segmentation = Segmentation::of_numbers(&map(&[0.0, 4.0, 4.0, 137.0, 506.0, 16.0])).unwrap();
        let stem = Structure::BrainStem.index() as u8;
        assert_eq!(segmentation.labels.as_slice().unwrap(), [0, 3, 3, 7, 1, stem]);
        let lateral = Region::named("lateral_ventricles").unwrap();
        assert!((segmentation.region_ml(lateral) - 0.004).abs() < 1e-15);
        let brain = Region::named("brain").unwrap();
        assert!((segmentation.region_ml(brain) - 0.008).abs() < 1e-15);
        assert_eq!(segmentation.mask(brain).iter().filter(|&&inside| inside).count(), 4);
        let back = Segmentation::of_numbers(&segmentation.to_volume()).unwrap();
        assert_eq!(back, segmentation);
    }

    #[test]
    fn unknown_numbers_are_named() {
        let error = Segmentation::of_numbers(&map(&[0.0, 77.0, 2.5])).unwrap_err().to_string();
        assert!(error.contains("77") && error.contains("2.5"), "{error}");
    }

    /// A plane between two structures stays where it is: of the voxels that hold both, the larger part decides.
    #[test]
    fn voxels_that_hold_several_take_what_most_of_them_have() {
        for wall in [6, 7] {
            let labels = Array3::from_shape_fn((8, 8, 12), |(_, _, x)| if x < wall { 3 } else { 4 });
            let fine = Segmentation::of_labels(labels, VoxelToWorld::identity());
            let coarse = fine.on(&fine.grid().with_spacing([3.0, 2.0, 2.0]));
            assert_eq!(coarse.labels.dim(), (4, 4, 4));
            // A third of the third voxel is no majority.
            assert!(
                coarse.labels.indexed_iter().all(|((_, _, x), &label)| label == if x < 2 { 3 } else { 4 })
            );
        }
    }

    #[test]
    fn labels_move_to_another_grid_by_the_nearest_voxel() {
        let segmentation = Segmentation::of_numbers(&map(&[4.0, 43.0])).unwrap();
        let fine = segmentation.grid().with_spacing([1.0, 1.0, 1.0]);
        let moved = segmentation.on(&fine);
        assert_eq!(moved.labels.as_slice().unwrap(), [3, 3, 4, 4]);
        assert_eq!(moved.volume_ml, segmentation.volume_ml);
    }
}
