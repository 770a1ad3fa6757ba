//! A head of simple shapes whose volumes are known, whole and broken in many ways.

use nalgebra::{Matrix3, Matrix4, Rotation3, Vector3};
use ndarray::Array3;

use super::*;
use crate::anatomy::structures::{STRUCTURES, Structure};
use crate::volume::VoxelToWorld;

use Structure::*;

/// A head on `[D, H, W]` = 96×112×96 voxels of 2 mm, RAS, its middle at the world's origin: ellipsoids and boxes in the
/// places and about the sizes of the structures.
fn head() -> Segmentation {
    let labels = Array3::from_shape_fn((96, 112, 96), |(k, j, i)| {
        let at = [2.0 * i as f64 - 95.0, 2.0 * j as f64 - 111.0, 2.0 * k as f64 - 95.0];
        label([at[0], at[1], at[2]]) as u8
    });
    let origin = Vector3::new(-95.0, -111.0, -95.0);
    let affine = VoxelToWorld::from_axes(&(Matrix3::identity() * 2.0), &origin).unwrap();
    Segmentation::of_labels(labels, affine)
}

/// What lies at a place in the world.
fn label([x, y, z]: [f64; 3]) -> Structure {
    // The place as if on the left side, and the structure of the side that it is on.
    let a = x.abs();
    let inside = |centre: [f64; 3], axes: [f64; 3]| {
        (0..3).map(|n| (([a, y, z][n] - centre[n]) / axes[n]).powi(2)).sum::<f64>() <= 1.0
    };
    let sided = |left: Structure| if x < 0.0 { left } else { left.mirrored() };
    if inside([0.0, -20.0, -48.0], [12.0, 12.0, 26.0]) {
        BrainStem
    } else if inside([0.0, -36.0, -42.0], [3.0, 6.0, 8.0]) {
        FourthVentricle
    } else if inside([0.0, -50.0, -48.0], [48.0, 26.0, 20.0]) {
        if inside([0.0, -50.0, -48.0], [24.0, 13.0, 10.0]) {
            sided(LeftCerebellarWhiteMatter)
        } else {
            sided(LeftCerebellarCortex)
        }
    } else if inside([12.0, -5.0, 15.0], [7.0, 32.0, 9.0]) {
        if inside([12.0, -20.0, 10.0], [3.0, 6.0, 3.0]) {
            sided(LeftChoroidPlexus)
        } else {
            sided(LeftLateralVentricle)
        }
    } else if inside([0.0, -5.0, 0.0], [4.0, 8.0, 10.0]) {
        ThirdVentricle
    } else if inside([18.0, 0.0, 0.0], [14.0, 24.0, 14.0]) {
        sided(match (y > 12.0, y > 0.0) {
            (true, _) if z > 0.0 => LeftCaudate,
            (true, _) => LeftAccumbens,
            (_, true) if a > 18.0 => LeftPutamen,
            (_, true) => LeftPallidum,
            _ if z < -6.0 => LeftVentralDiencephalon,
            _ => LeftThalamus,
        })
    } else if inside([32.0, -18.0, -18.0], [7.0, 14.0, 8.0]) {
        if inside([32.0, -22.0, -16.0], [2.0, 8.0, 2.0]) {
            sided(LeftInferiorLateralVentricle)
        } else {
            sided(if y > -8.0 { LeftAmygdala } else { LeftHippocampus })
        }
    } else if inside([0.0, 0.0, 12.0], [52.0, 66.0, 42.0]) {
        sided(LeftCerebralWhiteMatter)
    } else if inside([0.0, 0.0, 12.0], [64.0, 80.0, 56.0]) {
        sided(LeftCerebralCortex)
    } else if inside([0.0, -3.0, 0.0], [72.0, 88.0, 72.0]) {
        Csf
    } else if inside([0.0, -3.0, 0.0], [84.0, 100.0, 88.0]) {
        Head
    } else {
        Background
    }
}

fn flags(segmentation: &Segmentation) -> Vec<&'static str> {
    Volumes::of("s", segmentation, None).flags.iter().map(Flag::name).collect()
}

