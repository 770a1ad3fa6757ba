//! Restoration of a scan by a trained network: the image, with baseline, null-space component and record.

use std::path::{Path, PathBuf};

use ndarray::{Array3, Array4, Axis};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::device::Device;
use super::folder::OfScan;
use super::outputs::{Files, Writes};
use super::pairs::partner;
use super::progress::{Event, Progress};
use super::restorer::{Restoration, Restorer};
use super::segmenter::Segmenter;
use super::sidecar;
use crate::anatomy::volumes::Volumes;
use crate::config::{HeadRecipe, RestorationRecipe};
use crate::error::{Error, Result};
use crate::heads::{Case, Input, Superres, finer_grid, head};
use crate::io::nifti::{self, WriteOptions};
use crate::io::scan::{self, ReadOptions};
use crate::pretrained::restorer;
use crate::volume::intensity::{IntensityMap, Normalisation};
use crate::volume::orientation::{Orientation, from_ras, to_ras};
use crate::volume::outliers::without_outliers;
use crate::volume::resample::Grid;
use crate::volume::{Volume, check_grids};

/// Values that the network sees below this are rounding of zero.
const ROUNDING: f32 = 1e-6;

/// Regions whose change is told.
const TOLD: [&str; 4] = ["brain", "lateral_ventricles", "cerebral_cortex", "cerebral_white_matter"];

/// A scan, the restoration problem, and the settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The scan.
    pub input: PathBuf,
    /// The file of the restored image, .nii or .nii.gz.
    pub output: PathBuf,
    /// The problem of restoration.
    pub problem: Problem,
    /// Name of a network inside the program, a checkpoint or weights file, or a run's folder; `None` for the problem's
    /// network inside the program.
    pub weights: Option<String>,
    /// Whether the network is applied at the scan's voxel size rather than its own; see [`Restorer::keeping_spacing`].
    pub keep_spacing: bool,
    /// The scan whose grid the result is resampled to; `None` for the grid of the problem.
    pub like: Option<PathBuf>,
    /// Weight of data consistency, from 0 to 1: v/(1 + v) counts the measurement v times and the network's output once.
    pub consistency: f64,
    /// Whether the brain's volumes are compared before and after.
    pub anatomy: bool,
    /// The device to compute on.
    pub device: Device,
    /// Options for reading scan and mask.
    pub read: ReadOptions,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            input: PathBuf::new(),
            output: PathBuf::new(),
            problem: Problem::Motion,
            weights: None,
            keep_spacing: false,
            like: None,
            consistency: 1.0,
            anatomy: true,
            device: Device::default(),
            read: ReadOptions::default(),
        }
    }
}

/// The problem of restoration. A mask is a file, or a folder with a file of the scan's name; for [`Restorer::restore`]
/// a [`Volume`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Problem<M = PathBuf> {
    /// A grid this many times finer along the scan's axes (i, j, k).
    Superres([usize; 3]),
    /// Missing voxels: those that are not zero in this mask, on the scan's grid.
    Inpaint(M),
    /// Correction of the head's motion during the measurement.
    Motion,
    /// Another contrast.
    Translate {
        /// Whether to use the second network of a run that was trained without pairs.
        backward: bool,
    },
    /// The same brain some years later.
    Progress {
        /// Years after the scan.
        years: f64,
        /// The group of people, of those that the network was trained for; `None` for the first.
        group: Option<String>,
    },
}

impl<M> Problem<M> {
    /// Name of the head and of its weights inside the program.
    pub fn head(&self) -> &'static str {
        match self {
            Self::Superres(_) => restorer::SUPERRES,
            Self::Inpaint(_) => restorer::INPAINT,
            Self::Motion => restorer::MOTION,
            Self::Translate { .. } => restorer::TRANSLATE,
            Self::Progress { .. } => restorer::PROGRESS,
        }
    }

    /// The problem with its mask replaced by `read(mask)`.
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

    /// Whether the result shows what was never scanned: another contrast, or another time.
    pub(super) fn is_synthetic(&self) -> bool {
        matches!(self, Self::Translate { .. } | Self::Progress { .. })
    }

    /// What a network of this recipe is given, and the order in which it is shown the axes `[D, H, W]`.
    pub(super) fn case(&self, scan: &Scan, recipe: &RestorationRecipe) -> Result<(Case, [usize; 3])> {
        let mut order = [0, 1, 2];
        let image = &scan.volume.data;
        let (shown, known);
        let input = match self {
            Self::Superres(factor) => {
                let ras = along_ras(*factor, &scan.original);
                order = self.order(scan, recipe)?;
                shown = turned(image.clone(), order);
                Input::Coarse(&shown, order.map(|axis| ras[axis]))
            }
            Self::Inpaint(mask) => {
                known = self::known(mask, &scan.volume)?;
                Input::Torn(image, &known)
            }
            Self::Motion | Self::Translate { .. } => Input::Image(image),
            Self::Progress { years, group } => Input::Earlier(image, *years, group.as_deref()),
        };
        if recipe.head.name() != self.head() {
            let (needed, advice) = (self.head(), format!("give weights of {}", self.head()));
            return Err(Error::value("head", needed, recipe.head.name(), advice));
        }
        Ok((head(&recipe.head).case_of(input)?, order))
    }

    /// The order of the axes `[D, H, W]` in which a network of super-resolution knows the factor.
    pub(super) fn order(&self, scan: &Scan, recipe: &RestorationRecipe) -> Result<[usize; 3]> {
        let (Self::Superres(factor), HeadRecipe::Superres(recipe)) = (self, &recipe.head) else {
            return Ok([0, 1, 2]);
        };
        Superres::new(recipe).turned(along_ras(*factor, &scan.original)).ok_or_else(|| {
            let of_scan = |factor: &[usize; 3]| joined(along_scan(*factor, &scan.original));
            let known: Vec<String> = recipe.factors.iter().map(of_scan).collect();
            let expected =
                format!("{} along the scan's (i, j, k), or these along other axes", known.join("; "));
            let advice = "give another factor, or other weights";
            Error::value("--factor", expected, joined(*factor), advice)
        })
    }
}

