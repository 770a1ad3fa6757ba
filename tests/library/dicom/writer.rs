//! Writes DICOM files: slices of an MR series whose voxels and place are known in closed form.

use std::path::{Path, PathBuf};

use dicom_core::value::{DataSetSequence, PrimitiveValue};
use dicom_core::{DataElement, Tag, VR, dicom_value};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use dicom_transfer_syntax_registry::entries::EXPLICIT_VR_LITTLE_ENDIAN;

/// Columns and rows of the slices.
pub const SIZE: [usize; 2] = [5, 4];
/// From column to column and from row to row.
pub const SPACING: [f64; 2] = [1.25, 1.5];
/// Between slices.
pub const STEP: f64 = 2.0;
/// Centre of the first voxel, in patient coordinates.
pub const FIRST: [f64; 3] = [10.0, -20.0, 30.0];
/// A patient that no test may meet again.
pub const IDENTIFYING: [(Tag, VR, &str); 12] = [
    (tags::PATIENT_NAME, VR::PN, "Doe^Secretive"),
    (tags::PATIENT_ID, VR::LO, "SECRET-4711"),
    (tags::PATIENT_BIRTH_DATE, VR::DA, "19610203"),
    (tags::PATIENT_COMMENTS, VR::LT, "SECRET comment"),
    (tags::INSTITUTION_NAME, VR::LO, "SECRET hospital"),
    (tags::INSTITUTION_ADDRESS, VR::ST, "SECRET street"),
    (tags::REFERRING_PHYSICIAN_NAME, VR::PN, "SECRET^Physician"),
    (tags::OPERATORS_NAME, VR::PN, "SECRET^Operator"),
    (tags::STUDY_DATE, VR::DA, "20010203"),
    (tags::ACCESSION_NUMBER, VR::SH, "SECRET-ACC"),
    (tags::IMAGE_COMMENTS, VR::LT, "SECRET image"),
    (tags::DEVICE_SERIAL_NUMBER, VR::LO, "SECRET-DEV"),
];

pub type Object = InMemDicomObject;

pub fn put(object: &mut Object, tag: Tag, vr: VR, value: impl Into<PrimitiveValue>) {
    object.put(DataElement::new(tag, vr, value.into()));
}

/// Decimal strings.
pub fn numbers(object: &mut Object, tag: Tag, values: &[f64]) {
    let text: Vec<String> = values.iter().map(f64::to_string).collect();
    put(object, tag, VR::DS, PrimitiveValue::Strs(text.into()));
}

pub fn whole(object: &mut Object, tag: Tag, value: u16) {
    put(object, tag, VR::US, dicom_value!(U16, [value]));
}

/// An item of a sequence, or several.
pub fn sequence(object: &mut Object, tag: Tag, items: Vec<Object>) {
    object.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
}

/// The value of voxel `(column, row)` of slice `slice`.
pub fn value(column: usize, row: usize, slice: usize) -> u16 {
    (column + 10 * row + 100 * slice) as u16
}

/// The pixels of a slice, 16 bits each.
pub fn pixels(slice: usize) -> Vec<u16> {
    (0..SIZE[1]).flat_map(|row| (0..SIZE[0]).map(move |column| value(column, row, slice))).collect()
}

/// Slice `slice` of series 7, axial, without its pixels.
pub fn header(slice: usize) -> Object {
    let mut object = Object::new_empty();
    let o = &mut object;
    put(o, tags::SOP_CLASS_UID, VR::UI, uids::MR_IMAGE_STORAGE);
    put(o, tags::SOP_INSTANCE_UID, VR::UI, format!("1.2.3.4.{slice}"));
    put(o, tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.9876");
    put(o, tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3");
    put(o, tags::MODALITY, VR::CS, "MR");
    put(o, tags::MANUFACTURER, VR::LO, "Maker");
    put(o, tags::SERIES_DESCRIPTION, VR::LO, "made head");
    put(o, tags::PROTOCOL_NAME, VR::LO, "T1 made");
    put(o, tags::SERIES_NUMBER, VR::IS, "7");
    put(o, tags::INSTANCE_NUMBER, VR::IS, format!("{}", slice + 1));
    put(o, tags::IMAGE_TYPE, VR::CS, dicom_value!(Strs, ["ORIGINAL", "PRIMARY", "M"]));
    put(o, tags::ECHO_TIME, VR::DS, "4.5");
    put(o, tags::REPETITION_TIME, VR::DS, "2300");
    put(o, tags::FLIP_ANGLE, VR::DS, "9");
    put(o, tags::MAGNETIC_FIELD_STRENGTH, VR::DS, "3");
    numbers(o, tags::IMAGE_POSITION_PATIENT, &[FIRST[0], FIRST[1], FIRST[2] + STEP * slice as f64]);
    numbers(o, tags::IMAGE_ORIENTATION_PATIENT, &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    numbers(o, tags::PIXEL_SPACING, &[SPACING[1], SPACING[0]]);
    numbers(o, tags::SLICE_THICKNESS, &[STEP]);
    grey(o, 16, 12, false);
    for (tag, vr, text) in IDENTIFYING {
        put(o, tag, vr, text);
    }
    object
}

/// One sample a pixel, of this many bits.
pub fn grey(object: &mut Object, allocated: u16, stored: u16, signed: bool) {
    whole(object, tags::ROWS, SIZE[1] as u16);
    whole(object, tags::COLUMNS, SIZE[0] as u16);
    whole(object, tags::SAMPLES_PER_PIXEL, 1);
    put(object, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2");
    whole(object, tags::BITS_ALLOCATED, allocated);
    whole(object, tags::BITS_STORED, stored);
    whole(object, tags::HIGH_BIT, stored.saturating_sub(1));
    whole(object, tags::PIXEL_REPRESENTATION, signed.into());
}

/// A slice with its pixels.
pub fn slice(slice: usize) -> Object {
    let mut object = header(slice);
    words(&mut object, pixels(slice));
    object
}

pub fn words(object: &mut Object, pixels: Vec<u16>) {
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
}

/// Writes `object` as `folder/name` in explicit little endian.
pub fn write(folder: &Path, name: &str, object: &Object) -> PathBuf {
    write_as(folder, name, object, uids::EXPLICIT_VR_LITTLE_ENDIAN)
}

pub fn write_as(folder: &Path, name: &str, object: &Object, syntax: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    if syntax == uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN {
        let mut deflated = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        object.write_dataset_with_ts(&mut deflated, &EXPLICIT_VR_LITTLE_ENDIAN.erased()).unwrap();
        std::fs::write(&path, raw(&deflated.finish().unwrap(), syntax)).unwrap();
        return path;
    }
    let meta = FileMetaTableBuilder::new().transfer_syntax(syntax);
    object.clone().with_meta(meta).unwrap().write_to_file(&path).unwrap();
    path
}

/// A file of this data set, which is encoded already, after the least of meta information.
pub fn raw(elements: &[u8], syntax: &str) -> Vec<u8> {
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM\x02\x00\x10\x00UI");
    let mut uid = syntax.as_bytes().to_vec();
    uid.resize(uid.len().next_multiple_of(2), 0);
    bytes.extend((uid.len() as u16).to_le_bytes());
    bytes.extend(uid);
    bytes.extend(elements);
    bytes
}

/// A folder with these slices, called by their number.
pub fn folder(slices: impl IntoIterator<Item = Object>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    slices
        .into_iter()
        .enumerate()
        .for_each(|(n, slice)| drop(write(folder.path(), &format!("{n}.dcm"), &slice)));
    folder
}
