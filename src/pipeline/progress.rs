//! What a job tells while it runs, and how it is cancelled.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::error::{Error, Result};

/// Something that happened in a job.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// So many of so many are done.
    Done {
        /// What is counted.
        what: &'a str,
        /// How many are done.
        done: usize,
        /// How many there are.
        of: usize,
        /// How long the others will take, if that can be told.
        left: Option<Duration>,
    },
    /// A step of an iteration was taken.
    Step {
        /// Steps done.
        step: u64,
        /// Steps in all.
        of: u64,
        /// What was measured in it, by name.
        numbers: &'a BTreeMap<String, f64>,
    },
    /// A file was written.
    Wrote(&'a Path),
    /// Something worth reading.
    Note(&'a str),
    /// One of several inputs could not be used; the job goes on.
    Failed(&'a Error),
}

/// Listens to a job, and may cancel it. The default does neither.
#[derive(Clone, Copy, Default)]
pub struct Progress<'a> {
    tell: Option<&'a (dyn Fn(Event) + Sync)>,
    cancelled: Option<&'a AtomicBool>,
}

impl<'a> Progress<'a> {
    /// Hands every event to `tell`.
    pub const fn new(tell: &'a (dyn Fn(Event) + Sync)) -> Self {
        Self { tell: Some(tell), cancelled: None }
    }

    /// The same, cancelled once `flag` is set.
    #[must_use]
    pub fn cancelled_by(self, flag: &'a AtomicBool) -> Self {
        Self { cancelled: Some(flag), ..self }
    }

    /// Tells of `event`.
    pub fn tell(&self, event: Event) {
        if let Some(tell) = self.tell {
            tell(event);
        }
    }

    /// Whether to go on.
    ///
    /// # Errors
    /// [`Error::Cancelled`] once the job is cancelled.
    pub fn check(&self) -> Result<()> {
        match self.cancelled().load(Ordering::Relaxed) {
            true => Err(Error::Cancelled),
            false => Ok(()),
        }
    }

    /// What is set once the job is cancelled.
    pub(super) fn cancelled(&self) -> &AtomicBool {
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
