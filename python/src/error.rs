//! Errors of the library as `voxgan.Error`.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use voxgan::error::{Error, Result};

/// What an error says, in parts; `None` for those that it has not.
#[derive(Default)]
struct Parts {
    kind: &'static str,
    path: Option<String>,
    field: Option<String>,
    expected: Option<String>,
    found: Option<String>,
    advice: Option<String>,
}

/// The Python exception of an error.
pub fn raised(py: Python<'_>, error: &Error) -> PyErr {
    let parts = parts(error);
    let made = || {
        let details = PyDict::new(py);
        for (name, part) in [
            ("path", parts.path),
            ("field", parts.field),
            ("expected", parts.expected),
            ("found", parts.found),
            ("advice", parts.advice),
        ] {
            details.set_item(name, part)?;
        }
        let class = py.import("voxgan._error")?.getattr("Error")?;
        class.call((error.to_string(), parts.kind), Some(&details))
    };
    made().map_or_else(|error: PyErr| error, PyErr::from_value)
}

/// The value of a result, or its error as an exception.
pub fn value<T>(py: Python<'_>, result: Result<T>) -> PyResult<T> {
    result.map_err(|error| raised(py, &error))
}

/// The exception of a process that was forked after its parent used the library.
pub fn forked() -> PyErr {
    PyRuntimeError::new_err(
        "voxgan was used before this process was forked, and its threads do not live on in the child: start processes by \
         multiprocessing's \"spawn\" (or \"forkserver\"), or use voxgan first in the child",
    )
}

fn parts(error: &Error) -> Parts {
    let some = |text: &str| Some(text.to_string());
    match error {
        Error::Io { path, action, cause } => Parts {
            kind: "io",
            path: some(&path.to_string_lossy()),
            field: some(action),
            found: Some(cause.to_string()),
            ..Parts::default()
        },
        Error::File { path, field, expected, found, advice } => Parts {
            kind: "file",
            path: some(&path.to_string_lossy()),
            field: some(field),
            expected: some(expected),
            found: some(found),
            advice: some(advice),
        },
        Error::Value { key, expected, found, advice } => Parts {
            kind: "value",
            path: None,
            field: some(key),
            expected: some(expected),
            found: some(found),
            advice: some(advice),
        },
        Error::Device { device, problem, advice } => Parts {
            kind: "device",
            field: some(device),
            found: some(problem),
            advice: some(advice),
            ..Parts::default()
        },
        Error::Check { check, problem, advice } => Parts {
            kind: "check",
            field: some(check),
            found: some(problem),
            advice: some(advice),
            ..Parts::default()
        },
        Error::Incomplete { what, failures, .. } => Parts {
            kind: "incomplete",
            field: some(what),
            found: Some(failures.join("\n")),
            ..Parts::default()
        },
        Error::Training { step, problem, advice } => Parts {
            kind: "training",
            field: Some(format!("step {step}")),
            found: some(problem),
            advice: some(advice),
            ..Parts::default()
        },
        Error::Cancelled => Parts { kind: "cancelled", ..Parts::default() },
        _ => Parts { kind: "other", ..Parts::default() },
    }
}
