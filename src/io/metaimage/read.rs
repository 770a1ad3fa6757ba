//! Reading MetaImage: the fields of the header, then the voxels.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nalgebra::{Matrix3, Vector3};

use super::TYPES;
use crate::error::{Error, Result};
use crate::io::LPS_RAS;
use crate::io::data_type::{DataType, Order};
use crate::io::scan::Series;
use crate::io::stored::{CHANNELS_MAX, Stored, Want};
use crate::io::stream::{Coding, Lines};
use crate::io::voxels::{Kind, Layout};
use crate::volume::{VoxelToWorld, World};

/// What to do about a header that cannot be.
const DAMAGED: &str = "the header is damaged: write the file again";

/// Reads what is wanted of a `.mha` or `.mhd`.
///
/// # Errors
/// [`Error::File`] naming the field for a header that cannot be or is not supported, and as [`Stored::read`]; [`Error::Io`].
pub fn read(path: &Path, want: Want) -> Result<Series> {
    let mut lines = Lines::open(path)?;
    let header = Header::read(path, &mut lines)?;
    let mut stored = header.stored()?;
    let number = stored.layout.number;
    let voxels_path = header.detached()?.unwrap_or_else(|| path.to_path_buf());
    let mut lines = if voxels_path == path { lines } else { Lines::open(&voxels_path)? };
    let coding = match (header.flag("BinaryData", true)?, header.flag("CompressedData", false)?) {
        (false, _) => Coding::Text,
        (true, false) => Coding::Plain,
        (true, true) if lines.goes_on_in_gzip() => Coding::Gzip,
        (true, true) => Coding::Zlib,
    };
    if coding == Coding::Text {
        (stored.layout.number, stored.order) = (DataType::F64, Order::Little);
    }
    if coding == Coding::Plain {
        stored.start = header.skip(&stored, lines.left())?;
    }
    let series = stored.read(path, &voxels_path, lines.rest(coding), want)?;
    Ok(Series { data_type: number, ..series })
}

/// The file of the voxels of a header, if they are in one of their own.
pub fn voxels_of(path: &Path) -> Option<PathBuf> {
    Header::read(path, &mut Lines::open(path).ok()?).ok()?.detached().ok()?
}

/// The fields of a header.
struct Header<'a> {
    path: &'a Path,
    fields: BTreeMap<String, String>,
}

impl<'a> Header<'a> {
    fn read(path: &'a Path, lines: &mut Lines) -> Result<Self> {
        let mut fields = BTreeMap::new();
        // The voxels, or their file, are the last field.
        while !fields.contains_key("ElementDataFile") {
            let line = lines.next(path)?;
            let Some((name, value)) = line.as_deref().and_then(|line| line.split_once('=')) else {
                if line.as_deref() == Some("") {
                    continue;
                }
                let found = line.map_or("its end".into(), |line| line.chars().take(40).collect::<String>());
                let (expected, advice) =
                    ("lines of `Field = value`, ElementDataFile last", "give a .mha or .mhd file");
                return Err(Error::file(path, "header", expected, found, advice));
            };
            fields.insert(name.trim().to_string(), value.trim().to_string());
        }
        Ok(Self { path, fields })
    }

