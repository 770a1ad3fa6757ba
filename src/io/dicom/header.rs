//! The elements that reading needs, and their values. Whatever else a file holds, names and dates of the patient among it, is never
//! kept.

use dicom_core::VR;
use dicom_dictionary_std::tags;
use dicom_object::mem::InMemElement;
use dicom_object::{InMemDicomObject, Tag};
use nalgebra::Vector3;

/// Philips' scale slope: stored values times this are not display values, but those that the scanner measured.
pub(super) const PHILIPS_SCALE_SLOPE: Tag = Tag(0x2005, 0x100e);
/// Siemens' headers of image and series.
pub(super) const CSA_IMAGE: Tag = Tag(0x0029, 0x1010);
pub(super) const CSA_SERIES: Tag = Tag(0x0029, 0x1020);
/// Siemens' number of images in a mosaic, and matrix of the acquisition as text.
pub(super) const MOSAIC_IMAGES: Tag = Tag(0x0019, 0x100a);
pub(super) const MOSAIC_MATRIX: Tag = Tag(0x0051, 0x100b);
/// GE's part of the complex image: 0 magnitude, 1 phase, 2 real, 3 imaginary.
pub(super) const GE_COMPONENT: Tag = Tag(0x0043, 0x102f);

/// Letters of a text.
const MOST_TEXT: usize = 1024;

/// The elements that are read.
const WANTED: &[Tag] = &[
    tags::SPECIFIC_CHARACTER_SET,
    tags::IMAGE_TYPE,
    tags::SOP_CLASS_UID,
    tags::SOP_INSTANCE_UID,
    tags::MODALITY,
    tags::MANUFACTURER,
    tags::MANUFACTURER_MODEL_NAME,
    tags::SERIES_DESCRIPTION,
    tags::COMPLEX_IMAGE_COMPONENT,
    tags::ACQUISITION_CONTRAST,
    tags::SCANNING_SEQUENCE,
    tags::SEQUENCE_VARIANT,
    tags::SCAN_OPTIONS,
    tags::MR_ACQUISITION_TYPE,
    tags::SEQUENCE_NAME,
    tags::PULSE_SEQUENCE_NAME,
    tags::SLICE_THICKNESS,
    tags::REPETITION_TIME,
    tags::ECHO_TIME,
    tags::INVERSION_TIME,
    tags::NUMBER_OF_AVERAGES,
    tags::ECHO_NUMBERS,
    tags::MAGNETIC_FIELD_STRENGTH,
    tags::SPACING_BETWEEN_SLICES,
    tags::ECHO_TRAIN_LENGTH,
    tags::PIXEL_BANDWIDTH,
    tags::PROTOCOL_NAME,
    tags::TRIGGER_TIME,
    tags::FLIP_ANGLE,
    tags::SERIES_INSTANCE_UID,
    tags::SERIES_NUMBER,
    tags::ACQUISITION_NUMBER,
    tags::INSTANCE_NUMBER,
    tags::IMAGE_POSITION_PATIENT,
    tags::IMAGE_ORIENTATION_PATIENT,
    tags::TEMPORAL_POSITION_IDENTIFIER,
    tags::SAMPLES_PER_PIXEL,
    tags::PHOTOMETRIC_INTERPRETATION,
    tags::PLANAR_CONFIGURATION,
    tags::NUMBER_OF_FRAMES,
    tags::ROWS,
    tags::COLUMNS,
    tags::PIXEL_SPACING,
    tags::BITS_ALLOCATED,
    tags::BITS_STORED,
    tags::HIGH_BIT,
    tags::PIXEL_REPRESENTATION,
    tags::RESCALE_INTERCEPT,
    tags::RESCALE_SLOPE,
    tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
    tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
    PHILIPS_SCALE_SLOPE,
    CSA_IMAGE,
    CSA_SERIES,
    MOSAIC_IMAGES,
    MOSAIC_MATRIX,
    GE_COMPONENT,
];

