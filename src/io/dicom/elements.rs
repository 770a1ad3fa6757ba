//! The data elements of a DICOM file, one after the other (PS3.5, section 7): lengths and nesting are checked against what is there
//! before anything is kept, and of the elements only those asked for are.

use dicom_core::VR;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::{StandardDataDictionary, tags, uids};
use dicom_object::{InMemDicomObject, Tag};
use dicom_transfer_syntax_registry::entries::{
    EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN,
};

use super::input::Input;
use crate::error::Result;

/// Explicit big endian, which the standard has retired.
pub(super) const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
/// Sequences within sequences.
const MOST_DEPTH: usize = 16;
/// Bytes of the elements that are kept of a file.
const MOST_KEPT: usize = 256 << 20;
/// The length that stands for "up to the delimiter".
const UNDEFINED: u32 = u32::MAX;

const ITEM: Tag = Tag(0xfffe, 0xe000);
const ITEM_END: Tag = Tag(0xfffe, 0xe00d);
const SEQUENCE_END: Tag = Tag(0xfffe, 0xe0dd);

/// What a file holds: the elements that were asked for, and where its pixels lie.
pub(super) struct DataSet {
    /// The UID of its transfer syntax, or of the encoding that was found where it states none.
    pub syntax: String,
    pub object: InMemDicomObject,
    pub pixels: Option<Pixels>,
}

/// The element with the pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pixels {
    pub kind: PixelKind,
    /// Bytes before its value, after inflation.
    pub start: u64,
    /// Bytes of the value; none for frames in fragments.
    pub length: Option<u32>,
    pub big_endian: bool,
    /// Whether the file is long enough for it.
    pub whole: bool,
    /// Frames in fragments that the file can hold, each with eight bytes at least.
    pub most_frames: u64,
}

/// The type of pixels that stand for themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PixelKind {
    /// Pixel Data (7FE0,0010).
    Integer,
    /// Float Pixel Data (7FE0,0008).
    Float,
    /// Double Float Pixel Data (7FE0,0009).
    Double,
}

/// Reads the elements `wanted` of `input`, and finds its pixels, which are not read.
///
/// The file may lack preamble and meta information: then the encoding is told from its first element.
///
/// # Errors
/// [`Error::File`](crate::error::Error::File) for lengths beyond the end or the sequence around them, for sequences nested deeper
/// than 16, and for elements that cannot be understood; [`Error::Io`](crate::error::Error::Io).
pub(super) fn read(mut input: Input, wanted: impl Fn(Tag) -> bool) -> Result<DataSet> {
    to_data_set(&mut input)?;
    let mut walk = Walk { input, kept: Vec::new(), big: false };
    let mut syntax = walk.meta()?;
    if syntax == uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN {
        walk = Walk { input: walk.input.inflated(), kept: Vec::new(), big: false };
    } else if syntax.is_empty() {
        syntax = guess(walk.input.peek(6)?).to_string();
    }
    walk.big = syntax == BIG_ENDIAN;
    let explicit = syntax != uids::IMPLICIT_VR_LITTLE_ENDIAN;
    let pixels = walk.data_set(explicit, wanted)?;
    let written = match (explicit, walk.big) {
        (false, _) => IMPLICIT_VR_LITTLE_ENDIAN.erased(),
        (true, false) => EXPLICIT_VR_LITTLE_ENDIAN.erased(),
        (true, true) => EXPLICIT_VR_BIG_ENDIAN.erased(),
    };
    // The library's words may hold values, which may tell who the patient is.
    let object = InMemDicomObject::read_dataset_with_ts(&walk.kept[..], &written).map_err(|_| {
        walk.input.wrong("data set", "elements of the DICOM standard", "values that cannot be understood")
    })?;
    Ok(DataSet { syntax, object, pixels })
}

/// The inflated data set of a file whose transfer syntax is deflated, from its beginning.
pub(super) fn to_deflated<'a>(mut input: Input<'a>) -> Result<Input<'a>> {
    to_data_set(&mut input)?;
    let mut walk = Walk { input, kept: Vec::new(), big: false };
    walk.meta()?;
    Ok(walk.input.inflated())
}

/// Whether the bytes that a file begins with (at least 136 of them, if it has so many) are those of DICOM.
pub(super) fn starts_dicom(bytes: &[u8]) -> bool {
    if bytes.get(128..132) == Some(b"DICM") {
        return true;
    }
    // Files without preamble begin with a small group, an even element within it, and a plausible type or length.
    let Some(&[g0, g1, e0, e1, v0, v1, v2, v3]) = bytes.first_chunk::<8>() else { return false };
    let little = matches!((g0, g1), (2 | 8, 0)) && e1 <= 0x16;
    let big = (g0, g1) == (0, 8) && e0 <= 0x16;
    let typed = [v0, v1].iter().all(u8::is_ascii_uppercase);
    let short = u32::from_le_bytes([v0, v1, v2, v3]) <= 256;
    (little && (typed || short && (g0, g1) == (8, 0)) || big && typed) && (e0, e1) != (0xff, 0xff)
}

