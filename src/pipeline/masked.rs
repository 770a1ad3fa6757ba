//! Scans of which a part is taken away: the scan that is left, and the mask.

use std::path::Path;

use ndarray::{Array3, Axis, Zip};

use super::progress::{Event, Progress};
use crate::error::Result;
use crate::io::nifti::{self, DataType, WriteOptions};
use crate::volume::Volume;

/// Puts `value` into the voxels of all channels where `mask` `[D, H, W]` is `taken`.
pub(super) fn fill(scan: &mut Volume, mask: &Array3<bool>, taken: bool, value: f32) {
    for mut channel in scan.data.axis_iter_mut(Axis(0)) {
        Zip::from(&mut channel).and(mask).for_each(|x, &inside| {
            if inside == taken {
                *x = value;
            }
        });
    }
}

/// Writes a scan to `output`, and its mask `[D, H, W]` where one is asked for, each with its description.
///
/// # Errors
/// Those of [`nifti::write()`].
pub(super) fn write(
    scan: &Volume,
    mask: &Array3<bool>,
    output: &Path,
    mask_output: Option<&Path>,
    [description, of_mask]: [String; 2],
    progress: &Progress,
) -> Result<()> {
    nifti::write(output, scan, &WriteOptions { description, ..WriteOptions::default() })?;
    progress.tell(Event::Wrote(output));
    let Some(path) = mask_output else { return Ok(()) };
    let options = WriteOptions { data_type: DataType::U8, description: of_mask, ..WriteOptions::default() };
    nifti::write(path, &Volume::of_mask(mask.view(), scan.affine).in_world_of(scan), &options)?;
    progress.tell(Event::Wrote(path));
    Ok(())
}
