//! Predictions against their targets, in the definitions of a named project.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::progress::{Event, Progress};
use crate::error::{Error, Result};
use crate::evaluate;
use crate::evaluate::{Plan, Profile, Scores};
use crate::io::slices::Colour;
use crate::io::{atomic_write, nifti, slices};
use crate::volume::{Volume, check_grids};

/// What is scored, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Targets, each with its prediction: files (.nii, .nii.gz, .hdr with .img, PNG, TIFF), or folders of files with the same
    /// names.
    pub pairs: Vec<[PathBuf; 2]>,
    /// A mask on the targets' grid, inside where it is not zero: one for all, or a folder with one for each name.
    pub mask: Option<PathBuf>,
    /// Whose definitions, and which slices.
    pub plan: Plan,
    /// Compare voxel by voxel even if the headers say that the grids lie elsewhere.
    pub ignore_geometry: bool,
    /// Where the numbers go, as JSON.
    pub json: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        let plan = Plan::new(Profile::FastMri);
        Self { pairs: Vec::new(), mask: None, plan, ignore_geometry: false, json: None }
    }
}

/// The scores of all pairs.
#[derive(Clone, Debug)]
pub struct Found {
    /// Those of each.
    pub pairs: Vec<Scored>,
    /// Over the pairs, in the order of the first pair that has the measure.
    pub summaries: Vec<Summary>,
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
    /// Its scores.
    #[serde(flatten)]
    pub scores: Scores,
}

/// A measure over the pairs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The measure.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// Of the pairs that have it.
    pub mean: f64,
    /// n − 1; zero for one pair.
    pub standard_deviation: f64,
    /// How many have it.
    pub n: usize,
}

/// Pairs of files → volumes → scores → a document, if one is asked for. Every pair's scores are a note.
///
/// # Errors
/// Files that cannot be read or have no partner, grids that differ, and what [`evaluate::score()`] finds wrong.
pub fn score(options: &Options, progress: &Progress) -> Result<Found> {
    let Options { pairs, mask, plan, ignore_geometry, json } = options;
    let of = pairs.iter().map(|[target, prediction]| paired(target, prediction, mask.as_deref()));
    let of: Vec<Pair> = of.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
    let mut pairs = Vec::with_capacity(of.len());
    for pair in of {
        progress.check()?;
        let one = pair.score(plan, *ignore_geometry)?;
        let text = format!("target {}, prediction {}\n{}", one.target, one.prediction, one.scores);
        progress.tell(Event::Note(text.trim_end()));
        pairs.push(one);
    }
    let summaries = summaries(&pairs);
    if let Some(path) = json {
        let document = serde_json::json!({ "plan": plan, "pairs": pairs, "summary": summaries });
        atomic_write(path, |file| writeln!(file, "{document:#}"))?;
    }
    Ok(Found { pairs, summaries })
}

/// A target, its prediction and the mask of both.
struct Pair {
    target: PathBuf,
    prediction: PathBuf,
    mask: Option<PathBuf>,
}

impl Pair {
    fn score(&self, plan: &Plan, ignore_geometry: bool) -> Result<Scored> {
        let (target, prediction) = (read(&self.target)?, read(&self.prediction)?);
        let mask = self.mask.as_deref().map(read).transpose()?;
        if !ignore_geometry {
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
        Ok(Scored {
            target: name(&self.target),
            prediction: name(&self.prediction),
            mask: self.mask.as_deref().map(name),
            scores: evaluate::score(&target, &prediction, mask.as_ref(), plan)?,
        })
    }
}

fn read(path: &Path) -> Result<Volume> {
    if slices::is_slice(path) { slices::read(path, Colour::Grey) } else { nifti::read(path) }
}

/// Two files, or the files of two folders by name.
fn paired(target: &Path, prediction: &Path, mask: Option<&Path>) -> Result<Vec<Pair>> {
    let partner = |place: &Path, of: &Path| -> Result<PathBuf> {
        if !place.is_dir() {
            return Ok(place.to_path_buf());
        }
        let name = stem(of);
        scans(place)?.into_iter().find(|path| stem(path) == name).ok_or_else(|| {
            let expected = format!("one named {name} like {}", of.display());
            Error::file(place, "scans", expected, "none", "give both files the same name")
        })
    };
    let targets = match (target.is_dir(), prediction.is_dir()) {
        (true, true) => scans(target)?,
        (true, false) => {
            let advice = "give two files or two folders";
            return Err(Error::file(prediction, "prediction", "a folder, as the target is", "none", advice));
        }
        _ => vec![target.to_path_buf()],
    };
    if targets.is_empty() {
        let expected = ".nii, .nii.gz, .hdr with .img, PNG or TIFF files";
        return Err(Error::file(target, "scans", expected, "none", "give a folder that holds scans"));
    }
    let pair = |target: PathBuf| {
        let prediction = partner(prediction, &target)?;
        let mask = mask.map(|mask| partner(mask, &target)).transpose()?;
        Ok(Pair { target, prediction, mask })
    };
    targets.into_iter().map(pair).collect()
}

/// The scans that lie in `folder`, by name.
fn scans(folder: &Path) -> Result<Vec<PathBuf>> {
    let fail = |source| Error::io(folder, "list this folder", source);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && path.is_file() && (nifti::is_nifti(&path) || slices::is_slice(&path)) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The file's name without the ending that tells its format.
fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_string()
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
    fn names_without_their_endings() {
        for (name, expected) in [("a/sub-01.nii.gz", "sub-01"), ("sub-01.hdr", "sub-01"), ("x.y.png", "x.y")]
        {
            assert_eq!(stem(Path::new(name)), expected);
        }
    }
}
