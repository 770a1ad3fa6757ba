//! Scans of all formats: fixtures of nibabel, pynrrd and SimpleITK, round trips through every format, and headers that lie.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use nalgebra::Matrix4;
use ndarray::Array4;
use proptest::prelude::*;
use serde::Deserialize;
use voxgan::io::scan::{self, DataType, ReadOptions, Series, WriteOptions};
use voxgan::pipeline::Progress;
use voxgan::pipeline::convert::{Options, convert};
use voxgan::volume::{Volume, VoxelToWorld};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/formats")
}

/// What another program says of a file: values with the first voxel axis fastest, then frames or channels.
#[derive(Deserialize)]
struct Expected {
    values: Vec<f64>,
    affine: [[f64; 4]; 4],
    #[serde(rename = "type")]
    number: String,
    frames: usize,
    channels: usize,
}

/// The values of all frames, in the order of [`Expected`].
fn values(series: &Series) -> Vec<f64> {
    series.frames.iter().flat_map(|frame| frame.data.iter().map(|&value| f64::from(value))).collect()
}

fn apart(affine: &VoxelToWorld, other: &Matrix4<f64>) -> f64 {
    let other = VoxelToWorld::new(*other).unwrap();
    let rows: [[[f64; 4]; 4]; 2] = [(*affine).into(), other.into()];
    rows[0].iter().flatten().zip(rows[1].iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn files_of_other_programs_are_read_as_they_read_them() {
    let text = fs::read_to_string(fixtures().join("expected.json")).unwrap();
    let all: BTreeMap<String, Expected> = serde_json::from_str(&text).unwrap();
    assert!(all.len() > 20);
    for (name, expected) in all {
        let path = fixtures().join(&name);
        let series = scan::read_series(&path, &ReadOptions::default()).unwrap();
        assert_eq!(values(&series), expected.values, "{name}");
        assert_eq!(series.data_type.name(), expected.number, "{name}");
        assert_eq!((series.frames.len(), series.rounded), (expected.frames, 0), "{name}");
        let first = &series.frames[0];
        assert_eq!((first.dims(), first.channels()), ([4, 3, 2], expected.channels), "{name}");
        let affine = Matrix4::from_fn(|row, column| expected.affine[row][column]);
        // MGH holds float32.
        let tolerance = if name.contains(".mg") { 1e-5 } else { 1e-12 };
        assert!(apart(&first.affine, &affine) < tolerance, "{name}: {} for {affine}", *first.affine);

        let one = |frame| scan::read(&path, &ReadOptions { frame, ..ReadOptions::default() });
        if expected.frames == 1 {
            assert_eq!(one(None).unwrap().data, first.data, "{name}");
        } else {
            assert_eq!(one(Some(1)).unwrap().data, series.frames[1].data, "{name}");
            let message = one(None).unwrap_err().to_string();
            assert!(message.contains("--frame") && message.contains(&name), "{message}");
            assert!(one(Some(2)).unwrap_err().to_string().contains("0 to 1"), "{name}");
        }
    }
}

#[test]
fn formats_are_told_by_content_where_names_say_something_else() {
    let folder = tempfile::tempdir().unwrap();
    for (name, other) in
        [("rgb.nrrd", "a.nii"), ("i16.mha", "b.nrrd"), ("i16.mgh", "c"), ("u8.mgz", "d"), ("i32.mgz", "e.gz")]
    {
        let path = folder.path().join(other);
        fs::copy(fixtures().join(name), &path).unwrap();
        let as_named = scan::read(fixtures().join(name), &ReadOptions::default()).unwrap();
        assert_eq!(scan::read(&path, &ReadOptions::default()).unwrap().data, as_named.data, "{name}");
    }
    let nifti = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nifti/i2_be_nifti1.nii");
    fs::copy(nifti, folder.path().join("f.mgz")).unwrap();
    assert!(scan::read(folder.path().join("f.mgz"), &ReadOptions::default()).is_ok());
    let files = scan::files(&fixtures().join("las_u8_detached.nhdr"));
    assert_eq!(files[1].file_name().unwrap(), "las_u8_detached.raw.gz");
    assert_eq!(scan::files(&fixtures().join("f64_packed.mhd"))[1].file_name().unwrap(), "f64_packed.zraw");
    for (name, is, stem) in [
        ("T1.mgz", true, "T1"),
        ("a.b.NII.GZ", true, "a.b"),
        ("x.mhd", true, "x"),
        ("x.zraw", false, "x.zraw"),
        ("x.npy", false, "x"),
    ] {
        assert_eq!((scan::is_scan(Path::new(name)), scan::stem(name)), (is, stem));
    }
}

/// Where a format writes to, in the order of a chain; the last comes back to the first's.
const CHAIN: [&str; 9] =
    ["a.nii.gz", "b.mgz", "c.nrrd", "d.mha", "e.nhdr", "f.mhd", "g.mgh", "h.nii", "i.npy"];

fn converted(
    input: &Path,
    output: &Path,
    change: impl FnOnce(&mut Options),
) -> Result<DataType, voxgan::error::Error> {
    let mut options = Options { input: input.into(), output: output.into(), ..Options::default() };
    change(&mut options);
    convert(&options, &Progress::default()).map(|made| made.data_type)
}

fn series(
    dims: [usize; 3],
    frames: usize,
    affine: Matrix4<f64>,
    value: impl Fn(usize) -> f32,
) -> Vec<Volume> {
    let [w, h, d] = dims;
    let frame = |n: usize| {
        let at = |(_, z, y, x): (usize, usize, usize, usize)| value(((n * d + z) * h + y) * w + x);
        Volume::new(Array4::from_shape_fn((1, d, h, w), at), VoxelToWorld::new(affine).unwrap())
    };
    (0..frames).map(frame).collect()
}

/// Voxels along axes that are turned, mirrored, stretched and sheared.
fn affine([a, b, c]: [f64; 3], sizes: [f64; 3], shear: f64, mirrored: bool) -> Matrix4<f64> {
    let mut steps = nalgebra::Rotation3::from_euler_angles(a, b, c).into_inner();
    steps *= nalgebra::Matrix3::new(1.0, shear, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0);
    let mut affine = Matrix4::identity();
    for axis in 0..3 {
        let sign = if mirrored && axis == 0 { -1.0 } else { 1.0 };
        affine.fixed_view_mut::<3, 1>(0, axis).copy_from(&(steps.column(axis) * sizes[axis] * sign));
        affine[(axis, 3)] = 10.0 * sizes[axis] - 30.0 * a;
    }
    affine
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// NIfTI → MGZ → NRRD → MetaImage → … → NIfTI-2: every value the same, and every voxel in its place.
    #[test]
    fn every_format_keeps_voxels_and_place(
        dims in prop::array::uniform3(1usize..6),
        frames in 1usize..4,
        angles in prop::array::uniform3(-3.0..3.0),
        sizes in prop::array::uniform3(0.3..4.0),
        shear in prop_oneof![Just(0.0), -0.4..0.4],
        mirrored: bool,
        uncompressed: bool,
        number in prop::sample::select(vec![DataType::U8, DataType::I16, DataType::I32, DataType::F32]),
        seed: u32,
    ) {
        let value = |n: usize| {
            let bits = (n as u32).wrapping_add(seed).wrapping_mul(2_654_435_761) >> 4;
            match number {
                DataType::U8 => (bits % 256) as f32,
                DataType::I16 => (bits % 65_536) as f32 - 32_768.0,
                DataType::I32 => (bits % (1 << 24)) as f32 - 8_000_000.0,
                // Any pattern of finite bits.
                _ => f32::from_bits(bits.wrapping_mul(31) & 0xbf7f_ffff),
            }
        };
        let true_affine = affine(angles, sizes, shear, mirrored);
        let first = series(dims, frames, true_affine, value);
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        scan::write(path(CHAIN[0]), &first, &WriteOptions { data_type: number, ..WriteOptions::default() }).unwrap();
        // The array comes last: it has no place.
        for pair in CHAIN.windows(2) {
            let written = converted(&path(pair[0]), &path(pair[1]), |options| {
                options.uncompressed = uncompressed;
                options.nifti_2 = true;
            });
            prop_assert_eq!(written.unwrap(), number, "{}", pair[1]);
            let back = scan::read_series(path(pair[1]), &ReadOptions::default()).unwrap();
            prop_assert_eq!(back.data_type, number);
            prop_assert_eq!(back.frames.len(), frames);
            for (back, frame) in back.frames.iter().zip(&first) {
                let bits = |volume: &Volume| volume.data.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                prop_assert_eq!(back.dims(), dims);
                prop_assert_eq!(bits(back), bits(frame), "{}", pair[1]);
                if !pair[1].ends_with("npy") {
                    // Three times through float32, for numbers below 100.
                    prop_assert!(apart(&back.affine, &true_affine) < 1e-4, "{}", pair[1]);
                }
            }
        }
    }

    /// What hostile bytes do: they are refused, or read as something finite in shape; nothing panics.
    #[test]
    fn damaged_files_end_in_an_error_or_a_scan(
        file in 0usize..26,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut paths: Vec<PathBuf> = fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.retain(|path| scan::is_scan(path));
        let path = &paths[file % paths.len()];
        let mut bytes = fs::read(path).unwrap();
        for (at, byte) in changes {
            // Headers are where lies are.
            let at = at.index(bytes.len().min(600));
            bytes[at] = byte;
        }
        bytes.truncate(cut.map_or(bytes.len(), |cut| cut.index(bytes.len())));
        let folder = tempfile::tempdir().unwrap();
        let damaged = folder.path().join(path.file_name().unwrap());
        for voxels in ["f32.raw", "f64_packed.zraw", "las_u8_detached.raw.gz", "lps_f64_detached.raw"] {
            fs::copy(fixtures().join(voxels), folder.path().join(voxels)).unwrap();
        }
        fs::write(&damaged, bytes).unwrap();
        let start = Instant::now();
        if let Ok(series) = scan::read_series(&damaged, &ReadOptions::default()) {
            prop_assert!(!series.frames.is_empty());
        }
        if let Ok(volume) = scan::read(&damaged, &ReadOptions::default()) {
            prop_assert!(volume.data.iter().all(|value| value.is_finite()));
        }
        prop_assert!(start.elapsed().as_secs() < 5);
    }
}

/// A file of this text and these bytes, read.
fn refused(name: &str, text: &str, bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, [text.as_bytes(), bytes].concat()).unwrap();
    let start = Instant::now();
    let message = scan::read(&path, &ReadOptions::default()).unwrap_err().to_string();
    assert!(start.elapsed().as_millis() < 500, "{message}");
    assert!(message.contains(name), "{message}");
    message
}

const NRRD: &str = "NRRD0004\ntype: short\ndimension: 3\nspace: LPS\nsizes: 2 2 2\nspace directions: (1,0,0) (0,1,0) (0,0,1)\nendian: little\nencoding: raw\nspace origin: (0,0,0)\n\n";
const MHA: &str = "ObjectType = Image\nNDims = 3\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\nElementSpacing = 1 1 1\nDimSize = 2 2 2\nElementType = MET_SHORT\nElementDataFile = LOCAL\n";

#[test]
fn text_headers_that_lie_are_refused_by_name() {
    // As they are, both are good.
    for (name, text) in [("a.nrrd", NRRD), ("a.mha", MHA)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, [text.as_bytes(), &[1; 16]].concat()).unwrap();
        assert_eq!(scan::read(path, &ReadOptions::default()).unwrap().data[[0, 0, 0, 0]], 257.0);
    }
    for (from, to, word) in [
        ("sizes: 2 2 2", "sizes: 2 2 3", "voxels"),
        ("sizes: 2 2 2", "sizes: 99999999 99999999 99999999", "sizes"),
        ("sizes: 2 2 2", "sizes: 2 -2 2", "sizes"),
        ("sizes: 2 2 2", "sizes: 2 0 2", "sizes"),
        ("sizes: 2 2 2", "sizes: 2 2", "dimension"),
        ("dimension: 3", "dimension: 4", "dimension"),
        ("(1,0,0)", "(nan,0,0)", "space directions"),
        ("(1,0,0)", "(0,1,0)", "space directions"),
        ("(1,0,0)", "(0,0,0)", "space directions"),
        ("(1,0,0)", "none", "sizes"),
        ("(1,0,0)", "(1,0", "space directions"),
        ("origin: (0,0,0)", "origin: (0,inf,0)", "space directions"),
        ("type: short", "type: block", "type"),
        ("endian: little\n", "", "endian"),
        ("encoding: raw", "encoding: bzip2", "encoding"),
        ("encoding: raw", "encoding: raw\nbyte skip: 99", "voxels"),
        ("encoding: raw", "encoding: raw\nline skip: 1", "line skip"),
        ("encoding: raw", "encoding: raw\ndata file: LIST", "data file"),
        ("encoding: raw", "encoding: gzip", "gzip stream"),
        ("encoding: raw", "encoding: ascii", "numbers"),
        ("NRRD0004", "NRRD0", "magic"),
    ] {
        // By its name: a file that does not begin so may be of any format.
        let message = refused("a.nrrd", &NRRD.replace(from, to), &[1; 16]);
        assert!(message.contains(word), "{to}: {message}");
    }
    for (from, to, word) in [
        ("DimSize = 2 2 2", "DimSize = 2 2 3", "voxels"),
        ("DimSize = 2 2 2", "DimSize = 2 -2 2", "DimSize"),
        ("DimSize = 2 2 2", "DimSize = 9999999999 9999999999 9999999999", "DimSize"),
        ("NDims = 3", "NDims = 2", "NDims"),
        ("1 0 0 0 1 0 0 0 1", "1 0 0 1 0 0 0 0 1", "TransformMatrix"),
        ("1 0 0 0 1 0 0 0 1", "nan 0 0 0 1 0 0 0 1", "TransformMatrix"),
        ("1 0 0 0 1 0 0 0 1", "1 0 0", "TransformMatrix"),
        ("Spacing = 1 1 1", "Spacing = 0 1 1", "ElementSpacing"),
        ("MET_SHORT", "MET_OTHER", "ElementType"),
        ("LOCAL", "no.a.mha.raw", "no.a.mha.raw"),
        ("LOCAL", "LIST", "ElementDataFile"),
        ("MET_SHORT", "MET_SHORT\nElementNumberOfChannels = 99999999", "ElementNumberOfChannels"),
        ("MET_SHORT", "MET_SHORT\nCompressedData = True", "zlib stream"),
        ("MET_SHORT", "MET_SHORT\nHeaderSize = 99999", "voxels"),
        ("ElementDataFile = LOCAL\n", "", "header"),
    ] {
        let message = refused("a.mha", &MHA.replace(from, to), &[1; 16]);
        assert!(message.contains(word), "{to}: {message}");
    }
    let endless = "NRRD0004\n".to_string() + &"# nothing\n".repeat(200_000);
    assert!(refused("a.nrrd", &endless, &[]).contains("header"));
}

