//! `voxgan anatomy strip`: a scan without its skull.

use std::path::PathBuf;

use super::structures::SegmenterArgs;
use crate::cli::sampling::PRINTED;
use crate::error::Result;
use crate::pipeline::strip::{Options, strip};

/// Remove what is not brain from a scan.
///
/// The mask is one piece without holes; sheets and bridges thinner than 4 mm, and what hangs on them, are left out, such as dura
/// and eyes. Voxels outside it become zero; the others, the grid and the header's geometry stay as they are.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The scan
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The brain alone, .nii or .nii.gz
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// Also write the mask
    #[arg(long, value_name = "MASK")]
    mask: Option<PathBuf>,
    /// Keep the fluid around the brain
    #[arg(long)]
    csf: bool,
    #[command(flatten)]
    segmenter: SegmenterArgs,
}

/// Strips.
///
/// # Errors
/// Those of [`strip`], and of the segmenter.
pub fn run(args: Args) -> Result<()> {
    let Args { input, output, mask, csf, segmenter } = args;
    strip(&Options { input, output, mask, csf }, &segmenter.open()?, &PRINTED)
}
