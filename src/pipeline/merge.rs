//! The parts of a job that ran as an array become one folder of results.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::derivatives::{Derived, LIST, TABLE, derived, read_json, write_tables};
use super::folder::{DONE, lines};
use super::sidecar;
use crate::error::{Error, Result};
use crate::io::atomic_write;
use crate::io::dataset::manifest::{self, Manifest};
use crate::io::lock::{FolderLock, NAME as LOCK};
use crate::io::shard::{FOLDER, RECORD, Record};
use crate::text::to_text;

/// What parts are removed under, once they are joined.
const JOINED: &str = ".joined-shards";

/// What was joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// Number of parts.
    pub parts: usize,
    /// Number of inputs of the job.
    pub inputs: usize,
    /// A line for each input that failed.
    pub failures: Vec<String>,
}

/// What lists the results of a job, and so says which job it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listed {
    Dataset,
    Volumes,
    Images,
}

impl Listed {
    const ALL: [Self; 3] = [Self::Dataset, Self::Volumes, Self::Images];

    fn file(self) -> &'static str {
        match self {
            Self::Dataset => manifest::FILE,
            Self::Volumes => LIST,
            Self::Images => DONE,
        }
    }
}

/// Joins the parts of the job that wrote into `out` with `--shard`: every input is in one of them, once. Results of an
/// earlier job in `out` are replaced where they are of the same scans. Stopped half-way, it goes on when called again.
///
/// # Errors
/// [`Error::File`] if a part is not done, parts have different inputs or settings, or an input is in none or in two;
/// [`Error::Io`] if files cannot be moved or written.
pub fn merge(out: &Path) -> Result<Merged> {
    let _lock = FolderLock::hold(out)?;
    remove(&out.join(JOINED))?;
    let parts = Record::of_all(out)?;
    let inputs = &parts[0].1.inputs;
    let failures: Vec<String> = parts.iter().flat_map(|(_, record)| record.failures.clone()).collect();
    // A part without scans has nothing to list.
    let folders: Vec<&Path> = parts.iter().map(|(folder, _)| folder.as_path()).collect();
    let holding = |listed: Listed| -> Vec<&Path> {
        folders.iter().copied().filter(|folder| folder.join(listed.file()).is_file()).collect()
    };
    let kinds: Vec<Listed> = Listed::ALL.into_iter().filter(|&listed| !holding(listed).is_empty()).collect();
    let &[listed] = &kinds[..] else {
        let found = if kinds.is_empty() { "none" } else { "those of different jobs" };
        let advice = "see why all scans failed, or give each job a folder of its own";
        return Err(Error::file(out, "parts", "results of one job", found, advice));
    };
    let folders = holding(listed);
    let finish: Box<dyn FnOnce() -> Result<()>> = match listed {
        Listed::Dataset => join_datasets(out, &folders, inputs, failures.len())?,
        Listed::Volumes => join_volumes(out, &folders, inputs, failures.len())?,
        Listed::Images => join_images(out, &folders, inputs, failures.len())?,
    };
    folders.iter().try_for_each(|folder| move_files(folder, folder, out))?;
    finish()?;
    let (shards, joined) = (out.join(FOLDER), out.join(JOINED));
    fs::rename(&shards, &joined).map_err(|e| Error::io(&shards, "put away what is joined", e))?;
    remove(&joined)?;
    Ok(Merged { parts: parts.len(), inputs: inputs.len(), failures })
}

fn remove(folder: &Path) -> Result<()> {
    match folder.exists() {
        true => fs::remove_dir_all(folder).map_err(|e| Error::io(folder, "remove what is joined", e)),
        false => Ok(()),
    }
}

/// What writes the joined lists, after the files are moved.
type Finish<'a> = Box<dyn FnOnce() -> Result<()> + 'a>;

/// The results of all inputs, in their order: `of` says which input a result is of.
///
/// # Errors
/// [`Error::File`] if an input has two results, or a result is of no input.
fn in_order<T>(
    out: &Path,
    inputs: &[String],
    results: Vec<T>,
    of: impl Fn(&T) -> String,
    failed: usize,
) -> Result<Vec<T>> {
    let place: BTreeMap<&str, usize> =
        inputs.iter().enumerate().map(|(i, input)| (input.as_str(), i)).collect();
    let mut sorted = BTreeMap::new();
    let advice = "run all parts again: they keep what has not changed";
    for result in results {
        let input = of(&result);
        let there =
            place.get(input.as_str()).and_then(|place| sorted.insert(*place, result).is_none().then_some(()));
        if there.is_none() {
            return Err(Error::file(
                out,
                "results",
                "one of each input",
                format!("{input} twice, or as no input"),
                advice,
            ));
        }
    }
    if sorted.len() + failed != inputs.len() {
        let found = format!("{} results and {failed} failures", sorted.len());
        return Err(Error::file(out, "results", format!("{} in all", inputs.len()), found, advice));
    }
    Ok(sorted.into_values().collect())
}