#[test]
fn compressed_voxels_cost_no_more_than_they_hold() {
    // A megabyte of zeros in a kilobyte, under a header that promises a terabyte.
    let zeros = vec![0; 1 << 20];
    let mut gz = GzEncoder::new(Vec::new(), Compression::best());
    gz.write_all(&zeros).unwrap();
    let gz = gz.finish().unwrap();
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
    zlib.write_all(&zeros).unwrap();
    let zlib = zlib.finish().unwrap();
    let nrrd = NRRD.replace("2 2 2", "10000 10000 10000").replace("raw", "gzip");
    assert!(refused("a.nrrd", &nrrd, &gz).contains("at most"));
    let mha = MHA.replace("DimSize = 2 2 2", "DimSize = 10000 10000 10000\nCompressedData = True");
    assert!(refused("a.mha", &mha, &zlib).contains("at most"));
    // Sizes that its bytes could hold, but do not.
    let nrrd = NRRD.replace("2 2 2", "1024 1024 2").replace("short", "uchar").replace("raw", "gzip");
    assert!(refused("a.nrrd", &nrrd, &gz).contains("voxels"));
}

#[test]
fn headers_of_mgh_that_lie_are_refused_by_name() {
    let good = fs::read(fixtures().join("i16.mgh")).unwrap();
    for (at, bytes, word) in [
        (0, [0, 0, 0, 2], "version"),
        (4, [255; 4], "width"),
        (4, [0; 4], "width"),
        (8, [127, 255, 255, 255], "voxels"),
        (16, [0, 0, 0, 2], "nframes"),
        (20, [0, 0, 0, 9], "type"),
        (30, [127, 192, 0, 0], "Mdc"),
        (30, [0; 4], "Mdc"),
        (42, [255; 4], "Mdc"),
        (78, [127, 128, 0, 0], "Mdc"),
    ] {
        let mut bad = good.clone();
        bad[at..at + 4].copy_from_slice(&bytes);
        // nibabel leaves room for scan parameters behind the voxels.
        bad.truncate(284 + 48);
        let message = refused("a.mgh", "", &bad);
        assert!(message.contains(word), "{at}: {message}");
    }
    assert!(refused("a.mgh", "", &good[..300]).contains("voxels"));
    assert!(refused("a.mgh", "", &good[..100]).contains("a.mgh"));
    let all = i32::MAX.to_be_bytes();
    let mut vast = good;
    [4, 8, 12, 16].into_iter().for_each(|at| vast[at..at + 4].copy_from_slice(&all));
    assert!(refused("a.mgh", "", &vast).contains("nframes") || refused("a.mgh", "", &vast).contains("width"));
}

