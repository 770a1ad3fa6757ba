//! Transfer from another network's weights: matching parts are copied; new parts change neither the first image nor the
//! first logit, and grow by training.
//!
//! Blocks are matched from the coarsest on, as long as the factors are the same and the new one is at least as wide. A
//! network with more blocks starts with the old image upsampled (`generator.rs`), and its discriminator with the old
//! one's logit of the downsampled image (`discriminator.rs`), both in the architecture of StyleGAN2 and without a
//! blending factor.

use serde::{Deserialize, Serialize};

use super::checkpoint::{DISCRIMINATOR, GENERATOR};
use super::state::State;
use crate::config::{NetworkRecipe, Recipe};
use crate::error::{Error, Result};
use crate::ops::VolumeOps;
use crate::pretrained::model::{self, AVERAGE};
use crate::pretrained::{TrainingSpace, Weights, load_weights};

mod arrays;
mod discriminator;
mod generator;
#[cfg(test)]
mod tests;

use arrays::Pair;

/// Blocks that a network must share with another one to start from it: the base alone is none.
const SHARED_MIN: usize = 2;

/// The weights that a run started from, recorded in its checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// SHA-256 of the weights.
    pub sha256: String,
    /// Number of transferred blocks of the generator.
    pub generator_blocks: usize,
    /// Number of transferred blocks of the discriminator, its epilogue counting as one; 0 if it is new.
    pub discriminator_blocks: usize,
    /// Whether its from-image layer was transferred too. With more blocks, the new ones start with the old layer's
    /// function instead.
    pub from_image: bool,
}

impl Origin {
    /// Whether the parameter at this path of fields of the generator stays as it is.
    pub(super) fn freezes_in_generator(recipe: &Recipe, path: &str) -> bool {
        recipe.transfer.freeze_mapping && path.starts_with("mapping.")
    }

    /// Beginnings of the paths of the discriminator's layers that came from elsewhere, from the image on.
    fn layers(&self, network: &NetworkRecipe) -> Vec<String> {
        let blocks = (1..self.discriminator_blocks).rev();
        blocks
            .flat_map(|i| {
                let from_image = (self.from_image && i + 1 == network.blocks()).then_some("from_image");
                let names = from_image.into_iter().chain(["conv0", "conv1", "skip"]);
                names.map(move |name| format!("blocks.{}.{name}.", i - 1))
            })
            .collect()
    }

    /// Beginnings of the paths of the discriminator's layers that stay as they are (Freeze-D).
    pub(super) fn frozen_in_discriminator(&self, recipe: &Recipe) -> Vec<String> {
        let mut layers = self.layers(&recipe.network);
        layers.truncate(recipe.transfer.freeze_d);
        layers
    }
}

/// The weights of another network, to start from.
#[derive(Debug)]
pub struct Source {
    weights: Weights,
    recipe: Recipe,
    /// Mean path length of that run; 0 if it is not told.
    path_mean: f64,
    /// Voxels of its volumes, `[D, H, W]`, if they are told.
    spacing_mm: Option<[f64; 3]>,
    /// SHA-256 of the file.
    pub sha256: String,
}

impl Source {
    /// Opens weights inside the program by their name, a checkpoint, an exported file or a run's folder.
    ///
    /// # Errors
    /// As [`model::weights`].
    pub fn open(name_or_path: &str) -> Result<Self> {
        let (weights, sha256) = model::weights(name_or_path)?;
        Self::new(weights, sha256)
    }

    fn new(weights: Weights, sha256: String) -> Result<Self> {
        let text = weights.metadata.get("recipe").ok_or_else(|| {
            let advice = "give a run, its checkpoint, or what `voxgan export` wrote of it";
            Error::file(&weights.path, "metadata recipe", "weights of a generator", "none", advice)
        })?;
        let recipe = Recipe::from_toml(text, &weights.path)?;
        let counters: Option<serde_json::Value> =
            weights.metadata.get("counters").and_then(|text| serde_json::from_str(text).ok());
        let path_mean = counters.and_then(|counters| counters["path_mean"].as_f64()).unwrap_or(0.0);
        let space: Option<TrainingSpace> =
            weights.metadata.get("space").and_then(|text| serde_json::from_str(text).ok());
        let spacing_mm = space.map(|space| {
            let [i, j, k] = space.affine.spacing_mm();
            [k, j, i]
        });
        Ok(Self { weights, recipe, path_mean, spacing_mm, sha256 })
    }

