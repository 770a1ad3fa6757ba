//! What `generate`, `mix`, `interpolate` and `evaluate` share: a model's samples as volumes and as files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Tensor, TensorData};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::conditions::Drawn;
use super::sidecar;
use crate::bridge;
use crate::error::{Error, Result};
use crate::gan::{Conditions, Truncation};
use crate::io::nifti::{self, DataType, WriteOptions};
use crate::nn::Noise;
use crate::ops::VolumeOps;
use crate::pretrained::Model;
use crate::random::{Purpose, normal, stream};
use crate::volume::Volume;

/// Which generator, and how it is sampled.
#[derive(Clone, Debug, clap::Args)]
pub struct SamplingArgs {
    /// A generator inside the program (brain-4mm), a checkpoint or weights file, or a run's folder
    #[arg(long, value_name = "NAME|FILE|RUN", default_value = "brain-4mm")]
    pub weights: String,
    /// Truncation: 1 samples all the generator learned, less comes closer to its mean
    #[arg(long, default_value_t = 1.0)]
    pub psi: f64,
    /// Truncate only this many layers of w, from the coarsest
    #[arg(long, value_name = "LAYERS")]
    pub psi_cutoff: Option<usize>,
    /// Noise inputs: none, the generator's own, or drawn from the seed; they are fine texture, which a generator learns
    /// last: until it has, they are speckle
    #[arg(long, value_enum, default_value_t = NoiseMode::None)]
    pub noise: NoiseMode,
    /// Conditions for a conditional generator, such as age=34,sex=F or a range, age=20-70, to draw from by the seed; what is
    /// left out is drawn as it is among the training people
    #[arg(long, value_name = "LABEL=VALUE,…")]
    pub conditions: Option<String>,
    /// Allow values outside the ranges that the generator was trained on, where nothing is known of what it makes
    #[arg(long)]
    pub extrapolate: bool,
    /// Where to compute: cpu, cuda, cuda:N
    #[arg(long, default_value_t)]
    pub device: super::device::Device,
}

/// Where samples go, and how they are stored.
#[derive(Clone, Debug, clap::Args)]
pub struct OutputArgs {
    /// How voxels are stored
    #[arg(long, value_enum, default_value_t = StoredType::F32)]
    pub data_type: StoredType,
    /// The folder for the files
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Where a layer's noise comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum NoiseMode {
    /// The generator's own, the same for every sample.
    Const,
    /// Drawn from the seed.
    Random,
    /// None.
    None,
}

/// How voxels are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum StoredType {
    /// float32.
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

/// Values of labels by their names.
pub type Labels = BTreeMap<String, String>;

/// A model ready to be sampled.
#[derive(Debug)]
pub struct Sampler<B: VolumeOps> {
    /// The generator and where its volumes lie.
    pub model: Model<B>,
    args: SamplingArgs,
    drawn: Drawn,
    device: B::Device,
}

impl<B: VolumeOps> Sampler<B> {
    /// Opens the model with conditions that may be drawn. What is left out is that of `people` (named); without any, it is drawn
    /// from what the model knows of its training people.
    ///
    /// # Errors
    /// What is wrong with weights, ψ or conditions.
    pub fn open(args: &SamplingArgs, people: &[(&str, &Labels)], device: B::Device) -> Result<Self> {
        if !args.psi.is_finite() {
            return Err(Error::value("--psi", "a finite number", args.psi.to_string(), "0.7 to 1 are usual"));
        }
        let model = Model::<B>::open(&args.weights, &device)?;
        let drawn = drawn(&model, args.conditions.as_deref(), args.extrapolate, people)?;
        Ok(Self { model, args: args.clone(), drawn, device })
    }

    /// Labels that the samples are conditioned on, in the order of the recipe.
    pub fn conditions(&self) -> Vec<&str> {
        self.drawn.names()
    }

    /// What the sample of `seed` is conditioned on.
    pub fn labels(&self, seed: u64) -> Labels {
        self.drawn.labels(seed)
    }

    /// The latent of `seed`, `[1, z_dim]`.
    pub fn latent(&self, seed: u64) -> Tensor<B, 2> {
        let z_dim = self.model.recipe.network.z_dim;
        let z = normal(&mut stream(seed, 0, 0, 0, Purpose::Latent), z_dim);
        Tensor::from_data(TensorData::new(z, [1, z_dim]), &self.device)
    }

