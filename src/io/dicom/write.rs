//! Volumes as MR series: a file a slice, new identifiers, and what tells that the image was derived.
//!
//! The standard: PS3.3 A.4 (MR Image IOD), C.7.6.1 (derivation), C.7.5.2 (contributing equipment); PS3.5 B.2 (UIDs from UUIDs).

use std::path::{Path, PathBuf};

use dicom_core::{DataElement, PrimitiveValue, VR, dicom_value};
use dicom_dictionary_std::{tags, uids};
use dicom_object::mem::InMemElement;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject, OpenFileOptions, Tag};
use nalgebra::{Matrix3, Vector3};
use ndarray::{Array3, Axis};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::places;
use crate::error::{Error, Result};
use crate::stats::nearest_rank;
use crate::volume::{Volume, VoxelToWorld};

/// What the images of a series are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Derivation {
    /// Converted from another format.
    Converted,
    /// Made by a generative network: nobody was scanned.
    Synthetic(String),
    /// Made of a scan by a network; the text says how.
    Restored(String),
}

/// Options of [`write`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// What the images are.
    pub derivation: Derivation,
    /// Series description; by default what follows from the derivation.
    pub description: Option<String>,
    /// The series that the volume was made of: a file or folder whose images are referenced.
    pub source: Option<PathBuf>,
    /// Whether patient and study are those of `source`; otherwise nothing of them is written.
    pub keep_patient: bool,
}

impl Default for Derivation {
    fn default() -> Self {
        Self::Converted
    }
}

/// The root of UIDs that are UUIDs.
const UUID_ROOT: &str = "2.25";
/// Coding scheme of what the standard has no code for.
const SCHEME: &str = "99VOXGAN";
/// The share of voxels that the window leaves out at either end.
const WINDOW: [f64; 2] = [0.01, 0.995];
/// Slices may lie so far, as a cosine, from right angles to each other.
const SKEW: f64 = 1e-3;

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

