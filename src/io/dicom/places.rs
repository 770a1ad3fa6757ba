//! Where DICOM files lie: files, folders, what a DICOMDIR names, entries of a zip archive.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Component, Path, PathBuf};

use dicom_dictionary_std::tags;
use zip::ZipArchive;

use super::elements::{self, starts_dicom};
use super::header::Values;
use super::input::{Input, MOST_INFLATED};
use crate::error::{Error, Result};
use crate::io::walk;

/// A DICOM file.
#[derive(Clone, Debug)]
pub(super) enum Place {
    File(PathBuf),
    /// An entry of an archive, by its number.
    Entry(PathBuf, usize),
}

/// Files of a folder, or entries of an archive.
const MOST_FILES: usize = 1 << 20;
/// Bytes that tell whether a file is DICOM.
const START: u64 = 136;

/// What [`find`] found.
#[derive(Default)]
pub(super) struct Found {
    pub places: Vec<Place>,
    /// What is named but cannot be read, a line each.
    pub missing: Vec<String>,
}

/// Whether the content of the file `path` is DICOM: the prefix `DICM` behind a preamble (PS3.10, 7.1), or, without it, a first
/// element of group 2 or 8. False for folders, and for what cannot be read.
pub fn is_dicom(path: impl AsRef<Path>) -> bool {
    start(path.as_ref()).is_ok_and(|start| starts_dicom(&start))
}

/// Whether the folder `path` itself has DICOM files in it, or a DICOMDIR: such a folder is one scan.
pub fn is_folder(path: &Path) -> bool {
    let files = fs::read_dir(path).into_iter().flatten().flatten();
    files.map(|entry| entry.path()).any(|path| path.is_file() && is_dicom(&path))
}

/// Whether `path` is a file, or a zip archive, of DICOM, or a folder that has some in it or below.
pub fn is_input(path: &Path) -> bool {
    if path.is_dir() {
        return walk::files(path).flatten().any(|path| is_dicom(&path));
    }
    is_dicom(path) || start(path).is_ok_and(|start| start.starts_with(b"PK\x03\x04")) && find(path).is_ok()
}

/// The DICOM files in the folder `path` and those below, in the order of their names; the file itself.
pub fn files(path: &Path) -> Vec<PathBuf> {
    let places = find(path).map_or_else(|_| Vec::new(), |found| found.places);
    let file = |place| match place {
        Place::File(file) | Place::Entry(file, _) => file,
    };
    let mut files: Vec<PathBuf> = places.into_iter().map(file).collect();
    files.dedup();
    files
}

fn start(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut start = Vec::new();
    File::open(path)?.take(START).read_to_end(&mut start)?;
    Ok(start)
}

/// Every DICOM file of `path`: itself, those in the folder and the folders below, those that a DICOMDIR names, entries of a zip.
///
/// # Errors
/// [`Error::Io`] where nothing can be read, [`Error::File`] for a file that is none of these.
pub(super) fn find(path: &Path) -> Result<Found> {
    let metadata = fs::metadata(path).map_err(|cause| Error::io(path, "open it", cause))?;
    if metadata.is_dir() {
        return folder(path);
    }
    let start = start(path).map_err(|cause| Error::io(path, "read it", cause))?;
    if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
        return archive(path);
    }
    if !starts_dicom(&start) {
        let advice = "give a DICOM file, a folder of them, a DICOMDIR or a zip archive";
        return Err(Error::file(path, "content", "DICOM", "another kind of file", advice));
    }
    let set = elements::read(Input::open(path)?, |tag| tag == tags::DIRECTORY_RECORD_SEQUENCE)?;
    if set.object.get(tags::DIRECTORY_RECORD_SEQUENCE).is_some() {
        return directory(path, &set);
    }
    Ok(Found { places: vec![Place::File(path.to_path_buf())], missing: Vec::new() })
}

/// The DICOM files of a folder and those below.
fn folder(path: &Path) -> Result<Found> {
    let mut found = Found::default();
    for file in walk::files(path) {
        match file {
            Ok(file) if is_dicom(&file) => found.places.push(Place::File(file)),
            Ok(_) => {}
            Err(error) => found.missing.push(error.to_string()),
        }
        if found.places.len() > MOST_FILES {
            return Err(too_many(path));
        }
    }
    Ok(found)
}

