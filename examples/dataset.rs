//! A folder of scans as a dataset for training: `cargo run --release --example dataset -- scans cache`.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use voxgan::error::Result;
use voxgan::io::dataset::{Plan, Progress};
use voxgan::pipeline::prepare::{Options, prepare};

fn main() -> Result<()> {
    let mut paths = std::env::args().skip(1).map(PathBuf::from);
    let (Some(scans), Some(cache)) = (paths.next(), paths.next()) else {
        println!("give a folder of scans, and one for the dataset");
        return Ok(());
    };
    let plan =
        Plan { inputs: vec![scans], shape: [40, 48, 40], spacing_mm: Some([4.0; 3]), ..Plan::default() };
    let options = Options { plan, bias_correct: true, ..Options::default() };
    let tell = |scan: Progress| println!("{} of {}", scan.done, scan.total);
    let made = prepare(&options, &cache, &AtomicBool::new(false), &tell)?;
    println!("{} prepared, {} failed", made.report.prepared, made.report.failures.len());
    Ok(())
}
