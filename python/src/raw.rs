//! Raw data: reconstruction, coil sensitivities and sampling masks.

use std::path::PathBuf;

use numpy::{
    IntoPyArray, PyArray1, PyArray2, PyArray3, PyArray4, PyReadonlyArray3, PyReadonlyArray4,
    PyReadonlyArrayDyn,
};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use voxgan::acquisition::Complex32;
use voxgan::acquisition::coils::{self, Birdcage, EspiritOptions};
use voxgan::acquisition::sampling::{Mask, Pattern, Report, Seed};
use voxgan::error::{Error, Result};
use voxgan::io::{masks, raw as files};
use voxgan::ndarray::{Array4, ArrayD};
use voxgan::pipeline::recon::{Maps, Options, read_maps, reconstruct, undersample};
use voxgan::recon::{LearnedVolumes, Reconstructed};
use voxgan::simulate::degrade::Motion;
use voxgan::volume::KSpace;

use crate::data::{image, options, record, truth};
use crate::job;

/// Raw data as Python gives it.
pub enum Raw {
    File(PathBuf),
    Array(ArrayD<Complex32>),
}

impl<'py> FromPyObject<'_, 'py> for Raw {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(path) = given.extract::<PathBuf>() {
            return Ok(Self::File(path));
        }
        let array = given.extract::<PyReadonlyArrayDyn<'py, Complex32>>();
        let array = array.map_err(|_| PyTypeError::new_err("expected a path or an array of complex64"))?;
        Ok(Self::Array(array.as_array().to_owned()))
    }
}

impl Raw {
    fn kspace(self, options: &Options) -> Result<KSpace> {
        match self {
            Self::File(path) => files::read(&path, &options.raw),
            Self::Array(array) => files::of_array(array, &options.raw),
        }
    }

    fn maps(self) -> Result<Array4<Complex32>> {
        let array = match self {
            Self::File(path) => return read_maps(&path),
            Self::Array(array) => array,
        };
        let found = format!("{:?}", array.shape());
        array
            .into_dimensionality()
            .map_err(|_| Error::value("maps", "[coils, D, H, W]", found, "give one map for each coil"))
    }
}

/// The image of raw data: a dictionary of images and figures.
#[pyfunction]
pub fn recon<'py>(
    py: Python<'py>,
    kspace: Raw,
    maps: Option<Raw>,
    mask: Option<PyReadonlyArray3<'py, bool>>,
    motion: Option<&Bound<'py, PyAny>>,
    settings: &Bound<'py, PyAny>,
    tell: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let mut settings: Options = options(settings)?;
    let motion: Option<Motion> = motion.map(options).transpose()?;
    let mask = truth(mask);
    let (found, name) = job::run(py, tell, |progress| {
        let readout = match &kspace {
            Raw::File(path) => files::readout(path),
            Raw::Array(_) => None,
        };
        let path = std::mem::take(&mut settings.input);
        let mut kspace = kspace.kspace(&settings)?;
        let grid = kspace.sampled.dim().into();
        if let Some(mask) = mask {
            let mask = masks::spread(mask, grid).map_err(|error| error.with_key(|_| "mask".into()))?;
            undersample(&mut kspace, &mask, readout, "a mask");
        }
        progress.check()?;
        let known = maps.map(Raw::maps).transpose()?;
        let maps = match known {
            Some(maps) => Maps::File(maps),
            None => settings.maps.clone().with_file(|path| read_maps(&path))?,
        };
        let shots = motion.map(|motion| motion.shots(grid)).transpose()?;
        let made = reconstruct(kspace, maps, shots, &settings, progress);
        made.map_err(|error| if path.as_os_str().is_empty() { error } else { error.in_file(&path) })
    })?;
    let Reconstructed { volume, data_residual, learned, .. } = found;
    let found = PyDict::new(py);
    found.set_item("image", image(py, volume)?)?;
    found.set_item("data_residual", data_residual)?;
    found.set_item("network", name)?;
    if let Some(LearnedVolumes { initial, initial_residual, null_space }) = learned {
        found.set_item("baseline", image(py, initial)?)?;
        found.set_item("baseline_residual", initial_residual)?;
        found.set_item("null_space", image(py, null_space)?)?;
    }
    Ok(found)
}

