//! DiffAugment (Zhao et al. 2020, "Differentiable augmentation for data-efficient GAN training", arXiv 2006.10738) in
//! three dimensions: every sample, always, with the strengths of the paper.
//!
//! | operation | parameter |
//! |---|---|
//! | brightness | `x + b`, `b` uniform in ±0.5 |
//! | contrast | `m + c·(x − m)`, `m` the volume's mean, `c` uniform in 0.5 to 1.5 |
//! | translation | whole voxels, uniform up to an eighth of each axis; air comes in |
//! | cut-out | a box of half of each axis at a uniform place becomes air |
//!
//! The paper's zero, outside and in the box, is middle grey; here it is air, −1. Saturation has no counterpart. There
//! is no probability, and so nothing to adapt.

use std::ops::Range;

use super::sample::Sample;
use crate::random::{Purpose, stream, uniform};
use crate::warp::Affine;

/// Greatest translation, as a part of an axis.
const TRANSLATION: f64 = 0.125;
/// Size of the box, as a part of an axis.
const CUTOUT: f64 = 0.5;

/// What is done to a sample.
pub(super) fn sample(grid: [usize; 3], seed: u64, step: u64, phase: u64, sample: u64) -> Sample {
    let mut rng = stream(seed, step, phase, sample, Purpose::Augmentation);
    let draws: [f32; 8] = uniform(&mut rng, 8).try_into().expect("eight numbers");
    let [brightness, contrast, shift @ .., d, h, w] = draws.map(f64::from);
    let mut done = Sample::still(grid);
    // m + b + c·(x − m)
    done.gain = contrast + 0.5;
    (done.mean, done.offset) = (1.0 - done.gain, brightness - 0.5);
    let shift = [0, 1, 2].map(|a| translation(shift[a], grid[a]));
    done.stages[0] = Affine::shift(shift.map(|voxels| -voxels as f64));
    done.kept = [0, 1, 2].map(|a| {
        let [from, to] =
            [shift[a], grid[a] as isize + shift[a]].map(|i| i.clamp(0, grid[a] as isize) as usize);
        from..to
    });
    let place = [d, h, w];
    done.hole = [0, 1, 2].map(|a| hole(place[a], grid[a]));
    done
}

/// Voxels that an axis of `length` moves by, from a uniform draw.
fn translation(draw: f64, length: usize) -> isize {
    let most = (length as f64 * TRANSLATION + 0.5) as isize;
    (draw * (2 * most + 1) as f64) as isize - most
}

/// What is cut out along an axis of `length`, from a uniform draw: the box may reach over an end.
fn hole(draw: f64, length: usize) -> Range<usize> {
    let size = (length as f64 * CUTOUT + 0.5) as usize;
    let middle = (draw * (length + 1 - size % 2) as f64) as usize;
    middle.saturating_sub(size / 2)..(middle + size - size / 2).min(length)
}