/// The head with its labels remade from their places, by `change` of `(k, j, i)` and the label.
fn changed(change: impl Fn([usize; 3], &Array3<u8>) -> u8) -> Segmentation {
    let whole = head();
    let labels = Array3::from_shape_fn(whole.labels.dim(), |(k, j, i)| change([k, j, i], &whole.labels));
    Segmentation::of_labels(labels, whole.affine)
}

#[test]
fn a_sound_head_has_no_flags_and_full_quality() {
    let found = Volumes::of("sub-01", &head(), None);
    assert_eq!(found.flags, [], "{found}");
    assert_eq!(found.quality, 1.0);
    assert_eq!((found.dims, found.spacing_mm), ([96, 112, 96], [2.0; 3]));
}

/// Volumes of the ellipsoids in closed form.
#[test]
fn volumes_ratios_and_asymmetry_of_known_shapes() {
    let found = Volumes::of("sub-01", &head(), None);
    let ellipsoid_ml = |a: f64, b: f64, c: f64| 4.0 / 3.0 * std::f64::consts::PI * a * b * c / 1000.0;
    let ml = |name: &str| found.region(name).unwrap().volume_ml;
    let near = |name: &str, expected: f64, part: f64| {
        assert!((ml(name) / expected - 1.0).abs() < part, "{name}: {} {expected}", ml(name));
    };
    let (ventricle, choroid) = (ellipsoid_ml(7.0, 32.0, 9.0), ellipsoid_ml(3.0, 6.0, 3.0));
    near("left_lateral_ventricle", ventricle - choroid, 0.02);
    near("lateral_ventricles_with_choroid", 2.0 * ventricle, 0.02);
    near("brain_stem", ellipsoid_ml(12.0, 12.0, 26.0), 0.02);
    near("third_ventricle", ellipsoid_ml(4.0, 8.0, 10.0), 0.01);
    for region in &found.regions {
        assert_eq!(region.intracranial_fraction, Some(region.volume_ml / ml("intracranial")));
    }
    let ratio = |name: &str| found.measure(name).unwrap();
    assert_eq!(ratio("ventricle_brain_ratio"), ml("lateral_ventricles") / ml("brain"));
    let inferior = ml("lateral_ventricles") + ml("inferior_lateral_ventricles");
    assert_eq!(ratio("ventricle_brain_ratio_with_inferior_horns"), inferior / ml("brain"));
    let choroid = ml("lateral_ventricles") + ml("choroid_plexus");
    assert!((ratio("ventricle_brain_ratio_with_choroid") - choroid / ml("brain")).abs() < 1e-12);
    assert_eq!(ratio("cerebral_cortex_asymmetry"), 0.0);
    assert_eq!(ratio("brain_components"), 1.0);
    assert_eq!(ratio("ventricles_largest_component_fraction").signum(), 1.0);

    let doubled = changed(|at, labels| match labels[at] {
        5 if at[1] % 2 == 0 => LeftHippocampus as u8,
        label => label,
    });
    let found = Volumes::of("s", &doubled, None);
    let [left, right] = ["left", "right"]
        .map(|side| found.region(&format!("{side}_inferior_lateral_ventricle")).unwrap().volume_ml);
    let asymmetry = found.measure("inferior_lateral_ventricle_asymmetry").unwrap();
    assert!((asymmetry - 2.0 * (left - right) / (left + right)).abs() < 1e-12 && asymmetry < -0.3);
}

#[test]
fn partial_volumes_and_confidence_count() {
    let mut segmentation = head();
    segmentation.volume_ml[LeftLateralVentricle.index()] = 20.0;
    segmentation.confidence = segmentation.confidence.map(|c| 0.9 * c);
    let found = Volumes::of("s", &segmentation, None);
    let region = found.region("left_lateral_ventricle").unwrap();
    assert!(region.volume_ml == 20.0);
    assert!((found.quality - 0.9).abs() < 1e-12);
    segmentation.confidence[BrainStem.index()] = 0.4;
    let found = Volumes::of("s", &segmentation, None);
    assert_eq!(found.flags, [Flag::Unsure { structure: BrainStem, confidence: 0.4 }]);
    assert!((found.quality - (32.0 * 0.9 + 0.4) / 33.0 * 0.9).abs() < 1e-12);
}

