//! Reading: a plain or gzipped stream, the header, then the voxels in chunks up to the actual end of the file.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;
use ndarray::Array4;

use super::header::{Header, SIZE_1, SIZE_2};
use super::voxels::{Decoder, Layout};
use crate::error::{Error, Result};
use crate::io::scan::ReadOptions;
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
    let path = path.as_ref();
    let path = &header_half(path).unwrap_or_else(|| path.to_path_buf());
    let mut stream = Stream::open(path)?;
    let header = stream.header(path)?;
    let volume = if header.single_file {
        volume(path, &header, path, stream, options)?
    } else {
        let voxels_path = voxel_half(path)?;
        volume(path, &header, &voxels_path, Stream::open(&voxels_path)?, options)?
    };
    tracing::info!("read {}: {:?} voxels of {:.3?} mm", path.display(), volume.dims(), volume.spacing_mm());
    Ok(volume)
}

/// Reads a volume from the content of a `.nii` or `.nii.gz` in memory; `name` is the path in errors.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(name: &Path, bytes: &[u8], options: &ReadOptions) -> Result<Volume> {
    let mut stream = Stream::new(name, bytes, bytes.len() as u64)?;
    let header = stream.header(name)?;
    if !header.single_file {
        let advice = "put both files of the pair on the disk and read them from there";
        return Err(Error::file(name, "magic", "header and voxels in one file", "a header alone", advice));
    }
    volume(name, &header, name, stream, options)
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

/// The voxels that `header` (of `path`) describes, from `stream` over the file `voxels_path`.
fn volume(
    path: &Path,
    header: &Header,
    voxels_path: &Path,
    mut stream: Stream,
    options: &ReadOptions,
) -> Result<Volume> {
    let (extents, frames) = header.extents(path)?;
    let frame = chosen_frame(path, frames, options.frame)?;
    let layout = Layout::of(path, header.datatype)?;
    let (affine, from) = header.affine(path)?;
    let scaling = if layout.is_scaled() { header.scaling(path)? } else { None };
    let start = header.voxel_offset(path)?;

    let voxels = extents.iter().try_fold(1u64, |product, &e| product.checked_mul(e as u64));
    let span = voxels.and_then(|voxels| {
        let frame_bytes = voxels.checked_mul(layout.bytes() as u64)?;
        let first = frame_bytes.checked_mul(frame as u64)?.checked_add(start)?;
        Some((first, first.checked_add(frame_bytes)?, usize::try_from(voxels).ok()?))
    });
    let Some((first, end, voxels)) = span else {
        let advice = "the header is damaged: convert the scan again";
        let found = format!("{extents:?} voxels in {frames} frames");
        return Err(Error::file(path, "dim", "a volume that a file can hold", found, advice));
    };
    if end > stream.at_most {
        return Err(stream.cut_off(voxels_path, end, stream.at_most));
    }
    stream.skip_to(voxels_path, first)?;
    let mut decoder = Decoder::new(layout, header.order, scaling);
    decoder.read(voxels, |chunk| stream.fill(voxels_path, chunk, end))?;
    stream.finish(voxels_path)?;

    let replaced = decoder.not_finite;
    let doubts = header.doubts(path, &affine, layout.is_scaled());
    let [w, h, d] = extents;
    let background = replaced > 0 && !options.nan_to_zero && nan_is_background(&decoder.values, [d, h, w]);
    if background {
        let share = 100.0 * replaced as f64 / voxels as f64;
        tracing::warn!("{}: NaN all around ({share:.0} % of the voxels) is read as 0", voxels_path.display());
    } else if replaced > 0 && !options.nan_to_zero {
        let found = format!("{replaced} of {voxels} voxels NaN, infinite or beyond float32");
        let advice = "repair the scan, or add --nan-to-zero to have zeros there";
        return Err(Error::file(voxels_path, "voxels", "finite values", found, advice));
    }
    if replaced > 0 {
        decoder.values.iter_mut().filter(|value| !value.is_finite()).for_each(|value| *value = 0.0);
    }
    let mut volume = Volume::new(arrange(decoder.values, [layout.channels(), d, h, w]), affine);
    volume.provenance.source = path.display().to_string();
    volume.provenance.world = header.world();
    volume = volume.with_step(format!(
        "read NIfTI-{}, {}{}, place from {from}",
        header.version,
        layout.name(),
        scaling.map_or(String::new(), |(slope, inter)| format!(", slope {slope} intercept {inter}")),
    ));
    for doubt in doubts {
        tracing::warn!("{}: {doubt}", path.display());
        volume = volume.with_step(doubt);
    }
    if frames > 1 {
        volume = volume.with_step(format!("took frame {frame} of {frames}"));
    }
    if replaced > 0 {
        volume = volume.with_step(format!("replaced {replaced} voxels that were not finite by 0"));
    }
    Ok(volume)
}

