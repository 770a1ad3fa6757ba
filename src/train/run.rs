//! The training loop, with log, pictures, validation and checkpoints.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::group::Group;
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

    /// Takes a step; returns numbers for the log, which averages them over steps and ranks.
    ///
    /// # Errors
    /// [`crate::error::Error::Training`] for a loss that is not finite; those of reading data. An error of one rank is an
    /// error of all ([`Group::agree`]).
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

/// Where a run lies, what it is of, and who shares it.
pub(super) struct Place<'a> {
    /// The folder.
    pub out: &'a Path,
    /// As TOML.
    pub recipe: Result<String>,
    /// What tells one training set from another.
    pub data: String,
    /// The device's name.
    pub device: String,
    /// The ranks.
    pub group: &'a Group,
}

/// Trains from the run's latest checkpoint, if there is one, as [`train`] does, with ranks that agree on what they do.
///
/// # Errors
/// Those of the trainable, of the folder and of the group; [`Error::Value`] on a rank with another program, recipe or
/// training set.
pub(super) fn go_on(
    trainable: Result<impl Trainable>,
    place: Place,
    stop: &AtomicBool,
    tell: &dyn Fn(Event),
) -> Result<Ended> {
    let Place { out, recipe, data, device, group } = place;
    let recipe = group.agree(recipe)?;
    group.alike(&[
        ("version", env!("CARGO_PKG_VERSION")),
        ("recipe", &recipe),
        ("training set", &data),
        ("device", &device),
        // Ranks whose sums are rounded in other ways drift apart.
        ("instruction set (VOXGAN_ISA sets it)", crate::ops::cpu::isa().name()),
    ])?;
    let mut trainable = group.agree(trainable)?;
    // One answer for all: a file system may show a new file to some ranks later than to others.
    let latest = group.agree(if group.is_first() { latest_checkpoint(out) } else { Ok(None) })?;
    let latest = latest.map_or(String::new(), |path| path.to_string_lossy().into_owned());
    let latest = String::from_utf8_lossy(&group.broadcast(latest.into_bytes(), 0)?).into_owned();
    if !latest.is_empty() {
        group.agree(trainable.restore(Path::new(&latest)))?;
    }
    let mut folder = None;
    group.first(|| {
        folder = Some(RunFolder::open(out, &recipe, &device, trainable.done())?);
        Ok(())
    })?;
    train(&mut trainable, &mut folder, group, stop, tell)
}

