//! `voxgan score`: how near predictions come to their targets, in the definitions of a named project.

use std::path::PathBuf;

use clap::ValueEnum;

use super::files::{ForceArgs, ReadArgs, StrictArgs};
use super::numbers::AxisName;
use super::sampling::PRINTED;
use crate::error::{Error, Result};
use crate::evaluate::{Plan, Profile};
use crate::pipeline::score::{Found, Options, Summary, score};

/// Score predictions against their targets.
///
/// Every number is printed with its kernel, range and region, as one project defines it. Numbers of different profiles
/// are not comparable. Several predictions of one target, several pairs, or two folders whose files have the same names, also
/// get means and standard deviations.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The target (ground truth) first, then its predictions, one or more. Files (NIfTI, MGH, NRRD, MetaImage, PNG, TIFF) or
    /// folders of them
    #[arg(value_names = ["TARGET", "PREDICTION"], num_args = 2.., required = true)]
    paths: Vec<PathBuf>,
    /// Whose definitions
    #[arg(long, value_enum)]
    profile: ProfileName,
    /// A mask on the targets' grid, inside where it is not zero: one for all, or a folder with one for each name
    #[arg(long, value_name = "MASK")]
    mask: Option<PathBuf>,
    /// The axis that slices are counted along: the third voxel axis (d), the second (h) or the first (w)
    #[arg(long, value_enum, default_value_t = AxisName::D)]
    axis: AxisName,
    /// Data range for monai, by default the target's maximum - minimum
    #[arg(long, value_name = "RANGE")]
    data_range: Option<f64>,
    /// Also what the profile does not have: MS-SSIM, HaarPSI, VIF, NRMSE
    #[arg(long)]
    all: bool,
    /// The paths are pairs: a target, its prediction, the next target, its prediction
    #[arg(long)]
    pairs: bool,
    /// Multiply each prediction by the factor that brings it nearest to its target, by least squares in the mask: for images
    /// whose unit is arbitrary
    #[arg(long)]
    match_scale: bool,
    /// Compare voxel by voxel even if the headers say that the grids lie elsewhere
    #[arg(long)]
    ignore_geometry: bool,
    /// Also write the numbers here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    cohort: StrictArgs,
    #[command(flatten)]
    force: ForceArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProfileName {
    /// fastMRI's leaderboard: whole volume, uniform 7x7 SSIM, range = maximum of the target
    Fastmri,
    /// MONAI's metrics: SSIM with a Gaussian of 11 taps, in 2D and 3D
    Monai,
    /// Calgary-Campinas challenge: slice by slice, range = joint maximum - minimum, VIF
    Calgary,
    /// DAGAN: "NMSE" that is not squared, SSIM with range 2
    Dagan,
    /// Sanchez and Vilaplana 2018: multiplied by the brain's mask, 3D SSIM
    Sanchez,
}

/// Scores, and says the means of several pairs.
///
/// # Errors
/// Those of [`score`]; [`Error::Value`] for a target without a prediction.
pub fn run(args: Args) -> Result<()> {
    let force = args.force;
    let options = args.options()?;
    force.check(&options)?;
    let Found { pairs, summaries, failures } = score(&options, &PRINTED)?;
    if pairs.len() > 1 {
        let profile = format!("profile {}", options.plan.profile);
        println!("\n{profile:<24} {:>14} {:>14} {:>6}", "mean", "SD", "n");
        for Summary { name, unit, mean, standard_deviation, n } in &summaries {
            println!("{name:<24} {mean:>14.6} {standard_deviation:>14.6} {n:>6} {unit}");
        }
    }
    Error::incomplete("pairs", pairs.len() + failures.len(), failures)
}

impl Args {
    fn options(self) -> Result<Options> {
        let pairs = match (self.pairs, self.paths.as_chunks::<2>()) {
            (true, (pairs, [])) => pairs.to_vec(),
            (true, _) => {
                let found = format!("{} paths", self.paths.len());
                let advice = "give each target with its prediction after it";
                return Err(Error::value("--pairs", "an even number of paths", found, advice));
            }
            (false, _) => self.paths[1..].iter().map(|of| [self.paths[0].clone(), of.clone()]).collect(),
        };
        let profile = match self.profile {
            ProfileName::Fastmri => Profile::FastMri,
            ProfileName::Monai => Profile::Monai,
            ProfileName::Calgary => Profile::Calgary,
            ProfileName::Dagan => Profile::Dagan,
            ProfileName::Sanchez => Profile::Sanchez,
        };
        let plan = Plan { profile, axis: self.axis.into(), data_range: self.data_range, all: self.all };
        let Self { mask, ignore_geometry, match_scale, json, .. } = self;
        let (read, strict) = (self.read.into(), self.cohort.strict);
        Ok(Options { pairs, mask, plan, ignore_geometry, match_scale, json, read, strict })
    }
}
