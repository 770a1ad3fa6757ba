//! PNG and TIFF slices: a file is a volume of depth one, a folder of files a stack.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageError, ImageFormat, ImageReader, Limits};
use nalgebra::{Matrix3, Vector3};
use ndarray::{Array3, ArrayView1, Axis, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::volume::{Volume, VoxelToWorld};

/// The treatment of colour images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Colour {
    /// Three channels for red, green and blue; one for grey images.
    #[default]
    Keep,
    /// One channel: the luma 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601) of colour images.
    Grey,
}

/// No slice is wider or taller than this; a header that says so lies or holds no slice.
const MOST_PIXELS_ALONG_AN_EDGE: u32 = 65_536;

/// Deflate cannot make more than 1032 bytes of one, and is the densest of the codecs that matter here. A header that
/// promises more than that of its file is not believed.
const MOST_BYTES_FROM_ONE: u64 = 1032;

/// What a decoder may hold besides the pixels, in bytes.
const WORKING_SPACE: u64 = 16 << 20;

/// Whether `path` is named like a slice: `.png`, `.tif` or `.tiff`, in any case.
pub fn is_slice(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    ["png", "tif", "tiff"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// Reads one PNG or TIFF file as a volume `[C, 1, H, W]`, or all those in a folder as a stack `[C, D, H, W]`.
///
/// Values are those of the file: 0 to 255 from 8 bits a sample (or fewer, stretched to 8), 0 to 65535 from 16.
/// Transparency is dropped. A folder's files are stacked along `D` in natural order (`slice2` before `slice10`);
/// names that start with a dot, and files of other kinds, are skipped.
///
/// Images have no affine, so voxels are 1 mm and the centre of the volume is the origin. Columns are to the right (x),
/// rows, from top to bottom of the image, from front to back (−y), and the stack upwards (z): orientation `RPS`. So a
/// viewer shows the image upright as an axial slice, unmirrored in the neurological convention (the patient's left at
/// the left).
///
/// # Errors
/// [`Error::Io`] where nothing can be read; [`Error::File`] for a file that is no image or is damaged, a header that
/// states more data than the file can have, a TIFF of several pages, a folder without slices, and for slices that
/// differ in size or channels from most of the others.
pub fn read(path: &Path, colour: Colour) -> Result<Volume> {
    let metadata = fs::metadata(path).map_err(|error| Error::io(path, "read the slice", error))?;
    let slices = if metadata.is_dir() {
        let paths = slices_in(path)?;
        let slices: Vec<Array3<f32>> =
            paths.par_iter().map(|path| read_one(path, colour)).collect::<Result<_>>()?;
        refuse_odd_one(&paths, &slices)?;
        slices
    } else {
        vec![read_one(path, colour)?]
    };
    let views: Vec<_> = slices.iter().map(|slice| slice.view()).collect();
    let data = ndarray::stack(Axis(1), &views) // [C, D, H, W]
        .map_err(|error| Error::file(path, "slices", "one size", error.to_string(), "make them agree"))?;
    let mut volume = Volume::new(data.as_standard_layout().into_owned(), upright(data.dim()));
    volume.provenance.source = path.display().to_string();
    Ok(volume)
}

/// Columns to the right, rows to the back, slices upwards, 1 mm each, the middle at the origin.
fn upright((_, d, h, w): (usize, usize, usize, usize)) -> VoxelToWorld {
    let half = |length: usize| (length as f64 - 1.0) / 2.0;
    let steps = Matrix3::from_diagonal(&Vector3::new(1.0, -1.0, 1.0));
    VoxelToWorld::derived(&steps, &Vector3::new(-half(w), half(h), -half(d)))
}

/// The slices of a folder in natural order.
fn slices_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| Error::io(folder, "list the folder", error);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && is_slice(&path) && path.is_file() {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        let advice = "name a folder that holds the slices of one volume";
        return Err(Error::file(folder, "slices", "files named .png, .tif or .tiff", "none", advice));
    }
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    paths.sort_by(|a, b| natural_order(&name(a), &name(b)));
    Ok(paths)
}

/// Compares names with every run of digits taken as a number; names equal in that sense, as text.
fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut rest_a, mut rest_b) = (a, b);
    while let (Some(first_a), Some(first_b)) = (rest_a.chars().next(), rest_b.chars().next()) {
        let (part_a, part_b);
        if first_a.is_ascii_digit() && first_b.is_ascii_digit() {
            (part_a, rest_a) = split_digits(rest_a);
            (part_b, rest_b) = split_digits(rest_b);
            // Without leading zeros the longer number is the greater: no number is too long.
            let [number_a, number_b] = [part_a, part_b].map(|digits| digits.trim_start_matches('0'));
            let order = number_a.len().cmp(&number_b.len()).then_with(|| number_a.cmp(number_b));
            if order != Ordering::Equal {
                return order;
            }
        } else {
            if first_a != first_b {
                return first_a.cmp(&first_b);
            }
            (rest_a, rest_b) = (&rest_a[first_a.len_utf8()..], &rest_b[first_b.len_utf8()..]);
        }
    }
    rest_a.len().cmp(&rest_b.len()).then_with(|| a.cmp(b))
}

