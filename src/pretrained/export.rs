//! Export of a checkpoint: the averaged network alone, or the weights to continue training from.

use super::{Weights, model, restorer, segmenter};
use crate::error::{Error, Result};

/// For each kind of network, where its average stands among the arrays (a segmenter may have a second network) and what
/// is told about it.
const KINDS: [(&[&str], &[&str]); 3] = [
    (&[model::AVERAGE], &["recipe", "space", "images", "version"]),
    (
        &[segmenter::AVERAGE, segmenter::DETAIL],
        &["recipe", "detail_recipe", "structures", "label_maps", "scans", "counters", "version"],
    ),
    (&[restorer::AVERAGE], &["recipe", "space", "counters", "version"]),
];

/// What a generator needs to be trained further, and what is told about it.
const TO_TRAIN: (&[&str], &[&str]) =
    (&[model::AVERAGE, "G.", "D."], &["recipe", "space", "counters", "images", "version"]);
/// The generator's fixed noise is that of its average.
const NOISE: &str = ".noise_const";

/// The averaged generator, segmenter or restoration network of `checkpoint` alone, as the bytes of a safetensors file
/// of float32, or of float16 if `half`.
///
/// # Errors
/// [`Error::File`] if this is no checkpoint.
pub fn export(checkpoint: &Weights, half: bool) -> Result<Vec<u8>> {
    for (averages, keys) in KINDS {
        let weights = part(checkpoint, averages, keys);
        if !weights.arrays.is_empty() {
            return weights.to_bytes(half);
        }
    }
    let expected =
        "the average of a generator (G_ema.), a segmenter (S_ema.) or a restoration network (R_ema.)";
    Err(Error::file(&checkpoint.path, "arrays", expected, "none", "give a checkpoint of `voxgan train`"))
}

/// Generator, average and discriminator of `checkpoint`, without the optimisers, as the bytes of a safetensors file of
/// float16: for `voxgan train --from`.
///
/// # Errors
/// [`Error::File`] if this is no checkpoint of a generator.
pub fn export_for_training(checkpoint: &Weights) -> Result<Vec<u8>> {
    let (prefixes, keys) = TO_TRAIN;
    let mut weights = part(checkpoint, prefixes, keys);
    weights.arrays.retain(|name, _| !(name.starts_with("G.") && name.ends_with(NOISE)));
    for prefix in prefixes {
        if !weights.arrays.keys().any(|name| name.starts_with(prefix)) {
            let advice = "give a checkpoint of a generator's run";
            return Err(Error::file(&checkpoint.path, "arrays", format!("{prefix}*"), "none", advice));
        }
    }
    weights.to_bytes(true)
}

/// The arrays of `checkpoint` under `prefixes` with the metadata of `keys`.
fn part(checkpoint: &Weights, prefixes: &[&str], keys: &[&str]) -> Weights {
    let arrays = checkpoint.arrays.iter();
    let arrays = arrays.filter(|(name, _)| prefixes.iter().any(|prefix| name.starts_with(prefix)));
    let metadata = checkpoint.metadata.iter().filter(|(key, _)| keys.contains(&key.as_str()));
    Weights {
        path: checkpoint.path.clone(),
        arrays: arrays.map(|(name, array)| (name.clone(), array.clone())).collect(),
        metadata: metadata.map(|(key, text)| (key.clone(), text.clone())).collect(),
    }
}
