//! A digital head phantom: folded cortex, deep grey matter, ventricles, cerebellum, skull and scalp, of known volumes.

use ndarray::Array4;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::centred_grid;
use super::cortex::Folds;
use super::shapes::{Blob, Point, length, tube, union, without};
use super::tissue::{Contrast, Tissue};
use crate::error::{Error, Result};
use crate::volume::Volume;
use crate::volume::resample::Grid;

const TISSUES: usize = Tissue::ALL.len();
/// Thickness of the cortex.
const CORTEX_MM: f32 = 2.8;
/// The brightest tissue's intensity is about this.
const INTENSITY: f32 = 1000.0;

/// A head phantom in world coordinates: RAS+ millimetres about the centre of the brain.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BrainPhantom {
    /// Scale of all lengths of the head, 0.5 to 1.5; 1 is an adult's with about 1.2 l of brain.
    pub head_scale: f64,
    /// Scale of the width of the ventricles, 0.3 to 3: 1 is a young adult's, 2 that of old age.
    pub ventricle_scale: f64,
    /// Seed of the cortical folds.
    pub seed: u64,
}

impl Default for BrainPhantom {
    fn default() -> Self {
        Self { head_scale: 1.0, ventricle_scale: 1.0, seed: 0 }
    }
}

/// Shares of a voxel, adding up to one.
type Fractions = [f32; TISSUES];

impl BrainPhantom {
    /// The phantom as a scan on `grid` in `contrast`; white matter is about 1000 in T1.
    ///
    /// # Errors
    /// As [`BrainPhantom::check`].
    pub fn volume(&self, grid: &Grid, contrast: Contrast) -> Result<Volume> {
        let signals = Tissue::ALL.map(|tissue| INTENSITY * tissue.signal(contrast));
        let Self { head_scale, ventricle_scale, seed } = self;
        let contrast_name = format!("{contrast:?}").to_uppercase();
        let step = format!(
            "digital brain phantom, {contrast_name}, head scale {head_scale}, ventricle scale {ventricle_scale}, seed {seed}"
        );
        let volume = self.render(grid, 1, |fractions, _, voxel| {
            voxel[0] = fractions.iter().zip(&signals).map(|(share, signal)| share * signal).sum();
        })?;
        Ok(volume.with_step(step))
    }

    /// The fraction of each tissue in each voxel, `[19, D, H, W]` in the order of [`Tissue::ALL`]; they add up to one.
    ///
    /// # Errors
    /// As [`BrainPhantom::check`].
    pub fn fractions(&self, grid: &Grid) -> Result<Volume> {
        self.render(grid, TISSUES, |fractions, _, voxel| voxel.copy_from_slice(fractions))
    }

    /// FreeSurfer's number of the tissue with the largest fraction in each voxel ([`Tissue::labels`]), left where x <
    /// 0.
    ///
    /// # Errors
    /// As [`BrainPhantom::check`].
    pub fn labels(&self, grid: &Grid) -> Result<Volume> {
        self.render(grid, 1, |fractions, left, voxel| {
            let larger = |most: usize, i: usize| if fractions[i] > fractions[most] { i } else { most };
            let most = (1..TISSUES).fold(0, larger);
            voxel[0] = f32::from(Tissue::ALL[most].labels()[usize::from(!left)]);
        })
    }

    /// Volume of each tissue in ml: fractions summed on a grid of 1 mm over the whole brain.
    ///
    /// For a head of scale 1 and seed 0, the difference from 0.5 mm is 0.13 % in the whole brain, 0.02 % in cortex, 0.2
    /// % in white matter, 0.5 % in lateral and fourth ventricle, and 1.7 % in the thin third.
    ///
    /// Scalp, skull and air are cut off by that grid: theirs is the volume within 192 × 224 × 192 mm about the centre,
    /// times the head's scale.
    ///
    /// # Errors
    /// As [`BrainPhantom::check`].
    pub fn volumes_ml(&self) -> Result<Vec<(Tissue, f64)>> {
        self.volumes_at(1.0)
    }

