//! Anatomy from the command line: label maps in, tables, verdicts and reports out; the segmenter inside and one that is
//! trained here for two steps.

mod program;

use std::fs;
use std::path::Path;

use nalgebra::Matrix4;
use ndarray::{Array4, Axis};
use program::{printed, refused, voxgan};
use serde_json::Value;
use voxgan::anatomy::Structure;
use voxgan::anatomy::shape::{Connectivity, components, filled};
use voxgan::io::nifti::{self, DataType, WriteOptions};
use voxgan::volume::Volume;

/// Voxels `(i, j, k)` of the phantom heads, 4 mm each.
const DIMS: [usize; 3] = [48, 52, 46];

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

/// Ellipsoids within each other: head, fluid, cortex, white matter, and a ventricle on either side, so much larger than
/// usual; numbers of FreeSurfer, at 4 mm.
fn head(brain: f64, ventricles: f64) -> Volume {
    use Structure::*;
    let inside = |p: [f64; 3], centre: [f64; 3], axes: [f64; 3]| {
        (0..3).map(|a| ((p[a] - centre[a]) / axes[a]).powi(2)).sum::<f64>() < 1.0
    };
    let [w, h, d] = DIMS;
    let data = Array4::from_shape_fn((1, d, h, w), |(_, k, j, i)| {
        let p = [i, j, k].map(|x| 4.0 * x as f64);
        let p = [0, 1, 2].map(|a| p[a] - 2.0 * (DIMS[a] as f64 - 1.0));
        let grown = |mm: f64| [66.0, 84.0, 62.0].map(|x| x * brain + mm);
        let left = p[0] < 0.0;
        let side = if left { -1.0 } else { 1.0 };
        let structure = if inside(p, [side * 14.0, 0.0, 0.0], [9.0, 30.0, 12.0].map(|x| x * ventricles)) {
            if left { LeftLateralVentricle } else { RightLateralVentricle }
        } else if inside(p, [0.0; 3], grown(-8.0)) {
            if left { LeftCerebralWhiteMatter } else { RightCerebralWhiteMatter }
        } else if inside(p, [0.0; 3], grown(0.0)) {
            if left { LeftCerebralCortex } else { RightCerebralCortex }
        } else if inside(p, [0.0; 3], grown(5.0)) {
            Csf
        } else if inside(p, [0.0; 3], [84.0, 100.0, 84.0]) {
            // SynthSeg has no label of the whole of it.
            return 502.0;
        } else {
            Background
        };
        f32::from(structure.number())
    });
    let mut affine = Matrix4::from_diagonal(&[4.0, 4.0, 4.0, 1.0].into());
    (0..3).for_each(|axis| affine[(axis, 3)] = -2.0 * (DIMS[axis] as f64 - 1.0));
    Volume::new(data, affine)
}

fn write(volume: &Volume, path: &Path) {
    let options = WriteOptions { data_type: DataType::I16, description: "phantom".into() };
    nifti::write(path, volume, &options).expect("written");
}

/// A folder of `heads`.
fn cohort(folder: &Path, heads: &[(f64, f64)]) {
    fs::create_dir_all(folder).unwrap();
    for (i, (brain, ventricles)) in heads.iter().enumerate() {
        write(&head(*brain, *ventricles), &folder.join(format!("sub-{i:02}_dseg.nii.gz")));
    }
}

const SIZES: [(f64, f64); 6] =
    [(0.96, 1.1), (0.98, 0.9), (1.0, 1.0), (1.01, 1.2), (1.03, 0.95), (1.05, 1.05)];

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn volumes_of_label_maps_and_their_report() {
    let folder = tempfile::tempdir().unwrap();
    let (scans, out) = (folder.path().join("scans"), folder.path().join("out"));
    cohort(&scans, &SIZES[..3]);
    printed(&["anatomy", "volumes", "--labels", text(&scans), "--out", text(&out)]);
    let table = fs::read_to_string(out.join("volumes.csv")).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), 4);
    let column = |name: &str| rows[0].iter().position(|one| *one == name).unwrap();
    for (row, (brain, ventricles)) in rows[1..].iter().zip(SIZES) {
        let ball = 4.0 / 3.0 * std::f64::consts::PI / 1000.0;
        let expected = [
            ("brain_ml", ball * 66.0 * 84.0 * 62.0 * brain.powi(3), 0.02),
            ("lateral_ventricles_ml", 2.0 * ball * 9.0 * 30.0 * 12.0 * ventricles.powi(3), 0.08),
        ];
        for (name, ml, tolerance) in expected {
            let found: f64 = row[column(name)].parse().unwrap();
            assert!((found / ml - 1.0).abs() < tolerance, "{name}: {found} of {ml}");
        }
    }
    let labels = nifti::read(out.join("sub-01_space-orig_desc-voxgan_dseg.nii.gz")).unwrap();
    assert_eq!(labels.dims(), DIMS);
    let record = json(&out.join("sub-01_space-orig_desc-voxgan_dseg.json"));
    assert!(record["Sources"][0].as_str().unwrap().ends_with("scans/sub-01_dseg.nii.gz"));
    let report = folder.path().join("report.html");
    printed(&["report", text(&out), "-o", text(&report), "--scans", "2"]);
    let html = fs::read_to_string(&report).unwrap();
    for part in ["sub-02_dseg", "lateral ventricles", "data-image=\"1\"", "<svg", "Left-Lateral-Ventricle"] {
        assert!(html.contains(part), "{part}");
    }
}

