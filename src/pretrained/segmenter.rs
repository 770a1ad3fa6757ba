//! Trained segmenters: the one inside the program, and those of files.

use std::path::Path;

use super::source::weights_of;
use super::{Weights, load_weights, sha256};
use crate::anatomy::Segmenter;
use crate::anatomy::segment::SegmentationNetConfig;
use crate::config::SegmentationRecipe;
use crate::error::{Error, Result};
use crate::nn::Init;
use crate::ops::VolumeOps;

/// The name of the segmenter inside the program.
pub const EMBEDDED: &str = "anatomy";
const EMBEDDED_BYTES: &[u8] = include_bytes!("../../weights/anatomy.safetensors");

/// Where the averaged network stands among the arrays of a checkpoint.
pub const AVERAGE: &str = "S_ema.";

/// Opens a segmenter: the one inside the program by its name, a checkpoint or weights file, or a run's folder (its latest
/// checkpoint).
///
/// # Errors
/// [`Error::Value`] for a name that is neither; [`Error::Io`] and [`Error::File`] for what cannot be read or is no
/// segmenter.
pub fn open<B: VolumeOps>(name_or_path: &str, device: &B::Device) -> Result<Segmenter<B>> {
    let (path, bytes) = weights_of(name_or_path, &[(EMBEDDED, EMBEDDED_BYTES)])?;
    from_bytes(&bytes, &path, device)
}

fn from_bytes<B: VolumeOps>(bytes: &[u8], path: &Path, device: &B::Device) -> Result<Segmenter<B>> {
    let weights = Weights::from_bytes(bytes, path)?;
    let recipe = weights.metadata.get("recipe").ok_or_else(|| {
        let advice = "give a checkpoint of `voxgan train` with a segmenter's recipe";
        Error::file(path, "metadata recipe", "a segmenter's recipe", "none", advice)
    })?;
    let recipe = SegmentationRecipe::from_toml(recipe, path)?;
    let config = SegmentationNetConfig { widths: recipe.segmenter.widths };
    let network = load_weights(config.init(&mut Init::new(0), device), &weights, AVERAGE)?;
    let file = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = format!("voxgan {file} sha256:{}", &sha256(bytes)[..12]);
    Ok(Segmenter::new(network, config, recipe.training.crop, name, device.clone()))
}
