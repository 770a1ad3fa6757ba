//! Translation to another contrast, trained on pairs that are simulated from label maps, or on unpaired images of the
//! two contrasts.

use ndarray::{Array4, Axis};

use super::case::part;
use super::{Case, Channels, Example, Head, Input, Subject};
use crate::config::TranslateRecipe;
use crate::error::Result;
use crate::random::{Purpose, stream};
use crate::simulate::synthesis::{View, synthesise_pair};

/// Translation of an image to another contrast. There is no data consistency, but voxels outside a skull-stripped head
/// stay zero.
#[derive(Clone, Debug)]
pub struct Translate {
    recipe: TranslateRecipe,
}

impl Translate {
    /// The head of this recipe.
    pub fn new(recipe: &TranslateRecipe) -> Self {
        Self { recipe: recipe.clone() }
    }

    /// The case of an image `[C, D, H, W]`.
    pub fn case(&self, image: Array4<f32>) -> Case {
        Case::cut_out(image)
    }

    /// An image of the source contrast, `[1, D, H, W]` of the grid `patch`: a part of a scan, or the initial estimate
    /// of an example of labels. All that is random depends on `address` (seed, step, sample) alone.
    ///
    /// # Errors
    /// [`crate::error::Error::Value`] where a scan is smaller than the patch.
    pub fn source(&self, subject: Subject, patch: [usize; 3], address: [u64; 3]) -> Result<Array4<f32>> {
        self.image(subject, patch, address, |example| example.case.initial)
    }

    /// An image of the target contrast, `[1, D, H, W]` of the grid `patch`: a part of a scan, or the truth of an
    /// example of labels. All that is random depends on `address` (seed, step, sample) alone.
    ///
    /// # Errors
    /// As [`Self::source`].
    pub fn target(&self, subject: Subject, patch: [usize; 3], address: [u64; 3]) -> Result<Array4<f32>> {
        self.image(subject, patch, address, |example| example.truth)
    }

    fn image(
        &self,
        subject: Subject,
        patch: [usize; 3],
        address: [u64; 3],
        of: impl FnOnce(Example) -> Array4<f32>,
    ) -> Result<Array4<f32>> {
        match subject {
            Subject::Scan(image) => {
                let [seed, step, sample] = address;
                part(image, patch, &mut stream(seed, step, 0, sample, Purpose::Restoration))
            }
            Subject::Labels(_) => self.example(subject, patch, address).map(of),
        }
    }
}

impl Head for Translate {
    fn channels(&self) -> Channels {
        Channels { input: 1, image: 1, condition: 0 }
    }

    fn case_of(&self, input: Input) -> Result<Case> {
        match input {
            Input::Image(image) => Ok(self.case(image.clone())),
            other => Err(other.of_another("translate")),
        }
    }

    fn example(&self, subject: Subject, patch: [usize; 3], address: [u64; 3]) -> Result<Example> {
        let (map, recipe) = (subject.labels()?, &self.recipe);
        let [source, target] = synthesise_pair(map, View::Crop(patch), &recipe.synthesis, recipe.to, address)
            .map(|image| image.insert_axis(Axis(0)));
        Ok(Example { case: self.case(source), truth: target })
    }
}