    /// The first of these fields that is there, and its value.
    fn get<'n>(&self, names: &[&'n str]) -> Option<(&'n str, &str)> {
        names.iter().find_map(|name| Some((*name, self.fields.get(*name)?.as_str())))
    }

    fn error(&self, field: &str, expected: impl Into<String>, advice: &str) -> Error {
        Error::file(self.path, field, expected, self.get(&[field]).map_or("none", |(_, value)| value), advice)
    }

    /// A field that is true or false.
    fn flag(&self, field: &str, missing: bool) -> Result<bool> {
        match self.get(&[field]).and_then(|(_, value)| value.chars().next()) {
            None => Ok(missing),
            Some('T' | 't' | '1') => Ok(true),
            Some('F' | 'f' | '0') => Ok(false),
            Some(_) => Err(self.error(field, "True or False", DAMAGED)),
        }
    }

    /// `count` numbers of the first of these fields that is there.
    fn numbers(&self, names: &[&str], count: usize) -> Result<Option<Vec<f64>>> {
        let Some((name, text)) = self.get(names) else { return Ok(None) };
        let numbers: Option<Vec<f64>> = text.split_whitespace().map(|number| number.parse().ok()).collect();
        let numbers = numbers.filter(|numbers| numbers.len() == count);
        numbers.map(Some).ok_or_else(|| self.error(name, format!("{count} numbers"), DAMAGED))
    }

    fn stored(&self) -> Result<Stored> {
        let dimensions =
            self.get(&["NDims"]).and_then(|(_, n)| n.parse().ok()).filter(|n| [3, 4].contains(n));
        let dimensions: usize =
            dimensions.ok_or_else(|| self.error("NDims", "3, or 4 of a time series", "save a volume"))?;
        let sizes: Option<Vec<usize>> = self.get(&["DimSize"]).and_then(|(_, text)| {
            text.split_whitespace().map(|size| size.parse().ok().filter(|&size| size > 0)).collect()
        });
        let sizes = sizes.filter(|sizes| sizes.len() == dimensions);
        let sizes = sizes
            .ok_or_else(|| self.error("DimSize", format!("{dimensions} numbers of 1 or more"), DAMAGED))?;
        let name = self.get(&["ElementType"]).map_or("", |(_, name)| name);
        // An older name of channels.
        let name = name.strip_suffix("_ARRAY").unwrap_or(name);
        let number = TYPES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
        let number = number.ok_or_else(|| {
            self.error("ElementType", "MET_ with an integer type, FLOAT or DOUBLE", "convert it to MET_FLOAT")
        })?;
        let field = "ElementNumberOfChannels";
        let channels = self.get(&[field]).map_or(Some(1), |(_, n)| n.parse().ok());
        let channels = channels.filter(|channels| (1..=CHANNELS_MAX).contains(channels));
        let channels = channels.ok_or_else(|| self.error(field, format!("1 to {CHANNELS_MAX}"), DAMAGED))?;
        let big = self.flag("BinaryDataByteOrderMSB", self.flag("ElementByteOrderMSB", false)?)?;
        Ok(Stored {
            format: "MetaImage".into(),
            extents: [sizes[0], sizes[1], sizes[2]],
            frames: sizes.get(3).copied().unwrap_or(1),
            fields: ["DimSize", "DimSize"],
            layout: Layout { number, kind: if channels == 1 { Kind::Real } else { Kind::Colour(channels) } },
            order: if big { Order::Big } else { Order::Little },
            scaling: None,
            affine: self.affine(dimensions)?,
            place: "TransformMatrix, Offset and ElementSpacing".into(),
            world: World::default(),
            doubts: Vec::new(),
            start: 0,
        })
    }

    /// Voxels to millimetres: ITK's LPS turned to RAS.
    fn affine(&self, dimensions: usize) -> Result<VoxelToWorld> {
        let matrix =
            self.numbers(&["TransformMatrix", "Rotation", "Orientation"], dimensions * dimensions)?;
        let offset = self.numbers(&["Offset", "Position", "Origin"], dimensions)?;
        let spacing = self.numbers(&["ElementSpacing", "ElementSize"], dimensions)?;
        // The direction of an axis stands in a row.
        let along = |axis: usize, row: usize| match &matrix {
            Some(matrix) => matrix[axis * dimensions + row],
            None => f64::from(u8::from(axis == row)),
        };
        let steps =
            Matrix3::from_fn(|row, axis| along(axis, row) * spacing.as_ref().map_or(1.0, |mm| mm[axis]));
        let origin = offset.map_or(Vector3::zeros(), |offset| Vector3::from_row_slice(&offset[..3]));
        VoxelToWorld::from_axes(&(LPS_RAS * steps), &(LPS_RAS * origin)).map_err(|error| match error {
            Error::Value { expected, found, .. } => {
                Error::file(self.path, "TransformMatrix, Offset, ElementSpacing", expected, found, DAMAGED)
            }
            other => other,
        })
    }

    /// Bytes in front of the voxels, of `left` that are there.
    fn skip(&self, stored: &Stored, left: u64) -> Result<u64> {
        match self.get(&["HeaderSize"]).map_or("0", |(_, bytes)| bytes) {
            // More than is there is said where it is read.
            "-1" => Ok(stored.bytes().filter(|&bytes| bytes <= left).map_or(0, |bytes| left - bytes)),
            bytes => bytes
                .parse()
                .map_err(|_| self.error("HeaderSize", "bytes in front of the voxels, or -1", DAMAGED)),
        }
    }

    /// The file of the voxels, if it is another.
    fn detached(&self) -> Result<Option<PathBuf>> {
        match self.get(&["ElementDataFile"]).map(|(_, name)| name) {
            None | Some("LOCAL" | "Local" | "local") => Ok(None),
            Some(name) if name.starts_with("LIST") || name.contains('%') => {
                let advice = "save the voxels in one file";
                Err(self.error("ElementDataFile", "LOCAL or the name of one file", advice))
            }
            Some(name) => Ok(Some(self.path.parent().unwrap_or(Path::new("")).join(name))),
        }
    }
}