    /// [`BrainPhantom::volumes_ml`] with voxels of `step_mm`, to test convergence.
    ///
    /// # Errors
    /// As [`BrainPhantom::check`]; [`Error::Value`] for a step that is not within 0.25 to 8 mm.
    pub fn volumes_at(&self, step_mm: f64) -> Result<Vec<(Tissue, f64)>> {
        self.check()?;
        if !(0.25..=8.0).contains(&step_mm) {
            let found = step_mm.to_string();
            return Err(Error::value("step_mm", "0.25 to 8", found, "1 is fine enough"));
        }
        let dims = [192.0, 224.0, 192.0].map(|mm: f64| (mm * self.head_scale / step_mm).round() as usize);
        let grid = centred_grid(dims, [step_mm; 3])?;
        let anatomy = Anatomy::new(self);
        let rows: Vec<[f64; TISSUES]> = (0..dims[1] * dims[2])
            .into_par_iter()
            .map(|row| {
                let mut sum = [0.0; TISSUES];
                let sampler = Sampler::new(&grid);
                for i in 0..dims[0] {
                    let fractions = sampler.fractions(&anatomy, [i, row % dims[1], row / dims[1]]);
                    sum.iter_mut().zip(fractions).for_each(|(sum, share)| *sum += f64::from(share));
                }
                sum
            })
            .collect();
        let voxel_ml = step_mm.powi(3) / 1000.0;
        let of =
            |tissue: Tissue| (tissue, voxel_ml * rows.iter().map(|row| row[tissue as usize]).sum::<f64>());
        Ok(Tissue::ALL.map(of).to_vec())
    }

    ///
    /// # Errors
    /// [`Error::Value`] for a scale out of its range.
    /// Whether the scales are within their ranges.
    pub fn check(&self) -> Result<()> {
        for (key, scale, range) in
            [("head_scale", self.head_scale, 0.5..=1.5), ("ventricle_scale", self.ventricle_scale, 0.3..=3.0)]
        {
            if !range.contains(&scale) {
                let expected = format!("{} to {}", range.start(), range.end());
                return Err(Error::value(key, expected, scale.to_string(), "1 is usual"));
            }
        }
        Ok(())
    }

    /// A volume of `channels`, each voxel made of its fractions and whether it lies on the left.
    fn render(
        &self,
        grid: &Grid,
        channels: usize,
        make: impl Fn(&Fractions, bool, &mut [f32]) + Sync,
    ) -> Result<Volume> {
        self.check()?;
        let (anatomy, sampler) = (Anatomy::new(self), Sampler::new(grid));
        let [w, h, d] = grid.dims;
        let mut interleaved = vec![0.0; channels * w * h * d]; // [D, H, W, C]
        interleaved.par_chunks_mut((channels * w).max(1)).enumerate().for_each(|(row, voxels)| {
            for (i, voxel) in voxels.chunks_exact_mut(channels).enumerate() {
                let index = [i, row % h, row / h];
                let fractions = sampler.fractions(&anatomy, index);
                make(&fractions, sampler.position(index.map(|i| i as f32))[0] < 0.0, voxel);
            }
        });
        let data = Array4::from_shape_vec((d, h, w, channels), interleaved).expect("a value for every voxel");
        let data = data.permuted_axes([3, 0, 1, 2]).as_standard_layout().into_owned(); // [C, D, H, W]
        Ok(Volume::new(data, grid.affine))
    }
}

/// Points of a grid's voxels, and how much of the world each stands for.
struct Sampler {
    /// World millimetres of a voxel position, by rows.
    affine: [[f32; 4]; 3],
    /// Points in each voxel along `(i, j, k)`: enough that they are at most 2 mm apart.
    points: [usize; 3],
    /// Width over which a surface passes through what one point stands for.
    width_mm: f32,
}

impl Sampler {
    fn new(grid: &Grid) -> Self {
        let spacing = grid.spacing_mm();
        // A slice far thicker than any head is sampled no finer than 64 times.
        let points = spacing.map(|mm| ((mm / 2.0 - 1e-6).ceil().clamp(1.0, 64.0)) as usize);
        let width = (0..3).map(|a| spacing[a] / points[a] as f64).sum::<f64>() / 3.0;
        let affine = [0, 1, 2].map(|row| [0, 1, 2, 3].map(|column| grid.affine[(row, column)] as f32));
        Self { affine, points, width_mm: width as f32 }
    }

