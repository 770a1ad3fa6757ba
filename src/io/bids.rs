//! BIDS trees: their T1-weighted images, and the rows of `participants.tsv`.
//!
//! The standard: <https://bids-specification.readthedocs.io>.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::{dicom, scan};
use crate::error::{Error, Result};
use crate::text::read_text;

/// Whether `folder` is a BIDS tree: it has a `dataset_description.json` or images in `sub-*/anat`.
pub fn is_bids(folder: &Path) -> bool {
    folder.join("dataset_description.json").is_file()
        || anat_folders(folder).is_ok_and(|folders| !folders.is_empty())
}

/// The T1-weighted images of a BIDS tree, `sub-*/[ses-*/]anat/*_T1w.nii[.gz]`, in the order of their paths, without
/// those in its `.bidsignore`.
///
/// # Errors
/// [`Error::Io`] for a folder that cannot be listed; [`Error::File`] when there is no such image.
pub fn t1w(root: &Path) -> Result<Vec<PathBuf>> {
    let mut images = Vec::new();
    let left_out = left_out(root)?;
    for folder in anat_folders(root)? {
        for path in listed(&folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if ["_T1w.nii", "_T1w.nii.gz"].iter().any(|end| name.ends_with(end)) && !name.starts_with('.') {
                images.push(path);
            }
        }
    }
    images.retain(|path| {
        let within = path.strip_prefix(root).unwrap_or(path);
        let ignored = left_out.matched_path_or_any_parents(within, false).is_ignore();
        if ignored {
            tracing::info!("{} is left out by .bidsignore", path.display());
        }
        !ignored
    });
    if images.is_empty() {
        let advice = "give the folder that holds the sub-… folders, or a folder or list of scans";
        return Err(Error::file(root, "BIDS tree", "sub-*/[ses-*/]anat/*_T1w.nii.gz", "none", advice));
    }
    Ok(images)
}

/// What the file `.bidsignore` of a tree leaves out, in the patterns of gitignore (BIDS).
fn left_out(root: &Path) -> Result<Gitignore> {
    let path = root.join(".bidsignore");
    let mut patterns = GitignoreBuilder::new("");
    let wrong = |error: ignore::Error| {
        Error::file(&path, "patterns", "those of gitignore", error.to_string(), "correct the line")
    };
    if path.is_file() {
        for line in read_text(&path, "read what to leave out")?.lines() {
            patterns.add_line(None, line).map_err(wrong)?;
        }
    }
    patterns.build().map_err(wrong)
}

/// The error of a folder without scans that can be read; it says what to do with those of other formats.
pub(crate) fn no_scans(folder: &Path, expected: &str, advice: &str) -> Error {
    let others = [("mnc", "MINC files", "convert them: mnc2nii a.mnc a.nii")];
    let files = listed(folder).unwrap_or_default();
    let ends = |extension: &str| {
        let ends = |path: &&PathBuf| path.extension().is_some_and(|it| it.eq_ignore_ascii_case(extension));
        files.iter().filter(ends).count()
    };
    match others.iter().find(|(extension, ..)| ends(extension) > 0) {
        Some((_, found, advice)) => Error::file(folder, "scans", expected, *found, *advice),
        None => Error::file(folder, "scans", expected, "none", advice),
    }
}

