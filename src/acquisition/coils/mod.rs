//! Receive coils: simulated and estimated sensitivity maps, noise, virtual coils, and one image from many.
//!
//! k-space, coil images and maps are complex `[coils, D, H, W]`. Prewhitening and coil compression are both a matrix
//! `[outputs, coils]` of plain numbers that [`mix`] applies to k-space, images and maps alike.

mod birdcage;
mod calibration;
mod combine;
mod compression;
mod eigen;
mod espirit;
mod walsh;
mod whitening;

pub use birdcage::Birdcage;
pub use calibration::{calibration_widths, centre};
pub use combine::{root_sum_of_squares, sense_weighted};
pub use compression::{Compression, Keep, compression};
pub use espirit::{EspiritMaps, EspiritOptions, espirit};
use nalgebra::{DMatrix, SymmetricEigen};
use ndarray::{Array2, Array4, ArrayView2, ArrayView4};
use num_complex::Complex64;
use rayon::prelude::*;
pub use walsh::{Adaptive, adaptive};
pub use whitening::{noise_covariance, outer_samples, whitening_matrix};

use super::Complex32;
use super::linear::double;

/// Values of one output that are mixed by one task.
const PIECE: usize = 1 << 12;

/// `matrix · x` at every place: `[outputs, coils]` times `[coils, D, H, W]` is `[outputs, D, H, W]`.
///
/// # Panics
/// If the matrix has not as many columns as `x` has coils.
pub fn mix(matrix: ArrayView2<Complex32>, x: ArrayView4<Complex32>) -> Array4<Complex32> {
    let (coils, d, h, w) = x.dim();
    let (outputs, columns) = matrix.dim();
    assert_eq!(columns, coils, "columns of the matrix and coils");
    let places = d * h * w;
    if places * outputs == 0 {
        return Array4::zeros((outputs, d, h, w));
    }
    let x = x.as_standard_layout();
    let Some(values) = x.as_slice() else {
        unreachable!("the array is in standard layout");
    };
    let mut mixed = vec![Complex32::default(); outputs * places];
    mixed.par_chunks_mut(places).zip(matrix.outer_iter().into_par_iter()).for_each(|(output, row)| {
        output.par_chunks_mut(PIECE).enumerate().for_each(|(piece, output)| {
            for (coil, &factor) in values.chunks_exact(places).zip(&row) {
                output.iter_mut().zip(&coil[piece * PIECE..]).for_each(|(to, from)| *to += factor * from);
            }
        });
    });
    Array4::from_shape_vec((outputs, d, h, w), mixed).expect("as many values as places")
}

/// `Σ x xᴴ` over all places: `[coils, coils]`, in double precision.
fn covariance(x: ArrayView4<Complex32>) -> DMatrix<Complex64> {
    let (coils, d, h, w) = x.dim();
    let x = x.as_standard_layout();
    let x: ArrayView2<Complex32> =
        x.view().into_shape_with_order((coils, d * h * w)).expect("the layout is standard");
    let pairs: Vec<(usize, usize)> = eigen::couples(coils).collect();
    let sums: Vec<Complex64> = pairs
        .par_iter()
        .map(|&(a, b)| x.row(a).iter().zip(x.row(b)).map(|(p, q)| double(p) * double(q).conj()).sum())
        .collect();
    let mut covariance = DMatrix::zeros(coils, coils);
    for ((a, b), sum) in pairs.into_iter().zip(sums) {
        covariance[(a, b)] = sum;
        covariance[(b, a)] = sum.conj();
    }
    covariance
}

/// Eigenvalues, largest first, and the eigenvectors as columns in that order.
fn eigen_descending(hermitian: DMatrix<Complex64>) -> (Vec<f64>, DMatrix<Complex64>) {
    let eigen = SymmetricEigen::new(hermitian);
    let mut order: Vec<usize> = (0..eigen.eigenvalues.len()).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
    let values = order.iter().map(|&i| eigen.eigenvalues[i]).collect();
    (values, eigen.eigenvectors.select_columns(&order))
}

/// The direction of coil space with the most signal: `Σ conj(u)·x` is the virtual coil that phases refer to. The
/// phase of `u` itself is free; the sum of its elements is made real and positive.
fn principal_component(x: ArrayView4<Complex32>) -> Array2<Complex32> {
    let (_, vectors) = eigen_descending(covariance(x));
    let sum: Complex64 = vectors.column(0).iter().sum();
    let turn = if sum.norm() > 1e-6 { sum.conj() / sum.norm() } else { 1.0.into() };
    Array2::from_shape_fn((1, vectors.nrows()), |(_, coil)| {
        let z = vectors[(coil, 0)] * turn;
        Complex32::new(z.re as f32, z.im as f32)
    })
}
