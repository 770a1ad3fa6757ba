//! Scans with their structures: outlines and the viewer.

use std::path::Path;

use ndarray::{Array3, Axis};

use super::section;
use crate::anatomy::{Region, Segmentation, Structure};
use crate::error::Result;
use crate::io::nifti::{self, DataType, WriteOptions};
use crate::io::scan;
use crate::pipeline::derivatives::Derived;
use crate::report::page::{Block, Label, Picture, Scan, Section, Viewer};
use crate::report::{Montage, png_bytes};
use crate::volume::Volume;
use crate::volume::orientation::to_ras;
use crate::volume::resample::{Interpolation, resample};

/// Pixels per millimetre of the outlines.
const PIXELS_PER_MM: f64 = 1.6;

/// A scan on the grid of its label map, in RAS+ order.
struct Head {
    name: String,
    scan: Volume,
    structures: Segmentation,
}

/// Outlines and a viewer of `count` of the scans of each folder, at equal steps of quality from the lowest on, without
/// scans that no longer exist.
///
/// # Errors
/// Those of reading a label map or a scan.
pub fn sections(cohorts: &[(&str, &Path, &[Derived])], count: usize) -> Result<Vec<Section>> {
    let mut heads = Vec::new();
    let mut missing = Vec::new();
    for (cohort, folder, scans) in cohorts {
        for derived in spread(scans, count.div_ceil(cohorts.len())) {
            if !derived.scan.is_file() {
                missing.push(derived.scan.display().to_string());
                continue;
            }
            let name = [cohort, derived.volumes.subject.as_str()].join(" ").trim().to_string();
            let detail = format!("{name}, quality {:.2}", derived.volumes.quality);
            heads.push(Head::open(detail, derived, &folder.join(&derived.labels))?);
        }
    }
    let mut sections = Vec::new();
    if !heads.is_empty() {
        let outlines = heads.iter().map(|head| Ok(Block::Picture(head.outlined()?)));
        sections.push(section("Outlines", outlines.collect::<Result<_>>()?));
        sections.push(section("Viewer", vec![Block::Viewer(viewer(&heads)?)]));
    }
    if !missing.is_empty() {
        let text = format!("These scans are no longer where they were measured: {}.", missing.join(", "));
        sections.push(section("Scans that were not found", vec![Block::Prose(text)]));
    }
    Ok(sections)
}

/// `count` of the scans at equal steps of quality, the lowest first.
fn spread(scans: &[Derived], count: usize) -> Vec<&Derived> {
    let mut sorted: Vec<&Derived> = scans.iter().collect();
    sorted.sort_by(|a, b| a.volumes.quality.total_cmp(&b.volumes.quality));
    let count = count.min(sorted.len());
    let (last, steps) = (sorted.len().saturating_sub(1), count.saturating_sub(1).max(1));
    (0..count).map(|step| step * last / steps).map(|at| sorted[at]).collect()
}

impl Head {
    fn open(name: String, derived: &Derived, labels: &Path) -> Result<Self> {
        let (map, _) = to_ras(nifti::read(labels)?);
        let structures = Segmentation::of_numbers(&map).map_err(|e| e.in_file(labels))?;
        let scan =
            resample(&scan::read(&derived.scan, &derived.read)?, &structures.grid(), Interpolation::Linear);
        Ok(Self { name, scan, structures })
    }

    /// Three cuts through the ventricles, or through the middle where there are none.
    fn outlined(&self) -> Result<Picture> {
        let one = std::slice::from_ref(&self.scan);
        let layout = Montage { columns: 1, pixels_per_mm: PIXELS_PER_MM, ..Montage::fit(one)? };
        let colours: Vec<(u8, [u8; 3])> =
            shown().map(|structure| (structure.index() as u8, structure.colour())).collect();
        let centre = self.centre();
        let cuts = [-0.06, 0.0, 0.06].map(|shift| centre.map(|at| (at + shift).clamp(0.0, 1.0)));
        let picture = layout.outlined(&self.scan, self.structures.labels.view(), &colours, &cuts)?;
        Ok(Picture {
            png: png_bytes(&picture)?,
            alt: format!(
                "Axial, coronal and sagittal planes of {} with outlines of its structures",
                self.name
            ),
            caption: format!(
                "{}: axial, coronal and sagittal planes through the lateral ventricles (middle row) and 6 % of the field of view to \
                 either side, with the outlines of all structures.",
                self.name
            ),
        })
    }

