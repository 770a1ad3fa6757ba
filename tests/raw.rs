//! Raw data and foreign masks: files of ISMRMRD's C library and Python package, h5py, BART, NumPy and SciPy against
//! what these see in them (tests/fixtures/mri/raw, written by make.py there), and hostile ones.

#[path = "raw/hostile.rs"]
mod hostile;
#[path = "raw/masks.rs"]
mod masks;
#[path = "common/needs.rs"]
mod needs;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ndarray::{Array3, Array4, ArrayD, ArrayViewD, Axis, Ix3, IxDyn, s};
use num_complex::{Complex32, Complex64};
use serde_json::Value;
use voxgan::acquisition::fourier::ifft;
use voxgan::error::Result;
use voxgan::io::dc::DcPlace;
use voxgan::io::hdf5::Hdf5;
use voxgan::io::raw::{self, RawOptions};
use voxgan::io::{cfl, npy};
use voxgan::volume::KSpace;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mri/raw").join(name)
}

fn expected(name: &str) -> Value {
    let text = fs::read_to_string(fixture("expected.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()[name].take()
}

fn read(name: &str) -> KSpace {
    raw::read(&fixture(name), &RawOptions::default()).unwrap()
}

fn refused<T: std::fmt::Debug>(result: Result<T>, words: &[&str]) {
    let error = result.unwrap_err().to_string();
    assert!(words.iter().all(|word| error.contains(word)), "{words:?} in {error}");
}

/// make.py's samples that say where they belong.
fn ramp(shape: [usize; 4]) -> Array4<Complex32> {
    Array4::from_shape_fn(shape, |(c, z, y, x)| {
        Complex32::new((1000 * c + 100 * z + 10 * y) as f32, (x + 1) as f32)
    })
}

/// Compares with make.py's `summary`.
fn assert_summary(array: ArrayViewD<Complex32>, expected: &Value) {
    let shape: Vec<usize> = array.shape().iter().copied().filter(|&n| n > 1).collect();
    let wanted: Vec<usize> =
        expected["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
    assert_eq!(shape, wanted.into_iter().filter(|&n| n > 1).collect::<Vec<_>>());
    let wide = |value: &Complex32| Complex64::new(value.re.into(), value.im.into());
    let norm = array.iter().map(|value| wide(value).norm_sqr()).sum::<f64>().sqrt();
    let sum: Complex64 = array.iter().map(wide).sum();
    let weighted: Complex64 =
        array.iter().enumerate().map(|(place, value)| wide(value) * (place % 97) as f64).sum();
    for (name, found) in
        [("norm", vec![norm]), ("sum", vec![sum.re, sum.im]), ("weighted", vec![weighted.re, weighted.im])]
    {
        let wanted = &expected[name];
        let wanted: Vec<f64> = match wanted.as_array() {
            Some(list) => list.iter().map(|value| value.as_f64().unwrap()).collect(),
            None => vec![wanted.as_f64().unwrap()],
        };
        for (found, wanted) in found.iter().zip(&wanted) {
            assert!(
                (found - wanted).abs() <= 1e-5 * (wanted.abs() + 97.0 * norm),
                "{name}: {found} {wanted}"
            );
        }
    }
}

/// Root of the sum of squares over coils of the transform back, cut to the image's size.
fn image(kspace: &KSpace) -> Array3<f32> {
    let mut coils = kspace.data.clone().into_dyn();
    ifft(&mut coils, &kspace.axes());
    let squares = coils.mapv(|value| value.norm_sqr()).sum_axis(Axis(0)).mapv(f32::sqrt); // [D, H, W]
    let squares = squares.into_dimensionality::<Ix3>().unwrap();
    let shape = [squares.dim().0, squares.dim().1, squares.dim().2];
    let [w, h, d] = kspace.image.dims;
    let start = |axis: usize, n: usize| shape[axis] / 2 - n / 2;
    let (z, y, x) = (start(0, d), start(1, h), start(2, w));
    squares.slice_move(s![z..z + d, y..y + h, x..x + w])
}

/// `a` and `b` are the same picture, each over its maximum, within `tolerance`.
fn assert_same_picture(a: &Array3<f32>, b: &ArrayD<f32>, tolerance: f32) {
    assert_eq!(a.len(), b.len());
    let most = |values: &mut dyn Iterator<Item = &f32>| values.fold(0.0_f32, |most, &value| most.max(value));
    let (most_a, most_b) = (most(&mut a.iter()), most(&mut b.iter()));
    let worst = a.iter().zip(b).map(|(a, b)| (a / most_a - b / most_b).abs()).fold(0.0, f32::max);
    assert!(worst <= tolerance, "{worst}");
}

#[test]
fn numpy_arrays_of_every_kind() {
    let k = ramp([2, 1, 3, 4]).index_axis_move(Axis(1), 0).into_dyn();
    for name in ["c8_c.npy", "c16_fortran_big.npy"] {
        let array = npy::read_complex(&fixture(name)).unwrap();
        assert_eq!(array, k, "{name}");
        assert!(array.is_standard_layout());
    }
    let real = k.mapv(|value| value.re);
    assert_eq!(npy::read_real(&fixture("i2_fortran.npy")).unwrap(), real);
    assert_eq!(npy::read_real(&fixture("f8_version3.npy")).unwrap(), real);
    assert_eq!(npy::read_complex(&fixture("f8_version3.npy")).unwrap(), real.mapv(Complex32::from));
    assert_eq!(npy::read_real(&fixture("f2_big.npy")).unwrap(), k.mapv(|value| value.im / 8.0));
    let above = real.mapv(|value| f32::from(u8::from(value > 15.0)));
    assert_eq!(npy::read_real(&fixture("bool_version2.npy")).unwrap(), above);
    refused(npy::read_real(&fixture("c8_c.npy")), &["c8_c.npy", "<c8"]);
}

#[test]
fn numpy_arrays_are_written_as_numpy_writes_them() {
    let folder = tempfile::tempdir().unwrap();
    let k = ramp([2, 1, 3, 4]).index_axis_move(Axis(1), 0);
    let path = folder.path().join("a.npy");
    npy::write_complex(&path, k.view().into_dyn()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), fs::read(fixture("c8_c.npy")).unwrap());

    let turned = k.t().mapv(|value| value.re);
    npy::write_real(&path, turned.view().into_dyn()).unwrap();
    assert_eq!(npy::read_real(&path).unwrap(), turned.into_dyn());
    for shape in [vec![], vec![5], vec![0, 3], vec![1; 20]] {
        let truth = ArrayD::from_elem(IxDyn(&shape), true);
        npy::write_bool(&path, truth.view()).unwrap();
        assert_eq!(npy::read_real(&path).unwrap().shape(), shape);
        assert_eq!((fs::read(&path).unwrap().len() - truth.len()) % 64, 0);
    }
}

#[test]
fn what_is_no_numpy_array_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npy");
    let refuse = |header: &str, words: &[&str]| {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend([0; 64]);
        fs::write(&path, bytes).unwrap();
        refused(npy::read_complex(&path), words);
    };
    let array = |descr: &str, shape: &str| {
        format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}")
    };
    refuse(&array("'<c8'", "(1000000, 1000000)"), &["a.npy", "data", "64 bytes"]);
    refuse(&array("'<f8'", "(18446744073709551615, 9)"), &["data"]);
    refuse(&array("'<f4'", "(0, 18446744073709551615, 9)"), &["a.npy"]);
    refuse(&array("'<f4'", "(-1,)"), &["header"]);
    refuse(&array("[('a', '<f4')]", "(2,)"), &["descr", "astype"]);
    refuse(&array("'|O'", "(2,)"), &["descr", "|O"]);
    refuse("{'descr': '<f4', 'shape': (2,)}", &["header"]);
    refused(npy::read_complex(&fixture("bart.cfl")), &["another kind of file"]);
}

