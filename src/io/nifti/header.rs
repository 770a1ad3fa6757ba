//! The NIfTI header: parsed from either version and byte order, checked, and turned into a voxel-to-world matrix.

use std::path::Path;

use nalgebra::{Matrix4, Quaternion, UnitQuaternion};
use nifti::NiftiHeader;

use crate::error::{Error, Result};
use crate::io::data_type::{DataType, Order};
use crate::io::voxels::{Kind, Layout};
use crate::volume::{VoxelToWorld, World};

/// By what part voxel sizes of the sform and of pixdim may differ, and how far, in the smallest voxel, the two forms
/// may lie apart: more than rounding makes.
const TOLERANCE: f64 = 0.01;
const APART: f64 = 0.05;

/// Bytes of a NIfTI-1 header.
pub(super) const SIZE_1: usize = 348;
/// Bytes of a NIfTI-2 header, the most that [`Header::parse`] looks at.
pub(super) const SIZE_2: usize = 540;

/// The fields of either version that reading needs, in one shape.
#[derive(Clone, Debug)]
pub(super) struct Header {
    /// 1 or 2.
    pub version: u8,
    pub order: Order,
    /// The voxels follow in the same file (magic `n+1`, `n+2`).
    pub single_file: bool,
    pub dim: [i64; 8],
    pub datatype: i16,
    pub pixdim: [f64; 8],
    pub vox_offset: f64,
    pub scl_slope: f64,
    pub scl_inter: f64,
    pub xyzt_units: i32,
    pub qform_code: i32,
    pub sform_code: i32,
    /// b, c, d.
    pub quatern: [f64; 3],
    pub qoffset: [f64; 3],
    pub srow: [[f64; 4]; 3],
}

