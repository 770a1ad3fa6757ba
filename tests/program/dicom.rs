//! DICOM from the command line: a series as a scan like any other, and nothing of a patient in what is written and said.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::open_file;
use flate2::read::GzDecoder;
use nalgebra::Matrix4;
use ndarray::Array4;
use voxgan::io::{dicom, nifti};
use voxgan::volume::{Volume, VoxelToWorld};

use crate::program::voxgan;

/// What nobody may meet again.
const SECRETS: [(dicom_object::Tag, VR, &str); 12] = [
    (tags::PATIENT_NAME, VR::PN, "Zyxwv^Quentin"),
    (tags::PATIENT_ID, VR::LO, "PID-471108"),
    (tags::PATIENT_BIRTH_DATE, VR::DA, "19610412"),
    (tags::PATIENT_COMMENTS, VR::LT, "zebrafish keeper"),
    (tags::STUDY_DATE, VR::DA, "20190829"),
    (tags::STUDY_TIME, VR::TM, "181732.25"),
    (tags::ACCESSION_NUMBER, VR::SH, "ACC-99281"),
    (tags::INSTITUTION_NAME, VR::LO, "Hospital of Nowhere"),
    (tags::REFERRING_PHYSICIAN_NAME, VR::PN, "Doctorow^Ada"),
    (tags::STATION_NAME, VR::SH, "STATION-XQ"),
    (tags::STUDY_INSTANCE_UID, VR::UI, "1.2.840.777888999.1"),
    (tags::SERIES_INSTANCE_UID, VR::UI, "1.2.840.777888999.2"),
];

/// A series of boxes within each other, in FreeSurfer's numbers, of somebody.
fn series(folder: &Path) -> Volume {
    let data = Array4::from_shape_fn((1, 16, 18, 20), |(_, k, j, i)| {
        let within = |edge: usize| {
            (edge..16 - edge).contains(&k) && (edge..18 - edge).contains(&j) && (edge..20 - edge).contains(&i)
        };
        match (within(6), within(4), within(2)) {
            (true, ..) => 4.0,
            (_, true, _) => 2.0,
            (.., true) => 3.0,
            _ => 0.0,
        }
    });
    let affine = VoxelToWorld::new(Matrix4::from_diagonal(&[2.0, 2.0, 2.0, 1.0].into())).unwrap();
    let volume = Volume::new(data, affine);
    for path in dicom::write(folder, &volume, &Default::default()).unwrap() {
        let mut file = open_file(&path).unwrap();
        for (tag, vr, value) in SECRETS {
            file.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
        }
        file.put(DataElement::new(tags::SERIES_DESCRIPTION, VR::LO, PrimitiveValue::from("T1w boxes")));
        file.write_to_file(&path).unwrap();
    }
    volume
}

/// The files below a folder, but for the series itself.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("patient") {
            files(&path, found);
        } else if path.is_file() {
            found.push(path);
        }
    }
}

#[test]
fn a_series_is_a_scan_and_its_patient_stays_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let truth = series(&place.join("patient"));
    let run = |line: &str| {
        let output = voxgan(&line.split(' ').collect::<Vec<_>>()).current_dir(place).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(0), "{line}\n{said}");
        said
    };
    let lines = [
        "info patient",
        "convert patient one.nii.gz -vv",
        "convert patient all",
        "convert patient one.mgz",
        "convert one.nii.gz again --to dicom --source patient",
        "n4 patient flat.nii.gz --shrink 1 --iterations 2",
        "resample patient fine.nii.gz --spacing-mm 1,1,1",
        "prepare patient cache --shape 16,16,16 --spacing-mm 4,4,4",
        "anatomy volumes --labels patient --out volumes -vv",
        "report volumes -o volumes.html",
        "score patient one.nii.gz --profile fastmri --json score.json",
        "simulate noise patient noisy.nii.gz",
    ];
    let said: Vec<String> = lines.into_iter().map(run).collect();
    assert!(
        said[0].contains("T1w boxes") && said[0].contains("20 × 18 × 16 voxels of 2 × 2 × 2 mm"),
        "{}",
        said[0]
    );
    assert_eq!(nifti::read(place.join("one.nii.gz")).unwrap().data.sum(), truth.data.sum());

    let mut written = Vec::new();
    files(place, &mut written);
    assert!(written.len() > 25, "{written:?}");
    for path in written {
        let mut bytes = fs::read(&path).unwrap();
        if bytes.starts_with(b"\x1f\x8b") {
            let mut inside = Vec::new();
            GzDecoder::new(&bytes[..]).read_to_end(&mut inside).unwrap();
            bytes = inside;
        }
        let text = String::from_utf8_lossy(&bytes);
        for (_, _, secret) in SECRETS {
            secret.split('^').for_each(|part| assert!(!text.contains(part), "{part} in {}", path.display()));
        }
    }
    for (line, said) in lines.iter().zip(said) {
        for (_, _, secret) in SECRETS {
            secret.split('^').for_each(|part| assert!(!said.contains(part), "{line} says {part}"));
        }
    }
}

#[test]
fn a_disc_of_several_series_is_listed_chosen_from_and_converted() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    series(&place.join("disc/a/patient"));
    let other = Volume::new(Array4::from_elem((1, 4, 5, 6), 7.0), VoxelToWorld::identity());
    for path in dicom::write(&place.join("disc/b"), &other, &Default::default()).unwrap() {
        let mut file = open_file(&path).unwrap();
        file.put(DataElement::new(tags::SERIES_NUMBER, VR::IS, PrimitiveValue::from("12")));
        file.write_to_file(&path).unwrap();
    }
    fs::write(place.join("disc/b/cut.dcm"), &fs::read(place.join("disc/b/0001.dcm")).unwrap()[..300])
        .unwrap();
    let run = |line: &str| {
        let output = voxgan(&line.split(' ').collect::<Vec<_>>()).current_dir(place).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code(), said)
    };
    let (code, said) = run("convert disc one.nii.gz");
    assert!(code == Some(1) && said.contains("--series"), "{said}");
    let (code, said) = run("convert disc one.nii.gz --series 12");
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(nifti::read(place.join("one.nii.gz")).unwrap().dims(), [6, 5, 4]);
    // A file that is cut off fails, and ends none of the series.
    let (code, said) = run("convert disc all");
    assert!(code == Some(4) && said.contains("cut.dcm"), "{said}");
    let made = fs::read_dir(place.join("all")).unwrap().count();
    assert_eq!(made, 4, "two volumes with their sidecars");
}