#[test]
fn bart_files_are_read() {
    for name in ["bart", "bart.cfl", "bart.hdr"] {
        let array = cfl::read(&fixture(name)).unwrap();
        assert_eq!(array.shape(), [3, 1, 7, 12]);
        assert_summary(array.view(), &expected("bart"));
        let kspace = raw::read(&fixture(name), &RawOptions::default()).unwrap();
        assert_eq!(kspace.data.into_dyn(), array);
        assert_eq!(kspace.transformed, [false, true, true]);
        assert_eq!(kspace.image.dims, [12, 7, 1]);
        assert!(kspace.provenance.steps.iter().any(|step| step.contains("1 mm")), "{:?}", kspace.provenance);
    }
}

#[test]
fn bart_reads_what_is_written() {
    let Some(_) = needs::program("bart", "bart") else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let k = ramp([2, 3, 4, 5]);
    cfl::write(&path("a.cfl"), k.view().into_dyn()).unwrap();
    let bart = |arguments: &[&str]| {
        let output = Command::new("bart").args(arguments).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    // x is BART's dimension 0: (coil, z, y, x) here is (x, y, z, coil) there.
    assert_eq!(bart(&["show", "-d", "0", "a"]).trim(), "5");
    assert_eq!(bart(&["show", "-d", "3", "a"]).trim(), "2");
    bart(&["transpose", "0", "3", "a", "b"]);
    assert_eq!(cfl::read(&path("b")).unwrap(), k.view().permuted_axes([3, 1, 2, 0]).into_dyn());
    bart(&["scale", "0.5", "a", "c"]);
    assert_eq!(cfl::read(&path("c")).unwrap(), k.mapv(|value| value * 0.5).into_dyn());

    let matrix = ArrayD::from_elem(IxDyn(&[4]), Complex32::new(1.0, 2.0));
    cfl::write(&path("d"), matrix.view()).unwrap();
    assert_eq!(cfl::read(&path("d.hdr")).unwrap().shape(), [1, 1, 4]);
    assert!(cfl::write(&path("e"), ArrayD::zeros(IxDyn(&[1; 17])).view()).is_err());
}

#[test]
fn bart_pairs_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.cfl");
    fs::write(&path, [0; 80]).unwrap();
    let refuse = |header: &str, words: &[&str]| {
        fs::write(path.with_extension("hdr"), header).unwrap();
        refused(raw::read(&path, &RawOptions::default()), words);
    };
    refuse("# Dimensions\n5 3 1 1\n", &["a.cfl", "length", "80 bytes"]);
    refuse("# Dimensions\n99999999999 99999999999 9\n", &["length"]);
    refuse("# Dimensions\n-5 -2\n", &["a.hdr", "# Dimensions"]);
    refuse("# Dimensions\n", &["a.hdr", "none"]);
    refuse("\u{0}\u{1}", &["a.hdr"]);
    refuse("# Dimensions\n2 1 1 1 5\n", &["shape", "coil"]);
    refuse("# Dimensions\n1 1 0 10\n", &["# Dimensions"]);
}

