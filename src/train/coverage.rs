//! The coverage term: the distance of every training volume to the nearest of a pool of samples (IMLE).
//!
//! At intervals, samples of random latents and of the previous matches are compared with all training volumes
//! ([`search`]), and each volume is matched with the nearest that is not matched yet. Until the next search, the loss
//! is the difference between that latent's sample and the volume ([`State::generator_coverage`]).

use burn::backend::Autodiff;
use burn::module::AutodiffModule;
use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use super::data::Reals;
use super::group::Group;
use super::phases::{Context, MicroBatch, Outcome, number};
use super::state::State;
use crate::config::Recipe;
use crate::error::Result;
use crate::gan::{Generator, Truncation};
use crate::nn::parameters::gradients;
use crate::nn::{Noise, downsample, upsample_features};
use crate::ops::{Features, Shaped, VolumeOps, backward};
use crate::pretrained::Weights;
use crate::random::{Purpose, normal, stream};
use crate::segment::Encoder;

/// Levels of details in a Laplacian pyramid.
const LEVELS: usize = 2;
/// Samples that are made at a time.
const TOGETHER: usize = 8;
/// The array of a checkpoint that holds the latents.
const ARRAY: &str = "coverage.latents";

/// The latents whose samples are nearest to the training volumes, one for each volume.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matches {
    latents: Vec<Vec<f32>>,
}

impl Matches {
    /// Whether there has been no search yet.
    pub fn is_empty(&self) -> bool {
        self.latents.is_empty()
    }

    /// What `generator` makes of the latents of the volumes at `positions`, under their conditions
    /// `[N, condition_dim]`: w's `[N, num_ws, w_dim]`, and their mean `[w_dim]`, which takes no gradient.
    pub(super) fn styles<A: VolumeOps>(
        &self,
        generator: &Generator<A>,
        positions: &[usize],
        condition: Option<Tensor<A, 2>>,
        device: &A::Device,
    ) -> (Tensor<A, 3>, Tensor<A, 1>) {
        let rows: Vec<f32> = positions.iter().flat_map(|&i| self.latents[i].iter().copied()).collect();
        let width = rows.len() / positions.len();
        let z = Tensor::from_data(TensorData::new(rows, [positions.len(), width]), device);
        let ws = generator.styles(z, condition, Truncation::OFF);
        let mean = ws.clone().detach().narrow(1, 0, 1).mean_dim(0).flat();
        (ws, mean)
    }

    /// Takes those of the first rank, of `length` numbers each.
    fn share(&mut self, group: &Group, length: usize) -> Result<()> {
        let own = self.latents.iter().flatten().flat_map(|z| z.to_le_bytes()).collect();
        let bytes = group.broadcast(own, 0)?;
        let values = bytes.chunks_exact(4).map(|z| f32::from_le_bytes([z[0], z[1], z[2], z[3]]));
        self.latents = values.collect::<Vec<f32>>().chunks_exact(length).map(<[f32]>::to_vec).collect();
        Ok(())
    }

    /// Adds them to a checkpoint.
    pub(super) fn save(&self, weights: &mut Weights) {
        if let Some(first) = self.latents.first() {
            let shape = vec![self.latents.len(), first.len()];
            weights.arrays.insert(ARRAY.into(), (shape, self.latents.concat()));
        }
    }

    /// Those of a checkpoint.
    pub(super) fn saved(weights: &Weights) -> Self {
        let latents = weights.arrays.get(ARRAY).map(|(shape, values)| {
            values.chunks_exact(shape[shape.len() - 1].max(1)).map(<[f32]>::to_vec).collect()
        });
        Self { latents: latents.unwrap_or_default() }
    }
}

