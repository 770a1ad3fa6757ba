//! The averaged network of a checkpoint alone, or what training goes on from.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::io::atomic_write;
use crate::pretrained::{Weights, checkpoint_at, export as averaged, export_for_training};

/// What is kept of a checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kept {
    /// The averaged network.
    #[default]
    Average,
    /// The same as float16.
    HalfAverage,
    /// Generator, average and discriminator as float16.
    ForTraining,
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The checkpoint that it is of.
    pub checkpoint: PathBuf,
    /// Bytes of the file.
    pub bytes: usize,
}

/// The checkpoint, or the run's folder with its last one, at `input` → the safetensors file `output`.
///
/// # Errors
/// What is wrong with the checkpoint or the disk.
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
