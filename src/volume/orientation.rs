//! Orientation: which way each voxel axis runs through the body, and the exact way to RAS+ and back.

use std::fmt;
use std::str::FromStr;

use nalgebra::{Matrix3, Matrix4, SVD};
use ndarray::Axis;
use serde::{Deserialize, Serialize};

use super::{Volume, VoxelToWorld, data_axis};
use crate::error::Error;

/// The letters of each world axis (x, y, z): towards its negative end, towards its positive end.
const LETTERS: [[char; 2]; 3] = [['L', 'R'], ['P', 'A'], ['I', 'S']];

/// Which voxel axis lies along each world axis, and whether it runs the other way.
///
/// Written (`Display`, serde) as the three letters used throughout neuroimaging: the directions in which the
/// voxel axes `i`, `j`, `k` run. `"LAS"` is a left-handed volume whose `i` runs towards the patient's left.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Orientation {
    /// `axes[world]` is the voxel axis along world axis x, y or z; a permutation of 0, 1, 2.
    axes: [usize; 3],
    /// `flipped[world]`: that voxel axis runs towards left, posterior or inferior.
    flipped: [bool; 3],
}

impl Orientation {
    /// The orientation that voxgan works in: `i` to the right, `j` to the front, `k` upwards.
    pub const RAS: Self = Self { axes: [0, 1, 2], flipped: [false; 3] };

    /// The voxel axis that lies along world axis `world` (0 = x, 1 = y, 2 = z).
    pub fn voxel_axis(&self, world: usize) -> usize {
        self.axes[world]
    }

    /// Whether the voxel axis along world axis `world` runs towards left, posterior or inferior.
    pub fn is_flipped(&self, world: usize) -> bool {
        self.flipped[world]
    }
}

impl fmt::Display for Orientation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut code = [' '; 3];
        for world in 0..3 {
            code[self.axes[world]] = LETTERS[world][usize::from(!self.flipped[world])];
        }
        write!(f, "{}{}{}", code[0], code[1], code[2])
    }
}

impl FromStr for Orientation {
    type Err = Error;

    /// Reads a code such as `"LAS"`: one letter each of L/R, P/A and I/S, in any order and case.
    fn from_str(code: &str) -> Result<Self, Error> {
        let wrong = || {
            let expected = "one letter each of L/R, P/A and I/S, such as \"RAS\"";
            Error::value("orientation", expected, format!("{code:?}"), "name where each voxel axis runs to")
        };
        let mut axes = [None; 3];
        let mut flipped = [false; 3];
        for (axis, letter) in code.chars().enumerate() {
            let letter = letter.to_ascii_uppercase();
            let world = LETTERS.iter().position(|ends| ends.contains(&letter)).ok_or_else(wrong)?;
            if axis > 2 || axes[world].replace(axis).is_some() {
                return Err(wrong());
            }
            flipped[world] = letter == LETTERS[world][0];
        }
        match axes {
            [Some(x), Some(y), Some(z)] => Ok(Self { axes: [x, y, z], flipped }),
            _ => Err(wrong()),
        }
    }
}

impl TryFrom<String> for Orientation {
    type Error = Error;

    fn try_from(code: String) -> Result<Self, Error> {
        code.parse()
    }
}

impl From<Orientation> for String {
    fn from(orientation: Orientation) -> Self {
        orientation.to_string()
    }
}

