//! `voxgan superres`: a finer grid.

use std::path::PathBuf;

use super::super::numbers::one_or_three;
use super::{RestoreArgs, Scan, other_head, run as restore};
use crate::config::{HeadRecipe, RestorationRecipe};
use crate::error::Result;
use crate::heads::{Superres, finer_grid};
use crate::pretrained::restorer;
use crate::volume::orientation::Orientation;
use crate::volume::resample::Grid;

/// Bring a scan to a finer grid.
///
/// Beside OUT lie the classical floor (cubic interpolation), what the network added that the scan does not determine, and a
/// record of how the image came to be. By default the means over the measured voxels stay exactly what they were.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The scan (.nii, .nii.gz, .hdr with .img)
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The finer image, .nii or .nii.gz
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// How many times finer: one number, or three along the scan's axes (i, j, k), such as 1,1,3 through the slices
    #[arg(long, value_name = "N|I,J,K", value_parser = parse_factor, default_value = "2")]
    factor: [usize; 3],
    /// The network: one inside the program by its name, a checkpoint or weights file, or a run's folder
    #[arg(long, value_name = "NAME|FILE|RUN", default_value = restorer::SUPERRES)]
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
    let factor = along_ras(args.factor, &scan.original);
    let grid = finer_grid(&Grid::of(&scan.volume), factor);
    let case = |recipe: &RestorationRecipe| match &recipe.head {
        HeadRecipe::Superres(recipe) => Superres::new(recipe).case(&scan.volume.data, factor),
        _ => Err(other_head("superres")),
    };
    restore(&args.restore, &args.weights, "superres", &args.output, &scan, &grid, case)
}

/// A factor along a scan's axes (i, j, k) as one along `[D, H, W]` of the same along RAS+.
pub(super) fn along_ras(factor: [usize; 3], original: &Orientation) -> [usize; 3] {
    // The scan's axes are permuted on the way.
    let [i, j, k] = [0, 1, 2].map(|world| factor[original.voxel_axis(world)]);
    [k, j, i]
}

pub(super) fn parse_factor(text: &str) -> std::result::Result<[usize; 3], String> {
    let factor = one_or_three(text)?;
    if factor.contains(&0) || factor == [1; 3] {
        Err("expected 2 or more somewhere".into())
    } else {
        Ok(factor)
    }
}
