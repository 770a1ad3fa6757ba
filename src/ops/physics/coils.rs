//! Complex tensors as real and imaginary parts, and coil sensitivities.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use crate::ops::Shaped;

/// Real and imaginary parts, `[N, C, D, H, W]` each, of `[N, 2·C, D, H, W]`.
pub fn split<B: Backend>(x: Tensor<B, 5>) -> [Tensor<B, 5>; 2] {
    let [n, channels, d, h, w] = x.dims();
    let x = x.shaped([n, channels / 2, 2, d, h, w]);
    [0, 1].map(|part| x.clone().narrow(2, part, 1).shaped([n, channels / 2, d, h, w]))
}

/// `[N, 2·C, D, H, W]` of real and imaginary parts `[N, C, D, H, W]`.
pub fn join<B: Backend>(parts: [Tensor<B, 5>; 2]) -> Tensor<B, 5> {
    let [n, c, d, h, w] = parts[0].dims();
    let parts = parts.map(|part| part.shaped([n, c, 1, d, h, w]));
    Tensor::cat(parts.into(), 2).shaped([n, 2 * c, d, h, w])
}

/// Coil sensitivities on a device.
#[derive(Clone, Debug)]
pub struct Coils<B: Backend> {
    maps: [Tensor<B, 5>; 2],
}

impl<B: Backend> Coils<B> {
    /// The maps of `shape` `[coils, D, H, W]` with these real and imaginary parts, in C order.
    pub fn new(parts: [Vec<f32>; 2], shape: [usize; 4], device: &B::Device) -> Self {
        let [c, d, h, w] = shape;
        let maps = parts.map(|part| Tensor::from_data(TensorData::new(part, [1, c, d, h, w]), device));
        Self { maps }
    }

    /// The image times the sensitivity of every coil: `[N, 2, D, H, W]` → `[N, 2·C, D, H, W]`.
    pub fn apply(&self, x: Tensor<B, 5>) -> Tensor<B, 5> {
        let [s_re, s_im] = self.maps.clone().map(|map| map.cast(x.dtype()));
        let [re, im] = split(x);
        join([s_re.clone() * re.clone() - s_im.clone() * im.clone(), s_re * im + s_im * re])
    }

    /// The sum of the coil images times the conjugate maps: `[N, 2·C, D, H, W]` → `[N, 2, D, H, W]`.
    pub fn adjoint(&self, y: Tensor<B, 5>) -> Tensor<B, 5> {
        let [s_re, s_im] = self.maps.clone().map(|map| map.cast(y.dtype()));
        let [re, im] = split(y);
        join([
            (s_re.clone() * re.clone() + s_im.clone() * im.clone()).sum_dim(1),
            (s_re * im - s_im * re).sum_dim(1),
        ])
    }
}
