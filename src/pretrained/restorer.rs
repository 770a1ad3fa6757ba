//! Trained restoration networks: those inside the program, and those of files.

use super::embedded::RESTORERS;
use super::source::weights_of;
use super::{ImageSpace, Weights, load_weights, sha256};
use crate::config::RestorationRecipe;
use crate::error::{Error, Result};
use crate::heads::{Restorer, head};
use crate::ops::VolumeOps;

/// The names of the networks that commands take by themselves.
pub const SUPERRES: &str = "superres";
/// That of in-painting.
pub const INPAINT: &str = "inpaint";
/// That of reconstruction.
pub const RECON: &str = "recon";
/// That of motion correction.
pub const MOTION: &str = "motion";
/// That of translation.
pub const TRANSLATE: &str = "translate";
/// That of progression.
pub const PROGRESS: &str = "progress";
/// The names of the networks inside the program.
pub fn embedded_names() -> impl Iterator<Item = &'static str> {
    RESTORERS.iter().map(|(name, _)| *name)
}

/// Where the averaged network stands among the arrays of a checkpoint.
pub const AVERAGE: &str = "R_ema.";
/// What stands before the names of the way back, in a run of translation without pairs.
pub const BACKWARD: &str = "backward.";

/// A trained restoration network.
#[derive(Debug)]
pub struct TrainedRestorer<B: VolumeOps> {
    /// The averaged network.
    pub network: Restorer<B>,
    /// How it was made.
    pub recipe: RestorationRecipe,
    /// What images were in its training.
    pub space: ImageSpace,
    /// Which it is, with the SHA-256 of its weights.
    pub name: String,
}

impl<B: VolumeOps> TrainedRestorer<B> {
    /// Opens a network: one inside the program by its name, a checkpoint or weights file, or a run's folder (its latest
    /// checkpoint).
    ///
    /// # Errors
    /// [`Error::Value`] for a name that is neither; [`Error::Io`] and [`Error::File`] for what cannot be read or is no
    /// restoration network.
    pub fn open(name_or_path: &str, device: &B::Device) -> Result<Self> {
        Self::part(name_or_path, "", device)
    }

    /// The network of the way back of a run of translation without pairs, from the contrast that it translates to.
    ///
    /// # Errors
    /// As [`Self::open`]; also for weights that have none.
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
