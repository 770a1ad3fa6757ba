//! Commands of the heads: a file and trained weights become a restored image, with what it rests on beside it.

pub mod inpaint;
pub mod motion;
pub mod prior;
pub mod progress;
pub mod superres;
pub mod translate;

use std::path::{Path, PathBuf};

use ndarray::{Array4, s};
use serde_json::{Value, json};

use crate::anatomy::volumes::Volumes;
use crate::config::RestorationRecipe;
use crate::error::{Error, Result};
use crate::heads::{Case, Restored, blocks, restore};
use crate::io::nifti::{self, WriteOptions};
use crate::pipeline::sidecar;
use crate::pipeline::{Device, Segmenter, on_device};
use crate::pretrained::TrainedRestorer;
use crate::volume::Volume;
use crate::volume::intensity::{IntensityMap, Normalisation};
use crate::volume::orientation::{Orientation, from_ras, to_ras};
use crate::volume::resample::Grid;

/// Regions whose change is told.
const TOLD: [&str; 4] = ["brain", "lateral_ventricles", "cerebral_cortex", "cerebral_white_matter"];

/// How the scale of a scan is found: as `voxgan prepare` does by default.
const NORMALISATION: Normalisation = Normalisation::Percentile { low: 0.0, high: 99.9 };

/// What all heads ask for.
#[derive(Clone, Debug, clap::Args)]
pub struct RestoreArgs {
    /// Where to compute: cpu, cuda, cuda:N
    #[arg(long, default_value_t)]
    device: Device,
    /// How far the result is held to what was measured: exact, none, or a number v that weighs v samples of the measurement
    /// against one of the network, for noisy ones
    #[arg(long, value_name = "exact|none|V", default_value = "exact", value_parser = parse_consistency)]
    consistency: f64,
    /// Do not compare the brain's volumes before and after
    #[arg(long)]
    no_anatomy: bool,
    /// By the network of the way back; set by the command that has one.
    #[arg(skip)]
    backward: bool,
}

/// A scan as networks take it: RAS+, the brightest tissue one; and the way back.
struct Scan {
    /// `[1, D, H, W]`, along RAS+.
    volume: Volume,
    /// From the scan's values to the network's.
    intensity: IntensityMap,
    original: Orientation,
}

impl Scan {
    fn read(path: &Path) -> Result<Self> {
        let (volume, original) = oriented(path)?;
        Self::of(path, volume, original)
    }

    /// A volume along RAS+ that was read from `path`, where it lay along `original`.
    fn of(path: &Path, volume: Volume, original: Orientation) -> Result<Self> {
        let intensity =
            IntensityMap::fit(&volume, &NORMALISATION).map_err(|e| crate::config::in_file(e, path))?;
        // From 0 to 1 and beyond: nothing is cut off.
        let intensity =
            IntensityMap { scale: 0.5 * intensity.scale, offset: 0.5 * (intensity.offset + 1.0), clip: None };
        Ok(Self { volume: intensity.apply(volume), intensity, original })
    }

    /// An image of the network on `grid`, in the scan's values and orientation.
    fn back(&self, image: Array4<f32>, grid: &Grid, step: &str) -> Volume {
        let provenance = self.volume.provenance.clone();
        let volume = Volume { data: image, affine: grid.affine, provenance }.with_step(step);
        from_ras(self.intensity.invert(volume), &self.original)
    }

    /// The same of a difference of images, which has no offset.
    fn back_difference(&self, image: Array4<f32>, grid: &Grid) -> Volume {
        let scale = self.intensity.scale as f32;
        from_ras(Volume::new(image.mapv(|x| x / scale), grid.affine), &self.original)
    }
}

/// The scan of a file along RAS+, and how it lay.
fn oriented(path: &Path) -> Result<(Volume, Orientation)> {
    let volume = nifti::read(path)?;
    if volume.channels() != 1 {
        let (found, advice) = (format!("{}", volume.channels()), "give one frame");
        return Err(Error::file(path, "channels", "one", found, advice));
    }
    Ok(to_ras(volume))
}

/// From the command's own case to files: OUT, and beside it the classical floor, what was added, and a record.
fn run(
    args: &RestoreArgs,
    weights: &str,
    head: &str,
    output: &Path,
    scan: &Scan,
    grid: &Grid,
    case: impl Fn(&RestorationRecipe) -> Result<Case>,
) -> Result<()> {
    let (name, restored, start) = on_device!(args.device, |B, device| {
        let open = if args.backward { TrainedRestorer::open_backward } else { TrainedRestorer::open };
        let trained: TrainedRestorer<B> = open(weights, &device)?;
        let case = case(&trained.recipe).map_err(|e| in_weights(e, weights))?;
        let found = restore(&trained.network, &case, blocks(&trained.recipe), args.consistency, &device)?;
        Ok::<_, Error>((trained.name, found, case.start))
    })?;
    let found = Found { head, name, maker: "Network", restored, start, details: Value::Null };
    write(args, found, output, scan, grid)
}

