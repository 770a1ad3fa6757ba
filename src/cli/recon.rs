//! `voxgan recon`: raw data becomes a volume by a classical method, or by a network.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use ndarray::{Array3, Array4, Axis};
use serde_json::json;

use super::records::Records;
use super::restore::{changed, parse_consistency};
use crate::config::in_file;
use crate::error::{Error, Result};
use crate::heads;
use crate::io::dc::DcPlace;
use crate::io::masks;
use crate::io::nifti::{self, DataType, WriteOptions};
use crate::io::raw::{self, RawOptions};
use crate::io::{cfl, npy};
use crate::metrics::{Profile, score};
use crate::mri::coils::{EspiritOptions, Keep};
use crate::mri::image::Part;
use crate::mri::operators::sampled::Sampled;
use crate::mri::recon::Reconstruction;
use crate::mri::recon::grappa::Grappa;
use crate::mri::recon::pocs::Pocs;
use crate::mri::recon::sense::Sense;
use crate::mri::recon::total_variation::TotalVariation;
use crate::mri::recon::wavelet::L1Wavelet;
use crate::mri::reconstruct::{CoilSettings, Maps, Measurement, Method, Reconstructed};
use crate::mri::{Complex32, Linear};
use crate::pipeline::restore::{anatomy, beside};
use crate::pipeline::sidecar;
use crate::pipeline::{Device, on_device};
use crate::pretrained::{TrainedRestorer, restorer};
use crate::volume::{KSpace, Volume};

/// Reconstruct raw data by a classical method, or by a network.
///
/// Reads fastMRI and ISMRMRD files (.h5), BART's .cfl with its .hdr, and .npy arrays; writes NIfTI with the voxel size
/// and the place that the raw data tells, its readout's oversampling cut off, and a JSON record beside it.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The raw data
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The image, .nii or .nii.gz
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
    /// The only slice to read, from 0
    #[arg(long, value_name = "N")]
    slice: Option<usize>,
    /// ISMRMRD: the repetition to read of several
    #[arg(long, value_name = "N")]
    repetition: Option<usize>,
    /// ISMRMRD: the contrast (echo) to read of several
    #[arg(long, value_name = "N")]
    contrast: Option<usize>,
    /// ISMRMRD: the cardiac phase to read of several
    #[arg(long, value_name = "N")]
    phase: Option<usize>,
    /// ISMRMRD: the set to read of several
    #[arg(long, value_name = "N")]
    set: Option<usize>,
    /// With --method network: which, one inside the program by its name, a checkpoint or weights file, or a run's folder
    #[arg(long, value_name = "NAME|FILE|RUN", default_value = restorer::RECON)]
    weights: String,
    /// With --method network: how far its image is held to the samples: exact, none, or a number v that weighs v samples
    /// against one of the network
    #[arg(long, value_name = "exact|none|V", default_value = "exact", value_parser = parse_consistency)]
    consistency: f64,
    /// With --method network: where to compute: cpu, cuda, cuda:N
    #[arg(long, default_value_t)]
    device: Device,
    /// With --method network: do not compare the brain's volumes in the floor and in the result
    #[arg(long)]
    no_anatomy: bool,
    /// ISMRMRD: also take lines that were measured for calibration only (for GRAPPA and ESPIRiT)
    #[arg(long)]
    calibration_lines: bool,
}

/// Slices that the anatomy of a brain is looked for in, at least.
const SLICES_MIN: usize = 16;

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

/// Raw data → image → volume → file.
///
/// # Errors
/// What is wrong with the files, or what the method cannot do with them.
pub fn run(args: Args) -> Result<()> {
    let mut kspace = raw::read(&args.input, &args.raw_options()?)?;
    if let Some(path) = &args.mask {
        undersample(&mut kspace, path)?;
    }
    let reference = kspace.reference.clone();
    let (coils, sampled) = (kspace.coils(), kspace.sampled.iter().filter(|&&sampled| sampled).count());
    let share = 100.0 * sampled as f64 / kspace.sampled.len() as f64;
    println!(
        "{}: {coils} coils, {:?} places, {share:.1} % measured",
        args.input.display(),
        kspace.sampled.dim()
    );
    let in_input = |error| in_file(error, &args.input);
    let mut measurement = Measurement::new(kspace, &args.coils()?).map_err(in_input)?;
    if let Some(path) = &args.shots {
        measurement = measurement.moved(&Records::motion(path)?).map_err(|error| in_file(error, path))?;
    }
    let Some(method) = args.method() else {
        return args.by_network(&measurement, reference).map_err(in_input);
    };
    let found = measurement.by(&method, args.part()).map_err(in_input)?;
    found.volume.provenance.steps.iter().for_each(|step| println!("  {step}"));
    if let Some(residual) = found.data_residual {
        println!("  samples not explained: {:.2} %", 100.0 * residual);
    }
    if let Some(reference) = reference {
        compare(&found.volume, reference.insert_axis(Axis(0)));
    }
    write(&args.output, &found)
}

