//! Prepared datasets, training on them, and reports.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use voxgan::config::AnyRecipe;
use voxgan::io::dataset::{self, Outcome};
use voxgan::pipeline::outputs::Writes;
use voxgan::pipeline::train::Training;
use voxgan::pipeline::{
    Event, export as exporting, prepare as preparation, report as reporting, train as training,
};

use crate::data::{Image, image, options, record};
use crate::error::value;
use crate::job;

/// Prepares scans into the folder `out`: how many were prepared and kept, and what failed.
#[pyfunction]
pub fn prepare<'py>(
    py: Python<'py>,
    settings: &Bound<'py, PyAny>,
    out: PathBuf,
    tell: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let settings: preparation::Options = options(settings)?;
    let report = job::run(py, tell, |progress| {
        let cancelled = progress.cancelled();
        let tell = |scan: dataset::Progress| {
            let what = scan.source.to_string_lossy();
            let (done, of) = (scan.done, scan.total);
            if let Outcome::Failed(reason) = &scan.outcome {
                progress.tell(Event::Note(reason));
            }
            progress.tell(Event::Done { what: &what, done, of, left: None });
        };
        Ok(preparation::prepare(&settings, &out, cancelled, &tell)?.report)
    })?;
    let found = PyDict::new(py);
    found.set_item("prepared", report.prepared)?;
    found.set_item("kept", report.kept)?;
    found.set_item("failures", record(py, &report.failures)?)?;
    found.set_item("missing_labels", record(py, &report.missing_labels)?)?;
    found.set_item("copies", record(py, &report.copies)?)?;
    Ok(found)
}

/// Trains, and returns whether all steps are done, and the latest checkpoint.
#[pyfunction]
pub fn train(
    py: Python<'_>,
    settings: &Bound<'_, PyAny>,
    tell: Option<&Bound<'_, PyAny>>,
) -> PyResult<(bool, Option<PathBuf>)> {
    let settings: training::Options = options(settings)?;
    let ended = job::run(py, tell, |progress| Training::open(settings)?.run(progress))?;
    Ok((ended.complete, ended.checkpoint))
}

/// The text of a recipe inside the library.
#[pyfunction]
pub fn recipe(py: Python<'_>, name: &str) -> PyResult<&'static str> {
    value(py, AnyRecipe::preset_text(name))
}

/// Writes the report of a folder, and returns its size in bytes.
#[pyfunction]
pub fn report(
    py: Python<'_>,
    settings: &Bound<'_, PyAny>,
    force: bool,
    tell: Option<&Bound<'_, PyAny>>,
) -> PyResult<usize> {
    let settings: reporting::Options = options(settings)?;
    job::run(py, tell, |progress| {
        settings.files().check(force)?;
        reporting::report(&settings, progress)
    })
}

/// Writes the network of a run, and returns its checkpoint.
#[pyfunction]
pub fn export(py: Python<'_>, settings: &Bound<'_, PyAny>, force: bool) -> PyResult<PathBuf> {
    let settings: exporting::Options = options(settings)?;
    let exported = job::run(py, None, |_| {
        settings.files().check(force)?;
        exporting::export(&settings)
    })?;
    Ok(exported.checkpoint)
}

/// A prepared dataset. It computes nothing, so that it also serves in forked processes.
#[pyclass(frozen, module = "voxgan._voxgan")]
pub struct Dataset(dataset::Dataset);

#[pymethods]
impl Dataset {
    #[new]
    fn new(py: Python<'_>, folder: PathBuf) -> PyResult<Self> {
        let opened = py.detach(|| dataset::Dataset::open(&folder));
        value(py, opened).map(Self)
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    /// The volume of an index below the length.
    fn volume<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Image<'py>> {
        let read = py.detach(|| self.0.volume(index));
        image(py, value(py, read)?)
    }

    /// What the manifest says of that volume.
    fn entry<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyAny>> {
        record(py, self.0.entry(index))
    }

    /// The shape of every volume, `[C, D, H, W]`.
    #[getter]
    fn shape(&self) -> [usize; 4] {
        self.0.shape()
    }
}
