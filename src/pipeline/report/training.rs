//! The report of a training run: its warnings, its best checkpoint, its curves and its samples.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{figure, name_of, of, section};
use crate::error::{Error, Result};
use crate::report::page::{Block, Mark, Page, Picture};
use crate::report::{Series, line_svg};
use crate::text::read_text;
use crate::train::{Best, RunFolder};

/// Quantities of the log that are drawn together: title, unit, and the names or the beginnings of names.
const PLOTS: [(&str, &str, &[&str]); 14] = [
    ("Losses", "loss", &["loss_g", "loss_d", "loss_dice", "cross_entropy"]),
    ("Logits", "logit", &["logit_real", "logit_fake"]),
    ("Difference of training volumes from the nearest samples", "", &["coverage"]),
    ("Adaptive augmentation", "", &["augmentation_p", "r_t"]),
    (
        "Fréchet distance to people of validation",
        "",
        &["validation/frechet_distance", "validation/frechet_distance_of_reals"],
    ),
    ("Precision and recall on people of validation", "share", &["validation/precision", "validation/recall"]),
    ("Anatomy beside people of validation", "", &["validation/anatomy_difference", "validation/plausible"]),
    ("Nearest training volume over nearest of other people", "ratio", &["validation/nearest_ratio"]),
    ("Variety of samples over that of real volumes", "ratio", &["variety"]),
    ("Soft Dice on training images", "Dice", &["dice/"]),
    ("Volumes of generated heads, in ml", "ml", &["volume_ml/"]),
    ("Speed", "seconds", &["seconds_per_kimg", "seconds_per_step"]),
    ("Images a second", "images", &["images_per_second"]),
    ("Peak memory, in MB", "MB", &["peak_memory_mb"]),
];

/// Pictures of samples in the report, from the first to the last.
const PICTURES: usize = 4;

/// The page of the run in the folder `run`.
///
/// # Errors
/// [`Error::Io`] or [`Error::File`] for the log, recipe and pictures.
pub fn page(run: &Path) -> Result<Page> {
    let Log { columns, warnings } = Log::read(&run.join("stats.jsonl"))?;
    let mut state: Vec<Block> =
        warnings.into_iter().map(|text| Block::Verdict(Mark::Caution, text)).collect();
    if let Some(Best { measure, value, step }) = Best::read(&RunFolder::best_of(run))? {
        let measure = measure.name();
        let text = format!(
            "The best checkpoint is that of step {step}, by {measure} on people of validation: {value:.4}. It is \
             `checkpoints/best.safetensors`."
        );
        state.push(Block::Prose(text));
    }
    let mut sections = Vec::new();
    if !state.is_empty() {
        sections.push(section("State of the run", state));
    }
    let mut curves = Vec::new();
    for (title, unit, names) in PLOTS {
        let series: Vec<Series> = columns
            .iter()
            .filter(|(key, _)| {
                names.iter().any(|name| key == name || (name.ends_with('/') && key.starts_with(name)))
            })
            .map(|(key, points)| Series {
                name: key.rsplit('/').next().unwrap_or(key).to_string(),
                points: points.clone(),
            })
            .filter(|series| series.points.iter().any(|(_, y)| y.is_finite()))
            .collect();
        if !series.is_empty() {
            curves.push(figure(
                line_svg(title, "step", unit, &series)?,
                format!("{title}, over the steps of the run."),
            ));
        }
    }
    sections.push(section("Curves", curves));
    let pictures = pictures(run)?.into_iter().map(|path| {
        let png = std::fs::read(&path).map_err(|e| Error::io(&path, "read the picture", e))?;
        let caption = match name_of(&path) {
            name if name == "reals.png" => {
                "Real volumes: axial, coronal and sagittal planes of each.".to_string()
            }
            name => format!("{name}: the state of the network then, always with the same inputs."),
        };
        Ok(Block::Picture(Picture { png, alt: format!("Planes of volumes. {caption}"), caption }))
    });
    let pictures: Vec<Block> = pictures.collect::<Result<_>>()?;
    if !pictures.is_empty() {
        sections.push(section("Samples", pictures));
    }
    let recipe = run.join("recipe.toml");
    let text = read_text(&recipe, "read the recipe")?;
    let lines: Vec<String> =
        text.lines().filter(|line| !line.is_empty()).map(|line| format!("`{line}`")).collect();
    sections.push(section("Recipe", vec![Block::Prose(lines.join("\n\n"))]));
    Ok(of(format!("Training run {}", name_of(run)), String::new(), sections))
}

/// What a log says.
#[derive(Debug, Default)]
struct Log {
    /// Numbers over steps, by name.
    columns: BTreeMap<String, Vec<(f64, f64)>>,
    /// Sentences, with their steps.
    warnings: Vec<String>,
}

impl Log {
    fn read(path: &Path) -> Result<Self> {
        let text = read_text(path, "read the log")?;
        let mut log = Self::default();
        for (number, line) in text.lines().enumerate() {
            let broken = |found: String| {
                let advice = "remove the line, or give an undamaged run";
                Error::file(path, format!("line {}", number + 1), "a JSON object with a step", found, advice)
            };
            let value: Value = serde_json::from_str(line).map_err(|e| broken(e.to_string()))?;
            let (Some(step), Some(object)) = (value["step"].as_f64(), value.as_object()) else {
                return Err(broken(line.into()));
            };
            if object.contains_key("warning") {
                let text = value["text"].as_str().unwrap_or_default();
                log.warnings.push(format!("Step {step}: {text}."));
                continue;
            }
            for (key, value) in object {
                let value = value.as_f64().unwrap_or(f64::NAN);
                log.columns.entry(key.clone()).or_default().push((step, value));
            }
        }
        Ok(log)
    }
}

/// The picture of reals, and some of samples or examples at equal steps, in the order of their names.
fn pictures(run: &Path) -> Result<Vec<PathBuf>> {
    let folder = run.join("samples");
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(&folder).map_err(|e| Error::io(&folder, "list the pictures", e))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "png"));
    paths.sort();
    let (reals, samples): (Vec<PathBuf>, Vec<PathBuf>) =
        paths.into_iter().partition(|path| name_of(path) == "reals.png");
    let count = PICTURES.min(samples.len());
    let (last, steps) = (samples.len().saturating_sub(1), count.saturating_sub(1).max(1));
    // The last one even where it is the only one.
    let chosen = (0..count).map(|at| if count == 1 { last } else { at * last / steps });
    Ok(reals.into_iter().chain(chosen.map(|at| samples[at].clone())).collect())
}
