//! Segmentation by a network of our own.

mod intensity;
mod loss;
mod network;

pub use intensity::rescale;
pub use loss::{Loss, loss};
pub use network::{FOLDED, SegmentationNet, SegmentationNetConfig};
