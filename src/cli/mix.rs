//! `voxgan mix`: some layers of w from one seed, the rest from another.

use super::sampling::{OutputArgs, PRINTED, SamplingArgs, Seeds, parse_seeds};
use crate::error::Result;
use crate::pipeline::mix::{Options, mix};

/// Mix styles: the chosen layers from one seed, the others from another.
///
/// Every row seed meets every column seed. Coarse layers hold the shape of the head and the ventricles, fine ones
/// texture and contrast. montage.png has the column seeds' own volumes in its first row and the row seeds' in its first
/// column.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Seeds that give the layers that are not chosen
    #[arg(long, value_name = "SEEDS", value_parser = parse_seeds)]
    rows: Seeds,
    /// Seeds that give the chosen layers
    #[arg(long, value_name = "SEEDS", value_parser = parse_seeds)]
    columns: Seeds,
    /// The chosen layers of w, from 0, the coarsest; such as 0-3
    #[arg(long, value_name = "LAYERS", default_value = "0-3", value_parser = parse_seeds)]
    layers: Seeds,
    #[command(flatten)]
    output: OutputArgs,
}

/// Mixes.
///
/// # Errors
/// Those of [`mix`].
pub fn run(args: Args) -> Result<()> {
    let Args { sampling, rows, columns, layers, output } = args;
    let (rows, columns, layers) = (rows.0, columns.0, layers.0);
    let options = Options { sampling: sampling.into(), rows, columns, layers, output: output.into() };
    mix(&options, &PRINTED).map(drop)
}
