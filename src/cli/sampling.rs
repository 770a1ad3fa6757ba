//! Arguments that commands which sample a generator share.

use std::path::PathBuf;
use std::time::Duration;

use super::files::ForceArgs;
use crate::pipeline::{Device, Event, NoiseMode, Output, Progress, Sampling, StoredType};

/// Which generator, and how it is sampled.
#[derive(Clone, Debug, clap::Args)]
pub struct SamplingArgs {
    /// A generator inside the program (brain-4mm), a checkpoint or weights file, or a run's folder
    #[arg(long, value_name = "NAME|FILE|RUN", default_value = "brain-4mm")]
    weights: String,
    /// Truncation: 1 samples all the generator learned, less comes closer to its mean
    #[arg(long, default_value_t = 1.0)]
    psi: f64,
    /// Truncate only this many layers of w, from the coarsest
    #[arg(long, value_name = "LAYERS")]
    psi_cutoff: Option<usize>,
    /// Noise inputs: none, the generator's own, or drawn from the seed; they are fine texture, which a generator learns
    /// last: until it has, they are speckle
    #[arg(long, value_enum, default_value_t = NoiseMode::None)]
    noise: NoiseMode,
    /// Conditions for a conditional generator, such as age=34,sex=F or a range, age=20-70, to draw from by the seed; what is
    /// left out is drawn as it is among the training people
    #[arg(long, value_name = "LABEL=VALUE,…")]
    conditions: Option<String>,
    /// Allow values outside the ranges that the generator was trained on, where nothing is known of what it makes
    #[arg(long)]
    extrapolate: bool,
    /// Where to compute: cpu, auto, cuda, cuda:N, gpu, gpu:N, vulkan:NAME, metal:NAME
    #[arg(long, default_value_t)]
    device: Device,
}

impl From<SamplingArgs> for Sampling {
    fn from(args: SamplingArgs) -> Self {
        let SamplingArgs { weights, psi, psi_cutoff, noise, conditions, extrapolate, device } = args;
        Self { weights, psi, psi_cutoff, noise, conditions, extrapolate, device }
    }
}

/// Where samples go, and how they are stored.
#[derive(Clone, Debug, clap::Args)]
pub struct OutputArgs {
    /// How voxels are stored
    #[arg(long, value_enum, default_value_t = StoredType::F32)]
    data_type: StoredType,
    /// The folder for the files; by default a new one in the current folder, which is named first
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    force: ForceArgs,
}

impl From<OutputArgs> for Output {
    fn from(args: OutputArgs) -> Self {
        Self { folder: args.out, stored: args.data_type, force: args.force.force }
    }
}

/// Prints files as they are written, and notes.
pub const PRINTED: Progress<'static> = Progress::new(&|event| match event {
    Event::Wrote(path) => println!("{}", path.display()),
    Event::Note(text) => println!("{text}"),
    Event::Failed(error) => eprintln!("failed: {error}"),
    Event::Done { what, done, of, left } => eprintln!("{done}/{of} {what}{}", time_left(left)),
    Event::Step { .. } => {}
});

/// How long the rest will take, in words.
fn time_left(left: Option<Duration>) -> String {
    match left.map(|left| left.as_secs()) {
        None | Some(0) => String::new(),
        Some(seconds @ ..120) => format!(" (about {seconds} s left)"),
        Some(seconds @ ..7200) => format!(" (about {} min left)", seconds / 60),
        Some(seconds) => format!(" (about {} h left)", seconds / 3600),
    }
}

/// Seeds such as `0-15,42`.
///
/// # Errors
/// What is no number or no range, or more than a million seeds.
pub fn parse_seeds(text: &str) -> std::result::Result<Seeds, String> {
    let number = |text: &str| text.trim().parse::<u64>().map_err(|_| format!("`{text}` is no seed"));
    let mut seeds = Vec::new();
    for part in text.split(',') {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(part)?, number(part)?),
        };
        if last < first {
            return Err(format!("`{part}` runs backwards"));
        }
        if last - first >= 1_000_000 || seeds.len() > 1_000_000 {
            return Err(format!("`{part}` is more than a million seeds"));
        }
        seeds.extend(first..=last);
    }
    Ok(Seeds(seeds))
}

/// A list of seeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds(pub Vec<u64>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_numbers_and_ranges() {
        assert_eq!(parse_seeds("0-3,42").map(|s| s.0), Ok(vec![0, 1, 2, 3, 42]));
        assert_eq!(parse_seeds("7").map(|s| s.0), Ok(vec![7]));
        for wrong in ["", "a", "3-1", "1-", "0-99999999", "-4"] {
            assert!(parse_seeds(wrong).is_err(), "{wrong}");
        }
    }
}
