//! `voxgan restore`: a scan of which little was measured, with a generator as prior.

use std::path::{Path, PathBuf};

use burn::tensor::{Tensor, TensorData};
use clap::ValueEnum;
use ndarray::{Array3, Axis};
use serde_json::{Value, json};

use super::superres::parse_factor;
use super::{RestoreArgs, print};
use crate::cli::prepare::CentreName;
use crate::error::{Error, Result};
use crate::gan::Conditions;
use crate::heads::finer_grid;
use crate::heads::prior::{FitSettings, FitStep, Operator, Prior, Reconstructed, reconstruct};
use crate::io::dataset::manifest::REVISION;
use crate::io::dataset::{Settings, on_grid};
use crate::io::masks;
use crate::io::nifti::{self, WriteOptions};
use crate::ops::VolumeOps;
use crate::pipeline::restore::{Found, NORMALISATION, Scan, along_ras, beside, oriented, write};
use crate::pipeline::{Drawn, Progress, on_device};
use crate::pretrained::Model;
use crate::volume::orientation::to_ras;
use crate::volume::resample::{Grid, Interpolation, resample};
use crate::volume::{Volume, check_grids};

/// By what part measured voxels may differ from whole times the generator's.
const SIZE_TOLERANCE: f64 = 0.05;
/// The part of a voxel of the generator's that must be missing for it to count as missing.
const MISSING_SHARE: f32 = 0.01;
/// Progress is told this many times.
const TOLD: u64 = 10;

/// Restore a scan with a generator as prior: no network is trained for the task.
///
/// The scan is brought to the generator's grid as `prepare` does it, and the generator's w's are fitted to what was measured.
/// OUT is the mean of samples of their posterior, held to the measurement, on that grid and in the scan's intensities. Beside
/// it lie the samples' standard deviation, the classical floor, what was added that the measurement does not determine, and a
/// record of how the image came to be.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The scan (.nii, .nii.gz, .hdr with .img)
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The restored image, .nii or .nii.gz
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// The generator: one inside the program (brain-4mm), a checkpoint or weights file, or a run's folder
    #[arg(long, value_name = "NAME|FILE|RUN", default_value = "brain-4mm")]
    prior: String,
    /// What was measured
    #[arg(long, value_enum)]
    operator: OperatorName,
    /// With --operator superres: how many of the generator's voxels a measured one covers: one number, or three along the
    /// scan's axes (i, j, k), such as 1,1,3 through the slices
    #[arg(long, value_name = "N|I,J,K", value_parser = parse_factor)]
    factor: Option<[usize; 3]>,
    /// With --operator inpaint: voxels to fill: those that are not zero, on the scan's grid
    #[arg(long, value_name = "MASK")]
    missing: Option<PathBuf>,
    /// With --operator kspace: the places of k-space to keep (.png, .tif, .npy, .mat), on the generator's grid, a plane or a
    /// row of it
    #[arg(long, value_name = "MASK")]
    mask: Option<PathBuf>,
    /// Conditions for a conditional generator, such as age=34,sex=F
    #[arg(long, value_name = "LABEL=VALUE,…")]
    conditions: Option<String>,
    /// What lies in the middle of the generator's grid: the head, or the middle of the scan's own grid
    #[arg(long, value_enum, default_value_t = CentreName::Foreground)]
    centre: CentreName,
    /// Steps to the most probable image; and as many again to the posterior about it
    #[arg(long, value_name = "N", default_value_t = FitSettings::default().steps)]
    steps: u64,
    /// Samples of the posterior that OUT is the mean of; 1 for the most probable image
    #[arg(long, value_name = "N", default_value_t = FitSettings::default().samples)]
    samples: usize,
    /// Write every sample too
    #[arg(long)]
    write_samples: bool,
    /// Assumed standard deviation of what is measured about what the generator would give, the brightest tissue being 1:
    /// noise, and what the generator cannot show
    #[arg(long, value_name = "S", default_value_t = FitSettings::default().sigma)]
    sigma: f64,
    /// How much the w's of the generator's layers are held to one direction
    #[arg(long, value_name = "K", default_value_t = FitSettings::default().kappa)]
    kappa: f64,
    /// Step size, in standard deviations of w
    #[arg(long, value_name = "R", default_value_t = FitSettings::default().learning_rate)]
    learning_rate: f64,
    /// Fit the generator's noise inputs too
    #[arg(long)]
    noise: bool,
    /// Seed of the samples
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    restore: RestoreArgs,
}

/// A forward operator by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OperatorName {
    /// Means over several of the generator's voxels
    Superres,
    /// All but some voxels
    Inpaint,
    /// k-space in part, simulated of the scan for one coil and without phase
    Kspace,
}

