//! The training loop, with log, pictures, validation and checkpoints.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::record::RunFolder;
use super::watch::Warning;
use crate::config::{RestorationTraining, SegmentationTraining};
use crate::error::{Error, Result};
use crate::nn::schedule::cosine;
use crate::pretrained::latest_checkpoint;

/// Numbers of a step or of the log, by name.
pub type Numbers = BTreeMap<String, f64>;

/// Length and intervals of a run, in steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Number of steps.
    pub steps: u64,
    /// Steps from one line of the log to the next.
    pub log: u64,
    /// Steps from one picture to the next.
    pub picture: u64,
    /// Steps from one validation to the next.
    pub validation: u64,
    /// Steps from one checkpoint to the next.
    pub checkpoint: u64,
}

impl From<&RestorationTraining> for Schedule {
    fn from(training: &RestorationTraining) -> Self {
        Self {
            steps: training.steps,
            log: training.log_every_steps,
            picture: training.picture_every_steps,
            validation: u64::MAX,
            checkpoint: training.checkpoint_every_steps,
        }
    }
}

/// A segmenter has no pictures.
impl From<&SegmentationTraining> for Schedule {
    fn from(training: &SegmentationTraining) -> Self {
        Self {
            steps: training.steps,
            log: training.log_every_steps,
            picture: training.checkpoint_every_steps,
            validation: u64::MAX,
            checkpoint: training.checkpoint_every_steps,
        }
    }
}

impl SegmentationTraining {
    /// Adam's step size after `step` steps.
    pub(super) fn rate(&self, step: u64) -> f64 {
        self.learning_rate * cosine(step, self.warm_up, self.steps)
    }
}

/// How far a run is that counts nothing else.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Clock {
    /// Number of steps done.
    pub step: u64,
    /// Seconds of training so far.
    pub seconds: f64,
}

/// Whether the loss of step number `step` is finite.
///
/// # Errors
/// [`Error::Training`] if not.
pub(super) fn finite(loss: f64, step: u64) -> Result<()> {
    if loss.is_finite() {
        return Ok(());
    }
    let advice = "lower training.learning_rate, and start again from the last checkpoint";
    Err(Error::Training { step, problem: format!("the loss is {loss}"), advice: advice.into() })
}

/// The networks, optimisers and counters of a run, and their step.
pub trait Trainable {
    /// Length of the run.
    fn schedule(&self) -> Schedule;

    /// Number of steps done.
    fn done(&self) -> u64;

    /// Number of true images of a step.
    fn images_per_step(&self) -> usize;

    /// Takes a step; returns numbers for the log, which averages them.
    ///
    /// # Errors
    /// [`crate::error::Error::Training`] for a loss that is not finite; those of reading data.
    fn step(&mut self) -> Result<Numbers>;

    /// Records the duration of the last step in seconds.
    fn clock(&mut self, seconds: f64);

    /// Adds numbers that are no means to a line of the log: counters and rates.
    fn complete(&self, line: &mut Numbers);

    /// Draws pictures; called at the beginning of a run, at intervals and at its end.
    ///
    /// # Errors
    /// As [`RunFolder::picture`].
    fn picture(&mut self, folder: &mut RunFolder, tell: &dyn Fn(Event)) -> Result<()>;

    /// Measures on the validation set, and writes the best checkpoint; called at intervals and at the end of a run.
    ///
    /// # Errors
    /// Those of reading data and writing files.
    fn validate(&mut self, _: &mut RunFolder, _: &dyn Fn(Event)) -> Result<()> {
        Ok(())
    }

    /// A warning that follows from a line of the log, if any.
    fn warning(&mut self, _: &Numbers) -> Option<Warning> {
        None
    }

    /// Restores the state that [`Self::save`] wrote.
    ///
    /// # Errors
    /// [`crate::error::Error::File`] for a checkpoint of another run.
    fn restore(&mut self, path: &Path) -> Result<()>;

    /// Writes the whole state of the run.
    ///
    /// # Errors
    /// [`crate::error::Error::Io`], for instance on a full disk.
    fn save(&self, path: &Path) -> Result<()>;
}

/// An event of the loop.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The start, resumed from a checkpoint if `step` is not zero.
    Started {
        /// Number of steps done before.
        step: u64,
        /// Number of steps of the run.
        steps: u64,
    },
    /// A step is done.
    Stepped {
        /// Its duration in seconds.
        seconds: f64,
    },
    /// A line was logged.
    Logged {
        /// Number of steps done.
        step: u64,
        /// The line.
        numbers: &'a Numbers,
    },
    /// A warning.
    Warned {
        /// Number of steps done.
        step: u64,
        /// The observation and the remedy.
        text: &'a str,
    },
    /// A file was written.
    Wrote(&'a Path),
}

/// The end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All steps are done.
    Complete,
    /// It was stopped; the same command resumes it.
    Stopped,
}

