//! The data queue: which real volumes a step sees, and their conditions.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use super::phases::{MicroBatch, Phase};
use crate::bridge;
use crate::config::Recipe;
use crate::error::{Error, Result};
use crate::gan::Conditions;
use crate::io::dataset::Dataset;
use crate::pretrained::TrainingSpace;
use crate::random::{Purpose, permutation, stream};
use crate::volume::Volume;
use crate::volume::intensity::IntensityMap;
use rand::RngExt;

/// A dataset as a run sees it: endless epochs, each in a random order that its number determines.
#[derive(Debug)]
pub struct Reals {
    dataset: Dataset,
    /// The condition vector of each volume; empty without conditions.
    conditions: Vec<Vec<f32>>,
    seed: u64,
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
            conditions.encode(&dataset.entry(i).labels).map_err(|e| match e {
                Error::Value { key, expected, found, advice } => {
                    Error::value(format!("{} of {}", key, dataset.entry(i).name), expected, found, advice)
                }
                other => other,
            })
        };
        let vectors = if conditions.width() == 0 {
            Vec::new()
        } else {
            (0..dataset.len()).map(encode).collect::<Result<_>>()?
        };
        Ok(Self { dataset, conditions: vectors, seed: recipe.training.seed })
    }

    /// Number of volumes.
    pub fn len(&self) -> usize {
        self.dataset.len()
    }

    /// Whether there is none (never, once open).
    pub fn is_empty(&self) -> bool {
        self.dataset.is_empty()
    }

    /// The dataset.
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// Voxel size along `(D, H, W)`.
    pub fn spacing_mm(&self) -> [f64; 3] {
        let affine = self.dataset.affine();
        [2, 1, 0].map(|axis| affine.fixed_view::<3, 1>(0, axis).norm())
    }

    /// What a generator that learned from this dataset needs to know of it.
    pub fn space(&self) -> TrainingSpace {
        let affine = self.dataset.affine();
        let maps = || (0..self.len()).map(|i| &self.dataset.entry(i).intensity);
        let median = |value: fn(&IntensityMap) -> f64| {
            let mut values: Vec<f64> = maps().map(value).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        TrainingSpace {
            affine: std::array::from_fn(|row| std::array::from_fn(|column| affine[(row, column)])),
            intensity: IntensityMap {
                scale: median(|map| map.scale),
                offset: median(|map| map.offset),
                clip: maps().next().and_then(|map| map.clip),
            },
            dataset_sha256: self.dataset.content_sha256(),
            volumes: self.len(),
        }
    }

    /// The position in the dataset of the `n`-th volume shown.
    fn position(&self, n: u64) -> usize {
        let volumes = self.len() as u64;
        let order = permutation(&mut stream(self.seed, n / volumes, 0, 0, Purpose::Order), self.len());
        order[(n % volumes) as usize]
    }

    /// The first `count` volumes, for pictures.
    ///
    /// # Errors
    /// As [`Dataset::volume`].
    pub fn first(&self, count: usize) -> Result<Vec<Volume>> {
        (0..count.min(self.len())).map(|i| self.dataset.volume(i)).collect()
    }

    /// The condition of volume `index` as `[1, width]`; none without conditions.
    pub fn condition<B: Backend>(&self, index: usize, device: &B::Device) -> Option<Tensor<B, 2>> {
        let vector = self.conditions.get(index)?.clone();
        let width = vector.len();
        Some(Tensor::from_data(TensorData::new(vector, [1, width]), device))
    }

    /// `samples` volumes of the step that begins after `shown` volumes, from its sample `first` on.
    ///
    /// # Errors
    /// As [`Dataset::volume`]: a file that vanished or changed.
    pub fn batch<B: Backend>(
        &self,
        step: u64,
        shown: u64,
        first: usize,
        samples: usize,
        device: &B::Device,
    ) -> Result<MicroBatch<B>> {
        let positions: Vec<usize> = (0..samples).map(|i| self.position(shown + (first + i) as u64)).collect();
        let volumes = positions.iter().map(|&i| self.dataset.volume(i)).collect::<Result<Vec<_>>>()?;
        let borrowed = |i: usize| {
            let phase = Phase::GeneratorMain as u64;
            let mut rng = stream(self.seed, step, phase, (first + i) as u64, Purpose::Labels);
            rng.random_range(0..self.len())
        };
        let fakes: Vec<usize> = (0..samples).map(borrowed).collect();
        let vectors = |positions: &[usize]| {
            (!self.conditions.is_empty()).then(|| {
                let rows: Vec<f32> =
                    positions.iter().flat_map(|&i| self.conditions[i].iter().copied()).collect();
                let width = rows.len() / positions.len();
                Tensor::from_data(TensorData::new(rows, [positions.len(), width]), device)
            })
        };
        Ok(MicroBatch {
            real: bridge::to_tensor(&volumes, device)?,
            real_condition: vectors(&positions),
            fake_condition: vectors(&fakes),
            first: first as u64,
        })
    }
}
