//! Overlap and surface distances beside MONAI, SciPy and closed forms.

use nalgebra::{Matrix3, Rotation3, Vector3};
use ndarray::Array3;
use serde::Deserialize;

use super::*;
use crate::anatomy::structures::REGIONS;
use crate::volume::VoxelToWorld;
use crate::volume::resample::Grid;

/// A pair of masks, each a union of balls `[d, h, w, radius]` in voxels, and what MONAI and SciPy say of it.
#[derive(Deserialize)]
struct Case {
    shape: [usize; 3],
    spacing_dhw_mm: [f64; 3],
    balls: [Vec<[i32; 4]>; 2],
    dice: f64,
    hausdorff95_mm: f64,
    mean_mm: f64,
}

/// A mask as a segmentation of one structure.
fn segmentation(mask: &Array3<bool>, affine: VoxelToWorld) -> Segmentation {
    let label = Structure::BrainStem.index() as u8;
    Segmentation::of_labels(mask.mapv(|inside| if inside { label } else { 0 }), affine)
}

/// What is found of that structure.
fn overlap(before: &Segmentation, after: &Segmentation) -> RegionOverlap {
    region_overlaps(before, after, &[*Region::named("brain_stem").unwrap()])[0]
}

/// MONAI and SciPy measure between the middles of voxels; here surfaces run between them, so that distances differ by
/// less than half a voxel.
#[test]
fn distances_are_near_those_of_monai_and_scipy() {
    let text = include_str!("../../../tests/fixtures/anatomy/quality_check/expected.json");
    for case in serde_json::from_str::<Vec<Case>>(text).unwrap() {
        let [one, other] = case.balls.map(|balls| {
            Array3::from_shape_fn(case.shape, |(z, y, x)| {
                let square = |a: usize, b: i32| (a as i32 - b).pow(2);
                balls.iter().any(|&[d, h, w, r]| square(z, d) + square(y, h) + square(x, w) <= r * r)
            })
        });
        assert!((dice(one.view(), other.view()).unwrap() - case.dice).abs() <= 1e-6, "{:?}", case.shape);
        let [d_mm, h_mm, w_mm] = case.spacing_dhw_mm;
        let steps = Matrix3::from_diagonal(&[w_mm, h_mm, d_mm].into());
        let affine = VoxelToWorld::from_axes(&steps, &Vector3::zeros()).unwrap();
        let [one, other] = [one, other].map(|mask| segmentation(&mask, affine));
        let found = overlap(&one, &other);
        let distance = found.distance.unwrap();
        let near = |a: f64, b: f64| (a - b).abs() < 0.5 * d_mm.max(h_mm).max(w_mm);
        assert!(near(distance.hausdorff95_mm, case.hausdorff95_mm), "{:?}: {distance:?}", case.shape);
        assert!(near(distance.mean_mm, case.mean_mm), "{:?}: {distance:?}", case.shape);
        let swapped = overlap(&other, &one);
        assert!((swapped.distance.unwrap().hausdorff95_mm - distance.hausdorff95_mm).abs() < 1e-9);
        assert!((swapped.dice.unwrap() - found.dice.unwrap()).abs() < 1e-9);
    }
}

const CENTRE_MM: [f64; 3] = [28.0, 30.3, 31.1];

/// The voxels of a grid whose middles lie in a ball, in world millimetres.
fn ball(grid: &Grid, centre_mm: [f64; 3], radius_mm: f64) -> Segmentation {
    let [w, h, d] = grid.dims;
    let mask = Array3::from_shape_fn((d, h, w), |(z, y, x)| {
        let at = grid.affine.world_mm([x, y, z].map(|n| n as f64));
        (at - Vector3::from(centre_mm)).norm() <= radius_mm
    });
    segmentation(&mask, grid.affine)
}

/// A field of view of 60 mm, moved and turned.
fn grid(spacing_mm: f64, moved_mm: [f64; 3], turned_deg: f64) -> Grid {
    let turn = Rotation3::from_scaled_axis(Vector3::new(0.4, 0.5, 0.768) * turned_deg.to_radians());
    let affine = VoxelToWorld::from_axes(&(turn.into_inner() * spacing_mm), &moved_mm.into()).unwrap();
    Grid { dims: [(60.0 / spacing_mm) as usize; 3], affine }
}

