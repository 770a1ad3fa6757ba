//! Super-resolution: a finer grid than the measured one, along all axes or through the slices.

use ndarray::{Array4, Axis as ArrayAxis};
use rand::RngExt;
use rand_distr::StandardNormal;

use super::case::part;
use super::{Case, Channels, Example, Head, Input, Measurement, Subject};
use crate::acquisition::operators::slice_profile::{Profile, SliceProfile};
use crate::config::SuperresRecipe;
use crate::error::{Error, Result};
use crate::random::{Purpose, stream};
use crate::simulate::degrade::ProfileShape;
use crate::volume::resample::{Grid, Interpolation, resample};
use crate::volume::{Volume, VoxelToWorld};

/// Super-resolution: the measurement is of means over several voxels; the initial estimate is their cubic
/// interpolation.
#[derive(Clone, Debug)]
pub struct Superres {
    recipe: SuperresRecipe,
}

impl Superres {
    /// The head of this recipe.
    pub fn new(recipe: &SuperresRecipe) -> Self {
        Self { recipe: recipe.clone() }
    }

    /// The case of measured voxels `[C, D, H, W]` and a factor of the recipe.
    ///
    /// # Errors
    /// [`Error::Value`] for a factor that the network was not trained for.
    pub fn case(&self, measured: &Array4<f32>, factor: [usize; 3]) -> Result<Case> {
        if !self.recipe.factors.contains(&factor) {
            let (expected, found) =
                (format!("one of {:?} along [D, H, W]", self.recipe.factors), format!("{factor:?}"));
            return Err(Error::value("factor", expected, found, "give another factor, or other weights"));
        }
        let initial = interpolated(measured, factor, Interpolation::Cubic);
        let condition = match self.recipe.factors.len() {
            1 => Vec::new(),
            _ => factor.iter().map(|&n| (n as f32).log2()).collect(),
        };
        Ok(Case {
            input: if self.recipe.measured { measured.clone() } else { initial.clone() },
            condition,
            measurement: Measurement::Means { profiles: self.profiles(factor), values: measured.clone() },
            ..Case::unconstrained(initial)
        })
    }

    /// The permutation of the axes `[D, H, W]` by which the factor becomes one of the recipe: a stack of sagittal
    /// slices is turned to lie like axial ones. Rotations are preferred to permutations that mirror. `None` if the
    /// network was trained for no permutation of the factor.
    pub fn turned(&self, factor: [usize; 3]) -> Option<[usize; 3]> {
        const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0], [1, 0, 2], [0, 2, 1]];
        ORDERS.into_iter().find(|order| self.recipe.factors.contains(&order.map(|axis| factor[axis])))
    }

    /// The slice profile of a measured voxel along each axis whose factor is above one.
    pub fn profiles(&self, factor: [usize; 3]) -> Vec<SliceProfile> {
        let profile = |axis: usize| {
            let width = self.recipe.width * factor[axis] as f64;
            let profile = match self.recipe.profile {
                ProfileShape::Boxcar => Profile::Boxcar { width_voxels: width },
                ProfileShape::Gaussian => Profile::Gaussian { fwhm_voxels: width },
            };
            SliceProfile { axis, factor: factor[axis], profile }
        };
        (0..3).filter(|&axis| factor[axis] > 1).map(profile).collect()
    }
}

impl Head for Superres {
    fn channels(&self) -> Channels {
        Channels { input: 1, image: 1, condition: if self.recipe.factors.len() > 1 { 3 } else { 0 } }
    }

    fn factor(&self) -> [usize; 3] {
        if self.recipe.measured { self.recipe.factors[0] } else { [1; 3] }
    }

    fn case_of(&self, input: Input) -> Result<Case> {
        match input {
            Input::Coarse(measured, factor) => self.case(measured, factor),
            other => Err(other.of_another("superres")),
        }
    }

    fn example(
        &self,
        subject: Subject,
        patch: [usize; 3],
        [seed, step, sample]: [u64; 3],
    ) -> Result<Example> {
        let rng = &mut stream(seed, step, 0, sample, Purpose::Restoration);
        let image = subject.scan()?;
        let factor = self.recipe.factors[rng.random_range(0..self.recipe.factors.len())];
        let truth = part(image, patch, rng)?;
        let mut measured = measure(&truth, &self.profiles(factor));
        let noise = (self.recipe.noise * rng.random::<f64>()) as f32;
        if noise > 0.0 {
            measured.mapv_inplace(|x| x + noise * rng.sample::<f32, _>(StandardNormal));
        }
        Ok(Example { case: self.case(&measured, factor)?, truth })
    }
}

/// The means of an image `[C, D, H, W]` under slice profiles, on the coarser grid.
pub fn measure(image: &Array4<f32>, profiles: &[SliceProfile]) -> Array4<f32> {
    profiles.iter().fold(image.clone(), |image, profile| {
        let axis = ArrayAxis(profile.axis + 1);
        let matrix = profile.matrix(image.len_of(axis));
        let mut shape = image.raw_dim();
        shape[profile.axis + 1] = matrix.nrows();
        let mut measured = Array4::zeros(shape);
        for (mut slice, weights) in measured.axis_iter_mut(axis).zip(matrix.outer_iter()) {
            for (plane, &weight) in image.axis_iter(axis).zip(weights).filter(|(_, weight)| **weight != 0.0) {
                slice.scaled_add(weight, &plane);
            }
        }
        measured
    })
}

/// `measured` `[C, D, H, W]`, interpolated on the grid that is `factor` times finer over the same field of view:
/// `[C, D·fd, H·fh, W·fw]`.
pub fn interpolated(measured: &Array4<f32>, factor: [usize; 3], interpolation: Interpolation) -> Array4<f32> {
    let coarse = Volume::new(measured.clone(), VoxelToWorld::identity());
    let grid = finer_grid(&Grid::of(&coarse), factor);
    resample(&coarse, &grid, interpolation).data
}

/// The grid with `factor` `[D, H, W]` times as many voxels over the same field of view.
pub fn finer_grid(grid: &Grid, factor: [usize; 3]) -> Grid {
    let [d, h, w] = factor;
    let along = [w, h, d]; // (i, j, k)
    let moved = grid.affine.with_origin_at(along.map(|n| -0.5 * (n as f64 - 1.0) / n as f64));
    Grid {
        dims: [0, 1, 2].map(|axis| grid.dims[axis] * along[axis]),
        affine: (0..3).fold(moved, |affine, axis| affine.stretched(axis, 1.0 / along[axis] as f64)),
    }
}
