//! `voxgan motion`: a head that moved while it was measured.

use std::path::PathBuf;

use super::{RestoreArgs, Scan, other_head, run as restore};
use crate::config::{HeadRecipe, RestorationRecipe};
use crate::error::{Error, Result};
use crate::heads::Motion;
use crate::pretrained::restorer;
use crate::volume::resample::Grid;

/// Correct the ghosts and the blur of a head that moved while it was measured.
///
/// Of the motion nothing is known but the image, so that nothing can hold the result to what was measured: all that changes
/// is the network's, and lies beside OUT as an image of its own, with a record of how it came to be.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The scan (.nii, .nii.gz, .hdr with .img)
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The corrected image, .nii or .nii.gz
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// The network: one inside the program by its name, a checkpoint or weights file, or a run's folder
    #[arg(long, value_name = "NAME|FILE|RUN", default_value = restorer::MOTION)]
    weights: String,
    #[command(flatten)]
    restore: RestoreArgs,
}

/// Scan → case → network → image.
///
/// # Errors
/// What is wrong with the scan, the weights, the device or the disk.
pub fn run(args: Args) -> Result<()> {
    let scan = Scan::read(&args.input)?;
    let case = |recipe: &RestorationRecipe| match &recipe.head {
        HeadRecipe::Motion(recipe) if !recipe.known => {
            Ok(Motion::new(recipe).unknown(scan.volume.data.clone()))
        }
        HeadRecipe::Motion(_) => {
            let expected = "weights for images whose motion is not known";
            Err(Error::value(
                "head.known",
                expected,
                "known = true",
                "give weights trained with known = false",
            ))
        }
        _ => Err(other_head("motion")),
    };
    let grid = Grid::of(&scan.volume);
    restore(&args.restore, &args.weights, "motion", &args.output, &scan, &grid, case)
}