/// The voxels of `scan`, along RAS+, that a mask does not call missing, `[D, H, W]`.
///
/// # Errors
/// [`Error::Value`] for a mask on another grid.
pub(super) fn known(mask: &Volume, scan: &Volume) -> Result<Array3<bool>> {
    let (mask, _) = to_ras(mask.clone());
    check_grids(scan, &mask)?;
    Ok(mask.data.index_axis(Axis(0), 0).mapv(|value| value == 0.0))
}

/// An image `[C, D, H, W]` with its last three axes in this order.
pub(super) fn turned(image: Array4<f32>, order: [usize; 3]) -> Array4<f32> {
    let [d, h, w] = order.map(|axis| axis + 1);
    image.permuted_axes([0, d, h, w]).as_standard_layout().into_owned()
}

/// A factor as options have it.
fn joined(factor: [usize; 3]) -> String {
    factor.map(|n| n.to_string()).join(",")
}

/// Figures of a result.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Norm of the null-space component divided by that of the image.
    pub null_space_share: f64,
    /// ‖A·x − y‖ / ‖y‖ of the classical baseline, of the output of network or generator, and of the result; `None`
    /// without a measurement.
    pub residuals: Option<[f64; 3]>,
    /// What made the result: `network` or `generator`.
    pub maker: String,
    /// The brain's volumes before and after; empty if they were not measured.
    pub changes: Vec<Change>,
    /// Number of voxels along (i, j, k).
    pub dims: [usize; 3],
    /// Voxel size along (i, j, k) in millimetres.
    pub spacing_mm: [f64; 3],
}

/// The volume of a region in the classical baseline and in the result.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// The region.
    pub region: &'static str,
    /// Its volume in the baseline in ml.
    pub baseline_ml: f64,
    /// Its volume in the result in ml.
    pub restored_ml: f64,
}

impl Writes for Options {
    fn files(&self) -> Files {
        let mask = match &self.problem {
            Problem::Inpaint(mask) => Some(mask),
            _ => None,
        };
        restored_files([&self.input].into_iter().chain(mask).chain(&self.like), &self.output)
    }
}

impl OfScan for Options {
    fn paths(&mut self) -> [&mut PathBuf; 2] {
        [&mut self.input, &mut self.output]
    }
}

/// What is read, and a restored image with what lies beside it.
pub(super) fn restored_files<'a>(read: impl Iterator<Item = &'a PathBuf>, output: &Path) -> Files {
    let images = BESIDE.map(|kind| beside(output, kind));
    Files::reading(read).writing(output).writing_all(images).recording(sidecar::path(output))
}

/// Scan → case → network → image, with the classical baseline, the null-space component and a record.
///
/// # Errors
/// [`Error::Io`] or [`Error::File`] for scan, mask, weights and outputs; as [`Restorer::restore`]; [`Error::Device`];
/// [`Error::Cancelled`].
pub fn restore(options: &Options, progress: &Progress) -> Result<Outcome> {
    let Options { input, output, problem, weights, keep_spacing, like, consistency, anatomy, device, read } =
        options;
    let scan = scan::read(input, read)?;
    let problem = problem.clone().with_mask(|mask| {
        let mask = if scan::is_folder(&mask) { partner(&mask, input)? } else { mask };
        scan::read(mask, read)
    })?;
    let like = like.as_ref().map(|like| scan::read(like, read)).transpose()?;
    progress.check()?;
    let open = match problem {
        Problem::Translate { backward: true } => Restorer::open_backward,
        _ => Restorer::open,
    };
    let restorer =
        open(weights.as_deref().unwrap_or(problem.head()), *device)?.keeping_spacing(*keep_spacing);
    progress.check()?;
    let mut restored = restorer.restore(&scan, &problem, *consistency)?;
    if let Some(like) = &like {
        restored = restored.on_grid(&Grid::of(like));
    }
    progress.check()?;
    let (head, details) = (problem.head(), Value::Null);
    let synthetic = problem.is_synthetic();
    let found =
        Found { head, name: restorer.name, maker: "Network", restored, device: *device, synthetic, details };
    write(found, output, anatomy.then_some(*device), progress)
}

