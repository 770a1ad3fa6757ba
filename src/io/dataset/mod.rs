//! The prepared dataset: a folder with `manifest.json` and one safetensors file a volume, all on one grid shape.
//!
//! ```text
//! cache/manifest.json              settings, and an entry for each volume
//! cache/volumes/sub-01.safetensors tensor "volume" [C, D, H, W] float32, its entry as metadata
//! ```

pub mod manifest;
mod outcome;
pub mod prepare;
mod sources;
mod stored;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use nalgebra::{Matrix3, Vector3};

pub use manifest::{Entry, Failure, Manifest, Original, Settings};
pub use outcome::{Outcome, Progress, Report};
pub use prepare::{Correction, Plan, on_grid, prepare, prepare_part};
pub use sources::scan_sha256;

use crate::error::{Error, Result};
use crate::stats::upper_median;
use crate::volume::{Volume, VoxelToWorld};
use stored::Stamp;

/// By what part voxels of two sets that are compared may differ in size.
const SIZE_TOLERANCE: f64 = 0.05;

/// A prepared dataset, open for reading. Volumes are read on demand; the hash of a file is checked at the first read,
/// and again if its size or its time of modification has changed.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The folder.
    pub folder: PathBuf,
    /// Settings and entries.
    pub manifest: Manifest,
    /// Of each volume, the state of its file when its hash was checked last.
    checked: Arc<Mutex<Vec<Option<Stamp>>>>,
}

impl Dataset {
    /// Opens the dataset that `voxgan prepare` made in `folder`.
    ///
    /// # Errors
    /// As [`Manifest::read`], and [`Error::File`] for a dataset without volumes.
    pub fn open(folder: &Path) -> Result<Self> {
        let manifest = Manifest::read(folder)?;
        if manifest.entries.is_empty() {
            let advice = "prepare a dataset with at least one scan";
            return Err(Error::file(&folder.join(manifest::FILE), "entries", "one or more", "none", advice));
        }
        let checked = Arc::new(Mutex::new(vec![None; manifest.entries.len()]));
        Ok(Self { folder: folder.to_path_buf(), manifest, checked })
    }

    /// Number of volumes.
    pub fn len(&self) -> usize {
        self.manifest.entries.len()
    }

    /// Whether there is no volume.
    pub fn is_empty(&self) -> bool {
        self.manifest.entries.is_empty()
    }

    /// The shape of every volume, `[C, D, H, W]`.
    pub fn shape(&self) -> [usize; 4] {
        let [w, h, d] = self.manifest.settings.shape;
        [self.manifest.channels, d, h, w]
    }

    /// The manifest's entry of volume `index`.
    ///
    /// # Panics
    /// If `index` is not less than [`len`](Self::len).
    pub fn entry(&self, index: usize) -> &Entry {
        &self.manifest.entries[index]
    }

    /// Reads volume `index`: normalised values on the prepared grid.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that has vanished, [`Error::File`] for one that is damaged or has other voxels than
    /// the manifest says; each names the file.
    ///
    /// # Panics
    /// If `index` is not less than [`len`](Self::len).
    pub fn volume(&self, index: usize) -> Result<Volume> {
        let checked = || self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        let before = checked()[index];
        let (volume, stamp) = stored::read(&self.folder, self.entry(index), self.shape(), before)?;
        checked()[index] = stamp;
        Ok(volume)
    }

    /// The volumes, read one by one.
    ///
    /// # Errors
    /// Those of [`Dataset::volume`].
    pub fn volumes(&self) -> impl Iterator<Item = Result<Volume>> {
        (0..self.len()).map(|index| self.volume(index))
    }

    /// The affine for volumes made by a network that learned from this dataset: axes along RAS+, the dataset's
    /// voxel size (where volumes kept their own, the median of them), world origin at the grid's centre.
    pub fn affine(&self) -> VoxelToWorld {
        let spacing = self.spacing_mm();
        let shape = self.manifest.settings.shape;
        let origin = Vector3::from_fn(|axis, _| -spacing[axis] * (shape[axis] as f64 - 1.0) / 2.0);
        VoxelToWorld::derived(&Matrix3::from_diagonal(&spacing.into()), &origin)
    }

    /// Size of the voxels along `(i, j, k)` in millimetres; the median of the volumes' sizes where they were not
    /// resampled.
    pub fn spacing_mm(&self) -> [f64; 3] {
        self.manifest.settings.spacing_mm.unwrap_or_else(|| self.median_spacing_mm())
    }

    /// Whether both datasets have the same voxel size and normalisation, so that one network can be trained on both.
    ///
    /// # Errors
    /// [`Error::Value`] with the key `key`, which names this dataset.
    pub fn check_prepared_as(&self, other: &Self, key: &str) -> Result<()> {
        self.check_spacing(other.spacing_mm(), key)?;
        let [own, others] = [self, other].map(|dataset| dataset.manifest.settings.normalisation);
        if own != others {
            let of = |normalisation| serde_json::to_string(&normalisation).unwrap_or_default();
            let expected = format!("values normalised as in {}: {}", other.folder.display(), of(others));
            return Err(Error::value(key, expected, of(own), "prepare both alike"));
        }
        Ok(())
    }

    /// Whether voxels are of `spacing_mm` along `(i, j, k)`, within 5 %.
    ///
    /// # Errors
    /// [`Error::Value`] with the key `key`, which names this dataset.
    pub fn check_spacing(&self, spacing_mm: [f64; 3], key: &str) -> Result<()> {
        let own = self.spacing_mm();
        if (0..3).any(|axis| (own[axis] / spacing_mm[axis] - 1.0).abs() > SIZE_TOLERANCE) {
            let text = |sizes: [f64; 3]| sizes.map(|mm| format!("{mm:.3}")).join(", ");
            let expected = format!("voxels of {} mm, as the others have", text(spacing_mm));
            let advice = "prepare the dataset with this --spacing-mm";
            return Err(Error::value(key, expected, format!("{} mm", text(own)), advice));
        }
        Ok(())
    }

    /// SHA-256 of settings, names, voxels and labels, for provenance; see [`Manifest::content_sha256`].
    pub fn content_sha256(&self) -> String {
        self.manifest.content_sha256()
    }

    fn median_spacing_mm(&self) -> [f64; 3] {
        [0, 1, 2].map(|axis| {
            let norm = |entry: &Entry| entry.affine.spacing_mm()[axis];
            upper_median(self.manifest.entries.iter().map(norm).collect()).unwrap_or(1.0)
        })
    }
}
