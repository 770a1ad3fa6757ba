//! Named arrays of a safetensors file, and loading them into a network.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::authors_name;
use crate::error::{Error, Result};
use crate::nn::parameters::{replace, values};

/// Float arrays by name, with the file's metadata.
#[derive(Clone, Debug, Default)]
pub struct Weights {
    /// The file's path, for errors.
    pub path: PathBuf,
    /// Metadata: texts by key.
    pub metadata: BTreeMap<String, String>,
    /// Shape and values by name.
    pub arrays: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Weights {
    /// Reads a safetensors file of float32, float16, bfloat16 or float64 arrays.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read; [`Error::File`] if it is no safetensors file or an array is no float.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, "read the weights", e))?;
        let weights = Self::from_bytes(&bytes, path)?;
        tracing::info!("read {}: {} arrays", path.display(), weights.arrays.len());
        Ok(weights)
    }

    /// The arrays of a safetensors file in memory; `path` is named in errors.
    ///
    /// # Errors
    /// [`Error::File`] if these are no safetensors or an array is no float.
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self> {
        let broken = |e: safetensors::SafeTensorError| {
            Error::file(
                path,
                "header",
                "a safetensors file",
                e.to_string(),
                "give a complete .safetensors file",
            )
        };
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(broken)?;
        let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
        let tensors = SafeTensors::deserialize(bytes).map_err(broken)?;
        let mut arrays = BTreeMap::new();
        for (name, view) in tensors.iter() {
            let values = floats(view.dtype(), view.data()).ok_or_else(|| {
                let found = format!("{:?}", view.dtype());
                Error::file(path, name, "float32, float16, bfloat16 or float64", found, "convert the array")
            })?;
            arrays.insert(name.to_string(), (view.shape().to_vec(), values));
        }
        Ok(Self { path: path.to_path_buf(), metadata, arrays })
    }

    /// Adds the parameters and buffers of `module` under `prefix` and the authors' names.
    pub fn insert<B: Backend>(&mut self, module: &impl Module<B>, prefix: &str) {
        for (path, data) in values(module) {
            let name = format!("{prefix}{}", authors_name(&path));
            self.arrays.insert(name, (data.shape.to_vec(), data.iter::<f32>().collect()));
        }
    }

    /// The bytes of a safetensors file, with arrays as float32, or as float16 if `half`.
    ///
    /// # Errors
    /// [`Error::File`] if safetensors refuses a name or shape.
    pub fn to_bytes(&self, half: bool) -> Result<Vec<u8>> {
        let bytes = |values: &[f32]| -> Vec<u8> {
            if half {
                values.iter().flat_map(|&v| half::f16::from_f32(v).to_le_bytes()).collect()
            } else {
                values.iter().flat_map(|v| v.to_le_bytes()).collect()
            }
        };
        let encoded: Vec<_> = self.arrays.iter().map(|(name, (shape, v))| (name, shape, bytes(v))).collect();
        let dtype = if half { Dtype::F16 } else { Dtype::F32 };
        let views = encoded.iter().map(|(name, shape, bytes)| {
            TensorView::new(dtype, shape.to_vec(), bytes).map(|view| (name.to_string(), view))
        });
        let metadata = self.metadata.clone().into_iter().collect();
        views
            .collect::<std::result::Result<Vec<_>, _>>()
            .and_then(|views| safetensors::serialize(views, Some(metadata)))
            .map_err(|e| {
                Error::file(&self.path, "arrays", "named float arrays", e.to_string(), "report this")
            })
    }

    /// Whether the arrays under `prefix` have at least `least` numbers, the minimum for a network of the file's recipe:
    /// a check of the recipe before a network is allocated by it.
    ///
    /// # Errors
    /// [`Error::File`] if they have fewer.
    pub fn check_size(&self, prefix: &str, least: u128) -> Result<()> {
        let arrays = self.arrays.iter().filter(|(name, _)| name.starts_with(prefix));
        let numbers: u128 = arrays.map(|(_, (_, values))| values.len() as u128).sum();
        if numbers < least {
            let (expected, found) =
                (format!("at least the {least} numbers of the recipe's network"), numbers.to_string());
            let advice = "the recipe belongs to other weights, or the file is damaged";
            return Err(Error::file(&self.path, format!("arrays {prefix}"), expected, found, advice));
        }
        Ok(())
    }

    /// The array `name`.
    ///
    /// # Errors
    /// [`Error::File`] if there is none.
    pub fn array(&self, name: &str) -> Result<&(Vec<usize>, Vec<f32>)> {
        self.arrays.get(name).ok_or_else(|| {
            Error::file(
                &self.path,
                name,
                "an array of this name",
                "none",
                "check that the file is of this kind",
            )
        })
    }
}

/// Values of little-endian float data; none for other types.
fn floats(dtype: Dtype, data: &[u8]) -> Option<Vec<f32>> {
    Some(match dtype {
        Dtype::F32 => data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        Dtype::F64 => data.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
        Dtype::F16 => data.as_chunks().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect(),
        Dtype::BF16 => data.as_chunks().0.iter().map(|b| half::bf16::from_le_bytes(*b).to_f32()).collect(),
        _ => return None,
    })
}

/// The module with every parameter and buffer from `weights` under `prefix` and the authors' names.
///
/// Arrays of lower rank can lack axes of size one: a 2D kernel `[O, I, 3, 3]` is loaded into `[O, I, 1, 3, 3]`, but not
/// `[O, I, 3, 1, 1]`.
///
/// # Errors
/// [`Error::File`] naming the first array that is missing or of another shape.
pub fn load_weights<B: Backend, M: Module<B>>(module: M, weights: &Weights, prefix: &str) -> Result<M> {
    let squeezed = |shape: &[usize]| shape.iter().copied().filter(|&n| n != 1).collect::<Vec<_>>();
    for (path, data) in values(&module) {
        let name = format!("{prefix}{}", authors_name(&path));
        let (shape, _) = weights.array(&name)?;
        let fits = match shape.len() == data.shape.len() {
            true => *shape == data.shape.to_vec(),
            false => squeezed(shape) == squeezed(&data.shape),
        };
        if !fits {
            let (expected, found) = (format!("shape {:?}", data.shape), format!("{shape:?}"));
            return Err(Error::file(&weights.path, name, expected, found, "use the recipe of these weights"));
        }
    }
    Ok(replace(module, |path, old: Tensor<B, 1>| {
        let (_, values) = &weights.arrays[&format!("{prefix}{}", authors_name(path))];
        let n = values.len();
        Tensor::from_data(TensorData::new(values.clone(), [n]).convert_dtype(old.dtype()), &old.device())
    }))
}
