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
    /// The table with a row a scan.
    pub table: PathBuf,
}

/// Scans, folders of scans and BIDS trees → structures → volumes → label maps, records and tables in the folder `out`.
///
/// # Errors
/// What is wrong with the files or the disk.
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
    for path in &paths {
        progress.check()?;
        let (scan, segmentation) = segmenter.read(path)?;
        let found = derivatives.add(path, &scan, &segmentation)?;
        progress.tell(Event::Note(&format!("{}\n{found}", path.display())));
    }
    let scans = derivatives.finish()?;
    let table = out.join("volumes.csv");
    progress.tell(Event::Wrote(&table));
    Ok(Measured { scans, table })
}