impl Args {
    fn raw_options(&self) -> Result<RawOptions> {
        let spacing_mm = self.spacing_mm.as_ref().map(|sizes| {
            <[f64; 3]>::try_from(sizes.as_slice()).map_err(|_| {
                let found = format!("{} numbers", sizes.len());
                Error::value(
                    "--spacing-mm",
                    "three numbers",
                    found,
                    "give the sizes along W, H and D, such as 1,1,3",
                )
            })
        });
        Ok(RawOptions {
            spacing_mm: spacing_mm.transpose()?,
            slice: self.slice,
            repetition: self.repetition,
            contrast: self.contrast,
            phase: self.phase,
            set: self.set,
            calibration: self.calibration_lines.then_some(true),
            transformed: self.axes,
            dc: if self.dc_in_corner { DcPlace::Corner } else { DcPlace::Centre },
            readout_oversampling: self.oversampling,
            ..RawOptions::default()
        })
    }

    fn coils(&self) -> Result<CoilSettings> {
        let alone = matches!(self.method, MethodName::ZeroFilled | MethodName::Grappa);
        let maps = match self.maps.as_deref() {
            None if alone => Maps::None,
            Some("none") => Maps::None,
            None | Some("espirit") => Maps::Espirit(EspiritOptions {
                calibration: [self.calibration; 3],
                ..EspiritOptions::default()
            }),
            Some(path) => Maps::Given(read_maps(Path::new(path))?),
        };
        Ok(CoilSettings { maps, whiten: !self.no_whitening, compress: self.compress })
    }

    fn part(&self) -> Part {
        match self.part {
            PartName::Magnitude => Part::Magnitude,
            PartName::Phase => Part::Phase,
            PartName::Real => Part::Real,
            PartName::Imaginary => Part::Imaginary,
        }
    }

    /// The image of a network, and beside it its floor (total variation, or least squares of a head that moved), what it added
    /// and a record.
    fn by_network(&self, measurement: &Measurement, reference: Option<Array3<f32>>) -> Result<()> {
        let (part, output) = (self.part(), &self.output);
        let floor = match self.shots {
            None => Method::TotalVariation(TotalVariation::default()),
            // Many iterations of a whole volume that moves would take hours.
            Some(_) => Method::Sense(Sense::default()),
        };
        let floor = measurement.by(&floor, part)?;
        let (name, added, found) = on_device!(self.device, |B, device| {
            let trained = TrainedRestorer::<B>::open(&self.weights, &device)?;
            let mut added = None;
            let found = measurement.with(&trained.name, part, |acquired| {
                let made = heads::reconstruct(
                    &trained.network,
                    &trained.recipe,
                    acquired,
                    self.consistency,
                    &device,
                )?;
                added = Some(made.added);
                Ok(Reconstruction { image: made.image, traces: Vec::new() })
            })?;
            Ok::<_, Error>((trained.name, added.expect("a network was asked"), found))
        })?;
        // On the image's own grid, as the image is.
        let added = measurement.with("added by the network", part, |_| {
            Ok(Reconstruction { image: added, traces: Vec::new() })
        })?;
        let share = size(&added.volume) / size(&found.volume).max(f64::MIN_POSITIVE);
        found.volume.provenance.steps.iter().for_each(|step| println!("  {step}"));
        println!("not determined by the measurement: {:.2} % of the image's norm", 100.0 * share);
        let residual = |of: &Reconstructed| of.data_residual.unwrap_or(f64::NAN);
        println!("data residual: floor {:.2e}, result {:.2e}", residual(&floor), residual(&found));
        if let Some(reference) = reference {
            compare(&found.volume, reference.insert_axis(Axis(0)));
        }
        let mut record = json!({
            "Restored": true,
            "Head": "recon",
            "Weights": name,
            "Source": found.volume.provenance.source,
            "Steps": found.volume.provenance.steps,
            "DataResidual": { "Floor": floor.data_residual, "Result": found.data_residual },
            "AddedShare": share,
            "VoxganVersion": env!("CARGO_PKG_VERSION"),
        });
        if !self.no_anatomy && found.volume.dims().iter().all(|&length| length >= SLICES_MIN) {
            let (changes, of_record) = anatomy(&floor.volume, &found.volume, self.device)?;
            changed(&changes);
            record["Anatomy"] = of_record;
        }
        save(&beside(output, "floor"), &floor.volume)?;
        save(&beside(output, "added"), &added.volume)?;
        save(output, &found.volume)?;
        sidecar::write(output, &record)
    }

