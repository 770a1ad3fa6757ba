//! Preparation of a step's data on another thread while the step before it runs.

use std::panic::resume_unwind;
use std::thread::scope;

use crate::error::Result;

/// The input of the step to come. It depends on the number of the step alone, so that a run which resumes has the same.
#[derive(Debug)]
pub(super) struct Prefetch<T>(Option<(u64, Result<T>)>);

impl<T> Default for Prefetch<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Send> Prefetch<T> {
    /// The input of `step`: the one that is there, or else made now.
    ///
    /// # Errors
    /// Those of `make`.
    pub(super) fn take(&mut self, step: u64, make: impl FnOnce(u64) -> Result<T>) -> Result<T> {
        match self.0.take() {
            Some((ready, made)) if ready == step => made,
            _ => make(step),
        }
    }

    /// What `work` gives, and the input of `step`, made on another thread meanwhile; what is wrong with that is told
    /// when it is taken.
    pub(super) fn during<R>(
        step: u64,
        make: impl FnOnce(u64) -> Result<T> + Send,
        work: impl FnOnce() -> R,
    ) -> (R, Self) {
        scope(|threads| {
            let next = threads.spawn(move || make(step));
            let done = work();
            let made = next.join().unwrap_or_else(|panic| resume_unwind(panic));
            (done, Self(Some((step, made))))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::thread::current;

    use super::*;
    use crate::error::Error;

    #[test]
    fn the_next_input_is_made_elsewhere_and_another_one_here() {
        let made = |step| Ok((step, current().id()));
        let mut prefetch = Prefetch::default();
        let here = current().id();
        assert_eq!(prefetch.take(4, made).unwrap(), (4, here));
        let (done, mut prefetch) = Prefetch::during(5, made, || 7);
        assert_eq!(done, 7);
        let (step, thread) = prefetch.take(5, made).unwrap();
        assert!(step == 5 && thread != here);
        // After a checkpoint of another step, what is there does not count.
        let (_, mut prefetch) = Prefetch::during(6, made, || ());
        assert_eq!(prefetch.take(3, made).unwrap(), (3, here));
    }

    #[test]
    fn an_error_belongs_to_its_step() {
        let made = |step| match step {
            2 => Err(Error::value("step", "another", "2", "none")),
            _ => Ok(step),
        };
        let (_, mut prefetch) = Prefetch::during(2, made, || ());
        assert!(prefetch.take(2, made).is_err());
        let (_, mut prefetch) = Prefetch::during(3, made, || ());
        assert_eq!(prefetch.take(3, made).unwrap(), 3);
    }
}
