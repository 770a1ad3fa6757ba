//! The program as its users meet it: commands, exit codes, messages, files.

use std::fs;
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::time::{Duration, Instant};

use crate::program::{printed, refused, voxgan};
use nalgebra::Matrix4;
use ndarray::Array4;
use voxgan::io::nifti::{self, DataType, WriteOptions};
use voxgan::volume::{Volume, VoxelToWorld};

/// Ellipsoids of several sizes, as scans, in `folder`.
fn phantoms(folder: &Path) {
    for i in 0..6 {
        let radius = 4.0 + f64::from(i) * 0.3;
        let data = Array4::from_shape_fn((1, 12, 12, 12), |(_, d, h, w)| {
            let r = [d, h, w].map(|x| (x as f64 - 5.5).powi(2)).iter().sum::<f64>().sqrt();
            if r < radius { (100.0 + 8.0 * (radius - r)) as f32 } else { 0.0 }
        });
        let mut affine = Matrix4::from_diagonal(&[4.0, 4.0, 4.0, 1.0].into());
        (0..3).for_each(|axis| affine[(axis, 3)] = -22.0);
        let options = WriteOptions {
            data_type: DataType::F32,
            description: "phantom".into(),
            ..WriteOptions::default()
        };
        let path = folder.join(format!("sub-{i:02}_T1w.nii.gz"));
        nifti::write(&path, &Volume::new(data, VoxelToWorld::new(affine).unwrap()), &options)
            .expect("written");
    }
}

#[test]
fn help_names_every_command() {
    let help = printed(&["--help"]);
    for command in [
        "prepare",
        "train",
        "generate",
        "mix",
        "interpolate",
        "evaluate",
        "anatomy",
        "report",
        "export",
        "parity",
        "info",
        "recon",
        "simulate",
        "mask",
        "n4",
        "resample",
        "convert",
        "score",
    ] {
        assert!(help.contains(command), "{command} is missing in\n{help}");
        assert!(printed(&[command, "--help"]).contains("Usage"), "{command}");
    }
}

#[test]
fn every_network_inside_has_a_licence() {
    let licences = printed(&["info", "--licences"]);
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("weights");
    let files = fs::read_dir(weights).unwrap().map(|entry| entry.unwrap().path());
    let networks = files.filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"));
    let names: Vec<String> =
        networks.map(|path| path.file_stem().unwrap().to_str().unwrap().into()).collect();
    assert!(names.len() > 5);
    for name in names {
        let row = licences.lines().find(|line| line.contains(&format!("`{name}`")));
        let row = row.unwrap_or_else(|| panic!("{name} is missing in\n{licences}"));
        assert!(row.contains("CC BY-SA 3.0") == row.contains("IXI"), "{row}");
    }
    assert!(["IXI", "CBICA", "ds002748"].iter().all(|source| licences.contains(source)));
}

#[test]
fn info_tells_versions_devices_and_weights() {
    let info = printed(&["info"]);
    for word in
        [env!("CARGO_PKG_VERSION"), "kernels", "cuda", "brain-4mm", "weights", "voxgan anatomy sha256:"]
    {
        assert!(info.contains(word), "{word} is missing in\n{info}");
    }
}

#[test]
fn the_weights_inside_make_synthetic_volumes_that_say_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("synthetic");
    printed(&["generate", "--seeds", "3,5-6", "--data-type", "i16", "--out", out.to_str().expect("text")]);
    let volume = nifti::read(out.join("seed-0003.nii.gz")).expect("a volume");
    assert_eq!(volume.dims(), [40, 48, 40]);
    assert!(volume.spacing_mm().iter().all(|mm| (mm - 4.0).abs() < 1e-5));
    // Air around a brain that is neither empty nor everything.
    let bright = volume.data.iter().filter(|&&v| v > 50.0).count() as f64 / volume.data.len() as f64;
    assert!((0.05..0.6).contains(&bright), "{bright}");
    let (_, d, h, w) = volume.data.dim();
    let corners = [0, d - 1].map(|d| [0, h - 1].map(|h| [0, w - 1].map(|w| volume.data[(0, d, h, w)])));
    assert!(corners.iter().flatten().flatten().all(|&v| v < 50.0), "{corners:?}");
    let sidecar = fs::read_to_string(out.join("seed-0003.json")).expect("a sidecar");
    let sidecar: serde_json::Value = serde_json::from_str(&sidecar).expect("JSON");
    assert_eq!((&sidecar["Synthetic"], &sidecar["Seed"]), (&true.into(), &3.into()));
    assert_eq!(sidecar["ModelSHA256"].as_str().map(str::len), Some(64));
    assert!(out.join("seed-0006.json").exists() && out.join("montage.png").exists());

    // The same seed gives the same file, alone or in company; another gives another.
    let again = folder.path().join("again");
    printed(&["generate", "--seeds", "5", "--data-type", "i16", "--out", again.to_str().expect("text")]);
    let read = |path: &Path| fs::read(path).expect("a file");
    assert_eq!(read(&out.join("seed-0005.nii.gz")), read(&again.join("seed-0005.nii.gz")));
    assert_ne!(read(&out.join("seed-0005.nii.gz")), read(&out.join("seed-0006.nii.gz")));
}

