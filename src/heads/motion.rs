//! Motion correction: an image of a head that moved while it was measured.

use nalgebra::Matrix4;
use ndarray::{Array4, Axis};

use super::case::{part, part_at};
use super::recon::{held_to_samples, pair};
use super::{Case, Channels, Example, Head, Subject};
use crate::config::MotionRecipe;
use crate::error::Result;
use crate::mri::encoding::Encoding;
use crate::mri::recon::conjugate_gradient::conjugate_gradient;
use crate::mri::{Complex32, ComplexArray, Linear};
use crate::random::{Purpose, stream};
use crate::volume::Volume;

/// Iterations of the least-squares image, and the residual at which they end.
const ITERATIONS: usize = 12;
const TOLERANCE: f64 = 1e-3;
/// Where the head never was, nothing is known: a little of the identity keeps the image from growing there, relative to the
/// largest eigenvalue of AᴴA, which is one.
const RIDGE: f32 = 1e-3;

/// A true image is measured while it moves. Either only the corrupted image is known, from which restoration starts and to
/// which it is not held; or the shots are, and it starts from the least-squares image and is held to the samples.
#[derive(Clone, Debug)]
pub struct Motion {
    recipe: MotionRecipe,
}

impl Motion {
    /// The head of this recipe.
    pub fn new(recipe: &MotionRecipe) -> Self {
        Self { recipe: recipe.clone() }
    }

    /// The case of a corrupted image `[C, D, H, W]` of which nothing more is known.
    pub fn unknown(&self, corrupted: Array4<f32>) -> Case {
        Case::unheld(corrupted)
    }

    /// The case of `samples` whose shots are known.
    ///
    /// # Errors
    /// As [`Encoding::operator`].
    pub fn known(&self, encoding: Encoding, samples: ComplexArray) -> Result<Case> {
        let operator = encoding.operator()?;
        let image = least_squares(&*operator, &samples);
        let start = pair(&image.into_dimensionality().expect("an image of rank three"));
        Ok(held_to_samples(encoding, samples, start))
    }
}

/// The image of which `samples` would nearly have been measured, of least norm.
pub fn least_squares(operator: &dyn Linear, samples: &ComplexArray) -> ComplexArray {
    let normal = |x: ComplexArray| operator.normal(x.clone()) + x.mapv(|z| z * RIDGE);
    conjugate_gradient(normal, &operator.adjoint(samples.clone()), ITERATIONS, TOLERANCE).0
}

impl Head for Motion {
    fn channels(&self) -> Channels {
        let channels = if self.recipe.known { 2 } else { 1 };
        Channels { given: channels, image: channels, condition: 0 }
    }

    /// Motion acts on all of an image: its part is taken afterwards, but of a known motion, whose samples are those of the
    /// part alone.
    fn example(
        &self,
        subject: Subject,
        patch: [usize; 3],
        [seed, step, sample]: [u64; 3],
    ) -> Result<Example> {
        let rng = &mut stream(seed, step, 0, sample, Purpose::Restoration);
        let image = subject.scan()?;
        if self.recipe.known {
            let truth = part(image, patch, rng)?;
            let volume = Volume::new(truth.clone(), Matrix4::identity());
            let shots = self.recipe.motion.draw(&volume, rng)?.shots(patch)?;
            let encoding = Encoding { shots: Some(shots), ..Encoding::full(patch, [1.0; 3]) };
            let truth = truth.index_axis_move(Axis(0), 0).mapv(|x| Complex32::new(x, 0.0));
            let samples = encoding.operator()?.apply(truth.clone().into_dyn());
            return Ok(Example { case: self.known(encoding, samples)?, truth: pair(&truth) });
        }
        let volume = Volume::new(image.clone(), Matrix4::identity());
        let moved = self.recipe.motion.draw(&volume, rng)?.apply(&volume)?.volume;
        let (truth, first) = part_at(image, patch, rng)?;
        let [z, y, x] = [0, 1, 2].map(|axis| first[axis]..first[axis] + patch[axis]);
        let corrupted = moved.data.slice(ndarray::s![.., z, y, x]).to_owned();
        Ok(Example { case: self.unknown(corrupted), truth })
    }
}
