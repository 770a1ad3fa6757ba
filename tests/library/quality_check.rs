//! The quality check on label maps of real heads that were changed in known ways.

use nalgebra::{Rotation3, Vector3};
use ndarray::{Array3, Axis, Slice, Zip, s};
use rand::RngExt;
use voxgan::anatomy::overlap::distance_transform_mm;
use voxgan::anatomy::quality_check::{Limit, Pair, PairVerdict, QualityCheck, Sides};
use voxgan::anatomy::{STRUCTURES, Segmentation, Structure};
use voxgan::io::nifti;
use voxgan::random::{Purpose, stream};
use voxgan::volume::orientation::to_ras;
use voxgan::volume::resample::{Grid, Interpolation, resample};
use voxgan::volume::{Volume, VoxelToWorld};

use crate::needs;

/// The head `subject` in RAS at 1 mm, cut to its intracranial space with a margin of eight voxels.
fn head(subject: &str) -> Option<Segmentation> {
    let path = needs::data(&format!("synthseg/training_seg_{subject}.nii.gz"))?;
    let whole = Segmentation::of_numbers(&to_ras(nifti::read(&path).unwrap()).0).unwrap();
    let mut labels = whole.labels.view();
    for axis in 0..3 {
        let inside = |plane: &usize| labels.index_axis(Axis(axis), *plane).iter().any(|&label| label > 1);
        let planes: Vec<usize> = (0..labels.len_of(Axis(axis))).filter(inside).collect();
        let (first, last) = (planes[0].saturating_sub(8), planes[planes.len() - 1] + 9);
        let last = last.min(labels.len_of(Axis(axis)));
        labels.slice_axis_inplace(Axis(axis), Slice::from(first..last));
    }
    Some(Segmentation::of_labels(labels.to_owned(), whole.affine))
}

/// The head as a scan on `grid` shows it: of each voxel the structure that takes the largest part of it, by a blur that matches
/// the voxels and linear interpolation of every structure of the head at 1 mm. Volumes are sums of these parts, as a segmenter's
/// are.
fn seen(head: &Segmentation, grid: &Grid) -> Segmentation {
    let [w, h, d] = grid.dims;
    let mut most = Array3::from_elem((d, h, w), 0.0);
    let mut labels = Array3::zeros((d, h, w));
    let mut volume_ml = [0.0; STRUCTURES];
    let voxel_ml = grid.affine.fixed_view::<3, 3>(0, 0).determinant().abs() / 1000.0;
    for structure in Structure::ALL {
        let index = structure.index() as u8;
        if !head.labels.iter().any(|&label| label == index) {
            continue;
        }
        let mask = head.labels.mapv(|label| if label == index { 1.0 } else { 0.0 });
        let part =
            resample(&Volume::new(mask.insert_axis(Axis(0)), head.affine), grid, Interpolation::Linear);
        volume_ml[structure.index()] = voxel_ml * part.data.iter().map(|&part| f64::from(part)).sum::<f64>();
        Zip::from(&mut labels).and(&mut most).and(part.data.index_axis(Axis(0), 0)).for_each(
            |label, most, &part| {
                if part > *most {
                    (*label, *most) = (index, part);
                }
            },
        );
    }
    Segmentation { volume_ml, ..Segmentation::of_labels(labels, grid.affine) }
}

/// A grid of `spacing_mm` over the head, moved by parts of a voxel and turned about its middle.
fn grid_over(head: &Segmentation, spacing_mm: f64, voxels: f64, turned_deg: f64) -> Grid {
    let mut grid = head.grid().with_spacing([spacing_mm; 3]);
    let middle = grid.affine.world_mm(grid.dims.map(|length| (length as f64 - 1.0) / 2.0));
    let turn = Rotation3::from_scaled_axis(Vector3::new(0.6, 0.0, 0.8) * turned_deg.to_radians());
    let first = grid.affine.world_mm([voxels; 3]);
    let (steps, origin) = (turn * grid.affine.steps_mm(), middle + turn * (first - middle));
    grid.affine = VoxelToWorld::from_axes(&steps, &origin).unwrap();
    grid
}

/// Every second voxel along each axis.
fn at_2_mm(head: &Segmentation) -> Segmentation {
    let affine = (0..3).fold(head.affine, |affine, axis| affine.stretched(axis, 2.0));
    Segmentation::of_labels(head.labels.slice(s![..;2, ..;2, ..;2]).to_owned(), affine)
}