    fn position(&self, voxel: Point) -> Point {
        self.affine.map(|row| row[0] * voxel[0] + row[1] * voxel[1] + row[2] * voxel[2] + row[3])
    }

    fn fractions(&self, anatomy: &Anatomy, voxel: [usize; 3]) -> Fractions {
        let [a, b, c] = self.points;
        if a * b * c == 1 {
            return anatomy.fractions(self.position(voxel.map(|i| i as f32)), self.width_mm);
        }
        let mut mean = [0.0; TISSUES];
        let weight = 1.0 / (a * b * c) as f32;
        let at =
            |axis: usize, t: usize| voxel[axis] as f32 + (t as f32 + 0.5) / self.points[axis] as f32 - 0.5;
        for k in 0..c {
            for j in 0..b {
                for i in 0..a {
                    let p = self.position([at(0, i), at(1, j), at(2, k)]);
                    let fractions = anatomy.fractions(p, self.width_mm);
                    mean.iter_mut().zip(fractions).for_each(|(mean, share)| *mean += weight * share);
                }
            }
        }
        mean
    }
}

/// The shapes of one phantom.
struct Anatomy {
    scale: f32,
    ventricles: f32,
    folds: Folds,
}

// Millimetres of a head of scale 1. Paired structures are given on the right (x > 0).
const CORE: Blob = Blob::new([0.0, -12.0, -2.0], [35.0, 40.0, 24.0]);
const TEMPORAL: Blob = Blob::new([43.0, 0.0, -23.0], [21.0, 40.0, 19.0]).turned(-0.141, 0.105);
const CEREBELLUM: Blob = Blob::new([23.0, -54.0, -38.0], [29.0, 28.0, 19.0]);
const VERMIS: Blob = Blob::new([0.0, -52.0, -35.0], [14.0, 26.0, 20.0]);
const STEM: [[f32; 4]; 6] = [
    [0.0, -15.0, -4.0, 10.0],
    [0.0, -20.0, -20.0, 12.0],
    [0.0, -22.0, -34.0, 15.0],
    [0.0, -27.0, -48.0, 10.0],
    [0.0, -33.0, -75.0, 7.0],
    [0.0, -37.0, -150.0, 6.0],
];
const LATERAL: [[f32; 4]; 6] = [
    [10.0, 34.0, 4.0, 2.2],
    [8.5, 22.0, 11.0, 4.6],
    [9.0, 2.0, 20.0, 4.2],
    [15.0, -24.0, 20.0, 4.2],
    [25.0, -42.0, 9.0, 5.6],
    [21.0, -62.0, 4.0, 2.0],
];
const TEMPORAL_HORN: [[f32; 4]; 3] =
    [[25.0, -42.0, 9.0, 4.6], [33.0, -30.0, -10.0, 1.8], [31.0, -10.0, -19.0, 1.4]];
const HIPPOCAMPUS: [[f32; 4]; 3] =
    [[20.0, -38.0, 0.0, 3.2], [28.0, -26.0, -13.0, 4.6], [26.0, -13.0, -19.0, 5.6]];
const CAUDATE: [[f32; 4]; 4] =
    [[13.0, 22.0, 3.0, 4.6], [15.5, 8.0, 13.0, 4.2], [19.0, -10.0, 21.0, 2.6], [24.0, -26.0, 19.0, 1.8]];
