//! Pairs of files of two folders.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::io::bids;

/// A scan whose partner is missing.
#[derive(Debug)]
pub struct Alone {
    /// The scan.
    pub path: PathBuf,
    /// The folder where its partner is missing.
    folder: PathBuf,
    /// Scans there that could be it, where there are several.
    several: bool,
}

impl Alone {
    /// The missing partner as an error.
    pub fn error(&self) -> Error {
        let expected =
            format!("one partner of the same name, or subject and session, in {}", self.folder.display());
        let found = if self.several { "several" } else { "none" };
        Error::file(&self.path, "pair", expected, found, "give both files the same name")
    }
}

/// The pairs of the scans of `one` and `other`: two files, or in two folders or BIDS trees the files of the same name,
/// or the only ones of their subject and session; followed by the scans of either without a partner.
///
/// # Errors
/// [`Error::Io`] or [`Error::File`] for folders without scans, for a file and a folder, and without any pair.
pub fn by_name(one: &Path, other: &Path) -> Result<Vec<std::result::Result<[PathBuf; 2], Alone>>> {
    let (ones, others) = (bids::volumes(one)?, bids::volumes(other)?);
    // A file, or a folder of DICOM.
    let is_scan = |path: &Path, scans: &[PathBuf]| scans.first().is_some_and(|first| first == path);
    match (is_scan(one, &ones), is_scan(other, &others)) {
        (true, true) => return Ok(vec![Ok([ones[0].clone(), others[0].clone()])]),
        (false, false) => {}
        _ => {
            let (found, advice) = ("a scan and a folder", "give two scans or two folders");
            return Err(Error::file(other, "pair", "two scans or two folders", found, advice));
        }
    }
    let (mut pairs, mut left) = (Vec::new(), vec![true; others.len()]);
    for path in ones {
        let same_name: Vec<usize> =
            (0..others.len()).filter(|&at| stem(&others[at]) == stem(&path)).collect();
        let same_subject = || {
            let key = bids::entities(&path);
            (0..others.len()).filter(|&at| key.0.is_some() && bids::entities(&others[at]) == key).collect()
        };
        let found: Vec<usize> = if same_name.is_empty() { same_subject() } else { same_name };
        match found[..] {
            [at] if left[at] => {
                left[at] = false;
                pairs.push(Ok([path, others[at].clone()]));
            }
            _ => pairs.push(Err(Alone { path, folder: other.into(), several: !found.is_empty() })),
        }
    }
    if pairs.iter().all(std::result::Result::is_err) {
        let expected = format!("scans of the same names as in {}", one.display());
        let advice = "give the files of a pair the same name, or the same sub- and ses- in it";
        return Err(Error::file(other, "pairs", expected, "not one", advice));
    }
    // What lies beside the file of a pair, such as scan_baseline.nii.gz beside scan.nii.gz, is no scan of its own.
    let paired: Vec<String> = pairs.iter().flatten().map(|[_, other]| stem(other) + "_").collect();
    let unpaired = others
        .into_iter()
        .zip(left)
        .filter(|(path, left)| *left && !paired.iter().any(|start| stem(path).starts_with(start.as_str())));
    pairs.extend(unpaired.map(|(path, _)| Err(Alone { path, folder: one.into(), several: false })));
    Ok(pairs)
}

/// The scan in `folder` of the same name as `scan`.
///
/// # Errors
/// [`Error::File`] where there is none.
pub fn partner(folder: &Path, scan: &Path) -> Result<PathBuf> {
    let found = bids::volumes(folder)?.into_iter().find(|path| stem(path) == stem(scan));
    found.ok_or_else(|| Alone { path: scan.into(), folder: folder.into(), several: false }.error())
}

/// The file's name without the extension of its format.
pub fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_their_endings() {
        for (name, expected) in [("a/sub-01.nii.gz", "sub-01"), ("sub-01.hdr", "sub-01"), ("x.y.png", "x.y")]
        {
            assert_eq!(stem(Path::new(name)), expected);
        }
    }

    #[test]
    fn pairs_have_one_name_or_one_subject() {
        let folder = tempfile::tempdir().unwrap();
        let made = |name: &str, files: &[&str]| {
            let folder = folder.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            files.iter().for_each(|file| std::fs::write(folder.join(file), "").unwrap());
            folder
        };
        let before = made("before", &["a.nii", "sub-1_T1w.nii", "sub-2_T1w.nii", "sub-3_T1w.nii"]);
        let after = made(
            "after",
            &[
                "a.nii.gz",
                "sub-1_desc-n4_T1w.nii",
                "sub-3_a.nii",
                "sub-3_b.nii",
                "sub-4.nii",
                "a_baseline.nii",
            ],
        );
        let found: Vec<String> = by_name(&before, &after)
            .unwrap()
            .iter()
            .map(|pair| match pair {
                Ok(pair) => pair.each_ref().map(|path| stem(path)).join(" "),
                Err(alone) => format!("{} {}", stem(&alone.path), alone.several),
            })
            .collect();
        let expected = [
            "a a",
            "sub-1_T1w sub-1_desc-n4_T1w",
            "sub-2_T1w false",
            "sub-3_T1w true",
            "sub-3_a false",
            "sub-3_b false",
            "sub-4 false",
        ];
        assert_eq!(found, expected);
        let other = made("other", &["x.nii"]);
        assert!(by_name(&before, &other).unwrap_err().to_string().contains("same names"));
    }
}
