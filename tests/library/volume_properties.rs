//! Properties of volumes: what reorientation, resampling, cropping and normalisation must keep, whatever the grid.

use nalgebra::{Matrix3, Matrix4, Point3, Rotation3, Vector3};
use ndarray::Array4;
use proptest::prelude::*;
use voxgan::volume::crop::{Centre, crop_pad};
use voxgan::volume::intensity::{IntensityMap, Normalisation};
use voxgan::volume::orientation::{Orientation, from_ras, orientation, to_ras};
use voxgan::volume::resample::{Grid, Interpolation, resample, resample_spacing};
use voxgan::volume::{ImageGrid, Volume, VoxelToWorld};

use crate::needs;

const EVERY: [Interpolation; 3] = [Interpolation::Nearest, Interpolation::Linear, Interpolation::Cubic];

/// A volume of `dims` voxels along `(i, j, k)` whose values are all different: labels.
fn labelled(dims: [usize; 3], affine: VoxelToWorld) -> Volume {
    let [w, h, d] = dims;
    let data = Array4::from_shape_fn((1, d, h, w), |(_, k, j, i)| (1 + i + w * (j + h * k)) as f32);
    Volume::new(data, affine)
}

/// A volume of `dims` voxels whose values are those of `field` at their places in the world.
fn sampled(dims: [usize; 3], affine: VoxelToWorld, field: impl Fn(Vector3<f64>) -> f64) -> Volume {
    let mut volume = Volume::new(Array4::zeros((1, dims[2], dims[1], dims[0])), affine);
    let place = volume.clone();
    for ((_, k, j, i), value) in volume.data.indexed_iter_mut() {
        *value = field(place.world_mm([i as f64, j as f64, k as f64]).into()) as f32;
    }
    volume
}

/// The world position of every labelled voxel (value above 0), in the order of the labels.
fn places(volume: &Volume) -> Vec<(f32, [f64; 3])> {
    let mut places: Vec<_> = volume
        .data
        .indexed_iter()
        .filter(|(_, value)| **value > 0.0)
        .map(|((_, k, j, i), &value)| (value, volume.world_mm([i as f64, j as f64, k as f64])))
        .collect();
    places.sort_by(|a, b| a.0.total_cmp(&b.0));
    places
}

/// The largest distance between places with the same label, relative to `size`; infinite if the labels differ.
fn displacement(a: &[(f32, [f64; 3])], b: &[(f32, [f64; 3])], size: f64) -> f64 {
    if a.len() != b.len() || a.iter().zip(b).any(|(a, b)| a.0 != b.0) {
        return f64::INFINITY;
    }
    a.iter().zip(b).map(|(a, b)| (Vector3::from(a.1) - Vector3::from(b.1)).norm() / size).fold(0.0, f64::max)
}

/// All 48 ways in which voxel axes lie along world axes.
fn all_orientations() -> Vec<Orientation> {
    let letters = [["L", "R"], ["P", "A"], ["I", "S"]];
    let mut codes = Vec::new();
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        for signs in 0..8_usize {
            let code: String = order.iter().map(|&world| letters[world][signs >> world & 1]).collect();
            codes.push(code.parse().expect("a code"));
        }
    }
    codes
}

/// Rotation, shear, voxel sizes and mirroring at will: any invertible affine, from tiny to huge.
fn odd_affine() -> impl Strategy<Value = VoxelToWorld> {
    let part = |range: std::ops::Range<f64>| prop::array::uniform3(range);
    (part(-3.2..3.2), part(-0.6..0.6), part(0.3..3.0), any::<[bool; 3]>(), part(-100.0..100.0), -12..13_i32)
        .prop_map(|(angles, shear, spacing, mirrored, origin, exponent)| {
            let rotation = Rotation3::from_euler_angles(angles[0], angles[1], angles[2]);
            let shear = Matrix3::new(1.0, shear[0], shear[1], 0.0, 1.0, shear[2], 0.0, 0.0, 1.0);
            let sizes = Vector3::from_fn(|a, _| if mirrored[a] { -spacing[a] } else { spacing[a] });
            let linear = rotation.matrix() * shear * Matrix3::from_diagonal(&sizes);
            let mut affine = linear.to_homogeneous();
            affine.fixed_view_mut::<3, 1>(0, 3).copy_from(&Vector3::from(origin));
            // The unit may be anything: the whole world is scaled.
            VoxelToWorld::new(Matrix4::new_scaling(10_f64.powi(exponent)) * affine).expect("independent axes")
        })
}

