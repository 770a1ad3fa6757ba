//! DICOM series that are written: read back here, by dcm2niix, and judged by dicom3tools and dcmtk.

use std::fs;
use std::path::{Path, PathBuf};

use dicom_dictionary_std::tags;
use dicom_object::{InMemDicomObject, OpenFileOptions};
use nalgebra::{Matrix4, Rotation3, Vector3};
use ndarray::Array4;
use voxgan::io::dicom::{self, Derivation, WriteOptions};
use voxgan::io::nifti;
use voxgan::volume::{Volume, VoxelToWorld};

use crate::needs;

/// A volume of whole numbers, all different, on an oblique grid of unequal voxels; `axes` are its axes in a box that is turned.
fn volume(axes: [[f64; 3]; 3], value: impl Fn(usize) -> f32) -> Volume {
    let shape = (1, 5, 7, 6);
    let mut next = 0;
    let data = Array4::from_shape_simple_fn(shape, || {
        next += 1;
        value(next)
    });
    let turn = Rotation3::from_euler_angles(0.15, -0.1, 0.2).to_homogeneous();
    let sizes = [0.9, 1.1, 2.5];
    let mut steps = Matrix4::identity();
    (0..3).for_each(|axis| (0..3).for_each(|row| steps[(row, axis)] = sizes[axis] * axes[axis][row]));
    let affine = Matrix4::new_translation(&Vector3::new(12.5, -31.25, 4.75)) * turn * steps;
    Volume::new(data, VoxelToWorld::new(affine).unwrap())
}

const RAS: [[f64; 3]; 3] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
/// Sagittal slices whose rows run upwards.
const SAGITTAL: [[f64; 3]; 3] = [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]];

/// Values of `found` at the places of the voxels of `truth`, which are voxels of both.
fn at_places(truth: &Volume, found: &Volume) -> Vec<[f32; 2]> {
    let back = found.affine.inverse() * *truth.affine;
    let voxel = |(_, k, j, i): (usize, usize, usize, usize), value: f32| {
        let at = back.transform_point(&[i as f64, j as f64, k as f64].into());
        let [i, j, k] = [at.x, at.y, at.z].map(|x| {
            assert!((x - x.round()).abs() < 1e-3, "{at}");
            x.round() as usize
        });
        [value, found.data[[0, k, j, i]]]
    };
    truth.data.indexed_iter().map(|(at, &value)| voxel(at, value)).collect()
}

fn header(path: &Path) -> InMemDicomObject {
    OpenFileOptions::new().read_until(tags::PIXEL_DATA).open_file(path).unwrap().into_inner()
}

fn text(object: &InMemDicomObject, tag: dicom_object::Tag) -> String {
    object.element(tag).unwrap().to_str().unwrap().trim_end_matches(['\0', ' ']).to_string()
}

fn written(folder: &Path, volume: &Volume, options: &WriteOptions) -> Vec<PathBuf> {
    dicom::write(folder, volume, options).unwrap()
}

#[test]
fn whole_numbers_come_back_as_they_were_and_others_within_half_a_step() {
    let folder = tempfile::tempdir().unwrap();
    for (n, axes) in [RAS, SAGITTAL].into_iter().enumerate() {
        let of = |name: &str| folder.path().join(format!("{name}{n}"));
        let whole = volume(axes, |n| n as f32 - 20.0);
        written(&of("whole"), &whole, &WriteOptions::default());
        let found = dicom::read(of("whole"), &Default::default()).unwrap();
        assert!(at_places(&whole, &found).into_iter().all(|[a, b]| a == b));
        let parts = volume(axes, |n| (n as f32).sin());
        written(&of("parts"), &parts, &WriteOptions::default());
        let found = dicom::read(of("parts"), &Default::default()).unwrap();
        assert!(at_places(&parts, &found).into_iter().all(|[a, b]| (a - b).abs() <= 2.001 / 131070.0));
        // Rows run to the left or back, columns to the back or down, as displays have it.
        let object = header(&of("whole").join("0001.dcm"));
        let directions = object.element(tags::IMAGE_ORIENTATION_PATIENT).unwrap().to_multi_float64().unwrap();
        let main = |direction: &[f64]| Vector3::from_row_slice(direction).iamax();
        let expected = if n == 0 { [0, 1] } else { [1, 2] };
        assert_eq!([main(&directions[..3]), main(&directions[3..])], expected);
        assert!(
            directions[expected[0]] > 0.0 && (directions[3 + expected[1]] > 0.0) == (n == 0),
            "{directions:?}"
        );
    }
}

