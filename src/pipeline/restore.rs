//! Restoration by a head: a scan and trained weights become a restored image, with what it rests on beside it.

use std::path::{Path, PathBuf};

use ndarray::{Array4, Axis, s};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::device::{Device, on_device};
use super::progress::{Event, Progress};
use super::segmenter::Segmenter;
use super::sidecar;
use crate::anatomy::volumes::Volumes;
use crate::config::{HeadRecipe, RestorationRecipe, in_file};
use crate::error::{Error, Result};
use crate::heads::{self, Case, Inpaint, Motion, Restored, Superres, Translate, blocks, finer_grid};
use crate::io::nifti::{self, WriteOptions};
use crate::pretrained::{TrainedRestorer, restorer};
use crate::volume::intensity::{IntensityMap, Normalisation};
use crate::volume::orientation::{Orientation, from_ras, to_ras};
use crate::volume::resample::Grid;
use crate::volume::{Volume, check_grids};

/// Regions whose change is told.
const TOLD: [&str; 4] = ["brain", "lateral_ventricles", "cerebral_cortex", "cerebral_white_matter"];

/// How the scale of a scan is found: as `voxgan prepare` does by default.
pub(crate) const NORMALISATION: Normalisation = Normalisation::Percentile { low: 0.0, high: 99.9 };

/// A scan, what is wrong with it, and how it is restored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The scan.
    pub input: PathBuf,
    /// The restored image, .nii or .nii.gz.
    pub output: PathBuf,
    /// What is to be restored.
    pub problem: Problem,
    /// The network: one inside the program by its name, a checkpoint or weights file, or a run's folder; by default the one of
    /// the problem inside the program.
    pub weights: Option<String>,
    /// How far the result is held to what was measured, from 0 to 1: v/(1 + v), where v samples of the measurement weigh as much
    /// as one of the network.
    pub consistency: f64,
    /// Whether the brain's volumes are compared before and after.
    pub anatomy: bool,
    /// Where to compute.
    pub device: Device,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            input: PathBuf::new(),
            output: PathBuf::new(),
            problem: Problem::Motion,
            weights: None,
            consistency: 1.0,
            anatomy: true,
            device: Device::default(),
        }
    }
}

/// What is to be restored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// A finer grid: so many times finer along the scan's axes (i, j, k).
    Superres([usize; 3]),
    /// Missing voxels: those that are not zero in this file, on the scan's grid.
    Inpaint(PathBuf),
    /// A head that moved while it was measured.
    Motion,
    /// Another contrast.
    Translate {
        /// Whether by the second network of a run that learned without pairs.
        backward: bool,
    },
    /// The same brain some years later.
    Progress {
        /// Years from the scan on.
        years: f64,
        /// The group of people, of those that the network was trained for; the first without one.
        group: Option<String>,
    },
}

impl Problem {
    /// Name of the head, which is also that of its weights inside the program.
    pub fn head(&self) -> &'static str {
        match self {
            Self::Superres(_) => restorer::SUPERRES,
            Self::Inpaint(_) => restorer::INPAINT,
            Self::Motion => restorer::MOTION,
            Self::Translate { .. } => restorer::TRANSLATE,
            Self::Progress { .. } => restorer::PROGRESS,
        }
    }

    /// The grid of the result.
    fn grid(&self, scan: &Scan) -> Grid {
        match self {
            Self::Superres(factor) => finer_grid(&Grid::of(&scan.volume), along_ras(*factor, &scan.original)),
            _ => Grid::of(&scan.volume),
        }
    }

    /// What a network of this recipe is given.
    fn case(&self, scan: &Scan, recipe: &RestorationRecipe) -> Result<Case> {
        let image = || scan.volume.data.clone();
        match (self, &recipe.head) {
            (Self::Superres(factor), HeadRecipe::Superres(recipe)) => {
                Superres::new(recipe).case(&scan.volume.data, along_ras(*factor, &scan.original))
            }
            (Self::Inpaint(mask), HeadRecipe::Inpaint(recipe)) => {
                let (mask, _) = to_ras(nifti::read(mask)?);
                check_grids(&scan.volume, &mask)?;
                let known = mask.data.index_axis(Axis(0), 0).mapv(|value| value == 0.0);
                Inpaint::new(recipe).case(&scan.volume.data, &known)
            }
            (Self::Motion, HeadRecipe::Motion(recipe)) if !recipe.known => {
                Ok(Motion::new(recipe).unknown(image()))
            }
            (Self::Motion, HeadRecipe::Motion(_)) => {
                let expected = "weights for images whose motion is not known";
                let advice = "give weights trained with known = false";
                Err(Error::value("head.known", expected, "known = true", advice))
            }
            (Self::Translate { .. }, HeadRecipe::Translate(recipe)) => {
                Ok(Translate::new(recipe).case(image()))
            }
            (Self::Progress { years, group }, HeadRecipe::Progress(recipe)) => {
                heads::Progress::new(recipe).case(image(), *years, group.as_deref())
            }
            _ => {
                let head = self.head();
                Err(Error::value("head", head, "another head's weights", format!("give weights of {head}")))
            }
        }
    }
}

