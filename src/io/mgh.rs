//! FreeSurfer's MGH volumes, `.mgh`, and the same compressed by gzip, `.mgz`.
//!
//! A header of 284 bytes, big endian; voxels with the first axis fastest, frame by frame; scan parameters and tags behind them,
//! which are not read. Where `goodRASFlag` is 0, voxels are 1 mm and coronal, centred on the origin.
//!
//! The format: <https://surfer.nmr.mgh.harvard.edu/fswiki/FsTutorial/MghFormat>.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use nalgebra::{Matrix3, Vector3};

use super::atomic::atomic_write;
use super::data_type::{DataType, Order};
use super::scan::Series;
use super::stored::{Stored, Want, write_voxels};
use super::stream::Stream;
use super::voxels::{Kind, Layout};
use crate::error::{Error, Result};
use crate::volume::{Volume, VoxelToWorld, World};

/// Bytes before the voxels, and of those that fields take.
const START: usize = 284;
const FIELDS: usize = 90;
/// Bytes of the scan parameters behind the voxels: TR, flip angle, TE, TI and field of view.
const FOOTER: usize = 20;

/// What is made of a header without a place, as FreeSurfer does.
const NO_PLACE: &str = "goodRASFlag is 0, so nothing says where the voxels lie: they are taken as coronal (LIA), 1 mm, about the origin";

/// The types of voxels and their codes.
const CODES: [(i32, DataType); 5] =
    [(0, DataType::U8), (1, DataType::I32), (3, DataType::F32), (4, DataType::I16), (10, DataType::U16)];

/// The code of a type that every program reads; uint16 is younger than most.
pub(super) fn code(number: DataType) -> Option<i32> {
    CODES.iter().find(|(code, known)| *known == number && *code != 10).map(|(code, _)| *code)
}

/// Reads what is wanted of a `.mgh` or `.mgz`.
///
/// # Errors
/// [`Error::File`] naming the field for a header that cannot be, and as [`Stored::read`]; [`Error::Io`].
pub(super) fn read(path: &Path, want: Want) -> Result<Series> {
    let mut stream = Stream::open(path)?;
    let mut header = [0; START];
    stream.fill(path, &mut header, START as u64)?;
    stored(path, &header)?.read(path, path, stream, want)
}

fn stored(path: &Path, header: &[u8; START]) -> Result<Stored> {
    let damaged = "the header is damaged: convert the scan again with mri_convert";
    let bytes = |at: usize| [0, 1, 2, 3].map(|n| header[at + n]);
    let whole = |at: usize| i32::from_be_bytes(bytes(at));
    let real = |at: usize| f64::from(f32::from_be_bytes(bytes(at)));
    if whole(0) != 1 {
        return Err(Error::file(path, "version", "1", whole(0).to_string(), "give an .mgh or .mgz file"));
    }
    let mut sizes = [0; 4];
    for (n, name) in ["width", "height", "depth", "nframes"].into_iter().enumerate() {
        let size = whole(4 + 4 * n);
        sizes[n] = usize::try_from(size)
            .ok()
            .filter(|&size| size > 0)
            .ok_or_else(|| Error::file(path, name, "1 or more", size.to_string(), damaged))?;
    }
    let number =
        CODES.iter().find(|(code, _)| *code == whole(20)).map(|(_, number)| *number).ok_or_else(|| {
            let advice = "convert it: mri_convert -odt float a.mgz b.mgz";
            Error::file(path, "type", "0, 1, 3, 4 or 10", whole(20).to_string(), advice)
        })?;
    let [w, h, d, frames] = sizes;
    let good = i16::from_be_bytes([header[28], header[29]]) > 0;
    let (steps, centre, place) = if good {
        let steps = Matrix3::from_fn(|row, axis| real(42 + 12 * axis + 4 * row) * real(30 + 4 * axis));
        (steps, Vector3::from_fn(|row, _| real(78 + 4 * row)), "Mdc and c_ras")
    } else {
        let coronal = Matrix3::new(-1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0, 0.0);
        (coronal, Vector3::zeros(), "nothing")
    };
    let middle = Vector3::new(w as f64, h as f64, d as f64) / 2.0;
    let affine =
        VoxelToWorld::from_axes(&steps, &(centre - steps * middle)).map_err(|error| match error {
            Error::Value { expected, found, .. } => Error::file(path, "Mdc, c_ras", expected, found, damaged),
            other => other,
        })?;
    Ok(Stored {
        format: "MGH".into(),
        extents: [w, h, d],
        frames,
        fields: ["width, height, depth", "nframes"],
        layout: Layout { number, kind: Kind::Real },
        order: Order::Big,
        scaling: None,
        affine,
        place: place.into(),
        world: World::Scanner,
        doubts: (!good).then(|| NO_PLACE.to_string()).into_iter().collect(),
        start: START as u64,
    })
}

/// Writes frames as `.mgh`, or compressed as `.mgz` or `.mgh.gz`.
///
/// # Errors
/// [`Error::File`] for several channels and for extents beyond int32; [`Error::Io`].
pub(super) fn write(path: &Path, frames: &[Volume], number: DataType) -> Result<()> {
    let header = header(path, frames, number)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let fill = |out: &mut dyn Write| -> io::Result<()> {
        out.write_all(&header)?;
        frames.iter().try_for_each(|frame| write_voxels(out, frame, (number, Order::Big), f64::from))?;
        out.write_all(&[0; FOOTER])
    };
    atomic_write(path, |file: &mut BufWriter<File>| {
        if name.ends_with(".mgh") {
            return fill(file);
        }
        let mut gz = GzEncoder::new(file, Compression::default());
        fill(&mut gz)?;
        gz.finish().map(drop)
    })
}

fn header(path: &Path, frames: &[Volume], number: DataType) -> Result<[u8; START]> {
    let volume = &frames[0];
    if volume.channels() != 1 {
        let (found, advice) =
            (volume.channels().to_string(), "write NIfTI, NRRD or MetaImage, or take one channel");
        return Err(Error::file(path, "channels", "1", found, advice));
    }
    let Some(code) = code(number) else {
        let (expected, advice) = ("uint8, int16, int32 or float32", "choose one of these");
        return Err(Error::file(path, "type", expected, number.name(), advice));
    };
    let mut fields = Vec::with_capacity(FIELDS);
    fields.extend(1i32.to_be_bytes());
    let [w, h, d] = volume.dims();
    for extent in [w, h, d, frames.len()] {
        let size = i32::try_from(extent).ok().filter(|&size| size > 0).ok_or_else(|| {
            let advice = "crop or resample the volume";
            Error::file(path, "width, height, depth, nframes", "1 to 2147483647", extent.to_string(), advice)
        })?;
        fields.extend(size.to_be_bytes());
    }
    fields.extend(code.to_be_bytes());
    fields.extend(0i32.to_be_bytes()); // dof
    fields.extend(1i16.to_be_bytes()); // goodRASFlag
    let (steps, sizes) = (volume.affine.steps_mm(), volume.affine.spacing_mm());
    let centre = volume.world_mm([w, h, d].map(|size| size as f64 / 2.0));
    let directions = (0..3).flat_map(|axis| (0..3).map(move |row| steps[(row, axis)] / sizes[axis]));
    let reals = sizes.into_iter().chain(directions).chain(centre);
    fields.extend(reals.flat_map(|value| (value as f32).to_be_bytes()));
    let mut header = [0; START];
    header[..FIELDS].copy_from_slice(&fields);
    Ok(header)
}
