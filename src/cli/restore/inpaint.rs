//! `voxgan inpaint`: voxels that are missing.

use std::path::PathBuf;

use super::NetworkArgs;
use crate::pipeline::restore::{Options, Problem};
use crate::pretrained::restorer;

/// Fill what is missing in a scan, or is not to be believed: lesions, slices, holes.
///
/// Further outputs: the classical baseline (harmonic filling), the null-space component, and a record of how the image came to be.
/// Voxels outside the mask stay what they were.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The scan (NIfTI, MGH, NRRD, MetaImage), or a folder of scans
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// Voxels to fill: those that are not zero, on the scan's grid
    #[arg(value_name = "MASK")]
    mask: PathBuf,
    /// The filled image, .nii or .nii.gz; of a folder, another folder
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// The network: one inside the program by its name, a checkpoint or weights file, or a run's folder
    #[arg(long, value_name = "NAME|FILE|RUN", default_value = restorer::INPAINT)]
    weights: String,
    #[command(flatten)]
    pub(in crate::cli) restore: NetworkArgs,
}

impl From<Args> for Options {
    fn from(args: Args) -> Self {
        args.restore.options(args.input, args.output, Problem::Inpaint(args.mask), args.weights)
    }
}
