//! Sums of ellipsoids, or of ellipses in a slice, with volumes and k-space in closed form.

use std::f64::consts::{PI, TAU};

use nalgebra::{Matrix3, Rotation3, Vector3};
use ndarray::{Array3, Array4};
use num_complex::Complex64;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::acquisition::Complex32;
use crate::error::{Error, Result};
use crate::volume::Volume;
use crate::volume::resample::Grid;

/// An ellipsoid of one intensity.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ellipsoid {
    /// Its contribution to the intensity of each point inside.
    pub intensity: f64,
    /// Its centre in world millimetres.
    pub centre_mm: [f64; 3],
    /// Its half-axes in millimetres, before rotation.
    pub semi_axes_mm: [f64; 3],
    /// Rotation about the world's z from x to y, in degrees.
    pub angle_deg: f64,
}

/// A sum of ellipsoids, or of ellipses in the plane: elliptic cylinders along z that are infinitely long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ellipsoids {
    /// The shapes that are summed.
    pub shapes: Vec<Ellipsoid>,
    /// Whether the shapes are ellipses, independent of z.
    pub planar: bool,
}

/// Rows of a table of ellipsoids on [−1, 1]³: intensity, half-axes, centre, angle in degrees.
type Table<const N: usize> = [[f64; 8]; N];

/// Koay, Sarlls & Özarslan 2007, "Three-dimensional analytical magnetic resonance imaging phantom in the Fourier
/// domain", table 1.
const KOAY: Table<10> = [
    [2.0, 0.69, 0.92, 0.9, 0.0, 0.0, 0.0, 0.0],
    [-0.8, 0.6624, 0.874, 0.88, 0.0, 0.0, 0.0, 0.0],
    [-0.2, 0.41, 0.16, 0.21, -0.22, 0.0, -0.25, 108.0],
    [-0.2, 0.31, 0.11, 0.22, 0.22, 0.0, -0.25, 72.0],
    [0.2, 0.21, 0.25, 0.5, 0.0, 0.35, -0.25, 0.0],
    [0.2, 0.046, 0.046, 0.046, 0.0, 0.1, -0.25, 0.0],
    [0.1, 0.046, 0.023, 0.02, -0.08, -0.65, -0.25, 0.0],
    [0.1, 0.046, 0.023, 0.02, 0.06, -0.65, -0.25, 90.0],
    [0.2, 0.056, 0.04, 0.1, 0.06, -0.105, 0.625, 90.0],
    [-0.2, 0.056, 0.056, 0.1, 0.0, 0.1, 0.625, 0.0],
];

/// Shepp & Logan 1974, "The Fourier reconstruction of a head section", with the intensities of Toft 1996, "The Radon
/// transform", table B.1.
const SHEPP_LOGAN: Table<10> = [
    [1.0, 0.69, 0.92, 1.0, 0.0, 0.0, 0.0, 0.0],
    [-0.8, 0.6624, 0.874, 1.0, 0.0, -0.0184, 0.0, 0.0],
    [-0.2, 0.11, 0.31, 1.0, 0.22, 0.0, 0.0, -18.0],
    [-0.2, 0.16, 0.41, 1.0, -0.22, 0.0, 0.0, 18.0],
    [0.1, 0.21, 0.25, 1.0, 0.0, 0.35, 0.0, 0.0],
    [0.1, 0.046, 0.046, 1.0, 0.0, 0.1, 0.0, 0.0],
    [0.1, 0.046, 0.046, 1.0, 0.0, -0.1, 0.0, 0.0],
    [0.1, 0.046, 0.023, 1.0, -0.08, -0.605, 0.0, 0.0],
    [0.1, 0.023, 0.023, 1.0, 0.0, -0.605, 0.0, 0.0],
    [0.1, 0.023, 0.046, 1.0, 0.06, -0.605, 0.0, 0.0],
];

impl Ellipsoids {
    /// The 3D Shepp–Logan phantom of Koay et al. 2007, in a cube of `side_mm`.
    pub fn shepp_logan_3d(side_mm: f64) -> Self {
        Self { shapes: scaled(&KOAY, side_mm), planar: false }
    }

