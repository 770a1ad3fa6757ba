//! Affine maps of a grid's indices, and resampling through them in one-dimensional passes: on the host here, as tensor
//! operations in `ops`.

mod affine;
mod passes;

pub use affine::{Affine, passes};
pub use passes::{WarpPass, reach, warp_slice};
