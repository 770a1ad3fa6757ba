//! Restoration by a head: a scan and trained weights become a restored image, with baseline, null-space component and record.

use std::path::{Path, PathBuf};

use ndarray::{Array4, Axis};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::device::Device;
use super::progress::{Event, Progress};
use super::restorer::{Restoration, Restorer};
use super::segmenter::Segmenter;
use super::sidecar;
use crate::anatomy::volumes::Volumes;
use crate::config::{RestorationRecipe, in_file};
use crate::error::{Error, Result};
use crate::heads::{Case, Input, finer_grid, head};
use crate::io::nifti::{self, ReadOptions, WriteOptions};
use crate::pretrained::restorer;
use crate::volume::intensity::{IntensityMap, Normalisation};
use crate::volume::orientation::{Orientation, from_ras, to_ras};
use crate::volume::resample::Grid;
use crate::volume::{Volume, check_grids};

/// Regions whose change is told.
const TOLD: [&str; 4] = ["brain", "lateral_ventricles", "cerebral_cortex", "cerebral_white_matter"];

/// How the scale of a scan is found: as `voxgan prepare` does by default.
pub(super) const NORMALISATION: Normalisation = Normalisation::Percentile { low: 0.0, high: 99.9 };

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
    /// Weight of data consistency, from 0 to 1: v/(1 + v), where v samples of the measurement weigh as much
    /// as one of the network.
    pub consistency: f64,
    /// Whether the brain's volumes are compared before and after.
    pub anatomy: bool,
    /// Where to compute.
    pub device: Device,
    /// How scan and mask are read.
    pub read: ReadOptions,
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
            read: ReadOptions::default(),
        }
    }
}

/// What is to be restored. A mask is a file, or for [`Restorer::restore`] a [`Volume`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem<M = PathBuf> {
    /// A finer grid: so many times finer along the scan's axes (i, j, k).
    Superres([usize; 3]),
    /// Missing voxels: those that are not zero in this mask, on the scan's grid.
    Inpaint(M),
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

impl<M> Problem<M> {
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

    /// The same with what `read` makes of its mask.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn with_mask<N>(self, read: impl FnOnce(M) -> Result<N>) -> Result<Problem<N>> {
        Ok(match self {
            Self::Superres(factor) => Problem::Superres(factor),
            Self::Inpaint(mask) => Problem::Inpaint(read(mask)?),
            Self::Motion => Problem::Motion,
            Self::Translate { backward } => Problem::Translate { backward },
            Self::Progress { years, group } => Problem::Progress { years, group },
        })
    }
}

impl Problem<Volume> {
    /// The grid of the result.
    pub(super) fn grid(&self, scan: &Scan) -> Grid {
        match self {
            Self::Superres(factor) => finer_grid(&Grid::of(&scan.volume), along_ras(*factor, &scan.original)),
            _ => Grid::of(&scan.volume),
        }
    }

    /// What a network of this recipe is given.
    pub(super) fn case(&self, scan: &Scan, recipe: &RestorationRecipe) -> Result<Case> {
        let image = &scan.volume.data;
        let known;
        let input = match self {
            Self::Superres(factor) => Input::Coarse(image, along_ras(*factor, &scan.original)),
            Self::Inpaint(mask) => {
                let (mask, _) = to_ras(mask.clone());
                check_grids(&scan.volume, &mask)?;
                known = mask.data.index_axis(Axis(0), 0).mapv(|value| value == 0.0);
                Input::Torn(image, &known)
            }
            Self::Motion | Self::Translate { .. } => Input::Image(image),
            Self::Progress { years, group } => Input::Earlier(image, *years, group.as_deref()),
        };
        if recipe.head.name() != self.head() {
            let (needed, advice) = (self.head(), format!("give weights of {}", self.head()));
            return Err(Error::value("head", needed, recipe.head.name(), advice));
        }
        head(&recipe.head).case_of(input)
    }
}

/// What is known of a result.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Norm of what the measurement does not determine, as a part of the image's.
    pub null_space_share: f64,
    /// Relative residuals of the data: of the classical baseline, of what the network or generator made, and of the result.
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

/// The volume of a region in the classical baseline and in the result.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// The region.
    pub region: &'static str,
    /// In the baseline.
    pub baseline_ml: f64,
    /// In the result.
    pub restored_ml: f64,
}

/// Scan → case → network → image, with the classical baseline, the null-space component and a record.
///
/// # Errors
/// What is wrong with the scan, the weights, the device or the disk.
pub fn restore(options: &Options, progress: &Progress) -> Result<Outcome> {
    let Options { input, output, problem, weights, consistency, anatomy, device, read } = options;
    let scan = Scan::of(nifti::read_with(input, read)?).map_err(|e| in_file(e, input))?;
    let problem = problem.clone().with_mask(|path| nifti::read_with(path, read))?;
    progress.check()?;
    let open = match problem {
        Problem::Translate { backward: true } => Restorer::open_backward,
        _ => Restorer::open,
    };
    let restorer = open(weights.as_deref().unwrap_or(problem.head()), *device)?;
    progress.check()?;
    let restored = restorer.of_scan(&scan, &problem, *consistency)?;
    progress.check()?;
    let (head, details) = (problem.head(), Value::Null);
    let found = Found { head, name: restorer.name, maker: "Network", restored, details };
    write(found, output, anatomy.then_some(*device), progress)
}

