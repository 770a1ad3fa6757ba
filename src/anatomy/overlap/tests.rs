//! Overlap and surface distances against MONAI, SciPy and closed forms.

use nalgebra::Matrix4;
use ndarray::Array3;
use serde::Deserialize;

use super::*;
use crate::anatomy::structures::REGIONS;

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

#[test]
fn distances_are_those_of_monai_and_scipy() {
    let text = include_str!("../../../tests/fixtures/anatomy/gate/expected.json");
    for case in serde_json::from_str::<Vec<Case>>(text).unwrap() {
        let [one, other] = case.balls.map(|balls| {
            Array3::from_shape_fn(case.shape, |(z, y, x)| {
                let square = |a: usize, b: i32| (a as i32 - b).pow(2);
                balls.iter().any(|&[d, h, w, r]| square(z, d) + square(y, h) + square(x, w) <= r * r)
            })
        });
        let [d_mm, h_mm, w_mm] = case.spacing_dhw_mm;
        let found = SurfaceDistance::between(one.view(), other.view(), [w_mm, h_mm, d_mm]).unwrap();
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-6 * b;
        assert!(near(found.hausdorff95_mm, case.hausdorff95_mm), "{:?}: {found:?}", case.shape);
        assert!(near(found.mean_mm, case.mean_mm), "{:?}: {found:?}", case.shape);
        assert!(near(dice(one.view(), other.view()).unwrap(), case.dice), "{:?}", case.shape);
        let swapped = SurfaceDistance::between(other.view(), one.view(), [w_mm, h_mm, d_mm]).unwrap();
        assert_eq!(swapped.hausdorff95_mm, found.hausdorff95_mm);
    }
}

fn ball(centre_mm: [f64; 3], radius_mm: f64, spacing_mm: f64) -> Array3<bool> {
    let n = (60.0 / spacing_mm) as usize;
    Array3::from_shape_fn((n, n, n), |(z, y, x)| {
        let away = |at: usize, mm: f64| (at as f64 * spacing_mm - mm).powi(2);
        away(z, centre_mm[0]) + away(y, centre_mm[1]) + away(x, centre_mm[2]) <= radius_mm.powi(2)
    })
}

/// A ball's surface voxels lie less than a voxel inside its sphere, and one lies within two voxels of any point of
/// it.
#[test]
fn concentric_balls_lie_as_far_apart_as_their_radii() {
    for h_mm in [1.0, 0.5] {
        let [small, large] = [18.0, 24.0].map(|radius_mm| ball([30.0; 3], radius_mm, h_mm));
        let found = SurfaceDistance::between(small.view(), large.view(), [h_mm; 3]).unwrap();
        for mm in [found.mean_mm, found.hausdorff95_mm] {
            assert!((6.0 - h_mm..6.0 + 2.0 * h_mm).contains(&mm), "{h_mm} mm: {found:?}");
        }
        // 2·(18/24)³ / (1 + (18/24)³).
        let ratio = 0.75f64.powi(3);
        let expected = 2.0 * ratio / (1.0 + ratio);
        assert!((dice(small.view(), large.view()).unwrap() - expected).abs() < 2e-3);
    }
}

/// Two equal balls whose centres are `s` apart share the lens `π(4r + s)(2r − s)²/12`.
#[test]
fn shifted_balls_overlap_in_a_lens() {
    let [one, other] = [25.0, 34.0].map(|x| ball([30.0, 30.0, x], 20.0, 1.0));
    let (r, s) = (20.0f64, 9.0f64);
    let expected = (4.0 * r + s) * (2.0 * r - s).powi(2) / (16.0 * r.powi(3));
    assert!((dice(one.view(), other.view()).unwrap() - expected).abs() < 2e-3);
    let found = SurfaceDistance::between(one.view(), other.view(), [1.0; 3]).unwrap();
    assert!((8.0..=9.0).contains(&found.hausdorff95_mm), "{found:?}");
}

#[test]
fn empty_masks_have_no_distance() {
    let none = Array3::from_elem((4, 5, 6), false);
    let some = Array3::from_shape_fn((4, 5, 6), |(z, y, x)| z + y + x == 3);
    assert_eq!(dice(none.view(), none.view()), None);
    assert_eq!(dice(none.view(), some.view()), Some(0.0));
    for (one, other) in [(&none, &none), (&none, &some), (&some, &none)] {
        assert_eq!(SurfaceDistance::between(one.view(), other.view(), [1.0; 3]), None);
    }
    let same = SurfaceDistance::between(some.view(), some.view(), [1.0; 3]).unwrap();
    assert_eq!(same, SurfaceDistance { hausdorff95_mm: 0.0, mean_mm: 0.0 });
}

/// The table of regions from label arrays is that of each region's masks.
#[test]
fn regions_are_measured_as_their_masks() {
    let labels = |step: usize| {
        let labels = Array3::from_shape_fn((9, 11, 13), |(z, y, x)| {
            ((z * 7 + y * 5 + x * step + z * y * x) % 61).saturating_sub(39) as u8
        });
        Segmentation::of_labels(labels, Matrix4::new_nonuniform_scaling(&[1.0, 2.0, 0.5].into()))
    };
    let (before, after) = (labels(3), labels(4));
    let overlap = Overlap::of(&before, &after).unwrap();
    let distances = surface_distances(&before, &after, &REGIONS).unwrap();
    for (region, distance) in REGIONS.iter().zip(distances) {
        let (one, other) = (before.mask(region), after.mask(region));
        assert_eq!(overlap.dice(region), dice(one.view(), other.view()), "{}", region.name);
        assert_eq!(distance, SurfaceDistance::between(one.view(), other.view(), [1.0, 2.0, 0.5]));
        assert!(distance.unwrap().hausdorff95_mm > 0.0);
    }
}

#[test]
fn other_grids_are_refused() {
    let one = |mm: f64, n: usize| {
        Segmentation::of_labels(Array3::zeros((4, 5, n)), Matrix4::new_translation(&[mm, 0.0, 0.0].into()))
    };
    assert!(Overlap::of(&one(0.0, 6), &one(0.01, 6)).is_ok());
    for other in [one(0.0, 7), one(1.0, 6)] {
        let error = Overlap::of(&one(0.0, 6), &other).unwrap_err().to_string();
        assert!(error.contains("grid of AFTER") && error.contains("Segmentation::on"), "{error}");
        assert!(surface_distances(&one(0.0, 6), &other, &REGIONS).is_err());
    }
}
