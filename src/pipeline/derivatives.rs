//! Folders of BIDS derivatives: label maps, volumes and tables.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::segmenter::Segmenter;
use super::sidecar;
use crate::anatomy::Segmentation;
use crate::anatomy::volumes::{DerivativeNames, Volumes, csv, definitions_csv, label_table, lookup_table};
use crate::error::{Error, Result};
use crate::io::atomic_write;
use crate::io::dataset::scan_sha256;
use crate::io::lock::FolderLock;
use crate::io::nifti::{self, DataType, WriteOptions};
use crate::io::scan::ReadOptions;
use crate::text::{path_as_text, read_text, to_text};
use crate::volume::Volume;
use crate::volume::resample::Grid;

/// Name of the file with the list of a folder's scans.
pub const LIST: &str = "scans.json";

/// The table with a row a scan.
pub const TABLE: &str = "volumes.csv";

/// A folder of derivatives that is being written, by one process at a time. Derivatives of an earlier run are kept, and
/// the table gets a row for every finished scan.
pub struct Derivatives {
    folder: PathBuf,
    /// Of what the scans' files are besides their content.
    settings: Value,
    /// What computed the label maps, as records name it.
    device: Option<String>,
    /// Other scans of earlier runs, whose rows stay.
    earlier: Vec<Derived>,
    scans: Vec<Derived>,
    _lock: FolderLock,
}

/// A scan and its derivatives.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Derived {
    /// The scan's file.
    #[serde(with = "path_as_text")]
    pub scan: PathBuf,
    /// The options by which it was read.
    #[serde(default)]
    pub read: ReadOptions,
    /// Its label map, relative to the folder.
    pub labels: PathBuf,
    /// Its measurements.
    pub volumes: Volumes,
}

impl Derivatives {
    /// Creates `folder` for the derivatives of `scans`, read with `read` and segmented by `segmenter`; `grid` is the
    /// record of the grid that scans are resampled to.
    ///
    /// # Errors
    /// [`Error::File`] for scans of one name, and while another process writes there; [`Error::Io`] if it cannot be
    /// created.
    pub fn create(
        folder: &Path,
        scans: &[PathBuf],
        read: &ReadOptions,
        segmenter: &Segmenter,
        grid: Value,
    ) -> Result<Self> {
        let mut taken = BTreeMap::new();
        for path in scans {
            if let Some(other) = taken.insert(DerivativeNames::of(path).labels.to_lowercase(), path) {
                let found = format!("{} and {}", other.display(), path.display());
                let advice = "rename one, or give them folders of their own";
                return Err(Error::file(path, "file name", "scans of different names", found, advice));
            }
        }
        let settings = json!({
            "Segmenter": segmenter.name, "Refines": segmenter.refines, "Read": read, "Grid": grid,
            "VoxganVersion": env!("CARGO_PKG_VERSION"),
        });
        let lock = FolderLock::hold(folder)?;
        let folder = folder.to_path_buf();
        let device = segmenter.device.clone();
        Ok(Self { folder, settings, device, earlier: Vec::new(), scans: Vec::new(), _lock: lock })
    }

    /// These derivatives, to be added to those of other scans that earlier runs left in the folder, in its table and list.
    ///
    /// # Errors
    /// [`Error::File`] where the folder's table is another program's, where other scans were measured with other settings,
    /// and where one of `scans` has the name of another scan there; [`Error::Io`] if scans cannot be read.
    pub fn added_to_earlier(mut self, scans: &[PathBuf]) -> Result<Self> {
        let table = self.folder.join(TABLE);
        let is_ours = |text: &str| text.is_empty() || text.starts_with("subject,quality,");
        if table.is_file() && !is_ours(&read_text(&table, "look at the table that is there")?) {
            let (expected, advice) = ("a table of voxgan anatomy, or none", "choose another output folder");
            return Err(Error::file(&table, "columns", expected, "others", advice));
        }
        if !self.folder.join(LIST).is_file() {
            return Ok(self);
        }
        for other in derived(&self.folder)? {
            let labels = self.folder.join(&other.labels);
            let Ok(record) = read_json::<Value>(&sidecar::path(&labels)) else { continue };
            match scans.iter().find(|path| Path::new(&DerivativeNames::of(path).labels) == other.labels) {
                Some(path)
                    if absolute(path)? != other.scan && record["SourceSHA256"] != scan_sha256(path)? =>
                {
                    let found = format!("{} in {}", other.scan.display(), self.folder.display());
                    let advice = "rename one, or choose another output folder";
                    return Err(Error::file(
                        path,
                        "file name",
                        "one that no other scan there has",
                        found,
                        advice,
                    ));
                }
                Some(_) => {}
                None if record["Settings"] == self.settings => self.earlier.push(other),
                None => {
                    let found = format!("{}, measured with others", other.scan.display());
                    let advice = "choose another output folder, or measure all of its scans again";
                    return Err(Error::file(
                        &self.folder,
                        "settings",
                        "the same for all scans",
                        found,
                        advice,
                    ));
                }
            }
        }
        Ok(self)
    }

