//! Text that people and other programs wrote: files of text, and paths inside of them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The text of the file at `path` without the byte-order mark that some editors put in front; `action` says what it is
/// read for, in errors.
///
/// # Errors
/// [`Error::Io`] where it cannot be read as UTF-8.
pub fn read_text(path: &Path, action: &str) -> Result<String> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::io(path, action, source))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_string).unwrap_or(text))
}

/// How a URI of a file begins (RFC 8089).
const SCHEME: &str = "file://";

/// A path as text for a record: as it is, or, where it is no UTF-8, as a `file://` URI with the other bytes in per
/// cent. [`of_text`] is the way back.
pub fn to_text(path: &Path) -> String {
    match path.to_str() {
        Some(text) => text.into(),
        None => SCHEME.to_string() + &in_per_cent(path),
    }
}

/// The path that [`to_text`] wrote.
pub fn of_text(text: &str) -> PathBuf {
    let Some(rest) = text.strip_prefix(SCHEME) else { return text.into() };
    let mut bytes = Vec::with_capacity(rest.len());
    let mut left = rest.as_bytes();
    while let [first, after @ ..] = left {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match digits.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => (bytes.push(byte), left = &after[2..]).1,
            None => (bytes.push(*first), left = after).1,
        }
    }
    of_bytes(bytes).into()
}

#[cfg(unix)]
fn in_per_cent(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(byte);
    let bytes = path.as_os_str().as_bytes().iter();
    bytes
        .map(|byte| if plain(byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(not(unix))]
fn in_per_cent(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(unix)]
fn of_bytes(bytes: Vec<u8>) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(bytes)
}

#[cfg(not(unix))]
fn of_bytes(bytes: Vec<u8>) -> OsString {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

/// Paths in records, as [`to_text`] has them; for serde's `with`.
pub mod path_as_text {
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes it.
    ///
    /// # Errors
    /// Those of the serialiser.
    pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::to_text(path))
    }

    /// Reads it.
    ///
    /// # Errors
    /// Those of the deserialiser.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        Ok(super::of_text(&String::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_no_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        std::fs::write(&path, b"\xef\xbb\xbfa = 1\n").unwrap();
        assert_eq!(read_text(&path, "read it").unwrap(), "a = 1\n");
        std::fs::write(&path, b"\xfc").unwrap();
        assert!(read_text(&path, "read it").unwrap_err().to_string().contains("could not read it"));
    }

    #[test]
    fn paths_go_through_text_and_back() {
        for plain in ["/a b/ü 50%.nii", "a\\b", "%41.nii"] {
            assert_eq!((to_text(Path::new(plain)).as_str(), of_text(plain)), (plain, plain.into()));
        }
        #[cfg(unix)]
        {
            let path = PathBuf::from(of_bytes(b"/sc\xfc/50% S\xf8ren.nii".to_vec()));
            assert_eq!(to_text(&path), "file:///sc%FC/50%25%20S%F8ren.nii");
            assert_eq!(of_text(&to_text(&path)), path);
        }
    }
}
