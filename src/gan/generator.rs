//! The generator: mapping and synthesis.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::{Mapping, MappingConfig, Synthesis, Truncation};
use crate::config::NetworkRecipe;
use crate::nn::{Init, Noise};
use crate::ops::VolumeOps;

/// Latent to image.
#[derive(Module, Debug)]
pub struct Generator<B: Backend> {
    /// Latent to w.
    pub mapping: Mapping<B>,
    /// w to image.
    pub synthesis: Synthesis<B>,
}

impl<B: Backend> Generator<B> {
    /// The generator of this recipe, for condition vectors of length `condition_dim` (zero for none), with initial
    /// values drawn from `seed`.
    pub fn init(network: &NetworkRecipe, condition_dim: usize, seed: u64, device: &B::Device) -> Self {
        let mut init = Init::new(seed);
        let mapping = MappingConfig {
            z_dim: network.z_dim,
            condition_dim,
            w_dim: network.w_dim,
            layers: network.mapping_layers,
        };
        Self {
            mapping: mapping.init(&mut init, device),
            synthesis: Synthesis::init(network, &mut init, device),
        }
    }
}

impl<B: VolumeOps> Generator<B> {
    /// The truncated w for every layer.
    ///
    /// # Shapes
    /// - `z`: `[N, z_dim]`, `condition`: `[N, condition_dim]`
    /// - output: `[N, num_ws, w_dim]`
    ///
    /// # Panics
    /// As [`Mapping::forward`].
    pub fn styles(
        &self,
        z: Tensor<B, 2>,
        condition: Option<Tensor<B, 2>>,
        truncation: Truncation,
    ) -> Tensor<B, 3> {
        let w = self.mapping.forward(Some(z), condition);
        self.mapping.broadcast(w, self.synthesis.num_ws(), truncation)
    }

    /// The images of latents `z`.
    ///
    /// # Shapes
    /// - `z`: `[N, z_dim]`, `condition`: `[N, condition_dim]`
    /// - output: `[N, image channels, D, H, W]`
    ///
    /// # Panics
    /// As [`Mapping::forward`].
    pub fn forward(
        &self,
        z: Tensor<B, 2>,
        condition: Option<Tensor<B, 2>>,
        truncation: Truncation,
        noise: Noise,
    ) -> Tensor<B, 5> {
        self.synthesis.forward(self.styles(z, condition, truncation), noise)
    }
}