/// An affine of head-like size: as [`odd_affine`], at the scale of millimetres.
fn head_affine() -> impl Strategy<Value = VoxelToWorld> {
    odd_affine().prop_map(|affine| {
        let size = affine.fixed_view::<3, 3>(0, 0).determinant().abs().cbrt();
        VoxelToWorld::new(Matrix4::new_scaling(1.0 / size) * *affine).expect("independent axes")
    })
}

/// The greatest extent of a volume's grid, as a measure for distances.
fn extent(volume: &Volume) -> f64 {
    let last = volume.dims().map(|n| n as f64);
    (Vector3::from(volume.world_mm(last)) - Vector3::from(volume.world_mm([0.0; 3]))).norm()
        + Vector3::from(volume.world_mm([0.0; 3])).norm()
}

/// A grid of 4³ voxels of `size` source voxels about the middle of `volume`, turned by `turn` in the world.
fn inner_grid(volume: &Volume, turn: &Rotation3<f64>, size: f64) -> Grid {
    let middle = Vector3::from(volume.world_mm(volume.dims().map(|n| (n as f64 - 1.0) / 2.0)));
    let least = volume.spacing_mm().into_iter().fold(f64::INFINITY, f64::min);
    let steps = turn.matrix() * least * size;
    let origin = middle - steps * Vector3::repeat(1.5);
    Grid { dims: [4; 3], affine: VoxelToWorld::from_axes(&steps, &origin).expect("a turned grid") }
}

