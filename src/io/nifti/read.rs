//! Reading: a plain or gzipped stream, the header, then the voxels in chunks up to the actual end of the file.

use std::path::{Path, PathBuf};

use super::header::{Header, SIZE_1, SIZE_2};
use crate::error::{Error, Result};
use crate::io::scan::{ReadOptions, Series};
use crate::io::stored::{Stored, Want};
use crate::io::stream::Stream;
use crate::volume::Volume;

/// Reads a volume, `[C, D, H, W]` with the file's fastest axis last, world coordinates in millimetres.
///
/// `path` is a `.nii`, `.nii.gz` or either half of a `.hdr`/`.img` pair; gzip is recognised by content. C is 1, or
/// 3 and 4 for RGB24 and RGBA32; of complex voxels the magnitude is read. See the [module](super) for all formats.
///
/// # Errors
/// [`Error::Io`] where the file cannot be opened, [`Error::File`] naming the field where its content is wrong: a
/// bad magic, size, dimension, type, offset or orientation, several frames, fewer voxels than the header states, a
/// damaged gzip stream, voxels that are not finite. Memory is bounded by the file's content, not by its header.
pub fn read(path: impl AsRef<Path>) -> Result<Volume> {
    read_with(path, &ReadOptions::default())
}

/// Reads one `frame` (from 0) of a time series; as [`read`] when `None`.
///
/// # Errors
/// As [`read`], and [`Error::File`] for a frame beyond the last.
pub fn read_frame(path: impl AsRef<Path>, frame: Option<usize>) -> Result<Volume> {
    read_with(path, &ReadOptions { frame, ..ReadOptions::default() })
}

/// Reads a volume with `options`; see [`read`].
///
/// # Errors
/// As [`read`].
pub fn read_with(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Volume> {
    read_wanted(path.as_ref(), Want::one(options))?.single()
}

/// Reads what is wanted of a file.
///
/// # Errors
/// As [`read`].
pub(in crate::io) fn read_wanted(path: &Path, want: Want) -> Result<Series> {
    let path = &header_half(path).unwrap_or_else(|| path.to_path_buf());
    let mut stream = Stream::open(path)?;
    let header = read_header(&mut stream, path)?;
    if header.single_file {
        return stored(path, &header)?.read(path, path, stream, want);
    }
    let voxels_path = voxel_half(path)?;
    stored(path, &header)?.read(path, &voxels_path, Stream::open(&voxels_path)?, want)
}

/// Reads a volume from the content of a `.nii` or `.nii.gz` in memory; `name` is the path in errors.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(name: &Path, bytes: &[u8], options: &ReadOptions) -> Result<Volume> {
    let mut stream = Stream::new(name, bytes, bytes.len() as u64)?;
    let header = read_header(&mut stream, name)?;
    if !header.single_file {
        let advice = "put both files of the pair on the disk and read them from there";
        return Err(Error::file(name, "magic", "header and voxels in one file", "a header alone", advice));
    }
    stored(name, &header)?.read(name, name, stream, Want::one(options))?.single()
}

/// Whether the name is that of a NIfTI volume: `.nii` or `.hdr`, either with `.gz`. `.img` is not included, so that a
/// pair in a folder counts once.
pub fn is_nifti(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.ends_with(".nii") || name.ends_with(".hdr")
}

/// The files of the volume `path`: itself, or header and voxels of a pair.
pub fn files(path: &Path) -> Vec<PathBuf> {
    let header = header_half(path).unwrap_or_else(|| path.to_path_buf());
    match voxel_half(&header) {
        Ok(voxels) => vec![header, voxels],
        Err(_) => vec![header],
    }
}

/// The `.hdr` that belongs to an `.img`, in the same case and compression if it is there.
fn header_half(path: &Path) -> Option<PathBuf> {
    halves(path, ["img", "IMG"], ["hdr", "HDR"])?.into_iter().find(|half| half.exists())
}

/// The `.img` that belongs to the header of a pair.
fn voxel_half(path: &Path) -> Result<PathBuf> {
    let Some(halves) = halves(path, ["hdr", "HDR"], ["img", "IMG"]) else {
        let advice = "rename a pair's header to .hdr and put its .img beside it, or convert it to one .nii";
        return Err(Error::file(path, "magic", "header and voxels in one file", "a pair's header", advice));
    };
    halves.iter().find(|half| half.exists()).cloned().ok_or_else(|| {
        let expected = format!("{} or {} beside it", halves[0].display(), halves[1].display());
        Error::file(path, "voxels", expected, "neither", "put the header's .img into the same folder")
    })
}

/// The names that the other half of `path` may have: ending `to`, with its own compression first.
fn halves(path: &Path, from: [&str; 2], to: [&str; 2]) -> Option<[PathBuf; 2]> {
    let name = path.file_name()?.to_str()?;
    let (stem, gz) = name.strip_suffix(".gz").map_or((name, false), |stem| (stem, true));
    let case = from.iter().position(|from| stem.ends_with(&format!(".{from}")))?;
    let half = format!("{}{}", &stem[..stem.len() - 3], to[case]);
    let names = [path.with_file_name(&half), path.with_file_name(format!("{half}.gz"))];
    Some(if gz { [names[1].clone(), names[0].clone()] } else { names })
}

/// The header, leaving the stream right after it.
fn read_header(stream: &mut Stream, path: &Path) -> Result<Header> {
    let mut head = [0; SIZE_2];
    let mut size = stream.read_some(path, &mut head[..SIZE_1])?;
    let sizeof_hdr = [head[0], head[1], head[2], head[3]];
    if size == SIZE_1 && [i32::from_le_bytes(sizeof_hdr), i32::from_be_bytes(sizeof_hdr)].contains(&540) {
        size += stream.read_some(path, &mut head[SIZE_1..])?;
    }
    Header::parse(path, &head[..size])
}

/// The voxels that `header` describes.
fn stored(path: &Path, header: &Header) -> Result<Stored> {
    let (extents, frames) = header.extents(path)?;
    let layout = header.layout(path)?;
    let (affine, place) = header.affine(path)?;
    Ok(Stored {
        format: format!("NIfTI-{}", header.version),
        extents,
        frames,
        fields: ["dim", "dim[4]"],
        layout,
        order: header.order,
        scaling: if layout.is_scaled() { header.scaling(path)? } else { None },
        affine,
        place: place.into(),
        world: header.world(),
        doubts: header.doubts(path, &affine, layout.is_scaled()),
        start: header.voxel_offset(path)?,
    })
}
