//! NumPy's `.npy` arrays: every real and complex type, both orders of memory and bytes, format versions 1 to 3.
//!
//! The crate ndarray-npy reads an array only into the file's own type, and trusts the header for the number of bytes;
//! here every numeric type becomes float32 or complex64, with memory bounded by the file's size.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use ndarray::{ArrayD, ArrayViewD, IxDyn, ShapeBuilder};
use num_complex::Complex32;

pub(super) use self::volumes::{read_volumes, write_volumes};
use super::atomic_write;
use super::elements::{Element, Kind};
use crate::error::{Error, Result};

mod volumes;

/// What every `.npy` file begins with.
pub(crate) const MAGIC: [u8; 6] = *b"\x93NUMPY";

/// No header of numbers is longer; NumPy refuses those over 10 000 bytes, too.
const LONGEST_HEADER: u64 = 10_000;

/// Reads an array of any real or complex type as complex64.
///
/// # Errors
/// [`Error::Io`] where it cannot be read; [`Error::File`] for another kind of file, records and objects, and one that
/// is shorter than its header says.
pub fn read_complex(path: &Path) -> Result<ArrayD<Complex32>> {
    let stored = Stored::open(path)?;
    let values = if stored.complex {
        stored.element.complex(&stored.bytes)
    } else {
        stored.element.real(&stored.bytes).into_iter().map(Complex32::from).collect()
    };
    stored.header.arrange(path, values)
}

/// Reads an array of any real type as float32.
///
/// # Errors
/// As [`read_complex`], and [`Error::File`] for complex numbers.
pub fn read_real(path: &Path) -> Result<ArrayD<f32>> {
    let stored = Stored::open(path)?;
    if stored.complex {
        let advice = "save the real part, the imaginary part or the magnitude of them";
        return Err(Error::file(path, "descr", "real numbers", stored.header.descr, advice));
    }
    let values = stored.element.real(&stored.bytes);
    stored.header.arrange(path, values)
}

/// Writes complex64, little-endian, in C order.
///
/// # Errors
/// [`Error::Io`] where the file cannot be written.
pub fn write_complex(path: &Path, array: ArrayViewD<Complex32>) -> Result<()> {
    write(path, "<c8", array, |writer, value| {
        writer.write_all(&value.re.to_le_bytes())?;
        writer.write_all(&value.im.to_le_bytes())
    })
}

/// Writes float32, little-endian, in C order.
///
/// # Errors
/// [`Error::Io`] where the file cannot be written.
pub fn write_real(path: &Path, array: ArrayViewD<f32>) -> Result<()> {
    write(path, "<f4", array, |writer, value| writer.write_all(&value.to_le_bytes()))
}

/// Writes truth values, a byte each, in C order.
///
/// # Errors
/// [`Error::Io`] where the file cannot be written.
pub fn write_bool(path: &Path, array: ArrayViewD<bool>) -> Result<()> {
    write(path, "|b1", array, |writer, value| writer.write_all(&[u8::from(*value)]))
}

fn write<T>(
    path: &Path,
    descr: &str,
    array: ArrayViewD<T>,
    put: impl Fn(&mut dyn Write, &T) -> io::Result<()>,
) -> Result<()> {
    let head = head(descr, false, array.shape());
    atomic_write(path, |writer| {
        writer.write_all(&head?)?;
        array.iter().try_for_each(|value| put(writer, value))
    })
}

/// All bytes in front of the numbers.
fn head(descr: &str, fortran_order: bool, shape: &[usize]) -> io::Result<Vec<u8>> {
    let shape = match shape {
        [length] => format!("{length},"),
        lengths => lengths.iter().map(usize::to_string).collect::<Vec<_>>().join(", "),
    };
    let order = if fortran_order { "True" } else { "False" };
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({shape}), }}");
    // Magic, version, length and header end on a multiple of 64 bytes, the last of them a line feed.
    let padding = 63 - (MAGIC.len() + 4 + header.len()) % 64;
    header.extend(std::iter::repeat_n(' ', padding).chain(['\n']));
    let length = u16::try_from(header.len()).map_err(io::Error::other)?;
    Ok([&MAGIC[..], &[1, 0], &length.to_le_bytes(), header.as_bytes()].concat())
}

/// An array's bytes and how to read them.
struct Stored {
    header: Header,
    element: Element,
    complex: bool,
    bytes: Vec<u8>,
}

/// What the dictionary at the head of the file says.
struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<usize>,
}

