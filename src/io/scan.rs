//! Scans: the one way in, and out, for volumes of any format.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::stored::Want;
use super::stream::Stream;
use super::{dicom, metaimage, mgh, nifti, npy, nrrd, walk};
use crate::error::{Error, Result};
use crate::volume::Volume;

pub use super::data_type::DataType;
pub(crate) use super::values::Values;

/// Options for reading a scan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadOptions {
    /// The frame of a time series, from 0. With `None`, a file with several frames is an error. Ignored for files with
    /// one volume.
    pub frame: Option<usize>,
    /// Whether to replace voxels that are NaN, infinite or beyond float32 by zero (noted in the provenance). Otherwise
    /// they are an error, except for NaN all around a masked head, which is always read as zero.
    pub nan_to_zero: bool,
    /// The series of DICOM input, by its number, description, protocol, name or the last figures of its UID. With `None`, several
    /// series are an error. Ignored for files of other formats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
}

/// The frames of a scan and how they were stored.
#[derive(Clone, Debug)]
pub struct Series {
    /// One volume, or the frames of a time series on one grid.
    pub frames: Vec<Volume>,
    /// The type of the numbers in the file, before any slope and intercept; float32 for the magnitude of complex ones.
    pub data_type: DataType,
    /// How many finite values of the file float32 does not hold exactly.
    pub rounded: usize,
}

impl Series {
    /// The only frame.
    ///
    /// # Errors
    /// [`Error::Value`] where there are several, or none.
    pub(super) fn single(mut self) -> Result<Volume> {
        match (self.frames.pop(), self.frames.len()) {
            (Some(frame), 0) => Ok(frame),
            (_, more) => Err(Error::value("frames", "one", (more + 1).to_string(), "choose one (--frame N)")),
        }
    }
}

/// How a scan is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// The type of its numbers; NIfTI alone scales what an integer type does not hold.
    pub data_type: DataType,
    /// Whether voxels of NRRD and MetaImage stay uncompressed; of the other formats the name tells.
    pub uncompressed: bool,
    /// NIfTI-2 also where NIfTI-1 would do.
    pub nifti_2: bool,
}

/// A format of volumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// NIfTI-1 or -2.
    Nifti,
    /// FreeSurfer's MGH, or MGZ.
    Mgh,
    /// NRRD, in one file or with detached voxels.
    Nrrd,
    /// MetaImage, in one file or with detached voxels.
    MetaImage,
    /// NumPy's `.npy`; read only where it is asked for, by [`read_series`].
    Npy,
    /// DICOM.
    Dicom,
}

/// Names of scans end so, compressed or not.
const ENDINGS: [(&str, Format); 9] = [
    (".nii", Format::Nifti),
    (".hdr", Format::Nifti),
    (VOXELS, Format::Nifti),
    (".mgh", Format::Mgh),
    (".mgz", Format::Mgh),
    (".nrrd", Format::Nrrd),
    (".nhdr", Format::Nrrd),
    (".mha", Format::MetaImage),
    (".mhd", Format::MetaImage),
];

/// The second file of a pair, which tells nothing by its content.
const VOXELS: &str = ".img";

impl Format {
    /// The format that a name tells, in any case of its letters.
    pub fn of_name(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_lowercase();
        let plain = name.strip_suffix(".gz").unwrap_or(&name);
        let known = ENDINGS.iter().find(|(ending, _)| plain.ends_with(ending)).map(|(_, format)| *format);
        known.or_else(|| name.ends_with(".npy").then_some(Self::Npy))
    }

