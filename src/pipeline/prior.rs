//! Restoration of a scan with a generator as prior: the mean of the posterior, with baseline, null-space component and
//! record.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Tensor, TensorData};
use ndarray::{Array3, Axis};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::conditions::Drawn;
use super::device::{Device, on_device};
use super::folder::OfScan;
use super::outputs::{Files, Writes};
use super::progress::{Event, Progress};
use super::restore::{Found, Outcome, Scan, along_ras, beside, oriented, restored_files, save, write};
use super::restorer::Restoration;
use crate::error::{Error, Result};
use crate::gan::Conditions;
use crate::heads::prior::{self, FitSettings, FitStep, Reconstructed, reconstruct};
use crate::heads::{Case, finer_grid};
use crate::io::dataset::manifest::REVISION;
use crate::io::dataset::{Settings, on_grid};
use crate::io::masks;
use crate::io::scan::{self, ReadOptions};
use crate::ops::VolumeOps;
use crate::pretrained::Model;
use crate::volume::crop::Centre;
use crate::volume::intensity::Normalisation;
use crate::volume::orientation::to_ras;
use crate::volume::outliers::without_outliers;
use crate::volume::resample::{Grid, Interpolation, resample};
use crate::volume::{Volume, check_grids};

/// By what part measured voxels may differ from whole times the generator's.
const SIZE_TOLERANCE: f64 = 0.05;
/// The part of a voxel of the generator's that must be missing for it to count as missing.
const MISSING_SHARE: f32 = 0.01;

/// A scan, its forward operator, and the settings of the restoration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The scan.
    pub input: PathBuf,
    /// The file of the restored image, .nii or .nii.gz.
    pub output: PathBuf,
    /// The generator: one inside the program, a checkpoint or weights file, or a run's folder.
    pub weights: String,
    /// The forward operator of the measurement.
    pub operator: Operator,
    /// Conditions of a conditional generator, such as "age=34,sex=F".
    pub conditions: Option<String>,
    /// The point at the centre of the generator's grid.
    pub centre: Centre,
    /// Settings of the fit of w.
    pub fit: FitSettings,
    /// Whether every sample of the posterior is written too.
    pub write_samples: bool,
    /// Weight of data consistency; see [`super::restore::Options::consistency`].
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
            weights: "brain-4mm".into(),
            operator: Operator::Superres([2; 3]),
            conditions: None,
            centre: Centre::default(),
            fit: FitSettings::default(),
            write_samples: false,
            consistency: 1.0,
            anatomy: true,
            device: Device::default(),
            read: ReadOptions::default(),
        }
    }
}

/// The forward operator of a measurement. Masks are files; for [`Prior::restore`], a volume and an array.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Operator<M = PathBuf, K = PathBuf> {
    /// Means over this many of the generator's voxels along the scan's axes (i, j, k).
    Superres([usize; 3]),
    /// All voxels except those that are not zero in this mask, on the scan's grid.
    Inpaint(M),
    /// The places of k-space in this mask on the generator's grid, `[D, H, W]`; a file can also have a plane or a row
    /// of it. The samples are simulated from the scan, for one coil and without phase.
    Kspace(K),
}

/// A generator as prior: opened once, it restores any number of volumes.
pub struct Prior {
    /// The generator's name with the SHA-256 of its weights.
    pub name: String,
    sha256: String,
    training_set_sha256: String,
    drawn: Drawn,
    frame: Frame,
    fit: Box<Fit>,
}

/// What a generator makes of a case, under a condition.
type Fit = dyn Fn(&Case, Option<Vec<f32>>, &FitSettings, f64, &mut Tell) -> Result<Reconstructed> + Send;
type Tell<'a> = dyn FnMut(FitStep) -> Result<()> + 'a;

