//! What a preparation tells: its progress, the outcome for each scan, and those for all of them.

use std::collections::BTreeMap;
use std::path::Path;

use super::manifest::Failure;

/// Progress of a preparation: a finished scan.
#[derive(Clone, Debug)]
pub struct Progress<'a> {
    /// Number of finished scans, including this one.
    pub done: usize,
    /// Number of all scans.
    pub total: usize,
    /// The scan's file.
    pub source: &'a Path,
    /// The outcome for this scan.
    pub outcome: Outcome,
}

/// The outcome of the preparation of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Prepared and stored.
    Prepared,
    /// Already in the dataset, from the same content with the same settings.
    Kept,
    /// Not prepared, with the error.
    Failed(String),
}

/// The outcomes for all scans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Number of scans that were prepared and stored.
    pub prepared: usize,
    /// Number of scans that were in the dataset already.
    pub kept: usize,
    /// The scans that could not be prepared.
    pub failures: Vec<Failure>,
    /// Names of volumes without a value, for each requested label.
    pub missing_labels: BTreeMap<String, Vec<String>>,
    /// Pairs of a volume and an earlier one that it is a copy of.
    pub copies: Vec<[String; 2]>,
}
