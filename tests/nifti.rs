//! NIfTI: what nibabel says of the fixtures, round trips through the writer, errors that name file and field, and a
//! long series of damaged files. The fixtures are made by `fixtures/nifti/make.py`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use nalgebra::{Matrix3, Matrix4, Rotation3, Vector3};
use ndarray::Array4;
use proptest::prelude::*;
use voxgan::io::nifti::{DataType, WriteOptions, read, read_bytes, read_frame, write, write_series};
use voxgan::io::scan::ReadOptions;
use voxgan::volume::{Volume, VoxelToWorld};

/// Counts the bytes in use, so that the test of damaged files can bound what a lying header costs.
#[global_allocator]
static MEMORY: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

#[derive(serde::Deserialize)]
struct Expected {
    shape: [usize; 4],
    affine: [[f64; 4]; 4],
    values: Vec<f32>,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nifti")
}

fn expected() -> BTreeMap<String, Expected> {
    serde_json::from_str(&fs::read_to_string(fixtures().join("expected.json")).unwrap()).unwrap()
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(fixtures().join(name)).unwrap()
}

/// The largest difference of two affines relative to the first one's largest entry.
fn affine_difference(a: &Matrix4<f64>, b: &Matrix4<f64>) -> f64 {
    (a - b).amax() / a.amax()
}

fn compare(name: &str, volume: &Volume, expected: &Expected) {
    assert_eq!(volume.data.shape(), expected.shape, "{name}");
    let affine = Matrix4::from_fn(|row, column| expected.affine[row][column]);
    // float32 fields, and a quaternion of three of them.
    assert!(affine_difference(&affine, &volume.affine) < 1e-6, "{name}: {affine}{}", *volume.affine);
    for (n, (found, expected)) in volume.data.iter().zip(&expected.values).enumerate() {
        // Magnitudes may be rounded differently in the last place.
        assert!(
            (found - expected).abs() <= expected.abs() * f32::EPSILON,
            "{name}[{n}]: {found}, not {expected}"
        );
    }
}

#[test]
fn agrees_with_nibabel() {
    let expected = expected();
    assert!(expected.len() > 50);
    for (key, expected) in &expected {
        let (name, frame) = key.split_once('#').map_or((key.as_str(), None), |(n, f)| (n, f.parse().ok()));
        compare(key, &read_frame(fixtures().join(name), frame).unwrap(), expected);
    }
}

#[test]
fn either_half_of_a_pair_names_it() {
    let expected = expected();
    for (image, header) in
        [("pair.img", "pair.hdr"), ("pair_be.img", "pair_be.hdr"), ("pair_gz.img.gz", "pair_gz.hdr.gz")]
    {
        compare(image, &read(fixtures().join(image)).unwrap(), &expected[header]);
    }
}

#[test]
fn provenance_says_what_was_read() {
    let volume = read(fixtures().join("c8_be_nifti1.nii")).unwrap();
    assert!(volume.provenance.source.ends_with("c8_be_nifti1.nii"));
    assert!(volume.provenance.steps[0].contains("magnitude of complex float32"), "{:?}", volume.provenance);
    let volume = read_frame(fixtures().join("series.nii"), Some(2)).unwrap();
    assert_eq!(volume.provenance.steps[1], "took frame 2 of 3");
}