/// The posterior of a measurement, as images.
#[derive(Clone, Debug)]
pub struct Posterior {
    /// The mean of the samples, after data consistency, on the generator's grid along the scan's axes.
    pub restored: Restoration,
    /// Standard deviation of the samples; `None` with one sample.
    pub deviation: Option<Volume>,
    /// The samples.
    pub samples: Vec<Volume>,
    /// The forward operator, on the generator's grid in RAS+.
    pub operator: prior::Operator,
}

impl Writes for Options {
    fn files(&self) -> Files {
        let Self { input, output, operator, fit, .. } = self;
        let mask = match operator {
            Operator::Superres(_) => None,
            Operator::Inpaint(path) | Operator::Kspace(path) => Some(path),
        };
        let files = restored_files([input].into_iter().chain(mask), output).writing(beside(output, "std"));
        let samples = if self.write_samples { fit.samples } else { 0 };
        files.writing_all((1..=samples).map(|number| beside(output, &sample_kind(number))))
    }
}

impl OfScan for Options {
    fn paths(&mut self) -> [&mut PathBuf; 2] {
        [&mut self.input, &mut self.output]
    }
}

/// What a sample of the posterior is beside the image.
fn sample_kind(number: usize) -> String {
    format!("sample-{number}")
}

/// Scan → generator's grid → case → posterior → images.
///
/// # Errors
/// [`Error::Io`] or [`Error::File`] for scan, mask, weights and outputs; [`Error::Value`] for settings, conditions, and
/// an operator that does not fit; [`Error::Device`]; [`Error::Cancelled`].
pub fn restore(options: &Options, progress: &Progress) -> Result<Outcome> {
    let Options { input, output, weights, conditions, centre, fit, consistency, device, .. } = options;
    fit.check()?;
    let prior = Prior::open(weights, conditions.as_deref(), *device)?;
    let operator = match &options.operator {
        Operator::Superres(factor) => Operator::Superres(*factor),
        Operator::Inpaint(path) => Operator::Inpaint(scan::read(path, &options.read)?),
        Operator::Kspace(path) => {
            let [w, h, d] = prior.frame.dims;
            Operator::Kspace(masks::read_for(path, [d, h, w])?)
        }
    };
    let volume = scan::read(input, &options.read)?;
    let made = prior.of_file(input, volume, &operator, *centre, fit, *consistency, progress)?;
    let details = json!({
        "Prior": {
            "SHA256": prior.sha256,
            "TrainingSetSHA256": prior.training_set_sha256,
            "Conditions": prior.drawn.labels(fit.seed),
        },
        "Operator": described(&made.operator, &options.operator),
        "Fit": {
            "Steps": fit.steps, "LearningRate": fit.learning_rate, "Sigma": fit.sigma, "Kappa": fit.kappa,
            "NoiseInputs": fit.noise, "Samples": fit.samples, "Seed": fit.seed,
        },
    });
    let Posterior { restored, deviation, samples, .. } = made;
    let found = Found {
        head: "prior",
        name: prior.name,
        maker: "Generator",
        restored,
        device: *device,
        synthetic: false,
        details,
    };
    let outcome = write(found, output, options.anatomy.then_some(*device), progress)?;
    if let Some(deviation) = deviation {
        save(&beside(output, "std"), &deviation, "posterior standard deviation")?;
    }
    for (sample, number) in samples.iter().zip(1..).filter(|_| options.write_samples) {
        save(&beside(output, &sample_kind(number)), sample, "posterior sample")?;
    }
    Ok(outcome)
}