    /// The middle of the lateral ventricles as a part of the field of view along `(i, j, k)`.
    fn centre(&self) -> [f64; 3] {
        let region = Region::named("lateral_ventricles").expect("a region of the table");
        let mask: Array3<bool> = self.structures.mask(region);
        let (d, h, w) = mask.dim();
        let inside: Vec<(usize, usize, usize)> =
            mask.indexed_iter().filter(|(_, inside)| **inside).map(|(at, _)| at).collect();
        if inside.is_empty() {
            return [0.5; 3];
        }
        let mean = |place: fn(&(usize, usize, usize)) -> usize, length: usize| {
            (inside.iter().map(|at| place(at) as f64 + 0.5).sum::<f64>() / inside.len() as f64)
                / length as f64
        };
        // The sagittal plane a little beside the middle shows a ventricle.
        [mean(|at| at.2, w) + 0.03, mean(|at| at.1, h), mean(|at| at.0, d)]
    }
}

/// The structures that are drawn: all within the head.
fn shown() -> impl Iterator<Item = Structure> {
    Structure::ALL
        .into_iter()
        .filter(|structure| !matches!(structure, Structure::Background | Structure::Head))
}

fn viewer(heads: &[Head]) -> Result<Viewer> {
    let options = WriteOptions { data_type: DataType::U8, ..WriteOptions::default() };
    let bytes = |name: &str, volume: &Volume| nifti::to_bytes(Path::new(name), volume, &options);
    let scan = |head: &Head| {
        let layout = Montage::fit(std::slice::from_ref(&head.scan))?;
        let labels = head.structures.labels.mapv(f32::from).insert_axis(Axis(0));
        Ok(Scan {
            name: head.name.clone(),
            image: bytes(&head.name, &head.scan)?,
            window: Some(layout.window),
            labels: Some(bytes(&head.name, &Volume::new(labels, head.scan.affine))?),
        })
    };
    let label = |structure: Structure| Label {
        number: structure.index() as u8,
        name: structure.name().into(),
        colour: structure.colour(),
    };
    Ok(Viewer {
        caption: "Each scan with the structures that were measured in it: choose a scan, click to move the planes, scroll through them.".into(),
        scans: heads.iter().map(scan).collect::<Result<_>>()?,
        labels: shown().map(label).collect(),
        montage: heads[0].outlined()?,
    })
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::anatomy::volumes::Volumes;
    use crate::io::scan::ReadOptions;
    use crate::volume::VoxelToWorld;

    #[test]
    fn scans_are_chosen_from_the_lowest_quality_to_the_highest() {
        let empty = Segmentation::of_labels(Array3::zeros((4, 4, 4)), VoxelToWorld::identity());
        let derived = |at: usize| {
            let mut volumes = Volumes::of(format!("{at}"), &empty, None);
            volumes.quality = [0.5, 0.1, 0.9, 0.7, 0.3][at];
            Derived { scan: "".into(), read: ReadOptions::default(), labels: "".into(), volumes }
        };
        let scans: Vec<Derived> = (0..5).map(derived).collect();
        let chosen =
            |count| spread(&scans, count).iter().map(|d| d.volumes.subject.clone()).collect::<Vec<_>>();
        assert_eq!(chosen(3), ["1", "0", "2"]);
        assert_eq!(chosen(1), ["1"]);
        assert_eq!(chosen(9).len(), 5);
        assert!(spread(&[], 3).is_empty());
    }
}
