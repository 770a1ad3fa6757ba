//! A trained generator with what is needed to use it: its recipe and the space of its training set.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::embedded::GENERATORS;
use super::source::weights_of;
use super::{Weights, load_weights, sha256};
use crate::config::Recipe;
use crate::error::{Error, Result};
use crate::gan::{Generator, Population};
use crate::ops::VolumeOps;
use crate::volume::VoxelToWorld;
use crate::volume::intensity::{IntensityMap, Normalisation};

/// Prefix of the names of the averaged generator's arrays in a checkpoint.
pub const AVERAGE: &str = "G_ema.";

/// The space of synthetic volumes: affine and intensities of the training set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingSpace {
    /// Where they lie.
    pub affine: VoxelToWorld,
    /// The typical map from the scans' intensities to the network's; its inverse is applied to samples.
    pub intensity: IntensityMap,
    /// The normalisation of the training set; `None` in files of version 0.1.0, whose normalisation is the default of
    /// `voxgan prepare`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalisation: Option<Normalisation>,
    /// SHA-256 of the training set's content.
    pub dataset_sha256: String,
    /// Number of volumes in the training set.
    pub volumes: usize,
    /// The distribution of the training people's conditions; `None` for a network without conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub population: Option<Population>,
}

/// A trained generator.
#[derive(Debug)]
pub struct Model<B: VolumeOps> {
    /// The averaged generator.
    pub generator: Generator<B>,
    /// The recipe of its training.
    pub recipe: Recipe,
    /// The space of its volumes.
    pub space: TrainingSpace,
    /// Number of real volumes shown in training.
    pub images: u64,
    /// File or embedded name.
    pub source: String,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// Names of the generators inside the program.
pub fn embedded_names() -> Vec<&'static str> {
    GENERATORS.iter().map(|(name, _)| *name).collect()
}

/// The weights of `name_or_path`, as in [`Model::open`], and the SHA-256 of the file.
///
/// # Errors
/// As [`Model::open`].
pub fn weights(name_or_path: &str) -> Result<(Weights, String)> {
    let (path, bytes) = weights_of(name_or_path, GENERATORS)?;
    Ok((Weights::from_bytes(&bytes, &path)?, sha256(&bytes)))
}

impl<B: VolumeOps> Model<B> {
    /// Its name with the first digits of the SHA-256 of its weights.
    pub fn name(&self) -> String {
        let file = Path::new(&self.source).file_stem().unwrap_or_default().to_string_lossy();
        format!("voxgan {file} sha256:{}", &self.sha256[..12])
    }

    /// Opens a generator: one inside the program by its name, a checkpoint or weights file, or a run's folder (its
    /// latest checkpoint).
    ///
    /// # Errors
    /// [`Error::Value`] for a name that is none of these; [`Error::Io`] or [`Error::File`] for a file that cannot be
    /// read or is no generator.
    pub fn open(name_or_path: &str, device: &B::Device) -> Result<Self> {
        let (path, bytes) = weights_of(name_or_path, GENERATORS)?;
        Self::from_bytes(&bytes, &path.to_string_lossy(), device)
    }

    /// The generator of a safetensors file in memory; `source` names it in errors and records.
    ///
    /// # Errors
    /// [`Error::File`] for bytes that are no generator.
    pub fn from_bytes(bytes: &[u8], source: &str, device: &B::Device) -> Result<Self> {
        let path = Path::new(source);
        let weights = Weights::from_bytes(bytes, path)?;
        let text = |key: &str| {
            weights.metadata.get(key).ok_or_else(|| {
                let advice = "give a checkpoint of `voxgan train` or what `voxgan export` wrote";
                Error::file(path, format!("metadata {key}"), "a voxgan checkpoint", "none", advice)
            })
        };
        let recipe = Recipe::from_toml(text("recipe")?, path)?;
        let json = |key: &str, e: serde_json::Error| {
            Error::file(path, format!("metadata {key}"), "valid JSON", e.to_string(), "use an undamaged file")
        };
        let space = serde_json::from_str(text("space")?).map_err(|e| json("space", e))?;
        let images = text("images")?.parse().unwrap_or(0);
        weights.check_size(AVERAGE, recipe.network.least_parameters())?;
        let generator = Generator::init(&recipe.network, recipe.conditions.width(), 0, device);
        let generator = load_weights(generator, &weights, AVERAGE)?;
        Ok(Self { generator, recipe, space, images, source: source.to_string(), sha256: sha256(bytes) })
    }
}
