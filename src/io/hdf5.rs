//! HDF5 files: arrays, texts and records by name, through the crate hdf5-reader, with memory bounded by the file's
//! size.
//!
//! The library bounds its allocations by the file's size, except for data sets with unwritten or compressed chunks:
//! their stated size is accepted up to the largest that deflate can make of the file's bytes.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use hdf5_reader::error::Error as Hdf5Error;
use hdf5_reader::{ByteOrder, Dataset, Datatype, H5Type, Hdf5File, OpenOptions, SliceInfo, SliceInfoElem};
use ndarray::ArrayD;
use num_complex::Complex32;

use super::elements::{Element, Kind};
use crate::error::{Error, Result};

/// What an HDF5 file, or the part of it after a user block, begins with.
const SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";

/// MATLAB puts 512 bytes of its own before the HDF5 part.
const MATLAB_BLOCK: usize = 512;

/// Deflate cannot make more than this of one byte.
const MAX_INFLATION: u64 = 1032;

/// Longest text that is read: an ISMRMRD header is some ten thousand bytes.
const LONGEST_TEXT: u64 = 16 << 20;

/// An open HDF5 file.
pub struct Hdf5 {
    file: Hdf5File,
    path: PathBuf,
    length: u64,
}

/// A data set of an open file: an array of numbers, a text or a table of records.
pub struct Table<'a> {
    set: Dataset,
    name: &'a str,
    of: &'a Hdf5,
}

/// A table of records in memory, without the content of members of varying length.
pub struct Records<'a> {
    table: Table<'a>,
    bytes: Vec<u8>,
    stride: usize,
}

/// The place and type of a member in each record.
#[derive(Clone, Copy)]
pub struct Member {
    offset: usize,
    element: Element,
    /// Number of its values.
    pub count: usize,
}

/// The place of the reference to a member of varying length, and the type of its numbers.
pub struct Sequence {
    offset: usize,
    element: Element,
}

/// Whether the file has HDF5's signature at its start or after MATLAB's block.
pub fn is_hdf5(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path)
        .and_then(|file| file.take((MATLAB_BLOCK + SIGNATURE.len()) as u64).read_to_end(&mut start));
    read.is_ok() && (start.starts_with(&SIGNATURE) || start.get(MATLAB_BLOCK..) == Some(&SIGNATURE[..]))
}

impl Hdf5 {
    /// Opens the file.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, [`Error::File`] where it is no HDF5 file or is cut off.
    pub fn open(path: &Path) -> Result<Self> {
        let length = fs::metadata(path).map_err(|source| Error::io(path, "read it", source))?.len();
        let most = usize::try_from(length.saturating_mul(MAX_INFLATION)).unwrap_or(usize::MAX);
        let options = OpenOptions::default()
            .with_max_read_bytes(most)
            .with_max_chunk_bytes(OpenOptions::default().max_chunk_bytes.min(most))
            .with_max_object_header_bytes(OpenOptions::default().max_object_header_bytes.min(most));
        let file =
            Hdf5File::open_with_options(path, options).map_err(|error| damaged(path, "file", error))?;
        Ok(Self { file, path: path.to_path_buf(), length })
    }

    /// Size of the file in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The data set of this name (`group/name`); `None` if the file does not have it.
    ///
    /// # Errors
    /// [`Error::File`] where its description is damaged.
    pub fn find<'a>(&'a self, name: &'a str) -> Result<Option<Table<'a>>> {
        match self.file.dataset(name) {
            Ok(set) => Ok(Some(Table { set, name, of: self })),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(damaged(&self.path, name, error)),
        }
    }

    /// The data set of this name (`group/name`).
    ///
    /// # Errors
    /// [`Error::File`] where the file has none or it is damaged.
    pub fn table<'a>(&'a self, name: &'a str) -> Result<Table<'a>> {
        self.find(name)?.ok_or_else(|| {
            let advice = "check that this is the file that you mean";
            Error::file(&self.path, name, "a data set of this name", "none", advice)
        })
    }

    /// Names of the groups and of the data sets directly in the file's root.
    ///
    /// # Errors
    /// [`Error::File`] where they cannot be listed.
    pub fn names(&self) -> Result<(Vec<String>, Vec<String>)> {
        let names = self.file.root_group().and_then(|root| root.member_names());
        names.map_err(|error| damaged(&self.path, "/", error))
    }
}