/// A scan as networks take it: RAS+, the brightest tissue one; and the way back.
pub(super) struct Scan {
    /// `[1, D, H, W]`, along RAS+.
    pub volume: Volume,
    /// From the scan's values to the network's.
    intensity: IntensityMap,
    pub original: Orientation,
}

impl Scan {
    pub fn of(volume: Volume) -> Result<Self> {
        let (volume, original) = oriented(volume)?;
        Self::along_ras(volume, original)
    }

    /// A volume along RAS+ that lay along `original`.
    pub fn along_ras(volume: Volume, original: Orientation) -> Result<Self> {
        let intensity = IntensityMap::fit(&volume, &NORMALISATION)?;
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

/// A scan of one channel along RAS+, and how it lay.
pub(super) fn oriented(volume: Volume) -> Result<(Volume, Orientation)> {
    match volume.channels() {
        1 => Ok(to_ras(volume)),
        channels => Err(Error::value("channels", "one", channels.to_string(), "give one frame")),
    }
}

/// A result and where it comes from.
pub(super) struct Found<'a> {
    pub head: &'a str,
    /// What made it, with the SHA-256 of its weights.
    pub name: String,
    /// What that is in a word, as a key of the record.
    pub maker: &'a str,
    pub restored: Restoration,
    /// What else goes into the record.
    pub details: Value,
}

/// Writes OUT, with the classical baseline, the null-space component and a record, with the brain's volumes before and after where a
/// device to measure them on is given.
pub(super) fn write(
    found: Found,
    output: &Path,
    measures: Option<Device>,
    progress: &Progress,
) -> Result<Outcome> {
    let Found { head, name, maker, restored, details } = found;
    let Restoration { image, baseline, null_space, null_space_share, residuals } = restored;
    let mut record = json!({
        "Restored": true,
        "Head": head,
        "Weights": name,
        "Source": image.provenance.source,
        "Steps": image.provenance.steps,
        "NullSpaceShare": null_space_share,
        "VoxganVersion": env!("CARGO_PKG_VERSION"),
    });
    if let Some([baseline, made, result]) = residuals {
        record["DataResidual"] = json!({ "Baseline": baseline, maker: made, "Result": result });
    }
    let mut record = sidecar::joined(record, details);
    let (dims, spacing_mm) = (image.dims(), image.spacing_mm());
    save(output, &image, head)?;
    save(&beside(output, "baseline"), &baseline, "classical baseline")?;
    save(&beside(output, "nullspace"), &null_space, "null-space component")?;
    sidecar::write(output, &record)?;
    progress.tell(Event::Wrote(output));
    let changes = match measures.filter(|_| dims.iter().all(|&length| length > 1)) {
        Some(device) => {
            progress.check()?;
            progress.tell(Event::Note("measuring anatomy…"));
            let (changes, of_record) = anatomy(&baseline, &image, device)?;
            record["Anatomy"] = of_record;
            sidecar::write(output, &record)?;
            changes
        }
        None => Vec::new(),
    };
    Ok(Outcome { null_space_share, residuals, changes, dims, spacing_mm, maker: maker.to_lowercase() })
}

/// Writes a volume that says `what` it is.
pub(super) fn save(path: &Path, volume: &Volume, what: &str) -> Result<()> {
    let options = WriteOptions { description: format!("voxgan {what}"), ..WriteOptions::default() };
    nifti::write(path, volume, &options)
}

/// Volumes of the brain in the baseline and in the result.
pub(super) fn anatomy(baseline: &Volume, restored: &Volume, device: Device) -> Result<(Vec<Change>, Value)> {
    let segmenter = Segmenter::embedded(device)?;
    let of = |volume: &Volume| {
        Ok::<_, Error>(Volumes::of("", &segmenter.segment(volume)?, Some(&Grid::of(volume))))
    };
    let (before, after) = (of(baseline)?, of(restored)?);
    let (mut changes, mut told) = (Vec::new(), serde_json::Map::new());
    for name in TOLD {
        let ml = |volumes: &Volumes| volumes.region(name).map_or(f64::NAN, |region| region.volume_ml);
        let (before, after) = (ml(&before), ml(&after));
        changes.push(Change { region: name, baseline_ml: before, restored_ml: after });
        told.insert(name.into(), json!({ "BaselineMl": before, "RestoredMl": after }));
    }
    Ok((changes, json!({ "Segmenter": segmenter.name, "Volumes": told })))
}

/// The file of this kind beside `output`: `scan.nii.gz` → `scan_baseline.nii.gz`.
pub fn beside(output: &Path, kind: &str) -> PathBuf {
    let ending = Some(sidecar::stem(output).1).filter(|ending| !ending.is_empty());
    sidecar::beside(output, &format!("_{kind}{}", ending.unwrap_or(".nii.gz")))
}

/// A factor along a scan's axes (i, j, k) as one along `[D, H, W]` of the same along RAS+.
pub(super) fn along_ras(factor: [usize; 3], original: &Orientation) -> [usize; 3] {
    // The scan's axes are permuted on the way.
    let [i, j, k] = [0, 1, 2].map(|world| factor[original.voxel_axis(world)]);
    [k, j, i]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beside_the_output_says_what_it_is() {
        assert_eq!(beside(Path::new("a/b.nii.gz"), "baseline"), Path::new("a/b_baseline.nii.gz"));
        assert_eq!(beside(Path::new("a/b.nii"), "nullspace"), Path::new("a/b_nullspace.nii"));
    }
}
