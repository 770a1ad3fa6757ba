//! `voxgan simulate`: volumes as a scanner would have spoilt them, and phantoms.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use serde::Deserialize;
use serde_json::{Value, json};

use super::numbers::{AxisName, range, three};
use crate::error::{Error, Result};
use crate::io::masks;
use crate::io::nifti::{self, DataType, WriteOptions};
use crate::io::npy;
use crate::mri::degrade::{
    Applied, Component, Degradation, Distribution, MaskRuns, NoiseLevel, ProfileShape, RandomBiasField,
    RandomGhosting, RandomMotion, RandomNoise, RandomSpikes, RandomThickSlices, RandomUndersampling, Record,
    Sampling, ShotOrder, replay, simulate,
};
use crate::mri::phantom::{BrainPhantom, Contrast, Ellipsoids, centred_grid};
use crate::mri::sampling::Axis;
use crate::pipeline::records::Records;
use crate::pipeline::sidecar;
use crate::volume::Volume;
use crate::volume::resample::Interpolation;

/// Degrade a volume as a scanner would, or make a phantom.
///
/// What is drawn lies within the ranges that the options give, LOW,HIGH or one number; the JSON beside OUT records the
/// numbers drawn, and `simulate replay` applies them again. OUT says that it is synthetic.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Clone, Debug, Subcommand)]
enum Kind {
    /// Measure k-space at the places of a mask only
    Undersample(Undersample),
    /// Move the head between the shots of the acquisition
    Motion(Motion),
    /// Add ghosts along an axis
    Ghosting(Ghosting),
    /// Add spikes to k-space
    Spikes(Spikes),
    /// Multiply by a smooth field
    BiasField(BiasField),
    /// Add the receiver's noise
    Noise(Noise),
    /// Measure slices thicker than the voxels
    ThickSlices(ThickSlices),
    /// Apply the degradations of a recipe one after the other
    Chain(Chain),
    /// Apply what a record says once more
    Replay(Replay),
    /// Make a phantom
    Phantom(Phantom),
}

#[derive(Clone, Debug, clap::Args)]
struct Files {
    /// The volume (.nii, .nii.gz, .hdr with .img)
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The degraded volume, .nii or .nii.gz; its record goes beside it, .json
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// Where random draws start
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
}

#[derive(Clone, Debug, clap::Args)]
struct Undersample {
    #[command(flatten)]
    files: Files,
    /// The mask (.npy, .mat, .png, .tif), such as `voxgan mask` writes: of the volume's shape, or one slice for all
    #[arg(long, value_name = "FILE")]
    mask: PathBuf,
    #[arg(long, value_enum, default_value_t = ComponentName::Magnitude)]
    component: ComponentName,
}

#[derive(Clone, Debug, clap::Args)]
struct Motion {
    #[command(flatten)]
    files: Files,
    /// How often the head moves
    #[arg(long, value_name = "N", default_value_t = 2)]
    moves: usize,
    /// Angles about each axis in degrees
    #[arg(long, value_name = "RANGE", default_value = "-10,10", value_parser = range::<f64>, allow_hyphen_values = true)]
    rotation_deg: [f64; 2],
    /// Shifts along each axis in millimetres
    #[arg(long, value_name = "RANGE", default_value = "-10,10", value_parser = range::<f64>, allow_hyphen_values = true)]
    translation_mm: [f64; 2],
    /// By how much of a step the moves come earlier or later
    #[arg(long, value_name = "PART", default_value_t = 0.3)]
    jitter: f64,
    /// Phase-encoding axes to choose from
    #[arg(long, value_name = "AXES", value_enum, value_delimiter = ',', default_value = "w,h,d")]
    axes: Vec<AxisName>,
    /// Interleave the planes of k-space in so many shots; by default they are measured in order
    #[arg(long, value_name = "SHOTS")]
    interleaved: Option<usize>,
    #[arg(long, value_enum, default_value_t = ComponentName::Magnitude)]
    component: ComponentName,
    /// Also write the samples, with DC in the middle: with the record, what `voxgan recon --shots` takes
    #[arg(long, value_name = "FILE.npy")]
    kspace: Option<PathBuf>,
}