    /// The Shepp–Logan slice with the intensities of Toft 1996, in a square of `side_mm`.
    pub fn shepp_logan_2d(side_mm: f64) -> Self {
        Self { shapes: scaled(&SHEPP_LOGAN, side_mm), planar: true }
    }

    /// Volume of each shape in ml, regardless of overlaps: 4/3·π·abc; of an ellipse, for a slice 1 mm thick: π·ab.
    pub fn volumes_ml(&self) -> Vec<f64> {
        let unit = if self.planar { PI } else { 4.0 / 3.0 * PI };
        let volume = |shape: &Ellipsoid| {
            let [a, b, c] = shape.semi_axes_mm;
            unit * a * b * if self.planar { 1.0 } else { c } / 1000.0
        };
        self.shapes.iter().map(volume).collect()
    }

    /// k-space in closed form, `S(k) = ∫ρ(r)·exp(−2πi·k·r) dr`, at positions in cycles per millimetre of the world.
    ///
    /// An ellipsoid, with `K = |diag(a, b, c)·Rᵀk|`, has `ρ·abc·(sin 2πK − 2πK cos 2πK)/(2π²K³)·exp(−2πi k·δ)` (Koay
    /// 2007, equations 8 to 10), in intensity · mm³; an ellipse `ρ·ab·J₁(2πK)/K` in intensity · mm², independent of
    /// k_z.
    ///
    /// # Errors
    /// As [`Ellipsoids::check`].
    pub fn kspace(&self, positions: &[[f64; 3]]) -> Result<Vec<Complex64>> {
        self.check()?;
        Ok(positions.par_iter().map(|&k| self.transform(Vector3::from(k))).collect())
    }

    /// k-space `[D, H, W]` on the grid of the centred orthonormal transform of an image on `grid`. It is that of the
    /// continuous object, so that frequencies beyond the grid's band are cut off and not aliased.
    ///
    /// # Errors
    /// As [`Ellipsoids::check`].
    pub fn kspace_on(&self, grid: &Grid) -> Result<Array3<Complex32>> {
        self.check()?;
        let axes = grid.affine.steps_mm();
        let to_frequency = grid.affine.voxels_of(&Matrix3::identity()).transpose();
        let [w, h, d] = grid.dims;
        let middle = Vector3::from(grid.dims.map(|n| (n / 2) as f64));
        let centre = axes * middle + grid.affine.origin_mm();
        let voxel: f64 =
            if self.planar { axes.fixed_view::<2, 2>(0, 0).determinant() } else { axes.determinant() };
        let scale = 1.0 / (voxel.abs() * ((w * h * d) as f64).sqrt());
        let mut kspace = Array3::zeros((d, h, w));
        let values: &mut [Complex32] = kspace.as_slice_mut().expect("a new array is contiguous");
        values.par_chunks_mut(w.max(1)).enumerate().for_each(|(row, values)| {
            let along = |index: usize, n: usize| (index as f64 - (n / 2) as f64) / n as f64;
            let (y, z) = (along(row % h, h), along(row / h, d));
            if self.planar && z != 0.0 {
                return; // the same in every slice: all of it at k_z = 0
            }
            let slices = if self.planar { d as f64 } else { 1.0 };
            for (i, value) in values.iter_mut().enumerate() {
                let k: Vector3<f64> = to_frequency * Vector3::new(along(i, w), y, z);
                let s = self.transform(k) * Complex64::cis(TAU * k.dot(&centre)) * (scale * slices);
                *value = Complex32::new(s.re as f32, s.im as f32);
            }
        });
        Ok(kspace)
    }

