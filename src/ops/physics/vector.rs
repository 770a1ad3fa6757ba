//! Tensors as the vectors of conjugate gradients. The scalars stay on the device, so that the iterations can be
//! differentiated and do not wait for the device.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::acquisition::conjugate_gradient::Vector;
use crate::ops::Shaped;

impl<B: Backend> Vector for Tensor<B, 5> {
    /// `[1, 1, 1, 1, 1]`, of a batch of one.
    type Scalar = Self;

    fn zero(&self) -> Self {
        self.zeros_like()
    }

    fn dot(&self, other: &Self) -> Self {
        (self.clone() * other.clone()).sum().shaped([1, 1, 1, 1, 1])
    }

    fn plus(self, scale: &Self, other: &Self) -> Self {
        self + other.clone() * scale.clone()
    }

    fn minus(self, scale: &Self, other: &Self) -> Self {
        self - other.clone() * scale.clone()
    }

    fn difference(self, other: &Self) -> Self {
        self - other.clone()
    }

    /// A residual of zero leaves everything as it is.
    fn ratio(a: &Self, b: &Self) -> Self {
        a.clone() / (b.clone() + f64::from(f32::MIN_POSITIVE))
    }

    fn number(_: &Self) -> Option<f64> {
        None
    }
}
