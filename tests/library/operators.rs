//! Linear operators of the physics: every one and its adjoint by the inner product, over random shapes; the non-uniform
//! transform against sums of its definition and sigpy's numbers (tests/fixtures/mri/operators).

use std::f64::consts::TAU;

use ndarray::{Array2, Array3, Array4};
use proptest::prelude::*;
use voxgan::acquisition::encoding::{Encoding, Sampling};
use voxgan::acquisition::fourier::{Fourier, fft};
use voxgan::acquisition::linear::{dot, noise, norm};
use voxgan::acquisition::operators::crop::Crop;
use voxgan::acquisition::operators::motion::{Moved, Rigid};
use voxgan::acquisition::operators::nufft::{Accuracy, Nufft};
use voxgan::acquisition::operators::sampled::Sampled;
use voxgan::acquisition::operators::sensitivities::Sensitivities;
use voxgan::acquisition::operators::shots::{Shots, motion_encoded};
use voxgan::acquisition::operators::slice_profile::{Profile, SliceProfile, Sliced};
use voxgan::acquisition::{Complex32, ComplexArray, LinearOperator, Operator};
use voxgan::random::{Purpose, stream, uniform};

fn draw(shape: &[usize], seed: u64) -> ComplexArray {
    noise(shape, &mut stream(seed, 0, 0, 0, Purpose::Sampling))
}

fn mask(shape: [usize; 3], seed: u64) -> Array3<bool> {
    let draws = uniform(&mut stream(seed, 0, 1, 0, Purpose::Sampling), shape.iter().product());
    Array3::from_shape_vec(shape, draws.into_iter().map(|u| u < 0.4).collect()).unwrap()
}

/// Coil maps `[coils, D, H, W]`.
fn maps(coils: usize, [d, h, w]: [usize; 3], seed: u64) -> Array4<Complex32> {
    draw(&[coils, d, h, w], seed).into_dimensionality().unwrap()
}

/// Points all over the spectrum of images `[D, H, W]`.
fn points(shape: [usize; 3], count: usize, seed: u64) -> Array2<f32> {
    let draws = uniform(&mut stream(seed, 0, 2, 0, Purpose::Sampling), 3 * count);
    Array2::from_shape_fn((count, 3), |(m, a)| (draws[3 * m + a] - 0.5) * shape[a] as f32)
}

/// Motion of a volume, or within the plane where `shape` is a slice.
fn rigid(shape: [usize; 3], numbers: [f64; 6]) -> Rigid {
    let [a, b, c, x, y, z] = numbers;
    let thick = if shape[0] > 1 { 1.0 } else { 0.0 };
    Rigid { rotation_deg: [thick * a, thick * b, c], translation_mm: [x, y, thick * z] }
}

/// What `⟨Ax, y⟩ = ⟨x, Aᴴy⟩` is off by, relative to `‖Ax‖·‖y‖` or `‖x‖·‖Aᴴy‖`, whichever is larger: a single sample may cancel
/// to nearly nothing, and only the other bound knows the size of its terms.
fn adjoint_error(a: &dyn LinearOperator, seed: u64) -> f64 {
    let (x, y) = (draw(a.input_shape(), seed), draw(a.output_shape(), seed + 1));
    let (ax, aty) = (a.forward(x.clone()), a.adjoint(y.clone()));
    assert_eq!((ax.shape(), aty.shape()), (a.output_shape(), a.input_shape()));
    let scale = (norm(&ax) * norm(&y)).max(norm(&x) * norm(&aty));
    (dot(&ax, &y) - dot(&x, &aty)).norm() / scale.max(1e-30)
}

/// What `normal` differs by from the adjoint after the operator, relative to the latter or, where that cancels, to `‖x‖` and the
/// gain that the adjoint has on noise.
fn normal_error(a: &dyn LinearOperator, seed: u64) -> f64 {
    let (x, y) = (draw(a.input_shape(), seed), draw(a.output_shape(), seed + 1));
    let gain = norm(&a.adjoint(y.clone())) / norm(&y).max(1e-30);
    let scale = norm(&x) * gain * gain;
    let (short, long) = (a.normal(x.clone()), a.adjoint(a.forward(x)));
    norm(&(short - &long)) / norm(&long).max(scale).max(1e-30)
}

