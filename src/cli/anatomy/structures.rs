//! Where commands get their structures: from the segmenter, or from label maps.

use crate::error::Result;
use crate::pipeline::{Device, Segmenter};
use crate::pretrained::segmenter;

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
    /// Where to compute: cpu, auto, cuda, cuda:N, gpu, gpu:N, vulkan:NAME, metal:NAME
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

impl StructuresArgs {
    /// The segmenter, or what reads labels.
    ///
    /// # Errors
    /// What is wrong with weights or device.
    pub fn open(&self) -> Result<Segmenter> {
        if self.labels { Ok(Segmenter::of_labels()) } else { self.segmenter.open() }
    }
}

impl SegmenterArgs {
    /// The segmenter.
    ///
    /// # Errors
    /// What is wrong with weights or device.
    pub fn open(&self) -> Result<Segmenter> {
        Segmenter::open(&self.weights, self.device, self.refine == Refine::Auto)
    }
}
