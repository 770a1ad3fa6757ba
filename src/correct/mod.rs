//! Corrections of images as they are: the bias field, and motion without a record of it.

pub mod autofocus;
pub mod n4;
