//! Simulated ageing of a brain by a known amount: wider ventricles and a thinner cortex.
//!
//! It is a deformation: a displacement along the normal of a wall, which falls to zero away from the wall, so that the
//! rest of the head does not move.

use ndarray::{Array3, ArrayView3, Axis, Slice};
use rayon::prelude::*;

use crate::anatomy::Structure;
use crate::anatomy::overlap::distance_transform_mm;

/// How far the displacement at the wall of the ventricles reaches, in millimetres.
const REACH_MM: f32 = 6.0;
/// Depth at which the displacement of the cortex is greatest: its thickness, in millimetres.
const THICKNESS_MM: f32 = 2.5;
/// What distances are cut to: that to nothing is infinite.
const FAR_MM: f32 = 1e3;
/// Steps of the wall of the ventricles and of the surface of the cortex that are tried, in millimetres.
const OUTWARDS_MM: [f32; 10] = [-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.5, 3.5, 5.0];
const INWARDS_MM: [f32; 7] = [-0.6, -0.3, 0.0, 0.3, 0.6, 1.0, 1.5];
/// Displacements below this are none, in millimetres.
const NOTHING_MM: f32 = 1e-3;

/// Factors of the volumes of structures; 1 for no change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ageing {
    /// Factor of the lateral ventricles, with inferior horns and choroid plexus.
    pub ventricles: f64,
    /// Factor of the cerebral cortex.
    pub cortex: f64,
}

/// Displacements of the walls in millimetres.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Steps {
    /// Displacement of the ventricles' wall, outwards.
    pub ventricles_mm: f32,
    /// Displacement of the cortex's surface, inwards.
    pub cortex_mm: f32,
}

/// The walls of a brain that can move.
#[derive(Clone, Debug)]
pub struct Walls {
    /// Signed distance to the wall of the ventricles, negative within, `[D, H, W]`.
    ventricles: Array3<f32>,
    /// Signed distance to the inner surface of the cortex, negative within; none where the cortex stays.
    inner: Option<Array3<f32>>,
    /// Voxel size along `[D, H, W]` in millimetres.
    spacing_mm: [f32; 3],
}

impl Walls {
    /// The walls of a brain with these `structures` (indices, `[D, H, W]`); `spacing_mm` is the voxel size along
    /// `(i, j, k) = (W, H, D)`.
    pub fn of(structures: ArrayView3<u8>, spacing_mm: [f64; 3]) -> Self {
        let within = |inside: &dyn Fn(Structure) -> bool| {
            let members: Vec<bool> = Structure::ALL.iter().map(|&structure| inside(structure)).collect();
            structures.mapv(|label| members[usize::from(label)])
        };
        let core = within(&|structure| {
            !matches!(structure, Structure::Background | Structure::Head | Structure::Csf)
                && !is_cortex(structure)
        });
        let inner = Some(signed_distance_mm(&core, spacing_mm));
        Self { inner, ..Self::of_ventricles(&within(&is_ventricle), spacing_mm) }
    }

    /// The wall of a mask of ventricles `[D, H, W]` alone; `spacing_mm` is the voxel size along
    /// `(i, j, k) = (W, H, D)`.
    pub fn of_ventricles(ventricles: &Array3<bool>, spacing_mm: [f64; 3]) -> Self {
        let along = [spacing_mm[2], spacing_mm[1], spacing_mm[0]].map(|mm| mm as f32);
        Self { ventricles: signed_distance_mm(ventricles, spacing_mm), inner: None, spacing_mm: along }
    }

