//! The segmenter of voxgan, and the network in whose features it measures realism: safetensors in float16. Each network's card lies beside its file, and LICENSES.md says what it was trained on.

/// The segmenter of 36 structures.
pub const ANATOMY: &[u8] = include_bytes!("../anatomy.safetensors");

/// The segmenter of 22 structures in whose features realism is measured: always the same, so that figures can be compared.
pub const FEATURES: &[u8] = include_bytes!("../features.safetensors");
