//! Rigid motion of an image.
//!
//! An image is moved by resampling along W, H and D in turn ([`crate::warp`]); a pass adds, transposed, what it read,
//! so that the adjoint is exact. The image is zero beyond the field of view.

use nalgebra::{Rotation3, Vector3};
use ndarray::{Array3, Zip};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::acquisition::linear::LinearOperator;
use crate::acquisition::{Complex32, ComplexArray};
use crate::error::{Error, Result};
use crate::warp::{Affine, WarpPass, passes, warp_slice};

/// Degrees that a rotation may have in all: beyond them a pass would have to shrink a line to less than half.
const ANGLE_MAX_DEG: f64 = 60.0;

/// A rigid motion of the object about the centre of the grid.
///
/// A point at `p` millimetres from the centre, along the voxel axes `(i, j, k) = (W, H, D)`, goes to `R·p + t` with
/// `R = R_k·R_j·R_i`: it turns about i first, then about j, then about k, each axis staying where it is, and is shifted
/// last. Seen in the axes `(i, j, k)`, rotations are right-handed: a positive angle about i takes j towards k, about j
/// takes k towards i, and about k takes i towards j.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rigid {
    /// Angles about i, j and k in degrees; the whole turn is at most 60°.
    pub rotation_deg: [f64; 3],
    /// Shift along i, j and k in millimetres.
    pub translation_mm: [f64; 3],
}

impl Rigid {
    /// No motion.
    pub const IDENTITY: Self = Self { rotation_deg: [0.0; 3], translation_mm: [0.0; 3] };

    /// The map from a voxel of the moved image to where it lay before, in indices `(d, h, w)` of a grid `[D, H, W]`
    /// with voxels of `spacing_mm` along `(i, j, k)`.
    ///
    /// # Errors
    /// [`Error::Value`] if a number is not finite, if the whole turn is more than 60°, or if the motion leaves the
    /// plane of a grid that is one voxel thick.
    pub fn source(&self, grid: [usize; 3], spacing_mm: [f64; 3]) -> Result<Affine> {
        let [about_i, about_j, about_k] = self.rotation_deg;
        let numbers = self.rotation_deg.iter().chain(&self.translation_mm);
        if !numbers.clone().all(|number| number.is_finite()) {
            return Err(self.refused("finite numbers", "look where they come from"));
        }
        if !spacing_mm.iter().all(|&mm| mm > 0.0 && mm.is_finite()) {
            let found = format!("{spacing_mm:?}");
            let advice = "take them from the affine";
            return Err(Error::value("spacing_mm", "three positive numbers", found, advice));
        }
        for axis in (0..3).filter(|&axis| grid[2 - axis] == 1) {
            let others = (0..3).filter(|&other| other != axis);
            if self.translation_mm[axis] != 0.0 || others.into_iter().any(|o| self.rotation_deg[o] != 0.0) {
                let expected = format!(
                    "motion within the plane, as the image has one voxel along {}",
                    "ijk".as_bytes()[axis] as char
                );
                return Err(self.refused(&expected, "move the volume before a slice is taken"));
            }
        }
        // `Affine` has the axes in the order (D, H, W), of the other handedness: these are the inverse rotations.
        let reversed_mm = [2, 1, 0].map(|axis| spacing_mm[axis]);
        let turn = |axis: [f64; 3], angle_deg: f64| Affine::rotation(axis, angle_deg, grid, reversed_mm);
        let back = turn([0.0, 0.0, 1.0], about_i)
            .after(&turn([0.0, 1.0, 0.0], about_j))
            .after(&turn([1.0, 0.0, 0.0], about_k));
        let cos = ((0..3).map(|a| back.0[a][a]).sum::<f64>() - 1.0) / 2.0;
        if cos < ANGLE_MAX_DEG.to_radians().cos() - 1e-9 {
            let expected = format!("a turn of at most {ANGLE_MAX_DEG}° in all");
            return Err(self.refused(&expected, "reorient the volume by whole quarter turns first"));
        }
        Ok(back.after(&Affine::shift([2, 1, 0].map(|axis| -self.translation_mm[axis] / spacing_mm[axis]))))
    }

    /// The same motion for a part of the grid whose centre is `offset_mm` along `(i, j, k)` from the whole grid's: a
    /// rotation about the part's centre, with a further shift of (R − 1)·offset.
    #[must_use]
    pub fn of_part(&self, offset_mm: [f64; 3]) -> Self {
        let radians = self.rotation_deg.map(f64::to_radians);
        let turn = [Vector3::x_axis(), Vector3::y_axis(), Vector3::z_axis()]
            .iter()
            .zip(radians)
            .fold(Rotation3::identity(), |turned, (axis, angle)| {
                Rotation3::from_axis_angle(axis, angle) * turned
            });
        let offset = Vector3::from(offset_mm);
        let shift = Vector3::from(self.translation_mm) + turn * offset - offset;
        Self { translation_mm: shift.into(), ..*self }
    }

