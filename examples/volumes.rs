//! Structures of a scan in millilitres: `cargo run --release --example volumes -- scan.nii.gz`, without a scan of the phantom that
//! ships.

use std::path::Path;

use voxgan::anatomy::volumes::Volumes;
use voxgan::error::Result;
use voxgan::io::scan::ReadOptions;
use voxgan::pipeline::{Device, Segmenter};
use voxgan::volume::resample::Grid;

fn main() -> Result<()> {
    let path = std::env::args().nth(1).unwrap_or("volumes/phantom-2mm.nii.gz".into());
    let segmenter = Segmenter::embedded(Device::Cpu)?;
    let (scan, found) = segmenter.read(Path::new(&path), &ReadOptions::default())?;
    let volumes = Volumes::of("scan", &found, Some(&Grid::of(&scan)));
    for name in ["brain", "lateral_ventricles", "cerebral_cortex", "hippocampus"] {
        if let Some(region) = volumes.region(name) {
            println!("{name}: {:.1} ml", region.volume_ml);
        }
    }
    println!("quality {:.2}, {} flags", volumes.quality, volumes.flags.len());
    Ok(())
}