    /// The volumes of a brain as functions of the displacements; `structures` are those of [`Walls::of`]. For walls of
    /// [`Walls::of_ventricles`] they are not used.
    pub fn response(&self, structures: ArrayView3<u8>) -> Response {
        let ventricles = self.ventricles.mapv(|phi| if phi < 0.0 { 1.0 } else { 0.0 });
        let cortex =
            structures.mapv(|label| if is_cortex(Structure::ALL[usize::from(label)]) { 1.0 } else { 0.0 });
        let measured = |mask: &Array3<f32>, steps: &dyn Fn(f32) -> Steps, tried: &[f32]| -> Vec<(f64, f32)> {
            // As images are: what is read of a mask with sharp edges depends on where its voxels happen to lie.
            let mask = &blurred(mask.clone());
            let volume = |mask: &Array3<f32>| mask.iter().map(|&x| f64::from(x)).sum::<f64>();
            let now = volume(mask);
            if now == 0.0 {
                return Vec::new();
            }
            let after = |mm: f32| volume(&self.moved(mask.view(), steps(mm))) / now;
            tried.iter().map(|&mm| (after(mm), mm)).collect()
        };
        let none = Steps::default();
        let inner = self.inner.is_some();
        Response {
            ventricles: measured(&ventricles, &|ventricles_mm| Steps { ventricles_mm, ..none }, &OUTWARDS_MM),
            cortex: match inner {
                true => measured(&cortex, &|cortex_mm| Steps { cortex_mm, ..none }, &INWARDS_MM),
                false => Vec::new(),
            },
        }
    }

    /// `image` `[D, H, W]` after the displacement of the walls, by linear interpolation; voxels that do not move are
    /// unchanged.
    pub fn moved(&self, image: ArrayView3<f32>, steps: Steps) -> Array3<f32> {
        let mut new = Array3::zeros(image.raw_dim());
        new.outer_iter_mut().into_par_iter().enumerate().for_each(|(z, mut plane)| {
            for ((y, x), voxel) in plane.indexed_iter_mut() {
                let at = [z, y, x];
                *voxel = self.source(at, steps).map_or(image[at], |from| linear(image, from));
            }
        });
        new
    }

    /// Where the voxel `at` comes from; none where it stays.
    fn source(&self, at: [usize; 3], steps: Steps) -> Option<[f32; 3]> {
        let outwards = steps.ventricles_mm * (-(self.ventricles[at] / REACH_MM).powi(2)).exp();
        let inwards = self.inner.as_ref().map_or(0.0, |inner| steps.cortex_mm * bump(inner[at]));
        if outwards.abs().max(inwards.abs()) < NOTHING_MM {
            return None;
        }
        let mut source = at.map(|x| x as f32);
        let mut go = |phi: &Array3<f32>, mm: f32| {
            if mm.abs() >= NOTHING_MM {
                let normal = normal(phi, at, self.spacing_mm);
                (0..3).for_each(|axis| source[axis] += mm * normal[axis] / self.spacing_mm[axis]);
            }
        };
        go(&self.ventricles, -outwards);
        if let Some(inner) = &self.inner {
            go(inner, inwards);
        }
        Some(source)
    }
}

/// The volumes of a brain as sampled functions of the displacements of its walls: pairs of the volume's factor and the
/// displacement in millimetres; empty for a structure that the brain does not have.
#[derive(Clone, Debug)]
pub struct Response {
    ventricles: Vec<(f64, f32)>,
    cortex: Vec<(f64, f32)>,
}

impl Response {
    /// The displacements for an `ageing`: linear between the samples, constant beyond them.
    pub fn steps(&self, ageing: Ageing) -> Steps {
        Steps {
            ventricles_mm: step_for(&self.ventricles, ageing.ventricles),
            cortex_mm: step_for(&self.cortex, ageing.cortex),
        }
    }
}

/// The step at which the volume has this factor.
fn step_for(tried: &[(f64, f32)], factor: f64) -> f32 {
    let between = tried.windows(2).find(|pair| {
        let (low, high) = (pair[0].0.min(pair[1].0), pair[0].0.max(pair[1].0));
        (low..=high).contains(&factor) && high > low
    });
    if let Some(pair) = between {
        let part = (factor - pair[0].0) / (pair[1].0 - pair[0].0);
        return pair[0].1 + part as f32 * (pair[1].1 - pair[0].1);
    }
    let far = |one: &&(f64, f32)| (one.0 - factor).abs();
    tried.iter().min_by(|a, b| far(a).total_cmp(&far(b))).map_or(0.0, |one| one.1)
}

