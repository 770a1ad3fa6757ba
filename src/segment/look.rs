//! A rough segmentation of a head, resampled along the head's own axes where it is rotated against the grid.

use std::ops::Range;

use nalgebra::{Rotation3, UnitQuaternion, Vector3};
use ndarray::{Array3, Axis, s};

use super::apply::Segmenter;
use super::core::core;
use crate::anatomy::STRUCTURES;
use crate::anatomy::pose::Pose;
use crate::anatomy::shape::{Connectivity, components};
use crate::ops::VolumeOps;
use crate::volume::orientation::{Orientation, from_ras};
use crate::volume::resample::{Grid, Interpolation, resample_with};
use crate::volume::rescale;
use crate::volume::{Volume, VoxelToWorld};

/// What counts as air at the edges of a scan, as a part of its 99.5 percentile.
const AIR: f32 = 0.05;
/// Voxels kept around what is not air.
const MARGIN: usize = 8;
/// Heads that are turned by no more stay on the scan's own axes: most lie within ten degrees, and the network has
/// learned from heads turned by more.
const TURNED_MAX_DEG: f64 = 10.0;
/// After a turn, what may be left of it before another is made.
const LEFT_MAX_DEG: f64 = 3.0;
/// The axes of a turned grid are turned by whole steps of this about each axis.
const STEP_DEG: f64 = 5.0;
/// Turns at most.
const TURNS: usize = 2;
/// What is kept around the centre of the brain of a turned head, in millimetres.
const REACH_MM: f64 = 130.0;
/// What rounding may move the end of a grid by.
const ROUNDING_MM: f64 = 1e-6;
/// Voxels of 1 mm that a structure has at least to show how the head lies.
const VOXELS_MIN: usize = 200;
/// Brain in millilitres without which no other axes are tried.
const BRAIN_MIN_ML: usize = 300;
/// Agreement at which no further axes are tried.
const AGREEMENT_SURE: f64 = 0.6;

/// The right-handed orders of axes other than "RAS": those of a head upside down, back to front or both before those of
/// axes exchanged. A brain and its mirror image look alike, so that left-handed ones add nothing.
#[rustfmt::skip]
const AXES: [&str; 23] = [
    "LAI", "LPS", "RPI",
    "SRA", "ASR", "PRS", "ALS", "RSP", "RIA", "SAL", "IAR",
    "SLP", "IRP", "ILA", "AIL", "PIR", "PSL", "LSA", "LIP", "ARI", "PLI", "SPR", "IPL",
];

/// A head on a grid of 1 mm, and what it roughly shows.
pub(super) struct Look {
    pub grid: Grid,
    /// The whole image, `[D, H, W]`.
    pub image: Array3<f32>,
    /// The range of everything but air, along D, H, W.
    pub part: [Range<usize>; 3],
    /// The most likely structures of that part.
    pub rough: Array3<u8>,
}

impl Look {
    /// How the head lies; none where the structures are not in the places of a head's.
    fn pose(&self) -> Option<Pose> {
        Pose::of(&self.centres_mm()).filter(Pose::is_reliable)
    }

    /// The centre of the largest component of each structure in the world; none of one that is too small.
    fn centres_mm(&self) -> [Option<[f64; 3]>; STRUCTURES] {
        let found = components(&self.rough, Connectivity::Faces);
        let mut sums = vec![[0u64; 3]; found.components.len()];
        let mut first = [None; STRUCTURES];
        for (number, component) in found.components.iter().enumerate() {
            let first = &mut first[usize::from(component.value)];
            if first.is_none() && component.voxels >= VOXELS_MIN {
                *first = Some(number);
            }
        }
        for ((z, y, x), &number) in found.labels().indexed_iter().filter(|(_, number)| **number > 0) {
            let sum = &mut sums[number as usize - 1];
            sum.iter_mut().zip([x, y, z]).for_each(|(sum, at)| *sum += at as u64);
        }
        first.map(|number| {
            let number = number?;
            let voxels = found.components[number].voxels as f64;
            let at = [0, 1, 2].map(|a| sums[number][a] as f64 / voxels + self.part[2 - a].start as f64);
            Some(self.grid.affine.world_mm(at).into())
        })
    }
}

impl<B: VolumeOps> Segmenter<B> {
    /// A rough look at an image on a grid of 1 mm; none where nothing but air is seen.
    pub(super) fn look(&self, image: Array3<f32>, grid: Grid) -> Option<Look> {
        let mut scaled = image.clone();
        rescale(scaled.as_slice_mut().expect("a resampled volume is contiguous"));
        let part = occupied(&scaled)?;
        let [z, y, x] = part.clone();
        let rough = self.rough(scaled.slice(s![z, y, x]));
        Some(Look { grid, image, part, rough })
    }

