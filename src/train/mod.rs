//! Training: the loop, its phases, its optimiser, its checkpoints, its log.
//!
//! [`run`] walks through a recipe: each step draws a batch of real volumes, runs the phases (generator, path length,
//! discriminator, R1), steps the optimisers, moves the generator's average and steers the augmentation.

pub mod adam;
mod checkpoint;
mod data;
mod estimate;
mod phases;
mod record;
mod run;
pub mod segmenter;
mod state;

pub use data::Reals;
pub use estimate::Estimate;
pub use phases::{Context, MicroBatch, Phase};
pub use record::RunFolder;
pub use run::{Ended, Event, Job, run};
pub use state::{Counters, State};
