use burn::backend::{Autodiff, Flex};
use burn::tensor::DType;

use super::*;
use crate::ops::tape;

const GRID: [usize; 3] = [10, 12, 8];

/// A recipe with nothing on.
fn still() -> AugmentationRecipe {
    AugmentationRecipe {
        flip_left_right: false,
        rotation_sigma_deg: 0.0,
        scale_sigma: 0.0,
        anisotropic_sigma: 0.0,
        shift_sigma: 0.0,
        brightness_sigma: 0.0,
        contrast_sigma: 0.0,
        ..Default::default()
    }
}

fn augmentation(recipe: AugmentationRecipe) -> Augmentation {
    Augmentation { recipe, grid: GRID, spacing_mm: [2.0, 2.0, 2.5] }
}

fn ramp<B: VolumeOps>(n: usize, dtype: DType) -> Tensor<B, 5> {
    let voxels = n * GRID.iter().product::<usize>();
    let values: Vec<f64> =
        (0..voxels).map(|i| (i as f64 * 0.37).sin() * 0.8 + (i as f64 * 0.011).cos() * 0.2).collect();
    Tensor::from_data(
        TensorData::new(values, [n, 1, GRID[0], GRID[1], GRID[2]]),
        (&Default::default(), dtype),
    )
}

fn values<B: VolumeOps>(x: Tensor<B, 5>) -> Vec<f64> {
    x.into_data().iter::<f64>().collect()
}

fn within_standard_errors(fraction: f64, expected: f64, n: u64) {
    let error = 4.0 * (expected * (1.0 - expected) / n as f64).sqrt();
    assert!((fraction - expected).abs() < error, "{fraction}, expected {expected} ± {error}");
}

#[test]
fn at_zero_nothing_is_done_and_with_nothing_on_neither() {
    let x = ramp::<Flex>(2, DType::F32);
    for draw in [
        augmentation(AugmentationRecipe::default()).draw(0.0, 1, 2, 3, 0..2),
        augmentation(AugmentationRecipe { enabled: false, ..Default::default() }).draw(1.0, 1, 2, 3, 0..2),
        augmentation(still()).draw(1.0, 1, 2, 3, 0..2),
    ] {
        assert!(draw.is_identity());
        assert_eq!(values(draw.apply(x.clone())), values(x.clone()));
    }
}

#[test]
fn half_of_the_samples_that_are_chosen_are_flipped_and_exactly() {
    let n = 4000;
    let flips = augmentation(AugmentationRecipe { flip_left_right: true, ..still() });
    for p in [0.3, 1.0] {
        let draw = flips.draw(p, 7, 0, 0, 0..n);
        let flipped = draw.passes[0].rows.iter().filter(|row| row[2] < 0.0).count();
        within_standard_errors(flipped as f64 / n as f64, p / 2.0, n);
    }
    let draw = flips.draw(1.0, 7, 0, 0, 0..6);
    let x = ramp::<Flex>(6, DType::F32);
    let (y, mirrored) = (draw.apply(x.clone()), x.clone().flip([4]));
    let mut both = [0, 0];
    for (sample, row) in draw.passes[0].rows.iter().enumerate() {
        let expected = if row[2] < 0.0 { mirrored.clone() } else { x.clone() };
        assert_eq!(values(y.clone().narrow(0, sample, 1)), values(expected.narrow(0, sample, 1)));
        both[usize::from(row[2] < 0.0)] += 1;
    }
    assert!(both[0] > 0 && both[1] > 0, "no flip, or all flipped: {both:?}");
}

#[test]
fn each_operation_has_its_probability_and_spread() {
    let (n, p) = (4000, 0.4);
    // The share of samples an operation touches, and the standard deviation of its parameter over these.
    let share = |recipe: AugmentationRecipe, parameter: fn(&Sample) -> f64, expected: f64, sigma: f64| {
        let augmentation = augmentation(recipe);
        let all: Vec<f64> = (0..n).map(|i| parameter(&augmentation.sample(p, 11, 5, 1, i))).collect();
        let touched: Vec<f64> = all.into_iter().filter(|x| x.abs() > 1e-12).collect();
        within_standard_errors(touched.len() as f64 / n as f64, expected, n);
        let variance = touched.iter().map(|x| x * x).sum::<f64>() / touched.len() as f64;
        let error = 4.0 * sigma / (2.0 * touched.len() as f64).sqrt();
        assert!((variance.sqrt() - sigma).abs() < error, "σ {} is not {sigma}", variance.sqrt());
    };
    share(AugmentationRecipe { scale_sigma: 0.2, ..still() }, |s| s.stages[0].0[1][1].log2(), p, 0.2);
    share(AugmentationRecipe { anisotropic_sigma: 0.1, ..still() }, |s| s.stages[0].0[2][2].log2(), p, 0.1);
    share(AugmentationRecipe { shift_sigma: 0.125, ..still() }, |s| s.stages[0].0[1][3] / 12.0, p, 0.125);
    share(AugmentationRecipe { brightness_sigma: 0.2, ..still() }, |s| s.offset, p, 0.2);
    share(AugmentationRecipe { contrast_sigma: 0.5, ..still() }, |s| s.gain.log2(), p, 0.5);
    // One rotation of σ 6° by itself: the map's trace is 1 + 2 cos θ. Two together have the variance of both, if the
    // axes are independent, to second order in the angle; both or none is what 1 − √(1 − p) each makes p.
    let angle = |s: &Sample| {
        let m = s.stages[0].after(&s.stages[1]).0;
        ((m[0][0] + m[1][1] + m[2][2] - 1.0) / 2.0).clamp(-1.0, 1.0).acos().to_degrees()
    };
    let each = 1.0 - (1.0 - p).sqrt();
    share(AugmentationRecipe { rotation_sigma_deg: 6.0, ..still() }, angle, p, 6.0 * (2.0 * each / p).sqrt());
}