#[test]
fn ismrmrd_of_the_c_library() {
    // Accelerated, the tool shifts the lines from repetition to repetition.
    let path = fixture("c_undersampled.h5");
    refused(
        raw::read(&path, &RawOptions::default()),
        &["c_undersampled.h5", "repetition", "one of 0, 1", "none chosen"],
    );
    let wanted = expected("c_undersampled");
    let first = RawOptions { repetition: Some(0), ..RawOptions::default() };
    let kspace = raw::read(&path, &first).unwrap();
    let all = raw::read(&path, &RawOptions { calibration: Some(true), ..first }).unwrap();
    for (kspace, name, rows) in
        [(&kspace, "data", &wanted["rows"][0]), (&all, "with_calibration", &wanted["rows"][1])]
    {
        assert_summary(kspace.data.view().into_dyn(), &wanted[name]);
        assert_summary(kspace.noise.as_ref().unwrap().view().into_dyn(), &wanted["noise"]);
        let sampled = kspace.sampled.slice(s![0, .., 0]).iter().filter(|&&sampled| sampled).count();
        assert_eq!(Some(sampled as u64), rows.as_u64());
    }
    assert_eq!(kspace.transformed, [false, true, true]);
    assert_eq!(kspace.image.dims, [16, 16, 1]);
    assert_eq!(
        (kspace.image.encoded_fov_mm, kspace.image.fov_mm),
        ([600.0, 300.0, 6.0], [300.0, 300.0, 6.0])
    );
    // The tool leaves all directions zero.
    assert!(
        kspace.provenance.steps.iter().any(|step| step.contains("no geometry")),
        "{:?}",
        kspace.provenance
    );

    let kspace = read("c_full.h5");
    let wanted: Vec<f32> = expected("c_full")["image"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|row| row.as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32))
        .collect();
    assert_same_picture(&image(&kspace), &ArrayD::from_shape_vec(IxDyn(&[16, 16]), wanted).unwrap(), 1e-5);
    assert!(kspace.noise.is_none());
}

