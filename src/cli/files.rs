//! Which files a command reads and writes, in the same words for all commands: how scans are read, what may be replaced, and
//! folders of scans in the place of one.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::sampling::PRINTED;
use crate::error::{Error, Result};
use crate::io::bids;
use crate::io::dataset::scan_sha256;
use crate::io::lock::FolderLock;
use crate::io::nifti::{ReadOptions, is_nifti};
use crate::pipeline::cohort::Cohort;
use crate::pipeline::restore::beside;
use crate::pipeline::sidecar;
use crate::text::{read_text, to_text};

/// How scans are read.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct ReadArgs {
    /// The frame to take from 4D scans, from 0
    #[arg(long, value_name = "N")]
    frame: Option<usize>,
    /// Read voxels that are NaN, infinite or beyond float32 as 0, instead of refusing the scan
    #[arg(long)]
    nan_to_zero: bool,
}

impl From<ReadArgs> for ReadOptions {
    fn from(ReadArgs { frame, nan_to_zero }: ReadArgs) -> Self {
        Self { frame, nan_to_zero }
    }
}

/// What happens to files that are there already.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct ForceArgs {
    /// Replace files that are there; a record that voxgan did not write is kept with .orig behind its name
    #[arg(long)]
    pub force: bool,
}

impl ForceArgs {
    /// Whether `output` may be written, its record beside it and images of these kinds beside it.
    ///
    /// # Errors
    /// [`Error::File`] for one that is there, unless it may be replaced.
    pub fn check(self, output: &Path, kinds: &[&str], inputs: &[&Path]) -> Result<()> {
        if self.force {
            return Ok(());
        }
        let same = |path: &Path, other: &Path| matches!((path.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other);
        if inputs.iter().any(|input| same(input, output)) {
            let advice = "choose another name, or add --force to lose the input";
            return Err(Error::file(output, "output", "another file than the input", "the same", advice));
        }
        let images = [output.to_path_buf()].into_iter().chain(kinds.iter().map(|kind| beside(output, kind)));
        let record = if is_nifti(output) { sidecar::path(output) } else { output.with_extension("json") };
        let foreign = sidecar::is_foreign(&record)
            .then(|| format!("the record {}, which voxgan did not write", record.display()));
        let there = images.filter(|path| path.exists()).map(|path| path.display().to_string()).chain(foreign);
        let there = there.collect::<Vec<_>>().join(", ");
        if there.is_empty() {
            return Ok(());
        }
        let advice = "choose another name, or add --force to replace what is there";
        Err(Error::file(output, "output", "names that are free", there, advice))
    }
}

/// How a folder of scans is gone through.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct StrictArgs {
    /// Stop at the first input that fails, instead of going on and listing it at the end
    #[arg(long)]
    pub strict: bool,
}

/// All three, of commands that make an image of a scan.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct FileArgs {
    #[command(flatten)]
    pub read: ReadArgs,
    #[command(flatten)]
    pub force: ForceArgs,
    #[command(flatten)]
    pub strict: StrictArgs,
}

/// The list of what is done in a folder of results, a line each.
const DONE: &str = "done.jsonl";

/// A job that makes an image of a scan, or of each scan of a folder an image in another.
#[derive(Debug)]
pub struct Work<'a> {
    /// The scan, or the folder.
    pub input: &'a Path,
    /// The image, or the folder.
    pub output: &'a Path,
    /// All else that decides what comes out; of a folder, results of the same are kept.
    pub settings: Value,
    /// What the job writes beside the image.
    pub kinds: &'a [&'a str],
    /// Its other files, which belong to one scan: the option and whether it was given.
    pub single: &'a [(&'a str, bool)],
}

impl Work<'_> {
    /// Does `one` for the scan, or for each of the folder: one that fails ends no others, and one that was done is kept.
    ///
    /// # Errors
    /// Those of `one`; [`Error::File`] for results that are there or that have the same name; [`Error::Incomplete`] where some
    /// scans failed.
    pub fn run(&self, args: FileArgs, one: &mut dyn FnMut(&Path, &Path) -> Result<()>) -> Result<()> {
        let Self { input, output, kinds, .. } = *self;
        if !input.is_dir() {
            args.force.check(output, kinds, &[input])?;
            return one(input, output);
        }
        if let Some((option, _)) = self.single.iter().find(|(_, given)| *given) {
            let (found, advice) =
                (format!("the folder {}", input.display()), "leave it out, or give one scan");
            return Err(Error::value(*option, "one scan as IN", found, advice));
        }
        let scans = bids::volumes(input)?;
        let images = results(input, output, &scans)?;
        let _lock = FolderLock::hold(output)?;
        let list = output.join(DONE);
        let mut done = if args.force.force { Vec::new() } else { lines(&list)? };
        let mut cohort = Cohort::new(scans.len(), args.strict.strict, &PRINTED);
        for (scan, image) in scans.iter().zip(&images) {
            let name = scan.display().to_string();
            let line = |sha256: &str| {
                json!({ "Image": to_text(image), "SourceSHA256": sha256, "Settings": self.settings,
                        "VoxganVersion": env!("CARGO_PKG_VERSION") })
            };
            let sha256 = scan_sha256(scan).unwrap_or_default();
            let line = line(&sha256);
            if image.is_file() && done.contains(&line) {
                cohort.kept(&name);
                continue;
            }
            // What this job made of it with other settings may go.
            let ours = done.iter().any(|other| other["Image"] == line["Image"]);
            let made = cohort.next(&name, || {
                ForceArgs { force: args.force.force || ours }.check(image, kinds, &[scan])?;
                one(scan, image)
            })?;
            if made.is_some() {
                let file = OpenOptions::new().create(true).append(true).open(&list);
                file.and_then(|mut file| writeln!(file, "{line}"))
                    .map_err(|e| Error::io(&list, "add a line", e))?;
                done.push(line);
            }
        }
        Error::incomplete("scans", scans.len(), cohort.failures())
    }
}

