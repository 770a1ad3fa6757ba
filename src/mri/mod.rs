//! The physics of the scanner on the host: linear operators, sampling, coils, degradations and their inverses.
//!
//! Images are complex `[D, H, W]`, k-space is complex `[coils, D, H, W]`; a slice is a volume of depth one. k-space has
//! DC in the middle, at index ⌊n/2⌋ of every transformed axis, and the transform is orthonormal ([`fourier`]).

pub mod fourier;
pub mod linear;

pub use linear::{Chain, Linear};

/// Complex numbers as they are stored: single precision.
pub type Complex32 = num_complex::Complex<f32>;
/// A complex array of any rank.
pub type ComplexArray = ndarray::ArrayD<Complex32>;