/// A file's name, how its bytes are damaged, and the words that the error must have.
type Damage = (&'static str, fn(&mut Vec<u8>), &'static [&'static str]);

/// Overwrites the field at `offset`.
fn put<const N: usize>(bytes: &mut [u8], offset: usize, field: [u8; N]) {
    bytes[offset..offset + N].copy_from_slice(&field);
}

#[test]
fn bad_files_are_named_with_their_field() {
    const LE: &str = "f4_le_nifti1.nii";
    const BE: &str = "f4_be_nifti1.nii";
    const TWO: &str = "f4_be_nifti2.nii";
    let cases: &[Damage] = &[
        (LE, |b| b.clear(), &["sizeof_hdr", "empty"]),
        (LE, |b| *b = b"id,age\n1,30\n".to_vec(), &["sizeof_hdr", "text", "id,age"]),
        (LE, |b| b.truncate(200), &["header", "348", "200"]),
        (TWO, |b| b.truncate(400), &["header", "540", "400"]),
        (LE, |b| put(b, 0, [7, 7, 7, 7]), &["sizeof_hdr", "07070707"]),
        (LE, |b| put(b, 344, *b"abc\0"), &["magic", "abc", "ANALYZE"]),
        (LE, |b| put(b, 344, [0; 4]), &["magic", "ANALYZE"]),
        (TWO, |b| put(b, 8, [0]), &["magic"]),
        (LE, |b| put(b, 344, *b"ni1\0"), &["magic", "pair"]),
        (LE, |b| put(b, 40, 0i16.to_le_bytes()), &["dim[0]", "found 0"]),
        (LE, |b| put(b, 40, 8i16.to_le_bytes()), &["dim[0]", "found 8"]),
        (LE, |b| put(b, 40, (-3i16).to_le_bytes()), &["dim[0]", "-3"]),
        (TWO, |b| put(b, 16, 99i64.to_be_bytes()), &["dim[0]", "99"]),
        (LE, |b| put(b, 46, 0i16.to_le_bytes()), &["dim[3]", "found 0"]),
        (BE, |b| put(b, 44, (-2i16).to_be_bytes()), &["dim[2]", "found -2"]),
        (TWO, |b| put(b, 32, (-5i64).to_be_bytes()), &["dim[2]", "found -5"]),
        (TWO, |b| put(b, 32, (1i64 << 62).to_be_bytes()), &["dim", "4611686018427387904"]),
        (LE, |b| put(b, 42, [0xff, 0x7f, 0xff, 0x7f, 0xff, 0x7f]), &["voxels", "bytes", "448"]),
        (LE, |b| put(b, 70, 1i16.to_le_bytes()), &["datatype", "found 1"]),
        (LE, |b| put(b, 108, 100f32.to_le_bytes()), &["vox_offset", "352", "100"]),
        (LE, |b| put(b, 108, f32::NAN.to_le_bytes()), &["vox_offset", "NaN"]),
        (LE, |b| put(b, 108, 352.5f32.to_le_bytes()), &["vox_offset", "352.5"]),
        (TWO, |b| put(b, 168, (-1i64).to_be_bytes()), &["vox_offset", "-1"]),
        (LE, |b| put(b, 108, 1e9f32.to_le_bytes()), &["voxels", "cut off"]),
        (LE, |b| b.truncate(400), &["voxels", "448", "400", "cut off"]),
        (LE, |b| put(b, 280, [0; 48]), &["srow_x", "singular"]),
        (LE, |b| put(b, 280, f32::NAN.to_le_bytes()), &["srow_x", "NaN"]),
        (LE, |b| put(b, 123, [5]), &["xyzt_units", "found 5"]),
        ("qform_only.nii", |b| put(b, 256, 2f32.to_le_bytes()), &["quatern_b", "length"]),
        ("qform_only.nii", |b| put(b, 260, f32::INFINITY.to_le_bytes()), &["quatern_b", "inf"]),
        ("qform_only.nii", |b| put(b, 84, (-2f32).to_le_bytes()), &["pixdim[2]", "found -2"]),
        ("neither.nii", |b| put(b, 80, 0f32.to_le_bytes()), &["pixdim[1]", "found 0"]),
        ("scaled_i2_le.nii", |b| put(b, 116, f32::NAN.to_le_bytes()), &["scl_inter", "NaN"]),
        (LE, |b| put(b, 360, f32::NAN.to_le_bytes()), &["voxels", "1 of 24", "nan-to-zero"]),
        ("f8_le_nifti1.nii", |b| put(b, 360, 1e300f64.to_le_bytes()), &["voxels", "1 of 24", "float32"]),
        ("scaled_i2_le.nii.gz", |b| b.truncate(b.len() / 2), &["gzip stream", "end after"]),
        ("scaled_i2_le.nii.gz", |b| b.truncate(b.len() - 4), &["gzip stream"]),
        ("scaled_i2_le.nii.gz", |b| b.truncate(2), &["gzip stream"]),
        ("series.nii", |_| {}, &["dim[4]", "3 frames", "0 to 2"]),
        ("singletons.nii", |b| put(b, 50, 2i16.to_le_bytes()), &["dim[5]", "found 2"]),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (name, damage, words) in cases {
        let mut bytes = fixture(name);
        damage(&mut bytes);
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let message = read(&path).expect_err(name).to_string();
        for word in words.iter().chain([name]) {
            assert!(message.contains(word), "{word:?} is missing in: {message}");
        }
    }
}

#[test]
fn bad_places_and_frames_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let message = |path: &Path| read(path).unwrap_err().to_string();
    assert!(message(folder.path()).contains("a folder"));
    assert!(message(&folder.path().join("none.nii")).contains("none.nii: could not open"));
    let alone = folder.path().join("alone.hdr");
    fs::write(&alone, fixture("pair.hdr")).unwrap();
    assert!(message(&alone).contains("alone.img"));
    let error = read_frame(fixtures().join("series.nii"), Some(3)).unwrap_err().to_string();
    assert!(error.contains("0 to 2") && error.contains("found 3"), "{error}");
}

#[test]
fn a_wrong_gzip_checksum_is_found() {
    let mut bytes = fixture("scaled_i2_le.nii.gz");
    let at = bytes.len() - 8;
    bytes[at] ^= 1;
    let error = read_bytes(Path::new("a.nii.gz"), &bytes, &ReadOptions::default()).unwrap_err();
    assert!(error.to_string().contains("gzip stream"), "{error}");
}

#[test]
fn nan_can_be_read_as_zero() {
    let mut bytes = fixture("f4_le_nifti1.nii");
    put(&mut bytes, 352, f32::NAN.to_le_bytes());
    put(&mut bytes, 356, f32::NEG_INFINITY.to_le_bytes());
    let options = ReadOptions { nan_to_zero: true, ..ReadOptions::default() };
    let volume = read_bytes(Path::new("a.nii"), &bytes, &options).unwrap();
    let expected = &expected()["f4_le_nifti1.nii"].values;
    assert_eq!(volume.data.as_slice().unwrap()[..2], [0.0, 0.0]);
    assert_eq!(volume.data.as_slice().unwrap()[2..], expected[2..]);
    assert!(volume.provenance.steps[1].contains("replaced 2 voxels"));
}

/// An affine of rotation, zooms (the first axis mirrored) and a shift.
fn oblique() -> VoxelToWorld {
    let rotation = Rotation3::from_euler_angles(0.3, -1.1, 2.5);
    let zooms = Matrix3::from_diagonal(&Vector3::new(-0.8, 1.25, 3.0));
    VoxelToWorld::from_axes(&(rotation * zooms), &Vector3::new(-31.5, 12.25, 77.0)).unwrap()
}

/// A volume of `[1, 2, 3, 5]` voxels.
fn volume_of(value: impl Fn(usize) -> f32) -> Volume {
    let values = (0..30).map(value).collect();
    Volume::new(Array4::from_shape_vec([1, 2, 3, 5], values).unwrap(), oblique())
}

fn through_file(name: &str, volume: &Volume, data_type: DataType) -> (Volume, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    write(
        &path,
        volume,
        &WriteOptions { data_type, description: "a test".into(), ..WriteOptions::default() },
    )
    .unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    (read(&path).unwrap(), fs::read(&path).unwrap())
}

#[test]
fn float32_round_trip_is_exact() {
    let volume = volume_of(|n| (n as f32 * 1.7).sin() * 1e3);
    // A name with dots is one that writers have been known to cut.
    for name in ["sub-01.part.nii", "sub-01.part.nii.gz"] {
        let (back, _) = through_file(name, &volume, DataType::F32);
        assert_eq!(back.data, volume.data);
        assert!(affine_difference(&volume.affine, &back.affine) < 1e-7);
    }
}

#[test]
fn the_written_qform_equals_the_sform() {
    let half_turns =
        [[1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0], [-1.0, -1.0, -1.0], [-1.0, 1.0, 1.0]];
    let diagonal =
        |d: [f64; 3]| VoxelToWorld::from_axes(&Matrix3::from_diagonal(&d.into()), &Vector3::zeros()).unwrap();
    for affine in half_turns.into_iter().map(diagonal).chain([oblique(), VoxelToWorld::identity()]) {
        let mut volume = volume_of(|n| n as f32);
        volume.affine = affine;
        let (_, mut bytes) = through_file("a.nii", &volume, DataType::F32);
        assert_eq!(bytes[123], 2, "millimetres");
        assert!(bytes[148..].starts_with(b"a test\0"));
        put(&mut bytes, 254, 0i16.to_le_bytes());
        let back = read_bytes(Path::new("a.nii"), &bytes, &ReadOptions::default()).unwrap();
        assert!(back.provenance.steps[0].contains("qform"), "{:?}", back.provenance);
        assert!(affine_difference(&affine, &back.affine) < 1e-6, "{affine:?}{:?}", back.affine);
    }
}

#[test]
fn sheared_axes_have_no_qform() {
    let mut volume = volume_of(|n| n as f32);
    let mut sheared = *volume.affine;
    sheared[(0, 1)] += 0.3;
    volume.affine = VoxelToWorld::new(sheared).unwrap();
    let (back, bytes) = through_file("a.nii", &volume, DataType::F32);
    assert_eq!(bytes[252..254], [0, 0]);
    assert!(affine_difference(&volume.affine, &back.affine) < 1e-7);
}

#[test]
fn integers_keep_labels_and_zero_exact() {
    for data_type in [DataType::I16, DataType::U8] {
        let labels = volume_of(|n| (n % 19) as f32);
        assert_eq!(through_file("a.nii", &labels, data_type).0.data, labels.data);
        let brain = volume_of(|n| if n % 3 == 0 { 0.0 } else { n as f32 * 0.377 - 1.0 });
        let back = through_file("a.nii", &brain, data_type).0;
        for (back, value) in back.data.iter().zip(&brain.data) {
            assert!(*value != 0.0 || *back == 0.0, "zero became {back}");
        }
    }
}

#[test]
fn constant_and_not_finite_volumes_are_written() {
    for data_type in [DataType::I16, DataType::U8] {
        for value in [0.0, -3.7, 1e30, f32::MAX, 1e-40] {
            let constant = volume_of(|_| value);
            assert_eq!(through_file("a.nii", &constant, data_type).0.data, constant.data, "{value}");
        }
        let odd = volume_of(|n| [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.5, -2.0, 6.0][n % 6]);
        let back = through_file("a.nii", &odd, data_type).0;
        let found: Vec<f32> = back.data.iter().copied().take(6).collect();
        let step = 8.0 / 254.0;
        for (found, expected) in found.iter().zip([0.0, 6.0, -2.0, 0.5, -2.0, 6.0]) {
            assert!((found - expected).abs() < step, "{found}, not {expected}");
        }
        let nothing = volume_of(|_| f32::NAN);
        assert!(through_file("a.nii", &nothing, data_type).0.data.iter().all(|v| *v == 0.0));
    }
}

#[test]
fn colours_and_series_round_trip() {
    let colours = Array4::from_shape_fn([3, 2, 2, 3], |(c, z, y, x)| (c * 70 + z * 31 + y * 13 + x) as f32);
    let colours = Volume::new(colours, oblique());
    assert_eq!(through_file("a.nii.gz", &colours, DataType::U8).0.data, colours.data);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("walk.nii.gz");
    let frames = [volume_of(|n| n as f32 * 0.1), volume_of(|n| n as f32 * 0.7), volume_of(|_| -4.5)];
    write_series(&path, &frames, &WriteOptions { data_type: DataType::I16, ..WriteOptions::default() })
        .unwrap();
    for (n, frame) in frames.iter().enumerate() {
        let back = read_frame(&path, Some(n)).unwrap();
        let error = (&back.data - &frame.data).iter().fold(0f32, |m, d| m.max(d.abs()));
        assert!(error < (20.3 + 4.5) / 65_000.0, "{error}");
    }
}

#[test]
fn what_cannot_be_written_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let good = volume_of(|n| n as f32);
    let options = WriteOptions::default();
    let message = |name: &str, volume: &Volume, options: &WriteOptions| {
        write(folder.path().join(name), volume, options).unwrap_err().to_string()
    };
    assert!(message("a.mgz", &good, &options).contains(".nii.gz"));
    let long = WriteOptions { description: "x".repeat(80), ..options.clone() };
    assert!(message("a.nii", &good, &long).contains("79 bytes"));
    let mut moved = good.clone();
    moved.affine = moved.affine.with_origin_at([1.0; 3]);
    let two = Volume::new(Array4::zeros([2, 2, 2, 2]), oblique());
    assert!(message("a.nii", &two, &options).contains("channels"));
    let empty = Volume::new(Array4::zeros([1, 1, 1, 0]), oblique());
    assert!(message("a.nii", &empty, &options).contains("dim[1]"));
    let quadruple = WriteOptions { data_type: DataType::F128, ..options.clone() };
    assert!(message("a.nii", &good, &quadruple).contains("float128"));
    assert!(write_series(folder.path().join("a.nii"), &[good.clone(), moved], &options).is_err());
    assert!(write_series(folder.path().join("a.nii"), &[], &options).is_err());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Stored integers are off by half a step at most, whatever the values' range and offset.
    #[test]
    fn integers_are_as_near_as_they_can_be(
        values in proptest::collection::vec(-1f32..1.0, 30),
        scale in prop_oneof![1e-20f32..1e-10, 0.1f32..10.0, 1e5f32..1e20],
        offset in -20f32..20.0,
    ) {
        let volume = volume_of(|n| (values[n] + offset) * scale);
        let (min, max) = volume.data.iter().fold((f32::MAX, f32::MIN), |(a, b), v| (a.min(*v), b.max(*v)));
        let size = f64::from(min.abs().max(max.abs()));
        for (data_type, steps) in [(DataType::I16, 65_534.0), (DataType::U8, 254.0)] {
            let back = through_file("a.nii", &volume, data_type).0;
            // Where zero is kept exact the slope is rounded up by 1/256 at most.
            let half_step = f64::from(max - min) / steps * (1.0 + 1.0 / 256.0) / 2.0;
            for (back, value) in back.data.iter().zip(&volume.data) {
                let error = f64::from(back - value).abs();
                prop_assert!(error <= half_step + size * f64::from(f32::EPSILON), "{error} > {half_step}");
            }
        }
    }
}

/// A small generator of its own, so that the cases are the same everywhere and always.
struct Draw(u64);

impl Draw {
    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// Numbers that break arithmetic, as bytes of either order.
fn extreme(draw: &mut Draw) -> Vec<u8> {
    const I16: [i16; 6] = [0, 1, -1, i16::MIN, i16::MAX, 8];
    const I64: [i64; 6] = [0, -1, i64::MIN, i64::MAX, 1 << 32, 1 << 62];
    const F64: [f64; 8] = [0.0, -0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, 1e-310];
    let mut bytes = match draw.below(4) {
        0 => I16[draw.below(6)].to_le_bytes().to_vec(),
        1 => I64[draw.below(6)].to_le_bytes().to_vec(),
        2 => (F64[draw.below(8)] as f32).to_le_bytes().to_vec(),
        _ => F64[draw.below(8)].to_le_bytes().to_vec(),
    };
    if draw.below(2) == 0 {
        bytes.reverse();
    }
    bytes
}

fn damaged(draw: &mut Draw, original: &[u8]) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for _ in 0..=draw.below(3) {
        let header = bytes.len().min(552);
        match draw.below(4) {
            0 => bytes.truncate(draw.below(original.len() + 1)),
            1 if !bytes.is_empty() => {
                let at = draw.below(bytes.len());
                bytes[at] ^= 1 << draw.below(8);
            }
            2 if header > 0 => {
                let value = extreme(draw);
                // Fields lie at even places.
                let at = draw.below(header) & !1;
                bytes.iter_mut().skip(at).zip(value).for_each(|(byte, value)| *byte = value);
            }
            _ => bytes.extend(std::iter::repeat_n(draw.next() as u8, draw.below(64))),
        }
    }
    bytes
}

#[test]
fn damaged_files_neither_panic_nor_cost_memory() {
    let names = ["f4_le_nifti1.nii", "i2_be_nifti1.nii", "f4_be_nifti2.nii", "u8_le_nifti2.nii", "rgba.nii"];
    let more =
        ["c32_be_nifti1.nii", "qform_only.nii", "neither.nii", "series.nii", "extension.nii", "slice.nii"];
    let gz = ["scaled_i2_le.nii.gz", "members.nii.gz"];
    let originals: Vec<Vec<u8>> = names.iter().chain(&more).chain(&gz).map(|name| fixture(name)).collect();
    let mut draw = Draw(1);
    let (mut refused, cases) = (0, 20_000);
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    for case in 0..cases {
        let mut bytes = damaged(&mut draw, &originals[case % originals.len()]);
        if case % 5 == 0 {
            // The same behind a sound gzip stream.
            let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gz.write_all(&bytes).unwrap();
            bytes = gz.finish().unwrap();
        }
        let frame = (case % 3 == 0).then_some(case % 4);
        let options = ReadOptions { frame, nan_to_zero: case % 2 == 0, ..ReadOptions::default() };
        match read_bytes(Path::new("damaged.nii"), &bytes, &options) {
            Ok(volume) => assert!(volume.data.iter().all(|v| v.is_finite())),
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains("damaged.nii"), "{error}");
            }
        }
    }
    let peak = MEMORY.peak_usage() - before;
    assert!(refused > cases / 4 && refused < cases, "{refused} of {cases} refused");
    // The files are under 4 kB; buffers of 64 kB, and what the other tests of this binary hold, are the rest.
    assert!(peak < 32 << 20, "{peak} bytes");
}