#[test]
fn all_48_orientations_go_to_ras_and_back_bit_for_bit() {
    let orientations = all_orientations();
    // Numbers whose sums are exact, so that the translation too must come back bit for bit.
    let ras = labelled([2, 3, 4], VoxelToWorld::identity().with_origin_at([-90.5, 126.25, -72.0]));
    let mut seen = std::collections::HashSet::new();
    for original in &orientations {
        let turned = from_ras(ras.clone(), original);
        assert_eq!(&orientation(&turned.affine), original);
        assert_eq!(displacement(&places(&ras), &places(&turned), 1.0), 0.0, "{original}");
        let (back, found) = to_ras(turned.clone());
        assert_eq!((&back.data, back.affine, &found), (&ras.data, ras.affine, original));
        let again = from_ras(back, &found);
        assert_eq!((again.data, again.affine), (turned.data, turned.affine));
        seen.insert(original.to_string());
    }
    assert_eq!(seen.len(), 48);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn reorientation_moves_no_voxel(affine in odd_affine(), dims in prop::array::uniform3(1..5_usize)) {
        let volume = labelled(dims, affine);
        let (ras, original) = to_ras(volume.clone());
        prop_assert_eq!(orientation(&ras.affine), Orientation::RAS);
        prop_assert!(displacement(&places(&volume), &places(&ras), extent(&volume)) < 1e-14);
        let back = from_ras(ras, &original);
        prop_assert_eq!(&back.data, &volume.data);
        prop_assert_eq!(back.affine.fixed_view::<4, 3>(0, 0), volume.affine.fixed_view::<4, 3>(0, 0));
        prop_assert!((*back.affine - *volume.affine).norm() / extent(&volume) < 1e-15);
    }

    #[test]
    fn cropping_moves_no_voxel(
        affine in odd_affine(),
        dims in prop::array::uniform3(1..6_usize),
        new in prop::array::uniform3(1..9_usize),
        about in prop_oneof![Just(Centre::Grid), Just(Centre::Foreground)],
    ) {
        let volume = labelled(dims, affine);
        let cropped = crop_pad(&volume, new, about, -1.0);
        prop_assert_eq!(cropped.dims(), new);
        let (before, after) = (places(&volume), places(&cropped));
        let kept: Vec<_> = before.into_iter().filter(|a| after.iter().any(|b| a.0 == b.0)).collect();
        prop_assert!(displacement(&kept, &after, extent(&volume)) < 1e-14);
        if about == Centre::Grid {
            let expected: usize = (0..3).map(|axis| dims[axis].min(new[axis])).product();
            prop_assert_eq!(after.len(), expected);
        }
    }

    #[test]
    fn a_crop_undoes_a_pad(dims in prop::array::uniform3(1..6_usize), more in prop::array::uniform3(0..5_usize)) {
        let volume = labelled(dims, VoxelToWorld::identity());
        let padded = crop_pad(&volume, [0, 1, 2].map(|axis| dims[axis] + more[axis]), Centre::Grid, 0.0);
        let back = crop_pad(&padded, dims, Centre::Grid, 0.0);
        prop_assert_eq!((back.data, back.affine), (volume.data, volume.affine));
    }

    #[test]
    fn a_volume_on_its_own_grid_is_itself(affine in odd_affine(), dims in prop::array::uniform3(1..6_usize)) {
        let volume = labelled(dims, affine);
        for interpolation in EVERY {
            let same = resample(&volume, &Grid::of(&volume), interpolation);
            prop_assert_eq!((&same.data, same.affine), (&volume.data, volume.affine));
            // The same voxels in another order: no longer the same grid, but every sample falls on a voxel.
            let (ras, _) = to_ras(volume.clone());
            let turned = resample(&volume, &Grid::of(&ras), interpolation);
            prop_assert_eq!(&turned.data, &ras.data, "{:?}", interpolation);
            // Whole-voxel shifts, with zeros where the volume ends.
            let shifted = crop_pad(&volume, [4, 2, 7], Centre::Grid, 0.0);
            let found = resample(&volume, &Grid::of(&shifted), interpolation);
            prop_assert_eq!(&found.data, &shifted.data, "{:?}", interpolation);
        }
    }

    #[test]
    fn a_change_of_world_changes_nothing(
        source in head_affine(), target in head_affine(), world in odd_affine(), which in 0..3_usize,
    ) {
        // resample(T·A → T·B) = resample(A → B) for every change T of world coordinates.
        let volume = labelled([5, 6, 4], source);
        let at_middle = Vector3::from(volume.world_mm([2.0, 2.5, 1.5])) - target.fixed_view::<3, 1>(0, 3);
        let moved = |matrix: Matrix4<f64>| VoxelToWorld::new(matrix).expect("independent axes");
        let grid = Grid { dims: [3; 3], affine: moved(Matrix4::new_translation(&at_middle) * *target) };
        // Nearest has jumps, where rounding decides: compare where it does not.
        let interpolation = EVERY[which];
        let here = resample(&volume, &grid, interpolation);
        let there = resample(
            &Volume::new(volume.data.clone(), moved(*world * *volume.affine)),
            &Grid { dims: grid.dims, affine: moved(*world * *grid.affine) },
            interpolation,
        );
        let to_voxel = volume.affine.inverse() * *grid.affine;
        for ((_, k, j, i), value) in here.data.indexed_iter() {
            let voxel = to_voxel.transform_point(&Point3::new(i as f64, j as f64, k as f64));
            if voxel.iter().all(|x| ((x - 0.5).round() + 0.5 - x).abs() > 1e-4) {
                let other = there.data[[0, k, j, i]];
                prop_assert!((value - other).abs() < 0.01, "{:?}: {} and {}", interpolation, value, other);
            }
        }
    }

    #[test]
    fn ramps_are_reproduced_on_oblique_grids(
        affine in head_affine(),
        angles in prop::array::uniform3(-3.2..3.2_f64),
        size in 0.3..2.0_f64,
        slope in prop::array::uniform3(-1.0..1.0_f64),
    ) {
        let ramp = |world: Vector3<f64>| Vector3::from(slope).dot(&world);
        let middle = Vector3::from(labelled([24; 3], affine).world_mm([11.5; 3]));
        let volume = sampled([24; 3], affine, |world| ramp(world - middle));
        let turn = Rotation3::from_euler_angles(angles[0], angles[1], angles[2]);
        let grid = inner_grid(&volume, &turn, size);
        // Shears bring source axes nearer to each other than their spacing: check that the reach of blur, kernel and
        // grid stays inside.
        let to_voxel = affine.inverse() * *grid.affine;
        let ratio = (0..3).map(|a| to_voxel.fixed_view::<1, 3>(a, 0).norm()).fold(0.0, f64::max);
        let reach = 1.5 * (0..3).map(|a| to_voxel.fixed_view::<1, 3>(a, 0).abs().sum()).fold(0.0, f64::max);
        prop_assume!(reach + 4.0 * ratio / 2.35 + 3.0 < 11.5);
        let expected = sampled(grid.dims, grid.affine, |world| ramp(world - middle));
        for interpolation in [Interpolation::Linear, Interpolation::Cubic] {
            let found = resample(&volume, &grid, interpolation);
            for (found, expected) in found.data.iter().zip(&expected.data) {
                // Values of up to about 50 in f32.
                prop_assert!((found - expected).abs() < 1e-4, "{:?}: {} not {}", interpolation, found, expected);
            }
        }
    }

    #[test]
    fn cubic_reproduces_quadratics(affine in head_affine(), angles in prop::array::uniform3(-3.2..3.2_f64)) {
        // Keys (1981): third-order convergence, so exact for polynomials of degree two along each axis. A finer grid,
        // so that nothing is blurred.
        let inverse = affine.inverse();
        let quadratic = |world: Vector3<f64>| {
            let x = inverse.transform_point(&Point3::from(world)).coords - Vector3::repeat(7.5);
            1.0 + x.x - 2.0 * x.y + x.x * x.y + 0.5 * x.z * x.z - 0.3 * x.x * x.x
        };
        let volume = sampled([16; 3], affine, quadratic);
        let turn = Rotation3::from_euler_angles(angles[0], angles[1], angles[2]);
        let grid = inner_grid(&volume, &turn, 0.3);
        let to_voxel = inverse * *grid.affine;
        prop_assume!((0..3).all(|a| to_voxel.fixed_view::<1, 3>(a, 0).norm() < 1.0));
        let expected = sampled(grid.dims, grid.affine, quadratic);
        let found = resample(&volume, &grid, Interpolation::Cubic);
        for (found, expected) in found.data.iter().zip(&expected.data) {
            prop_assert!((found - expected).abs() < 1e-4, "{} not {}", found, expected);
        }
    }

    #[test]
    fn spacing_keeps_the_centre_and_the_field_of_view(
        affine in head_affine(), dims in prop::array::uniform3(1..9_usize), spacing in prop::array::uniform3(0.2..4.0_f64),
    ) {
        let volume = labelled(dims, affine);
        let found = resample_spacing(&volume, spacing, Interpolation::Nearest);
        let centre = |v: &Volume| Vector3::from(v.world_mm(v.dims().map(|n| (n as f64 - 1.0) / 2.0)));
        prop_assert!((centre(&volume) - centre(&found)).norm() < 1e-9);
        for (axis, asked) in spacing.into_iter().enumerate() {
            prop_assert!((found.spacing_mm()[axis] - asked).abs() < 1e-9);
            // A sheared volume is straightened first.
            let grid = Grid::of(&volume).straight();
            let before = grid.dims[axis] as f64 * grid.spacing_mm()[axis];
            let after = found.dims()[axis] as f64 * found.spacing_mm()[axis];
            prop_assert!((before - after).abs() <= asked / 2.0 + 1e-9 || found.dims()[axis] == 1);
        }
    }

    #[test]
    fn intensity_comes_back(
        values in prop::collection::vec(-5000.0..5000.0_f32, 50..200), low in 0.0..20.0_f64, high in 60.0..100.0_f64,
    ) {
        let data = Array4::from_shape_vec((1, 1, 1, values.len()), values).expect("one line");
        let volume = Volume::new(data, VoxelToWorld::identity());
        for normalisation in [Normalisation::ZScore, Normalisation::Percentile { low, high }] {
            let map = IntensityMap::fit(&volume, &normalisation).expect("has contrast");
            let normalised = map.apply(volume.clone());
            let back = map.invert(normalised.clone());
            for ((raw, normalised), back) in volume.data.iter().zip(&normalised.data).zip(&back.data) {
                prop_assert!(map.clip.is_none() || normalised.abs() <= 1.0);
                if map.clip.is_none() || normalised.abs() < 1.0 {
                    prop_assert!((raw - back).abs() < 2e-3, "{} came back as {}", raw, back);
                }
            }
        }
    }
}

