//! Simulation of data: degradations of images, phantoms, images from label maps, and ageing by a known amount.

pub mod ageing;
pub mod degrade;
pub mod phantom;
pub mod synthesis;
