//! Conversion of scans from one format to another.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::folder::OfScan;
use super::outputs::{Files, Writes};
use super::progress::{Event, Progress};
use crate::error::{Error, Result};
use crate::io::scan::{self, DataType, Format, ReadOptions, Series, WriteOptions};

/// A scan, and the file that it is written to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The scan.
    pub input: PathBuf,
    /// The converted scan; its name tells the format.
    pub output: PathBuf,
    /// How the names of results end where the input is a folder.
    pub ending: String,
    /// The type of the numbers that are written; `None` for that of the input, where the format has it and the values fit.
    pub data_type: Option<DataType>,
    /// Whether voxels of NRRD and MetaImage stay uncompressed.
    pub uncompressed: bool,
    /// NIfTI-2 also where NIfTI-1 would do.
    pub nifti_2: bool,
    /// Options for reading; all frames are kept where none is chosen.
    pub read: ReadOptions,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            input: PathBuf::new(),
            output: PathBuf::new(),
            ending: ".nii.gz".into(),
            data_type: None,
            uncompressed: false,
            nifti_2: false,
            read: ReadOptions::default(),
        }
    }
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Converted {
    /// Number of voxels along `(i, j, k)`.
    pub dims: [usize; 3],
    /// Their size in millimetres.
    pub spacing_mm: [f64; 3],
    /// Number of frames.
    pub frames: usize,
    /// Number of channels.
    pub channels: usize,
    /// The type of the numbers.
    pub data_type: DataType,
}

impl Options {
    fn write(&self, data_type: DataType) -> WriteOptions {
        WriteOptions { data_type, uncompressed: self.uncompressed, nifti_2: self.nifti_2 }
    }
}

impl Writes for Options {
    fn files(&self) -> Files {
        let written = scan::written(&self.output, &self.write(DataType::default()));
        Files::reading(scan::files(&self.input)).writing_all(written)
    }
}

impl OfScan for Options {
    fn paths(&mut self) -> [&mut PathBuf; 2] {
        [&mut self.input, &mut self.output]
    }

    fn ending(&self) -> &str {
        &self.ending
    }
}

/// Scan → scan in another format, with the same voxels in the same place. Geometry is kept to the precision of the format:
/// float32 in NIfTI-1 and MGH, float64 in the others. Values are float32 in between; what that rounds is told.
///
/// # Errors
/// Those of [`scan::read_series`] and [`scan::write()`]; [`Error::Cancelled`].
pub fn convert(options: &Options, progress: &Progress) -> Result<Converted> {
    let (input, output) = (&options.input, &options.output);
    let Some(format) = Format::of_name(output) else {
        // The writer's error, before the reader's work.
        return Err(scan::write(output, &[], &WriteOptions::default()).expect_err("no format"));
    };
    let series = scan::read_series(input, &options.read)?;
    progress.check()?;
    if series.rounded > 0 {
        let what = "values that float32 does not hold exactly were rounded to it";
        progress.tell(Event::Note(&format!("{}: {} {what}", input.display(), series.rounded)));
    }
    let data_type = options.data_type.unwrap_or_else(|| kept(format, &series));
    if options.data_type.is_none() && data_type != series.data_type {
        let (from, to) = (series.data_type.name(), data_type.name());
        let why = match format.writes(series.data_type) {
            true => "its values are no whole numbers of that type (they are scaled)",
            false => "the format of the result has no such type",
        };
        progress.tell(Event::Note(&format!("{}: {from} becomes {to}: {why}", input.display())));
    }
    scan::write(output, &series.frames, &options.write(data_type))?;
    progress.tell(Event::Wrote(output));
    let first = series.frames.first().ok_or_else(|| none(input))?;
    Ok(Converted {
        dims: first.dims(),
        spacing_mm: first.spacing_mm(),
        frames: series.frames.len(),
        channels: first.channels(),
        data_type,
    })
}

/// The type of the input where the format has it and it holds all values, else of integers the smallest other one that does,
/// else float32.
fn kept(format: Format, series: &Series) -> DataType {
    let integers = [DataType::U8, DataType::I16, DataType::I32];
    let others = integers.into_iter().filter(|_| series.data_type.range().is_some());
    std::iter::once(series.data_type)
        .chain(others)
        .find(|&number| format.writes(number) && scan::holds(number, &series.frames))
        .unwrap_or_default()
}

fn none(path: &Path) -> Error {
    Error::file(path, "frames", "one or more", "none", "give a scan with voxels")
}
