//! N4 against known fields, against antspyx, and on what it cannot correct.
//!
//! The fixtures come from tests/fixtures/mri/n4/generate.py.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use nalgebra::Matrix4;
use ndarray::{Array3, Array4, Axis};
use voxgan::correct::n4::{Field, N4Options, correct};
use voxgan::io::nifti::{self, WriteOptions};
use voxgan::volume::{Volume, VoxelToWorld};

use crate::needs;

/// A head of three tissues, its own bias, and where it is; the formulas of generate.py.
struct Phantom {
    volume: Volume,
    inside: Array3<bool>,
    /// Logarithm of the field.
    bias: Array3<f64>,
    /// Intensity of the tissue, without texture and field.
    tissue: Array3<f64>,
}

fn phantom(dims: [usize; 3], spacing_mm: f64) -> Phantom {
    let [w, h, d] = dims;
    let at = |(k, j, i): (usize, usize, usize)| {
        let unit = |a: usize, n: usize| (2 * a + 1) as f64 / n as f64 - 1.0;
        [unit(i, w), unit(j, h), unit(k, d)]
    };
    let r = |[x, y, z]: [f64; 3]| ((x / 0.8).powi(2) + (y / 0.85).powi(2) + (z / 0.8).powi(2)).sqrt();
    let tissue = Array3::from_shape_fn((d, h, w), |place| {
        let [x, y, z] = at(place);
        let r = r([x, y, z]);
        let fold = r + 0.08 * (9.0 * x).sin() * (8.0 * y).sin() * (10.0 * z).cos();
        if r < 0.2 || fold >= 0.9 {
            35.0
        } else if fold < 0.62 {
            100.0
        } else {
            75.0
        }
    });
    let bias = Array3::from_shape_fn((d, h, w), |place| {
        let [x, y, z] = at(place);
        0.25 * x - 0.2 * y + 0.15 * z + 0.2 * x * x - 0.15 * y * z + 0.1 * x.powi(3)
    });
    let inside = Array3::from_shape_fn((d, h, w), |place| r(at(place)) < 1.0);
    let data = Array4::from_shape_fn((1, d, h, w), |(_, k, j, i)| {
        let texture = 1.0 + 0.03 * (12.9898 * i as f64 + 78.233 * j as f64 + 37.719 * k as f64).sin();
        let place = (k, j, i);
        if inside[place] { (tissue[place] * texture * bias[place].exp()) as f32 } else { 0.0 }
    });
    let affine = Matrix4::from_diagonal(&[spacing_mm, spacing_mm, spacing_mm, 1.0].into());
    Phantom { volume: Volume::new(data, VoxelToWorld::new(affine).unwrap()), inside, bias, tissue }
}

fn head() -> Phantom {
    phantom([48, 56, 40], 4.0)
}

fn shrunk_by_two() -> N4Options {
    N4Options { shrink: 2, ..N4Options::default() }
}

fn correlation(pairs: impl Iterator<Item = (f64, f64)>) -> f64 {
    let pairs: Vec<(f64, f64)> = pairs.collect();
    let n = pairs.len() as f64;
    let (ma, mb) = pairs.iter().fold((0.0, 0.0), |(a, b), pair| (a + pair.0 / n, b + pair.1 / n));
    let sum = |of: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|(a, b)| of(a - ma, b - mb)).sum::<f64>();
    sum(&|a, b| a * b) / (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt()
}

/// Of the logarithm of `field` with `log`, where `inside`.
fn correlation_of_logs(field: &Array3<f32>, log: &Array3<f64>, inside: &Array3<bool>) -> f64 {
    let values = field.iter().zip(log).zip(inside).filter(|(_, inside)| **inside);
    correlation(values.map(|((field, log), _)| (f64::from(field.ln()), *log)))
}

/// Standard deviation over mean of the voxels of one tissue.
fn variation(volume: &Volume, phantom: &Phantom, tissue: f64) -> f64 {
    let voxels = volume.data.iter().zip(&phantom.tissue).zip(&phantom.inside);
    let of: Vec<f64> = voxels
        .filter(|((_, t), inside)| **t == tissue && **inside)
        .map(|((v, _), _)| f64::from(*v))
        .collect();
    let mean = of.iter().sum::<f64>() / of.len() as f64;
    (of.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / of.len() as f64).sqrt() / mean
}

