//! Export of a checkpoint: the averaged network alone, or the weights to continue training from.

use std::io::Write;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::outputs::{Files, Writes};
use crate::error::Result;
use crate::io::atomic_write;
use crate::pretrained::{Weights, checkpoint_at, export as averaged, export_for_training};

/// The part of a checkpoint that is exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kept {
    /// The averaged network.
    #[default]
    Average,
    /// The averaged network as float16.
    HalfAverage,
    /// Generator, average and discriminator as float16.
    ForTraining,
}

/// What is exported, and where it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// A checkpoint, or a run's folder: its last one.
    pub input: PathBuf,
    /// The safetensors file.
    pub output: PathBuf,
    /// What is kept.
    pub kept: Kept,
}

impl Writes for Options {
    fn files(&self) -> Files {
        Files::reading([&self.input]).writing(&self.output)
    }
}

/// The exported file.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The checkpoint.
    pub checkpoint: PathBuf,
    /// Size of the file in bytes.
    pub bytes: usize,
}

/// Checkpoint → the safetensors file.
///
/// # Errors
/// [`Error::File`](crate::error::Error::File) or [`Error::Io`](crate::error::Error::Io) for a checkpoint that cannot be
/// found, read or exported, and an output that cannot be written.
pub fn export(Options { input, output, kept }: &Options) -> Result<Exported> {
    let checkpoint = checkpoint_at(input)?;
    let weights = Weights::read(&checkpoint)?;
    let bytes = match kept {
        Kept::Average => averaged(&weights, false)?,
        Kept::HalfAverage => averaged(&weights, true)?,
        Kept::ForTraining => export_for_training(&weights)?,
    };
    atomic_write(output, |file| file.write_all(&bytes))?;
    Ok(Exported { checkpoint, bytes: bytes.len() })
}
