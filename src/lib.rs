//! voxgan: 3D StyleGAN2 for brain MRI.
pub mod bridge;
pub mod cli;
pub mod config;
pub mod error;
pub mod gan;
pub mod heads;
pub mod io;
pub mod metrics;
pub mod mri;
pub mod nn;
pub mod ops;
pub mod pretrained;
pub mod random;
pub mod report;
pub mod train;
pub mod volume;
pub mod warp;
