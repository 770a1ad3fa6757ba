//! Phantoms: objects with known volumes and, for some, known k-space, so that tests need no data.
//!
//! [`Ellipsoids`] have closed forms for volumes and k-space; [`BrainPhantom`] resembles a head, with known tissues.

mod brain;
mod cortex;
mod ellipsoids;
mod shapes;
mod tissue;

pub use brain::BrainPhantom;
pub use ellipsoids::{Ellipsoid, Ellipsoids};
pub use tissue::{Contrast, Tissue};

use crate::error::Result;
use crate::volume::ImageGrid;
use crate::volume::resample::Grid;

/// The grid of `dims` voxels of `spacing_mm` along `(i, j, k)`, upright (RAS+) and centred on the world's origin, where
/// phantoms lie.
///
/// # Errors
/// [`Error::Value`](crate::error::Error::Value) for a spacing that is not positive and finite.
pub fn centred_grid(dims: [usize; 3], spacing_mm: [f64; 3]) -> Result<Grid> {
    Ok(Grid { dims, affine: ImageGrid::upright(dims, spacing_mm)?.affine })
}
