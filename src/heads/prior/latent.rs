//! The prior of w: the distribution of the mapping network's output, and the agreement between layers.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::gan::Mapping;
use crate::ops::{Shaped, VolumeOps};

/// Keeps the length of a w away from zero.
const LENGTH_EPSILON: f64 = 1e-8;

/// The prior of w+, one w a layer (Marinescu, Moyer & Golland 2020, arXiv 2012.04567): every w is Gaussian, each of its
/// dimensions by itself, and the angle between the w's of any two layers has von Mises' distribution about zero:
/// `−log p(w₁ … w_L) = ½ Σ_l ‖(w_l − μ)/σ‖² − κ Σ_{l<m} cos(w_l, w_m) + constant`.
///
/// The fit is of `v = (w − μ)/σ`, so that a step has the same length in every dimension.
#[derive(Clone, Debug)]
pub struct LatentPrior<B: Backend> {
    /// μ, `[1, 1, w_dim]`.
    pub mean: Tensor<B, 3>,
    /// σ of every dimension, `[1, 1, w_dim]`.
    pub deviation: Tensor<B, 3>,
}

impl<B: VolumeOps> LatentPrior<B> {
    /// Mean and standard deviation of the mapping network's w's of latents `z`.
    ///
    /// # Shapes
    /// - `z`: `[N, z_dim]`, draws from N(0, 1); `condition`: `[1, condition_dim]`, the same for all
    pub fn of(mapping: &Mapping<B>, z: Tensor<B, 2>, condition: Option<Tensor<B, 2>>) -> Self {
        let draws = z.dims()[0];
        let condition = condition.map(|condition| {
            let width = condition.dims()[1];
            condition.expand([draws, width])
        });
        let w = mapping.forward(Some(z), condition);
        let dim = w.dims()[1];
        let mean = w.clone().mean_dim(0); // [1, W]
        let deviation = (w - mean.clone()).powi_scalar(2).mean_dim(0).sqrt();
        Self { mean: mean.shaped([1, 1, dim]), deviation: deviation.shaped([1, 1, dim]) }
    }

    /// The w's `[N, layers, w_dim]` of standardised `v` `[N, layers, w_dim]`.
    pub fn styles(&self, v: Tensor<B, 3>) -> Tensor<B, 3> {
        self.mean.clone() + self.deviation.clone() * v
    }
}

/// `Σ_{l<m} cos(w_l, w_m)` over the layers of `[N, layers, w_dim]`, summed over the batch: `[1]`.
pub fn collinearity<B: Backend>(ws: Tensor<B, 3>) -> Tensor<B, 1> {
    let [samples, layers, _] = ws.dims();
    let lengths = (ws.clone().powi_scalar(2).sum_dim(2) + LENGTH_EPSILON).sqrt();
    // The square of the unit vectors' sum holds every pair twice, and each with itself once.
    let square = (ws / lengths).sum_dim(1).powi_scalar(2).sum();
    (square - (samples * layers) as f64) * 0.5
}

/// `½ Σ x²`, `[1]`: −log p of a standard Gaussian without its constant.
pub fn half_square<B: Backend, const R: usize>(x: Tensor<B, R>) -> Tensor<B, 1> {
    x.powi_scalar(2).sum() * 0.5
}
