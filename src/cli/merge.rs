//! `voxgan merge`: the parts of an array job become one folder of results.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::pipeline::merge::{Merged, merge};

/// Join the parts of a job that ran with --shard.
///
/// All parts must be done. Their files move into OUT, and what lists them is joined: the manifest of a dataset, the tables of
/// volumes, the list of images. OUT is then what the same command makes without --shard.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The folder that the parts have as their output
    #[arg(value_name = "OUT")]
    out: PathBuf,
}

/// Joins the parts and tells how many scans there are.
///
/// # Errors
/// Those of [`merge`]; [`Error::Incomplete`] where some scans have failed.
pub fn run(Args { out }: Args) -> Result<()> {
    let Merged { parts, inputs, failures } = merge(&out)?;
    println!("{}: {parts} parts, {inputs} scans, {} failed", out.display(), failures.len());
    Error::incomplete("scans", inputs, failures)
}
