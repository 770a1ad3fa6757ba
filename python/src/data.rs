//! Plain data between Python and the library: options and records as dictionaries, images as arrays with geometry.

use std::path::PathBuf;

use numpy::{IntoPyArray, PyArray4, PyReadonlyArray3, PyReadonlyArray4};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pythonize::{Depythonizer, pythonize};
use serde::Serialize;
use serde::de::DeserializeOwned;
use voxgan::error::{Error, Result};
use voxgan::io::scan::{self, ReadOptions};
use voxgan::ndarray::{Array3, Axis};
use voxgan::volume::{Provenance, Volume, VoxelToWorld};

use crate::error::{raised, value};

/// The options of a job of a dictionary.
pub fn options<T: DeserializeOwned>(given: &Bound<'_, PyAny>) -> PyResult<T> {
    let read = serde_path_to_error::deserialize(&mut Depythonizer::from_object(given));
    read.map_err(|error| {
        let key = match error.path().to_string() {
            root if root == "." => "options".to_string(),
            path => path,
        };
        let found = error.inner().to_string();
        raised(given.py(), &Error::value(key, "a setting of this job", found, "look at the function's help"))
    })
}

/// A record of the library as dictionaries and lists.
pub fn record<'py>(py: Python<'py>, record: &impl Serialize) -> PyResult<Bound<'py, PyAny>> {
    Ok(pythonize(py, record)?)
}

/// A scan as Python gives it: a path, or voxels `[C, D, H, W]`, affine by rows, and provenance.
pub enum Scan {
    File(PathBuf),
    Memory(Box<Volume>),
}

impl<'py> FromPyObject<'_, 'py> for Scan {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(path) = given.extract::<PathBuf>() {
            return Ok(Self::File(path));
        }
        type Parts<'py> = (PyReadonlyArray4<'py, f32>, [[f64; 4]; 4], Bound<'py, PyAny>);
        let parts = given.extract::<Parts>();
        let (voxels, affine, provenance) = parts.map_err(|_| {
            PyTypeError::new_err("expected a path, or float32 voxels with affine and provenance")
        })?;
        let affine = value(given.py(), VoxelToWorld::try_from(affine))?;
        let provenance: Provenance = options(&provenance)?;
        Ok(Self::Memory(Box::new(Volume { data: voxels.as_array().to_owned(), affine, provenance })))
    }
}

impl Scan {
    /// The volume; it is read if it is a file.
    ///
    /// # Errors
    /// As [`scan::read`], and [`Error::Value`] for voxels in memory that are not finite.
    pub fn volume(self) -> Result<Volume> {
        let volume = match self {
            Self::File(path) => return scan::read(path, &ReadOptions::default()),
            Self::Memory(volume) => *volume,
        };
        let odd = volume.data.iter().filter(|value| !value.is_finite()).count();
        if odd > 0 {
            let (found, advice) =
                (format!("{odd} that are NaN or infinite"), "repair them, as by numpy.nan_to_num");
            return Err(Error::value("voxels", "finite numbers", found, advice));
        }
        Ok(volume)
    }

    /// What the scan is called in errors and records.
    pub fn name(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Memory(volume) if volume.provenance.source.is_empty() => "image".into(),
            Self::Memory(volume) => volume.provenance.source.clone().into(),
        }
    }
}

/// Voxels `[C, D, H, W]`, affine by rows, and provenance, for Python.
pub type Image<'py> = (Bound<'py, PyArray4<f32>>, [[f64; 4]; 4], Bound<'py, PyAny>);

/// A volume for Python, which takes over its voxels.
pub fn image(py: Python<'_>, Volume { data, affine, provenance }: Volume) -> PyResult<Image<'_>> {
    Ok((data.into_pyarray(py), affine.into(), record(py, &provenance)?))
}

/// The places of a mask `[D, H, W]` of the same shape as `scan`.
pub fn mask_of(scan: &Volume, mask: Option<Array3<bool>>) -> Result<Option<Array3<bool>>> {
    let shape = scan.data.index_axis(Axis(0), 0).raw_dim();
    match mask {
        Some(mask) if mask.raw_dim() != shape => {
            let (expected, found) = (format!("{:?}", shape), format!("{:?}", mask.dim()));
            Err(Error::value("mask", expected, found, "give a mask of the image's shape"))
        }
        mask => Ok(mask),
    }
}

/// A mask of an array.
pub fn truth(mask: Option<PyReadonlyArray3<'_, bool>>) -> Option<Array3<bool>> {
    mask.map(|mask| mask.as_array().to_owned())
}