/// Trains until the end of the schedule, or until `stop` is set on any rank: then all finish the step, and it is saved.
/// The first rank writes into its `folder`; the others have none.
///
/// # Errors
/// Those of `trainable`, `folder` and `group`, on all ranks. The last checkpoint is intact in every case.
///
/// # Panics
/// If the first rank has no folder.
pub fn train(
    trainable: &mut impl Trainable,
    folder: &mut Option<RunFolder>,
    group: &Group,
    stop: &AtomicBool,
    tell: &dyn Fn(Event),
) -> Result<Ended> {
    let Schedule { steps, log, picture, validation, checkpoint } = trainable.schedule();
    let mut on_first = |work: &mut dyn FnMut(&mut RunFolder) -> Result<()>| {
        group.first(|| work(folder.as_mut().expect("the first rank has a folder")))
    };
    tell(Event::Started { step: trainable.done(), steps });
    if trainable.done() == 0 {
        on_first(&mut |folder| trainable.picture(folder, tell))?;
    }
    let mut tally = Tally::default();
    let mut line_began = Instant::now();
    let mut saved = trainable.done();
    let mut stopped = group.any(stop.load(Ordering::Relaxed))?;
    while trainable.done() < steps && !stopped {
        let started = Instant::now();
        let found = trainable.step()?;
        let seconds = started.elapsed().as_secs_f64();
        trainable.clock(seconds);
        tally.add(found);
        tally.add(Numbers::from([("seconds_per_step".into(), seconds)]));
        if group.size() > 1 {
            tally.add(Numbers::from([("seconds_exchanging".into(), group.exchanged().as_secs_f64())]));
        }
        tell(Event::Stepped { seconds });
        let done = trainable.done();
        let due = |interval: u64| done.is_multiple_of(interval) || done == steps;
        if due(log) {
            let taken = std::mem::take(&mut tally).over(group)?;
            on_first(&mut |folder| {
                let mut line = taken.line();
                let (steps_taken, in_steps) = taken.taken("seconds_per_step");
                // Pictures, validation, checkpoints and the log itself.
                let between = line_began.elapsed().as_secs_f64() - in_steps / group.size() as f64;
                let steps_taken = (steps_taken as usize / group.size()).max(1);
                line.insert("seconds_between_steps".into(), between.max(0.0) / steps_taken as f64);
                line_began = Instant::now();
                line.insert("step".into(), done as f64);
                if let Some(seconds) = line.get("seconds_per_step") {
                    line.insert("images_per_second".into(), trainable.images_per_step() as f64 / seconds);
                }
                line.extend(peak_memory_mb().map(|peak| ("peak_memory_mb".into(), peak)));
                trainable.complete(&mut line);
                folder.log(&line)?;
                tell(Event::Logged { step: done, numbers: &line });
                trainable.warning(&line).map_or(Ok(()), |warning| folder.warn(done, warning, tell))
            })?;
        }
        stopped = group.any(stop.load(Ordering::Relaxed))?;
        // Saved first: what comes after takes long, and a run that is to end leaves it out.
        if due(checkpoint) || stopped {
            on_first(&mut |folder| save(trainable, folder, tell))?;
            saved = done;
        }
        if due(picture) || due(validation) {
            stopped = stopped || group.any(stop.load(Ordering::Relaxed))?;
            if !stopped || done == steps {
                on_first(&mut |folder| {
                    if due(picture) {
                        trainable.picture(folder, tell)?;
                    }
                    if due(validation) { trainable.validate(folder, tell) } else { Ok(()) }
                })?;
            }
        }
    }
    if saved != trainable.done() {
        on_first(&mut |folder| save(trainable, folder, tell))?;
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

/// Means of numbers: a number counts in the steps, or examples, that have it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    sums: BTreeMap<String, (f64, u64)>,
}

impl Tally {
    pub(super) fn add(&mut self, numbers: Numbers) {
        for (name, value) in numbers {
            let sum = self.sums.entry(name).or_insert((0.0, 0));
            *sum = (sum.0 + value, sum.1 + 1);
        }
    }

    /// That of all ranks.
    fn over(self, group: &Group) -> Result<Self> {
        if group.size() == 1 {
            return Ok(self);
        }
        let own: Vec<String> =
            self.sums.iter().map(|(name, (sum, n))| format!("{name}\t{sum:e}\t{n}")).collect();
        let mut all = Self::default();
        for lines in group.gather(own.join("\n").as_bytes())? {
            for line in String::from_utf8_lossy(&lines).lines() {
                let mut columns = line.split('\t');
                let mut next = || columns.next().unwrap_or_default();
                let (name, sum, n) = (next(), next(), next());
                let total = all.sums.entry(name.into()).or_insert((0.0, 0));
                // What another rank wrote is read as it was: NaN and numbers of 17 digits too.
                *total = (
                    total.0 + sum.parse::<f64>().unwrap_or(f64::NAN),
                    total.1 + n.parse::<u64>().unwrap_or(0),
                );
            }
        }
        Ok(all)
    }

    /// How many numbers of this name there are, and their sum.
    fn taken(&self, name: &str) -> (u64, f64) {
        self.sums.get(name).map_or((0, 0.0), |&(sum, n)| (n, sum))
    }

    /// The means.
    pub(super) fn line(&self) -> Numbers {
        self.sums.iter().map(|(name, &(sum, n))| (name.clone(), sum / n as f64)).collect()
    }
}