/// Each voxel with its neighbours along every axis, weighed 1, 2, 1.
fn blurred(mask: Array3<f32>) -> Array3<f32> {
    (0..3).fold(mask, |mask, axis| {
        let mut sum = &mask * 2.0;
        let (axis, last) = (Axis(axis), mask.len_of(Axis(axis)) - 1);
        for (to, from) in [(Slice::from(1..), Slice::from(..last)), (Slice::from(..last), Slice::from(1..))] {
            let mut to = sum.slice_axis_mut(axis, to);
            to += &mask.slice_axis(axis, from);
        }
        sum * 0.25
    })
}

/// The displacement of the cortex at a distance from its inner surface, of height 1 at its thickness.
fn bump(phi: f32) -> f32 {
    let depth = phi / THICKNESS_MM;
    if depth <= 0.0 { 0.0 } else { depth * (1.0 - depth).exp() }
}

fn is_cortex(structure: Structure) -> bool {
    matches!(structure, Structure::LeftCerebralCortex | Structure::RightCerebralCortex)
}

fn is_ventricle(structure: Structure) -> bool {
    matches!(
        structure,
        Structure::LeftLateralVentricle
            | Structure::RightLateralVentricle
            | Structure::LeftInferiorLateralVentricle
            | Structure::RightInferiorLateralVentricle
            | Structure::LeftChoroidPlexus
            | Structure::RightChoroidPlexus
    )
}

/// Distance of voxel centres to the wall of `inside`, which lies half a voxel before the nearest centre beyond it;
/// negative within, in millimetres.
fn signed_distance_mm(inside: &Array3<bool>, spacing_mm: [f64; 3]) -> Array3<f32> {
    let half = 0.5 * spacing_mm.into_iter().fold(f64::INFINITY, f64::min) as f32;
    let mut phi = distance_transform_mm(inside.view(), spacing_mm);
    let within = distance_transform_mm(inside.mapv(|x| !x).view(), spacing_mm);
    phi.zip_mut_with(&within, |to, &from| {
        *to = if from > 0.0 { half - from } else { *to - half }.clamp(-FAR_MM, FAR_MM);
    });
    phi
}

/// The unit vector along which `phi` rises.
fn normal(phi: &Array3<f32>, at: [usize; 3], spacing_mm: [f32; 3]) -> [f32; 3] {
    let near = |axis: usize, offset: isize| {
        let mut at = at;
        at[axis] = (at[axis] as isize + offset).clamp(0, phi.shape()[axis] as isize - 1) as usize;
        phi[at]
    };
    let slope = [0, 1, 2].map(|axis| (near(axis, 1) - near(axis, -1)) / (2.0 * spacing_mm[axis]));
    let length = slope.iter().map(|s| s * s).sum::<f32>().sqrt().max(1e-3);
    slope.map(|s| s / length)
}

