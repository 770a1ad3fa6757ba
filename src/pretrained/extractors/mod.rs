//! Feature extractors for measures of realism: the segmenter's encoder, and networks of others with weights from the
//! user.
//!
//! Each of the others reads a safetensors file with the arrays of a PyTorch `state_dict` under their names. Batch
//! normalisation is folded into the convolution before it.

mod encoder;
mod folded;
mod inception;
mod med3d;

use std::path::Path;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use safetensors::SafeTensors;

pub use inception::InceptionV3;
pub use med3d::Med3d;

use super::Weights;
use crate::error::{Error, Result};

/// A feature extractor: images to vectors.
///
/// Distances are comparable among vectors of one extractor only, so that its name goes with every number.
pub trait Extractor<B: Backend> {
    /// Its name, for tables.
    fn name(&self) -> String;

    /// Number of features, F.
    fn width(&self) -> usize;

    /// Features `[N, F]` of images `[N, C, D, H, W]`; C, D and the range of values depend on the extractor.
    ///
    /// # Errors
    /// [`Error::Value`] for images of a shape that it does not support.
    fn features(&self, x: Tensor<B, 5>) -> Result<Tensor<B, 2>>;
}

/// The float arrays of a `state_dict` in a safetensors file, without the prefix `module.` of parallel training and
/// without the counters of batches, which are whole numbers.
fn read(path: &Path) -> Result<Weights> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, "read the weights", e))?;
    let broken = |e: safetensors::SafeTensorError| {
        let advice = "convert the state_dict with safetensors.torch.save_file";
        Error::file(path, "content", "a safetensors file", e.to_string(), advice)
    };
    let tensors = SafeTensors::deserialize(&bytes).map_err(broken)?;
    let floats = tensors.iter().filter(|(name, _)| !name.ends_with("num_batches_tracked"));
    let floats = safetensors::serialize(floats, None).map_err(broken)?;
    Ok(without_prefix(Weights::from_bytes(&floats, path)?))
}

fn without_prefix(mut weights: Weights) -> Weights {
    let plain = |name: String| name.strip_prefix("module.").map_or(name.clone(), str::to_string);
    weights.arrays = weights.arrays.into_iter().map(|(name, array)| (plain(name), array)).collect();
    weights
}