#[test]
fn mixing_no_layer_is_the_row_and_mixing_all_is_the_column() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let text = |name: &str| path(name).to_str().expect("text").to_string();
    printed(&["generate", "--seeds", "1-2", "--out", &text("own")]);
    printed(&["mix", "--rows", "1", "--columns", "2", "--layers", "0-7", "--out", &text("all")]);
    printed(&["mix", "--rows", "1", "--columns", "1", "--layers", "0-3", "--out", &text("self")]);
    let voxels = |name: &str| nifti::read(path(name)).expect("a volume").data;
    assert_eq!(voxels("all/row-0001_column-0002.nii.gz"), voxels("own/seed-0002.nii.gz"));
    assert_eq!(voxels("self/row-0001_column-0001.nii.gz"), voxels("own/seed-0001.nii.gz"));
    assert!(
        refused(&["mix", "--rows", "1", "--columns", "2", "--layers", "8", "--out", &text("no")])
            .contains("0 to 7")
    );
}

/// Without --out, sets go into folders of their own; what is there stays.
#[test]
fn sets_without_a_folder_get_a_new_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let told = |arguments: &[&str]| {
        let output = voxgan(arguments).current_dir(folder.path()).assert().success().get_output().clone();
        String::from_utf8(output.stdout).expect("text").lines().next().expect("a line").to_string()
    };
    fs::write(folder.path().join("synthetic-2"), "a file").expect("written");
    let generate = |seed| told(&["generate", "--seeds", seed]);
    assert_eq!([generate("1"), generate("2")], ["into synthetic", "into synthetic-3"]);
    assert_eq!(told(&["mix", "--rows", "1", "--columns", "2"]), "into mixed");
    assert_eq!(told(&["interpolate", "--seeds", "1,2", "--frames", "2"]), "into walk");
    for (name, there) in [
        ("synthetic/seed-0001.nii.gz", true),
        ("synthetic/seed-0002.nii.gz", false),
        ("synthetic-3/seed-0002.nii.gz", true),
        ("mixed/row-0001_column-0002.nii.gz", true),
        ("walk/walk.gif", true),
    ] {
        assert_eq!(folder.path().join(name).is_file(), there, "{name}");
    }
    // A mistake makes no folder.
    let wrong = ["generate", "--weights", "nothing"];
    voxgan(&wrong).current_dir(folder.path()).assert().failure();
    assert!(!folder.path().join("synthetic-4").exists());
}

#[test]
fn a_walk_begins_at_its_first_seed_and_is_a_series() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().to_str().expect("text");
    for space in ["w", "z"] {
        printed(&[
            "interpolate",
            "--seeds",
            "1,2",
            "--frames",
            "4",
            "--space",
            space,
            "--out",
            out,
            "--force",
        ]);
        let first = nifti::read_frame(folder.path().join("walk.nii.gz"), Some(0)).expect("a frame");
        printed(&["generate", "--seeds", "1", "--out", out, "--force"]);
        let seed = nifti::read(folder.path().join("seed-0001.nii.gz")).expect("a volume");
        let worst = first.data.iter().zip(&seed.data).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-2, "{space}: {worst}");
        assert!(nifti::read_frame(folder.path().join("walk.nii.gz"), Some(4)).is_err());
    }
    assert!(fs::read(folder.path().join("walk.gif")).expect("a GIF").starts_with(b"GIF89a"));
}

