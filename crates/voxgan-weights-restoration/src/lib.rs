//! The restoration networks of voxgan: safetensors in float16. Each network's card is beside its file; LICENSES.md
//! names the training data.

/// Super-resolution.
pub const SUPERRES: &[u8] = include_bytes!("../superres.safetensors");

/// Reconstruction of undersampled k-space.
pub const RECON: &[u8] = include_bytes!("../recon.safetensors");

/// Motion correction.
pub const MOTION: &[u8] = include_bytes!("../motion.safetensors");

/// In-painting of missing voxels.
pub const INPAINT: &[u8] = include_bytes!("../inpaint.safetensors");

/// Translation from T1 to T2 weighting.
pub const TRANSLATE: &[u8] = include_bytes!("../translate.safetensors");

/// Progression: the same brain some years later.
pub const PROGRESS: &[u8] = include_bytes!("../progress.safetensors");