#[test]
fn a_header_that_promises_the_world_costs_nothing() {
    let mut plain = fixture("f4_le_nifti1.nii");
    put(&mut plain, 42, [0xff, 0x7f, 0xff, 0x7f, 0xff, 0x7f]);
    plain.resize(1024, 0);
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gz.write_all(&plain).unwrap();
    for bytes in [plain, gz.finish().unwrap()] {
        let start = std::time::Instant::now();
        let error = read_bytes(Path::new("a.nii"), &bytes, &ReadOptions::default()).unwrap_err();
        // Said before a voxel is read: from the size of the file, or from what its gzip stream can hold at most.
        let most = if bytes.len() == 1024 { "found 1024" } else { "found at most" };
        assert!(error.to_string().contains("voxels") && error.to_string().contains(most), "{error}");
        assert!(start.elapsed().as_millis() < 100);
    }
}

/// What cargo-fuzz has found, kept: none of it may panic.
#[test]
fn fuzz_findings_stay_fixed() {
    let Ok(folder) = fs::read_dir(fixtures().join("fuzz")) else { return };
    for entry in folder {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        for nan_to_zero in [false, true] {
            let _ = read_bytes(&path, &bytes, &ReadOptions { nan_to_zero, ..ReadOptions::default() });
        }
    }
}