/// What is known of a result.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Norm of what the measurement does not determine, as a part of the image's.
    pub added_share: f64,
    /// Relative residuals of the data: of the classical floor, of what the network or generator made, and of the result.
    pub residuals: Option<[f64; 3]>,
    /// What made it, in a word.
    pub maker: String,
    /// The brain's volumes before and after, where they were measured.
    pub changes: Vec<Change>,
    /// Voxels along (i, j, k).
    pub dims: [usize; 3],
    /// Their size.
    pub spacing_mm: [f64; 3],
}

/// The volume of a region in the classical floor and in the result.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// The region.
    pub region: &'static str,
    /// In the floor.
    pub floor_ml: f64,
    /// In the result.
    pub restored_ml: f64,
}

/// Scan → case → network → image, and beside it the classical floor, what was added, and a record.
///
/// # Errors
/// What is wrong with the scan, the weights, the device or the disk.
pub fn restore(options: &Options, progress: &Progress) -> Result<Outcome> {
    let Options { input, output, problem, weights, consistency, anatomy, device } = options;
    let scan = Scan::read(input)?;
    let grid = problem.grid(&scan);
    let weights = weights.as_deref().unwrap_or(problem.head());
    progress.check()?;
    let (name, restored, start) = on_device!(*device, |B, device| {
        let backward = matches!(problem, Problem::Translate { backward: true });
        let open = if backward { TrainedRestorer::open_backward } else { TrainedRestorer::open };
        let trained: TrainedRestorer<B> = open(weights, &device)?;
        let case = problem.case(&scan, &trained.recipe).map_err(|e| in_weights(e, weights))?;
        let found = heads::restore(&trained.network, &case, blocks(&trained.recipe), *consistency, &device)?;
        Ok::<_, Error>((trained.name, found, case.start))
    })?;
    progress.check()?;
    let found = Found { head: problem.head(), name, maker: "Network", restored, start, details: Value::Null };
    write(found, output, &scan, &grid, anatomy.then_some(*device), progress)
}

/// A scan as networks take it: RAS+, the brightest tissue one; and the way back.
pub(crate) struct Scan {
    /// `[1, D, H, W]`, along RAS+.
    pub volume: Volume,
    /// From the scan's values to the network's.
    intensity: IntensityMap,
    pub original: Orientation,
}

impl Scan {
    pub fn read(path: &Path) -> Result<Self> {
        let (volume, original) = oriented(path)?;
        Self::of(path, volume, original)
    }

    /// A volume along RAS+ that was read from `path`, where it lay along `original`.
    pub fn of(path: &Path, volume: Volume, original: Orientation) -> Result<Self> {
        let intensity = IntensityMap::fit(&volume, &NORMALISATION).map_err(|e| in_file(e, path))?;
        // From 0 to 1 and beyond: nothing is cut off.
        let intensity =
            IntensityMap { scale: 0.5 * intensity.scale, offset: 0.5 * (intensity.offset + 1.0), clip: None };
        Ok(Self { volume: intensity.apply(volume), intensity, original })
    }

    /// An image of the network on `grid`, in the scan's values and orientation.
    pub fn back(&self, image: Array4<f32>, grid: &Grid, step: &str) -> Volume {
        let provenance = self.volume.provenance.clone();
        let volume = Volume { data: image, affine: grid.affine, provenance }.with_step(step);
        from_ras(self.intensity.invert(volume), &self.original)
    }

    /// The same of a difference of images, which has no offset.
    pub fn back_difference(&self, image: Array4<f32>, grid: &Grid) -> Volume {
        let scale = self.intensity.scale as f32;
        from_ras(Volume::new(image.mapv(|x| x / scale), grid.affine), &self.original)
    }
}

/// The scan of a file along RAS+, and how it lay.
pub(crate) fn oriented(path: &Path) -> Result<(Volume, Orientation)> {
    let volume = nifti::read(path)?;
    if volume.channels() != 1 {
        let (found, advice) = (format!("{}", volume.channels()), "give one frame");
        return Err(Error::file(path, "channels", "one", found, advice));
    }
    Ok(to_ras(volume))
}

/// A result and where it comes from.
pub(crate) struct Found<'a> {
    pub head: &'a str,
    /// What made it, with the SHA-256 of its weights.
    pub name: String,
    /// What that is in a word, as a key of the record.
    pub maker: &'a str,
    pub restored: Restored,
    /// The classical floor, `[C, D, H, W]`.
    pub start: Array4<f32>,
    /// What else goes into the record.
    pub details: Value,
}

