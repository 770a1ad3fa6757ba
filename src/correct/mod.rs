//! Corrections of images without raw data: the bias field, and unknown motion.

pub mod autofocus;
pub mod n4;