impl Prior {
    /// Opens a generator of one channel: one inside the program, a checkpoint or weights file, or a run's folder; with
    /// conditions, such as "age=34,sex=F", if it has any.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::File`] for the weights; [`Error::Value`] for a generator of several channels, and
    /// conditions as [`Drawn::new`]; [`Error::Device`].
    pub fn open(weights: &str, conditions: Option<&str>, device: Device) -> Result<Self> {
        on_device!(device, |B, device| {
            let model = Model::<B>::open(weights, &device)?;
            let frame = Frame::of(&model)?;
            let of_recipe = Conditions::new(&model.recipe.conditions);
            let drawn = Drawn::new(of_recipe, conditions, &[], model.space.population.as_ref())?;
            let name = model.name();
            let Model { generator, recipe, space, sha256, .. } = model;
            let fit = move |case: &Case,
                            condition: Option<Vec<f32>>,
                            settings: &FitSettings,
                            weight: f64,
                            tell: &mut Tell| {
                let condition = condition.map(|values| {
                    let width = values.len();
                    Tensor::<B, 2>::from_data(TensorData::new(values, [1, width]), &device)
                });
                let prior = prior::Prior::of(&generator, recipe.network.z_dim, condition, &device);
                reconstruct(&prior, case, settings, weight, &device, tell)
            };
            let training_set_sha256 = space.dataset_sha256;
            Ok(Self { name, sha256, training_set_sha256, drawn, frame, fit: Box::new(fit) })
        })
    }

    /// Restores a volume of one channel; the arguments are as in [`Options`]. Every step is reported, and can be the
    /// last if the job is cancelled.
    ///
    /// # Errors
    /// [`Error::Value`] or [`Error::File`] for a volume, operator or settings that do not fit; [`Error::Cancelled`].
    pub fn restore(
        &self,
        volume: Volume,
        operator: &Operator<Volume, Array3<bool>>,
        centre: Centre,
        settings: &FitSettings,
        consistency: f64,
        progress: &Progress,
    ) -> Result<Posterior> {
        self.of_file(Path::new("volume"), volume, operator, centre, settings, consistency, progress)
    }

    /// The same of the volume of a file, which errors name.
    #[expect(clippy::too_many_arguments, reason = "those of restore, and the file")]
    fn of_file(
        &self,
        path: &Path,
        volume: Volume,
        operator: &Operator<Volume, Array3<bool>>,
        centre: Centre,
        settings: &FitSettings,
        consistency: f64,
        progress: &Progress,
    ) -> Result<Posterior> {
        let (scan, grid, operator) = self.frame.measured(path, volume, operator, centre)?;
        let case = operator.case(&scan.volume.data)?;
        let condition = self.drawn.vector(settings.seed)?;
        let mut tell = |FitStep { number, of, misfit }: FitStep| {
            let numbers = BTreeMap::from([("misfit".to_string(), misfit)]);
            progress.tell(Event::Step { step: number, of, numbers: &numbers });
            progress.check()
        };
        let Reconstructed { restored, deviation, samples } =
            (self.fit)(&case, condition, settings, consistency, &mut tell)?;
        let step = format!("prior by {}", self.name);
        Ok(Posterior {
            restored: Restoration::of(restored, &case.initial, &scan, &grid, &step),
            deviation: deviation.map(|deviation| scan.back_difference(deviation, &grid)),
            samples: samples
                .into_iter()
                .map(|sample| scan.back(sample, &grid, "sample of the posterior"))
                .collect(),
            operator,
        })
    }
}

impl std::fmt::Debug for Prior {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prior").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The grid of a generator's volumes.
struct Frame {
    /// Voxels along (i, j, k).
    dims: [usize; 3],
    spacing_mm: [f64; 3],
    /// How the values of the scans that the generator learned from were brought to its own.
    normalisation: Normalisation,
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
        let spacing_mm = space.affine.spacing_mm();
        let normalisation = space.normalisation.unwrap_or_default();
        Ok(Self { dims: [w, h, d], spacing_mm, normalisation })
    }

