//! The files of a job: what it reads, what it writes, and what it may replace.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::sidecar;
use crate::error::{Error, Result};

/// A job whose files are known before it begins.
pub trait Writes {
    /// Its files.
    fn files(&self) -> Files;
}

/// What a job reads and writes.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Files {
    read: Vec<PathBuf>,
    written: Vec<Written>,
}

#[derive(Clone, Debug)]
struct Written {
    path: PathBuf,
    /// The option that names it, where it has one of its own.
    option: Option<&'static str>,
    /// Whether it is a record beside an image: one that voxgan wrote is replaced with its image.
    record: bool,
}

impl Files {
    /// Of a job that reads these.
    pub fn reading<P: Into<PathBuf>>(paths: impl IntoIterator<Item = P>) -> Self {
        Self { read: paths.into_iter().map(Into::into).collect(), written: Vec::new() }
    }

    /// And writes this.
    pub fn writing(mut self, path: impl Into<PathBuf>) -> Self {
        self.written.push(Written { path: path.into(), option: None, record: false });
        self
    }

    /// And writes these.
    pub fn writing_all<P: Into<PathBuf>>(self, paths: impl IntoIterator<Item = P>) -> Self {
        paths.into_iter().fold(self, Self::writing)
    }

    /// And writes what an option asks for.
    pub fn asked(mut self, option: &'static str, path: Option<&PathBuf>) -> Self {
        let written = |path: &PathBuf| Written { path: path.clone(), option: Some(option), record: false };
        self.written.extend(path.map(written));
        self
    }

    /// And writes a record, of which one that voxgan did not write is kept under another name.
    pub fn recording(mut self, path: PathBuf) -> Self {
        self.written.push(Written { path, option: None, record: true });
        self
    }

    /// The first option that names a file to write.
    pub fn option(&self) -> Option<&'static str> {
        self.written.iter().find_map(|one| one.option)
    }

    /// Whether all may be written: names that are free, or with `force` any, as long as no two are the same.
    ///
    /// # Errors
    /// [`Error::File`] for two outputs of one name, for an output that is an input, and for one that is there.
    pub fn check(&self, force: bool) -> Result<()> {
        let mut taken = HashSet::new();
        if let Some(one) = self.written.iter().find(|one| !taken.insert(place(&one.path))) {
            let (found, advice) = ("two outputs of this name", "give each a name of its own");
            return Err(Error::file(&one.path, "output", "one output a name", found, advice));
        }
        if force {
            return Ok(());
        }
        let read: HashSet<PathBuf> = self.read.iter().map(|path| place(path)).collect();
        if let Some(one) = self.written.iter().find(|one| read.contains(&place(&one.path))) {
            let advice = "choose another name, or add --force to lose the input";
            return Err(Error::file(&one.path, "output", "another file than the input", "the same", advice));
        }
        let there = self.written.iter().filter_map(|Written { path, record, .. }| match record {
            true => sidecar::is_foreign(path)
                .then(|| format!("the record {}, which voxgan did not write", path.display())),
            false => path.exists().then(|| path.display().to_string()),
        });
        let there: Vec<String> = there.collect();
        match self.written.first() {
            Some(first) if !there.is_empty() => {
                let more = if there.len() > NAMED { ", …" } else { "" };
                let found = there.into_iter().take(NAMED).collect::<Vec<_>>().join(", ") + more;
                let advice = "choose another name, or add --force to replace what is there";
                Err(Error::file(&first.path, "output", "names that are free", found, advice))
            }
            _ => Ok(()),
        }
    }
}

/// Files that a message names.
const NAMED: usize = 5;

/// A path without links and dots, if there is a file.
fn place(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_not_replaced_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("in.nii"), "a scan").unwrap();
        let of = |output: &str, table: &str| {
            Files::reading([path("in.nii")])
                .writing(path(output))
                .recording(path("out.json"))
                .asked("--csv", Some(&path(table)))
        };
        let files = of("out.nii", "out.csv");
        assert_eq!((files.option(), Files::default().writing("a").option()), (Some("--csv"), None));
        files.check(false).unwrap();
        std::fs::write(path("out.json"), r#"{"VoxganVersion": "0.1.0"}"#).unwrap();
        files.check(false).unwrap();
        for (name, content) in [("out.nii", ""), ("out.csv", ""), ("out.json", r#"{"RepetitionTime": 2.3}"#)]
        {
            std::fs::write(path(name), content).unwrap();
            let message = files.check(false).unwrap_err().to_string();
            assert!(message.contains(name) && message.contains("--force"), "{message}");
            files.check(true).unwrap();
            std::fs::remove_file(path(name)).unwrap();
        }
        let message = |files: Files, force| files.check(force).unwrap_err().to_string();
        assert!(message(of("./in.nii", "out.csv"), false).contains("the same"));
        // What would lose a result at once is refused in any case.
        assert!(message(of("out.nii", "out.nii"), true).contains("two outputs"));
    }
}