/// Correlation with a fixture's logarithms.
fn correlation_with(fixture: &str, field: &Array3<f32>) -> f64 {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mri/n4").join(fixture);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(text.lines().count() > 200);
    correlation(text.lines().map(|line| {
        let numbers: Vec<f64> = line.split(' ').map(|number| number.parse().expect("a number")).collect();
        let [i, j, k] = [0, 1, 2].map(|axis| numbers[axis] as usize);
        (f64::from(field[[k, j, i]].ln()), numbers[3])
    }))
}

#[test]
fn a_known_field_is_recovered_and_tissues_become_even() {
    let phantom = head();
    let (corrected, field) =
        correct(&phantom.volume, Some(&phantom.inside), &shrunk_by_two()).expect("corrected");
    let found = correlation_of_logs(&field.evaluate(phantom.volume.dims()), &phantom.bias, &phantom.inside);
    println!("correlation with the true field: {found:.4}");
    assert!(found >= 0.98, "{found}");
    for (tissue, times) in [(100.0, 2.5), (75.0, 2.5), (35.0, 2.0)] {
        let (before, after) =
            (variation(&phantom.volume, &phantom, tissue), variation(&corrected, &phantom, tissue));
        println!("coefficient of variation in tissue {tissue}: {before:.4} before, {after:.4} after");
        assert!(after * times < before, "tissue {tissue}: {before} before, {after} after");
    }
}

#[test]
fn the_field_is_that_of_ants() {
    let phantom = head();
    let (_, field) = correct(&phantom.volume, Some(&phantom.inside), &shrunk_by_two()).expect("corrected");
    let found = correlation_with("phantom_ants.txt", &field.evaluate(phantom.volume.dims()));
    println!("correlation with ants: {found:.4}");
    assert!(found >= 0.98, "{found}");
}

#[test]
fn the_field_of_a_slice_is_that_of_ants_in_two_dimensions() {
    let phantom = phantom([160, 180, 1], 1.0);
    let (corrected, field) =
        correct(&phantom.volume, Some(&phantom.inside), &shrunk_by_two()).expect("corrected");
    assert_eq!(corrected.dims(), [160, 180, 1]);
    let values = field.evaluate(phantom.volume.dims());
    let with_truth = correlation_of_logs(&values, &phantom.bias, &phantom.inside);
    let with_ants = correlation_with("slice_ants.txt", &values);
    println!("correlation with the true field {with_truth:.4}, with ants {with_ants:.4}");
    assert!(with_truth >= 0.98 && with_ants >= 0.98, "{with_truth} {with_ants}");
}

#[test]
fn the_field_of_a_real_scan_is_that_of_ants() {
    let Some(path) = needs::data("ds002748/T1w_2mm/sub-22_T1w.nii.gz") else { return };
    let scan = nifti::read(&path).expect("a scan");
    let mask = scan.data.index_axis(Axis(0), 0).mapv(|value| value > 0.0);
    let (_, field) = correct(&scan, Some(&mask), &N4Options::default()).expect("corrected");
    let found = correlation_with("sub-22_2mm_ants.txt", &field.evaluate(scan.dims()));
    println!("correlation with ants: {found:.4}");
    assert!(found >= 0.95, "{found}");
}

#[test]
fn without_a_mask_the_bright_voxels_are_fitted() {
    let phantom = head();
    let (_, field) = correct(&phantom.volume, None, &shrunk_by_two()).expect("corrected");
    let found = correlation_of_logs(&field.evaluate(phantom.volume.dims()), &phantom.bias, &phantom.inside);
    println!("correlation with the true field, Otsu's mask: {found:.4}");
    assert!(found >= 0.95, "{found}");
}

#[test]
fn the_image_s_scale_changes_nothing_and_nor_do_threads() {
    let phantom = head();
    let options = N4Options { iterations: vec![20, 20, 20], ..shrunk_by_two() };
    let field_of = |scale: f32, threads: usize| {
        let volume = Volume::new(phantom.volume.data.mapv(|value| value * scale), phantom.volume.affine);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| correct(&volume, Some(&phantom.inside), &options)).expect("corrected")
    };
    let (volume, field) = field_of(1.0, 1);
    let (same_volume, same) = field_of(1.0, 3);
    assert_eq!(field, same);
    assert!(volume.data.iter().zip(&same_volume.data).all(|(a, b)| a.to_bits() == b.to_bits()));
    let values = field.evaluate(phantom.volume.dims());
    for scale in [1e-3, 37.0, 1e4] {
        let (_, scaled) = field_of(scale, 2);
        let scaled = scaled.evaluate(phantom.volume.dims());
        let worst = values.iter().zip(&scaled).map(|(a, b)| (a / b - 1.0).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-3, "scale {scale}: {worst}");
    }
}