#[derive(Clone, Debug, clap::Args)]
struct Ghosting {
    #[command(flatten)]
    files: Files,
    /// Number of ghosts
    #[arg(long, value_name = "RANGE", default_value = "4,10", value_parser = range::<usize>)]
    ghosts: [usize; 2],
    /// Strength: 0 is none, 1 loses the planes of k-space
    #[arg(long, value_name = "RANGE", default_value = "0.5,1", value_parser = range::<f64>)]
    strength: [f64; 2],
    /// Part of k-space about its centre that is left as it is
    #[arg(long, value_name = "RANGE", default_value = "0.02", value_parser = range::<f64>)]
    restored: [f64; 2],
    /// Axes to choose from
    #[arg(long, value_name = "AXES", value_enum, value_delimiter = ',', default_value = "w,h,d")]
    axes: Vec<AxisName>,
    #[arg(long, value_enum, default_value_t = ComponentName::Magnitude)]
    component: ComponentName,
}

#[derive(Clone, Debug, clap::Args)]
struct Spikes {
    #[command(flatten)]
    files: Files,
    /// Number of spikes
    #[arg(long, value_name = "RANGE", default_value = "1", value_parser = range::<usize>)]
    count: [usize; 2],
    /// Height, in the greatest modulus of k-space
    #[arg(long, value_name = "RANGE", default_value = "1,3", value_parser = range::<f64>, allow_hyphen_values = true)]
    strength: [f64; 2],
    #[arg(long, value_enum, default_value_t = ComponentName::Magnitude)]
    component: ComponentName,
}

#[derive(Clone, Debug, clap::Args)]
struct BiasField {
    #[command(flatten)]
    files: Files,
    /// Order of the polynomial
    #[arg(long, value_name = "N", default_value_t = 3)]
    order: usize,
    /// Each of its coefficients
    #[arg(long, value_name = "RANGE", default_value = "-0.5,0.5", value_parser = range::<f64>, allow_hyphen_values = true)]
    coefficient: [f64; 2],
}

#[derive(Clone, Debug, clap::Args)]
struct Noise {
    #[command(flatten)]
    files: Files,
    /// Mean of the foreground over the noise's standard deviation
    #[arg(long, value_name = "RANGE", default_value = "10,40", value_parser = range::<f64>, conflicts_with = "sigma")]
    snr: [f64; 2],
    /// Standard deviation in the volume's own units, instead
    #[arg(long, value_name = "RANGE", value_parser = range::<f64>)]
    sigma: Option<[f64; 2]>,
    /// Rician, as in magnitudes, or Gaussian
    #[arg(long, value_enum, default_value_t = DistributionName::Rician)]
    distribution: DistributionName,
}

#[derive(Clone, Debug, clap::Args)]
struct ThickSlices {
    #[command(flatten)]
    files: Files,
    /// Thickness of a slice
    #[arg(long, value_name = "RANGE", default_value = "3,6", value_parser = range::<f64>)]
    thickness_mm: [f64; 2],
    /// Gap between slices
    #[arg(long, value_name = "RANGE", default_value = "0", value_parser = range::<f64>)]
    gap_mm: [f64; 2],
    /// What a slice weighs across its thickness
    #[arg(long, value_enum, default_value_t = ShapeName::Boxcar)]
    profile: ShapeName,
    /// Axes across the slices to choose from
    #[arg(long, value_name = "AXES", value_enum, value_delimiter = ',', default_value = "d")]
    axes: Vec<AxisName>,
    /// Resample the slices on the volume's own grid
    #[arg(long)]
    back: bool,
}

#[derive(Clone, Debug, clap::Args)]
struct Chain {
    /// A TOML file with a [[degradation]] table for each, its `kind` and ranges
    #[arg(value_name = "RECIPE")]
    recipe: PathBuf,
    #[command(flatten)]
    files: Files,
}

#[derive(Clone, Debug, clap::Args)]
struct Replay {
    /// The record that lies beside a degraded volume
    #[arg(value_name = "RECORD")]
    record: PathBuf,
    /// The volume that was degraded
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The degraded volume, .nii or .nii.gz
    #[arg(value_name = "OUT")]
    output: PathBuf,
}

#[derive(Clone, Debug, clap::Args)]
struct Phantom {
    /// The phantom, .nii or .nii.gz; what it is made of goes beside it, .json
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// What it shows
    #[arg(long, value_enum, default_value_t = PhantomName::Brain)]
    of: PhantomName,
    /// Voxels left to right, back to front and bottom to top; W,H,1 for a slice
    #[arg(long, value_name = "W,H,D", default_value = "160,192,160", value_parser = three::<usize>)]
    shape: [usize; 3],
    /// Size of a voxel in mm
    #[arg(long, value_name = "MM,MM,MM", default_value = "1,1,1", value_parser = three::<f64>)]
    spacing_mm: [f64; 3],
    /// How the brain's tissues appear
    #[arg(long, value_enum, default_value_t = ContrastName::T1)]
    contrast: ContrastName,
    /// Size of the head
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    head_scale: f64,
    /// Width of the ventricles
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    ventricle_scale: f64,
    /// The pattern of the brain's folds
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
}

