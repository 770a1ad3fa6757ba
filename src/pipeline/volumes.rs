//! Scans become label maps and tables of volumes.

use std::path::PathBuf;

use super::derivatives::{Derivatives, Derived};
use super::progress::{Event, Progress};
use super::segmenter::Segmenter;
use crate::error::Result;
use crate::io::bids;

/// What was written.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The scans and what was derived from them.
    pub scans: Vec<Derived>,
    /// The table with a row a scan; none without scans.
    pub table: Option<PathBuf>,
    /// A line for each scan that could not be measured.
    pub failures: Vec<String>,
}

/// Scans, folders of scans and BIDS trees → structures → volumes → label maps, records and tables in the folder `out`. A scan
/// that cannot be measured ends no others.
///
/// # Errors
/// Inputs that are not there, and what is wrong with the disk.
pub fn volumes(
    inputs: &[PathBuf],
    out: PathBuf,
    segmenter: &Segmenter,
    progress: &Progress,
) -> Result<Measured> {
    let mut paths = Vec::new();
    for input in inputs {
        paths.extend(bids::volumes(input)?);
    }
    let mut derivatives = Derivatives::create(&out, &segmenter.name)?;
    let mut failures = Vec::new();
    for path in &paths {
        progress.check()?;
        match segmenter.read(path) {
            Ok((scan, segmentation)) => {
                let found = derivatives.add(path, &scan, &segmentation)?;
                progress.tell(Event::Note(&format!("{}\n{found}", path.display())));
            }
            Err(error) => {
                progress.tell(Event::Failed(&error));
                failures.push(error.to_string());
            }
        }
    }
    if failures.len() == paths.len() {
        return Ok(Measured { scans: Vec::new(), table: None, failures });
    }
    let scans = derivatives.finish()?;
    let table = out.join("volumes.csv");
    progress.tell(Event::Wrote(&table));
    Ok(Measured { scans, table: Some(table), failures })
}