/// Whether values that are not finite are what lies around a masked head: NaN, in every corner of the grid, and hanging
/// together with them.
fn nan_is_background(values: &[f32], [d, h, w]: [usize; 3]) -> bool {
    if values.len() != d * h * w {
        return false;
    }
    let at = |z: usize, y: usize, x: usize| (z * h + y) * w + x;
    let ends = |n: usize| [0, n - 1];
    let corners = ends(d).into_iter().flat_map(|z| ends(h).map(|y| ends(w).map(|x| at(z, y, x)))).flatten();
    let mut open: Vec<usize> = corners.collect();
    if !open.iter().all(|&corner| values[corner].is_nan()) {
        return false;
    }
    let mut reached = vec![false; values.len()];
    open.iter().for_each(|&corner| reached[corner] = true);
    while let Some(place) = open.pop() {
        let (z, y, x) = (place / (h * w), place / w % h, place % w);
        for (position, length, step) in [(z, d, h * w), (y, h, w), (x, w, 1)] {
            let below = (position > 0).then(|| place - step);
            let above = (position + 1 < length).then(|| place + step);
            for next in below.into_iter().chain(above).filter(|&next| values[next].is_nan()) {
                if !std::mem::replace(&mut reached[next], true) {
                    open.push(next);
                }
            }
        }
    }
    values.iter().zip(reached).all(|(value, reached)| value.is_finite() || reached)
}

fn chosen_frame(path: &Path, frames: usize, chosen: Option<usize>) -> Result<usize> {
    let last = frames - 1;
    match chosen {
        _ if last == 0 => Ok(0),
        Some(frame) if frame > last => Err(Error::file(
            path,
            "frame",
            format!("0 to {last}: dim[4] is {frames}"),
            frame.to_string(),
            "choose a frame that the file has",
        )),
        None => Err(Error::file(
            path,
            "dim[4]",
            "one volume",
            format!("{frames} frames"),
            format!("choose one: frame 0 to {last} (--frame N)"),
        )),
        Some(frame) => Ok(frame),
    }
}

/// Values with the channels of a voxel together, as `[C, D, H, W]`.
fn arrange(values: Vec<f32>, [c, d, h, w]: [usize; 4]) -> Array4<f32> {
    // The decoder has read exactly d·h·w voxels of c values.
    let array = Array4::from_shape_vec([d, h, w, c], values).expect("the decoder reads all or fails");
    if c == 1 {
        return array.into_shape_with_order([1, d, h, w]).expect("the same number of voxels");
    }
    array.permuted_axes([3, 0, 1, 2]).as_standard_layout().into_owned() // [C, D, H, W]
}

/// Bytes of a file as they are after decompression, with what is known of their number.
struct Stream<'a> {
    reader: Box<dyn Read + 'a>,
    gzip: bool,
    position: u64,
    /// No more bytes than these can come.
    at_most: u64,
}

/// Deflate cannot expand more than this (zlib's technical notes: 1032 to 1).
const MAX_INFLATION: u64 = 1032;