#[test]
fn cohorts_are_compared_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (real, synthetic) = (folder.path().join("reals"), folder.path().join("synthetics"));
    cohort(&real, &SIZES);
    cohort(&synthetic, &SIZES.map(|(brain, ventricles)| (brain - 0.004, 1.35 * ventricles)));
    let out = folder.path().join("out");
    let shown =
        printed(&["anatomy", "compare", "--labels", text(&real), text(&synthetic), "--out", text(&out)]);
    assert!(shown.contains("lateral_ventricles") && shown.contains("Left out: third_ventricle"), "{shown}");
    let comparison = json(&out.join("comparison.json"));
    let quantities = comparison["quantities"].as_array().unwrap();
    let verdict = |name: &str| {
        let found = quantities.iter().find(|one| one["quantity"]["name"] == name).unwrap();
        found["verdict"].as_str().unwrap().to_string()
    };
    assert_eq!(verdict("lateral_ventricles"), "different");
    assert_ne!(verdict("brain"), "different");
    let report = folder.path().join("report.html");
    printed(&["report", text(&out), "-o", text(&report), "--scans", "2"]);
    let html = fs::read_to_string(&report).unwrap();
    assert!(html.contains("Structures with one another") && html.contains("real sub-"));
    let message = refused(&[
        "anatomy",
        "compare",
        "--labels",
        text(&real),
        text(&synthetic),
        "--out",
        text(&out),
        "--quantities",
        "spleen",
    ]);
    assert!(message.contains("spleen") && message.contains("definitions.csv"), "{message}");
}

#[test]
fn a_check_passes_what_is_the_same_and_fails_what_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let [before, same, larger] = ["before", "same", "larger"].map(|name| folder.path().join(name));
    cohort(&before, &SIZES[..3]);
    cohort(&same, &SIZES[..3]);
    cohort(&larger, &[SIZES[0], SIZES[1], (SIZES[2].0, 1.2 * SIZES[2].1)]);
    let limits = folder.path().join("limits.toml");
    let verdict = folder.path().join("check.json");
    let limited = "mirrored_allowed = false\ncohort_pairs_min = 10\n\
        [regions.lateral_ventricles]\nchange_max_percent = 10.0\n[regions.brain]\ndice_min = 0.95\n";
    fs::write(&limits, limited).unwrap();
    let check = |after: &Path| {
        voxgan(&["anatomy", "check", "--labels", text(&before), text(after), "--limits", text(&limits)])
            .args(["--out", text(&verdict)])
            .assert()
    };
    check(&same).success();
    let output = check(&larger).failure().get_output().clone();
    assert!(String::from_utf8_lossy(&output.stderr).contains("1 of 3 pairs"));
    let report = folder.path().join("report.html");
    printed(&["report", text(&verdict), "-o", text(&report)]);
    let html = fs::read_to_string(&report).unwrap();
    assert!(html.contains("sub-02_dseg") && html.contains("limits of agreement"));
    let message = refused(&["report", text(&before), "-o", text(&report)]);
    assert!(message.contains("voxgan train"), "{message}");
}