/// The volumes that `path` names: itself, where it is a file or a folder of DICOM; the T1-weighted images of a BIDS tree; or the
/// scans of a folder, in the order of their paths, among them folders with DICOM files in them or below.
///
/// # Errors
/// [`Error::Io`] for a folder that cannot be listed; [`Error::File`] when it has no volume.
pub fn volumes(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    if is_bids(path) {
        return t1w(path);
    }
    if dicom::is_folder(path) {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut volumes = listed(path)?;
    volumes.retain(|path| !has_prefix(path, ".") && scan::is_scan(path));
    if volumes.is_empty() {
        let advice = "give a volume, a folder of volumes or a BIDS tree";
        return Err(no_scans(path, "NIfTI, MGH, NRRD, MetaImage or DICOM files", advice));
    }
    Ok(volumes)
}

/// The subject and session of a file's name: `sub-01` and `ses-2` of `sub-01_ses-2_T1w.nii.gz`. Without a subject in
/// the name it is taken from the folders above.
pub fn entities(path: &Path) -> (Option<String>, Option<String>) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.split('.').next().unwrap_or_default();
    let entity = |text: &str, prefix: &str| {
        text.split('_')
            .find(|part| part.strip_prefix(prefix).is_some_and(|label| !label.is_empty()))
            .map(str::to_string)
    };
    let subject = entity(stem, "sub-").or_else(|| {
        let folders = path.parent()?.components().rev();
        folders.into_iter().find_map(|folder| {
            let folder = folder.as_os_str().to_string_lossy();
            (folder.starts_with("sub-") && folder.len() > 4).then(|| folder.into_owned())
        })
    });
    (subject, entity(stem, "ses-"))
}

fn anat_folders(root: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for subject in listed(root)?.into_iter().filter(|path| has_prefix(path, "sub-")) {
        folders.push(subject.join("anat"));
        if subject.is_dir() {
            let sessions = listed(&subject)?.into_iter().filter(|path| has_prefix(path, "ses-"));
            folders.extend(sessions.map(|session| session.join("anat")));
        }
    }
    folders.retain(|folder| folder.is_dir());
    Ok(folders)
}

fn has_prefix(path: &Path, prefix: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
}

/// What is in `folder`, sorted, so that the order does not depend on the file system.
pub(super) fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    let fail = |source| Error::io(folder, "list this folder", source);
    let mut paths = fs::read_dir(folder)
        .map_err(fail)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(fail)?;
    paths.sort();
    Ok(paths)
}

/// The table of a `participants.tsv`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Participants {
    /// The columns after `participant_id`, as in the file.
    pub columns: Vec<String>,
    /// For each participant the values by column, without `n/a` and empty fields.
    pub rows: BTreeMap<String, BTreeMap<String, String>>,
}

impl Participants {
    /// Reads a table, separated by tabs, or by commas where the file's name ends in `.csv`. A column `subject`, as in
    /// the tables of `voxgan anatomy volumes`, is taken as `participant_id`.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read as UTF-8 text; [`Error::File`] naming the line for a table without
    /// `participant_id`, a row with too few or too many fields, a repeated participant or column.
    pub fn read(path: &Path) -> Result<Self> {
        let text = read_text(path, "read it as text")?;
        let commas = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        let (separator, separators) = if commas { (b',', "commas") } else { (b'\t', "tabs") };
        // Tables of tabs have no quotes (BIDS).
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(separator)
            .quoting(commas)
            .trim(csv::Trim::All)
            .has_headers(false)
            .flexible(true)
            .from_reader(text.as_bytes());
        let mut lines = reader.records().map(|record| record.expect("text in memory, rows of any length"));
        let columns = lines.next().unwrap_or_default();
        let columns: Vec<&str> = columns.iter().collect();
        let named = |name: &str| columns.iter().position(|column| *column == name);
        let Some(id) = named("participant_id").or_else(|| named(SUBJECT).filter(|_| commas)) else {
            let advice = format!("name the columns in the first line, separated by {separators}");
            let found = format!("{columns:?}");
            return Err(Error::file(path, "line 1", "a column participant_id", found, advice));
        };
        if let Some(twice) = (1..columns.len()).find(|&n| columns[..n].contains(&columns[n])) {
            let found = format!("{:?} again in column {}", columns[twice], twice + 1);
            return Err(Error::file(path, "line 1", "each column once", found, "rename one of them"));
        }
        let mut rows = BTreeMap::new();
        for fields in lines.filter(|fields| fields.iter().any(|field| !field.is_empty())) {
            let line = fields.position().map_or_else(String::new, |at| format!("line {}", at.line()));
            if fields.len() != columns.len() {
                let near = columns[fields.len().min(columns.len() - 1)];
                return Err(Error::file(
                    path,
                    line,
                    format!("{} fields separated by {separators}", columns.len()),
                    format!("{} (they differ from column {near:?} on)", fields.len()),
                    "write n/a where a value is missing",
                ));
            }
            let values = columns.iter().zip(&fields).enumerate();
            let row = values
                .filter(|(n, (_, value))| *n != id && !matches!(*value, "n/a" | ""))
                .map(|(_, (column, value))| (column.to_string(), value.to_string()))
                .collect();
            // A table of volumes names scans, which name their subjects.
            let subject = entities(Path::new(&fields[id])).0.filter(|_| commas);
            if rows.insert(subject.unwrap_or_else(|| fields[id].to_string()), row).is_some() {
                let (found, advice) =
                    (format!("{:?} a second time", &fields[id]), "leave one row a participant");
                return Err(Error::file(path, line, "each participant once", found, advice));
            }
        }
        let columns = columns.iter().enumerate().filter(|(n, _)| *n != id).map(|(_, column)| column);
        Ok(Self { columns: columns.map(|column| column.to_string()).collect(), rows })
    }

