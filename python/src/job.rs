//! A job of the library, run so that Python stays in charge: its progress is heard, Ctrl-C ends it, and other Python threads go on.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, Builder};
use std::time::Duration;

use pyo3::prelude::*;
use voxgan::error::Result;
use voxgan::pipeline::{Event, Progress};

use crate::error::{forked, value};
use crate::log;

/// How often interrupts are looked for while nothing is heard of the job.
const BEAT: Duration = Duration::from_millis(50);
/// The stack of a job's thread in bytes: that of a main thread.
const STACK: usize = 8 << 20;

/// What Python hears of an event: its kind, a text, how many of how many are done, the seconds that are left, and numbers by name.
type Heard = (&'static str, String, u64, u64, Option<f64>, BTreeMap<String, f64>);

/// Runs `work` on a thread of its own and passes its progress to `tell` on this one. An interrupt and an exception of `tell` cancel the
/// job, which ends where it can; the exception is raised then, whatever the job has made.
pub fn run<T: Send>(
    py: Python<'_>,
    tell: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(&Progress) -> Result<T> + Send,
) -> PyResult<T> {
    ready(py)?;
    let (cancelled, (send, mut heard)) = (AtomicBool::new(false), channel());
    let (made, stopped) = thread::scope(|scope| {
        let job = Builder::new().name("voxgan".into()).stack_size(STACK).spawn_scoped(scope, || {
            // With the job ends the last sender, which is what the loop below waits for.
            let send = send;
            work(&Progress::new(&|event| drop(send.send(of(event)))).cancelled_by(&cancelled))
        })?;
        let mut stopped = None;
        loop {
            let event;
            (heard, event) = py.detach(|| next(heard));
            let going = match (event, tell) {
                (Err(RecvTimeoutError::Disconnected), _) => break,
                (Ok(event), Some(tell)) if stopped.is_none() => tell.call1(event).map(drop),
                _ => Ok(()),
            };
            if let Err(error) = going.and_then(|()| py.check_signals())
                && stopped.is_none()
            {
                cancelled.store(true, Ordering::Relaxed);
                stopped = Some(error);
            }
        }
        let made = py.detach(|| job.join()).unwrap_or_else(|panic| resume_unwind(panic));
        Ok::<_, PyErr>((made, stopped))
    })?;
    match stopped {
        Some(error) => Err(error),
        None => value(py, made),
    }
}

/// Makes the library ready in this process: its log goes to Python's, and its threads are alive.
///
/// # Errors
/// In a process that was forked from one that used the library, whose threads are not there.
pub fn ready(py: Python<'_>) -> PyResult<()> {
    static FIRST: AtomicU32 = AtomicU32::new(0);
    let this = process::id();
    match FIRST.compare_exchange(0, this, Ordering::Relaxed, Ordering::Relaxed) {
        Err(first) if first != this => Err(forked()),
        _ => log::follow(py),
    }
}

type Next = (Receiver<Heard>, std::result::Result<Heard, RecvTimeoutError>);

/// The next event, and where it was heard.
fn next(heard: Receiver<Heard>) -> Next {
    let event = heard.recv_timeout(BEAT);
    (heard, event)
}

fn of(event: Event) -> Heard {
    let plain = |kind, text: String| (kind, text, 0, 0, None, BTreeMap::new());
    match event {
        Event::Done { what, done, of, left } => {
            let left = left.map(|left| left.as_secs_f64());
            ("done", what.to_string(), done as u64, of as u64, left, BTreeMap::new())
        }
        Event::Step { step, of, numbers } => ("step", "step".to_string(), step, of, None, numbers.clone()),
        Event::Wrote(path) => plain("wrote", path.display().to_string()),
        Event::Note(text) => plain("note", text.to_string()),
        Event::Failed(error) => plain("failed", error.to_string()),
        _ => plain("note", String::new()),
    }
}
