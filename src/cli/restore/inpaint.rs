//! `voxgan inpaint`: voxels that are missing.

use std::path::PathBuf;

use ndarray::Axis;

use super::{RestoreArgs, Scan, other_head, run as restore};
use crate::config::{HeadRecipe, RestorationRecipe};
use crate::error::Result;
use crate::heads::Inpaint;
use crate::io::nifti;
use crate::pretrained::restorer;
use crate::volume::check_grids;
use crate::volume::orientation::to_ras;
use crate::volume::resample::Grid;

/// Fill what is missing in a scan, or is not to be believed: lesions, slices, holes.
///
/// Beside OUT lie the classical floor (harmonic filling), what the network added, and a record of how the image came to be.
/// Voxels outside the mask stay what they were.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The scan (.nii, .nii.gz, .hdr with .img)
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// Voxels to fill: those that are not zero, on the scan's grid
    #[arg(value_name = "MASK")]
    mask: PathBuf,
    /// The filled image, .nii or .nii.gz
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// The network: one inside the program by its name, a checkpoint or weights file, or a run's folder
    #[arg(long, value_name = "NAME|FILE|RUN", default_value = restorer::INPAINT)]
    weights: String,
    #[command(flatten)]
    restore: RestoreArgs,
}

/// Scan and mask → case → network → image.
///
/// # Errors
/// What is wrong with scan, mask, weights, device or disk.
pub fn run(args: Args) -> Result<()> {
    let scan = Scan::read(&args.input)?;
    let (mask, _) = to_ras(nifti::read(&args.mask)?);
    check_grids(&scan.volume, &mask)?;
    let known = mask.data.index_axis(Axis(0), 0).mapv(|value| value == 0.0);
    let case = |recipe: &RestorationRecipe| match &recipe.head {
        HeadRecipe::Inpaint(recipe) => Inpaint::new(recipe).case(&scan.volume.data, &known),
        _ => Err(other_head("inpaint")),
    };
    let grid = Grid::of(&scan.volume);
    restore(&args.restore, &args.weights, "inpaint", &args.output, &scan, &grid, case)
}
