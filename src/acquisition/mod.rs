//! The physics of the scanner on the host: linear operators, the Fourier transform, sampling and coils.
//!
//! Images are complex `[D, H, W]`, k-space is complex `[coils, D, H, W]`; a slice is a volume of depth one. k-space has
//! DC in the middle, at index ⌊n/2⌋ of every transformed axis, and the transform is orthonormal ([`fourier`]).

pub mod coils;
pub mod conjugate_gradient;
pub mod encoding;
pub mod fourier;
pub mod image;
pub mod linear;
pub mod operators;
pub mod sampling;

pub use linear::{LinearOperator, Operator};

/// A complex number in single precision.
pub type Complex32 = num_complex::Complex<f32>;
/// A complex array of any rank.
pub type ComplexArray = ndarray::ArrayD<Complex32>;
