//! Smooth elastic deformation: displacements along D, H and W that are cubic B-splines over a lattice of control points
//! (free-form deformation, Rueckert et al. 1999).
//!
//! The deformation is the composition of three, each along one axis. It equals the displacement to first order and is
//! one to one wherever each of the three is. It takes three one-dimensional passes and is linear in the image.

use std::sync::Arc;

use rand_chacha::ChaCha8Rng;

use super::Augmentation;
use crate::random::normal;
use crate::warp::fields::{control_points, field};

/// Variance of a cubic B-spline at a control point whose coefficients have variance one: along an axis
/// `(1/6)² + (2/3)² + (1/6)²`, which is a half.
const VARIANCE: f64 = 1.0 / 8.0;

impl Augmentation {
    /// Displacements along D, H and W in voxels of each, over the grid; none along an axis of size one. Their standard
    /// deviation is `elastic_sigma_mm` at the control points, and 0.46/0.5 of that variance an axis midway between.
    pub(super) fn bends(&self, rng: &mut ChaCha8Rng) -> [Option<Arc<[f32]>>; 3] {
        let points = [0, 1, 2]
            .map(|a| control_points(self.grid[a], self.recipe.elastic_spacing_mm / self.spacing_mm[a]));
        [0, 1, 2].map(|a| {
            let sigma = self.recipe.elastic_sigma_mm / self.spacing_mm[a] / VARIANCE.sqrt();
            let control = normal(rng, points.iter().product());
            let control = control.into_iter().map(|x| x * sigma as f32).collect();
            (self.grid[a] > 1).then(|| field(control, points, self.grid).into())
        })
    }
}