fn check(a: &dyn LinearOperator, seed: u64) -> Result<(), TestCaseError> {
    let error = adjoint_error(a, seed);
    prop_assert!(error < 1e-6, "adjoint is off by {error:.1e}");
    let error = normal_error(a, seed);
    prop_assert!(error < 1e-5, "normal is off by {error:.1e}");
    Ok(())
}

fn shapes() -> impl Strategy<Value = [usize; 3]> {
    prop_oneof![
        (2usize..9, 2usize..11, 2usize..12).prop_map(|(d, h, w)| [d, h, w]),
        (2usize..24, 2usize..24).prop_map(|(h, w)| [1, h, w]),
    ]
}

fn motions() -> impl Strategy<Value = [f64; 6]> {
    let (degrees, millimetres) = (-25.0f64..25.0, -4.0f64..4.0);
    let triple = |s: std::ops::Range<f64>| prop::array::uniform3(s);
    (triple(degrees), triple(millimetres)).prop_map(|([a, b, c], [x, y, z])| [a, b, c, x, y, z])
}

fn profiles() -> impl Strategy<Value = Profile> {
    prop_oneof![
        (0.3f64..6.0).prop_map(|width_voxels| Profile::Boxcar { width_voxels }),
        (0.3f64..6.0).prop_map(|fwhm_voxels| Profile::Gaussian { fwhm_voxels }),
        prop::collection::vec(0.1f64..1.0, 1..7).prop_map(|weights| Profile::Measured { weights }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn fourier(shape in shapes(), coils in 1usize..4, axes in prop::sample::subsequence(vec![1, 2, 3], 0..=3), seed: u64) {
        let [d, h, w] = shape;
        check(&Fourier::new(&[coils, d, h, w], &axes), seed >> 1)?;
    }

    #[test]
    fn sampling_and_coils(shape in shapes(), coils in 1usize..5, seed: u64) {
        let seed = seed >> 1;
        let sensitivities = Sensitivities::new(maps(coils, shape, seed + 7));
        check(&sensitivities, seed)?;
        let sampled = Sampled::new(mask(shape, seed), coils);
        check(&sampled, seed)?;
        check(&(&Operator::new(sampled) * &Operator::new(sensitivities)), seed)?;
    }

    #[test]
    fn algebra(shape in shapes(), seed: u64, re in -2.0f32..2.0, im in -2.0f32..2.0) {
        let seed = seed >> 1;
        let one = Operator::new(Sensitivities::new(maps(2, shape, seed + 1)));
        let other = Operator::new(Sensitivities::new(maps(2, shape, seed + 2)));
        let (scale, x) = (Complex32::new(re, im), draw(&shape, seed + 3));
        let (of_one, of_other) = (&one * x.clone(), &other * x.clone());
        let near = |found: ComplexArray, expected: ComplexArray| {
            norm(&(&found - &expected)) <= 1e-5 * norm(&expected).max(1e-6)
        };
        let (sum, scaled, both) = (&one + &other, scale * &one, Operator::stack(vec![one.clone(), other.clone()]));
        for operator in [&sum, &scaled, &both, &one.adjoint(), &(&one.adjoint() * &one)] {
            check(operator, seed)?;
        }
        prop_assert!(near(&sum * x.clone(), &of_one + &of_other));
        prop_assert!(near(&scaled * x.clone(), of_one.mapv(|z| z * scale)));
        let stacked = &both * x.clone();
        prop_assert!(near(stacked.index_axis_move(ndarray::Axis(0), 1), of_other));
        prop_assert!(near(&(&one.adjoint() * &one) * x.clone(), one.normal(x.clone())));
        prop_assert!(near(&one.adjoint().adjoint() * x, of_one));
    }

    #[test]
    fn crop(input in shapes(), output in shapes(), seed: u64) {
        check(&Crop::new(&input, &output), seed >> 1)?;
    }

    #[test]
    fn slice_profile(shape in shapes(), axis in 0usize..3, factor in 1usize..5, profile in profiles(), seed: u64) {
        let factor = factor.min(shape[axis]);
        check(&Sliced::new(shape, &SliceProfile { axis, factor, profile }).unwrap(), seed >> 1)?;
    }

    #[test]
    fn motion(shape in shapes(), numbers in motions(), spacing_mm in prop::array::uniform3(0.5f64..3.0), seed: u64) {
        check(&Moved::new(shape, &rigid(shape, numbers), spacing_mm).unwrap(), seed >> 1)?;
    }

    #[test]
    fn motion_between_shots(shape in shapes(), numbers in prop::collection::vec(motions(), 1..4), coils in 1usize..4, seed: u64) {
        let seed = seed >> 1;
        let [d, h, w] = shape;
        let transforms: Vec<Rigid> = numbers.into_iter().map(|numbers| rigid(shape, numbers)).collect();
        let shot_of = Array3::from_shape_fn(shape, |(_, h, _)| (h % transforms.len()) as u16);
        let seen = Operator::new(Sensitivities::new(maps(coils, shape, seed + 3)));
        let still = &Operator::new(Fourier::new(&[coils, d, h, w], &[2, 3])) * &seen;
        let shots = Shots { transforms, shot_of };
        check(&motion_encoded(&still, &shots, [1.0, 1.2, 2.0]).unwrap(), seed)?;
    }

    #[test]
    fn nufft(
        shape in shapes(), coils in 1usize..3, volume: bool, count in 1usize..80, width in 3usize..9,
        oversampling in 1.25f64..2.0, seed: u64,
    ) {
        let (seed, [d, h, w]) = (seed >> 1, shape);
        let points = points(shape, count, seed);
        let a = Nufft::new([coils, d, h, w], volume, points.view(), Accuracy { width, oversampling }).unwrap();
        check(&a, seed)?;
    }

    #[test]
    fn encodings(
        shape in shapes(), crop in shapes(), parts in prop::array::uniform4(any::<bool>()), kind in 0usize..3,
        numbers in motions(), profile in profiles(), volume: bool, seed: u64,
    ) {
        let seed = seed >> 1;
        let [moves, thick, pads, coils] = parts;
        let mut encoding = Encoding::full(shape, [1.0, 1.5, 2.0]);
        encoding.slice_profile = thick.then_some(SliceProfile { axis: 0, factor: shape[0].min(2), profile });
        encoding.encoded = pads.then_some(crop);
        let grid = encoding.grid();
        encoding.coil_maps = coils.then(|| maps(3, grid, seed + 5));
        encoding.transformed = [volume, true, true];
        let mut places = grid;
        encoding.sampling = match kind {
            0 => Sampling::Full,
            1 => Sampling::Mask(mask(grid, seed)),
            _ => {
                places = [if volume { 1 } else { grid[0] }, 1, 40];
                Sampling::Trajectory(points(grid, 40, seed))
            }
        };
        encoding.shots = moves.then(|| Shots {
            transforms: vec![Rigid::IDENTITY, rigid(shape, numbers)],
            shot_of: Array3::from_shape_fn(places, |(_, h, w)| ((h + w) % 2) as u16),
        });
        let a = encoding.operator().unwrap();
        check(&a, seed)?;
        // What was recorded can be replayed.
        let replayed: Encoding = serde_json::from_str(&serde_json::to_string(&encoding).unwrap()).unwrap();
        prop_assert_eq!(&replayed, &encoding);
    }
}

/// The fixtures' image, by its closed form.
fn fixture_image(shape: [usize; 3]) -> ComplexArray {
    Array3::from_shape_fn(shape, |(d, h, w)| {
        let (d, h, w) = (d as f64, h as f64, w as f64);
        let (re, im) = ((0.31 * d + 0.17 * h - 0.23 * w).cos(), (0.07 * h * w - 0.4 * d).sin());
        Complex32::new(re as f32, im as f32)
    })
    .into_dyn()
}

/// The fixtures' points, by their closed form.
fn fixture_points(shape: [usize; 3], count: usize) -> Array2<f32> {
    let turn = [0.754877666, 0.569840291, 0.430159709];
    Array2::from_shape_fn((count, 3), |(m, a)| {
        ((((m + 1) as f64 * turn[a] + 0.5).rem_euclid(1.0) - 0.5) * shape[a] as f64) as f32
    })
}

#[derive(serde::Deserialize)]
struct Fixture {
    shape: [usize; 3],
    samples: Vec<[f64; 2]>,
    /// Every fifth voxel along W.
    adjoint: Vec<[f64; 2]>,
    sigpy: Vec<Gridded>,
}

#[derive(serde::Deserialize)]
struct Gridded {
    width: usize,
    oversampling: f64,
    samples: Vec<[f64; 2]>,
    adjoint: Vec<[f64; 2]>,
}

/// The largest difference, relative to the largest of the expected.
fn off<'a>(found: impl IntoIterator<Item = &'a Complex32>, expected: &[[f64; 2]]) -> f64 {
    let found: Vec<_> = found.into_iter().collect();
    assert_eq!(found.len(), expected.len());
    let size = expected.iter().map(|[re, im]| re.hypot(*im)).fold(0.0, f64::max);
    let differences =
        found.iter().zip(expected).map(|(z, [re, im])| (f64::from(z.re) - re).hypot(f64::from(z.im) - im));
    differences.fold(0.0, f64::max) / size
}

/// With kernels of the same width the numbers are sigpy's, error and all; wide ones are close to the definition.
#[test]
fn the_non_uniform_transform_is_sigpys_and_the_sum_of_its_definition() {
    let slice = include_str!("../fixtures/mri/operators/nufft_slice.json");
    let volume = include_str!("../fixtures/mri/operators/nufft_volume.json");
    for text in [slice, volume] {
        let fixture: Fixture = serde_json::from_str(text).unwrap();
        let shape @ [d, h, w] = fixture.shape;
        let points = fixture_points(shape, fixture.samples.len());
        for sigpy in &fixture.sigpy {
            let accuracy = Accuracy { width: sigpy.width, oversampling: sigpy.oversampling };
            let a = Nufft::new([1, d, h, w], true, points.view(), accuracy).unwrap();
            let y = a.forward(fixture_image(shape).into_shape_with_order(vec![1, d, h, w]).unwrap());
            let samples = fixture.samples.iter().map(|[re, im]| Complex32::new(*re as f32, *im as f32));
            let samples = ComplexArray::from_shape_vec(a.output_shape(), samples.collect()).unwrap();
            let x = a.adjoint(samples);
            let x = x.slice(ndarray::s![0, .., .., ..;5]);
            for (of, error, from_definition) in [
                ("forward", off(&y, &sigpy.samples), off(&y, &fixture.samples)),
                ("adjoint", off(x, &sigpy.adjoint), off(x, &fixture.adjoint)),
            ] {
                // sigpy's Bessel function is good to 2e-7, each of three axes, and the adjoint enlarges that at the border.
                assert!(error < 3e-6, "{shape:?}, {accuracy:?}, {of}: {error:.1e} from sigpy");
                // What is asked of the default, and what the finest kernel gives in single precision.
                let finest = accuracy == Accuracy { width: 7, oversampling: 2.0 } && from_definition < 2e-6;
                let default = accuracy == Accuracy::default() && from_definition < 1e-4;
                assert!(finest || default || accuracy.width == 4, "{shape:?}, {of}: {from_definition:.1e}");
            }
        }
    }
}

#[test]
fn at_whole_numbers_it_is_the_fast_transform() {
    for shape @ [coils, d, h, w] in [[2, 3, 12, 15], [1, 8, 9, 10]] {
        let points: Vec<f32> = (0..d * h * w)
            .flat_map(|at| [(at / (h * w), d), (at / w % h, h), (at % w, w)])
            .map(|(index, n)| index as f32 - (n / 2) as f32)
            .collect();
        let points = Array2::from_shape_vec((d * h * w, 3), points).unwrap();
        let a = Nufft::new(shape, true, points.view(), Accuracy::default()).unwrap();
        let x = draw(&shape, 3);
        let mut expected = x.clone();
        fft(&mut expected, &[1, 2, 3]);
        let found = a.forward(x).into_shape_with_order(&shape[..]).unwrap();
        let largest = expected.iter().map(|z| z.norm()).fold(0.0, f32::max);
        let error = (found - &expected).iter().map(|z| z.norm()).fold(0.0, f32::max) / largest;
        assert!(error < 1e-4, "{coils} coils: {error:.1e}");
    }
}

#[test]
fn slices_are_transformed_one_by_one() {
    let points = points([1, 14, 11], 33, 5);
    let volume = Nufft::new([2, 4, 14, 11], false, points.view(), Accuracy::default()).unwrap();
    let slice = Nufft::new([2, 1, 14, 11], false, points.view(), Accuracy::default()).unwrap();
    let x = draw(&[2, 4, 14, 11], 6);
    let y = volume.forward(x.clone());
    assert_eq!(y.shape(), [2, 4, 1, 33]);
    for d in 0..4 {
        let range = ndarray::Slice::from(d..d + 1);
        let one = slice.forward(x.slice_axis(ndarray::Axis(1), range).to_owned());
        assert_eq!(one, y.slice_axis(ndarray::Axis(1), range));
    }
}

/// The default's accuracy on a slice of usual size, against sums of the definition at some of the points.
#[test]
fn the_default_accuracy_holds_on_a_whole_slice() {
    let (shape, count) = ([1, 192, 160], 20_000);
    let (points, x) = (points(shape, count, 4), draw(&[1, 1, 192, 160], 4));
    let y =
        Nufft::new([1, 1, 192, 160], false, points.view(), Accuracy::default()).unwrap().forward(x.clone());
    let largest = y.iter().map(|z| f64::from(z.norm())).fold(0.0, f64::max);
    for m in (0..count).step_by(1001) {
        let (kh, kw) = (f64::from(points[[m, 1]]), f64::from(points[[m, 2]]));
        let sum: num_complex::Complex64 = x
            .indexed_iter()
            .map(|(at, z)| {
                let turns = kh * (at[2] as f64 - 96.0) / 192.0 + kw * (at[3] as f64 - 80.0) / 160.0;
                num_complex::Complex64::cis(-TAU * turns)
                    * num_complex::Complex64::new(z.re.into(), z.im.into())
            })
            .sum();
        let sum = sum / (192.0f64 * 160.0).sqrt();
        let z = y[[0, 0, 0, m]];
        let error = (f64::from(z.re) - sum.re).hypot(f64::from(z.im) - sum.im) / largest;
        assert!(error < 1e-5, "sample {m}: {error:.1e}");
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let points = points([20, 30, 40], 5000, 8);
    let a = Nufft::new([1, 20, 30, 40], true, points.view(), Accuracy::default()).unwrap();
    let y = draw(a.output_shape(), 1);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| a.adjoint(y.clone()))
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let encoding = Encoding::full([4, 8, 8], [1.0; 3]);
    let refused = |change: &dyn Fn(&mut Encoding)| {
        let mut changed = encoding.clone();
        change(&mut changed);
        changed.operator().err().expect("an encoding that does not fit").to_string()
    };
    assert!(encoding.operator().is_ok());
    let profile = |axis, factor, width_voxels| {
        Some(SliceProfile { axis, factor, profile: Profile::Boxcar { width_voxels } })
    };
    assert!(refused(&|e| e.shape[1] = 0).starts_with("shape:"));
    assert!(refused(&|e| e.encoded = Some([4, 0, 8])).starts_with("encoded:"));
    assert!(refused(&|e| e.coil_maps = Some(maps(2, [4, 8, 9], 1))).starts_with("coil_maps:"));
    assert!(refused(&|e| e.sampling = Sampling::Mask(mask([4, 8, 7], 1))).starts_with("sampling.mask:"));
    assert!(refused(&|e| e.slice_profile = profile(3, 2, 1.0)).starts_with("slice_profile.axis:"));
    assert!(refused(&|e| e.slice_profile = profile(0, 5, 1.0)).starts_with("slice_profile.factor:"));
    assert!(refused(&|e| e.slice_profile = profile(0, 2, 0.0)).starts_with("slice_profile.profile:"));
    let trajectory = |k: f32| Sampling::Trajectory(Array2::from_elem((3, 3), k));
    assert!(refused(&|e| e.sampling = trajectory(f32::NAN)).starts_with("trajectory:"));
    assert!(
        refused(&|e| {
            e.sampling = trajectory(0.0);
            e.transformed = [true, true, false];
        })
        .starts_with("transformed:")
    );
    let shots = |shot, rotation_deg| Shots {
        transforms: vec![Rigid { rotation_deg, ..Rigid::IDENTITY }],
        shot_of: Array3::from_elem([4, 8, 8], shot),
    };
    assert!(refused(&|e| e.shots = Some(shots(1, [0.0; 3]))).starts_with("shots.shot_of:"));
    assert!(refused(&|e| e.shots = Some(shots(0, [70.0, 0.0, 0.0]))).starts_with("motion:"));
    assert!(
        refused(&|e| {
            e.shape = [4, 8, 9];
            e.shots = Some(shots(0, [0.0; 3]));
        })
        .starts_with("shots.shot_of:")
    );
}
