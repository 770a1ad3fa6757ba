//! The centred, orthonormal Fourier transform over any axes, of any length.
//!
//! `X = fftshift(FFT(ifftshift(x))) / √n` along each axis, with DC and the image's centre at index ⌊n/2⌋; it is
//! unitary, so that its adjoint is its inverse. One line at a time is shifted into a buffer, transformed and shifted
//! back, so that the centring costs no pass of its own.

use std::cell::RefCell;
use std::sync::Arc;

use ndarray::{ArrayViewMut2, Axis};
use rayon::prelude::*;
use rustfft::{Fft, FftDirection, FftPlanner};

use super::linear::LinearOperator;
use super::{Complex32, ComplexArray};

/// Transforms `x` in place along `axes`: image to k-space.
///
/// # Panics
/// If an axis is beyond the array's rank.
pub fn fft(x: &mut ComplexArray, axes: &[usize]) {
    axes.iter().for_each(|&axis| along(x, axis, FftDirection::Forward));
}

/// Transforms `x` back in place along `axes`: k-space to image.
///
/// # Panics
/// If an axis is beyond the array's rank.
pub fn ifft(x: &mut ComplexArray, axes: &[usize]) {
    axes.iter().for_each(|&axis| along(x, axis, FftDirection::Inverse));
}

/// The transform as an operator on arrays of one shape.
#[derive(Clone, Debug)]
pub struct Fourier {
    shape: Vec<usize>,
    axes: Vec<usize>,
}

impl Fourier {
    /// Over `axes` of arrays of this shape.
    ///
    /// # Panics
    /// If an axis is beyond the shape's rank.
    pub fn new(shape: &[usize], axes: &[usize]) -> Self {
        assert!(axes.iter().all(|&axis| axis < shape.len()), "axes {axes:?} of a shape {shape:?}");
        Self { shape: shape.to_vec(), axes: axes.to_vec() }
    }
}

impl LinearOperator for Fourier {
    fn input_shape(&self) -> &[usize] {
        &self.shape
    }

    fn output_shape(&self) -> &[usize] {
        &self.shape
    }

    fn forward(&self, mut x: ComplexArray) -> ComplexArray {
        assert_eq!(x.shape(), self.shape, "the transform's shape");
        fft(&mut x, &self.axes);
        x
    }

    fn adjoint(&self, mut y: ComplexArray) -> ComplexArray {
        assert_eq!(y.shape(), self.shape, "the transform's shape");
        ifft(&mut y, &self.axes);
        y
    }

    fn normal(&self, x: ComplexArray) -> ComplexArray {
        x
    }
}

/// Lines that are gathered together where an axis is not the last: as many values as a cache line or two hold.
const LINES: usize = 16;

thread_local! {
    /// Plans of the lengths that a thread has met.
    static PLANNER: RefCell<FftPlanner<f32>> = RefCell::new(FftPlanner::new());
    static BUFFER: RefCell<Vec<Complex32>> = const { RefCell::new(Vec::new()) };
}

fn along(x: &mut ComplexArray, axis: usize, direction: FftDirection) {
    let n = x.shape()[axis];
    if n < 2 || x.is_empty() {
        return;
    }
    if !x.is_standard_layout() {
        *x = x.as_standard_layout().into_owned();
    }
    let inner: usize = x.shape()[axis + 1..].iter().product();
    let plan = PLANNER.with_borrow_mut(|planner| planner.plan_fft(n, direction));
    let Some(values) = x.as_slice_mut() else {
        unreachable!("the array is in standard layout");
    };
    if inner == 1 {
        // Whole lines: enough of them a task that its start costs nothing.
        let lines = (4096 / n).max(1);
        values.par_chunks_mut(n * lines).for_each(|lines| transform_rows(lines, &*plan));
    } else {
        values.par_chunks_mut(n * inner).for_each(|block| {
            let block = ArrayViewMut2::from_shape((n, inner), block).expect("a block of lines");
            let mut block = block;
            block
                .axis_chunks_iter_mut(Axis(1), LINES)
                .into_par_iter()
                .for_each(|lines| transform_columns(lines, &plan));
        });
    }
}