/// Scan → generator's grid → case → posterior → images.
///
/// # Errors
/// What is wrong with the scan, the mask, the generator, the settings, the device or the disk.
pub fn run(args: Args) -> Result<()> {
    let settings = args.settings();
    settings.check()?;
    let (found, made, scan, grid) = on_device!(args.restore.device, |B, device| {
        let model = Model::<B>::open(&args.prior, &device)?;
        let frame = Frame::of(&model)?;
        let (text, population) = (args.conditions.as_deref(), model.space.population.as_ref());
        let drawn = Drawn::new(Conditions::new(&model.recipe.conditions), text, &[], population)?;
        let labels = drawn.labels(settings.seed);
        let condition = drawn.vector(settings.seed)?.map(|values| {
            let width = values.len();
            Tensor::<B, 2>::from_data(TensorData::new(values, [1, width]), &device)
        });
        let (scan, grid, operator) = args.measurement(&frame)?;
        let case = operator.case(&scan.volume.data)?;
        let prior = Prior::of(&model.generator, model.recipe.network.z_dim, condition, &device);
        let weight = args.restore.consistency;
        let made = reconstruct(&prior, &case, &settings, weight, &device, &mut show)?;
        let details = json!({
            "Prior": {
                "SHA256": model.sha256,
                "TrainingSetSHA256": model.space.dataset_sha256,
                "Conditions": labels,
            },
            "Operator": args.described(&operator),
            "Fit": described(&settings),
        });
        let (restored, start) = (made.restored.clone(), case.start);
        let found = Found { head: "prior", name: model.name(), maker: "Generator", restored, start, details };
        Ok::<_, Error>((found, made, scan, grid))
    })?;
    let measures = (!args.restore.no_anatomy).then_some(args.restore.device);
    print(&args.output, &write(found, &args.output, &scan, &grid, measures, &Progress::default())?);
    args.write_posterior(made, &scan, &grid)
}

/// Every so many steps, how far the fit is.
fn show(step: FitStep) {
    if step.number.is_multiple_of((step.of / TOLD).max(1)) {
        eprintln!("step {} of {}: squared misfit {:.4e}", step.number, step.of, step.misfit);
    }
}

/// The grid of a generator's volumes.
struct Frame {
    /// Voxels along (i, j, k).
    dims: [usize; 3],
    spacing_mm: [f64; 3],
}

impl Frame {
    /// The grid of a generator of one channel from −1 to 1.
    fn of<B: VolumeOps>(model: &Model<B>) -> Result<Self> {
        let refused = |key: &str, expected: &str, found: String, advice: &str| {
            Err(Error::file(Path::new(&model.source), key, expected, found, advice))
        };
        let (network, space) = (&model.recipe.network, &model.space);
        if network.image_channels != 1 {
            let advice = "give a generator of grey volumes";
            return refused("image_channels", "1", network.image_channels.to_string(), advice);
        }
        if space.intensity.clip != Some([-1.0, 1.0]) {
            let found = format!("values within {:?}", space.intensity.clip);
            let advice = "give a generator whose volumes were prepared with --normalise percentile";
            return refused("intensity", "values from -1 to 1", found, advice);
        }
        let [d, h, w] = network.shape();
        let affine = space.affine();
        let spacing_mm = [0, 1, 2].map(|axis| affine.fixed_view::<3, 1>(0, axis).norm());
        Ok(Self { dims: [w, h, d], spacing_mm })
    }
}

impl Args {
    fn settings(&self) -> FitSettings {
        let Self { steps, samples, sigma, kappa, learning_rate, noise, seed, .. } = *self;
        FitSettings { steps, learning_rate, sigma, kappa, noise, samples, seed }
    }

    /// The scan as it was measured on the generator's grid, or on one coarser by the factor; the result's grid; and how it was
    /// measured.
    fn measurement(&self, frame: &Frame) -> Result<(Scan, Grid, Operator)> {
        let (volume, original) = oriented(&self.input)?;
        let whole = [1; 3];
        match self.operator {
            OperatorName::Superres => {
                let factor = along_ras(needed(self.factor, "--factor", "superres")?, &original);
                let [d, h, w] = factor;
                fits(&self.input, frame, volume.spacing_mm(), [w, h, d])?;
                let volume = self.placed(frame, volume, [w, h, d])?;
                let scan = Scan::of(&self.input, volume, original)?;
                let grid = finer_grid(&Grid::of(&scan.volume), factor);
                Ok((scan, grid, Operator::Superres(factor)))
            }
            OperatorName::Inpaint => {
                let path = needed(self.missing.as_ref(), "--missing", "inpaint")?;
                let (mask, _) = to_ras(nifti::read(path)?);
                check_grids(&volume, &mask)?;
                let volume = self.placed(frame, volume, whole)?;
                let grid = Grid::of(&volume);
                let mut mask = mask;
                mask.data.mapv_inplace(|value| f32::from(u8::from(value != 0.0)));
                let missing = resample(&mask, &grid, Interpolation::Linear).data;
                let known = missing.index_axis(Axis(0), 0).mapv(|share| share <= MISSING_SHARE);
                let scan = Scan::of(&self.input, blanked(volume, &known), original)?;
                Ok((scan, grid, Operator::Inpaint(known)))
            }
            OperatorName::Kspace => {
                let path = needed(self.mask.as_ref(), "--mask", "kspace")?;
                let scan = Scan::of(&self.input, self.placed(frame, volume, whole)?, original)?;
                let (_, d, h, w) = scan.volume.data.dim();
                let sampled = masks::read_for(path, [d, h, w])?;
                let grid = Grid::of(&scan.volume);
                Ok((scan, grid, Operator::Kspace(sampled)))
            }
        }
    }

