//! The data queue: the real volumes of each step, and their conditions.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use super::phases::{MicroBatch, Phase};
use super::subjects::Rounds;
use crate::config::{ConditionsRecipe, Recipe};
use crate::error::{Error, Result};
use crate::gan::{Conditions, Population};
use crate::io::dataset::Dataset;
use crate::pretrained::TrainingSpace;
use crate::random::{Purpose, Samples, stream};
use crate::stats::upper_median;
use crate::volume::Volume;
use crate::volume::intensity::IntensityMap;
use rand::RngExt;

/// A dataset in training: endless epochs, each in a random order that depends on seed and epoch.
#[derive(Debug)]
pub struct Reals {
    dataset: Dataset,
    /// What the network is conditioned on.
    recipe: ConditionsRecipe,
    /// The condition vector of each volume; empty without conditions.
    conditions: Vec<Vec<f32>>,
    order: Rounds,
    seed: u64,
}

/// All values, or the errors of all volumes that have none.
fn all<T>(values: impl Iterator<Item = Result<T>>) -> Result<Vec<T>> {
    let (mut good, mut errors) = (Vec::new(), Vec::new());
    for value in values {
        match value {
            Ok(value) => good.push(value),
            Err(error) => errors.push(error),
        }
    }
    match errors.len() {
        0 => Ok(good),
        1 => Err(errors.remove(0)),
        _ => {
            let found = errors.iter().map(|error| format!("\n  {error}")).collect::<String>() + "\n";
            let advice = "correct the table, or leave those volumes out, and prepare again";
            Err(Error::value("conditions", "values for all volumes", found, advice))
        }
    }
}

impl Reals {
    /// Opens the prepared `dataset` for `recipe`.
    ///
    /// # Errors
    /// [`Error::Value`] if the recipe's grid is not the dataset's, or a label that conditions need is missing.
    pub fn new(dataset: Dataset, recipe: &Recipe) -> Result<Self> {
        let [d, h, w] = recipe.network.shape();
        let expected = [recipe.network.image_channels, d, h, w];
        if dataset.shape() != expected {
            let [c, d, h, w] = dataset.shape();
            return Err(Error::value(
                "network.base, network.factors, network.image_channels",
                format!("the dataset's {c} channels on a grid [D, H, W] of [{d}, {h}, {w}]"),
                format!("{} on {:?}", expected[0], recipe.network.shape()),
                "prepare with the recipe's grid (--shape W,H,D) or choose a recipe of the dataset's",
            ));
        }
        let conditions = Conditions::new(&recipe.conditions);
        let encode = |i: usize| {
            conditions
                .encode(&dataset.entry(i).labels)
                .map_err(|error| error.with_key(|key| format!("{key} of {}", dataset.entry(i).name)))
        };
        let vectors = if conditions.width() == 0 { Vec::new() } else { all((0..dataset.len()).map(encode))? };
        let seed = recipe.training.seed;
        let (order, recipe) = (Rounds::new(seed, 0, dataset.len()), recipe.conditions.clone());
        Ok(Self { order, dataset, recipe, conditions: vectors, seed })
    }

    /// Number of volumes.
    pub fn len(&self) -> usize {
        self.dataset.len()
    }

    /// Whether there is no volume (never, for an opened dataset).
    pub fn is_empty(&self) -> bool {
        self.dataset.is_empty()
    }

    /// The dataset.
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// Voxel size along `(D, H, W)` in millimetres.
    pub fn spacing_mm(&self) -> [f64; 3] {
        let [i, j, k] = self.dataset.spacing_mm();
        [k, j, i]
    }

