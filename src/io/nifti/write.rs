//! Writing NIfTI-1: header, affine and scaled voxels, completely or not at all.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use nalgebra::{Matrix3, Rotation3, UnitQuaternion};
use nifti::{Endianness, NiftiHeader};

use super::header::SIZE_1;
use crate::error::{Error, Result};
use crate::io::atomic::atomic_write;
use crate::volume::{Volume, VoxelToWorld};

/// The stored type of voxels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataType {
    /// float32, without scaling.
    #[default]
    F32,
    /// int16 with slope and intercept.
    I16,
    /// uint8 with slope and intercept; three channels become RGB24.
    U8,
}

/// Options for writing a NIfTI file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// The stored type of voxels.
    pub data_type: DataType,
    /// The header's `descrip`, at most 79 bytes.
    pub description: String,
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
    let head = header_bytes(&header(name, frames, options, code)?);
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
    let header = header(path, frames, options, code)?;
    let head = header_bytes(&header);
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
    F32,
    I16(Scale),
    U8(Scale),
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
        let values = || frames.iter().flat_map(|frame| frame.data.iter().copied());
        match (frames[0].channels(), data_type) {
            (1, DataType::F32) => Ok(Self::F32),
            (1, DataType::I16) => Ok(Self::I16(Scale::fit(values(), i16::MIN.into(), i16::MAX.into()))),
            (1, DataType::U8) => Ok(Self::U8(Scale::fit(values(), 0.0, u8::MAX.into()))),
            (3, DataType::U8) if values().all(|value| (0.0..=255.0).contains(&value)) => Ok(Self::Rgb),
            (channels, _) => Err(Error::file(
                path,
                "channels",
                "1, or 3 within 0 to 255 written as uint8",
                format!("{channels} as {data_type:?}"),
                "write each channel to a file of its own",
            )),
        }
    }

    /// `datatype` and `bitpix`.
    fn datatype(self) -> (i16, i16) {
        match self {
            Self::F32 => (16, 32),
            Self::I16(_) => (4, 16),
            Self::U8(_) => (2, 8),
            Self::Rgb => (128, 24),
        }
    }

    /// `scl_slope` and `scl_inter`.
    fn scaling(self) -> (f32, f32) {
        match self {
            Self::I16(scale) | Self::U8(scale) => (scale.slope, scale.inter),
            Self::F32 | Self::Rgb => (1.0, 0.0),
        }
    }
}