    /// The truncated w's of a latent, `[1, num_ws, w_dim]`, under the conditions of `seed`.
    pub fn styles(&self, z: Tensor<B, 2>, seed: u64) -> Tensor<B, 3> {
        let condition = self.drawn.vector(seed).expect("conditions were checked").map(|values| {
            let width = values.len();
            Tensor::from_data(TensorData::new(values, [1, width]), &self.device)
        });
        let truncation = Truncation { psi: self.args.psi, cutoff: self.args.psi_cutoff };
        self.model.generator.styles(z, condition, truncation)
    }

    /// The volume of these w's in the training set's space and intensities; air, below which magnitudes do not go, is cut
    /// off. `seed` draws the noise if it is random.
    pub fn volume(&self, ws: Tensor<B, 3>, seed: u64) -> Volume {
        let noise = match self.args.noise {
            NoiseMode::Const => Noise::Const,
            NoiseMode::None => Noise::None,
            NoiseMode::Random => Noise::Random { seed, step: 0, phase: 0, first_sample: 0 },
        };
        let space = &self.model.space;
        let image = self.model.generator.synthesis.forward(ws, noise);
        let mut volume = bridge::to_volumes(image, &space.affine()).remove(0);
        if let Some([least, _]) = space.intensity.clip {
            volume.data.mapv_inplace(|v| v.max(least as f32));
        }
        space.intensity.invert(volume)
    }

    /// Writes `volumes` (one, or the frames of a series) as NIfTI and, beside it, the sidecar that says how they came to
    /// be: `details`, the conditions of `seed`, and what all samples of this model share.
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
        let description =
            format!("SYNTHETIC voxgan {} {}", env!("CARGO_PKG_VERSION"), &self.model.sha256[..12]);
        let options = WriteOptions { data_type: stored.into(), description };
        match volumes {
            [volume] => nifti::write(path, volume, &options)?,
            frames => nifti::write_series(path, frames, &options)?,
        }
        let model = &self.model;
        let recipe = Sha256::digest(model.recipe.to_toml()?.as_bytes());
        let source = Path::new(&model.source).file_name().map(|name| name.to_string_lossy().into_owned());
        let mut sidecar = json!({
            "Synthetic": true,
            "GeneratedBy": [{"Name": "voxgan", "Version": env!("CARGO_PKG_VERSION")}],
            "Model": source,
            "ModelSHA256": model.sha256,
            "RecipeSHA256": recipe.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
            "TrainingSetSHA256": model.space.dataset_sha256,
            "TrainingSetVolumes": model.space.volumes,
            "TrainingImagesShown": model.images,
            "Psi": self.args.psi,
            "PsiCutoff": self.args.psi_cutoff,
            "Noise": format!("{:?}", self.args.noise).to_lowercase(),
            "Conditions": self.labels(seed),
        });
        if let (Some(sidecar), Value::Object(details)) = (sidecar.as_object_mut(), details) {
            sidecar.extend(details);
        }
        sidecar::write(path, &sidecar)
    }
}

/// What samples of `model` are conditioned on: `text` of a command line, and where that says nothing, `people` or what the model
/// knows of its training people.
///
/// # Errors
/// As [`Drawn::new`].
pub fn drawn<B: VolumeOps>(
    model: &Model<B>,
    text: Option<&str>,
    extrapolate: bool,
    people: &[(&str, &Labels)],
) -> Result<Drawn> {
    let recipe = &model.recipe.conditions;
    let conditions = Conditions::new(recipe);
    let conditions = if extrapolate { conditions.extrapolating() } else { conditions };
    Drawn::new(conditions, recipe, text, people, model.space.population.as_ref())
}

/// Seeds such as `0-15,42`.
///
/// # Errors
/// What is no number or no range, or more than a million seeds.
pub fn parse_seeds(text: &str) -> std::result::Result<Seeds, String> {
    let number = |text: &str| text.trim().parse::<u64>().map_err(|_| format!("`{text}` is no seed"));
    let mut seeds = Vec::new();
    for part in text.split(',') {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(part)?, number(part)?),
        };
        if last < first {
            return Err(format!("`{part}` runs backwards"));
        }
        if last - first >= 1_000_000 || seeds.len() > 1_000_000 {
            return Err(format!("`{part}` is more than a million seeds"));
        }
        seeds.extend(first..=last);
    }
    Ok(Seeds(seeds))
}

/// A list of seeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds(pub Vec<u64>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_numbers_and_ranges() {
        assert_eq!(parse_seeds("0-3,42").map(|s| s.0), Ok(vec![0, 1, 2, 3, 42]));
        assert_eq!(parse_seeds("7").map(|s| s.0), Ok(vec![7]));
        for wrong in ["", "a", "3-1", "1-", "0-99999999", "-4"] {
            assert!(parse_seeds(wrong).is_err(), "{wrong}");
        }
    }
}
