//! Distances between the surfaces of a region in two segmentations.

use nalgebra::{Matrix4, Vector3};
use ndarray::Array3;
use ndarray::parallel::prelude::*;
use serde::Serialize;
use statrs::distribution::{ContinuousCDF, Normal};

use super::distance_transform::{NONE, nearest};
use super::fraction::Fraction;
use crate::stats::quantile_of;

/// Share of a surface that lies within [`SurfaceDistance::hausdorff95_mm`] of the other.
const SHARE: f64 = 0.95;
/// How far around its point a piece of surface is taken to be flat, in voxels: half the diagonal of a voxel's face.
const FLAT_VOXELS: f64 = 0.71;
/// Least fall of the fraction over two voxels that gives a surface a direction: at a flat border it is 0.7, amid a
/// sheet as thick as a voxel it is none.
const FALL_MIN: f64 = 0.2;
/// Fractions are cut to this far from 0 and 1.
const FRACTION_MIN: f64 = 1e-4;

/// Distances between two surfaces, in millimetres. The points of a region's surface are its voxels with a face
/// neighbour outside it, each moved to where the fraction falls to one half. The outside of the field of view counts as
/// outside the region, so that a region that is cut off has a surface there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SurfaceDistance {
    /// 95 % Hausdorff distance: the 95 % quantile of the distances of one surface's points to the other surface (linear
    /// between order statistics), the larger of both directions (Maier-Hein, Reinke et al. 2024, "Metrics reloaded",
    /// and MONAI; medpy takes the percentile of both directions pooled, which is never larger).
    pub hausdorff95_mm: f64,
    /// Mean distance of the points of both surfaces, pooled, to the other surface: the average symmetric surface
    /// distance of Heimann et al. 2009, "Comparison and evaluation of methods for liver segmentation from CT
    /// datasets".
    pub mean_mm: f64,
}

impl SurfaceDistance {
    /// Between the surfaces of two fractions, each of whose boxes holds both regions; none if either has no voxels, as
    /// there is then no surface to measure to.
    pub(super) fn between(one: &Fraction, other: &Fraction) -> Option<Self> {
        let [one, other] = [Surface::of(one)?, Surface::of(other)?];
        let [mut forth, mut back] = [(&one, &other), (&other, &one)].map(|(from, to)| {
            from.pieces.par_iter().map(|piece| to.distance_mm(&piece.point)).collect::<Vec<f64>>()
        });
        let sum: f64 = forth.iter().chain(&back).sum();
        let mean_mm = sum / (forth.len() + back.len()) as f64;
        Some(Self {
            mean_mm,
            hausdorff95_mm: quantile_of(&mut forth, SHARE).max(quantile_of(&mut back, SHARE)),
        })
    }
}

/// A piece of surface about the size of a voxel's face.
struct Piece {
    /// Its middle, in world millimetres.
    point: Vector3<f64>,
    /// The unit vector that points outwards; none where the region is too thin to have a direction.
    normal: Option<Vector3<f64>>,
}

/// The surface of a region.
struct Surface {
    pieces: Vec<Piece>,
    /// The nearest piece to each voxel of a box, `[D, H, W]`.
    nearest: Array3<u32>,
    /// World millimetres to a voxel `(i, j, k)` of the box.
    to_voxel: Matrix4<f64>,
    flat_mm: f64,
}

impl Surface {
    /// Of a region in a box; none without voxels.
    fn of(fraction: &Fraction) -> Option<Self> {
        let columns = fraction.grid.affine.steps_mm();
        let spacing_mm: Vector3<f64> = Vector3::from_fn(|axis, _| columns.column(axis).norm());
        let mut pieces = Vec::new();
        let mut numbers = Array3::from_elem(fraction.mask.raw_dim(), NONE);
        for ((z, y, x), &inside) in fraction.mask.indexed_iter() {
            if inside && neighbours([z, y, x]).iter().flatten().any(|&at| !fraction.mask[at]) {
                numbers[[z, y, x]] = pieces.len() as u32;
                pieces.push(piece(fraction, [z, y, x], &spacing_mm));
            }
        }
        if pieces.is_empty() {
            return None;
        }
        Some(Self {
            pieces,
            nearest: nearest(numbers, spacing_mm.into()),
            to_voxel: fraction.grid.affine.inverse(),
            flat_mm: FLAT_VOXELS * spacing_mm.max(),
        })
    }

    /// Distance of a world point to the surface, in millimetres: to the nearest of the pieces that are nearest to the
    /// voxels around it.
    fn distance_mm(&self, point: &Vector3<f64>) -> f64 {
        let voxel = self.to_voxel.transform_point(&(*point).into());
        let (d, h, w) = self.nearest.dim();
        let last = [w, h, d].map(|length| length - 1);
        let corners = (0..8usize).map(|corner| {
            let place = |axis: usize| {
                let at = voxel[axis].floor() + ((corner >> axis) & 1) as f64;
                (at.max(0.0) as usize).min(last[axis])
            };
            self.nearest[[place(2), place(1), place(0)]]
        });
        let distance = |number: u32| {
            let Piece { point: middle, normal } = &self.pieces[number as usize];
            let away = point - middle;
            let Some(normal) = normal else { return away.norm() };
            let off = away.dot(normal);
            let beside = ((away.norm_squared() - off * off).max(0.0).sqrt() - self.flat_mm).max(0.0);
            off.hypot(beside)
        };
        corners.map(distance).fold(f64::INFINITY, f64::min)
    }
}

/// The face neighbours of a voxel `[D, H, W]`, two an axis.
fn neighbours(at: [usize; 3]) -> [[[usize; 3]; 2]; 3] {
    [0, 1, 2].map(|axis| {
        let (mut before, mut after) = (at, at);
        before[axis] -= 1;
        after[axis] += 1;
        [before, after]
    })
}

/// The surface at a voxel `[D, H, W]`: along the fall of the fraction from its middle, as far as a flat border lies
/// from which the blur leaves this fraction there, and at most the size of the voxel.
fn piece(fraction: &Fraction, at: [usize; 3], spacing_mm: &Vector3<f64>) -> Piece {
    let directions = fraction.grid.affine.steps_mm();
    let centre = directions * Vector3::new(at[2] as f64, at[1] as f64, at[0] as f64)
        + fraction.grid.affine.origin_mm();
    let around = neighbours(at);
    let fall: Vector3<f64> = Vector3::from_fn(|axis, _| {
        let [before, after] = around[2 - axis].map(|at| f64::from(fraction.values[at]));
        before - after
    });
    if fall.norm() < FALL_MIN {
        return Piece { point: centre, normal: None };
    }
    // Along the voxel axes, which stand at right angles.
    let along = fall.component_div(spacing_mm).normalize();
    let sigma_mm = Vector3::from(fraction.sigma_mm).component_mul(&along).norm();
    let size_mm = spacing_mm.component_mul(&along).abs().sum();
    let part = f64::from(fraction.values[at]).clamp(FRACTION_MIN, 1.0 - FRACTION_MIN);
    let depth_mm = sigma_mm * Normal::standard().inverse_cdf(part);
    let normal = (directions * along.component_div(spacing_mm)).normalize();
    Piece { point: centre + normal * depth_mm.clamp(-0.5 * size_mm, size_mm), normal: Some(normal) }
}
