//! The generators of voxgan: safetensors in float16. Each network's card is beside its file; LICENSES.md names the
//! training data.

/// A generator of skull-stripped T1-weighted brains at 4 mm.
pub const BRAIN_4MM: &[u8] = include_bytes!("../brain-4mm.safetensors");
