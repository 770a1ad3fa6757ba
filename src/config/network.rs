//! The grid and the widths of the networks.

use serde::{Deserialize, Serialize};

/// The grid and the widths of mapping, synthesis and discriminator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkRecipe {
    /// Grid of the first block, `[D, H, W]` voxels.
    pub base: [usize; 3],
    /// Upsampling factors `[D, H, W]` of each later block: 1 or 2 along each axis.
    pub factors: Vec<[usize; 3]>,
    /// Channels times resolution, where block `i` has the resolution `4·2ⁱ`; with `channel_max`, or `channels` instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_base: Option<usize>,
    /// Largest number of channels of a block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_max: Option<usize>,
    /// Channels of each block, from coarse to fine, instead of `channel_base` and `channel_max`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<usize>>,
    /// Length of the latent `z`.
    pub z_dim: usize,
    /// Length of the intermediate latent `w`.
    pub w_dim: usize,
    /// Number of fully connected layers of the mapping network: 8, or 2 for small data.
    #[serde(default = "mapping_layers_default")]
    pub mapping_layers: usize,
    /// Number of channels of an image.
    #[serde(default = "image_channels_default")]
    pub image_channels: usize,
    /// Size of the groups of the discriminator's minibatch standard deviation.
    #[serde(default = "minibatch_group_default")]
    pub minibatch_group: usize,
    /// `channel_base` of the discriminator; by default the generator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discriminator_channel_base: Option<usize>,
    /// `channel_max` of the discriminator; by default the generator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discriminator_channel_max: Option<usize>,
    /// Channels of the discriminator's blocks, from coarse to fine; by default the generator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discriminator_channels: Option<Vec<usize>>,
    /// Output channels of the discriminator's last convolution, which are the inputs of the fully connected layer at
    /// every voxel of the base; by default those of the first block (StyleGAN2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discriminator_fc_channels: Option<usize>,
}

fn mapping_layers_default() -> usize {
    8
}

fn image_channels_default() -> usize {
    1
}

fn minibatch_group_default() -> usize {
    4
}

/// Channels of block `block_index` in a network of this width: `min(channel_base/(4·2ⁱ), channel_max)`,
/// at least one.
pub fn block_channels(channel_base: usize, channel_max: usize, block_index: usize) -> usize {
    (channel_base / (4 << block_index)).clamp(1, channel_max.max(1))
}

impl NetworkRecipe {
    /// Number of blocks, including the first, without upsampling.
    pub fn blocks(&self) -> usize {
        self.factors.len() + 1
    }

    /// Grid `[D, H, W]` of the images.
    pub fn shape(&self) -> [usize; 3] {
        self.block_shape(self.factors.len())
    }

    /// Grid `[D, H, W]` of block `block_index`: the base times the factors up to that block.
    pub fn block_shape(&self, block_index: usize) -> [usize; 3] {
        [0, 1, 2].map(|axis| {
            self.factors.iter().take(block_index).map(|factor| factor[axis]).product::<usize>()
                * self.base[axis]
        })
    }

    /// Voxels of an image, `D·H·W`.
    pub fn voxels(&self) -> usize {
        self.shape().iter().product()
    }

    /// Channels of the generator's block `block_index`.
    ///
    /// # Panics
    /// If widths are missing or too few, which [`Recipe::validate`](super::Recipe::validate) refuses.
    pub fn channels(&self, block_index: usize) -> usize {
        match &self.channels {
            Some(channels) => channels[block_index],
            None => self.by_rule(self.channel_base, self.channel_max, block_index),
        }
    }

    /// Channels of the discriminator's block at the grid of the generator's block `block_index`.
    ///
    /// # Panics
    /// As [`Self::channels`].
    pub fn discriminator_channels(&self, block_index: usize) -> usize {
        match (&self.discriminator_channels, self.discriminator_channel_base, self.discriminator_channel_max)
        {
            (Some(channels), _, _) => channels[block_index],
            (None, None, None) => self.channels(block_index),
            (None, base, max) => {
                self.by_rule(base.or(self.channel_base), max.or(self.channel_max), block_index)
            }
        }
    }

    /// Input channels of the discriminator's fully connected layer at every voxel of the base.
    ///
    /// # Panics
    /// As [`Self::channels`].
    pub fn discriminator_fc_channels(&self) -> usize {
        self.discriminator_fc_channels.unwrap_or_else(|| self.discriminator_channels(0))
    }

    /// Number of parameters of the discriminator's fully connected layer.
    ///
    /// # Panics
    /// As [`Self::channels`].
    pub fn fully_connected_parameters(&self) -> usize {
        let inputs = self.discriminator_fc_channels() * self.base.iter().product::<usize>();
        (inputs + 1) * self.discriminator_channels(0)
    }

    /// A lower bound of the number of parameters of a generator of this recipe: those of its mapping's square layers
    /// and of the convolutions on a block's own grid, with kernels of size one along axes of one voxel.
    ///
    /// # Panics
    /// As [`Self::channels`].
    pub fn least_parameters(&self) -> u128 {
        let square = |n: usize| (n as u128).pow(2);
        let taps: u128 = self.base.iter().map(|&n| if n == 1 { 1 } else { 3 }).product();
        let blocks: u128 = (0..self.blocks()).map(|block| taps * square(self.channels(block))).sum();
        square(self.w_dim) * self.mapping_layers.saturating_sub(1) as u128 + blocks
    }

    fn by_rule(&self, base: Option<usize>, max: Option<usize>, block_index: usize) -> usize {
        let missing = "a valid recipe has channel_base and channel_max, or channels";
        block_channels(base.expect(missing), max.expect(missing), block_index)
    }

    /// Fills in the discriminator's widths where they follow the generator's rule.
    pub(super) fn resolve(&mut self) {
        if self.discriminator_channels.is_none() && self.channels.is_none() {
            self.discriminator_channel_base = self.discriminator_channel_base.or(self.channel_base);
            self.discriminator_channel_max = self.discriminator_channel_max.or(self.channel_max);
        }
    }

    /// Number of w's of the synthesis network, two for each block.
    pub fn num_ws(&self) -> usize {
        2 * self.blocks()
    }
}