impl Header {
    /// The header at the start of `bytes` (the first [`SIZE_2`] of the file, or all of a shorter file).
    ///
    /// # Errors
    /// [`Error::File`] with the field of a header that is not NIfTI's.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let advice = "give a NIfTI file (.nii, .nii.gz, .hdr/.img), or one of MGH, NRRD, MetaImage or DICOM; convert other formats first";
        let Some(first) = bytes.first_chunk::<4>() else {
            return Err(Error::file(path, "sizeof_hdr", "348 or 540", describe_start(bytes), advice));
        };
        let (version, order) = match (i32::from_le_bytes(*first), i32::from_be_bytes(*first)) {
            (348, _) => (1, Order::Little),
            (_, 348) => (1, Order::Big),
            (540, _) => (2, Order::Little),
            (_, 540) => (2, Order::Big),
            _ => return Err(Error::file(path, "sizeof_hdr", "348 or 540", describe_start(bytes), advice)),
        };
        let size = if version == 1 { SIZE_1 } else { SIZE_2 };
        if bytes.len() < size {
            return Err(Error::file(
                path,
                "header",
                format!("{size} bytes"),
                format!("{}", bytes.len()),
                "the file is cut off: copy or convert it again",
            ));
        }
        let single_file = magic(path, bytes, version)?;
        let header = if version == 1 {
            Self::parse_1(path, bytes, order, single_file)?
        } else {
            Self::parse_2(bytes, order, single_file)
        };
        Ok(header)
    }

    fn parse_1(path: &Path, bytes: &[u8], order: Order, single_file: bool) -> Result<Self> {
        // The nifti crate tells the byte order from dim[0], which decides nothing when it is damaged.
        let dim_0 = Fields { bytes, order }.i16(40);
        check_dim_0(path, dim_0.into())?;
        let h = NiftiHeader::from_reader(&bytes[..SIZE_1]).map_err(|error| {
            Error::file(path, "header", "a NIfTI-1 header", error.to_string(), "convert the file again")
        })?;
        Ok(Self {
            version: 1,
            order,
            single_file,
            dim: h.dim.map(|n| i64::from(n as i16)),
            datatype: h.datatype,
            pixdim: h.pixdim.map(f64::from),
            vox_offset: h.vox_offset.into(),
            scl_slope: h.scl_slope.into(),
            scl_inter: h.scl_inter.into(),
            xyzt_units: h.xyzt_units.into(),
            qform_code: h.qform_code.into(),
            sform_code: h.sform_code.into(),
            quatern: [h.quatern_b, h.quatern_c, h.quatern_d].map(f64::from),
            qoffset: [h.quatern_x, h.quatern_y, h.quatern_z].map(f64::from),
            srow: [h.srow_x, h.srow_y, h.srow_z].map(|row| row.map(f64::from)),
        })
    }

    fn parse_2(bytes: &[u8], order: Order, single_file: bool) -> Self {
        let f = Fields { bytes, order };
        Self {
            version: 2,
            order,
            single_file,
            dim: std::array::from_fn(|n| f.i64(16 + 8 * n)),
            datatype: f.i16(12),
            pixdim: std::array::from_fn(|n| f.f64(104 + 8 * n)),
            vox_offset: f.i64(168) as f64,
            scl_slope: f.f64(176),
            scl_inter: f.f64(184),
            xyzt_units: f.i32(500),
            qform_code: f.i32(344),
            sform_code: f.i32(348),
            quatern: std::array::from_fn(|n| f.f64(352 + 8 * n)),
            qoffset: std::array::from_fn(|n| f.f64(376 + 8 * n)),
            srow: std::array::from_fn(|row| std::array::from_fn(|n| f.f64(400 + 32 * row + 8 * n))),
        }
    }

    /// The extents `(i, j, k)` and the number of frames.
    ///
    /// # Errors
    /// [`Error::File`] with the entry of `dim` that is not possible, or is of a fifth or later axis.
    pub fn extents(&self, path: &Path) -> Result<([usize; 3], usize)> {
        check_dim_0(path, self.dim[0])?;
        let mut extents = [1; 8];
        for (n, extent) in extents.iter_mut().enumerate().skip(1).take(self.dim[0] as usize) {
            *extent = usize::try_from(self.dim[n]).ok().filter(|&e| e > 0).ok_or_else(|| {
                Error::file(
                    path,
                    format!("dim[{n}]"),
                    "1 or more voxels",
                    self.dim[n].to_string(),
                    "the header is damaged: convert the scan again",
                )
            })?;
            if n > 4 && *extent > 1 {
                return Err(Error::file(
                    path,
                    format!("dim[{n}]"),
                    "1: a volume, or a time series along dim[4]",
                    extent.to_string(),
                    "take the component you need into a file of its own",
                ));
            }
        }
        Ok(([extents[1], extents[2], extents[3]], extents[4]))
    }

    /// The layout of a voxel, from the code `datatype`.
    ///
    /// # Errors
    /// [`Error::File`] for a code that is not supported.
    pub fn layout(&self, path: &Path) -> Result<Layout> {
        let (number, kind) = match self.datatype {
            2 => (DataType::U8, Kind::Real),
            4 => (DataType::I16, Kind::Real),
            8 => (DataType::I32, Kind::Real),
            16 => (DataType::F32, Kind::Real),
            32 => (DataType::F32, Kind::Complex),
            64 => (DataType::F64, Kind::Real),
            128 => (DataType::U8, Kind::Colour(3)),
            256 => (DataType::I8, Kind::Real),
            512 => (DataType::U16, Kind::Real),
            768 => (DataType::U32, Kind::Real),
            1024 => (DataType::I64, Kind::Real),
            1280 => (DataType::U64, Kind::Real),
            1536 => (DataType::F128, Kind::Real),
            1792 => (DataType::F64, Kind::Complex),
            2048 => (DataType::F128, Kind::Complex),
            2304 => (DataType::U8, Kind::Colour(4)),
            _ => {
                return Err(Error::file(
                    path,
                    "datatype",
                    "a NIfTI data type (2, 4, 8, 16, 32, 64, 128, 256, 512, 768, 1024, 1280, 1536, 1792, 2048, 2304)",
                    self.datatype.to_string(),
                    "convert the file to float32",
                ));
            }
        };
        Ok(Layout { number, kind })
    }

    /// Where the voxels begin in their file, in bytes.
    ///
    /// # Errors
    /// [`Error::File`] for an offset within the header, or one that is not a whole number.
    pub fn voxel_offset(&self, path: &Path) -> Result<u64> {
        // The four bytes after the header say whether extensions follow.
        let least = match (self.single_file, self.version) {
            (false, _) => 0.0,
            (true, 1) => SIZE_1 as f64 + 4.0,
            (true, _) => SIZE_2 as f64 + 4.0,
        };
        match self.vox_offset {
            0.0 => Ok(least as u64),
            offset if offset >= least && offset.fract() == 0.0 && offset < 2f64.powi(62) => Ok(offset as u64),
            offset => Err(Error::file(
                path,
                "vox_offset",
                format!("a whole number of bytes, {least} or more"),
                offset.to_string(),
                "the header is damaged: convert the scan again",
            )),
        }
    }

    /// Slope and intercept of the stored values, if they are to be applied.
    ///
    /// # Errors
    /// [`Error::File`] for an intercept that is not finite with a slope in use.
    pub fn scaling(&self, path: &Path) -> Result<Option<(f64, f64)>> {
        if self.scl_slope == 0.0 || !self.scl_slope.is_finite() {
            return Ok(None);
        }
        if !self.scl_inter.is_finite() {
            return Err(Error::file(
                path,
                "scl_inter",
                "a finite number",
                self.scl_inter.to_string(),
                "the header is damaged: set the intercept, or the slope to 0 for no scaling",
            ));
        }
        Ok((self.scl_slope != 1.0 || self.scl_inter != 0.0).then_some((self.scl_slope, self.scl_inter)))
    }

    /// Voxel `(i, j, k, 1)` to world millimetres, and the name of its source in the header.
    ///
    /// The sform if its code is set, else the qform, else voxel sizes about the grid's centre with x to the left:
    /// the convention of ANALYZE, which the tools of the field share for files that say nothing.
    pub fn affine(&self, path: &Path) -> Result<(VoxelToWorld, &'static str)> {
        let (affine, from, field) = if self.sform_code > 0 {
            (self.sform(path)?, "sform", "srow_x, srow_y, srow_z")
        } else if self.qform_code > 0 {
            (self.qform(path)?, "qform", "quatern_b, quatern_c, quatern_d, pixdim")
        } else {
            (self.sizes_about_centre(path)?, "voxel sizes alone (no sform, no qform)", "pixdim")
        };
        let mut affine = affine * self.millimetres(path)?;
        affine[(3, 3)] = 1.0;
        let affine = VoxelToWorld::new(affine).map_err(|error| match error {
            Error::Value { expected, found, .. } => {
                let advice = "set a valid orientation, for instance with fslorient, nibabel or 3D Slicer";
                Error::file(path, field, expected, found, advice)
            }
            other => other,
        })?;
        Ok((affine, from))
    }

    /// The world of the affine, from its code.
    pub fn world(&self) -> World {
        World::of_code(if self.sform_code > 0 { self.sform_code } else { self.qform_code })
    }

    /// What in the header contradicts itself or cannot be used, and what was made of it, a line each; `affine` is in use, and the
    /// values are of a type that is scaled.
    pub fn doubts(&self, path: &Path, affine: &VoxelToWorld, scaled: bool) -> Vec<String> {
        let mut doubts = Vec::new();
        if scaled && !self.scl_slope.is_finite() {
            doubts.push(format!("scl_slope is {}: values are taken as they are stored", self.scl_slope));
        }
        let (Ok((extents, _)), Ok(mm)) = (self.extents(path), self.millimetres(path)) else { return doubts };
        let sizes = affine.spacing_mm();
        if self.sform_code > 0 {
            let pixdim = [1, 2, 3].map(|axis| self.pixdim[axis].abs() * mm);
            let differs = |axis: usize| {
                extents[axis] > 1
                    && pixdim[axis] > 0.0
                    && (pixdim[axis] / sizes[axis] - 1.0).abs() > TOLERANCE
            };
            if (0..3).any(differs) {
                doubts.push(format!(
                    "voxels of {sizes:.3?} mm by the sform, of {pixdim:.3?} mm by pixdim: the sform's are used, and volumes in ml hang on them"
                ));
            }
        }
        if self.sform_code > 0
            && self.qform_code > 0
            && let Ok(mut other) = self.qform(path).map(|qform| qform * mm)
        {
            other[(3, 3)] = 1.0;
            let apart = affine.apart_mm(&other, extents);
            let mirrored = |m: &Matrix4<f64>| m.fixed_view::<3, 3>(0, 0).determinant() < 0.0;
            // Forms of two worlds may well differ; not in which side is left.
            let one_world = self.sform_code == self.qform_code || self.sform_code.max(self.qform_code) <= 2;
            let least = sizes.into_iter().fold(f64::INFINITY, f64::min);
            if mirrored(affine) != mirrored(&other) {
                doubts.push("sform and qform disagree on which side is left: the sform is used".to_string());
            } else if apart > APART * least && one_world {
                doubts.push(format!("sform and qform disagree by up to {apart:.1} mm: the sform is used"));
            }
        }
        if !affine.right_angled() {
            doubts.push("voxel axes are not at right angles: a sheared grid, which is straightened where it is resampled".into());
        }
        doubts
    }

    fn sform(&self, path: &Path) -> Result<Matrix4<f64>> {
        for (name, row) in ["srow_x", "srow_y", "srow_z"].into_iter().zip(&self.srow) {
            finite(path, name, row)?;
        }
        let [x, y, z] = &self.srow;
        Ok(Matrix4::from_row_iterator(x.iter().chain(y).chain(z).chain(&[0.0, 0.0, 0.0, 1.0]).copied()))
    }

    /// NIfTI-1's method 2: rotation by the quaternion, the third axis turned by qfac = pixdim[0].
    fn qform(&self, path: &Path) -> Result<Matrix4<f64>> {
        finite(path, "quatern_b, quatern_c, quatern_d", &self.quatern)?;
        finite(path, "qoffset_x, qoffset_y, qoffset_z", &self.qoffset)?;
        let [b, c, d] = self.quatern;
        let length = b * b + c * c + d * d;
        // Three float32 that should have length one miss it by some 1e-7; anything more is not a rotation.
        if length > 1.0 + 1e-4 {
            return Err(Error::file(
                path,
                "quatern_b, quatern_c, quatern_d",
                "a unit quaternion's last three parts, of length 1 at most",
                format!("length {}", length.sqrt()),
                "set a valid orientation, for instance with fslorient, nibabel or 3D Slicer",
            ));
        }
        let a = (1.0 - length).max(0.0).sqrt();
        let rotation = UnitQuaternion::from_quaternion(Quaternion::new(a, b, c, d)).to_homogeneous();
        let [i, j, k] = self.sizes(path)?;
        let qfac = if self.pixdim[0] < 0.0 { -1.0 } else { 1.0 };
        let zooms = Matrix4::from_diagonal(&[i, j, k * qfac, 1.0].into());
        Ok(Matrix4::new_translation(&self.qoffset.into()) * rotation * zooms)
    }

    fn sizes_about_centre(&self, path: &Path) -> Result<Matrix4<f64>> {
        let (extents, _) = self.extents(path)?;
        let sizes = self.sizes(path)?;
        let steps = [-sizes[0], sizes[1], sizes[2]];
        let mut affine = Matrix4::from_diagonal(&[steps[0], steps[1], steps[2], 1.0].into());
        for axis in 0..3 {
            affine[(axis, 3)] = -steps[axis] * (extents[axis] - 1) as f64 / 2.0;
        }
        Ok(affine)
    }

    /// The voxel sizes in the file's unit; an axis of one voxel may leave its size out.
    fn sizes(&self, path: &Path) -> Result<[f64; 3]> {
        let (extents, _) = self.extents(path)?;
        let mut sizes = [1.0; 3];
        for axis in 0..3 {
            let size = self.pixdim[axis + 1];
            if size.is_finite() && size > 0.0 {
                sizes[axis] = size;
            } else if extents[axis] > 1 || size != 0.0 {
                return Err(Error::file(
                    path,
                    format!("pixdim[{}]", axis + 1),
                    "a positive voxel size",
                    size.to_string(),
                    "the header is damaged: set the voxel size or convert the scan again",
                ));
            }
        }
        Ok(sizes)
    }

    /// Millimetres in the file's unit of length.
    fn millimetres(&self, path: &Path) -> Result<f64> {
        match self.xyzt_units & 7 {
            0 | 2 => Ok(1.0),
            1 => Ok(1000.0),
            3 => Ok(0.001),
            code => Err(Error::file(
                path,
                "xyzt_units",
                "0 (unknown), 1 (m), 2 (mm) or 3 (µm)",
                code.to_string(),
                "the header is damaged: set the unit or convert the scan again",
            )),
        }
    }
}