#[test]
fn what_is_synthetic_says_so_and_nothing_of_a_patient_is_written_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let head = volume(RAS, |n| n as f32);
    let synthetic = WriteOptions {
        derivation: Derivation::Synthetic("voxgan, brain-4mm".into()),
        ..WriteOptions::default()
    };
    let files = written(&place("synthetic"), &head, &synthetic);
    let object = header(&files[0]);
    assert!(text(&object, tags::IMAGE_TYPE).ends_with("SYNTHETIC"));
    assert!(text(&object, tags::DERIVATION_DESCRIPTION).contains("nobody was scanned"));
    let equipment = object.element(tags::CONTRIBUTING_EQUIPMENT_SEQUENCE).unwrap().items().unwrap();
    assert!(text(&equipment[0], tags::CONTRIBUTION_DESCRIPTION).contains("brain-4mm"));
    assert_eq!(text(&object, tags::PATIENT_IDENTITY_REMOVED), "YES");
    // The same volume is the same series; another one is another, and so is each image.
    let again = header(&written(&place("again"), &head, &synthetic)[0]);
    let other = header(&written(&place("other"), &volume(RAS, |n| n as f32 + 1.0), &synthetic)[0]);
    let series = |object: &InMemDicomObject| text(object, tags::SERIES_INSTANCE_UID);
    assert!(series(&object) == series(&again) && series(&object) != series(&other));
    assert_ne!(text(&object, tags::SOP_INSTANCE_UID), text(&header(&files[1]), tags::SOP_INSTANCE_UID));

    // A source with a patient in it.
    let named = place("named");
    for path in written(&named, &head, &WriteOptions::default()) {
        let mut file = dicom_object::open_file(&path).unwrap();
        for (tag, vr, value) in [
            (tags::PATIENT_NAME, dicom_core::VR::PN, "Secret^Name"),
            (tags::PATIENT_ID, dicom_core::VR::LO, "4711"),
            (tags::PATIENT_BIRTH_DATE, dicom_core::VR::DA, "19610412"),
        ] {
            file.put(dicom_core::DataElement::new(tag, vr, dicom_core::PrimitiveValue::from(value)));
        }
        file.write_to_file(&path).unwrap();
    }
    let restored = |keep_patient: bool| WriteOptions {
        derivation: Derivation::Restored("superres".into()),
        source: Some(named.clone()),
        keep_patient,
        ..WriteOptions::default()
    };
    let object = header(&written(&place("plain"), &head, &restored(false))[2]);
    let sources = object.element(tags::SOURCE_IMAGE_SEQUENCE).unwrap().items().unwrap();
    // Slices of one place refer to each other.
    let third = header(&named.join("0003.dcm"));
    assert_eq!(sources.len(), 1);
    assert_eq!(text(&sources[0], tags::REFERENCED_SOP_INSTANCE_UID), text(&third, tags::SOP_INSTANCE_UID));
    let bytes = fs::read(place("plain").join("0003.dcm")).unwrap();
    for secret in ["Secret", "4711", "19610412"] {
        assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret}");
    }
    let object = header(&written(&place("kept"), &head, &restored(true))[0]);
    assert_eq!(text(&object, tags::PATIENT_NAME), "Secret^Name");
    assert_eq!(text(&object, tags::STUDY_INSTANCE_UID), text(&third, tags::STUDY_INSTANCE_UID));
    assert_ne!(series(&object), series(&third));
}

#[test]
fn what_cannot_be_a_series_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |volume: &Volume, options: &WriteOptions| {
        dicom::write(&folder.path().join("no"), volume, options).unwrap_err().to_string()
    };
    let colours = Volume::new(Array4::zeros((3, 2, 2, 2)), VoxelToWorld::identity());
    assert!(refused(&colours, &WriteOptions::default()).contains("channels"));
    let mut sheared = Matrix4::identity();
    sheared[(0, 1)] = 0.2;
    let sheared = Volume::new(Array4::zeros((1, 2, 2, 2)), VoxelToWorld::new(sheared).unwrap());
    assert!(refused(&sheared, &WriteOptions::default()).contains("right angles"));
    fs::create_dir(folder.path().join("empty")).unwrap();
    let source = WriteOptions { source: Some(folder.path().join("empty")), ..WriteOptions::default() };
    assert!(refused(&volume(RAS, |n| n as f32), &source).contains("source"));
    assert!(!folder.path().join("no").exists());
    // Files of others stay, and are not mixed with these.
    fs::create_dir(folder.path().join("no")).unwrap();
    fs::write(folder.path().join("no/mine.txt"), "mine").unwrap();
    assert!(refused(&volume(RAS, |n| n as f32), &WriteOptions::default()).contains("new or empty"));
}

#[test]
fn others_find_no_error_and_the_same_voxels() {
    let folder = tempfile::tempdir().unwrap();
    let (series, head) = (folder.path().join("series"), volume(RAS, |n| 3.0 * n as f32));
    let options =
        WriteOptions { derivation: Derivation::Restored("superres".into()), ..WriteOptions::default() };
    let files = written(&series, &head, &options);
    if let Some(mut dciodvfy) = needs::program("dicom3tools", "dciodvfy") {
        let output = dciodvfy.arg(&files[1]).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(said.contains("MRImage") && !said.contains("Error"), "{said}");
    }
    if let Some(mut dcmftest) = needs::program("dcmtk", "dcmftest") {
        let output = dcmftest.args(&files).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said.matches("yes:").count(), files.len(), "{said}");
    }
    if let Some(mut dcm2niix) = needs::program("dcm2niix", "dcm2niix") {
        dcm2niix.args(["-f", "x", "-o"]).arg(folder.path()).arg(&series).output().unwrap();
        let found = nifti::read(folder.path().join("x.nii")).unwrap();
        assert!(at_places(&head, &found).into_iter().all(|[a, b]| a == b));
    }
}
