//! `voxgan report`: what other commands left in a folder, as one HTML file.

use std::path::PathBuf;

use super::files::ForceArgs;
use crate::error::Result;
use crate::pipeline::Progress;
use crate::pipeline::report::{Options, report};

/// Make a report: one HTML file that needs nothing but a browser.
///
/// Of a cohort (what `voxgan anatomy volumes --out` wrote): distributions, tables and flags. Of a comparison (`voxgan anatomy
/// compare --out`): both cohorts side by side, tests and baselines, with head size,
/// covariates and age accounted for. Of a verdict (`voxgan anatomy check --out FILE.json`): every
/// pair, with agreement plots and outlines of both scans on one picture, where they differ most. Of a training run: its warnings, its
/// best checkpoint, its curves and samples. Of cohorts and comparisons also outlines of structures and a viewer to scroll through the
/// scans.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The folder of a cohort, of a comparison or of a training run, or the .json of a check
    #[arg(value_name = "RUN|COHORT")]
    input: PathBuf,
    /// The file
    #[arg(short, long, value_name = "HTML", default_value = "report.html")]
    out: PathBuf,
    /// Scans in the viewer, at equal steps of quality from the lowest on; each adds 1 to 3 MB. Of a check, pairs that are drawn, those
    /// that do not keep their limits first
    #[arg(long, value_name = "N", default_value_t = 4)]
    scans: usize,
    #[command(flatten)]
    force: ForceArgs,
}

/// Makes the report.
///
/// # Errors
/// Those of [`report`].
pub fn run(args: Args) -> Result<()> {
    let Args { input, out, scans, force } = args;
    let options = Options { input, out, scans };
    force.check(&options)?;
    let bytes = report(&options, &Progress::default())?;
    println!("{}: {:.1} MB", options.out.display(), bytes as f64 / 1e6);
    Ok(())
}
