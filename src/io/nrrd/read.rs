//! Reading NRRD: the fields of the header, what its axes mean, and the voxels.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nalgebra::{Matrix3, Vector3};
use ndarray::{Axis, concatenate};

use super::MAGIC;
use crate::error::{Error, Result};
use crate::io::data_type::{DataType, Order};
use crate::io::scan::Series;
use crate::io::stored::{CHANNELS_MAX, Stored, Want};
use crate::io::stream::{Coding, Lines};
use crate::io::voxels::{Kind, Layout};
use crate::volume::{VoxelToWorld, World};

/// What to do about a header that cannot be.
const DAMAGED: &str = "the header is damaged: write the file again";

/// Reads what is wanted of a `.nrrd` or `.nhdr`.
///
/// # Errors
/// [`Error::File`] naming the field for a header that cannot be or is not supported, and as [`Stored::read`]; [`Error::Io`].
pub fn read(path: &Path, want: Want) -> Result<Series> {
    let mut lines = Lines::open(path)?;
    let header = Header::read(path, &mut lines)?;
    let axes = header.axes()?;
    let (mut stored, coding) = header.stored(&axes)?;
    let number = stored.layout.number;
    if coding == Coding::Text {
        stored.layout.number = DataType::F64;
    }
    let voxels_path = header.detached()?.unwrap_or_else(|| path.to_path_buf());
    let lines = if voxels_path == path { lines } else { Lines::open(&voxels_path)? };
    stored.start = header.skip(&stored, coding, lines.left())?;
    let stream = lines.rest(coding);
    let series = match axes.others {
        Others::FramesFirst(count) => {
            stored.read(path, &voxels_path, stream, want.whole())?.split(path, "sizes", count, want)
        }
        Others::ChannelsLast(_) => stacked(stored.read(path, &voxels_path, stream, want.whole())?, path),
        _ => stored.read(path, &voxels_path, stream, want),
    }?;
    let data_type = if stored.layout.kind == Kind::Complex { series.data_type } else { number };
    Ok(Series { data_type, ..series })
}

/// The file of the voxels of a header, if they are in one of their own.
pub fn voxels_of(path: &Path) -> Option<PathBuf> {
    Header::read(path, &mut Lines::open(path).ok()?).ok()?.detached().ok()?
}

/// Frames as the channels of one volume.
fn stacked(series: Series, path: &Path) -> Result<Series> {
    let views: Vec<_> = series.frames.iter().map(|frame| frame.data.view()).collect();
    let data = concatenate(Axis(0), &views)
        .map_err(|e| Error::file(path, "sizes", "channels of one size", e.to_string(), DAMAGED))?;
    let mut frames = series.frames;
    frames.truncate(1);
    frames.iter_mut().for_each(|volume| volume.data = data.clone());
    Ok(Series { frames, ..series })
}

/// The fields of a header, by their names in lower case.
struct Header<'a> {
    path: &'a Path,
    fields: BTreeMap<String, String>,
}

/// The three axes in space, and what the others mean.
struct Axes {
    /// The first of the three.
    first: usize,
    sizes: [usize; 3],
    others: Others,
}

/// What the axes beside those in space mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Others {
    /// Channels before them (1 where there are none), frames behind.
    Usual(usize, usize),
    Complex(usize),
    FramesFirst(usize),
    ChannelsLast(usize),
}

impl<'a> Header<'a> {
    fn read(path: &'a Path, lines: &mut Lines) -> Result<Self> {
        let magic = lines.next(path)?.unwrap_or_default();
        if !magic.as_bytes().starts_with(MAGIC) {
            let found: String = magic.chars().take(16).collect();
            return Err(Error::file(
                path,
                "magic",
                "NRRD0001 to NRRD0005",
                found,
                "give a .nrrd or .nhdr file",
            ));
        }
        let mut fields = BTreeMap::new();
        while let Some(line) = lines.next(path)?.filter(|line| !line.is_empty()) {
            // Comments, and keys of the user's own (key:=value), say nothing of the voxels.
            if line.starts_with('#') || line.split_once(":=").is_some_and(|(key, _)| !key.contains(": ")) {
                continue;
            }
            let Some((name, value)) = line.split_once(':') else {
                let found: String = line.chars().take(40).collect();
                return Err(Error::file(path, "header", "lines of `field: value`", found, DAMAGED));
            };
            fields.insert(name.trim().to_lowercase(), value.trim().to_string());
        }
        Ok(Self { path, fields })
    }