/// Searches the pool of `step`, to which the matches `before` belong too, for the samples of `generator` nearest to the
/// volumes of `reals`, in voxels of half the resolution and in features. Where there are conditions, a volume has a
/// pool of its own, under its conditions.
///
/// # Errors
/// Those of [`Reals::volumes`].
pub(super) fn search<B: VolumeOps>(
    generator: &Generator<B>,
    before: &Matches,
    reals: &Reals,
    recipe: &Recipe,
    encoder: Option<&Encoder<Autodiff<B>>>,
    step: u64,
    device: &B::Device,
) -> Result<Matches> {
    let coverage = &recipe.coverage;
    let see = |image: Tensor<B, 5>| seen(image, encoder, coverage.features);
    let mut people = Vec::with_capacity(reals.len());
    for volume in reals.volumes(reals.len()) {
        let data = volume?.data;
        let (c, d, h, w) = data.dim();
        let data = TensorData::new(data.iter().copied().collect::<Vec<_>>(), [1, c, d, h, w]);
        people.extend(see(Tensor::from_data(data, device)));
    }
    let drawn = people.len() * coverage.pool;
    let candidates = drawn + before.latents.len();
    let (z_dim, seed) = (recipe.network.z_dim, recipe.training.seed);
    let latent = |k: usize| match k.checked_sub(drawn) {
        Some(volume) => before.latents[volume].clone(),
        None => normal(&mut stream(seed, step, 0, k as u64, Purpose::Pool), z_dim),
    };
    // Which volume a candidate belongs to, if not to all.
    let own = |k: usize| {
        (recipe.conditions.width() > 0).then_some(k.checked_sub(drawn).unwrap_or(k / coverage.pool))
    };
    let mut pairs = Vec::new();
    for first in (0..candidates).step_by(TOGETHER) {
        let group: Vec<usize> = (first..candidates.min(first + TOGETHER)).collect();
        let z: Vec<f32> = group.iter().flat_map(|&k| latent(k)).collect();
        let z = Tensor::from_data(TensorData::new(z, [group.len(), z_dim]), device);
        let conditions: Vec<_> = group.iter().filter_map(|&k| reals.condition(own(k)?, device)).collect();
        let condition = (!conditions.is_empty()).then(|| Tensor::cat(conditions, 0));
        let samples = see(generator.forward(z, condition, Truncation::OFF, Noise::None));
        pairs.par_extend(group.par_iter().zip(&samples).flat_map_iter(|(&k, sample)| {
            let volumes = own(k).map_or(0..people.len(), |volume| volume..volume + 1);
            let people = &people;
            volumes.map(move |volume| Pair { distance: squared_distance(&people[volume], sample), volume, k })
        }));
    }
    let nearest = assigned(pairs, people.len());
    Ok(Matches { latents: nearest.into_iter().map(latent).collect() })
}

/// A training volume, a candidate of the pool, and how far they are apart.
#[derive(Clone, Copy, Debug)]
struct Pair {
    distance: f32,
    volume: usize,
    k: usize,
}

/// The candidate of each volume: the nearest pairs first, no volume and no candidate twice.
fn assigned(mut pairs: Vec<Pair>, volumes: usize) -> Vec<usize> {
    pairs.par_sort_by(|a, b| a.distance.total_cmp(&b.distance).then(a.k.cmp(&b.k)));
    let candidates = pairs.iter().map(|pair| pair.k + 1).max().unwrap_or(0);
    let (mut of_volume, mut taken) = (vec![None; volumes], vec![false; candidates]);
    for Pair { volume, k, .. } in pairs {
        if of_volume[volume].is_none() && !taken[k] {
            (of_volume[volume], taken[k]) = (Some(k), true);
        }
    }
    of_volume.into_iter().map(|k| k.expect("a pool has a candidate for each volume")).collect()
}

/// What is compared of each of `images` `[N, C, D, H, W]`: squared distances are mean squared differences of voxels at
/// half the resolution, and `weight` times those of features.
fn seen<B: VolumeOps>(
    image: Tensor<B, 5>,
    encoder: Option<&Encoder<Autodiff<B>>>,
    weight: f64,
) -> Vec<Vec<f32>> {
    let [n, _, d, h, w] = image.dims();
    let factors = [d, h, w].map(|size| if size.is_multiple_of(2) { 2 } else { 1 });
    let half = downsample(Features::from_volumes(image.clone()), factors).into_volumes();
    let mut rows = scaled_rows(half, n, 1.0);
    if let Some(encoder) = encoder {
        let features = encoder.seen(Tensor::from_inner(unit(image))).inner();
        for (row, more) in rows.iter_mut().zip(scaled_rows(features, n, weight)) {
            row.extend(more);
        }
    }
    rows
}

/// The samples of `x` as rows whose squared distances are `weight` times mean squared differences.
fn scaled_rows<B: VolumeOps>(x: Tensor<B, 5>, samples: usize, weight: f64) -> Vec<Vec<f32>> {
    let values: Vec<f32> = x.into_data().iter::<f32>().collect();
    let length = values.len() / samples;
    let scale = (weight / length as f64).sqrt() as f32;
    values.chunks_exact(length).map(|row| row.iter().map(|x| x * scale).collect()).collect()
}

fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}

/// Normalised intensities, from −1 to 1, as an encoder takes them, of their first channel.
fn unit<B: VolumeOps>(image: Tensor<B, 5>) -> Tensor<B, 5> {
    image.narrow(1, 0, 1) * 0.5 + 0.5
}

/// Mean absolute difference of each level of the Laplacian pyramids of two sets of images, summed: details count as
/// much as shapes (Bojanowski et al. 2018, arXiv 1707.05776, there with weights that favour coarse levels).
fn laplacian_difference<B: VolumeOps>(a: Tensor<B, 5>, b: Tensor<B, 5>) -> Tensor<B, 1> {
    // A pyramid is linear: that of the difference.
    let mut rest = Features::from_volumes(a - b);
    let mut sum = Tensor::zeros([1], &rest.clone().into_volumes().device());
    for _ in 0..LEVELS {
        let factors = rest.grid().map(|size| if size.is_multiple_of(2) { 2 } else { 1 });
        let coarser = downsample(rest.clone(), factors);
        let details = rest.into_volumes() - upsample_features(coarser.clone(), factors).into_volumes();
        sum = sum + details.abs().mean();
        rest = coarser;
    }
    sum + rest.into_volumes().abs().mean()
}

impl<B: VolumeOps> State<B> {
    /// Gradients of the coverage term on one micro-batch, times its weight: the differences between volumes and their
    /// nearest samples, of their Laplacian pyramids and of features.
    pub fn generator_coverage(&self, context: &Context<B>, batch: &MicroBatch<B>) -> Outcome<B> {
        let coverage = &context.recipe.coverage;
        let condition = batch.real_condition.clone().map(Tensor::from_inner);
        let device = batch.real.device();
        let (ws, mean) = self.matches.styles(&self.generator, &batch.positions, condition, &device);
        let image = self.generator.synthesis.forward(ws, Noise::None);
        let real = Tensor::from_inner(batch.real.clone());
        let squared = (image.clone() - real.clone()).powi_scalar(2).mean();
        let mut numbers = vec![("coverage", number(&squared))];
        let mut difference = laplacian_difference(image.clone(), real.clone());
        if let Some(encoder) = context.encoder {
            let [image, real] = [image, real].map(|image| encoder.seen(unit(image)));
            let features = (image - real).powi_scalar(2).mean();
            numbers.push(("coverage_features", number(&features)));
            difference = difference + features * coverage.features;
        }
        let gradients = gradients(&self.generator, &backward(&(difference * coverage.weight)));
        Outcome { gradients, numbers, w_mean: Some(mean.inner()), ..Outcome::default() }
    }

    /// Searches for the nearest samples anew, when that is due: the first rank does, and the others take what it finds.
    ///
    /// # Errors
    /// Those of [`search`] and of the group.
    pub(super) fn search_coverage(
        &mut self,
        group: &Group,
        recipe: &Recipe,
        reals: &Reals,
        encoder: Option<&Encoder<Autodiff<B>>>,
        device: &B::Device,
    ) -> Result<()> {
        let (coverage, step) = (&recipe.coverage, self.counters.step);
        let interval = recipe.training.steps_of(coverage.search_kimg).max(1);
        if coverage.is_on() && (self.matches.is_empty() || step.is_multiple_of(interval)) {
            group.first(|| {
                let generator = self.generator.valid();
                self.matches = search(&generator, &self.matches, reals, recipe, encoder, step, device)?;
                Ok(())
            })?;
            self.matches.share(group, recipe.network.z_dim)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_volume_takes_the_nearest_that_no_other_has() {
        // Candidate 1 is nearest to both volumes, and nearer to the second; the first has what is left.
        let distances = [[2.0, 1.0, 3.0], [5.0, 0.5, 4.0]];
        let pairs =
            (0..2).flat_map(|volume| (0..3).map(move |k| Pair { distance: distances[volume][k], volume, k }));
        assert_eq!(assigned(pairs.collect(), 2), [0, 1]);
        // With pools of their own, volumes have no other choice.
        let pairs = vec![Pair { distance: 9.0, volume: 0, k: 0 }, Pair { distance: 1.0, volume: 1, k: 1 }];
        assert_eq!(assigned(pairs, 2), [0, 1]);
    }
}
