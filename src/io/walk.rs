//! The files of a folder and of those below it.

use std::path::{Path, PathBuf};

use ignore::{DirEntry, WalkBuilder};

/// The files of a folder and those below, of any kind, in the order of their names. Links to files are files; folders are not
/// entered through links.
pub(super) fn files(folder: &Path) -> impl Iterator<Item = Result<PathBuf, ignore::Error>> {
    let entries = WalkBuilder::new(folder).standard_filters(false).sort_by_file_name(Ord::cmp).build();
    let is_file = |entry: &DirEntry| {
        let kind = entry.file_type();
        kind.is_some_and(|kind| kind.is_file() || kind.is_symlink() && entry.path().is_file())
    };
    entries
        .filter(move |entry| entry.as_ref().map_or(true, is_file))
        .map(|entry| entry.map(DirEntry::into_path))
}
