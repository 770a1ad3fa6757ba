//! Measurement of scans: label maps and tables of volumes.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::cohort::Cohort;
use super::derivatives::{Derivatives, Derived, absolute};
use super::progress::{Event, Progress};
use super::segmenter::Segmenter;
use crate::error::Result;
use crate::io::bids;
use crate::io::scan::ReadOptions;
use crate::io::shard::{Record, Shard};

/// The measured scans and the table.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The scans and their derivatives.
    pub scans: Vec<Derived>,
    /// The table with a row for each scan; `None` without scans.
    pub table: Option<PathBuf>,
    /// A line for each scan that could not be measured.
    pub failures: Vec<String>,
}

/// Scans, and where their measurements go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Scans, folders of scans and BIDS trees.
    pub inputs: Vec<PathBuf>,
    /// The folder for label maps, records and tables.
    pub out: PathBuf,
    /// How scans are read.
    pub read: ReadOptions,
    /// Whether the first scan that fails ends the job.
    pub strict: bool,
    /// The part of the scans to measure, into a folder of its own ([`super::merge`]); all by default.
    pub shard: Option<Shard>,
}

/// Scans → structures → volumes → label maps, records and tables. Results of the same scans are kept, and so are the rows
/// of other scans that were measured there with the same settings.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) or [`Error::File`](crate::error::Error::File) for inputs that do not exist or
/// have one name, and the output; of `strict` jobs the error of the first scan that fails;
/// [`Error::Cancelled`](crate::error::Error::Cancelled).
pub fn volumes(
    Options { inputs, out, read, strict, shard }: &Options,
    segmenter: &Segmenter,
    progress: &Progress,
) -> Result<Measured> {
    let mut paths = Vec::new();
    for input in inputs {
        paths.extend(bids::volumes(input)?);
    }
    let place = shard.map(|shard| shard.folder(out));
    let out = place.as_deref().unwrap_or(out);
    // Names are unique among the scans of all parts.
    let derivatives = Derivatives::create(out, &paths, read, segmenter, Value::Null)?;
    let names = paths.iter().map(|path| absolute(path).map(|path| path.display().to_string()));
    let names: Vec<String> = names.collect::<Result<_>>()?;
    if let Some(shard) = shard {
        paths.retain(|path| shard.takes(path));
        Record::withdraw(out)?;
    }
    let mut derivatives = derivatives.added_to_earlier(&paths)?;
    let mut cohort = Cohort::new(paths.len(), *strict, progress);
    for path in &paths {
        let name = path.display().to_string();
        if let Ok(Some(found)) = derivatives.kept(path) {
            progress.tell(Event::Note(&format!("{name}\n{found}")));
            cohort.kept(&name);
            continue;
        }
        cohort.next(&name, || {
            let (scan, segmentation) = segmenter.read(path, read)?;
            let found = derivatives.add(path, &scan, &segmentation)?;
            progress.tell(Event::Note(&format!("{name}\n{found}")));
            Ok(())
        })?;
    }
    let failures = cohort.failures();
    let done = || match *shard {
        Some(shard) => Record { shard, inputs: names, failures: failures.clone() }.write(out),
        None => Ok(()),
    };
    if failures.len() == paths.len() {
        done()?;
        return Ok(Measured { scans: Vec::new(), table: None, failures });
    }
    let scans = derivatives.finish()?;
    done()?;
    let table = out.join("volumes.csv");
    progress.tell(Event::Wrote(&table));
    Ok(Measured { scans, table: Some(table), failures })
}