fn with(head: &Segmentation, labels: Array3<u8>) -> Segmentation {
    Segmentation::of_labels(labels, head.affine)
}

/// Lateral ventricles that take the nearest voxels around them until they are `share` larger.
fn dilated(head: &Segmentation, share: f64) -> Segmentation {
    let sides =
        [Structure::LeftLateralVentricle, Structure::RightLateralVentricle].map(|side| side.index() as u8);
    let [left, right] = sides.map(|side| head.labels.mapv(|label| label == side));
    let far = [&left, &right].map(|mask| distance_transform_mm(mask.view(), head.spacing_mm()));
    let voxels = head.labels.iter().filter(|label| sides.contains(label)).count();
    let nearer =
        |i: usize| if far[0].as_slice().unwrap()[i] <= far[1].as_slice().unwrap()[i] { 0 } else { 1 };
    let reach = |i: usize| far[nearer(i)].as_slice().unwrap()[i];
    let mut labels = head.labels.clone();
    let flat = labels.as_slice_mut().unwrap();
    let mut around: Vec<usize> = (0..flat.len()).filter(|&i| reach(i) > 0.0 && reach(i) < 12.0).collect();
    around.sort_by(|&a, &b| reach(a).total_cmp(&reach(b)));
    around[..(share * voxels as f64) as usize].iter().for_each(|&i| flat[i] = sides[nearer(i)]);
    with(head, labels)
}

/// The head as large as `volume` times before, about the centre of its field of view.
fn scaled(head: &Segmentation, volume: f64) -> Segmentation {
    let factor = volume.cbrt();
    let mut grid = head.grid().with_spacing(head.spacing_mm());
    let first = grid.dims.map(|length| (length as f64 - 1.0) / 2.0 * (1.0 - 1.0 / factor));
    let origin = head.affine.world_mm(first);
    grid.affine = VoxelToWorld::from_axes(&(head.affine.steps_mm() / factor), &origin).unwrap();
    with(head, head.on(&grid).labels)
}

fn mirrored(head: &Segmentation) -> Segmentation {
    let mut flipped = head.labels.view();
    flipped.invert_axis(Axis(2));
    with(head, flipped.mapv(|label| Structure::ALL[usize::from(label)].mirrored().index() as u8))
}

/// Each voxel takes the label at `(d, h, w)` moved by `offset`, within the field of view.
fn moved(head: &Segmentation, mut offset: impl FnMut() -> [f64; 3]) -> Segmentation {
    let (d, h, w) = head.labels.dim();
    let mut place = |at: [usize; 3]| {
        let by = offset();
        let to =
            |axis: usize, size: usize| ((at[axis] as f64 + by[axis]).round().max(0.0) as usize).min(size - 1);
        head.labels[[to(0, d), to(1, h), to(2, w)]]
    };
    with(head, Array3::from_shape_fn((d, h, w), |(z, y, x)| place([z, y, x])))
}

/// Labels on voxels displaced at random by a normal of `sigma` voxels.
fn jittered(head: &Segmentation, sigma: f64) -> Segmentation {
    let mut rng = stream(5, 0, 0, 0, Purpose::Samples);
    moved(head, || [0; 3].map(|_: u8| sigma * rng.sample::<f64, _>(rand_distr::StandardNormal)))
}

/// The label that weighs most after every structure was blurred with a Gaussian of this width, as a blurred image
/// shows.
fn smoothed(head: &Segmentation, fwhm_voxels: f64) -> Segmentation {
    let sigma = fwhm_voxels / (8.0 * 2f64.ln()).sqrt();
    let weight = |by: i32| (-0.5 * (f64::from(by) / sigma).powi(2)).exp() as f32;
    let weights = Array3::from_shape_fn((5, 5, 5), |(z, y, x)| {
        [z, y, x].map(|place| weight(place as i32 - 2)).iter().product::<f32>()
    });
    let mut labels = head.labels.clone();
    let places = ndarray::indices(head.labels.raw_dim() - ndarray::Dim([4, 4, 4]));
    for ((z, y, x), window) in places.into_iter().zip(head.labels.windows((5, 5, 5))) {
        let first = window[[0, 0, 0]];
        if window.iter().any(|&label| label != first) {
            let mut sums = [0.0; STRUCTURES];
            window.iter().zip(&weights).for_each(|(&label, weight)| sums[usize::from(label)] += weight);
            let best = (0..STRUCTURES).reduce(|a, b| if sums[b] > sums[a] { b } else { a }).unwrap();
            labels[[z + 2, y + 2, x + 2]] = best as u8;
        }
    }
    with(head, labels)
}

