//! A folder of scans as a dataset for training: `cargo run --release --example dataset -- scans cache`.

use std::path::PathBuf;

use voxgan::error::Result;
use voxgan::io::dataset::Plan;
use voxgan::pipeline::Device;
use voxgan::pipeline::prepare::{Options, prepare};
use voxgan::volume::crop::Centre;
use voxgan::volume::intensity::Normalisation;
use voxgan::volume::resample::Interpolation;

fn main() -> Result<()> {
    let mut paths = std::env::args().skip(1).map(PathBuf::from);
    let (Some(scans), Some(cache)) = (paths.next(), paths.next()) else {
        println!("give a folder of scans, and one for the dataset");
        return Ok(());
    };
    let plan = Plan {
        inputs: vec![scans],
        shape: [40, 48, 40],
        spacing_mm: Some([4.0; 3]),
        interpolation: Interpolation::Linear,
        normalisation: Normalisation::Percentile { low: 0.0, high: 99.9 },
        centre: Centre::Foreground,
        participants: Vec::new(),
        labels: Vec::new(),
        frame: None,
        strict: false,
    };
    let options = Options { plan, bias_correct: true, strip: false, device: Device::Cpu };
    let made = prepare(&options, &cache, &|scan| println!("{} of {}", scan.done, scan.total))?;
    println!("{} prepared, {} failed", made.report.prepared, made.report.failures.len());
    Ok(())
}