/// Grids that show the same ball as that of 1 mm.
fn others() -> [Grid; 5] {
    [
        grid(1.0, [0.5; 3], 0.0),
        grid(1.0, [0.25, 0.5, -0.3], 0.0),
        grid(1.2, [0.1; 3], 0.0),
        grid(0.7, [0.0; 3], 0.0),
        grid(1.0, [2.0, -1.0, 0.5], 5.0),
    ]
}

/// Borders that lie d apart all around a ball of radius r cost 1.5 d / r of Dice. Labels by the nearest voxel lose half
/// a voxel.
#[test]
fn another_grid_costs_next_to_nothing() {
    for radius_mm in [8.0, 18.0] {
        let before = ball(&grid(1.0, [0.0; 3], 0.0), CENTRE_MM, radius_mm);
        for other in others() {
            let after = ball(&other, CENTRE_MM, radius_mm);
            let found = overlap(&before, &after);
            let distance = found.distance.unwrap();
            assert!(
                found.dice.unwrap() > 1.0 - 1.5 * 0.13 / radius_mm,
                "{radius_mm} mm on {other:?}: {found:?}"
            );
            assert!(distance.mean_mm < 0.2 && distance.hausdorff95_mm < 0.5, "{radius_mm} mm: {found:?}");
        }
        let nearest = ball(&others()[0], CENTRE_MM, radius_mm).on(&before.grid());
        let stem = Region::named("brain_stem").unwrap();
        let counted = Overlap::of(&before, &nearest).unwrap().dice(stem).unwrap();
        assert!(counted < 1.0 - 1.5 * 0.4 / radius_mm, "{radius_mm} mm: {counted}");
    }
}

/// A ball grown by a tenth in volume: Dice 2 / 2.1, its surface 18·(1.1^⅓ − 1) = 0.581 mm away, its volume a tenth
/// more.
#[test]
fn growth_by_a_tenth_is_found_on_every_grid() {
    let before = ball(&grid(1.0, [0.0; 3], 0.0), CENTRE_MM, 18.0);
    let grown_mm = 18.0 * 1.1f64.cbrt();
    for other in others().into_iter().chain([grid(1.0, [0.0; 3], 0.0)]) {
        let after = ball(&other, CENTRE_MM, grown_mm);
        let found = overlap(&before, &after);
        assert!((found.dice.unwrap() - 2.0 / 2.1).abs() < 3e-3, "{other:?}: {found:?}");
        let distance = found.distance.unwrap();
        assert!((distance.mean_mm - (grown_mm - 18.0)).abs() < 0.06, "{other:?}: {found:?}");
        assert!((distance.hausdorff95_mm - (grown_mm - 18.0)).abs() < 0.3, "{other:?}: {found:?}");
        let stem = Region::named("brain_stem").unwrap();
        let percent = 100.0 * (after.region_ml(stem) / before.region_ml(stem) - 1.0);
        assert!((percent - 10.0).abs() < 1.0, "{other:?}: {percent}");
    }
}

#[test]
fn concentric_balls_lie_as_far_apart_as_their_radii() {
    for spacing_mm in [1.0, 0.5] {
        let grid = grid(spacing_mm, [0.0; 3], 0.0);
        let [small, large] = [18.0, 24.0].map(|radius_mm| ball(&grid, CENTRE_MM, radius_mm));
        let found = overlap(&small, &large);
        let distance = found.distance.unwrap();
        assert!((distance.mean_mm - 6.0).abs() < 0.06, "{spacing_mm} mm: {found:?}");
        assert!((distance.hausdorff95_mm - 6.0).abs() < 0.3 * spacing_mm, "{spacing_mm} mm: {found:?}");
        // 2·(18/24)³ / (1 + (18/24)³).
        let ratio = 0.75f64.powi(3);
        assert!((found.dice.unwrap() - 2.0 * ratio / (1.0 + ratio)).abs() < 2e-3, "{found:?}");
    }
}

