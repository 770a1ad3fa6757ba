//! Real scans kept for testing: agreement with the peer's labels, which are not the truth.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use burn::backend::Flex;
use voxgan::anatomy::Region;
use voxgan::error::Result;
use voxgan::io::nifti;
use voxgan::volume::Volume;
use voxgan::volume::orientation::to_ras;
use voxgan::volume::resample::Grid;

use crate::found::{csv, mean_dice};
use crate::meshnet::MeshNet;
use crate::peer::as_reference;
use crate::pictures::outlines;
use crate::place::{Options, Place};
use crate::table::agreement;

/// Scans that no training saw: subjects at 1 mm and at 2 mm.
pub const AT_1_MM: [&str; 5] = ["22", "25", "26", "27", "28"];
pub const AT_2_MM: [&str; 11] = ["61", "62", "63", "64", "65", "67", "68", "69", "70", "71", "66"];

/// Scans on which limits are chosen, at 1 mm and at 2 mm: no test uses them.
const CHOSEN_ON_AT_1_MM: [&str; 4] = ["01", "03", "02", "04"];
const CHOSEN_ON_AT_2_MM: [&str; 4] = ["05", "07", "08", "09"];

/// The test scans that are there, or those on which limits are chosen: name, scan, the peer's labels.
pub fn kept(place: &Place, validation: bool) -> Result<Vec<(String, Volume, Volume)>> {
    let mut scans = Vec::new();
    let sets = match validation {
        true => [(1, &CHOSEN_ON_AT_1_MM[..]), (2, &CHOSEN_ON_AT_2_MM[..])],
        false => [(1, &AT_1_MM[..]), (2, &AT_2_MM[..])],
    };
    for (millimetres, subjects) in sets {
        for subject in subjects {
            let file = |kind: &str, suffix: &str| {
                place.data(&format!("ds002748/{kind}_{millimetres}mm/sub-{subject}_{suffix}.nii.gz"))
            };
            let (scan, labels) = (file("T1w", "T1w"), file("seg18", "seg18"));
            if scan.is_file() && labels.is_file() {
                let name = format!("sub-{subject} at {millimetres} mm");
                scans.push((name, to_ras(nifti::read(&scan)?).0, to_ras(nifti::read(&labels)?).0));
            }
        }
    }
    Ok(scans)
}

/// Agreement on every scan, and pictures of the three where it is least.
pub fn run(place: &Place) -> Result<()> {
    let mut found = Vec::new();
    let mut scores = Vec::new();
    for (name, scan, labels) in kept(place, false)?.into_iter().take(place.options.only) {
        let ours = place.segmenter.segment(&scan)?;
        let rows = as_reference(&labels, &ours.on(&Grid::of(&labels)), &name);
        let score = mean_dice(&rows);
        eprintln!("{name}: mean Dice {score:.3}");
        found.extend(rows);
        scores.push((score, name, scan, ours));
    }
    println!("Agreement with the peer's labels:\n\n{}", agreement(&found));
    place.write("anatomy-scans.csv", &csv(&found));
    scores.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (order, (score, name, scan, ours)) in scores.into_iter().take(3).enumerate() {
        let path = place.options.pictures.join(format!("anatomy-scans-{}.png", order + 1));
        outlines(&path, &scan, &ours)?;
        println!("{}: {name}, mean Dice with the peer {score:.3}", path.display());
    }
    Ok(())
}

/// The real head with its skull: agreement with both label maps of the peer, and seconds and memory of both.
pub fn head(place: &Place) -> Result<()> {
    let scan = place.data("brainchop/t1_crop.nii.gz");
    let volume = nifti::read(&scan)?;
    let ours = place.segmenter.segment(&volume)?;
    for name in ["model18cls", "model30chan18cls"] {
        let labels = nifti::read(place.data(&format!("brainchop/golden/t1_crop_{name}_minmax_seg.nii.gz")))?;
        let rows = as_reference(&labels, &ours.on(&Grid::of(&labels)), name);
        println!("Agreement with {name}:\n\n{}", agreement(&rows));
    }
    let (upright, _) = to_ras(volume);
    outlines(&place.options.pictures.join("anatomy-head.png"), &upright, &ours)?;
    let icv = Region::named("intracranial").expect("a region of the table");
    println!("intracranial {:.0} ml", ours.region_ml(icv));
    for side in ["ours", "peer"] {
        for _ in 0..3 {
            let program = std::env::current_exe().expect("this program");
            let status = Command::new(program)
                .arg(format!("time-{side}"))
                .arg(&scan)
                .args(["--weights", &place.options.weights, "--data"])
                .arg(&place.options.data)
                .args((!place.options.refine).then_some("--no-refine"))
                .status();
            assert!(status.expect("this program runs").success());
        }
    }
    Ok(())
}

/// Seconds of one segmentation, files and weights not counted, and the peak of memory of this process.
pub fn time_one(side: &str, scan: &Path, options: &Options) -> Result<()> {
    let volume = nifti::read(scan)?;
    let seconds = if side == "ours" {
        let network = options.segmenter()?;
        let started = Instant::now();
        network.segment(&volume)?;
        started.elapsed()
    } else {
        let path = options.data.join("brainchop/models/model18cls/model.json");
        let network = MeshNet::<Flex>::open(&path, &Default::default())?;
        let started = Instant::now();
        network.segment(&volume)?;
        started.elapsed()
    };
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("unknown").trim();
    println!("{side}: {:?} voxels in {:.2} s, peak {peak}", volume.dims(), seconds.as_secs_f64());
    Ok(())
}
