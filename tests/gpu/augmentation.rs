//! What augmentation makes of images on a GPU, and its gradient, against the CPU.

use burn::backend::{Autodiff, Flex};
use burn::tensor::{DType, Tensor};
use voxgan::config::Recipe;
use voxgan::gan::augment::{Augmentation, Draw};
use voxgan::ops::{Shaped, VolumeOps, backward, tape};

use crate::card::{Fused, device, draw, error, tensor, values};

const TOLERANCE: f64 = 5e-5;

/// The augmented images, and the gradient of Σ v·y².
fn quantities<B: VolumeOps>(
    augmentation: &Draw,
    [n, c, d, h, w]: [usize; 5],
    to: (&B::Device, DType),
) -> [Vec<f64>; 2] {
    let length = n * c * d * h * w;
    let x = tensor::<Autodiff<B>>(&draw(1, 0, length), to).require_grad();
    let y = augmentation.apply::<Autodiff<B>>(x.clone().shaped([n, c, d, h, w]));
    let v: Tensor<Autodiff<B>, 1> = tensor(&draw(1, 1, length), to);
    let gradients = backward(&(y.clone().powi_scalar(2).flat() * v).sum());
    [values(y), values(x.grad(&gradients).expect("a gradient in the image"))]
}

#[test]
fn augmented_images_and_their_gradients() {
    let Some(device) = device() else { return };
    let _tape = tape();
    let mut recipe = Recipe::preset("brain-4mm").unwrap().augmentation;
    (recipe.elastic_sigma_mm, recipe.band_sigma, recipe.noise_sigma, recipe.cutout_size) =
        (3.0, 0.5, 0.05, 0.4);
    for grid in [[6, 7, 9], [1, 10, 8]] {
        let augmentation = Augmentation { recipe: recipe.clone(), grid, spacing_mm: [4.0; 3] };
        for step in 0..4 {
            let draw = augmentation.draw(0.9, 3, step, 0, 0..3);
            let shape = [3, 1, grid[0], grid[1], grid[2]];
            let expected = quantities::<Flex>(&draw, shape, (&Default::default(), DType::F64));
            let found = quantities::<Fused>(&draw, shape, (&device, DType::F32));
            for (which, (found, expected)) in found.iter().zip(&expected).enumerate() {
                let error = error(found, expected, 0.0);
                assert!(error <= TOLERANCE, "{grid:?}, step {step}, quantity {which}: {error:.1e}");
            }
        }
    }
}
