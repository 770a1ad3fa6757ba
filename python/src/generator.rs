//! A trained generator: samples, the steps to them, and weights by name.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use numpy::{IntoPyArray, PyArray2, PyReadonlyArray1, PyReadonlyArray2, PyReadonlyArrayDyn};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use voxgan::error::Error;
use voxgan::ndarray::ArrayD;
use voxgan::pipeline::{self, Labels, Sampling};
use voxgan::pretrained::{Weights, model};

use crate::data::{Image, image, options};
use crate::error::value;
use crate::job;

/// A trained generator.
#[pyclass(frozen, module = "voxgan._voxgan")]
pub struct Generator(Mutex<pipeline::Generator>);

impl Generator {
    fn open(&self) -> MutexGuard<'_, pipeline::Generator> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Arrays and metadata of a safetensors file.
type Arrays<'py> = (Bound<'py, PyDict>, BTreeMap<String, String>);

#[pymethods]
impl Generator {
    /// The generator of these weights.
    #[new]
    fn new(py: Python<'_>, sampling: &Bound<'_, PyAny>) -> PyResult<Self> {
        let sampling: Sampling = options(sampling)?;
        let generator = job::run(py, None, |_| pipeline::Generator::open(&sampling, &[]))?;
        Ok(Self(Mutex::new(generator)))
    }

    /// The generator of arrays by name, with the metadata of their file.
    #[staticmethod]
    fn of_arrays(
        py: Python<'_>,
        arrays: BTreeMap<String, PyReadonlyArrayDyn<'_, f32>>,
        metadata: BTreeMap<String, String>,
        sampling: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let sampling: Sampling = options(sampling)?;
        let of = |array: &PyReadonlyArrayDyn<'_, f32>| {
            let array = array.as_array();
            (array.shape().to_vec(), array.iter().copied().collect())
        };
        let arrays = arrays.iter().map(|(name, array)| (name.clone(), of(array))).collect();
        let weights = Weights { path: PathBuf::from(&sampling.weights), metadata, arrays };
        let generator = job::run(py, None, |_| {
            pipeline::Generator::from_bytes(&weights.to_bytes(false)?, &sampling, &[])
        })?;
        Ok(Self(Mutex::new(generator)))
    }

    /// The arrays of weights by name, and their file's metadata.
    #[staticmethod]
    fn arrays<'py>(py: Python<'py>, weights: &str) -> PyResult<Arrays<'py>> {
        let (Weights { arrays, metadata, .. }, _) = job::run(py, None, |_| model::weights(weights))?;
        let by_name = PyDict::new(py);
        for (name, (shape, values)) in arrays {
            let array = ArrayD::from_shape_vec(shape, values).expect("values of the shape");
            by_name.set_item(name, array.into_pyarray(py))?;
        }
        Ok((by_name, metadata))
    }

    /// The sample of a seed with its labels, by these settings.
    fn sample<'py>(
        &self,
        py: Python<'py>,
        seed: u64,
        sampling: &Bound<'py, PyAny>,
    ) -> PyResult<(Image<'py>, Labels)> {
        let sampling: Sampling = options(sampling)?;
        let (volume, labels) = job::run(py, None, |_| {
            let mut generator = self.open();
            generator.set_sampling(&sampling, &[])?;
            Ok((generator.sample(seed), generator.labels(seed)))
        })?;
        Ok((image(py, volume)?, labels))
    }

    /// The latent of a seed, `[z_dim]`.
    fn latent(&self, seed: u64) -> Vec<f32> {
        self.open().latent(seed)
    }

    /// The truncated w's `[num_ws, w_dim]` of a latent, under the conditions of a seed.
    fn styles<'py>(
        &self,
        py: Python<'py>,
        latent: PyReadonlyArray1<'py, f32>,
        seed: u64,
        sampling: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let (sampling, latent): (Sampling, _) = (options(sampling)?, latent.as_array().to_vec());
        let styles = job::run(py, None, |_| {
            let mut generator = self.open();
            generator.set_sampling(&sampling, &[])?;
            let length = generator.recipe.network.z_dim;
            match latent.len() == length {
                true => Ok(generator.styles(&latent, seed)),
                false => {
                    let (expected, found) = (format!("{length} numbers"), latent.len().to_string());
                    Err(Error::value("latent", expected, found, "take one of latent()"))
                }
            }
        })?;
        Ok(styles.into_pyarray(py))
    }

    /// The volume of w's `[num_ws, w_dim]`; the seed is for random noise inputs.
    fn volume<'py>(
        &self,
        py: Python<'py>,
        styles: PyReadonlyArray2<'py, f32>,
        seed: u64,
        sampling: &Bound<'py, PyAny>,
    ) -> PyResult<Image<'py>> {
        let (sampling, styles): (Sampling, _) = (options(sampling)?, styles.as_array().to_owned());
        let volume = job::run(py, None, |_| {
            let mut generator = self.open();
            generator.set_sampling(&sampling, &[])?;
            let expected = (generator.num_ws(), generator.recipe.network.w_dim);
            match styles.dim() == expected {
                true => Ok(generator.volume(&styles, seed)),
                false => {
                    let (expected, found) = (format!("{expected:?}"), format!("{:?}", styles.dim()));
                    Err(Error::value("styles", expected, found, "take those of styles()"))
                }
            }
        })?;
        image(py, volume)
    }

    /// Names of the conditions.
    #[getter]
    fn conditions(&self) -> Vec<String> {
        self.open().conditions().into_iter().map(String::from).collect()
    }

    /// Number of w's.
    #[getter]
    fn num_ws(&self) -> usize {
        self.open().num_ws()
    }

    /// Shape of its volumes, `[D, H, W]`.
    #[getter]
    fn shape(&self) -> [usize; 3] {
        self.open().recipe.network.shape()
    }

    /// The recipe of its training, as TOML.
    #[getter]
    fn recipe(&self, py: Python<'_>) -> PyResult<String> {
        value(py, self.open().recipe.to_toml())
    }

    /// SHA-256 of its weights.
    #[getter]
    fn sha256(&self) -> String {
        self.open().sha256.clone()
    }
}
