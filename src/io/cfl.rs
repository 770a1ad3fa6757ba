//! BART's `.cfl`/`.hdr` pairs (Uecker et al. 2015): complex64, little-endian, the first dimension fastest.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use ndarray::{ArrayD, ArrayViewD, IxDyn};
use num_complex::Complex32;

use super::atomic_write;
use super::elements::{Element, Kind};
use crate::error::{Error, Result};

/// How many dimensions BART's headers list.
const DIMENSIONS: usize = 16;

/// No header is longer: its comments hold at most a few command lines.
const LONGEST_HEADER: u64 = 1 << 20;

/// Reads the array of `NAME.hdr` and `NAME.cfl`; `path` may be either of them or `NAME`.
///
/// BART counts its dimensions from the fastest, so the order is reversed here: the array is in C order with BART's x as
/// the last axis, `[…, coil, z, y, x]`. Trailing dimensions of one are dropped down to three, `[z, y, x]`.
///
/// # Errors
/// [`Error::Io`] where either file cannot be read; [`Error::File`] for a header without dimensions and for data of
/// another length than the header's.
pub fn read(path: &Path) -> Result<ArrayD<Complex32>> {
    let (header, data) = pair(path);
    let mut dims = dimensions(&header)?;
    dims.resize(DIMENSIONS, 1);
    let failed = |source| Error::io(&data, "read the samples", source);
    let file = File::open(&data).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let claimed = dims.iter().try_fold(8_u64, |bytes, &n| bytes.checked_mul(n as u64));
    if claimed != Some(length) {
        return Err(Error::file(
            &data,
            "length",
            format!("8 bytes for each sample of {dims:?}, as {} says", header.display()),
            format!("{length} bytes"),
            "the pair is cut off or mixed up: write or copy both files again",
        ));
    }
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes).map_err(failed)?;
    let element = Element::new(Kind::Float, 4, false).expect("float32 occurs");
    let kept = dims.iter().rposition(|&n| n != 1).map_or(0, |last| last + 1).max(3);
    let shape: Vec<usize> = dims[..kept].iter().rev().copied().collect(); // […, coil, z, y, x]
    ArrayD::from_shape_vec(IxDyn(&shape), element.complex(&bytes)).map_err(|error| {
        let found = format!("{dims:?}: {error}");
        Error::file(&header, "# Dimensions", "the extents of an array", found, "write the pair again")
    })
}

/// Writes `array` (C order, BART's x as the last axis) to `NAME.cfl` and `NAME.hdr`; `path` may be either or `NAME`.
///
/// # Errors
/// [`Error::Io`] where either file cannot be written; [`Error::Value`] for more than 16 axes.
pub fn write(path: &Path, array: ArrayViewD<Complex32>) -> Result<()> {
    if array.ndim() > DIMENSIONS {
        let advice = "merge or select some of them";
        return Err(Error::value("axes", format!("at most {DIMENSIONS}"), array.ndim().to_string(), advice));
    }
    let (header, data) = pair(path);
    let mut dims: Vec<usize> = array.shape().iter().rev().copied().collect();
    dims.resize(DIMENSIONS, 1);
    atomic_write(&data, |writer| {
        array.iter().try_for_each(|value| {
            writer.write_all(&value.re.to_le_bytes())?;
            writer.write_all(&value.im.to_le_bytes())
        })
    })?;
    // Last, so that a header never stands beside data that are not there.
    atomic_write(&header, |writer| {
        writeln!(writer, "# Dimensions")?;
        dims.iter().try_for_each(|n| write!(writer, "{n} "))?;
        writeln!(writer)
    })
}

/// Whether `path` is, or is the bare name of, a header with its samples.
pub(crate) fn is_pair(path: &Path) -> bool {
    let (header, data) = pair(path);
    header.is_file() && data.is_file()
}

/// Header and samples of the pair that `path` names.
fn pair(path: &Path) -> (PathBuf, PathBuf) {
    let named = path.extension().is_some_and(|extension| extension == "cfl" || extension == "hdr");
    let name = if named { path.with_extension("") } else { path.to_path_buf() };
    let with = |ending: &str| {
        let mut full = OsString::from(&name);
        full.push(ending);
        PathBuf::from(full)
    };
    (with(".hdr"), with(".cfl"))
}

/// The numbers in the line after `# Dimensions`.
fn dimensions(header: &Path) -> Result<Vec<usize>> {
    let failed = |source| Error::io(header, "read the header", source);
    let file = File::open(header).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(LONGEST_HEADER).read_to_end(&mut bytes).map_err(failed)?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().skip_while(|line| line.trim() != "# Dimensions").nth(1);
    let dims: Option<Vec<usize>> = line.and_then(|line| {
        let numbers: Option<Vec<usize>> = line.split_whitespace().map(|n| n.parse().ok()).collect();
        numbers.filter(|dims| (1..=DIMENSIONS).contains(&dims.len()) && !dims.contains(&0))
    });
    dims.ok_or_else(|| {
        let expected = format!("a line of 1 to {DIMENSIONS} positive numbers after it");
        let found = line.map_or("none".to_string(), |line| format!("{:?}", shortened(line)));
        let advice = "name a header that BART wrote; NIfTI's .hdr is another format";
        Error::file(header, "# Dimensions", expected, found, advice)
    })
}

/// The beginning of a line that may be anything.
fn shortened(line: &str) -> String {
    line.chars().take(80).collect()
}
