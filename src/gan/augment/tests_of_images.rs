//! What the operations that act on voxels do, against closed forms.

use burn::backend::Flex;
use burn::tensor::{DType, Tensor, TensorData};

use super::sample::Sample;
use super::tests::{self, still, values, within_standard_errors};
use super::*;
use crate::warp::Affine;

const GRID: [usize; 3] = [10, 12, 9];

/// Only what `change` switches on.
fn only(change: impl FnOnce(&mut AugmentationRecipe)) -> Augmentation {
    let mut recipe = still();
    change(&mut recipe);
    Augmentation { recipe, grid: GRID, spacing_mm: [2.0, 3.0, 2.5] }
}

fn everything(grid: [usize; 3]) -> Augmentation {
    Augmentation { recipe: tests::everything(), grid, spacing_mm: [4.0; 3] }
}

fn diff_augment(grid: [usize; 3]) -> Augmentation {
    Augmentation { recipe: tests::diff_augment(), grid, spacing_mm: [4.0; 3] }
}

fn volumes(n: usize, [d, h, w]: [usize; 3], value: impl Fn(usize) -> f32) -> Tensor<Flex, 5> {
    let values: Vec<f32> = (0..n * d * h * w).map(value).collect();
    Tensor::from_data(TensorData::new(values, [n, 1, d, h, w]), (&Default::default(), DType::F32))
}

/// At the least spacing that a recipe may have, displacements along an axis keep the order of its voxels, and have the
/// standard deviation of the recipe at the control points.
#[test]
fn elastic_deformation_folds_nothing() {
    let grid = [24, 24, 24];
    let mut elastic = only(|r| (r.elastic_sigma_mm, r.elastic_spacing_mm) = (16.0 / 6.0, 16.0));
    (elastic.grid, elastic.spacing_mm) = (grid, [2.0, 2.0, 2.0]);
    let (mut steepest, mut squares) = (0.0f32, 0.0);
    let samples = 60;
    for i in 0..samples {
        let sample = elastic.sample(1.0, 1, 0, 0, i);
        let bend = sample.bends[2].as_ref().expect("an elastic sample");
        for line in bend.chunks(24) {
            line.windows(2).for_each(|pair| steepest = steepest.max((pair[1] - pair[0]).abs()));
        }
        // The corners are control points of their own.
        squares +=
            [0, 23, 23 * 24, 24 * 24 * 24 - 1].map(|at| f64::from(bend[at]).powi(2)).iter().sum::<f64>();
    }
    assert!((0.3..1.0).contains(&steepest), "{steepest}");
    let sigma_mm = 2.0 * (squares / (4 * samples) as f64).sqrt();
    // Four standard errors of σ from 240 values.
    assert!((sigma_mm * 6.0 / 16.0 - 1.0).abs() < 4.0 / 480f64.sqrt(), "{sigma_mm}");
}

/// A band filter multiplies a constant above air by ADA's factor of the lowest band squared, in 3D and in slices alike.
#[test]
fn band_filters_leave_air_as_it_is() {
    for grid in [GRID, [1, 12, 9]] {
        let mut bands = only(|r| r.band_sigma = 1.0);
        bands.grid = grid;
        let draw = bands.draw(1.0, 4, 0, 0, 0..5);
        values(draw.apply(volumes(5, grid, |_| -1.0))).iter().for_each(|y| assert!((y + 1.0).abs() < 3e-6));
        let y = values(draw.apply(volumes(5, grid, |_| 0.0)));
        for (i, y) in y.chunks(grid.iter().product()).enumerate() {
            let gain = bands.sample(1.0, 4, 0, 0, i as u64).bands[0].powi(2);
            assert!((gain - 1.0).abs() > 1e-3);
            y.iter().for_each(|y| assert!((y + 1.0 - gain).abs() < 1e-5 * gain, "{y} is not {}", gain - 1.0));
        }
    }
}

#[test]
fn noise_is_white_of_the_drawn_deviation_and_every_samples_own() {
    let noise = only(|r| r.noise_sigma = 0.3);
    let voxels = GRID.iter().product::<usize>();
    let y = values(noise.draw(1.0, 4, 0, 0, 0..8).apply(volumes(8, GRID, |_| 0.0)));
    let fields: Vec<&[f64]> = y.chunks(voxels).collect();
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / a.len() as f64;
    let sigma = |i: usize| noise.sample(1.0, 4, 0, 0, i as u64).noise.expect("noise").1;
    for (i, a) in fields.iter().enumerate() {
        assert!((product(a, a).sqrt() / sigma(i) - 1.0).abs() < 4.0 / (2.0 * voxels as f64).sqrt());
        let correlation = |b: &[f64]| product(a, b) / (product(a, a) * product(b, b)).sqrt();
        let neighbours = product(&a[1..], &a[..voxels - 1]) / product(a, a);
        let others = fields[..i].iter().map(|b| correlation(b)).chain([neighbours]);
        others.for_each(|r| assert!(r.abs() < 4.5 / (voxels as f64).sqrt(), "{r}"));
    }
}