    /// `volume` as `prepare` places it, on a grid with voxels `coarser` times the generator's along (i, j, k).
    fn placed(&self, frame: &Frame, volume: Volume, coarser: [usize; 3]) -> Result<Volume> {
        let settings = Settings {
            revision: REVISION,
            shape: [0, 1, 2].map(|axis| frame.dims[axis] / coarser[axis]),
            spacing_mm: Some([0, 1, 2].map(|axis| frame.spacing_mm[axis] * coarser[axis] as f64)),
            interpolation: Interpolation::Linear,
            normalisation: NORMALISATION,
            centre: self.centre.into(),
            frame: None,
            correction: None,
        };
        let background = volume.data.iter().copied().fold(f32::INFINITY, f32::min);
        on_grid(&self.input, volume, &settings, background)
    }

    /// The operator for the record.
    fn described(&self, operator: &Operator) -> Value {
        let name = operator.name();
        let share = |mask: &Array3<bool>, value: bool| {
            mask.iter().filter(|&&at| at == value).count() as f64 / mask.len() as f64
        };
        match operator {
            Operator::Superres([d, h, w]) => json!({ "Name": name, "Factor": [w, h, d], "Simulated": false }),
            Operator::Inpaint(known) => json!({
                "Name": name, "Mask": self.missing, "MissingShare": share(known, false), "Simulated": false,
            }),
            Operator::Kspace(sampled) => json!({
                "Name": name, "Mask": self.mask, "SampledShare": share(sampled, true), "Simulated": true,
            }),
        }
    }

    /// The samples' standard deviation, and they themselves if asked for.
    fn write_posterior(&self, made: Reconstructed, scan: &Scan, grid: &Grid) -> Result<()> {
        let options =
            |what: &str| WriteOptions { description: format!("voxgan {what}"), ..WriteOptions::default() };
        if let Some(deviation) = made.deviation {
            let volume = scan.back_difference(deviation, grid);
            nifti::write(beside(&self.output, "std"), &volume, &options("posterior standard deviation"))?;
        }
        if self.write_samples {
            for (sample, number) in made.samples.into_iter().zip(1..) {
                let path = beside(&self.output, &format!("sample-{number}"));
                let volume = scan.back(sample, grid, "sample of the posterior");
                nifti::write(path, &volume, &options("posterior sample"))?;
            }
        }
        Ok(())
    }
}

/// What an operator cannot do without.
fn needed<T>(given: Option<T>, flag: &str, operator: &str) -> Result<T> {
    given.ok_or_else(|| {
        let expected = format!("a value for --operator {operator}");
        Error::value(flag, expected, "none", "see `voxgan restore --help`")
    })
}

/// Whether measured voxels of this size are `factor` times the generator's along (i, j, k), and fill its grid.
fn fits(path: &Path, frame: &Frame, spacing_mm: [f64; 3], factor: [usize; 3]) -> Result<()> {
    for axis in 0..3 {
        let (n, generator) = (factor[axis], frame.spacing_mm[axis]);
        if !frame.dims[axis].is_multiple_of(n) {
            let expected = format!("divisors of the generator's grid {:?} (i, j, k along RAS+)", frame.dims);
            return Err(Error::value("--factor", expected, format!("{factor:?}"), "choose another factor"));
        }
        let wanted = generator * n as f64;
        if n > 1 && (spacing_mm[axis] / wanted - 1.0).abs() > SIZE_TOLERANCE {
            let expected = format!("about {wanted:.3} mm, {n} times the generator's {generator:.3} mm");
            let found = format!("{:.3} mm", spacing_mm[axis]);
            let advice = "give the factor between the scan's voxels and the generator's";
            return Err(Error::file(path, "voxel size", expected, found, advice));
        }
    }
    Ok(())
}

/// `volume` with its unknown voxels as dark as its darkest known one, so that they have no part in its scale.
fn blanked(mut volume: Volume, known: &Array3<bool>) -> Volume {
    let image = volume.data.index_axis(Axis(0), 0);
    let values = image.iter().zip(known).filter(|(value, known)| **known && value.is_finite());
    let Some(darkest) = values.map(|(&value, _)| value).min_by(f32::total_cmp) else { return volume };
    let mut image = volume.data.index_axis_mut(Axis(0), 0);
    image.zip_mut_with(known, |value, &known| *value = if known { *value } else { darkest });
    volume
}

/// Settings for the record.
fn described(settings: &FitSettings) -> Value {
    let FitSettings { steps, learning_rate, sigma, kappa, noise, samples, seed } = *settings;
    json!({
        "Steps": steps, "LearningRate": learning_rate, "Sigma": sigma, "Kappa": kappa, "NoiseInputs": noise,
        "Samples": samples, "Seed": seed,
    })
}
