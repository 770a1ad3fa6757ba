//! Preparing a dataset: what becomes of voxels, labels and names, resuming, failures, and damage found later.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use nalgebra::{Matrix3, Vector3};
use ndarray::Array4;
use voxgan::error::{Error, Result};
use voxgan::io::dataset::{Dataset, Outcome, Plan, Report, prepare};
use voxgan::io::nifti::{self, WriteOptions};
use voxgan::io::scan::ReadOptions;
use voxgan::volume::crop::Centre;
use voxgan::volume::intensity::Normalisation;
use voxgan::volume::resample::Interpolation;
use voxgan::volume::{Volume, VoxelToWorld};

use crate::needs;

/// A folder with scans, and one for the dataset, removed at the end.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(place.scans()).unwrap();
        place
    }

    fn scans(&self) -> PathBuf {
        self.folder.path().join("scans")
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn scan(&self, name: &str, volume: &Volume) -> PathBuf {
        let path = self.scans().join(name);
        nifti::write(&path, volume, &WriteOptions::default()).unwrap();
        path
    }

    fn text(&self, name: &str, text: &str) -> PathBuf {
        let path = self.scans().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn plan(&self) -> Plan {
        Plan {
            inputs: vec![self.scans()],
            shape: [6, 5, 4],
            spacing_mm: None,
            interpolation: Interpolation::Linear,
            normalisation: Normalisation::Percentile { low: 0.0, high: 100.0 },
            centre: Centre::Grid,
            participants: Vec::new(),
            labels: vec![],
            read: ReadOptions::default(),
            strict: false,
        }
    }

    fn prepare(&self, plan: &Plan) -> Result<Report> {
        prepare(plan, None, &self.out(), &AtomicBool::new(false), &|_| {})
    }

    fn dataset(&self) -> Dataset {
        Dataset::open(&self.out()).unwrap()
    }

    fn error(&self, plan: &Plan, words: &[&str]) {
        let message = self.prepare(plan).unwrap_err().to_string();
        for word in words {
            assert!(message.contains(word), "{word:?} is missing in: {message}");
        }
    }
}

/// 6 × 5 × 4 voxels of 2 mm along RAS+, no two alike.
fn brain(seed: usize) -> Volume {
    let values = (0..120).map(|n| ((n * 37 + seed) % 120) as f32 * 2.5).collect();
    let steps = Matrix3::from_diagonal_element(2.0);
    let affine = VoxelToWorld::from_axes(&steps, &Vector3::new(-7.0, 3.0, 11.0)).unwrap();
    Volume::new(Array4::from_shape_vec([1, 4, 5, 6], values).unwrap(), affine)
}

/// The same voxels in the same places, with the first axis stored from right to left.
fn mirrored(volume: &Volume) -> Volume {
    let mut flipped = volume.clone();
    flipped.data.invert_axis(ndarray::Axis(3));
    let mut steps = volume.affine.steps_mm();
    steps.column_mut(0).neg_mut();
    let origin = volume.affine.world_mm([(volume.dims()[0] - 1) as f64, 0.0, 0.0]);
    flipped.affine = VoxelToWorld::from_axes(&steps, &origin).unwrap();
    flipped
}

#[test]
fn voxels_affine_and_intensity_are_those_of_the_scan() {
    let place = Place::new();
    place.scan("a.nii.gz", &brain(0));
    place.scan("b.nii", &mirrored(&brain(0)));
    let report = place.prepare(&place.plan()).unwrap();
    assert_eq!((report.prepared, report.kept, report.failures.len()), (2, 0, 0));
    let dataset = place.dataset();
    assert_eq!((dataset.len(), dataset.shape(), dataset.is_empty()), (2, [1, 4, 5, 6], false));
    // The least value (0) becomes -1, the largest (297.5) 1.
    let expected = brain(0).data.mapv(|v| 2.0 * v / 297.5 - 1.0);
    for index in 0..2 {
        let volume = dataset.volume(index).unwrap();
        let error = (&volume.data - &expected).iter().fold(0f32, |m, d| m.max(d.abs()));
        assert!(error < 1e-6, "{error}");
        assert!((*volume.affine - *brain(0).affine).amax() < 1e-6);
        let back = dataset.entry(index).intensity.invert(volume);
        let error = (&back.data - &brain(0).data).iter().fold(0f32, |m, d| m.max(d.abs()));
        assert!(error < 1e-4, "{error}");
    }
    assert_eq!(dataset.entry(0).original.orientation.to_string(), "RAS");
    assert_eq!(dataset.entry(1).original.orientation.to_string(), "LAS");
    assert_eq!(dataset.entry(1).original.dims, [6, 5, 4]);
    assert!((*dataset.entry(1).original.affine - *mirrored(&brain(0)).affine).amax() < 1e-6);
    assert_eq!(dataset.entry(1).name, "b");
}

#[test]
fn the_common_grid_lies_about_the_origin() {
    let place = Place::new();
    place.scan("a.nii", &brain(0));
    place.prepare(&Plan { spacing_mm: Some([1.0, 2.0, 4.0]), shape: [9, 5, 3], ..place.plan() }).unwrap();
    let dataset = place.dataset();
    let affine = dataset.affine();
    assert_eq!(affine.world_mm([4.0, 2.0, 1.0]), Vector3::zeros());
    assert_eq!(affine.diagonal(), nalgebra::Vector4::new(1.0, 2.0, 4.0, 1.0));
    assert_eq!(dataset.volume(0).unwrap().spacing_mm(), [1.0, 2.0, 4.0]);
    // Without a common size it is the scans' own.
    place.prepare(&place.plan()).unwrap();
    assert_eq!(place.dataset().affine().diagonal(), nalgebra::Vector4::new(2.0, 2.0, 2.0, 1.0));
}

#[test]
fn what_is_there_is_kept_until_scan_or_settings_change() {
    let place = Place::new();
    for n in 0..3 {
        place.scan(&format!("s{n}.nii"), &brain(n));
    }
    let counts = |plan: &Plan| {
        let report = place.prepare(plan).unwrap();
        (report.prepared, report.kept)
    };
    assert_eq!(counts(&place.plan()), (3, 0));
    let hash = place.dataset().content_sha256();
    let manifest = || fs::read_to_string(place.out().join("manifest.json")).unwrap();
    let first = manifest();
    assert_eq!(counts(&place.plan()), (0, 3));
    assert!(manifest() == first, "resuming changes nothing, to the last digit");
    // A run that was killed left volumes and a part of one, but no manifest.
    fs::write(place.out().join("volumes/.s1.safetensors.77-0.voxgan.tmp"), "part").unwrap();
    fs::remove_file(place.out().join("manifest.json")).unwrap();
    assert!(Dataset::open(&place.out()).unwrap_err().to_string().contains("voxgan prepare"));
    fs::remove_file(place.out().join("volumes/s1.safetensors")).unwrap();
    assert_eq!(counts(&place.plan()), (1, 2));
    assert_eq!(fs::read_dir(place.out().join("volumes")).unwrap().count(), 3);
    assert_eq!(place.dataset().content_sha256(), hash);
    // A scan with other content, then another setting.
    place.scan("s2.nii", &brain(50));
    assert_eq!(counts(&place.plan()), (1, 2));
    assert_ne!(place.dataset().content_sha256(), hash);
    let other = Plan { normalisation: Normalisation::ZScore, ..place.plan() };
    assert_eq!(counts(&other), (3, 0));
    assert_eq!(counts(&Plan { spacing_mm: Some([0.868, 1.0 / 3.0, 2.0]), ..other.clone() }), (3, 0));
    // A cut-off volume is made anew.
    let volume = place.out().join("volumes/s0.safetensors");
    let content = fs::read(&volume).unwrap();
    fs::write(&volume, &content[..content.len() - 5]).unwrap();
    assert_eq!(counts(&Plan { spacing_mm: Some([0.868, 1.0 / 3.0, 2.0]), ..other }), (1, 2));
}

#[test]
fn the_hash_knows_no_paths_and_files_repeat() {
    let [a, b] = [0, 1].map(|_| {
        let place = Place::new();
        place.scan("s1.nii", &brain(1));
        place.scan("s2.nii", &brain(2));
        place.prepare(&place.plan()).unwrap();
        place
    });
    assert_eq!(a.dataset().content_sha256(), b.dataset().content_sha256());
    let volume = |place: &Place| fs::read(place.out().join("volumes/s1.safetensors")).unwrap();
    let first = volume(&a);
    fs::remove_dir_all(a.out()).unwrap();
    a.prepare(&a.plan()).unwrap();
    assert!(volume(&a) == first, "the same scan gives the same bytes");
}

#[test]
fn failures_are_listed_and_the_rest_goes_on() {
    let place = Place::new();
    place.scan("a.nii", &brain(0));
    place.text("b.nii", "subject,age\n");
    let mut constant = brain(0);
    constant.data.fill(3.0);
    place.scan("c.nii", &constant);
    let mut nan = brain(0);
    nan.data[[0, 0, 0, 0]] = f32::NAN;
    place.scan("d.nii", &nan);
    place.scan("e.nii", &brain(1));
    let seen = Mutex::new(Vec::new());
    let report = prepare(&place.plan(), None, &place.out(), &AtomicBool::new(false), &|p| {
        seen.lock().unwrap().push((p.done, p.total, p.outcome))
    })
    .unwrap();
    assert_eq!((report.prepared, report.failures.len()), (2, 3));
    for (failure, word) in
        report.failures.iter().zip(["b.nii: sizeof_hdr", "c.nii: intensity", "d.nii: voxels"])
    {
        assert!(failure.reason.contains(word), "{failure:?}");
    }
    let seen = seen.into_inner().unwrap();
    assert_eq!(seen.len(), 5);
    assert!(seen.iter().any(|(done, total, _)| (*done, *total) == (5, 5)));
    assert_eq!(seen.iter().filter(|(_, _, outcome)| matches!(outcome, Outcome::Failed(_))).count(), 3);
    let dataset = place.dataset();
    assert_eq!(dataset.manifest.failures, report.failures);
    assert_eq!(dataset.len(), 2);
    place.error(&Plan { strict: true, ..place.plan() }, &["b.nii"]);

    // Nothing at all: the reasons, and no dataset.
    let bad = Place::new();
    bad.text("x.nii", "");
    let report = bad.prepare(&bad.plan()).unwrap();
    assert_eq!((report.prepared, report.failures.len()), (0, 1));
    assert!(Dataset::open(&bad.out()).is_err());
}

/// What is stored when a preparation is cancelled stays, without a manifest, and the next one goes on from it.
#[test]
fn a_cancelled_preparation_goes_on() {
    let place = Place::new();
    // More than there are threads, so that some are not begun.
    let scans = 4 * std::thread::available_parallelism().unwrap().get();
    for number in 0..scans {
        place.scan(&format!("{number:03}.nii"), &brain(number));
    }
    let cancelled = AtomicBool::new(false);
    let stopped = prepare(&place.plan(), None, &place.out(), &cancelled, &|_| {
        cancelled.store(true, Ordering::Relaxed);
    });
    assert!(matches!(stopped, Err(Error::Cancelled)), "{stopped:?}");
    assert!(Dataset::open(&place.out()).is_err());
    let report = place.prepare(&place.plan()).unwrap();
    assert!(report.kept > 0 && report.prepared > 0 && report.kept + report.prepared == scans, "{report:?}");
}

#[test]
fn inputs_that_make_no_sense_are_refused() {
    let place = Place::new();
    place.error(&place.plan(), &["scans", "none"]);
    let scan = place.scan("a.nii", &brain(0));
    let missing = place.folder.path().join("nowhere");
    place.error(&Plan { inputs: vec![missing], ..place.plan() }, &["nowhere"]);
    let list = place.text("twice.txt", "# scans\na.nii\n\n../scans/a.nii\n");
    place.error(&Plan { inputs: vec![list], ..place.plan() }, &["a.nii", "once", "same file"]);
    place.error(&Plan { inputs: vec![scan.clone(), scan], ..place.plan() }, &["once"]);
    place.error(&Plan { shape: [0, 1, 1], ..place.plan() }, &["shape"]);
    place.error(&Plan { shape: [usize::MAX, 2, 2], ..place.plan() }, &["shape"]);
    place.error(&Plan { spacing_mm: Some([1.0, -1.0, 1.0]), ..place.plan() }, &["spacing_mm"]);
    let reversed = Normalisation::Percentile { low: 99.0, high: 1.0 };
    place.error(&Plan { normalisation: reversed, ..place.plan() }, &["percentiles"]);
    place.error(&Plan { labels: vec!["age".into()], ..place.plan() }, &["labels", "age"]);

    let inside = place.scans().join("cache/deep");
    let go_on = AtomicBool::new(false);
    let message = prepare(&place.plan(), None, &inside, &go_on, &|_| {}).unwrap_err().to_string();
    assert!(message.contains("inside the input"), "{message}");
    place.prepare(&place.plan()).unwrap();
    let again = Plan { inputs: vec![place.out()], ..place.plan() };
    let elsewhere = place.folder.path().join("out2");
    let message = prepare(&again, None, &elsewhere, &go_on, &|_| {}).unwrap_err().to_string();
    assert!(message.contains("prepared already"), "{message}");
    let manifest = fs::read_to_string(place.out().join("manifest.json")).unwrap();
    let mut hostile: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    hostile["settings"]["spacing_mm"] = serde_json::json!([1.0, 0.0, 1.0]);
    fs::write(place.out().join("manifest.json"), hostile.to_string()).unwrap();
    let message = Dataset::open(&place.out()).unwrap_err().to_string();
    assert!(message.contains("settings.spacing_mm"), "{message}");
    fs::write(place.out().join("manifest.json"), "{\"name\": \"a web app\"}").unwrap();
    place.error(&place.plan(), &["manifest.json", "another output folder"]);
    assert!(place.out().join("manifest.json").exists(), "what is not ours stays");
}

#[test]
fn scans_that_would_grow_without_bound_are_refused() {
    let place = Place::new();
    let mut far = brain(0);
    far.affine = VoxelToWorld::from_axes(&(far.affine.steps_mm() * 1e7), &far.affine.origin_mm()).unwrap();
    place.scan("far.nii", &far);
    let report = place.prepare(&Plan { spacing_mm: Some([0.001; 3]), ..place.plan() }).unwrap();
    assert!(report.failures[0].reason.contains("2^30"), "{:?}", report.failures);
}

#[test]
fn a_bids_tree_brings_its_labels() {
    let place = Place::new();
    place.text("dataset_description.json", "{}");
    place.text("participants.tsv", "participant_id\tage\tsex\nsub-01\t39\tm\nsub-02\tn/a\tf\n");
    place.text("derivatives/other.nii", "no scan");
    for (n, path) in
        ["sub-01/anat/sub-01_T1w.nii.gz", "sub-02/ses-1/anat/sub-02_ses-1_T1w.nii"].iter().enumerate()
    {
        fs::create_dir_all(place.scans().join(path).parent().unwrap()).unwrap();
        place.scan(path, &brain(n));
    }
    let plan = Plan { labels: vec!["sex".into(), "age".into()], ..place.plan() };
    let report = place.prepare(&plan).unwrap();
    assert_eq!(
        report.missing_labels.iter().collect::<Vec<_>>(),
        [(&"age".to_string(), &vec!["sub-02_ses-1".to_string()])]
    );
    let dataset = place.dataset();
    assert_eq!(dataset.entry(0).labels["age"], "39");
    assert_eq!(
        (&dataset.entry(1).labels["sex"], dataset.entry(1).labels.get("age")),
        (&"f".to_string(), None)
    );
    // Labels change without the voxels being prepared again.
    let report = place.prepare(&Plan { labels: vec!["age".into()], ..place.plan() }).unwrap();
    assert_eq!((report.prepared, report.kept), (0, 2));
    assert_eq!(place.dataset().entry(0).labels.len(), 1);
    place.error(
        &Plan { labels: vec!["height".into()], ..place.plan() },
        &["participants.tsv", "height", "age, sex"],
    );
}

#[test]
fn slices_and_frames() {
    let place = Place::new();
    for n in 0..2u8 {
        let image = image::GrayImage::from_fn(8, 6, |x, y| image::Luma([(x * 9 + y * 5) as u8 + n]));
        image.save(place.scans().join(format!("slice{n}.png"))).unwrap();
    }
    place.prepare(&Plan { shape: [8, 6, 1], spacing_mm: Some([1.0; 3]), ..place.plan() }).unwrap();
    let dataset = place.dataset();
    assert_eq!(dataset.shape(), [1, 1, 6, 8]);
    // The picture's top row is anterior, the last of RAS+; its corner at the left is the least value.
    assert_eq!(dataset.volume(0).unwrap().data[[0, 0, 5, 0]], -1.0);
    assert_eq!(dataset.volume(0).unwrap().data[[0, 0, 0, 7]], 1.0);

    let place = Place::new();
    nifti::write_series(place.scans().join("a.nii"), &[brain(3), brain(4)], &WriteOptions::default())
        .unwrap();
    let report = place.prepare(&place.plan()).unwrap();
    assert!(report.failures[0].reason.contains("--frame"), "{:?}", report.failures);
    place
        .prepare(&Plan { read: ReadOptions { frame: Some(1), ..ReadOptions::default() }, ..place.plan() })
        .unwrap();
    let expected = brain(4).data.mapv(|v| 2.0 * v / 297.5 - 1.0);
    let error =
        (&place.dataset().volume(0).unwrap().data - &expected).iter().fold(0f32, |m, d| m.max(d.abs()));
    assert!(error < 1e-6, "{error}");
}

#[test]
fn colour_and_grey_do_not_mix() {
    let place = Place::new();
    image::GrayImage::from_fn(6, 5, |x, y| image::Luma([(x * y) as u8]))
        .save(place.scans().join("a.png"))
        .unwrap();
    image::RgbImage::from_fn(6, 5, |x, y| image::Rgb([x as u8, y as u8, 9]))
        .save(place.scans().join("b.png"))
        .unwrap();
    let report = place.prepare(&Plan { shape: [6, 5, 1], ..place.plan() }).unwrap();
    assert_eq!(report.prepared, 1);
    assert!(report.failures[0].reason.contains("b.png: channels"), "{:?}", report.failures);
}

#[test]
fn damage_is_found_when_a_volume_is_read() {
    let place = Place::new();
    place.scan("a.nii", &brain(0));
    place.prepare(&place.plan()).unwrap();
    let dataset = place.dataset();
    let path = place.out().join("volumes/a.safetensors");
    let content = fs::read(&path).unwrap();
    let error = |content: Option<&[u8]>| {
        match content {
            Some(content) => fs::write(&path, content).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let error = dataset.volume(0).unwrap_err();
        assert!(error.to_string().contains("a.safetensors"), "{error}");
        error
    };
    let mut flipped = content.clone();
    *flipped.last_mut().unwrap() ^= 1;
    assert!(error(Some(&flipped)).to_string().contains("SHA-256"));
    error(Some(&content[..content.len() - 1]));
    error(Some(&content[..20]));
    error(Some(b""));
    error(Some(&[0xff; 64]));
    assert!(matches!(error(None), Error::Io { .. }));
}

#[test]
fn a_file_that_has_not_changed_is_hashed_once() {
    let place = Place::new();
    place.scan("a.nii", &brain(0));
    place.prepare(&place.plan()).unwrap();
    let path = place.out().join("volumes/a.safetensors");
    let written = fs::metadata(&path).unwrap().modified().unwrap();
    let mut flipped = fs::read(&path).unwrap();
    *flipped.last_mut().unwrap() ^= 1;
    let [read, unread] = [place.dataset(), place.dataset()];
    let before = read.volume(0).unwrap();
    // Damage that leaves size and time as they were is found by a hash alone.
    fs::write(&path, &flipped).unwrap();
    let touch = |time| fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    touch(written);
    assert!(unread.volume(0).unwrap_err().to_string().contains("SHA-256"));
    assert_ne!(read.volume(0).unwrap().data, before.data);
    assert!(read.clone().volume(0).is_ok());
    touch(written + std::time::Duration::from_secs(1));
    assert!(read.volume(0).unwrap_err().to_string().contains("SHA-256"));
}

#[test]
fn damaged_manifests_are_named() {
    let place = Place::new();
    place.scan("a.nii", &brain(0));
    place.prepare(&place.plan()).unwrap();
    let path = place.out().join("manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    for (from, to, word) in [
        ("voxgan-dataset-1", "voxgan-dataset-9", "format"),
        ("\"shape\"", "\"size\"", "shape"),
        ("\"sha256\": \"", "\"sha256\": 5, \"x\": \"", "entries[0].sha256"),
        ("}", "", "manifest.json"),
    ] {
        fs::write(&path, text.replace(from, to)).unwrap();
        let message = Dataset::open(&place.out()).unwrap_err().to_string();
        assert!(message.contains(word) && message.contains("manifest.json"), "{message}");
    }
}

#[test]
fn real_brains_agree_whatever_their_orientation() {
    let Some(data) = needs::data("ds002748") else { return };
    let original = nifti::read(data.join("original/sub-01/anat/sub-01_T1w.nii.gz")).unwrap();
    assert_eq!(original.dims(), [288, 288, 181]);
    assert!(original.affine[(0, 0)] < 0.0, "the scan is left-handed");

    // The untouched scan (LAS, float32, 0.87 mm) and its copy (RAS, uint8, 2 mm) show one brain.
    let [a, b] =
        [data.join("original/sub-01/anat/sub-01_T1w.nii.gz"), data.join("T1w_2mm/sub-01_T1w.nii.gz")].map(
            |path| {
                let place = Place::new();
                let plan = Plan {
                    inputs: vec![path],
                    shape: [40, 48, 40],
                    spacing_mm: Some([4.0; 3]),
                    centre: Centre::Foreground,
                    normalisation: Normalisation::Percentile { low: 0.0, high: 99.9 },
                    ..place.plan()
                };
                place.prepare(&plan).unwrap();
                assert_eq!(place.dataset().entry(0).name, "sub-01");
                place.dataset().volume(0).unwrap().data
            },
        );
    let correlation = |a: &Array4<f32>, b: &Array4<f32>| {
        let (a, b) = (a - a.mean().unwrap(), b - b.mean().unwrap());
        (&a * &b).sum() / ((&a * &a).sum() * (&b * &b).sum()).sqrt()
    };
    let mut mirrored = b.clone();
    mirrored.invert_axis(ndarray::Axis(3));
    let (same, other) = (correlation(&a, &b), correlation(&a, &mirrored));
    println!("correlation {same}, with the mirror image {other}");
    assert!(same > 0.97 && other < same - 0.02, "{same}, mirrored {other}");
}

/// The same file twice, and the same voxels in another file, are named.
#[test]
fn copies_are_named() {
    let place = Place::new();
    place.scan("a.nii", &brain(1));
    place.scan("b.nii", &brain(2));
    place.scan("c.nii", &brain(1));
    place.scan("d.nii.gz", &brain(2));
    let copies = place.prepare(&place.plan()).unwrap().copies;
    assert_eq!(copies, [["c", "a"], ["d", "b"]].map(|pair| pair.map(String::from)));
}

/// Sets that a network sees both of have voxels of one size and values of one range.
#[test]
fn sets_that_are_compared_are_prepared_alike() {
    let place = Place::new();
    place.scan("a.nii", &brain(1));
    let dataset = |out: &str, change: &dyn Fn(&mut Plan)| {
        let (mut plan, out) = (place.plan(), place.folder.path().join(out));
        change(&mut plan);
        prepare(&plan, None, &out, &AtomicBool::new(false), &|_| {}).unwrap();
        Dataset::open(&out).unwrap()
    };
    let plain = dataset("plain", &|_| {});
    assert!(plain.check_prepared_as(&plain, "--other").is_ok());
    for (name, change, said) in [
        ("spacing", (&|plan: &mut Plan| plan.spacing_mm = Some([2.5; 3])) as &dyn Fn(&mut Plan), "2.500"),
        ("range", &|plan| plan.normalisation = Normalisation::ZScore, "z_score"),
    ] {
        let error = dataset(name, change).check_prepared_as(&plain, "--other").unwrap_err().to_string();
        assert!(error.contains("--other") && error.contains(said), "{error}");
    }
}

/// A spike is filled before it spreads over the new grid, and does not set the scale.
#[test]
fn what_is_no_signal_is_filled() {
    let place = Place::new();
    place.scan("a.nii", &brain(1));
    let mut spiked = brain(1);
    let most = spiked.data.iter().copied().fold(0.0, f32::max);
    spiked.data[(0, 2, 2, 2)] = 1e6 * most;
    place.scan("b.nii", &spiked);
    place.prepare(&place.plan()).unwrap();
    let dataset = place.dataset();
    let [a, b] = [0, 1].map(|at| dataset.entry(at).intensity.scale);
    assert!((a / b - 1.0).abs() < 0.2, "{a} {b}");
    assert!(dataset.entry(1).steps.iter().any(|step| step.contains("without signal")));
    assert!(!dataset.entry(0).steps.iter().any(|step| step.contains("without signal")));
}