    /// Several tables joined by participant; a participant that a table does not have lacks its values.
    ///
    /// # Errors
    /// As [`Participants::read`]; [`Error::File`] for a column that two of them have.
    pub fn join(paths: &[PathBuf]) -> Result<Self> {
        let mut joined = Self::default();
        for path in paths {
            let table = Self::read(path)?;
            if let Some(twice) = table.columns.iter().find(|column| joined.columns.contains(column)) {
                let (found, advice) =
                    (format!("{twice:?}, which a table before it has"), "remove one of them");
                return Err(Error::file(path, "line 1", "columns that no other table has", found, advice));
            }
            joined.columns.extend(table.columns);
            for (participant, values) in table.rows {
                let bare = participant.strip_prefix("sub-").unwrap_or(&participant);
                joined.rows.entry(format!("sub-{bare}")).or_default().extend(values);
            }
        }
        Ok(joined)
    }

    /// The row of `subject`, with or without `sub-`; `None` without one.
    pub fn row(&self, subject: &str) -> Option<&BTreeMap<String, String>> {
        let bare = subject.strip_prefix("sub-").unwrap_or(subject);
        self.rows
            .get(subject)
            .or_else(|| self.rows.get(bare))
            .or_else(|| self.rows.get(&format!("sub-{bare}")))
    }
}

