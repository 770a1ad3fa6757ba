//! How good the segmenter and the quality check are, on data kept for testing: `cargo bench --bench anatomy -- PART… [OPTION…]`. Parts
//! and options are told in README.md beside this file; without any part, nothing is run.

mod alterations;
mod copies;
mod found;
mod labelled;
mod maps;
#[allow(dead_code, reason = "tests/library/brainchop.rs uses more of it")]
mod meshnet;
mod neuromorphometrics;
mod peer;
mod pictures;
mod place;
mod plexus;
mod protocols;
mod quality_check;
mod scans;
mod score;
mod statistics;
mod steady;
mod table;
mod targets;

use std::path::Path;

use place::{Options, Place};
use voxgan::error::Result;

const PARTS: &str = "manual, ixi, maps, any-contrast, repeat, tilt, odd, quality-check (all but manual also with -validation behind), protocols, \
                     peer, scans, head, power";

fn main() {
    let (mut parts, mut options) = (Vec::new(), Options::default());
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_else(|| panic!("a value after {argument}"));
        match argument.as_str() {
            "--quick" => options.quick = true,
            "--no-refine" => options.refine = false,
            "--only" => options.only = value().parse().expect("a number after --only"),
            "--weights" => options.weights = value(),
            "--data" => options.data = value().into(),
            "--out" => options.out = value().into(),
            "--pictures" => options.pictures = value().into(),
            "--against" => options.against = Some(value().into()),
            _ if argument.starts_with("--") => {
                panic!("{argument} is no option (see benches/anatomy/README.md)")
            }
            _ => parts.push(argument),
        }
    }
    if parts.is_empty() {
        println!("give parts: {PARTS} (see benches/anatomy/README.md)");
        return;
    }
    // A segmentation in a process of its own, so that its peak of memory is its own.
    if let [one, scan] = &parts[..]
        && let Some(side) = one.strip_prefix("time-")
    {
        scans::time_one(side, Path::new(scan), &options).unwrap_or_else(|e| panic!("{e}"));
        return;
    }
    run(&parts, options).unwrap_or_else(|error| panic!("{error}"));
}

fn run(parts: &[String], options: Options) -> Result<()> {
    let place = Place::new(options)?;
    println!("{}", place.segmenter.name());
    for part in parts {
        println!("\n## {part}\n");
        let (name, validation) = match part.strip_suffix("-validation") {
            Some(name) => (name, true),
            None => (part.as_str(), false),
        };
        match (name, validation) {
            ("maps", _) => maps::run(&place, validation)?,
            ("any-contrast", _) => maps::of_any_contrast(&place, validation)?,
            ("ixi", _) => labelled::ixi(&place, if validation { "validation" } else { "test" })?,
            ("repeat", _) => steady::repeat(&place, validation)?,
            ("tilt", _) => steady::tilt(&place, validation)?,
            ("odd", _) => steady::odd(&place, validation)?,
            ("manual", false) => labelled::manual(&place)?,
            ("protocols", false) => protocols::run(&place)?,
            ("peer", false) => maps::of_peer(&place)?,
            ("scans", false) => scans::run(&place)?,
            ("head", false) => scans::head(&place)?,
            ("quality-check", _) => quality_check::run(&place, validation)?,
            ("power", false) => quality_check::power_of_cohorts(&place)?,
            _ => panic!("{part} is none of {PARTS}"),
        }
    }
    Ok(())
}
