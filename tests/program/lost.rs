//! Nothing is lost: not by a closed pipe, a full disk, a bad scan, a name that is taken or a second program at work.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use clap::CommandFactory;
use nalgebra::Matrix4;
use ndarray::Array4;
use serde_json::Value;
use voxgan::cli::Cli;
use voxgan::io::lock::FolderLock;
use voxgan::io::nifti::{self, DataType, WriteOptions};
use voxgan::volume::{Volume, VoxelToWorld};

use crate::program::{printed, refused, voxgan};

const SHAPE: (usize, usize, usize, usize) = (1, 16, 18, 20);

/// Boxes within each other: a label map of FreeSurfer's numbers, and an image as well; none of its voxels is zero if `filled`.
fn boxes(filled: bool) -> Volume {
    let data = Array4::from_shape_fn(SHAPE, |(_, k, j, i)| {
        let within = |edge: usize| {
            (edge..16 - edge).contains(&k) && (edge..18 - edge).contains(&j) && (edge..20 - edge).contains(&i)
        };
        match (within(6), within(4), within(2)) {
            (true, ..) => 4.0,
            (_, true, _) => 2.0,
            (.., true) => 3.0,
            _ => f32::from(u8::from(filled)),
        }
    });
    Volume::new(data, VoxelToWorld::new(Matrix4::from_diagonal(&[2.0, 2.0, 2.0, 1.0].into())).unwrap())
}

fn write(path: &Path, volume: &Volume) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let options =
        WriteOptions { data_type: DataType::F32, description: "boxes".into(), ..WriteOptions::default() };
    nifti::write(path, volume, &options).unwrap();
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a line of arguments in the folder; its exit code and what it says on both streams.
    fn run(&self, line: &str) -> (i32, String) {
        let words: Vec<&str> = line.split(' ').collect();
        let output = voxgan(&words).current_dir(self.0.path()).output().unwrap();
        let text =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        assert!(!text.contains("panicked"), "{line}\n{text}");
        (output.status.code().unwrap_or(-1), text)
    }

    /// The same of a line that ends with this code.
    fn ends(&self, line: &str, code: i32) -> String {
        let (found, text) = self.run(line);
        assert_eq!(found, code, "{line}\n{text}");
        text
    }
}

#[test]
fn words_that_nobody_reads_end_no_command() {
    let place = Place::new();
    write(&place.path("in.nii"), &boxes(true));
    for (line, result) in [("simulate noise in.nii a.nii", Some("a.nii")), ("info", None), ("--help", None)] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_voxgan"));
        command.args(line.split(' ')).current_dir(place.0.path());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        assert!(child.wait().unwrap().success(), "{line}");
        assert!(result.is_none_or(|name| place.path(name).is_file()), "{line}");
    }
    #[cfg(target_os = "linux")]
    {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_voxgan"));
        command.args(["simulate", "noise", "in.nii", "b.nii"]).current_dir(place.0.path());
        let output = command.stdout(full).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && text.contains("standard output"), "{text}");
        assert!(place.path("b.nii").is_file());
    }
}

#[test]
fn a_bad_scan_ends_no_cohort_and_what_is_done_stays() {
    let place = Place::new();
    for name in ["s/a.nii", "s/b.nii", "s/c.nii"] {
        write(&place.path(name), &boxes(false));
    }
    let whole = fs::read(place.path("s/b.nii")).unwrap();
    fs::write(place.path("s/b.nii"), &whole[..whole.len() / 2]).unwrap();
    let command = "anatomy volumes s --labels --out v";
    let text = place.ends(command, 4);
    assert!(text.contains("1 of 3 scans failed") && text.contains("s/b.nii"), "{text}");
    let rows = || fs::read_to_string(place.path("v/volumes.csv")).unwrap().lines().count();
    assert_eq!(rows(), 3);
    assert!(place.ends(&format!("{command} --strict"), 1).contains("s/b.nii"));
    // Mended, it alone is measured.
    fs::write(place.path("s/b.nii"), &whole).unwrap();
    let made = |name: &str| {
        fs::metadata(place.path(&format!("v/{name}_space-orig_desc-voxgan_dseg.nii.gz")))
            .unwrap()
            .modified()
            .unwrap()
    };
    let before = made("a");
    let text = place.ends(command, 0);
    assert!(text.contains("1/3 kept s/a.nii") && text.contains("2/3 s/b.nii"), "{text}");
    assert_eq!((rows(), made("a")), (4, before));
    // Another content is measured again; so are all with other settings.
    let mut other = boxes(false);
    other.data.mapv_inplace(|label| if label == 4.0 { 43.0 } else { label });
    write(&place.path("s/c.nii"), &other);
    assert!(place.ends(command, 0).contains("3/3 s/c.nii"));
    assert!(!place.ends(&format!("{command} --nan-to-zero"), 0).contains("kept"));
    // Names that clash are seen before anything is measured.
    write(&place.path("t/a.nii"), &boxes(false));
    let text = place.ends("anatomy volumes s t --labels --out w", 1);
    assert!(text.contains("s/a.nii and t/a.nii") && !place.path("w").exists(), "{text}");
}