/// What tables of volumes call a participant.
const SUBJECT: &str = "subject";

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Result<Participants> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("participants.tsv");
        fs::write(&path, text).unwrap();
        Participants::read(&path)
    }

    #[test]
    fn what_bidsignore_names_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        for name in
            ["sub-01/anat/sub-01_T1w.nii", "sub-01/anat/sub-01_acq-bad_T1w.nii", "sub-02/anat/sub-02_T1w.nii"]
        {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let names = || -> Vec<String> {
            let found = t1w(folder.path()).unwrap();
            found.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names().len(), 3);
        fs::write(folder.path().join(".bidsignore"), "\u{feff}# bad ones\n*acq-bad*\nsub-02/\n").unwrap();
        assert_eq!(names(), ["sub-01_T1w.nii"]);
    }

    #[test]
    fn folders_of_dicom_are_scans_and_of_other_formats_are_told_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let message = || volumes(folder.path()).unwrap_err().to_string();
        assert!(message().contains("found none"));
        fs::write(folder.path().join("T1.mnc"), "").unwrap();
        assert!(message().contains("mnc2nii"), "{}", message());
        // A folder with DICOM files in it or below is a scan.
        let mut dicom = vec![0; 128];
        dicom.extend(b"DICM");
        fs::create_dir(folder.path().join("deep")).unwrap();
        fs::write(folder.path().join("deep/IM0001"), &dicom).unwrap();
        assert_eq!(volumes(folder.path()).unwrap(), [folder.path().join("deep")]);
        fs::create_dir(folder.path().join("deep/er")).unwrap();
        fs::rename(folder.path().join("deep/IM0001"), folder.path().join("deep/er/IM0001")).unwrap();
        assert_eq!(volumes(folder.path()).unwrap(), [folder.path().join("deep")]);
        // Other volumes in it are scans of their own.
        fs::write(folder.path().join("deep/a.nii"), "").unwrap();
        assert!(message().contains("mnc2nii"), "{}", message());
        fs::write(folder.path().join("IM0001"), &dicom).unwrap();
        assert_eq!(volumes(folder.path()).unwrap(), [folder.path()]);
    }

    #[test]
    fn tables_are_joined_by_participant() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let people = write("participants.tsv", "participant_id\tage\nsub-1\t30\n2\t40\n");
        let volumes =
            write("volumes.csv", "subject,flags,brain_ml\nsub-1_T1w,,1400\nsub-2_ses-a_T1w,,n/a\nsub-3,,9\n");
        let joined = Participants::join(&[people.clone(), volumes.clone()]).unwrap();
        assert_eq!(joined.columns, ["age", "flags", "brain_ml"]);
        let row = |subject: &str| {
            let row = joined.row(subject).unwrap();
            row.iter().map(|(column, value)| format!("{column}={value}")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!([row("sub-1"), row("2"), row("sub-3")], ["age=30 brain_ml=1400", "age=40", "brain_ml=9"]);
        let message = Participants::join(&[volumes.clone(), volumes]).unwrap_err().to_string();
        assert!(message.contains("flags") && message.contains("a table before"), "{message}");
        let quoted = write("quoted.csv", "participant_id,note\nsub-1,\"a,\n\"\"b\"\"\"\nsub-2,c\n");
        let joined = Participants::join(&[people, quoted]).unwrap();
        assert_eq!(
            (&*joined.row("1").unwrap()["note"], &*joined.row("2").unwrap()["note"]),
            ("a,\n\"b\"", "c")
        );
    }

    #[test]
    fn images_and_entities_of_a_tree() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let images = [
            "sub-01/anat/sub-01_T1w.nii.gz",
            "sub-02/ses-a/anat/sub-02_ses-a_T1w.nii",
            "sub-02/ses-b/anat/sub-02_ses-b_run-1_T1w.nii.gz",
        ];
        let others =
            ["sub-01/anat/sub-01_T2w.nii.gz", "sub-01/func/sub-01_T1w.nii.gz", "derivatives/x_T1w.nii"];
        for path in images.iter().chain(&others) {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        assert!(is_bids(root) && !is_bids(&root.join("derivatives")));
        assert_eq!(t1w(root).unwrap(), images.map(|path| root.join(path)));
        let pair = |path: &str| entities(Path::new(path));
        assert_eq!(pair(images[2]), (Some("sub-02".into()), Some("ses-b".into())));
        assert_eq!(pair("sub-07/anat/t1.nii"), (Some("sub-07".into()), None));
        assert_eq!(pair("scans/t1.nii"), (None, None));
        assert!(t1w(&root.join("derivatives")).unwrap_err().to_string().contains("T1w"));
    }

    #[test]
    fn rows_and_missing_values() {
        let t = table("\u{feff}participant_id\tage\tsex\r\nsub-01\t39\tm\r\nsub-02\tn/a\tf\r\n\r\n").unwrap();
        assert_eq!(t.columns, ["age", "sex"]);
        assert_eq!(t.row("sub-01").unwrap()["age"], "39");
        assert_eq!(t.row("02").unwrap().get("age"), None);
        assert!(t.row("sub-03").is_none());
    }

    #[test]
    fn bad_tables_name_the_line() {
        for (text, words) in [
            ("", ["line 1", "participant_id"]),
            ("id\tage\n", ["line 1", "participant_id"]),
            ("participant_id\tage\nsub-1\t3\nsub-2\n", ["line 3", "\"age\""]),
            ("participant_id\tage\nsub-1\t3\t4\n", ["line 2", "found 3"]),
            ("participant_id\tage\nsub-1\t3\nsub-1\t4\n", ["line 3", "sub-1"]),
            ("participant_id\tage\tage\n", ["line 1", "column 3"]),
        ] {
            let message = table(text).unwrap_err().to_string();
            assert!(words.iter().all(|word| message.contains(word)), "{message}");
        }
    }
}
