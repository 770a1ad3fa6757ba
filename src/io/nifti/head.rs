//! The header of a file that is written, as the bytes of either version, little endian.

use nalgebra::{Matrix3, Rotation3, UnitQuaternion};

use super::header::{SIZE_1, SIZE_2};
use crate::volume::{VoxelToWorld, World};

/// What is said in either version.
pub(super) struct Head<'a> {
    pub dim: [i64; 8],
    /// `datatype` and `bitpix`.
    pub datatype: (i16, i16),
    /// `scl_slope` and `scl_inter`.
    pub scaling: (f32, f32),
    pub affine: &'a VoxelToWorld,
    pub world: World,
    /// At most 79 bytes.
    pub description: &'a str,
}

/// A rotation as NIfTI's method 2 has it: `pixdim[0]`, which is −1 for a mirrored grid, and the quaternion's b, c and d.
struct Rotation {
    qfac: f64,
    quatern: [f64; 3],
}

impl Head<'_> {
    /// NIfTI-1's header and the four bytes that say no extension follows. Extents have to be below 2¹⁵.
    pub fn nifti_1(&self) -> Vec<u8> {
        let mut out = Bytes(Vec::with_capacity(SIZE_1 + 4));
        out.i32s(&[348]);
        // data_type, db_name, extents, session_error.
        out.zeros(10 + 18 + 4 + 2);
        // regular, dim_info.
        out.0.extend([b'r', 0]);
        out.i16s(&self.dim.map(|extent| extent as i16));
        // intent_p1 to intent_p3, intent_code.
        out.zeros(3 * 4 + 2);
        out.i16s(&[self.datatype.0, self.datatype.1, 0]);
        out.f32s(&self.pixdim());
        out.f32s(&[SIZE_1 as f64 + 4.0, self.scaling.0.into(), self.scaling.1.into()]);
        // slice_end, slice_code.
        out.zeros(2 + 1);
        out.0.push(self.units());
        // cal_max, cal_min, slice_duration, toffset, glmax, glmin.
        out.zeros(6 * 4);
        out.text(self.description, 80);
        // aux_file.
        out.zeros(24);
        let rotation = self.rotation();
        out.i16s(&[self.qform_code(&rotation), self.world.code()]);
        out.f32s(&rotation.map_or([0.0; 3], |rotation| rotation.quatern));
        out.f32s(&self.qoffset());
        out.f32s(&self.srow());
        // intent_name.
        out.zeros(16);
        out.0.extend(b"n+1\0");
        out.ended(SIZE_1)
    }

    /// NIfTI-2's header and the four bytes that say no extension follows.
    pub fn nifti_2(&self) -> Vec<u8> {
        let mut out = Bytes(Vec::with_capacity(SIZE_2 + 4));
        out.i32s(&[540]);
        out.0.extend(b"n+2\0\r\n\x1a\n");
        out.i16s(&[self.datatype.0, self.datatype.1]);
        out.i64s(&self.dim);
        // intent_p1 to intent_p3.
        out.zeros(3 * 8);
        out.f64s(&self.pixdim());
        out.i64s(&[SIZE_2 as i64 + 4]);
        out.f64s(&[self.scaling.0.into(), self.scaling.1.into()]);
        // cal_max, cal_min, slice_duration, toffset, slice_start, slice_end.
        out.zeros(6 * 8);
        out.text(self.description, 80);
        // aux_file.
        out.zeros(24);
        let rotation = self.rotation();
        out.i32s(&[self.qform_code(&rotation).into(), self.world.code().into()]);
        out.f64s(&rotation.map_or([0.0; 3], |rotation| rotation.quatern));
        out.f64s(&self.qoffset());
        out.f64s(&self.srow());
        // slice_code.
        out.zeros(4);
        out.i32s(&[self.units().into()]);
        // intent_code, intent_name, dim_info, unused_str.
        out.zeros(4 + 16 + 1 + 15);
        out.ended(SIZE_2)
    }

    fn pixdim(&self) -> [f64; 8] {
        let [i, j, k] = self.affine.spacing_mm();
        [self.rotation().map_or(1.0, |rotation| rotation.qfac), i, j, k, 1.0, 1.0, 1.0, 1.0]
    }

    /// Millimetres, and seconds for the frames of a series.
    fn units(&self) -> u8 {
        if self.dim[0] == 4 { 2 | 8 } else { 2 }
    }

    fn qform_code(&self, rotation: &Option<Rotation>) -> i16 {
        if rotation.is_some() { self.world.code() } else { 0 }
    }

    fn qoffset(&self) -> [f64; 3] {
        if self.rotation().is_some() { self.affine.origin_mm().into() } else { [0.0; 3] }
    }

    fn srow(&self) -> [f64; 12] {
        std::array::from_fn(|n| self.affine[(n / 4, n % 4)])
    }

    /// The rotation of voxel axes at right angles.
    fn rotation(&self) -> Option<Rotation> {
        let sizes = self.affine.spacing_mm();
        let mut axes = Matrix3::from_fn(|row, axis| self.affine[(row, axis)] / sizes[axis]);
        let right_angled =
            [(0, 1), (0, 2), (1, 2)].iter().all(|&(a, b)| axes.column(a).dot(&axes.column(b)).abs() < 1e-6);
        if !right_angled {
            return None;
        }
        let qfac = if axes.determinant() < 0.0 { -1.0 } else { 1.0 };
        if qfac < 0.0 {
            axes.column_mut(2).neg_mut();
        }
        let rotation = Rotation3::from_matrix_unchecked(axes);
        let quaternion = UnitQuaternion::from_rotation_matrix(&rotation);
        // The format leaves out the first part and takes it as positive.
        let sign = if quaternion.w < 0.0 { -1.0 } else { 1.0 };
        let quatern = [quaternion.i, quaternion.j, quaternion.k].map(|part| part * sign);
        Some(Rotation { qfac, quatern })
    }
}

/// Fields one after another.
struct Bytes(Vec<u8>);

impl Bytes {
    fn zeros(&mut self, count: usize) {
        self.0.resize(self.0.len() + count, 0);
    }

    fn i16s(&mut self, values: &[i16]) {
        self.0.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }

    fn i32s(&mut self, values: &[i32]) {
        self.0.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }

    fn i64s(&mut self, values: &[i64]) {
        self.0.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }

    fn f32s(&mut self, values: &[f64]) {
        self.0.extend(values.iter().flat_map(|value| (*value as f32).to_le_bytes()));
    }

    fn f64s(&mut self, values: &[f64]) {
        self.0.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }

    fn text(&mut self, text: &str, size: usize) {
        let end = self.0.len() + size;
        self.0.extend(text.as_bytes());
        self.0.resize(end, 0);
    }

    /// All, of a header of `size` bytes.
    fn ended(mut self, size: usize) -> Vec<u8> {
        debug_assert_eq!(self.0.len(), size);
        self.zeros(4);
        self.0
    }
}
