//! Parts of a job on many scans that run apart from one another, as tasks of an array job: each takes the scans of some
//! subjects and writes into a folder of its own, and they are joined at the end. No task needs to know of another.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{atomic_write, bids};
use crate::error::{Error, Result};
use crate::text::read_text;

/// The folder of the parts, in the folder of the results.
pub const FOLDER: &str = "shards";
/// The record of a part that is done.
pub const RECORD: &str = "shard.json";

/// A part of a job: number `number`, from 1, of `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Its number, from 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        match numbers {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Self { number, of }),
            _ => Err("expected I/N with I from 1 to N, such as 3/8".into()),
        }
    }
}

impl Shard {
    /// Whether the scan at `path` belongs to this part: by its subject (`sub-01`), or else its file's name, of which the
    /// first eight bytes of SHA-256 are a number that is divided by that of the parts. So all scans of a subject are in one
    /// part, whatever other scans there are.
    pub fn takes(self, path: &Path) -> bool {
        let name = || path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let subject = bids::entities(path).0.unwrap_or_else(name);
        let hash = Sha256::digest(subject.as_bytes());
        let number = hash[..8].iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        number % self.of as u64 == self.number as u64 - 1
    }

    /// Where this part writes, of a job that writes into `out`.
    pub fn folder(self, out: &Path) -> PathBuf {
        out.join(FOLDER).join(format!("{}-of-{}", self.number, self.of))
    }
}

/// What a part that is done says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The part.
    #[serde(flatten)]
    pub shard: Shard,
    /// All inputs of the job, in their order: those of every part.
    pub inputs: Vec<String>,
    /// A line for each of its own inputs that failed.
    pub failures: Vec<String>,
}

impl Record {
    /// Writes the record of a part into its `folder`, as the last of its files.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        atomic_write(&folder.join(RECORD), |file| {
            serde_json::to_writer_pretty(&mut *file, self)?;
            file.write_all(b"\n")
        })
    }

    /// Withdraws the record of an earlier run in `folder`: it is not done until it is done again.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be removed.
    pub fn withdraw(folder: &Path) -> Result<()> {
        let path = folder.join(RECORD);
        match path.exists() {
            true => fs::remove_file(&path).map_err(|e| Error::io(&path, "replace it", e)),
            false => Ok(()),
        }
    }

    /// The parts of the job that writes into `out`, all of them done: their folders and records, in order.
    ///
    /// # Errors
    /// [`Error::File`] without parts, with parts of different jobs, and if one is not done; [`Error::Io`] or
    /// [`Error::File`] for records that cannot be read.
    pub fn of_all(out: &Path) -> Result<Vec<(PathBuf, Self)>> {
        let place = out.join(FOLDER);
        let wrong = |field: &str, expected: String, found: String, advice: &str| {
            Err(Error::file(&place, field, expected, found, advice))
        };
        let names = fs::read_dir(&place).map_or(Vec::new(), |entries| {
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
        });
        let shards: Vec<Shard> =
            names.iter().filter_map(|name| name.replacen("-of-", "/", 1).parse().ok()).collect();
        let Some(Shard { of, .. }) = shards.first().copied() else {
            let advice = "give the folder that a command with --shard has written into";
            return wrong("parts", "folders such as 1-of-8".into(), "none".into(), advice);
        };
        if shards.iter().any(|shard| shard.of != of) {
            let advice = "remove those of earlier runs";
            return wrong("parts", "parts of one job".into(), names.join(", "), advice);
        }
        let mut found: Vec<(PathBuf, Self)> = Vec::with_capacity(of);
        for number in 1..=of {
            let folder = Shard { number, of }.folder(out);
            if !folder.join(RECORD).is_file() {
                let (expected, advice) =
                    (format!("all {of} of them done"), "run this part again: it goes on where it was");
                return wrong("parts", expected, format!("part {number} is not"), advice);
            }
            let text = read_text(&folder.join(RECORD), "read the record of this part")?;
            let record: Self = serde_json::from_str(&text).map_err(|e| {
                let (file, advice) = (folder.join(RECORD), "run this part again");
                Error::file(&file, "content", "the record of a part", e.to_string(), advice)
            })?;
            if found.first().is_some_and(|(_, first)| first.inputs != record.inputs) {
                let advice = "run all parts again: they keep what has not changed";
                let found = format!("others in part {number} than in part 1");
                return wrong("inputs", "the same in all parts".into(), found, advice);
            }
            found.push((folder, record));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_numbers_from_one() {
        assert_eq!("3/8".parse(), Ok(Shard { number: 3, of: 8 }));
        for text in ["0/8", "9/8", "1", "1/0", "a/b", "1/2/3"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_scan_is_in_one_part_and_a_subject_in_no_two() {
        let paths: Vec<PathBuf> = (0..60)
            .flat_map(|n| {
                ["a", "b"].map(|session| {
                    PathBuf::from(format!("sub-{n:02}/ses-{session}/anat/sub-{n:02}_ses-{session}_T1w.nii"))
                })
            })
            .collect();
        let of = 7;
        let parts: Vec<Vec<usize>> = paths
            .iter()
            .map(|path| (1..=of).filter(|&number| Shard { number, of }.takes(path)).collect())
            .collect();
        assert!(parts.iter().all(|parts| parts.len() == 1));
        assert!(parts.chunks(2).all(|sessions| sessions[0] == sessions[1]));
        assert!((1..=of).all(|number| parts.iter().any(|part| part[0] == number)), "one is empty");
    }

    /// By `printf sub-01 | sha256sum | cut -c1-16`, as a number, modulo 10: a change would deal all cohorts out anew.
    #[test]
    fn the_part_of_a_subject_is_pinned() {
        let of = 10;
        let part = |name: &str| (1..=of).find(|&number| Shard { number, of }.takes(Path::new(name))).unwrap();
        assert_eq!([part("sub-01_T1w.nii.gz"), part("sub-02_T1w.nii.gz"), part("head.nii")], [2, 2, 6]);
    }
}
