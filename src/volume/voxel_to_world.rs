//! The affine from voxels to the world.

use std::ops::Deref;

use nalgebra::{Matrix3, Matrix4, SMatrix, Vector3, Vector4};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The cosine between voxel axes from which on a grid is sheared.
const SHEAR: f64 = 1e-3;
/// The volume of a voxel, as a share of that of a box with its sides, from which on its axes span a volume.
const FLAT: f64 = 1e-6;

/// Voxel position `(i, j, k, 1)` to world millimetres (RAS+: x right, y anterior, z superior): a finite affine matrix whose
/// voxel axes are independent, so that it can be inverted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "[[f64; 4]; 4]", into = "[[f64; 4]; 4]")]
pub struct VoxelToWorld(Matrix4<f64>);

impl VoxelToWorld {
    /// The affine of `matrix`.
    ///
    /// # Errors
    /// [`Error::Value`] for values that are not finite, voxel axes that do not span a volume, and a last row other than 0 0 0 1.
    pub fn new(matrix: Matrix4<f64>) -> Result<Self> {
        let problem = match problem_of(&matrix) {
            None => return Ok(Self(matrix)),
            Some(problem) => problem,
        };
        let advice = "give every voxel axis a length and a direction of its own";
        Err(Error::value("affine", "three independent voxel axes", problem, advice))
    }

    /// Voxels of 1 mm along the axes of the world, the first one at its origin.
    pub fn identity() -> Self {
        Self(Matrix4::identity())
    }

    /// The affine whose columns are the steps in millimetres from voxel to voxel along `(i, j, k)`, and the place of the first voxel.
    ///
    /// # Errors
    /// As [`VoxelToWorld::new`].
    pub fn from_axes(steps_mm: &Matrix3<f64>, origin_mm: &Vector3<f64>) -> Result<Self> {
        Self::new(assembled(steps_mm, origin_mm))
    }

    /// The same for steps that are known to be independent, since they were made of those of another affine.
    pub(crate) fn derived(steps_mm: &Matrix3<f64>, origin_mm: &Vector3<f64>) -> Self {
        Self(assembled(steps_mm, origin_mm))
    }

    /// The steps in millimetres from voxel to voxel along `(i, j, k)`, as columns.
    pub fn steps_mm(&self) -> Matrix3<f64> {
        self.0.fixed_view::<3, 3>(0, 0).into_owned()
    }

    /// The step in millimetres from voxel to voxel along `(i, j, k)[axis]`.
    pub fn step_mm(&self, axis: usize) -> Vector3<f64> {
        self.0.fixed_view::<3, 1>(0, axis).into_owned()
    }

    /// The place of the first voxel in millimetres.
    pub fn origin_mm(&self) -> Vector3<f64> {
        self.0.fixed_view::<3, 1>(0, 3).into_owned()
    }

    /// Size of a voxel along `(i, j, k)` in millimetres: the lengths of the columns.
    pub fn spacing_mm(&self) -> [f64; 3] {
        [0, 1, 2].map(|axis| self.0.fixed_view::<3, 1>(0, axis).norm())
    }

    /// Volume of a voxel in millilitres.
    pub fn voxel_ml(&self) -> f64 {
        self.steps_mm().determinant().abs() / 1000.0
    }

    /// The world position in millimetres of the voxel position `(i, j, k)`; whole numbers are voxel centres.
    pub fn world_mm(&self, [i, j, k]: [f64; 3]) -> Vector3<f64> {
        (self.0 * Vector4::new(i, j, k, 1.0)).xyz()
    }

    /// Steps in the world in millimetres, a column each, as steps from voxel to voxel along `(i, j, k)`.
    pub fn voxels_of<const N: usize>(&self, steps_mm: &SMatrix<f64, 3, N>) -> SMatrix<f64, 3, N> {
        // At unit length, columns of any voxel size, however odd, invert without over- or underflow.
        let lengths = Vector3::from_fn(|axis, _| self.0.fixed_view::<3, 1>(0, axis).amax());
        let directions = Matrix3::from_fn(|row, column| self.0[(row, column)] / lengths[column]);
        let inverse = directions.try_inverse().expect("independent axes");
        (inverse * steps_mm).map_with_location(|row, _, entry| entry / lengths[row])
    }

    /// World millimetres to voxel positions.
    pub fn inverse(&self) -> Matrix4<f64> {
        assembled(&self.voxels_of(&Matrix3::identity()), &-self.voxels_of(&self.origin_mm()))
    }

    /// The affine with the first voxel at voxel position `(i, j, k)` of this one; the steps stay bit for bit.
    #[must_use]
    pub fn with_origin_at(&self, voxel: [f64; 3]) -> Self {
        let mut moved = self.0;
        moved.fixed_view_mut::<3, 1>(0, 3).copy_from(&self.world_mm(voxel));
        Self(moved)
    }

    /// The affine with the step along `(i, j, k)[axis]` times `ratio`, about the centre of the first voxel.
    ///
    /// # Panics
    /// If `ratio` is not positive and finite.
    #[must_use]
    pub fn stretched(&self, axis: usize, ratio: f64) -> Self {
        assert!(ratio > 0.0 && ratio.is_finite(), "a step cannot be stretched by {ratio}");
        let mut stretched = self.0;
        stretched.fixed_view_mut::<3, 1>(0, axis).scale_mut(ratio);
        Self(stretched)
    }