#[test]
fn mirrored_and_turned_heads_are_seen() {
    let [d, h, w] = [96, 112, 96].map(|n| n - 1);
    assert_eq!(flags(&changed(|[k, j, i], labels| labels[[k, j, w - i]])), ["mirrored"]);
    let upside_down = changed(|[k, j, i], labels| labels[[d - k, j, i]]);
    assert_eq!(flags(&upside_down), ["upside_down"]);
    let back_to_front = changed(|[k, j, i], labels| labels[[k, h - j, i]]);
    assert_eq!(flags(&back_to_front), ["back_to_front"]);
    let one_side = changed(|[k, j, i], labels| match labels[[k, j, i]] {
        label @ (15 | 16) => Structure::ALL[usize::from(label)].mirrored() as u8,
        label => label,
    });
    let crossed = Flag::SidesCrossed { structures: vec![LeftThalamus] };
    assert_eq!(Volumes::of("s", &one_side, None).flags, [crossed]);
    // A turned grid with an affine that says so is sound.
    let mut turned = head();
    turned.labels.invert_axis(ndarray::Axis(2));
    turned.labels = turned.labels.as_standard_layout().into_owned();
    let mut steps = turned.affine.steps_mm();
    steps.column_mut(0).neg_mut();
    turned.affine = VoxelToWorld::from_axes(&steps, &turned.affine.world_mm([95.0, 0.0, 0.0])).unwrap();
    assert_eq!(flags(&turned), Vec::<&str>::new());
    let rotation = Rotation3::from_euler_angles(0.3, -0.2, 0.4).to_homogeneous();
    turned.affine = VoxelToWorld::new(rotation * *turned.affine).unwrap();
    assert_eq!(flags(&turned), Vec::<&str>::new());
}

#[test]
fn missing_scattered_and_misplaced_structures_are_seen() {
    let erased = changed(|at, labels| match labels[at] {
        3..=10 => LeftCerebralWhiteMatter as u8,
        label => label,
    });
    let found = Volumes::of("s", &erased, None);
    let missing = found.flags.iter().filter(|flag| flag.name() == "missing").count();
    assert_eq!(missing, 6, "{found}");
    assert!(found.flags.iter().any(|flag| {
        matches!(flag, Flag::OutOfRange { region, volume_ml: 0.0, .. } if region == "lateral_ventricles")
    }));
    assert_eq!(found.measure("lateral_ventricle_asymmetry"), None);

    let scattered = changed(|at, labels| match labels[at] {
        9 if at[1] % 4 == 0 => BrainStem as u8,
        label => label,
    });
    let of_stem = |flag: &Flag| matches!(flag, Flag::Scattered { structure: ThirdVentricle, .. });
    assert!(Volumes::of("s", &scattered, None).flags.iter().any(of_stem));

    // Half of the ventricles in the fluid above the brain.
    let outside =
        changed(
            |at, labels| if at[0] > 82 && labels[at] == 2 { LeftLateralVentricle as u8 } else { labels[at] },
        );
    assert!(flags(&outside).contains(&"ventricles_outside"));

    let lopsided = changed(|at, labels| if labels[at] == 11 && at[2] < 32 { 2 } else { labels[at] });
    assert!(flags(&lopsided).contains(&"lopsided"));
    assert_eq!(flags(&changed(|_, _| 1)), ["no_brain"]);
    assert_eq!(Volumes::of("s", &changed(|_, _| 1), None).quality, 0.0);
}

