//! The report of a training run: its curves and its last samples.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{figure, name_of, of, section};
use crate::error::{Error, Result};
use crate::report::page::{Block, Page, Picture};
use crate::report::{Series, line_svg};

/// Quantities of the log that are drawn together: title, unit, and the names or the beginnings of names.
const PLOTS: [(&str, &str, &[&str]); 6] = [
    ("Losses", "loss", &["loss_g", "loss_d", "loss_dice", "cross_entropy"]),
    ("Logits", "logit", &["logit_real", "logit_fake"]),
    ("Adaptive augmentation", "", &["augmentation_p", "r_t"]),
    ("Soft Dice on training images", "Dice", &["dice/"]),
    ("Volumes of generated heads, in ml", "ml", &["volume_ml/"]),
    ("Speed", "seconds", &["seconds_per_kimg", "seconds_per_step"]),
];

/// Its page.
///
/// # Errors
/// What is wrong with the folder.
pub fn page(run: &Path) -> Result<Page> {
    let columns = log(&run.join("stats.jsonl"))?;
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
            .collect();
        if !series.is_empty() {
            curves.push(figure(line_svg(title, "step", unit, &series)?, format!("{title}.")));
        }
    }
    let mut sections = vec![section("Curves", curves)];
    if let Some(path) = last_sample(run)? {
        let png = std::fs::read(&path).map_err(|e| Error::io(&path, "read the picture", e))?;
        let caption = name_of(&path);
        let picture = Picture { png, alt: format!("Samples at {caption}"), caption };
        sections.push(section("Last samples", vec![Block::Picture(picture)]));
    }
    let recipe = run.join("recipe.toml");
    let text = std::fs::read_to_string(&recipe).map_err(|e| Error::io(&recipe, "read the recipe", e))?;
    let lines: Vec<String> =
        text.lines().filter(|line| !line.is_empty()).map(|line| format!("`{line}`")).collect();
    sections.push(section("Recipe", vec![Block::Prose(lines.join("\n\n"))]));
    Ok(of(format!("Training run {}", name_of(run)), String::new(), sections))
}

/// The columns of a log over its steps.
fn log(path: &Path) -> Result<BTreeMap<String, Vec<(f64, f64)>>> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read the log", e))?;
    let mut columns: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let broken = |found: String| {
            let advice = "remove the line, or give an undamaged run";
            Error::file(path, format!("line {}", number + 1), "a JSON object with a step", found, advice)
        };
        let value: Value = serde_json::from_str(line).map_err(|e| broken(e.to_string()))?;
        let (Some(step), Some(object)) = (value["step"].as_f64(), value.as_object()) else {
            return Err(broken(line.into()));
        };
        for (key, value) in object {
            columns.entry(key.clone()).or_default().push((step, value.as_f64().unwrap_or(f64::NAN)));
        }
    }
    Ok(columns)
}

/// The last picture of samples, by its name; pictures of reals are not samples.
fn last_sample(run: &Path) -> Result<Option<PathBuf>> {
    let folder = run.join("samples");
    if !folder.is_dir() {
        return Ok(None);
    }
    let entries = std::fs::read_dir(&folder).map_err(|e| Error::io(&folder, "list the pictures", e))?;
    let sample = |path: &PathBuf| name_of(path).starts_with("kimg-") && name_of(path).ends_with(".png");
    Ok(entries.flatten().map(|entry| entry.path()).filter(sample).max())
}