const THALAMUS: Blob = Blob::new([11.5, -19.0, 7.0], [8.5, 15.0, 9.0]).turned(0.0, -0.325);
const PUTAMEN: Blob = Blob::new([26.5, 2.0, 2.0], [4.6, 16.0, 9.5]).turned(0.0, -0.176);
const PALLIDUM: Blob = Blob::new([19.5, -2.5, 0.0], [3.8, 9.5, 6.0]).turned(0.0, -0.532);
const AMYGDALA: Blob = Blob::new([23.0, -3.0, -19.0], [7.0, 7.0, 6.5]);
const THIRD: Blob = Blob::new([0.0, -12.0, 1.0], [1.9, 15.0, 10.0]).turned(0.268, 0.0);
const FOURTH: Blob = Blob::new([0.0, -41.0, -36.0], [6.5, 6.0, 10.0]).turned(-0.268, 0.0);
const FACE: Blob = Blob::new([0.0, 38.0, -85.0], [58.0, 52.0, 62.0]);
const NOSE: Blob = Blob::new([0.0, 92.0, -62.0], [14.0, 22.0, 20.0]).turned(-0.700, 0.0);
const NECK: [[f32; 4]; 2] = [[0.0, -22.0, -60.0, 60.0], [0.0, -30.0, -170.0, 58.0]];
const NASAL: Blob = Blob::new([0.0, 58.0, -62.0], [10.0, 26.0, 18.0]);
const SINUS: Blob = Blob::new([27.0, 58.0, -64.0], [12.0, 14.0, 15.0]);

impl Anatomy {
    fn new(phantom: &BrainPhantom) -> Self {
        let (scale, ventricles) = (phantom.head_scale as f32, phantom.ventricle_scale as f32);
        Self { scale, ventricles, folds: Folds::draw(phantom.seed) }
    }

    /// The shares of tissues at a point that stands for `width_mm` around it. Tissues are painted from the outside in,
    /// each covering what was there with the share of it that lies inside.
    fn fractions(&self, p: Point, width_mm: f32) -> Fractions {
        let p = p.map(|x| x / self.scale);
        let mut paint = Paint { shares: [0.0; TISSUES], width: width_mm / self.scale };
        paint.shares[Tissue::Air as usize] = 1.0;
        let side = [p[0].abs(), p[1], p[2]];

        let cerebrum = union(cerebrum(p), TEMPORAL.distance(side), 9.0);
        let cerebellum = union(CEREBELLUM.distance(side), VERMIS.distance(side), 8.0);
        let stem = tube(p, &STEM, 1.0);
        let cavity = union(union(cerebrum, cerebellum, 26.0) - 2.5, stem - 4.0, 12.0);
        let head = union(union(cavity - 13.5, FACE.distance(p), 24.0), tube(p, &NECK, 1.0), 30.0);
        let head = union(head, NOSE.distance(p), 10.0);
        paint.cover(Tissue::Scalp, head);
        if head > paint.width {
            return paint.shares;
        }
        paint.cover(Tissue::Air, NASAL.distance(p).min(SINUS.distance(side)));
        // Of the canal below the skull only a vertebra's thickness is bone.
        paint.cover(Tissue::Skull, cavity - if p[2] < -70.0 { 5.0 } else { 6.5 });
        paint.cover(Tissue::Csf, cavity);
        if cavity > paint.width {
            return paint.shares;
        }
        self.cerebellum(&mut paint, p, cerebellum);
        self.cerebrum(&mut paint, p, cerebrum, cerebellum);
        paint.cover(Tissue::Brainstem, stem);
        self.deep(&mut paint, p, side);
        paint.shares
    }

    fn cerebellum(&self, paint: &mut Paint, p: Point, hull: f32) {
        if hull > paint.width {
            return;
        }
        let pial = (-hull).min(self.folds.fissure(p, -hull));
        paint.cover(Tissue::CerebellarGrey, -pial);
        paint.cover(Tissue::CerebellarWhite, 2.4 - pial);
    }

    fn cerebrum(&self, paint: &mut Paint, p: Point, hull: f32, cerebellum: f32) {
        // The tentorium parts it from the cerebellum, cisterns from the brainstem below the midbrain.
        let cistern = tube(p, &STEM[1..], 1.0) - 3.0;
        let hull = without(without(hull, cerebellum - 2.5, 3.0), cistern, 3.0);
        if hull > paint.width {
            return;
        }
        let fissure = interhemispheric(p);
        let depth = union(-hull, fissure, 3.0);
        // Shallower on the medial wall, and none about the deep grey matter.
        let lateral = ((fissure + hull) / 20.0 + 0.5).clamp(0.0, 1.0);
        let core = (CORE.distance(p) / 14.0).clamp(0.02, 1.0);
        let (slow, deepest) = (self.folds.slow(p), (9.0 + 9.0 * lateral) * core);
        let sulcus = self.folds.sulcus(p, depth, deepest, slow);
        let pial = depth.min(union(sulcus, sylvian(p, slow), 2.0));
        paint.cover(Tissue::CorticalGrey, -pial);
        paint.cover(Tissue::White, CORTEX_MM - pial);
    }

