//! Selected places of a grid, cutting and padding about the centre, rigid motion.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use super::super::{VolumeOps, WarpPass, warp};

/// A selection of places of a grid `[D, H, W]`, on a device: a sampling mask, a shot, the inside of a field of view.
#[derive(Clone, Debug)]
pub struct Selection<B: Backend> {
    selected: Tensor<B, 5>,
}

impl<B: Backend> Selection<B> {
    /// The places of `shape` `[D, H, W]` that are true, in C order.
    pub fn new(places: impl IntoIterator<Item = bool>, shape: [usize; 3], device: &B::Device) -> Self {
        let [d, h, w] = shape;
        let values: Vec<f32> = places.into_iter().map(|place| f32::from(u8::from(place))).collect();
        Self { selected: Tensor::from_data(TensorData::new(values, [1, 1, d, h, w]), device) }
    }

    /// `x` `[N, C, D, H, W]` with zeros outside the selection; self-adjoint.
    pub fn apply(&self, x: Tensor<B, 5>) -> Tensor<B, 5> {
        let selected = self.selected.clone().cast(x.dtype());
        x * selected
    }

    /// `x` `[N, C, D, H, W]` with zeros at the selected places.
    pub fn others(&self, x: Tensor<B, 5>) -> Tensor<B, 5> {
        let others = self.selected.clone().cast(x.dtype()).neg() + 1.0;
        x * others
    }
}

/// `x` `[N, C, D, H, W]` cut, or padded with zeros, to the grid `shape` about the centres ⌊n/2⌋. From grid a to grid b
/// it is the adjoint of that from b to a.
pub fn centred<B: Backend>(mut x: Tensor<B, 5>, shape: [usize; 3]) -> Tensor<B, 5> {
    for axis in 2..5 {
        let (n, m) = (x.dims()[axis], shape[axis - 2]);
        if m < n {
            x = x.narrow(axis, n / 2 - m / 2, m);
        } else if m > n {
            let before = m / 2 - n / 2;
            let zeros = |length: usize| {
                let mut shape = x.dims();
                shape[axis] = length;
                Tensor::zeros(shape, (&x.device(), x.dtype()))
            };
            let parts = [
                (before > 0).then(|| zeros(before)),
                Some(x.clone()),
                (m > n + before).then(|| zeros(m - n - before)),
            ];
            x = Tensor::cat(parts.into_iter().flatten().collect(), axis);
        }
    }
    x
}

/// A rigid motion of images by resampling along one axis after the other, on a device.
#[derive(Clone, Debug)]
pub struct Motion<B: Backend> {
    passes: Vec<WarpPass>,
    inside: Option<Selection<B>>,
}

impl<B: VolumeOps> Motion<B> {
    /// The motion of `passes`, each with the row of one sample, in the order of application; voxels outside `inside`
    /// are zero. See [`Moved::passes`](crate::acquisition::operators::motion::Moved::passes) and
    /// [`Moved::inside`](crate::acquisition::operators::motion::Moved::inside).
    pub fn new(passes: &[WarpPass], inside: Option<Selection<B>>) -> Self {
        Self { passes: passes.to_vec(), inside }
    }

    /// The moved images, `[N, C, D, H, W]`.
    pub fn apply(&self, x: Tensor<B, 5>) -> Tensor<B, 5> {
        let x = self.passes.iter().fold(x, |x, pass| resampled(x, pass.clone()));
        self.within(x)
    }

    /// The transpose of [`Motion::apply`].
    pub fn adjoint(&self, y: Tensor<B, 5>) -> Tensor<B, 5> {
        let y = self.within(y);
        self.passes.iter().rev().fold(y, |y, pass| resampled(y, pass.transposed()))
    }

    fn within(&self, x: Tensor<B, 5>) -> Tensor<B, 5> {
        match &self.inside {
            Some(inside) => inside.apply(x),
            None => x,
        }
    }
}

/// The pass on every sample.
fn resampled<B: VolumeOps>(x: Tensor<B, 5>, mut pass: WarpPass) -> Tensor<B, 5> {
    pass.rows.resize(x.dims()[0], pass.rows[0]);
    warp(x, &pass)
}
