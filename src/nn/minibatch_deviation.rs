//! The minibatch standard deviation, from which the discriminator sees how much samples differ.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::ops::Shaped;

/// Keeps the square root away from zero.
const EPSILON: f64 = 1e-8;

/// Appends one channel: the standard deviation over a group, averaged over channels and voxels (Karras et al. 2018).
///
/// Groups of `group` samples are strided: sample j with j + N/group, j + 2N/group, … A batch smaller than a group is
/// one group; where `group` does not divide N, the largest smaller number that does is taken.
///
/// # Shapes
/// `[N, C, D, H, W]` → `[N, C + 1, D, H, W]`
pub fn minibatch_deviation<B: Backend>(x: Tensor<B, 5>, group: usize) -> Tensor<B, 5> {
    let [n, c, d, h, w] = x.dims();
    let group = (1..=group.min(n)).rev().find(|g| n.is_multiple_of(*g)).unwrap_or(1);
    let groups = n / group;
    let samples = x.clone().shaped([group, groups, c * d * h * w]); // [G, N/G, C·D·H·W]
    let centred = samples.clone() - samples.mean_dim(0);
    let deviation = (centred.powi_scalar(2).mean_dim(0) + EPSILON).sqrt(); // [1, N/G, C·D·H·W]
    let channel = deviation.mean_dim(2).shaped([1, groups, 1, 1, 1]); // [1, N/G, 1, 1, 1]
    let channel = channel.expand([group, groups, 1, 1, 1]).shaped([n, 1, 1, 1, 1]).expand([n, 1, d, h, w]);
    Tensor::cat(vec![x, channel], 1)
}
