//! Real scans kept for testing: agreement with the peer's labels, which are not the truth.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use burn::backend::Flex;
use voxgan::anatomy::{Region, Structure};
use voxgan::error::Result;
use voxgan::io::nifti;
use voxgan::pretrained::meshnet::MeshNet;
use voxgan::pretrained::segmenter;
use voxgan::report::{Montage, png_bytes};
use voxgan::volume::Volume;
use voxgan::volume::orientation::to_ras;
use voxgan::volume::resample::Grid;

use crate::Place;
use crate::maps::write;
use crate::peer::as_reference;
use crate::table::{csv, mean, table};

/// Scans that no training saw: subjects at 1 mm and at 2 mm.
pub const AT_1_MM: [&str; 5] = ["22", "25", "26", "27", "28"];
pub const AT_2_MM: [&str; 11] = ["61", "62", "63", "64", "65", "67", "68", "69", "70", "71", "66"];

/// The test scans that are there: name, scan, the peer's labels.
pub fn kept(place: &Place) -> Result<Vec<(String, Volume, Volume)>> {
    let mut scans = Vec::new();
    for (millimetres, subjects) in [(1, &AT_1_MM[..]), (2, &AT_2_MM[..])] {
        for subject in subjects {
            let file = |kind: &str, suffix: &str| {
                place.data.join(format!("ds002748/{kind}_{millimetres}mm/sub-{subject}_{suffix}.nii.gz"))
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
    for (name, scan, labels) in kept(place)? {
        let ours = place.segmenter.segment(&scan)?.on(&Grid::of(&labels));
        let rows = as_reference(&labels, &ours, &name);
        let score = mean(&rows.iter().filter_map(|row| row.dice).collect::<Vec<_>>());
        eprintln!("{name}: mean Dice {score:.3}");
        found.extend(rows);
        scores.push((score, name, scan, ours));
    }
    println!("Agreement with the peer's labels:\n\n{}", table(&found));
    write(place, "anatomy-scans.csv", &csv(&found));
    scores.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (place_in_order, (score, name, scan, ours)) in scores.into_iter().take(3).enumerate() {
        let file = format!("anatomy-worst-{}.png", place_in_order + 1);
        picture(&place.out.join(&file), &scan, &ours)?;
        println!("{file}: {name}, mean Dice with the peer {score:.3}");
    }
    Ok(())
}

/// The outlines of a scan's structures, through the ventricles.
fn picture(path: &Path, scan: &Volume, structures: &voxgan::anatomy::Segmentation) -> Result<()> {
    let layout = Montage { columns: 1, pixels_per_mm: 2.0, ..Montage::fit(std::slice::from_ref(scan))? };
    let colours: Vec<(u8, [u8; 3])> =
        Structure::ALL[2..].iter().map(|one| (one.index() as u8, one.colour())).collect();
    let cuts = [[0.47, 0.42, 0.48], [0.53, 0.5, 0.55]];
    let image = layout.outlined(scan, structures.labels.view(), &colours, &cuts)?;
    std::fs::write(path, png_bytes(&image)?).expect("a picture can be written");
    Ok(())
}

/// The real head with its skull: agreement with both label maps of the peer, and seconds and memory of both.
pub fn head(place: &Place, weights: &str) -> Result<()> {
    let scan = place.data.join("brainchop/t1_crop.nii.gz");
    let volume = nifti::read(&scan)?;
    let ours = place.segmenter.segment(&volume)?;
    for name in ["model18cls", "model30chan18cls"] {
        let labels =
            nifti::read(place.data.join(format!("brainchop/golden/t1_crop_{name}_minmax_seg.nii.gz")))?;
        let rows = as_reference(&labels, &ours.on(&Grid::of(&labels)), name);
        println!("Agreement with {name}:\n\n{}", table(&rows));
    }
    let (upright, _) = to_ras(volume);
    picture(&place.out.join("anatomy-head.png"), &upright, &ours.on(&Grid::of(&upright)))?;
    let icv = Region::named("intracranial").expect("a region of the table");
    println!("intracranial {:.0} ml", ours.region_ml(icv));
    for side in ["ours", "peer"] {
        for _ in 0..3 {
            let program = std::env::current_exe().expect("this program");
            let status = Command::new(program)
                .arg(format!("time-{side}"))
                .arg(&scan)
                .args(["--weights", weights, "--data"])
                .arg(&place.data)
                .status();
            assert!(status.expect("this program runs").success());
        }
    }
    Ok(())
}

/// Seconds of one segmentation, files and weights not counted, and the peak of memory of this process.
pub fn time_one(side: &str, scan: &Path, weights: &str, data: &Path) -> Result<()> {
    let volume = nifti::read(scan)?;
    let seconds = if side == "ours" {
        let network = segmenter::open::<Flex>(weights, &Default::default())?;
        let started = Instant::now();
        network.segment(&volume)?;
        started.elapsed()
    } else {
        let path = data.join("brainchop/models/model18cls/model.json");
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
