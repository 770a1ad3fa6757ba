//! Locks of folders against other processes.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::Path;

use crate::error::{Error, Result};

/// The file that is locked in the folder.
pub const NAME: &str = ".voxgan.lock";

/// The lock of a folder against other processes of voxgan, until it is dropped. It is the operating system's, so that
/// it ends with a killed process too.
#[derive(Debug)]
pub struct FolderLock {
    _held: Option<File>,
}

impl FolderLock {
    /// Locks `folder`, which is created if it is missing. On file systems without locks there is none.
    ///
    /// # Errors
    /// [`Error::File`] while another process has the lock; [`Error::Io`] for a folder that cannot be written.
    pub fn hold(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, "make this folder", e))?;
        let path = folder.join(NAME);
        let file = OpenOptions::new().create(true).read(true).append(true).open(&path);
        let mut file = file.map_err(|e| Error::io(&path, "open it", e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = std::fs::read_to_string(&path).unwrap_or_default();
                let found = match holder.trim() {
                    "" => "another program at work in it".to_string(),
                    id => format!("another at work in it, process {id}"),
                };
                let advice = "wait until it is done, or choose another folder";
                return Err(Error::file(folder, "folder", "one program at a time", found, advice));
            }
            Err(TryLockError::Error(error)) => {
                tracing::warn!(
                    "{}: no locks here ({error}); let no other program write into it",
                    folder.display()
                );
                return Ok(Self { _held: None });
            }
        }
        // Who it is, for the message to another; a disk that is full comes up where it matters.
        let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self { _held: Some(file) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_holder_until_it_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("run");
        let first = FolderLock::hold(&place).unwrap();
        let message = FolderLock::hold(&place).unwrap_err().to_string();
        assert!(message.contains(&std::process::id().to_string()), "{message}");
        drop(first);
        FolderLock::hold(&place).unwrap();
    }
}
