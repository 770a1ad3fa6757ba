//! Progress and cancellation of a job.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::error::{Error, Result};

/// An event of a job.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Some of several items are done.
    Done {
        /// Name of the items.
        what: &'a str,
        /// Number of finished items.
        done: usize,
        /// Number of items.
        of: usize,
        /// Estimate of the remaining time; `None` if there is none yet.
        left: Option<Duration>,
    },
    /// A step of an iteration is done.
    Step {
        /// Number of the step.
        step: u64,
        /// Number of all steps.
        of: u64,
        /// Measures of the step, by name.
        numbers: &'a BTreeMap<String, f64>,
    },
    /// A file was written.
    Wrote(&'a Path),
    /// A note for the user.
    Note(&'a str),
    /// One of several inputs failed; the job continues.
    Failed(&'a Error),
}

/// A listener to a job's events, which can cancel it. The default does neither.
#[derive(Clone, Copy, Default)]
pub struct Progress<'a> {
    tell: Option<&'a (dyn Fn(Event) + Sync)>,
    cancelled: Option<&'a AtomicBool>,
}

impl<'a> Progress<'a> {
    /// A listener that passes every event to `tell`.
    pub const fn new(tell: &'a (dyn Fn(Event) + Sync)) -> Self {
        Self { tell: Some(tell), cancelled: None }
    }

    /// This listener, which cancels the job once `flag` is set.
    #[must_use]
    pub fn cancelled_by(self, flag: &'a AtomicBool) -> Self {
        Self { cancelled: Some(flag), ..self }
    }

    /// Reports `event`.
    pub fn tell(&self, event: Event) {
        if let Some(tell) = self.tell {
            tell(event);
        }
    }

    /// Whether to continue.
    ///
    /// # Errors
    /// [`Error::Cancelled`] once the job is cancelled.
    pub fn check(&self) -> Result<()> {
        match self.cancelled().load(Ordering::Relaxed) {
            true => Err(Error::Cancelled),
            false => Ok(()),
        }
    }

    /// The flag that is set once the job is cancelled.
    pub fn cancelled(&self) -> &AtomicBool {
        static NEVER: AtomicBool = AtomicBool::new(false);
        self.cancelled.unwrap_or(&NEVER)
    }
}

impl std::fmt::Debug for Progress<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Progress").field("cancelled", &self.cancelled).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn events_are_heard_and_a_flag_cancels() {
        let heard = Mutex::new(Vec::new());
        let tell = |event: Event| heard.lock().unwrap().push(format!("{event:?}"));
        let flag = AtomicBool::new(false);
        let progress = Progress::new(&tell).cancelled_by(&flag);
        progress.tell(Event::Done { what: "volumes", done: 1, of: 2, left: None });
        assert!(progress.check().is_ok() && heard.lock().unwrap().len() == 1);
        flag.store(true, Ordering::Relaxed);
        assert!(matches!(progress.check(), Err(Error::Cancelled)));
        Progress::default().tell(Event::Note("nobody hears"));
        assert!(Progress::default().check().is_ok());
    }
}
