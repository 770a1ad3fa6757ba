//! Export of a checkpoint: the averaged network alone, or the weights to continue training from.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::io::atomic_write;
use crate::pretrained::{Weights, checkpoint_at, export as averaged, export_for_training};

/// The part of a checkpoint that is exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kept {
    /// The averaged network.
    #[default]
    Average,
    /// The averaged network as float16.
    HalfAverage,
    /// Generator, average and discriminator as float16.
    ForTraining,
}

/// The exported file.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The checkpoint.
    pub checkpoint: PathBuf,
    /// Size of the file in bytes.
    pub bytes: usize,
}

/// The checkpoint, or the run's folder with its last one, at `input` → the safetensors file `output`.
///
/// # Errors
/// [`Error::File`](crate::error::Error::File) or [`Error::Io`](crate::error::Error::Io) for a checkpoint that cannot be
/// found, read or exported, and an output that cannot be written.
pub fn export(input: &Path, output: &Path, kept: Kept) -> Result<Exported> {
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