#[test]
fn a_draw_depends_on_the_sample_alone() {
    let augmentation = augmentation(AugmentationRecipe::default());
    let x = ramp::<Flex>(6, DType::F32);
    let whole = values(augmentation.draw(0.8, 3, 9, 1, 10..16).apply(x.clone()));
    let part = |first: u64, n: u64| {
        let draw = augmentation.draw(0.8, 3, 9, 1, 10 + first..10 + first + n);
        values(draw.apply(x.clone().narrow(0, first as usize, n as usize)))
    };
    assert_eq!(whole, [part(0, 1), part(1, 3), part(4, 2)].concat());
    assert_ne!(whole, values(augmentation.draw(0.8, 3, 9, 2, 10..16).apply(x)));
}

#[test]
fn what_is_applied_at_one_p_is_applied_alike_at_a_larger() {
    let shifts = augmentation(AugmentationRecipe { shift_sigma: 0.1, ..still() });
    for i in 0..200 {
        let [some, more] = [0.3, 0.7].map(|p| shifts.sample(p, 1, 1, 1, i));
        assert!(some.stages[0] == Affine::IDENTITY || some == more);
    }
}

#[test]
fn contrast_keeps_air_and_brightness_moves_everything() {
    let contrast = augmentation(AugmentationRecipe { contrast_sigma: 0.5, ..still() });
    let (air, sample) = (Tensor::<Flex, 5>::full([1, 1, 10, 12, 8], -1.0, &Default::default()), 4);
    let draw = contrast.draw(1.0, 1, 1, 1, sample..sample + 1);
    values(draw.apply(air.clone())).into_iter().for_each(|value| assert!((value + 1.0).abs() < 1e-6));
    let gain = contrast.sample(1.0, 1, 1, 1, sample).gain;
    assert!((gain - 1.0).abs() > 0.05);
    values(draw.apply(air.clone() + 1.0))
        .into_iter()
        .for_each(|value| assert!((value + 1.0 - gain).abs() < 1e-6));
    let brightness = augmentation(AugmentationRecipe { brightness_sigma: 0.2, ..still() });
    let offset = brightness.sample(1.0, 1, 1, 1, sample).offset;
    let moved = values(brightness.draw(1.0, 1, 1, 1, sample..sample + 1).apply(air));
    moved.into_iter().for_each(|value| assert!((value + 1.0 - offset).abs() < 1e-6));
}

#[test]
fn slices_stay_in_their_plane() {
    let recipe = AugmentationRecipe::default();
    let slices = Augmentation { recipe, grid: [1, 12, 8], spacing_mm: [5.0, 1.0, 1.0] };
    for i in 0..100 {
        let sample = slices.sample(1.0, 1, 2, 3, i);
        for stage in sample.stages {
            assert_eq!(stage.0[0], Affine::IDENTITY.0[0]);
            assert_eq!([stage.0[1][0], stage.0[2][0]], [0.0; 2]);
        }
    }
    let draw = slices.draw(1.0, 1, 2, 3, 0..100);
    assert!(draw.passes.iter().all(|pass| pass.axis > 2));
    let y = draw.apply(Tensor::<Flex, 5>::ones([100, 1, 1, 12, 8], &Default::default()));
    assert_eq!(y.dims(), [100, 1, 1, 12, 8]);
}

