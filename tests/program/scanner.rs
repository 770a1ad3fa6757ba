//! The commands of the scanner's physics, from end to end on phantoms: recon, simulate, mask, prepare --bias-correct.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use ndarray::{Array4, Axis};
use serde_json::Value;
use voxgan::acquisition::Complex32;
use voxgan::acquisition::coils::Birdcage;
use voxgan::acquisition::fourier::{fft, ifft};
use voxgan::io::{nifti, npy};
use voxgan::random::{Purpose, normal, stream};
use voxgan::simulate::phantom::{Ellipsoids, centred_grid};

fn run(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::cargo_bin("voxgan").expect("the program is built");
    let output = command.current_dir(folder).args(arguments).assert().success().get_output().stdout.clone();
    String::from_utf8(output).expect("text")
}

fn refused(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::cargo_bin("voxgan").expect("the program is built");
    let output = command.current_dir(folder).args(arguments).assert().failure().get_output().stderr.clone();
    String::from_utf8(output).expect("text")
}

fn record(folder: &Path, name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(folder.join(name)).unwrap()).unwrap()
}

/// Relative error of the best multiple of `a` against `b`.
fn distance(a: &Array4<f32>, b: &Array4<f32>) -> f64 {
    let dot = |a: &Array4<f32>, b: &Array4<f32>| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
    let scale = dot(a, b) / dot(a, a);
    (1.0 - scale * dot(a, b) / dot(b, b)).max(0.0).sqrt()
}

/// A Shepp-Logan slice of 64 × 64 voxels of 3 mm seen by six coils, its k-space measured twice as wide along W as the image:
/// in closed form for one coil, whose images are weighted and transformed again.
fn six_coils(folder: &Path) -> Array4<f32> {
    let phantom = Ellipsoids::shepp_logan_2d(192.0);
    let wide = centred_grid([128, 64, 1], [3.0, 3.0, 3.0]).unwrap();
    let mut image = phantom.kspace_on(&wide).unwrap().into_dyn();
    ifft(&mut image, &[1, 2]);
    let mut kspace = Birdcage::new(6).maps([1, 64, 128]).unwrap().into_dyn();
    kspace.outer_iter_mut().for_each(|mut coil| coil.zip_mut_with(&image, |s, x| *s *= x));
    fft(&mut kspace, &[2, 3]);
    npy::write_complex(&folder.join("raw.npy"), kspace.index_axis(Axis(1), 0).into_dyn()).unwrap();
    // Every second row and the centre.
    let mask = ndarray::Array2::from_shape_fn((64, 128), |(h, _)| h % 2 == 0 || (20..44).contains(&h));
    npy::write_bool(&folder.join("rows.npy"), mask.view().into_dyn()).unwrap();
    phantom.volume(&centred_grid([64, 64, 1], [3.0; 3]).unwrap()).unwrap().data
}

#[test]
fn raw_data_of_a_folder_are_reconstructed_past_a_damaged_file() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::create_dir_all(folder.join("in/deep")).unwrap();
    six_coils(folder);
    fs::copy(folder.join("raw.npy"), folder.join("in/a.npy")).unwrap();
    fs::copy(folder.join("raw.npy"), folder.join("in/deep/b.npy")).unwrap();
    fs::write(folder.join("in/c.h5"), "no HDF5").unwrap();
    let recon = |more: &[&str]| {
        let mut command = Command::cargo_bin("voxgan").expect("the program is built");
        let words = [&["recon", "in", "out", "--oversampling", "2"], more].concat();
        let output = command.current_dir(folder).args(words).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (code, text) = recon(&[]);
    assert!(code == Some(4) && text.contains("in/c.h5"), "{text}");
    let read = |name: &str| nifti::read(folder.join(name)).unwrap().data;
    run(folder, &["recon", "raw.npy", "x.nii.gz", "--oversampling", "2"]);
    assert_eq!(read("out/a.nii.gz"), read("x.nii.gz"));
    assert_eq!(read("out/deep/b.nii.gz"), read("x.nii.gz"));
    fs::remove_file(folder.join("in/c.h5")).unwrap();
    let (code, text) = recon(&["--strict"]);
    assert!(code == Some(0) && text.contains("2/2 kept"), "{text}");
    assert!(!recon(&["--method", "sense", "--calibration", "16"]).1.contains("kept"));
}

