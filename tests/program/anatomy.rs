//! Anatomy from the command line: label maps in, tables, verdicts and reports out; the segmenter inside and one that is
//! trained here for two steps.

use std::fs;
use std::path::Path;

use crate::program::{printed, refused, voxgan};
use nalgebra::Matrix4;
use ndarray::{Array4, Axis};
use serde_json::Value;
use voxgan::anatomy::Structure;
use voxgan::anatomy::shape::{Connectivity, components, filled};
use voxgan::io::nifti::{self, DataType, WriteOptions};
use voxgan::volume::{Volume, VoxelToWorld};

/// Voxels `(i, j, k)` of the phantom heads, 4 mm each.
const DIMS: [usize; 3] = [48, 52, 46];

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

/// The head of [`head_moved`] in the middle of its grid.
fn head(brain: f64, ventricles: f64) -> Volume {
    head_moved(brain, ventricles, 0.0)
}

/// Ellipsoids within each other: head, fluid, cortex, white matter, and a ventricle on either side, so much larger than
/// usual; numbers of FreeSurfer, on a grid of 4 mm that lies so many voxels away along every axis, while the head stays.
fn head_moved(brain: f64, ventricles: f64, voxels: f64) -> Volume {
    use Structure::*;
    let inside = |p: [f64; 3], centre: [f64; 3], axes: [f64; 3]| {
        (0..3).map(|a| ((p[a] - centre[a]) / axes[a]).powi(2)).sum::<f64>() < 1.0
    };
    let [w, h, d] = DIMS;
    let data = Array4::from_shape_fn((1, d, h, w), |(_, k, j, i)| {
        let p = [i, j, k].map(|x| 4.0 * (x as f64 + voxels));
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
    (0..3).for_each(|axis| affine[(axis, 3)] = 4.0 * voxels - 2.0 * (DIMS[axis] as f64 - 1.0));
    Volume::new(data, VoxelToWorld::new(affine).unwrap())
}

fn write(volume: &Volume, path: &Path) {
    let options =
        WriteOptions { data_type: DataType::I16, description: "phantom".into(), ..WriteOptions::default() };
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
fn a_table_gains_rows_and_loses_none() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    cohort(&place("scans"), &SIZES[..3]);
    let (out, scan) = (place("out"), |i: usize| place(&format!("scans/sub-{i:02}_dseg.nii.gz")));
    let volumes = |scans: &Path, more: &[&'static str]| {
        let words = ["anatomy", "volumes", "--labels", text(scans), "--out", text(&out)];
        [&words[..], more].concat().into_iter().map(String::from).collect::<Vec<_>>()
    };
    let run = |words: &[String]| printed(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let fails = |words: &[String]| refused(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let subjects = || {
        let table = fs::read_to_string(out.join("volumes.csv")).unwrap();
        table.lines().skip(1).map(|row| row[..6].to_string()).collect::<Vec<_>>().join(" ")
    };
    run(&volumes(&scan(1), &[]));
    run(&volumes(&scan(0), &[]));
    assert_eq!(subjects(), "sub-01 sub-00");
    run(&volumes(&place("scans"), &[]));
    assert_eq!(subjects(), "sub-00 sub-01 sub-02");
    run(&volumes(&scan(2), &[]));
    assert_eq!(subjects(), "sub-00 sub-01 sub-02");
    // Rows of two kinds of measurement do not stand in one table.
    assert!(fails(&volumes(&scan(2), &["--nan-to-zero"])).contains("measured with others"));
    // Another head of that name.
    cohort(&place("others"), &SIZES[3..4]);
    assert!(fails(&volumes(&place("others"), &[])).contains("sub-00_dseg"));
    assert_eq!(subjects(), "sub-00 sub-01 sub-02");
    fs::write(out.join("volumes.csv"), "name,weight\n").unwrap();
    assert!(fails(&volumes(&scan(2), &[])).contains("a table of voxgan anatomy"));
    assert_eq!(fs::read_to_string(out.join("volumes.csv")).unwrap(), "name,weight\n");
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

/// Nine heads whose ventricles grow with age and whose brains do not: the synthetic ones are larger by what their age and
/// head size make of them, and the last lacks its age.
#[test]
fn cohorts_are_compared_at_equal_age_and_head_size() {
    let folder = tempfile::tempdir().unwrap();
    let (real, synthetic) = (folder.path().join("reals"), folder.path().join("synthetics"));
    let heads = |older: f64| -> Vec<(f64, f64)> {
        let head = |i: i32| (0.95 + 0.02 * f64::from(i * 4 % 9), 0.8 + 0.05 * (f64::from(i) + older));
        (0..9).map(head).collect()
    };
    cohort(&real, &heads(0.0));
    cohort(&synthetic, &heads(2.0));
    let table = |path: &Path, older: usize| {
        let row = |i: usize| {
            let age =
                if older > 0 && i == 8 { "n/a".to_string() } else { (30 + 5 * (i + older)).to_string() };
            format!("sub-{i:02}\t{age}\t{}\r\n", if i.is_multiple_of(2) { "F" } else { "M" })
        };
        let rows: String = (0..9).map(row).collect();
        fs::write(path, format!("\u{feff}participant_id\tage\tsex\r\n{rows}")).unwrap();
    };
    table(&real.join("participants.tsv"), 0);
    table(&synthetic.join("participants.tsv"), 2);
    let out = folder.path().join("out");
    let command = ["anatomy", "compare", "--labels", text(&real), text(&synthetic), "--out", text(&out)];
    let with = |more: &[&'static str]| [&command[..], more].concat();
    let shown = printed(&with(&["--covariates", "age,sex"]));
    let words =
        ["intracranial volume", "age, sex (F, M)", "sub-08_dseg (synthetic), without age", "Linear model"];
    assert!(words.iter().all(|part| shown.contains(part)), "{shown}");
    let comparison = json(&out.join("comparison.json"));
    let adjusted = &comparison["adjusted"];
    assert_eq!((&adjusted["real_subjects"], &adjusted["synthetic_subjects"]), (&9.into(), &8.into()));
    let of = |list: &Value| {
        let list = list.as_array().unwrap().clone();
        list.into_iter().find(|one| one["quantity"]["name"] == "lateral_ventricles").unwrap()
    };
    // Plainly larger; at equal age, not.
    let (raw, model) = (of(&comparison["quantities"]), of(&adjusted["quantities"])["model"].clone());
    let plain = raw["welch"]["difference"]["estimate"].as_f64().unwrap();
    let at_equal_age = model["difference"]["estimate"].as_f64().unwrap();
    assert!(plain > 3.0 && at_equal_age.abs() < 0.3 * plain, "{plain} {at_equal_age}");
    assert_eq!(model["df"], 12.0);
    assert_eq!(comparison["age"]["synthetic"].as_array().unwrap().len(), 9);
    assert!(comparison["wasserstein"]["distance"].as_f64().unwrap() > 0.0);
    let csv = fs::read_to_string(out.join("adjusted.csv")).unwrap();
    assert!(csv.starts_with("quantity,unit,head_size,covariates,model_difference,"), "{csv}");
    let report = folder.path().join("report.html");
    printed(&["report", text(&out), "-o", text(&report), "--scans", "0"]);
    let html = fs::read_to_string(&report).unwrap();
    for part in ["By head size and covariates", "Against age", "age (years)", "without a known age"] {
        assert!(html.contains(part), "{part}");
    }
    let message = refused(&with(&["--covariates", "iq"]));
    assert!(message.contains("participants.tsv") && message.contains("\"iq\""), "{message}");
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
            .args(["--force", "--out", text(&verdict)])
            .assert()
    };
    check(&same).success();
    let output = check(&larger).code(3).get_output().clone();
    assert!(String::from_utf8_lossy(&output.stderr).contains("1 of 3 pairs"));
    let report = folder.path().join("report.html");
    printed(&["report", text(&verdict), "-o", text(&report)]);
    let html = fs::read_to_string(&report).unwrap();
    assert!(html.contains("sub-02_dseg") && html.contains("limits that 95 % of changes lie within"));
    // The pair that fails is drawn first, the ventricles that grew in its uppermost row.
    let drawn = html.find("sub-02_dseg.nii.gz: before blue, after orange").expect("a picture");
    assert!(
        html[drawn..].split("from above: ").nth(1).unwrap().starts_with("lateral ventricles (+"),
        "{html}"
    );
    assert!(!html[..drawn].contains("before blue"));
    assert_eq!(fs::read_dir(folder.path().join("check_pairs")).unwrap().count(), 3);
    let message = refused(&["report", text(&before), "-o", text(&report), "--force"]);
    assert!(message.contains("voxgan train"), "{message}");
}

/// A grid half a voxel away passes and is named, ventricles a tenth larger on it do not; scans of nowhere near are an error;
/// without its head a scan's fluid is not judged.
#[test]
fn a_check_names_other_grids_and_sees_through_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let (before, after, verdict) = (file("before.nii.gz"), file("after.nii.gz"), file("check.json"));
    // At 4 mm surfaces are known to 2 mm: limits without distances.
    let limits = file("limits.toml");
    let limited = "mirrored_allowed = false\ncohort_pairs_min = 10\n\
        [regions.lateral_ventricles]\nchange_max_percent = 5.0\ndice_min = 0.9\n\
        [regions.brain]\nchange_max_percent = 2.0\ndice_min = 0.97\n\
        [regions.csf]\nchange_max_percent = 4.0\n[regions.intracranial]\ndice_min = 0.99\n";
    fs::write(&limits, limited).unwrap();
    let check = |one: &Volume, other: &Volume| {
        write(one, &before);
        write(other, &after);
        voxgan(&[
            "anatomy",
            "check",
            "--labels",
            "--force",
            text(&before),
            text(&after),
            "--out",
            text(&verdict),
            "--limits",
            text(&limits),
        ])
        .assert()
    };
    let told = |output: &[u8]| String::from_utf8_lossy(output).into_owned();
    let same = check(&head(1.0, 1.3), &head_moved(1.0, 1.3, 0.5)).success().get_output().clone();
    let shown = told(&same.stdout);
    assert!(
        shown.contains("48 × 52 × 46 voxels of 4 × 4 × 4 mm, RAS") && shown.contains("3.46 mm apart"),
        "{shown}"
    );
    assert_eq!(json(&verdict)["pairs"][0]["grids"]["after"]["orientation"], "RAS");
    let grown =
        check(&head(1.0, 1.3), &head_moved(1.0, 1.3 * 1.1f64.cbrt(), 0.5)).failure().get_output().clone();
    assert!(told(&grown.stdout).contains("lateral_ventricles changed by +"), "{}", told(&grown.stdout));
    let far = check(&head(1.0, 1.3), &head_moved(1.0, 1.3, 60.0)).failure().get_output().clone();
    let message = told(&far.stderr);
    assert!(
        ["before.nii.gz", "after.nii.gz", "416 mm away"].iter().all(|part| message.contains(part)),
        "{message}"
    );
    // Stripped, with half of its fluid.
    let mut stripped = head(1.0, 1.3);
    let fluid = head(0.97, 1.3);
    stripped.data.zip_mut_with(&fluid.data, |label, &beside| {
        if *label == 502.0 || (*label == 24.0 && beside == 502.0) {
            *label = 0.0;
        }
    });
    let output = check(&head(1.0, 1.3), &stripped).success().get_output().clone();
    let shown = told(&output.stdout);
    assert!(shown.contains("not judged: intracranial and csf, as the scan after is stripped"), "{shown}");
    let report = file("report.html");
    printed(&["report", text(&verdict), "-o", text(&report)]);
    assert!(fs::read_to_string(&report).unwrap().contains("the scan after is stripped"));
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

/// Real scans with label maps beside those of whole heads, weights to start from, and a second network that corrects the first.
#[test]
fn a_segmenter_learns_from_scans_and_gets_a_second_network() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (maps, scans, labels) = (at("maps"), at("scans"), at("labels"));
    cohort(&maps, &SIZES[..1]);
    fs::create_dir_all(&scans).unwrap();
    fs::create_dir_all(&labels).unwrap();
    let mut truth = head(1.0, 1.0);
    truth.data.iter_mut().filter(|x| **x == 502.0).for_each(|x| *x = 0.0);
    let mut scan = truth.clone();
    scan.data.mapv_inplace(|number| match number as u16 {
        2 | 41 => 200.0,
        3 | 42 => 120.0,
        4 | 43 | 24 => 40.0,
        _ => 0.0,
    });
    write(&scan, &scans.join("sub-07_T1w.nii.gz"));
    let recipe = |extra: &str| {
        format!(
            "[segmenter]\nwidths = [4, 8]\n{extra}[training]\nsteps = 2\ncrop = [32, 32, 32]\n\
             learning_rate = 0.001\n"
        )
    };
    let (first, second) = (at("first.toml"), at("second.toml"));
    fs::write(&first, recipe("")).unwrap();
    fs::write(&second, recipe("[detail]\nwidths = [4, 6]\ncrop = [24, 24, 24]\n")).unwrap();
    let run = at("run");
    let train = ["train", text(&first), "--data", text(&maps), "--out", text(&run)];
    let with_scans = ["--scans", text(&scans), "--scan-labels", text(&labels)];
    // Scans without label maps are refused by name.
    write(&truth, &labels.join("sub-08_dseg.nii.gz"));
    let message = refused(&[&train[..], &with_scans[..]].concat());
    assert!(message.contains("sub-07"), "{message}");
    write(&truth, &labels.join("sub-07_dseg.nii.gz"));
    printed(&[&train[..], &with_scans[..]].concat());
    let weights = at("first.safetensors");
    printed(&["export", text(&run), text(&weights)]);

    let (refined, both) = (at("second"), at("both.safetensors"));
    let train = ["train", text(&second), "--data", text(&maps), "--out", text(&refined)];
    let message = refused(&train);
    assert!(message.contains("--from"), "{message}");
    printed(&[&train[..], &["--from", text(&weights)]].concat());
    printed(&["export", text(&refined), text(&both), "--half"]);
    let (one, two) = (fs::read(&weights).unwrap(), fs::read(&both).unwrap());
    let names = |bytes: &[u8]| -> Vec<String> {
        let file = safetensors::SafeTensors::deserialize(bytes).unwrap();
        file.names().iter().map(|name| name.to_string()).collect()
    };
    let (one, two) = (names(&one), names(&two));
    assert!(one.iter().all(|name| two.contains(name)));
    assert!(two.iter().any(|name| name == "D_ema.head.weight") && !one.contains(&"D_ema.head.weight".into()));
    let out = at("out");
    let input = scans.join("sub-07_T1w.nii.gz");
    printed(&["anatomy", "volumes", text(&input), "--out", text(&out), "--weights", text(&both)]);
    let record = json(&out.join("sub-07_space-orig_desc-voxgan_dseg.json"));
    assert!(record["Refinement"]["method"].is_string(), "{record}");
    let off = at("off");
    let volumes = ["anatomy", "volumes", text(&input), "--weights", text(&both), "--refine", "off"];
    printed(&[&volumes[..], &["--out", text(&off)]].concat());
    let record = json(&off.join("sub-07_space-orig_desc-voxgan_dseg.json"));
    assert!(record["Refinement"].is_null(), "{record}");
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
    assert_eq!(components(&inside, Connectivity::Faces).components.len(), 1);
    assert_eq!(filled(&inside), inside);
    let stripped = nifti::read(&brain).unwrap();
    assert!(stripped.data.iter().zip(&mask.data).all(|(x, m)| *m > 0.5 || *x == 0.0));
    assert!(refused(&["anatomy", "strip", text(&scan), text(&brain), "--labels"]).contains("--labels"));

    // Without its face the head has the same brain, and air where the face was.
    let (faceless, face) = (at("faceless.nii.gz"), at("face.nii.gz"));
    printed(&["anatomy", "deface", text(&scan), text(&faceless), "--mask", text(&face)]);
    let [scan, faceless, face] = [scan, faceless, face].map(|path| nifti::read(path).unwrap().data);
    for ((x, after), (face, brain)) in scan.iter().zip(&faceless).zip(face.iter().zip(&mask.data)) {
        assert!(*face < 0.5 || *brain < 0.5, "no voxel of the brain is removed");
        assert_eq!(*after, if *face > 0.5 { 0.0 } else { *x });
    }
    let removed = scan.iter().zip(&face).filter(|(x, face)| **x > 0.0 && **face > 0.5).count();
    assert!(removed > 1000, "{removed}");

    // A young generator's brains may be implausible: the check says so by its exit code, and the sidecar either way.
    let output =
        voxgan(&["generate", "--seeds", "1", "--check", "--out", text(&out)]).assert().get_output().clone();
    let record = json(&out.join("seed-0001.json"));
    let flags = record["Anatomy"]["Volumes"]["flags"].as_array().unwrap();
    assert_eq!(output.status.code(), Some(if flags.is_empty() { 0 } else { 3 }));
    let regions = record["Anatomy"]["Volumes"]["regions"].as_array().unwrap();
    let brain =
        regions.iter().find(|region| region["name"] == "brain").unwrap()["volume_ml"].as_f64().unwrap();
    assert!((600.0..2000.0).contains(&brain), "{brain}");
    assert_eq!(nifti::read(out.join("seed-0001.nii.gz")).unwrap().data.len_of(Axis(0)), 1);
}