    /// The value of the first of these fields that is there.
    fn get(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.fields.get(*name)).map(String::as_str)
    }

    fn error(&self, field: &str, expected: impl Into<String>, advice: &str) -> Error {
        Error::file(self.path, field, expected, self.get(&[field]).unwrap_or("none"), advice)
    }

    /// What the axes are.
    fn axes(&self) -> Result<Axes> {
        let sizes: Option<Vec<usize>> = self.get(&["sizes"]).and_then(|text| {
            text.split_whitespace().map(|size| size.parse().ok().filter(|&size| size > 0)).collect()
        });
        let sizes = sizes.ok_or_else(|| self.error("sizes", "numbers of 1 or more", DAMAGED))?;
        if self.get(&["dimension"]).and_then(|n| n.parse().ok()) != Some(sizes.len()) {
            return Err(self.error("dimension", format!("the number of sizes, {}", sizes.len()), DAMAGED));
        }
        let spatial = self.spatial(sizes.len())?;
        let count = spatial.iter().filter(|&&spatial| spatial).count();
        let first = spatial.iter().position(|&spatial| spatial).unwrap_or_default();
        let (behind, together) = (first + 3, spatial.iter().skip(first).take(3).all(|&spatial| spatial));
        if count != 3 || !together || first > 1 || sizes.len() - behind > 1 {
            let expected =
                "three axes in space next to each other, with at most one before and one behind them";
            return Err(self.error("sizes", expected, "save the volume alone, with three axes"));
        }
        let before = if first == 1 { sizes[0] } else { 1 };
        let after = sizes.get(behind).copied().unwrap_or(1);
        if before > CHANNELS_MAX {
            return Err(self.error("sizes", format!("{CHANNELS_MAX} channels at most"), DAMAGED));
        }
        let kinds = self.kinds();
        let kind = |axis: usize| kinds.get(axis).map_or("", String::as_str);
        let in_time = |kind: &str| ["list", "time"].contains(&kind);
        let others = match (first == 1, sizes.len() > behind) {
            (true, _) if kind(0) == "complex" && before == 2 => Others::Complex(after),
            (true, false) if in_time(kind(0)) => Others::FramesFirst(before),
            (false, true) if !in_time(kind(behind)) && !UNKNOWN.contains(&kind(behind)) => {
                Others::ChannelsLast(after)
            }
            _ => Others::Usual(before, after),
        };
        Ok(Axes { first, sizes: [0, 1, 2].map(|axis| sizes[first + axis]), others })
    }

    fn kinds(&self) -> Vec<String> {
        let kinds = self.get(&["kinds"]).unwrap_or_default();
        kinds.split_whitespace().map(|kind| kind.trim_matches('"').to_lowercase()).collect()
    }

    /// Which of the axes are in space: those with a direction, or else by their kinds and spacings.
    fn spatial(&self, dimension: usize) -> Result<Vec<bool>> {
        if let Some(directions) = self.directions()? {
            if directions.len() != dimension {
                return Err(self.error("space directions", format!("{dimension}, one an axis"), DAMAGED));
            }
            return Ok(directions.iter().map(Option::is_some).collect());
        }
        let (kinds, spacings) = (self.kinds(), self.spacings(dimension)?);
        let known = |axis: usize| {
            let kind = kinds.get(axis).map_or("", String::as_str);
            (UNKNOWN.contains(&kind) || IN_SPACE.contains(&kind)) && !spacings[axis].is_nan()
        };
        let mut spatial: Vec<bool> = (0..dimension).map(known).collect();
        // Of four axes of which nothing is said, the last is the odd one.
        if dimension == 4 && spatial.iter().all(|&spatial| spatial) {
            spatial[3] = false;
        }
        Ok(spatial)
    }

    /// The directions of the axes in the file's space; `none` for those that have no place there.
    fn directions(&self) -> Result<Option<Vec<Option<Vector3<f64>>>>> {
        let Some(text) = self.get(&["space directions"]) else { return Ok(None) };
        let wrong = || self.error("space directions", "vectors (x,y,z) or none", DAMAGED);
        let (mut left, mut directions) = (text.trim(), Vec::new());
        while !left.is_empty() {
            let (end, direction) = match left.find(')') {
                Some(end) if left.starts_with('(') => {
                    (end + 1, Some(vector(&left[..=end]).ok_or_else(wrong)?))
                }
                _ if left.starts_with("none") => (4, None),
                _ => return Err(wrong()),
            };
            directions.push(direction);
            left = left[end..].trim_start();
        }
        Ok(Some(directions))
    }

    /// The sizes of the voxels along all axes, 1 where nothing is said.
    fn spacings(&self, dimension: usize) -> Result<Vec<f64>> {
        let Some(text) = self.get(&["spacings"]) else { return Ok(vec![1.0; dimension]) };
        let spacings: Option<Vec<f64>> = text.split_whitespace().map(|mm| mm.parse().ok()).collect();
        let one_an_axis = spacings.filter(|spacings| spacings.len() == dimension);
        one_an_axis.ok_or_else(|| self.error("spacings", format!("{dimension} numbers"), DAMAGED))
    }

    /// The place of the voxels, where the header says it, and what it leaves open.
    fn affine(&self, axes: &Axes) -> Result<(VoxelToWorld, &'static str, Option<String>)> {
        let space = self.get(&["space"]).map(str::to_lowercase);
        let (flips, doubt) = match space.as_deref() {
            Some("right-anterior-superior" | "ras") => ([1.0, 1.0, 1.0], None),
            Some("left-anterior-superior" | "las") => ([-1.0, 1.0, 1.0], None),
            Some("left-posterior-superior" | "lps") => ([-1.0, -1.0, 1.0], None),
            other => {
                let said = other.map_or("no space".into(), |space| format!("space {space}"));
                let doubt = format!(
                    "{said}, which does not say where left is: axes are taken as LPS, as ITK takes them"
                );
                ([-1.0, -1.0, 1.0], Some(doubt))
            }
        };
        let flip = Matrix3::from_diagonal(&flips.into()) * self.millimetres()?;
        let (steps, place) = match self.directions()? {
            Some(directions) => {
                let axis = |n: usize| directions[axes.first + n].unwrap_or_default();
                (Matrix3::from_columns(&[axis(0), axis(1), axis(2)]), "space directions")
            }
            None => {
                let spacings = self.spacings(self.dimension())?;
                (
                    Matrix3::from_fn(|row, axis| if row == axis { spacings[axes.first + axis] } else { 0.0 }),
                    "spacings",
                )
            }
        };
        let origin = match self.get(&["space origin"]) {
            Some(text) => {
                vector(text).ok_or_else(|| self.error("space origin", "a vector (x,y,z)", DAMAGED))?
            }
            None => Vector3::zeros(),
        };
        let affine =
            VoxelToWorld::from_axes(&(flip * steps), &(flip * origin)).map_err(|error| match error {
                Error::Value { expected, found, .. } => {
                    Error::file(self.path, place, expected, found, DAMAGED)
                }
                other => other,
            })?;
        Ok((affine, place, doubt))
    }

    fn dimension(&self) -> usize {
        self.get(&["dimension"]).and_then(|n| n.parse().ok()).unwrap_or_default()
    }

    /// Millimetres in the unit of the space.
    fn millimetres(&self) -> Result<f64> {
        let unit = self.get(&["space units"]).and_then(|units| units.split('"').nth(1)).unwrap_or("mm");
        match unit {
            "mm" | "millimeter" | "millimeters" | "" | "???" => Ok(1.0),
            "m" | "meter" | "meters" => Ok(1000.0),
            "cm" | "centimeter" | "centimeters" => Ok(10.0),
            "um" | "µm" | "micrometer" | "micrometers" | "microns" => Ok(0.001),
            _ => Err(self.error(
                "space units",
                "\"m\", \"cm\", \"mm\" or \"um\"",
                "give the voxels in millimetres",
            )),
        }
    }

    /// What the header says of its voxels, and how they are coded.
    fn stored(&self, axes: &Axes) -> Result<(Stored, Coding)> {
        let coding = match self.get(&["encoding"]).map(str::to_lowercase).as_deref() {
            Some("raw") => Coding::Plain,
            Some("gz" | "gzip") => Coding::Gzip,
            Some("txt" | "text" | "ascii") => Coding::Text,
            _ => return Err(self.error("encoding", "raw, gzip or ascii", "save it with one of these")),
        };
        let number = self.get(&["type"]).and_then(number).ok_or_else(|| {
            self.error("type", "an integer of 8 to 64 bits, float or double", "convert it to float")
        })?;
        let order = match self.get(&["endian"]) {
            _ if coding == Coding::Text => Order::Little,
            None if number.bytes() == 1 => Order::Little,
            Some("little") => Order::Little,
            Some("big") => Order::Big,
            _ => return Err(self.error("endian", "little or big", DAMAGED)),
        };
        let (kind, frames) = match axes.others {
            Others::Usual(1, frames) => (Kind::Real, frames),
            Others::Usual(channels, frames) => (Kind::Colour(channels), frames),
            Others::Complex(frames) => (Kind::Complex, frames),
            Others::FramesFirst(frames) => (Kind::Colour(frames), 1),
            Others::ChannelsLast(channels) => (Kind::Real, channels),
        };
        let (affine, place, doubt) = self.affine(axes)?;
        let stored = Stored {
            format: "NRRD".into(),
            extents: axes.sizes,
            frames,
            fields: ["sizes", "sizes"],
            layout: Layout { number, kind },
            order,
            scaling: None,
            affine,
            place: place.into(),
            world: World::default(),
            doubts: doubt.into_iter().collect(),
            start: 0,
        };
        Ok((stored, coding))
    }

    /// Bytes in front of the voxels, of `left` that are there.
    fn skip(&self, stored: &Stored, coding: Coding, left: u64) -> Result<u64> {
        if self.get(&["line skip", "lineskip"]).is_some_and(|lines| lines != "0") {
            return Err(self.error("line skip", "0", "save it without lines in front of the voxels"));
        }
        let wrong =
            || self.error("byte skip", "bytes in front of the voxels; -1 with raw voxels only", DAMAGED);
        match self.get(&["byte skip", "byteskip"]) {
            None => Ok(0),
            Some("-1") if coding == Coding::Plain => {
                let bytes = stored.bytes().filter(|&bytes| bytes <= left);
                // More than is there is said where it is read.
                Ok(bytes.map_or(0, |bytes| left - bytes))
            }
            Some(bytes) if coding != Coding::Text => bytes.parse().map_err(|_| wrong()),
            Some(_) => Err(wrong()),
        }
    }

    /// The file of the voxels, if it is another.
    fn detached(&self) -> Result<Option<PathBuf>> {
        match self.get(&["data file", "datafile"]) {
            None => Ok(None),
            Some(name) if name.starts_with("LIST") || name.contains('%') => {
                Err(self.error("data file", "the name of one file", "save the voxels in one file"))
            }
            Some(name) => Ok(Some(self.path.parent().unwrap_or(Path::new("")).join(name))),
        }
    }
}

