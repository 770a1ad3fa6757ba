//! Is it still a brain? Structures, their volumes, cohorts of them, and the quality check that a change must pass.

pub mod ageing;
pub mod brain;
pub mod cohort;
pub mod overlap;
pub mod pose;
pub mod quality_check;
pub mod segment;
mod segmentation;
pub mod shape;
mod structures;
pub mod synthesis;
pub mod volumes;

pub use segment::Segmenter;
pub use segmentation::Segmentation;
pub use structures::{REGIONS, Region, STRUCTURES, Side, Structure};
