//! Jobs: what voxgan does, from options to a result. A job reads, computes and writes files; it tells of itself through
//! [`Progress`] and never prints, parses arguments or exits. The command line turns arguments into a job's options and its
//! result into words.
//!
//! burn's types end here: a job takes a [`Device`], and a trained network is a plain handle such as [`Generator`].

pub mod check;
pub mod compare;
mod conditions;
pub mod derivatives;
mod device;
pub mod evaluate;
pub mod export;
pub mod generate;
mod generator;
pub mod interpolate;
pub mod mask;
pub mod mix;
pub mod n4;
mod participants;
pub mod phantom;
pub mod prepare;
mod progress;
mod realism;
pub mod recon;
mod records;
pub mod restore;
pub mod score;
mod segmenter;
mod sidecar;
pub mod simulate;
pub mod strip;
pub mod train;
pub mod volumes;

pub use conditions::{Drawn, Labels};
pub use device::Device;
pub(crate) use device::on_device;
pub use generator::{Generator, NoiseMode, Output, Sampling, StoredType};
pub use progress::{Event, Progress};
pub use realism::ExtractorChoice;
pub use segmenter::Segmenter;