#[test]
fn parity_prints_a_table_or_json_and_fails_above_the_tolerances() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden");
    let fixture = golden.join("stylegan2_3d_slab_16x16x6.safetensors");
    let table = printed(&["parity", fixture.to_str().expect("text")]);
    assert!(table.contains("r1.dparam") && table.contains("io.ws_psi0.7"), "{table}");
    let json = printed(&["parity", "--json", fixture.to_str().expect("text")]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let rows = json.as_object().and_then(|o| o.values().next()).and_then(|v| v.as_array()).expect("rows");
    assert!(rows.len() >= 15 && rows.iter().all(|row| row["passes"] == true), "{json}");

    // One weight of the generator's some thousands changed.
    let mut bytes = fs::read(&fixture).expect("the fixture");
    let (header, metadata) = safetensors::SafeTensors::read_metadata(&bytes).expect("a header");
    let place = 8 + header + metadata.info("G.synthesis.b8.conv0.weight").expect("there").data_offsets.0;
    let old = f32::from_le_bytes([bytes[place], bytes[place + 1], bytes[place + 2], bytes[place + 3]]);
    bytes[place..place + 4].copy_from_slice(&(old + 0.5).to_le_bytes());
    let folder = tempfile::tempdir().expect("a folder");
    let changed = folder.path().join("changed.safetensors");
    fs::write(&changed, bytes).expect("written");
    let output = voxgan(&["parity", changed.to_str().expect("text")]).assert().code(3).get_output().clone();
    assert!(String::from_utf8_lossy(&output.stderr).contains("io.img_noise_const"));
}

/// 0 to 4; that of a check is in the test of parity too.
#[test]
fn exit_codes_tell_how_it_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("text").to_string();
    let ends = |arguments: &[&str], code: i32| {
        let output = voxgan(arguments).assert().code(code).get_output().clone();
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned())
    };
    let [help, _] = ends(&["--help"], 0);
    assert!((0..5).all(|code| help.lines().any(|line| line.starts_with(&format!("  {code}  ")))), "{help}");

    let (scans, cache) = (path("scans"), path("cache"));
    fs::create_dir(&scans).expect("made");
    phantoms(Path::new(&scans));
    let prepare = ["prepare", &scans, &cache, "--shape", "8,8,8", "--spacing-mm", "6"];
    ends(&prepare, 0);
    ends(&["prepare", &path("nowhere"), &cache, "--shape", "8,8,8"], 1);
    ends(&["prepare", &scans, &cache], 2);
    ends(&["prepare", &scans, &cache, "--shape", "8"], 2);
    ends(&["interpolate", "--seeds", "1", "--out", &path("walk")], 2);

    // Some of the inputs: the rest is done, and they are named.
    fs::write(path("scans/sub-02_T1w.nii.gz"), "damaged").expect("written");
    let [told, failed] = ends(&prepare, 4);
    assert!(told.contains("5 volumes"), "{told}");
    assert!(failed.contains("1 of 6 scans failed") && failed.contains("sub-02_T1w.nii.gz: "), "{failed}");
    let maps = path("maps");
    fs::create_dir(&maps).expect("made");
    for (name, bad) in [("a", false), ("b", true), ("c", false)] {
        let file = format!("{maps}/{name}.nii");
        let head = Array4::from_elem((1, 8, 8, 8), 2.0);
        let options = WriteOptions {
            data_type: DataType::I16,
            description: "labels".into(),
            ..WriteOptions::default()
        };
        nifti::write(&file, &Volume::new(head, VoxelToWorld::identity()), &options).expect("written");
        if bad {
            fs::write(&file, "damaged").expect("written");
        }
    }
    let volumes =
        |input: &str, code| ends(&["anatomy", "volumes", input, "--labels", "--out", &path("v")], code);
    let [_, failed] = volumes(&maps, 4);
    assert!(failed.contains("1 of 3 scans failed") && failed.contains("b.nii: "), "{failed}");
    let table = fs::read_to_string(path("v/volumes.csv")).expect("a table");
    assert_eq!(table.lines().count(), 3, "{table}");
    // All of them: nothing was done.
    let [_, failed] = volumes(&format!("{maps}/b.nii"), 1);
    assert!(failed.contains("1 of 1 scans failed"), "{failed}");
}

