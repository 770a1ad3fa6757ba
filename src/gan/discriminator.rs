//! The discriminator: image (and condition) to logit, with residual blocks.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::{Mapping, MappingConfig};
use crate::config::NetworkRecipe;
use crate::nn::{
    Conv, ConvConfig, FullyConnected, FullyConnectedConfig, Init, kernel_over, minibatch_deviation,
};
use crate::ops::{Features, Shaped, VolumeOps};

/// Layers of a conditional discriminator's mapping network.
const MAPPING_LAYERS: usize = 8;

/// Image to logit (StyleGAN2, `Discriminator`, residual architecture).
#[derive(Module, Debug)]
pub struct Discriminator<B: Backend> {
    /// From coarse to fine, the order of their names; the forward pass goes from the last to the first.
    pub blocks: Vec<DiscriminatorBlock<B>>,
    /// The layers on the base grid.
    pub epilogue: Epilogue<B>,
    /// The mapping of the condition for the projection (Miyato & Koyama 2018); `None` without conditions.
    pub mapping: Option<Mapping<B>>,
}

/// Minibatch deviation and the layers on the base grid.
#[derive(Module, Debug)]
pub struct Epilogue<B: Backend> {
    /// Convolution of features and minibatch deviation.
    pub conv: Conv<B>,
    /// The flattened base grid to features.
    pub fc: FullyConnected<B>,
    /// Features to the logit, or to the vector that is multiplied with the mapped condition.
    pub out: FullyConnected<B>,
    minibatch_group: usize,
}

/// Two convolutions, the second halving the grid, and a linear skip.
#[derive(Module, Debug)]
pub struct DiscriminatorBlock<B: Backend> {
    /// Image to features by a kernel of one voxel; in the finest block only.
    pub from_image: Option<Conv<B>>,
    /// Convolution on the block's grid.
    pub conv0: Conv<B>,
    /// Convolution to the next coarser grid.
    pub conv1: Conv<B>,
    /// The skip branch.
    pub skip: Conv<B>,
}

impl<B: Backend> Discriminator<B> {
    /// The discriminator of this recipe, for condition vectors of length `condition_dim` (zero for none), with initial
    /// values drawn from `seed`.
    pub fn init(network: &NetworkRecipe, condition_dim: usize, seed: u64, device: &B::Device) -> Self {
        let mut init = Init::new(seed);
        let init = &mut init;
        let channels = |block: usize| network.discriminator_channels(block);
        let finest = network.blocks() - 1;
        let conv = |inputs: usize, outputs: usize, kernel: [usize; 3], down: [usize; 3], activate: bool| {
            ConvConfig { inputs, outputs, kernel, down, activate }
        };
        let blocks = (1..network.blocks()).map(|i| {
            let kernel = kernel_over(network.block_shape(i), 3);
            let down = network.factors[i - 1];
            DiscriminatorBlock {
                from_image: (i == finest).then(|| {
                    conv(network.image_channels, channels(i), [1; 3], [1; 3], true).init(init, device)
                }),
                conv0: conv(channels(i), channels(i), kernel, [1; 3], true).init(init, device),
                conv1: conv(channels(i), channels(i - 1), kernel, down, true).init(init, device),
                skip: conv(channels(i), channels(i - 1), [1; 3], down, false).init(init, device),
            }
        });
        let blocks = blocks.collect();
        let (width, narrow) = (channels(0), network.discriminator_fc_channels());
        let voxels: usize = network.base.iter().product();
        Self {
            blocks,
            epilogue: Epilogue {
                conv: conv(width + 1, narrow, kernel_over(network.base, 3), [1; 3], true).init(init, device),
                fc: FullyConnectedConfig::new(narrow * voxels, width).activated().init(init, device),
                out: FullyConnectedConfig::new(width, if condition_dim > 0 { width } else { 1 })
                    .init(init, device),
                minibatch_group: network.minibatch_group,
            },
            mapping: (condition_dim > 0).then(|| {
                MappingConfig { z_dim: 0, condition_dim, w_dim: width, layers: MAPPING_LAYERS }
                    .init(init, device)
            }),
        }
    }
}

impl<B: VolumeOps> Discriminator<B> {
    /// The logit of each sample.
    ///
    /// # Shapes
    /// - `image`: `[N, image channels, D, H, W]`, `condition`: `[N, condition_dim]`
    /// - output: logits `[N]`
    ///
    /// # Panics
    /// If the discriminator is conditional and no condition is given.
    pub fn forward(&self, image: Tensor<B, 5>, condition: Option<Tensor<B, 2>>) -> Tensor<B, 1> {
        let half = 0.5f64.sqrt();
        let mut x = Features::from_volumes(image);
        for block in self.blocks.iter().rev() {
            if let Some(from_image) = &block.from_image {
                x = from_image.forward(x, 1.0);
            }
            let skip = block.skip.forward(x.clone(), half);
            x = block.conv1.forward(block.conv0.forward(x, 1.0), half) + skip;
        }
        let x = self.epilogue.forward(x); // [N, 1] or [N, width]
        let width = x.dims()[1];
        match &self.mapping {
            // Projection of the features on the condition (Miyato & Koyama 2018).
            Some(mapping) => (x * mapping.forward(None, condition)).sum_dim(1).flat() / (width as f64).sqrt(),
            None => x.flat(),
        }
    }
}

impl<B: VolumeOps> Epilogue<B> {
    /// # Shapes
    /// `[N, C, D, H, W]` on the base grid → `[N, 1]`, or `[N, width]` under a condition
    fn forward(&self, x: Features<B>) -> Tensor<B, 2> {
        let x = minibatch_deviation(x.into_volumes(), self.minibatch_group);
        let x = self.conv.forward(Features::from_volumes(x), 1.0).into_volumes();
        let [n, c, d, h, w] = x.dims();
        self.out.forward(self.fc.forward(x.shaped([n, c * d * h * w])))
    }
}