/// Linear interpolation; beyond the edge, the edge.
fn linear(image: ArrayView3<f32>, at: [f32; 3]) -> f32 {
    let last = <[usize; 3]>::from(image.dim()).map(|length| length - 1);
    let at = [0, 1, 2].map(|axis| at[axis].clamp(0.0, last[axis] as f32));
    let mut sum = 0.0;
    for corner in 0..8usize {
        let bits = [corner >> 2 & 1, corner >> 1 & 1, corner & 1];
        let mut weight = 1.0;
        let place = [0, 1, 2].map(|axis| {
            let part = at[axis].fract();
            weight *= if bits[axis] == 1 { part } else { 1.0 - part };
            (at[axis] as usize + bits[axis]).min(last[axis])
        });
        sum += weight * image[place];
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 64;

    /// The half axes in voxels of ellipsoids within each other, and what lies within each but the one before.
    const SHELLS: [([f32; 3], Structure); 4] = [
        ([9.0, 10.3, 8.2], Structure::LeftLateralVentricle),
        ([22.0, 21.0, 20.0], Structure::LeftCerebralWhiteMatter),
        ([24.6, 23.6, 22.6], Structure::LeftCerebralCortex),
        ([28.0, 28.0, 28.0], Structure::Csf),
    ];

    fn shell(at: [f32; 3]) -> usize {
        let within = |axes: &[f32; 3]| {
            let centre = [31.3, 30.8, 31.6];
            (0..3).map(|axis| ((at[axis] - centre[axis]) / axes[axis]).powi(2)).sum::<f32>() < 1.0
        };
        SHELLS.iter().position(|(axes, _)| within(axes)).unwrap_or(SHELLS.len())
    }

    fn labels() -> Array3<u8> {
        Array3::from_shape_fn((SIZE, SIZE, SIZE), |(z, y, x)| {
            let shell = shell([z, y, x].map(|x| x as f32));
            SHELLS.get(shell).map_or(Structure::Head, |(_, structure)| *structure).index() as u8
        })
    }

    /// The part of each voxel that lies in a shell, by 27 points.
    fn parts(which: usize) -> Array3<f32> {
        Array3::from_shape_fn((SIZE, SIZE, SIZE), |(z, y, x)| {
            let points = (0..27).filter(|n| {
                let offset = [n / 9, n / 3 % 3, n % 3].map(|i| (i as f32 - 1.0) / 3.0);
                shell([z as f32 + offset[0], y as f32 + offset[1], x as f32 + offset[2]]) == which
            });
            points.count() as f32 / 27.0
        })
    }

    /// Volumes with parts of voxels, as no label map has them.
    #[test]
    fn volumes_change_by_what_was_asked_for() {
        let labels = labels();
        let walls = Walls::of(labels.view(), [1.0; 3]);
        let response = walls.response(labels.view());
        for ageing in [
            Ageing { ventricles: 1.2, cortex: 1.0 },
            Ageing { ventricles: 1.5, cortex: 0.9 },
            Ageing { ventricles: 0.8, cortex: 1.05 },
        ] {
            let steps = response.steps(ageing);
            for (which, asked) in [(0, ageing.ventricles), (2, ageing.cortex)] {
                let before = parts(which);
                let after = walls.moved(before.view(), steps);
                let factor = after.sum() / before.sum();
                assert!((f64::from(factor) - asked).abs() < 0.03, "{ageing:?}, shell {which}: {factor}");
            }
        }
    }

    /// Where walls are far, nothing moves, and no change is none to the bit.
    #[test]
    fn what_is_far_from_walls_stays() {
        let labels = labels();
        let image = labels.mapv(|label| f32::from(label) * 0.1);
        let walls = Walls::of(labels.view(), [1.0; 3]);
        assert_eq!(walls.moved(image.view(), Steps::default()), image);
        let steps = walls.response(labels.view()).steps(Ageing { ventricles: 1.4, cortex: 0.9 });
        let after = walls.moved(image.view(), steps);
        assert_eq!(after[[2, 2, 2]], image[[2, 2, 2]]);
        assert_ne!(after, image);
        let largest = image.iter().fold(0.0f32, |most, &x| most.max(x));
        assert!(after.iter().all(|&x| (0.0..largest + 1e-6).contains(&x)));
    }

    #[test]
    fn without_ventricles_or_cortex_nothing_moves() {
        let labels = Array3::from_elem((8, 8, 8), Structure::Head.index() as u8);
        let walls = Walls::of(labels.view(), [1.0; 3]);
        let steps = walls.response(labels.view()).steps(Ageing { ventricles: 2.0, cortex: 0.5 });
        assert_eq!(steps, Steps::default());
        let image = labels.mapv(f32::from);
        assert_eq!(walls.moved(image.view(), steps), image);
    }
}