/// ⟨c, f(x)⟩ of the whole augmentation, differentiated once and, through its square, twice, against finite differences.
#[test]
fn gradients_agree_with_finite_differences() {
    type One = Autodiff<Flex>;
    type Two = Autodiff<One>;
    let _tape = tape();
    let augmentation = augmentation(AugmentationRecipe { rotation_sigma_deg: 40.0, ..Default::default() });
    let draw = augmentation.draw(1.0, 2, 0, 0, 0..2);
    assert!(draw.passes.len() > 3, "some sample needs two stages");
    let start = ramp::<Flex>(2, DType::F64);
    let cube = |x: Tensor<Flex, 5>| draw.apply(x).powi_scalar(3).sum().into_data().iter::<f64>().sum::<f64>();

    // h(x) = ‖∇ₓ Σ f(x)³‖², a gradient penalty.
    let penalty = |x: Tensor<One, 5>| {
        let outer = Tensor::<Two, 5>::from_inner(x).require_grad();
        let gradients = draw.apply(outer.clone()).powi_scalar(3).sum().backward();
        let gradient = outer.grad(&gradients).expect("a gradient");
        (gradient.clone(), (gradient.clone() * gradient).sum())
    };
    let x = Tensor::<One, 5>::from_inner(start.clone()).require_grad();
    let (first, h) = penalty(x.clone());
    let second = values(x.grad(&h.backward()).expect("a second gradient"));
    let first = values(first);
    let value = |x: Tensor<Flex, 5>| penalty(Tensor::from_inner(x)).1.into_data().iter::<f64>().sum::<f64>();
    // Polynomials of degree 3 and 4 along any line: five-point differences of any step are exact but for rounding.
    let slope = |f: &dyn Fn(Tensor<Flex, 5>) -> f64, at: usize| {
        let moved = |by: f64| {
            let mut bump = vec![0.0; first.len()];
            bump[at] = by;
            let bump = TensorData::new(bump, start.dims());
            f(start.clone() + Tensor::from_data(bump, (&Default::default(), DType::F64)))
        };
        (8.0 * (moved(0.25) - moved(-0.25)) - (moved(0.5) - moved(-0.5))) / 3.0
    };
    let largest = |x: &[f64]| x.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    for at in [5, 333, 517, 960, 1400, 1919] {
        let (numeric, error) = (slope(&cube, at), 1e-12 * largest(&first));
        assert!((numeric - first[at]).abs() < error, "{numeric} is not {}", first[at]);
        let (numeric, error) = (slope(&value, at), 1e-12 * largest(&second));
        assert!((numeric - second[at]).abs() < error, "{numeric} is not {}", second[at]);
    }
}

/// A smooth volume turned, and turned back: a Gaussian of σ 4 voxels off the centre of a grid of 40, compared with itself
/// where a sphere about the centre keeps the kernel clear of the borders.
///
/// Keys' interpolation misses by up to 0.016 of the third derivative (slopes off by f‴/6) and 3/128 of the fourth; here,
/// 1.38/σ³ and 3/σ⁴, by 6·10⁻⁴ a pass: 1.8·10⁻³ a turn.
#[test]
fn turning_is_turning_and_turning_back_undoes_it() {
    let grid = [40, 40, 40];
    let height =
        |v: [f64; 3]| (-((v[0] - 25.0).powi(2) + (v[1] - 25.0).powi(2) + (v[2] - 14.0).powi(2)) / 32.0).exp();
    let index = |i: usize| [i / 1600, i / 40 % 40, i % 40].map(|x| x as f64);
    let from = |value: &dyn Fn(usize) -> f64| -> Tensor<Flex, 5> {
        let values: Vec<f64> = (0..64000).map(value).collect();
        Tensor::from_data(TensorData::new(values, [1, 1, 40, 40, 40]), (&Default::default(), DType::F32))
    };
    let x = from(&|i| height(index(i)));
    let sphere = from(&|i| f64::from(index(i).iter().map(|x| (x - 19.5).powi(2)).sum::<f64>() < 256.0));
    let error = |a: &Tensor<Flex, 5>, b: &Tensor<Flex, 5>| {
        ((a.clone() - b.clone()) * sphere.clone()).abs().max().into_scalar()
    };
    let turn = |angle: f64| Affine::rotation([2.0 / 3.0, -2.0 / 3.0, 1.0 / 3.0], angle, grid, [1.0; 3]);
    let apply = |x: &Tensor<Flex, 5>, map: Affine| passes(&[map], grid).iter().fold(x.clone(), warp);

    let map = turn(20.0);
    let read = |v: [f64; 3]| map.0.map(|row| row[0] * v[0] + row[1] * v[1] + row[2] * v[2] + row[3]);
    let turned = apply(&x, map);
    assert!(error(&turned, &x) > 0.2, "it did not turn: {}", error(&turned, &x));
    let closed_form = from(&|i| height(read(index(i))));
    assert!(error(&turned, &closed_form) < 1.8e-3, "{}", error(&turned, &closed_form));
    let back = apply(&turned, turn(-20.0));
    assert!(error(&back, &x) < 3.6e-3, "{}", error(&back, &x));
}
