//! Parameters from elsewhere: their names, their shapes, and proof that ours compute the same.

mod fixture;
pub mod model;
mod names;
pub mod parity;
mod weights;

pub use fixture::Fixture;
pub use model::{Model, TrainingSpace};
pub use names::authors_name;
pub use weights::{Weights, load_weights};