/// A box of half of each axis about a uniform place holds a voxel at `u` with the probability that the place is within
/// a quarter: a half well inside, a quarter and its own half at an end.
#[test]
fn boxes_are_cut_out_at_uniform_places() {
    let (n, voxels) = (4000, GRID.iter().product::<usize>());
    let cut = only(|r| r.cutout_size = 0.5);
    let y = values(cut.draw(0.7, 4, 0, 0, 0..n).apply(volumes(n as usize, GRID, |_| 0.5)));
    assert!(y.iter().all(|&y| y == 0.5 || y == -1.0));
    let part = |at: usize| y.chunks(voxels).filter(|y| y[at] == -1.0).count() as f64 / n as f64;
    within_standard_errors(part((5 * 12 + 6) * 9 + 4), 0.7 / 8.0, n);
    within_standard_errors(part(0), 0.7 * GRID.map(|l| 0.25 + 0.5 / l as f64).iter().product::<f64>(), n);
}

/// The paper's program, voxel by voxel.
#[test]
fn diff_augment_is_brightness_contrast_translation_and_cut_out() {
    let (n, [d, h, w]) = (40, GRID);
    let value = |i: usize| (i as f32 * 0.37).sin() * 0.6 - 0.2;
    let augmentation = diff_augment(GRID);
    // p is ignored.
    let draw = augmentation.draw(0.1, 4, 0, 0, 0..n as u64);
    assert_eq!(draw, augmentation.draw(1.0, 4, 0, 0, 0..n as u64));
    let (x, y) = (values(volumes(n, GRID, value)), values(draw.apply(volumes(n, GRID, value))));
    let mut air = 0;
    for sample in 0..n {
        let Sample { gain, offset, stages, hole, .. } = diff_augment::sample(GRID, 4, 0, 0, sample as u64);
        let shift = [0, 1, 2].map(|a| -stages[0].0[a][3] as isize);
        assert_eq!(stages, [Affine::shift(shift.map(|t| -t as f64)), Affine::IDENTITY]);
        let volume = &x[sample * d * h * w..][..d * h * w];
        let mean = volume.iter().sum::<f64>() / (d * h * w) as f64;
        for i in 0..d * h * w {
            let at = [i / (h * w), i / w % h, i % w];
            let from = [0, 1, 2].map(|a| at[a] as isize - shift[a]);
            let inside = (0..3).all(|a| (0..GRID[a] as isize).contains(&from[a]));
            let expected = if !inside || (0..3).all(|a| hole[a].contains(&at[a])) {
                air += 1;
                -1.0
            } else {
                let from = from.map(|x| x as usize);
                gain * (volume[(from[0] * h + from[1]) * w + from[2]] - mean) + mean + offset
            };
            let found = y[sample * d * h * w + i];
            assert!((found - expected).abs() < 2e-6, "{found} is not {expected}");
        }
    }
    assert!(air > 0);
}

#[test]
fn diff_augment_draws_uniformly_within_the_papers_ranges() {
    let n = 6000;
    let all: Vec<Sample> = (0..n).map(|i| diff_augment::sample(GRID, 4, 0, 0, i)).collect();
    // Mean and variance of a uniform draw of width one: within four standard errors.
    for (value, mean) in
        [(&(|s: &Sample| s.offset) as &dyn Fn(&Sample) -> f64, 0.0), (&(|s: &Sample| s.gain), 1.0)]
    {
        let found = all.iter().map(value).sum::<f64>() / n as f64;
        assert!((found - mean).abs() < 4.0 / (12.0 * n as f64).sqrt(), "{found}");
        let variance = all.iter().map(|s| (value(s) - mean).powi(2)).sum::<f64>() / n as f64;
        assert!((variance - 1.0 / 12.0).abs() < 4.0 / (180.0 * n as f64).sqrt(), "{variance}");
        assert!(all.iter().all(|s| (value(s) - mean).abs() <= 0.5));
    }
    // Ten voxels move by up to one, twelve by up to two.
    for (a, most) in [(0, 1), (1, 2), (2, 1)] {
        for voxels in -most..=most {
            let share =
                all.iter().filter(|s| s.stages[0].0[a][3] == f64::from(voxels)).count() as f64 / n as f64;
            within_standard_errors(share, 1.0 / f64::from(2 * most + 1), n);
        }
    }
    // Boxes of 5, 6 and 5 voxels about each of 10, 13 and 9 places hold the first voxel at 3, 4 and 3 of them.
    let sizes = [5, 6, 5];
    for (a, (first, places)) in [(3.0, 10.0), (4.0, 13.0), (3.0, 9.0)].into_iter().enumerate() {
        assert!(all.iter().all(|s| s.hole[a].len() <= sizes[a]));
        let share = all.iter().filter(|s| s.hole[a].contains(&0)).count() as f64 / n as f64;
        within_standard_errors(share, first / places, n);
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let grid = [40, 48, 40];
    let x = volumes(4, grid, |i| (i as f32 * 0.731).sin());
    for augmentation in [everything(grid), diff_augment(grid)] {
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            pool.install(|| values(augmentation.draw(0.9, 1, 2, 3, 0..4).apply(x.clone())))
        };
        assert!(with(1) == with(3));
    }
}