#[test]
fn raw_data_become_the_phantom_they_were_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let truth = six_coils(folder);
    let raw = ["recon", "raw.npy", "x.nii.gz", "--force", "--oversampling", "2", "--spacing-mm", "3,3,5"];
    let with = |more: &[&str]| {
        let printed = run(folder, &[&raw, more].concat());
        (nifti::read(folder.join("x.nii.gz")).unwrap(), printed)
    };
    let (whole, printed) = with(&[]);
    assert_eq!((whole.dims(), whole.spacing_mm()), ([64, 64, 1], [3.0, 3.0, 5.0]), "{printed}");
    // A drawn disc against its band-limited image: what is left is ringing at the edges.
    let ringing = distance(&whole.data, &truth);
    assert!(ringing < 0.2, "{ringing}");
    assert_eq!(record(folder, "x.json")["Steps"].as_array().unwrap().len(), 3, "{printed}");

    let undersampled = |method: &str| with(&["--mask", "rows.npy", "--method", method]).0.data;
    let folded = distance(&undersampled("zero-filled"), &whole.data);
    assert!(folded > 0.08, "{folded}");
    for method in ["sense", "grappa", "wavelet", "tv"] {
        let left = distance(&undersampled(method), &whole.data);
        assert!(left < 0.5 * folded, "{method}: {left} of {folded}");
    }
    let (_, printed) = with(&["--compress", "4", "--method", "sense"]);
    assert!(printed.contains("4 virtual coils") && printed.contains("samples not explained"), "{printed}");
}

/// The network inside knows slices of one coil and little noise: of six coils and 3 % it makes an image that is noisier than its baseline,
/// and the command says so before all else.
#[test]
fn a_network_that_does_not_fit_the_data_is_told_by_its_noise() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    run(folder, &["simulate", "phantom", "p.nii.gz", "--shape", "128,128,1", "--spacing-mm", "1.5,1.5,1.5"]);
    run(folder, &["mask", "radial", "--shape", "128,128", "-R", "4", "-o", "m.npy"]);
    let mut slice = nifti::read(folder.join("p.nii.gz")).unwrap().data;
    let largest = slice.iter().copied().fold(0.0, f32::max);
    slice.mapv_inplace(|x| x / largest);
    let reconstructed = |coils: usize, noise: f32| {
        let maps = Birdcage::new(coils).maps([1, 128, 128]).unwrap();
        let one = Array4::from_elem((1, 1, 128, 128), Complex32::new(1.0, 0.0));
        let mut values = (if coils > 1 { maps } else { one } * &slice.mapv(Complex32::from)).into_dyn();
        fft(&mut values, &[2, 3]);
        let draws = normal(&mut stream(1, 0, 0, 0, Purpose::Noise), 2 * values.len());
        let drawn =
            draws.chunks_exact(2).map(|pair| Complex32::new(pair[0], pair[1]) * (noise / 2f32.sqrt()));
        values.iter_mut().zip(drawn).for_each(|(value, noise)| *value += noise);
        npy::write_complex(&folder.join("k.npy"), values.index_axis(Axis(1), 0).into_dyn()).unwrap();
        let command = [
            "recon",
            "k.npy",
            "n.nii.gz",
            "--force",
            "--method",
            "network",
            "--mask",
            "m.npy",
            "--no-anatomy",
        ];
        (run(folder, &[&command[..], &["--axes", "hw"]].concat()), record(folder, "n.json"))
    };
    let (printed, fits) = reconstructed(1, 0.0);
    assert!(!printed.contains("warning") && fits.get("Warnings").is_none(), "{printed}");
    assert!(fits["Noise"]["Baseline"].as_f64().unwrap() > 0.0);
    let (printed, noisy) = reconstructed(6, 0.03);
    assert!(printed.contains("times as noisy as its baseline"), "{printed}");
    assert!(printed.find("warning").unwrap() < printed.find("data residual").unwrap(), "{printed}");
    assert!(noisy["Warnings"][0].as_str().unwrap().contains("wavelet"));
}

