//! `voxgan anatomy check`: the gate that a change of images must pass.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::derivatives::write_json;
use super::structures::StructuresArgs;
use crate::anatomy::gate::{Gate, Pair, UnlikeGrids};
use crate::config::in_file;
use crate::error::{Error, Result};
use crate::io::{bids, nifti, write_beside};

/// Check that a change of scans preserves their anatomy.
///
/// Both are segmented; every structure's change of volume, overlap and surface distance, and the sides, are held against
/// limits, each pair by itself and all together. The command fails if a limit is not kept.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A scan, a folder of scans or a BIDS tree
    #[arg(value_name = "BEFORE")]
    before: PathBuf,
    /// The same after the change; in folders, files in the order of their names are pairs
    #[arg(value_name = "AFTER")]
    after: PathBuf,
    /// Limits, instead of those inside the program
    #[arg(long, value_name = "TOML")]
    limits: Option<PathBuf>,
    /// Also write the verdict: .json, or .csv with one row a pair and region
    #[arg(long, value_name = "OUT")]
    out: Option<PathBuf>,
    #[command(flatten)]
    structures: StructuresArgs,
}

/// Scans → structures → changes → verdict.
///
/// # Errors
/// What is wrong with the files or the limits, and [`Error::Check`] where a limit is not kept.
pub fn run(args: Args) -> Result<()> {
    let gate = match &args.limits {
        None => Gate::default(),
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read the limits", e))?;
            Gate::from_toml(&text, path)?
        }
    };
    let (before, after) = (bids::volumes(&args.before)?, bids::volumes(&args.after)?);
    if before.len() != after.len() {
        let (expected, found) = (format!("{} scans as before", before.len()), after.len().to_string());
        let advice = "give folders with the same scans in the same order";
        return Err(Error::file(&args.after, "scans", expected, found, advice));
    }
    let segmenter = args.structures.open()?;
    let pair = |(before, after): (&PathBuf, &PathBuf)| {
        let name = before.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let scans = [nifti::read(before)?, nifti::read(after)?];
        let grids = UnlikeGrids::of((before, &scans[0]), (after, &scans[1]))?;
        let [before, after] = [(before, &scans[0]), (after, &scans[1])]
            .map(|(path, scan)| segmenter.segment(scan).map_err(|error| in_file(error, path)));
        Ok(Pair { name, before: before?, after: after?, grids }.record())
    };
    let records = before.iter().zip(&after).map(pair).collect::<Result<Vec<_>>>()?;
    let verdict = gate.judge(records);
    println!("{}", verdict.table());
    if let Some(out) = &args.out {
        if is_csv(out) {
            write_beside(out, |file| file.write_all(verdict.pairs_csv().as_bytes()))?;
        } else {
            write_json(out, &verdict)?;
        }
    }
    if verdict.passed {
        return Ok(());
    }
    let failed = verdict.pairs.iter().filter(|pair| !pair.passed).count();
    let problem = format!("{failed} of {} pairs do not keep the limits on a pair", verdict.pairs.len());
    Err(Error::Check { check: "anatomy".into(), problem, advice: "the table says which limits".into() })
}

fn is_csv(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"))
}
