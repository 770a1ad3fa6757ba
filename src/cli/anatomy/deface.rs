//! `voxgan anatomy deface`: a scan by which nobody is known.

use std::path::PathBuf;

use serde_json::json;

use super::structures::SegmenterArgs;
use crate::cli::files::FileArgs;
use crate::cli::sampling::PRINTED;
use crate::error::Result;
use crate::pipeline::deface::{Options, deface};
use crate::pipeline::folder::Work;

/// Remove face and ears from a scan of a head.
///
/// They lie before a plane from the brow to the front of the spine, and beside the temporal bones, as the head's structures
/// show. Their voxels become air; brain, its fluid and 5 mm around them, the grid and the header's geometry stay as they are.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The scan, or a folder of scans
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The scan without face and ears, .nii or .nii.gz; of a folder, another folder
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// Also write a mask of what was removed
    #[arg(long, value_name = "MASK")]
    mask: Option<PathBuf>,
    #[command(flatten)]
    segmenter: SegmenterArgs,
    #[command(flatten)]
    files: FileArgs,
}

/// Removes the face.
///
/// # Errors
/// Those of [`deface`], of the segmenter and of [`Work::run`].
pub fn run(args: Args) -> Result<()> {
    let Args { input, output, mask, segmenter, files } = args;
    let job = Options { input, output, mask, read: files.read.clone().into() };
    let segmenter = segmenter.open()?;
    let with = json!([segmenter.name, segmenter.refines]);
    files.run(&Work { job: &job, with }, &mut |one| deface(one, &segmenter, &PRINTED))
}
