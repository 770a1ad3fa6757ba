//! The quality check: whether a change of scans preserves their anatomy.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::cohort::Cohort;
use super::derivatives::write_json;
use super::difference::{Shown, draw, shown};
use super::outputs::{Files, Writes};
use super::pairs::{by_name, stem};
use super::progress::Progress;
use super::segmenter::Segmenter;
use crate::anatomy::quality_check::{Pair, QualityCheck, UnlikeGrids, Verdict};
use crate::error::Result;
use crate::io::atomic_write;
use crate::io::scan::{self, ReadOptions};
use crate::report::png_bytes;
use crate::text::read_text;
use crate::volume::Volume;
use crate::volume::resample::Interpolation;

/// Scans before and after a change, and the limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// A scan, a folder of scans or a BIDS tree.
    pub before: PathBuf,
    /// The scans after the change; in folders, scans of the same name, or of the same subject and session, are pairs.
    pub after: PathBuf,
    /// A TOML file of limits; `None` for the limits inside the program.
    pub limits: Option<PathBuf>,
    /// Where the verdict goes, if anywhere: .json, with a folder of pictures beside it, or .csv with one row a pair and region.
    pub out: Option<PathBuf>,
    /// How scans are read.
    pub read: ReadOptions,
    /// Whether the first pair that fails ends the job.
    pub strict: bool,
}

impl Writes for Options {
    fn files(&self) -> Files {
        let Self { before, after, limits, out, .. } = self;
        let pictures = out.as_ref().filter(|out| !is_csv(out)).map(|out| pictures(out));
        let files = Files::reading([before, after].into_iter().chain(limits)).asked("--out", out.as_ref());
        files.writing_all(pictures)
    }
}

/// The verdict, and the pairs that it does not include.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The verdict on the pairs that could be measured.
    pub verdict: Verdict,
    /// A line for each pair that could not be measured, and each scan without a partner.
    pub failures: Vec<String>,
}

/// Pairs of scans → structures → changes → verdict → file and pictures, if `out` is given and there is a pair to judge. Other
/// pairs continue when one cannot be measured, unless `strict`.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io) or [`Error::File`](crate::error::Error::File) for the limits, for folders
/// that cannot be listed, and without any pair; with `strict` the error of the first pair that fails;
/// [`Error::Cancelled`](crate::error::Error::Cancelled).
pub fn check(options: &Options, segmenter: &Segmenter, progress: &Progress) -> Result<Checked> {
    let check = match &options.limits {
        None => QualityCheck::default(),
        Some(path) => QualityCheck::from_toml(&read_text(path, "read the limits")?, path)?,
    };
    let pairs = by_name(&options.before, &options.after)?;
    let mut cohort = Cohort::new(pairs.len(), options.strict, progress);
    let drawn = options.out.as_ref().filter(|out| !is_csv(out)).map(|out| pictures(out));
    let (mut records, mut pictured) = (Vec::with_capacity(pairs.len()), Vec::new());
    for pair in pairs {
        let name = file_name(pair.as_ref().map_or_else(|alone| &alone.path, |[before, _]| before));
        let found = cohort.next(&name.clone(), || {
            let [before, after] = pair.map_err(|alone| alone.error())?;
            let scans = [scan::read(&before, &options.read)?, scan::read(&after, &options.read)?];
            let pair = measured(name, (&before, &scans[0]), (&after, &scans[1]), segmenter)?;
            let record = pair.record();
            let Some(folder) = &drawn else { return Ok((record, None)) };
            let verdict = check.judge(vec![record.clone()]);
            let regions = verdict.pairs.first().map_or_else(Vec::new, shown);
            if regions.is_empty() {
                return Ok((record, None));
            }
            let scan = (segmenter.interpolation != Interpolation::Nearest).then_some(&scans[0]);
            let path = folder.join(format!("{:04}-{}.png", records.len() + 1, stem(Path::new(&pair.name))));
            let picture = draw(scan, [&pair.before, &pair.after], &regions)?;
            let bytes = png_bytes(&picture)?;
            atomic_write(&path, |file| file.write_all(&bytes))?;
            let regions = regions.iter().map(|region| region.name.to_string()).collect();
            let of = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
            let picture = format!("{}/{}", of(folder.file_name()), of(path.file_name()));
            Ok((record, Some(Shown { pair: pair.name, picture, regions })))
        })?;
        if let Some((record, picture)) = found {
            records.push(record);
            pictured.extend(picture);
        }
    }
    let verdict = check.judge(records);
    if let (Some(out), false) = (&options.out, verdict.pairs.is_empty()) {
        if is_csv(out) {
            atomic_write(out, |file| file.write_all(verdict.pairs_csv().as_bytes()))?;
        } else {
            write_json(out, &Written { verdict: &verdict, pictures: &pictured })?;
        }
    }
    Ok(Checked { verdict, failures: cohort.failures() })
}

/// The structures of a scan before and after a change; the paths are for errors.
///
/// # Errors
/// As [`UnlikeGrids::of`] and [`Segmenter::segment`].
pub fn measured(
    name: String,
    before: (&Path, &Volume),
    after: (&Path, &Volume),
    segmenter: &Segmenter,
) -> Result<Pair> {
    let grids = UnlikeGrids::of(before, after)?;
    let [before, after] =
        [before, after].map(|(path, scan)| segmenter.segment(scan).map_err(|error| error.in_file(path)));
    Ok(Pair { name, before: before?, after: after?, grids })
}

/// A verdict with its pictures.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    verdict: &'a Verdict,
    pictures: &'a [Shown],
}

/// The folder of pictures beside the verdict `out`.
fn pictures(out: &Path) -> PathBuf {
    let mut name = out.file_stem().unwrap_or_default().to_os_string();
    name.push("_pairs");
    out.with_file_name(name)
}

fn is_csv(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