/// Skips preamble and prefix, if there are any.
fn to_data_set(input: &mut Input) -> Result<()> {
    if input.peek(132)?.get(128..132) == Some(b"DICM") {
        return input.skip(132);
    }
    Ok(())
}

/// The encoding of a data set that begins with these bytes, as the UID of a transfer syntax.
fn guess(start: &[u8]) -> &'static str {
    match start {
        [group, _, _, _, v0, v1] if v0.is_ascii_uppercase() && v1.is_ascii_uppercase() => {
            // Groups are below 256 at the start, so that their first byte is zero in big endian alone.
            if *group == 0 { BIG_ENDIAN } else { uids::EXPLICIT_VR_LITTLE_ENDIAN }
        }
        _ => uids::IMPLICIT_VR_LITTLE_ENDIAN,
    }
}

struct Element {
    tag: Tag,
    /// SQ or two zeros where it is implicit.
    vr: [u8; 2],
    length: u32,
}

/// A place among the elements of a file.
struct Walk<'a> {
    input: Input<'a>,
    /// Bytes of the elements that are kept.
    kept: Vec<u8>,
    big: bool,
}

impl Walk<'_> {
    /// Reads group 2, which is always explicit and little-endian, up to the data set; the UID of its transfer syntax.
    fn meta(&mut self) -> Result<String> {
        let mut syntax = Vec::new();
        while self.input.peek(2)? == [2, 0] {
            let Some(element) = self.element(true, false)? else { break };
            if element.tag == tags::TRANSFER_SYNTAX_UID && element.length <= 64 {
                self.input.read(element.length.into(), &mut syntax)?;
            } else {
                self.value(&element, true, false, 0)?;
            }
        }
        let text = String::from_utf8_lossy(&syntax);
        Ok(text.trim_matches(|c: char| c == '\0' || c.is_whitespace()).to_string())
    }

    /// Walks up to the pixels or the end, and keeps what is wanted.
    fn data_set(&mut self, explicit: bool, wanted: impl Fn(Tag) -> bool) -> Result<Option<Pixels>> {
        loop {
            let kept = self.kept.len();
            let Some(element) = self.element(explicit, true)? else { return Ok(None) };
            let kind = match element.tag {
                tags::PIXEL_DATA => Some(PixelKind::Integer),
                tags::FLOAT_PIXEL_DATA => Some(PixelKind::Float),
                tags::DOUBLE_FLOAT_PIXEL_DATA => Some(PixelKind::Double),
                _ => None,
            };
            if let Some(kind) = kind {
                self.kept.truncate(kept);
                let length = (element.length != UNDEFINED).then_some(element.length);
                let whole = length.is_none_or(|length| u64::from(length) <= self.input.left());
                let start = self.input.position;
                let most_frames = self.input.left() / 8;
                return Ok(Some(Pixels { kind, start, length, big_endian: self.big, whole, most_frames }));
            }
            let keep = wanted(element.tag);
            if !keep {
                self.kept.truncate(kept);
            }
            self.value(&element, explicit, keep, 0)?;
        }
    }

    /// The next element's tag, type and length, kept if `keep`; none at the end of the file.
    fn element(&mut self, explicit: bool, keep: bool) -> Result<Option<Element>> {
        let start = self.input.peek(8)?;
        if start.is_empty() {
            return Ok(None);
        }
        let mut head = Vec::with_capacity(12);
        self.input.read(8, &mut head)?;
        let tag = Tag(self.u16(&head[..2]), self.u16(&head[2..4]));
        let mut vr = [0; 2];
        let length = if !explicit || tag.0 == 0xfffe {
            vr = if is_sequence(tag) { *b"SQ" } else { vr };
            self.u32(&head[4..8])
        } else {
            vr = [head[4], head[5]];
            if is_long(vr) {
                self.input.read(4, &mut head)?;
                self.u32(&head[8..12])
            } else {
                self.u16(&head[6..8]).into()
            }
        };
        if keep {
            self.kept.extend(head);
        }
        Ok(Some(Element { tag, vr, length }))
    }

    /// Passes over the value of `element`, and keeps it if `keep`.
    fn value(&mut self, element: &Element, explicit: bool, keep: bool, depth: usize) -> Result<()> {
        let open = element.length == UNDEFINED;
        if !open && (&element.vr != b"SQ" || !keep) {
            // The library reads whole numbers, and would take what is left of one for the next element.
            if keep && !element.length.is_multiple_of(unit(element)) {
                return Err(self.input.wrong("data set", "lengths of whole numbers", "a part of one"));
            }
            return self.bytes(element.length.into(), keep);
        }
        if depth == MOST_DEPTH {
            let expected = format!("sequences nested at most {MOST_DEPTH} deep");
            return Err(self.input.wrong("data set", expected, "a deeper one"));
        }
        // Of type UN and undefined length is an implicit sequence (PS3.5, 6.2.2); of OB and OW, fragments.
        let explicit = explicit && &element.vr != b"UN";
        let fragments = matches!(&element.vr, b"OB" | b"OW");
        let end = (!open).then(|| self.input.position + u64::from(element.length));
        while self.within(end)? {
            let item = self.item(explicit, keep)?;
            match item.tag {
                SEQUENCE_END if open => return Ok(()),
                ITEM if fragments || (item.length != UNDEFINED && !keep) => {
                    self.bytes(item.length.into(), keep)?
                }
                ITEM => self.elements(item.length, explicit, keep, depth)?,
                _ => {
                    return Err(self.input.wrong(
                        "sequence",
                        "an item or the end of the sequence",
                        "another element",
                    ));
                }
            }
        }
        Ok(())
    }

    /// Passes over the elements of an item of `length` bytes.
    fn elements(&mut self, length: u32, explicit: bool, keep: bool, depth: usize) -> Result<()> {
        let open = length == UNDEFINED;
        let end = (!open).then(|| self.input.position + u64::from(length));
        while self.within(end)? {
            let element = self.item(explicit, keep)?;
            match element.tag {
                ITEM_END if open => return Ok(()),
                tag if tag.0 == 0xfffe => {
                    return Err(self.input.wrong("item", "an element", "the beginning or end of an item"));
                }
                _ => self.value(&element, explicit, keep, depth + 1)?,
            }
        }
        Ok(())
    }

    /// An element where one must be.
    fn item(&mut self, explicit: bool, keep: bool) -> Result<Element> {
        let element = self.element(explicit, keep)?;
        element.ok_or_else(|| self.input.wrong("sequence", "its end", "the end of the file"))
    }

    /// Whether bytes are left before `end`.
    fn within(&self, end: Option<u64>) -> Result<bool> {
        match end {
            Some(end) if self.input.position > end => {
                Err(self.input.wrong("sequence", "items within its length", "items that are longer"))
            }
            Some(end) => Ok(self.input.position < end),
            None => Ok(true),
        }
    }

    fn bytes(&mut self, count: u64, keep: bool) -> Result<()> {
        if !keep {
            return self.input.skip(count);
        }
        if count > self.input.left() {
            return Err(self.input.cut_off());
        }
        if count > (MOST_KEPT - self.kept.len().min(MOST_KEPT)) as u64 {
            return Err(self.input.wrong(
                "data set",
                format!("a header of at most {MOST_KEPT} bytes"),
                "more",
            ));
        }
        self.input.read(count, &mut self.kept)
    }

    fn u16(&self, bytes: &[u8]) -> u16 {
        let bytes = [bytes[0], bytes[1]];
        if self.big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    fn u32(&self, bytes: &[u8]) -> u32 {
        let bytes = [bytes[0], bytes[1], bytes[2], bytes[3]];
        if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }
}