impl Scale {
    /// The finest scale for `values` in a type that holds whole numbers from `low` to `high`.
    fn fit(values: impl Iterator<Item = f32> + Clone, low: f64, high: f64) -> Self {
        let finite = || values.clone().filter(|value| value.is_finite());
        let ends = finite().fold(None, |ends: Option<(f32, f32)>, v| {
            Some(ends.map_or((v, v), |(min, max)| (min.min(v), max.max(v))))
        });
        let (min, max) = ends.unwrap_or((0.0, 0.0));
        let (from, to) = (f64::from(min), f64::from(max));
        let (slope, inter) = if from >= low && to <= high && finite().all(|value| value.fract() == 0.0) {
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

fn header(path: &Path, frames: &[Volume], options: &WriteOptions, code: Code) -> Result<NiftiHeader> {
    let volume = &frames[0];
    let mut dim = [1u16; 8];
    dim[0] = if frames.len() > 1 { 4 } else { 3 };
    let [w, h, d] = volume.dims();
    for (n, extent) in [w, h, d, frames.len()].into_iter().enumerate() {
        // The format's extents are signed 16-bit numbers.
        dim[n + 1] =
            i16::try_from(extent).ok().filter(|&e| e > 0).map(i16::unsigned_abs).ok_or_else(|| {
                let advice = "crop or resample the volume";
                Error::file(path, format!("dim[{}]", n + 1), "1 to 32767", extent.to_string(), advice)
            })?;
    }
    if options.description.len() > 79 {
        let found = format!("{} bytes", options.description.len());
        return Err(Error::value("description", "79 bytes at most", found, "shorten it"));
    }
    let (datatype, bitpix) = code.datatype();
    let (scl_slope, scl_inter) = code.scaling();
    let mut header = NiftiHeader {
        dim,
        datatype,
        bitpix,
        scl_slope,
        scl_inter,
        regular: b'r',
        // Millimetres, and seconds for the frames of a series.
        xyzt_units: if frames.len() > 1 { 2 | 8 } else { 2 },
        magic: *b"n+1\0",
        endianness: Endianness::Little,
        ..NiftiHeader::default()
    };
    header.descrip = options.description.clone().into_bytes();
    header.descrip.resize(80, 0);
    place(&mut header, &volume.affine, volume.provenance.world.code());
    Ok(header)
}

/// Sets voxel sizes, sform and, if the voxel axes are at right angles, qform (NIfTI-1's method 2), both of this code.
fn place(header: &mut NiftiHeader, affine: &VoxelToWorld, code: i16) {
    let row = |n: usize| [0, 1, 2, 3].map(|column| affine[(n, column)] as f32);
    (header.sform_code, header.srow_x, header.srow_y, header.srow_z) = (code, row(0), row(1), row(2));
    let sizes = affine.spacing_mm();
    let mut axes = Matrix3::from_fn(|row, axis| affine[(row, axis)] / sizes[axis]);
    let right_angled =
        [(0, 1), (0, 2), (1, 2)].iter().all(|&(a, b)| axes.column(a).dot(&axes.column(b)).abs() < 1e-6);
    for (pixdim, size) in header.pixdim[1..].iter_mut().zip(sizes) {
        *pixdim = size as f32;
    }
    if !right_angled {
        header.qform_code = 0;
        return;
    }
    header.qform_code = code;
    if axes.determinant() < 0.0 {
        header.pixdim[0] = -1.0;
        axes.column_mut(2).neg_mut();
    }
    let rotation = Rotation3::from_matrix_unchecked(axes);
    let quaternion = UnitQuaternion::from_rotation_matrix(&rotation);
    // The format leaves out the first part and takes it as positive.
    let sign = if quaternion.w < 0.0 { -1.0 } else { 1.0 };
    [header.quatern_b, header.quatern_c, header.quatern_d] =
        [quaternion.i, quaternion.j, quaternion.k].map(|part| (part * sign) as f32);
    [header.quatern_x, header.quatern_y, header.quatern_z] = [0, 1, 2].map(|n| affine[(n, 3)] as f32);
}

/// The header and the four bytes that say no extension follows, little endian.
fn header_bytes(h: &NiftiHeader) -> Vec<u8> {
    let mut out = Vec::with_capacity(SIZE_1 + 4);
    let i16s = |out: &mut Vec<u8>, values: &[i16]| out.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    let f32s = |out: &mut Vec<u8>, values: &[f32]| out.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    out.extend(h.sizeof_hdr.to_le_bytes());
    out.extend(h.data_type);
    out.extend(h.db_name);
    out.extend(h.extents.to_le_bytes());
    i16s(&mut out, &[h.session_error]);
    out.extend([h.regular, h.dim_info]);
    out.extend(h.dim.iter().flat_map(|n| n.to_le_bytes()));
    f32s(&mut out, &[h.intent_p1, h.intent_p2, h.intent_p3]);
    i16s(&mut out, &[h.intent_code, h.datatype, h.bitpix, h.slice_start]);
    f32s(&mut out, &h.pixdim);
    f32s(&mut out, &[h.vox_offset, h.scl_slope, h.scl_inter]);
    i16s(&mut out, &[h.slice_end]);
    out.extend([h.slice_code, h.xyzt_units]);
    f32s(&mut out, &[h.cal_max, h.cal_min, h.slice_duration, h.toffset]);
    out.extend([h.glmax, h.glmin].iter().flat_map(|v| v.to_le_bytes()));
    out.extend(&h.descrip);
    out.extend(h.aux_file);
    i16s(&mut out, &[h.qform_code, h.sform_code]);
    f32s(&mut out, &[h.quatern_b, h.quatern_c, h.quatern_d, h.quatern_x, h.quatern_y, h.quatern_z]);
    f32s(&mut out, &[h.srow_x, h.srow_y, h.srow_z].concat());
    out.extend(h.intent_name);
    out.extend(h.magic);
    debug_assert_eq!(out.len(), SIZE_1);
    out.extend([0; 4]);
    out
}

/// The voxels in the file's order, a plane at a time.
fn write_voxels(out: &mut dyn Write, volume: &Volume, code: Code) -> io::Result<()> {
    let (channels, depth, _, _) = volume.data.dim();
    let mut bytes = Vec::new();
    for z in 0..depth {
        bytes.clear();
        let plane = |channel| volume.data.slice(ndarray::s![channel, z, .., ..]);
        match code {
            Code::F32 => plane(0).iter().for_each(|v| bytes.extend(v.to_le_bytes())),
            Code::I16(scale) => {
                plane(0).iter().for_each(|&v| bytes.extend((scale.code(v) as i16).to_le_bytes()));
            }
            Code::U8(scale) => bytes.extend(plane(0).iter().map(|&v| scale.code(v) as u8)),
            Code::Rgb => {
                let planes: Vec<_> = (0..channels).map(plane).collect();
                for (y, x) in ndarray::indices(planes[0].dim()) {
                    bytes.extend(planes.iter().map(|plane| plane[[y, x]].round() as u8));
                }
            }
        }
        out.write_all(&bytes)?;
    }
    Ok(())
}
