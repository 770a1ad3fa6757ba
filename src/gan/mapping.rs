//! The mapping network: latent (and condition) to w.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::nn::{FullyConnected, FullyConnectedConfig, Init};
use crate::ops::{Shaped, VolumeOps};

/// Learning-rate multiplier of the mapping layers.
pub const MAPPING_LR_MULTIPLIER: f64 = 0.01;
/// Keeps the normalisation's square root away from zero.
const NORMALISE_EPSILON: f64 = 1e-8;

/// Shape of a [`Mapping`] network.
#[derive(Clone, Debug)]
pub struct MappingConfig {
    /// Length of z; zero for a discriminator's mapping, whose only input is the condition.
    pub z_dim: usize,
    /// Length of the condition vector; zero for none.
    pub condition_dim: usize,
    /// Length of w.
    pub w_dim: usize,
    /// Number of layers.
    pub layers: usize,
}

impl MappingConfig {
    /// The network with its initial values.
    pub fn init<B: Backend>(&self, init: &mut Init, device: &B::Device) -> Mapping<B> {
        let embedded = if self.condition_dim > 0 { self.w_dim } else { 0 };
        let layers = (0..self.layers).map(|k| {
            let inputs = if k == 0 { self.z_dim + embedded } else { self.w_dim };
            FullyConnectedConfig::new(inputs, self.w_dim)
                .activated()
                .with_lr_multiplier(MAPPING_LR_MULTIPLIER)
                .init(init, device)
        });
        Mapping {
            fc: layers.collect(),
            embed: (self.condition_dim > 0)
                .then(|| FullyConnectedConfig::new(self.condition_dim, self.w_dim).init(init, device)),
            w_avg: (self.z_dim > 0).then(|| init.buffer([self.w_dim], 0.0, device)),
        }
    }
}

/// Truncation towards the mean of w: `w_avg + ψ(w − w_avg)` on the first layers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truncation {
    /// ψ: 1 leaves w unchanged, 0 gives the mean.
    pub psi: f64,
    /// Number of layers that are truncated, from the coarsest; `None` for all.
    pub cutoff: Option<usize>,
}

impl Truncation {
    /// No truncation.
    pub const OFF: Self = Self { psi: 1.0, cutoff: None };
}

/// Fully connected layers with learning-rate multiplier 0.01 on the normalised latent, concatenated with the embedded
/// and normalised condition (StyleGAN2-ADA, `MappingNetwork`).
#[derive(Module, Debug)]
pub struct Mapping<B: Backend> {
    /// The layers.
    pub fc: Vec<FullyConnected<B>>,
    /// The condition's embedding.
    pub embed: Option<FullyConnected<B>>,
    /// Buffer `[w_dim]`: the running mean of w, the centre of truncation.
    pub w_avg: Option<Param<Tensor<B, 1>>>,
}

impl<B: VolumeOps> Mapping<B> {
    /// One w a sample.
    ///
    /// # Shapes
    /// - `z`: `[N, z_dim]`, if the network has a latent; `condition`: `[N, condition_dim]`, if it has conditions
    /// - output: `[N, w_dim]`
    ///
    /// # Panics
    /// If the network has conditions and none is given, or a condition is given and it has none.
    pub fn forward(&self, z: Option<Tensor<B, 2>>, condition: Option<Tensor<B, 2>>) -> Tensor<B, 2> {
        let condition = match (&self.embed, condition) {
            (Some(embed), Some(condition)) => Some(normalise(embed.forward(condition))),
            (None, None) => None,
            (Some(_), None) => panic!("this mapping network needs a condition"),
            (None, Some(_)) => panic!("this mapping network takes no condition"),
        };
        let inputs: Vec<_> = z.map(normalise).into_iter().chain(condition).collect();
        self.fc.iter().fold(Tensor::cat(inputs, 1), |x, layer| layer.forward(x))
    }

    /// w for each of `num_ws` layers, truncated.
    ///
    /// # Shapes
    /// `[N, w_dim]` → `[N, num_ws, w_dim]`
    pub fn broadcast(&self, w: Tensor<B, 2>, num_ws: usize, truncation: Truncation) -> Tensor<B, 3> {
        let [n, dim] = w.dims();
        let layers = |w: Tensor<B, 2>, count: usize| w.shaped([n, 1, dim]).expand([n, count, dim]); // [N, count, W]
        let Some(w_avg) = self.w_avg.as_ref().filter(|_| truncation.psi != 1.0) else {
            return layers(w, num_ws);
        };
        let mean = w_avg.val().shaped([1, dim]);
        let truncated = mean.clone() + (w.clone() - mean) * truncation.psi;
        let cutoff = truncation.cutoff.unwrap_or(num_ws).min(num_ws);
        if cutoff == 0 {
            layers(w, num_ws)
        } else if cutoff == num_ws {
            layers(truncated, num_ws)
        } else {
            Tensor::cat(vec![layers(truncated, cutoff), layers(w, num_ws - cutoff)], 1)
        }
    }
}

/// Each row divided by its root mean square.
fn normalise<B: Backend>(x: Tensor<B, 2>) -> Tensor<B, 2> {
    let scale = (x.clone().powi_scalar(2).mean_dim(1) + NORMALISE_EPSILON).sqrt().recip();
    x * scale
}
