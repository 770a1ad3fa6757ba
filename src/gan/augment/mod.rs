//! Augmentation of the discriminator's input, real and synthetic, by operations that suit brains: adaptive
//! discriminator augmentation (ADA, Karras et al. 2020, arXiv 2006.06676, appendix B) in three dimensions or, as the
//! simple alternative, [DiffAugment](diff_augment).
//!
//! The operations of ADA, in this order, each with probability p and each sample by draws of its own:
//!
//! | operation | parameter |
//! |---|---|
//! | elastic deformation (off by default) | cubic B-splines every `elastic_spacing_mm`, `N(0, elastic_sigma_mm)` |
//! | left–right flip | by a fair coin |
//! | isotropic scale | `2^N(0, scale_sigma)` |
//! | rotation about a random axis | `N(0, rotation_sigma_deg)`, at most 45°; with probability 1 − √(1 − p) |
//! | scale of each axis | `2^N(0, anisotropic_sigma)` |
//! | rotation about another axis | as the first rotation: both together have probability p |
//! | shift | `N(0, shift_sigma)` of each axis' length |
//! | brightness | `x + b`, `b` from `N(0, brightness_sigma)` |
//! | contrast | `−1 + c·(x + 1)`, `c` from `2^N(0, contrast_sigma)` |
//! | band filter (off by default) | each of four octaves of frequency, with probability p, `2^N(0, band_sigma)` times |
//! | noise (off by default) | white, of standard deviation `\|N(0, noise_sigma)\|` |
//! | cut-out (off by default) | a box of `cutout_size` of each axis about a uniform place becomes air |
//!
//! Rotations and deformations are in millimetres, whatever the voxels' shape. Where an axis has size one (slices),
//! nothing scales, shifts, bends or is filtered along it, rotations are in the plane and boxes go through it. The
//! geometry is one affine map a sample, resampled in three passes ([`crate::ops::warp()`]), and before it three such
//! passes that displace along one axis each; borders are reflected. Everything is affine in the image: first and second
//! derivatives are exact.
//!
//! **Intensities.** Volumes lie in [−1, 1] and air is exactly −1. Brightness is added to all voxels, air included, and
//! nothing is clipped: an operation is non-leaking only if its distribution can be inverted, which holds for an affine
//! map of intensities and not for a clip. A map of the voxels above −1 alone would treat real air, at exactly −1,
//! differently from a generator's, near −1, and so reveal which is which. Contrast is scaled about air, where ADA
//! scales about middle grey: the scale of a magnitude image is arbitrary, like a receiver's gain, which does not change
//! the background. With brightness the two choices span the same group of maps. Filters and cut-out are about air for
//! the same reason.

mod adaptive;
mod bands;
pub mod diff_augment;
mod draw;
mod elastic;
mod sample;

pub use adaptive::{ADAPTIVE_P_MAX, AdaptiveP, sign_sum};
pub use draw::Draw;

use crate::config::{AugmentationPolicy, AugmentationRecipe};

/// The intensity of air, which contrast, filters and cut-out leave alone.
const AIR: f64 = -1.0;

/// The augmentation of a run: recipe, grid and voxel size.
#[derive(Clone, Debug, PartialEq)]
pub struct Augmentation {
    /// The policy and the operations' strengths.
    pub recipe: AugmentationRecipe,
    /// Grid `[D, H, W]` of the volumes.
    pub grid: [usize; 3],
    /// Size of a voxel along `[D, H, W]` in millimetres.
    pub spacing_mm: [f64; 3],
}

impl Augmentation {
    /// Draws the operations for the samples numbered `samples` of a step's phase, with probability `p`. DiffAugment
    /// takes every `p` above 0 as 1.
    ///
    /// Each sample has a random stream of its own ([`crate::random`]) and takes the same number of draws from it for
    /// every `p` and recipe. So a sample's operations do not depend on the rest of its batch, and an operation that is
    /// applied at some `p` is applied with the same parameters at any larger `p` and beside any other operations.
    pub fn draw(
        &self,
        p: f64,
        seed: u64,
        step: u64,
        phase: u64,
        samples: impl IntoIterator<Item = u64>,
    ) -> Draw {
        if p <= 0.0 || !self.recipe.enabled {
            return Draw::default();
        }
        let sample = |sample| match self.recipe.policy {
            AugmentationPolicy::Adaptive => self.sample(p, seed, step, phase, sample),
            AugmentationPolicy::DiffAugment => diff_augment::sample(self.grid, seed, step, phase, sample),
        };
        Draw::of(samples.into_iter().map(sample).collect(), self.grid)
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_images;