#[test]
fn commands_that_make_images_take_folders() {
    let place = Place::new();
    write(&place.path("s/a.nii"), &boxes(true));
    write(&place.path("s/b.nii.gz"), &boxes(true));
    fs::write(place.path("s/c.nii"), "no scan").unwrap();
    let command = "n4 s o --shrink 1 --iterations 2";
    let text = place.ends(command, 4);
    assert!(
        text.contains("s/c.nii") && place.path("o/a.nii.gz").is_file() && place.path("o/b.nii.gz").is_file()
    );
    fs::remove_file(place.path("s/c.nii")).unwrap();
    let text = place.ends(command, 0);
    assert!(text.contains("1/2 kept s/a.nii") && text.contains("2/2 kept s/b.nii.gz"), "{text}");
    assert!(!place.ends("n4 s o --shrink 1 --iterations 3", 0).contains("kept"));
    // What another put there stays.
    write(&place.path("p/a.nii.gz"), &boxes(true));
    let before = fs::read(place.path("p/a.nii.gz")).unwrap();
    assert!(place.ends("n4 s p --shrink 1 --iterations 2", 4).contains("--force"));
    assert_eq!(fs::read(place.path("p/a.nii.gz")).unwrap(), before);
}

/// The commands that read scans.
const READERS: [&str; 18] = [
    "prepare",
    "train",
    "n4",
    "resample",
    "convert",
    "anatomy volumes",
    "anatomy strip",
    "anatomy deface",
    "anatomy compare",
    "anatomy check",
    "superres",
    "motion",
    "inpaint",
    "translate",
    "progress",
    "restore",
    "score",
    "simulate noise",
];

#[test]
fn every_command_that_reads_scans_has_the_same_options() {
    for reader in READERS {
        let mut command = Cli::command();
        for name in reader.split(' ') {
            command = command.find_subcommand(name).unwrap_or_else(|| panic!("{reader}")).clone();
        }
        for option in ["frame", "nan_to_zero", "series"] {
            assert!(command.get_arguments().any(|one| one.get_id() == option), "{reader} has no {option}");
        }
    }
    let place = Place::new();
    let (mut bad, options) = (boxes(true), WriteOptions::default());
    bad.data[(0, 8, 9, 10)] = f32::NAN;
    nifti::write_series(place.path("in.nii"), &[bad, boxes(true)], &options).unwrap();
    for (number, line) in [
        "n4 in.nii N --shrink 1 --iterations 2",
        "simulate noise in.nii N",
        "score in.nii in.nii --profile fastmri",
    ]
    .into_iter()
    .enumerate()
    {
        let line = line.replace('N', &format!("{number}.nii"));
        assert!(place.ends(&line, 1).contains("--frame N"), "{line}");
        place.ends(&format!("{line} --frame 1"), 0);
        let force = if line.starts_with("score") { "" } else { " --force" };
        assert!(place.ends(&format!("{line} --frame 0{force}"), 1).contains("--nan-to-zero"), "{line}");
        place.ends(&format!("{line} --frame 0 --nan-to-zero{force}"), 0);
    }
}

