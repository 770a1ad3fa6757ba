//! Reconstruction of raw data, by a classical method or by a network.

use std::path::{Path, PathBuf};

use ndarray::{Array3, Array4, Axis};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::device::{Device, on_device};
use super::folder::OfScan;
use super::outputs::{Files, Writes};
use super::progress::{Event, Progress};
use super::records::Records;
use super::restore::{BESIDE, Change, anatomy, beside, restored_files};
use super::sidecar;
use crate::acquisition::coils::{EspiritOptions, Keep};
use crate::acquisition::image::Part;
use crate::acquisition::operators::sampled::Sampled;
use crate::acquisition::operators::shots::Shots;
use crate::acquisition::sampling::{Axis as SamplingAxis, Left};
use crate::acquisition::{Complex32, LinearOperator};
use crate::error::{Error, Result};
use crate::evaluate::{Plan, Profile, Scores, score};
use crate::heads;
use crate::io::masks;
use crate::io::nifti::{self, DataType, WriteOptions};
use crate::io::raw::{self, RawOptions};
use crate::io::{cfl, npy};
use crate::pretrained::{TrainedRestorer, restorer};
use crate::recon::{self, CoilSettings, LearnedVolumes, Measurement, Reconstructed, noise_sd};
use crate::stats::nearest_rank;
use crate::volume::{KSpace, Volume};

/// A network's image that has more than so many times the noise of its baseline is not to be trusted. Chosen on 180 slices of
/// phantoms with the network inside (T1, T2 and PD; 1, 2, 4 and 8 simulated coils; radial 4- and 8-fold, equispaced, Gaussian and
/// Poisson-disc masks; none, 2 and 6 % of noise): the 109 images above it are 1.6 to 8.9 dB below their baselines (PSNR); the 44 that
/// gain reach 1.47 at most. Of 126 that lose 2 dB or more, 18 stay below it.
const MUCH_NOISIER: f64 = 1.6;
/// Noise is looked at where the baseline is above this part of its bright end, that is outside of air.
const TISSUE: f64 = 0.1;
/// What the bright end is: this part of all voxels is below.
const BRIGHT: f64 = 0.99;

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

impl Writes for Options {
    fn files(&self) -> Files {
        let maps = match &self.maps {
            Maps::File(path) => Some(path),
            _ => None,
        };
        let read = [&self.input].into_iter().chain(&self.mask).chain(&self.shots).chain(maps);
        match self.method {
            Method::Network(_) => restored_files(read, &self.output),
            Method::Classical(_) => {
                Files::reading(read).writing(&self.output).recording(sidecar::path(&self.output))
            }
        }
    }
}

impl OfScan for Options {
    fn paths(&mut self) -> [&mut PathBuf; 2] {
        [&mut self.input, &mut self.output]
    }

    fn scans(folder: &Path) -> Result<Vec<PathBuf>> {
        raw::files(folder)
    }
}

/// The source of coil sensitivities. Known maps are a file; for [`reconstruct`] an array.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Maps<M = PathBuf> {
    /// None for zero-filled and GRAPPA, ESPIRiT for the others.
    Auto(EspiritOptions),
    /// No maps: coil images are combined by their root sum of squares.
    None,
    /// ESPIRiT on the calibration region.
    Espirit(EspiritOptions),
    /// Maps of the k-space's shape, in a file (.cfl, .npy).
    File(M),
}

impl<M> Maps<M> {
    /// The source with its file replaced by `read(file)`.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn with_file<N>(self, read: impl FnOnce(M) -> Result<N>) -> Result<Maps<N>> {
        Ok(match self {
            Self::Auto(espirit) => Maps::Auto(espirit),
            Self::None => Maps::None,
            Self::Espirit(espirit) => Maps::Espirit(espirit),
            Self::File(file) => Maps::File(read(file)?),
        })
    }
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
    /// How noisy the baseline and the result are; none of an image of phase.
    pub noise: Option<Noise>,
    /// The brain's volumes in the baseline and in the result; empty if they were not measured.
    pub changes: Vec<Change>,
}

/// Noise of a baseline and of a network's image, standard deviations in their unit, estimated alike in both ([`noise_sd`]).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// Of the baseline.
    pub baseline: f64,
    /// Of the result.
    pub result: f64,
}

impl Noise {
    /// That of both images, on one grid, where the baseline shows tissue.
    fn of(baseline: &Volume, result: &Volume) -> Self {
        let mut values: Vec<f32> = baseline.data.iter().copied().collect();
        let bright = f64::from(nearest_rank(&mut values, BRIGHT).unwrap_or_default());
        let tissue = baseline.data.index_axis(Axis(0), 0).mapv(|x| f64::from(x) > TISSUE * bright);
        let [baseline, result] =
            [baseline, result].map(|image| noise_sd(image.data.index_axis(Axis(0), 0), tissue.view()));
        Self { baseline, result }
    }

    /// How many times as noisy as its baseline the result is, where that is much.
    pub fn much(&self) -> Option<f64> {
        let times = self.result / self.baseline.max(f64::MIN_POSITIVE);
        (times > MUCH_NOISIER).then_some(times)
    }
}