    fn deep(&self, paint: &mut Paint, p: Point, side: Point) {
        if side[0] > 45.0 || !(-80.0..50.0).contains(&p[1]) || !(-60.0..45.0).contains(&p[2]) {
            return;
        }
        for (tissue, distance) in [
            (Tissue::Thalamus, THALAMUS.distance(side)),
            (Tissue::Caudate, tube(side, &CAUDATE, 1.0)),
            (Tissue::Putamen, PUTAMEN.distance(side)),
            (Tissue::Pallidum, PALLIDUM.distance(side)),
            (Tissue::Hippocampus, tube(side, &HIPPOCAMPUS, 1.0)),
            (Tissue::Amygdala, AMYGDALA.distance(side)),
        ] {
            paint.cover(tissue, distance);
        }
        let wide = self.ventricles;
        // Never across the middle: the septum is a millimetre thick.
        let lateral =
            union(tube(side, &LATERAL, wide), tube(side, &TEMPORAL_HORN, wide), 2.0).max(0.6 - side[0]);
        let lateral_of =
            if p[0] < 0.0 { Tissue::LeftLateralVentricle } else { Tissue::RightLateralVentricle };
        paint.cover(lateral_of, lateral);
        let third = Blob { radii: [THIRD.radii[0] * wide, THIRD.radii[1], THIRD.radii[2]], ..THIRD };
        paint.cover(Tissue::ThirdVentricle, third.distance(p));
        paint.cover(Tissue::FourthVentricle, FOURTH.grown(wide.sqrt()).distance(p));
    }
}

/// What a point is made of so far.
struct Paint {
    shares: Fractions,
    width: f32,
}

impl Paint {
    fn cover(&mut self, tissue: Tissue, distance: f32) {
        let inside = (0.5 - distance / self.width).clamp(0.0, 1.0);
        if inside > 0.0 {
            self.shares.iter_mut().for_each(|share| *share *= 1.0 - inside);
            self.shares[tissue as usize] += inside;
        }
    }
}

/// The hull of the cerebrum but for the temporal lobes: a superellipsoid of exponent 2.5, wider behind than in front
/// and flat below.
fn cerebrum(p: Point) -> f32 {
    let radii = [66.0 - 0.06 * p[1], 85.0, if p[2] > 2.0 { 62.0 } else { 33.0 }];
    let v = [p[0], p[1], p[2] - 2.0];
    let u = [0, 1, 2].map(|a| (v[a] / radii[a]).abs());
    let g = u.iter().map(|u| u * u * u.sqrt()).sum::<f32>().powf(0.4);
    if g < 0.1 {
        return -33.0;
    }
    let slope = [0, 1, 2].map(|a| {
        let part = u[a] / g;
        part * part.sqrt() / radii[a]
    });
    (g - 1.0) / length(slope)
}

/// The distance to the fissure between the hemispheres: a sheet at x = 0 around the corpus callosum.
fn interhemispheric(p: Point) -> f32 {
    let bridge = Blob::new([0.0, -6.0, 2.0], [1e4, 43.0, 28.0]).distance([0.0, p[1], p[2]]);
    length([p[0], bridge.min(0.0), 0.0]) - 0.8
}

/// The distance to the Sylvian fissure and the sheet over the insula at its bottom, bent by a slow field of deviation
/// one.
fn sylvian(p: Point, slow: f32) -> f32 {
    let x = p[0].abs() + 1.5 * slow;
    let y = p[1] + 4.0;
    let above = (p[2] + 4.0 + 0.45 * y - 0.008 * y * y + 3.0 * slow) * 0.9; // of a sheet that rises to the back
    let beyond = (y - 30.0).max(-30.0 - y).max(0.0);
    let fissure = length([above, (37.0 - x).max(0.0), beyond]) - 1.1;
    let insula = length([x - 38.0 + 0.006 * y * y, (above.abs() - 11.0).max(0.0), beyond]) - 0.7;
    fissure.min(insula)
}