impl<'a> Table<'a> {
    /// Lengths along its axes; empty for a scalar.
    pub fn shape(&self) -> Vec<usize> {
        self.set.shape().iter().map(|&length| usize::try_from(length).unwrap_or(usize::MAX)).collect()
    }

    /// Whether its values are real numbers.
    pub fn is_real(&self) -> bool {
        element(self.set.dtype()).is_some()
    }

    /// The array as complex64, from pairs of numbers (any compound of two) or from real ones; if `part` is given, only
    /// that index along the first axis.
    ///
    /// # Errors
    /// [`Error::File`] for other types than numbers, an index beyond the first axis, and where the file has fewer
    /// values than stated.
    pub fn complex(&self, part: Option<usize>) -> Result<ArrayD<Complex32>> {
        if Layout::of(self.set.dtype()).is_none() {
            let found = format!("{:?}", self.set.dtype()).chars().take(120).collect::<String>();
            let advice = "save it as float32 or complex64";
            return Err(self.wrong("real or complex numbers", found, advice));
        }
        let mut selection = SliceInfo::all(self.set.ndim());
        let mut elements = self.set.num_elements().unwrap_or(u64::MAX);
        if let (Some(part), Some(first)) = (part, selection.selections.first_mut()) {
            let parts = self.set.shape()[0];
            if part as u64 >= parts {
                let found = part.to_string();
                return Err(self.wrong(
                    format!("a place from 0 to {}", parts.saturating_sub(1)),
                    found,
                    "choose one",
                ));
            }
            *first = SliceInfoElem::Slice { start: part as u64, end: part as u64 + 1, step: 1 };
            elements /= parts;
        }
        self.refuse_more_than_there_is(elements)?;
        let array: ArrayD<Sample> = self.set.read_slice(&selection).map_err(|error| self.damaged(error))?;
        let shape = array.raw_dim();
        // The same size and alignment before and after: collected in place.
        let values = array.into_iter().map(|sample| sample.0).collect();
        ArrayD::from_shape_vec(shape, values).map_err(|error| {
            self.wrong("as many numbers as its shape says", error.to_string(), "save it again")
        })
    }

    /// The array as float32, from real numbers; see [`Table::complex`].
    ///
    /// # Errors
    /// As [`Table::complex`], and for complex numbers.
    pub fn real(&self, part: Option<usize>) -> Result<ArrayD<f32>> {
        if matches!(Layout::of(self.set.dtype()), Some(Layout { imaginary: Some(_), .. })) {
            return Err(self.wrong("real numbers", "complex ones", "save their magnitude"));
        }
        Ok(self.complex(part)?.mapv(|value| value.re))
    }

    /// The text of a data set with a single text.
    ///
    /// # Errors
    /// [`Error::File`] where there is none, several, or no text.
    pub fn text(&self) -> Result<String> {
        let length = self.set.raw_byte_len().map_err(|error| self.damaged(error))?;
        let texts = self.set.num_elements().unwrap_or(u64::MAX);
        if texts != 1 || length as u64 > LONGEST_TEXT.min(self.of.length) {
            return Err(self.wrong("one text", format!("{texts}, of {length} bytes"), "save it again"));
        }
        self.set.read_string().map_err(|error| self.damaged(error))
    }

    /// Reads a one-dimensional table of records.
    ///
    /// # Errors
    /// [`Error::File`] where its elements are no compounds, or the file has fewer than stated.
    pub fn records(self) -> Result<Records<'a>> {
        let Datatype::Compound { size, .. } = *self.set.dtype() else {
            return Err(self.wrong("records", "another type", "convert the raw data again"));
        };
        self.refuse_more_than_there_is(self.set.num_elements().unwrap_or(u64::MAX))?;
        let bytes = self.set.read_raw_bytes().map_err(|error| self.damaged(error))?;
        Ok(Records { table: self, bytes, stride: size as usize })
    }

    /// Refuses `elements` that are more than the bytes of the file can make.
    fn refuse_more_than_there_is(&self, elements: u64) -> Result<()> {
        let size = self.set.raw_element_size().map_err(|error| self.damaged(error))? as u64;
        let inflation = if self.set.chunks().is_some() { MAX_INFLATION } else { 1 };
        let claimed = elements.saturating_mul(size.max(1));
        if claimed <= self.of.length.saturating_mul(inflation) {
            return Ok(());
        }
        let found = format!("{claimed} bytes in a file of {}", self.of.length);
        Err(self.wrong("no more than the file can hold", found, "its header is damaged: copy it again"))
    }

    fn wrong(&self, expected: impl Into<String>, found: impl Into<String>, advice: &str) -> Error {
        Error::file(&self.of.path, self.name, expected, found, advice)
    }

    fn damaged(&self, error: Hdf5Error) -> Error {
        damaged(&self.of.path, self.name, error)
    }
}

