//! Values in 16 bits, and the window that shows them.

use dicom_core::{DataElement, PrimitiveValue, VR, dicom_value};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use ndarray::Array3;

use super::elements::{decimals, text, written};
use crate::stats::nearest_rank;

/// The share of voxels that the window leaves out at either end.
const WINDOW: [f64; 2] = [0.01, 0.995];

/// How values are stored.
pub(super) struct Pixels {
    signed: bool,
    slope: f64,
    intercept: f64,
    window: [f64; 2],
}

impl Pixels {
    pub(super) fn of(data: &Array3<f32>) -> Self {
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

    pub(super) fn put(
        &self,
        object: &mut InMemDicomObject,
        values: impl Iterator<Item = f32>,
        [h, w]: [usize; 2],
    ) {
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
