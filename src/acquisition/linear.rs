//! Linear operators: shapes, forward, adjoint and normal; and their algebra, which reads like sigpy's: `&a * &b`
//! composes, `&a + &b` sums, `a.adjoint()` is `Aᴴ`, and `&a * x` applies.
//!
//! The adjoint is that of the inner product `⟨x, y⟩ = Σ conj(x)·y`; every operator of this module passes
//! `⟨Ax, y⟩ = ⟨x, Aᴴy⟩` over random shapes (`tests/library/operators.rs`).

use std::ops::{Add, Mul};
use std::sync::Arc;

use ndarray::Axis;
use num_complex::Complex64;
use rand::Rng;
use rayon::prelude::*;

use super::{Complex32, ComplexArray};
use crate::random;

/// A linear map between complex arrays of two shapes.
///
/// Arrays are passed by value so that an operator can work in place. An array of another shape than
/// [`LinearOperator::input_shape`] (or, for the adjoint, [`LinearOperator::output_shape`]) is a programmer's mistake
/// and panics.
pub trait LinearOperator: Send + Sync {
    /// The shape of `x` in `A·x`.
    fn input_shape(&self) -> &[usize];

    /// The shape of `A·x`.
    fn output_shape(&self) -> &[usize];

    /// `A·x`.
    fn forward(&self, x: ComplexArray) -> ComplexArray;

    /// `Aᴴ·y`.
    fn adjoint(&self, y: ComplexArray) -> ComplexArray;

    /// `AᴴA·x`; an operator that has a shorter way overrides it.
    fn normal(&self, x: ComplexArray) -> ComplexArray {
        self.adjoint(self.forward(x))
    }
}

/// Any [`LinearOperator`] as a value that can be composed, summed, scaled and stacked; a clone shares the operator.
///
/// ```
/// use voxgan::acquisition::fourier::Fourier;
/// use voxgan::acquisition::operators::crop::Crop;
/// use voxgan::acquisition::{ComplexArray, Operator};
///
/// let crop = Operator::new(Crop::new(&[8, 8], &[4, 4]));
/// let fourier = Operator::new(Fourier::new(&[4, 4], &[0, 1]));
/// let a = &fourier * &crop; // the one on the right acts first
/// let y = &a * ComplexArray::ones(vec![8, 8]);
/// let x = &a.adjoint() * y;
/// assert_eq!(x.shape(), [8, 8]);
/// ```
#[derive(Clone)]
pub struct Operator(Arc<dyn LinearOperator>);

impl Operator {
    /// `operator` as a value.
    pub fn new(operator: impl LinearOperator + 'static) -> Self {
        Self(Arc::new(operator))
    }

    /// `Aᴴ`.
    #[must_use]
    pub fn adjoint(&self) -> Self {
        Self::new(Adjoint(self.clone()))
    }

    /// `A₁ + A₂ + …`.
    ///
    /// # Panics
    /// If `parts` is empty, or their shapes differ.
    pub fn sum(parts: Vec<Self>) -> Self {
        let first = parts.first().expect("a sum has a first operator");
        for part in &parts {
            assert_eq!(part.input_shape(), first.input_shape(), "operators of one sum take one shape");
            assert_eq!(part.output_shape(), first.output_shape(), "operators of one sum give one shape");
        }
        Self::new(Sum(parts))
    }

    /// `[A₁; A₂; …]`: the outputs of all operators, along a new first axis.
    ///
    /// # Panics
    /// If `parts` is empty, or their shapes differ.
    pub fn stack(parts: Vec<Self>) -> Self {
        let first = parts.first().expect("a stack has a first operator");
        let mut output = vec![parts.len()];
        output.extend(first.output_shape());
        for part in &parts {
            assert_eq!(part.input_shape(), first.input_shape(), "operators of one stack take one shape");
            assert_eq!(part.output_shape(), &output[1..], "operators of one stack give one shape");
        }
        Self::new(Stack { parts, output })
    }
}

impl LinearOperator for Operator {
    fn input_shape(&self) -> &[usize] {
        self.0.input_shape()
    }

    fn output_shape(&self) -> &[usize] {
        self.0.output_shape()
    }

    fn forward(&self, x: ComplexArray) -> ComplexArray {
        self.0.forward(x)
    }

    fn adjoint(&self, y: ComplexArray) -> ComplexArray {
        self.0.adjoint(y)
    }

    fn normal(&self, x: ComplexArray) -> ComplexArray {
        self.0.normal(x)
    }
}

/// `A·x`.
impl Mul<ComplexArray> for &Operator {
    type Output = ComplexArray;

    fn mul(self, x: ComplexArray) -> ComplexArray {
        self.forward(x)
    }
}