impl<'a> Stream<'a> {
    fn open(path: &Path) -> Result<Stream<'static>> {
        let file = File::open(path).map_err(|source| Error::io(path, "open it", source))?;
        let meta = file.metadata().map_err(|source| Error::io(path, "ask for its size", source))?;
        if meta.is_dir() {
            let advice = "name the files in it, or give the folder to a command that takes folders";
            return Err(Error::file(path, "file", "a NIfTI file", "a folder", advice));
        }
        Stream::new(path, BufReader::with_capacity(1 << 16, file), meta.len())
    }

    fn new(path: &Path, mut stored: impl BufRead + 'a, stored_bytes: u64) -> Result<Self> {
        let start = stored.fill_buf().map_err(|source| Error::io(path, "read it", source))?;
        let gzip = start.starts_with(&GZIP);
        let at_most = if gzip { stored_bytes.saturating_mul(MAX_INFLATION) } else { stored_bytes };
        let reader: Box<dyn Read> = if gzip { Box::new(Members::new(stored)) } else { Box::new(stored) };
        Ok(Self { reader, gzip, position: 0, at_most })
    }

    /// The header, leaving the stream right after it.
    fn header(&mut self, path: &Path) -> Result<Header> {
        let mut head = [0; SIZE_2];
        let mut size = self.read_some(path, &mut head[..SIZE_1])?;
        let sizeof_hdr = [head[0], head[1], head[2], head[3]];
        if size == SIZE_1 && [i32::from_le_bytes(sizeof_hdr), i32::from_be_bytes(sizeof_hdr)].contains(&540) {
            size += self.read_some(path, &mut head[SIZE_1..])?;
        }
        Header::parse(path, &head[..size])
    }

    /// Fills `buffer` from the stream, less only where the stream ends.
    fn read_some(&mut self, path: &Path, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.reader.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.damaged(path, self.position + filled as u64, error)),
            }
        }
        self.position += filled as u64;
        Ok(filled)
    }

    /// Fills the whole of `buffer`; the voxels end at `end`.
    fn fill(&mut self, path: &Path, buffer: &mut [u8], end: u64) -> Result<()> {
        if self.read_some(path, buffer)? == buffer.len() {
            return Ok(());
        }
        Err(self.cut_off(path, end, self.position))
    }

    fn skip_to(&mut self, path: &Path, offset: u64) -> Result<()> {
        let mut rest = offset.saturating_sub(self.position);
        let mut buffer = [0; 1 << 13];
        while rest > 0 {
            let step = rest.min(buffer.len() as u64) as usize;
            self.fill(path, &mut buffer[..step], offset)?;
            rest -= step as u64;
        }
        Ok(())
    }

    /// Reads on to the gzip checksum, where it is near: what follows the voxels is only looked at for a while.
    fn finish(&mut self, path: &Path) -> Result<()> {
        let mut buffer = [0; 1 << 13];
        for _ in 0..128 {
            if !self.gzip || self.read_some(path, &mut buffer)? == 0 {
                break;
            }
        }
        Ok(())
    }

    fn damaged(&self, path: &Path, at: u64, error: io::Error) -> Error {
        if !self.gzip {
            return Error::io(path, "read it", error);
        }
        let found = match error.kind() {
            io::ErrorKind::UnexpectedEof => format!("its end after {at} bytes of content"),
            _ => format!("damage after {at} bytes of content ({error})"),
        };
        Error::file(
            path,
            "gzip stream",
            "a complete stream",
            found,
            "the file is cut off or damaged: copy it again",
        )
    }

    fn cut_off(&self, path: &Path, end: u64, found: u64) -> Error {
        let least = if found == self.at_most && self.gzip { "at most " } else { "" };
        Error::file(
            path,
            "voxels",
            format!("{end} bytes, as its header says"),
            format!("{least}{found}"),
            "the file is cut off, or its header is damaged: copy or convert it again",
        )
    }
}

/// The two bytes that every gzip member begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Decompresses gzip members one after another (parallel compressors write several). What follows the last and is
/// no member is ignored, as gzip itself does.
struct Members<R> {
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Members<R> {
    fn new(stored: R) -> Self {
        Self { member: Some(GzDecoder::new(stored)) }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let n = member.read(buffer)?;
            if n > 0 || buffer.is_empty() {
                return Ok(n);
            }
            let Some(mut stored) = self.member.take().map(GzDecoder::into_inner) else { break };
            if stored.fill_buf()?.first() == Some(&GZIP[0]) {
                self.member = Some(GzDecoder::new(stored));
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_around_a_head_is_told_from_nan_within() {
        let values = |hole: Option<usize>, corner: f32| {
            let mut values: Vec<f32> = (0..5 * 6 * 7)
                .map(|n| {
                    let (z, y, x) = (n / 42, n / 7 % 6, n % 7);
                    let inside = (1..4).contains(&z) && (1..5).contains(&y) && (1..6).contains(&x);
                    if inside { 1.0 } else { f32::NAN }
                })
                .collect();
            hole.into_iter().for_each(|at| values[at] = f32::NAN);
            values[0] = corner;
            values
        };
        let shape = [5, 6, 7];
        assert!(nan_is_background(&values(None, f32::NAN), shape));
        // A hole within, one value missing at the edge, an infinite one, channels.
        assert!(!nan_is_background(&values(Some(2 * 42 + 3 * 7 + 3), f32::NAN), shape));
        assert!(!nan_is_background(&values(None, 0.0), shape));
        assert!(!nan_is_background(&values(None, f32::INFINITY), shape));
        assert!(!nan_is_background(&values(None, f32::NAN), [5, 6, 2]));
    }
}
