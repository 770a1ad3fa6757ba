//! Bias correction of a scan by N4.

use std::io::Write;
use std::path::{Path, PathBuf};

use ndarray::{Array3, Axis};
use serde::{Deserialize, Serialize};

use super::folder::OfScan;
use super::outputs::{Files, Writes};
use super::progress::{Event, Progress};
use crate::correct::n4;
use crate::correct::n4::{Field, N4Options};
use crate::error::{Error, Result};
use crate::io::atomic_write;
use crate::io::nifti::{self, WriteOptions};
use crate::io::scan::{self, ReadOptions};
use crate::volume::{Volume, check_grids};

/// A scan, the options of the fit, and the outputs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The scan.
    pub input: PathBuf,
    /// The corrected scan, .nii or .nii.gz.
    pub output: PathBuf,
    /// The mask of tissue that the field is fitted to: voxels that are not zero, on the scan's grid. `None` for voxels
    /// above zero in a scan whose air is zero, or else those brighter than Otsu's threshold.
    pub mask: Option<PathBuf>,
    /// The file for the field, if any: an image (.nii, .nii.gz), or a record with its options (.json).
    pub field: Option<PathBuf>,
    /// Options of the fit.
    pub fit: N4Options,
    /// Options for reading scan and mask.
    pub read: ReadOptions,
}

impl Writes for Options {
    fn files(&self) -> Files {
        Files::reading([&self.input].into_iter().chain(&self.mask))
            .writing(&self.output)
            .asked("--field", self.field.as_ref())
    }
}

impl OfScan for Options {
    fn paths(&mut self) -> [&mut PathBuf; 2] {
        [&mut self.input, &mut self.output]
    }
}

/// Scan and mask → field → corrected scan.
///
/// # Errors
/// [`Error::Io`] or [`Error::File`] for the files; [`Error::Value`] as [`n4::correct`].
pub fn correct(options: &Options, progress: &Progress) -> Result<Field> {
    let volume = scan::read(&options.input, &options.read)?;
    let mask = options.mask.as_ref().map(|path| read_mask(path, &volume, &options.read)).transpose()?;
    let (corrected, field) = n4::correct(&volume, mask.as_ref(), &options.fit)?;
    nifti::write(&options.output, &corrected, &describe("voxgan n4, bias field removed"))?;
    progress.tell(Event::Wrote(&options.output));
    if let Some(path) = &options.field {
        write_field(path, &field, &volume)?;
        progress.tell(Event::Wrote(path));
    }
    Ok(field)
}

/// The voxels of `path` that are not zero; its grid must be the scan's.
fn read_mask(path: &Path, volume: &Volume, read: &ReadOptions) -> Result<Array3<bool>> {
    let mask = scan::read(path, read)?;
    check_grids(volume, &mask)?;
    Ok(mask.data.index_axis(Axis(0), 0).mapv(|value| value != 0.0))
}

fn write_field(path: &Path, field: &Field, volume: &Volume) -> Result<()> {
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
        let text = serde_json::to_string(field)
            .map_err(|error| Error::io(path, "write the field as JSON", error.into()))?;
        return atomic_write(path, |file| writeln!(file, "{text}"));
    }
    let image =
        Volume::new(field.evaluate(volume.dims()).insert_axis(Axis(0)), volume.affine).in_world_of(volume);
    nifti::write(path, &image, &describe("voxgan n4, bias field"))
}

fn describe(text: &str) -> WriteOptions {
    WriteOptions { description: text.into(), ..WriteOptions::default() }
}
