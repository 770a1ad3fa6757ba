//! Augmentation of what the discriminator sees, real and synthetic alike (adaptive discriminator augmentation, Karras et
//! al. 2020, arXiv 2006.06676), as far as it leaves a brain a brain.
//!
//! The operations, in this order, each with probability p and each sample by draws of its own:
//!
//! | operation | parameter |
//! |---|---|
//! | left–right flip | by a fair coin |
//! | isotropic scale | `2^N(0, scale_sigma)` |
//! | rotation about a random axis | `N(0, rotation_sigma_deg)`, at most 45°; with probability 1 − √(1 − p) |
//! | scale of each axis | `2^N(0, anisotropic_sigma)` |
//! | rotation about another axis | as above: both together have probability p |
//! | shift | `N(0, shift_sigma)` of each axis' length |
//! | brightness | `x + b`, `b` from `N(0, brightness_sigma)` |
//! | contrast | `−1 + c·(x + 1)`, `c` from `2^N(0, contrast_sigma)` |
//!
//! Rotations are rotations in millimetres, whatever the voxels' shape. Where an axis has size one (slices), nothing
//! scales or shifts along it and rotations are in the plane. The geometry is one affine map a sample, resampled in
//! three passes ([`crate::ops::warp()`]); borders are reflected.
//!
//! **Intensities.** Volumes lie in [−1, 1] and air is exactly −1. Brightness is added to all voxels, air included, and
//! nothing is clipped: an operation is non-leaking only if its distribution can be inverted, which an affine map of
//! intensities can and a clip cannot; and a map of the voxels above −1 alone would treat real air, at exactly −1,
//! unlike a generator's, near it, and so tell the two apart. Contrast is taken about air, where ADA takes it
//! about middle grey: the scale of a magnitude image is arbitrary as a receiver's gain is, and a gain leaves the
//! background where it is. With brightness the two choices span the same group of maps.

mod adaptive;

use std::ops::Range;

use burn::tensor::{Tensor, TensorData};

pub use adaptive::{ADAPTIVE_P_MAX, AdaptiveP};

use crate::config::AugmentationRecipe;
use crate::ops::{VolumeOps, warp};
use crate::random::{Purpose, normal, stream, uniform};
use crate::warp::{Affine, WarpPass, passes};

/// The intensity of air, which contrast leaves alone.
const AIR: f64 = -1.0;
/// A rotation larger than this would thin out the volumes between passes; at the default σ it is 4.5 σ.
const ROTATION_MAX_DEG: f64 = 45.0;

/// What the draws of a run have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Augmentation {
    /// The operations' strengths.
    pub recipe: AugmentationRecipe,
    /// Grid `[D, H, W]` of the volumes.
    pub grid: [usize; 3],
    /// Size of a voxel along `[D, H, W]`.
    pub spacing_mm: [f64; 3],
}

impl Augmentation {
    /// What is done to the samples numbered `samples` of a step's phase, with probability `p`.
    ///
    /// Each sample has a random stream of its own ([`crate::random`]) and takes as many numbers from it whatever `p` and
    /// the recipe say: a draw does not depend on the batch it is in, and what is applied at some `p` is applied with
    /// the same parameters at any larger one.
    pub fn draw(&self, p: f64, seed: u64, step: u64, phase: u64, samples: Range<u64>) -> Draw {
        if p <= 0.0 || !self.recipe.enabled {
            return Draw::default();
        }
        let samples: Vec<_> = samples.map(|sample| self.sample(p, seed, step, phase, sample)).collect();
        let stage = |i: usize| passes(&samples.iter().map(|s| s.stages[i]).collect::<Vec<_>>(), self.grid);
        let intensities: Vec<_> = samples.iter().map(|s| (s.gain, s.offset)).collect();
        let neutral = intensities.iter().all(|intensity| *intensity == (1.0, 0.0));
        Draw {
            batch: Some(samples.len()),
            passes: [stage(0), stage(1)].concat(),
            intensities: if neutral { Vec::new() } else { intensities },
        }
    }

