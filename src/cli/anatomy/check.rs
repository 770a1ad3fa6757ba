//! `voxgan anatomy check`: the quality check that a change of images must pass.

use std::path::PathBuf;

use super::structures::StructuresArgs;
use crate::cli::files::{ForceArgs, ReadArgs, StrictArgs};
use crate::cli::sampling::PRINTED;
use crate::error::{Error, Result};
use crate::pipeline::check::{Checked, Options, check};

/// Check that a change of scans preserves their anatomy.
///
/// Both are segmented; every structure's change of volume, overlap and surface distance, and the sides, are held against
/// limits, each pair by itself and all together. The command fails if a limit is not kept.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A scan, a folder of scans or a BIDS tree
    #[arg(value_name = "BEFORE")]
    before: PathBuf,
    /// The same after the change; in folders, scans of the same name, or of the same subject and session, are pairs
    #[arg(value_name = "AFTER")]
    after: PathBuf,
    /// Limits, instead of those inside the program
    #[arg(long, value_name = "TOML")]
    limits: Option<PathBuf>,
    /// Also write the verdict: .json, with pictures of each pair in a folder beside it, which `voxgan report` shows; or .csv with
    /// one row a pair and region
    #[arg(long, value_name = "OUT")]
    out: Option<PathBuf>,
    #[command(flatten)]
    structures: StructuresArgs,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    cohort: StrictArgs,
    #[command(flatten)]
    force: ForceArgs,
}

/// Checks, prints the verdict and writes it where that is asked for.
///
/// # Errors
/// Those of [`check`]; [`Error::Check`] where a limit is not kept, [`Error::Incomplete`] where pairs could not be measured.
pub fn run(args: Args) -> Result<()> {
    let Args { before, after, limits, out, structures, read, cohort, force } = args;
    let options = Options { before, after, limits, out, read: read.into(), strict: cohort.strict };
    force.check(&options)?;
    let Checked { verdict, failures } = check(&options, &structures.open()?, &PRINTED)?;
    if verdict.pairs.is_empty() {
        return Error::incomplete("pairs", failures.len(), failures);
    }
    let unlike = verdict.pairs.iter().filter(|pair| pair.grids.is_some()).count();
    if unlike > 0 {
        let pairs = verdict.pairs.len();
        println!(
            "warning: the grids differ in {unlike} of {pairs} pairs, which alone changes volumes and overlaps; see below\n"
        );
    }
    println!("{}", verdict.table());
    if verdict.passed {
        return Error::incomplete("pairs", verdict.pairs.len() + failures.len(), failures);
    }
    failures.iter().for_each(|failure| eprintln!("failed: {failure}"));
    let failed = verdict.pairs.iter().filter(|pair| !pair.passed).count();
    let problem = format!("{failed} of {} pairs do not keep the limits on a pair", verdict.pairs.len());
    Err(Error::Check { check: "anatomy".into(), problem, advice: "the table says which limits".into() })
}
