//! `voxgan generate`: seeds become synthetic volumes.

use serde_json::json;

use super::device::on_device;
use super::sampler::{OutputArgs, Sampler, SamplingArgs, Seeds, parse_seeds};
use crate::error::Result;
use crate::report::{Montage, write_png};

/// Most volumes in the montage.
const PICTURED: usize = 64;

/// Generate synthetic volumes.
///
/// Each seed gives one NIfTI file in the training set's space and intensities, with a JSON sidecar that says how it
/// was made; montage.png shows them.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Seeds: numbers and ranges, such as 0-15,42
    #[arg(long, default_value = "0-3", value_parser = parse_seeds)]
    seeds: Seeds,
    #[command(flatten)]
    output: OutputArgs,
}

/// Seeds → latents → w → volumes → files.
///
/// # Errors
/// What is wrong with the weights, the conditions, the device or the disk.
pub fn run(args: Args) -> Result<()> {
    on_device!(args.sampling.device, |B, device| {
        let sampler = Sampler::<B>::open(&args.sampling, device)?;
        let mut pictured = Vec::new();
        for &seed in &args.seeds.0 {
            let volume = sampler.volume(sampler.styles(sampler.latent(seed)), seed);
            let path = args.output.out.join(format!("seed-{seed:04}.nii.gz"));
            sampler.write(
                &path,
                std::slice::from_ref(&volume),
                args.output.data_type,
                json!({ "Seed": seed }),
            )?;
            println!("{}", path.display());
            if pictured.len() < PICTURED {
                pictured.push(volume);
            }
        }
        let montage = args.output.out.join("montage.png");
        write_png(&montage, &Montage::fit(&pictured)?.render(&pictured)?)?;
        println!("{}", montage.display());
        Ok(())
    })
}
