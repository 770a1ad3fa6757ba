//! The JSON record beside a NIfTI file: how it came to be.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::error::Result;
use crate::io::atomic_write;

/// Writes the record of the NIfTI file `image` beside it.
///
/// # Errors
/// As [`atomic_write`].
pub fn write(image: &Path, record: &Value) -> Result<()> {
    atomic_write(&path(image), |file| writeln!(file, "{record:#}"))
}

/// A record with the keys of another.
pub fn joined(mut record: Value, other: Value) -> Value {
    if let (Some(record), Value::Object(other)) = (record.as_object_mut(), other) {
        record.extend(other);
    }
    record
}

/// What made a file, as BIDS has it.
pub fn generated_by() -> Value {
    json!({ "GeneratedBy": [{ "Name": "voxgan", "Version": env!("CARGO_PKG_VERSION") }] })
}

/// Its name: that of the image with `.json` for `.nii` or `.nii.gz`.
pub fn path(image: &Path) -> PathBuf {
    let name = image.to_string_lossy();
    let stem = name.strip_suffix(".nii.gz").or_else(|| name.strip_suffix(".nii")).unwrap_or(&name);
    format!("{stem}.json").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_lie_beside_their_volumes() {
        assert_eq!(path(Path::new("a/seed-0001.nii.gz")), Path::new("a/seed-0001.json"));
        assert_eq!(path(Path::new("walk.nii")), Path::new("walk.json"));
    }
}
