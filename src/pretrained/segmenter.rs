//! Trained segmenters from files.

use std::path::Path;

use super::model::checkpoint_at;
use super::{Weights, load_weights};
use crate::anatomy::Segmenter;
use crate::anatomy::segment::SegmentationNetConfig;
use crate::config::SegmentationRecipe;
use crate::error::{Error, Result};
use crate::nn::Init;
use crate::ops::VolumeOps;

/// Where the averaged network stands among the arrays of a checkpoint.
pub const AVERAGE: &str = "S_ema.";

/// The segmenter of a checkpoint or of a run's folder (its latest checkpoint).
///
/// # Errors
/// [`Error::Io`] and [`Error::File`] for what cannot be read or is no segmenter.
pub fn open<B: VolumeOps>(path: &Path, device: &B::Device) -> Result<Segmenter<B>> {
    let path = checkpoint_at(path)?;
    let weights = Weights::read(&path)?;
    let recipe = weights.metadata.get("recipe").ok_or_else(|| {
        let advice = "give a checkpoint of `voxgan train` with a segmenter's recipe";
        Error::file(&path, "metadata recipe", "a segmenter's recipe", "none", advice)
    })?;
    let recipe = SegmentationRecipe::from_toml(recipe, &path)?;
    let config = SegmentationNetConfig { widths: recipe.segmenter.widths };
    let network = load_weights(config.init(&mut Init::new(0), device), &weights, AVERAGE)?;
    Ok(Segmenter::new(network, &config, device.clone()))
}
