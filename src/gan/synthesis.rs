//! The synthesis network: w to image, with skip connections between images of all sizes.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::config::NetworkRecipe;
use crate::nn::{Init, ModulatedConv, ModulatedConvConfig, Noise, ToImage, ToImageConfig, upsample};
use crate::ops::{Features, Shaped, VolumeOps};

/// Blocks from the base grid to the image's (StyleGAN2, `SynthesisNetwork`, skip architecture).
#[derive(Module, Debug)]
pub struct Synthesis<B: Backend> {
    /// The learned constant, `[C, D, H, W]` on the base grid.
    pub constant: Param<Tensor<B, 4>>,
    /// From coarse to fine; block `i` is called `b{4·2ⁱ}` in checkpoints.
    pub blocks: Vec<SynthesisBlock<B>>,
}

/// One grid size: an upsampling layer (except in the first block), a layer, and a layer to the image.
#[derive(Module, Debug)]
pub struct SynthesisBlock<B: Backend> {
    /// The upsampling layer; `None` in the first block.
    pub conv0: Option<ModulatedConv<B>>,
    /// The layer on the block's own grid.
    pub conv1: ModulatedConv<B>,
    /// Features to image.
    pub to_image: ToImage<B>,
    up: [usize; 3],
}

impl<B: Backend> Synthesis<B> {
    /// The network of this recipe with its initial values.
    pub fn init(network: &NetworkRecipe, init: &mut Init, device: &B::Device) -> Self {
        let [d, h, w] = network.base;
        let constant = init.normal([network.channels(0), d, h, w], 1.0, device);
        let blocks = (0..network.blocks()).map(|i| {
            let up = if i == 0 { [1; 3] } else { network.factors[i - 1] };
            let layer = |inputs: usize, up: [usize; 3], layer: usize| ModulatedConvConfig {
                inputs,
                outputs: network.channels(i),
                w_dim: network.w_dim,
                grid: network.block_shape(i),
                up,
                layer,
            };
            SynthesisBlock {
                conv0: (i > 0).then(|| layer(network.channels(i - 1), up, 2 * i - 1).init(init, device)),
                conv1: layer(network.channels(i), [1; 3], 2 * i).init(init, device),
                to_image: ToImageConfig {
                    inputs: network.channels(i),
                    outputs: network.image_channels,
                    w_dim: network.w_dim,
                }
                .init(init, device),
                up,
            }
        });
        Self { constant, blocks: blocks.collect() }
    }
}

impl<B: VolumeOps> Synthesis<B> {
    /// Number of w's a sample: one for each convolution, and one for the last to-image layer.
    pub fn num_ws(&self) -> usize {
        2 * self.blocks.len()
    }

    /// The images of `ws`; within a block the to-image layer takes the w of the next block's first convolution.
    ///
    /// # Shapes
    /// - `ws`: `[N, num_ws, w_dim]`
    /// - output: `[N, image channels, D, H, W]`
    pub fn forward(&self, ws: Tensor<B, 3>, noise: Noise) -> Tensor<B, 5> {
        let [n, _, dim] = ws.dims();
        let w = |layer: usize| ws.clone().narrow(1, layer, 1).shaped([n, dim]);
        let [c, d, h, k] = self.constant.dims();
        let constant = self.constant.val().shaped([1, c, d, h, k]).expand([n, c, d, h, k]);
        let mut x = Features::from_volumes(constant);
        let mut image: Option<Tensor<B, 5>> = None;
        let mut layer = 0;
        for block in &self.blocks {
            if let Some(conv0) = &block.conv0 {
                x = conv0.forward(x, w(layer), noise);
                layer += 1;
            }
            x = block.conv1.forward(x, w(layer), noise);
            layer += 1;
            // The to-image layer shares the w of the next block's first convolution.
            let detail = block.to_image.forward(x.clone(), w(layer));
            image = Some(match image {
                Some(image) => upsample(image, block.up) + detail,
                None => detail,
            });
        }
        image.expect("a synthesis network has at least one block")
    }
}
