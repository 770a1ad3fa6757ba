//! `voxgan score` and its measures against the packages that define them (tests/fixtures/mri/metrics/generate.py).

use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use ndarray::{Array3, Axis};
use serde_json::Value;
use voxgan::evaluate::{HaarPsi, Plan, Profile, Scores, ms_ssim, score, vif};
use voxgan::io::nifti::{self, DataType, WriteOptions};
use voxgan::volume::{Axis as GridAxis, Volume, VoxelToWorld};

/// The expected values.
fn expected() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mri/metrics/expected.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("the fixture")).expect("JSON")
}

/// 0 to 255 from the number of a voxel, by SplitMix64's finaliser.
fn noise(seed: u64, stream: u64, voxel: usize) -> i64 {
    let z = (voxel as u64 + seed * 1_000_003 + stream * 7_919).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 56) as i64
}

/// Target, prediction and mask of a case: the formula of the script.
fn fields(case: &Value) -> [Volume; 3] {
    let number = |value: &Value| value.as_i64().expect("a whole number");
    let seed = number(&case["seed"]);
    let [depth, height, width] = [0, 1, 2].map(|axis| number(&case["shape"][axis]));
    let scale = 2f32.powi(case["exponent"].as_i64().unwrap_or(0) as i32 - 5);
    let shape = (depth as usize, height as usize, width as usize);
    let make = |value: &dyn Fn(i64, bool, bool, i64, i64) -> i64, scale: f32| {
        let data = Array3::from_shape_fn(shape, |(d, h, w)| {
            let voxel = (d * shape.1 + h) * shape.2 + w;
            let (d, h, w) = (d as i64, h as i64, w as i64);
            let away = 4 * ((2 * h - height).pow(2) * width.pow(2) + (2 * w - width).pow(2) * height.pow(2));
            let area = (height * width).pow(2);
            let smooth = 3 * ((3 * d + 5 * h + 7 * w + seed) % 128 - 64).abs();
            let [first, second] = [1, 2].map(|stream| noise(seed as u64, stream, voxel));
            value(smooth, away < 4 * area, away < 3 * area, first, second) as f32 * scale
        });
        Volume::new(data.insert_axis(Axis(0)), VoxelToWorld::identity())
    };
    let strength = 4 + 4 * (seed % 7);
    let target = |smooth, inside: bool, _, first, _| if inside { 32 * smooth + 4 * first } else { 0 };
    let prediction = |smooth: i64, inside: bool, _: bool, first: i64, second: i64| {
        if inside { 28 * smooth + 3 * first + strength * second } else { second }
    };
    let mask = |_: i64, _: bool, within: bool, _: i64, _: i64| i64::from(within);
    [make(&target, scale), make(&prediction, scale), make(&mask, 1.0)]
}

/// Compares every number of `expected` with the score of its name.
fn compare(found: &Scores, expected: &Value, tolerance: f64) {
    for (name, value) in expected.as_object().expect("numbers by name") {
        let found = found.get(name).unwrap_or_else(|| panic!("no {name} in\n{found}"));
        close(name, found.value, value.as_f64().expect("a number"), tolerance);
    }
}

fn close(what: &str, found: f64, expected: f64, tolerance: f64) {
    let apart = (found - expected).abs() / expected.abs().max(1e-300);
    assert!(apart < tolerance, "{what}: found {found}, expected {expected}, {apart:e} apart");
}

#[test]
fn a_hundred_volumes_score_as_fastmri_scores_them() {
    let expected = expected();
    let cases = expected["fastmri"].as_array().expect("cases");
    assert_eq!(cases.len(), 100);
    let mut lowest = 1.0f64;
    for case in cases {
        let [target, prediction, _] = fields(case);
        let found = score(&target, &prediction, None, &Plan::new(Profile::FastMri)).expect("scores");
        for name in ["MSE", "NMSE", "PSNR", "SSIM"] {
            let value = found.get(name).expect("a score").value;
            close(name, value, case[name].as_f64().expect("a number"), 1e-9);
        }
        // What fastMRI's own code makes of float32 arrays, as its files have them.
        let ssim = found.get("SSIM").expect("SSIM").value;
        let single = case["SSIM_float32"].as_f64().expect("a number");
        assert!((ssim - single).abs() < 1e-6, "{case}: {ssim}");
        lowest = lowest.min(ssim);
    }
    assert!(lowest < 0.8, "the cases are too easy: {lowest}");
}

#[test]
fn the_other_profiles_score_as_their_own_code_does() {
    for case in expected()["profiles"].as_array().expect("cases") {
        let [target, prediction, mask] = fields(case);
        let of = |profile, mask| score(&target, &prediction, mask, &Plan::new(profile)).expect("scores");
        // MONAI computes in float32.
        compare(&of(Profile::Monai, None), &case["monai"], 1e-5);
        compare(&of(Profile::Calgary, None), &case["calgary"], 1e-8);
        compare(&of(Profile::Dagan, None), &case["dagan"], 1e-9);
        compare(&of(Profile::Sanchez, Some(&mask)), &case["sanchez"], 1e-9);
        compare(&of(Profile::FastMri, Some(&mask)), &case["fastmri_masked"], 1e-9);
    }
}

