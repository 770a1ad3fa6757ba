//! Parts of a job that run apart and are joined: what comes out is what one process makes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use voxgan::io::shard::Shard;

use crate::program::{printed, refused};

/// Parts of every job here.
const PARTS: usize = 3;

/// A folder of label maps of people, some of whom came twice.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        let labels = Path::new(env!("CARGO_MANIFEST_DIR")).join("volumes/phantom-4mm_labels.nii.gz");
        for person in 1..=4 {
            for session in ["a", "b"].into_iter().take(1 + person % 2) {
                let anat = place.at("scans").join(format!("sub-{person:02}/ses-{session}/anat"));
                fs::create_dir_all(&anat).unwrap();
                let name = format!("sub-{person:02}_ses-{session}_T1w.nii.gz");
                fs::copy(&labels, anat.join(name)).unwrap();
            }
        }
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.at(name).display().to_string()
    }

    /// Runs `command` on the scans into the folder `out`, whose place among the arguments is that of OUT.
    fn run(&self, command: &[&str], out: &str, shard: Option<usize>) -> String {
        let (scans, out) = (self.text("scans"), self.text(out));
        let part = shard.map(|number| format!("{number}/{PARTS}"));
        let mut arguments: Vec<&str> = command
            .iter()
            .map(|&argument| match argument {
                "IN" => scans.as_str(),
                "OUT" => out.as_str(),
                other => other,
            })
            .collect();
        if let Some(part) = &part {
            arguments.extend(["--shard", part]);
        }
        printed(&arguments)
    }

    /// Every file below a folder, but for locks.
    fn files(&self, name: &str) -> BTreeSet<String> {
        fn walk(root: &Path, folder: &Path, found: &mut BTreeSet<String>) {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                match entry.path() {
                    path if path.is_dir() => walk(root, &path, found),
                    path => drop(found.insert(path.strip_prefix(root).unwrap().display().to_string())),
                }
            }
        }
        let (root, mut found) = (self.at(name), BTreeSet::new());
        walk(&root, &root, &mut found);
        found.remove(".voxgan.lock");
        found
    }
}

const PREPARE: [&str; 8] = ["prepare", "IN", "OUT", "--shape", "8,8,8", "--spacing-mm", "20", "--strict"];
const RESAMPLE: [&str; 5] = ["resample", "IN", "OUT", "--spacing-mm", "20"];
const VOLUMES: [&str; 6] = ["anatomy", "volumes", "IN", "--out", "OUT", "--labels"];

#[test]
fn joined_parts_are_what_one_process_makes() {
    let place = Place::new();
    for (name, command, list) in [
        ("dataset", &PREPARE[..], "manifest.json"),
        ("images", &RESAMPLE[..], "done.jsonl"),
        ("volumes", &VOLUMES[..], "volumes.csv"),
    ] {
        let (whole, joined) = (format!("{name}-whole"), format!("{name}-joined"));
        place.run(command, &whole, None);
        for part in 1..=PARTS {
            place.run(command, &joined, Some(part));
        }
        let said = printed(&["merge", &place.text(&joined)]);
        assert!(said.contains("3 parts, 6 scans, 0 failed"), "{said}");
        assert_eq!(place.files(&whole), place.files(&joined), "{name}");
        let lines = |folder: &str| -> Vec<String> {
            let text = fs::read_to_string(place.at(folder).join(list)).unwrap().replace(folder, "FOLDER");
            text.lines().map(String::from).collect()
        };
        assert_eq!(lines(&whole), lines(&joined), "{name}");
        // The same command without parts finds nothing left to do.
        let voxels = |folder: &str| {
            let files = place
                .files(folder)
                .into_iter()
                .filter(|file| file.ends_with(".nii.gz") || file.ends_with(".safetensors"));
            files.map(|file| fs::read(place.at(folder).join(file)).unwrap()).collect::<Vec<_>>()
        };
        let before = voxels(&joined);
        assert!(!before.is_empty() && before == voxels(&whole), "{name}");
        let said = place.run(command, &joined, None);
        if name == "dataset" {
            assert!(said.contains("prepared       0\nkept           6"), "{said}");
        }
        assert!(before == voxels(&joined), "{name}");
    }
}

#[test]
fn nothing_is_joined_before_every_part_is_done() {
    let place = Place::new();
    let out = place.text("out");
    assert!(refused(&["merge", &out]).contains("--shard"));
    for part in 1..=PARTS {
        let said = refused(&["merge", &out]);
        assert!(part == 1 || said.contains(&format!("part {part} is not")), "{said}");
        place.run(&PREPARE, "out", Some(part));
    }
    // A part that was killed has no record; started again, it keeps what it has.
    let of =
        |path: &str| (1..=PARTS).find(|&number| Shard { number, of: PARTS }.takes(Path::new(path))).unwrap();
    let number = of("sub-01_ses-a_T1w.nii.gz");
    let folder = Shard { number, of: PARTS }.folder(&place.at("out"));
    fs::remove_file(folder.join("shard.json")).unwrap();
    assert!(refused(&["merge", &out]).contains(&format!("part {number} is not")));
    let said = place.run(&PREPARE, "out", Some(number));
    assert!(said.contains("prepared       0"), "{said}");
    // Parts of one job alone.
    let other: Vec<&str> =
        PREPARE.iter().map(|&argument| if argument == "20" { "30" } else { argument }).collect();
    place.run(&other, "out", Some(number));
    assert!(refused(&["merge", &out]).contains("settings"));
    place.run(&PREPARE, "out", Some(number));
    // New scans move no old ones, but all parts must have seen them.
    let new = place.at("scans/sub-05/ses-a/anat");
    fs::create_dir_all(&new).unwrap();
    fs::copy(
        place.at("scans/sub-01/ses-a/anat/sub-01_ses-a_T1w.nii.gz"),
        new.join("sub-05_ses-a_T1w.nii.gz"),
    )
    .unwrap();
    place.run(&PREPARE, "out", Some(of("sub-05")));
    assert!(refused(&["merge", &out]).contains("the same in all parts"));
    for part in 1..=PARTS {
        place.run(&PREPARE, "out", Some(part));
    }
    printed(&["merge", &out]);
    assert!(place.at("out/manifest.json").is_file() && !place.at("out/shards").exists());
}

#[test]
fn a_scan_by_itself_has_no_parts() {
    let place = Place::new();
    let scan = place.text("scans/sub-01/ses-a/anat/sub-01_ses-a_T1w.nii.gz");
    let said = refused(&["resample", &scan, &place.text("x.nii"), "--spacing-mm", "20", "--shard", "1/2"]);
    assert!(said.contains("--shard") && said.contains("a folder"), "{said}");
    assert!(refused(&["resample", &scan, "x.nii", "--spacing-mm", "20", "--shard", "3/2"]).contains("I/N"));
}
