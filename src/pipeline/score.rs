//! Scores of predictions against their targets, in the definitions of a named project.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::cohort::Cohort;
use super::outputs::{Files, Writes};
use super::pairs::stem;
use super::progress::{Event, Progress};
use crate::error::{Error, Result};
use crate::evaluate;
use crate::evaluate::{Plan, Profile, Scores};
use crate::io::scan::{self, ReadOptions};
use crate::io::slices::Colour;
use crate::io::{atomic_write, bids, slices};
use crate::volume::{Volume, check_grids};

/// The files and the plan of scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Targets, each with its prediction: files (NIfTI, MGH, NRRD, MetaImage, PNG, TIFF), or folders of files with
    /// the same names.
    pub pairs: Vec<[PathBuf; 2]>,
    /// A mask on the targets' grid, inside where it is not zero: one for all, or a folder with one for each name.
    pub mask: Option<PathBuf>,
    /// The measures, their definitions and slices.
    pub plan: Plan,
    /// Whether to compare voxel by voxel even if the affines differ.
    pub ignore_geometry: bool,
    /// Whether to multiply each prediction by the factor of least squared error to its target (inside the mask).
    pub match_scale: bool,
    /// The JSON file for the scores.
    pub json: Option<PathBuf>,
    /// How volumes are read.
    pub read: ReadOptions,
    /// Whether the first pair that fails ends the job.
    pub strict: bool,
}

impl Default for Options {
    fn default() -> Self {
        let plan = Plan::new(Profile::FastMri);
        Self {
            pairs: Vec::new(),
            mask: None,
            plan,
            ignore_geometry: false,
            match_scale: false,
            json: None,
            read: ReadOptions::default(),
            strict: false,
        }
    }
}

impl Writes for Options {
    fn files(&self) -> Files {
        Files::reading(self.pairs.iter().flatten().chain(&self.mask)).asked("--json", self.json.as_ref())
    }
}

/// The scores of all pairs.
#[derive(Clone, Debug)]
pub struct Found {
    /// The scores of each pair.
    pub pairs: Vec<Scored>,
    /// The summaries over the pairs, in the order of the first pair that has the measure.
    pub summaries: Vec<Summary>,
    /// A line for each pair that could not be scored.
    pub failures: Vec<String>,
}

/// The scores of a pair.
#[derive(Clone, Debug, Serialize)]
pub struct Scored {
    /// The target's file.
    pub target: String,
    /// The prediction's file.
    pub prediction: String,
    /// The mask's file.
    pub mask: Option<String>,
    /// The factor of the prediction, with [`Options::match_scale`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
    /// Its scores.
    #[serde(flatten)]
    pub scores: Scores,
}

/// Summary of a measure over the pairs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The measure.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// Mean over the pairs that have it.
    pub mean: f64,
    /// Standard deviation over the pairs that have it (n − 1); zero for one pair.
    pub standard_deviation: f64,
    /// Number of pairs that have it.
    pub n: usize,
}

/// Pairs of files → volumes → scores → JSON, with [`Options::json`]. Every pair's scores are reported as a note.
///
/// # Errors
/// For a single pair, or the first that fails with `strict`: [`Error::Io`] or [`Error::File`] for files that cannot be
/// read or have no partner, [`Error::Value`] for different grids and as [`evaluate::score()`]. [`Error::Io`] for the
/// JSON file; [`Error::Cancelled`].
pub fn score(options: &Options, progress: &Progress) -> Result<Found> {
    let Options { pairs, mask, plan, json, .. } = options;
    let of = pairs.iter().map(|[target, prediction]| paired(target, prediction, mask.as_deref()));
    let of: Vec<Result<Pair>> = of.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
    let mut pairs = Vec::with_capacity(of.len());
    let (mut cohort, single) = (Cohort::new(of.len(), options.strict, progress), of.len() == 1);
    for pair in of {
        let name = pair.as_ref().map_or_else(|_| "pair".into(), |pair| pair.prediction.display().to_string());
        let scored = || pair?.score(options);
        // The error of one pair alone is the command's own.
        let one = if single { Some(scored()?) } else { cohort.next(&name, scored)? };
        let Some(one) = one else { continue };
        let scaled = one.scale.map_or(String::new(), |scale| format!(", scaled by {scale:.6}"));
        let text = format!("target {}, prediction {}{scaled}\n{}", one.target, one.prediction, one.scores);
        progress.tell(Event::Note(text.trim_end()));
        pairs.push(one);
    }
    let (summaries, failures) = (summaries(&pairs), cohort.failures());
    if let Some(path) = json {
        let document =
            serde_json::json!({ "plan": plan, "pairs": pairs, "summary": summaries, "failures": failures });
        atomic_write(path, |file| writeln!(file, "{document:#}"))?;
    }
    Ok(Found { pairs, summaries, failures })
}

/// A target, its prediction and the mask of both.
struct Pair {
    target: PathBuf,
    prediction: PathBuf,
    mask: Option<PathBuf>,
}

