//! Jobs with many inputs, of which some can fail.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use super::progress::{Event, Progress};
use crate::error::{Error, Result};

/// The inputs of a job, one after the other. Others continue when one fails, unless the cohort is strict; progress is
/// reported for each with an estimate of the remaining time.
#[derive(Debug)]
pub struct Cohort<'a> {
    progress: &'a Progress<'a>,
    strict: bool,
    of: usize,
    done: usize,
    /// How many took how long.
    timed: (u32, Duration),
    failures: Vec<String>,
}

impl<'a> Cohort<'a> {
    /// A cohort of `of` inputs; `strict` ends the job at the first that fails.
    pub fn new(of: usize, strict: bool, progress: &'a Progress) -> Self {
        Self { progress, strict, of, done: 0, timed: (0, Duration::ZERO), failures: Vec::new() }
    }

    /// The result of `job` for the input of this name; `None` where it fails.
    ///
    /// # Errors
    /// The error of `job` if the cohort is strict or the disk is full; [`Error::Cancelled`].
    pub fn next<T>(&mut self, name: &str, job: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
        self.progress.check()?;
        let started = Instant::now();
        let made = match job() {
            Ok(made) => Some(made),
            Err(error) if self.strict || ends_all(&error) => return Err(error),
            Err(error) => {
                self.fail(name, &error);
                None
            }
        };
        self.timed = (self.timed.0 + 1, self.timed.1 + started.elapsed());
        self.tell(name);
        Ok(made)
    }

    /// Reports the input of this name as finished by an earlier run.
    pub fn kept(&mut self, name: &str) {
        self.tell(&format!("kept {name}"));
    }

    /// A line for each input that failed.
    pub fn failures(self) -> Vec<String> {
        self.failures
    }

    fn fail(&mut self, name: &str, error: &Error) {
        self.progress.tell(Event::Failed(error));
        let text = error.to_string();
        self.failures.push(if text.contains(name) { text } else { format!("{name}: {text}") });
    }

    fn tell(&mut self, what: &str) {
        self.done += 1;
        let rest = self.of.saturating_sub(self.done) as u32;
        let (count, spent) = self.timed;
        let left = spent.checked_div(count).map(|each| each * rest);
        self.progress.tell(Event::Done { what, done: self.done, of: self.of, left });
    }
}

/// Whether no other input can do better.
fn ends_all(error: &Error) -> bool {
    match error {
        Error::Cancelled => true,
        Error::Io { cause, .. } => {
            matches!(cause.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad() -> Result<u8> {
        Err(Error::value("voxels", "a head", "none", "look at it"))
    }

    #[test]
    fn failures_are_listed_and_end_a_strict_cohort_alone() {
        let progress = Progress::default();
        let mut cohort = Cohort::new(3, false, &progress);
        assert_eq!(cohort.next("a.nii", || Ok(1)).unwrap(), Some(1));
        assert_eq!(cohort.next("b.nii", bad).unwrap(), None);
        cohort.kept("c.nii");
        assert_eq!(cohort.failures(), ["b.nii: voxels: expected a head, found none; look at it"]);
        assert!(Cohort::new(1, true, &progress).next("b.nii", bad).is_err());
        let full = || Err::<u8, _>(Error::io("o".as_ref(), "write it", ErrorKind::StorageFull.into()));
        assert!(Cohort::new(2, false, &progress).next("a.nii", full).is_err());
    }

    #[test]
    fn the_time_left_is_that_of_those_that_took_time() {
        let heard = std::sync::Mutex::new(Vec::new());
        let tell = |event: Event| {
            if let Event::Done { done, left, .. } = event {
                heard.lock().unwrap().push((done, left));
            }
        };
        let progress = Progress::new(&tell);
        let mut cohort = Cohort::new(4, false, &progress);
        cohort.kept("a");
        let slow = || {
            std::thread::sleep(Duration::from_millis(20));
            Ok(())
        };
        cohort.next("b", slow).unwrap();
        let heard = heard.into_inner().unwrap();
        assert_eq!(heard[0], (1, None));
        assert!(heard[1].1.is_some_and(|left| left >= Duration::from_millis(40)), "{heard:?}");
    }
}