#[test]
fn ismrmrd_as_its_own_tools_write_and_reconstruct_it() {
    let [generate, reconstruct] = ["ismrmrd_generate_cartesian_shepp_logan", "ismrmrd_recon_cartesian_2d"];
    if [generate, reconstruct].iter().any(|name| needs::program("ismrmrd", name).is_none()) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.h5");
    let run = |program: &str, arguments: &str| {
        let output =
            Command::new(program).args(arguments.split(' ')).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(generate, "-m 48 -c 3 -n 0.02 -C -o a.h5");
    run(reconstruct, "a.h5");
    let kspace = raw::read(&path, &RawOptions::default()).unwrap();
    assert_eq!(kspace.data.dim(), (3, 1, 48, 96));
    let theirs = Hdf5::open(&path).unwrap().table("dataset/cpp/data").unwrap().real(None).unwrap();
    assert_same_picture(&image(&kspace), &theirs, 1e-5);

    run(generate, "-m 32 -c 2 -a 4 -w 8 -r 2 -k -o b.h5");
    let path = folder.path().join("b.h5");
    // Each repetition has every fourth of 32 lines; of the 8 in the middle, 6 are others.
    refused(raw::read(&path, &RawOptions::default()), &["b.h5", "repetition", "0, 1, 2, 3, 4, 5, 6, 7"]);
    for (calibration, rows) in [(None, 8), (Some(true), 14)] {
        let options = RawOptions { repetition: Some(5), calibration, ..RawOptions::default() };
        let kspace = raw::read(&path, &options).unwrap();
        assert_eq!(kspace.sampled.slice(s![0, .., 0]).iter().filter(|&&sampled| sampled).count(), rows);
    }
}

#[test]
fn ismrmrd_of_python_with_slices_averages_and_partial_fourier() {
    let kspace = read("py_slices.h5");
    let mut wanted = ramp([2, 3, 9, 16]);
    wanted.slice_mut(s![.., .., ..2, ..]).fill(Complex32::default());
    wanted.slice_mut(s![.., .., .., ..3]).fill(Complex32::default());
    assert_eq!(kspace.data, wanted);
    let sampled = Array3::from_shape_fn((3, 9, 16), |(_, y, x)| y >= 2 && x >= 3);
    assert_eq!(kspace.sampled, sampled);
    assert_eq!(kspace.transformed, [false, true, true]);

    assert_eq!(kspace.image.dims, [8, 12, 3]);
    let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4);
    assert!(close(&kspace.image.encoded_fov_mm, &[480.0, 216.0, 19.5]), "{:?}", kspace.image);
    assert!(close(&kspace.image.fov_mm, &[240.0, 216.0, 19.5]), "{:?}", kspace.image);
    for (voxel, world) in expected("py_slices")["world"].as_object().unwrap() {
        let voxel: Vec<f64> = voxel.split(' ').map(|index| index.parse().unwrap()).collect();
        let found = kspace.image.affine.world_mm([voxel[0], voxel[1], voxel[2]]);
        let world: Vec<f64> = world.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
        assert!(close(found.as_slice(), &world), "{voxel:?}: {found} {world:?}");
    }
    let steps = kspace.provenance.steps.join("\n");
    for words in [
        "3 readouts: parallel calibration",
        "3 readouts: navigation",
        "3 readouts: dummy scan",
        "averaged up to 2",
    ] {
        assert!(steps.contains(words), "{steps}");
    }

    // The middle one along D has counter 2.
    let options = RawOptions { slice: Some(2), ..RawOptions::default() };
    let one = raw::read(&fixture("py_slices.h5"), &options).unwrap();
    assert_eq!(one.data, wanted.slice(s![.., 1..2, .., ..]));
    assert_eq!(one.image.dims, [8, 12, 1]);
}

