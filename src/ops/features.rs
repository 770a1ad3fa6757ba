//! The activations inside a network: [`Features`], whose layout in memory is the backend's.

use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor};

use super::{Shaped, VolumeOps, lower, raise};

/// Feature maps of a batch, `[N, C, D, H, W]` in meaning.
///
/// In memory `[N, ⌈C/L⌉, D, H, W, L]`: channels in blocks of L, zero beyond C. L depends on the backend, the type of
/// the floats and C alone ([`VolumeOps::channel_block`]); with L = 1 this is `[N, C, D, H, W]`. Layers keep the layout;
/// conversion happens at a network's ends.
#[derive(Clone, Debug)]
pub struct Features<B: Backend> {
    /// `[N, ⌈C/L⌉, D, H, W, L]`.
    pub(super) tensor: Tensor<B, 6>,
    pub(super) channels: usize,
}

impl<B: VolumeOps> Features<B> {
    /// Volumes `[N, C, D, H, W]` in the backend's layout.
    pub fn from_volumes(x: Tensor<B, 5>) -> Self {
        let channels = x.dims()[1];
        Self { tensor: raise(B::volume_split(lower(x))), channels }
    }

    /// The features as volumes `[N, C, D, H, W]`.
    pub fn into_volumes(self) -> Tensor<B, 5> {
        raise(B::volume_join(lower(self.tensor), self.channels))
    }

    /// The number of samples, N.
    pub fn samples(&self) -> usize {
        self.tensor.dims()[0]
    }

    /// The number of channels, C.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The grid `[D, H, W]`.
    pub fn grid(&self) -> [usize; 3] {
        let [_, _, d, h, w, _] = self.tensor.dims();
        [d, h, w]
    }

    /// Type of the floats.
    pub fn dtype(&self) -> DType {
        self.tensor.dtype()
    }
}

/// The sum of two feature maps of one shape.
impl<B: VolumeOps> std::ops::Add for Features<B> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        assert_eq!(self.channels, other.channels, "features of different numbers of channels");
        Self { tensor: self.tensor + other.tensor, channels: self.channels }
    }
}

/// `[N, C, D, H, W]` in blocks of `block` channels, zeros behind them.
pub(super) fn split<B: Backend>(x: Tensor<B, 5>, block: usize) -> Tensor<B, 6> {
    let [n, c, d, h, w] = x.dims();
    if block == 1 {
        return x.shaped([n, c, d, h, w, 1]); // [N, C, D, H, W, 1]
    }
    let blocks = c.div_ceil(block);
    let x = match blocks * block - c {
        0 => x,
        missing => {
            let zeros = Tensor::zeros([n, missing, d, h, w], (&x.device(), x.dtype()));
            Tensor::cat(vec![x, zeros], 1)
        }
    };
    x.shaped([n, blocks, block, d, h, w]).permute([0, 1, 3, 4, 5, 2]) // [N, C/L, D, H, W, L]
}

/// The first `channels` channels of `[N, ⌈C/L⌉, D, H, W, L]` as `[N, C, D, H, W]`.
pub(super) fn join<B: Backend>(x: Tensor<B, 6>, channels: usize) -> Tensor<B, 5> {
    let [n, blocks, d, h, w, block] = x.dims();
    if block == 1 {
        return x.shaped([n, blocks, d, h, w]); // [N, C, D, H, W]
    }
    let x = x.permute([0, 1, 5, 2, 3, 4]).shaped([n, blocks * block, d, h, w]); // [N, C/L·L, D, H, W]
    x.narrow(1, 0, channels)
}
