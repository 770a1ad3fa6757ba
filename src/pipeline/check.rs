//! The quality check: whether a change of scans preserves their anatomy.

use std::path::{Path, PathBuf};

use super::cohort::Cohort;
use super::pairs::by_name;
use super::progress::Progress;
use super::segmenter::Segmenter;
use crate::anatomy::quality_check::{Pair, QualityCheck, UnlikeGrids, Verdict};
use crate::error::Result;
use crate::io::nifti::{self, ReadOptions};
use crate::text::read_text;

/// Scans before and after a change, and the limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// A scan, a folder of scans or a BIDS tree.
    pub before: PathBuf,
    /// The scans after the change; in folders, scans of the same name, or of the same subject and session, are pairs.
    pub after: PathBuf,
    /// A TOML file of limits; `None` for the limits inside the program.
    pub limits: Option<PathBuf>,
    /// How scans are read.
    pub read: ReadOptions,
    /// Whether the first pair that fails ends the job.
    pub strict: bool,
}

/// The verdict, and the pairs that it does not include.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The verdict on the pairs that could be measured.
    pub verdict: Verdict,
    /// A line for each pair that could not be measured, and each scan without a partner.
    pub failures: Vec<String>,
}

/// Pairs of scans → structures → changes → verdict. Other pairs continue when one cannot be measured, unless `strict`.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) or [`Error::File`](crate::error::Error::File) for the limits, for folders
/// that cannot be listed, and without any pair; with `strict` the error of the first pair that fails;
/// [`Error::Cancelled`](crate::error::Error::Cancelled).
pub fn check(options: &Options, segmenter: &Segmenter, progress: &Progress) -> Result<Checked> {
    let check = match &options.limits {
        None => QualityCheck::default(),
        Some(path) => QualityCheck::from_toml(&read_text(path, "read the limits")?, path)?,
    };
    let pairs = by_name(&options.before, &options.after)?;
    let mut cohort = Cohort::new(pairs.len(), options.strict, progress);
    let mut records = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let name = file_name(pair.as_ref().map_or_else(|alone| &alone.path, |[before, _]| before));
        let record = cohort.next(&name.clone(), || {
            let [before, after] = pair.map_err(|alone| alone.error())?;
            let scans = [nifti::read_with(&before, &options.read)?, nifti::read_with(&after, &options.read)?];
            let grids = UnlikeGrids::of((&before, &scans[0]), (&after, &scans[1]))?;
            let [before, after] = [(&before, &scans[0]), (&after, &scans[1])]
                .map(|(path, scan)| segmenter.segment(scan).map_err(|error| error.in_file(path)));
            Ok(Pair { name, before: before?, after: after?, grids }.record())
        })?;
        records.extend(record);
    }
    Ok(Checked { verdict: check.judge(records), failures: cohort.failures() })
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
