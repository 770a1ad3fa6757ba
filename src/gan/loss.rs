//! Losses and regularisers of StyleGAN2.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, activation};

/// `mean softplus(−logits)`: what the generator minimises on its images and the discriminator on real ones
/// (non-saturating logistic loss, Goodfellow et al. 2014).
pub fn logistic_real<B: Backend>(logits: Tensor<B, 1>) -> Tensor<B, 1> {
    softplus(logits.neg()).mean()
}

/// `mean softplus(logits)`: what the discriminator minimises on generated images.
pub fn logistic_fake<B: Backend>(logits: Tensor<B, 1>) -> Tensor<B, 1> {
    softplus(logits).mean()
}

/// `log(1 + eˣ)` without overflow, as `max(x, 0) + log(1 + e^−|x|)`.
fn softplus<B: Backend>(x: Tensor<B, 1>) -> Tensor<B, 1> {
    activation::relu(x.clone()) + x.abs().neg().exp().log1p()
}

/// ‖∇ₓD‖² of each sample from the gradient `[N, C, D, H, W]` of the logits' sum (R1, Mescheder et al. 2018): `[N]`.
pub fn squared_norms<B: Backend>(gradient: Tensor<B, 5>) -> Tensor<B, 1> {
    let n = gradient.dims()[0];
    gradient.powi_scalar(2).flatten::<2>(1, 4).sum_dim(1).reshape([n])
}

/// |Jᵀy| of each sample from the gradient `[N, num_ws, w_dim]` of ⟨image, y⟩ in the w's (StyleGAN2, equation 4): the
/// square root of the mean over layers of the sum over w: `[N]`.
pub fn path_lengths<B: Backend>(gradient: Tensor<B, 3>) -> Tensor<B, 1> {
    let n = gradient.dims()[0];
    gradient.powi_scalar(2).sum_dim(2).mean_dim(1).reshape([n]).sqrt()
}
