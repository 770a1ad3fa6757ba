//! DICOM: the series of files, folders, DICOMDIRs and zip archives, as volumes with their place in the patient.
//!
//! | | Read |
//! |---|---|
//! | Files | with and without preamble and meta information; folders and those below; what a DICOMDIR names; entries of a zip |
//! | Kinds | classic (a file a slice), enhanced multi-frame, Siemens mosaic; time series (one frame, chosen) |
//! | Transfer syntaxes | implicit, explicit, big endian, deflated; RLE; JPEG baseline, extended (8 bits) and lossless; JPEG-LS (grey); JPEG 2000; HTJ2K with the feature `htj2k` |
//! | Pixels | 8, 16 and 32 bits, signed and unsigned, fewer stored than allocated; float and double; grey, RGB and YBR as three channels |
//! | Values | slope and intercept (of each frame); of Philips the values that were measured, as dcm2niix gives them |
//! | Place | position and orientation of each slice, at their mean step |
//!
//! Slices are in the order of their position along the normal. Images of one series are taken apart by size, spacing, echo, part of
//! the complex image and type; what is left at one position are times. What makes no volume is refused with what is wrong: see
//! [`Verdict`].
//!
//! `MONOCHROME1` only says how a display shows values, and changes none. Voxel axes are those of the images: `W` along rows, `H`
//! along columns, `D` along the normal.
//!
//! Of a file only the elements that are needed are ever kept, and names, numbers, dates and institutions of patients are not among
//! them. UIDs are compared, and never told.
//!
//! The standard: <https://www.dicomstandard.org/current>; parts 3 (what elements mean) and 5 (how they are written).

mod acquisition;
mod codec;
mod elements;
mod fragments;
mod geometry;
mod header;
mod image;
mod info;
mod input;
mod mosaic;
mod pixels;
mod places;
mod series;
mod volume;
mod write;

use std::path::{Path, PathBuf};

pub use acquisition::Acquisition;
use image::{Image, Shared};
pub use info::{Reason, SeriesInfo, Verdict};
use pixels::Layout;
use places::Place;
pub use places::{files, is_dicom, is_folder, is_input};
use series::{Member, Part};
pub use write::{Derivation, WriteOptions, write};

use super::scan::ReadOptions;
use super::stored::chosen_frame;
use crate::error::{Error, Result};
use crate::volume::Volume;

/// A series that was found: a volume, a time series, or the reason why it is neither.
pub struct Series {
    /// What it is.
    pub info: SeriesInfo,
    /// How it was acquired.
    pub acquisition: Acquisition,
    root: PathBuf,
    uid: String,
    part: Part,
    /// The files of its members, which name them by their place here.
    files: Vec<(Place, Option<Layout>)>,
}

/// What is in `path`, a file, folder, DICOMDIR or zip archive: headers are read, pixels are not.
///
/// A file of a folder that cannot be read is a series of its own, which is refused.
///
/// # Errors
/// [`Error::Io`] where nothing can be read; [`Error::File`] for a file that is not DICOM, and where there is no DICOM file.
pub fn list(path: impl AsRef<Path>) -> Result<Vec<SeriesInfo>> {
    Ok(series(path)?.into_iter().map(|series| series.info).collect())
}

/// The series in `path`; see [`list`].
///
/// # Errors
/// As [`list`].
pub fn series(path: impl AsRef<Path>) -> Result<Vec<Series>> {
    let root = path.as_ref();
    let found = places::find(root)?;
    let headers = places::for_each(&found.places, |_, input| {
        let set = elements::read(input, header::wanted)?;
        Ok(image::images(&set))
    });
    let mut files = Vec::new();
    let mut unreadable = Vec::new();
    for (number, header) in headers.into_iter().enumerate() {
        match header {
            Ok((shared, images)) => files.push((number, shared, images)),
            Err(error) => unreadable.push(error.to_string()),
        }
    }
    if files.is_empty() && unreadable.is_empty() && found.missing.is_empty() {
        let advice = "give a DICOM file, a folder of them, a DICOMDIR or a zip archive";
        return Err(Error::file(root, "content", "DICOM files", "none", advice));
    }
    let mut all: Vec<Series> = series::parts(&files)
        .into_iter()
        .map(|part| Series::new(root, part, &files, &found.places))
        .collect();
    name_apart(&mut all);
    let damaged = unreadable
        .into_iter()
        .chain(found.missing.into_iter().map(|line| format!("{}: {line}", root.display())));
    all.extend(damaged.map(|line| Series::unreadable(root, line)));
    Ok(all)
}