/// Lines that lie one after the other.
fn transform_rows(lines: &mut [Complex32], plan: &dyn Fft<f32>) {
    let n = plan.len();
    let scale = 1.0 / (n as f32).sqrt();
    with_buffer(n + plan.get_inplace_scratch_len(), |buffer| {
        let (line, scratch) = buffer.split_at_mut(n);
        for values in lines.chunks_exact_mut(n) {
            // ifftshift: the centre ⌊n/2⌋ goes to index 0.
            let (before, centre) = values.split_at(n / 2);
            line[..n - n / 2].copy_from_slice(centre);
            line[n - n / 2..].copy_from_slice(before);
            plan.process_with_scratch(line, scratch);
            // fftshift: index 0 goes to the centre.
            let (before, centre) = values.split_at_mut(n / 2);
            let (low, high) = line.split_at(n - n / 2);
            centre.iter_mut().zip(low).for_each(|(to, from)| *to = from * scale);
            before.iter_mut().zip(high).for_each(|(to, from)| *to = from * scale);
        }
    });
}

/// Lines that lie side by side: `[n, lines]`.
fn transform_columns(mut lines: ArrayViewMut2<Complex32>, plan: &Arc<dyn Fft<f32>>) {
    let (n, count) = lines.dim();
    let scale = 1.0 / (n as f32).sqrt();
    with_buffer(n * count + plan.get_inplace_scratch_len(), |buffer| {
        let (gathered, scratch) = buffer.split_at_mut(n * count);
        for (i, row) in lines.outer_iter().enumerate() {
            let to = (i + n - n / 2) % n;
            row.iter().enumerate().for_each(|(line, value)| gathered[line * n + to] = *value);
        }
        plan.process_with_scratch(gathered, scratch);
        for (i, mut row) in lines.outer_iter_mut().enumerate() {
            let from = (i + n - n / 2) % n;
            row.iter_mut().enumerate().for_each(|(line, value)| *value = gathered[line * n + from] * scale);
        }
    });
}

/// `act` on a buffer of this thread; of its own where the thread's is in use (rayon may run another task within one).
fn with_buffer(length: usize, act: impl FnOnce(&mut [Complex32])) {
    let mut buffer = BUFFER.take();
    buffer.resize(length.max(buffer.len()), Complex32::default());
    act(&mut buffer[..length]);
    BUFFER.set(buffer);
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use num_complex::Complex64;

    use super::super::linear::noise;
    use super::*;
    use crate::random::{Purpose, stream};

    /// The definition, in double precision.
    fn slow(x: &ComplexArray, axis: usize) -> ComplexArray {
        let n = x.shape()[axis];
        let c = (n / 2) as f64;
        let mut y = x.clone();
        for (mut to, from) in y.lanes_mut(Axis(axis)).into_iter().zip(x.lanes(Axis(axis))) {
            for (k, value) in to.iter_mut().enumerate() {
                let sum: Complex64 = (0..n)
                    .map(|i| {
                        let phase = -TAU * (i as f64 - c) * (k as f64 - c) / n as f64;
                        Complex64::new(from[i].re.into(), from[i].im.into()) * Complex64::cis(phase)
                    })
                    .sum();
                let sum = sum / (n as f64).sqrt();
                *value = Complex32::new(sum.re as f32, sum.im as f32);
            }
        }
        y
    }

    #[test]
    fn agrees_with_the_definition_along_every_axis_at_even_odd_and_prime_lengths() {
        for shape in [[3, 8, 17, 5], [2, 1, 37, 64], [1, 30, 2, 7]] {
            let x = noise(&shape, &mut stream(1, 0, 0, 0, Purpose::Sampling));
            for axis in 0..4 {
                let (mut fast, slow) = (x.clone(), slow(&x, axis));
                fft(&mut fast, &[axis]);
                assert!(fast.iter().zip(&slow).all(|(a, b)| (a - b).norm() < 5e-6), "{shape:?}, axis {axis}");
                ifft(&mut fast, &[axis]);
                assert!(fast.iter().zip(&x).all(|(a, b)| (a - b).norm() < 5e-6), "{shape:?}, axis {axis}");
            }
        }
    }

    #[test]
    fn transposed_arrays_are_transformed_as_they_look() {
        let x = noise(&[6, 5, 4], &mut stream(2, 0, 0, 0, Purpose::Sampling));
        let (mut plain, mut turned) = (x.clone(), x.reversed_axes());
        fft(&mut plain, &[0, 1]);
        fft(&mut turned, &[2, 1]);
        assert!(plain.iter().zip(&turned.reversed_axes()).all(|(a, b)| (a - b).norm() < 1e-6));
    }
}
