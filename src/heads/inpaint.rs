//! In-painting: missing or corrupted voxels from those around them.

use ndarray::{Array3, Array4, Axis, concatenate};
use rand::{Rng, RngExt};

use super::case::part;
use super::harmonic::harmonic;
use super::{Case, Channels, Example, Head, Input, Measurement, Subject};
use crate::config::InpaintRecipe;
use crate::error::{Error, Result};
use crate::random::{Purpose, stream};

/// In-painting: ellipsoids or slices of the true image are missing; the initial estimate is their harmonic filling, and
/// known voxels stay the same to the bit.
#[derive(Clone, Debug)]
pub struct Inpaint {
    recipe: InpaintRecipe,
}

impl Inpaint {
    /// The head of this recipe.
    pub fn new(recipe: &InpaintRecipe) -> Self {
        Self { recipe: recipe.clone() }
    }

    /// The case of an image `[C, D, H, W]` with the mask `known` `[D, H, W]` of its known voxels.
    ///
    /// # Errors
    /// [`Error::Value`] for a mask of another shape, or without a known voxel.
    pub fn case(&self, image: &Array4<f32>, known: &Array3<bool>) -> Result<Case> {
        if known.shape() != &image.shape()[1..] {
            let (expected, found) = (format!("{:?}", &image.shape()[1..]), format!("{:?}", known.shape()));
            return Err(Error::value("mask", expected, found, "give a mask on the image's grid"));
        }
        if !known.iter().any(|&known| known) {
            return Err(Error::value("mask", "a known voxel", "none", "give 1 where voxels are missing"));
        }
        let initial = harmonic(image, known);
        let missing = known.mapv(|known| f32::from(u8::from(!known))).insert_axis(Axis(0));
        let input = concatenate(Axis(0), &[initial.view(), missing.view()]).expect("images of one grid");
        let measurement = Measurement::Voxels { known: known.clone(), values: image.clone() };
        Ok(Case { input, measurement, ..Case::unconstrained(initial) })
    }

    /// What is known of a grid, `[D, H, W]`: missing are a few ellipsoids, or slices across an axis of several voxels.
    fn draw(&self, shape: [usize; 3], rng: &mut impl Rng) -> Array3<bool> {
        let recipe = &self.recipe;
        if rng.random::<f64>() < recipe.slices {
            let long: Vec<usize> = (0..3).filter(|&axis| shape[axis] > 2).collect();
            let axis = long[rng.random_range(0..long.len())];
            let count = rng.random_range(1..=recipe.slices_max.min(shape[axis] - 2));
            let first = rng.random_range(1..shape[axis] - count);
            return Array3::from_shape_fn(shape, |(z, y, x)| {
                !(first..first + count).contains(&[z, y, x][axis])
            });
        }
        let [least, greatest] = recipe.radius_voxels;
        let holes: Vec<[(f64, f64); 3]> = (0..rng.random_range(1..=recipe.holes))
            .map(|_| {
                shape.map(|length| {
                    let half = least + (greatest - least) * rng.random::<f64>();
                    (length as f64 * rng.random::<f64>(), half)
                })
            })
            .collect();
        let mut known = Array3::from_shape_fn(shape, |(z, y, x)| {
            let within = |hole: &[(f64, f64); 3]| {
                let squares = hole.iter().zip([z, y, x]).enumerate().map(|(axis, (&(centre, half), at))| {
                    // A slice has no depth to lie outside of.
                    if shape[axis] == 1 { 0.0 } else { ((at as f64 + 0.5 - centre) / half).powi(2) }
                });
                squares.sum::<f64>() <= 1.0
            };
            !holes.iter().any(within)
        });
        // A corner stays, so that something is known.
        known[(0, 0, 0)] = true;
        known
    }
}

impl Head for Inpaint {
    fn channels(&self) -> Channels {
        Channels { input: 2, image: 1, condition: 0 }
    }

    fn case_of(&self, input: Input) -> Result<Case> {
        match input {
            Input::Torn(image, known) => self.case(image, known),
            other => Err(other.of_another("inpaint")),
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
        let truth = part(image, patch, rng)?;
        let known = self.draw(patch, rng);
        Ok(Example { case: self.case(&truth, &known)?, truth })
    }
}
