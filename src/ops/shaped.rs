//! Reshaping that every backend computes right.

use burn::tensor::backend::Backend;
use burn::tensor::{BasicOps, Tensor};

/// A tensor in another shape.
pub trait Shaped<B: Backend, K: BasicOps<B>> {
    /// The same elements in the same (C) order in `shape`: use this in place of burn's `reshape`, `flatten`, `squeeze`
    /// and `unsqueeze`.
    ///
    /// The way is through one axis. On the backends of GPUs, burn 0.21 gives wrong strides to a tensor that is not
    /// contiguous (expanded, transposed) and has an axis of length one, where it is reshaped to more axes; to one axis
    /// it is copied, rightly (`docs/decisions/0021-reshaping-through-one-axis.md`).
    ///
    /// # Panics
    /// If `shape` has another number of elements.
    #[must_use]
    fn shaped<const S: usize>(self, shape: [usize; S]) -> Tensor<B, S, K>;

    /// The same elements along one axis.
    #[must_use]
    fn flat(self) -> Tensor<B, 1, K>;
}

impl<B: Backend, K: BasicOps<B>, const R: usize> Shaped<B, K> for Tensor<B, R, K> {
    #[expect(clippy::disallowed_methods, reason = "the one place that knows the way around the fault")]
    fn shaped<const S: usize>(self, shape: [usize; S]) -> Tensor<B, S, K> {
        let flat: Tensor<B, 1, K> = self.reshape([shape.iter().product::<usize>()]);
        flat.reshape(shape)
    }

    fn flat(self) -> Tensor<B, 1, K> {
        let elements = self.dims().iter().product();
        self.shaped([elements])
    }
}
