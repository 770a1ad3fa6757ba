//! Removal of face and ears, so that nobody is known by a scan.

use std::path::PathBuf;

use ndarray::Array3;
use serde::{Deserialize, Serialize};

use super::folder::OfScan;
use super::masked;
use super::outputs::{Files, Writes};
use super::progress::Progress;
use super::segmenter::Segmenter;
use crate::anatomy::face::face_mask;
use crate::error::Result;
use crate::io::scan::{self, ReadOptions};
use crate::volume::Volume;
use crate::volume::resample::Grid;

/// A scan of a head, and where it goes without its face.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The scan.
    pub input: PathBuf,
    /// The file of the scan without face and ears, .nii or .nii.gz.
    pub output: PathBuf,
    /// The file for the mask of what was removed.
    pub mask: Option<PathBuf>,
    /// Options for reading the scan.
    pub read: ReadOptions,
}

impl Writes for Options {
    fn files(&self) -> Files {
        Files::reading([&self.input]).writing(&self.output).asked("--mask", self.mask.as_ref())
    }
}

impl OfScan for Options {
    fn paths(&mut self) -> [&mut PathBuf; 2] {
        [&mut self.input, &mut self.output]
    }
}

/// Scan → structures → face → scan without it.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) or [`Error::File`](crate::error::Error::File) for the files;
/// [`Error::Value`](crate::error::Error::Value) as [`defaced`].
pub fn deface(options: &Options, segmenter: &Segmenter, progress: &Progress) -> Result<()> {
    let scan = scan::read(&options.input, &options.read)?;
    let (scan, mask) = defaced(scan, segmenter).map_err(|e| e.in_file(&options.input))?;
    let description = "voxgan anatomy deface".to_string();
    let of_mask = format!("{description}: mask");
    masked::write(&scan, &mask, &options.output, options.mask.as_deref(), [description, of_mask], progress)
}

/// `scan` with air instead of face and ears, and where they were, `[D, H, W]`: air is zero, or the lowest value of a
/// scan with values below zero.
///
/// # Errors
/// As [`Segmenter::segment`] and [`face_mask`].
pub fn defaced(mut scan: Volume, segmenter: &Segmenter) -> Result<(Volume, Array3<bool>)> {
    let mask = face_mask(&segmenter.segment(&scan)?, &Grid::of(&scan))?;
    let air = scan.data.iter().copied().fold(0.0, f32::min);
    masked::fill(&mut scan, &mask, true, air);
    Ok((scan.with_step("face and ears removed"), mask))
}
