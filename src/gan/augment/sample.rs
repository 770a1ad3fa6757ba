//! The random draw of one sample's operations.

use std::ops::Range;
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;

use super::{AIR, Augmentation, bands};
use crate::random::{Purpose, normal, stream, uniform};
use crate::warp::Affine;

/// A rotation larger than this would thin out the volumes between passes; at the default σ it is 4.5 σ.
const ROTATION_MAX_DEG: f64 = 45.0;

/// What is done to one sample, in this order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    /// Displacements along D, H and W in voxels of each.
    pub bends: [Option<Arc<[f32]>>; 3],
    /// Maps of indices; the first is applied to the volume first.
    pub stages: [Affine; 2],
    /// Factor of the intensities x: they become `gain·x + mean·(mean of the volume) + offset`.
    pub gain: f64,
    /// Factor of the volume's mean; see `gain`.
    pub mean: f64,
    /// Constant that is added; see `gain`.
    pub offset: f64,
    /// Factors of the octaves of spatial frequency along an axis, lowest first, as ADA has them in two dimensions.
    pub bands: [f64; bands::BANDS],
    /// The stream of a noise and its standard deviation.
    pub noise: Option<(ChaCha8Rng, f64)>,
    /// Box beyond which is air.
    pub kept: [Range<usize>; 3],
    /// Box within which is air.
    pub hole: [Range<usize>; 3],
}

impl Sample {
    /// Nothing.
    pub fn still(grid: [usize; 3]) -> Self {
        Self {
            bends: [None, None, None],
            stages: [Affine::IDENTITY; 2],
            gain: 1.0,
            mean: 0.0,
            offset: 0.0,
            bands: [1.0; bands::BANDS],
            noise: None,
            kept: grid.map(|length| 0..length),
            hole: [0..0, 0..0, 0..0],
        }
    }
}

/// Voxels of an axis of `length` whose centres are less than half of `size` away from `centre`, both parts of the axis.
fn hole(centre: f64, size: f64, length: usize) -> Range<usize> {
    let [from, to] =
        [-0.5, 0.5].map(|side| ((centre + side * size) * length as f64 - 0.5).ceil().max(0.0) as usize);
    from.min(length)..to.min(length)
}

impl Augmentation {
    /// What the adaptive policy does to a sample with probability `p`.
    pub(super) fn sample(&self, p: f64, seed: u64, step: u64, phase: u64, sample: u64) -> Sample {
        let (recipe, grid) = (&self.recipe, self.grid);
        let mut rng = stream(seed, step, phase, sample, Purpose::Augmentation);
        let gates: [f32; 9] = uniform(&mut rng, 9).try_into().expect("nine numbers");
        let normals: [f32; 17] = normal(&mut rng, 17).try_into().expect("seventeen numbers");
        // Operations that came later take their numbers behind those of the first ones, whose draws stay what they were.
        let more: [f32; 10] = uniform(&mut rng, 10).try_into().expect("ten numbers");
        let strengths: [f32; 5] = normal(&mut rng, 5).try_into().expect("five numbers");
        let (gates, n) = (gates.map(f64::from), normals.map(f64::from));
        let (more, strengths) = (more.map(f64::from), strengths.map(f64::from));
        let [flip, coin, scale, turn_before, anisotropic, turn_after, shift, brightness, contrast] = gates;
        let [elastic, low, middle, high, highest, noise, cut, ..] = more;
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
        let mut done = Sample::still(grid);
        done.stages = stages;
        // −1 + c·(x + b + 1) = c·x + (c − 1) + c·b
        (done.gain, done.offset) = (gain, AIR - gain * AIR + gain * brightness);
        if recipe.band_sigma > 0.0 {
            let gate = [low, middle, high, highest].map(|gate| gate < p);
            done.bands =
                bands::amplification(
                    [0, 1, 2, 3].map(|band| {
                        if gate[band] { (recipe.band_sigma * strengths[band]).exp2() } else { 1.0 }
                    }),
                );
        }
        if recipe.noise_sigma > 0.0 && noise < p {
            let rng = stream(seed, step, phase, sample, Purpose::AugmentationNoise);
            done.noise = Some((rng, (recipe.noise_sigma * strengths[4]).abs()));
        }
        if recipe.cutout_size > 0.0 && cut < p {
            done.hole = [0, 1, 2]
                .map(|a| if thick[a] { hole(more[7 + a], recipe.cutout_size, grid[a]) } else { 0..1 });
        }
        // Last: how many numbers it takes depends on the recipe.
        if recipe.elastic_sigma_mm > 0.0 && elastic < p {
            done.bends = self.bends(&mut rng);
        }
        done
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
