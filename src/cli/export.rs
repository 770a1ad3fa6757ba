//! `voxgan export`: the averaged generator of a checkpoint alone.

use std::io::Write;
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::io::write_beside;
use crate::pretrained::Weights;
use crate::pretrained::model::{export, latest_checkpoint};

/// Write the averaged generator of a run alone, as others need it.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A checkpoint, or a run's folder (its last checkpoint)
    #[arg(value_name = "RUN|CHECKPOINT")]
    input: PathBuf,
    /// The safetensors file to write
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// As float16: half the size, errors of 5e-4 relative
    #[arg(long)]
    half: bool,
}

/// Checkpoint → generator → file.
///
/// # Errors
/// What is wrong with the checkpoint or the disk.
pub fn run(args: Args) -> Result<()> {
    let input = if args.input.is_dir() {
        latest_checkpoint(&args.input)?.ok_or_else(|| {
            let advice = "train it for longer first";
            Error::file(&args.input, "checkpoints", "a run with at least one", "none", advice)
        })?
    } else {
        args.input
    };
    let bytes = export(&Weights::read(&input)?, args.half)?;
    write_beside(&args.output, |file| file.write_all(&bytes))?;
    println!("{}: {} bytes, from {}", args.output.display(), bytes.len(), input.display());
    Ok(())
}