#[test]
fn shrinking_keeps_the_mean_of_what_it_can_show() {
    // A Gaussian of 12 voxels, whose integral over the world is (2π)^(3/2) · 12³ whatever the grid. Linear
    // interpolation itself folds onto the mean what lies within |n - m/k| of zero cycles a voxel, times sinc²(m/k),
    // for whole n and m and a grid k times coarser. For these k the worst is 1 - 3/3.2 = 0.0625 cycles, where the
    // Gaussian has exp(-2 π² 12² 0.0625²) = 1.5e-5 and sinc²(0.9375) = 4e-3. (For k = 2.7 it would be 8e-6 in all.)
    let gaussian = |world: Vector3<f64>| (-world.norm_squared() / 288.0).exp();
    let affine = VoxelToWorld::identity().with_origin_at([-63.7; 3]);
    let volume = sampled([128; 3], affine, gaussian);
    let integral = (2.0 * std::f64::consts::PI).powf(1.5) * 1728.0;
    for spacing in [[2.0; 3], [3.2, 2.5, 4.0], [1.0, 5.0, 1.0]] {
        for interpolation in [Interpolation::Linear, Interpolation::Cubic] {
            let small = resample_spacing(&volume, spacing, interpolation);
            let found =
                small.data.iter().copied().map(f64::from).sum::<f64>() * spacing.iter().product::<f64>();
            assert!(
                (found / integral - 1.0).abs() < 1e-6,
                "{spacing:?} {interpolation:?}: {found} of {integral}"
            );
        }
    }
}