/// Kinds that say nothing, and those of axes in space.
const UNKNOWN: [&str; 3] = ["", "none", "???"];
const IN_SPACE: [&str; 2] = ["domain", "space"];

/// The numbers of a vector in parentheses.
fn vector(text: &str) -> Option<Vector3<f64>> {
    let inner = text.trim().strip_prefix('(')?.strip_suffix(')')?;
    let numbers: Vec<f64> =
        inner.split(',').map(|number| number.trim().parse().ok()).collect::<Option<_>>()?;
    (numbers.len() == 3).then(|| Vector3::from_row_slice(&numbers))
}

/// The type of a number by its names.
fn number(name: &str) -> Option<DataType> {
    Some(match name.to_lowercase().as_str() {
        "signed char" | "int8" | "int8_t" => DataType::I8,
        "uchar" | "unsigned char" | "uint8" | "uint8_t" => DataType::U8,
        "short" | "short int" | "signed short" | "signed short int" | "int16" | "int16_t" => DataType::I16,
        "ushort" | "unsigned short" | "unsigned short int" | "uint16" | "uint16_t" => DataType::U16,
        "int" | "signed int" | "int32" | "int32_t" => DataType::I32,
        "uint" | "unsigned int" | "uint32" | "uint32_t" => DataType::U32,
        "longlong"
        | "long long"
        | "long long int"
        | "signed long long"
        | "signed long long int"
        | "int64"
        | "int64_t" => DataType::I64,
        "ulonglong" | "unsigned long long" | "unsigned long long int" | "uint64" | "uint64_t" => {
            DataType::U64
        }
        "float" => DataType::F32,
        "double" => DataType::F64,
        _ => return None,
    })
}