#[test]
fn types_are_kept_where_the_format_has_them_and_values_fit() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let identity = Matrix4::identity();
    let write = |name: &str, number, value: &dyn Fn(usize) -> f32| {
        let frames = series([5, 4, 3], 1, identity, value);
        let options = WriteOptions { data_type: number, ..WriteOptions::default() };
        scan::write(path(name), &frames, &options).unwrap();
    };
    let whole = |n: usize| n as f32 * 3.0;
    let halves = |n: usize| n as f32 / 2.0 - 3.0;
    write("u16.nii", DataType::U16, &|n| n as f32 * 1000.0);
    write("scaled.nii", DataType::I16, &halves);
    write("i64.nrrd", DataType::I64, &whole);
    write("f64.mha", DataType::F64, &halves);
    for (from, to, number) in [
        ("u16.nii", "a.nrrd", DataType::U16),
        // MGH has no uint16, but int32 holds its numbers.
        ("u16.nii", "a.mgz", DataType::I32),
        ("scaled.nii", "b.nrrd", DataType::F32),
        ("i64.nrrd", "c.nii", DataType::I64),
        ("i64.nrrd", "c.mgh", DataType::U8),
        ("f64.mha", "d.nii.gz", DataType::F64),
        ("f64.mha", "d.mgz", DataType::F32),
    ] {
        assert_eq!(converted(&path(from), &path(to), |_| ()).unwrap(), number, "{from} → {to}");
        let read = |name: &str| scan::read_series(path(name), &ReadOptions::default()).unwrap();
        assert_eq!(values(&read(from)), values(&read(to)), "{from} → {to}");
        assert_eq!(read(to).data_type, number);
    }
    let asked = |from: &str, to: &str, number| {
        converted(&path(from), &path(to), |options| options.data_type = Some(number))
    };
    assert_eq!(asked("u16.nii", "e.mha", DataType::F64).unwrap(), DataType::F64);
    // NIfTI scales; the others would lose what is behind the point.
    assert_eq!(asked("f64.mha", "e.nii", DataType::I16).unwrap(), DataType::I16);
    assert!(asked("f64.mha", "e.nrrd", DataType::I16).unwrap_err().to_string().contains("int16"));
    assert!(asked("u16.nii", "f.mgz", DataType::U16).unwrap_err().to_string().contains("uint16"));
    assert!(converted(&path("u16.nii"), &path("a.mnc"), |_| ()).unwrap_err().to_string().contains(".mgz"));
    // What float32 does not hold is counted.
    let third = [1.0f64 / 3.0; 8];
    let bytes: Vec<u8> = third.iter().flat_map(|v| v.to_le_bytes()).collect();
    let text = NRRD.replace("short", "double");
    fs::write(path("third.nrrd"), [text.as_bytes(), &bytes].concat()).unwrap();
    assert_eq!(scan::read_series(path("third.nrrd"), &ReadOptions::default()).unwrap().rounded, 8);
}

