//! Skull stripping.

use std::path::PathBuf;

use ndarray::{Array3, Axis};
use serde::{Deserialize, Serialize};

use super::folder::OfScan;
use super::masked;
use super::outputs::{Files, Writes};
use super::progress::Progress;
use super::segmenter::Segmenter;
use crate::anatomy::Region;
use crate::anatomy::brain::brain_mask;
use crate::anatomy::shape::whole;
use crate::error::{Error, Result};
use crate::io::scan::{self, ReadOptions};
use crate::volume::Volume;
use crate::volume::resample::{Grid, Interpolation, resample};

/// A scan, the outputs, and the region that is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The scan.
    pub input: PathBuf,
    /// The file of the skull-stripped scan, .nii or .nii.gz.
    pub output: PathBuf,
    /// The file for the mask.
    pub mask: Option<PathBuf>,
    /// Whether the fluid around the brain is kept.
    pub csf: bool,
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

/// Scan → structures → mask → scan.
///
/// # Errors
/// [`Error::Io`] or [`Error::File`] for the files; [`Error::Value`] as [`stripped`].
pub fn strip(options: &Options, segmenter: &Segmenter, progress: &Progress) -> Result<()> {
    let name = if options.csf { "intracranial" } else { "brain" };
    let region = Region::named(name).expect("a region of the table");
    let scan = scan::read(&options.input, &options.read)?;
    let (brain, mask) = stripped(scan, segmenter, region).map_err(|e| e.in_file(&options.input))?;
    let [description, of_mask] = ["", "mask of "].map(|what| format!("voxgan anatomy strip: {what}{name}"));
    masked::write(&brain, &mask, &options.output, options.mask.as_deref(), [description, of_mask], progress)
}

/// `scan` with zero outside the mask `[D, H, W]` of a region of its structures ([`brain_mask`]), and that mask.
///
/// # Errors
/// As [`Segmenter::segment`], and [`Error::Value`] for a scan without the region.
pub fn stripped(mut scan: Volume, segmenter: &Segmenter, region: &Region) -> Result<(Volume, Array3<bool>)> {
    let found = segmenter.segment(&scan)?;
    let mask = Volume::of_mask(brain_mask(&found, region).view(), found.affine);
    let mask = resample(&mask, &Grid::of(&scan), Interpolation::Nearest).data;
    // On a coarser grid what hung together may not.
    let mask = whole(&mask.index_axis(Axis(0), 0).mapv(|inside| inside > 0.5));
    if !mask.iter().any(|&inside| inside) {
        let advice = "check that this is a scan of a head, and its orientation";
        return Err(Error::value("voxels", "a brain", "none", advice));
    }
    masked::fill(&mut scan, &mask, false, 0.0);
    Ok((scan, mask))
}
