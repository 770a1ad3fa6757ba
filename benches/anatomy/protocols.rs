//! What protocols differ by, and how much Dice that costs: no segmenter is asked.

use ndarray::{Array3, Axis};
use voxgan::anatomy::overlap::dice;
use voxgan::anatomy::{Region, Segmentation, Structure};
use voxgan::error::Result;
use voxgan::io::nifti;
use voxgan::volume::Volume;

use crate::labelled::{SEEN_SCANS, UNSEEN_SCANS, open, people};
use crate::neuromorphometrics::segmentation;
use crate::place::Place;
use crate::plexus::with_plexus_as_ventricle;
use crate::statistics::{mean, median};
use crate::targets::GROUPS;

/// Label maps of FreeSurfer's protocol.
const MAPS: [&str; 16] =
    ["01", "02", "03", "05", "06", "07", "08", "10", "11", "12", "13", "14", "15", "17", "19", "20"];

/// Another way to read a manual label map.
struct Reading {
    /// What is done to the region.
    name: &'static str,
    region: &'static str,
    mask: fn(&Volume, &Region) -> Array3<bool>,
}

const READINGS: [Reading; 10] = [
    Reading {
        name: "inferior horns counted to the lateral ventricles",
        region: "lateral_ventricles",
        mask: |map, region| {
            mask(map, region, |n| matches!(n, 49 | 50).then_some(Structure::LeftLateralVentricle))
        },
    },
    Reading {
        name: "without the vermis (71–73)",
        region: "cerebellum",
        mask: |map, region| mask(map, region, |n| without(matches!(n, 71..=73))),
    },
    Reading {
        name: "without the basal forebrain (75, 76)",
        region: "deep_grey",
        mask: |map, region| mask(map, region, |n| without(matches!(n, 75 | 76))),
    },
    Reading {
        name: "without the accumbens area (23, 30)",
        region: "deep_grey",
        mask: |map, region| mask(map, region, |n| without(matches!(n, 23 | 30))),
    },
    Reading {
        name: "without the ventral diencephalon (61, 62, 75, 76)",
        region: "deep_grey",
        mask: |map, region| mask(map, region, |n| without(matches!(n, 61 | 62 | 75 | 76))),
    },
    Reading {
        name: "without the rearmost tenth of the hippocampus's length (its tail)",
        region: "hippocampus_amygdala",
        mask: |map, region| without_tail(map, region, 0.1),
    },
    Reading {
        name: "without the rearmost fifth of the hippocampus's length",
        region: "hippocampus_amygdala",
        mask: |map, region| without_tail(map, region, 0.2),
    },
    Reading {
        name: "with the parahippocampal gyrus (170, 171)",
        region: "hippocampus_amygdala",
        mask: |map, region| {
            mask(map, region, |n| matches!(n, 170 | 171).then_some(Structure::LeftHippocampus))
        },
    },
    Reading {
        name: "ventral diencephalon (61, 62) counted to the brain stem",
        region: "brain_stem",
        mask: |map, region| mask(map, region, |n| matches!(n, 61 | 62).then_some(Structure::BrainStem)),
    },
    Reading {
        name: "with fluid, vessels and chiasm within the labels (15, 46, 63, 64, 69)",
        region: "brain",
        mask: |map, region| {
            mask(map, region, |n| matches!(n, 15 | 46 | 63 | 64 | 69).then_some(Structure::ThirdVentricle))
        },
    },
];

/// Bounds on Dice with the manual labels: two readings of the same labels, and a border that lies half a voxel elsewhere; and what
/// share of the brain each protocol gives to a structure.
pub fn run(place: &Place) -> Result<()> {
    let names: Vec<&str> = SEEN_SCANS.into_iter().chain(UNSEEN_SCANS).take(place.options.only).collect();
    let mut dice_of = vec![Vec::new(); READINGS.len()];
    let mut borders = vec![Vec::new(); GROUPS.len()];
    let mut manual = Vec::new();
    for name in names {
        let map = open(place, &format!("oasis_manual/{name}_glm.nii.gz"))?;
        let plain = segmentation(&map, |_| None);
        for (reading, found) in READINGS.iter().zip(&mut dice_of) {
            let region = Region::named(reading.region).expect("a region");
            found.extend(dice(plain.mask(region).view(), (reading.mask)(&map, region).view()));
        }
        for (group, found) in GROUPS.iter().zip(&mut borders) {
            let mask = plain.mask(Region::named(group).expect("a region"));
            found.extend(dice(mask.view(), thicker_by_half(&mask).view()));
        }
        manual.push(plain);
    }
    println!(
        "Dice of the manual labels with another reading of the same labels: a bound where the other is what was learned.\n"
    );
    println!("| region | other reading | Dice, mean |\n|---|---|---|");
    for (reading, found) in READINGS.iter().zip(&dice_of) {
        println!("| {} | {} | {:.3} |", reading.region, reading.name, mean(found));
    }
    println!(
        "\nDice of the manual labels with themselves, every second voxel just outside the border added: half a voxel of border.\n"
    );
    println!("| region | Dice, mean |\n|---|---|");
    for (group, found) in GROUPS.iter().zip(&borders) {
        println!("| {group} | {:.3} |", mean(found));
    }
    shares(place, &manual)
}

