//! A job on one scan, or on each scan of a folder.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use super::cohort::Cohort;
use super::outputs::Writes;
use super::progress::Progress;
use crate::error::{Error, Result};
use crate::io::bids;
use crate::io::dataset::scan_sha256;
use crate::io::lock::FolderLock;
use crate::io::scan::{self, Format};
use crate::io::shard::{Record, Shard};
use crate::text::{read_text, to_text};

/// The list of what is done in a folder of results, a line each.
pub const DONE: &str = "done.jsonl";

/// The options of a job that makes an image of a scan.
pub trait OfScan: Writes + Clone + Serialize {
    /// Where the scan is, and where the image goes.
    fn paths(&mut self) -> [&mut PathBuf; 2];

    /// The inputs of this job in a folder.
    ///
    /// # Errors
    /// [`Error::Io`] for a folder that cannot be listed; [`Error::File`] for one without any.
    fn scans(folder: &Path) -> Result<Vec<PathBuf>> {
        bids::volumes(folder)
    }

    /// How the names of images end in a folder.
    fn ending(&self) -> &str {
        ".nii.gz"
    }
}

/// A job from a scan to an image, or from a folder of scans to a folder of images.
#[derive(Debug)]
pub struct Work<'a, J> {
    /// Its options: the scan and the image, or the folders.
    pub job: &'a J,
    /// All other settings that the result depends on; in folders, results with the same settings are kept.
    pub with: Value,
}

impl<J: OfScan> Work<'_, J> {
    /// Calls `one` for the scan, or for each of the folder. Others continue when one fails, unless `strict`. Results of an
    /// earlier run are kept, unless `force`, which also replaces existing files. Of a folder only the scans of `shard`, if there
    /// is one, into its folder below that of the results.
    ///
    /// # Errors
    /// Those of `one`; [`Error::File`] for results that exist or that have the same name, and while another process
    /// writes to the folder; [`Error::Value`] for an option of a single scan with a folder; [`Error::Incomplete`] where
    /// some scans failed.
    pub fn run(
        &self,
        force: bool,
        strict: bool,
        shard: Option<Shard>,
        progress: &Progress,
        one: &mut dyn FnMut(&J) -> Result<()>,
    ) -> Result<()> {
        let mut settings = self.job.clone();
        let [input, output] = settings.paths().map(std::mem::take);
        // A tree of DICOM is one scan where its image is one file.
        let one_file = Format::of_name(&output).is_some() && scan::is_scan(&input);
        if !scan::is_folder(&input) || one_file {
            if shard.is_some() {
                let (found, advice) = (input.display().to_string(), "leave it out, or give a folder");
                return Err(Error::value("--shard", "a folder of scans as IN", found, advice));
            }
            self.job.files().check(force)?;
            return one(self.job);
        }
        if let Some(option) = self.job.files().option() {
            let (found, advice) =
                (format!("the folder {}", input.display()), "leave it out, or give one scan");
            return Err(Error::value(option, "one scan as IN", found, advice));
        }
        let scans = J::scans(&input)?;
        let output = shard.map_or(output.clone(), |shard| shard.folder(&output));
        let images = results(&input, &output, &scans, self.job.ending())?;
        let inputs: Vec<String> = scans.iter().map(|scan| scan.display().to_string()).collect();
        let (scans, images): (Vec<_>, Vec<_>) = scans
            .into_iter()
            .zip(images)
            .filter(|(scan, _)| shard.is_none_or(|shard| shard.takes(scan)))
            .unzip();
        let _lock = FolderLock::hold(&output)?;
        if shard.is_some() {
            Record::withdraw(&output)?;
        }
        let list = output.join(DONE);
        let mut done = if force { Vec::new() } else { lines(&list)? };
        let mut cohort = Cohort::new(scans.len(), strict, progress);
        for (scan, image) in scans.iter().zip(&images) {
            let name = scan.display().to_string();
            let mut line = json!({
                "Image": to_text(image),
                "SourceSHA256": scan_sha256(scan).unwrap_or_default(),
                "Settings": json!([settings, self.with]),
                "VoxganVersion": env!("CARGO_PKG_VERSION"),
            });
            let same =
                |other: &Value| line.as_object().is_some_and(|line| line.iter().all(|(k, v)| other[k] == *v));
            if image.exists() && done.iter().any(same) {
                cohort.kept(&name);
                continue;
            }
            // Where it lies makes no difference.
            line["Source"] = name.clone().into();
            // What this job made of it with other settings may go.
            let ours = done.iter().any(|other| other["Image"] == line["Image"]);
            let made = cohort.next(&name, || {
                let mut job = settings.clone();
                job.paths().into_iter().zip([scan, image]).for_each(|(place, path)| place.clone_from(path));
                job.files().check(force || ours)?;
                one(&job)
            })?;
            if made.is_some() {
                let file = OpenOptions::new().create(true).append(true).open(&list);
                file.and_then(|mut file| writeln!(file, "{line}"))
                    .map_err(|e| Error::io(&list, "add a line", e))?;
                done.push(line);
            }
        }
        let failures = cohort.failures();
        if let Some(shard) = shard {
            Record { shard, inputs, failures: failures.clone() }.write(&output)?;
        }
        Error::incomplete("scans", scans.len(), failures)
    }
}

