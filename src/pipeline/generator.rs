//! A trained generator on any device.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use burn::tensor::{Tensor, TensorData};
use ndarray::Array2;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::conditions::{Drawn, Labels};
use super::device::{Device, on_device};
use super::outputs::Files;
use super::progress::{Event, Progress};
use super::sidecar;
use crate::config::Recipe;
use crate::convert;
use crate::error::{Error, Result};
use crate::gan::{self, Conditions, Truncation};
use crate::io::nifti::{self, DataType, WriteOptions, is_nifti};
use crate::nn::Noise;
use crate::ops::VolumeOps;
use crate::pretrained::{Model, TrainingSpace, sha256};
use crate::random::{Purpose, Samples, normal, stream};
use crate::volume::Volume;

/// The generator and its sampling.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// A generator inside the program, a checkpoint or weights file, or a run's folder.
    pub weights: String,
    /// Truncation ψ: 1 for none, smaller values for samples closer to the mean.
    pub psi: f64,
    /// Number of truncated layers of w, from the coarsest; `None` for all.
    pub psi_cutoff: Option<usize>,
    /// Noise inputs.
    pub noise: NoiseMode,
    /// Conditions, such as "age=34,sex=F" or a range, "age=20-70".
    pub conditions: Option<String>,
    /// Whether values outside the ranges that the generator was trained on are allowed.
    pub extrapolate: bool,
    /// The device to compute on.
    pub device: Device,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            weights: "brain-4mm".into(),
            psi: 1.0,
            psi_cutoff: None,
            noise: NoiseMode::default(),
            conditions: None,
            extrapolate: false,
            device: Device::default(),
        }
    }
}

/// Where a layer's noise comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum NoiseMode {
    /// The generator's own, the same for every sample.
    Const,
    /// Drawn from the seed.
    Random,
    /// None.
    #[default]
    None,
}

/// The output folder and the stored type of samples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Output {
    /// The folder; `None` for a new one in the current folder, named after the job.
    pub folder: Option<PathBuf>,
    /// The stored type of voxels.
    pub stored: StoredType,
    /// Whether existing files are replaced.
    pub force: bool,
}

impl Output {
    /// The folder that was asked for, or a new one: `name` in the current folder, or `name-2` and so on where that
    /// exists, so that nothing is written over. A new one is told of.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be made; [`Error::File`] if one of `files` is in it that may not be replaced.
    pub(super) fn folder(
        &self,
        name: &str,
        files: impl IntoIterator<Item = String>,
        progress: &Progress,
    ) -> Result<PathBuf> {
        if let Some(folder) = &self.folder {
            // A seed that is given twice is one file.
            let paths: BTreeSet<PathBuf> = files.into_iter().map(|file| folder.join(file)).collect();
            let records = paths.iter().filter(|path| is_nifti(path)).map(|path| sidecar::path(path));
            let files = records.fold(Files::default(), Files::recording);
            files.writing_all(&paths).check(self.force)?;
            return Ok(folder.clone());
        }
        let folder = new_folder(Path::new(name))?;
        progress.tell(Event::Note(&format!("into {}", folder.display())));
        Ok(folder)
    }
}

/// Makes the folder `path`, or where that exists `path-2`, `path-3` and so on; two programs never get the same one.
fn new_folder(path: &Path) -> Result<PathBuf> {
    let mut folder = path.to_path_buf();
    for number in 2.. {
        match std::fs::create_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                folder = format!("{}-{number}", path.display()).into();
            }
            made => {
                return made.map(|()| folder.clone()).map_err(|e| Error::io(&folder, "make this folder", e));
            }
        }
    }
    unreachable!("numbers do not end")
}

/// How voxels are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StoredType {
    /// float32.
    #[default]
    F32,
    /// int16 with slope and intercept.
    I16,
    /// uint8 with slope and intercept.
    U8,
}

impl From<StoredType> for DataType {
    fn from(stored: StoredType) -> Self {
        match stored {
            StoredType::F32 => Self::F32,
            StoredType::I16 => Self::I16,
            StoredType::U8 => Self::U8,
        }
    }
}

