//! Where commands get their structures: from the segmenter, or from label maps.

use std::path::Path;

use crate::anatomy::{Segmentation, Segmenter};
use crate::cli::device::{Device, on_device};
use crate::config::in_file;
use crate::error::Result;
use crate::io::nifti;
use crate::ops::VolumeOps;
use crate::pretrained::segmenter;
use crate::volume::Volume;
use crate::volume::orientation::to_ras;
use crate::volume::resample::Interpolation;

/// How structures are found.
#[derive(Clone, Debug, clap::Args)]
pub struct StructuresArgs {
    #[command(flatten)]
    segmenter: SegmenterArgs,
    /// The inputs are label maps with FreeSurfer's numbers already
    #[arg(long)]
    labels: bool,
}

/// Which segmenter, and where it computes.
#[derive(Clone, Debug, clap::Args)]
pub struct SegmenterArgs {
    /// The segmenter: that inside the program (anatomy), a checkpoint or weights file, or a run's folder
    #[arg(long, value_name = "NAME|FILE|RUN", default_value = segmenter::EMBEDDED)]
    weights: String,
    /// Where to compute: cpu, cuda, cuda:N
    #[arg(long, default_value_t)]
    device: Device,
    /// Whether the scan itself moves the borders that the network draws
    #[arg(long, value_enum, default_value_t = Refine::Auto)]
    refine: Refine,
}

/// Whether labels are refined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Refine {
    /// Where the scan says enough
    #[default]
    Auto,
    /// Not at all: the network alone
    Off,
}

/// From a volume to its structures.
type Find = Box<dyn Fn(&Volume) -> Result<Segmentation> + Send>;

/// What finds the structures of a volume.
pub struct Finder {
    /// Which segmenter it is, with the SHA-256 of its weights; or that structures are read as labels.
    pub name: String,
    /// How volumes are brought to another grid before.
    pub interpolation: Interpolation,
    find: Find,
}

impl StructuresArgs {
    /// The segmenter, or what reads labels.
    ///
    /// # Errors
    /// What is wrong with weights or device.
    pub fn finder(&self) -> Result<Finder> {
        if !self.labels {
            return self.segmenter.finder();
        }
        Ok(Finder {
            name: "label maps".into(),
            interpolation: Interpolation::Nearest,
            find: Box::new(|map| Segmentation::of_numbers(&to_ras(map.clone()).0)),
        })
    }
}

impl SegmenterArgs {
    /// The segmenter.
    ///
    /// # Errors
    /// What is wrong with weights or device.
    pub fn finder(&self) -> Result<Finder> {
        Finder::open(&self.weights, self.device, self.refine)
    }
}

impl Finder {
    /// The segmenter of this name or path on `device`.
    ///
    /// # Errors
    /// What is wrong with weights or device.
    pub fn open(weights: &str, device: Device, refine: Refine) -> Result<Self> {
        on_device!(device, |B, device| {
            Ok(Self::with(segmenter::open::<B>(weights, &device)?.refining(refine == Refine::Auto)))
        })
    }

    /// The segmenter inside the program for samples of a generator, which lie along the axes of their grids.
    ///
    /// # Errors
    /// What is wrong with the device.
    pub fn for_samples(device: Device) -> Result<Self> {
        on_device!(device, |B, device| {
            Ok(Self::with(segmenter::open::<B>(segmenter::EMBEDDED, &device)?.along_the_grid()))
        })
    }

    fn with<B: VolumeOps>(segmenter: Segmenter<B>) -> Self {
        Self {
            name: segmenter.name().to_string(),
            interpolation: Interpolation::Linear,
            find: Box::new(move |volume| segmenter.segment(volume)),
        }
    }

    /// The volume of a file, as it is stored, and its structures.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn read(&self, path: &Path) -> Result<(Volume, Segmentation)> {
        let volume = nifti::read(path)?;
        let segmentation = self.of(&volume).map_err(|e| in_file(e, path))?;
        Ok((volume, segmentation))
    }

    /// The structures of a volume, on a RAS+ grid of the segmenter's own.
    ///
    /// # Errors
    /// As [`crate::anatomy::Segmenter::segment`] and [`Segmentation::of_numbers`].
    pub fn of(&self, volume: &Volume) -> Result<Segmentation> {
        (self.find)(volume)
    }
}
