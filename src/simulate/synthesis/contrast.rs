//! The intensity of every tissue, and the visible part of the head.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::between;
use super::labels::CONTRASTS;
use super::{SynthesisRecipe, Weighting};
use crate::anatomy::Structure;

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

/// Mean intensity of each contrast of `labels::CONTRASTS` in T2- and in proton-density-weighted images, on the scale
/// from 0 to 255; of what lies outside the brain, parts of its T1 mean. Simulated: the order of tissues is that of
/// scans of adults at 1.5 T, the figures are nobody's.
const WEIGHTED: [[f32; 2]; 20] = [
    [5.0, 5.0],
    [235.0, 215.0],
    [235.0, 215.0],
    [235.0, 215.0],
    [105.0, 175.0],
    [100.0, 170.0],
    [98.0, 165.0],
    [142.0, 205.0],
    [100.0, 168.0],
    [138.0, 202.0],
    [118.0, 188.0],
    [124.0, 195.0],
    [116.0, 192.0],
    [84.0, 175.0],
    [141.0, 204.0],
    [126.0, 195.0],
    [104.0, 175.0],
    [150.0, 200.0],
    [30.0, 40.0],
    [190.0, 205.0],
];
/// Deviation within a tissue of such an image.
const WEIGHTED_DEVIATION: f32 = 4.0;

/// Mean and deviation of each contrast in an image of this weighting, always the same.
pub(super) fn weighted(weighting: Weighting) -> Vec<[f32; 2]> {
    CONTRASTS
        .iter()
        .enumerate()
        .map(|(index, (_, [t1, ..]))| {
            let [t2, pd] = WEIGHTED.get(index).copied().unwrap_or([0.6, 0.9].map(|part| part * *t1 as f32));
            let mean = match weighting {
                Weighting::T2 => t2,
                Weighting::Pd => pd,
            };
            [mean, if index == 0 { 1.0 } else { WEIGHTED_DEVIATION }]
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
