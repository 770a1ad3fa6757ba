//! Scans in files: reading, writing, conversion, and what DICOM folders hold.

use std::path::PathBuf;

use pyo3::prelude::*;
use voxgan::error::Result;
use voxgan::io::dicom;
use voxgan::io::scan::{self, DataType, Format, ReadOptions, WriteOptions};
use voxgan::pipeline::Progress;
use voxgan::pipeline::convert::{self as conversion, Options};
use voxgan::pipeline::folder::{OfScan, Work};
use voxgan::pipeline::outputs::Files;
use voxgan::pipeline::to_dicom as to_series;
use voxgan::volume::Volume;

use crate::data::{Image, Scan, image, options, record};
use crate::job;

/// The volume of a file or of a DICOM series.
#[pyfunction]
pub fn read<'py>(py: Python<'py>, path: PathBuf, settings: &Bound<'py, PyAny>) -> PyResult<Image<'py>> {
    let settings: ReadOptions = options(settings)?;
    image(py, job::run(py, None, |_| scan::read(path, &settings))?)
}

/// The frames of a file, and the type of its numbers.
#[pyfunction]
pub fn read_series<'py>(
    py: Python<'py>,
    path: PathBuf,
    settings: &Bound<'py, PyAny>,
) -> PyResult<(Vec<Image<'py>>, &'static str)> {
    let settings: ReadOptions = options(settings)?;
    let series = job::run(py, None, |_| scan::read_series(path, &settings))?;
    let frames = series.frames.into_iter().map(|frame| image(py, frame)).collect::<PyResult<_>>()?;
    Ok((frames, series.data_type.name()))
}

/// Writes frames as the file's name tells.
#[pyfunction]
pub fn write(
    py: Python<'_>,
    path: PathBuf,
    frames: Vec<Scan>,
    data_type: &Bound<'_, PyAny>,
    force: bool,
) -> PyResult<()> {
    let settings = WriteOptions { data_type: options::<DataType>(data_type)?, ..WriteOptions::default() };
    job::run(py, None, |_| {
        Files::default().writing_all(scan::written(&path, &settings)).check(force)?;
        let frames = frames.into_iter().map(Scan::volume).collect::<Result<Vec<Volume>>>()?;
        scan::write(&path, &frames, &settings)
    })
}

/// Converts a scan, a folder of scans, or the series of DICOM input, and returns the files that were made.
#[pyfunction]
pub fn convert(
    py: Python<'_>,
    settings: &Bound<'_, PyAny>,
    force: bool,
    strict: bool,
    tell: Option<&Bound<'_, PyAny>>,
) -> PyResult<Vec<PathBuf>> {
    let settings: Options = options(settings)?;
    job::run(py, tell, |progress| {
        if Format::of(&settings.input) == Format::Dicom && Format::of_name(&settings.output).is_none() {
            let made = conversion::convert_series(&settings, force, strict, progress)?;
            return Ok(made.into_iter().map(|(path, _)| path).collect());
        }
        written(&settings, force, strict, progress, |one| {
            conversion::convert(one, progress)?;
            Ok(one.output.clone())
        })
    })
}

/// Writes a scan as a DICOM series, or the scans of a folder, and returns the folders that were made.
#[pyfunction]
pub fn to_dicom(
    py: Python<'_>,
    settings: &Bound<'_, PyAny>,
    force: bool,
    strict: bool,
    tell: Option<&Bound<'_, PyAny>>,
) -> PyResult<Vec<PathBuf>> {
    let settings: to_series::Options = options(settings)?;
    job::run(py, tell, |progress| {
        written(&settings, force, strict, progress, |one| {
            to_series::to_dicom(one, progress)?;
            Ok(one.output.clone())
        })
    })
}

/// Does `one` for a scan or for each of a folder, and returns what it has written.
fn written<J: OfScan>(
    job: &J,
    force: bool,
    strict: bool,
    progress: &Progress,
    one: impl Fn(&J) -> Result<PathBuf>,
) -> Result<Vec<PathBuf>> {
    let mut made = Vec::new();
    let work = Work { job, with: serde_json::Value::Null };
    work.run(force, strict, None, progress, &mut |job| {
        made.push(one(job)?);
        Ok(())
    })?;
    Ok(made)
}

/// What series DICOM input holds.
#[pyfunction]
pub fn dicom_series<'py>(py: Python<'py>, path: PathBuf) -> PyResult<Bound<'py, PyAny>> {
    record(py, &job::run(py, None, |_| dicom::list(path))?)
}