/// Writes `volume` `[1, D, H, W]` as a classic MR series into the folder `folder`, which is new or empty: a file for each slice, `0001.dcm` and so on, explicit
/// little endian. Values are stored in 16 bits: whole ones that fit as they are, others with the slope and intercept that use all of the range
/// (half a step, 1/131070 of the range, is the greatest error). Axes are flipped so that rows run to the patient's left or back, and columns to the
/// back or down, as they are displayed.
///
/// UIDs follow from the content and the derivation alone: the same volume gives the same series.
///
/// # Errors
/// [`Error::File`] for a volume of several channels, of more than 65535 voxels along an axis, or whose axes are not at right angles; for a
/// source that holds no images; [`Error::Io`] where it cannot be read or a file not written.
pub fn write(folder: &Path, volume: &Volume, options: &WriteOptions) -> Result<Vec<PathBuf>> {
    let wrong = |field: &str, expected: &str, found: String, advice: &str| {
        Error::file(folder, field, expected, found, advice)
    };
    if volume.channels() != 1 {
        return Err(wrong("channels", "one", volume.channels().to_string(), "write each channel by itself"));
    }
    let (data, affine) = displayed(volume);
    let (d, h, w) = data.dim();
    if h > usize::from(u16::MAX) || w > usize::from(u16::MAX) {
        return Err(wrong(
            "size",
            "65535 rows and columns at most",
            format!("{w} × {h}"),
            "crop or resample it",
        ));
    }
    let place = Place::of(&affine).ok_or_else(|| {
        let advice = "resample it to a grid with axes at right angles";
        wrong("axes", "at right angles to each other", "oblique ones".into(), advice)
    })?;
    let source = options.source.as_deref().map(|path| Source::read(path, &place, d)).transpose()?;
    let pixels = Pixels::of(&data);
    let kept = source.as_ref().filter(|_| options.keep_patient);
    let series = Series::new(volume, options, kept);
    let io = |source| Error::io(folder, "create this folder", source);
    if folder.read_dir().is_ok_and(|mut files| files.next().is_some()) {
        return Err(wrong("output", "a new or empty folder", "files in it".into(), "choose another folder"));
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(io)?;
    // Beside its place, so that there is the whole series or none.
    let mut beside = tempfile::Builder::new();
    beside.prefix(".voxgan");
    // As for any new folder: the umask takes from it what it takes.
    #[cfg(unix)]
    beside.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    let beside = beside.tempdir_in(parent).map_err(io)?;
    let name = |k: usize| format!("{:04}.dcm", k + 1);
    (0..d).into_par_iter().try_for_each(|k| {
        let mut object = series.object(k, &place, source.as_ref());
        pixels.put(&mut object, data.index_axis(Axis(0), k).iter().copied(), [h, w]);
        let meta = FileMetaTableBuilder::new()
            .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
            .implementation_class_uid(uid("implementation of voxgan", 0))
            .implementation_version_name("VOXGAN");
        let report = |e: String| wrong("elements", "those of an MR image", e, "report this");
        let file = object.with_meta(meta).map_err(|e| report(e.to_string()))?;
        file.write_to_file(beside.path().join(name(k)))
            .map_err(|e| Error::io(&folder.join(name(k)), "write it", std::io::Error::other(e)))
    })?;
    let written = beside.keep();
    let _ = std::fs::remove_dir(folder);
    if let Err(source) = std::fs::rename(&written, folder) {
        let _ = std::fs::remove_dir_all(&written);
        return Err(io(source));
    }
    Ok((0..d).map(|k| folder.join(name(k))).collect())
}

/// The voxels `[D, H, W]` and their place with axes flipped and exchanged as images are displayed: rows to the left or back, columns to
/// the back or down.
fn displayed(volume: &Volume) -> (Array3<f32>, VoxelToWorld) {
    let mut data = volume.data.index_axis(Axis(0), 0).to_owned();
    let (mut steps, mut origin) = (volume.affine.steps_mm(), volume.affine.origin_mm());
    let main = |axis: nalgebra::Vector3<f64>| axis.iamax();
    // A row does not run up or down where a column could.
    if main(steps.column(0).into_owned()) == 2 && main(steps.column(1).into_owned()) != 2 {
        data.swap_axes(1, 2);
        steps.swap_columns(0, 1);
    }
    for axis in 0..2 {
        let step = steps.column(axis).into_owned();
        // The world's axes point to the right, the front and up; those of displays the other way.
        if step[main(step)] > 0.0 {
            let length = data.shape()[2 - axis];
            data.invert_axis(Axis(2 - axis));
            origin += step * (length as f64 - 1.0);
            steps.set_column(axis, &-step);
        }
    }
    let affine = VoxelToWorld::from_axes(&steps, &origin)
        .expect("axes flipped and exchanged can be inverted as before");
    (data.as_standard_layout().into_owned(), affine)
}

/// Where slices lie, in patient coordinates: x to the left, y to the back (PS3.3, C.7.6.2.1.1).
struct Place {
    row: Vector3<f64>,
    column: Vector3<f64>,
    spacing_mm: [f64; 3],
    step: Vector3<f64>,
    origin: Vector3<f64>,
}

impl Place {
    /// That of an affine, unless its axes are not at right angles.
    fn of(affine: &VoxelToWorld) -> Option<Self> {
        let turn = Matrix3::from_diagonal(&Vector3::new(-1.0, -1.0, 1.0));
        let steps = turn * affine.steps_mm();
        let [i, j, k] = [0, 1, 2].map(|axis| steps.column(axis).into_owned());
        let [row, column, normal] = [i, j, k].map(|step| step.normalize());
        let square = [row.dot(&column), column.dot(&normal), normal.dot(&row)]
            .iter()
            .all(|cosine| cosine.abs() < SKEW);
        square.then(|| Self {
            row,
            column,
            spacing_mm: [i, j, k].map(|step| step.norm()),
            step: k,
            origin: turn * affine.origin_mm(),
        })
    }

    fn position(&self, slice: usize) -> Vector3<f64> {
        self.origin + slice as f64 * self.step
    }
}

/// How values are stored.
struct Pixels {
    signed: bool,
    slope: f64,
    intercept: f64,
    window: [f64; 2],
}

impl Pixels {
    fn of(data: &Array3<f32>) -> Self {
        let low = f64::from(data.iter().copied().fold(f32::INFINITY, f32::min));
        let high = f64::from(data.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let whole = data.iter().all(|x| x.fract() == 0.0);
        let fits = |least: f64, most: f64| whole && low >= least && high <= most;
        let (signed, slope, intercept) = if fits(0.0, 65535.0) {
            (false, 1.0, 0.0)
        } else if fits(-32768.0, 32767.0) {
            (true, 1.0, 0.0)
        } else {
            // As it is written, so that readers compute with the numbers that values were stored with.
            let slope = if high > low { written((high - low) / 65535.0) } else { 1.0 };
            (false, slope, written(low))
        };
        let mut shown: Vec<f64> = data.iter().filter(|x| **x != 0.0).map(|&x| f64::from(x)).collect();
        let [from, to] = WINDOW.map(|share| nearest_rank(&mut shown, share).unwrap_or(0.0));
        Self { signed, slope, intercept, window: [from, to.max(from + slope)] }
    }

    fn put(&self, object: &mut InMemDicomObject, values: impl Iterator<Item = f32>, [h, w]: [usize; 2]) {
        let stored = values.map(|x| ((f64::from(x) - self.intercept) / self.slope).round());
        let words: Vec<u16> = if self.signed {
            stored.map(|x| x.clamp(-32768.0, 32767.0) as i16 as u16).collect()
        } else {
            stored.map(|x| x.clamp(0.0, 65535.0) as u16).collect()
        };
        let [from, to] = self.window;
        let short = |tag, value: u16| DataElement::new(tag, VR::US, dicom_value!(U16, value));
        let elements = [
            short(tags::SAMPLES_PER_PIXEL, 1),
            text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
            short(tags::ROWS, h as u16),
            short(tags::COLUMNS, w as u16),
            short(tags::BITS_ALLOCATED, 16),
            short(tags::BITS_STORED, 16),
            short(tags::HIGH_BIT, 15),
            short(tags::PIXEL_REPRESENTATION, u16::from(self.signed)),
            decimals(tags::WINDOW_CENTER, &[0.5 * (from + to)]),
            decimals(tags::WINDOW_WIDTH, &[(to - from).max(1e-6)]),
            decimals(tags::RESCALE_INTERCEPT, &[self.intercept]),
            decimals(tags::RESCALE_SLOPE, &[self.slope]),
            text(tags::RESCALE_TYPE, VR::LO, "US"),
            DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(words.into())),
        ];
        elements.into_iter().for_each(|element| drop(object.put(element)));
    }
}

/// The images that a volume was made of.
struct Source {
    /// Class and instance of the image of each slice, or of all images where slices do not match.
    images: Vec<[String; 2]>,
    /// Whether image n is that of slice n.
    each: bool,
    patient: Vec<InMemElement>,
    frame_of_reference: Option<String>,
}

impl Source {
    fn read(path: &Path, place: &Place, slices: usize) -> Result<Self> {
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

/// What all slices have in common.
struct Series {
    elements: Vec<InMemElement>,
    /// What UIDs are made of.
    seed: String,
    of: usize,
}

impl Series {
    fn new(volume: &Volume, options: &WriteOptions, kept: Option<&Source>) -> Self {
        let mut hash = Sha256::new();
        volume.data.iter().for_each(|x| hash.update(x.to_le_bytes()));
        volume.affine.iter().for_each(|x| hash.update(x.to_le_bytes()));
        let seed = format!("{:x} {:?}", hash.finalize(), options.derivation);
        let (kind, name, code, told) = match &options.derivation {
            Derivation::Converted => (
                "CONVERTED",
                "converted",
                ["CONVERTED", "Converted from another format"],
                "Converted from another format".to_string(),
            ),
            Derivation::Synthetic(by) => (
                "SYNTHETIC",
                "SYNTHETIC",
                ["SYNTHETIC", "Generated by a neural network"],
                format!("SYNTHETIC: generated by {by}; nobody was scanned"),
            ),
            Derivation::Restored(by) => (
                "RESTORED",
                "RESTORED",
                ["RESTORED", "Restored by a neural network"],
                format!("Restored by {by}"),
            ),
        };
        let description = options.description.clone().unwrap_or_else(|| format!("voxgan {name}"));
        let patient = match &options.derivation {
            Derivation::Synthetic(_) => "Synthetic^Voxgan",
            _ => "Anonymous",
        };
        let empty = |tag, vr| DataElement::new(tag, vr, PrimitiveValue::Empty);
        let software = format!("voxgan {}", env!("CARGO_PKG_VERSION"));
        let equipment = InMemDicomObject::from_element_iter([
            sequence(
                tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE,
                vec![coded("109102", "DCM", "Processing Equipment")],
            ),
            text(tags::MANUFACTURER, VR::LO, "voxgan"),
            text(tags::MANUFACTURER_MODEL_NAME, VR::LO, "voxgan"),
            text(tags::SOFTWARE_VERSIONS, VR::LO, &software),
            text(tags::CONTRIBUTION_DESCRIPTION, VR::ST, &told),
        ]);
        let mut elements = vec![
            text(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"),
            DataElement::new(
                tags::IMAGE_TYPE,
                VR::CS,
                PrimitiveValue::Strs(
                    ["DERIVED", "SECONDARY", "OTHER", kind].map(String::from).to_vec().into(),
                ),
            ),
            text(tags::SOP_CLASS_UID, VR::UI, uids::MR_IMAGE_STORAGE),
            text(tags::PATIENT_NAME, VR::PN, patient),
            text(tags::PATIENT_ID, VR::LO, &format!("VOXGAN-{}", &seed[..12])),
            empty(tags::PATIENT_BIRTH_DATE, VR::DA),
            empty(tags::PATIENT_SEX, VR::CS),
            empty(tags::STUDY_DATE, VR::DA),
            empty(tags::STUDY_TIME, VR::TM),
            empty(tags::ACCESSION_NUMBER, VR::SH),
            empty(tags::REFERRING_PHYSICIAN_NAME, VR::PN),
            text(tags::STUDY_ID, VR::SH, "1"),
            text(tags::STUDY_INSTANCE_UID, VR::UI, &uid(&seed, 1)),
            text(tags::SERIES_INSTANCE_UID, VR::UI, &uid(&seed, 2)),
            text(tags::FRAME_OF_REFERENCE_UID, VR::UI, &uid(&seed, 3)),
            empty(tags::POSITION_REFERENCE_INDICATOR, VR::LO),
            text(tags::MODALITY, VR::CS, "MR"),
            text(tags::BODY_PART_EXAMINED, VR::CS, "BRAIN"),
            empty(tags::PATIENT_POSITION, VR::CS),
            empty(tags::LATERALITY, VR::CS),
            text(tags::SERIES_NUMBER, VR::IS, "1"),
            text(tags::SERIES_DESCRIPTION, VR::LO, &description),
            text(tags::MANUFACTURER, VR::LO, "voxgan"),
            text(tags::MANUFACTURER_MODEL_NAME, VR::LO, "voxgan"),
            text(tags::SOFTWARE_VERSIONS, VR::LO, &software),
            text(tags::DERIVATION_DESCRIPTION, VR::ST, &told),
            sequence(tags::DERIVATION_CODE_SEQUENCE, vec![coded(code[0], SCHEME, code[1])]),
            sequence(tags::CONTRIBUTING_EQUIPMENT_SEQUENCE, vec![equipment]),
            // Of the acquisition nothing is known.
            text(tags::SCANNING_SEQUENCE, VR::CS, "RM"),
            text(tags::SEQUENCE_VARIANT, VR::CS, "NONE"),
            empty(tags::SCAN_OPTIONS, VR::CS),
            text(tags::MR_ACQUISITION_TYPE, VR::CS, "3D"),
            empty(tags::REPETITION_TIME, VR::DS),
            empty(tags::ECHO_TIME, VR::DS),
            empty(tags::ECHO_TRAIN_LENGTH, VR::IS),
        ];
        match kept {
            Some(source) => {
                elements.extend(source.patient.iter().cloned());
                elements.extend(
                    source
                        .frame_of_reference
                        .iter()
                        .map(|own| text(tags::FRAME_OF_REFERENCE_UID, VR::UI, own)),
                );
            }
            None => {
                elements.push(text(tags::PATIENT_IDENTITY_REMOVED, VR::CS, "YES"));
                elements.push(text(tags::DEIDENTIFICATION_METHOD, VR::LO, "nothing of a patient was copied"));
            }
        }
        Self { elements, seed, of: volume.dims()[2] }
    }

    /// Slice `k`, without pixels.
    fn object(&self, k: usize, place: &Place, source: Option<&Source>) -> InMemDicomObject {
        let mut object = InMemDicomObject::from_element_iter(self.elements.iter().cloned());
        let mut put = |element| drop(object.put(element));
        put(text(tags::SOP_INSTANCE_UID, VR::UI, &uid(&self.seed, 4 + k)));
        put(text(tags::INSTANCE_NUMBER, VR::IS, &(k + 1).to_string()));
        put(text(tags::IMAGES_IN_ACQUISITION, VR::IS, &self.of.to_string()));
        let directions: Vec<f64> = place.row.iter().chain(place.column.iter()).copied().collect();
        put(decimals(tags::IMAGE_ORIENTATION_PATIENT, &directions));
        put(decimals(tags::IMAGE_POSITION_PATIENT, place.position(k).as_slice()));
        // Between rows first.
        put(decimals(tags::PIXEL_SPACING, &[place.spacing_mm[1], place.spacing_mm[0]]));
        put(decimals(tags::SLICE_THICKNESS, &[place.spacing_mm[2]]));
        put(decimals(tags::SPACING_BETWEEN_SLICES, &[place.spacing_mm[2]]));
        if let Some(source) = source {
            let of = if source.each { &source.images[k..=k] } else { &source.images };
            let item = |[class, instance]: &[String; 2]| {
                InMemDicomObject::from_element_iter([
                    text(tags::REFERENCED_SOP_CLASS_UID, VR::UI, class),
                    text(tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, instance),
                    sequence(
                        tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE,
                        vec![coded("121322", "DCM", "Source image for image processing operation")],
                    ),
                ])
            };
            put(sequence(tags::SOURCE_IMAGE_SEQUENCE, of.iter().map(item).collect()));
        }
        object
    }
}

/// The UID of number `n` of what `seed` names: a UUID of the hash of both, as a decimal number (PS3.5, B.2).
fn uid(seed: &str, n: usize) -> String {
    let hash = Sha256::digest(format!("{seed} {n}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    // Version 8 of RFC 9562, which leaves its bits to the one who makes them, and its variant.
    bytes[6] = 0x80 | bytes[6] & 0x0f;
    bytes[8] = 0x80 | bytes[8] & 0x3f;
    format!("{UUID_ROOT}.{}", u128::from_be_bytes(bytes))
}

fn text(tag: Tag, vr: VR, value: &str) -> InMemElement {
    DataElement::new(tag, vr, PrimitiveValue::from(value))
}

/// A number as it is written in a decimal string.
fn written(value: f64) -> f64 {
    decimal(value).parse().unwrap_or(value)
}

/// A decimal string of at most 16 characters (PS3.5, 6.2), as near to the value as they allow.
fn decimal(value: f64) -> String {
    let plain = value.to_string();
    if plain.len() <= 16 {
        return plain;
    }
    let candidates =
        (0..=15).rev().flat_map(|digits| [format!("{value:.digits$}"), format!("{value:.digits$e}")]);
    let mut best: Option<(f64, String)> = None;
    for text in candidates.filter(|text| text.len() <= 16) {
        let away = (text.parse::<f64>().unwrap_or(f64::INFINITY) - value).abs();
        if best.as_ref().is_none_or(|(least, _)| away < *least) {
            best = Some((away, text));
        }
    }
    best.map_or(plain, |(_, text)| text)
}

fn decimals(tag: Tag, values: &[f64]) -> InMemElement {
    let texts: Vec<String> = values.iter().map(|&value| decimal(value)).collect();
    DataElement::new(tag, VR::DS, PrimitiveValue::Strs(texts.into()))
}

fn sequence(tag: Tag, items: Vec<InMemDicomObject>) -> InMemElement {
    DataElement::new(tag, VR::SQ, dicom_core::value::DataSetSequence::from(items))
}

fn coded(value: &str, scheme: &str, meaning: &str) -> InMemDicomObject {
    InMemDicomObject::from_element_iter([
        text(tags::CODE_VALUE, VR::SH, value),
        text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, scheme),
        text(tags::CODE_MEANING, VR::LO, meaning),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_have_sixteen_characters_and_their_value() {
        for value in [
            1.0 / 3.0,
            -123456.789012345,
            1.234567890123e-7,
            -9.87654321e-12,
            0.1,
            -0.999999999999999,
            65535.0,
        ] {
            let text = decimal(value);
            assert!(
                text.len() <= 16 && (text.parse::<f64>().unwrap() - value).abs() <= 1e-9 * value.abs(),
                "{text}"
            );
        }
    }

    #[test]
    fn identifiers_are_uuids_and_differ() {
        let made: Vec<String> = (0..100).map(|n| uid("a", n)).collect();
        assert!(made.iter().all(|uid| uid.starts_with("2.25.") && uid.len() <= 64));
        let mut apart = made.clone();
        apart.sort();
        apart.dedup();
        assert_eq!(apart.len(), 100);
        assert_ne!(uid("a", 0), uid("b", 0));
        assert_eq!(uid("a", 0), uid("a", 0));
    }
}
