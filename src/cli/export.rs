//! `voxgan export`: the averaged network of a checkpoint alone, or what training goes on from.

use std::io::Write;
use std::path::PathBuf;

use crate::error::Result;
use crate::io::write_beside;
use crate::pretrained::checkpoint_at;
use crate::pretrained::{Weights, export, export_for_training};

/// Write the averaged network of a run alone, as others need it.
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
    /// Generator, average and discriminator as float16, for `voxgan train --from`
    #[arg(long, conflicts_with = "half")]
    for_training: bool,
}

/// Checkpoint → averaged network → file.
///
/// # Errors
/// What is wrong with the checkpoint or the disk.
pub fn run(args: Args) -> Result<()> {
    let input = checkpoint_at(&args.input)?;
    let weights = Weights::read(&input)?;
    let bytes = if args.for_training { export_for_training(&weights)? } else { export(&weights, args.half)? };
    write_beside(&args.output, |file| file.write_all(&bytes))?;
    println!("{}: {} bytes, from {}", args.output.display(), bytes.len(), input.display());
    Ok(())
}
