//! Trained restoration networks: those inside the program, and those of files.

use super::embedded::RESTORERS;
use super::source::weights_of;
use super::{ImageSpace, Weights, load_weights, sha256};
use crate::config::RestorationRecipe;
use crate::error::{Error, Result};
use crate::heads::{Restorer, head};
use crate::ops::VolumeOps;

/// Name of the network for super-resolution inside the program.
pub const SUPERRES: &str = "superres";
/// Name of the network for in-painting.
pub const INPAINT: &str = "inpaint";
/// Name of the network for reconstruction.
pub const RECON: &str = "recon";
/// Name of the network for motion correction.
pub const MOTION: &str = "motion";
/// Name of the network for translation.
pub const TRANSLATE: &str = "translate";
/// Name of the network for progression.
pub const PROGRESS: &str = "progress";
/// Names of the restoration networks inside the program.
pub fn embedded_names() -> impl Iterator<Item = &'static str> {
    RESTORERS.iter().map(|(name, _)| *name)
}

/// Prefix of the names of the averaged network's arrays in a checkpoint.
pub const AVERAGE: &str = "R_ema.";
/// Prefix of the names of the network that translates back, in a run of translation without pairs.
pub const BACKWARD: &str = "backward.";

/// A trained restoration network.
#[derive(Debug)]
pub struct TrainedRestorer<B: VolumeOps> {
    /// The averaged network.
    pub network: Restorer<B>,
    /// The recipe of its training.
    pub recipe: RestorationRecipe,
    /// The space of the images of its training.
    pub space: ImageSpace,
    /// Its name with the SHA-256 of its weights.
    pub name: String,
}

impl<B: VolumeOps> TrainedRestorer<B> {
    /// Opens a network: one inside the program by its name, a checkpoint or weights file, or a run's folder (its latest
    /// checkpoint).
    ///
    /// # Errors
    /// [`Error::Value`] for a name that is none of these; [`Error::Io`] or [`Error::File`] for a file that cannot be
    /// read or is no restoration network.
    pub fn open(name_or_path: &str, device: &B::Device) -> Result<Self> {
        Self::part(name_or_path, "", device)
    }

    /// Opens the network that translates back, of a run of translation without pairs.
    ///
    /// # Errors
    /// As [`Self::open`], and for weights without such a network.
    pub fn open_backward(name_or_path: &str, device: &B::Device) -> Result<Self> {
        let trained = Self::part(name_or_path, BACKWARD, device)?;
        Ok(Self { name: format!("{}, backward", trained.name), ..trained })
    }

    fn part(name_or_path: &str, part: &str, device: &B::Device) -> Result<Self> {
        let (path, bytes) = weights_of(name_or_path, RESTORERS)?;
        let weights = Weights::from_bytes(&bytes, &path)?;
        let recipe = weights.metadata.get("recipe").ok_or_else(|| {
            let advice = "give a checkpoint of `voxgan train` with the recipe of a head";
            Error::file(&path, "metadata recipe", "the recipe of a head", "none", advice)
        })?;
        let recipe = RestorationRecipe::from_toml(recipe, &path)?;
        let average = format!("{part}{AVERAGE}");
        if !part.is_empty() && !weights.arrays.keys().any(|name| name.starts_with(&average)) {
            let advice = "give a run of translation without pairs: an exported network has one direction";
            return Err(Error::file(&path, "the way back", format!("arrays {average}"), "none", advice));
        }
        weights.check_size(&format!("{part}{AVERAGE}"), recipe.least_parameters())?;
        let network = Restorer::init(&recipe, &*head(&recipe.head), 0, device);
        let network = load_weights(network, &weights, &average)?;
        // Those inside the program were trained before spaces were written down: theirs is that of their cards.
        let inside = embedded_names().any(|name| name == name_or_path);
        let otherwise = || if inside { ImageSpace::of_1_mm() } else { ImageSpace::default() };
        let space = ImageSpace::of(&weights, otherwise)?;
        let file = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = format!("voxgan {file} sha256:{}", &sha256(&bytes)[..12]);
        Ok(Self { network, recipe, space, name })
    }
}
