//! How a series was acquired, for the sidecar of BIDS.

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use serde::{Deserialize, Serialize};

use super::header::Values;

/// How a series was acquired: names and units of BIDS (seconds, degrees, tesla). Nothing that tells who was scanned, when or where.
///
/// Source: Brain Imaging Data Structure 1.10, "Magnetic Resonance Imaging"; the elements of PS3.3, C.8.3 and C.8.13.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs, reason = "fields are BIDS's own")]
pub struct Acquisition {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modality: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manufacturer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manufacturers_model_name: Option<String>,
    /// Tesla.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub magnetic_field_strength: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series_description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series_number: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub image_type: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scanning_sequence: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence_variant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan_options: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence_name: Option<String>,
    #[serde(rename = "MRAcquisitionType", skip_serializing_if = "Option::is_none")]
    pub mr_acquisition_type: Option<String>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub echo_time: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub echo_number: Option<i64>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repetition_time: Option<f64>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inversion_time: Option<f64>,
    /// Degrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flip_angle: Option<f64>,
    /// Millimetres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slice_thickness: Option<f64>,
    /// Millimetres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spacing_between_slices: Option<f64>,
    /// Hertz a pixel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pixel_bandwidth: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub echo_train_length: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number_of_averages: Option<f64>,
}

impl Acquisition {
    /// What `object` says, in functional groups (those of the first frame) before the data set itself.
    pub(super) fn of(object: &InMemDicomObject) -> Self {
        let shared = object.item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
        let frame = object.item(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
        let group = |sequence| {
            frame
                .and_then(|frame| frame.item(sequence))
                .or_else(|| shared.and_then(|shared| shared.item(sequence)))
        };
        let number = |sequence, tags: &[dicom_object::Tag]| {
            let within = group(sequence).and_then(|item| tags.iter().find_map(|&tag| item.number(tag)));
            within.or_else(|| tags.iter().find_map(|&tag| object.number(tag)))
        };
        let timing = tags::MR_TIMING_AND_RELATED_PARAMETERS_SEQUENCE;
        let modifier = tags::MR_MODIFIER_SEQUENCE;
        let measures = tags::PIXEL_MEASURES_SEQUENCE;
        let positive = |number: Option<f64>| number.filter(|&number| number > 0.0);
        // The standard has milliseconds, BIDS seconds; the quotient is what the decimal number means.
        let seconds = |number: Option<f64>| positive(number).map(|ms| ms / 1000.0);
        let whole = |number: Option<f64>| number.filter(|n| n.fract() == 0.0).map(|n| n as i64);
        Self {
            modality: object.text(tags::MODALITY),
            manufacturer: object.text(tags::MANUFACTURER),
            manufacturers_model_name: object.text(tags::MANUFACTURER_MODEL_NAME),
            magnetic_field_strength: positive(object.number(tags::MAGNETIC_FIELD_STRENGTH)),
            series_description: object.text(tags::SERIES_DESCRIPTION),
            protocol_name: object.text(tags::PROTOCOL_NAME),
            series_number: whole(object.number(tags::SERIES_NUMBER)),
            image_type: object.texts(tags::IMAGE_TYPE),
            scanning_sequence: object.text(tags::SCANNING_SEQUENCE),
            sequence_variant: object.text(tags::SEQUENCE_VARIANT),
            scan_options: object.text(tags::SCAN_OPTIONS),
            sequence_name: object
                .text(tags::SEQUENCE_NAME)
                .or_else(|| object.text(tags::PULSE_SEQUENCE_NAME)),
            mr_acquisition_type: object.text(tags::MR_ACQUISITION_TYPE),
            echo_time: seconds(number(tags::MR_ECHO_SEQUENCE, &[tags::EFFECTIVE_ECHO_TIME, tags::ECHO_TIME])),
            echo_number: whole(object.number(tags::ECHO_NUMBERS)),
            repetition_time: seconds(number(timing, &[tags::REPETITION_TIME])),
            inversion_time: seconds(number(modifier, &[tags::INVERSION_TIMES, tags::INVERSION_TIME])),
            flip_angle: positive(number(timing, &[tags::FLIP_ANGLE])),
            slice_thickness: positive(number(measures, &[tags::SLICE_THICKNESS])),
            spacing_between_slices: positive(number(measures, &[tags::SPACING_BETWEEN_SLICES])),
            pixel_bandwidth: positive(number(tags::MR_IMAGING_MODIFIER_SEQUENCE, &[tags::PIXEL_BANDWIDTH])),
            echo_train_length: whole(number(timing, &[tags::ECHO_TRAIN_LENGTH, tags::RF_ECHO_TRAIN_LENGTH])),
            number_of_averages: positive(number(tags::MR_AVERAGES_SEQUENCE, &[tags::NUMBER_OF_AVERAGES])),
        }
    }
}
