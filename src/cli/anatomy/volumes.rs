//! `voxgan anatomy volumes`: scans become label maps and tables of volumes.

use std::path::PathBuf;

use super::structures::StructuresArgs;
use crate::cli::files::{ReadArgs, ShardArgs, StrictArgs};
use crate::cli::sampling::PRINTED;
use crate::error::{Error, Result};
use crate::pipeline::volumes::{Measured, Options, volumes};

/// Measure the structures of heads in millilitres.
///
/// For each scan a label map on its own grid, with FreeSurfer's numbers, and a JSON file of volumes with their
/// definitions, ratios, asymmetries, surfaces, plausibility flags and a quality from 0 to 1; volumes.csv has one row a
/// scan. A scan that cannot be measured ends no others. The same command goes on where it was stopped.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Scans, folders of scans or BIDS trees
    #[arg(value_name = "IN", required = true)]
    inputs: Vec<PathBuf>,
    /// The folder for label maps and tables
    #[arg(long, value_name = "OUT")]
    out: PathBuf,
    #[command(flatten)]
    structures: StructuresArgs,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    cohort: StrictArgs,
    #[command(flatten)]
    shard: ShardArgs,
}

/// Measures.
///
/// # Errors
/// Those of [`volumes`], and of the segmenter; [`Error::Incomplete`] where some scans could not be measured.
pub fn run(args: Args) -> Result<()> {
    let Args { inputs, out, structures, read, cohort, shard } = args;
    let options = Options { inputs, out, read: read.into(), strict: cohort.strict, shard: shard.shard };
    let Measured { scans, failures, .. } = volumes(&options, &structures.open()?, &PRINTED)?;
    Error::incomplete("scans", scans.len() + failures.len(), failures)
}
