//! Synthetic brains in memory: `cargo run --release --example generate -- 3`.

use voxgan::error::Result;
use voxgan::pipeline::{Generator, Sampling};

fn main() -> Result<()> {
    let count = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(3);
    let sampling = Sampling { psi: 0.8, ..Sampling::default() };
    let generator = Generator::open(&sampling, &[])?;
    for seed in 0..count {
        let volume = generator.sample(seed);
        let mean = volume.data.iter().sum::<f32>() / volume.data.len() as f32;
        println!("seed {seed}: {:?} voxels of {:.1?} mm, mean {mean:.1}", volume.dims(), volume.spacing_mm());
    }
    // Half the way from one brain to another.
    let [a, b] = [0, 1].map(|seed| generator.styles(&generator.latent(seed), seed));
    let between = generator.volume(&((a + b) * 0.5), 0);
    println!("between seeds 0 and 1: {:?} voxels", between.dims());
    Ok(())
}
