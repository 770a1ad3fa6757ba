//! Numbers in MATLAB's `.mat` files: level 5 (versions 5 to 7), compressed or not, and version 7.3, which is HDF5.
//!
//! Level 5 is described in MathWorks' "MAT-File Format". Cells, structures, texts, sparse and complex arrays are
//! skipped.

use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::ZlibDecoder;
use ndarray::{ArrayD, IxDyn, ShapeBuilder};

use super::elements::{Element, Kind};
use super::hdf5::{Hdf5, is_hdf5};
use crate::error::{Error, Result};

/// Most bytes of a compressed element, whatever deflate makes of little: 512³ truth values are half of it.
const INFLATED_MAX: u64 = 1 << 28;

/// Bytes before the first element.
const HEADER: usize = 128;

/// Element types.
const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;

/// Array classes that hold numbers: double, single and integers of 8 to 64 bits; logical is uint8 with a flag.
const NUMERIC: std::ops::RangeInclusive<u32> = 6..=15;
const COMPLEX: u32 = 0x0800;

/// Reads every real numeric array with its name; axes are in MATLAB's order: rows, columns, pages.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read, [`Error::File`] where it is no `.mat` file of level 5 or 7.3 or is
/// damaged.
pub fn read(path: &Path) -> Result<Vec<(String, ArrayD<f32>)>> {
    if is_hdf5(path) {
        return read_hdf5(path);
    }
    let bytes = fs::read(path).map_err(|source| Error::io(path, "read the arrays", source))?;
    let wrong = |found: &str| {
        let advice = "save it in MATLAB with '-v7', or as .npy";
        Error::file(path, "header", "a .mat file of level 5 or version 7.3", found, advice)
    };
    let big_endian = match bytes.get(..HEADER).map(|header| (&header[126..], header)) {
        Some((b"IM", header)) if header[125] == 1 => false,
        Some((b"MI", header)) if header[124] == 1 => true,
        Some(_) => return Err(wrong("another kind of file")),
        None => return Err(wrong("the end of the file")),
    };
    let damaged = || {
        let advice = "the file is cut off or damaged: save or copy it again";
        Error::file(path, "arrays", "whole elements", "one that is cut off or contradicts itself", advice)
    };
    let mut arrays = Vec::new();
    let mut elements = Elements { bytes: &bytes[HEADER..], big_endian };
    while !elements.bytes.is_empty() {
        let (kind, content) = elements.next().ok_or_else(damaged)?;
        let inflated;
        let matrix = match kind {
            MATRIX => content,
            COMPRESSED => {
                inflated = inflate(content).ok_or_else(damaged)?;
                match (Elements { bytes: &inflated, big_endian }).next().ok_or_else(damaged)? {
                    (MATRIX, _) => &inflated[8..],
                    _ => continue,
                }
            }
            _ => continue,
        };
        arrays.extend(array(Elements { bytes: matrix, big_endian }).ok_or_else(damaged)?);
    }
    Ok(arrays)
}

/// The numeric data sets in the root; HDF5 counts axes from the slowest, MATLAB from the fastest.
fn read_hdf5(path: &Path) -> Result<Vec<(String, ArrayD<f32>)>> {
    let file = Hdf5::open(path)?;
    let mut arrays = Vec::new();
    for name in file.names()?.1 {
        let table = file.table(&name)?;
        if table.is_real() {
            let array = table.real(None)?.reversed_axes();
            arrays.push((name.clone(), array));
        }
    }
    Ok(arrays)
}

/// What a zlib stream holds, one element; none of more than [`INFLATED_MAX`] bytes.
fn inflate(content: &[u8]) -> Option<Vec<u8>> {
    let mut inflated = Vec::new();
    ZlibDecoder::new(content).take(INFLATED_MAX + 1).read_to_end(&mut inflated).ok()?;
    (inflated.len() as u64 <= INFLATED_MAX).then_some(inflated)
}

/// Tagged elements one after another.
struct Elements<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl<'a> Elements<'a> {
    /// The next element's type and content, without its padding.
    fn next(&mut self) -> Option<(u32, &'a [u8])> {
        let word = self.word(0)?;
        // Up to four bytes are packed into the tag, their number in its upper half.
        let (kind, length, start): (u32, usize, usize) = if word >> 16 == 0 {
            (word, self.word(4)? as usize, 8)
        } else {
            (word & 0xffff, (word >> 16) as usize, 4)
        };
        if start == 4 && length > 4 {
            return None;
        }
        let content = self.bytes.get(start..start.checked_add(length)?)?;
        let end = match (start, kind) {
            (4, _) => 8,
            (_, COMPRESSED) => start + length,
            _ => start + length.next_multiple_of(8),
        };
        self.bytes = self.bytes.get(end..).unwrap_or_default();
        Some((kind, content))
    }

    fn word(&self, at: usize) -> Option<u32> {
        let word = self.bytes.get(at..at + 4)?.try_into().ok()?;
        Some(if self.big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
    }
}

/// The array in a matrix element, if it is real numbers (the inner `Option`); the outer one is `None` for damage.
fn array(mut parts: Elements) -> Option<Option<(String, ArrayD<f32>)>> {
    let (_, flags) = parts.next()?;
    let flags = Elements { bytes: flags, big_endian: parts.big_endian }.word(0)?;
    if !NUMERIC.contains(&(flags & 0xff)) || flags & COMPLEX != 0 {
        return Some(None);
    }
    let whole = Element::new(Kind::Unsigned, 4, parts.big_endian)?;
    let (_, dims) = parts.next()?;
    let dims: Vec<usize> = dims.chunks_exact(4).map(|dim| whole.whole(dim) as usize).collect();
    let (_, name) = parts.next()?;
    let (kind, numbers) = parts.next()?;
    let (kind, size) = match kind {
        1 => (Kind::Signed, 1),
        2 => (Kind::Unsigned, 1),
        3 => (Kind::Signed, 2),
        4 => (Kind::Unsigned, 2),
        5 => (Kind::Signed, 4),
        6 => (Kind::Unsigned, 4),
        7 => (Kind::Float, 4),
        9 => (Kind::Float, 8),
        12 => (Kind::Signed, 8),
        13 => (Kind::Unsigned, 8),
        _ => return None,
    };
    let numbers = Element::new(kind, size, parts.big_endian)?.real(numbers);
    let array = ArrayD::from_shape_vec(IxDyn(&dims).f(), numbers).ok()?;
    Some(Some((String::from_utf8_lossy(name).into_owned(), array)))
}