impl Pair {
    fn score(&self, options: &Options) -> Result<Scored> {
        let read = |path: &Path| read(path, &options.read);
        let (target, mut prediction) = (read(&self.target)?, read(&self.prediction)?);
        let mask = self.mask.as_deref().map(read).transpose()?;
        if !options.ignore_geometry {
            for other in [Some(&prediction), mask.as_ref()].into_iter().flatten() {
                check_grids(&target, other).map_err(|error| match error {
                    Error::Value { key, expected, found, .. } => {
                        let advice = "resample one to the other's grid, or add --ignore-geometry";
                        Error::Value { key, expected, found, advice: advice.into() }
                    }
                    other => other,
                })?;
            }
        }
        let name = |path: &Path| path.display().to_string();
        let scale = options.match_scale.then(|| scale_to(&target, &prediction, mask.as_ref()));
        if let Some(scale) = scale {
            prediction.data.mapv_inplace(|x| (f64::from(x) * scale) as f32);
        }
        Ok(Scored {
            scale,
            target: name(&self.target),
            prediction: name(&self.prediction),
            mask: self.mask.as_deref().map(name),
            scores: evaluate::score(&target, &prediction, mask.as_ref(), &options.plan)?,
        })
    }
}

fn read(path: &Path, options: &ReadOptions) -> Result<Volume> {
    if slices::is_slice(path) { slices::read(path, Colour::Grey) } else { scan::read(path, options) }
}

/// The factor s that makes |s·prediction − target| the least (in the mask): ⟨prediction, target⟩ / ⟨prediction,
/// prediction⟩.
fn scale_to(target: &Volume, prediction: &Volume, mask: Option<&Volume>) -> f64 {
    let mask: Option<Vec<f32>> = mask.map(|mask| mask.data.iter().copied().collect());
    let inside = |at: usize| mask.as_ref().is_none_or(|mask| mask[at % mask.len()] != 0.0);
    let mut sums = [0.0; 2];
    for (at, (&x, &y)) in prediction.data.iter().zip(&target.data).enumerate() {
        if inside(at) {
            sums[0] += f64::from(x) * f64::from(y);
            sums[1] += f64::from(x) * f64::from(x);
        }
    }
    if sums[1] > 0.0 { sums[0] / sums[1] } else { 1.0 }
}

/// Two files, or the files of two folders by name; one without a partner is an error of its own.
fn paired(target: &Path, prediction: &Path, mask: Option<&Path>) -> Result<Vec<Result<Pair>>> {
    let partner = |place: &Path, of: &Path| -> Result<PathBuf> {
        if !scan::is_folder(place) {
            return Ok(place.to_path_buf());
        }
        let name = stem(of);
        scans(place)?.into_iter().find(|path| stem(path) == name).ok_or_else(|| {
            let expected = format!("one named {name} like {}", of.display());
            Error::file(place, "scans", expected, "none", "give both files the same name")
        })
    };
    let targets = match (scan::is_folder(target), scan::is_folder(prediction)) {
        (true, true) => scans(target)?,
        (true, false) => {
            let advice = "give two files or two folders";
            return Err(Error::file(prediction, "prediction", "a folder, as the target is", "none", advice));
        }
        _ => vec![target.to_path_buf()],
    };
    if targets.is_empty() {
        let expected = "NIfTI, MGH, NRRD, MetaImage, PNG or TIFF files";
        return Err(bids::no_scans(target, expected, "give a folder that holds scans"));
    }
    let pair = |target: PathBuf| {
        let prediction = partner(prediction, &target)?;
        let mask = mask.map(|mask| partner(mask, &target)).transpose()?;
        Ok(Pair { target, prediction, mask })
    };
    Ok(targets.into_iter().map(pair).collect())
}

/// The scans that lie in `folder`, by name.
fn scans(folder: &Path) -> Result<Vec<PathBuf>> {
    let fail = |source| Error::io(folder, "list this folder", source);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && (scan::is_scan(&path) || path.is_file() && slices::is_slice(&path)) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Mean and standard deviation of each measure, in the order of the first pair that has it.
fn summaries(scored: &[Scored]) -> Vec<Summary> {
    let mut summaries: Vec<Summary> = Vec::new();
    for score in scored.iter().flat_map(|one| &one.scores.scores) {
        if summaries.iter().any(|summary| summary.name == score.name) {
            continue;
        }
        let values: Vec<f64> =
            scored.iter().filter_map(|one| one.scores.get(&score.name)).map(|score| score.value).collect();
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        summaries.push(Summary {
            name: score.name.clone(),
            unit: score.unit.clone(),
            mean,
            standard_deviation: (squares / (n.max(2) - 1) as f64).sqrt(),
            n,
        });
    }
    summaries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_is_the_least_squares_one() {
        let of = |values: Vec<f32>| {
            let data = ndarray::Array4::from_shape_vec((1, 1, 1, 3), values).unwrap();
            Volume::new(data, crate::volume::VoxelToWorld::identity())
        };
        let (target, prediction) = (of(vec![1.0, 2.0, 9.0]), of(vec![2.0, 4.0, 1.0]));
        assert!((scale_to(&target, &prediction, None) - 19.0 / 21.0).abs() < 1e-12);
        assert_eq!(scale_to(&target, &prediction, Some(&of(vec![1.0, 1.0, 0.0]))), 0.5);
        assert_eq!(scale_to(&target, &of(vec![0.0; 3]), None), 1.0);
    }
}
