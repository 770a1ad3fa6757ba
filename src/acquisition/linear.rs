//! Linear operators: shapes, application, adjoint and normal, composable.
//!
//! The adjoint is that of the inner product `⟨x, y⟩ = Σ conj(x)·y`; every operator of this module passes
//! `⟨Ax, y⟩ = ⟨x, Aᴴy⟩` over random shapes (`tests/operators.rs`).

use num_complex::Complex64;
use rand::Rng;
use rayon::prelude::*;

use super::{Complex32, ComplexArray};
use crate::random;

/// A linear map between complex arrays of two shapes.
///
/// Arrays are passed by value so that an operator can work in place. An array of another shape than
/// [`Linear::input_shape`] (or, for the adjoint, [`Linear::output_shape`]) is a programmer's mistake and panics.
pub trait Linear: Send + Sync {
    /// The shape of `x` in `A·x`.
    fn input_shape(&self) -> &[usize];

    /// The shape of `A·x`.
    fn output_shape(&self) -> &[usize];

    /// `A·x`.
    fn apply(&self, x: ComplexArray) -> ComplexArray;

    /// `Aᴴ·y`.
    fn adjoint(&self, y: ComplexArray) -> ComplexArray;

    /// `AᴴA·x`; an operator that has a shorter way overrides it.
    fn normal(&self, x: ComplexArray) -> ComplexArray {
        self.adjoint(self.apply(x))
    }
}

impl<A: Linear + ?Sized> Linear for Box<A> {
    fn input_shape(&self) -> &[usize] {
        (**self).input_shape()
    }

    fn output_shape(&self) -> &[usize] {
        (**self).output_shape()
    }

    fn apply(&self, x: ComplexArray) -> ComplexArray {
        (**self).apply(x)
    }

    fn adjoint(&self, y: ComplexArray) -> ComplexArray {
        (**self).adjoint(y)
    }

    fn normal(&self, x: ComplexArray) -> ComplexArray {
        (**self).normal(x)
    }
}

/// Operators one after the other: the first acts first.
pub struct Compose {
    steps: Vec<Box<dyn Linear>>,
}

impl Compose {
    /// A chain of one.
    pub fn of(first: impl Linear + 'static) -> Self {
        Self { steps: vec![Box::new(first)] }
    }

    /// The chain and then `next`.
    ///
    /// # Panics
    /// If `next` does not take what the chain gives.
    pub fn then(mut self, next: impl Linear + 'static) -> Self {
        assert_eq!(self.output_shape(), next.input_shape(), "operators do not fit together");
        self.steps.push(Box::new(next));
        self
    }
}

impl Linear for Compose {
    fn input_shape(&self) -> &[usize] {
        self.steps[0].input_shape()
    }

    fn output_shape(&self) -> &[usize] {
        self.steps[self.steps.len() - 1].output_shape()
    }

    fn apply(&self, x: ComplexArray) -> ComplexArray {
        self.steps.iter().fold(x, |x, step| step.apply(x))
    }

    fn adjoint(&self, y: ComplexArray) -> ComplexArray {
        self.steps.iter().rev().fold(y, |y, step| step.adjoint(y))
    }

    fn normal(&self, x: ComplexArray) -> ComplexArray {
        let (last, before) = self.steps.split_last().expect("a chain has a first operator");
        let x = before.iter().fold(x, |x, step| step.apply(x));
        before.iter().rev().fold(last.normal(x), |y, step| step.adjoint(y))
    }
}

/// Elements that are summed by one thread, in order; the pieces' sums are added in order too, so that the number of
/// threads changes nothing.
const PIECE: usize = 1 << 14;

/// `z` in double precision.
pub fn double(z: &Complex32) -> Complex64 {
    Complex64::new(z.re.into(), z.im.into())
}

/// `⟨x, y⟩ = Σ conj(x)·y`, in double precision.
///
/// # Panics
/// If the shapes differ.
pub fn dot(x: &ComplexArray, y: &ComplexArray) -> Complex64 {
    assert_eq!(x.shape(), y.shape(), "inner product of two shapes");
    let (x, y) = (x.as_standard_layout(), y.as_standard_layout());
    let (Some(x), Some(y)) = (x.as_slice(), y.as_slice()) else {
        unreachable!("both arrays are in standard layout");
    };
    let pieces: Vec<Complex64> = x
        .par_chunks(PIECE)
        .zip(y.par_chunks(PIECE))
        .map(|(x, y)| x.iter().zip(y).map(|(x, y)| double(x).conj() * double(y)).sum())
        .collect();
    pieces.into_iter().sum()
}

/// `‖x‖₂`.
pub fn norm(x: &ComplexArray) -> f64 {
    dot(x, x).re.sqrt()
}

/// Complex standard normal noise of this shape: real and imaginary parts of variance one.
pub fn noise(shape: &[usize], rng: &mut impl Rng) -> ComplexArray {
    let n: usize = shape.iter().product();
    let draws = random::normal(rng, 2 * n);
    let values = draws.chunks_exact(2).map(|pair| Complex32::new(pair[0], pair[1])).collect();
    ComplexArray::from_shape_vec(shape, values).expect("as many values as the shape has places")
}

/// The largest eigenvalue of `AᴴA`, by `iterations` steps of the power method from `rng`'s noise: approached from below.
pub fn largest_eigenvalue(a: &dyn Linear, iterations: usize, rng: &mut impl Rng) -> f64 {
    let mut x = noise(a.input_shape(), rng);
    let mut eigenvalue = 0.0;
    for _ in 0..iterations {
        let scale = (1.0 / norm(&x).max(f64::MIN_POSITIVE)) as f32;
        x.par_mapv_inplace(|z| z * scale);
        x = a.normal(x);
        eigenvalue = norm(&x);
    }
    eigenvalue
}