    /// The phantom on `grid`: each voxel is the mean over its volume, exact where no surface crosses it, otherwise over
    /// 8³ points (8² for ellipses).
    ///
    /// # Errors
    /// As [`Ellipsoids::check`].
    pub fn volume(&self, grid: &Grid) -> Result<Volume> {
        self.check()?;
        let [w, h, d] = grid.dims;
        let inside: Vec<Inside> =
            self.shapes.iter().map(|shape| Inside::new(shape, grid, self.planar)).collect();
        let mut data = Array4::zeros((1, d, h, w));
        let voxels: &mut [f32] = data.as_slice_mut().expect("a new array is contiguous");
        voxels.par_chunks_mut(w.max(1)).enumerate().for_each(|(row, voxels)| {
            for (i, voxel) in voxels.iter_mut().enumerate() {
                let at = Vector3::new(i as f64, (row % h) as f64, (row / h) as f64);
                let sum: f64 = inside.iter().map(|shape| shape.intensity * shape.part(at)).sum();
                *voxel = sum as f32;
            }
        });
        let name = if self.planar { "ellipses" } else { "ellipsoids" };
        Ok(Volume::new(data, grid.affine).with_step(format!("phantom of {} {name}", self.shapes.len())))
    }

    ///
    /// # Errors
    /// [`Error::Value`] for a number that is not finite or a half-axis that is not above zero.
    /// Whether the parameters are valid.
    pub fn check(&self) -> Result<()> {
        for shape in &self.shapes {
            let numbers = shape.centre_mm.iter().chain([&shape.intensity, &shape.angle_deg]);
            if !numbers.chain(&shape.semi_axes_mm).all(|number| number.is_finite())
                || shape.semi_axes_mm.iter().any(|&axis| axis <= 0.0)
            {
                let expected = "finite numbers and half-axes above zero";
                return Err(Error::value("ellipsoid", expected, format!("{shape:?}"), "correct this shape"));
            }
        }
        Ok(())
    }

    fn transform(&self, k: Vector3<f64>) -> Complex64 {
        let of = |shape: &Ellipsoid| {
            let [a, b, c] = shape.semi_axes_mm;
            let mut turned = turn(shape).transpose() * k;
            let mut shift = k.component_mul(&Vector3::from(shape.centre_mm));
            if self.planar {
                (turned.z, shift.z) = (0.0, 0.0);
            }
            let radius = turned.component_mul(&Vector3::new(a, b, c)).norm();
            let height = if self.planar { a * b * jinc(radius) } else { a * b * c * sphere(radius) };
            shape.intensity * height * Complex64::cis(-TAU * shift.sum())
        };
        self.shapes.iter().map(of).sum()
    }
}

/// The shapes of a table on [−1, 1]³ in a cube of `side_mm`.
fn scaled(table: &[[f64; 8]], side_mm: f64) -> Vec<Ellipsoid> {
    let half = side_mm / 2.0;
    let shape = |&[intensity, a, b, c, x, y, z, angle_deg]: &[f64; 8]| Ellipsoid {
        intensity,
        centre_mm: [x, y, z].map(|u| u * half),
        semi_axes_mm: [a, b, c].map(|u| u * half),
        angle_deg,
    };
    table.iter().map(shape).collect()
}

fn turn(shape: &Ellipsoid) -> Matrix3<f64> {
    Rotation3::from_axis_angle(&Vector3::z_axis(), shape.angle_deg.to_radians()).into_inner()
}

/// Which part of a voxel lies inside a shape.
struct Inside {
    intensity: f64,
    /// Voxel position to the coordinates in which the shape is the unit ball (in the plane, the unit disc).
    to_ball: Matrix3<f64>,
    shift: Vector3<f64>,
    /// The farthest that a point of a voxel is from its centre, in these coordinates.
    reach: f64,
    planar: bool,
}

impl Inside {
    /// Points along each axis that stand for a voxel that a surface crosses.
    const POINTS: usize = 8;

    fn new(shape: &Ellipsoid, grid: &Grid, planar: bool) -> Self {
        let mut shrink = Vector3::from(shape.semi_axes_mm).map(|axis| 1.0 / axis);
        if planar {
            shrink.z = 0.0;
        }
        let to_ball = Matrix3::from_diagonal(&shrink) * turn(shape).transpose();
        let origin = grid.affine.origin_mm() - Vector3::from(shape.centre_mm);
        let (shift, to_ball) = (to_ball * origin, to_ball * grid.affine.steps_mm());
        let corner = |signs: [f64; 3]| (to_ball * Vector3::from(signs) * 0.5).norm();
        let signs = [[1.0, 1.0, 1.0], [1.0, 1.0, -1.0], [1.0, -1.0, 1.0], [-1.0, 1.0, 1.0]];
        let reach = signs.map(corner).into_iter().fold(0.0, f64::max);
        Self { intensity: shape.intensity, to_ball, shift, reach, planar }
    }

