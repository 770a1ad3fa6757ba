//! A scan as a DICOM series.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::derivatives::read_json;
use super::folder::OfScan;
use super::outputs::{Files, Writes};
use super::progress::{Event, Progress};
use super::sidecar;
use crate::error::Result;
use crate::io::dicom::{self, Derivation};
use crate::io::scan::{self, ReadOptions};

/// A scan, and the folder of the series that is made of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The scan. A record beside it that says that it is synthetic or restored is followed.
    pub input: PathBuf,
    /// The folder of the series, which is new.
    pub output: PathBuf,
    /// The DICOM series that the scan was made of, whose images are referenced.
    pub source: Option<PathBuf>,
    /// Whether patient and study are those of `source`.
    pub keep_patient: bool,
    /// Series description.
    pub description: Option<String>,
    /// Options for reading the scan.
    pub read: ReadOptions,
}

impl Writes for Options {
    fn files(&self) -> Files {
        Files::reading(scan::files(&self.input).into_iter().chain(self.source.clone())).writing(&self.output)
    }
}

impl OfScan for Options {
    fn paths(&mut self) -> [&mut PathBuf; 2] {
        [&mut self.input, &mut self.output]
    }

    fn ending(&self) -> &str {
        ""
    }
}

/// Scan → the files of a classic MR series, one a slice.
///
/// # Errors
/// Those of [`scan::read`] and [`dicom::write()`].
pub fn to_dicom(options: &Options, progress: &Progress) -> Result<Vec<PathBuf>> {
    let volume = scan::read(&options.input, &options.read)?;
    let record = read_json::<Value>(&sidecar::path(&options.input)).unwrap_or_default();
    let by = |keys: &[&str]| {
        let named = keys.iter().find_map(|key| record[key].as_str());
        named.map_or_else(|| "voxgan".to_string(), |name| format!("voxgan, {name}"))
    };
    let derivation = if record["Synthetic"] == true {
        Derivation::Synthetic(by(&["Model", "Head", "Command"]))
    } else if record["Restored"] == true {
        Derivation::Restored(by(&["Head", "Command"]))
    } else {
        Derivation::Converted
    };
    let written = dicom::WriteOptions {
        derivation,
        description: options.description.clone(),
        source: options.source.clone(),
        keep_patient: options.keep_patient,
    };
    let files = dicom::write(&options.output, &volume, &written)?;
    progress.tell(Event::Wrote(&options.output));
    Ok(files)
}