/// A result and where it comes from.
struct Found<'a> {
    head: &'a str,
    /// What made it, with the SHA-256 of its weights.
    name: String,
    /// What that is in a word, as a key of the record.
    maker: &'a str,
    restored: Restored,
    /// The classical floor, `[C, D, H, W]`.
    start: Array4<f32>,
    /// What else goes into the record.
    details: Value,
}

/// Writes OUT, and beside it the classical floor, what was added, and a record.
fn write(args: &RestoreArgs, found: Found, output: &Path, scan: &Scan, grid: &Grid) -> Result<()> {
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
    println!("not determined by the measurement: {:.2} % of the image's norm", 100.0 * share);
    if let Some([start, made, result]) = residuals {
        record["DataResidual"] = json!({ "Floor": start, maker: made, "Result": result });
        let maker = maker.to_lowercase();
        println!("data residual: floor {start:.2e}, {maker} {made:.2e}, result {result:.2e}");
    }
    if let (Some(record), Value::Object(details)) = (record.as_object_mut(), details) {
        record.extend(details);
    }
    if !args.no_anatomy && grid.dims.iter().all(|&length| length > 1) {
        record["Anatomy"] = anatomy(&floor, &restored, args.device)?;
    }
    let options =
        |what: &str| WriteOptions { description: format!("voxgan {what}"), ..WriteOptions::default() };
    nifti::write(output, &restored, &options(head))?;
    nifti::write(beside(output, "floor"), &floor, &options("classical floor"))?;
    nifti::write(beside(output, "added"), &added, &options("not determined by the measurement"))?;
    sidecar::write(output, &record)?;
    println!("{}: {:?} voxels of {:.3?} mm", output.display(), restored.dims(), restored.spacing_mm());
    Ok(())
}

/// Volumes of the brain in the floor and in the result.
pub(super) fn anatomy(floor: &Volume, restored: &Volume, device: Device) -> Result<Value> {
    let segmenter = Segmenter::embedded(device)?;
    let of = |volume: &Volume| {
        Ok::<_, Error>(Volumes::of("", &segmenter.segment(volume)?, Some(&Grid::of(volume))))
    };
    let (before, after) = (of(floor)?, of(restored)?);
    let mut told = serde_json::Map::new();
    for name in TOLD {
        let ml = |volumes: &Volumes| volumes.region(name).map_or(f64::NAN, |region| region.volume_ml);
        let (before, after) = (ml(&before), ml(&after));
        println!("{name}: {before:.1} ml in the floor, {after:.1} ml restored");
        told.insert(name.into(), json!({ "FloorMl": before, "RestoredMl": after }));
    }
    Ok(json!({ "Segmenter": segmenter.name, "Volumes": told }))
}

/// The file of this kind beside `output`: `scan.nii.gz` → `scan_floor.nii.gz`.
pub(super) fn beside(output: &Path, kind: &str) -> PathBuf {
    let name = output.to_string_lossy();
    for ending in [".nii.gz", ".nii"] {
        if let Some(stem) = name.strip_suffix(ending) {
            return format!("{stem}_{kind}{ending}").into();
        }
    }
    format!("{name}_{kind}.nii.gz").into()
}

/// Weights that are not of this head.
fn other_head(head: &str) -> Error {
    Error::value("head", head, "another head's weights", format!("give weights of {head}"))
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

/// How far results go towards the measurement: `exact`, `none`, or v as v/(1 + v).
pub fn parse_consistency(text: &str) -> std::result::Result<f64, String> {
    match text {
        "exact" => Ok(1.0),
        "none" => Ok(0.0),
        _ => match text.parse::<f64>() {
            Ok(v) if v >= 0.0 && v.is_finite() => Ok(v / (1.0 + v)),
            _ => Err("expected exact, none or a number of 0 or more".into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beside_the_output_says_what_it_is() {
        assert_eq!(beside(Path::new("a/b.nii.gz"), "floor"), Path::new("a/b_floor.nii.gz"));
        assert_eq!(beside(Path::new("a/b.nii"), "added"), Path::new("a/b_added.nii"));
    }

    #[test]
    fn consistency_is_a_weight() {
        assert_eq!(parse_consistency("exact"), Ok(1.0));
        assert_eq!(parse_consistency("none"), Ok(0.0));
        assert_eq!(parse_consistency("3"), Ok(0.75));
        assert!(parse_consistency("-1").is_err() && parse_consistency("much").is_err());
    }
}
