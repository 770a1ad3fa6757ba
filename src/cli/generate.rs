//! `voxgan generate`: seeds become synthetic volumes.

use std::path::PathBuf;

use serde_json::json;

use super::device::on_device;
use super::sampler::{Sampler, SamplingArgs, Seeds, StoredType, parse_seeds};
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
    /// How voxels are stored
    #[arg(long, value_enum, default_value_t = StoredType::F32)]
    data_type: StoredType,
    /// The folder for the volumes
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
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
            let path = args.out.join(format!("seed-{seed:04}.nii.gz"));
            sampler.write(&path, std::slice::from_ref(&volume), args.data_type, json!({ "Seed": seed }))?;
            println!("{}", path.display());
            if pictured.len() < PICTURED {
                pictured.push(volume);
            }
        }
        let montage = args.out.join("montage.png");
        write_png(&montage, &Montage::fit(&pictured)?.render(&pictured)?)?;
        println!("{}", montage.display());
        Ok(())
    })
}