/// The digits that `text` starts with, and what follows.
fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// Names the first slice whose channels and size are not those of most.
fn refuse_odd_one(paths: &[PathBuf], slices: &[Array3<f32>]) -> Result<()> {
    let alike = |slice: &Array3<f32>| slices.iter().filter(|other| other.dim() == slice.dim()).count();
    // Of sizes equally frequent, the first slice's.
    let Some(usual) = slices.iter().rev().max_by_key(|slice| alike(slice)) else {
        return Ok(());
    };
    let words = |slice: &Array3<f32>| {
        let (c, h, w) = slice.dim();
        format!("{w} × {h} pixels, {c} channel{}", if c == 1 { "" } else { "s" })
    };
    match paths.iter().zip(slices).find(|(_, slice)| slice.dim() != usual.dim()) {
        None => Ok(()),
        Some((path, slice)) => Err(Error::file(
            path,
            "size of the slice",
            format!("{} like most in its folder", words(usual)),
            words(slice),
            if slice.dim().0 == usual.dim().0 {
                "move it elsewhere or make it the others' size"
            } else {
                "read colour as grey, or move it elsewhere"
            },
        )),
    }
}

/// One image as `[C, H, W]`.
fn read_one(path: &Path, colour: Colour) -> Result<Array3<f32>> {
    let failed = |error| Error::io(path, "read the slice", error);
    let not_an_image = |found: String| {
        let advice = "check that the file is whole and what its name says";
        Error::file(path, "content", "a PNG or TIFF image, 8 or 16 bits, grey or RGB", found, advice)
    };
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let length = file.get_ref().metadata().map_err(failed)?.len();
    if tiff_has_more_pages(&mut file).unwrap_or(false) {
        let advice = "save each page as a file and read their folder";
        return Err(Error::file(path, "pages", "one", "several", advice));
    }
    file.rewind().map_err(failed)?;

    let mut reader = ImageReader::new(file).with_guessed_format().map_err(failed)?;
    match reader.format() {
        Some(ImageFormat::Png | ImageFormat::Tiff) => {}
        Some(other) => return Err(not_an_image(format!("{other:?}"))),
        None => return Err(not_an_image(format!("another kind of file ({length} bytes)"))),
    }
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(MOST_PIXELS_ALONG_AN_EDGE);
    limits.max_image_height = Some(MOST_PIXELS_ALONG_AN_EDGE);
    limits.max_alloc = Some(length.saturating_mul(MOST_BYTES_FROM_ONE).saturating_add(WORKING_SPACE));
    reader.limits(limits);
    let image = reader.decode().map_err(|error| match error {
        ImageError::IoError(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => failed(error),
        ImageError::Limits(_) => {
            not_an_image(format!("a header that promises more than {length} bytes can hold"))
        }
        error => not_an_image(error.to_string()),
    })?;

    let (height, width) = (image.height() as usize, image.width() as usize);
    let (all, colours) =
        (usize::from(image.color().channel_count()), if image.color().has_color() { 3 } else { 1 });
    let pixels = samples(image)
        .and_then(|samples| Array3::from_shape_vec((height, width, all), samples).ok())
        .ok_or_else(|| not_an_image("another kind of pixel".to_string()))?; // [H, W, C], transparency last
    Ok(if colour == Colour::Grey && colours == 3 {
        let luma = |rgb: ArrayView1<f32>| {
            let [red, green, blue] = [0, 1, 2].map(|channel| f64::from(rgb[channel]));
            (0.299 * red + 0.587 * green + 0.114 * blue) as f32
        };
        pixels.map_axis(Axis(2), luma).insert_axis(Axis(0)) // [1, H, W]
    } else {
        let colours = pixels.slice_move(s![.., .., ..colours]);
        colours.permuted_axes([2, 0, 1]).as_standard_layout().into_owned() // [C, H, W]
    })
}

/// The samples of an image in memory order, as they are stored; `None` for kinds of pixel that do not occur here.
fn samples(image: DynamicImage) -> Option<Vec<f32>> {
    fn widen<T: Into<f32>>(samples: Vec<T>) -> Option<Vec<f32>> {
        Some(samples.into_iter().map(Into::into).collect())
    }
    match image {
        DynamicImage::ImageLuma8(image) => widen(image.into_raw()),
        DynamicImage::ImageLumaA8(image) => widen(image.into_raw()),
        DynamicImage::ImageRgb8(image) => widen(image.into_raw()),
        DynamicImage::ImageRgba8(image) => widen(image.into_raw()),
        DynamicImage::ImageLuma16(image) => widen(image.into_raw()),
        DynamicImage::ImageLumaA16(image) => widen(image.into_raw()),
        DynamicImage::ImageRgb16(image) => widen(image.into_raw()),
        DynamicImage::ImageRgba16(image) => widen(image.into_raw()),
        DynamicImage::ImageRgb32F(image) => widen(image.into_raw()),
        DynamicImage::ImageRgba32F(image) => widen(image.into_raw()),
        _ => None,
    }
}

/// Whether a TIFF's first page names another (TIFF 6.0, section 2, and its 64-bit form); the decoder reads one only,
/// and a stack must not lose its other pages in silence. False for other files.
fn tiff_has_more_pages(file: &mut (impl Read + Seek)) -> std::io::Result<bool> {
    let mut magic = [0; 4];
    file.read_exact(&mut magic)?;
    let (little_endian, wide) = match &magic {
        b"II*\0" => (true, false),
        b"MM\0*" => (false, false),
        b"II+\0" => (true, true),
        b"MM\0+" => (false, true),
        _ => return Ok(false),
    };
    // Bytes of an offset, of the number of entries, and of an entry.
    let (offset_bytes, count_bytes, entry_bytes) = if wide { (8, 8, 20) } else { (4, 2, 12) };
    let mut number_at = |position: u64, bytes: usize| -> std::io::Result<u64> {
        let mut raw = [0; 8];
        file.seek(SeekFrom::Start(position))?;
        file.read_exact(&mut raw[..bytes])?;
        if !little_endian {
            raw[..bytes].reverse();
        }
        Ok(u64::from_le_bytes(raw))
    };
    let page = number_at(if wide { 8 } else { 4 }, offset_bytes)?;
    let entries = number_at(page, count_bytes)?;
    let after = page.saturating_add(count_bytes as u64).saturating_add(entries.saturating_mul(entry_bytes));
    Ok(number_at(after, offset_bytes)? != 0)
}

#[cfg(test)]
mod tests {
    use image::{ImageBuffer, Luma, Rgb, Rgba};

    use super::*;
    use crate::volume::orientation::to_ras;

    fn grey(width: u32, height: u32, first: u8) -> ImageBuffer<Luma<u8>, Vec<u8>> {
        ImageBuffer::from_fn(width, height, |x, y| Luma([first + (x + 10 * y) as u8]))
    }

    #[test]
    fn kinds_of_pixel_keep_their_values() {
        let folder = tempfile::tempdir().expect("a folder");
        for extension in ["png", "tiff"] {
            let path = folder.path().join("slice").with_extension(extension);
            grey(5, 3, 0).save(&path).expect("saved");
            let volume = read(&path, Colour::Keep).expect("8 bits");
            assert_eq!(volume.data.dim(), (1, 1, 3, 5));
            assert_eq!(volume.data[[0, 0, 2, 4]], 24.0);

            ImageBuffer::from_fn(2, 3, |x, y| Luma([60_000 + (x + 10 * y) as u16]))
                .save(&path)
                .expect("saved");
            assert_eq!(read(&path, Colour::Grey).expect("16 bits").data[[0, 0, 2, 1]], 60_021.0);

            ImageBuffer::from_fn(4, 2, |x, y| Rgba([x as u8, y as u8, 200, 7])).save(&path).expect("saved");
            let colour = read(&path, Colour::Keep).expect("RGBA");
            assert_eq!(colour.data.dim(), (3, 1, 2, 4));
            assert_eq!([0, 1, 2].map(|c| colour.data[[c, 0, 1, 3]]), [3.0, 1.0, 200.0]);

            ImageBuffer::from_pixel(2, 2, Rgb([65_535_u16; 3])).save(&path).expect("saved");
            assert_eq!(read(&path, Colour::Grey).expect("RGB").data[[0, 0, 1, 1]], 65_535.0);
            ImageBuffer::from_pixel(2, 2, Rgb([100_u8, 200, 50])).save(&path).expect("saved");
            let luma = read(&path, Colour::Grey).expect("RGB").data;
            assert_eq!((luma.dim(), luma[[0, 0, 0, 1]]), ((1, 1, 2, 2), 153.0)); // 29.9 + 117.4 + 5.7
        }
    }

    #[test]
    fn pictures_stand_upright_in_the_world() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.png");
        grey(5, 3, 0).save(&path).expect("saved");
        let volume = read(&path, Colour::Keep).expect("a slice");
        assert_eq!(volume.world_mm([0.0, 0.0, 0.0]), [-2.0, 1.0, 0.0]); // top left: left, front
        let (ras, original) = to_ras(volume);
        assert_eq!(original.to_string(), "RPS");
        assert_eq!(ras.data[[0, 0, 2, 0]], 0.0); // the top left pixel, in the frontmost row
    }

    #[test]
    fn folders_stack_in_natural_order() {
        let folder = tempfile::tempdir().expect("a folder");
        for n in [1_u8, 2, 10] {
            grey(4, 3, n * 20).save(folder.path().join(format!("slice{n}.png"))).expect("saved");
        }
        fs::write(folder.path().join("notes.txt"), "not a slice").expect("written");
        fs::write(folder.path().join("._slice1.png"), "not a slice").expect("written");
        let stack = read(folder.path(), Colour::Keep).expect("a stack");
        assert_eq!(stack.data.dim(), (1, 3, 3, 4));
        assert_eq!([0, 1, 2].map(|k| stack.data[[0, k, 0, 0]]), [20.0, 40.0, 200.0]);

        let mut names = ["b", "a10", "a2", "a02", "a2b", "a010", "a", "a99999999999999999999999", "é1"];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(names, ["a", "a02", "a2", "a2b", "a010", "a10", "a99999999999999999999999", "b", "é1"]);

        // The odd one is named even where it comes first.
        grey(4, 4, 0).save(folder.path().join("slice0.png")).expect("saved");
        let error = read(folder.path(), Colour::Keep).expect_err("sizes differ").to_string();
        assert!(error.contains("slice0.png") && error.contains("found 4 × 4 pixels, 1 channel"), "{error}");
    }

    #[test]
    fn damage_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("slice.png");
        let refused = |bytes: &[u8]| {
            fs::write(&path, bytes).expect("written");
            let error = read(&path, Colour::Keep).expect_err("damaged").to_string();
            assert!(error.contains("slice.png"), "{error}");
            error
        };
        grey(40, 30, 0).save(&path).expect("saved");
        let whole = fs::read(&path).expect("read");
        for length in 0..whole.len() - 12 {
            refused(&whole[..length]); // the 12 bytes of IEND may be missing
        }
        refused(b"a text file");
        refused(b"GIF89a\x01\x00\x01\x00\x00\x00\x00");
        assert!(read(&folder.path().join("none.png"), Colour::Keep).is_err());
        let empty = tempfile::tempdir().expect("a folder");
        assert!(read(empty.path(), Colour::Keep).expect_err("empty").to_string().contains("found none"));
    }

    #[test]
    fn headers_that_lie_are_not_believed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("slice.png");
        grey(4, 4, 0).save(&path).expect("saved");
        let mut bytes = fs::read(&path).expect("read");
        for edge in [50_000_u32, u32::MAX / 2] {
            bytes[16..20].copy_from_slice(&edge.to_be_bytes());
            bytes[20..24].copy_from_slice(&edge.to_be_bytes());
            // CRC-32 of the header chunk, so that the lie is well formed.
            let crc = !bytes[12..29].iter().fold(!0_u32, |crc, &byte| {
                (0..8).fold(crc ^ u32::from(byte), |crc, _| {
                    (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
                })
            });
            bytes[29..33].copy_from_slice(&crc.to_be_bytes());
            fs::write(&path, &bytes).expect("written");
            let error = read(&path, Colour::Keep).expect_err("a lie").to_string();
            assert!(error.contains("promises more than"), "{error}");
        }
    }

    #[test]
    fn further_pages_are_not_lost_in_silence() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("slice.tif");
        grey(4, 4, 0).save(&path).expect("saved");
        let mut bytes = fs::read(&path).expect("read");
        // The first page's directory, named again as the next.
        let page = u32::from_le_bytes(bytes[4..8].try_into().expect("four bytes")) as usize;
        let entries = usize::from(u16::from_le_bytes([bytes[page], bytes[page + 1]]));
        let next = page + 2 + 12 * entries;
        bytes[next..next + 4].copy_from_slice(&(page as u32).to_le_bytes());
        fs::write(&path, bytes).expect("written");
        let error = read(&path, Colour::Keep).expect_err("two pages").to_string();
        assert!(error.contains("pages: expected one, found several"), "{error}");
    }
}
