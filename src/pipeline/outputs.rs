//! Protection of existing files.

use std::path::Path;

use super::restore::beside;
use super::sidecar;
use crate::error::{Error, Result};
use crate::io::nifti::is_nifti;

/// Whether `output`, images of `kinds` beside it and its record can be written without replacing a file; always with
/// `force`. A record of voxgan can be replaced.
///
/// # Errors
/// [`Error::File`] if one of the files exists, or the output is one of the `inputs`.
pub fn check_free(output: &Path, kinds: &[&str], inputs: &[&Path], force: bool) -> Result<()> {
    if force {
        return Ok(());
    }
    let same = |path: &Path, other: &Path| matches!((path.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other);
    if inputs.iter().any(|input| same(input, output)) {
        let advice = "choose another name, or add --force to lose the input";
        return Err(Error::file(output, "output", "another file than the input", "the same", advice));
    }
    let images = [output.to_path_buf()].into_iter().chain(kinds.iter().map(|kind| beside(output, kind)));
    let record = if is_nifti(output) { sidecar::path(output) } else { output.with_extension("json") };
    let foreign = sidecar::is_foreign(&record)
        .then(|| format!("the record {}, which voxgan did not write", record.display()));
    let there = images.filter(|path| path.exists()).map(|path| path.display().to_string()).chain(foreign);
    let there = there.collect::<Vec<_>>().join(", ");
    if there.is_empty() {
        return Ok(());
    }
    let advice = "choose another name, or add --force to replace what is there";
    Err(Error::file(output, "output", "names that are free", there, advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_not_replaced_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let [input, output] = ["in.nii", "out.nii"].map(|name| folder.path().join(name));
        std::fs::write(&input, "a scan").unwrap();
        let check = |force| check_free(&output, &["baseline"], &[&input], force);
        check(false).unwrap();
        for (name, content) in
            [("out.nii", ""), ("out_baseline.nii", ""), ("out.json", r#"{"RepetitionTime": 2.3}"#)]
        {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            let message = check(false).unwrap_err().to_string();
            assert!(message.contains(name) && message.contains("--force"), "{message}");
            check(true).unwrap();
            std::fs::remove_file(path).unwrap();
        }
        let same = check_free(&folder.path().join("./in.nii"), &[], &[&input], false);
        assert!(same.unwrap_err().to_string().contains("the same"));
    }
}
