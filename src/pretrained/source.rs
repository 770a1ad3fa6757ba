//! The source of weights: inside the program by name, or a file.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Weights inside the program: name and the file's bytes.
pub type Embedded = (&'static str, &'static [u8]);

/// The bytes of the weights `name_or_path`: one of `embedded` by its name, a file, or a run's folder (its latest
/// checkpoint); and their path for errors.
///
/// # Errors
/// [`Error::Value`] for a name that is none of these; [`Error::Io`] or [`Error::File`] for a file that cannot be read.
pub fn weights_of(name_or_path: &str, embedded: &[Embedded]) -> Result<(PathBuf, Cow<'static, [u8]>)> {
    if let Some(&(name, bytes)) = embedded.iter().find(|(name, _)| *name == name_or_path) {
        return Ok((name.into(), bytes.into()));
    }
    let path = checkpoint_at(Path::new(name_or_path))?;
    if !path.exists() {
        let names: Vec<&str> = embedded.iter().map(|(name, _)| *name).collect();
        let expected = match names.is_empty() {
            true => "a checkpoint or a run's folder, as no networks are inside this program".into(),
            false => format!("a checkpoint, a run's folder or one of {}", names.join(", ")),
        };
        let found = format!("`{name_or_path}`");
        return Err(Error::value("weights", expected, found, "check the name or the path"));
    }
    let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, "read the weights", e))?;
    Ok((path, bytes.into()))
}

/// The checkpoint at `path`: the last one of a run's folder, or the file itself.
///
/// # Errors
/// [`Error::File`] for a folder without checkpoints; [`Error::Io`] if it cannot be listed.
pub fn checkpoint_at(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_path_buf());
    }
    latest_checkpoint(path)?.ok_or_else(|| {
        Error::file(path, "checkpoints", "a run with at least one", "none", "train it for longer first")
    })
}

/// The last checkpoint in the folder `run`, by the number in its name; `None` without one.
///
/// # Errors
/// [`Error::Io`] if the folder cannot be listed.
pub fn latest_checkpoint(run: &Path) -> Result<Option<PathBuf>> {
    let folder = run.join("checkpoints");
    if !folder.is_dir() {
        return Ok(None);
    }
    let entries = std::fs::read_dir(&folder).map_err(|e| Error::io(&folder, "list the checkpoints", e))?;
    let checkpoint = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?;
        name.strip_prefix("step-")?.strip_suffix(".safetensors")?.parse::<u64>().ok()
    };
    Ok(entries.flatten().map(|e| e.path()).filter_map(|p| Some((checkpoint(&p)?, p))).max().map(|(_, p)| p))
}
