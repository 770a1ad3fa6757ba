//! Resampling of a scan to another grid.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::folder::OfScan;
use super::memory;
use super::outputs::{Files, Writes};
use super::progress::{Event, Progress};
use crate::error::{Error, Result};
use crate::io::nifti::{self, WriteOptions};
use crate::io::scan::{self, ReadOptions};
use crate::volume::Volume;
use crate::volume::resample::{Grid, Interpolation, resample_with};

/// Bytes that resampling takes at its peak for each voxel of source or result: source, a blurred copy and result.
const BYTES_PER_VOXEL: u64 = 12;

/// A scan, and the grid that it is resampled to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The scan.
    pub input: PathBuf,
    /// The file of the resampled scan, .nii or .nii.gz.
    pub output: PathBuf,
    /// The grid.
    pub onto: Onto,
    /// The interpolation between voxels.
    pub interpolation: Interpolation,
    /// Options for reading both scans.
    pub read: ReadOptions,
}

/// A grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Onto {
    /// The grid of another scan, in the same world.
    Like(PathBuf),
    /// The scan's field of view with voxels of this size along its axes (i, j, k), which become orthogonal.
    SpacingMm([f64; 3]),
}

impl Default for Onto {
    fn default() -> Self {
        Self::SpacingMm([1.0; 3])
    }
}

impl Writes for Options {
    fn files(&self) -> Files {
        let reference = match &self.onto {
            Onto::Like(path) => Some(path),
            Onto::SpacingMm(_) => None,
        };
        Files::reading([&self.input].into_iter().chain(reference)).writing(&self.output)
    }
}

impl OfScan for Options {
    fn paths(&mut self) -> [&mut PathBuf; 2] {
        [&mut self.input, &mut self.output]
    }
}

/// Scan → grid → scan. Voxels beyond the field of view get the least value of the scan.
///
/// # Errors
/// [`Error::Io`] or [`Error::File`] for the files; [`Error::Value`] for sizes that are not above zero, and grids that
/// need more than the free memory; [`Error::Cancelled`].
pub fn resample(options: &Options, progress: &Progress) -> Result<Volume> {
    let Options { input, output, onto, interpolation, read } = options;
    let scan = scan::read(input, read)?;
    let grid = match onto {
        Onto::Like(reference) => Grid::of(&scan::read(reference, read)?),
        Onto::SpacingMm(sizes) => {
            if !sizes.iter().all(|mm| *mm > 0.0 && mm.is_finite()) {
                let advice = "give sizes in millimetres";
                return Err(Error::value("--spacing-mm", "sizes above zero", format!("{sizes:?}"), advice));
            }
            Grid::of(&scan).straight().with_spacing(*sizes)
        }
    };
    let voxels = |dims: [usize; 3]| dims.iter().fold(1u64, |product, &n| product.saturating_mul(n as u64));
    let bytes = voxels(grid.dims).max(voxels(scan.dims())).saturating_mul(BYTES_PER_VOXEL);
    memory::check(bytes, &format!("{:?} voxels", grid.dims), "choose larger voxels")
        .map_err(|e| e.in_file(input))?;
    progress.check()?;
    let air = scan.data.iter().copied().fold(f32::INFINITY, f32::min);
    let resampled = resample_with(&scan, &grid, *interpolation, air);
    let description = "voxgan resample".into();
    nifti::write(output, &resampled, &WriteOptions { description, ..WriteOptions::default() })?;
    progress.tell(Event::Wrote(output));
    Ok(resampled)
}
