//! What a first hour on a card should show: parity, ten training steps against the CPU, and the time of convolutions and
//! training steps in every composition. `benches/gpu/run` builds and starts it, and puts PyTorch beside it.
//!
//! `--device cuda:0` or any of `voxgan info`; `--tiny` for an adapter that is a program; `--json FILE` for the record.

mod compare;
mod speed;
#[path = "../versus/steps.rs"]
mod steps;

use std::path::PathBuf;

use serde_json::{Value, json};
use voxgan::ops::cube::Fuses;
use voxgan::pipeline::{Device, Found};

/// What is asked for.
struct Asked {
    device: Device,
    tiny: bool,
    json: Option<PathBuf>,
}

fn asked() -> Result<Asked, String> {
    let mut asked = Asked { device: Device::Auto, tiny: false, json: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument}: a value is missing"));
        match argument.as_str() {
            "--device" => asked.device = value()?.parse()?,
            "--json" => asked.json = Some(value()?.into()),
            "--tiny" => asked.tiny = true,
            // As cargo starts benchmarks.
            "--bench" => {}
            _ => return Err(format!("{argument}: expected --device DEVICE, --tiny or --json FILE")),
        }
    }
    Ok(asked)
}

/// Everything on one backend, as a record.
fn everything<B: Fuses>(device: &B::Device, tiny: bool) -> Value {
    let parity = compare::parity::<B>(device, tiny);
    let steps = compare::steps::<B>(device);
    let convolutions = speed::convolutions::<B>(device, tiny);
    let training = speed::training::<B>(device, tiny);
    let memory = speed::memory();
    json!({
        "parity": parity, "steps": steps, "convolutions": convolutions, "training": training, "memory": memory,
    })
}

fn run() -> Result<(), String> {
    let Asked { device, tiny, json } = asked()?;
    let card = device.find().map_err(|error| error.to_string())?;
    let name = card.name();
    println!("voxgan {} on {name}\n", env!("CARGO_PKG_VERSION"));
    let found = match card {
        #[cfg(feature = "cuda")]
        Found::Cuda(number) => {
            everything::<burn::backend::Cuda>(&burn::backend::cuda::CudaDevice::new(number), tiny)
        }
        #[cfg(feature = "wgpu")]
        Found::Gpu(card) => everything::<burn::backend::Wgpu>(&card.device, tiny),
        _ => return Err("no card: --device cuda:0, gpu:0 or vulkan:NAME, as `voxgan info` lists them".into()),
    };
    let record =
        json!({ "device": name, "version": env!("CARGO_PKG_VERSION"), "tiny": tiny, "found": found });
    if let Some(path) = json {
        std::fs::write(&path, format!("{record:#}\n"))
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

fn main() {
    if let Err(error) = run() {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}
