//! Networks that restore.

mod residual;
mod unet;

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
pub use residual::{ResidualNet, ResidualNetConfig};
pub use unet::{UNet, UNetConfig};

use super::{Head, Problem};
use crate::config::{RestorationRecipe, RestorerRecipe};
use crate::nn::Init;
use crate::ops::VolumeOps;

/// A restoration network of either kind; the other field is empty.
#[derive(Module, Debug)]
pub struct Restorer<B: Backend> {
    residual: Option<ResidualNet<B>>,
    unet: Option<UNet<B>>,
}

impl<B: Backend> Restorer<B> {
    /// The network of `recipe` for `head`, with initial values drawn from `seed`: it leaves every start as it is.
    pub fn init(recipe: &RestorationRecipe, head: &dyn Head, seed: u64, device: &B::Device) -> Self {
        let init = &mut Init::new(seed);
        let (channels, flat) = (head.channels(), recipe.flat());
        let (inputs, outputs, condition) = (channels.given, channels.image, channels.condition);
        match &recipe.network {
            RestorerRecipe::Residual { channels, blocks, fold, upsampling } => {
                let config = ResidualNetConfig {
                    inputs,
                    outputs,
                    channels: *channels,
                    blocks: *blocks,
                    fold: *fold,
                    factor: head.factor(),
                    upsampling: *upsampling,
                    condition,
                    flat,
                };
                Self { residual: Some(config.init(init, device)), unet: None }
            }
            RestorerRecipe::UNet { widths, fold } => {
                let config =
                    UNetConfig { inputs, outputs, widths: widths.clone(), fold: *fold, condition, flat };
                Self { residual: None, unet: Some(config.init(init, device)) }
            }
        }
    }
}

impl<B: VolumeOps> Restorer<B> {
    /// The image that the network makes of a problem, `[1, C, D, H, W]`, before it is held to what was measured.
    pub fn forward(&self, problem: &Problem<B>) -> Tensor<B, 5> {
        let (given, condition) = (problem.given.clone(), problem.condition.as_ref());
        let added = match (&self.residual, &self.unet) {
            (Some(network), _) => network.forward(given, condition),
            (_, Some(network)) => network.forward(given, condition),
            _ => return problem.start.clone(),
        };
        problem.start.clone() + added
    }
}
