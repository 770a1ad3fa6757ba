//! A trained generator to draw samples from, on any device.

use std::path::{Path, PathBuf};

use burn::tensor::{Tensor, TensorData};
use ndarray::Array2;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::conditions::{Drawn, Labels};
use super::device::{Device, on_device};
use super::progress::{Event, Progress};
use super::sidecar;
use crate::config::Recipe;
use crate::convert;
use crate::error::{Error, Result};
use crate::gan::{self, Conditions, Truncation};
use crate::io::nifti::{self, DataType, WriteOptions};
use crate::nn::Noise;
use crate::ops::VolumeOps;
use crate::pretrained::{Model, TrainingSpace, sha256};
use crate::random::{Purpose, normal, stream};
use crate::volume::Volume;

/// Which generator, and how it is sampled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// A generator inside the program, a checkpoint or weights file, or a run's folder.
    pub weights: String,
    /// Truncation: 1 samples all the generator learned, less comes closer to its mean.
    pub psi: f64,
    /// Truncate only this many layers of w, from the coarsest.
    pub psi_cutoff: Option<usize>,
    /// Noise inputs.
    pub noise: NoiseMode,
    /// Conditions, such as "age=34,sex=F" or a range, "age=20-70".
    pub conditions: Option<String>,
    /// Whether values outside the ranges that the generator was trained on are allowed.
    pub extrapolate: bool,
    /// Where to compute.
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

/// Where samples go, and how they are stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Output {
    /// The folder; by default a new one beside what is there, named after what the job makes.
    pub folder: Option<PathBuf>,
    /// How voxels are stored.
    pub stored: StoredType,
    /// Whether files that are there are replaced.
    pub force: bool,
}

impl Output {
    /// The folder that was asked for, or a new one: `name` in the current folder, or `name-2` and so on where that exists, so that
    /// nothing is written over. A new one is told of.
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
            let there = files.into_iter().find(|file| !self.force && folder.join(file).exists());
            return match there {
                None => Ok(folder.clone()),
                Some(file) => {
                    let advice = "choose another folder, or add --force to replace what is there";
                    Err(Error::file(&folder.join(file), "output", "a name that is free", "a file", advice))
                }
            };
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

/// A generator ready to be sampled: latent (`[z_dim]`) → w's (`[num_ws, w_dim]`) → volume.
pub struct Generator {
    network: Box<dyn Network>,
    sampling: Sampling,
    drawn: Drawn,
    /// How it was made.
    pub recipe: Recipe,
    /// Where its volumes lie.
    pub space: TrainingSpace,
    /// Real volumes it was shown in training.
    pub images: u64,
    /// SHA-256 of its weights.
    pub sha256: String,
    source: String,
}

impl Generator {
    /// Opens the generator with conditions that may be drawn. What is left out is that of `people` (named); without any, it is
    /// drawn from what the model knows of its training people.
    ///
    /// # Errors
    /// What is wrong with weights, device, ψ or conditions.
    pub fn open(sampling: &Sampling, people: &[(&str, &Labels)]) -> Result<Self> {
        if !sampling.psi.is_finite() {
            let found = sampling.psi.to_string();
            return Err(Error::value("--psi", "a finite number", found, "0.7 to 1 are usual"));
        }
        on_device!(sampling.device, |B, device| {
            let Model { generator, recipe, space, images, source, sha256 } =
                Model::<B>::open(&sampling.weights, &device)?;
            let conditions = Conditions::new(&recipe.conditions);
            let conditions = if sampling.extrapolate { conditions.extrapolating() } else { conditions };
            let (text, population) = (sampling.conditions.as_deref(), space.population.as_ref());
            let drawn = Drawn::new(conditions, text, people, population)?;
            let network = Box::new(On::<B> { generator, device });
            Ok(Self { network, sampling: sampling.clone(), drawn, recipe, space, images, sha256, source })
        })
    }

    /// Labels that the samples are conditioned on, in the order of the recipe.
    pub fn conditions(&self) -> Vec<&str> {
        self.drawn.names()
    }

    /// What the sample of `seed` is conditioned on.
    pub fn labels(&self, seed: u64) -> Labels {
        self.drawn.labels(seed)
    }

    /// Number of w's: two a block.
    pub fn num_ws(&self) -> usize {
        self.recipe.network.num_ws()
    }

    /// The latent of `seed`.
    pub fn latent(&self, seed: u64) -> Vec<f32> {
        normal(&mut stream(seed, 0, 0, 0, Purpose::Latent), self.recipe.network.z_dim)
    }

    /// The truncated w's of a latent, under the conditions of `seed`.
    pub fn styles(&self, latent: &[f32], seed: u64) -> Array2<f32> {
        let condition = self.drawn.vector(seed).expect("conditions were checked");
        let truncation = Truncation { psi: self.sampling.psi, cutoff: self.sampling.psi_cutoff };
        self.network.styles(latent, condition.as_deref(), truncation)
    }

    /// The volume of these w's in the training set's space and intensities; air, below which magnitudes do not go, is cut
    /// off. `seed` draws the noise if it is random.
    pub fn volume(&self, styles: &Array2<f32>, seed: u64) -> Volume {
        let noise = match self.sampling.noise {
            NoiseMode::Const => Noise::Const,
            NoiseMode::None => Noise::None,
            NoiseMode::Random => Noise::Random { seed, step: 0, phase: 0, first_sample: 0 },
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

    /// Writes `volumes` (one, or the frames of a series) as NIfTI and, beside it, the sidecar that says how they came to
    /// be: `details`, the conditions of `seed`, and what all samples of this generator share.
    ///
    /// # Errors
    /// [`Error::Io`] if they cannot be written.
    pub fn write(
        &self,
        path: &Path,
        volumes: &[Volume],
        stored: StoredType,
        seed: u64,
        details: Value,
    ) -> Result<()> {
        let description = format!("SYNTHETIC voxgan {} {}", env!("CARGO_PKG_VERSION"), &self.sha256[..12]);
        let options = WriteOptions { data_type: stored.into(), description };
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
        });
        sidecar::write(path, &sidecar::joined(sidecar::joined(record, sidecar::generated_by()), details))
    }
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
