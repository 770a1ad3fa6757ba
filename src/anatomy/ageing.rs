//! A brain that changes smoothly and by a known amount: ventricles that widen, a cortex that thins.
//!
//! Nothing is drawn new. Every voxel is taken from where a displacement along the distance to a wall comes from, which fades
//! away from the wall, so that the head around it stays where it is.

use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;

use super::Structure;
use super::overlap::distance_transform_mm;

/// How far the displacement at the wall of the ventricles reaches, in millimetres.
const REACH_MM: f32 = 6.0;
/// Depth at which the displacement of the cortex is greatest: its thickness, in millimetres.
const THICKNESS_MM: f32 = 2.5;
/// What distances are cut to: that to nothing is infinite.
const FAR_MM: f32 = 1e3;
/// Displacements below this are none, in millimetres.
const NOTHING_MM: f32 = 1e-3;

/// How much larger the volumes of structures become; 1 leaves them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ageing {
    /// Of the lateral ventricles, with inferior horns and choroid plexus.
    pub ventricles: f64,
    /// Of the cerebral cortex.
    pub cortex: f64,
}

/// How far walls move, in millimetres.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Steps {
    /// The wall of the ventricles, outwards.
    pub ventricles_mm: f32,
    /// The surface of the cortex, inwards.
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
    /// The walls of a brain whose voxels belong to these structures (indices, `[D, H, W]`); `spacing_mm` is the voxel size
    /// along `(i, j, k) = (W, H, D)`.
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

    /// The wall of ventricles `[D, H, W]` alone.
    pub fn of_ventricles(ventricles: &Array3<bool>, spacing_mm: [f64; 3]) -> Self {
        let along = [spacing_mm[2], spacing_mm[1], spacing_mm[0]].map(|mm| mm as f32);
        Self { ventricles: signed_distance_mm(ventricles, spacing_mm), inner: None, spacing_mm: along }
    }

    /// How much of the brain lies where its walls would come; `structures` are those of [`Walls::of`], unused where the cortex
    /// stays.
    pub fn surroundings(&self, structures: ArrayView3<u8>) -> Surroundings {
        let pixel = self.spacing_mm.into_iter().fold(f32::INFINITY, f32::min);
        let near = self.ventricles.iter().copied().filter(|phi| *phi < REACH_MM + pixel).collect();
        let mut slopes = (0.0, 0.0);
        if let Some(inner) = &self.inner {
            for (phi, label) in inner.iter().zip(&structures) {
                if is_cortex(Structure::ALL[usize::from(*label)]) {
                    slopes = (slopes.0 + f64::from(bump_slope(*phi)), slopes.1 + 1.0);
                }
            }
        }
        Surroundings { near, pixel, slope: if slopes.0 > 0.0 { slopes.0 / slopes.1 } else { 0.0 } }
    }

    /// `image` `[D, H, W]` after the walls have moved, each voxel by linear interpolation.
    pub fn moved(&self, image: ArrayView3<f32>, steps: Steps) -> Array3<f32> {
        self.taken(image, steps, |at| linear(image, at))
    }

    /// The same for labels, each voxel by the nearest one.
    pub fn moved_labels(&self, labels: ArrayView3<u8>, steps: Steps) -> Array3<u8> {
        let last: [usize; 3] = <[usize; 3]>::from(labels.dim()).map(|length| length - 1);
        self.taken(labels, steps, |at| {
            labels[[0, 1, 2].map(|axis| (at[axis].round().max(0.0) as usize).min(last[axis]))]
        })
    }

    /// A volume whose voxels are `read` where they come from; where nothing moves they stay as they are.
    fn taken<T: Copy + Default + Send + Sync>(
        &self,
        old: ArrayView3<T>,
        steps: Steps,
        read: impl Fn([f32; 3]) -> T + Sync,
    ) -> Array3<T> {
        let mut new = Array3::from_elem(old.raw_dim(), T::default());
        new.outer_iter_mut().into_par_iter().enumerate().for_each(|(z, mut plane)| {
            for ((y, x), voxel) in plane.indexed_iter_mut() {
                let at = [z, y, x];
                *voxel = self.source(at, steps).map_or(old[at], &read);
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

/// What relates volumes of a brain to the steps of its walls.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Signed distances to the wall of the ventricles of the voxels within and near it.
    near: Vec<f32>,
    /// Size of a voxel along its shortest axis, in millimetres.
    pixel: f32,
    /// Mean slope of the displacement over the cortex; zero where it stays.
    slope: f64,
}

impl Surroundings {
    /// How far the walls move for an `ageing`.
    ///
    /// A wall at signed distance t of where it was encloses the voxels below t, which gives t for a volume; it comes there by a
    /// step of t·exp(t²/R²), as the displacement has faded by then. The cortex loses, to first order, the mean slope of its
    /// displacement.
    pub fn steps(&self, ageing: Ageing) -> Steps {
        let Self { near, pixel, slope } = self;
        // Voxels that a wall at t encloses, those that it cuts in part.
        let enclosed = |t: f32| -> f64 {
            near.iter().map(|phi| f64::from((0.5 - (phi - t) / pixel).clamp(0.0, 1.0))).sum()
        };
        let now = enclosed(0.0);
        let (mut low, mut high) = (-REACH_MM, REACH_MM);
        for _ in 0..24 {
            let middle = 0.5 * (low + high);
            if enclosed(middle) < ageing.ventricles * now { low = middle } else { high = middle }
        }
        let t = if now > 0.0 { 0.5 * (low + high) } else { 0.0 };
        let cortex_mm = if *slope > 0.0 { ((1.0 - ageing.cortex) / slope) as f32 } else { 0.0 };
        Steps { ventricles_mm: t * (t / REACH_MM).powi(2).exp(), cortex_mm }
    }
}

/// The displacement of the cortex at a distance from its inner surface, of height 1 at its thickness.
fn bump(phi: f32) -> f32 {
    let depth = phi / THICKNESS_MM;
    if depth <= 0.0 { 0.0 } else { depth * (1.0 - depth).exp() }
}

/// The derivative of [`bump`].
fn bump_slope(phi: f32) -> f32 {
    let depth = phi / THICKNESS_MM;
    if depth <= 0.0 { 0.0 } else { (1.0 - depth) * (1.0 - depth).exp() / THICKNESS_MM }
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

/// Distance of voxel centres to the wall of `inside`, which lies half a voxel before the nearest centre beyond it; negative
/// within, in millimetres.
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

    /// Ventricle, white matter, cortex and fluid, balls within each other, and the index of each one's structure.
    fn balls() -> Array3<u8> {
        let far = |at: [usize; 3]| at.iter().map(|&x| (x as f64 - 31.5).powi(2)).sum::<f64>().sqrt();
        Array3::from_shape_fn((SIZE, SIZE, SIZE), |(z, y, x)| {
            let structure = match far([z, y, x]) {
                ..9.0 => Structure::LeftLateralVentricle,
                ..22.0 => Structure::LeftCerebralWhiteMatter,
                ..24.5 => Structure::LeftCerebralCortex,
                ..28.0 => Structure::Csf,
                _ => Structure::Head,
            };
            structure.index() as u8
        })
    }

    fn voxels(labels: &Array3<u8>, structure: Structure) -> f64 {
        labels.iter().filter(|label| usize::from(**label) == structure.index()).count() as f64
    }

    #[test]
    fn volumes_change_by_what_was_asked_for() {
        let labels = balls();
        let walls = Walls::of(labels.view(), [1.0; 3]);
        for ageing in [
            Ageing { ventricles: 1.2, cortex: 1.0 },
            Ageing { ventricles: 1.5, cortex: 0.9 },
            Ageing { ventricles: 0.8, cortex: 1.05 },
        ] {
            let steps = walls.surroundings(labels.view()).steps(ageing);
            let after = walls.moved_labels(labels.view(), steps);
            let factor = |structure| voxels(&after, structure) / voxels(&labels, structure);
            let ventricles = factor(Structure::LeftLateralVentricle);
            assert!((ventricles - ageing.ventricles).abs() < 0.03, "{ageing:?}: ventricles {ventricles}");
            let cortex = factor(Structure::LeftCerebralCortex);
            assert!((cortex - ageing.cortex).abs() < 0.03, "{ageing:?}: cortex {cortex}");
        }
    }

    /// Where walls are far, nothing moves, and no change is none to the bit.
    #[test]
    fn what_is_far_from_walls_stays() {
        let labels = balls();
        let image = labels.mapv(|label| f32::from(label) * 0.1);
        let walls = Walls::of(labels.view(), [1.0; 3]);
        assert_eq!(walls.moved(image.view(), Steps::default()), image);
        let steps = walls.surroundings(labels.view()).steps(Ageing { ventricles: 1.4, cortex: 0.9 });
        let after = walls.moved(image.view(), steps);
        assert_eq!(after[[2, 2, 2]], image[[2, 2, 2]]);
        assert_ne!(after, image);
        let largest = image.iter().fold(0.0f32, |most, &x| most.max(x));
        assert!(after.iter().all(|&x| (0.0..=largest).contains(&x)));
    }

    #[test]
    fn without_ventricles_or_cortex_nothing_moves() {
        let labels = Array3::from_elem((8, 8, 8), Structure::Head.index() as u8);
        let walls = Walls::of(labels.view(), [1.0; 3]);
        let steps = walls.surroundings(labels.view()).steps(Ageing { ventricles: 2.0, cortex: 0.5 });
        assert_eq!(steps, Steps::default());
        assert_eq!(walls.moved_labels(labels.view(), steps), labels);
    }
}
