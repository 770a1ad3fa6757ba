//! Scans: the one way in for volumes of any format.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::nifti;
use crate::error::{Error, Result};
use crate::volume::Volume;

/// Options for reading a scan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadOptions {
    /// The frame of a time series, from 0. With `None`, a file with several frames is an error. Ignored for files with
    /// one volume.
    pub frame: Option<usize>,
    /// Whether to replace voxels that are NaN, infinite or beyond float32 by zero (noted in the provenance). Otherwise
    /// they are an error, except for NaN all around a masked head, which is always read as zero.
    pub nan_to_zero: bool,
    /// The series of a DICOM folder, by its number or its UID. With `None`, several series are an error. Ignored for
    /// files of other formats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
}

/// A format of volumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Nifti,
    Dicom,
}

impl Format {
    /// The format of the scan at `path`, by its content and, where that says nothing, by its name.
    fn of(path: &Path) -> Self {
        if is_dicom(path) { Self::Dicom } else { Self::Nifti }
    }
}

/// Reads a scan of any format, `[C, D, H, W]` with the file's fastest axis last, world coordinates in millimetres (RAS+).
///
/// # Errors
/// [`Error::Io`] where it cannot be opened; [`Error::File`] for a format that is not known, and where its content is wrong,
/// as [`nifti::read`].
pub fn read(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Volume> {
    let path = path.as_ref();
    match Format::of(path) {
        Format::Nifti => nifti::read_with(path, options),
        Format::Dicom => {
            let advice = "convert it: dcm2niix -z y FOLDER";
            Err(Error::file(path, "format", "a NIfTI file", "a DICOM file", advice))
        }
    }
}

/// Whether the name is that of a volume that [`read`] can read. The second file of a pair is not, so that a pair in a
/// folder counts once.
pub fn is_scan(path: &Path) -> bool {
    nifti::is_nifti(path)
}

/// The files of the scan `path`: itself, or header and voxels of a pair.
pub fn files(path: &Path) -> Vec<PathBuf> {
    nifti::files(path)
}

/// Whether the file at `path` has DICOM's mark behind its preamble (PS3.10, 7.1).
pub(super) fn is_dicom(path: &Path) -> bool {
    let mut mark = [0; 4];
    let read = File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::Start(128))?;
        file.read_exact(&mut mark)
    });
    read.is_ok() && &mark == b"DICM"
}
