//! The generators of voxgan: safetensors in float16. Each network's card lies beside its file, and LICENSES.md says what it was trained on.

/// Skull-stripped T1-weighted brains at 4 mm.
pub const BRAIN_4MM: &[u8] = include_bytes!("../brain-4mm.safetensors");
