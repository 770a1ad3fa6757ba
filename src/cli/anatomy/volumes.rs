//! `voxgan anatomy volumes`: scans become label maps and tables of volumes.

use std::path::PathBuf;

use super::derivatives::Derivatives;
use super::structures::StructuresArgs;
use crate::error::{Error, Result};
use crate::io::bids;

/// Measure the structures of heads in millilitres.
///
/// For each scan a label map on its own grid, with FreeSurfer's numbers, and a JSON file of volumes with their
/// definitions, ratios, asymmetries, surfaces, plausibility flags and a quality from 0 to 1; volumes.csv has one row a
/// scan.
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
}

/// Scans → structures → volumes → tables.
///
/// # Errors
/// What is wrong with the segmenter or the disk; [`Error::Incomplete`] where some scans could not be measured.
pub fn run(args: Args) -> Result<()> {
    let mut paths = Vec::new();
    for input in &args.inputs {
        paths.extend(bids::volumes(input)?);
    }
    let segmenter = args.structures.open()?;
    let mut derivatives = Derivatives::create(&args.out, &segmenter.name)?;
    let mut failures = Vec::new();
    for path in &paths {
        match segmenter.read(path) {
            Ok((scan, segmentation)) => {
                println!("{}\n{}", path.display(), derivatives.add(path, &scan, &segmentation)?);
            }
            Err(error) => {
                eprintln!("failed: {error}");
                failures.push(error.to_string());
            }
        }
    }
    if failures.len() < paths.len() {
        derivatives.finish()?;
        println!("{}", args.out.join("volumes.csv").display());
    }
    Error::incomplete("scans", paths.len(), failures)
}
