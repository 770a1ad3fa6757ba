//! The run's folder: recipe, versions, log, pictures, checkpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use image::GrayImage;
use serde_json::{Value, json};

use super::events::EventFile;
use super::run::Event;
use super::watch::Warning;
use crate::error::{Error, Result};
use crate::io::atomic_write;
use crate::report::png_bytes;

/// Checkpoints that are kept: the last, and one in case the last is damaged.
const KEPT: usize = 2;

/// A run's folder, open for writing.
///
/// ```text
/// run/recipe.toml        the resolved recipe
/// run/versions.json      program, backend, machine
/// run/stats.jsonl        one line each few steps
/// run/events.out.tfevents.*   the same, and the pictures, for TensorBoard
/// run/samples/*.png      reals, and samples at intervals
/// run/checkpoints/step-*.safetensors   the last two
/// run/checkpoints/best.safetensors     the best on people of validation
/// ```
#[derive(Debug)]
pub struct RunFolder {
    /// The folder.
    pub path: PathBuf,
    log: File,
    /// Keys of the warnings that were told.
    warned: BTreeSet<String>,
    events: EventFile,
}

impl RunFolder {
    /// Opens or creates `path` for `recipe` (as TOML); log lines after `step` (of an interrupted run) are dropped.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written.
    pub fn open(path: &Path, recipe: &str, backend: &str, step: u64) -> Result<Self> {
        for folder in ["samples", "checkpoints"] {
            let folder = path.join(folder);
            fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, "make the folder", e))?;
        }
        atomic_write(&path.join("recipe.toml"), |file| file.write_all(recipe.as_bytes()))?;
        let versions = json!({
            "voxgan": env!("CARGO_PKG_VERSION"),
            "burn": "0.21.0",
            "backend": backend,
            "instruction_set": crate::ops::cpu::isa().name(),
            "threads": rayon::current_num_threads(),
            "system": format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        });
        atomic_write(&path.join("versions.json"), |file| write!(file, "{versions:#}"))?;
        let stats = path.join("stats.jsonl");
        let mut warned = BTreeSet::new();
        if stats.exists() {
            let io = |e| Error::io(&stats, "read the log", e);
            let lines: Vec<String> = BufReader::new(File::open(&stats).map_err(io)?)
                .lines()
                .collect::<std::io::Result<_>>()
                .map_err(io)?;
            let parsed = |line: &String| serde_json::from_str::<Value>(line).ok();
            let before =
                |line: &&String| parsed(line).is_some_and(|v| v["step"].as_u64().is_some_and(|s| s <= step));
            let kept: Vec<&String> = lines.iter().filter(before).collect();
            let warnings =
                kept.iter().filter_map(|line| Some(parsed(line)?["warning"].as_str()?.to_string()));
            warned.extend(warnings);
            atomic_write(&stats, |file| kept.iter().try_for_each(|line| writeln!(file, "{line}")))?;
        }
        let log = OpenOptions::new().create(true).append(true).open(&stats);
        let log = log.map_err(|e| Error::io(&stats, "open the log", e))?;
        Ok(Self { path: path.to_path_buf(), log, warned, events: EventFile::create(path, step)? })
    }

    /// Appends a line of numbers to the log; numbers that are not finite are written as null.
    ///
    /// # Errors
    /// [`Error::Io`], for instance on a full disk.
    pub fn log(&mut self, numbers: &BTreeMap<String, f64>) -> Result<()> {
        let line: serde_json::Map<String, Value> = numbers
            .iter()
            .map(|(key, &value)| {
                let whole = matches!(key.as_str(), "step" | "images");
                (key.clone(), if whole { json!(value as u64) } else { json!(value) })
            })
            .collect();
        self.append(&Value::Object(line))?;
        self.events.scalars(numbers.get("step").map_or(0, |&step| step as u64), numbers)
    }

    /// Reports `warning` after `step` steps, and adds it to the log; each warning only once in a run.
    ///
    /// # Errors
    /// [`Error::Io`], for instance on a full disk.
    pub fn warn(&mut self, step: u64, warning: Warning, tell: &dyn Fn(Event)) -> Result<()> {
        if !self.warned.insert(warning.key().into()) {
            return Ok(());
        }
        tell(Event::Warned { step, text: warning.text() });
        self.append(&json!({ "step": step, "warning": warning.key(), "text": warning.text() }))
    }

    fn append(&mut self, line: &Value) -> Result<()> {
        writeln!(self.log, "{line}")
            .and_then(|()| self.log.flush())
            .map_err(|e| Error::io(&self.path.join("stats.jsonl"), "append to the log", e))
    }

    /// Writes the picture `name` of `step`; `kind` is the name that pictures of all steps share in the event file.
    ///
    /// # Errors
    /// [`Error::Io`], for instance on a full disk; [`Error::Value`] as [`png_bytes`].
    pub fn picture(
        &mut self,
        name: &str,
        kind: &str,
        step: u64,
        image: &GrayImage,
        tell: &dyn Fn(Event),
    ) -> Result<()> {
        let path = self.path.join("samples").join(format!("{name}.png"));
        let png = png_bytes(image)?;
        atomic_write(&path, |file| file.write_all(&png))?;
        self.events.picture(step, kind, [image.width(), image.height()], &png)?;
        tell(Event::Wrote(&path));
        Ok(())
    }

    /// Adds the histogram of `values` to the event file.
    ///
    /// # Errors
    /// [`Error::Io`], for instance on a full disk.
    pub fn histogram(&mut self, name: &str, step: u64, values: &[f32]) -> Result<()> {
        self.events.histogram(step, name, values)
    }

    /// The path of the checkpoint of `step`.
    pub fn checkpoint(&self, step: u64) -> PathBuf {
        self.path.join("checkpoints").join(format!("step-{step:08}.safetensors"))
    }

    /// The path of the best checkpoint of the run in `path`.
    pub fn best_of(path: &Path) -> PathBuf {
        path.join("checkpoints").join("best.safetensors")
    }

    /// Removes all checkpoints except the best and the last two.
    ///
    /// # Errors
    /// [`Error::Io`] if one cannot be removed.
    pub fn prune(&self) -> Result<()> {
        let folder = self.path.join("checkpoints");
        let entries = fs::read_dir(&folder).map_err(|e| Error::io(&folder, "list the checkpoints", e))?;
        let best = Self::best_of(&self.path);
        let is_checkpoint =
            |path: &PathBuf| path.extension().is_some_and(|e| e == "safetensors") && *path != best;
        let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(is_checkpoint).collect();
        paths.sort();
        let old = paths.len().saturating_sub(KEPT);
        paths[..old].iter().try_for_each(|path| {
            fs::remove_file(path).map_err(|e| Error::io(path, "remove the old checkpoint", e))
        })
    }
}
