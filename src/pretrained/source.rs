//! Where weights come from: inside the program by their name, or a file.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::model::checkpoint_at;
use crate::error::{Error, Result};

/// Weights inside the program: name and file.
pub type Embedded = (&'static str, &'static [u8]);

/// The weights that `name_or_path` means, one of `embedded` by its name, a file, or a run's folder (its latest checkpoint);
/// and what they are called in errors.
///
/// # Errors
/// [`Error::Value`] for a name that is neither; [`Error::Io`] and [`Error::File`] for what cannot be read.
pub fn weights_of(name_or_path: &str, embedded: &[Embedded]) -> Result<(PathBuf, Cow<'static, [u8]>)> {
    if let Some(&(name, bytes)) = embedded.iter().find(|(name, _)| *name == name_or_path) {
        return Ok((name.into(), bytes.into()));
    }
    let path = checkpoint_at(Path::new(name_or_path))?;
    if !path.exists() {
        let names: Vec<&str> = embedded.iter().map(|(name, _)| *name).collect();
        let expected = format!("a checkpoint, a run's folder or one of {}", names.join(", "));
        let found = format!("`{name_or_path}`");
        return Err(Error::value("weights", expected, found, "check the name or the path"));
    }
    let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, "read the weights", e))?;
    Ok((path, bytes.into()))
}
