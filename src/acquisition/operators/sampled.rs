//! The sampling mask as an operator: samples that were not measured are set to zero.

use ndarray::{Array3, Axis, Ix3, Zip};
use rayon::prelude::*;

use crate::acquisition::linear::LinearOperator;
use crate::acquisition::{Complex32, ComplexArray};

/// k-space `[coils, D, H, W]` → k-space with zeros wherever the mask `[D, H, W]` is false; its own adjoint and its own
/// normal.
#[derive(Clone, Debug)]
pub struct Sampled {
    shape: [usize; 4],
    sampled: Array3<bool>,
}

impl Sampled {
    /// The operator of the mask `sampled` `[D, H, W]` on k-space of `coils` coils.
    pub fn new(sampled: Array3<bool>, coils: usize) -> Self {
        let (d, h, w) = sampled.dim();
        Self { shape: [coils, d, h, w], sampled }
    }

    /// The mask `[D, H, W]`.
    pub fn mask(&self) -> &Array3<bool> {
        &self.sampled
    }
}

impl LinearOperator for Sampled {
    fn input_shape(&self) -> &[usize] {
        &self.shape
    }

    fn output_shape(&self) -> &[usize] {
        &self.shape
    }

    fn forward(&self, mut x: ComplexArray) -> ComplexArray {
        assert_eq!(x.shape(), self.shape, "the k-space of the mask");
        x.axis_iter_mut(Axis(0)).into_par_iter().for_each(|coil| {
            let coil = coil.into_dimensionality::<Ix3>().expect("a coil of rank three");
            Zip::from(coil).and(&self.sampled).par_for_each(|value, &sampled| {
                if !sampled {
                    *value = Complex32::ZERO;
                }
            });
        });
        x
    }

    fn adjoint(&self, y: ComplexArray) -> ComplexArray {
        self.forward(y)
    }

    fn normal(&self, x: ComplexArray) -> ComplexArray {
        self.forward(x)
    }
}