    fn refused(&self, expected: &str, advice: &str) -> Error {
        let found = format!("rotation_deg {:?}, translation_mm {:?}", self.rotation_deg, self.translation_mm);
        Error::value("motion", expected, found, advice)
    }
}

/// `image` `[D, H, W]`, real or complex, after the motion `rigid`; its voxels are `spacing_mm` along `(i, j, k)`.
///
/// # Errors
/// As [`Rigid::source`].
pub fn moved<V: Voxel>(image: &Array3<V>, rigid: &Rigid, spacing_mm: [f64; 3]) -> Result<Array3<V>> {
    let moved = Moved::new(image.dim().into(), rigid, spacing_mm)?;
    Ok(moved.resample(&moved.passes, image.clone()))
}

/// The type of a voxel, real or complex; real and imaginary parts are moved separately.
pub trait Voxel: Copy + Send + Sync + Default {
    /// The real parts of all voxels, followed by the imaginary parts of complex ones.
    fn parts(image: &[Self]) -> Vec<f32>;
    /// The inverse of [`Voxel::parts`].
    fn join(parts: &[f32]) -> Vec<Self>;
}

impl Voxel for f32 {
    fn parts(image: &[Self]) -> Vec<f32> {
        image.to_vec()
    }

    fn join(parts: &[f32]) -> Vec<Self> {
        parts.to_vec()
    }
}

impl Voxel for Complex32 {
    fn parts(image: &[Self]) -> Vec<f32> {
        image.iter().map(|z| z.re).chain(image.iter().map(|z| z.im)).collect()
    }

    fn join(parts: &[f32]) -> Vec<Self> {
        let (re, im) = parts.split_at(parts.len() / 2);
        re.iter().zip(im).map(|(&re, &im)| Self::new(re, im)).collect()
    }
}

/// One rigid motion as an operator on images `[D, H, W]`.
#[derive(Clone, Debug)]
pub struct Moved {
    shape: [usize; 3],
    passes: Vec<WarpPass>,
    transposed: Vec<WarpPass>,
    inside: Option<Array3<bool>>,
}

impl Moved {
    /// The motion `rigid` of images `[D, H, W]` with voxels of `spacing_mm` along `(i, j, k)`.
    ///
    /// # Errors
    /// As [`Rigid::source`].
    pub fn new(shape: [usize; 3], rigid: &Rigid, spacing_mm: [f64; 3]) -> Result<Self> {
        let source = rigid.source(shape, spacing_mm)?;
        let passes = passes(&[source], shape);
        let transposed = passes.iter().rev().map(WarpPass::transposed).collect();
        let inside = (!passes.is_empty()).then(|| inside(&source, shape));
        Ok(Self { shape, passes, transposed, inside })
    }

    /// The passes that resample the image, in the order of application; empty without motion.
    pub fn passes(&self) -> &[WarpPass] {
        &self.passes
    }

    /// Voxels `[D, H, W]` that lay within the field of view before; the others are empty. `None` where nothing moves.
    pub fn inside(&self) -> Option<&Array3<bool>> {
        self.inside.as_ref()
    }

    /// The passes or their transposes, with what came from outside the field of view left empty.
    fn resample<V: Voxel>(&self, passes: &[WarpPass], mut image: Array3<V>) -> Array3<V> {
        let Some(inside) = &self.inside else {
            return image;
        };
        let adjoint = passes[0].adjoint;
        let empty = |image: &mut Array3<V>| {
            Zip::from(image).and(inside).for_each(|voxel, &inside| {
                if !inside {
                    *voxel = V::default();
                }
            });
        };
        if adjoint {
            empty(&mut image);
        }
        let [d, h, w] = self.shape;
        let image = image.as_standard_layout().into_owned().into_raw_vec_and_offset().0;
        let mut parts = V::parts(&image);
        let shape = [1, parts.len() / image.len(), d, h, w];
        for pass in passes {
            parts = warp_slice(&parts, shape, pass);
        }
        let mut image = Array3::from_shape_vec(self.shape, V::join(&parts)).expect("a pass keeps the grid");
        if !adjoint {
            empty(&mut image);
        }
        image
    }

    fn on(&self, passes: &[WarpPass], x: ComplexArray) -> ComplexArray {
        assert_eq!(x.shape(), self.shape, "the moved image's shape");
        let x = x.into_dimensionality().expect("an image of three axes");
        self.resample(passes, x).into_dyn()
    }
}

/// Voxels whose source lies within half a voxel of the grid.
fn inside(source: &Affine, shape: [usize; 3]) -> Array3<bool> {
    let [_, h, w] = shape;
    let mut inside = Array3::from_elem(shape, false);
    let values = inside.as_slice_mut().expect("a new array is contiguous");
    values.par_chunks_mut(w).enumerate().for_each(|(row, values)| {
        let (i, j) = ((row / h) as f64, (row % h) as f64);
        for (k, value) in values.iter_mut().enumerate() {
            *value = (0..3).all(|a| {
                let [along_d, along_h, along_w, t] = source.0[a];
                let at = along_d * i + along_h * j + along_w * k as f64 + t;
                // A hair wider, so that rounding does not empty the border of an image that stays in its plane.
                at > -0.5 - 1e-9 && at < shape[a] as f64 - 0.5 + 1e-9
            });
        }
    });
    inside
}

