//! Reconstruction of raw data, by a classical method or by a network.

use std::path::{Path, PathBuf};

use ndarray::{Array4, Axis};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::device::{Device, on_device};
use super::progress::{Event, Progress};
use super::records::Records;
use super::restore::{Change, anatomy, beside};
use super::sidecar;
use crate::acquisition::coils::{EspiritOptions, Keep};
use crate::acquisition::image::Part;
use crate::acquisition::operators::sampled::Sampled;
use crate::acquisition::{Complex32, LinearOperator};
use crate::error::{Error, Result};
use crate::evaluate::{Plan, Profile, Scores, score};
use crate::heads;
use crate::io::masks;
use crate::io::nifti::{self, DataType, WriteOptions};
use crate::io::raw::{self, RawOptions};
use crate::io::{cfl, npy};
use crate::pretrained::{TrainedRestorer, restorer};
use crate::recon::{self, CoilSettings, LearnedVolumes, Measurement, Reconstructed};
use crate::volume::{KSpace, Volume};

/// Slices that the anatomy of a brain is looked for in, at least.
const SLICES_MIN: usize = 16;

/// Raw data, and the settings of its reconstruction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The raw data: fastMRI or ISMRMRD (.h5), BART's .cfl with its .hdr, or .npy.
    pub input: PathBuf,
    /// The file of the image, .nii or .nii.gz.
    pub output: PathBuf,
    /// Options for what the file does not say.
    pub raw: RawOptions,
    /// A mask (.png, .tif, .npy, .mat) outside of which samples are left out.
    pub mask: Option<PathBuf>,
    /// The record of the head's motion, for zero-filled, SENSE, total variation and a network.
    pub shots: Option<PathBuf>,
    /// The source of coil sensitivities.
    pub maps: Maps,
    /// Whether the coils are prewhitened, where there is a noise scan.
    pub whiten: bool,
    /// Virtual coils to compress to; `None` for no compression.
    pub compress: Option<Keep>,
    /// The method.
    pub method: Method,
    /// The part of the complex image that is written.
    pub part: Part,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            input: PathBuf::new(),
            output: PathBuf::new(),
            raw: RawOptions::default(),
            mask: None,
            shots: None,
            maps: Maps::Auto(EspiritOptions::default()),
            whiten: true,
            compress: None,
            method: Method::Classical(recon::Method::ZeroFilled),
            part: Part::default(),
        }
    }
}

/// The source of coil sensitivities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Maps {
    /// None for zero-filled and GRAPPA, ESPIRiT for the others.
    Auto(EspiritOptions),
    /// No maps: coil images are combined by their root sum of squares.
    None,
    /// ESPIRiT on the calibration region.
    Espirit(EspiritOptions),
    /// A file (.cfl, .npy) with maps of the k-space's shape.
    File(PathBuf),
}

/// The method of reconstruction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Method {
    /// A classical method.
    Classical(recon::Method),
    /// A trained network.
    Network(Network),
}

/// A network for reconstruction, and its data consistency.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// Name of a network inside the program, a checkpoint or weights file, or a run's folder.
    pub weights: String,
    /// Weight of data consistency of its image, from 0 to 1; see [`super::restore::Options::consistency`].
    pub consistency: f64,
    /// Whether the brain's volumes in the baseline and in the result are compared, for 16 slices or more.
    pub anatomy: bool,
    /// The device to compute on.
    pub device: Device,
}

impl Default for Network {
    fn default() -> Self {
        Self { weights: restorer::RECON.into(), consistency: 1.0, anatomy: true, device: Device::default() }
    }
}

/// A reconstructed image with its figures.
#[derive(Debug)]
pub struct Outcome {
    /// The image on its own grid; its provenance has the steps of the reconstruction.
    pub volume: Volume,
    /// ‖Ax − y‖ / ‖y‖ over the samples; see [`recon::Reconstructed::data_residual`].
    pub data_residual: Option<f64>,
    /// Scores against the reference image of the file, or the error of the comparison; `None` without a reference.
    pub scores: Option<Result<Scores>>,
    /// Figures of a network's image.
    pub network: Option<OfNetwork>,
    /// The written files, all on one grid; the image is the last.
    pub files: Vec<PathBuf>,
}

/// Figures of a network's image.
#[derive(Clone, Debug)]
pub struct OfNetwork {
    /// ‖Ax − y‖ / ‖y‖ over the samples, of the classical baseline.
    pub baseline_residual: f64,
    /// Norm of the null-space component divided by that of the image.
    pub null_space_share: f64,
    /// The brain's volumes in the baseline and in the result; empty if they were not measured.
    pub changes: Vec<Change>,
}

