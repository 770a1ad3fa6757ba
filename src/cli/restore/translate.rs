//! `voxgan translate`: a scan in another contrast.

use std::path::PathBuf;

use super::NetworkArgs;
use crate::pipeline::restore::{Options, Problem};
use crate::pretrained::restorer;

/// Translate a scan to another contrast.
///
/// The contrast is that of the weights. Nothing of it was measured: the whole result is a guess from another image, learned
/// from simulated pairs or from images of two contrasts that are no pairs, and shows no lesion that the scan does not show.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The scan (NIfTI, MGH, NRRD, MetaImage), or a folder of scans
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The translated image, .nii or .nii.gz; of a folder, another folder
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// The network: one inside the program by its name, a checkpoint or weights file, or a run's folder
    #[arg(long, value_name = "NAME|FILE|RUN", default_value = restorer::TRANSLATE)]
    weights: String,
    /// Translate the other way, by the second network of a run that learned without pairs
    #[arg(long)]
    backward: bool,
    #[command(flatten)]
    pub(in crate::cli) restore: NetworkArgs,
}

impl From<Args> for Options {
    fn from(args: Args) -> Self {
        args.restore.options(
            args.input,
            args.output,
            Problem::Translate { backward: args.backward },
            args.weights,
        )
    }
}
