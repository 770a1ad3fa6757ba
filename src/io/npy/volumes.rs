//! Arrays as volumes: their axes are the voxel axes `(i, j, k)` and frames, as those of nibabel's `get_fdata()`.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use super::Header;
use crate::error::{Error, Result};
use crate::io::atomic_write;
use crate::io::data_type::{DataType, Order};
use crate::io::scan::Series;
use crate::io::stored::{CHANNELS_MAX, Stored, Want, write_voxels};
use crate::io::stream::{Coding, Stream};
use crate::io::voxels::{Kind, Layout};
use crate::volume::{Volume, VoxelToWorld, World};

/// The types of numbers, as `descr` has them behind the byte order; truth values are uint8.
const TYPES: [(&str, DataType); 11] = [
    ("u1", DataType::U8),
    ("i1", DataType::I8),
    ("u2", DataType::U16),
    ("i2", DataType::I16),
    ("u4", DataType::U32),
    ("i4", DataType::I32),
    ("u8", DataType::U64),
    ("i8", DataType::I64),
    ("f4", DataType::F32),
    ("f8", DataType::F64),
    ("b1", DataType::U8),
];

/// Reads an array of two to four axes. It has no place in the world: voxels are 1 mm, the first at the origin.
///
/// # Errors
/// [`Error::File`] for another file, other numbers and axes, and as [`Stored::read`]; [`Error::Io`].
pub fn read_volumes(path: &Path, want: Want) -> Result<Series> {
    let failed = |source| Error::io(path, "read the array", source);
    let mut file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let (header, start) = Header::read(path, &mut file)?;
    let number =
        TYPES.iter().find(|(name, _)| header.descr.get(1..) == Some(*name)).map(|(_, number)| *number);
    let number = number.ok_or_else(|| {
        let advice = "convert it with astype('float32') before numpy.save";
        Error::file(path, "descr", "integers, float32 or float64", header.descr.clone(), advice)
    })?;
    let [i, j, k, frames] = match header.shape[..] {
        [i, j] => [i, j, 1, 1],
        [i, j, k] => [i, j, k, 1],
        [i, j, k, frames] => [i, j, k, frames],
        _ => [0; 4],
    };
    if [i, j, k, frames].contains(&0) || (!header.fortran_order && frames > CHANNELS_MAX) {
        let (expected, found) = ("(i, j, k), or (i, j, k, frames)", format!("{:?}", header.shape));
        return Err(Error::file(path, "shape", expected, found, "save an array with these axes"));
    }
    // In C order the last axis is the fastest: frames lie voxel by voxel.
    let (extents, kind, slow) = match (header.fortran_order, frames) {
        (true, _) => ([i, j, k], Kind::Real, frames),
        (false, 1) => ([k, j, i], Kind::Real, 1),
        (false, _) => ([k, j, i], Kind::Colour(frames), 1),
    };
    let stored = Stored {
        format: "NumPy array".into(),
        extents,
        frames: slow,
        fields: ["shape", "shape"],
        layout: Layout { number, kind },
        order: if header.descr.starts_with('>') { Order::Big } else { Order::Little },
        scaling: None,
        affine: VoxelToWorld::identity(),
        place: "nothing".into(),
        world: World::default(),
        doubts: vec![
            "an array has no place in the world: voxels are 1 mm, i to the right, j to the front, k upwards"
                .into(),
        ],
        start: 0,
    };
    let stream = Stream::coded(BufReader::new(file), length.saturating_sub(start), Coding::Plain);
    if header.fortran_order {
        return stored.read(path, path, stream, want);
    }
    let series = stored.read(path, path, stream, want.whole())?;
    let mut series = if frames > 1 { series.split(path, "shape", frames, want)? } else { series };
    for frame in &mut series.frames {
        let turned = frame.data.view().permuted_axes([0, 3, 2, 1]); // [C, i, j, k] → [C, k, j, i]
        frame.data = turned.as_standard_layout().into_owned();
    }
    Ok(series)
}

/// Writes frames as an array of the axes (i, j, k), or (i, j, k, frames), in Fortran's order.
///
/// # Errors
/// [`Error::File`] for several channels; [`Error::Io`].
pub fn write_volumes(path: &Path, frames: &[Volume], number: DataType) -> Result<()> {
    let volume = &frames[0];
    if volume.channels() != 1 {
        let advice = "write NIfTI, NRRD or MetaImage, or take one channel";
        return Err(Error::file(path, "channels", "1", volume.channels().to_string(), advice));
    }
    let name = TYPES.iter().find(|(_, known)| *known == number).map_or("f8", |(name, _)| name);
    let descr = format!("{}{name}", if number.bytes() == 1 { '|' } else { '<' });
    let shape: Vec<usize> =
        volume.dims().into_iter().chain((frames.len() > 1).then_some(frames.len())).collect();
    atomic_write(path, |out| {
        std::io::Write::write_all(out, &super::head(&descr, true, &shape)?)?;
        frames.iter().try_for_each(|frame| write_voxels(out, frame, (number, Order::Little), f64::from))
    })
}
