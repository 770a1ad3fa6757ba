//! The scans of a user's inputs (a scan, a folder, a BIDS tree, a list), with unique names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::manifest::{self, hex};
use crate::error::{Error, Result};
use crate::io::{bids, dicom, scan, slices};
use crate::text::read_text;

/// The scans of an input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sources {
    /// In a fixed order.
    pub scans: Vec<Scan>,
    /// The table that comes with a BIDS tree.
    pub participants: Option<PathBuf>,
}

/// A scan to be prepared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scan {
    pub path: PathBuf,
    /// Unique among the scans, fit for a file name.
    pub name: String,
}

impl Sources {
    /// The scans of `inputs` (folders, BIDS trees, lists and files), for a dataset in the folder `out`.
    ///
    /// # Errors
    /// [`Error::Io`] for inputs that cannot be read; [`Error::File`] for a folder that cannot be used, a
    /// scan that is given twice, or if there are no scans.
    pub fn find(inputs: &[PathBuf], out: &Path) -> Result<Self> {
        let mut paths = Vec::new();
        let mut participants = None;
        for input in inputs {
            let meta = fs::metadata(input).map_err(|source| Error::io(input, "find it", source))?;
            if meta.is_dir() {
                check_folder(input, out)?;
                if bids::is_bids(input) {
                    paths.extend(bids::t1w(input)?);
                    let table = input.join("participants.tsv");
                    participants = participants.or(table.is_file().then_some(table));
                } else if dicom::is_folder(input) {
                    paths.push(input.clone());
                } else {
                    collect(input, &mut BTreeSet::new(), &mut paths)?;
                }
            } else if input.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("txt")) {
                paths.extend(list(input)?);
            } else {
                paths.push(input.clone());
            }
        }
        check_once(&paths)?;
        if paths.is_empty() {
            let input = inputs.first().map_or(Path::new("IN"), PathBuf::as_path);
            let expected = "NIfTI, MGH, NRRD, MetaImage, PNG or TIFF files";
            let advice = "give a folder that holds scans, or a list of them";
            return Err(bids::no_scans(input, expected, advice));
        }
        Ok(Self { scans: named(paths), participants })
    }
}

/// Refuses a folder that is a prepared dataset, or has the output inside.
fn check_folder(input: &Path, out: &Path) -> Result<()> {
    if manifest::Manifest::read(input).is_ok() {
        let advice = "give the scans that it was prepared from";
        return Err(Error::file(input, "input", "scans", "a dataset that is prepared already", advice));
    }
    let inside = input.canonicalize().ok().zip(real(out)).is_some_and(|(input, out)| out.starts_with(input));
    if inside {
        let found = format!("{} inside the input folder", out.display());
        let advice = "choose an output folder elsewhere";
        return Err(Error::file(input, "output", "a folder outside of the input", found, advice));
    }
    Ok(())
}

/// The path without links and dots, of a folder that need not be there yet.
fn real(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let there = path.ancestors().find(|ancestor| ancestor.exists())?;
    Some(there.canonicalize().ok()?.join(path.strip_prefix(there).ok()?))
}

/// The scans below `folder`, without hidden files; a folder that links lead back to is visited once.
fn collect(folder: &Path, visited: &mut BTreeSet<PathBuf>, paths: &mut Vec<PathBuf>) -> Result<()> {
    let real = folder.canonicalize().map_err(|source| Error::io(folder, "find it", source))?;
    if !visited.insert(real) {
        return Ok(());
    }
    for path in bids::listed(folder)? {
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        }
        if scan::is_scan(&path) || slices::is_slice(&path) {
            paths.push(path);
        } else if path.is_dir() {
            collect(&path, visited, paths)?;
        }
    }
    Ok(())
}

/// The paths in a text file, one a line, relative to its folder; empty lines and those with `#` in front are left
/// out.
fn list(path: &Path) -> Result<Vec<PathBuf>> {
    let text = read_text(path, "read this list")?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(|line| folder.join(line)).collect())
}

fn check_once(paths: &[PathBuf]) -> Result<()> {
    let mut seen = BTreeMap::new();
    for path in paths {
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        if let Some(first) = seen.insert(real, path) {
            let found = format!("the same file as {}", first.display());
            let advice = "name it once, or it would count twice in training";
            return Err(Error::file(path, "input", "each scan once", found, advice));
        }
    }
    Ok(())
}