/// Reads a series of `path`, `[C, D, H, W]`: D slices in the order along their normal, H rows and W columns as in the images.
///
/// # Errors
/// As [`find`] and [`Series::read`].
pub fn read(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Volume> {
    find(path.as_ref(), options.series.as_deref())?.read(options.frame)
}

/// The series of `root` that `wanted` names, or the only one that can be read.
///
/// # Errors
/// As [`list`]; [`Error::File`] where no or several series fit, and for one that cannot be read.
pub fn find(root: &Path, wanted: Option<&str>) -> Result<Series> {
    let mut all = series(root)?;
    let fits = |series: &Series| match wanted {
        Some(wanted) => series.is(wanted),
        None => series.info.verdict.is_read(),
    };
    let fitting: Vec<usize> = (0..all.len()).filter(|&n| fits(&all[n])).collect();
    let mut readable = fitting.iter().copied().filter(|&n| all[n].info.verdict.is_read());
    match (readable.next(), readable.next(), fitting.first()) {
        (Some(one), None, _) => Ok(all.swap_remove(one)),
        (Some(_), Some(_), _) => {
            let names: Vec<&str> = fitting.iter().map(|&n| all[n].info.name.as_str()).collect();
            let found = format!("{} ({})", names.len(), names.join(", "));
            Err(Error::file(root, "series", "one series", found, "choose one: --series NAME"))
        }
        // A series that was asked for, and cannot be read.
        (None, _, Some(&one)) => Err(all[one].refusal()),
        (None, ..) if wanted.is_none() && all.len() == 1 => Err(all[0].refusal()),
        (None, ..) => {
            let each: Vec<String> = all
                .iter()
                .map(|series| format!("{}: {}", series.info.title(), series.info.verdict))
                .collect();
            let (expected, advice) = match wanted {
                Some(wanted) => (format!("a series {wanted:?}"), "choose one of these: --series NAME"),
                None => ("a series that can be read".into(), "see what each one needs"),
            };
            Err(Error::file(root, "series", expected, format!("{} ({})", all.len(), each.join("; ")), advice))
        }
    }
}

/// Gives names that are the same a letter each, as dcm2niix does.
fn name_apart(all: &mut [Series]) {
    let mut taken = std::collections::BTreeSet::new();
    for series in all {
        let name = series.info.name.clone();
        let mut number = 0;
        while !taken.insert(series.info.name.clone()) {
            number += 1;
            let letter = |n: usize| char::from(b'a' + (n % 26) as u8);
            let more = if number > 26 { format!("{}", (number - 1) / 26) } else { String::new() };
            series.info.name = format!("{name}{}{more}", letter(number - 1));
        }
    }
}

impl Series {
    fn new(root: &Path, mut part: Part, files: &[(usize, Shared, Vec<Image>)], places: &[Place]) -> Self {
        let shared = &files[part.file].1;
        let mut used: Vec<usize> = part.members.iter().map(|member| member.file).collect();
        used.sort_unstable();
        used.dedup();
        for Member { file, .. } in &mut part.members {
            *file = used.binary_search(file).unwrap_or(0);
        }
        let of = |&file: &usize| {
            let (place, shared, _) = &files[file];
            (places[*place].clone(), shared.layout.as_ref().ok().cloned())
        };
        let files: Vec<_> = used.iter().map(of).collect();
        let mut acquisition = shared.acquisition.clone();
        let mut series = Self {
            info: SeriesInfo::default(),
            uid: shared.series_uid.clone(),
            root: root.to_path_buf(),
            acquisition: Acquisition::default(),
            part,
            files,
        };
        if let Some(member) = series.part.members.first() {
            acquisition.echo_time = member.image.echo_ms.filter(|&ms| ms > 0.0).map(|ms| ms / 1000.0);
        }
        series.acquisition = acquisition;
        series.info = series.describe();
        series
    }

    /// A file that could not be read, with the error.
    fn unreadable(root: &Path, error: String) -> Self {
        let verdict = Verdict::Refused(Reason::new(error, "copy or export the file again"));
        let info =
            SeriesInfo { description: "a file that cannot be read".into(), verdict, ..SeriesInfo::default() };
        let part =
            Part { file: 0, members: Vec::new(), frames: 0, stack: None, verdict: info.verdict.clone() };
        let acquisition = Acquisition::default();
        Self { info, acquisition, root: root.to_path_buf(), uid: String::new(), part, files: Vec::new() }
    }

    fn describe(&self) -> SeriesInfo {
        let (acquisition, part) = (&self.acquisition, &self.part);
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let first = part.members.first().map(|member| &member.image);
        let [columns, rows] = first.map_or([0, 0], |image| image.size);
        let slices = part.members.len() / part.frames.max(1);
        let plane = first.and_then(|image| image.plane);
        let between = part.stack.as_ref().map(|stack| stack.affine.spacing_mm());
        let flat = plane.map_or([0.0; 3], |plane| [plane.spacing[0], plane.spacing[1], 0.0]);
        let modality = text(&acquisition.modality);
        let sequence =
            acquisition.sequence_name.clone().or(acquisition.scanning_sequence.clone()).unwrap_or_default();
        let mut stored: Vec<&str> = self
            .files
            .iter()
            .filter_map(|(_, layout)| layout.as_ref())
            .map(|layout| codec::name(&layout.syntax))
            .collect();
        stored.sort_unstable();
        stored.dedup();
        SeriesInfo {
            name: self.name(),
            number: acquisition.series_number,
            description: text(&acquisition.series_description),
            protocol: text(&acquisition.protocol_name),
            sequence: format!("{modality} {sequence}").trim().to_string(),
            manufacturer: text(&acquisition.manufacturer),
            stored: stored.join(", "),
            images: part.members.len(),
            size: [columns, rows, slices],
            spacing_mm: between.unwrap_or(flat),
            frames: part.frames,
            channels: self
                .files
                .iter()
                .find_map(|(_, layout)| layout.as_ref())
                .map_or(0, |layout| layout.samples),
            verdict: part.verdict.clone(),
            notes: self.notes(),
        }
    }

    /// Protocol or description, number, and what tells parts apart, of letters that names of files have.
    fn name(&self) -> String {
        let acquisition = &self.acquisition;
        let texts = [&acquisition.protocol_name, &acquisition.series_description, &acquisition.sequence_name];
        let words = texts.into_iter().flatten().next().map_or("series", String::as_str);
        let number = acquisition.series_number.map_or(String::new(), |number| format!("_{number}"));
        let echo = acquisition
            .echo_number
            .filter(|&echo| echo > 1)
            .map_or(String::new(), |echo| format!("_e{echo}"));
        let component = self.part.members.first().map_or("", |member| member.image.component.suffix());
        let plain = |c: char| if c.is_alphanumeric() || "+-.".contains(c) { c } else { '_' };
        format!("{}{number}{echo}{component}", words.chars().take(64).map(plain).collect::<String>())
    }

    /// What was made of headers that are not quite in order.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let Some(stack) = &self.part.stack else { return notes };
        if let (true, Some([mean, least, most])) = (stack.uneven(), stack.steps_mm) {
            notes.push(format!(
                "steps between slices of {least:.3} to {most:.3} mm are taken as {mean:.3} mm"
            ));
        }
        let images = || self.part.members.iter().map(|member| &member.image);
        if images().any(|image| image.scale.philips) {
            notes.push("values as Philips' scanner measured them (scale slope), not as displays show them (rescale slope)".into());
        }
        let thickness = images().next().is_some_and(|image| image.step_mm.is_none());
        if stack.steps_mm.is_none() && thickness {
            notes.push("one slice without a thickness: 1 mm is taken".into());
        }
        notes
    }

    /// Whether `wanted` names this series.
    pub fn is(&self, wanted: &str) -> bool {
        let figures = |text: &str| text.len() >= 4 && text.chars().all(|c| c.is_ascii_digit() || c == '.');
        self.info.is(wanted) || figures(wanted) && self.uid.ends_with(wanted)
    }

    /// The error of a series that is not read.
    fn refusal(&self) -> Error {
        match &self.info.verdict {
            Verdict::Refused(reason) | Verdict::LeftOut(reason) => {
                Error::file(&self.root, self.info.title(), "a volume", &reason.found, &reason.advice)
            }
            Verdict::Read => {
                Error::file(&self.root, self.info.title(), "a volume", "none", "export the series again")
            }
        }
    }

    /// The volume of a series, or one frame of a time series; see [`read`](read()).
    ///
    /// # Errors
    /// [`Error::File`] for a series that is refused or left out, for several frames without a choice, for a frame beyond the last, and
    /// for pixels that cannot be decoded or are not finite.
    pub fn read(&self, frame: Option<usize>) -> Result<Volume> {
        let (Verdict::Read, Some(stack)) = (&self.info.verdict, &self.part.stack) else {
            return Err(self.refusal());
        };
        let frames = self.part.frames;
        let title = self.info.title();
        let chosen =
            chosen_frame(&self.root, &title, &format!("{title} has {frames} frames"), frames, frame)?;
        let slices = self.part.members.len() / frames;
        let members = &self.part.members[chosen * slices..][..slices];
        let mut volume = volume::read(&self.root, &title, &self.files, members, stack)?;
        let info = &self.info;
        volume = volume.with_step(format!(
            "read DICOM {title}: {} {}, {}",
            info.manufacturer, info.sequence, info.stored
        ));
        for note in &info.notes {
            volume = volume.with_step(note.clone());
        }
        if frames > 1 {
            volume = volume.with_step(format!("took frame {chosen} of {frames}"));
        }
        tracing::info!(
            "read {}: {title}, {:?} voxels of {:.3?} mm",
            self.root.display(),
            volume.dims(),
            volume.spacing_mm()
        );
        Ok(volume)
    }

    /// The frame that is chosen, or every one.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn frames(&self, frame: Option<usize>) -> Result<Vec<Volume>> {
        match frame {
            Some(_) => Ok(vec![self.read(frame)?]),
            None => self.read_all(),
        }
    }

    /// Every frame of a time series, in order; of another series its volume alone.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_all(&self) -> Result<Vec<Volume>> {
        (0..self.part.frames.max(1)).map(|frame| self.read(Some(frame))).collect()
    }
}