/// The orientation of a grid with this voxel-to-world `affine`.
///
/// Voxel sizes and shears are first taken out: the columns, at unit length, are replaced by the nearest orthogonal
/// matrix (polar decomposition). Then each voxel axis, the one nearest to a world axis first, takes the free world
/// axis it has most of. This is the rule of nibabel's `io_orientation`, so that the codes agree; unlike there,
/// an axis without direction (a zero column) takes a world axis that is left over, so the result is one to one.
pub fn orientation(affine: &Matrix4<f64>) -> Orientation {
    let mut directions = nearest_orthogonal(affine);
    let strength = [0, 1, 2].map(|axis| directions.column(axis).amax());
    let mut order = [0, 1, 2];
    order.sort_by(|&a, &b| strength[b].total_cmp(&strength[a]));

    let mut axes = [None; 3];
    let mut flipped = [false; 3];
    let mut undirected = Vec::new();
    for axis in order {
        let column = directions.column(axis);
        let world = column.iamax();
        // nibabel's `allclose(column, 0)`.
        if column[world].abs() <= 1e-8 {
            undirected.push(axis);
            continue;
        }
        axes[world] = Some(axis);
        flipped[world] = column[world] < 0.0;
        directions.row_mut(world).fill(0.0);
    }
    undirected.sort_unstable();
    let mut undirected = undirected.into_iter();
    let axes = [0, 1, 2].map(|world| axes[world].or_else(|| undirected.next()).unwrap_or(world));
    Orientation { axes, flipped }
}

/// The orthogonal matrix nearest to the affine's columns at unit length, restricted to their span.
pub(super) fn nearest_orthogonal(affine: &Matrix4<f64>) -> Matrix3<f64> {
    let mut directions: Matrix3<f64> = affine.fixed_view::<3, 3>(0, 0).into_owned();
    for mut column in directions.column_iter_mut() {
        // By the largest entry first, since the length of a tiny or huge column is itself out of range.
        let largest = column.amax();
        if largest > 0.0 {
            column /= largest;
            let length = column.norm();
            column /= length;
        }
    }
    if !directions.iter().all(|x| x.is_finite()) {
        return Matrix3::zeros();
    }
    let Some(SVD { u: Some(u), v_t: Some(v_t), singular_values }) =
        SVD::try_new(directions, true, true, f64::EPSILON, 1000)
    else {
        return directions;
    };
    let threshold = singular_values.amax() * 3.0 * f64::EPSILON;
    let kept = singular_values.map(|s| if s > threshold { 1.0 } else { 0.0 });
    u * Matrix3::from_diagonal(&kept) * v_t
}

/// `volume` with its voxel axes permuted and flipped to lie as near to RAS+ as they can, and how it lay before.
///
/// Nothing is interpolated: every voxel keeps its value and its place in the world. [`from_ras`] is the inverse.
pub fn to_ras(volume: Volume) -> (Volume, Orientation) {
    let original = orientation(&volume.affine);
    if original == Orientation::RAS {
        return (volume, original);
    }
    let Volume { data, affine, provenance } = volume;
    let dims = [data.dim().3, data.dim().2, data.dim().1];
    // World axis w becomes voxel axis w.
    let [x, y, z] = original.axes;
    let mut view = data.view().permuted_axes([0, data_axis(z), data_axis(y), data_axis(x)]);
    let mut first = [0.0; 3];
    let mut turned = Matrix3::zeros();
    for world in 0..3 {
        let axis = original.axes[world];
        let mut column = affine.step_mm(axis);
        if original.flipped[world] {
            view.invert_axis(Axis(data_axis(world)));
            first[axis] = last(dims[axis]);
            column.neg_mut();
        }
        turned.set_column(world, &column);
    }
    let affine = VoxelToWorld::derived(&turned, &affine.world_mm(first));
    let data = view.as_standard_layout().into_owned(); // [C, z, y, x]
    let volume = Volume { data, affine, provenance };
    (volume.with_step(format!("reoriented from {original} to RAS")), original)
}

