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
use nalgebra::Matrix4;
pub use tissue::{Contrast, Tissue};

use crate::volume::ImageGrid;
use crate::volume::resample::Grid;

/// The grid of `dims` voxels of `spacing_mm` along `(i, j, k)` in RAS+, centred on the world's origin like the
/// phantoms.
pub fn centred_grid(dims: [usize; 3], spacing_mm: [f64; 3]) -> Grid {
    let affine: Matrix4<f64> = ImageGrid::upright(dims, spacing_mm).affine;
    Grid { dims, affine }
}