#[test]
fn cuts_are_seen_at_the_border_and_inside() {
    let mut cut = head();
    cut.labels = cut.labels.slice(ndarray::s![..72, .., ..]).to_owned();
    let found = Volumes::of("s", &Segmentation::of_labels(cut.labels.clone(), cut.affine), None);
    let [Flag::CutOff { towards: Direction::Superior, area_mm2, at_border: true }] = found.flags[..] else {
        panic!("{found}");
    };
    // Layer 71 lies 35 mm above the middle of the ellipsoid of 64 by 80 by 56 mm.
    let expected = std::f64::consts::PI * 64.0 * 80.0 * (1.0 - (35.0f64 / 56.0).powi(2));
    assert!((area_mm2 / expected - 1.0).abs() < 0.02, "{area_mm2} {expected}");

    let padded = changed(|at, labels| if at[0] >= 72 { 0 } else { labels[at] });
    assert_eq!(flags(&padded), ["cut_off"]);
    let inside = Volumes::of("s", &padded, None);
    assert!(matches!(inside.flags[0], Flag::CutOff { at_border: false, .. }));
    // The scan's own grid says that this is its border; it has other voxels, and its first axis runs down.
    let affine = Matrix4::new(
        0.0, 1.5, 0.0, -95.25, //
        0.0, 0.0, 2.5, -110.75, //
        -1.0, 0.0, 0.0, 47.5, //
        0.0, 0.0, 0.0, 1.0,
    );
    let scan = Grid { dims: [144, 128, 90], affine: VoxelToWorld::new(affine).unwrap() };
    let found = Volumes::of("s", &padded, Some(&scan));
    let [Flag::CutOff { towards: Direction::Superior, area_mm2, at_border: true }] = found.flags[..] else {
        panic!("{found}");
    };
    assert!((area_mm2 / expected - 1.0).abs() < 0.02, "{area_mm2} {expected}");
}

#[test]
fn pieces_and_two_brains_are_seen() {
    // Everything above the middle of the cerebrum one gap higher.
    let components =
        changed(|at, labels| if (52..54).contains(&at[0]) && labels[at] > 2 { 2 } else { labels[at] });
    assert!(flags(&components).contains(&"brain_disconnected"));
    // Two heads of half the size side by side.
    let two = changed(|[k, j, i], labels| labels[[k, j, 2 * i % 96]]);
    assert!(flags(&two).contains(&"two_brains"), "{:?}", flags(&two));
}

#[test]
fn stripped_brains_are_noted_and_have_no_intracranial_volume() {
    let stripped = changed(|at, labels| if labels[at] < 3 { 0 } else { labels[at] });
    let found = Volumes::of("s", &stripped, None);
    assert_eq!(found.flags.iter().map(Flag::name).collect::<Vec<_>>(), ["no_outer_fluid"]);
    assert_eq!((found.quality, found.regions[1].intracranial_fraction), (1.0, None));
}

#[test]
fn records_and_tables() {
    let sound = Volumes::of("a,\"b\"", &head(), None);
    let broken = Volumes::of("broken", &changed(|_, _| 0), None);
    for volumes in [&sound, &broken] {
        let json = serde_json::to_string(volumes).unwrap();
        assert_eq!(&serde_json::from_str::<Volumes>(&json).unwrap(), volumes);
    }
    let table = csv(&[sound.clone(), broken.clone()]);
    let rows: Vec<&str> = table.lines().collect();
    assert!(rows[0].starts_with("subject,quality,flags,intracranial_ml,brain_ml,"), "{}", rows[0]);
    assert!(rows[1].starts_with("\"a,\"\"b\"\"\",1,,"), "{}", rows[1]);
    assert!(rows[2].starts_with("broken,0,no_brain,0,0,") && rows[2].contains("n/a"));
    let columns: Vec<&str> = rows[0].split(',').collect();
    assert_eq!(rows[2].split(',').count(), columns.len());
    let definitions = definitions_csv(&broken);
    let defined: Vec<&str> =
        definitions.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(defined, columns);
    assert_eq!(columns.iter().collect::<std::collections::BTreeSet<_>>().len(), columns.len());
    assert_eq!(csv(&[]), "");

    let text = sound.to_string();
    assert!(text.contains("no flags") && text.contains("both lateral ventricles, without choroid plexus"));
    for limit in &LIMITS {
        assert!(Region::named(limit.region).is_some() && limit.min_ml < limit.max_ml, "{limit:?}");
    }
    assert_eq!(STRUCTURES, 36);
}
