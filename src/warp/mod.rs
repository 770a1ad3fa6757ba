//! Affine maps of a grid's indices, smooth fields over it, and resampling by both in one-dimensional passes: on the
//! host here, as tensor operations in `ops`.

mod affine;
pub mod fields;
mod passes;

pub use affine::{Affine, passes};
pub use passes::{WarpPass, reach, warp_slice};
