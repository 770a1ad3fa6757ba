//! `voxgan restore`: a scan of which little was measured, with a generator as prior.

use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::Value;

use super::superres::parse_factor;
use super::{RestoreArgs, print};
use crate::cli::prepare::CentreName;
use crate::error::{Error, Result};
use crate::heads::prior::FitSettings;
use crate::pipeline::folder::Work;
use crate::pipeline::prior::{Operator, Options, restore};
use crate::pipeline::{Event, Progress};

/// Progress is told this many times.
const TOLD: u64 = 10;

/// Restore a scan with a generator as prior: no network is trained for the task.
///
/// The scan is brought to the generator's grid as `prepare` does it, and the generator's w's are fitted to what was measured.
/// OUT is the mean of samples of their posterior, consistent with the measurement, on that grid and in the scan's intensities.
/// Further outputs: the samples' standard deviation, the classical baseline, the null-space component, and a
/// record of how the image came to be.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The scan (NIfTI, MGH, NRRD, MetaImage), or a folder of scans
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The restored image, .nii or .nii.gz; of a folder, another folder
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// The generator: one inside the program (brain-4mm), a checkpoint or weights file, or a run's folder
    #[arg(long, value_name = "NAME|FILE|RUN", default_value = "brain-4mm")]
    prior: String,
    /// What was measured
    #[arg(long, value_enum)]
    operator: OperatorName,
    /// With --operator superres: how many of the generator's voxels a measured one covers: one number, or three along the
    /// scan's axes (i, j, k), such as 1,1,3 through the slices
    #[arg(long, value_name = "N|I,J,K", value_parser = parse_factor)]
    factor: Option<[usize; 3]>,
    /// With --operator inpaint: voxels to fill: those that are not zero, on the scan's grid
    #[arg(long, value_name = "MASK")]
    missing: Option<PathBuf>,
    /// With --operator kspace: the places of k-space to keep (.png, .tif, .npy, .mat), on the generator's grid, a plane or a
    /// row of it
    #[arg(long, value_name = "MASK")]
    mask: Option<PathBuf>,
    /// Conditions for a conditional generator, such as age=34,sex=F
    #[arg(long, value_name = "LABEL=VALUE,…")]
    conditions: Option<String>,
    /// What lies in the middle of the generator's grid: the head, or the middle of the scan's own grid
    #[arg(long, value_enum, default_value_t = CentreName::Foreground)]
    centre: CentreName,
    /// Steps to the most probable image; and as many again to the posterior about it
    #[arg(long, value_name = "N", default_value_t = FitSettings::default().steps)]
    steps: u64,
    /// Samples of the posterior that OUT is the mean of; 1 for the most probable image
    #[arg(long, value_name = "N", default_value_t = FitSettings::default().samples)]
    samples: usize,
    /// Write every sample too
    #[arg(long)]
    write_samples: bool,
    /// Assumed standard deviation of what is measured about what the generator would give, the brightest tissue being 1:
    /// noise, and what the generator cannot show
    #[arg(long, value_name = "S", default_value_t = FitSettings::default().sigma)]
    sigma: f64,
    /// How much the w's of the generator's layers are held to one direction
    #[arg(long, value_name = "K", default_value_t = FitSettings::default().kappa)]
    kappa: f64,
    /// Step size, in standard deviations of w
    #[arg(long, value_name = "R", default_value_t = FitSettings::default().learning_rate)]
    learning_rate: f64,
    /// Fit the generator's noise inputs too
    #[arg(long)]
    noise: bool,
    /// Seed of the samples
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    restore: RestoreArgs,
}

/// A forward operator by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OperatorName {
    /// Means over several of the generator's voxels
    Superres,
    /// All but some voxels
    Inpaint,
    /// k-space in part, simulated of the scan for one coil and without phase
    Kspace,
}

/// Restores, and says what the result rests on.
///
/// # Errors
/// Those of [`restore`]; [`Error::Value`] for an operator without its factor or mask.
pub fn run(args: Args) -> Result<()> {
    let RestoreArgs { device, consistency, no_anatomy, files } = args.restore;
    let Args { input, output, prior: weights, conditions, write_samples, .. } = args;
    let Args { steps, samples, sigma, kappa, learning_rate, noise, seed, .. } = args;
    let operator = match args.operator {
        OperatorName::Superres => Operator::Superres(needed(args.factor, "--factor", "superres")?),
        OperatorName::Inpaint => Operator::Inpaint(needed(args.missing, "--missing", "inpaint")?),
        OperatorName::Kspace => Operator::Kspace(needed(args.mask, "--mask", "kspace")?),
    };
    let options = Options {
        input,
        output,
        weights,
        operator,
        conditions,
        centre: args.centre.into(),
        fit: FitSettings { steps, learning_rate, sigma, kappa, noise, samples, seed },
        write_samples,
        consistency,
        anatomy: !no_anatomy,
        device,
        read: files.read.clone().into(),
    };
    files.run(&Work { job: &options, with: Value::Null }, &mut |one| {
        print(&one.output, &restore(one, &Progress::new(&show))?);
        Ok(())
    })
}

/// Every so many steps, how far the fit is.
fn show(event: Event) {
    match event {
        Event::Step { step, of, numbers } if step.is_multiple_of((of / TOLD).max(1)) => {
            eprintln!("step {step} of {of}: squared misfit {:.4e}", numbers["misfit"]);
        }
        Event::Note(text) => eprintln!("{text}"),
        _ => {}
    }
}

/// What an operator cannot do without.
fn needed<T>(given: Option<T>, flag: &str, operator: &str) -> Result<T> {
    given.ok_or_else(|| {
        let expected = format!("a value for --operator {operator}");
        Error::value(flag, expected, "none", "see `voxgan restore --help`")
    })
}
