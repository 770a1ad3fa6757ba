//! Measurements of one subject's segmentation: volumes, ratios, shape, plausibility and quality.
//!
//! Every number has its definition with it, because programs differ in the extent of, say, "the ventricles".

mod files;
mod flags;
mod limits;
mod plausibility;
mod survey;
mod tables;

use serde::{Deserialize, Serialize};

use super::segmentation::Segmentation;
use super::shape::{Configurations, Connectivity, components};
use super::structures::{REGIONS, Region};
use crate::volume::resample::Grid;

pub use files::{DerivativeNames, label_table, lookup_table};
pub use flags::{Direction, Flag};
pub use limits::{LIMITS, Limit};
use survey::Survey;
pub use tables::{csv, definitions_csv};

/// The measurements of one subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Volumes {
    /// Name of the subject; the first column of tables.
    pub subject: String,
    /// Number of voxels of the label map along `(i, j, k)`.
    pub dims: [usize; 3],
    /// Size of its voxels along `(i, j, k)` in millimetres.
    pub spacing_mm: [f64; 3],
    /// The volumes of [`REGIONS`], in that order.
    pub regions: Vec<RegionVolume>,
    /// Ratios, asymmetries and shape, in a fixed order.
    pub measures: Vec<Measure>,
    /// Reasons to doubt the segmentation; empty for a plausible one.
    pub flags: Vec<Flag>,
    /// From 0 to 1: the mean confidence of the structures of the brain that are there, times `1 − penalty` of every
    /// flag ([`Flag::penalty`]); 0 without a brain. A ranking of segmentations, not a probability.
    pub quality: f64,
}

/// The volume of a region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegionVolume {
    /// Its name, as in [`REGIONS`].
    pub name: String,
    /// Its definition.
    pub definition: String,
    /// Volume in ml with partial volumes: the sum over voxels of the part of each that its structures fill.
    pub volume_ml: f64,
    /// `volume_ml` divided by the intracranial volume; `None` where that is unknown because the fluid around the brain
    /// is not in the scan ([`Flag::NoOuterFluid`]).
    pub intracranial_fraction: Option<f64>,
}

/// A measure with its definition and unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// Its name, the column of a table.
    pub name: String,
    /// Its definition.
    pub definition: String,
    /// `ml`, `mm2`, or 1 for numbers without a unit.
    pub unit: String,
    /// Its value; `None` where it is undefined (a ratio to zero).
    pub value: Option<f64>,
}

/// The ventricle-to-brain ratios: their names, the regions that are summed, and what these are.
const RATIOS: [(&str, &[&str], &str); 3] = [
    ("ventricle_brain_ratio", &["lateral_ventricles"], "without choroid plexus and inferior horns"),
    (
        "ventricle_brain_ratio_with_choroid",
        &["lateral_ventricles_with_choroid"],
        "with choroid plexus, without inferior horns",
    ),
    (
        "ventricle_brain_ratio_with_inferior_horns",
        &["lateral_ventricles", "inferior_lateral_ventricles"],
        "with inferior horns, without choroid plexus",
    ),
];

/// The regions whose shape is measured.
const SHAPES: [&str; 2] = ["brain", "ventricles"];

impl Volumes {
    /// Measures `segmentation` of the subject `subject`.
    ///
    /// `field_of_view` is the grid of the scan where the labels are on another one, such as the 1 mm grid of the
    /// segmenter: a brain that is cut off ends at the border of the scan. Positions are in world coordinates, so that
    /// labels can have any orientation; a header whose orientation is far from that of the anatomy (by a quarter turn)
    /// is flagged.
    ///
    /// An image that was mirrored without its header is not detected where the labels come from a network that labels
    /// sides by position, as both halves of a brain are similar. The quality check compares the two sides before and
    /// after.
    ///
    /// # Panics
    /// If the affine of `field_of_view` cannot be inverted.
    pub fn of(subject: impl Into<String>, segmentation: &Segmentation, field_of_view: Option<&Grid>) -> Self {
        let grid = segmentation.grid();
        let survey = Survey::of(segmentation, field_of_view.unwrap_or(&grid));
        let regions = region_volumes(segmentation);
        let mut measures = Vec::new();
        ratios(segmentation, &mut measures);
        asymmetries(segmentation, &mut measures);
        shapes(segmentation, &mut measures);
        let flags = plausibility::flags(segmentation, &survey);
        let quality = plausibility::quality(segmentation, &flags);
        let subject = subject.into();
        let spacing_mm = segmentation.spacing_mm();
        Self { subject, dims: grid.dims, spacing_mm, regions, measures, flags, quality }
    }