#[test]
fn verbosity_tells_of_files_and_of_convergence() {
    let folder = tempfile::tempdir().expect("a folder");
    phantoms(folder.path());
    let [scan, out] = ["sub-00_T1w.nii.gz", "out.nii.gz"].map(|name| folder.path().join(name));
    let [scan, out] = [&scan, &out].map(|path| path.to_str().expect("text"));
    let told = |more: &[&str]| {
        let arguments = [&["n4", scan, out, "--shrink", "1", "--force"][..], more].concat();
        let output = voxgan(&arguments).assert().success().get_output().stderr.clone();
        String::from_utf8(output).expect("text")
    };
    let [quiet, files, all] = [&[][..], &["-v"], &["-vv"]].map(told);
    assert!(!quiet.contains("read") && !quiet.contains("iteration"), "{quiet}");
    let named = |text: &str| text.contains(&format!("read {scan}")) && text.contains(&format!("wrote {out}"));
    assert!(named(&files) && !files.contains("iteration"), "{files}");
    assert!(named(&all) && all.contains("iteration 1"), "{all}");
}

#[test]
fn mistakes_are_told_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out").to_str().expect("text").to_string();
    assert!(refused(&["generate", "--weights", "nothing", "--out", &out]).contains("brain-4mm"));
    assert!(refused(&["generate", "--seeds", "5-1", "--out", &out]).contains("backwards"));
    assert!(refused(&["generate", "--conditions", "age=3", "--out", &out]).contains("age"));
    assert!(refused(&["generate", "--device", "tpu", "--out", &out]).contains("vulkan or metal"));
    let cuda = refused(&["generate", "--device", "cuda:77", "--out", &out]);
    assert!(cuda.contains("--device cpu") || cuda.contains("CUDA"), "{cuda}");
    assert!(refused(&["train", "no-such-recipe", "--data", &out, "--out", &out]).contains("tiny"));
    let text = folder.path().join("text.nii");
    fs::write(&text, "this is no scan").expect("written");
    let message = refused(&["prepare", text.to_str().expect("text"), &out, "--shape", "8,8,8", "--strict"]);
    assert!(message.contains("text.nii"), "{message}");
    assert!(!Path::new(&out).join("manifest.json").exists());
}

#[test]
fn a_terminated_run_saves_exits_well_and_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("text").to_string();
    fs::create_dir(folder.path().join("scans")).expect("made");
    phantoms(&folder.path().join("scans"));
    printed(&["prepare", &path("scans"), &path("cache"), "--shape", "8,8,8", "--spacing-mm", "6"]);
    let plan = printed(&["train", "tiny", "--data", &path("cache"), "--out", &path("run"), "--dry-run"]);
    assert!(plan.contains("parameters") && plan.contains("memory"), "{plan}");
    assert!(!folder.path().join("run").exists(), "a dry run writes nothing");

    let arguments = ["train", "tiny", "--data", &path("cache"), "--out", &path("run"), "--total-kimg"];
    let mut process = Process::new(env!("CARGO_BIN_EXE_voxgan"))
        .args(arguments)
        .arg("1000")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    let begun = Instant::now();
    let stats = folder.path().join("run/stats.jsonl");
    while fs::read_to_string(&stats).unwrap_or_default().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(120), "no line in two minutes");
        std::thread::sleep(Duration::from_millis(50));
    }
    let signalled = Process::new("kill").args(["-TERM", &process.id().to_string()]).status();
    assert!(signalled.expect("kill runs").success());
    let status = process.wait().expect("ended");
    assert!(status.success(), "{status}");
    let lines = |text: String| text.lines().count();
    let before = lines(fs::read_to_string(&stats).expect("the log"));

    let done = images(&stats) as f64 / 1000.0 + 0.04;
    let resumed = voxgan(&arguments).arg(format!("{done}")).assert().success().get_output().stderr.clone();
    assert!(String::from_utf8_lossy(&resumed).contains("resuming at step"));
    assert!(lines(fs::read_to_string(&stats).expect("the log")) > before);
    printed(&["export", &path("run"), &path("brain.safetensors"), "--half"]);
    printed(&[
        "generate",
        "--weights",
        &path("brain.safetensors"),
        "--seeds",
        "0",
        "--out",
        &path("synthetic"),
    ]);
    let table = printed(&["evaluate", "--weights", &path("run"), "--data", &path("cache")]);
    assert!(table.contains("nearest real volume"), "{table}");
    printed(&["export", &path("run"), &path("start.safetensors"), "--for-training"]);
    let from = |weights: &str| {
        let arguments =
            ["train", "tiny", "--data", &path("cache"), "--out", &path("more"), "--from", weights];
        arguments.map(String::from)
    };
    let arguments = from(&path("start.safetensors"));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["--dry-run"]).collect();
    let plan = printed(&arguments);
    assert!(plan.contains("2 of 2 blocks") && plan.contains("discriminator 2 of 2 blocks"), "{plan}");
    let message = refused(&from("brain-4mm").each_ref().map(String::as_str));
    assert!(message.contains("5×6×5 with 64") && message.contains("4×4×4 with 8"), "{message}");
}