/// Where the results of scans go: under the same names below `output`, with this ending.
fn results(input: &Path, output: &Path, scans: &[PathBuf], ending: &str) -> Result<Vec<PathBuf>> {
    let mut taken = BTreeMap::new();
    let mut images = Vec::with_capacity(scans.len());
    for scan in scans {
        let within = scan.strip_prefix(input).unwrap_or(scan);
        let name = within.to_string_lossy();
        let stem = scan::stem(&name);
        let stem = [".h5", ".cfl"].iter().find_map(|end| stem.strip_suffix(end)).unwrap_or(stem);
        let image = output.join(format!("{stem}{ending}"));
        if let Some(other) = taken.insert(image.clone(), scan) {
            let (found, advice) = (format!("{} too", other.display()), "rename one of them");
            return Err(Error::file(scan, "name", "one that gives a result of its own", found, advice));
        }
        images.push(image);
    }
    Ok(images)
}

/// The lines of a list; of one that is not there none, and none that was cut off.
///
/// # Errors
/// [`Error::Io`] if it cannot be read.
pub fn lines(path: &Path) -> Result<Vec<Value>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = read_text(path, "read the list of what is done")?;
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::n4::Options;

    #[test]
    fn a_folder_goes_on_past_a_bad_scan_and_keeps_what_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let [input, output] = ["in", "out"].map(|name| folder.path().join(name));
        std::fs::create_dir(&input).unwrap();
        for name in ["a.nii", "b.nii.gz", "c.nii"] {
            std::fs::write(input.join(name), name).unwrap();
        }
        let job = Options { input: input.clone(), output: output.clone(), ..Options::default() };
        let run = |settings: i32, broken: &str| {
            let work = Work { job: &job, with: json!(settings) };
            let mut did = Vec::new();
            let ended = work.run(
                false,
                false,
                None,
                &Progress::default(),
                &mut |Options { input: scan, output: image, .. }| {
                    did.push(scan.file_name().unwrap().to_string_lossy().into_owned());
                    if !broken.is_empty() && scan.ends_with(broken) {
                        return Err(Error::file(scan, "voxels", "all", "some", "copy it again"));
                    }
                    std::fs::write(image, "result").map_err(|e| Error::io(image, "write it", e))
                },
            );
            (did.join(" "), ended.err().map(|error| matches!(error, Error::Incomplete { .. })))
        };
        assert_eq!(run(1, "b.nii.gz"), ("a.nii b.nii.gz c.nii".into(), Some(true)));
        assert_eq!(run(1, ""), ("b.nii.gz".into(), None));
        assert_eq!(run(1, ""), (String::new(), None));
        std::fs::write(input.join("c.nii"), "another").unwrap();
        assert_eq!(run(1, ""), ("c.nii".into(), None));
        assert_eq!(run(2, ""), ("a.nii b.nii.gz c.nii".into(), None));
        std::fs::write(input.join("b.nii"), "b").unwrap();
        let clash = |job: &Options| {
            let work = Work { job, with: json!(2) };
            let ended =
                work.run(false, false, None, &Progress::default(), &mut |_| unreachable!("checked first"));
            ended.unwrap_err().to_string()
        };
        assert!(clash(&job).contains("b.nii"));
        // One field of a folder's scans.
        assert!(clash(&Options { field: Some("f.nii".into()), ..job.clone() }).contains("--field"));
    }
}
