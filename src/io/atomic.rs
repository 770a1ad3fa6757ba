//! Atomic writes to a temporary file that is renamed: a reader sees the old file or the complete new one.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::error::{Error, Result};

/// Writes the file `path` through `fill`, completely or not at all.
///
/// The content goes to a hidden file in the same folder, whose name no other thread, process or machine uses, is
/// flushed to the disk, and replaces `path` in one step; missing folders are created. If anything fails the hidden file
/// is removed and the previous file at `path` is unchanged.
///
/// # Errors
/// [`Error::Io`] naming `path`: no permission, no space, `path` is a folder or has no file name, or the error that
/// `fill` returned; naming the folder if it cannot be created.
pub fn atomic_write(path: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<()> {
    let fail = |source| Error::io(path, "write it", source);
    if path.is_dir() {
        return Err(fail(io::Error::new(io::ErrorKind::IsADirectory, "a folder of this name is in the way")));
    }
    let name = path.file_name().ok_or_else(|| {
        fail(io::Error::new(io::ErrorKind::InvalidInput, "the path does not end in a file name"))
    })?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|source| Error::io(folder, "make this folder", source))?;
    let written = || {
        let hidden = hidden(folder, &name.to_string_lossy())?;
        let mut writer = BufWriter::with_capacity(1 << 16, hidden.as_file().try_clone()?);
        fill(&mut writer)?;
        writer.flush()?;
        drop(writer);
        hidden.as_file().sync_all()?;
        hidden.persist(path)?;
        // The rename itself lasts once the folder is on the disk; not every file system can be asked for that.
        #[cfg(unix)]
        if let Ok(folder) = File::open(folder) {
            let _ = folder.sync_all();
        }
        Ok(())
    };
    written().map_err(fail)?;
    tracing::info!("wrote {}", path.display());
    Ok(())
}

/// Removes the temporary files of killed runs from `folder`; no other run may be writing there.
///
/// # Errors
/// [`Error::Io`] for a folder that cannot be listed or a file that cannot be removed. A missing folder is no error.
pub fn remove_unfinished(folder: &Path) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|source| Error::io(folder, "list this folder", source))?,
    };
    for entry in entries {
        let path = entry.map_err(|source| Error::io(folder, "list this folder", source))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') && name.ends_with(UNFINISHED) {
            fs::remove_file(&path).map_err(|source| Error::io(&path, "remove it", source))?;
        }
    }
    Ok(())
}

/// How the names of unfinished files end.
const UNFINISHED: &str = ".voxgan.tmp";

/// The unfinished file of this name; removed when dropped unless it has been renamed.
fn hidden(folder: &Path, name: &str) -> io::Result<NamedTempFile> {
    let prefix = format!(".{name}.");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(UNFINISHED);
    // As for any new file: the umask takes from it what it takes.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn replaces_the_old_content_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/deep/a.txt");
        atomic_write(&path, |w| w.write_all(b"one")).unwrap();
        atomic_write(&path, |w| w.write_all(b"two")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(path.parent().unwrap()), ["a.txt"]);
    }

    #[test]
    fn a_failure_half_way_keeps_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, "old").unwrap();
        let error = atomic_write(&path, |w| {
            w.write_all(&[7; 200_000])?;
            Err(io::Error::other("no space"))
        })
        .unwrap_err();
        assert!(error.to_string().contains("a.txt") && error.to_string().contains("no space"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn what_a_killed_run_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        hidden(folder.path(), "a.txt").unwrap().keep().unwrap();
        fs::write(folder.path().join("other.tmp"), "").unwrap();
        remove_unfinished(folder.path()).unwrap();
        remove_unfinished(&folder.path().join("nowhere")).unwrap();
        assert_eq!(names(folder.path()), ["other.tmp"]);
    }

    #[test]
    fn two_that_write_one_file_at_once_do_not_meet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        atomic_write(&path, |outer| {
            atomic_write(&path, |inner| inner.write_all(b"inner")).unwrap();
            outer.write_all(b"outer")
        })
        .unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"outer");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[cfg(unix)]
    #[test]
    fn may_be_read_by_whom_the_umask_lets() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let [ours, plain] = ["ours", "plain"].map(|name| folder.path().join(name));
        atomic_write(&ours, |w| w.write_all(b"x")).unwrap();
        fs::write(&plain, "x").unwrap();
        let mode = |path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }

    #[test]
    fn a_folder_in_the_way_and_no_name_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        assert!(atomic_write(folder.path(), |_| Ok(())).is_err());
        assert!(atomic_write(Path::new("/"), |_| Ok(())).is_err());
    }
}