/// The share of the brain that each group has in the three protocols. Where one protocol's structure lies within the other's and is
/// q times as large, no Dice between them is above 2q/(1 + q).
fn shares(place: &Place, manual: &[Segmentation]) -> Result<()> {
    let maps = MAPS.iter().map(|map| {
        let file = place.data(&format!("synthseg/training_seg_{map}.nii.gz"));
        Segmentation::of_numbers(&nifti::read(file)?)
    });
    let people = people(place, "train").into_iter();
    let ixi = people
        .map(|name| Segmentation::of_numbers(&open(place, &format!("ixi/dseg_2mm/{name}_dseg.nii.gz"))?));
    let brain = Region::named("brain").expect("a region");
    let share = |of: &Segmentation, group: &str| {
        100.0 * of.region_ml(Region::named(group).expect("a region")) / of.region_ml(brain)
    };
    let shares = |of: Segmentation| {
        let of = with_plexus_as_ventricle(of);
        GROUPS.map(|group| share(&of, group))
    };
    let freesurfer = maps.map(|map| map.map(shares)).collect::<Result<Vec<_>>>()?;
    let muse = ixi.map(|map| map.map(shares)).collect::<Result<Vec<_>>>()?;
    let manual: Vec<_> = manual.iter().cloned().map(shares).collect();
    println!(
        "\nShare of the brain's volume in per cent, median over {} people with manual labels, {} maps of FreeSurfer's protocol, {} \
         people of IXI's training split (labels of a network), and the bound on a Dice between one protocol and the manual one \
         where one structure lies within the other. Of ventricles and cortex, age is in it.\n",
        manual.len(),
        freesurfer.len(),
        muse.len()
    );
    println!("| region | manual | FreeSurfer | bound | IXI | bound |\n|---|---|---|---|---|---|");
    for (at, group) in GROUPS.iter().enumerate().take(GROUPS.len() - 1) {
        let of = |all: &[[f64; GROUPS.len()]]| median(all.iter().map(|one| one[at]));
        let [manual, freesurfer, muse] = [of(&manual), of(&freesurfer), of(&muse)];
        let bound = |other: f64| 2.0 * manual.min(other) / (manual + other);
        println!(
            "| {group} | {manual:.2} | {freesurfer:.2} | {:.3} | {muse:.2} | {:.3} |",
            bound(freesurfer),
            bound(muse)
        );
    }
    println!();
    Ok(())
}

/// A region of a map some of whose numbers are read in another way.
fn mask(map: &Volume, region: &Region, but: impl Fn(i32) -> Option<Structure>) -> Array3<bool> {
    segmentation(map, but).mask(region)
}

fn without(number: bool) -> Option<Structure> {
    number.then_some(Structure::Background)
}

/// A region without the rearmost part of each hippocampus, measured along the axis from back to front.
fn without_tail(map: &Volume, region: &Region, part: f64) -> Array3<bool> {
    let plain = segmentation(map, |_| None);
    let mut mask = plain.mask(region);
    for side in [Structure::LeftHippocampus, Structure::RightHippocampus] {
        let of_side = |label: u8| usize::from(label) == side.index();
        let planes: Vec<usize> = (0..plain.labels.len_of(Axis(1)))
            .filter(|&plane| plain.labels.index_axis(Axis(1), plane).iter().any(|&label| of_side(label)))
            .collect();
        let (Some(first), Some(last)) = (planes.first(), planes.last()) else { continue };
        // In RAS+ the first planes lie at the back.
        let from = first + ((last + 1 - first) as f64 * part).round() as usize;
        for (((_, plane, _), inside), &label) in mask.indexed_iter_mut().zip(&plain.labels) {
            if plane < from && of_side(label) {
                *inside = false;
            }
        }
    }
    mask
}

/// A mask with every second voxel that touches it from outside.
fn thicker_by_half(mask: &Array3<bool>) -> Array3<bool> {
    let (d, h, w) = mask.dim();
    let at = |z: usize, y: usize, x: usize| mask.get((z, y, x)).copied().unwrap_or(false);
    Array3::from_shape_fn((d, h, w), |(z, y, x)| {
        let beside = || {
            at(z.wrapping_sub(1), y, x)
                || at(z + 1, y, x)
                || at(z, y.wrapping_sub(1), x)
                || at(z, y + 1, x)
                || at(z, y, x.wrapping_sub(1))
                || at(z, y, x + 1)
        };
        // A pattern that no plane of voxels lies in.
        at(z, y, x) || ((x + 2 * y + 3 * z) % 4 < 2 && beside())
    })
}
