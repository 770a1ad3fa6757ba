//! Places and components of the structures of a segmentation, and faces of the brain: the facts for the flags.

use nalgebra::{Matrix4, Vector4};
use ndarray::{Array2, Array3};

use super::super::pose::Pose;
use super::super::segmentation::Segmentation;
use super::super::shape::{Connectivity, components};
use super::super::structures::{STRUCTURES, Structure};
use super::flags::Direction;
use super::region;
use crate::volume::orientation::orientation;
use crate::volume::resample::Grid;

/// The end of the brain in one direction.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub towards: Direction,
    /// Area of its outermost layer.
    pub area_mm2: f64,
    /// Thickness of that layer.
    pub layer_mm: f64,
    /// That layer is the outermost of the field of view too.
    pub at_border: bool,
}

pub(super) struct Survey {
    voxels: [u64; STRUCTURES],
    /// Centre of each structure in the world, in millimetres; `None` without voxels.
    centres_mm: [Option<[f64; 3]>; STRUCTURES],
    /// The head's pose; `None` if it is not reliable ([`Pose::is_reliable`]).
    pub pose: Option<Pose>,
    /// Voxels of each structure's components, the largest first.
    components: [Vec<usize>; STRUCTURES],
    /// Voxels of the components of the brain, the largest first.
    pub brain_components: Vec<usize>,
    /// Where the brain without its stem ends; empty without one.
    pub ends: Vec<End>,
    /// Share of the lateral ventricles with no brain tissue on one of the six sides.
    pub ventricles_outside: f64,
}

impl Survey {
    /// Measures a segmentation; `field_of_view` is the grid of the scan.
    pub fn of(segmentation: &Segmentation, field_of_view: &Grid) -> Self {
        let (voxels, centres_mm) = segmentation.voxels_and_centres_mm();
        let found = components(&segmentation.labels, Connectivity::Corners);
        let brain = segmentation.mask(region("brain"));
        Self {
            voxels,
            centres_mm,
            pose: Pose::of(&centres_mm).filter(Pose::is_reliable),
            components: std::array::from_fn(|label| found.sizes_of(label as u8)),
            brain_components: components(&brain, Connectivity::Corners).sizes_of(true),
            ends: ends(segmentation, field_of_view),
            ventricles_outside: ventricles_outside(segmentation),
        }
    }

    /// Number of a structure's voxels.
    pub fn voxels(&self, structure: Structure) -> u64 {
        self.voxels[structure.index()]
    }

    /// Voxels of a structure's components, the largest first.
    pub fn components(&self, structure: Structure) -> &[usize] {
        &self.components[structure.index()]
    }

    /// Centre of all voxels of the structures in the world, in millimetres; `None` without voxels.
    pub fn centre_mm(&self, structures: &[Structure]) -> Option<[f64; 3]> {
        let (mut total, mut sum) = (0.0, [0.0; 3]);
        for structure in structures {
            if let Some(centre) = self.centres_mm[structure.index()] {
                let voxels = self.voxels(*structure) as f64;
                total += voxels;
                (0..3).for_each(|axis| sum[axis] += voxels * centre[axis]);
            }
        }
        (total > 0.0).then(|| sum.map(|sum| sum / total))
    }
}

/// The ends of the brain along the axes of the field of view, by layers as thick as a voxel of the labels.
fn ends(segmentation: &Segmentation, field_of_view: &Grid) -> Vec<End> {
    let seen = field_of_view.affine.inverse() * *segmentation.affine;
    // Thickness of a layer in voxels of the field of view: what one voxel of the labels spans there.
    let thickness = [0, 1, 2].map(|axis| seen.fixed_view::<1, 3>(axis, 0).abs().sum());
    let layers = layers(segmentation, field_of_view.dims, &seen, thickness);

    let facing = orientation(&field_of_view.affine);
    let voxel_mm3 = 1000.0 * segmentation.voxel_ml();
    let mut ends = Vec::new();
    for (world, directions) in DIRECTIONS.into_iter().enumerate() {
        let axis = facing.voxel_axis(world);
        let layer_mm = thickness[axis] * field_of_view.spacing_mm()[axis];
        for (high, counts) in layers[axis].iter().enumerate() {
            let Some(first) = counts.iter().position(|&count| count > 0) else { continue };
            // The first layer of labels that lie across the grid of the scan may be one in part.
            let fullest = counts[first..].iter().take(2).max().copied().unwrap_or(0);
            let count = if first == 0 { counts[0] } else { fullest };
            ends.push(End {
                towards: directions[usize::from((high == 1) != facing.is_flipped(world))],
                area_mm2: count as f64 * voxel_mm3 / layer_mm,
                layer_mm,
                at_border: first == 0,
            });
        }
    }
    ends
}

/// The directions towards the low and the high end of the world's axes.
const DIRECTIONS: [[Direction; 2]; 3] = [
    [Direction::Left, Direction::Right],
    [Direction::Posterior, Direction::Anterior],
    [Direction::Inferior, Direction::Superior],
];

/// Voxels of the brain without its stem in each layer from the low and from the high border, along each axis.
fn layers(
    segmentation: &Segmentation,
    dims: [usize; 3],
    seen: &Matrix4<f64>,
    thickness: [f64; 3],
) -> [[Vec<u64>; 2]; 3] {
    let mut members = region("brain").members();
    members[Structure::BrainStem.index()] = false;
    let count = |axis: usize| vec![0u64; (dims[axis] as f64 / thickness[axis]).ceil() as usize + 1];
    let mut layers = [0, 1, 2].map(|axis| [count(axis), count(axis)]);
    for ((k, j, i), &label) in segmentation.labels.indexed_iter() {
        if !members[usize::from(label)] {
            continue;
        }
        let at = seen * Vector4::new(i as f64, j as f64, k as f64, 1.0);
        for axis in 0..3 {
            let low = at[axis] + 0.5;
            for (counts, depth) in layers[axis].iter_mut().zip([low, dims[axis] as f64 - low]) {
                let last = counts.len() - 1;
                counts[((depth / thickness[axis]).max(0.0) as usize).min(last)] += 1;
            }
        }
    }
    layers
}

/// The share of the voxels of the lateral ventricles that do not lie between tissue of the brain along all three axes.
fn ventricles_outside(segmentation: &Segmentation) -> f64 {
    let labels = &segmentation.labels;
    let (d, h, w) = labels.dim();
    let tissue = region("parenchyma").members();
    let empty = (u32::MAX, 0u32);
    // The first and last voxel of tissue on each line along W, H and D.
    let mut spans = [(d, h), (d, w), (h, w)].map(|shape| Array2::from_elem(shape, empty));
    let lines = |(k, j, i): (usize, usize, usize)| [([k, j], i), ([k, i], j), ([j, i], k)];
    for (at, &label) in labels.indexed_iter() {
        if tissue[usize::from(label)] {
            for (spans, (line, place)) in spans.iter_mut().zip(lines(at)) {
                let (first, last) = &mut spans[line];
                (*first, *last) = ((*first).min(place as u32), (*last).max(place as u32));
            }
        }
    }
    let ventricles: Array3<bool> = segmentation.mask(region("lateral_ventricles"));
    let (mut all, mut outside) = (0u32, 0u32);
    for (at, _) in ventricles.indexed_iter().filter(|(_, inside)| **inside) {
        let between = spans.iter().zip(lines(at)).all(|(spans, (line, place))| {
            let (first, last) = spans[line];
            first < place as u32 && (place as u32) < last
        });
        all += 1;
        outside += u32::from(!between);
    }
    f64::from(outside) / f64::from(all.max(1))
}
