//! Sampling masks from patterns, with their records and figures.

use std::path::{Path, PathBuf};

use image::{GrayImage, Luma};
use ndarray::{Array3, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use super::outputs::{Files, Writes};
use super::progress::{Event, Progress};
use super::sidecar;
use crate::acquisition::sampling::{Axis as SamplingAxis, Columns, FastMri, Left, Mask, Pattern, Seed};
use crate::error::{Error, Result};
use crate::io::nifti::{self, DataType, WriteOptions, is_nifti};
use crate::io::npy;
use crate::io::raw::{self, RawOptions};
use crate::report::write_png;
use crate::volume::{ImageGrid, Volume};

/// A pattern, its grid, and the output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The sampling pattern.
    pub pattern: Pattern,
    /// Shape of k-space, `[D, H, W]`.
    pub shape: [usize; 3],
    /// Seed of random draws.
    pub seed: Seed,
    /// The file of the mask, with DC at index ⌊n/2⌋: .npy (truth values `[D, H, W]`), .nii, .nii.gz (0 and 1) or .png
    /// (a plane); its record is written beside it, .json.
    pub output: PathBuf,
}

impl Default for Options {
    /// A quarter of the columns of a slice, drawn as fastMRI does.
    fn default() -> Self {
        Self {
            pattern: Pattern::FastMri(FastMri::new(Columns::Random, 0.08, 4.0)),
            shape: [1, 256, 256],
            seed: Seed::Number(0),
            output: PathBuf::new(),
        }
    }
}

impl Writes for Options {
    fn files(&self) -> Files {
        Files::default().writing(&self.output).recording(record(&self.output))
    }
}

/// The record beside a mask.
fn record(mask: &Path) -> PathBuf {
    if is_nifti(mask) { sidecar::path(mask) } else { mask.with_extension("json") }
}

/// Pattern → mask → file and record; [`Mask::report`] has the figures.
///
/// # Errors
/// As [`Pattern::mask`]; [`Error::File`] or [`Error::Value`] for a name of another kind of file or a mask that it
/// cannot store; [`Error::Io`] if a file cannot be written.
pub fn mask(options: &Options, progress: &Progress) -> Result<Mask> {
    let Options { pattern, shape, seed, output } = options;
    let mask = pattern.mask(*shape, seed)?;
    write(output, &mask)?;
    let told = serde_json::json!({
        "Pattern": pattern, "Seed": seed, "ShapeDHW": shape, "Report": mask.report(),
    });
    sidecar::write_record(&record(output), &sidecar::joined(told, sidecar::generated_by()))?;
    progress.tell(Event::Wrote(output));
    Ok(mask)
}

/// Raw data that a mask is made for.
#[derive(Clone, Debug)]
pub struct Like {
    /// Places that it measures, `[D, H, W]`.
    pub measured: Array3<bool>,
    /// The axes of its phase encoding, the first of which a pattern of one axis acts on.
    pub axes: [SamplingAxis; 2],
    /// The axis that it was read out along, where the file tells.
    pub readout: Option<SamplingAxis>,
}

impl Like {
    /// That of a file, of whose images `options` choose.
    ///
    /// # Errors
    /// As [`raw::read`].
    pub fn read(path: &Path, options: &RawOptions) -> Result<Self> {
        use SamplingAxis::{D, H, W};
        let kspace = raw::read(path, options)?;
        let readout = raw::readout(path);
        let (d, h, w) = kspace.sampled.dim();
        let encoded = |axis: usize, length: usize| kspace.transformed[axis] && length > 1;
        let axes = match (encoded(0, d), encoded(1, h), encoded(2, w)) {
            (_, true, true) if readout == Some(H) => [W, H],
            (true, true, _) => [H, D],
            (true, false, true) => [D, W],
            (false, true, _) => [H, W],
            _ => [W, H],
        };
        Ok(Self { measured: kspace.sampled, axes, readout })
    }

    /// What a mask leaves of it.
    pub fn left(&self, mask: &Mask) -> Left {
        Left::of(&self.measured, &mask.sampled, self.readout)
    }
}

/// Writes the mask as its name's ending asks for.
fn write(path: &Path, mask: &Mask) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let ends = |ending: &str| name.len() > ending.len() && name.ends_with(ending);
    let (d, h, w) = mask.sampled.dim();
    if ends(".npy") {
        npy::write_bool(path, mask.sampled.view().into_dyn())
    } else if ends(".nii.gz") || ends(".nii") {
        let volume = Volume::of_mask(mask.sampled.view(), ImageGrid::upright([w, h, d], [1.0; 3])?.affine);
        let description = "voxgan mask: k-space, DC in the middle".into();
        nifti::write(
            path,
            &volume,
            &WriteOptions { data_type: DataType::U8, description, ..WriteOptions::default() },
        )
    } else if ends(".png") {
        write_png(path, &picture(path, &mask.sampled)?)
    } else {
        let advice = "let the file's name end so";
        Err(Error::file(path, "name", ".npy, .nii, .nii.gz or .png", format!("{name:?}"), advice))
    }
}

/// The plane of the two axes that the mask varies along; white where it samples.
fn picture(path: &Path, sampled: &Array3<bool>) -> Result<GrayImage> {
    let constant = (0..3).map(Axis).find(|&axis| {
        let first = sampled.index_axis(axis, 0);
        sampled.axis_iter(axis).all(|other| other == first)
    });
    let Some(axis) = constant else {
        let advice = "write it as .npy or .nii.gz";
        return Err(Error::file(
            path,
            "mask",
            "one that is constant along an axis",
            "one that is not",
            advice,
        ));
    };
    let plane: ArrayView2<bool> = sampled.index_axis(axis, 0);
    let (rows, columns) = plane.dim();
    Ok(GrayImage::from_fn(columns as u32, rows as u32, |x, y| {
        Luma([if plane[[y as usize, x as usize]] { 255 } else { 0 }])
    }))
}