/// Raw data → image → volume → file and record; for a network also its initial estimate (a classical method's image,
/// see [`crate::heads`]) and the null-space component, beside the image.
///
/// # Errors
/// [`Error::Io`] or [`Error::File`] for the files; [`Error::Value`] for options, and data that the method cannot
/// reconstruct; [`Error::Device`]; [`Error::Cancelled`].
pub fn recon(options: &Options, progress: &Progress) -> Result<Outcome> {
    let Options { input, output, raw, mask, shots, method, part, .. } = options;
    let mut kspace = raw::read(input, raw)?;
    if let Some(path) = mask {
        undersample(&mut kspace, path)?;
    }
    let reference = kspace.reference.clone();
    progress.tell(Event::Note(&in_a_line(input, &kspace)));
    progress.check()?;
    let in_input = |error: Error| error.in_file(input);
    let mut measurement = Measurement::new(kspace, &coils(options)?).map_err(in_input)?;
    if let Some(path) = shots {
        let motion = Records::motion(path)?;
        let shots = motion.shots(measurement.grid()).map_err(|error| error.in_file(path))?;
        measurement = measurement.moved(shots);
    }
    progress.check()?;
    let (found, name) = match method {
        Method::Classical(method) => (measurement.reconstruct(method, *part).map_err(in_input)?, None),
        Method::Network(network) => {
            let (found, name) = network.reconstruct(&measurement, *part).map_err(|error| match error {
                // Those of the weights have their own names.
                Error::Value { ref key, .. } if key == "weights" => error,
                error => in_input(error),
            })?;
            (found, Some(name))
        }
    };
    progress.check()?;
    let Reconstructed { volume, data_residual, learned, .. } = found;
    let scores = reference.map(|reference| against(&volume, reference.insert_axis(Axis(0))));
    let mut record = json!({
        "Source": volume.provenance.source,
        "Steps": volume.provenance.steps,
        "DataResidual": data_residual,
        "VoxganVersion": env!("CARGO_PKG_VERSION"),
    });
    let mut written: Vec<(PathBuf, &Volume)> = Vec::new();
    let (mut known, mut measures) = (None, None);
    if let (Some(learned), Some(name), Method::Network(network)) = (&learned, name, method) {
        let LearnedVolumes { initial, initial_residual, null_space } = learned;
        let null_space_share = size(null_space) / size(&volume).max(f64::MIN_POSITIVE);
        record["Restored"] = true.into();
        record["Head"] = "recon".into();
        record["Weights"] = name.into();
        record["DataResidual"] = json!({ "Baseline": initial_residual, "Result": data_residual });
        record["NullSpaceShare"] = null_space_share.into();
        written.push((beside(output, "baseline"), initial));
        written.push((beside(output, "nullspace"), null_space));
        let measured = network.anatomy && volume.dims().iter().all(|&length| length >= SLICES_MIN);
        measures = measured.then_some((initial, network.device));
        let changes = Vec::new();
        known = Some(OfNetwork { baseline_residual: *initial_residual, null_space_share, changes });
    }
    written.push((output.clone(), &volume));
    for (path, volume) in &written {
        let options = WriteOptions { data_type: DataType::F32, description: "voxgan recon".into() };
        nifti::write(path, volume, &options)?;
        progress.tell(Event::Wrote(path));
    }
    sidecar::write(output, &record)?;
    if let (Some((initial, device)), Some(known)) = (measures, &mut known) {
        progress.check()?;
        progress.tell(Event::Note("measuring anatomy…"));
        let of_record;
        (known.changes, of_record) = anatomy(initial, &volume, device)?;
        record["Anatomy"] = of_record;
        sidecar::write(output, &record)?;
    }
    let files = written.into_iter().map(|(path, _)| path).collect();
    Ok(Outcome { volume, data_residual, scores, network: known, files })
}

impl Network {
    /// What the network makes of a measurement, and the network's name.
    fn reconstruct(&self, measurement: &Measurement, part: Part) -> Result<(Reconstructed, String)> {
        on_device!(self.device, |B, device| {
            let TrainedRestorer { name, network, recipe, .. } =
                TrainedRestorer::<B>::open(&self.weights, &device)?;
            let method = heads::Network {
                name: &name,
                network: &network,
                recipe: &recipe,
                consistency: self.consistency,
                device: &device,
            };
            let found = measurement.reconstruct(&method, part)?;
            Ok((found, name))
        })
    }
}

/// What was read.
fn in_a_line(path: &Path, kspace: &KSpace) -> String {
    let sampled = kspace.sampled.iter().filter(|&&sampled| sampled).count();
    let share = 100.0 * sampled as f64 / kspace.sampled.len() as f64;
    let (coils, places) = (kspace.coils(), kspace.sampled.dim());
    format!("{}: {coils} coils, {places:?} places, {share:.1} % measured", path.display())
}

/// What is done with the coils.
fn coils(options: &Options) -> Result<CoilSettings> {
    let alone =
        matches!(options.method, Method::Classical(recon::Method::ZeroFilled | recon::Method::Grappa(_)));
    let maps = match &options.maps {
        Maps::Auto(_) if alone => recon::Maps::None,
        Maps::None => recon::Maps::None,
        Maps::Auto(espirit) | Maps::Espirit(espirit) => recon::Maps::Espirit(espirit.clone()),
        Maps::File(path) => recon::Maps::Given(read_maps(path)?),
    };
    Ok(CoilSettings { maps, whiten: options.whiten, compress: options.compress })
}

/// Leaves only the samples of a mask, which is one plane for all slices or as deep as they are, or one row of columns.
fn undersample(kspace: &mut KSpace, path: &Path) -> Result<()> {
    let mask = masks::read_for(path, kspace.sampled.dim().into())?;
    kspace.sampled.zip_mut_with(&mask, |sampled, &kept| *sampled &= kept);
    let data = std::mem::take(&mut kspace.data);
    let kept = Sampled::new(kspace.sampled.clone(), data.dim().0).forward(data.into_dyn());
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

/// How near the image comes to the file's own reconstruction.
fn against(volume: &Volume, reference: Array4<f32>) -> Result<Scores> {
    let target = Volume::new(reference, volume.affine);
    score(&target, volume, None, &Plan::new(Profile::FastMri))
}

/// The norm of a volume's voxels.
fn size(volume: &Volume) -> f64 {
    volume.data.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt()
}
