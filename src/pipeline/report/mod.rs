//! Reports of other jobs' results as one self-contained HTML file.

mod adjusted;
mod check;
mod cohort;
mod comparison;
mod heads;
mod training;

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::compare::COMPARISON;
use super::derivatives;
use super::outputs::{Files, Writes};
use super::progress::{Event, Progress};
use crate::error::{Error, Result};
use crate::io::atomic_write;
use crate::report::page::{Block, Cell, Column, Figure, Mark, Page, Section, Table};

/// The input and output of a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The folder of a cohort, of a comparison or of a training run, or the .json of a check.
    pub input: PathBuf,
    /// The HTML file.
    pub out: PathBuf,
    /// Number of scans in the viewer, at equal steps of quality from the lowest on; each adds 1 to 3 MB. Of a check, pairs that are drawn.
    pub scans: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { input: PathBuf::new(), out: "report.html".into(), scans: 4 }
    }
}

impl Writes for Options {
    fn files(&self) -> Files {
        Files::reading([&self.input]).writing(&self.out)
    }
}

/// Folder → page → file; returns the file's size in bytes.
///
/// # Errors
/// [`Error::File`] or [`Error::Io`] for a folder or file that is no result of a job or cannot be read, and an output
/// that cannot be written; [`Error::Cancelled`].
pub fn report(options: &Options, progress: &Progress) -> Result<usize> {
    let Options { input, out, scans } = options;
    let mut page = if input.join(COMPARISON).is_file() {
        comparison::page(input, *scans)?
    } else if input.join(derivatives::LIST).is_file() {
        cohort::page(input, *scans)?
    } else if input.join("stats.jsonl").is_file() {
        training::page(input)?
    } else if input.is_file() {
        check::page(input, *scans).map_err(|error| match error {
            Error::File { found, .. } => no_report(input, &found),
            other => other,
        })?
    } else {
        return Err(no_report(input, "none of it"));
    };
    progress.check()?;
    page.colophon = format!(
        "voxgan {} report {}. Synthetic scans are no scans of anyone; nothing here serves a diagnosis.",
        env!("CARGO_PKG_VERSION"),
        name_of(input),
    );
    let html = page.render()?;
    atomic_write(out, |file| file.write_all(html.as_bytes()))?;
    progress.tell(Event::Wrote(out));
    Ok(html.len())
}

/// The error of an input that no report is made of.
fn no_report(input: &Path, found: &str) -> Error {
    let expected = "the folder of `voxgan anatomy volumes`, `anatomy compare` or `voxgan train`, or the .json of `anatomy check`";
    let advice = "give the --out of one of these commands; records of other commands are read as they are";
    Error::file(input, "content", expected, found, advice)
}

/// The last part of a path, for titles.
fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn section(title: &str, blocks: Vec<Block>) -> Section {
    Section { title: title.into(), blocks }
}

fn figure(svg: String, caption: impl Into<String>) -> Block {
    let caption = caption.into();
    Block::Figure(Figure { svg, alt: caption.clone(), caption })
}

/// A table whose columns from `words` on hold numbers.
fn table<C: Into<Cell>>(
    caption: &str,
    head: &[impl AsRef<str>],
    words: usize,
    rows: impl Iterator<Item = Vec<C>>,
) -> Block {
    let column =
        |(at, name): (usize, &str)| if at < words { Column::text(name) } else { Column::number(name) };
    Block::Table(Table {
        caption: caption.into(),
        columns: head.iter().map(AsRef::as_ref).enumerate().map(column).collect(),
        rows: rows.map(|row| row.into_iter().map(Into::into).collect()).collect(),
    })
}

/// Pass or fail.
fn mark(holds: bool) -> Mark {
    if holds { Mark::Pass } else { Mark::Fail }
}

/// A region's or measure's name for readers.
fn readable(name: &str) -> String {
    name.replace('_', " ")
}

/// An empty page of this title.
fn of(title: String, subtitle: String, sections: Vec<Section>) -> Page {
    Page { title, subtitle, sections, colophon: String::new() }
}
