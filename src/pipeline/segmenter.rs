//! A trained segmenter on any device.

use std::path::Path;

use super::device::{Device, on_device};
use crate::anatomy::Segmentation;
use crate::error::Result;
use crate::io::scan::{self, ReadOptions};
use crate::ops::VolumeOps;
use crate::pretrained::segmenter::{self, EMBEDDED};
use crate::volume::Volume;
use crate::volume::orientation::to_ras;
use crate::volume::resample::Interpolation;

/// A trained segmenter, or a reader of label maps.
pub struct Segmenter {
    /// The segmenter's name with the SHA-256 of its weights, or `label maps`.
    pub name: String,
    /// Whether its labels are refined by the scan ([`crate::segment::refine`]).
    pub refines: bool,
    /// The device, as records name it; none for a reader of label maps.
    pub device: Option<String>,
    /// Interpolation for volumes that are resampled before the segmentation.
    pub interpolation: Interpolation,
    find: Find,
}

/// From a volume to its structures.
type Find = Box<dyn Fn(&Volume) -> Result<Segmentation> + Send>;

impl Segmenter {
    /// Opens the segmenter of this name or path; `refines` is whether its labels are refined by the scan.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io), [`Error::File`](crate::error::Error::File) or
    /// [`Error::Value`](crate::error::Error::Value) for the weights; [`Error::Device`](crate::error::Error::Device).
    pub fn open(weights: &str, device: Device, refines: bool) -> Result<Self> {
        let name = device.name()?;
        on_device!(device, |B, device| Ok(Self::with(
            segmenter::open::<B>(weights, &device)?.refining(refines),
            refines,
            name
        )))
    }

    /// Opens the segmenter inside the program, with refinement.
    ///
    /// # Errors
    /// As [`Segmenter::open`].
    pub fn embedded(device: Device) -> Result<Self> {
        Self::open(EMBEDDED, device, true)
    }

    /// Opens the segmenter inside the program for samples of a generator, which are aligned with the axes of their
    /// grids.
    ///
    /// # Errors
    /// As [`Segmenter::open`].
    pub fn for_samples(device: Device) -> Result<Self> {
        let name = device.name()?;
        on_device!(device, |B, device| Ok(Self::with(
            segmenter::open::<B>(EMBEDDED, &device)?.along_the_grid(),
            true,
            name
        )))
    }

    /// A reader of label maps with FreeSurfer's numbers.
    pub fn of_labels() -> Self {
        Self {
            name: "label maps".into(),
            refines: false,
            device: None,
            interpolation: Interpolation::Nearest,
            find: Box::new(|map| Segmentation::of_numbers(&to_ras(map.clone()).0)),
        }
    }

    fn with<B: VolumeOps>(segmenter: crate::segment::Segmenter<B>, refines: bool, device: String) -> Self {
        Self {
            name: segmenter.name().to_string(),
            refines,
            device: Some(device),
            interpolation: Interpolation::Linear,
            find: Box::new(move |volume| segmenter.segment(volume)),
        }
    }

    /// The volume of a file, as it is stored, and its structures.
    ///
    /// # Errors
    /// As [`scan::read`] and [`Segmenter::segment`]; the file is named.
    pub fn read(&self, path: &Path, read: &ReadOptions) -> Result<(Volume, Segmentation)> {
        let volume = scan::read(path, read)?;
        let segmentation = self.segment(&volume).map_err(|e| e.in_file(path))?;
        Ok((volume, segmentation))
    }

    /// The structures of a volume, on a grid of 1 mm (see [`crate::segment::Segmenter::segment`]), for label maps on
    /// the map's grid in RAS+.
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