impl LinearOperator for Moved {
    fn input_shape(&self) -> &[usize] {
        &self.shape
    }

    fn output_shape(&self) -> &[usize] {
        &self.shape
    }

    fn forward(&self, x: ComplexArray) -> ComplexArray {
        self.on(&self.passes, x)
    }

    fn adjoint(&self, y: ComplexArray) -> ComplexArray {
        self.on(&self.transposed, y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACING_MM: [f64; 3] = [1.0, 1.5, 2.0];

    /// A smooth blob `[D, H, W]` centred `at` millimetres along (i, j, k) from the grid's centre.
    fn blob(at: [f64; 3]) -> Array3<f32> {
        let shape = [30, 36, 56];
        Array3::from_shape_fn(shape, |(d, h, w)| {
            let squares = [w, h, d].into_iter().enumerate().map(|(a, index)| {
                let centre = (shape[2 - a] as f64 - 1.0) / 2.0;
                ((index as f64 - centre) * SPACING_MM[a] - at[a]).powi(2)
            });
            (-squares.sum::<f64>() / (2.0 * 4.0f64.powi(2))).exp() as f32
        })
    }

    fn centroid_mm(image: &Array3<f32>) -> [f64; 3] {
        let total: f64 = image.iter().map(|&v| f64::from(v)).sum();
        [0, 1, 2].map(|a| {
            let centre = (image.shape()[2 - a] as f64 - 1.0) / 2.0;
            let moment = image
                .indexed_iter()
                .map(|((d, h, w), &v)| ([w, h, d][a] as f64 - centre) * SPACING_MM[a] * f64::from(v));
            moment.sum::<f64>() / total
        })
    }

    #[test]
    fn a_blob_goes_where_the_matrices_say() {
        let at = [7.0, -4.0, 5.0];
        let (si, ci) = 20f64.to_radians().sin_cos();
        let cases = [
            ([20.0, 0.0, 0.0], [0.0; 3], [at[0], ci * at[1] - si * at[2], si * at[1] + ci * at[2]]),
            ([0.0, 20.0, 0.0], [0.0; 3], [ci * at[0] + si * at[2], at[1], -si * at[0] + ci * at[2]]),
            ([0.0, 0.0, 20.0], [0.0; 3], [ci * at[0] - si * at[1], si * at[0] + ci * at[1], at[2]]),
            ([0.0; 3], [-3.3, 2.1, -4.7], [3.7, -1.9, 0.3]),
            // scipy: Rotation.from_euler("xyz", [10, -20, 15], degrees=True).forward([7, -4, 5]) + [1, 2, 3]
            ([10.0, -20.0, 15.0], [1.0, 2.0, 3.0], [7.200_713_3, -1.315_585, 9.368_520_3]),
        ];
        for (rotation_deg, translation_mm, to) in cases {
            let rigid = Rigid { rotation_deg, translation_mm };
            let image = moved(&blob(at), &rigid, SPACING_MM).unwrap();
            let found = centroid_mm(&image);
            assert!((0..3).all(|a| (found[a] - to[a]).abs() < 0.02), "{rigid:?}: {found:?}, not {to:?}");
            let expected = blob(to);
            let error = (&image - &expected).iter().fold(0f32, |worst, e| worst.max(e.abs()));
            assert!(error < 0.02, "{rigid:?}: off by {error}");
        }
    }

    #[test]
    fn nothing_comes_from_outside_the_field_of_view() {
        let image = Array3::from_elem([1, 8, 8], 1.0f32);
        let rigid = Rigid { translation_mm: [3.0, 0.0, 0.0], ..Rigid::IDENTITY };
        let moved = moved(&image, &rigid, [1.0; 3]).unwrap();
        assert!(moved.indexed_iter().all(|((_, _, w), &v)| if w < 3 {
            v == 0.0
        } else {
            (v - 1.0).abs() < 1e-6
        }));
    }

    #[test]
    fn what_cannot_be_moved_is_refused() {
        let refused = |shape: [usize; 3], rotation_deg: [f64; 3], translation_mm: [f64; 3]| {
            Moved::new(shape, &Rigid { rotation_deg, translation_mm }, [1.0; 3]).unwrap_err().to_string()
        };
        assert!(refused([8; 3], [60.0, 30.0, 0.0], [0.0; 3]).contains("60°"));
        assert!(refused([1, 8, 8], [1.0, 0.0, 0.0], [0.0; 3]).contains("one voxel along k"));
        assert!(refused([1, 8, 8], [0.0; 3], [0.0, 0.0, 1.0]).contains("one voxel along k"));
        assert!(refused([8; 3], [f64::NAN, 0.0, 0.0], [0.0; 3]).contains("finite"));
        assert!(
            Moved::new([1, 8, 8], &Rigid { rotation_deg: [0.0, 0.0, 60.0], ..Rigid::IDENTITY }, [1.0; 3])
                .is_ok()
        );
    }
}
