//! `voxgan interpolate`: a walk through the latent space.

use super::sampling::{OutputArgs, PRINTED, SamplingArgs, Seeds, parse_seeds};
use crate::error::Result;
use crate::pipeline::interpolate::{Options, Space, interpolate};

/// Walk from seed to seed and back to the first, as a GIF and a 4D NIfTI.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Seeds to walk through, two or more
    #[arg(long, default_value = "0-2", value_parser = parse_seeds)]
    seeds: Seeds,
    /// Frames in all
    #[arg(long, default_value_t = 24)]
    frames: usize,
    /// Where to walk: straight in w, or on the sphere of z
    #[arg(long, value_enum, default_value_t = Space::W)]
    space: Space,
    /// Milliseconds a frame of the GIF
    #[arg(long, value_name = "MS", default_value_t = 120)]
    delay_ms: u32,
    #[command(flatten)]
    output: OutputArgs,
}

/// Walks.
///
/// # Errors
/// Those of [`interpolate`].
pub fn run(args: Args) -> Result<()> {
    let Args { sampling, seeds, frames, space, delay_ms, output } = args;
    let (sampling, output) = (sampling.into(), output.into());
    let options = Options { sampling, seeds: seeds.0, frames, space, delay_ms, output };
    interpolate(&options, &PRINTED).map(drop)
}
