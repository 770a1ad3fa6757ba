//! Parameters from elsewhere: their names, their shapes, and proof that ours compute the same.

pub mod extractors;
mod fixture;
pub mod meshnet;
pub mod model;
mod names;
pub mod parity;
pub mod segmenter;
mod weights;

pub use fixture::Fixture;
pub use model::{Model, TrainingSpace};
pub use names::authors_name;
pub use weights::{Weights, load_weights};