/// Volumes shown at the last line of a log.
fn images(stats: &Path) -> u64 {
    let text = fs::read_to_string(stats).expect("the log");
    let last: serde_json::Value = serde_json::from_str(text.lines().last().expect("a line")).expect("JSON");
    last["images"].as_u64().expect("a number")
}

#[test]
fn a_head_that_moved_in_known_ways_is_brought_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let [head, moved, samples, still, ghosts] =
        ["head.nii.gz", "moved.nii.gz", "moved.npy", "still.nii.gz", "ghosts.nii.gz"].map(at);
    printed(&["simulate", "phantom", &head, "--shape", "40,48,32", "--spacing-mm", "4,4,5"]);
    printed(&[
        "simulate",
        "motion",
        &head,
        &moved,
        "--kspace",
        &samples,
        "--rotation-deg=-4,4",
        "--translation-mm=-6,6",
        "--seed",
        "3",
    ]);
    let record = at("moved.json");
    let common = ["recon", &samples, &still, "--spacing-mm", "4,4,5", "--method", "sense"];
    let told = printed(&[&common[..], &["--shots", &record]].concat());
    assert!(told.contains("samples not explained"), "{told}");
    printed(&["recon", &samples, &ghosts, "--spacing-mm", "4,4,5", "--method", "sense"]);

    let image = |path: &str| nifti::read(Path::new(path)).expect("an image").data;
    let truth = image(&head);
    let off = |path: &str| {
        (&image(path) - &truth).mapv(|d| d * d).sum().sqrt() / truth.mapv(|x| x * x).sum().sqrt()
    };
    assert!(off(&still) < 0.3 * off(&ghosts), "{} with the shots, {} without", off(&still), off(&ghosts));

    let wavelets = refused(&["recon", &samples, &at("none.nii"), "--method", "wavelet", "--shots", &record]);
    assert!(wavelets.contains("shots") && wavelets.contains("tv"), "{wavelets}");
    fs::write(at("none.json"), r#"{"Records": []}"#).expect("written");
    let none =
        refused(&["recon", &samples, &at("other.nii"), "--method", "sense", "--shots", &at("none.json")]);
    assert!(none.contains("one motion"), "{none}");
}