    /// The parts that the networks of `recipe` can take.
    ///
    /// # Errors
    /// [`Error::File`] with both networks if a generator of `recipe` cannot start from this one; [`Error::Value`] if
    /// the recipe freezes layers that are not transferred.
    pub fn fit(&self, recipe: &Recipe) -> Result<Origin> {
        let (old, new) = (&self.recipe.network, &recipe.network);
        let refused = |part: &str| {
            let [there, here] = [old, new].map(|network| described(network, NetworkRecipe::channels));
            let advice = "change the recipe's network, or start from other weights";
            Err(Error::file(&self.weights.path, part, format!("what fits {here}"), there, advice))
        };
        let resolves = |axis: usize| {
            let (a, b) = (old.base[axis], new.base[axis]);
            a == b || (a > 1 && b > 1 && a < 2 * b && b < 2 * a)
        };
        if !(0..3).all(resolves) {
            return refused("a base grid of less than half or twice the size");
        }
        if (old.z_dim, old.mapping_layers, old.image_channels)
            != (new.z_dim, new.mapping_layers, new.image_channels)
        {
            return refused("z_dim, mapping_layers, image_channels");
        }
        if new.w_dim < old.w_dim {
            return refused("w_dim");
        }
        let generator_blocks = shared(old, new, NetworkRecipe::channels);
        if generator_blocks < SHARED_MIN {
            return refused("the two coarsest blocks");
        }
        let blocks = shared(old, new, NetworkRecipe::discriminator_channels);
        let has = self.weights.arrays.keys().any(|name| name.starts_with(DISCRIMINATOR));
        let discriminator_blocks = if has && blocks >= SHARED_MIN { blocks } else { 0 };
        let from_image = discriminator_blocks == old.blocks() && discriminator_blocks == new.blocks();
        let sha256 = self.sha256.clone();
        let origin = Origin { sha256, generator_blocks, discriminator_blocks, from_image };
        self.freezable(recipe, &origin)?;
        let carried = discriminator_blocks == old.blocks() && discriminator_blocks < new.blocks();
        let narrow = (discriminator_blocks..new.blocks())
            .find(|&i| carried && new.discriminator_channels(i) < 2 * new.image_channels);
        match narrow {
            Some(i) => Err(Error::value(
                format!("the discriminator's channels in block {i}"),
                format!("at least {}, two for each channel of an image", 2 * new.image_channels),
                new.discriminator_channels(i).to_string(),
                "widen it: a new block hands the image on in them",
            )),
            None => Ok(origin),
        }
    }

    /// Whether what `recipe` freezes came from here.
    fn freezable(&self, recipe: &Recipe, origin: &Origin) -> Result<()> {
        let (layers, wanted) = (origin.layers(&recipe.network).len(), recipe.transfer.freeze_d);
        if wanted > layers {
            let expected = format!("at most {layers}, the layers of the discriminator that come from --from");
            return Err(Error::value("transfer.freeze_d", expected, wanted.to_string(), "freeze fewer"));
        }
        let new = generator::columns(&self.recipe.conditions, &recipe.conditions).contains(&None);
        if recipe.transfer.freeze_mapping && new {
            let expected = "false where conditions are new: a frozen mapping network would never see them";
            let advice = "remove it, or keep to the conditions of the weights";
            return Err(Error::value("transfer.freeze_mapping", expected, "true", advice));
        }
        Ok(())
    }

