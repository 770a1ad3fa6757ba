//! `voxgan resample`: a scan on another grid.

use std::path::PathBuf;

use serde_json::Value;

use super::files::FileArgs;
use super::numbers::one_or_three;
use super::prepare::InterpolationName;
use crate::error::Result;
use crate::pipeline::Progress;
use crate::pipeline::folder::Work;
use crate::pipeline::resample::{Onto, Options, resample};

/// Bring a scan to the grid of another, or to voxels of another size.
///
/// Where voxels become larger, the scan is blurred to their size first, so that nothing aliases. A sheared grid, as of a tilted
/// gantry, comes out with axes at right angles. Beyond the scan's field of view lies its least value.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The scan (NIfTI, MGH, NRRD, MetaImage), or a folder of scans
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The resampled scan, .nii or .nii.gz; of a folder, another folder
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// The scan whose grid is taken; both must lie in one world
    #[arg(long, value_name = "REF", required_unless_present = "spacing_mm", conflicts_with = "spacing_mm")]
    like: Option<PathBuf>,
    /// Size of the voxels in mm: one number, or three along the scan's axes (i, j, k)
    #[arg(long, value_name = "MM|I,J,K", value_parser = one_or_three::<f64>)]
    spacing_mm: Option<[f64; 3]>,
    /// How values between voxels are made; nearest for label maps
    #[arg(long, value_enum, default_value_t = InterpolationName::Linear)]
    interpolation: InterpolationName,
    #[command(flatten)]
    files: FileArgs,
}

/// Resamples.
///
/// # Errors
/// Those of [`resample()`] and of [`Work::run`].
pub fn run(args: Args) -> Result<()> {
    let Args { input, output, like, spacing_mm, interpolation, files } = args;
    let onto = match (like, spacing_mm) {
        (Some(like), _) => Onto::Like(like),
        (None, spacing_mm) => Onto::SpacingMm(spacing_mm.unwrap_or([1.0; 3])),
    };
    let (interpolation, read) = (interpolation.into(), files.read.clone().into());
    let job = Options { input, output, onto, interpolation, read };
    files.run(&Work { job: &job, with: Value::Null }, &mut |one| {
        let made = resample(one, &Progress::default())?;
        println!("{}: {:?} voxels of {:.3?} mm", one.output.display(), made.dims(), made.spacing_mm());
        Ok(())
    })
}
