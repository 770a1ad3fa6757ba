//! Rows of participants.tsv for the subjects of two cohorts, matched to scans.

use std::path::{Path, PathBuf};

use super::compare::COHORTS;
use super::derivatives::subject;
use crate::error::{Error, Result};
use crate::evaluate::cohort::Known;
use crate::io::bids::{self, Participants};

/// The name of the table in a BIDS tree.
const TABLE: &str = "participants.tsv";
/// Folders in which the table is looked for, from the scan's own up: `anat`, `ses-*`, `sub-*`, a pipeline,
/// `derivatives`, the root.
const FOLDERS: usize = 6;
/// The column of ages, in years (BIDS).
const AGE: &str = "age";
/// Subjects that an error names.
const NAMED: usize = 5;

/// The table of one cohort.
pub struct Table {
    pub path: PathBuf,
    participants: Participants,
}

impl Table {
    fn read(path: &Path) -> Result<Self> {
        Ok(Self { path: path.to_path_buf(), participants: Participants::read(path)? })
    }

    /// The rows of these scans, in their order. A subject without a row has no values.
    fn rows(&self, scans: &[PathBuf]) -> Vec<Known> {
        scans.iter().map(|scan| self.row(scan).cloned().unwrap_or_default()).collect()
    }

    fn row(&self, scan: &Path) -> Option<&Known> {
        self.participants.row(&participant(scan))
    }

    /// Whether the table has these columns, and a row for each scan of its cohort.
    fn check(&self, columns: &[String], scans: &[PathBuf], cohort: &str) -> Result<()> {
        let known = &self.participants.columns;
        if let Some(unknown) = columns.iter().find(|&column| !known.contains(column)) {
            let advice = "name columns that the tables of both cohorts have";
            return Err(Error::file(
                &self.path,
                "line 1",
                format!("a column {unknown:?}"),
                known.join(", "),
                advice,
            ));
        }
        let without: Vec<String> =
            scans.iter().filter(|scan| self.row(scan).is_none()).map(|scan| participant(scan)).collect();
        if without.is_empty() {
            return Ok(());
        }
        let more = if without.len() > NAMED { ", …" } else { "" };
        let named = without[..without.len().min(NAMED)].join(", ");
        let found = format!("none for {} of {}: {named}{more}", without.len(), scans.len());
        let expected = format!("a row for each scan of the {cohort} cohort");
        let advice = "add rows, with n/a for what is not known, or give another table with --participants";
        Err(Error::file(&self.path, "participant_id", expected, found, advice))
    }
}

/// Tables of both cohorts: those `given` (one for both, or the real one's and the synthetic one's), else those that are
/// found beside the scans.
///
/// With `columns`, both tables must exist and have these columns, and a row for each scan. Without, tables that cannot
/// be read are ignored, as nothing depends on them.
///
/// # Errors
/// [`Error::Value`] for more than two tables, or a missing one that is needed; those of reading a table.
pub fn tables(
    given: &[PathBuf],
    paths: &[Vec<PathBuf>; 2],
    columns: &[String],
) -> Result<[Option<Table>; 2]> {
    let mut tables = [None, None];
    for (at, cohort) in COHORTS.into_iter().enumerate() {
        tables[at] = match given {
            [] => {
                let read = found(&paths[at]).map(|path| Table::read(&path)).transpose();
                if columns.is_empty() { read.unwrap_or(None) } else { read? }
            }
            [one] => Some(Table::read(one)?),
            [_, _] => Some(Table::read(&given[at])?),
            more => {
                let found = format!("{} tables", more.len());
                let advice =
                    "give one for both cohorts, or first the real one's and then the synthetic one's";
                return Err(Error::value("--participants", "one or two tables", found, advice));
            }
        };
        if columns.is_empty() {
            continue;
        }
        let Some(table) = &tables[at] else {
            let folder = paths[at][0].parent().unwrap_or(Path::new("."));
            let expected =
                format!("{TABLE} in this folder or above, for --covariates of the {cohort} cohort");
            let advice =
                "give it with --participants; subjects without covariates cannot be compared by them";
            return Err(Error::file(folder, "folder", expected, "none", advice));
        };
        table.check(columns, &paths[at], cohort)?;
    }
    Ok(tables)
}

/// A covariate's error with the tables that it was read from.
pub fn in_tables(error: Error, tables: &[Option<Table>; 2]) -> Error {
    let mut paths: Vec<String> =
        tables.iter().flatten().map(|table| table.path.display().to_string()).collect();
    paths.dedup();
    error.with_key(|key| format!("{}: {key}", paths.join(", ")))
}

