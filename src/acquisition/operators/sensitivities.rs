//! Coil sensitivities as an operator: one image becomes one image a coil.

use ndarray::{Array3, Array4, ArrayView4, Axis, Ix3, Ix4, Zip};
use rayon::prelude::*;

use crate::acquisition::linear::LinearOperator;
use crate::acquisition::{Complex32, ComplexArray};

/// An image `[D, H, W]` → coil images `[coils, D, H, W]`, `y_c = S_c·x`; adjoint `x = Σ_c conj(S_c)·y_c`.
#[derive(Clone, Debug)]
pub struct Sensitivities {
    image: [usize; 3],
    coils: [usize; 4],
    maps: Array4<Complex32>,
}

impl Sensitivities {
    /// The operator of the maps `[coils, D, H, W]`.
    pub fn new(maps: Array4<Complex32>) -> Self {
        let (coils, d, h, w) = maps.dim();
        Self { image: [d, h, w], coils: [coils, d, h, w], maps }
    }

    /// The maps `[coils, D, H, W]`.
    pub fn maps(&self) -> &Array4<Complex32> {
        &self.maps
    }
}

/// `Σ_c |S_c|²` of maps `[coils, D, H, W]`, as `[D, H, W]`: the diagonal of the normal operator `AᴴA` of
/// [`Sensitivities`].
pub fn coverage(maps: ArrayView4<'_, Complex32>) -> Array3<f32> {
    let mut sum = Array3::zeros((maps.dim().1, maps.dim().2, maps.dim().3));
    for map in maps.outer_iter() {
        Zip::from(&mut sum).and(map).par_for_each(|sum, s| *sum += s.norm_sqr());
    }
    sum
}

impl LinearOperator for Sensitivities {
    fn input_shape(&self) -> &[usize] {
        &self.image
    }

    fn output_shape(&self) -> &[usize] {
        &self.coils
    }

    fn forward(&self, x: ComplexArray) -> ComplexArray {
        let x = x.into_dimensionality::<Ix3>().expect("an image of rank three");
        assert_eq!(x.shape(), self.image, "the image of the maps");
        let mut y = self.maps.clone();
        y.axis_iter_mut(Axis(0)).into_par_iter().for_each(|coil| {
            Zip::from(coil).and(&x).par_for_each(|s, x| *s *= x);
        });
        y.into_dyn()
    }

    fn adjoint(&self, y: ComplexArray) -> ComplexArray {
        let y = y.into_dimensionality::<Ix4>().expect("coil images of rank four");
        assert_eq!(y.shape(), self.coils, "the coil images of the maps");
        let mut x = Array3::zeros(self.image);
        for (coil, map) in y.outer_iter().zip(self.maps.outer_iter()) {
            Zip::from(&mut x).and(coil).and(map).par_for_each(|x, y, s| *x += s.conj() * y);
        }
        x.into_dyn()
    }

    fn normal(&self, mut x: ComplexArray) -> ComplexArray {
        assert_eq!(x.shape(), self.image, "the image of the maps");
        let coverage = coverage(self.maps.view()).into_dyn();
        Zip::from(&mut x).and(&coverage).par_for_each(|x, &weight| *x *= weight);
        x
    }
}
