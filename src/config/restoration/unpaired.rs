//! Translation without pairs.

use serde::{Deserialize, Serialize};

use super::{
    ADVICE, AdversarialLoss, HeadRecipe, RestorationLoss, RestorationRecipe, above_zero, not_below_zero,
};
use crate::error::{Error, Result};

/// The name of the table `[discriminator]` in earlier recipes.
const FORMERLY: &str = "adversary";

/// Translation between two sets of images of different heads (CycleGAN: Zhu et al. 2017, "Unpaired image-to-image
/// translation using cycle-consistent adversarial networks"): weights of the terms beside the adversarial loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UnpairedRecipe {
    /// Weight of the mean absolute difference between an image and its translation by both networks in turn (the
    /// paper's λ).
    pub cycle: f64,
    /// Weight of the mean absolute difference between an image of a network's target contrast and the network's output
    /// for it (the paper's section 5.2: half of λ).
    pub identity: f64,
    /// Number of steps over which both weights rise from zero. Networks start as the identity, which minimises both
    /// terms: at full weight from the first step, the adversarial loss would not move them from there.
    pub rise: u64,
}

impl Default for UnpairedRecipe {
    fn default() -> Self {
        Self { cycle: 10.0, identity: 5.0, rise: 1000 }
    }
}

impl UnpairedRecipe {
    pub(super) fn validate(&self, recipe: &RestorationRecipe) -> Result<()> {
        above_zero("unpaired.cycle", self.cycle)?;
        not_below_zero("unpaired.identity", self.identity)?;
        let wrong = |key: &str, expected: &str, found: &str, advice: &str| {
            Err(Error::value(key, expected, found, advice))
        };
        if !matches!(recipe.head, HeadRecipe::Translate(_)) {
            return wrong("unpaired", "the head translate", "another head", "remove the table [unpaired]");
        }
        if recipe.loss != RestorationLoss::default() {
            let advice = "remove the table [loss]; weights of unpaired training stand in [unpaired]";
            return wrong("loss", "nothing where images have no truth", "a table [loss]", advice);
        }
        match &recipe.discriminator {
            None => wrong(
                "discriminator",
                "a discriminator where images are unpaired",
                "none",
                "add [discriminator]",
            ),
            Some(discriminator) if discriminator.weight == 0.0 => {
                wrong("discriminator.weight", "a positive number", "0", ADVICE)
            }
            Some(_) => Ok(()),
        }
    }
}

impl RestorationRecipe {
    /// Where images are unpaired, a discriminator has other defaults: the paper's least squares, at weight 1 and
    /// without a penalty. They are put in place of what `text`, of which this recipe was read, does not say.
    pub(super) fn complete_discriminator(&mut self, text: &str) {
        if self.unpaired.is_none() {
            return;
        }
        let table = text.parse::<toml::Table>().unwrap_or_default();
        let said = table.get("discriminator").or_else(|| table.get(FORMERLY));
        let says = |key: &str| said.is_some_and(|said| said.get(key).is_some());
        let discriminator = self.discriminator.get_or_insert_default();
        if !says("loss") {
            discriminator.loss = AdversarialLoss::LeastSquares;
        }
        if !says("weight") {
            discriminator.weight = 1.0;
        }
        if !says("penalty") {
            discriminator.penalty = 0.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Checkpoints and weights hold recipes with the keys of earlier versions.
    #[test]
    fn earlier_keys_mean_what_they_meant() {
        let read = |text: &str| RestorationRecipe::from_toml(text, Path::new("recipe.toml")).unwrap();
        let earlier = read(
            "[head]\ntask = \"translate\"\n[network]\nkind = \"u-net\"\nwidths = [4]\nfold = [2, 2, 2]\n[chain]\nstages = 2\n\
             between = \"project\"\n[unpaired]\n[adversary]\ncritic = \"stylegan2\"\nweight = 0.5\n[training]\naverage_steps = 7.0",
        );
        let now = read(
            "[head]\ntask = \"translate\"\n[network]\nkind = \"u-net\"\nwidths = [4]\nspace_to_depth = [2, 2, 2]\n[cascade]\n\
             stages = 2\nbetween = \"data-consistency\"\n[unpaired]\n[discriminator]\nkind = \"stylegan2\"\nweight = 0.5\n\
             [training]\nema_half_life_steps = 7.0",
        );
        assert_eq!(earlier, now);
        let head = |keys: &str| {
            read(&format!("[head]\n{keys}\n[network]\nkind = \"residual\"\nchannels = 4\nblocks = 1\n")).head
        };
        let pattern = "patterns = [{ kind = \"radial\", spokes = { acceleration = 4.0 } }]";
        assert_eq!(
            head(&format!(
                "task = \"recon\"\n{pattern}\nphase = 0.1\nstart = \"l1-wavelet\"\nbeside = [\"zero-filled\"]"
            )),
            head(&format!(
                "task = \"recon\"\n{pattern}\nphase_rad = 0.1\ninitial = \"l1-wavelet\"\nextra_inputs = [\"zero-filled\"]"
            )),
        );
        assert_eq!(
            head("task = \"inpaint\"\nradius = [1.0, 2.0]"),
            head("task = \"inpaint\"\nradius_voxels = [1.0, 2.0]")
        );
    }
}