/// Whether the dictionary says that `tag` is a sequence.
fn is_sequence(tag: Tag) -> bool {
    StandardDataDictionary.by_tag(tag).is_some_and(|entry| entry.vr().exact() == Some(VR::SQ))
}

/// Bytes of one number of the element's type, that of the dictionary where it is implicit; 1 of texts and others.
fn unit(element: &Element) -> u32 {
    let of_dictionary = || StandardDataDictionary.by_tag(element.tag).map(|entry| entry.vr().relaxed());
    match VR::from_binary(element.vr).or_else(of_dictionary) {
        Some(VR::US | VR::SS | VR::OW) => 2,
        Some(VR::UL | VR::SL | VR::FL | VR::AT | VR::OF | VR::OL) => 4,
        Some(VR::FD | VR::OD | VR::SV | VR::UV | VR::OV) => 8,
        _ => 1,
    }
}

/// Whether a length of this type takes four bytes (PS3.5, table 7.1-1): all but these, types to come among them.
fn is_long(vr: [u8; 2]) -> bool {
    !matches!(
        &vr,
        b"AE"
            | b"AS"
            | b"AT"
            | b"CS"
            | b"DA"
            | b"DS"
            | b"DT"
            | b"FD"
            | b"FL"
            | b"IS"
            | b"LO"
            | b"LT"
            | b"PN"
            | b"SH"
            | b"SL"
            | b"SS"
            | b"ST"
            | b"TM"
            | b"UI"
            | b"UL"
            | b"US"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by fuzzing: behind half a number the library took values for lengths, and reserved a gigabyte.
    #[test]
    fn a_part_of_a_number_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = |length: u8, vr: &[u8; 2]| {
            let mut bytes = b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 192\x28\x00\x02\x00".to_vec();
            bytes.extend([vr[0], vr[1], length, 0]);
            bytes.extend(vec![1; length.into()]);
            std::fs::write(file.path(), bytes).unwrap();
            read(Input::open(file.path()).unwrap(), |_| true).map(|set| set.object.iter().count())
        };
        assert_eq!(read(2, b"US").unwrap(), 2);
        assert_eq!(read(4, b"FL").unwrap(), 2);
        for (length, vr) in [(3, b"US"), (2, b"FL"), (6, b"UL"), (4, b"FD")] {
            assert!(read(length, vr).unwrap_err().to_string().contains("whole numbers"), "{length}");
        }
    }
}
