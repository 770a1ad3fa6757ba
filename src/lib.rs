//! voxgan: 3D StyleGAN2 for brain MRI.
pub mod config;
pub mod error;
pub mod gan;
pub mod nn;
pub mod ops;
pub mod pretrained;
pub mod random;
//pub mod volume;
