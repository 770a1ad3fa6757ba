//! Restoration: what a scan should have been, from what was measured.
//!
//! Every head is one idea: a forward model degrades a true image, a network improves an initial estimate by a
//! classical method, and data consistency puts the measurement back into the result.
//!
//! ```text
//! truth ──Head::example──▶ Case {input, initial, condition, measurement} ──Problem──▶ Restorer ──data consistency──▶ image
//! file  ──Head::case_of──▶ Case ────────────────────────────────────────────────▶ restore ──▶ Restored
//! ```
//!
//! | Head | Measurement | Initial estimate | Data consistency |
//! |---|---|---|---|
//! | [`Superres`] | means over several voxels, slice profiles | cubic interpolation | exactly, or by its noise |
//! | [`Inpaint`] | some of the voxels | harmonic filling | exactly |
//! | [`Recon`] | k-space in part, of one coil or several | the zero-filled image, or that of minimum total variation | exactly, or by its noise |
//! | [`Motion`] | an image of a head that moved; or its samples, shot by shot | that image; or the least-squares one | not; or exactly |
//! | [`Translate`] | an image of another contrast | that image | not |
//! | [`Progress`] | an image of years before | that image | not |
//!
//! Where the network would stand, [`prior`] puts a trained generator: nothing is trained for the task.
//!
//! A case is plain data on the host; [`Problem`] is the same on a device. Intensities are scaled so that the brightest
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
pub use restore::{Restored, blocks, restore};
pub use superres::{Superres, finer_grid, interpolated, measure};
pub use translate::Translate;

use crate::config::HeadRecipe;
use crate::error::Result;

/// Channels of what a head's network sees and says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels {
    /// Of the network's input.
    pub input: usize,
    /// Of the image.
    pub image: usize,
    /// Numbers of the condition.
    pub condition: usize,
}

/// A task of restoration: how true images are degraded, and what the network's input is.
pub trait Head: std::fmt::Debug + Sync {
    /// What the network sees and says.
    fn channels(&self) -> Channels;

    /// How much finer than the input's grid the result's is, `[D, H, W]`.
    fn factor(&self) -> [usize; 3] {
        [1; 3]
    }

    /// The problem of what a user has of a scan.
    ///
    /// # Errors
    /// [`crate::error::Error::Value`] for an input of another head, and one that the recipe was not trained for.
    fn case_of(&self, input: Input) -> Result<Case>;

    /// A problem made of a part of a subject, and its truth, of the grid `patch`. All that is random about it depends on the
    /// address (seed, step, sample).
    ///
    /// # Errors
    /// [`crate::error::Error::Value`] where an image is smaller than the patch, or the head needs another kind of subject.
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