/// A scan as networks take it: RAS+, without what is no signal, the brightest tissue one; and the way back.
pub(super) struct Scan {
    /// `[1, D, H, W]`, along RAS+.
    pub volume: Volume,
    /// From the scan's values to the network's.
    intensity: IntensityMap,
    /// The least value, as the network sees it and in the scan.
    air: [f32; 2],
    pub original: Orientation,
}

impl Scan {
    /// A volume along RAS+ that lay along `original`, for a network of this normalisation.
    ///
    /// # Errors
    /// [`Error::Value`] for a volume without contrast.
    pub fn new(volume: Volume, original: Orientation, normalisation: &Normalisation) -> Result<Self> {
        let volume = without_outliers(volume);
        let IntensityMap { scale, offset, .. } = IntensityMap::fit(&volume, normalisation)?;
        // From 0 to 1 and beyond: nothing more is cut off.
        let intensity = IntensityMap { scale: 0.5 * scale, offset: 0.5 * (offset + 1.0), clip: None };
        let least = |volume: &Volume| volume.data.iter().copied().fold(f32::INFINITY, f32::min);
        let in_scan = least(&volume);
        let mut volume = intensity.apply(volume);
        let seen = least(&volume);
        if seen.abs() < ROUNDING {
            // Air is zero to the bit.
            volume.data.mapv_inplace(|x| if x == seen { 0.0 } else { x });
        }
        let air = [least(&volume), in_scan];
        Ok(Self { volume, intensity, air, original })
    }

    /// An image of the network on `grid`, in the scan's values and orientation. Air is the scan's to the bit.
    pub fn back(&self, image: Array4<f32>, grid: &Grid, step: &str) -> Volume {
        let air = image.mapv(|x| x == self.air[0]);
        let provenance = self.volume.provenance.clone();
        let volume = Volume { data: image, affine: grid.affine, provenance }.with_step(step);
        let mut volume = self.intensity.invert(volume);
        volume.data.zip_mut_with(&air, |x, &air| *x = if air { self.air[1] } else { *x });
        from_ras(volume, &self.original)
    }

    /// As [`Self::back`] for a difference of images: the scale of intensities is undone, not the offset.
    pub fn back_difference(&self, image: Array4<f32>, grid: &Grid) -> Volume {
        let scale = self.intensity.scale as f32;
        let provenance = self.volume.provenance.clone();
        let volume = Volume { data: image.mapv(|x| x / scale), affine: grid.affine, provenance };
        from_ras(volume, &self.original)
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
    /// What computed it.
    pub device: Device,
    /// Whether the image shows anatomy that was not scanned.
    pub synthetic: bool,
    /// What else goes into the record.
    pub details: Value,
}

/// Writes OUT, with the classical baseline, the null-space component and a record, with the brain's volumes before and
/// after where a device to measure them on is given.
pub(super) fn write(
    found: Found,
    output: &Path,
    measures: Option<Device>,
    progress: &Progress,
) -> Result<Outcome> {
    let Found { head, name, maker, restored, device, synthetic, details } = found;
    let Restoration { image, baseline, null_space, null_space_share, residuals } = restored;
    let mut record = json!({
        "Restored": true,
        "Head": head,
        "Weights": name,
        "Source": image.provenance.source,
        "Steps": image.provenance.steps,
        "NullSpaceShare": null_space_share,
        "Device": device.name()?,
        "VoxganVersion": env!("CARGO_PKG_VERSION"),
    });
    if let Some([baseline, made, result]) = residuals {
        record["DataResidual"] = json!({ "Baseline": baseline, maker: made, "Result": result });
    }
    if synthetic {
        record["Synthetic"] = true.into();
    }
    let mut record = sidecar::joined(record, details);
    let (dims, spacing_mm) = (image.dims(), image.spacing_mm());
    let description = match synthetic {
        true => format!("SYNTHETIC voxgan {} {head}", env!("CARGO_PKG_VERSION")),
        false => format!("voxgan {head}"),
    };
    nifti::write(output, &image, &WriteOptions { description, ..WriteOptions::default() })?;
    let [of_baseline, of_null_space] = BESIDE.map(|kind| beside(output, kind));
    save(&of_baseline, &baseline, "classical baseline")?;
    save(&of_null_space, &null_space, "null-space component")?;
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

/// The images beside a restored one: the classical baseline, and what the measurement does not determine.
pub(super) const BESIDE: [&str; 2] = ["baseline", "nullspace"];

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

/// The name of the image of `kind` beside `output`: `scan.nii.gz` → `scan_baseline.nii.gz`.
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

/// The inverse of [`along_ras`].
fn along_scan(factor: [usize; 3], original: &Orientation) -> [usize; 3] {
    let mut along = [1; 3];
    for world in 0..3 {
        along[original.voxel_axis(world)] = factor[2 - world];
    }
    along
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
