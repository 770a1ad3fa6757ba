//! Trained networks and their weights: names and shapes of parameters, and parity with independent programs.

mod embedded;
mod export;
pub mod extractors;
mod fixture;
pub mod model;
mod names;
pub mod parity;
pub mod restorer;
pub mod segmenter;
mod source;
pub mod space;
mod weights;

pub use export::{export, export_for_training};
pub use fixture::Fixture;
pub use model::{Model, TrainingSpace};
pub use names::authors_name;
pub use restorer::TrainedRestorer;
use sha2::{Digest, Sha256};
pub use source::{checkpoint_at, latest_checkpoint};
pub use space::ImageSpace;
pub use weights::{Weights, load_weights};

/// SHA-256 of a file, in hexadecimal digits.
///
/// # Errors
/// [`crate::error::Error::Io`] if it cannot be read.
pub fn sha256_of(path: &std::path::Path) -> crate::error::Result<String> {
    let bytes = std::fs::read(path).map_err(|e| crate::error::Error::io(path, "read the weights", e))?;
    Ok(sha256(&bytes))
}

/// SHA-256 of a file's bytes, in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