/// A name on the command line for each value of another type.
macro_rules! names {
    ($name:ident for $of:ty: $($variant:ident => $value:expr),+) => {
        #[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
        enum $name {
            $($variant),+
        }

        impl From<$name> for $of {
            fn from(name: $name) -> Self {
                match name {
                    $($name::$variant => $value),+
                }
            }
        }
    };
}

names!(ComponentName for Component: Magnitude => Component::Magnitude, Real => Component::Real);
names!(DistributionName for Distribution: Rician => Distribution::Rician, Gaussian => Distribution::Gaussian);
names!(ShapeName for ProfileShape: Boxcar => ProfileShape::Boxcar, Gaussian => ProfileShape::Gaussian);
names!(ContrastName for Contrast: T1 => Contrast::T1, T2 => Contrast::T2, Pd => Contrast::Pd);

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum PhantomName {
    /// A head with folded cortex
    Brain,
    /// The brain's FreeSurfer labels
    Labels,
    /// The Shepp-Logan ellipsoids of Koay 2007; ellipses in a slice
    SheppLogan,
}

/// A recipe: `[[degradation]]` tables.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipe {
    degradation: Vec<Degradation>,
}

/// Volume → degradation → volume and record.
///
/// # Errors
/// What is wrong with the files or the ranges; see [`simulate`].
pub fn run(args: Args) -> Result<()> {
    let (degradation, files) = match args.kind {
        Kind::Phantom(args) => return phantom(&args),
        Kind::Replay(args) => return again(&args),
        Kind::Chain(Chain { recipe, files }) => return degrade(&read_recipe(&recipe)?, &files),
        Kind::Undersample(Undersample { files, mask, component }) => {
            let runs = MaskRuns::from(&masks::read(&mask)?.sampled);
            let sampling = Sampling::Mask(runs);
            let random = RandomUndersampling { sampling, seed: None, component: component.into() };
            (Degradation::Undersampling(random), files)
        }
        Kind::Motion(args) => {
            let order =
                args.interleaved.map_or(ShotOrder::Sequential, |shots| ShotOrder::Interleaved { shots });
            let random = RandomMotion {
                moves: args.moves,
                rotation_deg: args.rotation_deg,
                translation_mm: args.translation_mm,
                jitter: args.jitter,
                axes: axes(&args.axes),
                order,
                component: args.component.into(),
            };
            let degradation = [Degradation::Motion(random)];
            let volume = nifti::read(&args.files.input)?;
            let records = degrade_volume(&volume, &degradation, &args.files)?;
            let (Some(path), Some(Applied::Motion(motion))) =
                (&args.kspace, records.first().map(|record| &record.applied))
            else {
                return Ok(());
            };
            return npy::write_complex(path, motion.kspace(&volume)?.view().into_dyn());
        }
        Kind::Ghosting(args) => {
            let random = RandomGhosting {
                ghosts: args.ghosts,
                strength: args.strength,
                restored: args.restored,
                axes: axes(&args.axes),
                component: args.component.into(),
            };
            (Degradation::Ghosting(random), args.files)
        }
        Kind::Spikes(Spikes { files, count, strength, component }) => {
            (Degradation::Spikes(RandomSpikes { count, strength, component: component.into() }), files)
        }
        Kind::BiasField(BiasField { files, order, coefficient }) => {
            (Degradation::BiasField(RandomBiasField { order, coefficient }), files)
        }
        Kind::Noise(Noise { files, snr, sigma, distribution }) => {
            let level = sigma.map_or(NoiseLevel::Snr(snr), NoiseLevel::Sigma);
            (Degradation::Noise(RandomNoise { distribution: distribution.into(), level }), files)
        }
        Kind::ThickSlices(args) => {
            let random = RandomThickSlices {
                thickness_mm: args.thickness_mm,
                gap_mm: args.gap_mm,
                shape: args.profile.into(),
                axes: axes(&args.axes),
                back: args.back.then_some(Interpolation::Cubic),
            };
            (Degradation::ThickSlices(random), args.files)
        }
    };
    degrade(&[degradation], &files)
}