#[test]
fn what_is_not_finite_stays_in_a_conversion_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let value = |n: usize| {
        if n == 7 {
            f32::NAN
        } else if n == 8 {
            f32::NEG_INFINITY
        } else {
            n as f32
        }
    };
    scan::write(path("a.nii"), &series([4, 3, 2], 1, Matrix4::identity(), value), &WriteOptions::default())
        .unwrap();
    converted(&path("a.nii"), &path("b.mgz"), |_| ()).unwrap();
    let back = scan::read_series(path("b.mgz"), &ReadOptions::default()).unwrap();
    let back = back.frames[0].data.iter().copied().collect::<Vec<_>>();
    assert!(back[7].is_nan() && back[8] == f32::NEG_INFINITY && back[9] == 9.0);
    assert!(scan::read(path("b.mgz"), &ReadOptions::default()).unwrap_err().to_string().contains("finite"));
    converted(&path("a.nii"), &path("c.mgz"), |options| options.read.nan_to_zero = true).unwrap();
    assert_eq!(scan::read(path("c.mgz"), &ReadOptions::default()).unwrap().data[[0, 0, 1, 3]], 0.0);
}

#[test]
fn colours_go_from_format_to_format_but_not_into_mgh() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let rgb = fixtures().join("rgb.nrrd");
    for name in ["a.mha", "a.nii.gz", "a.nrrd"] {
        converted(&rgb, &path(name), |_| ()).unwrap();
        let [back, first] =
            [path(name), rgb.clone()].map(|path| scan::read(path, &ReadOptions::default()).unwrap());
        assert_eq!(back.data, first.data, "{name}");
    }
    let message = converted(&rgb, &path("a.mgz"), |_| ()).unwrap_err().to_string();
    assert!(message.contains("channels") && !path("a.mgz").exists(), "{message}");
}

