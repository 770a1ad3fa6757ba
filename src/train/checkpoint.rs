//! Checkpoints: the whole state of a run in one safetensors file.

use std::io::Write;
use std::path::Path;

use burn::backend::Autodiff;
use burn::module::AutodiffModule;
use burn::tensor::{Tensor, TensorData};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::coverage::Matches;
use super::state::{Counters, State};
use super::validation::Best;
use crate::config::Recipe;
use crate::error::{Error, Result};
use crate::io::atomic_write;
use crate::nn::adam::Adam;
use crate::ops::VolumeOps;
use crate::pretrained::model::AVERAGE;
use crate::pretrained::{TrainingSpace, Weights, load_weights};

/// Where the networks and their optimisers stand among the arrays.
pub(super) const GENERATOR: &str = "G.";
pub(super) const DISCRIMINATOR: &str = "D.";
const ADAM_G: &str = "adam_g";
const ADAM_D: &str = "adam_d";

/// Writes `state` to `path`, first to a temporary file that is then renamed, and `best`, if any, to its metadata.
///
/// # Errors
/// [`Error::Io`], for instance on a full disk; the file that was there before is intact then.
pub fn save<B: VolumeOps>(
    path: &Path,
    state: &State<B>,
    recipe: &Recipe,
    space: &TrainingSpace,
    best: Option<&Best>,
) -> Result<()> {
    let mut weights = Weights { path: path.to_path_buf(), ..Weights::default() };
    weights.insert(&state.generator.valid(), GENERATOR);
    weights.insert(&state.discriminator.valid(), DISCRIMINATOR);
    weights.insert(&state.average, AVERAGE);
    insert_adam(&mut weights, &state.adam_g, ADAM_G)?;
    insert_adam(&mut weights, &state.adam_d, ADAM_D)?;
    state.matches.save(&mut weights);
    if let Some(best) = best {
        weights.metadata.insert(Best::KEY.into(), json(path, best)?);
    }
    let metadata = [
        ("recipe", recipe.to_toml()?),
        ("space", json(path, space)?),
        ("counters", json(path, &state.counters)?),
        ("images", state.counters.images.to_string()),
    ];
    if let Some(origin) = &state.origin {
        weights.metadata.insert("origin".into(), json(path, origin)?);
    }
    write(weights, metadata)
}

/// Writes the checkpoint `weights` with this metadata and the program's version, to a temporary file that is renamed.
///
/// # Errors
/// [`Error::Io`], for instance on a full disk; the file that was there before is intact then.
pub(super) fn write<const N: usize>(mut weights: Weights, metadata: [(&str, String); N]) -> Result<()> {
    weights.metadata.extend(metadata.map(|(key, text)| (key.to_string(), text)));
    weights.metadata.insert("version".into(), env!("CARGO_PKG_VERSION").into());
    let bytes = weights.to_bytes(false)?;
    atomic_write(&weights.path, |file| file.write_all(&bytes))
}

/// A value as the JSON of a checkpoint's metadata.
pub(super) fn json(path: &Path, value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|e| Error::file(path, "metadata", "values that JSON holds", e.to_string(), "report this"))
}

/// The metadata `key` of a checkpoint, as [`json`] wrote it.
pub(super) fn from_json<T: DeserializeOwned>(weights: &Weights, key: &str) -> Result<T> {
    serde_json::from_str(text(weights, key)?).map_err(|e| {
        let (field, advice) = (format!("metadata {key}"), "use an undamaged checkpoint");
        Error::file(&weights.path, field, "valid JSON", e.to_string(), advice)
    })
}

/// The metadata `key` of a checkpoint.
pub(super) fn text<'a>(weights: &'a Weights, key: &str) -> Result<&'a str> {
    weights.metadata.get(key).map(String::as_str).ok_or_else(|| {
        let advice = "resume from a checkpoint of `voxgan train`";
        Error::file(&weights.path, format!("metadata {key}"), "a voxgan checkpoint", "none", advice)
    })
}

/// Reads the state that [`save`] wrote, into the networks of `recipe`.
///
/// # Errors
/// [`Error::File`] if the checkpoint is damaged, of another recipe or of another training set.
pub fn load<B: VolumeOps>(
    path: &Path,
    recipe: &Recipe,
    space: &TrainingSpace,
    device: &B::Device,
) -> Result<State<B>> {
    let weights = Weights::read(path)?;
    let saved = Recipe::from_toml(text(&weights, "recipe")?, path)?;
    let comparable = |recipe: &Recipe| {
        let mut recipe = recipe.clone();
        recipe.training.total_kimg = 1.0;
        recipe.output = Default::default();
        recipe
    };
    if comparable(&saved) != comparable(recipe) {
        let found = "one that differs in more than training.total_kimg and [output]";
        let advice = "give the run's own recipe.toml, or another --out for a new run";
        return Err(Error::file(path, "recipe", "the recipe of this run", found, advice));
    }
    let saved: TrainingSpace = from_json(&weights, "space")?;
    if saved.dataset_sha256 != space.dataset_sha256 {
        let advice = "give the run's own --data, or another --out for a new run";
        return Err(Error::file(path, "training set", saved.dataset_sha256, &*space.dataset_sha256, advice));
    }
    let mut state = State::new(recipe, recipe.conditions.width(), device);
    state.generator = load_weights(state.generator, &weights, GENERATOR)?;
    state.discriminator = load_weights(state.discriminator, &weights, DISCRIMINATOR)?;
    state.average = load_weights(state.average, &weights, AVERAGE)?;
    state.counters = from_json::<Counters>(&weights, "counters")?;
    state.matches = Matches::saved(&weights);
    if weights.metadata.contains_key("origin") {
        state.origin = Some(from_json(&weights, "origin")?);
    }
    restore_adam(&mut state.adam_g, &weights, ADAM_G, device)?;
    restore_adam(&mut state.adam_d, &weights, ADAM_D, device)?;
    Ok(state)
}

/// Adds an optimiser's moments and steps under `name`.
pub(super) fn insert_adam<B: VolumeOps>(
    weights: &mut Weights,
    adam: &Adam<Autodiff<B>>,
    name: &str,
) -> Result<()> {
    for (moment, tensors) in [("first", &adam.first), ("second", &adam.second)] {
        for (path, values) in tensors {
            let values: Vec<f32> = values.clone().into_data().iter::<f32>().collect();
            weights.arrays.insert(format!("{name}.{moment}.{path}"), (vec![values.len()], values));
        }
    }
    let steps = json(&weights.path, &adam.steps)?;
    weights.metadata.insert(format!("{name}.steps"), steps);
    Ok(())
}

/// Gives an optimiser the moments and steps that [`insert_adam`] wrote.
pub(super) fn restore_adam<B: VolumeOps>(
    adam: &mut Adam<Autodiff<B>>,
    weights: &Weights,
    name: &str,
    device: &B::Device,
) -> Result<()> {
    adam.steps = from_json(weights, &format!("{name}.steps"))?;
    for (moment, tensors) in [("first", &mut adam.first), ("second", &mut adam.second)] {
        let prefix = format!("{name}.{moment}.");
        for (key, (shape, values)) in &weights.arrays {
            if let Some(path) = key.strip_prefix(&prefix) {
                let data = TensorData::new(values.clone(), [shape[0]]);
                tensors.insert(path.to_string(), Tensor::from_data(data, device));
            }
        }
    }
    Ok(())
}
