//! The folder of what was derived from scans: label maps, volumes and tables, under the names of BIDS.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::sidecar;
use crate::anatomy::Segmentation;
use crate::anatomy::volumes::{DerivativeNames, Volumes, csv, definitions_csv, label_table, lookup_table};
use crate::error::{Error, Result};
use crate::io::atomic_write;
use crate::io::nifti::{self, DataType, WriteOptions};
use crate::volume::Volume;
use crate::volume::resample::Grid;

/// The list of a folder's scans.
pub const LIST: &str = "scans.json";

/// A folder that is being written.
pub struct Derivatives {
    folder: PathBuf,
    segmenter: String,
    scans: Vec<Derived>,
}

/// A scan and what was derived from it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Derived {
    /// The scan's own file.
    pub scan: PathBuf,
    /// Its label map, within the folder.
    pub labels: PathBuf,
    /// Its measurements.
    pub volumes: Volumes,
}

impl Derivatives {
    /// Makes `folder`, for structures that the segmenter of this name finds.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be made.
    pub fn create(folder: &Path, segmenter: &str) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, "make the folder", e))?;
        Ok(Self { folder: folder.to_path_buf(), segmenter: segmenter.into(), scans: Vec::new() })
    }

    /// Measures the structures of the scan at `path` and writes them: label map on the scan's own grid, what its numbers
    /// mean, where it came from, and the volumes.
    ///
    /// # Errors
    /// [`Error::File`] for a second scan of one name; [`Error::Io`] if a file cannot be written.
    pub fn add(&mut self, path: &Path, scan: &Volume, segmentation: &Segmentation) -> Result<&Volumes> {
        let names = DerivativeNames::of(path);
        if let Some(other) = self.scans.iter().find(|other| other.labels == Path::new(&names.labels)) {
            let found = format!("{} and {}", other.scan.display(), path.display());
            let advice = "rename one, or give them folders of their own";
            return Err(Error::file(path, "file name", "scans of different names", found, advice));
        }
        let grid = Grid::of(scan);
        let volumes = Volumes::of(subject(path), segmentation, Some(&grid));
        let labels = self.folder.join(&names.labels);
        let options =
            WriteOptions { data_type: DataType::I16, description: "voxgan anatomy: structures".into() };
        nifti::write(&labels, &segmentation.on(&grid).to_volume().in_world_of(scan), &options)?;
        let source = std::path::absolute(path).map_err(|e| Error::io(path, "find its place", e))?;
        let record = json!({
            "Sources": [source],
            "GeneratedBy": [{"Name": "voxgan", "Version": env!("CARGO_PKG_VERSION")}],
            "Segmenter": self.segmenter,
            "Refinement": segmentation.refinement,
        });
        sidecar::write(&labels, &record)?;
        self.write(&names.label_table, &label_table())?;
        self.write_json(&names.volumes, &volumes)?;
        self.scans.push(Derived { scan: source, labels: names.labels.into(), volumes });
        Ok(&self.scans[self.scans.len() - 1].volumes)
    }

    /// Writes the tables of all scans and returns these.
    ///
    /// # Errors
    /// [`Error::Io`] if they cannot be written.
    pub fn finish(self) -> Result<Vec<Derived>> {
        let table: Vec<Volumes> = self.scans.iter().map(|scan| scan.volumes.clone()).collect();
        self.write("volumes.csv", &csv(&table))?;
        if let Some(first) = table.first() {
            self.write("definitions.csv", &definitions_csv(first))?;
        }
        self.write("FreeSurferColorLUT.txt", &lookup_table())?;
        self.write_json(LIST, &self.scans)?;
        Ok(self.scans)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        atomic_write(&self.folder.join(name), |file| file.write_all(text.as_bytes()))
    }

    fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        write_json(&self.folder.join(name), value)
    }
}

/// Writes `value` as JSON.
///
/// # Errors
/// [`Error::File`] for what JSON cannot hold; [`Error::Io`] if it cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::file(path, "content", "values that JSON holds", e.to_string(), "report this"))?;
    atomic_write(path, |file| file.write_all(text.as_bytes()))
}

/// What was derived into `folder` before.
///
/// # Errors
/// [`Error::Io`] and [`Error::File`] if its list cannot be read.
pub fn derived(folder: &Path) -> Result<Vec<Derived>> {
    read_json(&folder.join(LIST))
}

/// The value of a JSON file that one of these commands wrote.
///
/// # Errors
/// [`Error::Io`] and [`Error::File`] if it cannot be read.
pub fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read the record", e))?;
    serde_json::from_str(&text).map_err(|e| {
        let advice = "let the command that wrote it write it again";
        Error::file(path, "content", "a record of voxgan anatomy", e.to_string(), advice)
    })
}

/// A scan's file name without its extension.
pub fn subject(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.trim_end_matches(".gz").trim_end_matches(".nii").to_string()
}
