//! Discriminators: networks that distinguish restored images from true ones.

use burn::backend::Autodiff;
use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::config::{DiscriminatorKind, DiscriminatorRecipe, NetworkRecipe};
use crate::gan::{Discriminator, ImageGradient, discriminator_gradient};
use crate::nn::{Conv, ConvConfig, Init, kernel_over};
use crate::ops::{Features, Shaped, VolumeOps};

/// Most channels, in times of those on the finest grid.
const WIDEST: usize = 4;

/// A discriminator of either kind.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "one in a program")]
pub enum RestorationDiscriminator<B: Backend> {
    /// Logits of patches.
    Patch(PatchDiscriminator<B>),
    /// A logit of the whole image.
    Whole(Discriminator<B>),
}

impl<B: Backend> RestorationDiscriminator<B> {
    /// The discriminator of a recipe, for images of so many channels on `grid`, with initial values drawn from `seed`.
    pub fn init(
        recipe: &DiscriminatorRecipe,
        channels: usize,
        grid: [usize; 3],
        seed: u64,
        device: &B::Device,
    ) -> Self {
        let halved = grid.map(|n| if n > 1 { 2 } else { 1 });
        match recipe.kind {
            DiscriminatorKind::Patch => {
                Self::Patch(PatchDiscriminator::init(recipe, channels, halved, &mut Init::new(seed), device))
            }
            DiscriminatorKind::StyleGan2 => {
                let network = NetworkRecipe {
                    base: [0, 1, 2].map(|axis| grid[axis] / halved[axis].pow(recipe.levels as u32)),
                    factors: vec![halved; recipe.levels],
                    // Block i has channel_base/(4·2ⁱ) channels.
                    channel_base: Some(recipe.channels * (4 << recipe.levels)),
                    channel_max: Some(WIDEST * recipe.channels),
                    channels: None,
                    z_dim: 1,
                    w_dim: 1,
                    mapping_layers: 1,
                    image_channels: channels,
                    minibatch_group: 1,
                    discriminator_channel_base: None,
                    discriminator_channel_max: None,
                    discriminator_channels: None,
                    discriminator_fc_channels: None,
                };
                Self::Whole(Discriminator::init(&network, 0, seed, device))
            }
        }
    }
}

impl<B: VolumeOps> RestorationDiscriminator<B> {
    /// Logits of images `[N, C, D, H, W]`: one for each, or one for each of their patches.
    pub fn forward(&self, image: Tensor<B, 5>) -> Tensor<B, 1> {
        match self {
            Self::Patch(discriminator) => discriminator.forward(image),
            Self::Whole(discriminator) => discriminator.forward(image, None),
        }
    }

    /// Logits and their gradient in the image, itself differentiable in the parameters.
    pub fn gradient(&self, image: Tensor<B, 5>) -> ImageGradient<B> {
        discriminator_gradient(self, image, |outer: &RestorationDiscriminator<Autodiff<B>>, image| {
            outer.forward(image)
        })
    }
}

/// A logit for every place of a coarse grid (Isola et al. 2017, PatchGAN), whose receptive field is the patch: a convolution
/// on the image's grid, one for each halving, and one to the logits.
#[derive(Module, Debug)]
pub struct PatchDiscriminator<B: Backend> {
    from_image: Conv<B>,
    halvings: Vec<Conv<B>>,
    to_logits: Conv<B>,
}

impl<B: Backend> PatchDiscriminator<B> {
    fn init(
        recipe: &DiscriminatorRecipe,
        channels: usize,
        halved: [usize; 3],
        init: &mut Init,
        device: &B::Device,
    ) -> Self {
        let kernel = kernel_over(halved, 3);
        let width = |level: usize| recipe.channels * (1usize << level.min(8)).min(WIDEST);
        let conv = |inputs, outputs, down, activate| ConvConfig { inputs, outputs, kernel, down, activate };
        Self {
            from_image: conv(channels, width(0), [1; 3], true).init(init, device),
            halvings: (0..recipe.levels)
                .map(|level| conv(width(level), width(level + 1), halved, true).init(init, device))
                .collect(),
            to_logits: conv(width(recipe.levels), 1, [1; 3], false).init(init, device),
        }
    }
}

impl<B: VolumeOps> PatchDiscriminator<B> {
    /// # Shapes
    /// `[N, C, D, H, W]` → `[N·places]`
    pub fn forward(&self, image: Tensor<B, 5>) -> Tensor<B, 1> {
        let x = self.from_image.forward(Features::from_volumes(image), 1.0);
        let x = self.halvings.iter().fold(x, |x, conv| conv.forward(x, 1.0));
        self.to_logits.forward(x, 1.0).into_volumes().flat()
    }
}