    /// The volume of a region by its name; `None` for another name.
    pub fn region(&self, name: &str) -> Option<&RegionVolume> {
        self.regions.iter().find(|region| region.name == name)
    }

    /// The value of a measure by its name; `None` where it is undefined, and for another name.
    pub fn measure(&self, name: &str) -> Option<f64> {
        self.measures.iter().find(|measure| measure.name == name)?.value
    }
}

fn region(name: &str) -> &'static Region {
    Region::named(name).expect("a name from REGIONS")
}

fn region_volumes(segmentation: &Segmentation) -> Vec<RegionVolume> {
    let intracranial_ml = segmentation.region_ml(region("intracranial"));
    let known = intracranial_ml > 0.0 && !plausibility::lacks_outer_fluid(segmentation);
    let volume = |region: &Region| {
        let volume_ml = segmentation.region_ml(region);
        RegionVolume {
            name: region.name.into(),
            definition: region.definition.into(),
            volume_ml,
            intracranial_fraction: known.then(|| volume_ml / intracranial_ml),
        }
    };
    REGIONS.iter().map(volume).collect()
}

fn ratios(segmentation: &Segmentation, measures: &mut Vec<Measure>) {
    let brain_ml = segmentation.region_ml(region("brain"));
    for (name, parts, which) in RATIOS {
        let part_ml: f64 = parts.iter().map(|part| segmentation.region_ml(region(part))).sum();
        measures.push(Measure {
            name: name.into(),
            definition: format!(
                "both lateral ventricles, {which}, over the brain ({})",
                region("brain").definition
            ),
            unit: "1".into(),
            value: (brain_ml > 0.0).then(|| part_ml / brain_ml),
        });
    }
}

/// The asymmetry of two volumes, 2 (left − right) / (left + right); none of two that are zero.
fn asymmetry(left_ml: f64, right_ml: f64) -> Option<f64> {
    (left_ml + right_ml > 0.0).then(|| 2.0 * (left_ml - right_ml) / (left_ml + right_ml))
}

fn asymmetries(segmentation: &Segmentation, measures: &mut Vec<Measure>) {
    for left in &REGIONS {
        let (Some(what), Some(right)) = (left.name.strip_prefix("left_"), left.mirrored()) else { continue };
        let [left_ml, right_ml] = [left, right].map(|side| segmentation.region_ml(side));
        measures.push(Measure {
            name: format!("{what}_asymmetry"),
            definition: format!("2 (L - R) / (L + R) of {} and {}", left.name, right.name),
            unit: "1".into(),
            value: asymmetry(left_ml, right_ml),
        });
    }
}

fn shapes(segmentation: &Segmentation, measures: &mut Vec<Measure>) {
    for name in SHAPES {
        let mask = segmentation.mask(region(name));
        let configurations = Configurations::of(&mask);
        let sizes = components(&mask, Connectivity::Corners).sizes_of(true);
        let largest = sizes.first().map(|&voxels| voxels as f64 / sizes.iter().sum::<usize>() as f64);
        let mut push = |what: &str, unit: &str, definition: &str, value| {
            let definition = format!("{definition} of the mask of {name} ({})", region(name).definition);
            measures.push(Measure { name: format!("{name}_{what}"), definition, unit: unit.into(), value });
        };
        push(
            "surface_area_mm2",
            "mm2",
            "surface by Crofton's formula in 13 directions (Legland 2007)",
            Some(configurations.surface_area_mm2(segmentation.spacing_mm())),
        );
        let euler = "Euler number (components - tunnels + cavities; 26 neighbours, background 6)";
        push("euler_number", "1", euler, Some(configurations.euler_number() as f64));
        push("components", "1", "connected components (26 neighbours)", Some(sizes.len() as f64));
        push("largest_component_fraction", "1", "share of the largest connected component", largest);
    }
}

#[cfg(test)]
mod tests;