impl Stored {
    fn open(path: &Path) -> Result<Self> {
        let failed = |source| Error::io(path, "read the array", source);
        let mut file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let (header, start) = Header::read(path, &mut file)?;
        let (element, complex) = header.element(path)?;

        let each = element.size * if complex { 2 } else { 1 };
        let bytes = header.shape.iter().try_fold(each, |bytes, &n| bytes.checked_mul(n)).map(|n| n as u64);
        let there = length.saturating_sub(start);
        let Some(bytes) = bytes.filter(|&bytes| bytes <= there) else {
            return Err(Error::file(
                path,
                "data",
                format!("{:?} numbers of {each} bytes", header.shape),
                format!("{there} bytes after the header"),
                "the file is cut off, or its header is damaged: save or copy it again",
            ));
        };
        let mut data = Vec::new();
        file.take(bytes).read_to_end(&mut data).map_err(failed)?;
        if (data.len() as u64) < bytes {
            return Err(failed(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(Self { header, element, complex, bytes: data })
    }
}

impl Header {
    /// Reads the header; also returns the place of the first number.
    fn read(path: &Path, file: &mut File) -> Result<(Self, u64)> {
        let not_npy = |found: String| {
            let advice = "write it with numpy.save; an .npz archive has to be unpacked first";
            Error::file(
                path,
                "header",
                "that of an array in NumPy's .npy format, version 1 to 3",
                found,
                advice,
            )
        };
        let cut_off = |_| not_npy("the end of the file".to_string());
        let mut start = [0; 8];
        file.read_exact(&mut start).map_err(cut_off)?;
        if start[..6] != MAGIC {
            return Err(not_npy("another kind of file".to_string()));
        }
        let mut length = [0; 4];
        let size = match start[6] {
            1 => 2,
            2 | 3 => 4,
            version => return Err(not_npy(format!("version {version}"))),
        };
        file.read_exact(&mut length[..size]).map_err(cut_off)?;
        let length = u64::from(u32::from_le_bytes(length));
        if length > LONGEST_HEADER {
            return Err(not_npy(format!("one of {length} bytes")));
        }
        let mut text = vec![0; length as usize];
        file.read_exact(&mut text).map_err(cut_off)?;
        let text = String::from_utf8_lossy(&text);
        let header = Self::parse(&text).ok_or_else(|| not_npy(format!("{:?}", text.trim_end())))?;
        Ok((header, 8 + size as u64 + length))
    }

    /// The three entries of the dictionary, which is a Python literal.
    fn parse(text: &str) -> Option<Self> {
        let after = |key: &str| {
            let rest = &text[text.find(&format!("'{key}'"))? + key.len() + 2..];
            Some(rest.trim_start().strip_prefix(':')?.trim_start())
        };
        let descr = after("descr")?;
        // A list of fields begins with a bracket and is kept whole: it is refused by name.
        let descr = match descr.strip_prefix('\'') {
            Some(quoted) => &quoted[..quoted.find('\'')?],
            None => &descr[..descr.find(']')? + 1],
        };
        let order = after("fortran_order")?;
        let fortran_order = order.starts_with("True");
        if !fortran_order && !order.starts_with("False") {
            return None;
        }
        let shape = after("shape")?.strip_prefix('(')?;
        let shape = shape[..shape.find(')')?].split(',').map(str::trim).filter(|length| !length.is_empty());
        Some(Self {
            descr: descr.to_string(),
            fortran_order,
            // Python 2 wrote long integers with an L behind.
            shape: shape.map(|length| length.trim_end_matches('L').parse().ok()).collect::<Option<_>>()?,
        })
    }

    /// The layout of one number, and whether a pair of them is a complex one.
    fn element(&self, path: &Path) -> Result<(Element, bool)> {
        let parsed = || {
            let order = self.descr.chars().next().filter(|order| "<>|=".contains(*order))?;
            let kind = self.descr.chars().nth(1)?;
            let size: usize = self.descr.get(2..)?.parse().ok()?;
            let (number, parts) = match kind {
                'f' => (Kind::Float, 1),
                'c' => (Kind::Float, 2),
                'i' => (Kind::Signed, 1),
                'u' | 'b' => (Kind::Unsigned, 1),
                _ => return None,
            };
            Some((Element::new(number, size / parts, order == '>')?, parts == 2))
        };
        parsed().ok_or_else(|| {
            let advice = "convert it with astype('complex64') or astype('float32') before numpy.save";
            Error::file(path, "descr", "real or complex numbers", self.descr.clone(), advice)
        })
    }

    /// `values` in the file's order as an array in C order.
    fn arrange<T: Clone>(&self, path: &Path, values: Vec<T>) -> Result<ArrayD<T>> {
        let shape = IxDyn(&self.shape).set_f(self.fortran_order);
        let array = ArrayD::from_shape_vec(shape, values).map_err(|error| {
            let found = format!("{:?}: {error}", self.shape);
            Error::file(path, "shape", "the extents of an array", found, "save it again")
        })?;
        Ok(if self.fortran_order { array.as_standard_layout().into_owned() } else { array })
    }
}