/// A scan on another's grid, and on voxels of another size; a thick stack that is made finer lies on the grid that it came from.
#[test]
fn scans_are_brought_to_other_grids() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let data = Array4::from_shape_fn((1, 22, 20, 18), |(_, d, h, w)| {
        let r = [d, h, w].iter().zip([10.5, 9.5, 8.5]).map(|(&x, c)| (x as f64 - c).powi(2)).sum::<f64>();
        (900.0 * (-r / 40.0).exp()) as f32
    });
    let scan = Volume::new(data, VoxelToWorld::identity());
    nifti::write(path("scan.nii"), &scan, &WriteOptions::default()).unwrap();
    printed(&["resample", &path("scan.nii"), &path("two.nii"), "--spacing-mm", "2"]);
    let two = nifti::read(path("two.nii")).unwrap();
    assert_eq!((two.dims(), two.spacing_mm()), ([9, 10, 11], [2.0; 3]));
    printed(&["resample", &path("two.nii"), &path("back.nii"), "--like", &path("scan.nii")]);
    let back = nifti::read(path("back.nii")).unwrap();
    assert_eq!((back.dims(), back.affine), (scan.dims(), scan.affine));
    let off = |volume: &Volume| {
        let apart = (&volume.data - &scan.data).mapv(|x| f64::from(x).powi(2)).mean().unwrap().sqrt();
        apart / 900.0
    };
    assert!(off(&back) < 0.05, "{}", off(&back));
    // Five slices of 4 mm out of 22 of 1 mm leave a rest of one on either side.
    printed(&["simulate", "thick-slices", &path("scan.nii"), &path("thick.nii"), "--thickness-mm", "4"]);
    let fine = |like: &[&str]| {
        let (thick, fine) = (path("thick.nii"), path("fine.nii"));
        let line =
            [&["superres", &thick, &fine, "--factor", "1,1,4", "--no-anatomy", "--force"], like].concat();
        printed(&line);
        nifti::read(&fine).unwrap()
    };
    assert_eq!(fine(&[]).dims(), [18, 20, 20]);
    let like = fine(&["--like", &path("scan.nii")]);
    assert_eq!((like.dims(), like.affine), (scan.dims(), scan.affine));
    assert!(off(&like) < 0.05, "{}", off(&like));
    let neither = refused(&["resample", &path("scan.nii"), &path("out.nii")]);
    assert!(neither.contains("--like"), "{neither}");
    let huge = refused(&["resample", &path("scan.nii"), &path("out.nii"), "--spacing-mm", "0.001"]);
    assert!(huge.contains("memory") && huge.contains("GB"), "{huge}");
}

/// From format to format and back, one scan and a folder; what reads scans reads them in every format.
#[test]
fn scans_go_from_format_to_format() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let data = Array4::from_shape_fn((1, 6, 5, 4), |(_, d, h, w)| (d * 100 + h * 10 + w) as f32);
    let scan = Volume::new(data, VoxelToWorld::identity());
    let options = WriteOptions { data_type: DataType::I16, ..WriteOptions::default() };
    fs::create_dir(path("scans")).unwrap();
    nifti::write(path("scans/a.nii"), &scan, &options).unwrap();
    let words = printed(&["convert", &path("scans/a.nii"), &path("scans/b.mgz")]);
    assert!(words.contains("[4, 5, 6] voxels") && words.contains("int16"), "{words}");
    printed(&["convert", &path("scans/b.mgz"), &path("scans/c.mhd")]);
    assert!(Path::new(&path("scans/c.zraw")).is_file());
    printed(&["convert", &path("scans"), &path("out"), "--to", "nrrd"]);
    for name in ["a", "b", "c"] {
        printed(&["convert", &path(&format!("out/{name}.nrrd")), &path(&format!("{name}.nii.gz"))]);
        let back = nifti::read(path(&format!("{name}.nii.gz"))).unwrap();
        assert_eq!((&back.data, back.affine), (&scan.data, scan.affine), "{name}");
    }
    printed(&["resample", &path("out/b.nrrd"), &path("two.nii"), "--spacing-mm", "2"]);
    assert_eq!(nifti::read(path("two.nii")).unwrap().spacing_mm(), [2.0; 3]);

    printed(&["convert", &path("a.nii.gz"), &path("a.npy")]);
    let words = printed(&["convert", &path("a.npy"), &path("d.mha"), "--type", "float64"]);
    assert!(words.contains("float64"), "{words}");
    let again = refused(&["convert", &path("scans/b.mgz"), &path("scans/c.mhd")]);
    assert!(again.contains("--force"), "{again}");
    let same = refused(&["convert", &path("scans/b.mgz"), &path("scans/b.mgz")]);
    assert!(same.contains("the same"), "{same}");
    // The voxels of a header that is read are an input, too.
    let voxels = refused(&["convert", &path("scans/c.mhd"), &path("scans/c.mhd"), "--type", "float32"]);
    assert!(voxels.contains("another file than the input"), "{voxels}");
    let unknown = refused(&["convert", &path("scans/b.mgz"), &path("b.mnc")]);
    assert!(unknown.contains(".nrrd"), "{unknown}");
}
