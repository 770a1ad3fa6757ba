//! `voxgan simulate`: volumes as a scanner would have spoilt them, and phantoms.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use super::files::{ForceArgs, ReadArgs};
use super::numbers::{AxisName, range, three};
use super::sampling::PRINTED;
use crate::acquisition::sampling::Axis;
use crate::error::Result;
use crate::pipeline::Progress;
use crate::pipeline::phantom::{self, Shown};
use crate::pipeline::simulate::{Options, Replayed, recipe, replay, simulate, undersampling};
use crate::simulate::degrade::{
    Component, Degradation, Distribution, NoiseLevel, ProfileShape, RandomBiasField, RandomGhosting,
    RandomMotion, RandomNoise, RandomSpikes, RandomThickSlices, ShotOrder,
};
use crate::simulate::phantom::{BrainPhantom, Contrast};
use crate::volume::resample::Interpolation;

/// Degrade a volume as a scanner would, or make a phantom.
///
/// What is drawn lies within the ranges that the options give, LOW,HIGH or one number; the JSON beside OUT records the
/// numbers drawn, and `simulate replay` applies them again. OUT says that it is synthetic.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum Kind {
    #[command(flatten)]
    Degrade(Degrading),
    /// Apply what a record says once more
    Replay(Replay),
    /// Make a phantom
    Phantom(Phantom),
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum Degrading {
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
}