/// Gives each path the shortest name that is no other's: subject and session, the file's name without its ending,
/// then with more and more of the folders above.
fn named(paths: Vec<PathBuf>) -> Vec<Scan> {
    let deepest = paths.iter().map(|path| path.components().count()).max().unwrap_or(0) + 2;
    let mut names: Vec<String> = paths.iter().map(|path| name(path, 0)).collect();
    for level in 1..deepest {
        let mut counts = BTreeMap::new();
        for name in &names {
            // Some file systems do not tell case apart.
            *counts.entry(name.to_lowercase()).or_insert(0) += 1;
        }
        for (path, current) in paths.iter().zip(&mut names) {
            if counts[&current.to_lowercase()] > 1 {
                *current = name(path, level);
            }
        }
    }
    // Names that only characters unfit for a file name told apart.
    let mut taken = BTreeSet::new();
    let mut scans = Vec::with_capacity(paths.len());
    for (path, mut name) in paths.into_iter().zip(names) {
        let plain = name.clone();
        let mut number = 2;
        while !taken.insert(name.to_lowercase()) {
            name = format!("{plain}-{number}");
            number += 1;
        }
        scans.push(Scan { path, name });
    }
    scans
}

fn name(path: &Path, level: usize) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let mut stem = scan::stem(&file);
    for ending in [".png", ".tiff", ".tif"] {
        let cut = stem.len().saturating_sub(ending.len());
        if cut > 0 && stem.is_char_boundary(cut) && stem[cut..].eq_ignore_ascii_case(ending) {
            stem = &stem[..cut];
        }
    }
    let name = match (level, bids::entities(path)) {
        (0, (Some(subject), Some(session))) => format!("{subject}_{session}"),
        (0, (Some(subject), None)) => subject,
        (0 | 1, _) => stem.to_string(),
        _ => {
            let folders = path.parent().into_iter().flat_map(|folder| folder.components().rev());
            let above =
                folders.take(level - 1).map(|folder| folder.as_os_str().to_string_lossy().into_owned());
            above.fold(stem.to_string(), |name, folder| format!("{folder}_{name}"))
        }
    };
    let fit = |c: char| if c.is_ascii_alphanumeric() || "-_.+".contains(c) { c } else { '_' };
    let name: String = name.chars().map(fit).collect();
    // A name that begins with a dot would be hidden.
    name.trim_start_matches('.').to_string()
}

/// SHA-256 of a scan's file, of both files of a pair, or of all files of a DICOM folder, in hexadecimal.
///
/// # Errors
/// [`Error::Io`] where it cannot be read, [`Error::File`] for a folder.
pub fn scan_sha256(path: &Path) -> Result<String> {
    let mut sha256 = Sha256::new();
    let files = scan::files(path);
    if files.is_empty() {
        return Err(Error::file(
            path,
            "file",
            "a scan",
            "a folder without DICOM files",
            "name the scans in it",
        ));
    }
    for path in files {
        let read = |source| Error::io(&path, "read it", source);
        let mut file = File::open(&path).map_err(|source| Error::io(&path, "open it", source))?;
        std::io::copy(&mut file, &mut sha256).map_err(read)?;
    }
    Ok(hex(&sha256.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(paths: &[&str]) -> Vec<String> {
        named(paths.iter().map(PathBuf::from).collect()).into_iter().map(|scan| scan.name).collect()
    }

    #[test]
    fn names_are_short_and_unique() {
        assert_eq!(names(&["a/sub-01_T1w.nii.gz", "b/x.y.hdr", "z.PNG"]), ["sub-01", "x.y", "z"]);
        assert_eq!(names(&["sub-1_ses-2_T1w.nii", "sub-1_ses-3_T1w.nii"]), ["sub-1_ses-2", "sub-1_ses-3"]);
        assert_eq!(
            names(&["sub-1_run-1_T1w.nii", "sub-1_run-2_T1w.nii"]),
            ["sub-1_run-1_T1w", "sub-1_run-2_T1w"]
        );
        assert_eq!(names(&["p1/t1.nii", "p2/t1.nii", "other.nii"]), ["p1_t1", "p2_t1", "other"]);
        assert_eq!(names(&["a b.nii", "a_b.nii"]), ["a_b", "a_b-2"]);
        assert_eq!(names(&["A.nii", "x/a.png"]), ["A", "x_a"]);
    }
}
