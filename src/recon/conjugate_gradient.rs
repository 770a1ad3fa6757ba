//! The method of conjugate gradients (Hestenes and Stiefel 1952) for Hermitian positive definite systems.

use ndarray::Zip;

use super::Trace;
use crate::acquisition::linear::{dot, norm};
use crate::acquisition::{Complex32, ComplexArray};

/// Solves `normal(x) = rhs` from zero, until ‖rhs − normal(x)‖ ≤ `tolerance`·‖rhs‖ or for so many iterations.
///
/// `normal` must be linear, Hermitian and positive definite, or at least semidefinite with `rhs` in its range. The
/// trace's objective is ½⟨x, normal(x)⟩ − Re⟨rhs, x⟩, which every iteration lowers.
pub fn conjugate_gradient(
    normal: impl Fn(ComplexArray) -> ComplexArray,
    rhs: &ComplexArray,
    iterations: usize,
    tolerance: f64,
) -> (ComplexArray, Trace) {
    let mut x = ComplexArray::zeros(rhs.raw_dim());
    let mut residual = rhs.clone();
    let mut direction = rhs.clone();
    let scale = norm(rhs);
    let mut square = scale * scale;
    let mut trace = Trace::default();
    for _ in 0..iterations {
        if square.sqrt() <= tolerance * scale {
            break;
        }
        let image = normal(direction.clone());
        let curvature = dot(&direction, &image).re;
        if curvature <= 0.0 {
            break;
        }
        let step = (square / curvature) as f32;
        Zip::from(&mut x).and(&direction).par_for_each(|x, d| *x += d * step);
        Zip::from(&mut residual).and(&image).par_for_each(|r, image| *r -= image * step);
        let next = dot(&residual, &residual).re;
        let turn = (next / square) as f32;
        square = next;
        Zip::from(&mut direction).and(&residual).par_for_each(|d: &mut Complex32, r| *d = r + *d * turn);
        // normal(x) = rhs − residual.
        let objective = -0.5 * (dot(&x, rhs).re + dot(&x, &residual).re);
        trace.push(Some(objective), square.sqrt() / scale);
    }
    (x, trace)
}
