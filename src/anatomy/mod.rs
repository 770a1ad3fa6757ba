//! Is it still a brain? Structures, their volumes, cohorts of them, and the quality check that a change must pass.

pub mod brain;
pub mod overlap;
pub mod pose;
pub mod quality_check;
mod refinement;
mod segmentation;
pub mod shape;
mod structures;
pub mod volumes;

pub use refinement::{Group, Reason, Refinement, RefinementMethod};
pub use segmentation::Segmentation;
pub use structures::{APART, Classes, REGIONS, Region, STRUCTURES, Side, Structure};