    /// The format of the scan at `path`, a file or a folder of DICOM, by its content and, where that says nothing, by its name.
    pub fn of(path: &Path) -> Self {
        if dicom::is_input(path) {
            return Self::Dicom;
        }
        let mut start = [0; 16];
        // What cannot be opened is left to the reader, which says why.
        let read = Stream::open(path).and_then(|mut stream| stream.read_some(path, &mut start));
        let start = &start[..read.unwrap_or_default()];
        let named = Self::of_name(path);
        match start {
            _ if start.starts_with(nrrd::MAGIC) => Self::Nrrd,
            _ if start.starts_with(&npy::MAGIC) => Self::Npy,
            [0, 0, 1, 92, ..] | [92, 1, 0, 0, ..] | [0, 0, 2, 28, ..] | [28, 2, 0, 0, ..] => Self::Nifti,
            [0, 0, 0, 1, ..] if named.is_none() => Self::Mgh,
            _ if metaimage::begins(start) => Self::MetaImage,
            _ => named.filter(|named| *named != Self::Npy).unwrap_or(Self::Nifti),
        }
    }

    /// Whether numbers of this type can be written.
    pub fn writes(self, number: DataType) -> bool {
        match self {
            Self::Mgh => mgh::code(number).is_some(),
            Self::Dicom => false,
            _ => number != DataType::F128,
        }
    }
}

