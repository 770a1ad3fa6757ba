//! `voxgan score`: how near predictions come to their targets, in the definitions of a named project.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Serialize;

use super::numbers::AxisName;
use crate::error::{Error, Result};
use crate::io::slices::Colour;
use crate::io::{nifti, slices, write_beside};
use crate::metrics::{Plan, Profile, Scores, score};
use crate::volume::{Volume, check_grids};

/// Score predictions against their targets.
///
/// Every number is printed with its kernel, range and region, as one project defines it. Numbers of different profiles
/// are not comparable. Several pairs, or two folders whose files have the same names, also get means and standard
/// deviations.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The target (ground truth) first, then its prediction; further pairs may follow. Files (.nii, .nii.gz, .hdr with
    /// .img, PNG, TIFF) or folders of them
    #[arg(value_names = ["TARGET", "PREDICTION"], num_args = 2.., required = true)]
    paths: Vec<PathBuf>,
    /// Whose definitions
    #[arg(long, value_enum)]
    profile: ProfileName,
    /// A mask on the targets' grid, inside where it is not zero: one for all, or a folder with one for each name
    #[arg(long, value_name = "MASK")]
    mask: Option<PathBuf>,
    /// The axis that slices are counted along: the third voxel axis (d), the second (h) or the first (w)
    #[arg(long, value_enum, default_value_t = AxisName::D)]
    axis: AxisName,
    /// Data range for monai, by default the target's maximum - minimum
    #[arg(long, value_name = "RANGE")]
    data_range: Option<f64>,
    /// Also what the profile does not have: MS-SSIM, HaarPSI, VIF, NRMSE
    #[arg(long)]
    all: bool,
    /// Compare voxel by voxel even if the headers say that the grids lie elsewhere
    #[arg(long)]
    ignore_geometry: bool,
    /// Also write the numbers here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProfileName {
    /// fastMRI's leaderboard: whole volume, uniform 7x7 SSIM, range = maximum of the target
    Fastmri,
    /// MONAI's metrics: SSIM with a Gaussian of 11 taps, in 2D and 3D
    Monai,
    /// Calgary-Campinas challenge: slice by slice, range = joint maximum - minimum, VIF
    Calgary,
    /// DAGAN: "NMSE" that is not squared, SSIM with range 2
    Dagan,
    /// Sanchez and Vilaplana 2018: multiplied by the brain's mask, 3D SSIM
    Sanchez,
}

/// A target, its prediction and the mask of both.
struct Pair {
    target: PathBuf,
    prediction: PathBuf,
    mask: Option<PathBuf>,
}

#[derive(Serialize)]
struct Scored {
    target: String,
    prediction: String,
    mask: Option<String>,
    #[serde(flatten)]
    scores: Scores,
}

/// A measure over the pairs.
#[derive(Debug, PartialEq, Serialize)]
struct Summary {
    name: String,
    unit: String,
    mean: f64,
    /// n − 1; zero for one pair.
    standard_deviation: f64,
    n: usize,
}

/// Pairs of files → volumes → scores → lines and a document.
///
/// # Errors
/// Files that cannot be read or have no partner, grids that differ, and what [`score()`] finds wrong.
pub fn run(args: Args) -> Result<()> {
    let plan = args.plan();
    let mut scored = Vec::new();
    for pair in args.pairs()? {
        let one = pair.score(&plan, args.ignore_geometry)?;
        println!("target {}, prediction {}", one.target, one.prediction);
        print!("{}", one.scores);
        scored.push(one);
    }
    let summaries = summaries(&scored);
    if scored.len() > 1 {
        println!("\n{:<24} {:>14} {:>14} {:>6}", format!("profile {}", plan.profile), "mean", "SD", "n");
        for Summary { name, unit, mean, standard_deviation, n } in &summaries {
            println!("{name:<24} {mean:>14.6} {standard_deviation:>14.6} {n:>6} {unit}");
        }
    }
    let Some(path) = &args.json else { return Ok(()) };
    let document = serde_json::json!({ "plan": plan, "pairs": scored, "summary": summaries });
    write_beside(path, |file| writeln!(file, "{document:#}"))
}

impl Args {
    fn plan(&self) -> Plan {
        Plan {
            profile: match self.profile {
                ProfileName::Fastmri => Profile::FastMri,
                ProfileName::Monai => Profile::Monai,
                ProfileName::Calgary => Profile::Calgary,
                ProfileName::Dagan => Profile::Dagan,
                ProfileName::Sanchez => Profile::Sanchez,
            },
            axis: self.axis.into(),
            data_range: self.data_range,
            all: self.all,
        }
    }

    fn pairs(&self) -> Result<Vec<Pair>> {
        if !self.paths.len().is_multiple_of(2) {
            let found = format!("{} paths", self.paths.len());
            let advice = "give each target with its prediction after it";
            return Err(Error::value("TARGET PREDICTION", "an even number of paths", found, advice));
        }
        let pairs = self.paths.chunks_exact(2).map(|pair| paired(&pair[0], &pair[1], self.mask.as_deref()));
        Ok(pairs.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }
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
            scores: score(&target, &prediction, mask.as_ref(), plan)?,
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