    fn sample(&self, p: f64, seed: u64, step: u64, phase: u64, sample: u64) -> Sample {
        let (recipe, grid) = (&self.recipe, self.grid);
        let mut rng = stream(seed, step, phase, sample, Purpose::Augmentation);
        let gates: [f32; 9] = uniform(&mut rng, 9).try_into().expect("nine numbers");
        let normals: [f32; 17] = normal(&mut rng, 17).try_into().expect("seventeen numbers");
        let (gates, n) = (gates.map(f64::from), normals.map(f64::from));
        let [flip, coin, scale, turn_before, anisotropic, turn_after, shift, brightness, contrast] = gates;
        let p_turn = 1.0 - (1.0 - p).max(0.0).sqrt();

        let thick = grid.map(|length| length > 1);
        let per_axis = |factor: [f64; 3]| [0, 1, 2].map(|a| if thick[a] { factor[a] } else { 1.0 });
        // Maps of indices read where the volume is written from, so that each is the inverse of what it does.
        let turn = |angle: f64, axis: [f64; 3]| {
            let angle_deg = (angle * recipe.rotation_sigma_deg).clamp(-ROTATION_MAX_DEG, ROTATION_MAX_DEG);
            let axis = self.rotation_axis(axis)?;
            Some((axis, -angle_deg))
        };
        let turn = |gate: f64, angle: f64, axis: [f64; 3]| turn(angle, axis).filter(|_| gate < p_turn);

        let mut before = Affine::IDENTITY;
        if recipe.flip_left_right && flip < p && coin < 0.5 && thick[2] {
            before = Affine::scaling([1.0, 1.0, -1.0], grid);
        }
        if scale < p {
            let factor = (-recipe.scale_sigma * n[0]).exp2();
            before = before.after(&Affine::scaling(per_axis([factor; 3]), grid));
        }
        let turns = [turn(turn_before, n[1], [n[2], n[3], n[4]]), turn(turn_after, n[5], [n[6], n[7], n[8]])];
        let rotation = |i: usize| {
            turns[i].map_or(Affine::IDENTITY, |(axis, angle_deg)| {
                Affine::rotation(axis, angle_deg, grid, self.spacing_mm)
            })
        };
        before = before.after(&rotation(0));

        let mut after = Affine::IDENTITY;
        if anisotropic < p {
            let factors = [n[9], n[10], n[11]].map(|n| (-recipe.anisotropic_sigma * n).exp2());
            after = Affine::scaling(per_axis(factors), grid);
        }
        after = after.after(&rotation(1));
        if shift < p {
            let part = |a: usize| if thick[a] { recipe.shift_sigma * n[12 + a] } else { 0.0 };
            after = after.after(&Affine::shift([0, 1, 2].map(|a| -part(a) * grid[a] as f64)));
        }
        // Two rotations together may turn by more than three passes can factor: then each has three of its own.
        let angle: f64 = turns.iter().flatten().map(|(_, angle_deg)| angle_deg.abs()).sum();
        let stages = if angle <= ROTATION_MAX_DEG {
            [before.after(&after), Affine::IDENTITY]
        } else {
            [before, after]
        };

        let brightness = if brightness < p { recipe.brightness_sigma * n[15] } else { 0.0 };
        let gain = if contrast < p { (recipe.contrast_sigma * n[16]).exp2() } else { 1.0 };
        // −1 + c·(x + b + 1) = c·x + (c − 1) + c·b
        Sample { stages, gain, offset: AIR - gain * AIR + gain * brightness }
    }

    /// The unit vector to rotate about, from three normal draws; in a slice the one across it, in a line none.
    fn rotation_axis(&self, axis: [f64; 3]) -> Option<[f64; 3]> {
        let thin: Vec<usize> = (0..3).filter(|&a| self.grid[a] == 1).collect();
        let axis = match thin[..] {
            [] => axis,
            [across] => [0, 1, 2].map(|a| if a == across { 1.0 } else { 0.0 }),
            _ => return None,
        };
        let length = axis.iter().map(|x| x * x).sum::<f64>().sqrt();
        (length > 0.0).then(|| axis.map(|x| x / length))
    }
}

/// What is done to one sample.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    /// Maps of indices; the first is applied to the volume first.
    stages: [Affine; 2],
    gain: f64,
    offset: f64,
}

/// What is done to the samples of a batch: plain data, the same for reals and the gradient in them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draw {
    /// Samples it is for; any number if nothing is done.
    batch: Option<usize>,
    passes: Vec<WarpPass>,
    /// Gain and offset of each sample; empty if none has any.
    intensities: Vec<(f64, f64)>,
}

impl Draw {
    /// Whether nothing is done to any sample.
    pub fn is_identity(&self) -> bool {
        self.passes.is_empty() && self.intensities.is_empty()
    }

    /// The augmented batch `[N, C, D, H, W]`, differentiable in `x` to any order; `x` itself if nothing is done.
    ///
    /// # Panics
    /// If the batch or the grid is not the one that was drawn for.
    pub fn apply<B: VolumeOps>(&self, x: Tensor<B, 5>) -> Tensor<B, 5> {
        let n = x.dims()[0];
        assert!(self.batch.is_none_or(|batch| batch == n), "draw for {:?} samples, batch of {n}", self.batch);
        let x = self.passes.iter().fold(x, |x, pass| warp(x, pass));
        if self.intensities.is_empty() {
            return x;
        }
        let options = (&x.device(), x.dtype());
        let column = |value: fn(&(f64, f64)) -> f64| -> Tensor<B, 5> {
            let values: Vec<f64> = self.intensities.iter().map(value).collect();
            Tensor::from_data(TensorData::new(values, [n, 1, 1, 1, 1]), options)
        };
        x * column(|intensity| intensity.0) + column(|intensity| intensity.1)
    }
}

#[cfg(test)]
mod tests;