/// The codes of both forms are the scan's, whatever world it lies in.
#[test]
fn worlds_come_back_with_their_codes() {
    use voxgan::volume::World;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.nii");
    for world in [World::Scanner, World::Aligned, World::Talairach, World::Mni, World::Template] {
        let mut volume = Volume::new(Array4::from_elem((1, 2, 3, 4), 1.0), VoxelToWorld::identity());
        volume.provenance.world = world;
        write(&path, &volume, &WriteOptions::default()).unwrap();
        let bytes = fs::read(&path).unwrap();
        let code = world.code().to_le_bytes();
        assert_eq!(
            (&bytes[252..254], &bytes[254..256]),
            (&code[..], &code[..]),
            "qform and sform of {world:?}"
        );
        assert_eq!(read(&path).unwrap().provenance.world, world);
    }
    assert_eq!((World::of_code(0), World::of_code(9)), (World::Aligned, World::Aligned));
}

/// What contradicts itself in a header is in the record: sizes, sides, places, an infinite slope, a shear; else nothing is.
#[test]
fn doubts_about_a_header_are_told() {
    let sound = {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.nii");
        let volume =
            Volume::new(Array4::from_shape_fn((1, 4, 5, 6), |at| at.3 as f32), VoxelToWorld::identity());
        write(&path, &volume, &WriteOptions { data_type: DataType::I16, ..WriteOptions::default() }).unwrap();
        fs::read(&path).unwrap()
    };
    let steps = |changes: &[(usize, f32)]| {
        let mut bytes = sound.clone();
        for &(at, value) in changes {
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        read_bytes(Path::new("a.nii"), &bytes, &ReadOptions::default()).unwrap().provenance.steps[1..]
            .join("; ")
    };
    let [pixdim_1, slope, qfac, srow_x, srow_y] = [80, 112, 76, 280, 296];
    assert_eq!(steps(&[]), "");
    assert_eq!(steps(&[(pixdim_1, 1.005)]), "");
    for (changes, said) in [
        (&[(pixdim_1, 0.8)][..], "pixdim"),
        (&[(qfac, -1.0)], "which side is left"),
        (&[(srow_x + 12, 3.0)], "disagree by up to 3.0 mm"),
        (&[(slope, f32::INFINITY)], "scl_slope is inf"),
        (&[(slope, f32::NAN)], "scl_slope is NaN"),
        (&[(srow_y + 8, 0.3)], "right angles"),
    ] {
        let steps = steps(changes);
        assert!(steps.contains(said), "{said}: {steps}");
    }
}