/// Where a run lies, and what its folder tells of it.
pub(super) struct Place<'a> {
    /// The folder.
    pub out: &'a Path,
    /// As TOML.
    pub recipe: String,
    /// The device's name.
    pub device: String,
}

/// Trains from the run's latest checkpoint, if there is one, as [`train`] does.
///
/// # Errors
/// Those of the trainable and of the folder.
pub(super) fn go_on(
    mut trainable: impl Trainable,
    place: &Place,
    stop: &AtomicBool,
    tell: &dyn Fn(Event),
) -> Result<Ended> {
    if let Some(path) = latest_checkpoint(place.out)? {
        trainable.restore(&path)?;
    }
    let mut folder = RunFolder::open(place.out, &place.recipe, &place.device, trainable.done())?;
    train(&mut trainable, &mut folder, stop, tell)
}

/// Trains until the end of the schedule, or until `stop` is set: then the step is finished and saved.
///
/// # Errors
/// Those of `trainable` and `folder`. The last checkpoint is intact in every case.
pub fn train(
    trainable: &mut impl Trainable,
    folder: &mut RunFolder,
    stop: &AtomicBool,
    tell: &dyn Fn(Event),
) -> Result<Ended> {
    let Schedule { steps, log, picture, validation, checkpoint } = trainable.schedule();
    tell(Event::Started { step: trainable.done(), steps });
    if trainable.done() == 0 {
        trainable.picture(folder, tell)?;
    }
    let mut tally = Tally::default();
    let mut line_began = Instant::now();
    let mut saved = trainable.done();
    while trainable.done() < steps && !stop.load(Ordering::Relaxed) {
        let started = Instant::now();
        let found = trainable.step()?;
        let seconds = started.elapsed().as_secs_f64();
        trainable.clock(seconds);
        tally.add(found, seconds);
        tell(Event::Stepped { seconds });
        let done = trainable.done();
        let due = |interval: u64| done.is_multiple_of(interval) || done == steps;
        if due(log) {
            let (steps_taken, in_steps) = tally.taken("seconds_per_step");
            let mut line = tally.line();
            // Pictures, validation, checkpoints and the log itself.
            let between = line_began.elapsed().as_secs_f64() - in_steps;
            line.insert("seconds_between_steps".into(), between.max(0.0) / steps_taken.max(1) as f64);
            line_began = Instant::now();
            line.insert("step".into(), done as f64);
            if let Some(seconds) = line.get("seconds_per_step") {
                line.insert("images_per_second".into(), trainable.images_per_step() as f64 / seconds);
            }
            line.extend(peak_memory_mb().map(|peak| ("peak_memory_mb".into(), peak)));
            trainable.complete(&mut line);
            folder.log(&line)?;
            tell(Event::Logged { step: done, numbers: &line });
            if let Some(warning) = trainable.warning(&line) {
                folder.warn(done, warning, tell)?;
            }
        }
        // Saved first: what comes after takes long, and a run that is to end leaves it out.
        let stopped = || stop.load(Ordering::Relaxed) && done < steps;
        if due(checkpoint) || stopped() {
            save(trainable, folder, tell)?;
            saved = done;
        }
        if due(picture) && !stopped() {
            trainable.picture(folder, tell)?;
        }
        if due(validation) && !stopped() {
            trainable.validate(folder, tell)?;
        }
    }
    if saved != trainable.done() {
        save(trainable, folder, tell)?;
    }
    Ok(if trainable.done() < steps { Ended::Stopped } else { Ended::Complete })
}

fn save(trainable: &impl Trainable, folder: &RunFolder, tell: &dyn Fn(Event)) -> Result<()> {
    let path = folder.checkpoint(trainable.done());
    trainable.save(&path)?;
    folder.prune()?;
    tell(Event::Wrote(&path));
    Ok(())
}

/// The most memory that this process has held, in millions of bytes, as Linux counts it; none on other systems.
fn peak_memory_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: f64 = peak.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0 / 1e6)
}

/// Means of the numbers since the last line of the log; a number counts in the steps that have it.
#[derive(Debug, Default)]
struct Tally {
    sums: BTreeMap<String, (f64, u64)>,
}

impl Tally {
    fn add(&mut self, numbers: Numbers, seconds: f64) {
        for (name, value) in numbers.into_iter().chain([("seconds_per_step".into(), seconds)]) {
            let sum = self.sums.entry(name).or_insert((0.0, 0));
            *sum = (sum.0 + value, sum.1 + 1);
        }
    }

    /// How many numbers of this name there are, and their sum.
    fn taken(&self, name: &str) -> (u64, f64) {
        self.sums.get(name).map_or((0, 0.0), |&(sum, n)| (n, sum))
    }

    fn line(&mut self) -> Numbers {
        std::mem::take(&mut self.sums).into_iter().map(|(name, (sum, n))| (name, sum / n as f64)).collect()
    }
}