/// Two equal balls whose centres are `s` apart share the lens `π(4r + s)(2r − s)²/12`.
#[test]
fn shifted_balls_overlap_in_a_lens() {
    let [one, other] = [25.0, 34.0].map(|x| ball(&grid(1.0, [0.0; 3], 0.0), [x, 30.0, 30.0], 20.0));
    let (r, s) = (20.0f64, 9.0f64);
    let expected = (4.0 * r + s) * (2.0 * r - s).powi(2) / (16.0 * r.powi(3));
    let found = overlap(&one, &other);
    assert!((found.dice.unwrap() - expected).abs() < 5e-3, "{found:?} for {expected}");
    assert!((8.0..=9.2).contains(&found.distance.unwrap().hausdorff95_mm), "{found:?}");
}

/// A sheet as thick as a voxel has a surface although its blurred fraction nowhere reaches one half; a voxel alone has
/// one.
#[test]
fn thin_regions_have_surfaces() {
    let sheet = |z: usize| Array3::from_shape_fn((20, 20, 20), |(d, h, w)| d == z && h.min(w) > 4);
    let [one, other] = [9, 12].map(|z| segmentation(&sheet(z), VoxelToWorld::identity()));
    let found = overlap(&one, &other).distance.unwrap();
    assert!((found.mean_mm - 3.0).abs() < 0.5, "{found:?}");
    let speck = |z: usize| Array3::from_shape_fn((20, 20, 20), |at| at == (z, 9, 9));
    let [one, other] = [4, 13].map(|z| segmentation(&speck(z), VoxelToWorld::identity()));
    assert_eq!(overlap(&one, &other).distance.unwrap().mean_mm, 9.0);
}

#[test]
fn what_is_empty_has_no_distance() {
    let none = segmentation(&Array3::from_elem((4, 5, 6), false), VoxelToWorld::identity());
    let mask = Array3::from_shape_fn((4, 5, 6), |(z, y, x)| z + y + x == 3);
    let some = segmentation(&mask, VoxelToWorld::identity());
    assert_eq!(overlap(&none, &none), RegionOverlap { dice: None, distance: None });
    for (one, other) in [(&none, &some), (&some, &none)] {
        assert_eq!(overlap(one, other), RegionOverlap { dice: Some(0.0), distance: None });
    }
    assert_eq!(dice(mask.view(), mask.mapv(|_| false).view()), Some(0.0));
    let same = overlap(&some, &some);
    assert_eq!(same.dice, Some(1.0));
    assert!(same.distance.unwrap().hausdorff95_mm < 1e-9, "{same:?}");
}

/// Fields of view that have no point in common share nothing.
#[test]
fn what_lies_elsewhere_does_not_overlap() {
    let before = ball(&grid(1.0, [0.0; 3], 0.0), CENTRE_MM, 8.0);
    let far = CENTRE_MM.map(|mm| mm + 100.0);
    let found = overlap(&before, &ball(&grid(1.0, [100.0; 3], 0.0), far, 8.0));
    assert!(found.dice.unwrap() < 1e-6, "{found:?}");
    assert!((found.distance.unwrap().hausdorff95_mm - 100.0 * 3f64.sqrt()).abs() < 8.0, "{found:?}");
}

#[test]
fn other_grids_are_refused_where_voxels_are_counted() {
    let one = |mm: f64, n: usize| {
        Segmentation::of_labels(
            Array3::zeros((4, 5, n)),
            VoxelToWorld::identity().with_origin_at([mm, 0.0, 0.0]),
        )
    };
    assert!(Overlap::of(&one(0.0, 6), &one(0.01, 6)).is_ok());
    for other in [one(0.0, 7), one(1.0, 6)] {
        let error = Overlap::of(&one(0.0, 6), &other).unwrap_err().to_string();
        assert!(error.contains("grid of AFTER") && error.contains("Segmentation::on"), "{error}");
    }
}

/// Dice of regions from label arrays is that of each region's masks.
#[test]
fn regions_are_counted_as_their_masks() {
    let labels = |step: usize| {
        let labels = Array3::from_shape_fn((9, 11, 13), |(z, y, x)| {
            ((z * 7 + y * 5 + x * step + z * y * x) % 61).saturating_sub(39) as u8
        });
        Segmentation::of_labels(labels, VoxelToWorld::identity().stretched(1, 2.0).stretched(2, 0.5))
    };
    let (before, after) = (labels(3), labels(4));
    let counted = Overlap::of(&before, &after).unwrap();
    for region in &REGIONS {
        let (one, other) = (before.mask(region), after.mask(region));
        assert_eq!(counted.dice(region), dice(one.view(), other.view()), "{}", region.name);
    }
}