fn axes(names: &[AxisName]) -> Vec<Axis> {
    names.iter().map(|&name| name.into()).collect()
}

fn degrade(chain: &[Degradation], files: &Files) -> Result<()> {
    degrade_volume(&nifti::read(&files.input)?, chain, files).map(|_| ())
}

/// What was applied.
fn degrade_volume(volume: &Volume, chain: &[Degradation], files: &Files) -> Result<Vec<Record>> {
    let simulated = simulate(volume, chain, files.seed)?;
    for record in &simulated.records {
        if let Some(energy) = record.displaced_energy {
            println!("displaced k-space energy  {:.4} %", 100.0 * energy);
        }
    }
    let records = Records { records: simulated.records };
    write(&files.output, &files.input, &simulated.volume, json!({ "Seed": files.seed }), &records)?;
    Ok(records.records)
}

fn again(args: &Replay) -> Result<()> {
    let Records { records } = Records::read(&args.record)?;
    let degraded = replay(&nifti::read(&args.input)?, &records)?;
    write(&args.output, &args.input, &degraded, json!({}), &Records { records })
}

fn read_recipe(path: &Path) -> Result<Vec<Degradation>> {
    let text = fs::read_to_string(path).map_err(|source| Error::io(path, "read the recipe", source))?;
    let recipe: Recipe = toml::from_str(&text).map_err(|error| {
        let found = error.message().to_string();
        Error::file(path, "recipe", "[[degradation]] tables", found, "see the guide for kinds and ranges")
    })?;
    Ok(recipe.degradation)
}

/// Writes a degraded volume and its record.
fn write(output: &Path, input: &Path, volume: &Volume, details: Value, records: &Records) -> Result<()> {
    let source = input.file_name().map(|name| name.to_string_lossy().into_owned());
    let mut details = details;
    details["Source"] = json!(source);
    details["Records"] = json!(records.records);
    save(output, volume, DataType::F32, "degraded", details)
}

fn phantom(args: &Phantom) -> Result<()> {
    if !args.spacing_mm.iter().all(|&mm| mm > 0.0 && mm.is_finite()) || args.shape.contains(&0) {
        let found = format!("{:?} voxels of {:?} mm", args.shape, args.spacing_mm);
        return Err(Error::value("--shape, --spacing-mm", "numbers above zero", found, "correct them"));
    }
    let grid = centred_grid(args.shape, args.spacing_mm);
    let (head_scale, ventricle_scale, seed) = (args.head_scale, args.ventricle_scale, args.seed);
    let brain = BrainPhantom { head_scale, ventricle_scale, seed };
    let (volume, data_type) = match args.of {
        PhantomName::Brain => (brain.volume(&grid, args.contrast.into())?, DataType::F32),
        PhantomName::Labels => (brain.labels(&grid)?, DataType::I16),
        PhantomName::SheppLogan => {
            let side_mm = (0..3).map(|a| args.shape[a] as f64 * args.spacing_mm[a]).fold(0.0, f64::max);
            let planar = args.shape[2] == 1;
            let phantom =
                if planar { Ellipsoids::shepp_logan_2d } else { Ellipsoids::shepp_logan_3d }(side_mm);
            let volume = phantom.volume(&grid)?;
            return save(&args.output, &volume, DataType::F32, "phantom", json!({ "Ellipsoids": phantom }));
        }
    };
    let volumes_ml: serde_json::Map<String, Value> =
        brain.volumes_ml()?.into_iter().map(|(tissue, ml)| (format!("{tissue:?}"), json!(ml))).collect();
    save(&args.output, &volume, data_type, "phantom", json!({ "Phantom": brain, "VolumesMl": volumes_ml }))
}

/// Writes `volume` and, beside it, what `details` say of it.
fn save(path: &Path, volume: &Volume, data_type: DataType, what: &str, details: Value) -> Result<()> {
    let description = format!("SYNTHETIC voxgan {} {what}", env!("CARGO_PKG_VERSION"));
    nifti::write(path, volume, &WriteOptions { data_type, description })?;
    let mut record = json!({
        "Synthetic": true,
        "GeneratedBy": [{"Name": "voxgan", "Version": env!("CARGO_PKG_VERSION")}],
        "Steps": volume.provenance.steps,
    });
    if let (Some(record), Value::Object(details)) = (record.as_object_mut(), details) {
        record.extend(details);
    }
    sidecar::write(path, &record)?;
    println!("{}", path.display());
    Ok(())
}
