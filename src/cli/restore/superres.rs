//! `voxgan superres`: a finer grid.

use std::path::PathBuf;

use super::super::numbers::one_or_three;
use super::NetworkArgs;
use crate::pipeline::restore::{Options, Problem};
use crate::pretrained::restorer;

/// Bring a scan to a finer grid.
///
/// Further outputs: the classical baseline (cubic interpolation), the null-space component, which the scan does not determine, and a
/// record of how the image came to be. By default the means over the measured voxels stay exactly what they were.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The scan (NIfTI, MGH, NRRD, MetaImage), or a folder of scans
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The finer image, .nii or .nii.gz; of a folder, another folder
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// How many times finer: one number, or three along the scan's axes (i, j, k), such as 1,1,3 through the slices
    #[arg(long, value_name = "N|I,J,K", value_parser = parse_factor, default_value = "2")]
    factor: [usize; 3],
    /// The network: one inside the program by its name, a checkpoint or weights file, or a run's folder
    #[arg(long, value_name = "NAME|FILE|RUN", default_value = restorer::SUPERRES)]
    weights: String,
    /// Bring the result to the grid of this scan
    #[arg(long, value_name = "REF")]
    like: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) restore: NetworkArgs,
}

impl From<Args> for Options {
    fn from(args: Args) -> Self {
        let problem = Problem::Superres(args.factor);
        Self { like: args.like, ..args.restore.options(args.input, args.output, problem, args.weights) }
    }
}

pub(super) fn parse_factor(text: &str) -> std::result::Result<[usize; 3], String> {
    let factor = one_or_three(text)?;
    if factor.contains(&0) || factor == [1; 3] {
        Err("expected 2 or more somewhere".into())
    } else {
        Ok(factor)
    }
}
