//! Structures of the head, their volumes and shape, overlap of segmentations, and the quality check of changed images.

pub mod brain;
pub mod face;
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
