//! `voxgan recon`: raw data becomes a volume by a classical method, or by a network.

use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::Value;

use super::files::{ForceArgs, ShardArgs, StrictArgs};
use super::raw::ImageArgs;
use super::restore::{changed, parse_consistency};
use super::sampling::PRINTED;
use crate::acquisition::coils::{EspiritOptions, Keep};
use crate::acquisition::image::Part;
use crate::error::{Error, Result};
use crate::io::dc::DcPlace;
use crate::io::raw::RawOptions;
use crate::pipeline::folder::Work;
use crate::pipeline::recon::{Maps, Method, Network, Options, Outcome, recon, too_noisy};
use crate::pipeline::{Device, Event, Progress};
use crate::pretrained::restorer;
use crate::recon::{Grappa, L1Wavelet, Method as Classical, Pocs, Sense, TotalVariation};

/// Reconstruct raw data by a classical method, or by a network.
///
/// Reads fastMRI and ISMRMRD files (.h5), BART's .cfl with its .hdr, and .npy arrays; writes NIfTI with the voxel size
/// and the place that the raw data tells, its readout's oversampling cut off, and a JSON record beside it.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The raw data, or a folder of raw data
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The image, .nii or .nii.gz; of a folder, another folder
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// How
    #[arg(long, value_enum, default_value_t = MethodName::ZeroFilled)]
    method: MethodName,
    /// Coil sensitivities: espirit, none (coil images are combined by their root sum of squares), or a file (.cfl, .npy)
    /// of the k-space's shape; by default none for zero-filled and grappa, espirit for the others
    #[arg(long, value_name = "espirit|none|FILE")]
    maps: Option<String>,
    /// Widest calibration region for ESPIRiT
    #[arg(long, value_name = "N", default_value_t = EspiritOptions::default().calibration[0])]
    calibration: usize,
    /// The most iterations, by default those of the method
    #[arg(long, value_name = "N")]
    iterations: Option<usize>,
    /// Weight of the regularisation relative to the data, by default that of the method
    #[arg(long, value_name = "WEIGHT")]
    lambda: Option<f64>,
    /// Compress to this many virtual coils, or to a share of the energy such as 0.95
    #[arg(long, value_name = "N|SHARE", value_parser = parse_keep)]
    compress: Option<Keep>,
    /// Leave the noise as it is, even if there is a noise scan
    #[arg(long)]
    no_whitening: bool,
    /// Keep only the samples of this mask (.png, .tif, .npy, .mat)
    #[arg(long, value_name = "MASK")]
    mask: Option<PathBuf>,
    /// The head moved, and this record tells how (the JSON of `voxgan simulate motion`, or one written like it): for
    /// zero-filled, sense, tv and network
    #[arg(long, value_name = "RECORD")]
    shots: Option<PathBuf>,
    /// What of the complex image to write
    #[arg(long, value_enum, default_value_t = PartName::Magnitude)]
    part: PartName,
    /// Voxel size in mm from left to right in the array, its rows and its slices, for files that do not tell it
    #[arg(long, value_name = "W,H,D", value_delimiter = ',', num_args = 1)]
    spacing_mm: Option<Vec<f64>>,
    /// .cfl and .npy: DC is at index 0 instead of the middle
    #[arg(long)]
    dc_in_corner: bool,
    /// .cfl and .npy: how many times the readout (W) is oversampled
    #[arg(long, value_name = "FACTOR")]
    oversampling: Option<f64>,
    /// .cfl and .npy: the axes in k-space, such as hw for slices along d; by default those longer than one
    #[arg(long, value_name = "AXES", value_parser = parse_axes)]
    axes: Option<[bool; 3]>,
    #[command(flatten)]
    image: ImageArgs,
    /// With --method network: which, one inside the program by its name, a checkpoint or weights file, or a run's folder
    #[arg(long, value_name = "NAME|FILE|RUN", default_value = restorer::RECON)]
    weights: String,
    /// With --method network: data consistency with the samples: exact, none, or a number v that weighs v samples
    /// against one of the network
    #[arg(long, value_name = "exact|none|V", default_value = "exact", value_parser = parse_consistency)]
    consistency: f64,
    /// With --method network: where to compute: cpu, auto, cuda, cuda:N, gpu, gpu:N, vulkan:NAME, metal:NAME
    #[arg(long, default_value_t)]
    device: Device,
    /// With --method network: do not compare the brain's volumes in the baseline and in the result
    #[arg(long)]
    no_anatomy: bool,
    /// ISMRMRD: also take lines that were measured for calibration only (for GRAPPA and ESPIRiT)
    #[arg(long)]
    calibration_lines: bool,
    #[command(flatten)]
    force: ForceArgs,
    #[command(flatten)]
    strict: StrictArgs,
    #[command(flatten)]
    shard: ShardArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MethodName {
    /// Zeros where nothing was measured
    ZeroFilled,
    /// Least squares by conjugate gradients (Pruessmann 2001)
    Sense,
    /// Missing samples from their neighbours (Griswold 2002)
    Grappa,
    /// Total variation
    Tv,
    /// Sparse wavelets (Lustig 2007)
    Wavelet,
    /// Partial Fourier (Noll 1991)
    Homodyne,
    /// Partial Fourier, iterated (Haacke 1991)
    Pocs,
    /// A network that was trained for it
    Network,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PartName {
    Magnitude,
    Phase,
    Real,
    Imaginary,
}

/// Reconstructs, and says what came of it.
///
/// # Errors
/// Those of [`recon`]; [`Error::Value`] for sizes that are not three.
pub fn run(args: Args) -> Result<()> {
    let (force, strict, shard) = (args.force.force, args.strict.strict, args.shard.shard);
    let options = args.options()?;
    Work { job: &options, with: Value::Null }.run(force, strict, shard, &PRINTED, &mut reconstruct)
}

/// The same of options.
///
/// # Errors
/// Those of [`recon`].
pub fn reconstruct(options: &Options) -> Result<()> {
    let tell = |event: Event| {
        if let Event::Note(text) = event {
            println!("{text}");
        }
    };
    let Outcome { volume, data_residual, scores, network, files } = recon(options, &Progress::new(&tell))?;
    volume.provenance.steps.iter().for_each(|step| println!("  {step}"));
    match (&network, data_residual) {
        (Some(known), result) => {
            if let Some(times) = known.noise.and_then(|noise| noise.much()) {
                println!("warning: {}", too_noisy(times));
            }
            println!("null-space component: {:.2} % of the image's norm", 100.0 * known.null_space_share);
            let (baseline, result) = (known.baseline_residual, result.unwrap_or(f64::NAN));
            println!("data residual: baseline {baseline:.2e}, result {result:.2e}");
        }
        (None, Some(residual)) => println!("  samples not explained: {:.2} %", 100.0 * residual),
        (None, None) => {}
    }
    match scores {
        Some(Ok(scores)) => print!("against the file's own image:\n{scores}"),
        Some(Err(error)) => println!("not compared with the file's own image: {error}"),
        None => {}
    }
    changed(network.as_ref().map_or(&[], |known| &known.changes));
    for path in files {
        println!("{}: {:?} voxels of {:.3?} mm", path.display(), volume.dims(), volume.spacing_mm());
    }
    Ok(())
}

impl Args {
    pub(super) fn options(self) -> Result<Options> {
        let method = self.method();
        let spacing_mm = self.spacing_mm.map(|sizes| {
            <[f64; 3]>::try_from(sizes).map_err(|sizes| {
                let found = format!("{} numbers", sizes.len());
                let advice = "give the sizes along W, H and D, such as 1,1,3";
                Error::value("--spacing-mm", "three numbers", found, advice)
            })
        });
        let espirit = EspiritOptions { calibration: [self.calibration; 3], ..EspiritOptions::default() };
        Ok(Options {
            input: self.input,
            output: self.output,
            raw: RawOptions {
                spacing_mm: spacing_mm.transpose()?,
                calibration: self.calibration_lines.then_some(true),
                transformed: self.axes,
                dc: if self.dc_in_corner { DcPlace::Corner } else { DcPlace::Centre },
                readout_oversampling: self.oversampling,
                ..self.image.into()
            },
            mask: self.mask,
            shots: self.shots,
            maps: match self.maps.as_deref() {
                None => Maps::Auto(espirit),
                Some("none") => Maps::None,
                Some("espirit") => Maps::Espirit(espirit),
                Some(path) => Maps::File(path.into()),
            },
            whiten: !self.no_whitening,
            compress: self.compress,
            method,
            part: match self.part {
                PartName::Magnitude => Part::Magnitude,
                PartName::Phase => Part::Phase,
                PartName::Real => Part::Real,
                PartName::Imaginary => Part::Imaginary,
            },
        })
    }

    fn method(&self) -> Method {
        let set = |to: &mut f64| *to = self.lambda.unwrap_or(*to);
        let most = |to: &mut usize| *to = self.iterations.unwrap_or(*to);
        Method::Classical(match self.method {
            MethodName::Network => {
                let (weights, consistency, device) = (self.weights.clone(), self.consistency, self.device);
                return Method::Network(Network { weights, consistency, anatomy: !self.no_anatomy, device });
            }
            MethodName::ZeroFilled => Classical::ZeroFilled,
            MethodName::Homodyne => Classical::Homodyne,
            MethodName::Sense => {
                let mut settings = Sense::default();
                set(&mut settings.lambda);
                most(&mut settings.iterations);
                Classical::Sense(settings)
            }
            MethodName::Grappa => {
                let mut settings = Grappa::default();
                set(&mut settings.lambda);
                Classical::Grappa(settings)
            }
            MethodName::Tv => {
                let mut settings = TotalVariation::default();
                set(&mut settings.lambda);
                most(&mut settings.iterations);
                Classical::TotalVariation(settings)
            }
            MethodName::Wavelet => {
                let mut settings = L1Wavelet::default();
                set(&mut settings.lambda);
                most(&mut settings.steps.iterations);
                Classical::Wavelet(settings)
            }
            MethodName::Pocs => {
                let mut settings = Pocs::default();
                most(&mut settings.iterations);
                Classical::Pocs(settings)
            }
        })
    }
}

fn parse_keep(text: &str) -> std::result::Result<Keep, String> {
    if let Ok(coils) = text.parse() {
        return Ok(Keep::Coils(coils));
    }
    text.parse().map(Keep::Energy).map_err(|_| "expected a number of coils or a share such as 0.95".into())
}

fn parse_axes(text: &str) -> std::result::Result<[bool; 3], String> {
    let lower = text.to_lowercase();
    if lower.is_empty() || lower.chars().any(|letter| !"dhw".contains(letter)) {
        return Err("expected some of the letters d, h and w, such as hw".into());
    }
    Ok(['d', 'h', 'w'].map(|letter| lower.contains(letter)))
}
