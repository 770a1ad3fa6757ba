//! The series that a volume was made of.

use std::path::Path;

use dicom_dictionary_std::tags;
use dicom_object::mem::InMemElement;
use dicom_object::{InMemDicomObject, OpenFileOptions, Tag};
use nalgebra::Vector3;

use super::Place;
use crate::error::{Error, Result};
use crate::io::dicom::places;

/// Patient and study, as PS3.3 C.7.1.1 and C.7.2.1 name them, and what may be missing of them.
const OF_PATIENT: [Tag; 11] = [
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::PATIENT_AGE,
    tags::STUDY_INSTANCE_UID,
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::STUDY_ID,
    tags::ACCESSION_NUMBER,
];

/// The images that a volume was made of.
pub(super) struct Source {
    /// Class and instance of the image of each slice, or of all images where slices do not match.
    pub images: Vec<[String; 2]>,
    /// Whether image n is that of slice n.
    pub each: bool,
    pub patient: Vec<InMemElement>,
    pub frame_of_reference: Option<String>,
}

impl Source {
    pub(super) fn read(path: &Path, place: &Place, slices: usize) -> Result<Self> {
        let none = || {
            let advice = "give the DICOM file or folder that the volume was made of";
            Error::file(path, "source", "the images of a series", "none", advice)
        };
        let mut found: Vec<(f64, InMemDicomObject)> = Vec::new();
        for file in places::files(path) {
            let opened = OpenFileOptions::new().read_until(tags::PIXEL_DATA).open_file(&file);
            let Ok(object) = opened.map(|object| object.into_inner()) else { continue };
            if object.get(tags::SOP_INSTANCE_UID).is_none() || object.get(tags::MODALITY).is_none() {
                continue;
            }
            let position = object.get(tags::IMAGE_POSITION_PATIENT).and_then(|e| e.to_multi_float64().ok());
            let normal = place.step.normalize();
            let along =
                position.filter(|p| p.len() == 3).map_or(0.0, |p| normal.dot(&Vector3::from_row_slice(&p)));
            found.push((along, object));
        }
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (_, first) = found.first().ok_or_else(none)?;
        let string = |object: &InMemDicomObject, tag| {
            object.get(tag).and_then(|e| e.to_str().ok()).map(|s| s.trim_end_matches(['\0', ' ']).to_string())
        };
        let each = found.len() == slices
            && found.iter().enumerate().all(|(k, (along, _))| {
                (along - place.step.normalize().dot(&place.position(k))).abs() < 0.5 * place.spacing_mm[2]
            });
        Ok(Self {
            each,
            images: found
                .iter()
                .filter_map(|(_, object)| {
                    Some([string(object, tags::SOP_CLASS_UID)?, string(object, tags::SOP_INSTANCE_UID)?])
                })
                .collect(),
            patient: OF_PATIENT.iter().filter_map(|&tag| first.get(tag).cloned()).collect(),
            frame_of_reference: string(first, tags::FRAME_OF_REFERENCE_UID),
        })
    }
}
