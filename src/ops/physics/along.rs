//! A matrix along one axis, such as the Fourier transform or a slice profile.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use crate::ops::{Shaped, VolumeOps, product};

/// A complex matrix on the host, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// Length of the output.
    pub rows: usize,
    /// Length of the input.
    pub columns: usize,
    /// Real parts, `[rows, columns]`.
    pub re: Vec<f64>,
    /// Imaginary parts `[rows, columns]`; empty where the matrix is real.
    pub im: Vec<f64>,
}

impl Matrix {
    /// The centred, orthonormal Fourier transform over `length` places.
    pub fn fourier(length: usize) -> Self {
        Self::padded_fourier(length, &vec![1.0; length])
    }

    /// The centred, orthonormal Fourier transform of a line of n = `scales.len()` places that is multiplied by `scales`
    /// and padded with zeros about its centre to m = `length` places: `exp(−2πi (k − ⌊m/2⌋)(v − ⌊n/2⌋)/m)·scale_v/√m`.
    pub fn padded_fourier(length: usize, scales: &[f32]) -> Self {
        let (m, n) = (length, scales.len());
        let wave = |at: usize| {
            let (k, v) = ((at / n) as i64 - (m / 2) as i64, (at % n) as i64 - (n / 2) as i64);
            // The phase's whole turns are taken off in integers, where nothing is lost.
            let turns = (k * v).rem_euclid(m as i64) as f64 / m as f64;
            let (sin, cos) = (-std::f64::consts::TAU * turns).sin_cos();
            let scale = f64::from(scales[at % n]) / (m as f64).sqrt();
            (cos * scale, sin * scale)
        };
        let (re, im) = (0..m * n).map(wave).unzip();
        Self { rows: m, columns: n, re, im }
    }

    /// A real matrix of `values` `[rows, columns]` in C order.
    pub fn real(values: &[f32], columns: usize) -> Self {
        let re = values.iter().map(|&value| f64::from(value)).collect();
        Self { rows: values.len() / columns, columns, re, im: Vec::new() }
    }

    /// The transposed matrix as a tensor, `[columns, rows]`, or `[columns, 2·rows]` with the imaginary parts behind the
    /// real ones; of the conjugate transpose for the adjoint.
    fn tensor<B: Backend>(&self, adjoint: bool, device: &B::Device) -> Tensor<B, 2> {
        let (rows, columns, sign) =
            if adjoint { (self.columns, self.rows, -1.0) } else { (self.rows, self.columns, 1.0) };
        let at = |column: usize, row: usize| {
            if adjoint { column * self.columns + row } else { row * self.columns + column }
        };
        let mut values = Vec::with_capacity(columns * rows * 2);
        for column in 0..columns {
            values.extend((0..rows).map(|row| self.re[at(column, row)] as f32));
            if !self.im.is_empty() {
                values.extend((0..rows).map(|row| (sign * self.im[at(column, row)]) as f32));
            }
        }
        let width = values.len() / columns;
        Tensor::from_data(TensorData::new(values, [columns, width]), device)
    }
}

/// A [`Matrix`] along one axis of `[N, 2·C, D, H, W]`, on a device.
#[derive(Clone, Debug)]
pub struct Along<B: Backend> {
    axis: usize,
    complex: bool,
    forward: Tensor<B, 2>,
    adjoint: Tensor<B, 2>,
}

impl<B: VolumeOps> Along<B> {
    /// `matrix` along `axis` of the tensor: 2, 3 or 4 for D, H or W.
    pub fn new(matrix: &Matrix, axis: usize, device: &B::Device) -> Self {
        let [forward, adjoint] = [false, true].map(|adjoint| matrix.tensor(adjoint, device));
        Self { axis, complex: !matrix.im.is_empty(), forward, adjoint }
    }

    /// `A·x` on every line.
    pub fn apply(&self, x: Tensor<B, 5>) -> Tensor<B, 5> {
        self.product(x, &self.forward)
    }

    /// `Aᴴ·y` on every line.
    pub fn adjoint(&self, y: Tensor<B, 5>) -> Tensor<B, 5> {
        self.product(y, &self.adjoint)
    }

    fn product(&self, x: Tensor<B, 5>, matrix: &Tensor<B, 2>) -> Tensor<B, 5> {
        let matrix = matrix.clone().cast(x.dtype());
        let x = x.swap_dims(self.axis, 4);
        let [samples, channels, a, b, length] = x.dims();
        let product = product(x.shaped([samples * channels * a * b, length]), matrix);
        let width = product.dims()[1];
        let y = if self.complex {
            let length = width / 2;
            let product = product.shaped([samples * channels / 2, 2, a * b, 2, length]);
            // Parts of x (dimension 1) times parts of the matrix (dimension 3).
            let part = |x: usize, matrix: usize| product.clone().narrow(1, x, 1).narrow(3, matrix, 1);
            let re = part(0, 0) - part(1, 1);
            let im = part(0, 1) + part(1, 0);
            Tensor::cat(vec![re, im], 1).shaped([samples, channels, a, b, length])
        } else {
            product.shaped([samples, channels, a, b, width])
        };
        y.swap_dims(self.axis, 4)
    }
}
