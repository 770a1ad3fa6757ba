//! Pictures of volumes and of training: montages as PNG, latent walks as GIF, plots as SVG or PNG.
//!
//! Everything here draws what it is given, and writes a file beside its place before renaming it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::error::{Error, Result};

mod gif;
mod montage;
mod outline;
pub mod page;
mod plot;
pub mod plots;

pub use gif::write_gif;
pub use montage::{Montage, write_png};
pub use outline::png_bytes;
pub use plot::{Series, line_plot, line_svg};

/// Lets `write` fill a file beside `path`, then renames it to `path`. If anything fails, nothing is left behind and
/// a file that was there before is untouched.
fn write_beside(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>) -> Result<()> {
    let name = path.file_name().ok_or_else(|| {
        Error::file(path, "name", "the name of a file", "none", "give the path of a file, not of a folder")
    })?;
    let mut partial = name.to_os_string();
    partial.push(".partial");
    let partial = path.with_file_name(partial);
    let filled = File::create(&partial).and_then(|file| {
        let mut writer = BufWriter::new(file);
        write(&mut writer)?;
        writer.flush()
    });
    filled.and_then(|()| std::fs::rename(&partial, path)).map_err(|e| {
        // The first error is the one to report; that the remains cannot be removed either would only follow from it.
        let _ = std::fs::remove_file(&partial);
        Error::io(path, "write the picture", e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_fails_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        write_beside(&path, |file| file.write_all(b"old")).unwrap();
        let failed = write_beside(&path, |file| {
            file.write_all(b"new")?;
            Err(std::io::Error::other("disk full"))
        });
        assert!(failed.unwrap_err().to_string().contains("could not write the picture: disk full"));
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_folder_is_an_error_that_names_the_file() {
        let error = write_beside(Path::new("no/such/folder/a.png"), |_| Ok(())).unwrap_err();
        assert!(error.to_string().starts_with("no/such/folder/a.png: could not write"), "{error}");
        assert!(write_beside(Path::new("/"), |_| Ok(())).is_err());
    }
}
