//! How good the segmenter and the gate are, on data kept for testing: `cargo bench --bench anatomy -- PART… [--weights W]
//! [--data FOLDER] [--out FOLDER] [--quick]`. The parts are told in README.md beside this file; without any, nothing is run.

mod alterations;
mod gate;
mod maps;
mod peer;
mod scans;
mod table;

use std::path::{Path, PathBuf};

use burn::backend::Flex;
use voxgan::anatomy::Segmenter;
use voxgan::error::Result;
use voxgan::pretrained::segmenter;

/// Where everything is and goes.
pub struct Place {
    /// The segmenter.
    pub segmenter: Segmenter<Flex>,
    /// Label maps, scans and the peer's networks.
    pub data: PathBuf,
    /// Tables and pictures.
    pub out: PathBuf,
    /// One image of each map only, to compare weights.
    pub quick: bool,
}

fn main() {
    let (mut parts, mut quick) = (Vec::new(), false);
    let (mut weights, mut data, mut out) =
        (segmenter::EMBEDDED.to_string(), "../shared/data".to_string(), "benches/results".to_string());
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_else(|| panic!("a value after {argument}"));
        match argument.as_str() {
            "--quick" => quick = true,
            "--weights" => weights = value(),
            "--data" => data = value(),
            "--out" => out = value(),
            _ => parts.push(argument),
        }
    }
    if parts.is_empty() {
        println!("give parts: maps, scans, head, gate, power (see benches/anatomy/README.md)");
        return;
    }
    // A segmentation in a process of its own, so that its peak of memory is its own.
    if let [one, scan] = &parts[..]
        && let Some(side) = one.strip_prefix("time-")
    {
        scans::time_one(side, Path::new(scan), &weights, Path::new(&data)).unwrap_or_else(|e| panic!("{e}"));
        return;
    }
    let run = || -> Result<()> {
        let segmenter = segmenter::open::<Flex>(&weights, &Default::default())?;
        std::fs::create_dir_all(&out).expect("a folder for the results");
        let place = Place { segmenter, data: data.clone().into(), out: out.clone().into(), quick };
        println!("{}", place.segmenter.name());
        for part in &parts {
            println!("\n## {part}\n");
            match part.as_str() {
                "maps" => maps::run(&place)?,
                "scans" => scans::run(&place)?,
                "head" => scans::head(&place, &weights)?,
                "gate" => gate::run(&place)?,
                "power" => gate::power_of_cohorts(&place)?,
                _ => panic!("{part} is none of maps, scans, head, gate, power"),
            }
        }
        Ok(())
    };
    run().unwrap_or_else(|error| panic!("{error}"));
}
