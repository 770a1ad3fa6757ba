//! The restoration networks of voxgan: safetensors in float16. Each network's card lies beside its file, and LICENSES.md says what it was trained on.

/// A finer grid.
pub const SUPERRES: &[u8] = include_bytes!("../superres.safetensors");

/// Images from undersampled k-space.
pub const RECON: &[u8] = include_bytes!("../recon.safetensors");

/// Motion correction.
pub const MOTION: &[u8] = include_bytes!("../motion.safetensors");

/// Missing voxels.
pub const INPAINT: &[u8] = include_bytes!("../inpaint.safetensors");

/// T1 to T2 weighting.
pub const TRANSLATE: &[u8] = include_bytes!("../translate.safetensors");

/// The same brain some years later.
pub const PROGRESS: &[u8] = include_bytes!("../progress.safetensors");