#[derive(Clone, Debug, clap::Args)]
struct Files {
    /// The volume (NIfTI, MGH, NRRD, MetaImage)
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The degraded volume, .nii or .nii.gz; its record goes beside it, .json
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// Where random draws start
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    force: ForceArgs,
}

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Undersample {
    #[command(flatten)]
    files: Files,
    /// The mask (.npy, .mat, .png, .tif), such as `voxgan mask` writes: of the volume's shape, or one slice for all
    #[arg(long, value_name = "FILE")]
    mask: PathBuf,
    #[arg(long, value_enum, default_value_t = ComponentName::Magnitude)]
    component: ComponentName,
}

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Motion {
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
pub(super) struct Ghosting {
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
pub(super) struct Spikes {
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
pub(super) struct BiasField {
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
pub(super) struct Noise {
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
pub(super) struct ThickSlices {
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
pub(super) struct Chain {
    /// A TOML file with a [[degradation]] table for each, its `kind` and ranges
    #[arg(value_name = "RECIPE")]
    recipe: PathBuf,
    #[command(flatten)]
    files: Files,
}

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Replay {
    /// The record that lies beside a degraded volume
    #[arg(value_name = "RECORD")]
    record: PathBuf,
    /// The volume that was degraded
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The degraded volume, .nii or .nii.gz
    #[arg(value_name = "OUT")]
    output: PathBuf,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    force: ForceArgs,
}

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Phantom {
    /// The phantom, .nii or .nii.gz; what it is made of goes beside it, .json
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// What it shows
    #[arg(long, value_enum, default_value_t = Shown::Brain)]
    of: Shown,
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
    #[command(flatten)]
    force: ForceArgs,
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

/// Degrades, or makes a phantom.
///
/// # Errors
/// Those of [`simulate`], [`replay`] and [`phantom`].
pub fn run(args: Args) -> Result<()> {
    match args.kind {
        Kind::Phantom(args) => {
            let (force, options) = (args.force, args.into());
            force.check(&options)?;
            make(&options)
        }
        Kind::Replay(Replay { record, input, output, read, force }) => {
            let replayed = Replayed { record, input, output, read: read.into() };
            force.check(&replayed)?;
            replay(&replayed, &PRINTED).map(|_| ())
        }
        Kind::Degrade(degrading) => {
            let force = degrading.files().force;
            let options = degrading.options()?;
            force.check(&options)?;
            degrade(&options)
        }
    }
}

/// Makes a phantom.
///
/// # Errors
/// Those of [`phantom`].
pub fn make(options: &phantom::Options) -> Result<()> {
    phantom::phantom(options, &PRINTED).map(|_| ())
}

/// Degrades a volume, and says what was drawn and how much of its k-space was displaced.
///
/// # Errors
/// Those of [`simulate`].
pub fn degrade(options: &Options) -> Result<()> {
    let simulated = simulate(options, &Progress::default())?;
    // What was drawn, a step a degradation.
    let steps = &simulated.volume.provenance.steps;
    let first = steps.len().saturating_sub(simulated.records.len());
    steps[first..].iter().for_each(|step| println!("{step}"));
    for energy in simulated.records.iter().filter_map(|record| record.displaced_energy) {
        println!("displaced k-space energy  {:.4} %", 100.0 * energy);
    }
    println!("{}", options.output.display());
    Ok(())
}

impl From<Phantom> for phantom::Options {
    fn from(args: Phantom) -> Self {
        let Phantom { output, of, shape, spacing_mm, contrast, head_scale, ventricle_scale, seed, .. } = args;
        let brain = BrainPhantom { head_scale, ventricle_scale, seed };
        Self { output, of, shape, spacing_mm, contrast: contrast.into(), brain }
    }
}

impl Degrading {
    fn files(&self) -> &Files {
        match self {
            Self::Undersample(Undersample { files, .. })
            | Self::Motion(Motion { files, .. })
            | Self::Ghosting(Ghosting { files, .. })
            | Self::Spikes(Spikes { files, .. })
            | Self::BiasField(BiasField { files, .. })
            | Self::Noise(Noise { files, .. })
            | Self::ThickSlices(ThickSlices { files, .. })
            | Self::Chain(Chain { files, .. }) => files,
        }
    }

    pub(super) fn options(self) -> Result<Options> {
        let mut kspace = None;
        let (degradation, files) = match self {
            Self::Undersample(Undersample { files, mask, component }) => {
                (undersampling(&mask, component.into())?, files)
            }
            Self::Motion(args) => {
                kspace = args.kspace;
                let random = RandomMotion {
                    moves: args.moves,
                    rotation_deg: args.rotation_deg,
                    translation_mm: args.translation_mm,
                    jitter: args.jitter,
                    axes: axes(&args.axes),
                    order: args
                        .interleaved
                        .map_or(ShotOrder::Sequential, |shots| ShotOrder::Interleaved { shots }),
                    component: args.component.into(),
                };
                (Degradation::Motion(random), args.files)
            }
            Self::Ghosting(args) => {
                let random = RandomGhosting {
                    ghosts: args.ghosts,
                    strength: args.strength,
                    restored: args.restored,
                    axes: axes(&args.axes),
                    component: args.component.into(),
                };
                (Degradation::Ghosting(random), args.files)
            }
            Self::Spikes(Spikes { files, count, strength, component }) => {
                (Degradation::Spikes(RandomSpikes { count, strength, component: component.into() }), files)
            }
            Self::BiasField(BiasField { files, order, coefficient }) => {
                (Degradation::BiasField(RandomBiasField { order, coefficient }), files)
            }
            Self::Noise(Noise { files, snr, sigma, distribution }) => {
                let level = sigma.map_or(NoiseLevel::Snr(snr), NoiseLevel::Sigma);
                (Degradation::Noise(RandomNoise { distribution: distribution.into(), level }), files)
            }
            Self::ThickSlices(args) => {
                let random = RandomThickSlices {
                    thickness_mm: args.thickness_mm,
                    gap_mm: args.gap_mm,
                    shape: args.profile.into(),
                    axes: axes(&args.axes),
                    back: args.back.then_some(Interpolation::Cubic),
                };
                (Degradation::ThickSlices(random), args.files)
            }
            Self::Chain(Chain { recipe: path, files }) => {
                return Ok(files.options(recipe(&path)?, None));
            }
        };
        Ok(files.options(vec![degradation], kspace))
    }
}

impl Files {
    fn options(self, cascade: Vec<Degradation>, kspace: Option<PathBuf>) -> Options {
        let Self { input, output, seed, read, .. } = self;
        Options { input, output, cascade, seed, kspace, read: read.into() }
    }
}

fn axes(names: &[AxisName]) -> Vec<Axis> {
    names.iter().map(|&name| name.into()).collect()
}