#[test]
fn nothing_is_overwritten_unasked() {
    let place = Place::new();
    write(&place.path("in.nii"), &boxes(true));
    fs::write(place.path("sub-01_T1w.json"), r#"{"RepetitionTime": 2.3}"#).unwrap();
    let command = "simulate noise in.nii sub-01_T1w.nii";
    assert!(place.ends(command, 1).contains("sub-01_T1w.json"));
    assert!(!place.path("sub-01_T1w.nii").exists());
    let text = place.ends(&format!("{command} --force"), 0);
    assert!(text.contains("Rician noise, sigma"), "{text}");
    let read = |name: &str| fs::read_to_string(place.path(name)).unwrap();
    assert!(read("sub-01_T1w.json").contains("Synthetic") && read("sub-01_T1w.json.orig").contains("2.3"));
    let before = fs::read(place.path("in.nii")).unwrap();
    for line in [
        "simulate noise in.nii in.nii",
        "n4 in.nii ./in.nii",
        "anatomy strip in.nii in.nii",
        "anatomy deface in.nii in.nii",
        "motion in.nii in.nii",
        "simulate phantom in.nii",
        "mask random --shape 32,32 -o in.nii",
    ] {
        assert!(place.ends(line, 1).contains("--force"), "{line}");
        assert_eq!(fs::read(place.path("in.nii")).unwrap(), before, "{line}");
    }
    // Whatever another output is called, and before any work: nothing else is written.
    place.ends("mask random --shape 32,32 -o m.npy", 0);
    fs::create_dir(place.path("v")).unwrap();
    fs::write(place.path("v/scans.json"), "[]").unwrap();
    fs::write(place.path("there"), "of another").unwrap();
    for name in
        ["there.nii", "there.json", "there.csv", "g/montage.png", "w/walk.gif", "n_std.nii", "n_baseline.nii"]
    {
        fs::create_dir_all(place.path(name).parent().unwrap()).unwrap();
        fs::copy(place.path("there"), place.path(name)).unwrap();
    }
    for (line, there) in [
        ("n4 in.nii n.nii --field there.nii", "there.nii"),
        ("n4 in.nii n.nii --field there.json", "there.json"),
        ("anatomy strip in.nii n.nii --mask there.nii", "there.nii"),
        ("simulate motion in.nii n.nii --kspace there", "there"),
        ("simulate replay no.json in.nii there.nii", "there.nii"),
        ("simulate undersample in.nii there.nii --mask m.npy", "there.nii"),
        ("mask random --shape 32,32 -o there", "there"),
        ("resample in.nii there.nii --spacing-mm 2", "there.nii"),
        ("convert in.nii there.nii", "there.nii"),
        ("recon in.npy there.nii", "there.nii"),
        ("recon in.npy n.nii --method network", "n_baseline.nii"),
        ("superres in.nii n.nii", "n_baseline.nii"),
        ("restore in.nii n.nii --operator superres --factor 2", "n_std.nii"),
        ("score in.nii in.nii --profile monai --json there.json", "there.json"),
        ("anatomy check in.nii in.nii --labels --out there.json", "there.json"),
        ("anatomy check in.nii in.nii --labels --out there.csv", "there.csv"),
        ("evaluate --data v --json there.json", "there.json"),
        ("evaluate --data v --training v --picture there", "there"),
        ("report v -o there", "there"),
        ("export r there", "there"),
        ("generate --seeds 1 --out g", "g/montage.png"),
        ("mix --rows 1 --columns 2 --out g", "g/montage.png"),
        ("interpolate --seeds 1,2 --out w", "w/walk.gif"),
    ] {
        let text = place.ends(line, 1);
        assert!(text.contains("--force") && text.contains(there), "{line}\n{text}");
        assert_eq!(fs::read_to_string(place.path(there)).unwrap(), "of another", "{line}");
        assert!(!place.path("n.nii").exists(), "{line}");
    }
    // Two results under one name would be one.
    assert!(place.ends("n4 in.nii n.nii --field n.nii --force", 1).contains("two outputs"));
    place.ends("score in.nii in.nii --profile monai --json there.json --force", 0);
}

/// Commands that write nothing but into a folder of their own, where the same command goes on, and those that write nothing.
const OWN_FOLDERS: [&str; 9] = [
    "prepare",
    "merge",
    "train",
    "anatomy volumes",
    "anatomy compare",
    "demo",
    "parity",
    "info",
    "packaging",
];

#[test]
fn every_command_that_writes_files_has_force() {
    fn commands(command: &clap::Command, name: &str, found: &mut Vec<(String, bool)>) {
        let below: Vec<_> = command.get_subcommands().collect();
        if below.is_empty() {
            found.push((name.trim().into(), command.get_arguments().any(|one| one.get_id() == "force")));
        }
        below.iter().for_each(|below| commands(below, &format!("{name} {}", below.get_name()), found));
    }
    let mut found = Vec::new();
    commands(&Cli::command(), "", &mut found);
    assert!(found.len() > 25);
    for (name, force) in found {
        assert_eq!(force, !OWN_FOLDERS.contains(&name.as_str()), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn names_need_not_be_utf_8() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    let folder = place.0.path().join(OsStr::from_bytes(b"sc\xfc"));
    let scan = folder.join(OsStr::from_bytes(b"S\xf8ren.nii"));
    write(&scan, &boxes(false));
    let run = |line: &[&OsStr]| {
        let mut command = voxgan(&[]);
        command.args(line).current_dir(place.0.path()).assert().success();
    };
    let word = OsStr::new;
    run(&[word("anatomy"), word("volumes"), folder.as_os_str(), word("--labels"), word("--out"), word("v")]);
    // The report finds the scan again.
    run(&[word("report"), word("v"), word("-o"), word("r.html")]);
    assert!(!fs::read_to_string(place.path("r.html")).unwrap().contains("no longer where they were"));
    let noisy = folder.join(OsStr::from_bytes(b"\xf8.nii"));
    run(&[word("simulate"), word("noise"), scan.as_os_str(), noisy.as_os_str()]);
    assert!(noisy.is_file() && folder.join(OsStr::from_bytes(b"\xf8.json")).is_file());
}

#[test]
fn pairs_are_those_of_one_name() {
    let place = Place::new();
    for name in ["before/a.nii", "before/b.nii", "before/d.nii", "after/a.nii", "after/c.nii", "after/d.nii"]
    {
        write(&place.path(name), &boxes(false));
    }
    let text = place.ends("anatomy check before after --labels --out c.json", 4);
    assert!(
        text.contains("before/b.nii") && text.contains("after/c.nii") && text.contains("2 of 4 pairs failed"),
        "{text}"
    );
    let verdict: Value = serde_json::from_str(&fs::read_to_string(place.path("c.json")).unwrap()).unwrap();
    assert_eq!(verdict["pairs"].as_array().unwrap().len(), 2);
    assert!(place.ends("anatomy check before after --labels --strict", 1).contains("before/b.nii"));
    let text = place.ends("score before after --profile monai --json s.json", 4);
    assert!(text.contains("b"), "{text}");
    let scores: Value = serde_json::from_str(&fs::read_to_string(place.path("s.json")).unwrap()).unwrap();
    assert_eq!(
        (scores["pairs"].as_array().unwrap().len(), scores["failures"].as_array().unwrap().len()),
        (2, 1)
    );
}

#[test]
fn a_target_has_many_predictions_and_their_scale_is_matched() {
    let place = Place::new();
    let target = boxes(true);
    write(&place.path("t.nii"), &target);
    for (name, scale) in [("p1.nii", 0.5), ("p2.nii", 0.25), ("p3.nii", 4.0)] {
        write(&place.path(name), &Volume::new(&target.data * scale, target.affine));
    }
    let line = "score t.nii p1.nii p2.nii p3.nii --profile monai --match-scale --json s.json";
    let text = place.ends(line, 0);
    assert!(text.contains("target t.nii, prediction p3.nii, scaled by 0.25"), "{text}");
    let scores: Value = serde_json::from_str(&fs::read_to_string(place.path("s.json")).unwrap()).unwrap();
    let scales: Vec<f64> =
        scores["pairs"].as_array().unwrap().iter().map(|pair| pair["scale"].as_f64().unwrap()).collect();
    assert!(
        scales.iter().zip([2.0, 4.0, 0.25]).all(|(found, expected)| (found - expected).abs() < 1e-6),
        "{scales:?}"
    );
    let error = scores["summary"].as_array().unwrap().iter().find(|one| one["name"] == "RMSE").unwrap();
    assert!(error["n"] == 3 && error["mean"].as_f64().unwrap() < 1e-5, "{error}");
    // Pairs by their option.
    let text = place.ends("score --pairs t.nii p1.nii p1.nii p2.nii --profile monai", 0);
    assert!(text.contains("target p1.nii, prediction p2.nii"), "{text}");
    assert!(place.ends("score --pairs t.nii p1.nii p2.nii --profile monai", 2).contains("even number"));
}

#[test]
fn two_programs_never_write_into_one_folder() {
    let place = Place::new();
    for n in 0..5 {
        write(&place.path(&format!("s/{n}.nii")), &boxes(false));
    }
    let [prepare, volumes, train] = [
        "prepare s c --shape 8,8,8 --spacing-mm 6",
        "anatomy volumes s --labels --out v",
        "train tiny --data c --out r --total-kimg 0.008",
    ];
    for (line, folder) in [(prepare, "c"), (volumes, "v"), (train, "r")] {
        let held = FolderLock::hold(&place.path(folder)).unwrap();
        let text = place.ends(line, 1);
        assert!(
            text.contains("one program at a time") && text.contains(&std::process::id().to_string()),
            "{text}"
        );
        drop(held);
        place.ends(line, 0);
    }
}

#[test]
fn a_run_ends_well_after_its_minutes() {
    let place = Place::new();
    for n in 0..5 {
        write(&place.path(&format!("s/{n}.nii")), &boxes(false));
    }
    place.ends("prepare s c --shape 8,8,8 --spacing-mm 6", 0);
    let text = place.ends("train tiny --data c --out r --total-kimg 1000 --max-minutes 0.02", 0);
    assert!(text.contains("stopped") && text.contains("the same command goes on"), "{text}");
    assert!(fs::read_dir(place.path("r/checkpoints")).unwrap().count() > 0);
    assert!(refused(&["train", "tiny", "--data", "c", "--out", "r", "--max-minutes=-1"]).contains("minutes"));
    assert!(printed(&["train", "--help"]).contains("--max-minutes"));
}
