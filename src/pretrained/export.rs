//! What ships and what others need of a checkpoint: the averaged network alone.

use super::{Weights, model, restorer, segmenter};
use crate::error::{Error, Result};

/// For each kind of network, where its average stands among the arrays (a segmenter may have a second network) and what is told
/// about it.
const KINDS: [(&[&str], &[&str]); 3] = [
    (&[model::AVERAGE], &["recipe", "space", "images", "version"]),
    (
        &[segmenter::AVERAGE, segmenter::DETAIL],
        &["recipe", "detail_recipe", "structures", "label_maps", "scans", "counters", "version"],
    ),
    (&[restorer::AVERAGE], &["recipe", "counters", "version"]),
];

/// The averaged generator, segmenter or restoration network of `checkpoint` alone, as a safetensors file; as float16 if `half`.
///
/// # Errors
/// [`Error::File`] if this is no checkpoint.
pub fn export(checkpoint: &Weights, half: bool) -> Result<Vec<u8>> {
    for (averages, keys) in KINDS {
        let mut weights = Weights { path: checkpoint.path.clone(), ..Weights::default() };
        let arrays = checkpoint
            .arrays
            .iter()
            .filter(|(name, _)| averages.iter().any(|average| name.starts_with(average)));
        weights.arrays = arrays.map(|(name, array)| (name.clone(), array.clone())).collect();
        if weights.arrays.is_empty() {
            continue;
        }
        for &key in keys {
            if let Some(text) = checkpoint.metadata.get(key) {
                weights.metadata.insert(key.into(), text.clone());
            }
        }
        return weights.to_bytes(half);
    }
    let expected =
        "the average of a generator (G_ema.), a segmenter (S_ema.) or a restoration network (R_ema.)";
    Err(Error::file(&checkpoint.path, "arrays", expected, "none", "give a checkpoint of `voxgan train`"))
}