/// Whether `tag` is among the elements that are read.
pub(super) fn wanted(tag: Tag) -> bool {
    WANTED.contains(&tag)
}

/// Values of a data set or an item, by tag. None where the element is missing, empty, or of another type.
pub(super) trait Values {
    /// Text without the blanks and zeros around it.
    fn text(&self, tag: Tag) -> Option<String>;
    /// Every text of an element.
    fn texts(&self, tag: Tag) -> Vec<String>;
    /// The first number, finite.
    fn number(&self, tag: Tag) -> Option<f64>;
    /// Exactly `N` numbers, all finite.
    fn numbers<const N: usize>(&self, tag: Tag) -> Option<[f64; N]>;
    /// Three numbers.
    fn vector(&self, tag: Tag) -> Option<Vector3<f64>> {
        self.numbers::<3>(tag).map(Vector3::from)
    }
    /// A whole number that is not negative.
    fn count(&self, tag: Tag) -> Option<usize> {
        let number = self.number(tag)?;
        (number >= 0.0 && number.fract() == 0.0 && number < 2f64.powi(52)).then_some(number as usize)
    }
    /// The items of a sequence.
    fn items(&self, tag: Tag) -> &[InMemDicomObject];
    /// The first item of a sequence.
    fn item(&self, tag: Tag) -> Option<&InMemDicomObject> {
        self.items(tag).first()
    }
    /// Bytes of an element that is not text.
    fn bytes(&self, tag: Tag) -> Option<Vec<u8>>;
}

/// The text of an element, of type UN, too, which is what programs that do not know an element make of it (PS3.5, 6.2.2).
fn string(element: &InMemElement) -> Option<String> {
    let text = match element.vr() {
        VR::UN => String::from_utf8_lossy(&element.to_bytes().ok()?).into_owned(),
        _ => element.to_str().ok()?.into_owned(),
    };
    Some(text.trim_matches(|c: char| c.is_whitespace() || c == '\0').to_string())
}

impl Values for InMemDicomObject {
    fn text(&self, tag: Tag) -> Option<String> {
        let text = string(self.get(tag)?)?;
        // What a terminal or a name cannot take is no part of a text, nor is more than the standard allows of several values.
        let text: String = text.chars().filter(|c| !c.is_control()).take(MOST_TEXT).collect();
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_string())
    }

    fn texts(&self, tag: Tag) -> Vec<String> {
        self.text(tag)
            .map_or(Vec::new(), |text| text.split('\\').map(|part| part.trim().to_string()).collect())
    }

    fn number(&self, tag: Tag) -> Option<f64> {
        let element = self.get(tag)?;
        let number = match element.vr() {
            VR::UN => string(element)?
                .split('\\')
                .next()
                .and_then(|text| text.trim().parse().ok())
                // Of an implicit private element: a float, of no type the library knows.
                .or_else(|| {
                    Some(f32::from_le_bytes(element.to_bytes().ok()?.as_ref().try_into().ok()?).into())
                })?,
            _ => element.to_float64().ok()?,
        };
        number.is_finite().then_some(number)
    }

    fn numbers<const N: usize>(&self, tag: Tag) -> Option<[f64; N]> {
        let element = self.get(tag)?;
        let numbers = match element.vr() {
            VR::UN => string(element)?
                .split('\\')
                .map(|part| part.trim().parse().ok())
                .collect::<Option<Vec<f64>>>()?,
            _ => element.to_multi_float64().ok()?,
        };
        let numbers: [f64; N] = numbers.try_into().ok()?;
        numbers.iter().all(|number| number.is_finite()).then_some(numbers)
    }

    fn items(&self, tag: Tag) -> &[InMemDicomObject] {
        self.get(tag).and_then(|element| element.items()).unwrap_or_default()
    }

    fn bytes(&self, tag: Tag) -> Option<Vec<u8>> {
        self.get(tag)?.to_bytes().ok().map(|bytes| bytes.into_owned())
    }
}
