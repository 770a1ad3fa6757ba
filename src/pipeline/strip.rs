//! Skull stripping.

use std::path::{Path, PathBuf};

use ndarray::{Array3, Axis, Zip};
use serde::{Deserialize, Serialize};

use super::folder::OfScan;
use super::outputs::{Files, Writes};
use super::progress::{Event, Progress};
use super::segmenter::Segmenter;
use crate::anatomy::Region;
use crate::anatomy::brain::brain_mask;
use crate::anatomy::shape::whole;
use crate::error::{Error, Result};
use crate::io::nifti::{self, DataType, WriteOptions};
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
    let written = |path: &Path, volume: &Volume, options: &WriteOptions| {
        nifti::write(path, volume, options)?;
        progress.tell(Event::Wrote(path));
        Ok(())
    };
    let description = format!("voxgan anatomy strip: {name}");
    written(&options.output, &brain, &WriteOptions { description, ..WriteOptions::default() })?;
    let Some(path) = &options.mask else { return Ok(()) };
    let mask = mask.mapv(|inside| f32::from(u8::from(inside))).insert_axis(Axis(0));
    let description = format!("voxgan anatomy strip: mask of {name}");
    written(
        path,
        &Volume::new(mask, brain.affine).in_world_of(&brain),
        &WriteOptions { data_type: DataType::U8, description, ..WriteOptions::default() },
    )
}

/// `scan` with zero outside the mask `[D, H, W]` of a region of its structures ([`brain_mask`]), and that mask.
///
/// # Errors
/// As [`Segmenter::segment`], and [`Error::Value`] for a scan without the region.
pub fn stripped(mut scan: Volume, segmenter: &Segmenter, region: &Region) -> Result<(Volume, Array3<bool>)> {
    let found = segmenter.segment(&scan)?;
    let mask = brain_mask(&found, region).mapv(|inside| f32::from(u8::from(inside))).insert_axis(Axis(0));
    let mask = resample(&Volume::new(mask, found.affine), &Grid::of(&scan), Interpolation::Nearest).data;
    // On a coarser grid what hung together may not.
    let mask = whole(&mask.index_axis(Axis(0), 0).mapv(|inside| inside > 0.5));
    if !mask.iter().any(|&inside| inside) {
        let advice = "check that this is a scan of a head, and its orientation";
        return Err(Error::value("voxels", "a brain", "none", advice));
    }
    for mut channel in scan.data.axis_iter_mut(Axis(0)) {
        Zip::from(&mut channel).and(&mask).for_each(|x, &inside| {
            if !inside {
                *x = 0.0;
            }
        });
    }
    Ok((scan, mask))
}