/// The table's rows for the subjects of these scans; empty rows without a table.
pub fn known(table: Option<&Table>, scans: &[PathBuf]) -> Vec<Known> {
    table.map_or_else(|| vec![Known::new(); scans.len()], |table| table.rows(scans))
}

/// Each subject's age in years; `None` where it is missing or no number.
pub fn ages(known: &[Known]) -> Vec<Option<f64>> {
    known.iter().map(|row| row.get(AGE)?.parse().ok().filter(|age: &f64| age.is_finite())).collect()
}

/// The table in the folder of the first scan or above.
fn found(scans: &[PathBuf]) -> Option<PathBuf> {
    let first = std::path::absolute(scans.first()?).ok()?;
    first.ancestors().skip(1).take(FOLDERS).map(|folder| folder.join(TABLE)).find(|path| path.is_file())
}

/// The `sub-…` of a scan, or its file's name where it has none.
fn participant(scan: &Path) -> String {
    bids::entities(scan).0.unwrap_or_else(|| subject(scan))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn written(root: &Path, name: &str, text: &str) -> PathBuf {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn scans(root: &Path, names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(|name| root.join(name)).collect()
    }

    #[test]
    fn tables_are_found_above_and_rows_matched_by_subject() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        // As spreadsheet programs write it.
        let text = "\u{feff}participant_id\tage\tsex\r\nsub-01\t40\tF\r\n02\tn/a\tM\r\nseed7\t9\tM\r\n";
        let table = written(root, "participants.tsv", text);
        let real = scans(
            root,
            &[
                "derivatives/x/sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz",
                "derivatives/x/sub-02/ses-1/anat/a.nii",
            ],
        );
        let synthetic = scans(root, &["seed7.nii.gz"]);
        let columns = ["age".to_string(), "sex".to_string()];
        let found = tables(&[], &[real.clone(), synthetic.clone()], &columns).unwrap();
        assert_eq!(found[0].as_ref().unwrap().path, std::path::absolute(&table).unwrap());
        let known_real = known(found[0].as_ref(), &real);
        assert_eq!((known_real[0]["sex"].as_str(), known_real[1]["sex"].as_str()), ("F", "M"));
        assert_eq!(ages(&known_real), [Some(40.0), None]);
        assert_eq!(ages(&known(found[1].as_ref(), &synthetic)), [Some(9.0)]);
        assert_eq!(ages(&known(None, &synthetic)), [None]);
    }

    #[test]
    fn what_is_missing_is_named_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let real = written(root, "real.tsv", "participant_id\tage\nsub-1\t40\n");
        let other = written(root, "other.tsv", "participant_id\tage\nsub-2\t40\n");
        let paths = [scans(root, &["a/sub-1_T1w.nii"]), scans(root, &["b/sub-2_T1w.nii", "b/sub-3_T1w.nii"])];
        let message = |given: &[PathBuf], columns: &[&str]| {
            let columns: Vec<String> = columns.iter().map(|name| name.to_string()).collect();
            tables(given, &paths, &columns).err().unwrap().to_string()
        };
        for (given, columns, words) in [
            (vec![real.clone()], ["iq"], ["real.tsv", "\"iq\"", "found age"]),
            (vec![real.clone(), other.clone()], ["age"], ["other.tsv", "1 of 2: sub-3", "synthetic"]),
            (vec![real.clone()], ["age"], ["real.tsv", "2 of 2: sub-2, sub-3", "--participants"]),
            (vec![], ["age"], ["participants.tsv", "real cohort", "--participants"]),
            (vec![real.clone(), other, real], ["age"], ["--participants", "3 tables", "real"]),
        ] {
            let message = message(&given, &columns);
            assert!(words.iter().all(|word| message.contains(word)), "{message}");
        }
    }

    #[test]
    fn without_covariates_a_table_that_cannot_be_read_is_left_unless_it_was_given() {
        let folder = tempfile::tempdir().unwrap();
        let broken = written(folder.path(), "participants.tsv", "nothing of use\n");
        let paths = [scans(folder.path(), &["sub-1.nii"]), scans(folder.path(), &["sub-2.nii"])];
        assert!(tables(&[], &paths, &[]).unwrap().iter().all(Option::is_none));
        assert!(tables(&[broken], &paths, &[]).is_err());
        assert!(tables(&[], &paths, &["age".into()]).is_err());
    }
}
