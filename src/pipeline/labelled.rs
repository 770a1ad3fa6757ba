//! Label maps, and scans with label maps, of folders: what segmenters and simulated contrasts are trained on.

use std::path::{Path, PathBuf};

use super::train::Scans;
use crate::error::{Error, Result};
use crate::io::bids;
use crate::io::scan::{self, ReadOptions};
use crate::simulate::synthesis::{LabelMap, LabelledScan};
use crate::volume::outliers::without_outliers;

/// The volumes of a folder but those whose names contain one of `held_out`; `what` they are.
fn learned_from(folder: &Path, held_out: &[String], what: &str) -> Result<Vec<PathBuf>> {
    let mut paths = bids::volumes(folder)?;
    paths.retain(|path| !held_out.iter().any(|part| file_name(path).contains(part.as_str())));
    if paths.is_empty() {
        let advice = format!("give a folder of {what}, some of which are not held out");
        return Err(Error::file(folder, what, "*.nii or *.nii.gz", "none", advice));
    }
    Ok(paths)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The label maps of a folder but those whose names contain one of `held_out`.
pub(super) fn label_maps(folder: &Path, held_out: &[String], read: &ReadOptions) -> Result<Vec<LabelMap>> {
    let paths = learned_from(folder, held_out, "label maps")?;
    paths.iter().map(|path| LabelMap::new(&file_name(path), scan::read(path, read)?)).collect()
}

/// The scans but those held out, each with the one label map whose name is the same up to its last underscore.
pub(super) fn labelled_scans(
    Scans { images, labels }: &Scans,
    held_out: &[String],
    read: &ReadOptions,
) -> Result<Vec<LabelledScan>> {
    let subject = |path: &Path| {
        let name = file_name(path);
        name.rsplit_once('_').map_or(name.clone(), |(subject, _)| subject.to_string())
    };
    let maps = bids::volumes(labels)?;
    let scan = |path: &PathBuf| {
        let mut of = maps.iter().filter(|map| subject(map) == subject(path));
        let (Some(map), None) = (of.next(), of.next()) else {
            let key = format!("label map of {}", path.display());
            let (expected, advice) =
                (format!("one {}_….nii.gz", subject(path)), "name them alike, or move the scan");
            return Err(Error::file(labels, key, expected, "none or several", advice));
        };
        let scan = without_outliers(scan::read(path, read)?);
        LabelledScan::new(&file_name(path), scan, &scan::read(map, read)?).map_err(|e| e.in_file(map))
    };
    learned_from(images, held_out, "scans")?.iter().map(scan).collect()
}
