//! Progression: the same brain some years later, trained on visits that are simulated from label maps.

use ndarray::{Array4, Axis};
use rand::RngExt;
use rand_distr::StandardNormal;

use super::{Case, Channels, Example, Head, Input, Subject};
use crate::config::ProgressRecipe;
use crate::error::{Error, Result};
use crate::random::{Purpose, stream};
use crate::simulate::ageing::Ageing;
use crate::simulate::synthesis::{View, synthesise_visits};

/// Years that count as one in the condition.
const DECADE: f64 = 10.0;

/// Progression from a first visit to a second, conditioned on the years between and the group of people. There is no
/// data consistency, but voxels outside a skull-stripped head stay zero. The simulated visits differ by a deformation
/// only, so that the network learns to preserve the individual anatomy.
#[derive(Clone, Debug)]
pub struct Progress {
    recipe: ProgressRecipe,
}

impl Progress {
    /// The head of this recipe.
    pub fn new(recipe: &ProgressRecipe) -> Self {
        Self { recipe: recipe.clone() }
    }

    /// The case of an image `[C, D, H, W]`, `years` before the result, of a person of this `group`; `None` for the
    /// first group of the recipe.
    ///
    /// # Errors
    /// [`Error::Value`] for a group that the recipe does not have, or years beyond its range.
    pub fn case(&self, image: Array4<f32>, years: f64, group: Option<&str>) -> Result<Case> {
        let names: Vec<&str> = self.recipe.groups.iter().map(|group| group.name.as_str()).collect();
        let place = match group {
            None => 0,
            Some(group) => names.iter().position(|name| *name == group).ok_or_else(|| {
                let advice = "give one that the network was trained for";
                Error::value("group", format!("one of {}", names.join(", ")), format!("`{group}`"), advice)
            })?,
        };
        let most = self.recipe.years;
        if !(0.0..=most).contains(&years) {
            let advice = "ask for years that the network was trained for";
            return Err(Error::value("years", format!("0 to {most}"), years.to_string(), advice));
        }
        let of_groups = (0..names.len()).map(|n| if n == place { 1.0 } else { 0.0 });
        let condition = std::iter::once((years / DECADE) as f32).chain(of_groups);
        Ok(Case { condition: condition.collect(), ..Case::cut_out(image) })
    }

    /// The factors by which the volumes of a brain of group number `group` change in `years`, `pace` times as fast as
    /// the group: `(1 + yearly change)^(years·pace)`.
    ///
    /// # Panics
    /// If the recipe has no group of this number.
    pub fn ageing(&self, group: usize, years: f64, pace: f64) -> Ageing {
        let group = &self.recipe.groups[group];
        let after = |yearly: f64| (1.0 + yearly).powf(years * pace);
        Ageing { ventricles: after(group.ventricles), cortex: after(group.cortex) }
    }
}

impl Head for Progress {
    fn channels(&self) -> Channels {
        Channels { input: 1, image: 1, condition: 1 + self.recipe.groups.len() }
    }

    fn case_of(&self, input: Input) -> Result<Case> {
        match input {
            Input::Earlier(image, years, group) => self.case(image.clone(), years, group),
            other => Err(other.of_another("progress")),
        }
    }

    fn example(
        &self,
        subject: Subject,
        patch: [usize; 3],
        [seed, step, sample]: [u64; 3],
    ) -> Result<Example> {
        let (map, recipe) = (subject.labels()?, &self.recipe);
        let rng = &mut stream(seed, step, 0, sample, Purpose::Restoration);
        let years = recipe.years * rng.random::<f64>();
        let group = rng.random_range(0..recipe.groups.len());
        let pace = (recipe.spread * rng.sample::<f64, _>(StandardNormal)).exp();
        let ageing = self.ageing(group, years, pace);
        let visits =
            synthesise_visits(map, View::Crop(patch), &recipe.synthesis, ageing, [seed, step, sample]);
        let [now, later] = visits.map(|image| image.insert_axis(Axis(0)));
        Ok(Example { case: self.case(now, years, Some(&recipe.groups[group].name))?, truth: later })
    }
}
