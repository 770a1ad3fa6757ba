//! Training: the loop, the trained networks, optimisers, checkpoints, log.
//!
//! The loop ([`train`]) has the schedule, log, pictures and checkpoints; a [`Trainable`] defines a step. In a step of
//! [`generator`], a batch of real volumes is drawn, the phases run (generator, path length, discriminator, R1), the
//! optimisers step, the generator's average is updated and the augmentation adapted; a step of [`segmenter`] is on an
//! image from a label map, of [`restorer`] on a problem from a true image, and of [`cycle`] on two unpaired images.

mod checkpoint;
mod coverage;
pub mod cycle;
mod data;
pub mod detail;
mod discriminator;
mod estimate;
mod events;
pub mod generator;
pub mod group;
mod learner;
mod phases;
mod picture;
mod prefetch;
mod record;
pub mod restorer;
mod run;
pub mod segmenter;
mod share;
mod state;
mod step;
mod subjects;
pub mod transfer;
mod validation;
mod watch;

pub use data::{Batch, Reals};
pub use estimate::Estimate;
pub use group::Group;
pub use phases::{Context, MicroBatch, Phase};
pub use record::RunFolder;
pub use run::{Ended, Event, Numbers, Schedule, Trainable, train};
pub use state::{Counters, State};
pub use validation::Best;
pub use watch::Warning;