    /// The look itself where the head lies along the grid's axes, or shows no pose; otherwise another one of `volume`,
    /// from its own voxels, on a grid along the axes that its anatomy shows.
    pub(super) fn straightened(&self, volume: &Volume, look: Look) -> Look {
        let axes = look.grid.affine.steps_mm();
        let mut seen = look.pose();
        tracing::debug!("the rough look shows {seen:?}");
        let likely = seen.is_some_and(|pose| pose.turned_deg(&axes) <= Pose::TILT_MAX_DEG);
        if !likely && let Some(other) = self.pose_along_other_axes(&look) {
            seen = seen.into_iter().chain([other]).max_by(|a, b| a.agreement.total_cmp(&b.agreement));
        }
        let Some(mut pose) = seen else { return look };
        if pose.turned_deg(&axes) <= TURNED_MAX_DEG {
            return look;
        }
        let least = volume.data.iter().copied().fold(f32::INFINITY, f32::min);
        // As blurred as straight heads are: those on a grid of 1 mm already were not interpolated at all.
        let uninterpolated = volume.spacing_mm().iter().all(|mm| (mm - 1.0).abs() < 0.01);
        let interpolation = if uninterpolated { Interpolation::Cubic } else { Interpolation::Linear };
        let mut best = None;
        for _ in 0..TURNS {
            let grid = upright(&pose, &look);
            let turned = resample_with(volume, &grid, interpolation, least).data;
            let Some(turned) = self.look(turned.index_axis_move(Axis(0), 0), grid) else { break };
            tracing::debug!("turned by {:.1} degrees: {:?}", pose.turned_deg(&axes), turned.pose());
            // A turn after which less looks like a head was wrong.
            let Some(found) = turned.pose().filter(|found| found.agreement > pose.agreement - 0.1) else {
                break;
            };
            best = Some(turned);
            if found.turned_deg(&pose.rotation) <= LEFT_MAX_DEG {
                break;
            }
            pose = found;
        }
        best.unwrap_or(look)
    }

    /// The pose that a look along other axes shows, where one does.
    fn pose_along_other_axes(&self, look: &Look) -> Option<Pose> {
        let brain = core(&look.rough)?.iter().filter(|&&inside| inside).count();
        if brain < 1000 * BRAIN_MIN_ML {
            return None;
        }
        let [z, y, x] = look.part.clone();
        let first = [x.start, y.start, z.start].map(|at| at as f64);
        let affine = look.grid.affine.with_origin_at(first);
        let image = look.image.slice(s![z, y, x]).to_owned().insert_axis(Axis(0));
        let head = Volume::new(image, affine);
        let mut best: Option<Pose> = None;
        for axes in AXES {
            let axes: Orientation = axes.parse().expect("an order of axes");
            let turned = from_ras(head.clone(), &axes);
            let grid = Grid::of(&turned);
            let found = self.look(turned.data.index_axis_move(Axis(0), 0), grid).and_then(|look| look.pose());
            tracing::debug!("along {axes}: {found:?}");
            let least = best.map_or(0.0, |best| best.agreement);
            if let Some(found) = found.filter(|found| found.agreement > least) {
                best = Some(found);
                if found.agreement >= AGREEMENT_SURE {
                    break;
                }
            }
        }
        best
    }
}

/// A grid of 1 mm along the axes of a head, to within [`STEP_DEG`], over what a look sees of it, at most 13 cm from the
/// centre of its brain.
///
/// Its axes are turned against those of the look by whole steps, and its voxels lie in a lattice about the look's first
/// voxel, so that two scans of one head on one grid mostly share their voxels here, too.
fn upright(pose: &Pose, look: &Look) -> Grid {
    let axes = look.grid.affine.steps_mm();
    let first = look.grid.affine.origin_mm();
    let turn = Rotation3::from_matrix_unchecked(axes.transpose() * pose.rotation);
    // A quaternion has an axis at half a turn, too.
    let turn = UnitQuaternion::from_rotation_matrix(&turn).scaled_axis();
    let step = STEP_DEG.to_radians();
    let rotation = axes * Rotation3::new(turn.map(|angle| step * (angle / step).round())).into_inner();
    let to_head = rotation.transpose();
    let centre = to_head * (pose.centre_mm - first);
    let mut bounds = [[f64::INFINITY, f64::NEG_INFINITY]; 3];
    for corner in 0..8 {
        let at = |axis: usize| {
            let range = &look.part[2 - axis];
            if corner >> axis & 1 == 0 { range.start as f64 } else { range.end as f64 - 1.0 }
        };
        let place = to_head * (look.grid.affine.world_mm([0, 1, 2].map(at)) - first);
        for (axis, [low, high]) in bounds.iter_mut().enumerate() {
            *low = low.min(place[axis]).max(centre[axis] - REACH_MM);
            *high = high.max(place[axis]).min(centre[axis] + REACH_MM);
        }
    }
    let bounds = bounds.map(|[low, high]| [(low + ROUNDING_MM).floor(), (high - ROUNDING_MM).ceil()]);
    let dims = bounds.map(|[low, high]| (high - low).max(0.0) as usize + 1);
    let first = first + rotation * Vector3::from(bounds.map(|[low, _]| low));
    Grid { dims, affine: VoxelToWorld::derived(&rotation, &first) }
}

