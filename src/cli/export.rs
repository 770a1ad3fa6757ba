//! `voxgan export`: the averaged network of a checkpoint alone, or what training goes on from.

use std::path::PathBuf;

use super::files::ForceArgs;
use crate::error::Result;
use crate::pipeline::export::{Kept, Options, export};

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
    #[command(flatten)]
    force: ForceArgs,
}

/// Exports, and says what was written.
///
/// # Errors
/// Those of [`export`].
pub fn run(args: Args) -> Result<()> {
    let kept = match (args.for_training, args.half) {
        (true, _) => Kept::ForTraining,
        (false, true) => Kept::HalfAverage,
        (false, false) => Kept::Average,
    };
    let options = Options { input: args.input, output: args.output, kept };
    args.force.check(&options)?;
    let made = export(&options)?;
    println!("{}: {} bytes, from {}", options.output.display(), made.bytes, made.checkpoint.display());
    Ok(())
}
