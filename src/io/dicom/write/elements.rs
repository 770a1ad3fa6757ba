//! Elements of a data set, and identifiers.

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::mem::InMemElement;
use dicom_object::{InMemDicomObject, Tag};
use sha2::{Digest, Sha256};

/// The root of UIDs that are UUIDs.
const UUID_ROOT: &str = "2.25";

/// The UID of number `n` of what `seed` names: a UUID of the hash of both, as a decimal number (PS3.5, B.2).
pub(super) fn uid(seed: &str, n: usize) -> String {
    let hash = Sha256::digest(format!("{seed} {n}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    // Version 8 of RFC 9562, which leaves its bits to the one who makes them, and its variant.
    bytes[6] = 0x80 | bytes[6] & 0x0f;
    bytes[8] = 0x80 | bytes[8] & 0x3f;
    format!("{UUID_ROOT}.{}", u128::from_be_bytes(bytes))
}

pub(super) fn text(tag: Tag, vr: VR, value: &str) -> InMemElement {
    DataElement::new(tag, vr, PrimitiveValue::from(value))
}

/// A number as it is written in a decimal string.
pub(super) fn written(value: f64) -> f64 {
    decimal(value).parse().unwrap_or(value)
}

/// A decimal string of at most 16 characters (PS3.5, 6.2), as near to the value as they allow.
pub(super) fn decimal(value: f64) -> String {
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

pub(super) fn decimals(tag: Tag, values: &[f64]) -> InMemElement {
    let texts: Vec<String> = values.iter().map(|&value| decimal(value)).collect();
    DataElement::new(tag, VR::DS, PrimitiveValue::Strs(texts.into()))
}

pub(super) fn sequence(tag: Tag, items: Vec<InMemDicomObject>) -> InMemElement {
    DataElement::new(tag, VR::SQ, DataSetSequence::from(items))
}

pub(super) fn coded(value: &str, scheme: &str, meaning: &str) -> InMemDicomObject {
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
