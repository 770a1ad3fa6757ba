//! Translation: a T1-weighted image in another contrast, learned from pairs that are simulated of label maps.

use ndarray::{Array4, Axis};

use super::{Case, Channels, Example, Head, Subject};
use crate::anatomy::synthesis::{View, synthesise_pair};
use crate::config::TranslateRecipe;
use crate::error::Result;

/// Two images are made of one head; restoration starts from the first and is held to nothing.
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
        Case::unheld(image)
    }
}

impl Head for Translate {
    fn channels(&self) -> Channels {
        Channels { given: 1, image: 1, condition: 0 }
    }

    fn example(&self, subject: Subject, patch: [usize; 3], address: [u64; 3]) -> Result<Example> {
        let (map, recipe) = (subject.labels()?, &self.recipe);
        let [source, target] = synthesise_pair(map, View::Crop(patch), &recipe.synthesis, recipe.to, address)
            .map(|image| image.insert_axis(Axis(0)));
        Ok(Example { case: self.case(source), truth: target })
    }
}
