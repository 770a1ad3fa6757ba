//! Restoration: bias correction, trained heads, and a generator as prior.

use std::sync::{Mutex, PoisonError};

use numpy::PyReadonlyArray3;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use voxgan::correct::n4;
use voxgan::correct::n4::N4Options;
use voxgan::heads::prior::FitSettings;
use voxgan::ndarray::Axis;
use voxgan::pipeline::prior::Operator;
use voxgan::pipeline::restore::Problem;
use voxgan::pipeline::{self, Device, Posterior, Restoration};
use voxgan::volume::Volume;
use voxgan::volume::crop::Centre;
use voxgan::volume::resample::Grid;

use crate::data::{Image, Scan, image, mask_of, options, truth};
use crate::job;

/// The scan without its bias field, and the field.
#[pyfunction]
pub fn n4_correct<'py>(
    py: Python<'py>,
    scan: Scan,
    mask: Option<PyReadonlyArray3<'py, bool>>,
    fit: &Bound<'py, PyAny>,
) -> PyResult<(Image<'py>, Image<'py>)> {
    let (fit, mask): (N4Options, _) = (options(fit)?, truth(mask));
    let (corrected, field) = job::run(py, None, |_| {
        let volume = scan.volume()?;
        let mask = mask_of(&volume, mask)?;
        let (corrected, field) = n4::correct(&volume, mask.as_ref(), &fit)?;
        let field = field.evaluate(volume.dims()).insert_axis(Axis(0));
        let field = Volume::new(field, volume.affine).in_world_of(&volume);
        Ok((corrected, field))
    })?;
    Ok((image(py, corrected)?, image(py, field)?))
}

/// A restoration network.
#[pyclass(frozen, module = "voxgan._voxgan")]
pub struct Restorer(Mutex<pipeline::Restorer>);

#[pymethods]
impl Restorer {
    /// The network of these weights; `backward` is the second one of translation without pairs.
    #[new]
    fn new(
        py: Python<'_>,
        weights: &str,
        backward: bool,
        keep_spacing: bool,
        device: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let device: Device = options(device)?;
        let open = if backward { pipeline::Restorer::open_backward } else { pipeline::Restorer::open };
        let restorer = job::run(py, None, |_| Ok(open(weights, device)?.keeping_spacing(keep_spacing)))?;
        Ok(Self(Mutex::new(restorer)))
    }

    /// Its name with the SHA-256 of its weights.
    #[getter]
    fn name(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).name.clone()
    }

    /// The restored scan: a dictionary of images and figures. The mask of in-painting is `missing`; the result goes to the grid of
    /// `like`.
    fn restore<'py>(
        &self,
        py: Python<'py>,
        scan: Scan,
        problem: &Bound<'py, PyAny>,
        missing: Option<Scan>,
        consistency: f64,
        like: Option<Scan>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let problem: Problem<()> = options(problem)?;
        let restored = job::run(py, None, |progress| {
            let scan = scan.volume()?;
            let missing = missing.map(Scan::volume).transpose()?;
            let problem = problem.with_mask(|()| Ok(missing.expect("a mask comes with in-painting")))?;
            let like = like.map(Scan::volume).transpose()?;
            progress.check()?;
            let restorer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let restored = restorer.restore(&scan, &problem, consistency)?;
            Ok(match like {
                Some(like) => restored.on_grid(&Grid::of(&like)),
                None => restored,
            })
        })?;
        dictionary(py, restored)
    }
}

/// A generator as prior.
#[pyclass(frozen, module = "voxgan._voxgan")]
pub struct Prior(Mutex<pipeline::Prior>);

#[pymethods]
impl Prior {
    /// The generator of these weights, under conditions such as "age=34,sex=F".
    #[new]
    fn new(
        py: Python<'_>,
        weights: &str,
        conditions: Option<String>,
        device: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let device: Device = options(device)?;
        let open = || pipeline::Prior::open(weights, conditions.as_deref(), device);
        Ok(Self(Mutex::new(job::run(py, None, |_| open())?)))
    }

    /// Its name with the SHA-256 of its weights.
    #[getter]
    fn name(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).name.clone()
    }

    /// The mean of the posterior, its deviation and its samples: a dictionary. The operator is one of a factor, `missing` voxels or
    /// `sampled` places of k-space.
    #[expect(clippy::too_many_arguments, reason = "those of the job")]
    fn restore<'py>(
        &self,
        py: Python<'py>,
        scan: Scan,
        factor: Option<[usize; 3]>,
        missing: Option<Scan>,
        sampled: Option<PyReadonlyArray3<'py, bool>>,
        centre: &Bound<'py, PyAny>,
        fit: &Bound<'py, PyAny>,
        consistency: f64,
        tell: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let (centre, fit): (Centre, FitSettings) = (options(centre)?, options(fit)?);
        let sampled = truth(sampled);
        let Posterior { restored, deviation, samples, .. } = job::run(py, tell, |progress| {
            fit.check()?;
            let volume = scan.volume()?;
            let operator = match (factor, missing, sampled) {
                (_, Some(missing), _) => Operator::Inpaint(missing.volume()?),
                (_, _, Some(sampled)) => Operator::Kspace(sampled),
                (factor, _, _) => Operator::Superres(factor.unwrap_or([2; 3])),
            };
            let prior = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            prior.restore(volume, &operator, centre, &fit, consistency, progress)
        })?;
        let found = dictionary(py, restored)?;
        found.set_item("deviation", deviation.map(|volume| image(py, volume)).transpose()?)?;
        let samples = samples.into_iter().map(|volume| image(py, volume)).collect::<PyResult<Vec<_>>>()?;
        found.set_item("samples", samples)?;
        Ok(found)
    }
}

fn dictionary(py: Python<'_>, restored: Restoration) -> PyResult<Bound<'_, PyDict>> {
    let Restoration { image: restored, baseline, null_space, null_space_share, residuals } = restored;
    let found = PyDict::new(py);
    found.set_item("image", image(py, restored)?)?;
    found.set_item("baseline", image(py, baseline)?)?;
    found.set_item("null_space", image(py, null_space)?)?;
    found.set_item("null_space_share", null_space_share)?;
    found.set_item("residuals", residuals)?;
    Ok(found)
}
