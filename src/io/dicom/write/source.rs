//! The series that a volume was made of.

use std::path::Path;

use dicom_dictionary_std::tags;
use dicom_object::Tag;
use dicom_object::mem::InMemElement;

use super::Geometry;
use crate::error::{Error, Result};
use crate::io::dicom::header::Values;
use crate::io::dicom::{elements, places};

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

/// What refers to an image, and its place.
const OF_IMAGE: [Tag; 6] = [
    tags::SPECIFIC_CHARACTER_SET,
    tags::SOP_CLASS_UID,
    tags::SOP_INSTANCE_UID,
    tags::MODALITY,
    tags::IMAGE_POSITION_PATIENT,
    tags::FRAME_OF_REFERENCE_UID,
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
    /// The images in `path`, a file, folder, DICOMDIR or zip archive, for a volume of `slices` at `geometry`. Files that are no
    /// images, or are damaged, are left out.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::File`] where nothing can be read, or there are no images.
    pub(super) fn read(path: &Path, geometry: &Geometry, slices: usize) -> Result<Self> {
        let normal = geometry.step.normalize();
        let read = places::for_each(&places::find(path)?.places, |_, input| {
            let object =
                elements::read(input, |tag| OF_IMAGE.contains(&tag) || OF_PATIENT.contains(&tag))?.object;
            let along = object.vector(tags::IMAGE_POSITION_PATIENT).map_or(0.0, |place| normal.dot(&place));
            let [class, instance] = [tags::SOP_CLASS_UID, tags::SOP_INSTANCE_UID].map(|tag| object.text(tag));
            Ok(object.text(tags::MODALITY).and(class.zip(instance)).map(|uids| (along, uids, object)))
        });
        let mut found: Vec<_> = read.into_iter().flatten().flatten().collect();
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        let Some((_, _, first)) = found.first() else {
            let advice = "give the DICOM file or folder that the volume was made of";
            return Err(Error::file(path, "source", "the images of a series", "none", advice));
        };
        let near = |k: usize, along: f64| {
            (along - normal.dot(&geometry.position(k))).abs() < 0.5 * geometry.spacing_mm[2]
        };
        Ok(Self {
            each: found.len() == slices && found.iter().enumerate().all(|(k, (along, ..))| near(k, *along)),
            patient: OF_PATIENT.iter().filter_map(|&tag| first.get(tag).cloned()).collect(),
            frame_of_reference: first.text(tags::FRAME_OF_REFERENCE_UID),
            images: found.into_iter().map(|(_, uids, _)| uids.into()).collect(),
        })
    }
}
