//! Training: the loop, what it trains, optimiser, checkpoints, log.
//!
//! The loop ([`train`]) knows steps, log, pictures and checkpoints; a [`Trainable`] knows what a step is. In that of
//! [`generator`], a batch of real volumes is drawn, the phases run (generator, path length, discriminator, R1), the optimisers
//! step, the generator's average moves and the augmentation is steered; that of [`segmenter`] learns from an image made of
//! a label map, that of [`restorer`] from a problem made of a true image, and that of [`cycle`] from two images that are no pair.

mod checkpoint;
mod coverage;
pub mod cycle;
mod data;
pub mod detail;
mod discriminator;
mod estimate;
mod events;
pub mod generator;
mod learner;
mod phases;
mod picture;
mod prefetch;
mod record;
pub mod restorer;
mod run;
pub mod segmenter;
mod state;
mod subjects;
pub mod transfer;
mod validation;
mod watch;

pub use data::{Batch, Reals};
pub use estimate::Estimate;
pub use phases::{Context, MicroBatch, Phase};
pub use record::RunFolder;
pub use run::{Ended, Event, Numbers, Schedule, Trainable, train};
pub use state::{Counters, State};
pub use validation::Best;
pub use watch::Warning;
