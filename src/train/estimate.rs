//! What a run will take, before it starts: steps, parameters, memory.

use crate::config::Recipe;
use crate::gan::{Discriminator, Generator};
use crate::nn::parameters::{is_buffer, values};
use crate::ops::VolumeOps;

/// Copies of a network's parameters in training: values, gradient, two moments.
const COPIES: usize = 4;

/// The plan of a run in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Trained parameters of the generator.
    pub generator_parameters: usize,
    /// Trained parameters of the discriminator.
    pub discriminator_parameters: usize,
    /// Steps in all.
    pub steps: u64,
    /// Peak memory of the tensors of a step, in bytes: parameters, and the activations that the widest phase keeps.
    pub memory_bytes: usize,
}

impl Estimate {
    /// The estimate for a resolved recipe.
    ///
    /// Activations that a backward pass needs, for each voxel and channel of a block: in the generator 6 (two layers'
    /// convolved and activated values, the second's and the to-image layer's scaled input), in the discriminator 4 (the
    /// block's input, the first layer's values, their filtered copy, and what the pass itself works on). The generator's
    /// main phase holds both. The R1 and path-length phases record the backward pass too, and keep about 2.2 times as much
    /// of one network, on their part of the batch.
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
        let generator: usize = blocks().map(|(i, voxels)| voxels * (6 * network.channels(i) + 4)).sum();
        let discriminator: usize =
            blocks().map(|(i, voxels)| voxels * (4 * network.discriminator_channels(i) + 4)).sum();
        let path = micro.div_ceil(training.path_length_batch_shrink);
        let activations = [
            micro * (generator + discriminator),
            path * generator * 22 / 10 * usize::from(training.path_length_interval > 0),
            micro * discriminator * 22 / 10 * usize::from(training.r1_interval > 0),
        ];
        let parameters = COPIES * (generator_parameters + discriminator_parameters) + generator_parameters;
        Self {
            generator_parameters,
            discriminator_parameters,
            steps: training.steps(),
            memory_bytes: 4 * (parameters + activations.into_iter().max().unwrap_or(0)),
        }
    }
}