fn checked(before: &Segmentation, after: Segmentation) -> PairVerdict {
    let pair = Pair { name: "pair".into(), before: before.clone(), after, grids: None };
    QualityCheck::default().judge(vec![pair.record()]).pairs.remove(0)
}

fn failed(verdict: &PairVerdict, region: &str, limit: Limit) -> bool {
    let region = verdict.regions.iter().find(|one| one.change.region == region).unwrap();
    region.failures.iter().any(|failure| failure.limit == limit)
}

#[test]
fn copies_pass_and_changed_heads_do_not() {
    for subject in ["07", "17"] {
        let Some(fine) = head(subject) else { return };
        let head = at_2_mm(&fine);
        let table = |verdict: &PairVerdict| serde_json::to_string_pretty(verdict).unwrap();

        let same = checked(&head, head.clone());
        assert!(same.passed, "{}", table(&same));
        let noisy = checked(&head, jittered(&head, 0.2));
        assert!(noisy.passed, "{}", table(&noisy));

        let ventricles = checked(&head, dilated(&head, 0.2));
        assert!(failed(&ventricles, "lateral_ventricles", Limit::VolumeChange), "{}", table(&ventricles));
        let change = ventricles.regions.iter().find(|one| one.change.region == "lateral_ventricles").unwrap();
        assert!((change.change.change_percent.unwrap() - 20.0).abs() < 0.1);

        for volume in [1.05, 0.95] {
            // Scaled at 1 mm: by whole voxels of 2 mm it would be less exact.
            let scaled = checked(&head, at_2_mm(&scaled(&fine, volume)));
            assert!(failed(&scaled, "brain", Limit::VolumeChange), "{}", table(&scaled));
            let brain = scaled.regions.iter().find(|one| one.change.region == "brain").unwrap();
            let percent = brain.change.change_percent.unwrap();
            assert!((percent - 100.0 * (volume - 1.0)).abs() < 0.5, "{percent}");
            assert_eq!(scaled.sides.found, Sides::Kept);
        }

        let mirror = checked(&head, mirrored(&head));
        assert_eq!((mirror.sides.found, mirror.sides.mirrored), (Sides::Mirrored, 1.0));
        assert_eq!(mirror.sides_failure.as_ref().unwrap().limit, Limit::Sides);
        assert!(!failed(&mirror, "brain", Limit::VolumeChange));

        let shifted = checked(&head, moved(&head, || [0.0, 0.0, 1.0]));
        assert!(failed(&shifted, "cerebral_cortex", Limit::Dice), "{}", table(&shifted));
        assert!(!failed(&shifted, "brain", Limit::VolumeChange));
        assert_eq!(shifted.sides.found, Sides::Kept);
    }
}

/// One head on other grids passes, at 2 mm: half a voxel away along every axis, turned by 5°. Ventricles a tenth larger on the
/// first of these do not.
#[test]
fn other_grids_pass_and_larger_ventricles_on_them_do_not() {
    let Some(fine) = head("07") else { return };
    let before = seen(&fine, &grid_over(&fine, 2.0, 0.0, 0.0));
    let half = grid_over(&fine, 2.0, 0.5, 0.0);
    for grid in [half, grid_over(&fine, 2.0, 0.0, 5.0)] {
        let verdict = checked(&before, seen(&fine, &grid));
        assert!(verdict.passed, "{}", serde_json::to_string_pretty(&verdict).unwrap());
        assert_eq!(verdict.sides.found, Sides::Kept);
    }
    let grown = checked(&before, seen(&dilated(&fine, 0.1), &half));
    assert!(failed(&grown, "lateral_ventricles", Limit::VolumeChange));
}

#[test]
fn a_blur_that_fills_the_sulci_is_seen() {
    let Some(head) = head("07") else { return };
    let verdict = checked(&head, smoothed(&head, 2.0));
    assert!(failed(&verdict, "cerebral_cortex", Limit::VolumeChange));
    assert!(failed(&verdict, "csf", Limit::VolumeChange));
    assert_eq!(verdict.sides.found, Sides::Kept);
}