/// `volume`, whose voxel axes lie along RAS+, with them permuted and flipped to the `original` orientation.
///
/// The exact inverse of [`to_ras`] for voxels and for the affine's columns; the affine's translation comes back to
/// within the rounding of one addition. The volume may have been cropped or resampled in between.
pub fn from_ras(volume: Volume, original: &Orientation) -> Volume {
    if *original == Orientation::RAS {
        return volume;
    }
    let dims = volume.dims();
    let Volume { data, affine, provenance } = volume;
    let mut view = data.view();
    let mut first = [0.0; 3];
    let mut turned = Matrix3::zeros();
    let mut axes = [0; 4];
    for world in 0..3 {
        let axis = original.axes[world];
        let mut column = affine.step_mm(world);
        if original.flipped[world] {
            view.invert_axis(Axis(data_axis(world)));
            first[world] = last(dims[world]);
            column.neg_mut();
        }
        turned.set_column(axis, &column);
        axes[data_axis(axis)] = data_axis(world);
    }
    let affine = VoxelToWorld::derived(&turned, &affine.world_mm(first));
    let data = view.permuted_axes(axes).as_standard_layout().into_owned(); // [C, k, j, i]
    Volume { data, affine, provenance }.with_step(format!("reoriented from RAS to {original}"))
}

/// The index of the last voxel along an axis of `length` voxels.
fn last(length: usize) -> f64 {
    length.saturating_sub(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The affine with these nine entries, row by row.
    fn affine(rows: [f64; 9]) -> Matrix4<f64> {
        Matrix3::from_row_slice(&rows).to_homogeneous()
    }

    #[test]
    fn codes_agree_with_nibabel() {
        // Oblique and sheared affines, the codes from nibabel 5.4's `aff2axcodes`.
        let cases = [
            ("ASL", [-1.49, 1.266, -6.871, 0.651, 0.175, -0.928, -0.175, 3.417, -0.415]),
            ("RPI", [1.651, -0.902, -1.18, 0.089, -2.986, 2.694, -0.402, -2.206, -2.344]),
            ("SAL", [-1.171, -1.808, -2.038, 0.846, 2.664, -1.123, 0.674, -1.597, -0.206]),
            ("ARS", [0.274, 0.726, -0.711, 0.643, -0.923, 0.786, 0.014, 0.624, 0.949]),
            ("PRS", [-0.606, 2.669, 0.657, -2.621, -0.963, 0.56, 0.61, 0.811, 1.279]),
            ("SPL", [0.481, -0.326, -3.013, -1.336, -0.728, 1.031, 2.13, -0.02, -0.043]),
            ("LSA", [-0.648, 0.287, -1.634, -0.422, -1.312, 0.582, -0.167, 1.965, 1.635]),
            ("LIP", [-0.621, 0.59, -1.831, -0.64, -1.212, -4.342, -0.039, -1.883, 3.412]),
        ];
        for (code, rows) in cases {
            assert_eq!(orientation(&affine(rows)).to_string(), code);
        }
    }

    #[test]
    fn is_one_to_one_without_directions() {
        // A slice whose header gives no direction for its third axis, a rank-one affine, nothing, NaN.
        let slice = affine([0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
        assert_eq!(orientation(&slice).to_string(), "SLA");
        let mut unusual = vec![affine([1.0; 9]), affine([0.0; 9]), affine([f64::NAN; 9])];
        unusual.extend([1e-310, 1e-160, 1e160, 1e300].map(Matrix4::from_diagonal_element));
        for affine in unusual {
            let orientation = orientation(&affine);
            let mut axes = orientation.axes;
            axes.sort_unstable();
            assert_eq!(axes, [0, 1, 2], "{affine}");
        }
        assert_eq!(orientation(&Matrix4::from_diagonal_element(-1e300)).to_string(), "LPI");
    }

    #[test]
    fn codes_parse_and_nothing_else_does() {
        for code in ["RAS", "LAS", "PSL", "IRA"] {
            assert_eq!(code.parse::<Orientation>().expect(code).to_string(), code);
        }
        assert_eq!(serde_json::to_string(&Orientation::RAS).expect("serialises"), "\"RAS\"");
        for code in ["", "RA", "RAR", "RLS", "RASL", "XYZ", "RÄS"] {
            assert!(code.parse::<Orientation>().is_err(), "{code}");
        }
        assert!(serde_json::from_str::<Orientation>("\"LLL\"").is_err());
    }
}
