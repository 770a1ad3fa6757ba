//! The JSON record (sidecar) beside a NIfTI file.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::io::atomic_write;

/// Writes the record of the NIfTI file `image` beside it. An existing record of another program, such as the sidecar of
/// a scan in BIDS, is renamed with `.orig` at the end.
///
/// # Errors
/// As [`atomic_write`], and [`Error::Io`] where the other record cannot be renamed.
pub fn write(image: &Path, record: &Value) -> Result<()> {
    write_record(&path(image), record)
}

/// Writes the record `path`, as [`write`] does.
///
/// # Errors
/// As [`write`].
pub fn write_record(path: &Path, record: &Value) -> Result<()> {
    if is_foreign(path) {
        let free = |n: u32| {
            PathBuf::from(format!(
                "{}.orig{}",
                path.display(),
                if n == 0 { String::new() } else { n.to_string() }
            ))
        };
        let kept = (0..).map(free).find(|path| !path.exists()).expect("numbers do not end");
        std::fs::rename(path, &kept)
            .map_err(|e| Error::io(path, format!("keep it as {}", kept.display()), e))?;
        tracing::warn!("{} was not written by voxgan: kept as {}", path.display(), kept.display());
    }
    atomic_write(path, |file| writeln!(file, "{record:#}"))
}

/// Whether `path` exists and is no record of voxgan.
pub fn is_foreign(path: &Path) -> bool {
    if !path.exists() {
        return false;
    }
    let record = std::fs::read(path)
        .ok()
        .and_then(|text| serde_json::from_slice::<Value>(&text).ok())
        .unwrap_or_default();
    let makers = record["GeneratedBy"].as_array().map_or(&[][..], |makers| makers);
    record.get("VoxganVersion").is_none() && !makers.iter().any(|maker| maker["Name"] == "voxgan")
}

/// A record with the keys of another.
pub fn joined(mut record: Value, other: Value) -> Value {
    if let (Some(record), Value::Object(other)) = (record.as_object_mut(), other) {
        record.extend(other);
    }
    record
}

/// The `GeneratedBy` entry of BIDS.
pub fn generated_by() -> Value {
    json!({ "GeneratedBy": [{ "Name": "voxgan", "Version": env!("CARGO_PKG_VERSION") }] })
}

/// The name of an image's record: `.json` in place of `.nii` or `.nii.gz`.
pub fn path(image: &Path) -> PathBuf {
    beside(image, ".json")
}

/// The name of a file beside `image`, with `ending` in place of `.nii` or `.nii.gz`.
pub fn beside(image: &Path, ending: &str) -> PathBuf {
    let mut name = stem(image).0.into_os_string();
    name.push(ending);
    name.into()
}

/// `image` without its extension, and the extension: `.nii`, `.nii.gz` or empty.
pub fn stem(image: &Path) -> (PathBuf, &'static str) {
    let ends = |path: &Path, extension: &str| path.extension().is_some_and(|it| it == extension);
    let plain = if ends(image, "gz") { image.with_extension("") } else { image.to_path_buf() };
    match (ends(&plain, "nii"), ends(image, "gz")) {
        (true, true) => (plain.with_extension(""), ".nii.gz"),
        (true, false) => (plain.with_extension(""), ".nii"),
        (false, _) => (image.to_path_buf(), ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_lie_beside_their_volumes() {
        assert_eq!(path(Path::new("a/seed-0001.nii.gz")), Path::new("a/seed-0001.json"));
        assert_eq!(path(Path::new("walk.nii")), Path::new("walk.json"));
        assert_eq!(path(Path::new("a.b/x.y.gz")), Path::new("a.b/x.y.gz.json"));
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt;
            let name = |bytes| std::ffi::OsStr::from_bytes(bytes);
            assert_eq!(path(name(b"S\xf8ren.nii.gz").as_ref()).as_os_str(), name(b"S\xf8ren.json"));
        }
    }

    #[test]
    fn records_of_others_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("sub-01_T1w.nii.gz");
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap_or_default();
        for time in ["2.3", "2.4"] {
            std::fs::write(path(&image), format!(r#"{{"RepetitionTime": {time}}}"#)).unwrap();
            // The second time it is voxgan's own that is replaced.
            (0..2).for_each(|_| write(&image, &generated_by()).unwrap());
        }
        assert!(read("sub-01_T1w.json").contains("voxgan"));
        assert!(
            read("sub-01_T1w.json.orig").contains("2.3") && read("sub-01_T1w.json.orig1").contains("2.4")
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