    /// How far in millimetres the corners of a grid of `dims` voxels along `(i, j, k)` lie from where `other` puts them, at most.
    pub(crate) fn apart_mm(&self, other: &Matrix4<f64>, dims: [usize; 3]) -> f64 {
        let ends = dims.map(|size| size as f64 - 1.0);
        let corner = |at: usize| {
            Vector4::from_fn(|axis, _| if axis == 3 { 1.0 } else { ends[axis] * ((at >> axis) & 1) as f64 })
        };
        (0..8).map(|at| ((self.0 - other) * corner(at)).norm()).fold(0.0, f64::max)
    }

    /// Whether the voxel axes are at right angles, to a twentieth of a degree; registration and gantry tilt shear grids by more.
    pub fn right_angled(&self) -> bool {
        [(0, 1), (0, 2), (1, 2)].into_iter().all(|(a, b)| {
            let (a, b) = (self.step_mm(a), self.step_mm(b));
            (a.dot(&b) / (a.norm() * b.norm())).abs() <= SHEAR
        })
    }
}

/// The matrix itself.
impl Deref for VoxelToWorld {
    type Target = Matrix4<f64>;

    fn deref(&self) -> &Matrix4<f64> {
        &self.0
    }
}

/// By rows, as files hold it.
impl From<VoxelToWorld> for [[f64; 4]; 4] {
    fn from(affine: VoxelToWorld) -> Self {
        std::array::from_fn(|row| std::array::from_fn(|column| affine.0[(row, column)]))
    }
}

impl TryFrom<[[f64; 4]; 4]> for VoxelToWorld {
    type Error = Error;

    fn try_from(rows: [[f64; 4]; 4]) -> Result<Self> {
        Self::new(Matrix4::from_fn(|row, column| rows[row][column]))
    }
}

fn assembled(steps_mm: &Matrix3<f64>, origin_mm: &Vector3<f64>) -> Matrix4<f64> {
    let mut matrix = Matrix4::identity();
    matrix.fixed_view_mut::<3, 3>(0, 0).copy_from(steps_mm);
    matrix.fixed_view_mut::<3, 1>(0, 3).copy_from(origin_mm);
    matrix
}

/// Why a matrix is no affine of a grid, if it is none.
fn problem_of(matrix: &Matrix4<f64>) -> Option<String> {
    if matrix.iter().any(|value| !value.is_finite()) {
        return Some("a matrix with values that are not finite".into());
    }
    if matrix.row(3) != Matrix4::identity().row(3) {
        return Some(format!("a last row of {:?}", matrix.row(3).iter().collect::<Vec<_>>()));
    }
    let axes = matrix.fixed_view::<3, 3>(0, 0);
    let sizes = [0, 1, 2].map(|axis| axes.column(axis).norm());
    let volume = sizes.iter().product::<f64>();
    // Relative to the volume of a box with these sides, so that small voxels are not called singular.
    let flat = !volume.is_normal() || axes.determinant().abs() < FLAT * volume;
    flat.then(|| {
        format!(
            "a singular matrix (axes of {:.3}, {:.3}, {:.3} mm that do not span a volume)",
            sizes[0], sizes[1], sizes[2]
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_inverted_is_no_affine() {
        let mut flat = Matrix4::identity();
        flat[(2, 2)] = 0.0;
        let mut parallel = Matrix4::identity();
        parallel[(0, 1)] = 1.0;
        parallel[(1, 1)] = 1e-9;
        let mut odd = Matrix4::identity();
        odd[(1, 3)] = f64::NAN;
        let mut perspective = Matrix4::identity();
        perspective[(3, 0)] = 0.1;
        for (matrix, word) in
            [(flat, "singular"), (parallel, "singular"), (odd, "not finite"), (perspective, "last row")]
        {
            let error = VoxelToWorld::new(matrix).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
            let rows: Vec<Vec<f64>> = matrix.row_iter().map(|row| row.iter().copied().collect()).collect();
            let read = serde_json::from_value::<VoxelToWorld>(serde_json::json!(rows));
            assert!(read.is_err(), "{matrix}");
        }
    }

    #[test]
    fn tiny_and_sheared_voxels_invert() {
        let turn = nalgebra::Rotation3::from_euler_angles(0.3, -0.2, 1.1).into_inner();
        let shear = Matrix3::new(1.0, 0.4, 0.0, 0.0, 1.0, -0.3, 0.0, 0.0, 1.0);
        let steps = turn * shear * Matrix3::from_diagonal(&Vector3::new(1e-4, 2.0, 7.0));
        let affine = VoxelToWorld::from_axes(&steps, &Vector3::new(30.0, -4.0, 1e3)).unwrap();
        let at = affine.world_mm([3.0, 4.0, 5.0]);
        let back = affine.inverse() * at.push(1.0);
        assert!((back - Vector4::new(3.0, 4.0, 5.0, 1.0)).amax() < 1e-6, "{back}");
        assert!(!affine.right_angled());
        let rows: [[f64; 4]; 4] = affine.into();
        let text = serde_json::to_string(&affine).unwrap();
        assert_eq!(text, serde_json::to_string(&rows).unwrap());
        assert_eq!(serde_json::from_str::<VoxelToWorld>(&text).unwrap(), affine);
        assert!((affine.stretched(0, 10.0).spacing_mm()[0] / affine.spacing_mm()[0] - 10.0).abs() < 1e-12);
        assert_eq!(affine.with_origin_at([3.0, 4.0, 5.0]).origin_mm(), at);
    }
}
