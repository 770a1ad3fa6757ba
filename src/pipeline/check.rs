//! Whether a change of scans preserves their anatomy.

use std::path::PathBuf;

use super::progress::{Event, Progress};
use super::segmenter::Segmenter;
use crate::anatomy::quality_check::{Pair, QualityCheck, UnlikeGrids, Verdict};
use crate::config::in_file;
use crate::error::{Error, Result};
use crate::io::{bids, nifti};

/// Scans before and after a change, and what limits it has to keep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// A scan, a folder of scans or a BIDS tree.
    pub before: PathBuf,
    /// The same after the change; in folders, files in the order of their names are pairs.
    pub after: PathBuf,
    /// A TOML file of limits, instead of those inside the program.
    pub limits: Option<PathBuf>,
}

/// Pairs of scans → structures → changes → verdict.
///
/// # Errors
/// What is wrong with the files or the limits.
pub fn check(options: &Options, segmenter: &Segmenter, progress: &Progress) -> Result<Verdict> {
    let check = match &options.limits {
        None => QualityCheck::default(),
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read the limits", e))?;
            QualityCheck::from_toml(&text, path)?
        }
    };
    let (before, after) = (bids::volumes(&options.before)?, bids::volumes(&options.after)?);
    if before.len() != after.len() {
        let (expected, found) = (format!("{} scans as before", before.len()), after.len().to_string());
        let advice = "give folders with the same scans in the same order";
        return Err(Error::file(&options.after, "scans", expected, found, advice));
    }
    let count = before.len();
    let mut records = Vec::with_capacity(count);
    for (before, after) in before.iter().zip(&after) {
        progress.check()?;
        let name = before.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let scans = [nifti::read(before)?, nifti::read(after)?];
        let grids = UnlikeGrids::of((before, &scans[0]), (after, &scans[1]))?;
        let [before, after] = [(before, &scans[0]), (after, &scans[1])]
            .map(|(path, scan)| segmenter.segment(scan).map_err(|error| in_file(error, path)));
        records.push(Pair { name, before: before?, after: after?, grids }.record());
        progress.tell(Event::Done { what: "pairs", done: records.len(), of: count });
    }
    Ok(check.judge(records))
}