    fn part(&self, voxel: Vector3<f64>) -> f64 {
        let centre = self.to_ball * voxel + self.shift;
        let distance = centre.norm();
        if distance >= 1.0 + self.reach {
            return 0.0;
        }
        if distance + self.reach <= 1.0 {
            return 1.0;
        }
        let n = Self::POINTS;
        let depth = if self.planar { 1 } else { n };
        let offset = |t: usize, n: usize| (t as f64 + 0.5) / n as f64 - 0.5;
        let mut inside = 0;
        for c in 0..depth {
            for b in 0..n {
                for a in 0..n {
                    let at = Vector3::new(offset(a, n), offset(b, n), offset(c, depth));
                    inside += usize::from((centre + self.to_ball * at).norm_squared() < 1.0);
                }
            }
        }
        inside as f64 / (n * n * depth) as f64
    }
}

/// Transform of the unit ball at frequency `radius`: 4π/3 at 0.
fn sphere(radius: f64) -> f64 {
    let u = TAU * radius;
    if u < 0.02 {
        // Of sin u − u cos u = u³/3 − u⁵/30 + u⁷/840 − …, where it would cancel.
        return 4.0 * PI * (1.0 / 3.0 - u * u / 30.0 + u.powi(4) / 840.0);
    }
    4.0 * PI * (u.sin() - u * u.cos()) / u.powi(3)
}

/// Transform of the unit disc at frequency `radius`, J₁(2πr)/r: π at 0.
fn jinc(radius: f64) -> f64 {
    let u = TAU * radius;
    if u < 1e-8 { PI } else { TAU * bessel_j1(u) / u }
}

/// J₁ of a positive number to about 1e-10: its power series, and from 12 on Hankel's expansion (Abramowitz & Stegun
/// 1964, 9.1.10 and 9.2.5).
fn bessel_j1(x: f64) -> f64 {
    if x < 12.0 {
        let (mut term, mut sum) = (x / 2.0, x / 2.0);
        for m in 1..60 {
            term *= -(x * x / 4.0) / f64::from(m * (m + 1));
            sum += term;
        }
        return sum;
    }
    let (mut p, mut q, mut term) = (1.0, 0.0, 1.0_f64);
    for m in 1..24_i32 {
        let odd = f64::from(2 * m - 1);
        let next = term * (4.0 - odd * odd) / (f64::from(m) * 8.0 * x);
        if next.abs() > term.abs() {
            break; // the expansion is asymptotic: it ends at its least term
        }
        term = next;
        match m % 4 {
            0 => p += term,
            1 => q += term,
            2 => p -= term,
            _ => q -= term,
        }
    }
    let (sin, cos) = (x - 0.75 * PI).sin_cos();
    (2.0 / (PI * x)).sqrt() * (p * cos - q * sin)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.special.j1`.
    #[test]
    fn the_bessel_function_is_scipys() {
        for (x, expected) in [
            (1e-3, J1[0]),
            (0.5, J1[1]),
            (3.0, J1[2]),
            (11.9, J1[3]),
            (12.1, J1[4]),
            (40.0, J1[5]),
            (800.0, J1[6]),
        ] {
            assert!((bessel_j1(x) - expected).abs() < 2e-10, "{x}: {}", bessel_j1(x));
        }
    }

    const J1: [f64; 7] = [
        4.99999937500e-4,
        2.42268457674e-1,
        3.39058958525e-1,
        -2.28983249661e-1,
        -2.15748973376e-1,
        1.26038318037e-1,
        2.67751387223e-2,
    ];

    #[test]
    fn transforms_are_continuous_at_zero() {
        assert!((sphere(0.0) - 4.0 / 3.0 * PI).abs() < 1e-15);
        let r = 0.02 / TAU;
        assert!((sphere(r * (1.0 - 1e-9)) - sphere(r * (1.0 + 1e-9))).abs() < 1e-8);
        assert!((jinc(0.0) - PI).abs() < 1e-15 && (jinc(1e-7) - PI).abs() < 1e-10);
    }
}