    /// The classical method; none for a network.
    fn method(&self) -> Option<Method> {
        let set = |to: &mut f64| *to = self.lambda.unwrap_or(*to);
        let most = |to: &mut usize| *to = self.iterations.unwrap_or(*to);
        Some(match self.method {
            MethodName::Network => return None,
            MethodName::ZeroFilled => Method::ZeroFilled,
            MethodName::Homodyne => Method::Homodyne,
            MethodName::Sense => {
                let mut settings = Sense::default();
                set(&mut settings.lambda);
                most(&mut settings.iterations);
                Method::Sense(settings)
            }
            MethodName::Grappa => {
                let mut settings = Grappa::default();
                set(&mut settings.lambda);
                Method::Grappa(settings)
            }
            MethodName::Tv => {
                let mut settings = TotalVariation::default();
                set(&mut settings.lambda);
                most(&mut settings.iterations);
                Method::TotalVariation(settings)
            }
            MethodName::Wavelet => {
                let mut settings = L1Wavelet::default();
                set(&mut settings.lambda);
                most(&mut settings.steps.iterations);
                Method::Wavelet(settings)
            }
            MethodName::Pocs => {
                let mut settings = Pocs::default();
                most(&mut settings.iterations);
                Method::Pocs(settings)
            }
        })
    }
}

/// Leaves only the samples of a mask, which is one plane for all slices or as deep as they are, or one row of columns.
fn undersample(kspace: &mut KSpace, path: &Path) -> Result<()> {
    let mask = masks::read_for(path, kspace.sampled.dim().into())?;
    kspace.sampled.zip_mut_with(&mask, |sampled, &kept| *sampled &= kept);
    let data = std::mem::take(&mut kspace.data);
    let kept = Sampled::new(kspace.sampled.clone(), data.dim().0).apply(data.into_dyn());
    kspace.data = kept.into_dimensionality().expect("k-space of rank four");
    kspace.provenance.steps.push(format!("undersampled by the mask {}", path.display()));
    Ok(())
}

/// Maps `[coils, D, H, W]`, or `[coils, H, W]` for one slice.
fn read_maps(path: &Path) -> Result<Array4<Complex32>> {
    let npy = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npy"));
    let maps = if npy { npy::read_complex(path)? } else { cfl::read(path)? };
    let shape = maps.shape().to_vec();
    let maps = if maps.ndim() == 3 { maps.insert_axis(Axis(1)) } else { maps };
    maps.into_dimensionality().map_err(|_| {
        let expected = "[coils, H, W] or [coils, D, H, W]";
        Error::file(path, "shape", expected, format!("{shape:?}"), "give one map for each coil")
    })
}

/// Prints how near the image comes to the file's own reconstruction.
fn compare(volume: &Volume, reference: Array4<f32>) {
    let target = Volume::new(reference, volume.affine);
    match score(&target, volume, None, &crate::metrics::Plan::new(Profile::FastMri)) {
        Ok(scores) => print!("against the file's own image:\n{scores}"),
        Err(error) => println!("not compared with the file's own image: {error}"),
    }
}

fn write(path: &Path, found: &Reconstructed) -> Result<()> {
    let record = json!({
        "Source": found.volume.provenance.source,
        "Steps": found.volume.provenance.steps,
        "DataResidual": found.data_residual,
        "VoxganVersion": env!("CARGO_PKG_VERSION"),
    });
    save(path, &found.volume)?;
    sidecar::write(path, &record)
}

fn save(path: &Path, volume: &Volume) -> Result<()> {
    let options = WriteOptions { data_type: DataType::F32, description: "voxgan recon".into() };
    nifti::write(path, volume, &options)?;
    println!("{}: {:?} voxels of {:.3?} mm", path.display(), volume.dims(), volume.spacing_mm());
    Ok(())
}

/// The norm of a volume's voxels.
fn size(volume: &Volume) -> f64 {
    volume.data.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt()
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