/// Where the results of scans go: under the same names below `output` as `NIfTI` in one file.
fn results(input: &Path, output: &Path, scans: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut taken = BTreeMap::new();
    let mut images = Vec::with_capacity(scans.len());
    for scan in scans {
        let within = scan.strip_prefix(input).unwrap_or(scan);
        let name = within.to_string_lossy();
        let plain = name.strip_suffix(".gz").unwrap_or(&name);
        let stem = plain.strip_suffix(".nii").or_else(|| plain.strip_suffix(".hdr")).unwrap_or(plain);
        let image = output.join(format!("{stem}.nii.gz"));
        if let Some(other) = taken.insert(image.clone(), scan) {
            let (found, advice) = (format!("{} too", other.display()), "rename one of them");
            return Err(Error::file(scan, "name", "one that gives a result of its own", found, advice));
        }
        images.push(image);
    }
    Ok(images)
}

/// The lines of a list; of one that is not there none, and none that was cut off.
fn lines(path: &Path) -> Result<Vec<Value>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = read_text(path, "read the list of what is done")?;
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_not_replaced_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let [input, output] = ["in.nii", "out.nii"].map(|name| folder.path().join(name));
        std::fs::write(&input, "a scan").unwrap();
        let check = |force| ForceArgs { force }.check(&output, &["baseline"], &[&input]);
        check(false).unwrap();
        for (name, content) in
            [("out.nii", ""), ("out_baseline.nii", ""), ("out.json", r#"{"RepetitionTime": 2.3}"#)]
        {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            let message = check(false).unwrap_err().to_string();
            assert!(message.contains(name) && message.contains("--force"), "{message}");
            check(true).unwrap();
            std::fs::remove_file(path).unwrap();
        }
        let same = ForceArgs { force: false }.check(&folder.path().join("./in.nii"), &[], &[&input]);
        assert!(same.unwrap_err().to_string().contains("the same"));
    }

    #[test]
    fn a_folder_goes_on_past_a_bad_scan_and_keeps_what_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let [input, output] = ["in", "out"].map(|name| folder.path().join(name));
        std::fs::create_dir(&input).unwrap();
        for name in ["a.nii", "b.nii.gz", "c.nii"] {
            std::fs::write(input.join(name), name).unwrap();
        }
        let run = |settings: i32, broken: &str| {
            let work =
                Work { input: &input, output: &output, settings: json!(settings), kinds: &[], single: &[] };
            let mut did = Vec::new();
            let ended = work.run(FileArgs::default(), &mut |scan, image| {
                did.push(scan.file_name().unwrap().to_string_lossy().into_owned());
                if !broken.is_empty() && scan.ends_with(broken) {
                    return Err(Error::file(scan, "voxels", "all", "some", "copy it again"));
                }
                std::fs::write(image, "result").map_err(|e| Error::io(image, "write it", e))
            });
            (did.join(" "), ended.err().map(|error| crate::cli::exit_code(&error)))
        };
        assert_eq!(run(1, "b.nii.gz"), ("a.nii b.nii.gz c.nii".into(), Some(4)));
        assert_eq!(run(1, ""), ("b.nii.gz".into(), None));
        assert_eq!(run(1, ""), (String::new(), None));
        std::fs::write(input.join("c.nii"), "another").unwrap();
        assert_eq!(run(1, ""), ("c.nii".into(), None));
        assert_eq!(run(2, ""), ("a.nii b.nii.gz c.nii".into(), None));
        std::fs::write(input.join("b.nii"), "b").unwrap();
        let work = Work { input: &input, output: &output, settings: json!(2), kinds: &[], single: &[] };
        let clash = work.run(FileArgs::default(), &mut |_, _| unreachable!("names are checked first"));
        assert!(clash.unwrap_err().to_string().contains("b.nii"));
    }
}
