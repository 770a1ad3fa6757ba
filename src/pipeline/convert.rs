//! Conversion of scans from one format to another.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::cohort::Cohort;
use super::folder::OfScan;
use super::outputs::{Files, Writes};
use super::progress::{Event, Progress};
use super::sidecar;
use crate::error::{Error, Result};
use crate::io::dicom;
use crate::io::scan::{self, DataType, Format, ReadOptions, Series, Values, WriteOptions};

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

    /// The files of a job that reads these, in the format `from`, and writes `output`.
    fn writing(&self, read: Files, from: Format, output: &Path) -> Files {
        let files = read.writing_all(scan::written(output, &self.write(DataType::default())));
        // The sidecar of BIDS.
        let told = from == Format::Dicom && Format::of_name(output) == Some(Format::Nifti);
        if told { files.recording(sidecar::path(output)) } else { files }
    }
}

impl Writes for Options {
    fn files(&self) -> Files {
        self.writing(Files::reading(scan::files(&self.input)), Format::of(&self.input), &self.output)
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
/// float32 in NIfTI-1 and MGH, float64 in the others. Values are float32 in between; what that rounds is told. NIfTI out of DICOM
/// has a sidecar of BIDS beside it, with the acquisition's parameters.
///
/// # Errors
/// Those of [`scan::read_series`] and [`scan::write()`]; [`Error::Cancelled`].
pub fn convert(options: &Options, progress: &Progress) -> Result<Converted> {
    let (input, output) = (&options.input, &options.output);
    if Format::of_name(output).is_none() {
        // The writer's error, before the reader's work.
        return Err(scan::write(output, &[], &WriteOptions::default()).expect_err("no format"));
    }
    if Format::of(input) == Format::Dicom {
        let found = dicom::find(input, options.read.series.as_deref())?;
        return of_dicom(&found, output, options, progress);
    }
    let series = scan::read_series(input, &options.read)?;
    write(&series, output, options, progress)
}

/// The series of DICOM input, or the one that is chosen → scans in the folder `output`, named by protocol and number. Series that are
/// no volumes, such as localisers and reports, are left out; refused ones fail, and end no others unless `strict`.
///
/// # Errors
/// Those of [`dicom::series`] and [`convert`]; [`Error::Incomplete`] where some series failed.
pub fn convert_series(
    options: &Options,
    force: bool,
    strict: bool,
    progress: &Progress,
) -> Result<Vec<(PathBuf, Converted)>> {
    let mut all = dicom::series(&options.input)?;
    if let Some(wanted) = &options.read.series {
        all.retain(|series| series.is(wanted));
    }
    all.retain(|series| {
        let left_out = matches!(series.info.verdict, dicom::Verdict::LeftOut(_));
        if left_out {
            progress.tell(Event::Note(&format!("{}: {}", series.info.title(), series.info.verdict)));
        }
        !left_out
    });
    std::fs::create_dir_all(&options.output)
        .map_err(|e| Error::io(&options.output, "create this folder", e))?;
    let read = Files::reading(scan::files(&options.input));
    let mut cohort = Cohort::new(all.len(), strict, progress);
    let mut made = Vec::new();
    for series in &all {
        let output = options.output.join(format!("{}{}", series.info.name, options.ending));
        let done = cohort.next(&series.info.title(), || {
            options.writing(read.clone(), Format::Dicom, &output).check(force)?;
            of_dicom(series, &output, options, progress)
        })?;
        made.extend(done.map(|done| (output, done)));
    }
    Error::incomplete("series", all.len(), cohort.failures())?;
    Ok(made)
}

fn of_dicom(
    found: &dicom::Series,
    output: &Path,
    options: &Options,
    progress: &Progress,
) -> Result<Converted> {
    let series = scan::of_frames(found.frames(options.read.frame)?);
    let made = write(&series, output, options, progress)?;
    if Format::of_name(output) == Some(Format::Nifti) {
        let acquisition = serde_json::to_value(&found.acquisition).unwrap_or_default();
        let told =
            json!({ "ConversionSoftware": "voxgan", "ConversionSoftwareVersion": env!("CARGO_PKG_VERSION") });
        let record = sidecar::joined(acquisition, told);
        sidecar::write(
            output,
            &sidecar::joined(record, json!({ "VoxganVersion": env!("CARGO_PKG_VERSION") })),
        )?;
    }
    Ok(made)
}

fn write(series: &Series, output: &Path, options: &Options, progress: &Progress) -> Result<Converted> {
    let input = &options.input;
    let format = Format::of_name(output).unwrap_or(Format::Nifti);
    progress.check()?;
    if series.rounded > 0 {
        let what = "values that float32 does not hold exactly were rounded to it";
        progress.tell(Event::Note(&format!("{}: {} {what}", input.display(), series.rounded)));
    }
    let data_type = options.data_type.unwrap_or_else(|| kept(format, series));
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
    let values = Values::of(&series.frames);
    std::iter::once(series.data_type)
        .chain(others)
        .find(|&number| format.writes(number) && values.held_by(number))
        .unwrap_or_default()
}

fn none(path: &Path) -> Error {
    Error::file(path, "frames", "one or more", "none", "give a scan with voxels")
}
