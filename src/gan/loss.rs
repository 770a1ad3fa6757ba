//! Adversarial losses, and the regularisers of StyleGAN2.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, activation};

use crate::config::AdversarialLoss;
use crate::ops::Shaped;

/// `mean softplus(−logits)` of `[N]` logits, as `[1]`: the loss of the generator on its images and of the discriminator
/// on real ones (non-saturating logistic loss, Goodfellow et al. 2014).
pub fn logistic_real<B: Backend>(logits: Tensor<B, 1>) -> Tensor<B, 1> {
    softplus(logits.neg()).mean()
}

/// `mean softplus(logits)` of `[N]` logits, as `[1]`: the discriminator's loss on generated images.
pub fn logistic_fake<B: Backend>(logits: Tensor<B, 1>) -> Tensor<B, 1> {
    softplus(logits).mean()
}

/// The discriminator's loss of `kind` on real images, from its logits `[N]`, as `[1]`.
pub fn of_real<B: Backend>(kind: AdversarialLoss, logits: Tensor<B, 1>) -> Tensor<B, 1> {
    match kind {
        AdversarialLoss::Logistic => logistic_real(logits),
        AdversarialLoss::LeastSquares => (logits - 1.0).powi_scalar(2).mean(),
        AdversarialLoss::Wasserstein => logits.mean().neg(),
    }
}

/// The discriminator's loss of `kind` on generated images, from its logits `[N]`, as `[1]`.
pub fn of_fake<B: Backend>(kind: AdversarialLoss, logits: Tensor<B, 1>) -> Tensor<B, 1> {
    match kind {
        AdversarialLoss::Logistic => logistic_fake(logits),
        AdversarialLoss::LeastSquares => logits.powi_scalar(2).mean(),
        AdversarialLoss::Wasserstein => logits.mean(),
    }
}

/// `(‖∇ₓD‖ − 1)²` of each sample, `[N]`, from the gradient `[N, C, D, H, W]` at points between real and generated
/// images (gradient penalty, Gulrajani et al. 2017, equation 3).
pub fn away_from_one<B: Backend>(gradient: Tensor<B, 5>) -> Tensor<B, 1> {
    ((squared_norms(gradient) + 1e-12).sqrt() - 1.0).powi_scalar(2)
}

/// `log(1 + eˣ)` without overflow, as `max(x, 0) + log(1 + e^−|x|)`.
fn softplus<B: Backend>(x: Tensor<B, 1>) -> Tensor<B, 1> {
    activation::relu(x.clone()) + x.abs().neg().exp().log1p()
}

/// ‖∇ₓD‖² of each sample from the gradient `[N, C, D, H, W]` of the logits' sum (R1, Mescheder et al. 2018): `[N]`.
pub fn squared_norms<B: Backend>(gradient: Tensor<B, 5>) -> Tensor<B, 1> {
    let [n, c, d, h, w] = gradient.dims();
    gradient.powi_scalar(2).shaped([n, c * d * h * w]).sum_dim(1).flat()
}

/// |Jᵀy| of each sample from the gradient `[N, num_ws, w_dim]` of ⟨image, y⟩ in the w's (StyleGAN2, equation 4): the
/// square root of the mean over layers of the sum over w: `[N]`.
pub fn path_lengths<B: Backend>(gradient: Tensor<B, 3>) -> Tensor<B, 1> {
    gradient.powi_scalar(2).sum_dim(2).mean_dim(1).flat().sqrt()
}

#[cfg(test)]
mod tests {
    use burn::backend::Flex;

    use super::*;

    /// A discriminator that is right pays less than one that is wrong, and the network wants its images taken for true
    /// ones.
    #[test]
    fn every_loss_rewards_what_is_right() {
        let logits = |value: f32| Tensor::<Flex, 1>::from_data([value, value], &Default::default());
        let value = |loss: Tensor<Flex, 1>| loss.into_scalar();
        for kind in [AdversarialLoss::Logistic, AdversarialLoss::LeastSquares, AdversarialLoss::Wasserstein] {
            assert!(value(of_real(kind, logits(1.0))) < value(of_real(kind, logits(0.0))));
            assert!(value(of_fake(kind, logits(0.0))) < value(of_fake(kind, logits(1.0))));
        }
        assert_eq!(value(of_real(AdversarialLoss::LeastSquares, logits(3.0))), 4.0);
        assert_eq!(value(of_fake(AdversarialLoss::Wasserstein, logits(3.0))), 3.0);
        assert!((value(of_fake(AdversarialLoss::Logistic, logits(0.0))) - 2f32.ln()).abs() < 1e-6);
    }

    #[test]
    fn the_penalty_is_least_at_norm_one() {
        let gradient = |value: f32| Tensor::<Flex, 5>::full([2, 1, 1, 2, 2], value, &Default::default());
        let found: Vec<f32> = away_from_one(gradient(1.0)).into_data().into_vec().unwrap();
        assert!(found.iter().all(|penalty| (penalty - 1.0).abs() < 1e-5), "{found:?}");
        assert!(away_from_one(gradient(0.5)).sum().into_scalar() < 1e-6);
    }
}