/// Whether the voxels are in the same file, from the magic.
fn magic(path: &Path, bytes: &[u8], version: u8) -> Result<bool> {
    let (found, expected) = match version {
        1 => (&bytes[344..348], "n+1 or ni1"),
        _ => (&bytes[4..12], "n+2 or ni2, then the bytes 0 0D 0A 1A 0A"),
    };
    match found {
        b"n+1\0" | b"n+2\0\r\n\x1a\n" => Ok(true),
        b"ni1\0" | b"ni2\0\r\n\x1a\n" => Ok(false),
        _ => Err(Error::file(
            path,
            "magic",
            expected,
            format!("{:?}", String::from_utf8_lossy(found)),
            "the file is damaged, or ANALYZE 7.5, which does not say where left is: convert it to NIfTI with \
             a tool that you can tell",
        )),
    }
}

fn check_dim_0(path: &Path, dim_0: i64) -> Result<()> {
    if (1..=7).contains(&dim_0) {
        return Ok(());
    }
    let advice = "the header is damaged: convert the scan again";
    Err(Error::file(path, "dim[0]", "1 to 7 dimensions", dim_0.to_string(), advice))
}

fn finite(path: &Path, field: &str, values: &[f64]) -> Result<()> {
    if values.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    let advice = "set a valid orientation, for instance with fslorient, nibabel or 3D Slicer";
    Err(Error::file(path, field, "finite numbers", format!("{values:?}"), advice))
}