    /// The measurements of the scan at `path` by an earlier run with the same settings, if its content has not changed;
    /// `None` otherwise.
    ///
    /// # Errors
    /// [`Error::Io`] if the scan cannot be read, or the table not written.
    pub fn kept(&mut self, path: &Path) -> Result<Option<&Volumes>> {
        let names = DerivativeNames::of(path);
        let labels = self.folder.join(&names.labels);
        let record = sidecar::path(&labels);
        if !labels.is_file() || !record.is_file() {
            return Ok(None);
        }
        let record: Value = read_json(&record).unwrap_or_default();
        let volumes = read_json::<Volumes>(&self.folder.join(&names.volumes));
        match volumes {
            Ok(volumes)
                if record["Settings"] == self.settings && record["SourceSHA256"] == scan_sha256(path)? =>
            {
                self.push(path, names, volumes).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Measures the structures of the scan at `path` and writes the label map on the scan's grid, its lookup table, the
    /// volumes and the record.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::File`] if the scan cannot be read or a file not written.
    pub fn add(&mut self, path: &Path, scan: &Volume, segmentation: &Segmentation) -> Result<&Volumes> {
        let names = DerivativeNames::of(path);
        let grid = Grid::of(scan);
        let volumes = Volumes::of(subject(path), segmentation, Some(&grid));
        let labels = self.folder.join(&names.labels);
        let options = WriteOptions {
            data_type: DataType::I16,
            description: "voxgan anatomy: structures".into(),
            ..WriteOptions::default()
        };
        nifti::write(&labels, &segmentation.on(&grid).to_volume().in_world_of(scan), &options)?;
        self.write(&names.label_table, &label_table())?;
        self.write_json(&names.volumes, &volumes)?;
        let record = json!({
            "Sources": [to_text(&absolute(path)?)],
            "Segmenter": self.settings["Segmenter"],
            "Refinement": segmentation.refinement,
            "Device": self.device,
            "SourceSHA256": scan_sha256(path)?,
            "Settings": self.settings,
        });
        // The last: with it the scan is done.
        sidecar::write(&labels, &sidecar::joined(record, sidecar::generated_by()))?;
        self.push(path, names, volumes)
    }

    fn push(&mut self, path: &Path, names: DerivativeNames, volumes: Volumes) -> Result<&Volumes> {
        if self.scans.is_empty() {
            let mut rows = self.rows();
            rows.push(volumes.clone());
            self.write(TABLE, &csv(&rows))?;
        } else {
            let path = self.folder.join(TABLE);
            let table = csv(std::slice::from_ref(&volumes));
            let row = table.split_once('\n').map_or("", |(_, row)| row);
            let file = OpenOptions::new().append(true).open(&path);
            file.and_then(|mut file| file.write_all(row.as_bytes()))
                .map_err(|e| Error::io(&path, "add a row", e))?;
        }
        let read = serde_json::from_value(self.settings["Read"].clone()).unwrap_or_default();
        self.scans.push(Derived { scan: absolute(path)?, read, labels: names.labels.into(), volumes });
        Ok(&self.scans[self.scans.len() - 1].volumes)
    }

    /// Writes the tables of all scans in the folder and returns those of this run.
    ///
    /// # Errors
    /// [`Error::Io`] if they cannot be written.
    pub fn finish(self) -> Result<Vec<Derived>> {
        write_tables(&self.folder, &self.all().collect::<Vec<_>>())?;
        Ok(self.scans)
    }

    /// The scans of earlier runs and those of this run.
    fn all(&self) -> impl Iterator<Item = &Derived> {
        self.earlier.iter().chain(&self.scans)
    }

    fn rows(&self) -> Vec<Volumes> {
        self.all().map(|scan| scan.volumes.clone()).collect()
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        write_text(&self.folder.join(name), text)
    }

    fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        write_json(&self.folder.join(name), value)
    }
}

/// Writes the tables and the list of the scans in a folder of derivatives.
///
/// # Errors
/// [`Error::Io`] if they cannot be written.
pub fn write_tables(folder: &Path, scans: &[&Derived]) -> Result<()> {
    let table: Vec<Volumes> = scans.iter().map(|scan| scan.volumes.clone()).collect();
    write_text(&folder.join(TABLE), &csv(&table))?;
    if let Some(first) = table.first() {
        write_text(&folder.join("definitions.csv"), &definitions_csv(first))?;
    }
    write_text(&folder.join("FreeSurferColorLUT.txt"), &lookup_table())?;
    write_json(&folder.join(LIST), &scans)
}

fn write_text(path: &Path, text: &str) -> Result<()> {
    atomic_write(path, |file| file.write_all(text.as_bytes()))
}

/// Writes `value` as JSON.
///
/// # Errors
/// [`Error::File`] for values that JSON does not allow; [`Error::Io`] if it cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::file(path, "content", "values that JSON holds", e.to_string(), "report this"))?;
    write_text(path, &text)
}

/// The scans and derivatives of `folder`.
///
/// # Errors
/// [`Error::Io`] and [`Error::File`] if its list cannot be read.
pub fn derived(folder: &Path) -> Result<Vec<Derived>> {
    read_json(&folder.join(LIST))
}

/// The value of a JSON file that a job wrote.
///
/// # Errors
/// [`Error::Io`] and [`Error::File`] if it cannot be read.
pub fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T> {
    let text = read_text(path, "read the record")?;
    serde_json::from_str(&text).map_err(|e| {
        let advice = "let the command that wrote it write it again";
        Error::file(path, "content", "a record of voxgan anatomy", e.to_string(), advice)
    })
}

/// The path from the root on, of a file that need not be there.
///
/// # Errors
/// [`Error::Io`] without a current folder.
pub fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|e| Error::io(path, "find its place", e))
}

/// A scan's file name without its extension.
pub fn subject(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.trim_end_matches(".gz").trim_end_matches(".nii").to_string()
}