#[test]
fn a_segmenter_is_trained_exported_and_used() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (maps, recipe, run, weights, out) =
        (at("maps"), at("a.toml"), at("run"), at("s.safetensors"), at("out"));
    cohort(&maps, &SIZES[..2]);
    let recipe_text =
        "[segmenter]\nwidths = [4, 8]\n[training]\nsteps = 2\ncrop = [32, 32, 32]\nheld_out = [\"sub-01\"]\n";
    fs::write(&recipe, recipe_text).unwrap();
    printed(&["train", text(&recipe), "--data", text(&maps), "--out", text(&run)]);
    let log = fs::read_to_string(run.join("stats.jsonl")).unwrap();
    let last: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!(last["step"], 2);
    assert!(last["loss_dice"].as_f64().unwrap() < 1.0 && last["cross_entropy"].as_f64().unwrap() > 0.0);
    printed(&["export", text(&run), text(&weights), "--half"]);
    let map = maps.join("sub-00_dseg.nii.gz");
    printed(&["anatomy", "volumes", text(&map), "--out", text(&out), "--weights", text(&weights)]);
    let record = json(&out.join("sub-00_space-orig_desc-voxgan_dseg.json"));
    assert!(record["Segmenter"].as_str().unwrap().starts_with("voxgan s sha256:"));
    let report = at("report.html");
    printed(&["report", text(&run), "-o", text(&report)]);
    assert!(fs::read_to_string(&report).unwrap().contains("Soft Dice"));
    let message = refused(&["anatomy", "volumes", text(&map), "--out", text(&out), "--weights", "nothing"]);
    assert!(message.contains("nothing") && message.contains("anatomy"), "{message}");
}

/// The segmenter inside finds the brain of a head with folded cortex, whose labels are known.
#[test]
fn the_segmenter_inside_strips_and_a_generated_head_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (scan, brain, mask, out) = (at("scan.nii.gz"), at("brain.nii.gz"), at("mask.nii.gz"), at("out"));
    let (labels, known) = (at("labels.nii.gz"), at("known"));
    let grid = ["--shape", "80,96,80", "--spacing-mm", "2,2,2"];
    printed(&[&["simulate", "phantom", text(&scan)], &grid[..]].concat());
    printed(&[&["simulate", "phantom", text(&labels), "--of", "labels"], &grid[..]].concat());
    printed(&["anatomy", "strip", text(&scan), text(&brain), "--mask", text(&mask)]);
    printed(&["anatomy", "volumes", "--labels", text(&labels), "--out", text(&known)]);
    let known = nifti::read(known.join("labels_space-orig_desc-voxgan_dseg.nii.gz")).unwrap();
    let not_brain =
        [Structure::Background, Structure::Head, Structure::Csf].map(|one| f32::from(one.number()));
    let truth = known.data.mapv(|number| !not_brain.contains(&number));
    let mask = nifti::read(&mask).unwrap();
    let both = mask.data.iter().zip(&truth).filter(|(m, t)| **m > 0.5 && **t).count() as f64;
    let sizes = mask.data.iter().filter(|m| **m > 0.5).count() + truth.iter().filter(|t| **t).count();
    let dice = 2.0 * both / sizes as f64;
    println!("Dice of the phantom's brain {dice:.3}");
    assert!(dice > 0.85, "{dice}");
    let inside = mask.data.index_axis(Axis(0), 0).mapv(|m| m > 0.5);
    assert_eq!(components(&inside, Connectivity::Faces).pieces.len(), 1);
    assert_eq!(filled(&inside), inside);
    let stripped = nifti::read(&brain).unwrap();
    assert!(stripped.data.iter().zip(&mask.data).all(|(x, m)| *m > 0.5 || *x == 0.0));
    assert!(refused(&["anatomy", "strip", text(&scan), text(&brain), "--labels"]).contains("--labels"));

    // A young generator's brains may be implausible: the check says so by its exit code, and the sidecar either way.
    let output =
        voxgan(&["generate", "--seeds", "1", "--check", "--out", text(&out)]).assert().get_output().clone();
    let record = json(&out.join("seed-0001.json"));
    let flags = record["Anatomy"]["Volumes"]["flags"].as_array().unwrap();
    assert_eq!(output.status.success(), flags.is_empty());
    let regions = record["Anatomy"]["Volumes"]["regions"].as_array().unwrap();
    let brain =
        regions.iter().find(|region| region["name"] == "brain").unwrap()["volume_ml"].as_f64().unwrap();
    assert!((600.0..2000.0).contains(&brain), "{brain}");
    assert_eq!(nifti::read(out.join("seed-0001.nii.gz")).unwrap().data.len_of(Axis(0)), 1);
}