/// Raw data → image → volume → file and record; for a network also its initial estimate (a classical method's image,
/// see [`crate::heads`]) and the null-space component, beside the image.
///
/// # Errors
/// [`Error::Io`] or [`Error::File`] for the files; [`Error::Value`] for options, and data that the method cannot
/// reconstruct; [`Error::Device`]; [`Error::Cancelled`].
pub fn recon(options: &Options, progress: &Progress) -> Result<Outcome> {
    let Options { input, output, raw, mask, shots, maps, method, part, .. } = options;
    let mut kspace = raw::read(input, raw)?;
    if let Some(path) = mask {
        let kept = masks::read_for(path, kspace.sampled.dim().into())?;
        undersample(&mut kspace, &kept, raw::readout(input), &format!("the mask {}", path.display()));
    }
    let reference = kspace.reference.clone();
    progress.tell(Event::Note(&in_a_line(input, &kspace)));
    progress.check()?;
    let maps = maps.clone().with_file(|path| read_maps(&path))?;
    let grid = kspace.sampled.dim().into();
    let shots =
        shots.as_ref().map(|path| Records::motion(path)?.shots(grid).map_err(|error| error.in_file(path)));
    let made = reconstruct(kspace, maps, shots.transpose()?, options, progress);
    let (found, name) = made.map_err(|error| match error {
        // Those of the weights have their own names.
        Error::Value { ref key, .. } if key == "weights" => error,
        error => error.in_file(input),
    })?;
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
        record["Device"] = network.device.name()?.into();
        record["DataResidual"] = json!({ "Baseline": initial_residual, "Result": data_residual });
        record["NullSpaceShare"] = null_space_share.into();
        written.extend(BESIDE.map(|kind| beside(output, kind)).into_iter().zip([initial, null_space]));
        let measured = network.anatomy && volume.dims().iter().all(|&length| length >= SLICES_MIN);
        measures = measured.then_some((initial, network.device));
        let noise = (*part != Part::Phase).then(|| Noise::of(initial, &volume));
        if let Some(Noise { baseline, result }) = noise {
            record["Noise"] = json!({ "Baseline": baseline, "Result": result });
        }
        if let Some(times) = noise.and_then(|noise| noise.much()) {
            record["Warnings"] = json!([too_noisy(times)]);
        }
        let changes = Vec::new();
        known = Some(OfNetwork { baseline_residual: *initial_residual, null_space_share, noise, changes });
    }
    written.push((output.clone(), &volume));
    for (path, volume) in &written {
        let options = WriteOptions {
            data_type: DataType::F32,
            description: "voxgan recon".into(),
            ..WriteOptions::default()
        };
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

/// Raw data in memory → complex image → volume, by the settings of `options`, whose files are not looked at; with the name of the
/// network, where one made it. `shots` are the head's motion between them.
///
/// # Errors
/// [`Error::Value`] for data that the method cannot reconstruct and motion that does not fit them; [`Error::File`] for weights;
/// [`Error::Device`]; [`Error::Cancelled`].
pub fn reconstruct(
    kspace: KSpace,
    maps: Maps<Array4<Complex32>>,
    shots: Option<Shots>,
    Options { whiten, compress, method, part, .. }: &Options,
    progress: &Progress,
) -> Result<(Reconstructed, Option<String>)> {
    let settings = CoilSettings { maps: coils(maps, method), whiten: *whiten, compress: *compress };
    let mut measurement = Measurement::new(kspace, &settings)?;
    if let Some(shots) = shots {
        measurement = measurement.moved(shots);
    }
    progress.check()?;
    match method {
        Method::Classical(method) => Ok((measurement.reconstruct(method, *part)?, None)),
        Method::Network(network) => {
            network.reconstruct(&measurement, *part).map(|(found, name)| (found, Some(name)))
        }
    }
}

/// What is said of a result that has so many times the noise of its baseline.
pub fn too_noisy(times: f64) -> String {
    format!(
        "the result is {times:.1} times as noisy as its baseline: the network does not fit these data; take the baseline beside it, \
         or --method wavelet"
    )
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

/// The maps that a method is given.
fn coils(maps: Maps<Array4<Complex32>>, method: &Method) -> recon::Maps {
    let alone = matches!(method, Method::Classical(recon::Method::ZeroFilled | recon::Method::Grappa(_)));
    match maps {
        Maps::Auto(_) if alone => recon::Maps::None,
        Maps::None => recon::Maps::None,
        Maps::Auto(espirit) | Maps::Espirit(espirit) => recon::Maps::Espirit(espirit),
        Maps::File(maps) => recon::Maps::Given(maps),
    }
}

/// Leaves only the samples of a mask `[D, H, W]`, whose provenance then says by `what` they were chosen and what should be known of what
/// is left. `readout` is the axis that the data were read out along, where it is known.
///
/// # Panics
/// If the mask has another shape than a coil's k-space.
pub fn undersample(kspace: &mut KSpace, mask: &Array3<bool>, readout: Option<SamplingAxis>, what: &str) {
    let left = Left::of(&kspace.sampled, mask, readout).to_string();
    kspace.sampled.zip_mut_with(mask, |sampled, &kept| *sampled &= kept);
    let data = std::mem::take(&mut kspace.data);
    let kept = Sampled::new(kspace.sampled.clone(), data.dim().0).forward(data.into_dyn());
    kspace.data = kept.into_dimensionality().expect("k-space of rank four");
    kspace.provenance.steps.push(format!("undersampled by {what}"));
    kspace.provenance.steps.extend(left.lines().map(String::from));
}

/// Maps `[coils, D, H, W]` of a file (.cfl, .npy), or `[coils, H, W]` for one slice.
///
/// # Errors
/// [`Error::Io`] or [`Error::File`] for a file that cannot be read or has another shape.
pub fn read_maps(path: &Path) -> Result<Array4<Complex32>> {
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
