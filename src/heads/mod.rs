//! Restoration of scans: super-resolution, in-painting, reconstruction, motion correction, translation, progression.
//!
//! Every head has the same parts: a forward model degrades a true image, a network improves an initial estimate by a
//! classical method, and data consistency makes the result agree with the measurement.
//!
//! ```text
//! truth ──Head::example──▶ Case {input, initial, condition, measurement}
//! file  ──Head::case_of──▶ Case
//!
//! Case ──Problem──▶ Restorer ──data consistency──▶ image
//! Case ──restore──▶ Restored
//! ```
//!
//! | Head | Measurement | Initial estimate | Data consistency |
//! |---|---|---|---|
//! | [`Superres`] | means over several voxels, slice profiles | cubic interpolation | exactly, or by its noise |
//! | [`Inpaint`] | some of the voxels | harmonic filling | exactly |
//! | [`Recon`] | undersampled k-space | the zero-filled image, or total variation | exactly, or by its noise |
//! | [`Motion`] | an image with motion; or k-space and its shots | that image; or least squares | none; or exactly |
//! | [`Translate`] | an image of another contrast | that image | none |
//! | [`Progress`] | an image of some years before | that image | none |
//!
//! [`prior`] uses a trained generator in place of the network, so that nothing is trained for the task.
//!
//! A [`Case`] is plain data on the host, a [`Problem`] a case on a device. Intensities are scaled so that the brightest
//! tissue is one.

mod case;
mod discriminator;
mod harmonic;
mod inpaint;
pub mod loss;
mod measured;
mod motion;
mod networks;
pub mod prior;
mod progress;
mod recon;
mod reconstruct;
mod restore;
mod superres;
mod translate;

pub use case::{Case, Example, Input, Measurement, Problem, Subject};
pub use discriminator::{PatchDiscriminator, RestorationDiscriminator};
pub use harmonic::harmonic;
pub use inpaint::Inpaint;
pub use measured::Measured;
pub use motion::Motion;
pub use networks::{ResidualNet, ResidualNetConfig, Restorer, UNet, UNetConfig};
pub use progress::Progress;
pub use recon::{Recon, brightness, complex, pair};
pub use reconstruct::Network;
pub use restore::{Restored, blocks, blocks_within, restore};
pub use superres::{Superres, finer_grid, interpolated, measure};
pub use translate::Translate;

use crate::config::HeadRecipe;
use crate::error::Result;

/// The numbers of channels of a head's network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels {
    /// Channels of the network's input.
    pub input: usize,
    /// Channels of the image.
    pub image: usize,
    /// Length of the condition; zero for none.
    pub condition: usize,
}

/// A restoration task: how true images are degraded, and how the network's input is made.
pub trait Head: std::fmt::Debug + Sync {
    /// The channels of its network.
    fn channels(&self) -> Channels;

    /// How much finer than the input's grid the result's is, `[D, H, W]`.
    fn factor(&self) -> [usize; 3] {
        [1; 3]
    }

    /// The case of a user's input.
    ///
    /// # Errors
    /// [`crate::error::Error::Value`] for an input of another head, and for one outside the recipe's range.
    fn case_of(&self, input: Input) -> Result<Case>;

    /// A training example of a part of a subject, its truth of the grid `patch` `[D, H, W]`. All that is random depends
    /// on `address` (seed, step, sample) alone.
    ///
    /// # Errors
    /// [`crate::error::Error::Value`] where an image is smaller than the patch, or the head needs another kind of
    /// subject.
    fn example(&self, subject: Subject, patch: [usize; 3], address: [u64; 3]) -> Result<Example>;
}

/// The head of a recipe.
pub fn head(recipe: &HeadRecipe) -> Box<dyn Head> {
    match recipe {
        HeadRecipe::Superres(recipe) => Box::new(Superres::new(recipe)),
        HeadRecipe::Inpaint(recipe) => Box::new(Inpaint::new(recipe)),
        HeadRecipe::Recon(recipe) => Box::new(Recon::new(recipe)),
        HeadRecipe::Motion(recipe) => Box::new(Motion::new(recipe)),
        HeadRecipe::Translate(recipe) => Box::new(Translate::new(recipe)),
        HeadRecipe::Progress(recipe) => Box::new(Progress::new(recipe)),
    }
}