#[test]
fn a_field_that_was_stored_corrects_to_the_same_bits() {
    let phantom = head();
    let options = N4Options { iterations: vec![10, 10], ..shrunk_by_two() };
    let (corrected, field) = correct(&phantom.volume, Some(&phantom.inside), &options).expect("corrected");
    let text = serde_json::to_string(&field).expect("plain data");
    let stored: Field = serde_json::from_str(&text).expect("read back");
    assert_eq!(stored, field);
    let replayed = stored.remove(phantom.volume.clone());
    assert!(replayed.data.iter().zip(&corrected.data).all(|(a, b)| a.to_bits() == b.to_bits()));
    // A coarser grid over the same field of view: voxels of two by two by two.
    let (full, half) = (field.evaluate([48, 56, 40]), field.evaluate([24, 28, 20]));
    for ((d, h, w), &value) in half.indexed_iter() {
        let block = full.slice(ndarray::s![2 * d..2 * d + 2, 2 * h..2 * h + 2, 2 * w..2 * w + 2]);
        assert!((block.mean().expect("eight") / value - 1.0).abs() < 5e-3);
    }
    assert!(serde_json::from_str::<Field>(&text.replace("span_mm", "spam_mm")).is_err());
    assert!(serde_json::from_str::<N4Options>(r#"{"shrunk": 2}"#).is_err());
    let partial: N4Options = serde_json::from_str(r#"{"shrink": 2}"#).expect("the others by default");
    assert_eq!(partial, shrunk_by_two());
}

#[test]
fn voxels_that_have_no_logarithm_are_left_out() {
    let phantom = head();
    let options = N4Options { iterations: vec![20, 20], ..shrunk_by_two() };
    let mut damaged = phantom.volume.clone();
    let mut mask = phantom.inside.clone();
    for (n, value) in damaged.data.iter_mut().enumerate().filter(|(n, _)| n % 97 == 0) {
        *value = [f32::NAN, f32::INFINITY, -5.0, 0.0][n / 97 % 4];
    }
    let (corrected, field) = correct(&damaged, Some(&phantom.inside), &options).expect("corrected");
    // The same field as with those voxels outside the mask.
    let damaged_voxels = damaged.data.index_axis(Axis(0), 0);
    mask.zip_mut_with(&damaged_voxels, |inside, &value| *inside &= value.is_finite() && value > 0.0);
    let (_, expected) = correct(&phantom.volume, Some(&mask), &options).expect("corrected");
    assert_eq!(field, expected);
    assert_eq!(
        corrected.data.iter().filter(|value| !value.is_finite()).count(),
        damaged.data.iter().filter(|value| !value.is_finite()).count()
    );
}

#[test]
fn what_cannot_be_corrected_is_refused_with_a_reason() {
    let phantom = head();
    let refused = |volume: &Volume, mask: Option<&Array3<bool>>, options: &N4Options| {
        correct(volume, mask, options).expect_err("refused").to_string()
    };
    let usual = N4Options::default();
    let constant = Volume::new(Array4::from_elem((1, 8, 8, 8), 3.0), VoxelToWorld::identity());
    let everywhere = Array3::from_elem((8, 8, 8), true);
    assert!(refused(&constant, Some(&everywhere), &usual).contains("only 3"));
    assert!(refused(&constant, None, &usual).contains("none among the 0 voxels"));
    let nan = Volume::new(constant.data.mapv(|_| f32::NAN), VoxelToWorld::identity());
    assert!(refused(&nan, Some(&everywhere), &usual).contains("none among the 512 voxels"));
    let nowhere = Array3::from_elem(phantom.inside.dim(), false);
    assert!(refused(&phantom.volume, Some(&nowhere), &usual).contains("none among the 0 voxels"));
    assert!(refused(&phantom.volume, Some(&everywhere), &usual).contains("[D, H, W] = (40, 56, 48)"));
    let empty = Volume::new(Array4::zeros((1, 0, 4, 4)), VoxelToWorld::identity());
    assert!(refused(&empty, None, &usual).contains("positive intensities"));
    let colours = Volume::new(Array4::ones((3, 4, 4, 4)), VoxelToWorld::identity());
    assert!(refused(&colours, None, &usual).contains("one channel"));
    for (key, options) in [
        ("n4.shrink", N4Options { shrink: 0, ..usual.clone() }),
        ("n4.iterations", N4Options { iterations: Vec::new(), ..usual.clone() }),
        ("n4.tolerance", N4Options { tolerance: f64::NAN, ..usual.clone() }),
        ("n4.spline_mm", N4Options { spline_mm: 0.0, ..usual.clone() }),
        ("n4.spline_mm", N4Options { spline_mm: 1e-300, ..usual.clone() }),
        ("n4.spline_mm", N4Options { iterations: vec![1; 40], ..usual.clone() }),
        ("n4.fwhm", N4Options { fwhm: -1.0, ..usual.clone() }),
        ("n4.bins", N4Options { bins: 1, ..usual.clone() }),
        ("n4.wiener", N4Options { wiener: f64::INFINITY, ..usual.clone() }),
    ] {
        let message = refused(&phantom.volume, Some(&phantom.inside), &options);
        assert!(message.starts_with(key), "{key}: {message}");
    }
    // Extremes that can be computed.
    let odd = N4Options { shrink: usize::MAX, bins: 2, iterations: vec![0, 3], ..usual };
    assert!(refused(&phantom.volume, Some(&phantom.inside), &odd).contains("shrink"));
}

#[test]
fn the_command_writes_scan_and_field() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let text = |path: PathBuf| path.to_str().expect("text").to_string();
    let phantom = head();
    nifti::write(path("in.nii.gz"), &phantom.volume, &WriteOptions::default()).expect("written");
    let mask = Volume::new(
        phantom.inside.mapv(|inside| f32::from(u8::from(inside))).insert_axis(Axis(0)),
        phantom.volume.affine,
    );
    nifti::write(path("mask.nii.gz"), &mask, &WriteOptions::default()).expect("written");
    let run = |field: &str, more: &[&str]| {
        let mut command = Command::cargo_bin("voxgan").expect("the program is built");
        command.args(["n4", &text(path("in.nii.gz")), &text(path("out.nii.gz"))]);
        command
            .args(["--force", "--shrink", "2", "--iterations", "5,5", "--field", &text(path(field))])
            .args(more);
        command.assert()
    };
    run("field.nii.gz", &["--mask", &text(path("mask.nii.gz"))]).success();
    run("field.json", &["--mask", &text(path("mask.nii.gz"))]).success();
    let options = N4Options { shrink: 2, iterations: vec![5, 5], ..N4Options::default() };
    let (expected, field) = correct(&phantom.volume, Some(&phantom.inside), &options).expect("corrected");
    let record = std::fs::read_to_string(path("field.json")).expect("a record");
    assert_eq!(serde_json::from_str::<Field>(&record).expect("a field"), field);
    let (written, image) = (
        nifti::read(path("out.nii.gz")).expect("a scan"),
        nifti::read(path("field.nii.gz")).expect("a field"),
    );
    assert_eq!(written.data, expected.data);
    assert_eq!(image.data.index_axis(Axis(0), 0), field.evaluate(phantom.volume.dims()));
    assert_eq!(written.affine, phantom.volume.affine);

    let mut moved = mask.clone();
    moved.affine = moved.affine.with_origin_at([8.0 / moved.spacing_mm()[0], 0.0, 0.0]);
    nifti::write(path("moved.nii.gz"), &moved, &WriteOptions::default()).expect("written");
    for (mask, word) in [("moved.nii.gz", "8.000 mm apart"), ("none.nii.gz", "none.nii.gz")] {
        let output =
            run("other.nii.gz", &["--mask", &text(path(mask))]).failure().get_output().stderr.clone();
        let message = String::from_utf8(output).expect("text");
        assert!(message.contains(word), "{message}");
    }
    assert!(!path("other.nii.gz").exists());
}
