//! `voxgan anatomy strip`: a scan without its skull.

use std::path::PathBuf;

use serde_json::json;

use super::structures::SegmenterArgs;
use crate::cli::files::FileArgs;
use crate::cli::sampling::PRINTED;
use crate::error::Result;
use crate::pipeline::folder::Work;
use crate::pipeline::strip::{Options, strip};

/// Remove what is not brain from a scan.
///
/// The mask is one piece without holes; sheets and bridges thinner than 4 mm, and what hangs on them, are left out, such as dura
/// and eyes. Voxels outside it become zero; the others, the grid and the header's geometry stay as they are.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The scan, or a folder of scans
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The brain alone, .nii or .nii.gz; of a folder, another folder
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
    #[command(flatten)]
    files: FileArgs,
}

/// Strips.
///
/// # Errors
/// Those of [`strip`], of the segmenter and of [`Work::run`].
pub fn run(args: Args) -> Result<()> {
    let Args { input, output, mask, csf, segmenter, files } = args;
    let job = Options { input, output, mask, csf, read: files.read.clone().into() };
    let segmenter = segmenter.open()?;
    let with = json!([segmenter.name, segmenter.refines]);
    files.run(&Work { job: &job, with }, &mut |one| strip(one, &segmenter, &PRINTED))
}
