//! Structures of heads: segmentation, volumes, masks, checks and comparisons.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use numpy::{IntoPyArray, PyArray3};
use pyo3::prelude::*;
use voxgan::anatomy::Region;
use voxgan::anatomy::quality_check::QualityCheck;
use voxgan::anatomy::volumes::{Volumes, csv};
use voxgan::error::Result;
use voxgan::ndarray::Array3;
use voxgan::pipeline::deface::defaced;
use voxgan::pipeline::outputs::Writes;
use voxgan::pipeline::strip::stripped;
use voxgan::pipeline::{self, Device, check, compare as cohorts, volumes};
use voxgan::volume::Volume;
use voxgan::volume::resample::Grid;

use crate::data::{Image, Scan, image, options, record};
use crate::job;

/// A segmenter, or a reader of label maps.
#[pyclass(frozen, module = "voxgan._voxgan")]
pub struct Segmenter(Mutex<pipeline::Segmenter>);

impl Segmenter {
    fn open(&self) -> MutexGuard<'_, pipeline::Segmenter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An image and a mask `[D, H, W]`.
type Masked<'py> = (Image<'py>, Bound<'py, PyArray3<bool>>);

#[pymethods]
impl Segmenter {
    /// The segmenter of this name or path, or with `labels` what reads label maps.
    #[new]
    fn new(
        py: Python<'_>,
        weights: &str,
        refine: bool,
        labels: bool,
        device: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let device: Device = options(device)?;
        let segmenter = job::run(py, None, |_| match labels {
            true => Ok(pipeline::Segmenter::of_labels()),
            false => pipeline::Segmenter::open(weights, device, refine),
        })?;
        Ok(Self(Mutex::new(segmenter)))
    }

    /// Its name with the SHA-256 of its weights.
    #[getter]
    fn name(&self) -> String {
        self.open().name.clone()
    }

    /// The label map on the scan's grid, and the row of the scan's volumes as CSV.
    fn segment<'py>(&self, py: Python<'py>, scan: Scan, subject: &str) -> PyResult<(Image<'py>, String)> {
        let (labels, table) = job::run(py, None, |_| {
            let (name, scan) = (scan.name(), scan.volume()?);
            let found = self.open().segment(&scan).map_err(|error| error.in_file(&name))?;
            let grid = Grid::of(&scan);
            let volumes = Volumes::of(subject, &found, Some(&grid));
            Ok((found.on(&grid).to_volume().in_world_of(&scan), csv(&[volumes])))
        })?;
        Ok((image(py, labels)?, table))
    }

    /// The brain alone, and its mask; with `csf` with the fluid around it.
    fn strip<'py>(&self, py: Python<'py>, scan: Scan, csf: bool) -> PyResult<Masked<'py>> {
        let region =
            Region::named(if csf { "intracranial" } else { "brain" }).expect("a region of the table");
        self.masked(py, scan, |scan, segmenter| stripped(scan, segmenter, region))
    }

    /// The head without its face, and the mask of what was removed.
    fn deface<'py>(&self, py: Python<'py>, scan: Scan) -> PyResult<Masked<'py>> {
        self.masked(py, scan, defaced)
    }

    /// The verdict on a scan before and after a change, by the limits of a TOML text.
    fn check<'py>(
        &self,
        py: Python<'py>,
        before: Scan,
        after: Scan,
        limits: Option<(String, PathBuf)>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let verdict = job::run(py, None, |progress| {
            let check = match &limits {
                None => QualityCheck::default(),
                Some((text, path)) => QualityCheck::from_toml(text, path)?,
            };
            let paths = [before.name(), after.name()];
            let (before, after) = (before.volume()?, after.volume()?);
            progress.check()?;
            let name = paths[0].file_name().unwrap_or_default().to_string_lossy().into_owned();
            let pair = check::measured(name, (&paths[0], &before), (&paths[1], &after), &self.open())?;
            Ok(check.judge(vec![pair.record()]))
        })?;
        record(py, &verdict)
    }

    /// The verdict on the pairs of two folders, and a line for each pair that could not be measured.
    fn check_folders<'py>(
        &self,
        py: Python<'py>,
        settings: &Bound<'py, PyAny>,
        force: bool,
        tell: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyAny>, Vec<String>)> {
        let settings: check::Options = options(settings)?;
        let checked = job::run(py, tell, |progress| {
            settings.files().check(force)?;
            check::check(&settings, &self.open(), progress)
        })?;
        Ok((record(py, &checked.verdict)?, checked.failures))
    }

    /// Measures scans into a folder: the rows as CSV, and a line for each scan that could not be measured.
    fn volumes(
        &self,
        py: Python<'_>,
        settings: &Bound<'_, PyAny>,
        tell: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<(String, Vec<String>)> {
        let settings: volumes::Options = options(settings)?;
        let measured = job::run(py, tell, |progress| volumes::volumes(&settings, &self.open(), progress))?;
        let rows: Vec<Volumes> = measured.scans.into_iter().map(|scan| scan.volumes).collect();
        Ok((csv(&rows), measured.failures))
    }
}

impl Segmenter {
    fn masked<'py>(
        &self,
        py: Python<'py>,
        scan: Scan,
        act: impl FnOnce(Volume, &pipeline::Segmenter) -> Result<(Volume, Array3<bool>)> + Send,
    ) -> PyResult<Masked<'py>> {
        let (left, mask) = job::run(py, None, |_| {
            let name = scan.name();
            act(scan.volume()?, &self.open()).map_err(|error| error.in_file(&name))
        })?;
        Ok((image(py, left)?, mask.into_pyarray(py)))
    }
}

/// The comparison of two cohorts, and a line for each scan that could not be measured.
#[pyfunction]
pub fn compare<'py>(
    py: Python<'py>,
    settings: &Bound<'py, PyAny>,
    segmenter: &Bound<'py, Segmenter>,
    tell: Option<&Bound<'py, PyAny>>,
) -> PyResult<(Bound<'py, PyAny>, Vec<String>)> {
    let settings: cohorts::Options = options(settings)?;
    let segmenter = segmenter.get();
    let compared = job::run(py, tell, |progress| cohorts::compare(&settings, &segmenter.open(), progress))?;
    let found = record(py, &compared.comparison)?;
    let nearest = compared.nearest.as_ref().map(|(_, ratio)| *ratio);
    found.set_item("nearest_distance_ratio", nearest)?;
    Ok((found, compared.failures))
}
