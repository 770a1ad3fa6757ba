//! `voxgan generate`: seeds become synthetic volumes.

use std::io::Write;

use serde_json::json;

use super::anatomy::derivatives::subject;
use super::anatomy::structures::Finder;
use super::device::on_device;
use super::sampler::{OutputArgs, Sampler, SamplingArgs, Seeds, parse_seeds};
use crate::anatomy::volumes::Volumes;
use crate::error::{Error, Result};
use crate::io::write_beside;
use crate::ops::VolumeOps;
use crate::report::{Montage, write_png};
use crate::volume::resample::Grid;

/// Most volumes in the montage.
const PICTURED: usize = 64;

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

/// Seeds → latents → w → volumes → files.
///
/// # Errors
/// What is wrong with the weights, the conditions, the device or the disk.
pub fn run(args: Args) -> Result<()> {
    let finder = if args.check { Some(Finder::for_samples(args.sampling.device)?) } else { None };
    let mut implausible = 0;
    on_device!(args.sampling.device, |B, device| {
        let sampler = Sampler::<B>::open(&args.sampling, &[], device)?;
        let mut pictured = Vec::new();
        for &seed in &args.seeds.0 {
            let volume = sampler.volume(sampler.styles(sampler.latent(seed), seed), seed);
            let path = args.output.out.join(format!("{}.nii.gz", name(seed)));
            let mut details = json!({ "Seed": seed });
            if let Some(finder) = &finder {
                let found = Volumes::of(subject(&path), &finder.of(&volume)?, Some(&Grid::of(&volume)));
                println!("{}", in_a_line(&found));
                implausible += usize::from(!found.flags.is_empty());
                details["Anatomy"] = json!({ "Segmenter": finder.name, "Volumes": found });
            }
            sampler.write(&path, std::slice::from_ref(&volume), args.output.data_type, seed, details)?;
            println!("{}", path.display());
            if pictured.len() < PICTURED {
                pictured.push(volume);
            }
        }
        if !sampler.conditions().is_empty() {
            let path = args.output.out.join("participants.tsv");
            write_beside(&path, |file| file.write_all(participants(&sampler, &args.seeds.0).as_bytes()))?;
            println!("{}", path.display());
        }
        let montage = args.output.out.join("montage.png");
        write_png(&montage, &Montage::fit(&pictured)?.render(&pictured)?)?;
        println!("{}", montage.display());
    });
    if implausible == 0 {
        return Ok(());
    }
    let problem = format!("{implausible} of {} volumes are implausible", args.seeds.0.len());
    let advice = "leave those seeds out, lower --psi, or train the generator for longer";
    Err(Error::Check { check: "anatomy".into(), problem, advice: advice.into() })
}

/// A sample's name.
fn name(seed: u64) -> String {
    format!("seed-{seed:04}")
}

/// What each sample is conditioned on, as the table of participants that `voxgan anatomy compare` takes covariates from.
fn participants<B: VolumeOps>(sampler: &Sampler<B>, seeds: &[u64]) -> String {
    let columns = sampler.conditions();
    let row = |fields: Vec<&str>| fields.join("\t") + "\n";
    let header = row([&["participant_id"], &columns[..]].concat());
    let rows = seeds.iter().map(|&seed| {
        let (name, labels) = (name(seed), sampler.labels(seed));
        let values = columns.iter().map(|column| labels.get(*column).map_or("n/a", String::as_str));
        row([name.as_str()].into_iter().chain(values).collect())
    });
    [header].into_iter().chain(rows).collect()
}

/// The volumes that a reader looks at first, and the flags.
fn in_a_line(found: &Volumes) -> String {
    let ml = |name: &str| found.region(name).map_or(f64::NAN, |region| region.volume_ml);
    let flags: Vec<String> = found.flags.iter().map(ToString::to_string).collect();
    let flags = if flags.is_empty() { "plausible".to_string() } else { flags.join("; ") };
    let (brain, ventricles) = (ml("brain"), ml("lateral_ventricles"));
    let quality = found.quality;
    format!("brain {brain:.0} ml, lateral ventricles {ventricles:.1} ml, quality {quality:.2}: {flags}")
}
