use burn::backend::{Autodiff, Flex};
use burn::tensor::{DType, Tensor, TensorData};

use super::sample::Sample;
use super::*;
use crate::ops::{VolumeOps, backward, tape, warp};
use crate::random::{Purpose, normal, stream, uniform};
use crate::warp::{Affine, passes};

const GRID: [usize; 3] = [10, 12, 8];

/// A recipe with nothing on.
pub(super) fn still() -> AugmentationRecipe {
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

/// Everything on that the adaptive policy has.
pub(super) fn everything() -> AugmentationRecipe {
    AugmentationRecipe {
        elastic_sigma_mm: 4.0,
        band_sigma: 1.0,
        noise_sigma: 0.1,
        cutout_size: 0.5,
        ..Default::default()
    }
}

pub(super) fn diff_augment() -> AugmentationRecipe {
    AugmentationRecipe { policy: AugmentationPolicy::DiffAugment, ..Default::default() }
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

pub(super) fn values<B: VolumeOps>(x: Tensor<B, 5>) -> Vec<f64> {
    x.into_data().iter::<f64>().collect()
}

pub(super) fn within_standard_errors(fraction: f64, expected: f64, n: u64) {
    let error = 4.0 * (expected * (1.0 - expected) / n as f64).sqrt();
    assert!((fraction - expected).abs() < error, "{fraction}, expected {expected} ± {error}");
}

#[test]
fn at_zero_nothing_is_done_and_with_nothing_on_neither() {
    let x = ramp::<Flex>(2, DType::F32);
    for draw in [
        augmentation(everything()).draw(0.0, 1, 2, 3, 0..2),
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
    let share =
        |recipe: AugmentationRecipe, parameter: &dyn Fn(&Sample) -> f64, expected: f64, sigma: f64| {
            let augmentation = augmentation(recipe);
            let all: Vec<f64> = (0..n).map(|i| parameter(&augmentation.sample(p, 11, 5, 1, i))).collect();
            let touched: Vec<f64> = all.into_iter().filter(|x| x.abs() > 1e-12).collect();
            within_standard_errors(touched.len() as f64 / n as f64, expected, n);
            let variance = touched.iter().map(|x| x * x).sum::<f64>() / touched.len() as f64;
            let error = 4.0 * sigma / (2.0 * touched.len() as f64).sqrt();
            assert!((variance.sqrt() - sigma).abs() < error, "σ {} is not {sigma}", variance.sqrt());
        };
    share(AugmentationRecipe { scale_sigma: 0.2, ..still() }, &|s| s.stages[0].0[1][1].log2(), p, 0.2);
    share(AugmentationRecipe { anisotropic_sigma: 0.1, ..still() }, &|s| s.stages[0].0[2][2].log2(), p, 0.1);
    share(AugmentationRecipe { shift_sigma: 0.125, ..still() }, &|s| s.stages[0].0[1][3] / 12.0, p, 0.125);
    share(AugmentationRecipe { brightness_sigma: 0.2, ..still() }, &|s| s.offset, p, 0.2);
    share(AugmentationRecipe { contrast_sigma: 0.5, ..still() }, &|s| s.gain.log2(), p, 0.5);
    // Voxel (0, 0, 0) stands at a control point.
    let elastic = AugmentationRecipe { elastic_sigma_mm: 3.0, ..still() };
    let displacement =
        |axis: usize| move |s: &Sample| s.bends[axis].as_ref().map_or(0.0, |b| f64::from(b[0]));
    share(elastic.clone(), &displacement(1), p, 3.0 / 2.0);
    share(elastic, &displacement(2), p, 3.0 / 2.5);
    share(
        AugmentationRecipe { noise_sigma: 0.1, ..still() },
        &|s| s.noise.as_ref().map_or(0.0, |n| n.1),
        p,
        0.1,
    );
    // Two bands are amplified by themselves: their ratio has the variance of either or both.
    let either = 1.0 - (1.0 - p).powi(2);
    let ratio = |s: &Sample| (s.bands[1] / s.bands[3]).log2();
    share(AugmentationRecipe { band_sigma: 0.7, ..still() }, &ratio, either, 0.7 * (2.0 * p / either).sqrt());
    // One rotation of σ 6° by itself: the map's trace is 1 + 2 cos θ. Two together have the variance of both, if the
    // axes are independent, to second order in the angle; both or none is what 1 − √(1 − p) each makes p.
    let angle = |s: &Sample| {
        let m = s.stages[0].after(&s.stages[1]).0;
        ((m[0][0] + m[1][1] + m[2][2] - 1.0) / 2.0).clamp(-1.0, 1.0).acos().to_degrees()
    };
    let each = 1.0 - (1.0 - p).sqrt();
    share(
        AugmentationRecipe { rotation_sigma_deg: 6.0, ..still() },
        &angle,
        p,
        6.0 * (2.0 * each / p).sqrt(),
    );
}

#[test]
fn a_draw_depends_on_the_sample_alone() {
    let x = ramp::<Flex>(6, DType::F32);
    for recipe in [everything(), diff_augment()] {
        let augmentation = augmentation(recipe);
        let whole = values(augmentation.draw(0.6, 3, 9, 1, 10..16).apply(x.clone()));
        let part = |first: u64, n: u64| {
            let draw = augmentation.draw(0.6, 3, 9, 1, 10 + first..10 + first + n);
            values(draw.apply(x.clone().narrow(0, first as usize, n as usize)))
        };
        assert_eq!(whole, [part(0, 1), part(1, 3), part(4, 2)].concat());
        assert_ne!(whole, values(augmentation.draw(0.6, 3, 9, 2, 10..16).apply(x.clone())));
    }
}

/// What a seed means: the first operations take the first numbers of a sample's stream, whatever else is on.
#[test]
fn operations_that_came_later_change_no_draw_of_the_first() {
    for i in 0..50 {
        let mut rng = stream(5, 2, 3, i, Purpose::Augmentation);
        let (gates, n) = (uniform(&mut rng, 9), normal(&mut rng, 17));
        let [before, all] = [AugmentationRecipe::default(), everything()]
            .map(|recipe| augmentation(recipe).sample(0.7, 5, 2, 3, i));
        let gain = if gates[8] < 0.7 { (0.5 * f64::from(n[16])).exp2() } else { 1.0 };
        let brightness = if gates[7] < 0.7 { 0.2 * f64::from(n[15]) } else { 0.0 };
        assert!((all.gain - gain).abs() < 1e-12);
        assert!((all.offset - (gain - 1.0 + gain * brightness)).abs() < 1e-12);
        assert_eq!((all.stages, all.gain, all.offset), (before.stages, before.gain, before.offset));
        assert_eq!(
            before,
            Sample { stages: all.stages, gain: all.gain, offset: all.offset, ..Sample::still(GRID) }
        );
    }
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
    let slices = Augmentation { recipe: everything(), grid: [1, 12, 8], spacing_mm: [5.0, 1.0, 1.0] };
    for i in 0..100 {
        let sample = slices.sample(1.0, 1, 2, 3, i);
        for stage in sample.stages {
            assert_eq!(stage.0[0], Affine::IDENTITY.0[0]);
            assert_eq!([stage.0[1][0], stage.0[2][0]], [0.0; 2]);
        }
        assert!(sample.bends[0].is_none() && sample.bends[1].is_some() && sample.bends[2].is_some());
        assert_eq!(sample.hole[0], 0..1);
    }
    for recipe in [everything(), diff_augment()] {
        let draw = Augmentation { recipe, ..slices.clone() }.draw(1.0, 1, 2, 3, 0..100);
        assert!(draw.passes.iter().all(|pass| pass.axis > 2));
        let y = draw.apply(Tensor::<Flex, 5>::ones([100, 1, 1, 12, 8], &Default::default()));
        assert_eq!(y.dims(), [100, 1, 1, 12, 8]);
    }
    // One voxel: nothing but intensities, noise and a hole is left.
    let voxel = Augmentation { recipe: everything(), grid: [1; 3], spacing_mm: [1.0; 3] };
    let y =
        voxel.draw(1.0, 1, 2, 3, 0..9).apply(Tensor::<Flex, 5>::ones([9, 1, 1, 1, 1], &Default::default()));
    values(y).into_iter().for_each(|value| assert!(value.is_finite()));
}

/// Every operation that came after the first, all of them together, and DiffAugment: first and second derivatives.
#[test]
fn gradients_agree_with_finite_differences() {
    let _tape = tape();
    let turned = AugmentationRecipe { rotation_sigma_deg: 40.0, ..Default::default() };
    let draw = augmentation(turned.clone()).draw(1.0, 2, 0, 0, 0..2);
    assert!(draw.passes.len() > 3, "some sample needs two stages");
    for (name, recipe) in [
        ("geometry and intensities", turned),
        ("elastic", AugmentationRecipe { elastic_sigma_mm: 4.0, ..still() }),
        ("bands", AugmentationRecipe { band_sigma: 1.0, ..still() }),
        ("noise", AugmentationRecipe { noise_sigma: 0.1, ..still() }),
        ("cut-out", AugmentationRecipe { cutout_size: 0.5, ..still() }),
        ("everything", everything()),
        ("DiffAugment", diff_augment()),
    ] {
        let draw = augmentation(recipe).draw(1.0, 2, 0, 0, 0..2);
        assert!(!draw.is_identity(), "{name}");
        check_gradients(name, &draw);
    }
}

/// Σ f(x)³, differentiated once and, through the square of its gradient, twice, against finite differences.
fn check_gradients(name: &str, draw: &Draw) {
    type One = Autodiff<Flex>;
    type Two = Autodiff<One>;
    let start = ramp::<Flex>(2, DType::F64);
    let cube = |x: Tensor<Flex, 5>| draw.apply(x).powi_scalar(3).sum().into_data().iter::<f64>().sum::<f64>();

    // h(x) = ‖∇ₓ Σ f(x)³‖², a gradient penalty.
    let penalty = |x: Tensor<One, 5>| {
        let outer = Tensor::<Two, 5>::from_inner(x).require_grad();
        let gradients = backward(&draw.apply(outer.clone()).powi_scalar(3).sum());
        let gradient = outer.grad(&gradients).expect("a gradient");
        (gradient.clone(), (gradient.clone() * gradient).sum())
    };
    let x = Tensor::<One, 5>::from_inner(start.clone()).require_grad();
    let (first, h) = penalty(x.clone());
    let second = values(x.grad(&backward(&h)).expect("a second gradient"));
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
        (8.0 * (moved(1.0) - moved(-1.0)) - (moved(2.0) - moved(-2.0))) / 12.0
    };
    let largest = |x: &[f64]| x.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    for at in [5, 333, 517, 960, 1400, 1919] {
        let (numeric, error) = (slope(&cube, at), 1e-12 * largest(&first));
        assert!((numeric - first[at]).abs() < error, "{name}: {numeric} is not {}", first[at]);
        let (numeric, error) = (slope(&value, at), 1e-12 * largest(&second));
        assert!((numeric - second[at]).abs() < error, "{name}: {numeric} is not {}", second[at]);
    }
}

/// A smooth volume turned, and turned back: a Gaussian of σ 4 voxels along the longest of their edges, round in
/// millimetres, off the centre, compared with itself where a sphere about the centre keeps the kernel clear of the
/// borders.
///
/// Keys' interpolation misses by up to 0.016 of the third derivative (slopes off by f‴/6) and 3/128 of the fourth;
/// here, 1.38/σ³ and 3/σ⁴, by 6·10⁻⁴ a pass: 1.8·10⁻³ a turn.
#[test]
fn turning_is_turning_in_millimetres_and_turning_back_undoes_it() {
    for spacing_mm in [[1.0; 3], [2.0, 1.0, 1.5]] {
        let longest = spacing_mm.into_iter().fold(0.0, f64::max);
        let grid = spacing_mm.map(|edge| (40.0 * longest / edge).round() as usize);
        let [d, h, w] = grid;
        let index = |i: usize| [i / (h * w), i / w % h, i % w].map(|x| x as f64);
        // Millimetres from the centre, in edges of the longest.
        let place =
            |v: [f64; 3]| [0, 1, 2].map(|a| (v[a] - (grid[a] as f64 - 1.0) / 2.0) * spacing_mm[a] / longest);
        let distance2 = |v: [f64; 3], from: [f64; 3]| {
            place(v).iter().zip(from).map(|(x, from)| (x - from).powi(2)).sum::<f64>()
        };
        let height = |v: [f64; 3]| (-distance2(v, [5.5, 5.5, -5.5]) / 32.0).exp();
        let from = |value: &dyn Fn(usize) -> f64| -> Tensor<Flex, 5> {
            let values: Vec<f64> = (0..d * h * w).map(value).collect();
            Tensor::from_data(TensorData::new(values, [1, 1, d, h, w]), (&Default::default(), DType::F32))
        };
        let x = from(&|i| height(index(i)));
        let sphere = from(&|i| f64::from(distance2(index(i), [0.0; 3]) < 256.0));
        let error = |a: &Tensor<Flex, 5>, b: &Tensor<Flex, 5>| {
            ((a.clone() - b.clone()) * sphere.clone()).abs().max().into_scalar()
        };
        let axis = [2.0 / 3.0, -2.0 / 3.0, 1.0 / 3.0];
        let turn = |angle: f64| Affine::rotation(axis, angle, grid, spacing_mm);
        let apply = |x: &Tensor<Flex, 5>, map: Affine| passes(&[map], grid).iter().fold(x.clone(), warp);

        let turned = apply(&x, turn(20.0));
        assert!(error(&turned, &x) > 0.2, "it did not turn: {}", error(&turned, &x));
        // Rodrigues' formula in millimetres: what is read at p is at R p.
        let closed_form = from(&|i| {
            let p = place(index(i));
            let (sin, cos) = 20f64.to_radians().sin_cos();
            let along: f64 = (0..3).map(|a| axis[a] * p[a]).sum();
            let cross = [0, 1, 2].map(|a| {
                let (b, c) = ((a + 1) % 3, (a + 2) % 3);
                axis[b] * p[c] - axis[c] * p[b]
            });
            let read = [0, 1, 2].map(|a| cos * p[a] + sin * cross[a] + (1.0 - cos) * along * axis[a]);
            let distance2 =
                read.iter().zip([5.5, 5.5, -5.5]).map(|(x, from)| (x - from).powi(2)).sum::<f64>();
            (-distance2 / 32.0).exp()
        });
        assert!(error(&turned, &closed_form) < 1.8e-3, "{}", error(&turned, &closed_form));
        let back = apply(&turned, turn(-20.0));
        assert!(error(&back, &x) < 3.6e-3, "{}", error(&back, &x));
    }
}
