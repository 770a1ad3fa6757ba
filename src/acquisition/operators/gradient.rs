//! Forward differences as an operator; its adjoint is minus the divergence.

use ndarray::{Array3, Array4, ArrayView3, ArrayViewMut3, Axis, Ix3, Ix4, Slice, Zip};

use crate::acquisition::linear::LinearOperator;
use crate::acquisition::{Complex32, ComplexArray};

/// An image `[D, H, W]` → its weighted forward differences `[axes, D, H, W]`, `g_a = w_a·(x[i+1] − x[i])` along the
/// a-th axis and zero at its end (Neumann boundary).
#[derive(Clone, Debug)]
pub struct Gradient {
    image: [usize; 3],
    differences: [usize; 4],
    /// Each axis and the weight of its differences.
    axes: Vec<(usize, f32)>,
}

impl Gradient {
    /// The differences of images of this shape, along every axis of more than one voxel. Weights such as
    /// `min(spacing_mm) / spacing_mm[axis]` make the gradient one per distance, not per voxel, on an anisotropic grid.
    pub fn new(image: [usize; 3], weights: [f32; 3]) -> Self {
        let axes: Vec<_> = (0..3).filter(|&axis| image[axis] > 1).map(|axis| (axis, weights[axis])).collect();
        let [d, h, w] = image;
        Self { image, differences: [axes.len(), d, h, w], axes }
    }

    /// An upper bound of the largest eigenvalue of `AᴴA`: `4 Σ w²` (Chambolle 2004).
    pub fn bound(&self) -> f64 {
        self.axes.iter().map(|&(_, weight)| 4.0 * f64::from(weight).powi(2)).sum()
    }
}

/// All but the last plane along an axis, and all but the first.
fn pair(x: &ArrayView3<'_, Complex32>, axis: usize) -> [Slice; 2] {
    let last = x.len_of(Axis(axis)) as isize - 1;
    [Slice::from(..last), Slice::from(1..)]
}

/// `to = weight · (difference of x)`.
fn difference(x: ArrayView3<'_, Complex32>, axis: usize, weight: f32, mut to: ArrayViewMut3<'_, Complex32>) {
    let [here, next] = pair(&x, axis);
    let axis = Axis(axis);
    Zip::from(to.slice_axis_mut(axis, here))
        .and(x.slice_axis(axis, here))
        .and(x.slice_axis(axis, next))
        .par_for_each(|g, here, next| *g = (next - here) * weight);
}

/// `to += weight · (adjoint difference of g)`.
fn divergence(g: ArrayView3<'_, Complex32>, axis: usize, weight: f32, to: &mut Array3<Complex32>) {
    let [here, next] = pair(&g, axis);
    let axis = Axis(axis);
    let g = g.slice_axis(axis, here);
    Zip::from(to.slice_axis_mut(axis, here)).and(g).par_for_each(|x, g| *x -= g * weight);
    Zip::from(to.slice_axis_mut(axis, next)).and(g).par_for_each(|x, g| *x += g * weight);
}

impl LinearOperator for Gradient {
    fn input_shape(&self) -> &[usize] {
        &self.image
    }

    fn output_shape(&self) -> &[usize] {
        &self.differences
    }

    fn forward(&self, x: ComplexArray) -> ComplexArray {
        let x = x.into_dimensionality::<Ix3>().expect("an image of rank three");
        assert_eq!(x.shape(), self.image, "the image of the gradient");
        let mut differences = Array4::zeros(self.differences);
        for (to, &(axis, weight)) in differences.outer_iter_mut().zip(&self.axes) {
            difference(x.view(), axis, weight, to);
        }
        differences.into_dyn()
    }

    fn adjoint(&self, y: ComplexArray) -> ComplexArray {
        let y = y.into_dimensionality::<Ix4>().expect("differences of rank four");
        assert_eq!(y.shape(), self.differences, "the differences of the gradient");
        let mut x = Array3::zeros(self.image);
        for (g, &(axis, weight)) in y.outer_iter().zip(&self.axes) {
            divergence(g, axis, weight, &mut x);
        }
        x.into_dyn()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_of_a_ramp_are_its_slopes_and_its_end_has_none() {
        let ramp = Array3::from_shape_fn((2, 3, 4), |(i, j, k)| {
            Complex32::new((5 * i + 7 * j) as f32, (11 * k) as f32)
        });
        let g = Gradient::new([2, 3, 4], [1.0, 2.0, 0.5]).forward(ramp.into_dyn());
        let expected = |axis: usize, at: [usize; 3]| match (axis, at) {
            (0, [0, ..]) => Complex32::new(5.0, 0.0),
            (1, [_, 0 | 1, _]) => Complex32::new(14.0, 0.0),
            (2, [_, _, 0..=2]) => Complex32::new(0.0, 5.5),
            _ => Complex32::ZERO,
        };
        for (at, value) in g.indexed_iter() {
            assert_eq!(*value, expected(at[0], [at[1], at[2], at[3]]), "{at:?}");
        }
    }
}
