//! Where the commands of `anatomy` get their structures: from the segmenter, or from label maps.

use std::path::{Path, PathBuf};

use crate::anatomy::{Segmentation, Segmenter};
use crate::cli::device::{Device, on_device};
use crate::config::in_file;
use crate::error::Result;
use crate::io::nifti;
use crate::ops::VolumeOps;
use crate::pretrained::segmenter;
use crate::volume::Volume;
use crate::volume::orientation::to_ras;

/// How structures are found.
#[derive(Clone, Debug, clap::Args)]
pub struct StructuresArgs {
    /// The segmenter: a checkpoint, or a run of `voxgan train` with a segmenter's recipe
    #[arg(long, value_name = "RUN", required_unless_present = "labels")]
    weights: Option<PathBuf>,
    /// The inputs are label maps with FreeSurfer's numbers already
    #[arg(long, conflicts_with = "weights")]
    labels: bool,
    /// Where to compute: cpu, cuda, cuda:N
    #[arg(long, default_value_t)]
    device: Device,
}

impl StructuresArgs {
    /// Calls `take` with the volume and the structures of each path, one after the other.
    ///
    /// # Errors
    /// What is wrong with weights, device or files, and what `take` finds.
    pub fn each(
        &self,
        paths: &[PathBuf],
        mut take: impl FnMut(&Path, &Volume, Segmentation) -> Result<()>,
    ) -> Result<()> {
        let Some(weights) = &self.weights else {
            return paths.iter().try_for_each(|path| {
                let (volume, _) = to_ras(nifti::read(path)?);
                let segmentation = Segmentation::of_numbers(&volume).map_err(|e| in_file(e, path))?;
                take(path, &volume, segmentation)
            });
        };
        on_device!(self.device, |B, device| {
            let segmenter = segmenter::open::<B>(weights, &device)?;
            paths.iter().try_for_each(|path| segmented(&segmenter, path, &mut take))
        })
    }
}

fn segmented<B: VolumeOps>(
    segmenter: &Segmenter<B>,
    path: &Path,
    take: &mut impl FnMut(&Path, &Volume, Segmentation) -> Result<()>,
) -> Result<()> {
    let volume = nifti::read(path)?;
    let segmentation = segmenter.segment(&volume).map_err(|e| in_file(e, path))?;
    take(path, &volume, segmentation)
}