fn join_datasets<'a>(
    out: &'a Path,
    folders: &[&Path],
    inputs: &[String],
    failed: usize,
) -> Result<Finish<'a>> {
    let mut parts =
        folders.iter().map(|folder| Manifest::read(folder)).collect::<Result<Vec<_>>>()?.into_iter();
    let mut all = parts.next().expect("a dataset has a part");
    for part in parts {
        if (&part.settings, part.channels) != (&all.settings, all.channels) {
            return Err(other_settings(out));
        }
        all.entries.extend(part.entries);
        all.failures.extend(part.failures);
    }
    all.entries = in_order(out, inputs, all.entries, |entry| entry.source.clone(), failed)?;
    Ok(Box::new(move || all.write(out)))
}

fn join_volumes<'a>(
    out: &'a Path,
    folders: &[&Path],
    inputs: &[String],
    failed: usize,
) -> Result<Finish<'a>> {
    let settings = |folder: &Path, scan: &Derived| -> Result<Value> {
        // In a merge that goes on, some files have moved already.
        let [here, moved] = [folder, out].map(|folder| sidecar::path(&folder.join(&scan.labels)));
        let record = if here.is_file() { here } else { moved };
        Ok(read_json::<Value>(&record)?["Settings"].take())
    };
    let (mut all, mut first) = (Vec::new(), None);
    for folder in folders {
        for scan in derived(folder)? {
            let own = settings(folder, &scan)?;
            if *first.get_or_insert_with(|| own.clone()) != own {
                return Err(other_settings(out));
            }
            all.push(scan);
        }
    }
    let new = in_order(out, inputs, all, |scan| scan.scan.display().to_string(), failed)?;
    let names: BTreeSet<&Path> = new.iter().map(|scan| scan.labels.as_path()).collect();
    let mut earlier = if out.join(LIST).is_file() { derived(out)? } else { Vec::new() };
    earlier.retain(|scan| !names.contains(scan.labels.as_path()));
    for scan in &earlier {
        if first.as_ref().is_some_and(|first| settings(out, scan).is_ok_and(|own| own != *first)) {
            return Err(other_settings(out));
        }
    }
    Ok(Box::new(move || write_tables(out, &earlier.iter().chain(&new).collect::<Vec<_>>())))
}

fn join_images<'a>(out: &'a Path, folders: &[&Path], inputs: &[String], failed: usize) -> Result<Finish<'a>> {
    let mut all = BTreeMap::new();
    for folder in folders {
        for mut line in lines(&folder.join(DONE))? {
            let image = line["Image"].as_str().unwrap_or_default();
            let within = Path::new(image).strip_prefix(to_text(folder)).unwrap_or(Path::new(image));
            let image = to_text(&out.join(within));
            line["Image"] = image.clone().into();
            // Made again with other settings or of another scan, it has a line more: the last is right.
            all.insert(image, line);
        }
    }
    let mut settings = all.values().map(|line| (&line["Settings"], &line["VoxganVersion"]));
    if let Some(first) = settings.next()
        && settings.any(|other| other != first)
    {
        return Err(other_settings(out));
    }
    let source = |line: &Value| line["Source"].as_str().unwrap_or_default().to_string();
    let new = in_order(out, inputs, all.into_values().collect(), source, failed)?;
    let mut joined = lines(&out.join(DONE))?;
    joined.retain(|line| new.iter().all(|other| other["Image"] != line["Image"]));
    joined.extend(new);
    Ok(Box::new(move || {
        atomic_write(&out.join(DONE), |file| joined.iter().try_for_each(|line| writeln!(file, "{line}")))
    }))
}

fn other_settings(out: &Path) -> Error {
    let advice = "run all parts with the same program and options, or give each job a folder of its own";
    Error::file(out, "settings", "the same for all scans", "others", advice)
}

/// Moves the files below `folder` to their places below `out`, but for what lists them and for what belongs to the part.
fn move_files(part: &Path, folder: &Path, out: &Path) -> Result<()> {
    let stay: [&str; 6] = [RECORD, LOCK, manifest::FILE, LIST, TABLE, DONE];
    let entries = fs::read_dir(folder).map_err(|e| Error::io(folder, "list it", e))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let within = path.strip_prefix(part).expect("a path below the part");
        let to = out.join(within);
        if path.is_dir() {
            fs::create_dir_all(&to).map_err(|e| Error::io(&to, "make this folder", e))?;
            move_files(part, &path, out)?;
        } else if !stay.iter().any(|name| within == Path::new(name)) {
            fs::rename(&path, &to)
                .map_err(|e| Error::io(&path, format!("move it to {}", to.display()), e))?;
        }
    }
    Ok(())
}