/// What a file that is not NIfTI begins with, in words.
fn describe_start(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(16)];
    if bytes.is_empty() {
        "an empty file".into()
    } else if start.iter().all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace()) {
        format!("text beginning {:?}", String::from_utf8_lossy(start))
    } else {
        format!(
            "bytes {}",
            start[..start.len().min(4)].iter().map(|b| format!("{b:02x}")).collect::<String>()
        )
    }
}

/// Reads numbers at offsets that lie inside `bytes` (the header's size has been checked).
struct Fields<'a> {
    bytes: &'a [u8],
    order: Order,
}

impl Fields<'_> {
    fn at<const N: usize>(&self, offset: usize) -> [u8; N] {
        let mut field: [u8; N] = std::array::from_fn(|n| self.bytes[offset + n]);
        if self.order == Order::Big {
            field.reverse();
        }
        field
    }

    fn i16(&self, offset: usize) -> i16 {
        i16::from_le_bytes(self.at(offset))
    }

    fn i32(&self, offset: usize) -> i32 {
        i32::from_le_bytes(self.at(offset))
    }

    fn i64(&self, offset: usize) -> i64 {
        i64::from_le_bytes(self.at(offset))
    }

    fn f64(&self, offset: usize) -> f64 {
        f64::from_le_bytes(self.at(offset))
    }
}
