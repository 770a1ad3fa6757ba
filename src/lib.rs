//! voxgan: 3D StyleGAN2 for brain MRI.
//!
//! Whole jobs, those of the program, are in [`pipeline`]: from options to a result, without printing.
//!
//! ```no_run
//! use voxgan::pipeline::Segmenter;
//! use voxgan::pipeline::Device;
//! use voxgan::io::nifti;
//!
//! # fn main() -> voxgan::error::Result<()> {
//! let segmenter = Segmenter::embedded(Device::Cpu)?;
//! let segmentation = segmenter.segment(&nifti::read("scan.nii.gz")?)?;
//! for (structure, ml) in voxgan::anatomy::Structure::ALL.into_iter().zip(segmentation.volume_ml) {
//!     println!("{structure:?}: {ml:.1} ml");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Below them: the scanner's physics ([`acquisition`], [`recon`]), simulation of data ([`simulate`]), measures
//! ([`anatomy`], [`evaluate`]), and networks ([`gan`], [`segment`], [`heads`], [`train`]) on any
//! [burn](https://burn.dev) backend ([`ops`]). `examples/` has programs of under forty lines each.
//!
//! # Features
//!
//! - `cli`: the program; `report`: its HTML pages; `embedded-weights`: the default networks inside. All three by
//!   default; a library alone needs none of them.
//! - `wgpu`: cards through Vulkan or Metal.
//! - `cuda`: NVIDIA's cards.

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
mod text;
pub mod train;
pub mod volume;
pub mod warp;

/// The crates whose types are in public signatures.
pub use {burn, nalgebra, ndarray, num_complex};
