//! `voxgan interpolate`: a walk through the latent space.

use burn::tensor::Tensor;
use serde_json::json;

use super::device::on_device;
use super::sampler::{OutputArgs, Sampler, SamplingArgs, Seeds, parse_seeds};
use crate::error::{Error, Result};
use crate::ops::VolumeOps;
use crate::report::{Montage, write_gif};

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

/// The space that a walk is straight in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Space {
    /// Linear between w's.
    W,
    /// Spherical between z's.
    Z,
}

/// Seeds → positions between their latents → frames → files.
///
/// # Errors
/// What is wrong with seeds, frames, weights, device or disk.
pub fn run(args: Args) -> Result<()> {
    let (seeds, frames) = (&args.seeds.0, args.frames);
    if seeds.len() < 2 {
        return Err(Error::value("--seeds", "two or more", seeds.len().to_string(), "add a seed to walk to"));
    }
    if !(2..=10_000).contains(&frames) {
        return Err(Error::value(
            "--frames",
            "from 2 to 10000",
            frames.to_string(),
            "choose a number between",
        ));
    }
    on_device!(args.sampling.device, |B, device| {
        let sampler = Sampler::<B>::open(&args.sampling, &[], device)?;
        let latents: Vec<Tensor<B, 2>> = seeds.iter().map(|&seed| sampler.latent(seed)).collect();
        let styles: Vec<Tensor<B, 3>> = latents.iter().map(|z| sampler.styles(z.clone(), seeds[0])).collect();
        let mut volumes = Vec::with_capacity(frames);
        for frame in 0..frames {
            let along = frame as f64 / frames as f64 * seeds.len() as f64;
            let (from, part) = (along as usize, along.fract());
            let to = (from + 1) % seeds.len();
            let ws = match args.space {
                Space::W => styles[from].clone() * (1.0 - part) + styles[to].clone() * part,
                Space::Z => sampler.styles(slerp(&latents[from], &latents[to], part), seeds[0]),
            };
            volumes.push(sampler.volume(ws, seeds[0]));
        }
        let path = args.output.out.join("walk.nii.gz");
        let details = json!({ "Seeds": seeds, "Frames": frames, "Space": format!("{:?}", args.space) });
        sampler.write(&path, &volumes, args.output.data_type, seeds[0], details)?;
        println!("{}", path.display());
        let montage = Montage { columns: 1, ..Montage::fit(&volumes)? };
        let pictures =
            volumes.iter().map(|v| montage.render(std::slice::from_ref(v))).collect::<Result<Vec<_>>>()?;
        let path = args.output.out.join("walk.gif");
        write_gif(&path, &pictures, args.delay_ms)?;
        println!("{}", path.display());
        Ok(())
    })
}

/// Spherical interpolation (Shoemake 1985) between two latents, whose lengths are kept by what follows: the mapping
/// network normalises z.
fn slerp<B: VolumeOps>(from: &Tensor<B, 2>, to: &Tensor<B, 2>, part: f64) -> Tensor<B, 2> {
    let scalar = |x: Tensor<B, 1>| f64::from(x.into_data().iter::<f32>().next().unwrap_or(0.0));
    let dot = |a: &Tensor<B, 2>, b: &Tensor<B, 2>| scalar((a.clone() * b.clone()).sum());
    let cosine = dot(from, to) / (dot(from, from) * dot(to, to)).sqrt();
    let angle = cosine.clamp(-1.0, 1.0).acos();
    if angle.sin() < 1e-6 {
        return from.clone() * (1.0 - part) + to.clone() * part;
    }
    from.clone() * (((1.0 - part) * angle).sin() / angle.sin())
        + to.clone() * ((part * angle).sin() / angle.sin())
}