    /// The scan as it was measured on the generator's grid, or on one coarser by the factor; the result's grid; and how
    /// it was measured.
    fn measured(
        &self,
        path: &Path,
        volume: Volume,
        operator: &Operator<Volume, Array3<bool>>,
        centre: Centre,
    ) -> Result<(Scan, Grid, prior::Operator)> {
        let in_scan = |error: Error| error.in_file(path);
        // Before it is resampled, which would spread what is no signal.
        let (volume, original) = oriented(without_outliers(volume)).map_err(in_scan)?;
        let whole = [1; 3];
        match operator {
            Operator::Superres(factor) => {
                let factor = along_ras(*factor, &original);
                let [d, h, w] = factor;
                self.fits(path, volume.spacing_mm(), [w, h, d])?;
                let volume = self.placed(path, volume, [w, h, d], centre)?;
                let scan = Scan::new(volume, original, &self.normalisation).map_err(in_scan)?;
                let grid = finer_grid(&Grid::of(&scan.volume), factor);
                Ok((scan, grid, prior::Operator::Superres(factor)))
            }
            Operator::Inpaint(mask) => {
                let (mut mask, _) = to_ras(mask.clone());
                check_grids(&volume, &mask)?;
                let volume = self.placed(path, volume, whole, centre)?;
                let grid = Grid::of(&volume);
                mask.data.mapv_inplace(|value| f32::from(u8::from(value != 0.0)));
                let missing = resample(&mask, &grid, Interpolation::Linear).data;
                let known = missing.index_axis(Axis(0), 0).mapv(|share| share <= MISSING_SHARE);
                let scan =
                    Scan::new(blanked(volume, &known), original, &self.normalisation).map_err(in_scan)?;
                Ok((scan, grid, prior::Operator::Inpaint(known)))
            }
            Operator::Kspace(sampled) => {
                let volume = self.placed(path, volume, whole, centre)?;
                let scan = Scan::new(volume, original, &self.normalisation).map_err(in_scan)?;
                let grid = Grid::of(&scan.volume);
                Ok((scan, grid, prior::Operator::Kspace(sampled.clone())))
            }
        }
    }

    /// `volume` as `prepare` places it, on a grid with voxels `coarser` times the generator's along (i, j, k).
    fn placed(&self, path: &Path, volume: Volume, coarser: [usize; 3], centre: Centre) -> Result<Volume> {
        let settings = Settings {
            revision: REVISION,
            shape: [0, 1, 2].map(|axis| self.dims[axis] / coarser[axis]),
            spacing_mm: Some([0, 1, 2].map(|axis| self.spacing_mm[axis] * coarser[axis] as f64)),
            interpolation: Interpolation::Linear,
            normalisation: self.normalisation,
            centre,
            frame: None,
            nan_to_zero: false,
            series: None,
            correction: None,
        };
        let background = volume.data.iter().copied().fold(f32::INFINITY, f32::min);
        on_grid(path, volume, &settings, background)
    }

    /// Whether measured voxels of this size are `factor` times the generator's along (i, j, k), and fill its grid.
    fn fits(&self, path: &Path, spacing_mm: [f64; 3], factor: [usize; 3]) -> Result<()> {
        for axis in 0..3 {
            let (n, generator) = (factor[axis], self.spacing_mm[axis]);
            if !self.dims[axis].is_multiple_of(n) {
                let expected =
                    format!("divisors of the generator's grid {:?} (i, j, k along RAS+)", self.dims);
                return Err(Error::value(
                    "--factor",
                    expected,
                    format!("{factor:?}"),
                    "choose another factor",
                ));
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
}

/// The operator for the record, and the file of its mask.
fn described(operator: &prior::Operator, of: &Operator) -> Value {
    let name = operator.name();
    let share = |mask: &Array3<bool>, value: bool| {
        mask.iter().filter(|&&at| at == value).count() as f64 / mask.len() as f64
    };
    let mask = match of {
        Operator::Superres(_) => None,
        Operator::Inpaint(path) | Operator::Kspace(path) => Some(path),
    };
    match operator {
        prior::Operator::Superres([d, h, w]) => {
            json!({ "Name": name, "Factor": [w, h, d], "Simulated": false })
        }
        prior::Operator::Inpaint(known) => json!({
            "Name": name, "Mask": mask, "MissingShare": share(known, false), "Simulated": false,
        }),
        prior::Operator::Kspace(sampled) => json!({
            "Name": name, "Mask": mask, "SampledShare": share(sampled, true), "Simulated": true,
        }),
    }
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
