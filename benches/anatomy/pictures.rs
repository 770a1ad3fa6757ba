//! Pictures of what was found worst, to be looked at. They show people: the folder they go to is no part of the repository.

use std::path::Path;

use image::imageops::replace;
use image::{Rgb, RgbImage};
use ndarray::{Array3, Axis};
use voxgan::anatomy::overlap::dice;
use voxgan::anatomy::{Region, Segmentation, Structure};
use voxgan::error::Result;
use voxgan::report::{Montage, png_bytes};
use voxgan::volume::Volume;
use voxgan::volume::resample::{Grid, Interpolation, resample};

use crate::score::Case;
use crate::targets::GROUPS;

/// Scans of each set that are drawn.
const DRAWN: usize = 3;
/// Colours of the last row: truth alone, found alone, both.
const TRUTH: [u8; 3] = [60, 220, 60];
const FOUND: [u8; 3] = [240, 60, 60];
const BOTH: [u8; 3] = [250, 230, 60];

/// The worst scans of each set so far, the worst first.
#[derive(Default)]
pub struct Worst(Vec<(f64, Case, Segmentation)>);

impl Worst {
    /// Keeps a scan if it is among the worst of its set.
    pub fn add(&mut self, score: f64, case: Case, found: Segmentation) {
        let set = case.set.name;
        self.0.push((score, case, found));
        self.0.sort_by(|a, b| a.0.total_cmp(&b.0));
        if self.0.iter().filter(|one| one.1.set.name == set).count() > DRAWN {
            let last = self.0.iter().rposition(|one| one.1.set.name == set).expect("more than none");
            self.0.remove(last);
        }
    }

    /// Draws all of them as `NAME-SET-PLACE.png` in `folder`.
    pub fn draw(self, folder: &Path, name: &str) -> Result<()> {
        let mut drawn: Vec<&str> = Vec::new();
        for (score, case, found) in &self.0 {
            let place = 1 + drawn.iter().filter(|set| **set == case.set.name).count();
            drawn.push(case.set.name);
            let set: String =
                case.set.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
            let path = folder.join(format!("{name}-{set}-{place}.png"));
            let region = draw(&path, &case.scan, &case.truth, found)?;
            println!("{}: {}, mean Dice {score:.3}, through {region}", path.display(), case.name);
        }
        println!();
        Ok(())
    }
}

/// Three rows through the group that agrees least: outlines of the truth, of what was found, and of where that group is found
/// in one of them or in both. Returns its name.
fn draw(path: &Path, scan: &Volume, truth: &Segmentation, found: &Segmentation) -> Result<&'static str> {
    let scan = resample(scan, &truth.grid(), Interpolation::Linear);
    let masks = |group: &str| {
        let region = Region::named(group).expect("a region of the table");
        [truth.mask(region), found.mask(region)]
    };
    let agreement = |group: &str| {
        let [truth, found] = masks(group);
        // A group that the truth does not have is not looked at.
        if truth.iter().any(|&inside| inside) { dice(truth.view(), found.view()) } else { None }
    };
    let (_, region) = GROUPS
        .into_iter()
        .filter_map(|group| Some((agreement(group)?, group)))
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .expect("a group");
    let [of_truth, of_found] = masks(region);
    let mut differ = Array3::<u8>::zeros(of_truth.dim());
    ndarray::Zip::from(&mut differ).and(&of_truth).and(&of_found).for_each(|differ, &truth, &found| {
        *differ = u8::from(truth) + 2 * u8::from(found);
    });
    let cut = most(&differ.mapv(|label| label == 1 || label == 2));
    let layout = Montage { columns: 1, pixels_per_mm: 3.0, ..Montage::fit(std::slice::from_ref(&scan))? };
    let colours = colours();
    let rows = [
        layout.outlined(&scan, truth.labels.view(), &colours, &[cut])?,
        layout.outlined(&scan, found.labels.view(), &colours, &[cut])?,
        layout.outlined(&scan, differ.view(), &[(1, TRUTH), (2, FOUND), (3, BOTH)], &[cut])?,
    ];
    let (width, height) = rows[0].dimensions();
    let mut sheet = RgbImage::from_pixel(width, 3 * height + 8, Rgb([56; 3]));
    for (row, picture) in (0..).zip(&rows) {
        replace(&mut sheet, picture, 0, i64::from(height + 4) * row);
    }
    std::fs::write(path, png_bytes(&sheet)?).expect("a picture can be written");
    Ok(region)
}

/// The plane along each voxel axis `(i, j, k)` that holds most of a mask, as a part of the axis.
fn most(mask: &Array3<bool>) -> [f64; 3] {
    [2, 1, 0].map(|axis| {
        let planes = mask.axis_iter(Axis(axis));
        let count = planes.map(|plane| plane.iter().filter(|&&inside| inside).count());
        let plane = count.enumerate().max_by_key(|&(_, count)| count).map_or(0, |(plane, _)| plane);
        (plane as f64 + 0.5) / mask.len_of(Axis(axis)) as f64
    })
}

/// Colours of the structures within the skull.
fn colours() -> Vec<(u8, [u8; 3])> {
    Structure::ALL[2..].iter().map(|one| (one.index() as u8, one.colour())).collect()
}

/// The outlines of a scan's structures, through the ventricles.
pub fn outlines(path: &Path, scan: &Volume, found: &Segmentation) -> Result<()> {
    let layout = Montage { columns: 1, pixels_per_mm: 2.0, ..Montage::fit(std::slice::from_ref(scan))? };
    let cuts = [[0.47, 0.42, 0.48], [0.53, 0.5, 0.55]];
    let there = found.on(&Grid::of(scan));
    let picture = layout.outlined(scan, there.labels.view(), &colours(), &cuts)?;
    std::fs::write(path, png_bytes(&picture)?).expect("a picture can be written");
    Ok(())
}
