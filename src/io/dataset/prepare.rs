//! Preparation of a dataset: every scan is read, reoriented to RAS+, resampled, cropped, normalised and stored.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::manifest::{
    self, Entry, FORMAT, Failure, Manifest, Original, REVISION, Settings, spacing_is_valid,
};
use super::outcome::{Outcome, Progress, Report};
use super::sources::{Scan, Sources, scan_sha256};
use super::stored;
use crate::error::{Error, Result};
use crate::io::atomic::remove_unfinished;
use crate::io::bids::{self, Participants};
use crate::io::lock::FolderLock;
use crate::io::scan::{self, ReadOptions};
use crate::io::shard::{Record, Shard};
use crate::io::slices::{self, Colour};
use crate::volume::Volume;
use crate::volume::crop::{Centre, crop_pad};
use crate::volume::intensity::{IntensityMap, Normalisation};
use crate::volume::orientation::to_ras;
use crate::volume::outliers::without_outliers;
use crate::volume::resample::{Grid, Interpolation, resample};

/// The plan of a preparation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// Scans, folders of them, BIDS trees, or `.txt` lists with a path a line (relative to the list's folder).
    pub inputs: Vec<PathBuf>,
    /// Number of voxels along `(i, j, k)`: right, anterior, superior; `[w, h, 1]` for slices.
    pub shape: [usize; 3],
    /// The voxel size along `(i, j, k)` to resample to; `None` for no resampling.
    pub spacing_mm: Option<[f64; 3]>,
    /// Interpolation of the resampling.
    pub interpolation: Interpolation,
    /// Normalisation of intensities.
    pub normalisation: Normalisation,
    /// The point at the centre of the grid.
    pub centre: Centre,
    /// Tables with labels, joined by participant; by default the `participants.tsv` of a BIDS tree.
    pub participants: Vec<PathBuf>,
    /// The table's columns to keep as labels.
    pub labels: Vec<String>,
    /// How scans are read.
    pub read: ReadOptions,
    /// Whether to stop at the first scan (in the order of the input) that cannot be prepared.
    pub strict: bool,
}

impl Default for Plan {
    /// 64 voxels along each axis, and what `voxgan prepare` does if it is told no more.
    fn default() -> Self {
        Self {
            inputs: Vec::new(),
            shape: [64; 3],
            spacing_mm: None,
            interpolation: Interpolation::Linear,
            normalisation: Normalisation::default(),
            centre: Centre::Foreground,
            participants: Vec::new(),
            labels: Vec::new(),
            read: ReadOptions::default(),
            strict: false,
        }
    }
}

/// A correction of every scan before resampling, such as bias correction.
pub struct Correction<'a> {
    /// Its name and settings for the manifest; volumes of other settings are prepared again.
    pub settings: serde_json::Value,
    /// The function from a volume in RAS+ to the corrected one.
    pub apply: &'a (dyn Fn(Volume) -> Result<Volume> + Sync),
}

/// The most voxels that a scan may be resampled to: 4 GiB of float32.
const MOST_VOXELS: u64 = 1 << 30;