#[test]
fn ismrmrd_of_python_with_a_slab_and_repetitions() {
    let path = fixture("py_slab.h5");
    refused(raw::read(&path, &RawOptions::default()), &["repetition", "0, 1"]);
    let wrong = RawOptions { repetition: Some(7), ..RawOptions::default() };
    refused(raw::read(&path, &wrong), &["repetition", "0, 1", "7"]);
    for repetition in 0..2 {
        let options = RawOptions { repetition: Some(repetition), ..RawOptions::default() };
        let kspace = raw::read(&path, &options).unwrap();
        assert_eq!(kspace.data, ramp([1, 4, 5, 6]).mapv(|value| value * (repetition + 1) as f32));
        assert_eq!(kspace.transformed, [true; 3]);
        assert_eq!(kspace.image.dims, [6, 5, 2]);
        assert_eq!(kspace.image.encoded_fov_mm, [60.0, 50.0, 40.0]);
        assert_eq!(kspace.image.fov_mm, [60.0, 50.0, 20.0]);
        // Axes along the patient's left, back and head, 10 mm; voxel (3, 2, 1) is at (1, 2, 3) mm LPS.
        let centre = kspace.image.affine.world_mm([3.0, 2.0, 1.0]);
        assert_eq!(centre.as_slice(), [-1.0, -2.0, 3.0]);
        assert_eq!(kspace.image.affine.diagonal().as_slice(), [-10.0, -10.0, 10.0, 1.0]);
    }
    refused(
        raw::read(&fixture("py_radial.h5"), &RawOptions::default()),
        &["trajectory", "cartesian", "radial"],
    );
}

#[test]
fn fastmri_of_old_and_new_hdf5() {
    let k = ramp([3, 2, 10, 6]);
    let reference = Array3::from_shape_fn((2, 5, 4), |(z, y, x)| (20 * z + 4 * y + x) as f32);

    let kspace = read("fastmri_old.h5");
    assert_eq!(kspace.data, k);
    assert_eq!(kspace.transformed, [false, true, true]);
    assert_eq!(kspace.reference.as_ref(), Some(&reference));
    assert_eq!(kspace.sampled, Array3::from_elem((2, 10, 6), true));
    // H is the header's x: 5 of 10 rows, 220 of 440 mm.
    assert_eq!(kspace.image.dims, [4, 5, 2]);
    assert_eq!(kspace.image.encoded_fov_mm, [264.0, 440.0, 9.0]);
    assert_eq!(kspace.image.fov_mm, [176.0, 220.0, 9.0]);

    let one = raw::read(&fixture("fastmri_old.h5"), &RawOptions { slice: Some(1), ..RawOptions::default() })
        .unwrap();
    assert_eq!(one.data, k.slice(s![.., 1..2, .., ..]));
    assert_eq!(one.reference.unwrap(), reference.slice(s![1..2, .., ..]));
    let beyond = RawOptions { slice: Some(2), ..RawOptions::default() };
    refused(raw::read(&fixture("fastmri_old.h5"), &beyond), &["kspace", "0 to 1", "2"]);

    let columns = [false, true, false, true, true, false];
    let new = read("fastmri_new.h5");
    let masked =
        Array4::from_shape_fn(
            (1, 2, 10, 6),
            |(c, z, y, x)| {
                if columns[x] { k[[c, z, y, x]] } else { Complex32::default() }
            },
        );
    assert_eq!(new.data, masked);
    assert_eq!(new.sampled, Array3::from_shape_fn((2, 10, 6), |(_, _, x)| columns[x]));
    assert_eq!(new.reference, Some(reference));
    let one = raw::read(&fixture("fastmri_new.h5"), &RawOptions { slice: Some(1), ..RawOptions::default() })
        .unwrap();
    assert_eq!(one.data, masked.slice(s![.., 1..2, .., ..]));

    let spacing = RawOptions { spacing_mm: Some([2.0, 3.0, 4.0]), ..RawOptions::default() };
    let bare = raw::read(&fixture("fastmri_bare.h5"), &spacing).unwrap();
    assert_eq!(bare.data, k);
    assert_eq!((bare.image.dims, bare.image.fov_mm), ([6, 10, 2], [12.0, 30.0, 8.0]));
}