/// Writes OUT, and beside it the classical floor, what was added, and a record, with the brain's volumes before and after where a
/// device to measure them on is given.
pub(crate) fn write(
    found: Found,
    output: &Path,
    scan: &Scan,
    grid: &Grid,
    measures: Option<Device>,
    progress: &Progress,
) -> Result<Outcome> {
    let Found { head, name, maker, restored, start, details } = found;
    let step = format!("{head} by {name}");
    let share = norm(&restored.added) / norm(&restored.image).max(f64::MIN_POSITIVE);
    let Restored { image, added, residuals } = restored;
    let restored = scan.back(image.slice(s![..1, .., .., ..]).to_owned(), grid, &step);
    let floor = scan.back(start.slice(s![..1, .., .., ..]).to_owned(), grid, "classical floor");
    let added = scan.back_difference(added.slice(s![..1, .., .., ..]).to_owned(), grid);
    let mut record = json!({
        "Restored": true,
        "Head": head,
        "Weights": name,
        "Source": scan.volume.provenance.source,
        "Steps": restored.provenance.steps,
        "AddedShare": share,
        "VoxganVersion": env!("CARGO_PKG_VERSION"),
    });
    if let Some([start, made, result]) = residuals {
        record["DataResidual"] = json!({ "Floor": start, maker: made, "Result": result });
    }
    let mut record = sidecar::joined(record, details);
    let changes = match measures.filter(|_| grid.dims.iter().all(|&length| length > 1)) {
        Some(device) => {
            let (changes, of_record) = anatomy(&floor, &restored, device)?;
            record["Anatomy"] = of_record;
            changes
        }
        None => Vec::new(),
    };
    let options =
        |what: &str| WriteOptions { description: format!("voxgan {what}"), ..WriteOptions::default() };
    nifti::write(output, &restored, &options(head))?;
    nifti::write(beside(output, "floor"), &floor, &options("classical floor"))?;
    nifti::write(beside(output, "added"), &added, &options("not determined by the measurement"))?;
    sidecar::write(output, &record)?;
    progress.tell(Event::Wrote(output));
    let (dims, spacing_mm) = (restored.dims(), restored.spacing_mm());
    Ok(Outcome { added_share: share, residuals, changes, dims, spacing_mm, maker: maker.to_lowercase() })
}

/// Volumes of the brain in the floor and in the result.
pub(crate) fn anatomy(floor: &Volume, restored: &Volume, device: Device) -> Result<(Vec<Change>, Value)> {
    let segmenter = Segmenter::embedded(device)?;
    let of = |volume: &Volume| {
        Ok::<_, Error>(Volumes::of("", &segmenter.segment(volume)?, Some(&Grid::of(volume))))
    };
    let (before, after) = (of(floor)?, of(restored)?);
    let (mut changes, mut told) = (Vec::new(), serde_json::Map::new());
    for name in TOLD {
        let ml = |volumes: &Volumes| volumes.region(name).map_or(f64::NAN, |region| region.volume_ml);
        let (before, after) = (ml(&before), ml(&after));
        changes.push(Change { region: name, floor_ml: before, restored_ml: after });
        told.insert(name.into(), json!({ "FloorMl": before, "RestoredMl": after }));
    }
    Ok((changes, json!({ "Segmenter": segmenter.name, "Volumes": told })))
}

/// The file of this kind beside `output`: `scan.nii.gz` → `scan_floor.nii.gz`.
pub(crate) fn beside(output: &Path, kind: &str) -> PathBuf {
    let name = output.to_string_lossy();
    for ending in [".nii.gz", ".nii"] {
        if let Some(stem) = name.strip_suffix(ending) {
            return format!("{stem}_{kind}{ending}").into();
        }
    }
    format!("{name}_{kind}.nii.gz").into()
}

/// A factor along a scan's axes (i, j, k) as one along `[D, H, W]` of the same along RAS+.
pub(crate) fn along_ras(factor: [usize; 3], original: &Orientation) -> [usize; 3] {
    // The scan's axes are permuted on the way.
    let [i, j, k] = [0, 1, 2].map(|world| factor[original.voxel_axis(world)]);
    [k, j, i]
}

/// A value that weights do not take.
fn in_weights(error: Error, weights: &str) -> Error {
    match error {
        Error::Value { key, expected, found, advice } => {
            Error::value(format!("{key} for the weights {weights}"), expected, found, advice)
        }
        other => other,
    }
}

fn norm(image: &Array4<f32>) -> f64 {
    image.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beside_the_output_says_what_it_is() {
        assert_eq!(beside(Path::new("a/b.nii.gz"), "floor"), Path::new("a/b_floor.nii.gz"));
        assert_eq!(beside(Path::new("a/b.nii"), "added"), Path::new("a/b_added.nii"));
    }
}