impl Records<'_> {
    /// Number of records.
    pub fn count(&self) -> usize {
        self.bytes.len().checked_div(self.stride).unwrap_or(0)
    }

    /// The member `path` (names from the outside in).
    ///
    /// # Errors
    /// [`Error::File`] where records have no such member, or it is not of numbers.
    pub fn member(&self, path: &[&str]) -> Result<Member> {
        let (offset, datatype) = self.place(path)?;
        let (datatype, count) = match datatype {
            Datatype::Array { base, dims } => {
                let count =
                    dims.iter().try_fold(1_usize, |n, &dim| n.checked_mul(usize::try_from(dim).ok()?));
                (base.as_ref(), count)
            }
            other => (other, Some(1)),
        };
        let layout = element(datatype).zip(count).filter(|(element, count)| {
            let end = element.size.checked_mul(*count).and_then(|size| size.checked_add(offset));
            end.is_some_and(|end| end <= self.stride)
        });
        let (element, count) = layout.ok_or_else(|| self.wrong(path, "numbers within the record"))?;
        Ok(Member { offset, element, count })
    }

    /// The member `path` of varying length.
    ///
    /// # Errors
    /// [`Error::File`] where records have no such member, or its numbers are of no known kind.
    pub fn sequence(&self, path: &[&str]) -> Result<Sequence> {
        let (offset, datatype) = self.place(path)?;
        let element = match datatype {
            Datatype::VarLen { base, .. } => element(base),
            _ => None,
        };
        let end = offset.saturating_add(self.table.set.vlen_reference_size());
        let element = element.filter(|_| end <= self.stride);
        let element = element.ok_or_else(|| self.wrong(path, "numbers, as many as each record has"))?;
        Ok(Sequence { offset, element })
    }

    /// Number `index` of a member of `record`.
    ///
    /// # Panics
    /// If there is no such record or number.
    pub fn value(&self, record: usize, member: Member, index: usize) -> f32 {
        member.element.value(self.bytes(record, member, index))
    }

    /// A non-negative whole number of a member of `record`, exactly.
    ///
    /// # Panics
    /// If there is no such record.
    pub fn whole(&self, record: usize, member: Member) -> u64 {
        member.element.whole(self.bytes(record, member, 0))
    }

    /// The numbers of a member of varying length.
    ///
    /// # Errors
    /// [`Error::File`] where the file does not have them.
    ///
    /// # Panics
    /// If there is no such record.
    pub fn numbers(&self, record: usize, sequence: &Sequence) -> Result<Vec<f32>> {
        let start = record * self.stride + sequence.offset;
        let set = &self.table.set;
        let reference = &self.bytes[start..start + set.vlen_reference_size()];
        let bytes = set.resolve_vlen_reference_bytes(reference, sequence.element.size);
        Ok(sequence.element.real(&bytes.map_err(|error| self.table.damaged(error))?))
    }

    fn bytes(&self, record: usize, member: Member, index: usize) -> &[u8] {
        assert!(index < member.count, "number {index} of {}", member.count);
        let start = record * self.stride + member.offset + index * member.element.size;
        &self.bytes[start..start + member.element.size]
    }

    fn place(&self, path: &[&str]) -> Result<(usize, &Datatype)> {
        let mut offset = 0_usize;
        let mut datatype = self.table.set.dtype();
        for name in path {
            let found = match datatype {
                Datatype::Compound { fields, .. } => fields.iter().find(|field| field.name == *name),
                _ => None,
            };
            let field = found.ok_or_else(|| self.wrong(path, "a member of this name"))?;
            offset = offset.saturating_add(field.byte_offset as usize);
            datatype = &field.datatype;
        }
        Ok((offset, datatype))
    }

    fn wrong(&self, path: &[&str], expected: &str) -> Error {
        let field = format!("{}: {}", self.table.name, path.join("."));
        let advice = "convert the raw data again";
        Error::file(&self.table.of.path, field, expected, "none or another type", advice)
    }
}

