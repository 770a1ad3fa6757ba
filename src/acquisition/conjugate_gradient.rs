//! The method of conjugate gradients (Hestenes and Stiefel 1952) for Hermitian positive definite systems, on the host
//! and on a device alike.

use ndarray::Zip;

use super::ComplexArray;
use super::linear::dot;

/// The operations on vectors that the method uses.
pub trait Vector: Clone {
    /// The type of inner products; they may stay on a device.
    type Scalar: Clone;

    /// Zero, of the same shape.
    #[must_use]
    fn zero(&self) -> Self;

    /// `Re⟨self, other⟩`.
    fn dot(&self, other: &Self) -> Self::Scalar;

    /// `self + scale·other`.
    #[must_use]
    fn plus(self, scale: &Self::Scalar, other: &Self) -> Self;

    /// `self − scale·other`.
    #[must_use]
    fn minus(self, scale: &Self::Scalar, other: &Self) -> Self;

    /// `self − other`.
    #[must_use]
    fn difference(self, other: &Self) -> Self;

    /// `a / b`.
    fn ratio(a: &Self::Scalar, b: &Self::Scalar) -> Self::Scalar;

    /// The scalar as a number; `None` if it stays on a device, where no tolerance can stop the iterations.
    fn number(a: &Self::Scalar) -> Option<f64>;
}

impl Vector for ComplexArray {
    type Scalar = f64;

    fn zero(&self) -> Self {
        Self::zeros(self.raw_dim())
    }

    fn dot(&self, other: &Self) -> f64 {
        dot(self, other).re
    }

    fn plus(mut self, scale: &f64, other: &Self) -> Self {
        let scale = *scale as f32;
        Zip::from(&mut self).and(other).par_for_each(|x, y| *x += y * scale);
        self
    }

    fn minus(self, scale: &f64, other: &Self) -> Self {
        self.plus(&-scale, other)
    }

    fn difference(self, other: &Self) -> Self {
        self - other
    }

    fn ratio(a: &f64, b: &f64) -> f64 {
        a / b
    }

    fn number(a: &f64) -> Option<f64> {
        Some(*a)
    }
}

/// When the iterations end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stop {
    /// Iterations at most.
    pub iterations: usize,
    /// Ends when ‖rhs − normal(x)‖ is below this part of ‖rhs‖.
    pub tolerance: f64,
}

/// The state after an iteration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Iteration {
    /// ½⟨x, normal(x)⟩ − Re⟨rhs, x⟩, which every iteration lowers.
    pub objective: f64,
    /// ‖rhs − normal(x)‖ / ‖rhs‖.
    pub residual: f64,
}

/// A system `normal(x) = rhs`.
///
/// `normal` must be linear, Hermitian and positive definite, or at least semidefinite with `rhs` in its range.
pub struct ConjugateGradient<'a, V> {
    normal: &'a dyn Fn(V) -> V,
    start: Option<V>,
    preconditioner: Option<&'a dyn Fn(V) -> V>,
    stop: Stop,
}

impl<'a, V: Vector> ConjugateGradient<'a, V> {
    /// Solves with `normal` from zero.
    pub fn new(normal: &'a dyn Fn(V) -> V, stop: Stop) -> Self {
        Self { normal, start: None, preconditioner: None, stop }
    }

    /// Starts at this x instead of zero.
    #[must_use]
    pub fn start(self, start: V) -> Self {
        Self { start: Some(start), ..self }
    }

    /// With an approximate inverse of `normal`, Hermitian and positive definite.
    #[must_use]
    pub fn preconditioner(self, preconditioner: &'a dyn Fn(V) -> V) -> Self {
        Self { preconditioner: Some(preconditioner), ..self }
    }

    /// The solution x. `tell` is called after every iteration, unless the scalars stay on a device.
    pub fn solve(self, rhs: &V, tell: &mut dyn FnMut(Iteration)) -> V {
        let precondition = |residual: &V| self.preconditioner.map(|inverse| inverse(residual.clone()));
        let (mut x, mut residual) = match self.start {
            None => (rhs.zero(), rhs.clone()),
            Some(x) => {
                let residual = rhs.clone().difference(&(self.normal)(x.clone()));
                (x, residual)
            }
        };
        let scale = V::number(&rhs.dot(rhs)).map(f64::sqrt);
        let mut square = residual.dot(&residual);
        let better = precondition(&residual);
        // ⟨r, z⟩ with z = P·r; the square of r without a preconditioner.
        let mut weighted = better.as_ref().map_or_else(|| square.clone(), |better| residual.dot(better));
        let mut direction = better.unwrap_or_else(|| residual.clone());
        for _ in 0..self.stop.iterations {
            if let (Some(square), Some(scale)) = (V::number(&square), scale)
                && square.sqrt() <= self.stop.tolerance * scale
            {
                break;
            }
            let image = (self.normal)(direction.clone());
            let curvature = direction.dot(&image);
            if V::number(&curvature).is_some_and(|curvature| curvature <= 0.0) {
                break;
            }
            let step = V::ratio(&weighted, &curvature);
            x = x.plus(&step, &direction);
            residual = residual.minus(&step, &image);
            square = residual.dot(&residual);
            let better = precondition(&residual);
            let next = better.as_ref().map_or_else(|| square.clone(), |better| residual.dot(better));
            let turn = V::ratio(&next, &weighted);
            weighted = next;
            direction = better.unwrap_or_else(|| residual.clone()).plus(&turn, &direction);
            if let (Some(square), Some(scale)) = (V::number(&square), scale) {
                // normal(x) = rhs − residual.
                let sum = V::number(&x.dot(rhs)).zip(V::number(&x.dot(&residual)));
                let objective =
                    sum.map_or(f64::NAN, |(with_rhs, with_residual)| -0.5 * (with_rhs + with_residual));
                tell(Iteration { objective, residual: square.sqrt() / scale });
            }
        }
        x
    }
}