#[test]
fn perceptual_measures_agree_with_theirs() {
    for case in expected()["perceptual"].as_array().expect("cases") {
        let [target, prediction, _] = fields(case);
        let peak = f64::from(target.data.iter().copied().fold(0.0, f32::max));
        let slice =
            |volume: &Volume| volume.data.slice(ndarray::s![0, 0, .., ..]).mapv(f64::from) * (255.0 / peak);
        let (a, b) = (slice(&target), slice(&prediction));
        let number = |name: &str| case[name].as_f64().expect("a number");
        for (name, index) in [("HaarPSI", HaarPsi::NATURAL), ("HaarPSI medical", HaarPsi::MEDICAL)] {
            close(name, index.of(a.view(), b.view(), None).expect("a value"), number(name), 1e-8);
        }
        close("VIF", vif(a.view(), b.view(), 2.0, None).expect("a value"), number("VIF"), 1e-8);
        if case["MS-SSIM"].is_number() {
            let plane = |volume: &Volume| volume.data.index_axis(Axis(0), 0).to_owned();
            let found = ms_ssim(plane(&target).view(), plane(&prediction).view(), peak).expect("a value");
            assert_eq!(found.scales, 5);
            // MONAI computes in float32.
            close("MS-SSIM", found.value, number("MS-SSIM"), 1e-5);
        }
        // The same numbers from the volume, scaled by the plan.
        let plan = Plan { all: true, axis: GridAxis::D, ..Plan::new(Profile::FastMri) };
        let found = score(&target, &prediction, None, &plan).expect("scores");
        for name in ["HaarPSI", "HaarPSI medical", "VIF"] {
            let found = found.get(&format!("{name} 2D")).expect("a score").value;
            close(name, found, number(name), 1e-6);
        }
    }
}

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::cargo_bin("voxgan").expect("the program is built");
    command.arg("score").args(arguments).output().expect("it runs")
}

fn printed(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn refused(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(!output.status.success());
    String::from_utf8(output.stderr).expect("text")
}

#[test]
fn the_command_scores_files_and_folders() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("text").to_string();
    let options =
        WriteOptions { data_type: DataType::F32, description: "target".into(), ..WriteOptions::default() };
    let expected = expected();
    let cases = &expected["profiles"].as_array().expect("cases")[..2];
    for (i, case) in cases.iter().enumerate() {
        let names = ["target", "prediction", "mask"];
        for (name, volume) in names.iter().zip(fields(case)) {
            std::fs::create_dir_all(path(name)).expect("made");
            nifti::write(path(&format!("{name}/sub-{i}.nii.gz")), &volume, &options).expect("written");
        }
    }
    let (target, prediction) = (path("target/sub-0.nii.gz"), path("prediction/sub-0.nii.gz"));
    let text = printed(&[&target, &prediction, "--profile", "fastmri"]);
    for word in ["SSIM", "uniform 7×7", "maximum of the target", "no mask", "dB"] {
        assert!(text.contains(word), "{word} is missing in\n{text}");
    }

    // Two folders, a folder of masks, a document.
    let document = path("scores.json");
    let (mask, profile) = (path("mask"), ["--profile", "sanchez", "--json", &document, "--mask"]);
    let folders = [&path("target")[..], &path("prediction")];
    let text = printed(&[&folders[..], &profile, &[&mask]].concat());
    assert!(text.contains("mean") && text.contains("multiplied by the mask"), "{text}");
    let document: Value =
        serde_json::from_str(&std::fs::read_to_string(&document).expect("written")).expect("JSON");
    assert_eq!(document["pairs"].as_array().expect("pairs").len(), 2);
    for summary in document["summary"].as_array().expect("measures") {
        let name = summary["name"].as_str().expect("a name");
        let of = |case: &Value| case["sanchez"][name].as_f64().expect("a number");
        let (a, b) = (of(&cases[0]), of(&cases[1]));
        close(name, summary["mean"].as_f64().expect("a number"), (a + b) / 2.0, 1e-9);
        let deviation = summary["standard_deviation"].as_f64().expect("a number");
        assert!((deviation - (a - b).abs() / 2f64.sqrt()).abs() < 1e-9, "{summary}");
        assert_eq!(summary["n"], 2);
    }
    let everything = printed(&[&target, &prediction, "--profile", "monai", "--all", "--axis", "h"]);
    for word in ["MS-SSIM 3D", "HaarPSI medical 2D", "α 4.9", "NRMSE", "slices along H"] {
        assert!(everything.contains(word), "{word} is missing in\n{everything}");
    }

    // What does not fit is refused, and by name.
    let mut moved = nifti::read(&prediction).expect("a volume");
    moved.affine = moved.affine.with_origin_at([0.0, 2.0 / moved.spacing_mm()[1], 0.0]);
    nifti::write(path("moved.nii.gz"), &moved, &options).expect("written");
    let apart = [&target[..], &path("moved.nii.gz"), "--profile", "fastmri"];
    let message = refused(&apart);
    assert!(message.contains("moved.nii.gz") && message.contains("2.000 mm"), "{message}");
    assert!(message.contains("--ignore-geometry"), "{message}");
    printed(&[&apart[..], &["--ignore-geometry"]].concat());
    let other = path("prediction/sub-1.nii.gz");
    assert!(refused(&[&target, &other, "--profile", "fastmri"]).contains("sub-1.nii.gz"));
    assert!(refused(&[&target, "--profile", "fastmri"]).contains("<PREDICTION>"));
    assert!(
        refused(&[&target, &prediction, &target, "--pairs", "--profile", "dagan"]).contains("even number")
    );
    assert!(refused(&[&target, &prediction, "--profile", "sanchez"]).contains("--mask"));
    std::fs::remove_file(&other).expect("removed");
    assert!(refused(&[folders[0], folders[1], "--profile", "dagan"]).contains("sub-1"));
}