/// Reads a scan of any format, `[C, D, H, W]` with the file's fastest axis last, world coordinates in millimetres (RAS+).
///
/// # Errors
/// [`Error::Io`] where it cannot be opened; [`Error::File`] for a format that is not known, for several frames of which none
/// is chosen, and where its content is wrong, as [`nifti::read`]. Memory is bounded by the file's content, not by its header.
pub fn read(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Volume> {
    let path = path.as_ref();
    match Format::of(path) {
        Format::Npy => {
            let advice =
                "convert it to a format that says where its voxels lie: voxgan convert a.npy a.nii.gz";
            Err(Error::file(path, "format", "a scan with its place in the world", "a NumPy array", advice))
        }
        Format::Dicom => dicom::read(path, options),
        format => wanted(path, format, Want::one(options))?.single(),
    }
}

/// Reads a scan of any format, `.npy` among them, with all frames, or the one that `options` choose. NaN and infinite voxels
/// stay, unless they shall be zero.
///
/// # Errors
/// As [`read`], but for several frames and voxels that are not finite.
pub fn read_series(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Series> {
    let path = path.as_ref();
    match Format::of(path) {
        Format::Dicom => Ok(of_frames(dicom::find(path, options.series.as_deref())?.frames(options.frame)?)),
        format => wanted(path, format, Want::all(options)),
    }
}

/// Frames of a DICOM series, whose numbers are the first of these integers that holds them, or float32; colours are bytes.
pub(crate) fn of_frames(frames: Vec<Volume>) -> Series {
    let colours = frames.first().is_some_and(|frame| frame.channels() > 1);
    let bytes = colours.then_some(DataType::U8);
    let integers = bytes.into_iter().chain([DataType::I16, DataType::U16, DataType::I32]);
    let values = Values::of(&frames);
    let data_type = integers.into_iter().find(|&number| values.held_by(number)).unwrap_or_default();
    Series { frames, data_type, rounded: 0 }
}

fn wanted(path: &Path, format: Format, want: Want) -> Result<Series> {
    match format {
        Format::Nifti => nifti::read_wanted(path, want),
        Format::Mgh => mgh::read(path, want),
        Format::Nrrd => nrrd::read(path, want),
        Format::MetaImage => metaimage::read(path, want),
        Format::Npy => npy::read_volumes(path, want),
        Format::Dicom => unreachable!("read by its series"),
    }
}

/// Writes the frames of a scan, which are on one grid, in the format that the name of `path` tells.
///
/// Voxels are those of [`DataType`], which has to hold them exactly unless the format is NIfTI, which scales them then.
///
/// # Errors
/// [`Error::File`] for a name that is of no format, frames on several grids, and what the format does not hold: a type of
/// number, values, channels; [`Error::Io`] where a file cannot be written, and none is left.
pub fn write(path: impl AsRef<Path>, frames: &[Volume], options: &WriteOptions) -> Result<()> {
    let path = path.as_ref();
    let known = ".nii, .nii.gz, .mgh, .mgz, .nrrd, .nhdr, .mha, .mhd or .npy";
    let name = || path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let format = Format::of_name(path)
        .ok_or_else(|| Error::file(path, "name", known, name(), "let the file's name end so"))?;
    let Some(first) = frames.first() else {
        return Err(Error::file(path, "frames", "one or more volumes", "none", "give at least one volume"));
    };
    if frames.iter().any(|v| v.data.dim() != first.data.dim() || v.affine != first.affine) {
        let found = "frames on several grids";
        return Err(Error::file(path, "frames", "one grid and affine", found, "resample them to one grid"));
    }
    let number = options.data_type;
    if !format.writes(number) {
        let advice = "choose another type, such as float32";
        return Err(Error::file(path, "data type", "one that the format has", number.name(), advice));
    }
    if format != Format::Nifti && !Values::of(frames).held_by(number) {
        let expected = format!("values that {} holds exactly", number.name());
        return Err(Error::file(path, "voxels", expected, "others", "choose another type, such as float32"));
    }
    match format {
        Format::Nifti => nifti::write_series(
            path,
            frames,
            &nifti::WriteOptions {
                data_type: number,
                description: "voxgan convert".into(),
                nifti_2: options.nifti_2,
            },
        ),
        Format::Mgh => mgh::write(path, frames, number),
        Format::Nrrd => nrrd::write(path, frames, options),
        Format::MetaImage => metaimage::write(path, frames, options),
        Format::Npy => npy::write_volumes(path, frames, number),
        Format::Dicom => unreachable!("no name is that of DICOM"),
    }
}

/// Whether this is a scan that [`read`] can read: a volume by its name, or a folder with DICOM files in it or below
/// and without other volumes. The second file of a pair is not, so that a pair in a
/// folder counts once.
pub fn is_scan(path: &Path) -> bool {
    if path.is_dir() {
        return is_tree_of_dicom(path);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let second = strip(strip(&name, ".gz").unwrap_or(&name), VOXELS).is_some();
    !second && Format::of_name(path).is_some_and(|format| format != Format::Npy)
}

/// Whether this is a folder of scans, and not a scan that is a folder, as of DICOM.
pub fn is_folder(path: &Path) -> bool {
    path.is_dir() && !dicom::is_folder(path)
}

/// Whether a folder, or a folder below it, has DICOM files, and none has volumes of other formats.
fn is_tree_of_dicom(folder: &Path) -> bool {
    let mut found = false;
    for file in walk::files(folder).flatten() {
        if Format::of_name(&file).is_some_and(|format| format != Format::Npy) {
            return false;
        }
        found = found || dicom::is_dicom(&file);
    }
    found
}

/// The name of a scan's file without the ending of its format.
pub fn stem(name: &str) -> &str {
    let plain = strip(name, ".gz").unwrap_or(name);
    let endings = ENDINGS.iter().map(|(ending, _)| *ending).chain([".npy"]);
    endings.into_iter().find_map(|ending| strip(plain, ending)).unwrap_or(plain)
}

/// `name` without `ending`, whatever the case of its letters.
fn strip<'a>(name: &'a str, ending: &str) -> Option<&'a str> {
    let cut = name.len().checked_sub(ending.len()).filter(|&cut| cut > 0 && name.is_char_boundary(cut))?;
    name[cut..].eq_ignore_ascii_case(ending).then_some(&name[..cut])
}

/// The files of the scan `path`: itself, header and voxels of a pair, or those of a DICOM folder.
pub fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_dir() {
        return dicom::files(path);
    }
    let voxels = match Format::of_name(path) {
        Some(Format::Nrrd) => nrrd::voxels_of(path),
        Some(Format::MetaImage) => metaimage::voxels_of(path),
        _ => return nifti::files(path),
    };
    std::iter::once(path.to_path_buf()).chain(voxels).collect()
}

/// The files that [`write()`] writes for the name `path`.
pub fn written(path: &Path, options: &WriteOptions) -> Vec<PathBuf> {
    let voxels = match Format::of_name(path) {
        Some(Format::Nrrd) => nrrd::voxels_beside(path, options),
        Some(Format::MetaImage) => metaimage::voxels_beside(path, options),
        _ => None,
    };
    std::iter::once(path.to_path_buf()).chain(voxels).collect()
}
