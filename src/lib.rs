//! voxgan: 3D StyleGAN2 for brain MRI.
pub mod acquisition;
pub mod anatomy;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
pub mod convert;
pub mod correct;
mod csv;
pub mod error;
pub mod evaluate;
pub mod gan;
pub mod heads;
pub mod io;
pub mod nn;
pub mod ops;
pub mod pipeline;
pub mod pretrained;
pub mod random;
pub mod recon;
pub mod report;
pub mod segment;
mod settings;
pub mod simulate;
mod stats;
pub mod train;
pub mod volume;
pub mod warp;
