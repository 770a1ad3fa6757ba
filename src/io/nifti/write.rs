//! Writing NIfTI: header, affine and scaled voxels, completely or not at all.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::head::Head;
use crate::error::{Error, Result};
use crate::io::atomic::atomic_write;
use crate::io::data_type::{DataType, Order};
use crate::io::stored;
use crate::io::values::Values;
use crate::volume::Volume;

/// Options for writing a NIfTI file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// The stored type of voxels; integers with slope and intercept.
    pub data_type: DataType,
    /// The header's `descrip`, at most 79 bytes.
    pub description: String,
    /// NIfTI-2 also where every extent is within NIfTI-1's 32767.
    pub nifti_2: bool,
}

/// Writes `volume` to `path`, a `.nii` or `.nii.gz`.
///
/// sform and qform are set to the affine (the qform only for orthogonal voxel axes) with the code of the volume's
/// world; the unit is the millimetre. As integers, values that are integers of the type already are stored unchanged;
/// others get the slope and intercept that map them to the type's range, with zero exact where it is in the range of
/// values; a constant volume is exact. NaN becomes zero, or the nearest value to it in the volume; infinities become
/// the volume's extremes. float32 is stored unchanged. Three channels within 0–255 can be written as uint8 (RGB24).
///
/// # Errors
/// [`Error::Value`] or [`Error::File`] for a name, description, affine, extent or number of channels that NIfTI-1 does
/// not allow; [`Error::Io`] where the file cannot be written, and none is left.
pub fn write(path: impl AsRef<Path>, volume: &Volume, options: &WriteOptions) -> Result<()> {
    write_frames(path.as_ref(), std::slice::from_ref(volume), options)
}

/// The bytes of `volume` as a `.nii.gz`, called `name` in errors.
///
/// # Errors
/// As [`write()`], without those of the file system.
pub fn to_bytes(name: &Path, volume: &Volume, options: &WriteOptions) -> Result<Vec<u8>> {
    let frames = std::slice::from_ref(volume);
    let code = Code::choose(name, frames, options.data_type)?;
    let head = head(name, frames, options, code)?;
    compressed(Vec::new(), &head, frames, code).map_err(|e| Error::io(name, "compress", e))
}

/// Writes volumes of one grid as the frames of a 4D file, with one slope and intercept for all.
///
/// # Errors
/// As [`write()`], and [`Error::File`] for an empty series, or volumes with different grids.
pub fn write_series(path: impl AsRef<Path>, volumes: &[Volume], options: &WriteOptions) -> Result<()> {
    let path = path.as_ref();
    let Some(first) = volumes.first() else {
        return Err(Error::file(path, "frames", "one or more volumes", "none", "give at least one volume"));
    };
    let odd = volumes.iter().position(|v| v.data.dim() != first.data.dim() || v.affine != first.affine);
    if let Some(odd) = odd {
        let found =
            format!("frame {odd} with {:?} voxels, frame 0 with {:?}", volumes[odd].dims(), first.dims());
        return Err(Error::file(path, "frames", "one grid and affine", found, "resample them to one grid"));
    }
    write_frames(path, volumes, options)
}

fn write_frames(path: &Path, frames: &[Volume], options: &WriteOptions) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let gzip = name.ends_with(".nii.gz");
    if !gzip && !name.ends_with(".nii") {
        let advice = "let the file's name end so";
        return Err(Error::file(path, "name", ".nii or .nii.gz", format!("{name:?}"), advice));
    }
    let code = Code::choose(path, frames, options.data_type)?;
    let head = head(path, frames, options, code)?;
    atomic_write(path, |file: &mut BufWriter<File>| -> io::Result<()> {
        if gzip { compressed(file, &head, frames, code).map(drop) } else { plain(file, &head, frames, code) }
    })
}

fn plain(out: &mut dyn Write, head: &[u8], frames: &[Volume], code: Code) -> io::Result<()> {
    out.write_all(head)?;
    frames.iter().try_for_each(|frame| write_voxels(out, frame, code))
}

fn compressed<W: Write>(out: W, head: &[u8], frames: &[Volume], code: Code) -> io::Result<W> {
    let mut gz = GzEncoder::new(out, Compression::default());
    plain(&mut gz, head, frames, code)?;
    gz.finish()
}

/// How a value becomes the bytes of a voxel.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Code {
    Number(DataType),
    Scaled(DataType, Scale),
    Rgb,
}

/// Whole numbers `q` from `low` to `high` for the values `q · slope + inter`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Scale {
    slope: f32,
    inter: f32,
    low: f64,
    high: f64,
}

impl Code {
    fn choose(path: &Path, frames: &[Volume], data_type: DataType) -> Result<Self> {
        let values = || Values::of(frames);
        let byte = |values: &Values| {
            values.finite && values.ends.is_none_or(|(from, to)| from >= 0.0 && to <= 255.0)
        };
        match (frames[0].channels(), data_type) {
            (_, DataType::F128) => {
                let advice = "choose float32 or float64";
                Err(Error::file(path, "datatype", "a type that can be written", data_type.name(), advice))
            }
            (1, number) => Ok(match number.range() {
                Some((low, high)) => match values() {
                    values if values.held_by(number) => Self::Number(number),
                    values => Self::Scaled(number, Scale::fit(&values, low, high)),
                },
                None => Self::Number(number),
            }),
            (3, DataType::U8) if byte(&values()) => Ok(Self::Rgb),
            (channels, _) => Err(Error::file(
                path,
                "channels",
                "1, or 3 within 0 to 255 written as uint8",
                format!("{channels} as {data_type:?}"),
                "write each channel to a file of its own",
            )),
        }
    }

