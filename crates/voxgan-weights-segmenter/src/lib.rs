//! The segmenter of voxgan, and the network for the features of its measures of realism: safetensors in float16. Each
//! network's card is beside its file; LICENSES.md names the training data.

/// The segmenter of 36 structures.
pub const ANATOMY: &[u8] = include_bytes!("../anatomy.safetensors");

/// The segmenter of 22 structures for the features of measures of realism. It does not change, so that figures are
/// comparable.
pub const FEATURES: &[u8] = include_bytes!("../features.safetensors");
