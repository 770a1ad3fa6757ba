//! `voxgan motion`: a head that moved while it was measured.

use std::path::PathBuf;

use super::NetworkArgs;
use crate::pipeline::restore::{Options, Problem};
use crate::pretrained::restorer;

/// Correct the ghosts and the blur of a head that moved while it was measured.
///
/// Of the motion nothing is known but the image, so that nothing can hold the result to what was measured: all that changes
/// is the network's, and lies beside OUT as an image of its own, with a record of how it came to be.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The scan (NIfTI, MGH, NRRD, MetaImage), or a folder of scans
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The corrected image, .nii or .nii.gz; of a folder, another folder
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// The network: one inside the program by its name, a checkpoint or weights file, or a run's folder
    #[arg(long, value_name = "NAME|FILE|RUN", default_value = restorer::MOTION)]
    weights: String,
    #[command(flatten)]
    pub(in crate::cli) restore: NetworkArgs,
}

impl From<Args> for Options {
    fn from(args: Args) -> Self {
        args.restore.options(args.input, args.output, Problem::Motion, args.weights)
    }
}
