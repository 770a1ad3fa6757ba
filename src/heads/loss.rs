//! The losses of restoration networks.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::ops::physics::{Along, Matrix};
use crate::ops::{Shaped, VolumeOps};

/// Mean absolute difference of `x` and `truth`, `[N, C, D, H, W]`: `[1]`.
pub fn l1<B: Backend>(x: Tensor<B, 5>, truth: Tensor<B, 5>) -> Tensor<B, 1> {
    (x - truth).abs().mean()
}

/// Mean squared difference of `x` and `truth`, `[N, C, D, H, W]`: `[1]`.
pub fn l2<B: Backend>(x: Tensor<B, 5>, truth: Tensor<B, 5>) -> Tensor<B, 1> {
    (x - truth).powi_scalar(2).mean()
}

/// Gradient-difference loss of `x` and `truth`, `[N, C, D, H, W]`: the mean absolute difference of their signed
/// differences between neighbours, summed over the axes of more than one voxel (Mathieu et al. 2016, equation 6, with α
/// = 1, but of signed differences): `[1]`.
pub fn gradient<B: Backend>(x: Tensor<B, 5>, truth: Tensor<B, 5>) -> Tensor<B, 1> {
    let difference = x - truth;
    let mut sum = Tensor::zeros([1], &difference.device());
    for axis in 2..5 {
        let length = difference.dims()[axis];
        if length > 1 {
            let (after, before) = (
                difference.clone().narrow(axis, 1, length - 1),
                difference.clone().narrow(axis, 0, length - 1),
            );
            sum = sum + (after - before).abs().mean();
        }
    }
    sum
}

/// Mean absolute difference of the spectra of `x` and `truth`, `[N, C, D, H, W]`, over the axes of more than one voxel:
/// `[1]`. The images are real, or if `complex`, real and imaginary parts are pairs of channels.
pub fn spectrum<B: VolumeOps>(x: Tensor<B, 5>, truth: Tensor<B, 5>, complex: bool) -> Tensor<B, 1> {
    let difference = x - truth;
    let device = difference.device();
    let mut k = if complex {
        difference
    } else {
        let [n, c, d, h, w] = difference.dims();
        // A channel of zeros behind each: the imaginary part.
        let parts = [difference.clone(), difference.zeros_like()].map(|part| part.shaped([n, c, 1, d, h, w]));
        Tensor::cat(parts.into(), 2).shaped([n, 2 * c, d, h, w])
    };
    for axis in 2..5 {
        let length = k.dims()[axis];
        if length > 1 {
            k = Along::new(&Matrix::fourier(length), axis, &device).apply(k);
        }
    }
    k.abs().mean()
}

#[cfg(test)]
mod tests {
    use burn::backend::Flex;
    use burn::tensor::TensorData;

    use super::*;
    use crate::random::{Purpose, normal, stream};

    const SHAPE: [usize; 5] = [1, 2, 3, 4, 5];

    fn noise(seed: u64) -> (Vec<f64>, Tensor<Flex, 5>) {
        let values = normal(&mut stream(seed, 0, 0, 0, Purpose::Noise), SHAPE.iter().product());
        let doubles = values.iter().map(|&v| f64::from(v)).collect();
        (doubles, Tensor::from_data(TensorData::new(values, SHAPE), &Default::default()))
    }

    #[test]
    fn means_are_those_of_voxels() {
        let ((a, x), (b, truth)) = (noise(1), noise(2));
        let mean =
            |of: fn(f64) -> f64| a.iter().zip(&b).map(|(a, b)| of(a - b)).sum::<f64>() / a.len() as f64;
        let found = [l1(x.clone(), truth.clone()), l2(x, truth)].map(|loss| f64::from(loss.into_scalar()));
        for (found, expected) in found.iter().zip([mean(f64::abs), mean(|d| d * d)]) {
            assert!((found - expected).abs() < 1e-5, "{found} for {expected}");
        }
    }

    #[test]
    fn differences_are_those_of_neighbours() {
        let ((a, x), (b, truth)) = (noise(1), noise(2));
        let at = |c: usize, z: usize, y: usize, x: usize| {
            let i = ((c * 3 + z) * 4 + y) * 5 + x;
            a[i] - b[i]
        };
        let (mut sums, mut counts) = ([0.0; 3], [0.0; 3]);
        for (c, z, y, x) in places(2, 3, 4, 5) {
            let here = at(c, z, y, x);
            let beside = [
                (z + 1 < 3).then(|| at(c, z + 1, y, x)),
                (y + 1 < 4).then(|| at(c, z, y + 1, x)),
                (x + 1 < 5).then(|| at(c, z, y, x + 1)),
            ];
            for (axis, beside) in beside.into_iter().enumerate() {
                if let Some(beside) = beside {
                    sums[axis] += (beside - here).abs();
                    counts[axis] += 1.0;
                }
            }
        }
        let expected: f64 = (0..3).map(|axis| sums[axis] / counts[axis]).sum();
        let found = f64::from(gradient(x, truth).into_scalar());
        assert!((found - expected).abs() < 1e-5, "{found} for {expected}");
    }

    fn places(c: usize, d: usize, h: usize, w: usize) -> impl Iterator<Item = (usize, usize, usize, usize)> {
        (0..c * d * h * w).map(move |i| (i / (d * h * w), i / (h * w) % d, i / w % h, i % w))
    }

    /// The transform is orthonormal: of one wave's difference, all energy is in one place.
    #[test]
    fn a_constant_difference_is_all_in_the_middle() {
        let (_, x) = noise(1);
        let found = f64::from(spectrum(x.clone() + 0.5, x, false).into_scalar());
        // 0.5·√60 in one of 2·60 numbers of each channel.
        let expected = 0.5 * 60f64.sqrt() / 120.0;
        assert!((found - expected).abs() < 1e-5, "{found} for {expected}");
    }
}