    /// The space of this dataset, for a generator that is trained on it.
    pub fn space(&self) -> TrainingSpace {
        let maps = || (0..self.len()).map(|i| &self.dataset.entry(i).intensity);
        let median = |value: fn(&IntensityMap) -> f64| {
            upper_median(maps().map(value).collect()).expect("a dataset has volumes")
        };
        let labels: Vec<_> = (0..self.len()).map(|i| &self.dataset.entry(i).labels).collect();
        TrainingSpace {
            affine: self.dataset.affine(),
            intensity: IntensityMap {
                scale: median(|map| map.scale),
                offset: median(|map| map.offset),
                clip: maps().next().and_then(|map| map.clip),
            },
            normalisation: Some(self.dataset.manifest.settings.normalisation),
            dataset_sha256: self.dataset.content_sha256(),
            volumes: self.len(),
            population: Population::of(&self.recipe, &labels),
        }
    }

    /// The first `count` volumes, read one by one; all of them if there are fewer.
    ///
    /// # Errors
    /// As [`Dataset::volume`].
    pub fn volumes(&self, count: usize) -> impl Iterator<Item = Result<Volume>> {
        self.dataset.volumes().take(count)
    }

    /// The condition of volume `index`, `[1, width]`; `None` without conditions.
    pub fn condition<B: Backend>(&self, index: usize, device: &B::Device) -> Option<Tensor<B, 2>> {
        let vector = self.conditions.get(index)?.clone();
        let width = vector.len();
        Some(Tensor::from_data(TensorData::new(vector, [1, width]), device))
    }

    /// The volumes of step `step`, which begins after `shown` volumes, for the samples with these `numbers` within the step;
    /// with conditions, on the host.
    ///
    /// # Errors
    /// As [`Dataset::volume`].
    pub fn batch(&self, step: u64, shown: u64, numbers: &[u64]) -> Result<Batch> {
        let samples = numbers.len();
        let positions: Vec<usize> = numbers.iter().map(|i| self.order.at(shown + i)).collect();
        let borrowed = |sample: u64| {
            let phase = Phase::GeneratorMain as u64;
            let mut rng = stream(self.seed, step, phase, sample, Purpose::Labels);
            rng.random_range(0..self.len())
        };
        let fakes: Vec<usize> = numbers.iter().copied().map(borrowed).collect();
        let vectors = |positions: &[usize]| -> Vec<f32> {
            let vector = |&i: &usize| self.conditions.get(i).into_iter().flatten().copied();
            positions.iter().flat_map(vector).collect()
        };
        let mut voxels = Vec::with_capacity(samples * self.dataset.shape().iter().product::<usize>());
        for &position in &positions {
            voxels.extend(self.dataset.volume(position)?.data.iter());
        }
        Ok(Batch {
            samples,
            shape: self.dataset.shape(),
            voxels,
            real_conditions: vectors(&positions),
            fake_conditions: vectors(&fakes),
            positions,
        })
    }
}

/// The volumes of a step on the host, with their conditions.
#[derive(Clone, Debug)]
pub struct Batch {
    samples: usize,
    /// `[C, D, H, W]`.
    shape: [usize; 4],
    /// `[N, C, D, H, W]`.
    voxels: Vec<f32>,
    /// `[N, width]`; empty without conditions.
    real_conditions: Vec<f32>,
    fake_conditions: Vec<f32>,
    /// Which volumes of the dataset they are.
    positions: Vec<usize>,
}

impl Batch {
    /// The part of `samples` volumes from place `first` on, which have these `numbers` within the step, on `device`.
    pub fn part<B: Backend>(
        &self,
        first: usize,
        samples: usize,
        numbers: Samples,
        device: &B::Device,
    ) -> MicroBatch<B> {
        let rows = |values: &[f32]| {
            let width = values.len() / self.samples;
            (width > 0).then(|| {
                let rows = values[first * width..(first + samples) * width].to_vec();
                Tensor::from_data(TensorData::new(rows, [samples, width]), device)
            })
        };
        let [c, d, h, w] = self.shape;
        let voxels = c * d * h * w;
        let real = self.voxels[first * voxels..(first + samples) * voxels].to_vec();
        MicroBatch {
            real: Tensor::from_data(TensorData::new(real, [samples, c, d, h, w]), device),
            real_condition: rows(&self.real_conditions),
            fake_condition: rows(&self.fake_conditions),
            positions: self.positions[first..first + samples].to_vec(),
            numbers,
        }
    }
}