/// Sets of sensitivities `[coils, D, H, W]`, their eigenvalues `[D, H, W]`, and how many voxels have not settled.
type Sensitivities<'py> = (Vec<Bound<'py, PyArray4<Complex32>>>, Vec<Bound<'py, PyArray3<f32>>>, usize);

/// The sensitivities of k-space `[coils, D, H, W]`, by ESPIRiT.
#[pyfunction]
pub fn espirit<'py>(
    py: Python<'py>,
    kspace: PyReadonlyArray4<'py, Complex32>,
    transformed: [bool; 3],
    settings: &Bound<'py, PyAny>,
) -> PyResult<Sensitivities<'py>> {
    let (settings, kspace): (EspiritOptions, _) = (options(settings)?, kspace.as_array().to_owned());
    let found = job::run(py, None, |_| coils::espirit(kspace.view(), transformed, &settings))?;
    let maps = found.maps.into_iter().map(|maps| maps.into_pyarray(py)).collect();
    Ok((maps, found.eigenvalues.into_iter().map(|values| values.into_pyarray(py)).collect(), found.unsettled))
}

/// Simulated sensitivities `[coils, D, H, W]`.
#[pyfunction]
pub fn birdcage<'py>(
    py: Python<'py>,
    settings: &Bound<'py, PyAny>,
    shape: [usize; 3],
) -> PyResult<Bound<'py, PyArray4<Complex32>>> {
    let settings: Birdcage = options(settings)?;
    Ok(job::run(py, None, |_| settings.maps(shape))?.into_pyarray(py))
}

/// The mask `[D, H, W]` of a pattern, and the acceleration that was asked for.
#[pyfunction]
pub fn mask<'py>(
    py: Python<'py>,
    pattern: &Bound<'py, PyAny>,
    shape: [usize; 3],
    seed: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyArray3<bool>>, Option<f64>)> {
    let (pattern, seed): (Pattern, Seed) = (options(pattern)?, options(seed)?);
    let Mask { sampled, nominal } = job::run(py, None, |_| pattern.mask(shape, &seed))?;
    Ok((sampled.into_pyarray(py), nominal))
}

/// The figures of a mask `[D, H, W]`.
#[pyfunction]
pub fn mask_report<'py>(
    py: Python<'py>,
    sampled: PyReadonlyArray3<'py, bool>,
) -> PyResult<Bound<'py, PyAny>> {
    let sampled = sampled.as_array().to_owned();
    record(py, &job::run(py, None, |_| Ok(Report::of(&sampled)))?)
}

/// Points `[samples, 3]` and density `[samples]` of a trajectory.
type Points<'py> = (Bound<'py, PyArray2<f32>>, Bound<'py, PyArray1<f32>>);

/// The trajectory of a radial or spiral pattern.
#[pyfunction]
pub fn trajectory<'py>(
    py: Python<'py>,
    pattern: &Bound<'py, PyAny>,
    shape: [usize; 3],
    seed: &Bound<'py, PyAny>,
) -> PyResult<Points<'py>> {
    let (pattern, seed): (Pattern, Seed) = (options(pattern)?, options(seed)?);
    let found = job::run(py, None, |_| match &pattern {
        Pattern::Radial(radial) => radial.trajectory(shape, &seed),
        Pattern::Spiral(spiral) => spiral.trajectory(shape, &seed),
        _ => {
            let advice = "other patterns lie on the grid: take their mask";
            Err(Error::value("pattern", "radial or spiral", "another", advice))
        }
    })?;
    Ok((found.points.into_pyarray(py), found.density.into_pyarray(py)))
}
