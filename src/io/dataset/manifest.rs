//! The manifest of a prepared dataset: settings of the preparation, and the volumes.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::io::atomic::atomic_write;
use crate::io::scan::ReadOptions;
use crate::text::read_text;
use crate::volume::VoxelToWorld;
use crate::volume::crop::Centre;
use crate::volume::intensity::{IntensityMap, Normalisation};
use crate::volume::orientation::Orientation;
use crate::volume::resample::Interpolation;

/// Name of the manifest in the dataset's folder.
pub const FILE: &str = "manifest.json";

/// [`Manifest::format`] of the manifests that this version writes and reads.
pub const FORMAT: &str = "voxgan-dataset-1";

/// Revision of the preparation; entries of another revision are prepared again.
pub const REVISION: u32 = 2;

/// The content of `manifest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// The version of voxgan that wrote it.
    pub voxgan: String,
    /// The settings of the preparation.
    pub settings: Settings,
    /// Number of channels of every volume.
    pub channels: usize,
    /// The volumes, in the order of the input.
    pub entries: Vec<Entry>,
    /// The inputs that could not be prepared.
    #[serde(default)]
    pub failures: Vec<Failure>,
}

/// The settings of a preparation that change voxels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// [`REVISION`] at the time.
    pub revision: u32,
    /// Number of voxels along `(i, j, k) = (W, H, D)`: right, anterior, superior.
    pub shape: [usize; 3],
    /// The voxel size along `(i, j, k)` that volumes were resampled to; `None` without resampling.
    pub spacing_mm: Option<[f64; 3]>,
    /// Interpolation of the resampling.
    pub interpolation: Interpolation,
    /// Normalisation of intensities.
    pub normalisation: Normalisation,
    /// The point at the centre of the grid.
    pub centre: Centre,
    /// The frame that was read of time series.
    pub frame: Option<usize>,
    /// Whether voxels that are not finite were read as zero.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nan_to_zero: bool,
    /// The series that was read of DICOM folders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
    /// The correction of every scan before resampling, with its settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction: Option<serde_json::Value>,
}

/// One prepared volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Name, unique in the dataset; the volume is in `volumes/<name>.safetensors`.
    pub name: String,
    /// The source file.
    pub source: String,
    /// SHA-256 of that file, of header and voxels for a pair.
    pub sha256: String,
    /// SHA-256 of the prepared voxels as stored.
    pub voxels_sha256: String,
    /// Where the voxels of the prepared grid lie.
    pub affine: VoxelToWorld,
    /// The grid of the source.
    pub original: Original,
    /// The map from raw to normalised values.
    pub intensity: IntensityMap,
    /// The steps of the preparation, in order.
    pub steps: Vec<String>,
    /// Labels from the participants table; values missing there are left out.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// The grid of a source file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Original {
    /// Number of voxels along `(i, j, k)`.
    pub dims: [usize; 3],
    /// Where they lie.
    pub affine: VoxelToWorld,
    /// The anatomical directions of its axes.
    pub orientation: Orientation,
}

/// An input that could not be prepared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The file.
    pub source: String,
    /// The error.
    pub reason: String,
}

impl Settings {
    /// The options by which the scans were read.
    pub fn read(&self) -> ReadOptions {
        ReadOptions { frame: self.frame, nan_to_zero: self.nan_to_zero, series: self.series.clone() }
    }
}

impl Manifest {
    /// Reads the manifest in `folder`.
    ///
    /// # Errors
    /// [`Error::File`] where there is none, or it is damaged or of another version; [`Error::Io`] where it cannot be
    /// read as text.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        if folder.is_dir() && !path.exists() {
            let advice = "run `voxgan prepare` (again: it goes on where it stopped)";
            return Err(Error::file(folder, FILE, "a prepared dataset", "no such file", advice));
        }
        let text = read_text(&path, "read it")?;
        let wrong = |field: String, found: String| {
            Error::file(&path, field, "a manifest of this version", found, "prepare the dataset again")
        };
        let mut json = serde_json::Deserializer::from_str(&text);
        let manifest: Self = serde_path_to_error::deserialize(&mut json)
            .map_err(|error| wrong(error.path().to_string(), error.inner().to_string()))?;
        if manifest.format != FORMAT {
            return Err(wrong("format".into(), manifest.format));
        }
        if let Some(spacing) =
            manifest.settings.spacing_mm.filter(|sizes| !sizes.iter().all(spacing_is_valid))
        {
            return Err(wrong("settings.spacing_mm".into(), format!("{spacing:?}")));
        }
        Ok(manifest)
    }

    /// Writes the manifest into `folder`.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        atomic_write(&folder.join(FILE), |file| {
            serde_json::to_writer_pretty(&mut *file, self)?;
            std::io::Write::write_all(file, b"\n")
        })
    }

    /// SHA-256 of settings, names, voxels and labels, without paths: the same scans prepared in the same way elsewhere
    /// have the same hash.
    pub fn content_sha256(&self) -> String {
        let volumes: Vec<_> = self.entries.iter().map(|e| (&e.name, &e.voxels_sha256, &e.labels)).collect();
        let content = serde_json::json!([self.format, self.settings, self.channels, volumes]);
        hex(&Sha256::digest(content.to_string()))
    }
}

/// Whether voxels may be of this size in millimetres.
pub(super) fn spacing_is_valid(mm: &f64) -> bool {
    (1e-3..=1e3).contains(mm)
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
