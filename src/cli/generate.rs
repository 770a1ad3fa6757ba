//! `voxgan generate`: seeds become synthetic volumes.

use super::sampling::{OutputArgs, PRINTED, SamplingArgs, Seeds, parse_seeds};
use crate::error::{Error, Result};
use crate::pipeline::generate::{Options, generate};

/// Generate synthetic volumes.
///
/// Each seed gives one NIfTI file in the training set's space and intensities, with a JSON sidecar that says how it
/// was made; montage.png shows them. Of a conditional generator, participants.tsv has what each was conditioned on.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Seeds: numbers and ranges, such as 0-15,42
    #[arg(long, default_value = "0-3", value_parser = parse_seeds)]
    seeds: Seeds,
    #[command(flatten)]
    output: OutputArgs,
    /// Measure the structures of each volume, note them in its sidecar, and fail if one is implausible
    #[arg(long)]
    check: bool,
}

/// Generates, and says whether a check failed.
///
/// # Errors
/// Those of [`generate`]; [`Error::Check`] where volumes are implausible.
pub fn run(args: Args) -> Result<()> {
    let Args { sampling, seeds, output, check } = args;
    let options = Options { sampling: sampling.into(), seeds: seeds.0, output: output.into(), check };
    let made = generate(&options, &PRINTED)?;
    let measured = made.samples.iter().filter_map(|sample| sample.volumes.as_ref());
    let implausible = measured.filter(|volumes| !volumes.flags.is_empty()).count();
    if implausible == 0 {
        return Ok(());
    }
    let problem = format!("{implausible} of {} volumes are implausible", made.samples.len());
    let advice = "leave those seeds out, lower --psi, or train the generator for longer";
    Err(Error::Check { check: "anatomy".into(), problem, advice: advice.into() })
}
