//! Estimates for a run before it starts: steps, parameters, memory.

use crate::config::Recipe;
use crate::gan::{Discriminator, Generator};
use crate::nn::parameters::{is_buffer, values};
use crate::ops::VolumeOps;

/// Copies of a network's parameters in training: values, gradient, two moments.
const COPIES: usize = 4;

/// The program itself, its threads' working memory, pictures, and the blocks that wait for reuse.
const PROGRAM_BYTES: usize = 96 << 20;

/// What the segmenter holds while it measures the samples of a picture: its parameters and the features of one block, whose size
/// is always the same. Measured as the difference of the peaks with and without it: 1.17 and 0.36 GB of `brain-4mm`.
const SEGMENTER_BYTES: usize = 774 << 20;

/// Estimates for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Number of trained parameters of the generator.
    pub generator_parameters: usize,
    /// Number of trained parameters of the discriminator.
    pub discriminator_parameters: usize,
    /// Number of steps.
    pub steps: u64,
    /// Peak memory in bytes: parameters, the stored activations of the largest phase, and the segmenter that measures
    /// samples.
    pub memory_bytes: usize,
}

impl Estimate {
    /// The estimate for a resolved recipe.
    ///
    /// The stored activations of a phase, in units of a network's sum over blocks of voxels times channels: in the
    /// generator's main phase 3.1 times that of either network; in R1, which records a backward pass too, 7 times the
    /// discriminator's; in the path-length phase 15.4 times the generator's, on its part of the batch.
    pub fn new<B: VolumeOps>(recipe: &Recipe, device: &B::Device) -> Self {
        let (network, training) = (&recipe.network, &recipe.training);
        let width = recipe.conditions.width();
        let trained = |named: std::collections::BTreeMap<String, burn::tensor::TensorData>| -> usize {
            named
                .iter()
                .filter(|(name, _)| !is_buffer(name))
                .map(|(_, v)| v.shape.iter().product::<usize>())
                .sum()
        };
        let generator_parameters = trained(values(&Generator::<B>::init(network, width, 0, device)));
        let discriminator_parameters = trained(values(&Discriminator::<B>::init(network, width, 0, device)));
        let micro = training.micro_batch.unwrap_or(training.batch);
        let blocks = || (0..network.blocks()).map(|i| (i, network.block_shape(i).iter().product::<usize>()));
        let generator: usize = blocks().map(|(i, voxels)| voxels * network.channels(i)).sum();
        let discriminator: usize =
            blocks().map(|(i, voxels)| voxels * network.discriminator_channels(i)).sum();
        let path = micro.div_ceil(training.path_length_batch_shrink);
        let activations = [
            micro * (generator + discriminator) * 31 / 10,
            path * generator * 154 / 10 * usize::from(training.path_length_interval > 0),
            micro * discriminator * 7 * usize::from(training.r1_interval > 0),
        ];
        // The batch of the step to come is read meanwhile.
        let ahead = training.batch * network.image_channels * network.voxels();
        let parameters = COPIES * (generator_parameters + discriminator_parameters) + generator_parameters;
        Self {
            generator_parameters,
            discriminator_parameters,
            steps: training.steps(),
            memory_bytes: PROGRAM_BYTES
                + SEGMENTER_BYTES * usize::from(recipe.output.anatomy_samples > 0 && network.shape()[0] > 1)
                + 4 * (parameters + ahead + activations.into_iter().max().unwrap_or(0)),
        }
    }
}