    /// The code `datatype`, and bits of a voxel.
    fn datatype(self) -> (i16, i16) {
        match self {
            Self::Rgb => (128, 24),
            Self::Number(number) | Self::Scaled(number, _) => {
                let code = match number {
                    DataType::U8 => 2,
                    DataType::I16 => 4,
                    DataType::I32 => 8,
                    DataType::F32 => 16,
                    DataType::F64 => 64,
                    DataType::I8 => 256,
                    DataType::U16 => 512,
                    DataType::U32 => 768,
                    DataType::I64 => 1024,
                    DataType::U64 => 1280,
                    DataType::F128 => 1536,
                };
                (code, 8 * number.bytes() as i16)
            }
        }
    }

    /// `scl_slope` and `scl_inter`.
    fn scaling(self) -> (f32, f32) {
        match self {
            Self::Scaled(_, scale) => (scale.slope, scale.inter),
            Self::Number(_) | Self::Rgb => (1.0, 0.0),
        }
    }
}

impl Scale {
    /// The finest scale for `values` in a type that holds whole numbers from `low` to `high`.
    fn fit(values: &Values, low: f64, high: f64) -> Self {
        let (min, max) = values.ends.unwrap_or((0.0, 0.0));
        let (from, to) = (f64::from(min), f64::from(max));
        let (slope, inter) = if from >= low && to <= high && values.whole {
            (1.0, 0.0)
        } else if min == max {
            (1.0, min)
        } else {
            Self::with_zero(from, to, low, high).unwrap_or_else(|| {
                let inter = if low < 0.0 { ((from + to) / 2.0) as f32 } else { min };
                let reach = (to - f64::from(inter)).max(f64::from(inter) - from);
                (round_up(reach / high, 23), inter)
            })
        };
        let scale = Self { slope, inter, low, high };
        // What is not finite is stored as the least, the largest or the value nearest to zero.
        Self { low: scale.code(min), high: scale.code(max), ..scale }
    }

    /// Slope and intercept that keep zero exact, if it lies between `from` and `to`: a slope of few binary digits
    /// times a whole number is exact in float32.
    fn with_zero(from: f64, to: f64, low: f64, high: f64) -> Option<(f32, f32)> {
        let slope = round_up((to - from) / (high - low - 1.0), 8);
        let inter = ((to / f64::from(slope)).ceil() - high) * f64::from(slope);
        (from <= 0.0 && to >= 0.0 && inter.abs() <= f64::from(f32::MAX)).then_some((slope, inter as f32))
    }

    /// The code whose value is nearest to `value`; NaN counts as zero.
    fn code(&self, value: f32) -> f64 {
        let value = if value.is_nan() { 0.0 } else { f64::from(value) };
        ((value - f64::from(self.inter)) / f64::from(self.slope)).round().clamp(self.low, self.high)
    }
}

/// The least float32 with `digits` binary digits after the first that is not less than `value` > 0.
fn round_up(value: f64, digits: i32) -> f32 {
    let step = 2f64.powi(value.log2().floor() as i32 - digits);
    (((value / step).ceil() * step) as f32).max(f32::MIN_POSITIVE)
}

/// All bytes in front of the voxels: NIfTI-1's where its extents do and NIfTI-2 is not asked for.
fn head(path: &Path, frames: &[Volume], options: &WriteOptions, code: Code) -> Result<Vec<u8>> {
    let volume = &frames[0];
    let [w, h, d] = volume.dims();
    let extents = [w, h, d, frames.len()];
    let mut dim = [1i64; 8];
    dim[0] = if frames.len() > 1 { 4 } else { 3 };
    for (n, extent) in extents.into_iter().enumerate() {
        dim[n + 1] = i64::try_from(extent).ok().filter(|&extent| extent > 0).ok_or_else(|| {
            Error::file(path, format!("dim[{}]", n + 1), "1 or more", extent.to_string(), "crop less of it")
        })?;
    }
    if options.description.len() > 79 {
        let found = format!("{} bytes", options.description.len());
        return Err(Error::value("description", "79 bytes at most", found, "shorten it"));
    }
    let head = Head {
        dim,
        datatype: code.datatype(),
        scaling: code.scaling(),
        affine: &volume.affine,
        world: volume.provenance.world,
        description: &options.description,
    };
    let fits = extents.into_iter().all(|extent| i16::try_from(extent).is_ok());
    Ok(if options.nifti_2 || !fits { head.nifti_2() } else { head.nifti_1() })
}

/// The voxels in the file's order.
fn write_voxels(out: &mut dyn Write, volume: &Volume, code: Code) -> io::Result<()> {
    match code {
        Code::Number(number) => stored::write_voxels(out, volume, (number, Order::Little), f64::from),
        Code::Scaled(number, scale) => {
            stored::write_voxels(out, volume, (number, Order::Little), |value| scale.code(value))
        }
        Code::Rgb => {
            stored::write_voxels(out, volume, (DataType::U8, Order::Little), |value| value.round().into())
        }
    }
}
