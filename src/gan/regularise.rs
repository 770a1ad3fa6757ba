//! The gradients whose norms R1 and path length penalise, themselves differentiable in the parameters.
//!
//! Nested automatic differentiation: the outer layer differentiates in the image or in w, with the parameters held
//! constant; what it computes is recorded by the inner layer `A`, which then differentiates in the parameters.

use burn::backend::Autodiff;
use burn::module::{AutodiffModule, Module};
use burn::tensor::Tensor;

use super::{Discriminator, Synthesis};
use crate::nn::Noise;
use crate::ops::{VolumeOps, backward};

/// The logits of a discriminator and their gradient in the image.
#[derive(Debug)]
pub struct ImageGradient<A: VolumeOps> {
    /// Logits, `[N]`.
    pub logits: Tensor<A, 1>,
    /// ∂ΣD/∂image, `[N, C, D, H, W]`.
    pub gradient: Tensor<A, 5>,
}

/// Logits of `image` and the gradient of their sum in it (R1, Mescheder et al. 2018).
///
/// `transform` (augmentation) is applied to the image before the discriminator; the gradient is in the image before it.
///
/// # Panics
/// If this thread does not hold [`crate::ops::tape`].
pub fn image_gradient<A: VolumeOps>(
    discriminator: &Discriminator<A>,
    image: Tensor<A, 5>,
    condition: Option<Tensor<A, 2>>,
    transform: impl FnOnce(Tensor<Autodiff<A>, 5>) -> Tensor<Autodiff<A>, 5>,
) -> ImageGradient<A> {
    discriminator_gradient(discriminator, image, |outer: &Discriminator<Autodiff<A>>, image| {
        outer.forward(transform(image), condition.map(Tensor::from_inner))
    })
}

/// [`image_gradient`] for any discriminator: `logits` applies it to an image `[N, C, D, H, W]`.
///
/// # Panics
/// If this thread does not hold [`crate::ops::tape`], or the logits do not depend on the image.
pub fn discriminator_gradient<A: VolumeOps, M: AutodiffModule<Autodiff<A>>>(
    discriminator: &M::InnerModule,
    image: Tensor<A, 5>,
    logits: impl FnOnce(&M, Tensor<Autodiff<A>, 5>) -> Tensor<Autodiff<A>, 1>,
) -> ImageGradient<A>
where
    M::InnerModule: Clone,
{
    let outer = M::from_inner(discriminator.clone()).no_grad();
    let image = Tensor::<Autodiff<A>, 5>::from_inner(image).require_grad();
    let logits = logits(&outer, image.clone());
    let gradients = backward(&logits.clone().sum());
    let gradient = image.grad(&gradients).expect("the logits depend on the image");
    ImageGradient { logits: logits.inner(), gradient }
}

/// The gradient of ⟨G(ws), y⟩ in the w's, Jᵀy (StyleGAN2, equation 4).
///
/// # Shapes
/// - `ws`: `[N, num_ws, w_dim]`, `y`: `[N, C, D, H, W]`
/// - output: `[N, num_ws, w_dim]`
///
/// # Panics
/// If this thread does not hold [`crate::ops::tape`].
pub fn path_gradient<A: VolumeOps>(
    synthesis: &Synthesis<A>,
    ws: Tensor<A, 3>,
    y: Tensor<A, 5>,
    noise: Noise,
) -> Tensor<A, 3> {
    let outer = Synthesis::<Autodiff<A>>::from_inner(synthesis.clone()).no_grad();
    let ws = Tensor::<Autodiff<A>, 3>::from_inner(ws).require_grad();
    let image = outer.forward(ws.clone(), noise);
    let gradients = backward(&(image * Tensor::from_inner(y)).sum());
    ws.grad(&gradients).expect("the image depends on w")
}
