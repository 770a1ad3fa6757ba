//! Segmentation by a network of our own.

mod apply;
mod blend;
mod core;
mod intensity;
mod loss;
mod network;
pub mod refine;
mod tiles;

pub use apply::Segmenter;
pub use intensity::rescale;
pub use loss::{Loss, loss};
pub use network::{FOLDED, SegmentationNet, SegmentationNetConfig};
