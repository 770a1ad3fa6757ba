//! Segmentation of heads by a U-Net, with a refinement by the scan's intensities.

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