/// A trained generator: latent (`[z_dim]`) → w's (`[num_ws, w_dim]`) → volume.
pub struct Generator {
    network: Box<dyn Network>,
    sampling: Sampling,
    drawn: Drawn,
    /// The recipe of its training.
    pub recipe: Recipe,
    /// The space of its volumes: affine and intensities of the training set.
    pub space: TrainingSpace,
    /// Number of real volumes shown in training.
    pub images: u64,
    /// SHA-256 of its weights.
    pub sha256: String,
    source: String,
    /// The device, as records name it.
    device: String,
}

impl Generator {
    /// Opens the generator with its conditions ([`Drawn::new`]). Missing conditions are those of `people` (names and
    /// labels); without people they are drawn from the distribution of the training set's people.
    ///
    /// # Errors
    /// [`Error::File`] or [`Error::Io`] for weights that cannot be read; [`Error::Device`]; [`Error::Value`] for a ψ
    /// that is not finite, and as [`Drawn::new`].
    pub fn open(sampling: &Sampling, people: &[(&str, &Labels)]) -> Result<Self> {
        on_device!(sampling.device, |B, device| {
            Self::of(Model::<B>::open(&sampling.weights, &device)?, sampling, people, device)
        })
    }

    /// The generator of a safetensors file in memory, such as [`to_bytes`](crate::pretrained::Weights::to_bytes) makes; [`Sampling::weights`] names it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn from_bytes(bytes: &[u8], sampling: &Sampling, people: &[(&str, &Labels)]) -> Result<Self> {
        on_device!(sampling.device, |B, device| {
            Self::of(Model::<B>::from_bytes(bytes, &sampling.weights, &device)?, sampling, people, device)
        })
    }

    fn of<B: VolumeOps>(
        model: Model<B>,
        sampling: &Sampling,
        people: &[(&str, &Labels)],
        device: B::Device,
    ) -> Result<Self> {
        let Model { generator, recipe, space, images, source, sha256 } = model;
        let drawn = drawn(&recipe, &space, sampling, people)?;
        let network = Box::new(On::<B> { generator, device });
        let (sampling, device) = (sampling.clone(), sampling.device.name()?);
        Ok(Self { network, sampling, drawn, recipe, space, images, sha256, source, device })
    }

    /// Samples with other settings from now on; weights and device stay those that were opened.
    ///
    /// # Errors
    /// [`Error::Value`] as [`Self::open`].
    pub fn set_sampling(&mut self, sampling: &Sampling, people: &[(&str, &Labels)]) -> Result<()> {
        self.drawn = drawn(&self.recipe, &self.space, sampling, people)?;
        let (weights, device) = (std::mem::take(&mut self.sampling.weights), self.sampling.device);
        self.sampling = Sampling { weights, device, ..sampling.clone() };
        Ok(())
    }

    /// Names of the conditions, in the order of the recipe.
    pub fn conditions(&self) -> Vec<&str> {
        self.drawn.names()
    }

    /// The conditions of the sample of `seed`.
    pub fn labels(&self, seed: u64) -> Labels {
        self.drawn.labels(seed)
    }

    /// Number of w's, two for each block.
    pub fn num_ws(&self) -> usize {
        self.recipe.network.num_ws()
    }

    /// The latent of `seed`, `[z_dim]`.
    pub fn latent(&self, seed: u64) -> Vec<f32> {
        normal(&mut stream(seed, 0, 0, 0, Purpose::Latent), self.recipe.network.z_dim)
    }

    /// The truncated w's `[num_ws, w_dim]` of a latent `[z_dim]`, under the conditions of `seed`.
    pub fn styles(&self, latent: &[f32], seed: u64) -> Array2<f32> {
        let condition = self.drawn.vector(seed).expect("conditions were checked");
        let truncation = Truncation { psi: self.sampling.psi, cutoff: self.sampling.psi_cutoff };
        self.network.styles(latent, condition.as_deref(), truncation)
    }

    /// The volume of w's `[num_ws, w_dim]` in the training set's space and intensities; values below air are set to
    /// air. `seed` is for random noise inputs.
    pub fn volume(&self, styles: &Array2<f32>, seed: u64) -> Volume {
        let noise = match self.sampling.noise {
            NoiseMode::Const => Noise::Const,
            NoiseMode::None => Noise::None,
            NoiseMode::Random => Noise::Random { seed, step: 0, phase: 0, samples: Samples::from(0) },
        };
        let mut volume = self.network.volume(styles, noise, &self.space);
        if let Some([least, _]) = self.space.intensity.clip {
            volume.data.mapv_inplace(|v| v.max(least as f32));
        }
        self.space.intensity.invert(volume)
    }

    /// The sample of `seed`.
    pub fn sample(&self, seed: u64) -> Volume {
        self.volume(&self.styles(&self.latent(seed), seed), seed)
    }

    /// Writes `volumes` (one, or the frames of a series) as NIfTI, and the sidecar with their provenance: `details`,
    /// the conditions of `seed`, weights and recipe.
    ///
    /// # Errors
    /// As [`nifti::write()`] and [`nifti::write_series`]; [`Error::Io`] for the sidecar.
    pub fn write(
        &self,
        path: &Path,
        volumes: &[Volume],
        stored: StoredType,
        seed: u64,
        details: Value,
    ) -> Result<()> {
        let description = format!("SYNTHETIC voxgan {} {}", env!("CARGO_PKG_VERSION"), &self.sha256[..12]);
        let options = WriteOptions { data_type: stored.into(), description, ..WriteOptions::default() };
        match volumes {
            [volume] => nifti::write(path, volume, &options)?,
            frames => nifti::write_series(path, frames, &options)?,
        }
        let source = Path::new(&self.source).file_name().map(|name| name.to_string_lossy().into_owned());
        let record = json!({
            "Synthetic": true,
            "Model": source,
            "ModelSHA256": self.sha256,
            "RecipeSHA256": sha256(self.recipe.to_toml()?.as_bytes()),
            "TrainingSetSHA256": self.space.dataset_sha256,
            "TrainingSetVolumes": self.space.volumes,
            "TrainingImagesShown": self.images,
            "Psi": self.sampling.psi,
            "PsiCutoff": self.sampling.psi_cutoff,
            "Noise": format!("{:?}", self.sampling.noise).to_lowercase(),
            "Conditions": self.labels(seed),
            "Device": self.device,
        });
        sidecar::write(path, &sidecar::joined(sidecar::joined(record, sidecar::generated_by()), details))
    }
}

