//! A trained network as a method of reconstruction, beside the classical ones of [`crate::recon`].

use ndarray::{Array3, ArrayView3, Axis, concatenate};

use super::{Input, Restorer, blocks, complex, head, restore};
use crate::acquisition::Complex32;
use crate::config::RestorationRecipe;
use crate::error::{Error, Result};
use crate::ops::VolumeOps;
use crate::recon::{Learned, Problem, Reconstruct, Reconstruction};

/// A network for reconstruction or for known motion, followed by data consistency. A network of slices reconstructs the
/// slices along D one by one; D must not be in k-space then. The initial estimate of a network for reconstruction is
/// named in its recipe; for known motion it is the least-squares image.
#[derive(Clone, Copy, Debug)]
pub struct Network<'a, B: VolumeOps> {
    /// Its name for records, with the SHA-256 of its weights.
    pub name: &'a str,
    /// The network.
    pub network: &'a Restorer<B>,
    /// The recipe that it was trained by.
    pub recipe: &'a RestorationRecipe,
    /// Weight of data consistency, from 0 to 1 (see [`super::Measured::data_consistency`]).
    pub consistency: f64,
    /// The device to compute on.
    pub device: &'a B::Device,
}

impl<B: VolumeOps> Reconstruct for Network<'_, B> {
    fn name(&self) -> String {
        self.name.into()
    }

    fn reconstruct(&self, problem: &Problem<'_>) -> Result<Reconstruction> {
        let acquired = &problem.acquired;
        if !self.recipe.flat() || acquired.kspace.shape()[1] == 1 {
            return self.one(problem);
        }
        if acquired.axes.contains(&1) {
            let advice = "give slices whose k-space is two-dimensional, or a network of volumes";
            return Err(Error::value("k-space axes", "H and W, with slices along D", "D too", advice));
        }
        if acquired.moves.is_some() {
            let advice = "give a network of volumes: motion mixes slices";
            return Err(Error::value("shots", "none for a network of slices", "known motion", advice));
        }
        let found = problem.slices().map(|slice| self.one(&slice)).collect::<Result<Vec<_>>>()?;
        let (mut images, mut initials, mut null_spaces) = (Vec::new(), Vec::new(), Vec::new());
        for Reconstruction { image, learned, .. } in &found {
            let learned = learned.as_ref().expect("what a network's image rests on");
            images.push(image.view());
            initials.push(learned.initial.view());
            null_spaces.push(learned.null_space.view());
        }
        let joined = |parts: &[ArrayView3<'_, Complex32>]| -> Array3<Complex32> {
            concatenate(Axis(0), parts).expect("slices of one shape")
        };
        Ok(learned(joined(&images), joined(&initials), joined(&null_spaces)))
    }
}

impl<B: VolumeOps> Network<'_, B> {
    /// A slice, or a whole volume.
    fn one(&self, problem: &Problem<'_>) -> Result<Reconstruction> {
        let case = head(&self.recipe.head).case_of(Input::Kspace(problem))?;
        if case.scale <= f32::MIN_POSITIVE {
            let nothing = Array3::zeros(problem.acquired.sampled.raw_dim());
            return Ok(learned(nothing.clone(), nothing.clone(), nothing));
        }
        let found = restore(self.network, &case, blocks(self.recipe), self.consistency, self.device)?;
        let [image, initial, null_space] = [found.image, case.initial, found.null_space]
            .map(|parts| complex(&parts).mapv(|z| z * case.scale));
        Ok(learned(image, initial, null_space))
    }
}

fn learned(
    image: Array3<Complex32>,
    initial: Array3<Complex32>,
    null_space: Array3<Complex32>,
) -> Reconstruction {
    Reconstruction { learned: Some(Learned { initial, null_space }), ..Reconstruction::of(image) }
}
