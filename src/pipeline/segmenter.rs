//! What finds the structures of a volume, on any device.

use std::path::Path;

use super::device::{Device, on_device};
use crate::anatomy::Segmentation;
use crate::error::Result;
use crate::io::nifti::{self, ReadOptions};
use crate::ops::VolumeOps;
use crate::pretrained::segmenter::{self, EMBEDDED};
use crate::volume::Volume;
use crate::volume::orientation::to_ras;
use crate::volume::resample::Interpolation;

/// A segmenter, or what takes volumes for label maps.
pub struct Segmenter {
    /// Which segmenter it is, with the SHA-256 of its weights; or that structures are read as labels.
    pub name: String,
    /// Whether the scan itself moves the borders that it draws.
    pub refines: bool,
    /// How volumes are brought to another grid before.
    pub interpolation: Interpolation,
    find: Find,
}

/// From a volume to its structures.
type Find = Box<dyn Fn(&Volume) -> Result<Segmentation> + Send>;

impl Segmenter {
    /// The segmenter of this name or path; whether the scan itself moves the borders that it draws.
    ///
    /// # Errors
    /// What is wrong with weights or device.
    pub fn open(weights: &str, device: Device, refines: bool) -> Result<Self> {
        on_device!(device, |B, device| Ok(Self::with(
            segmenter::open::<B>(weights, &device)?.refining(refines),
            refines
        )))
    }

    /// The segmenter inside the program.
    ///
    /// # Errors
    /// What is wrong with the device.
    pub fn embedded(device: Device) -> Result<Self> {
        Self::open(EMBEDDED, device, true)
    }

    /// The segmenter inside the program for samples of a generator, which lie along the axes of their grids.
    ///
    /// # Errors
    /// What is wrong with the device.
    pub fn for_samples(device: Device) -> Result<Self> {
        on_device!(device, |B, device| Ok(Self::with(
            segmenter::open::<B>(EMBEDDED, &device)?.along_the_grid(),
            true
        )))
    }

    /// What takes volumes for label maps with FreeSurfer's numbers.
    pub fn of_labels() -> Self {
        Self {
            name: "label maps".into(),
            refines: false,
            interpolation: Interpolation::Nearest,
            find: Box::new(|map| Segmentation::of_numbers(&to_ras(map.clone()).0)),
        }
    }

    fn with<B: VolumeOps>(segmenter: crate::segment::Segmenter<B>, refines: bool) -> Self {
        Self {
            name: segmenter.name().to_string(),
            refines,
            interpolation: Interpolation::Linear,
            find: Box::new(move |volume| segmenter.segment(volume)),
        }
    }

    /// The volume of a file, as it is stored, and its structures.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn read(&self, path: &Path, read: &ReadOptions) -> Result<(Volume, Segmentation)> {
        let volume = nifti::read_with(path, read)?;
        let segmentation = self.segment(&volume).map_err(|e| e.in_file(path))?;
        Ok((volume, segmentation))
    }

    /// The structures of a volume, on a RAS+ grid of the segmenter's own.
    ///
    /// # Errors
    /// As [`crate::segment::Segmenter::segment`] and [`Segmentation::of_numbers`].
    pub fn segment(&self, volume: &Volume) -> Result<Segmentation> {
        (self.find)(volume)
    }
}

impl std::fmt::Debug for Segmenter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Segmenter").field("name", &self.name).finish_non_exhaustive()
    }
}