    /// The transferred and the new parts, in words, a line each; `spacing_mm` is the voxel size of the new grid along
    /// `[D, H, W]`.
    ///
    /// # Errors
    /// As [`Self::fit`].
    pub fn report(&self, recipe: &Recipe, spacing_mm: [f64; 3]) -> Result<Vec<String>> {
        let origin = self.fit(recipe)?;
        let (old, new) = (&self.recipe.network, &recipe.network);
        let blocks = |taken: usize| format!("{taken} of {} blocks", new.blocks());
        let mut lines =
            vec![format!("{} from {}", blocks(origin.generator_blocks), self.weights.path.display())];
        if old.base != new.base {
            lines.push(format!("base stretched from {:?} to {:?}", old.base, new.base));
        }
        let extent = |network: &NetworkRecipe, spacing_mm: [f64; 3]| {
            [0, 1, 2].map(|axis| network.shape()[axis] as f64 * spacing_mm[axis])
        };
        if let Some(before) = self.spacing_mm {
            let [before, after] = [extent(old, before), extent(new, spacing_mm)];
            if (0..3).any(|axis| (before[axis] / after[axis] - 1.0).abs() > 1e-3) {
                lines.push(format!(
                    "the first images are of another size: {before:.0?} mm become {after:.0?}, [D, H, W]"
                ));
            }
        }
        let discriminator = match origin.discriminator_blocks {
            0 if self.weights.arrays.keys().any(|name| name.starts_with(DISCRIMINATOR)) => {
                let there = described(old, NetworkRecipe::discriminator_channels);
                format!("new: that of the weights, {there}, does not fit")
            }
            0 => "new: the weights have none (`voxgan export --for-training` keeps it)".into(),
            taken => blocks(taken),
        };
        lines.push(format!("discriminator {discriminator}"));
        let last = match [&self.recipe, recipe].map(|recipe| recipe.conditions.width() > 0) {
            _ if origin.discriminator_blocks == 0 => None,
            _ if !discriminator::takes_epilogue(old, new) => Some("discriminator_fc_channels are fewer"),
            [true, false] => Some("the recipe has no conditions"),
            _ => None,
        };
        lines.extend(last.map(|why| format!("discriminator's last layers new: {why}")));
        let columns = generator::columns(&self.recipe.conditions, &recipe.conditions);
        let new = columns.iter().filter(|column| column.is_none()).count();
        if new > 0 {
            lines.push(format!("{new} of {} features of the conditions new", columns.len()));
        }
        Ok(lines)
    }

    /// `state`, new networks of `recipe`, with the transferred parts.
    ///
    /// # Errors
    /// As [`Self::fit`]; [`Error::File`] if an array is missing.
    pub fn start<B: VolumeOps>(&self, mut state: State<B>, recipe: &Recipe) -> Result<State<B>> {
        use burn::module::AutodiffModule;
        let origin = self.fit(recipe)?;
        let mut new = Weights { path: self.weights.path.clone(), ..Weights::default() };
        new.insert(&state.generator.valid(), GENERATOR);
        new.insert(&state.average, AVERAGE);
        new.insert(&state.discriminator.valid(), DISCRIMINATOR);
        // Exported weights have the average alone, and fixed noise only there.
        for (from, to) in [(&[GENERATOR, AVERAGE][..], GENERATOR), (&[AVERAGE], AVERAGE)] {
            let mut pair = Pair { old: &self.weights, from, new: &mut new, to };
            generator::generator(&mut pair, &self.recipe, recipe, origin.generator_blocks)?;
        }
        if origin.discriminator_blocks > 0 {
            let from = &[DISCRIMINATOR];
            let mut pair = Pair { old: &self.weights, from, new: &mut new, to: DISCRIMINATOR };
            discriminator::discriminator(&mut pair, &self.recipe, recipe, origin.discriminator_blocks)?;
        }
        state.generator = load_weights(state.generator, &new, GENERATOR)?;
        state.average = load_weights(state.average, &new, AVERAGE)?;
        state.discriminator = load_weights(state.discriminator, &new, DISCRIMINATOR)?;
        state.counters.path_mean = self.path_mean;
        state.origin = Some(origin);
        Ok(state)
    }
}

/// Number of coarsest blocks that `new` can take from `old`: of the same factors, and not narrower.
fn shared(old: &NetworkRecipe, new: &NetworkRecipe, channels: fn(&NetworkRecipe, usize) -> usize) -> usize {
    let fits = |&i: &usize| {
        (i == 0 || old.factors[i - 1] == new.factors[i - 1]) && channels(new, i) >= channels(old, i)
    };
    (0..old.blocks().min(new.blocks())).take_while(fits).count()
}

/// A network in words: its grids and widths, and what else has to fit.
fn described(network: &NetworkRecipe, channels: fn(&NetworkRecipe, usize) -> usize) -> String {
    let blocks = (0..network.blocks()).map(|i| {
        let [d, h, w] = network.block_shape(i);
        format!("{d}×{h}×{w} with {}", channels(network, i))
    });
    format!(
        "blocks [D×H×W with channels] {}; z_dim {}, w_dim {}, mapping_layers {}, image_channels {}",
        blocks.collect::<Vec<_>>().join(", "),
        network.z_dim,
        network.w_dim,
        network.mapping_layers,
        network.image_channels
    )
}