/// `A·B`, B acting first; panics if A does not take what B gives.
impl Mul for &Operator {
    type Output = Operator;

    fn mul(self, before: Self) -> Operator {
        assert_eq!(before.output_shape(), self.input_shape(), "operators do not fit together");
        Operator::new(Composed { after: self.clone(), before: before.clone() })
    }
}

/// `a·A`.
impl Mul<&Operator> for Complex32 {
    type Output = Operator;

    fn mul(self, operator: &Operator) -> Operator {
        Operator::new(Scaled { operator: operator.clone(), scale: self })
    }
}

/// `A + B`; panics as [`Operator::sum`].
impl Add for &Operator {
    type Output = Operator;

    fn add(self, other: Self) -> Operator {
        Operator::sum(vec![self.clone(), other.clone()])
    }
}

struct Adjoint(Operator);

impl LinearOperator for Adjoint {
    fn input_shape(&self) -> &[usize] {
        self.0.output_shape()
    }

    fn output_shape(&self) -> &[usize] {
        self.0.input_shape()
    }

    fn forward(&self, x: ComplexArray) -> ComplexArray {
        self.0.0.adjoint(x)
    }

    fn adjoint(&self, y: ComplexArray) -> ComplexArray {
        self.0.forward(y)
    }
}

struct Composed {
    after: Operator,
    before: Operator,
}

impl LinearOperator for Composed {
    fn input_shape(&self) -> &[usize] {
        self.before.input_shape()
    }

    fn output_shape(&self) -> &[usize] {
        self.after.output_shape()
    }

    fn forward(&self, x: ComplexArray) -> ComplexArray {
        self.after.forward(self.before.forward(x))
    }

    fn adjoint(&self, y: ComplexArray) -> ComplexArray {
        self.before.0.adjoint(self.after.0.adjoint(y))
    }

    fn normal(&self, x: ComplexArray) -> ComplexArray {
        self.before.0.adjoint(self.after.normal(self.before.forward(x)))
    }
}

struct Scaled {
    operator: Operator,
    scale: Complex32,
}

impl LinearOperator for Scaled {
    fn input_shape(&self) -> &[usize] {
        self.operator.input_shape()
    }

    fn output_shape(&self) -> &[usize] {
        self.operator.output_shape()
    }

    fn forward(&self, x: ComplexArray) -> ComplexArray {
        self.operator.forward(x) * self.scale
    }

    fn adjoint(&self, y: ComplexArray) -> ComplexArray {
        self.operator.0.adjoint(y) * self.scale.conj()
    }

    fn normal(&self, x: ComplexArray) -> ComplexArray {
        self.operator.normal(x) * Complex32::from(self.scale.norm_sqr())
    }
}

struct Sum(Vec<Operator>);

impl LinearOperator for Sum {
    fn input_shape(&self) -> &[usize] {
        self.0[0].input_shape()
    }

    fn output_shape(&self) -> &[usize] {
        self.0[0].output_shape()
    }

    fn forward(&self, x: ComplexArray) -> ComplexArray {
        summed(self.0.iter().map(|part| part.forward(x.clone())))
    }

    fn adjoint(&self, y: ComplexArray) -> ComplexArray {
        summed(self.0.iter().map(|part| part.0.adjoint(y.clone())))
    }
}

struct Stack {
    parts: Vec<Operator>,
    output: Vec<usize>,
}

impl LinearOperator for Stack {
    fn input_shape(&self) -> &[usize] {
        self.parts[0].input_shape()
    }

    fn output_shape(&self) -> &[usize] {
        &self.output
    }

    fn forward(&self, x: ComplexArray) -> ComplexArray {
        let made: Vec<_> = self.parts.iter().map(|part| part.forward(x.clone())).collect();
        let views: Vec<_> = made.iter().map(|part| part.view()).collect();
        ndarray::stack(Axis(0), &views).expect("operators of one stack give one shape")
    }

    fn adjoint(&self, y: ComplexArray) -> ComplexArray {
        assert_eq!(y.shape(), self.output, "what the stack gives");
        summed(self.parts.iter().zip(y.outer_iter()).map(|(part, y)| part.0.adjoint(y.to_owned())))
    }

    fn normal(&self, x: ComplexArray) -> ComplexArray {
        summed(self.parts.iter().map(|part| part.normal(x.clone())))
    }
}

/// The sum of arrays of one shape.
fn summed(arrays: impl Iterator<Item = ComplexArray>) -> ComplexArray {
    arrays.reduce(|sum, part| sum + part).expect("at least one operator")
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

/// The largest eigenvalue of `AᴴA`, approached from below by `iterations` steps of the power method from random noise.
pub fn largest_eigenvalue(a: &dyn LinearOperator, iterations: usize, rng: &mut impl Rng) -> f64 {
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