/// Where anything but air is seen, with a margin, along D, H, W; none where nothing is.
fn occupied(image: &Array3<f32>) -> Option<[Range<usize>; 3]> {
    let ranges = [0, 1, 2].map(|axis| {
        let seen = |plane: usize| image.index_axis(Axis(axis), plane).iter().any(|&x| x > AIR);
        let length = image.len_of(Axis(axis));
        let first = (0..length).find(|&plane| seen(plane))?;
        let last = (0..length).rev().find(|&plane| seen(plane))?;
        Some(first.saturating_sub(MARGIN)..(last + 1 + MARGIN).min(length))
    });
    let [Some(z), Some(y), Some(x)] = ranges else { return None };
    Some([z, y, x])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A look at nothing on a grid of 60×70×80 voxels that lies across the world's axes.
    fn look() -> Look {
        let turn = Rotation3::from_euler_angles(0.1, -0.05, 0.2).into_inner();
        let affine = VoxelToWorld::from_axes(&turn, &Vector3::new(-20.0, 5.0, 11.0)).unwrap();
        let grid = Grid { dims: [60, 70, 80], affine };
        let image = Array3::zeros((80, 70, 60));
        Look { grid, rough: Array3::zeros(image.dim()), image, part: [0..80, 0..70, 0..60] }
    }

    fn pose(look: &Look, degrees: [f64; 3]) -> Pose {
        let turn = Rotation3::new(Vector3::from(degrees.map(f64::to_radians)));
        let rotation = look.grid.affine.fixed_view::<3, 3>(0, 0) * turn.into_inner();
        let centre_mm = look.grid.affine.world_mm([30.0, 35.0, 40.0]);
        Pose { rotation, mirrored: false, scale: 1.0, centre_mm, agreement: 1.0 }
    }

    #[test]
    fn an_upright_grid_lies_along_the_head_and_covers_what_was_seen() {
        let look = look();
        for degrees in [[25.0, 0.0, 0.0], [-11.0, 3.0, 24.0], [0.0, 178.0, 3.0], [0.0, 0.0, 180.0]] {
            let pose = pose(&look, degrees);
            let grid = upright(&pose, &look);
            let axes = grid.affine.steps_mm();
            assert!((axes.transpose() * axes - nalgebra::Matrix3::identity()).norm() < 1e-12);
            // Half a step about each of three axes.
            assert!(pose.turned_deg(&axes) < 0.87 * STEP_DEG, "{degrees:?}: {}", pose.turned_deg(&axes));
            let seen = grid.affine.inverse() * *look.grid.affine;
            for corner in [[0.0, 0.0, 0.0], [59.0, 69.0, 79.0], [59.0, 0.0, 79.0], [0.0, 69.0, 0.0]] {
                let at = seen * nalgebra::Vector4::new(corner[0], corner[1], corner[2], 1.0);
                let inside = (0..3).all(|a| at[a] > -1e-5 && at[a] < grid.dims[a] as f64 - 1.0 + 1e-5);
                assert!(inside, "{degrees:?} {at} {:?}", grid.dims);
                // The first voxel of the look is one of the grid's.
                assert!(corner != [0.0; 3] || at.iter().all(|x| (x - x.round()).abs() < 1e-9));
            }
        }
        let [one, other] =
            [[25.0, 0.0, 1.0], [24.0, 1.0, 0.0]].map(|degrees| upright(&pose(&look, degrees), &look));
        assert_eq!(one.affine, other.affine);
    }

    #[test]
    fn every_order_of_axes_is_right_handed_and_none_occurs_twice() {
        let head = Volume::new(ndarray::Array4::zeros((1, 2, 3, 4)), VoxelToWorld::identity());
        let mut turns: Vec<_> =
            AXES.iter().map(|axes| from_ras(head.clone(), &axes.parse().unwrap()).affine).collect();
        turns.push(VoxelToWorld::identity());
        for (n, turn) in turns.iter().enumerate() {
            assert!(turn.determinant() > 0.5, "{n}");
            let same =
                |other: &&VoxelToWorld| other.fixed_view::<3, 3>(0, 0) == turn.fixed_view::<3, 3>(0, 0);
            assert_eq!(turns.iter().filter(same).count(), 1, "{n}");
        }
    }
}
