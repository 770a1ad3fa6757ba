//! The error type: what was read, what was expected, what was found, what to do next.

use std::path::{Path, PathBuf};

/// An error of files, recipes, arguments, devices or data.
///
/// Panics are reserved for programmers' mistakes; errors that a user can cause are of this type.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused an operation.
    #[error("{}: could not {action}: {cause}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was attempted, as a verb phrase ("read the header").
        action: String,
        /// The system's error, at the end of the message.
        cause: std::io::Error,
    },
    /// A file's content is not valid for its format or its use.
    #[error("{}: {field}: expected {expected}, found {found}; {advice}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The field or part of the file.
        field: String,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
        /// What to do next.
        advice: String,
    },
    /// A recipe's key or a command's argument has an invalid value.
    #[error("{key}: expected {expected}, found {found}; {advice}")]
    Value {
        /// The key's path or the argument's name.
        key: String,
        /// What was expected.
        expected: String,
        /// What was given.
        found: String,
        /// What to do next.
        advice: String,
    },
    /// A compute device cannot be used.
    #[error("device {device}: {problem}; {advice}")]
    Device {
        /// The requested device.
        device: String,
        /// What is missing.
        problem: String,
        /// What to install or set.
        advice: String,
    },
    /// A check did not pass.
    #[error("{check}: {problem}; {advice}")]
    Check {
        /// What was checked.
        check: String,
        /// What did not pass.
        problem: String,
        /// Where to look.
        advice: String,
    },
    /// The work is finished except for some of its inputs.
    #[error("{} of {of} {what} failed:\n  {}", failures.len(), failures.join("\n  "))]
    Incomplete {
        /// What the inputs are ("scans").
        what: String,
        /// Number of inputs.
        of: usize,
        /// A line for each input that failed: its name and the error.
        failures: Vec<String>,
    },
    /// A job was cancelled by its caller.
    #[error("cancelled; what was finished is in place")]
    Cancelled,
    /// Another process of a parallel run has an error, or is gone.
    #[error("rank {rank} of {of}: {problem}")]
    Rank {
        /// Number of this process, from 0.
        rank: usize,
        /// Number of processes.
        of: usize,
        /// Its error, with what to do next.
        problem: String,
    },
    /// Training cannot continue; the last good checkpoint is intact.
    #[error("training stopped at step {step}: {problem}; {advice}")]
    Training {
        /// The step that failed.
        step: u64,
        /// What happened.
        problem: String,
        /// What to do next.
        advice: String,
    },
}

/// A result with the library's error.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An [`Error::Io`] for `path`, with the attempted `action` as a verb phrase.
    pub fn io(path: &Path, action: impl Into<String>, cause: std::io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), action: action.into(), cause }
    }

    /// An [`Error::File`]: `field` of `path` should be `expected`, is `found`; do `advice`.
    pub fn file(
        path: &Path,
        field: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::File {
            path: path.to_path_buf(),
            field: field.into(),
            expected: expected.into(),
            found: found.into(),
            advice: advice.into(),
        }
    }

    /// An [`Error::Incomplete`] if any of `of` inputs failed.
    ///
    /// # Errors
    /// [`Error::Incomplete`], if `failures` is not empty.
    pub fn incomplete(what: &str, of: usize, failures: Vec<String>) -> Result<()> {
        match failures.is_empty() {
            true => Ok(()),
            false => Err(Self::Incomplete { what: what.into(), of, failures }),
        }
    }

    /// An [`Error::Value`]: the recipe key or argument `key` should be `expected`, is `found`; do `advice`.
    pub fn value(
        key: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::Value { key: key.into(), expected: expected.into(), found: found.into(), advice: advice.into() }
    }

    /// An [`Error::Value`] as one of the file that the value stands in; others as they are.
    #[must_use]
    pub fn in_file(self, path: &Path) -> Self {
        match self {
            Self::Value { key, expected, found, advice } => Self::file(path, key, expected, found, advice),
            other => other,
        }
    }

    /// An [`Error::Value`] under the name that `rename` makes of its key; others as they are.
    #[must_use]
    pub fn with_key(self, rename: impl FnOnce(&str) -> String) -> Self {
        match self {
            Self::Value { key, expected, found, advice } => {
                Self::Value { key: rename(&key), expected, found, advice }
            }
            other => other,
        }
    }
}