#[test]
fn shrinking_suppresses_what_it_cannot_show() {
    // A grating of 0.4 cycles a voxel along one axis; three times coarser, it would alias to 0.2 cycles a new voxel.
    // The transfer function of the Gaussian at that frequency is exp(-2 π² σ² f²), with σ² = (3² - 1) / (8 ln 2).
    let sigma_squared = 8.0 / (8.0 * 2_f64.ln());
    let transfer = (-2.0 * std::f64::consts::PI.powi(2) * sigma_squared * 0.16).exp();
    assert!(transfer < 0.011);
    for axis in 0..3 {
        let affine = VoxelToWorld::identity();
        let grating =
            sampled([30; 3], affine, |world| (2.0 * std::f64::consts::PI * 0.4 * world[axis]).cos());
        let aliased = resample_spacing(&grating, [3.0; 3], Interpolation::Nearest);
        assert!(aliased.data.iter().any(|value| value.abs() > 0.99), "without a filter it does alias");
        for interpolation in [Interpolation::Linear, Interpolation::Cubic] {
            let small = resample_spacing(&grating, [3.0; 3], interpolation);
            let inner = crop_pad(&small, [6; 3], Centre::Grid, 0.0);
            let greatest = inner.data.iter().fold(0.0_f32, |greatest, value| greatest.max(value.abs()));
            assert!(f64::from(greatest) < transfer * 1.01, "{greatest} is more than {transfer}");
        }
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let volume = sampled([40, 33, 27], ImageGrid::upright([40, 33, 27], [0.9; 3]).unwrap().affine, |world| {
        (world.x * 1.7 + world.y * world.z).sin()
    });
    let turn = Rotation3::from_euler_angles(0.3, -0.2, 0.8);
    let grid = Grid {
        dims: [9, 8, 7],
        affine: VoxelToWorld::from_axes(&(turn.matrix() * 2.3), &Vector3::zeros()).unwrap(),
    };
    for interpolation in EVERY {
        let [one, three] = [1, 3].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            pool.install(|| resample(&volume, &grid, interpolation)).data.mapv(f32::to_bits)
        });
        assert_eq!(one, three, "{interpolation:?}");
    }
}

#[test]
fn real_left_handed_scans_go_to_ras_and_back() {
    let Some(path) = needs::data("ds002748/original/sub-01/anat/sub-01_T1w.nii.gz") else { return };
    let scan = voxgan::io::nifti::read(&path).expect("a NIfTI file");
    let (ras, original) = to_ras(scan.clone());
    assert_eq!(original.to_string(), "LAS"); // nibabel: aff2axcodes
    assert_eq!(orientation(&ras.affine), Orientation::RAS);
    assert_eq!(ras.data[[0, 90, 100, 287 - 150]], scan.data[[0, 90, 100, 150]]);
    let back = from_ras(ras, &original);
    assert_eq!(back.data, scan.data);
    assert!((*back.affine - *scan.affine).norm() < 1e-12);
}
