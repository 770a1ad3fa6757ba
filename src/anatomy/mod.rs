//! Is it still a brain? Structures, their volumes, cohorts of them, and the gate that a change must pass.

mod segmentation;
mod structures;

pub use segmentation::Segmentation;
pub use structures::{REGIONS, Region, STRUCTURES, Side, Structure};
