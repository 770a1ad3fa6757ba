//! `voxgan progress`: the same brain some years later.

use std::path::PathBuf;

use super::NetworkArgs;
use crate::pipeline::restore::{Options, Problem};
use crate::pretrained::restorer;

/// Show how a brain may look some years later.
///
/// A guess, not a forecast: the network learned from visits that are simulated, with ventricles that widen and a cortex that
/// thins at the rates of its recipe. What it changed lies beside OUT, with the volumes before and after.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The scan (NIfTI, MGH, NRRD, MetaImage), or a folder of scans
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The image of the later visit, .nii or .nii.gz; of a folder, another folder
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// Years from the scan to what is asked for
    #[arg(long, value_name = "YEARS")]
    years: f64,
    /// The group of people, of those that the network was trained for: of the recipe inside, healthy or alzheimers; the first
    /// without this
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// The network: one inside the program by its name, a checkpoint or weights file, or a run's folder
    #[arg(long, value_name = "NAME|FILE|RUN", default_value = restorer::PROGRESS)]
    weights: String,
    #[command(flatten)]
    pub(in crate::cli) restore: NetworkArgs,
}

impl From<Args> for Options {
    fn from(args: Args) -> Self {
        args.restore.options(
            args.input,
            args.output,
            Problem::Progress { years: args.years, group: args.group },
            args.weights,
        )
    }
}
