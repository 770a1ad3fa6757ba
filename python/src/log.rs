//! The library's log, passed on to Python's `logging`.

use std::fmt::{Debug, Write};
use std::sync::atomic::{AtomicU8, Ordering};

use pyo3::prelude::*;
use tracing::field::{Field, Visit};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Python's numbers of the levels, from the one that says most.
const LEVELS: [(Level, u8); 5] =
    [(Level::TRACE, 5), (Level::DEBUG, 10), (Level::INFO, 20), (Level::WARN, 30), (Level::ERROR, 40)];

/// The least level that Python listens to.
static LEAST: AtomicU8 = AtomicU8::new(30);

/// Passes on from now on what the logger `voxgan` listens to.
pub fn follow(py: Python<'_>) -> PyResult<()> {
    // A program that has a subscriber of its own keeps it.
    let _ = tracing_subscriber::registry().with(ToPython).try_init();
    let logger = py.import("logging")?.call_method1("getLogger", ("voxgan",))?;
    let least: u64 = logger.call_method0("getEffectiveLevel")?.extract()?;
    LEAST.store(least.try_into().unwrap_or(u8::MAX), Ordering::Relaxed);
    Ok(())
}

struct ToPython;

fn number(level: &Level) -> u8 {
    LEVELS.iter().find(|(known, _)| known == level).map_or(0, |(_, number)| *number)
}

impl<S: Subscriber> Layer<S> for ToPython {
    /// What Python listens to can change.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target().starts_with("voxgan") && number(metadata.level()) >= LEAST.load(Ordering::Relaxed)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let name = event.metadata().target().replace("::", ".");
        Python::attach(|py| {
            let said = py.import("logging").and_then(|logging| {
                let logger = logging.call_method1("getLogger", (name,))?;
                logger.call_method1("log", (number(event.metadata().level()), "%s", text.0))
            });
            if let Err(error) = said {
                error.write_unraisable(py, None);
            }
        });
    }
}

/// The message of an event, and its other fields behind it.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let written = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
        written.expect("a string takes all");
    }
}