/// A number of a data set, real or complex.
#[derive(Clone)]
struct Sample(Complex32);

/// Where the parts of a number lie in an element of a data set.
struct Layout {
    size: usize,
    real: (usize, Element),
    imaginary: Option<(usize, Element)>,
}

impl Layout {
    fn of(datatype: &Datatype) -> Option<Self> {
        if let Datatype::Compound { size, fields } = datatype {
            let [real, imaginary] = fields.as_slice() else { return None };
            let size = *size as usize;
            let part = |field: &hdf5_reader::CompoundField| {
                let (offset, element) = (field.byte_offset as usize, element(&field.datatype)?);
                (offset.checked_add(element.size)? <= size).then_some((offset, element))
            };
            return Some(Self { size, real: part(real)?, imaginary: Some(part(imaginary)?) });
        }
        let element = element(datatype)?;
        Some(Self { size: element.size, real: (0, element), imaginary: None })
    }

    fn value(&self, bytes: &[u8]) -> Sample {
        let part = |(offset, element): &(usize, Element)| element.value(&bytes[*offset..]);
        Sample(Complex32::new(part(&self.real), self.imaginary.as_ref().map_or(0.0, part)))
    }
}

impl H5Type for Sample {
    fn hdf5_type() -> Datatype {
        f32::hdf5_type()
    }

    fn from_bytes(bytes: &[u8], datatype: &Datatype) -> hdf5_reader::error::Result<Self> {
        match Layout::of(datatype) {
            Some(layout) if bytes.len() >= layout.size => Ok(layout.value(bytes)),
            _ => Err(Hdf5Error::InvalidData("an element that is no number".to_string())),
        }
    }

    fn element_size(datatype: &Datatype) -> usize {
        Layout::of(datatype).map_or(0, |layout| layout.size)
    }

    fn decode_vec(
        raw: &[u8],
        datatype: &Datatype,
        count: usize,
    ) -> Option<hdf5_reader::error::Result<Vec<Self>>> {
        let layout = Layout::of(datatype)?;
        let bytes = raw.get(..count.checked_mul(layout.size)?)?;
        Some(Ok(bytes.chunks_exact(layout.size).map(|element| layout.value(element)).collect()))
    }
}

/// The layout of a real number; truth values are enumerations of bytes.
fn element(datatype: &Datatype) -> Option<Element> {
    let big = |order: &ByteOrder| *order == ByteOrder::BigEndian;
    match datatype {
        Datatype::FloatingPoint { size, byte_order } => {
            Element::new(Kind::Float, usize::from(*size), big(byte_order))
        }
        Datatype::FixedPoint { size, signed, byte_order } => {
            let kind = if *signed { Kind::Signed } else { Kind::Unsigned };
            Element::new(kind, usize::from(*size), big(byte_order))
        }
        Datatype::Bitfield { size, byte_order } => {
            Element::new(Kind::Unsigned, usize::from(*size), big(byte_order))
        }
        Datatype::Enum { base, .. } => element(base),
        _ => None,
    }
}

/// Whether the library says that there is nothing of that name.
fn is_missing(error: &Hdf5Error) -> bool {
    match error {
        Hdf5Error::DatasetNotFound(_) | Hdf5Error::GroupNotFound(_) => true,
        Hdf5Error::Context { source, .. } => is_missing(source),
        _ => false,
    }
}

fn damaged(path: &Path, field: &str, error: Hdf5Error) -> Error {
    match error {
        Hdf5Error::Io(source) => Error::io(path, "read it", source),
        error => Error::file(
            path,
            field,
            "whole and readable HDF5",
            error.to_string(),
            "the file is cut off, damaged or of a newer kind: copy or convert it again",
        ),
    }
}
