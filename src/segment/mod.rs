//! Segmentation by a network of our own.

mod apply;
mod blend;
mod core;
pub mod detail;
mod encoder;
mod look;
mod loss;
mod network;
pub mod refine;
mod tiles;

pub use apply::Segmenter;
pub use encoder::Encoder;
pub use loss::{Loss, loss};
pub use network::{SegmentationNet, SegmentationNetConfig};