/// The files that a DICOMDIR names (PS3.3, F.3.2.2), which lie in its folder or below.
fn directory(path: &Path, set: &elements::DataSet) -> Result<Found> {
    let root = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let real_root = root.canonicalize().map_err(|cause| Error::io(root, "open it", cause))?;
    let mut found = Found::default();
    for (number, record) in set.object.items(tags::DIRECTORY_RECORD_SEQUENCE).iter().enumerate() {
        let parts = record.texts(tags::REFERENCED_FILE_ID);
        if parts.is_empty() {
            continue;
        }
        let relative: PathBuf = parts.iter().collect();
        let within = relative.components().all(|part| matches!(part, Component::Normal(_)))
            && parts.iter().all(|part| !part.contains(['/', '\\']) && !part.is_empty());
        let file = root.join(&relative);
        let real = file.canonicalize();
        if !within || real.as_ref().is_ok_and(|real| !real.starts_with(&real_root)) {
            found
                .missing
                .push(format!("record {}: names a file outside of the folder of the DICOMDIR", number + 1));
        } else if real.is_err() || !is_dicom(&file) {
            found
                .missing
                .push(format!("record {}: names a file that is not there, or is no DICOM file", number + 1));
        } else {
            found.places.push(Place::File(file));
        }
        if found.places.len() + found.missing.len() > MOST_FILES {
            return Err(too_many(path));
        }
    }
    Ok(found)
}

fn too_many(path: &Path) -> Error {
    Error::file(path, "files", format!("at most {MOST_FILES}"), "more", "give a smaller folder")
}

fn open(path: &Path) -> Result<ZipArchive<BufReader<File>>> {
    let file = File::open(path).map_err(|cause| Error::io(path, "open it", cause))?;
    ZipArchive::new(BufReader::new(file)).map_err(|error| damaged(path, error.to_string()))
}

fn damaged(path: &Path, found: String) -> Error {
    let advice = "the archive is cut off or damaged, or its files are not deflated: copy or unpack it";
    Error::file(path, "zip archive", "entries that can be read", found, advice)
}

fn archive(path: &Path) -> Result<Found> {
    let mut archive = open(path)?;
    if archive.len() > MOST_FILES {
        return Err(too_many(path));
    }
    let mut found = Found::default();
    for number in 0..archive.len() {
        let mut start = Vec::new();
        let read = archive.by_index(number).map_err(|error| error.to_string()).and_then(|entry| {
            let file = entry.is_file();
            entry.take(START).read_to_end(&mut start).map_err(|error| error.to_string())?;
            Ok(file && starts_dicom(&start))
        });
        match read {
            Ok(true) => found.places.push(Place::Entry(path.to_path_buf(), number)),
            Ok(false) => {}
            Err(error) => found.missing.push(format!("entry {}: {error}", number + 1)),
        }
    }
    Ok(found)
}

impl Place {
    /// The file, or archive and number of the entry.
    pub fn name(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Entry(path, number) => path.join(format!("entry {}", number + 1)),
        }
    }
}

/// Calls `each` with the number and the content of every place: files on many threads, entries of an archive one after the other.
/// Results are in the order of `places`.
pub(super) fn for_each<T: Send>(
    places: &[Place],
    each: impl Fn(usize, Input) -> Result<T> + Sync,
) -> Vec<Result<T>> {
    use rayon::prelude::*;
    let file = |(number, place): (usize, &Place)| match place {
        Place::File(path) => each(number, Input::open(path)?),
        Place::Entry(path, _) => Err(damaged(path, "an entry".into())),
    };
    let Some(Place::Entry(path, _)) = places.first() else {
        return places.par_iter().enumerate().map(file).collect();
    };
    let mut archive = open(path);
    let mut inflated = 0;
    let entry = |(number, place): (usize, &Place)| {
        let (Ok(archive), Place::Entry(_, index)) = (&mut archive, place) else {
            return Err(damaged(path, "nothing".into()));
        };
        let entry = archive.by_index(*index).map_err(|error| damaged(path, error.to_string()))?;
        if inflated > MOST_INFLATED {
            return Err(damaged(path, format!("more than {MOST_INFLATED} bytes")));
        }
        let mut counted = Counted { reader: entry, count: &mut inflated };
        each(number, Input::stream(place.name(), &mut counted))
    };
    places.iter().enumerate().map(entry).collect()
}

/// A reader that counts what is read.
struct Counted<'a, R> {
    reader: R,
    count: &'a mut u64,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        if *self.count > MOST_INFLATED {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "more bytes than are inflated"));
        }
        let read = self.reader.read(bytes)?;
        *self.count += read as u64;
        Ok(read)
    }
}