/// The conditions of a generator's samples, whose ψ is checked too.
fn drawn(
    recipe: &Recipe,
    space: &TrainingSpace,
    sampling: &Sampling,
    people: &[(&str, &Labels)],
) -> Result<Drawn> {
    if !sampling.psi.is_finite() {
        let found = sampling.psi.to_string();
        return Err(Error::value("--psi", "a finite number", found, "0.7 to 1 are usual"));
    }
    let conditions = Conditions::new(&recipe.conditions);
    let conditions = if sampling.extrapolate { conditions.extrapolating() } else { conditions };
    Drawn::new(conditions, sampling.conditions.as_deref(), people, space.population.as_ref())
}

impl std::fmt::Debug for Generator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generator")
            .field("source", &self.source)
            .field("sampling", &self.sampling)
            .finish_non_exhaustive()
    }
}

/// A generator's network on a backend that is left unsaid.
trait Network: Send {
    fn styles(&self, latent: &[f32], condition: Option<&[f32]>, truncation: Truncation) -> Array2<f32>;

    fn volume(&self, styles: &Array2<f32>, noise: Noise, space: &TrainingSpace) -> Volume;
}

struct On<B: VolumeOps> {
    generator: gan::Generator<B>,
    device: B::Device,
}

impl<B: VolumeOps> Network for On<B> {
    fn styles(&self, latent: &[f32], condition: Option<&[f32]>, truncation: Truncation) -> Array2<f32> {
        let row = |values: &[f32]| {
            Tensor::<B, 2>::from_data(TensorData::new(values.to_vec(), [1, values.len()]), &self.device)
        };
        let styles = self.generator.styles(row(latent), condition.map(row), truncation);
        let [_, layers, width] = styles.dims();
        let values: Vec<f32> = styles.into_data().iter::<f32>().collect();
        Array2::from_shape_vec((layers, width), values).expect("a row for each layer")
    }

    fn volume(&self, styles: &Array2<f32>, noise: Noise, space: &TrainingSpace) -> Volume {
        let (layers, width) = styles.dim();
        let values: Vec<f32> = styles.iter().copied().collect();
        let styles = Tensor::from_data(TensorData::new(values, [1, layers, width]), &self.device);
        let image = self.generator.synthesis.forward(styles, noise);
        convert::to_volumes(image, &space.affine).remove(0)
    }
}
