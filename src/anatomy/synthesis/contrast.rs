//! The intensity of every tissue, and what of the head is shown.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::between;
use super::labels::CONTRASTS;
use crate::anatomy::Structure;
use crate::config::SynthesisRecipe;

/// Greatest deviation within a tissue of any contrast, on the scale from 0 to 255 (SynthSeg).
const DEVIATION_MAX: f64 = 25.0;

/// Mean and deviation of the intensity of each contrast of `labels::CONTRASTS`.
pub(super) fn draw(recipe: &SynthesisRecipe, rng: &mut impl Rng) -> Vec<[f32; 2]> {
    let t1_like = rng.random::<f64>() < recipe.t1_like;
    let dark = rng.random::<f64>() < 0.5;
    CONTRASTS
        .iter()
        .map(|(labels, [mean, between_scans, within])| {
            let pair = if t1_like {
                let draw: f64 = rng.sample(StandardNormal);
                // The spread of SynthSeg's priors holds the unevenness of real scans, which the bias field makes here.
                [mean + 1.5 * between_scans * draw, 0.5 * within * between(rng, 0.3, 1.2)]
            } else {
                [between(rng, 10.0, 250.0), between(rng, 0.0, DEVIATION_MAX)]
            };
            let air = labels.contains(&0) && dark;
            if air { [0.0, 2.0 * rng.random::<f32>()] } else { pair.map(|x| x.max(0.0) as f32) }
        })
        .collect()
}

/// What of the head is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Shown {
    Head,
    /// Nothing outside the dura.
    Intracranial,
    /// Nothing but the brain.
    Brain,
}

impl Shown {
    pub(super) fn draw(recipe: &SynthesisRecipe, rng: &mut impl Rng) -> Self {
        let [stripped, to_brain] = [(); 2].map(|()| rng.random::<f64>());
        match (stripped < recipe.stripped, to_brain < recipe.stripped_to_brain) {
            (false, _) => Self::Head,
            (true, false) => Self::Intracranial,
            (true, true) => Self::Brain,
        }
    }

    pub(super) fn is_stripped(self) -> bool {
        self != Self::Head
    }

    /// What is to be said of a voxel of this structure.
    pub(super) fn target(self, structure: Structure) -> Structure {
        match (self, structure) {
            (Self::Intracranial | Self::Brain, Structure::Head) | (Self::Brain, Structure::Csf) => {
                Structure::Background
            }
            _ => structure,
        }
    }
}
