//! Networks that restore.

mod residual;
mod unet;

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
pub use residual::{ResidualNet, ResidualNetConfig};
pub use unet::{UNet, UNetConfig};

use super::{Head, Problem};
use crate::config::{Between, RestorationRecipe, RestorerRecipe};
use crate::nn::Init;
use crate::ops::{Shaped, VolumeOps};

/// A cascade of restoration networks of one shape: one, or several with data consistency in between.
#[derive(Module, Debug)]
pub struct Restorer<B: Backend> {
    /// The networks, the first acts first.
    pub stages: Vec<Stage<B>>,
}

/// A network, and how far it goes towards the measurement.
#[derive(Module, Debug)]
pub struct Stage<B: Backend> {
    network: Network<B>,
    /// `[1]`: how far the stage goes towards the measurement, as a part of the way; none where data consistency is exact.
    step: Option<Param<Tensor<B, 1>>>,
}

/// A network of either kind.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a few in a program")]
enum Network<B: Backend> {
    Residual(ResidualNet<B>),
    UNet(UNet<B>),
}

impl<B: Backend> Restorer<B> {
    /// The networks of `recipe` for `head`, with initial values drawn from `seed`: their residual is zero.
    pub fn init(recipe: &RestorationRecipe, head: &dyn Head, seed: u64, device: &B::Device) -> Self {
        let init = &mut Init::new(seed);
        let (channels, flat) = (head.channels(), recipe.flat());
        let (inputs, outputs, condition) = (channels.input, channels.image, channels.condition);
        let soft = recipe.cascade.stages > 1 && recipe.cascade.between == Between::Step;
        let stages = (0..recipe.cascade.stages).map(|_| {
            let network = match &recipe.network {
                RestorerRecipe::Residual { channels, blocks, space_to_depth, upsampling } => {
                    let config = ResidualNetConfig {
                        inputs,
                        outputs,
                        channels: *channels,
                        blocks: *blocks,
                        space_to_depth: *space_to_depth,
                        factor: head.factor(),
                        upsampling: *upsampling,
                        condition,
                        flat,
                    };
                    Network::Residual(config.init(init, device))
                }
                RestorerRecipe::UNet { widths, space_to_depth } => {
                    let config = UNetConfig {
                        inputs,
                        outputs,
                        widths: widths.clone(),
                        space_to_depth: *space_to_depth,
                        condition,
                        flat,
                    };
                    Network::UNet(config.init(init, device))
                }
            };
            Stage { network, step: soft.then(|| init.constant([1], 1.0, device)) }
        });
        Self { stages: stages.collect() }
    }
}

impl<B: VolumeOps> Restorer<B> {
    /// The image that the networks make of a problem, `[1, C, D, H, W]`; without data consistency after
    /// the last one, unless each stage takes a step towards the measurement.
    pub fn forward(&self, problem: &Problem<B>) -> Tensor<B, 5> {
        let (input, measured) = (&problem.input, &problem.measured);
        let mut x = problem.initial.clone();
        for (number, stage) in self.stages.iter().enumerate() {
            let seen = if number == 0 { input.clone() } else { renewed(input, x.clone()) };
            let residual = stage.forward(seen, problem.condition.as_ref());
            x = match &stage.step {
                Some(step) => {
                    let step = step.val().shaped([1, 1, 1, 1, 1]);
                    x.clone() + residual + measured.towards(x) * step
                }
                None if number + 1 < self.stages.len() => measured.data_consistency(x + residual, 1.0),
                None => x + residual,
            };
        }
        x
    }
}

impl<B: VolumeOps> Stage<B> {
    /// Whether what is made of a voxel depends on its surroundings alone, not on the measurement.
    pub fn is_local(&self) -> bool {
        self.step.is_none()
    }

    fn forward(&self, input: Tensor<B, 5>, condition: Option<&Tensor<B, 2>>) -> Tensor<B, 5> {
        match &self.network {
            Network::Residual(network) => network.forward(input, condition),
            Network::UNet(network) => network.forward(input, condition),
        }
    }
}

/// The input of a later stage: the image as it is now, and the further channels of the first stage's input.
fn renewed<B: Backend>(input: &Tensor<B, 5>, image: Tensor<B, 5>) -> Tensor<B, 5> {
    let (channels, all) = (image.dims()[1], input.dims()[1]);
    if channels == all {
        return image;
    }
    Tensor::cat(vec![image, input.clone().narrow(1, channels, all - channels)], 1)
}