/// Prepares the dataset of `plan` in the folder `out`, with `correction` of every scan if there is one. `progress` is
/// called for each scan, from several threads.
///
/// A volume that is in the dataset already, from a scan of the same content with the same settings, is not prepared
/// again, also after an interrupted run. Scans that fail are listed in the report and the manifest, and the others
/// continue. At most one scan for each thread is in memory. Once `cancelled` is set no other scan is begun; what is stored stays, and
/// the same call goes on.
///
/// # Errors
/// [`Error::Value`] for a plan that cannot be carried out; [`Error::File`] or [`Error::Io`] for inputs that cannot be
/// found or that name a scan twice, an output folder inside the input, an invalid participants table, an output that
/// cannot be written, another run in `out`, and with `strict` the first scan that fails; [`Error::Cancelled`]. If no scan can be
/// prepared the report has the reasons, and no manifest is written.
pub fn prepare(
    plan: &Plan,
    correction: Option<&Correction>,
    out: &Path,
    cancelled: &AtomicBool,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Report> {
    prepare_part(plan, None, correction, out, cancelled, progress)
}

/// As [`prepare`], with its errors, but only the scans of `shard`, if there is one, into its folder below `out`.
pub fn prepare_part(
    plan: &Plan,
    shard: Option<Shard>,
    correction: Option<&Correction>,
    out: &Path,
    cancelled: &AtomicBool,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Report> {
    plan.check()?;
    let mut sources = Sources::find(&plan.inputs, out)?;
    let participants = plan.participants(&sources)?;
    let inputs: Vec<String> = sources.scans.iter().map(|scan| scan.path.display().to_string()).collect();
    let out = &shard.map_or(out.to_path_buf(), |shard| shard.folder(out));
    let _lock = FolderLock::hold(out)?;
    if let Some(shard) = shard {
        sources.scans.retain(|scan| shard.takes(&scan.path));
        Record::withdraw(out)?;
    }
    withdraw_manifest(out)?;
    remove_unfinished(&stored::folder(out))?;
    let settings = plan.settings(correction);
    let done = AtomicUsize::new(0);
    let stop_after = AtomicUsize::new(usize::MAX);
    let scans = &sources.scans;
    let results: Vec<Option<Stored>> = scans
        .par_iter()
        .enumerate()
        // One by one: scans take long, and differ.
        .with_max_len(1)
        .map(|(index, scan)| {
            if index > stop_after.load(Ordering::Relaxed) || cancelled.load(Ordering::Relaxed) {
                return None;
            }
            let result = prepare_scan(scan, &settings, correction, out);
            if matches!(result, Err(Failed::Write(_))) || (plan.strict && result.is_err()) {
                stop_after.fetch_min(index, Ordering::Relaxed);
            }
            let outcome = match &result {
                Ok(Done { kept: false, .. }) => Outcome::Prepared,
                Ok(Done { kept: true, .. }) => Outcome::Kept,
                Err(Failed::Scan(error) | Failed::Write(error)) => Outcome::Failed(error.to_string()),
            };
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            progress(Progress { done, total: scans.len(), source: &scan.path, outcome });
            Some(result)
        })
        .collect();
    if cancelled.load(Ordering::Relaxed) && results.iter().any(Option::is_none) {
        return Err(Error::Cancelled);
    }
    let report = finish(plan, out, settings, scans, results, participants.as_ref())?;
    if let Some(shard) = shard {
        let failures = report.failures.iter().map(|failure| failure.reason.clone()).collect();
        Record { shard, inputs, failures }.write(out)?;
    }
    Ok(report)
}

/// Removes the manifest of an earlier run, which must not name volumes that are about to change. One that is not
/// voxgan's stays.
fn withdraw_manifest(out: &Path) -> Result<()> {
    let path = out.join(manifest::FILE);
    if !path.exists() {
        return Ok(());
    }
    Manifest::read(out).map_err(|error| {
        let advice = "choose another output folder, or remove what is in it";
        Error::file(
            &path,
            "output",
            "a dataset of this version, or an empty folder",
            error.to_string(),
            advice,
        )
    })?;
    std::fs::remove_file(&path).map_err(|source| Error::io(&path, "replace it", source))
}

/// What became of a scan, with what the manifest needs.
type Stored = std::result::Result<Done, Failed>;

/// A scan that is stored.
struct Done {
    entry: Entry,
    channels: usize,
    kept: bool,
}

enum Failed {
    /// The scan cannot be used; others may.
    Scan(Error),
    /// The dataset cannot be written; nothing will be.
    Write(Error),
}

impl Plan {
    fn check(&self) -> Result<()> {
        let voxels = self.shape.iter().try_fold(1u64, |product, &n| product.checked_mul(n as u64));
        if self.shape.contains(&0) || voxels.is_none_or(|voxels| voxels > MOST_VOXELS) {
            let expected = "1 or more voxels along each axis, 2^30 in all at most";
            return Err(Error::value(
                "shape",
                expected,
                format!("{:?}", self.shape),
                "choose a smaller grid",
            ));
        }
        if let Some(spacing) = self.spacing_mm
            && !spacing.iter().all(spacing_is_valid)
        {
            let advice = "give millimetres, such as 1 or 2";
            return Err(Error::value("spacing_mm", "0.001 to 1000 mm", format!("{spacing:?}"), advice));
        }
        if let Normalisation::Percentile { low, high } = self.normalisation
            && !(0.0 <= low && low < high && high <= 100.0)
        {
            let advice = "give two percentiles such as 0 and 99.9";
            return Err(Error::value(
                "percentiles",
                "0 ≤ low < high ≤ 100",
                format!("{low}, {high}"),
                advice,
            ));
        }
        Ok(())
    }

    fn settings(&self, correction: Option<&Correction>) -> Settings {
        Settings {
            revision: REVISION,
            shape: self.shape,
            spacing_mm: self.spacing_mm,
            interpolation: self.interpolation,
            normalisation: self.normalisation,
            centre: self.centre,
            frame: self.read.frame,
            nan_to_zero: self.read.nan_to_zero,
            series: self.read.series.clone(),
            correction: correction.map(|correction| correction.settings.clone()),
        }
    }

    /// The table to take labels from, if any were asked for.
    fn participants(&self, sources: &Sources) -> Result<Option<Participants>> {
        let paths =
            if self.participants.is_empty() { sources.participants.as_slice() } else { &self.participants };
        let Some(first) = paths.first() else {
            return match self.labels.first() {
                None => Ok(None),
                Some(label) => {
                    let advice = "name the participants.tsv that has them";
                    Err(Error::value("labels", "a participants table", format!("none for {label:?}"), advice))
                }
            };
        };
        if self.labels.is_empty() && self.participants.is_empty() {
            return Ok(None);
        }
        let table = Participants::join(paths)?;
        if let Some(label) = self.labels.iter().find(|label| !table.columns.contains(label)) {
            let expected = format!("a column {label:?}");
            let found = format!("the columns {}", table.columns.join(", "));
            return Err(Error::file(first, "line 1", expected, found, "choose labels among the columns"));
        }
        Ok(Some(table))
    }
}

fn prepare_scan(scan: &Scan, settings: &Settings, correction: Option<&Correction>, out: &Path) -> Stored {
    let sha256 = scan_sha256(&scan.path).map_err(Failed::Scan)?;
    if let Some(note) = stored::note(out, &scan.name)
        && note.settings == *settings
        && note.entry.sha256 == sha256
    {
        let entry = Entry { source: scan.path.display().to_string(), ..note.entry };
        return Ok(Done { entry, channels: note.channels, kept: true });
    }
    let (volume, original, intensity) = prepared(&scan.path, settings, correction).map_err(Failed::Scan)?;
    let entry = Entry {
        name: scan.name.clone(),
        source: scan.path.display().to_string(),
        sha256,
        voxels_sha256: stored::voxels_sha256(&volume),
        affine: volume.affine,
        original,
        intensity,
        steps: volume.provenance.steps.clone(),
        labels: BTreeMap::new(),
    };
    stored::write(out, &volume, settings, &entry).map_err(Failed::Write)?;
    Ok(Done { entry, channels: volume.channels(), kept: false })
}

/// The way of one scan: RAS+, correction, spacing, grid, intensity.
fn prepared(
    path: &Path,
    settings: &Settings,
    correction: Option<&Correction>,
) -> Result<(Volume, Original, IntensityMap)> {
    // A volume knows no file; say which it is.
    let of_file = |error: Error| error.in_file(path);
    let volume = if slices::is_slice(path) {
        slices::read(path, Colour::Keep)?
    } else {
        scan::read(path, &settings.read())?
    };
    // Before it is resampled, which would spread what is no signal.
    let volume = without_outliers(volume);
    let background = volume.data.iter().copied().fold(f32::INFINITY, f32::min);
    let (dims, affine) = (volume.dims(), volume.affine);
    let (mut volume, orientation) = to_ras(volume);
    let original = Original { dims, affine, orientation };
    if let Some(correction) = correction {
        volume = (correction.apply)(volume).map_err(of_file)?;
    }
    let volume = on_grid(path, volume, settings, background)?;
    let intensity = IntensityMap::fit(&volume, &settings.normalisation).map_err(of_file)?;
    Ok((intensity.apply(volume), original, intensity))
}

/// `volume` in RAS+ on the grid of `settings`, with `background` beyond its field of view: resampled, then cropped and
/// padded, without normalisation.
///
/// # Errors
/// [`Error::File`] that names `path` where the resampled grid has too many voxels.
pub fn on_grid(path: &Path, mut volume: Volume, settings: &Settings, background: f32) -> Result<Volume> {
    if let Some(spacing_mm) = settings.spacing_mm {
        volume = resample(&volume, &grid(path, &volume, settings, spacing_mm)?, settings.interpolation);
    }
    Ok(crop_pad(&volume, settings.shape, settings.centre, background))
}

/// The grid of `volume` with voxels of `spacing_mm`; a slice that stays a slice keeps its thickness.
fn grid(path: &Path, volume: &Volume, settings: &Settings, spacing_mm: [f64; 3]) -> Result<Grid> {
    let (dims, own) = (volume.dims(), volume.spacing_mm());
    let is_slice = |axis: usize| dims[axis] == 1 && settings.shape[axis] == 1;
    let spacing = std::array::from_fn(|axis| if is_slice(axis) { own[axis] } else { spacing_mm[axis] });
    let grid = Grid::of(volume).straight().with_spacing(spacing);
    let voxels = grid.dims.iter().try_fold(1u64, |product, &n| product.checked_mul(n as u64));
    if voxels.is_none_or(|voxels| voxels > MOST_VOXELS) {
        let found = format!("{dims:?} of {own:?} mm, which make {:?}", grid.dims);
        let advice = "choose larger voxels, or check the scan's voxel size and unit";
        return Err(Error::file(path, "voxels", format!("2^30 at most at {spacing_mm:?} mm"), found, advice));
    }
    Ok(grid)
}

/// The manifest and the report, or what made the run stop.
fn finish(
    plan: &Plan,
    out: &Path,
    settings: Settings,
    scans: &[Scan],
    results: Vec<Option<Stored>>,
    participants: Option<&Participants>,
) -> Result<Report> {
    let mut report = Report::default();
    let mut entries = Vec::new();
    let mut channels = None;
    for (scan, result) in scans.iter().zip(results) {
        let failure = match result {
            None => continue,
            Some(Ok(done)) if *channels.get_or_insert(done.channels) == done.channels => {
                let count = if done.kept { &mut report.kept } else { &mut report.prepared };
                *count += 1;
                let labels = plan.labels_of(&done.entry.name, &scan.path, participants, &mut report);
                entries.push(Entry { labels, ..done.entry });
                continue;
            }
            Some(Ok(done)) => Error::file(
                &scan.path,
                "channels",
                format!("{}, as in the first scan", channels.unwrap_or_default()),
                done.channels.to_string(),
                "prepare grey and colour images apart",
            ),
            Some(Err(Failed::Write(error))) => return Err(error),
            Some(Err(Failed::Scan(error))) => error,
        };
        if plan.strict {
            return Err(failure);
        }
        report
            .failures
            .push(Failure { source: scan.path.display().to_string(), reason: failure.to_string() });
    }
    report.copies = copies(&entries);
    if let Some(channels) = channels {
        let manifest = Manifest {
            format: FORMAT.into(),
            voxgan: env!("CARGO_PKG_VERSION").into(),
            settings,
            channels,
            entries,
            failures: report.failures.clone(),
        };
        manifest.write(out)?;
    }
    Ok(report)
}

/// Volumes that are another under a second name: from the same file, or voxel for voxel the same.
fn copies(entries: &[Entry]) -> Vec<[String; 2]> {
    let (mut files, mut voxels) = (BTreeMap::new(), BTreeMap::new());
    let mut copies = Vec::new();
    for Entry { name, sha256, voxels_sha256, .. } in entries {
        let first = *files.entry(sha256).or_insert(name);
        let same = *voxels.entry(voxels_sha256).or_insert(name);
        let other = if first == name { same } else { first };
        if other != name {
            copies.push([name.clone(), other.clone()]);
        }
    }
    copies
}

impl Plan {
    /// The labels of a scan; what is missing goes into the report.
    fn labels_of(
        &self,
        name: &str,
        path: &Path,
        participants: Option<&Participants>,
        report: &mut Report,
    ) -> BTreeMap<String, String> {
        let (subject, _) = bids::entities(path);
        let row = subject.as_deref().and_then(|subject| participants?.row(subject));
        let mut labels = BTreeMap::new();
        for label in &self.labels {
            match row.and_then(|row| row.get(label)) {
                Some(value) => drop(labels.insert(label.clone(), value.clone())),
                None => report.missing_labels.entry(label.clone()).or_default().push(name.to_string()),
            }
        }
        labels
    }
}