#[test]
fn long_axes_and_wishes_make_nifti_2() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let size = |name: &str| {
        let bytes = fs::read(path(name)).unwrap();
        i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    };
    let turned = affine([0.3, -0.2, 1.1], [0.7, 1.1, 2.3], 0.0, true);
    for (name, dims, nifti_2, expected) in [
        ("a.nii", [40_000, 2, 1], false, 540),
        ("b.nii", [3, 2, 1], false, 348),
        ("c.nii", [3, 2, 1], true, 540),
    ] {
        let frames = series(dims, 1, turned, |n| n as f32);
        scan::write(path(name), &frames, &WriteOptions { nifti_2, ..WriteOptions::default() }).unwrap();
        assert_eq!(size(name), expected, "{name}");
        let back = scan::read(path(name), &ReadOptions::default()).unwrap();
        assert_eq!(back.data, frames[0].data, "{name}");
        // Its sform is float64: nothing is lost.
        assert!(apart(&back.affine, &turned) <= if expected == 540 { 0.0 } else { 1e-5 }, "{name}");
    }
}

#[test]
fn arrays_have_the_axes_of_nibabel_in_either_order() {
    let folder = tempfile::tempdir().unwrap();
    // np.arange(24, dtype='<i2').reshape(2, 3, 4), in C order: the value at (i, j, k) is 12 i + 4 j + k.
    let head = |order: &str, shape: &str| {
        let text = format!("{{'descr': '<i2', 'fortran_order': {order}, 'shape': {shape}, }}");
        let padded = format!("{text:<117}\n");
        [b"\x93NUMPY\x01\x00".as_slice(), &(padded.len() as u16).to_le_bytes(), padded.as_bytes()].concat()
    };
    let numbers: Vec<u8> = (0..24i16).flat_map(i16::to_le_bytes).collect();
    let read = |order: &str, shape: &str| {
        let path = folder.path().join("a.npy");
        fs::write(&path, [head(order, shape), numbers.clone()].concat()).unwrap();
        assert!(scan::read(&path, &ReadOptions::default()).is_err());
        scan::read_series(&path, &ReadOptions::default())
    };
    let c = read("False", "(2, 3, 4)").unwrap();
    assert_eq!(c.frames[0].dims(), [2, 3, 4]);
    assert_eq!(c.frames[0].data[[0, 3, 2, 1]], 12.0 + 8.0 + 3.0);
    let fortran = read("True", "(2, 3, 4)").unwrap();
    assert_eq!(fortran.frames[0].data[[0, 3, 2, 1]], 1.0 + 2.0 * 2.0 + 6.0 * 3.0);
    let frames = read("False", "(2, 3, 2, 2)").unwrap().frames;
    assert_eq!((frames.len(), frames[1].dims()), (2, [2, 3, 2]));
    assert_eq!(frames[1].data[[0, 1, 2, 1]], 12.0 + 8.0 + 2.0 + 1.0);
    for wrong in ["(24,)", "(2, 3, 0)", "(2, 3, 4, 9)"] {
        assert!(read("False", wrong).is_err(), "{wrong}");
    }
}
