//! Simulation: degradations of a scan, and phantoms.

use numpy::PyReadonlyArray3;
use pyo3::prelude::*;
use voxgan::pipeline::phantom::Options;
use voxgan::simulate::degrade::{self, Degradation, MaskRuns, Record, Simulated};

use crate::data::{Image, Scan, image, options, record};
use crate::job;

/// The scan after a chain of degradations, and the records of what was drawn.
#[pyfunction]
pub fn simulate<'py>(
    py: Python<'py>,
    scan: Scan,
    chain: &Bound<'py, PyAny>,
    seed: u64,
) -> PyResult<(Image<'py>, Bound<'py, PyAny>)> {
    let chain: Vec<Degradation> = options(chain)?;
    let made = job::run(py, None, |_| degrade::simulate(&scan.volume()?, &chain, seed))?;
    let Simulated { volume, records } = made;
    Ok((image(py, volume)?, record(py, &records)?))
}

/// The scan after the degradations of records.
#[pyfunction]
pub fn replay<'py>(py: Python<'py>, scan: Scan, records: &Bound<'py, PyAny>) -> PyResult<Image<'py>> {
    let records: Vec<Record> = options(records)?;
    image(py, job::run(py, None, |_| degrade::replay(&scan.volume()?, &records))?)
}

/// A phantom.
#[pyfunction]
pub fn phantom<'py>(py: Python<'py>, settings: &Bound<'py, PyAny>) -> PyResult<Image<'py>> {
    let settings: Options = options(settings)?;
    image(py, job::run(py, None, |_| settings.volume())?)
}

/// A mask `[D, H, W]` as degradations and their records have it.
#[pyfunction]
pub fn mask_runs<'py>(py: Python<'py>, mask: PyReadonlyArray3<'py, bool>) -> PyResult<Bound<'py, PyAny>> {
    record(py, &MaskRuns::from(&mask.as_array().to_owned()))
}