#[test]
fn plain_arrays_with_dc_in_the_corner_and_oversampling() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npy");
    let k = ramp([2, 3, 5, 8]);
    npy::write_complex(&path, k.view().into_dyn()).unwrap();
    let options = RawOptions {
        dc: DcPlace::Corner,
        transformed: Some([false, true, true]),
        spacing_mm: Some([1.5, 2.0, 5.0]),
        readout_oversampling: Some(2.0),
        ..RawOptions::default()
    };
    let kspace = raw::read(&path, &options).unwrap();
    // fftshift: index 0 goes to n/2, over H and W only.
    assert_eq!(kspace.data[[1, 2, 2, 4]], k[[1, 2, 0, 0]]);
    assert_eq!(kspace.data[[0, 1, 0, 0]], k[[0, 1, 3, 4]]);
    assert_eq!(kspace.image.dims, [4, 5, 3]);
    assert_eq!(kspace.image.encoded_fov_mm, [12.0, 10.0, 15.0]);
    assert_eq!(kspace.image.fov_mm, [6.0, 10.0, 15.0]);
    let wrong = RawOptions { spacing_mm: Some([1.0, 0.0, 1.0]), ..RawOptions::default() };
    refused(raw::read(&path, &wrong), &["spacing_mm"]);

    npy::write_complex(&path, k.mapv(|value| value / 0.0).view().into_dyn()).unwrap();
    refused(raw::read(&path, &RawOptions::default()), &["samples", "finite"]);
    refused(raw::read(&fixture("make.py"), &RawOptions::default()), &["make.py", "another kind of file"]);
    refused(raw::read(&fixture("corner_v73.mat"), &RawOptions::default()), &["content", "mask"]);
    assert!(raw::is_raw(&fixture("bart")) && raw::is_raw(&fixture("py_slab.h5")) && raw::is_raw(&path));
    assert!(!raw::is_raw(&fixture("make.py")) && !raw::is_raw(Path::new("nowhere.npy")));
}

#[test]
fn real_data_of_scanners() {
    let Some(folder) = needs::data("kspace") else { return };
    let kspace = raw::read(&folder.join("sigpy_brain8ch_cartesian_ksp.npy"), &RawOptions::default()).unwrap();
    assert_eq!(kspace.data.dim(), (8, 1, 230, 180));
    assert_eq!(kspace.transformed, [false, true, true]);
    let share = kspace.sampled.iter().filter(|&&sampled| sampled).count() as f64 / (230.0 * 180.0);
    assert!((share - 0.124).abs() < 5e-4, "{share}");
    // The centre is fully sampled.
    assert!(kspace.sampled.slice(s![0, 110..120, 85..95]).iter().all(|&sampled| sampled));

    let options = RawOptions { readout_oversampling: Some(2.0), ..RawOptions::default() };
    let kspace = raw::read(&folder.join("twixtools_gre_ksp_2coil.npy"), &options).unwrap();
    assert_eq!((kspace.data.dim(), kspace.image.dims), ((2, 1, 160, 320), [160, 160, 1]));
}