#[test]
fn what_cannot_be_reconstructed_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    six_coils(folder);
    let said = refused(folder, &["recon", "raw.npy", "x.nii.gz", "--method", "sense", "--maps", "none"]);
    assert!(said.contains("raw.npy") && said.contains("coil maps"), "{said}");
    let sparse = ndarray::Array2::from_shape_fn((64, 128), |(h, _)| h % 4 == 0);
    npy::write_bool(&folder.join("sparse.npy"), sparse.view().into_dyn()).unwrap();
    let said =
        refused(folder, &["recon", "raw.npy", "x.nii.gz", "--method", "sense", "--mask", "sparse.npy"]);
    assert!(said.contains("sparse.npy") || said.contains("calibration"), "{said}");
    let maps = Array4::<Complex32>::zeros((6, 1, 64, 64));
    npy::write_complex(&folder.join("maps.npy"), maps.view().into_dyn()).unwrap();
    let said = refused(folder, &["recon", "raw.npy", "x.nii.gz", "--maps", "maps.npy"]);
    assert!(said.contains("sensitivities"), "{said}");
    fs::write(folder.join("text.h5"), "no raw data").unwrap();
    let said = refused(folder, &["recon", "text.h5", "x.nii.gz"]);
    assert!(said.contains("text.h5") && said.contains("ISMRMRD"), "{said}");
    assert!(!folder.join("x.nii.gz").exists() && !folder.join("x.json").exists());
}

#[test]
fn phantoms_are_degraded_replayed_and_corrected() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    run(folder, &["simulate", "phantom", "head.nii.gz", "--shape", "40,48,40", "--spacing-mm", "4,4,4"]);
    let head = nifti::read(folder.join("head.nii.gz")).unwrap();
    assert_eq!((head.dims(), head.spacing_mm()), ([40, 48, 40], [4.0; 3]));
    let about = record(folder, "head.json");
    assert_eq!(about["Synthetic"], true);
    assert!(about["VolumesMl"].as_object().unwrap().len() > 10);

    let bytes = |name: &str| fs::read(folder.join(name)).unwrap();
    for kind in ["motion", "ghosting", "spikes", "bias-field", "noise", "thick-slices"] {
        run(folder, &["simulate", kind, "head.nii.gz", "bad.nii.gz", "--seed", "5", "--force"]);
        run(folder, &["simulate", "replay", "bad.json", "head.nii.gz", "again.nii.gz", "--force"]);
        let (bad, again) = (
            nifti::read(folder.join("bad.nii.gz")).unwrap(),
            nifti::read(folder.join("again.nii.gz")).unwrap(),
        );
        assert_eq!(bad.data, again.data, "{kind}");
        assert!(bad.data.dim() != head.data.dim() || distance(&bad.data, &head.data) > 1e-3, "{kind}");
        assert_eq!(record(folder, "bad.json")["Synthetic"], true, "{kind}");
    }

    let report =
        run(folder, &["mask", "poisson", "--shape", "40,48", "-R", "3", "--calibration", "8", "-o", "m.png"]);
    assert!(report.contains("acceleration  3.00"), "{report}");
    run(folder, &["simulate", "undersample", "head.nii.gz", "under.nii.gz", "--mask", "m.png"]);
    let under = nifti::read(folder.join("under.nii.gz")).unwrap();
    assert!(distance(&under.data, &head.data) > 0.05);

    // The bias of the field is what N4 takes out again before a dataset is made of it.
    run(folder, &["simulate", "bias-field", "head.nii.gz", "sub-01_T1w.nii.gz", "--seed", "1"]);
    let list = folder.join("list.txt");
    fs::write(&list, "sub-01_T1w.nii.gz\n").unwrap();
    let prepare = ["prepare", "list.txt", "cache", "--shape", "40,48,40"];
    run(folder, &[&prepare[..], &["--bias-correct"]].concat());
    let first = bytes("cache/manifest.json");
    let manifest: Value = serde_json::from_slice(&first).unwrap();
    assert_eq!(manifest["settings"]["correction"]["n4"]["shrink"], 4);
    let printed = run(folder, &prepare);
    assert!(printed.contains("prepared       1"), "without the correction it is another dataset: {printed}");
    assert!(record(folder, "cache/manifest.json")["settings"].get("correction").is_none());
    assert!(!bytes("m.png").is_empty());
}
