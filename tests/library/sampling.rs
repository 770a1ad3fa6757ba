//! Sampling through the public API: fastMRI's masks bit for bit, accelerations, determinism, refusals.
//!
//! `tests/fixtures/mri/sampling/make_fastmri.py` made the fixtures with PyPI's `fastmri` 0.3.0 and numpy.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;
use voxgan::acquisition::sampling::{
    Angles, Axis, Caipi, Columns, End, FastMri, Gaussian, Mersenne, PartialFourier, Pattern, Poisson, Radial,
    Seed, Spiral, Spokes, Turns,
};

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mri/sampling").join(name);
    fs::read_to_string(path).expect("a fixture")
}

#[test]
fn fastmri_masks_are_those_of_the_python_package() {
    let mut cases = [0; 5];
    for line in fixture("fastmri.jsonl").lines() {
        let case: Value = serde_json::from_str(line).expect("JSON");
        let pattern: Pattern = serde_json::from_value(case["pattern"].clone()).expect("a pattern");
        let seed: Seed = serde_json::from_value(case["seed"].clone()).expect("a seed");
        let width = case["width"].as_u64().expect("a number") as usize;
        let mask = pattern.mask([2, 3, width], &seed).expect("a mask").sampled;
        let digits: Vec<u32> =
            case["hex"].as_str().expect("text").chars().filter_map(|c| c.to_digit(16)).collect();
        for ((_, _, w), &sampled) in mask.indexed_iter() {
            assert_eq!(sampled, digits[w / 4] >> (3 - w % 4) & 1 == 1, "column {w} of {line}");
        }
        let Pattern::FastMri(FastMri { columns, .. }) = pattern else { panic!("{line}") };
        cases[columns as usize] += 1;
        // Along another axis the same columns.
        let turned = Pattern::FastMri(FastMri {
            axis: Axis::H,
            ..serde_json::from_value(without_kind(&case["pattern"])).expect("a pattern")
        });
        let turned = turned.mask([1, width, 2], &seed).expect("a mask").sampled;
        assert!((0..width).all(|i| turned[(0, i, 1)] == mask[(1, 2, i)]), "{line}");
    }
    assert!(cases.iter().all(|&n| n >= 100), "{cases:?}");
}

fn without_kind(pattern: &Value) -> Value {
    let mut pattern = pattern.clone();
    pattern.as_object_mut().expect("an object").remove("kind");
    pattern
}

#[test]
fn draws_are_numpys() {
    let draws: Vec<Value> = serde_json::from_str(&fixture("numpy.json")).expect("JSON");
    let numbers = |value: &Value| -> Vec<u32> {
        value.as_array().expect("a list").iter().map(|n| n.as_u64().expect("a number") as u32).collect()
    };
    for draw in &draws {
        let mut rng = match draw["seed"].as_u64() {
            Some(seed) => Mersenne::from_number(seed as u32),
            None => Mersenne::from_key(&numbers(&draw["seed"])),
        };
        let words: Vec<u32> = (0..1300).map(|_| rng.next_u32()).collect();
        let picked = [0, 1, 2, 622, 623, 624, 1247, 1248, 1299].map(|i: usize| words[i]);
        assert_eq!(picked.as_slice(), numbers(&draw["words"]), "{}", draw["seed"]);
        for list in ["doubles", "uniform"] {
            for expected in draw[list].as_array().expect("a list") {
                assert_eq!(Some(rng.random_sample()), expected.as_f64());
            }
        }
        let bounds = numbers(&draw["bounds"]);
        for (high, expected) in bounds.iter().zip(draw["integers"].as_array().expect("a list")) {
            let drawn: Vec<u32> = (0..6).map(|_| rng.randint(*high)).collect();
            assert_eq!(drawn, numbers(expected), "below {high}");
        }
    }
    assert_eq!(draws.len(), 9);
}

/// One of each kind whose draws depend on the seed.
fn patterns(acceleration: f64) -> Vec<Pattern> {
    let spokes = Spokes::Acceleration(acceleration);
    vec![
        Pattern::FastMri(FastMri::new(Columns::Random, 0.08, acceleration)),
        Pattern::Gaussian(Gaussian::columns(acceleration, 6)),
        Pattern::Gaussian(Gaussian::points(acceleration, [6, 6])),
        Pattern::Poisson(Poisson::new(acceleration, [6, 6])),
        Pattern::Radial(Radial { spokes, angles: Angles::Golden, start_deg: None, axes: [Axis::H, Axis::W] }),
        Pattern::Spiral(Spiral::new(acceleration)),
    ]
}

#[test]
fn a_seed_gives_one_mask_whatever_the_number_of_threads_and_another_seed_another() {
    let shape = [2, 72, 80];
    let masks = |threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| {
            patterns(4.0).iter().map(|p| p.mask(shape, &seed.into()).expect("a mask")).collect::<Vec<_>>()
        })
    };
    let (one, four, other) = (masks(1, 7), masks(4, 7), masks(1, 8));
    assert_eq!(one, four);
    assert!(one.iter().zip(&other).all(|(a, b)| a.sampled != b.sampled));
    let reports: Vec<_> = one.iter().map(|mask| mask.report()).collect();
    assert_eq!(reports, four.iter().map(|mask| mask.report()).collect::<Vec<_>>());
}

/// Of [`patterns`] in order.
const PINNED: [u64; 6] = [454040, 976045, 83003, 148903, 45981, 119461];

/// A change of these is a change of what every seed means: say so in the changelog.
#[test]
fn masks_are_pinned() {
    let sums: Vec<u64> = patterns(4.0)
        .iter()
        .map(|pattern| {
            let mask = pattern.mask([1, 40, 48], &3.into()).expect("a mask").sampled;
            mask.iter()
                .enumerate()
                .filter(|(_, on)| **on)
                .fold(0, |sum, (i, _)| sum * 31 % 1_000_003 + i as u64)
        })
        .collect();
    assert_eq!(sums, PINNED);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn poisson_and_gaussian_hit_their_acceleration(
        h in 40_usize..150, w in 40_usize..150, acceleration in 2.0..12.0_f64, seed: u64, falloff in 0.0..5.0_f64,
        core in 0_usize..9, corners: bool,
    ) {
        let poisson = Poisson { falloff, crop_corners: corners, ..Poisson::new(acceleration, [core, core]) };
        for pattern in [Pattern::Poisson(poisson), Pattern::Gaussian(Gaussian::points(acceleration, [core, core]))] {
            let mask = pattern.mask([1, h, w], &seed.into()).expect("a mask").sampled;
            let sampled = mask.iter().filter(|on| **on).count();
            prop_assert_eq!(sampled, ((h * w) as f64 / acceleration).round() as usize);
            let real = (h * w) as f64 / sampled as f64;
            prop_assert!((real / acceleration - 1.0).abs() < 0.02, "{} for {}", real, acceleration);
            let box_start = |n: usize| (n - core).div_ceil(2);
            let centre = mask.slice(ndarray::s![
                0, box_start(h)..box_start(h) + core, box_start(w)..box_start(w) + core
            ]);
            prop_assert!(centre.iter().all(|on| *on));
        }
    }

    #[test]
    fn spirals_and_spokes_come_near_their_acceleration(
        h in 64_usize..140, w in 64_usize..140, acceleration in 2.0..8.0_f64, seed: u64, interleaves in 1_usize..9,
    ) {
        let spiral = Spiral { interleaves, ..Spiral::new(acceleration) };
        let mask = Pattern::Spiral(spiral).mask([1, h, w], &seed.into()).expect("a mask");
        let real = mask.report().acceleration;
        prop_assert!((real / acceleration - 1.0).abs() < 0.02, "spiral {} for {}", real, acceleration);
        for angles in [Angles::Golden, Angles::Uniform] {
            let spokes = Spokes::Acceleration(acceleration);
            let radial = Radial { spokes, angles, start_deg: None, axes: [Axis::H, Axis::W] };
            let mask = Pattern::Radial(radial).mask([1, h, w], &seed.into()).expect("a mask").sampled;
            let sampled = mask.iter().filter(|on| **on).count() as f64;
            // Within one spoke, which has no more places than this.
            let off = (sampled - (h * w) as f64 / acceleration).abs();
            prop_assert!(off <= 1.5 * h.max(w) as f64, "{:?} {} for {}", angles, off, acceleration);
        }
    }
}

#[test]
fn the_points_of_a_trajectory_are_where_the_mask_samples() {
    let (shape, seed) = ([3, 48, 70], Seed::from(4));
    let axes = [Axis::D, Axis::W];
    let radial = Radial { spokes: Spokes::Number(5), angles: Angles::Golden, start_deg: None, axes };
    let spiral = Spiral { turns: Turns::Number(3.0), ..Spiral::new(4.0) };
    for (mask, trajectory) in [
        (radial.mask(shape, &seed), radial.trajectory(shape, &seed)),
        (spiral.mask(shape, &seed), spiral.trajectory(shape, &seed)),
    ] {
        let (mask, trajectory) = (mask.expect("a mask").sampled, trajectory.expect("a trajectory"));
        assert_eq!(trajectory.points.nrows(), trajectory.density.len());
        let mut hits = ndarray::Array3::from_elem(mask.dim(), false);
        for point in trajectory.points.outer_iter() {
            let at = [0, 1, 2].map(|axis| (point[axis].round() + (shape[axis] / 2) as f32) as usize);
            if let Some(hit) = hits.get_mut(at) {
                *hit = true;
            }
        }
        // The third axis, along which the mask is constant, has the points' plane at its DC.
        let misses = mask.indexed_iter().filter(|&(index, on)| hits[index] && !on).count();
        assert_eq!(misses, 0);
        let sampled = mask.iter().filter(|on| **on).count();
        let planes =
            if mask.dim().0 == 3 && trajectory.points.column(0).iter().all(|x| *x == 0.0) { 3 } else { 48 };
        assert_eq!(sampled, planes * hits.iter().filter(|on| **on).count());
    }
}

#[test]
fn descriptions_survive_json_and_toml_and_refuse_unknown_keys() {
    let mut all = patterns(4.0);
    all.push(Pattern::Caipi(Caipi {
        steps: [2, 2],
        shift: 1,
        calibration: [8, 8],
        axes: [Axis::H, Axis::D],
    }));
    all.push(Pattern::PartialFourier(PartialFourier { fraction: 0.75, end: End::Low, axis: Axis::H }));
    all.push(Pattern::And { patterns: all[3..].to_vec() });
    for pattern in &all {
        let text = serde_json::to_string(pattern).expect("JSON");
        assert_eq!(&serde_json::from_str::<Pattern>(&text).expect("a pattern"), pattern, "{text}");
        let text = toml::to_string(pattern).expect("TOML");
        assert_eq!(&toml::from_str::<Pattern>(&text).expect("a pattern"), pattern, "{text}");
    }
    let short = "kind = \"poisson\"\nacceleration = 8.0\ncalibration = [24, 24]";
    assert_eq!(
        toml::from_str::<Pattern>(short).expect("a pattern"),
        Pattern::Poisson(Poisson::new(8.0, [24, 24]))
    );
    let wrong = short.replace("calibration", "callibration");
    assert!(toml::from_str::<Pattern>(&wrong).expect_err("unknown").to_string().contains("callibration"));
}

#[test]
fn impossible_requests_are_refused_with_the_parameter_s_name() {
    let refuse = |pattern: Pattern, shape: [usize; 3], seed: u64, key: &str| {
        let message = pattern.mask(shape, &seed.into()).expect_err(key).to_string();
        assert!(message.starts_with(key), "{key}: {message}");
    };
    let flat = [1, 64, 64];
    for acceleration in [0.5, 0.0, -4.0, f64::NAN, f64::INFINITY, 1e9] {
        for pattern in patterns(acceleration) {
            refuse(pattern, flat, 0, "acceleration");
        }
    }
    for pattern in patterns(4.0) {
        for axis in 0..3 {
            let mut shape = flat;
            shape[axis] = 0;
            refuse(pattern.clone(), shape, 0, "shape");
        }
    }
    refuse(Pattern::Gaussian(Gaussian::columns(4.0, 17)), flat, 0, "calibration");
    refuse(Pattern::Gaussian(Gaussian::columns(4.0, 65)), flat, 0, "calibration");
    refuse(
        Pattern::Gaussian(Gaussian { calibration: vec![4], ..Gaussian::points(4.0, [0; 2]) }),
        flat,
        0,
        "calibration",
    );
    refuse(Pattern::Gaussian(Gaussian { deviation: 0.0, ..Gaussian::columns(4.0, 4) }), flat, 0, "deviation");
    refuse(Pattern::Gaussian(Gaussian { axes: vec![], ..Gaussian::columns(4.0, 4) }), flat, 0, "axes");
    refuse(Pattern::Poisson(Poisson::new(8.0, [23, 23])), flat, 0, "calibration");
    refuse(Pattern::Poisson(Poisson::new(8.0, [65, 1])), flat, 0, "calibration");
    refuse(Pattern::Poisson(Poisson::new(1.1, [2, 2])), flat, 0, "acceleration: expected 1.2");
    refuse(
        Pattern::Poisson(Poisson { axes: [Axis::H, Axis::H], ..Poisson::new(8.0, [2, 2]) }),
        flat,
        0,
        "axes",
    );
    refuse(Pattern::Poisson(Poisson { falloff: -1.0, ..Poisson::new(8.0, [2, 2]) }), flat, 0, "falloff");
    refuse(Pattern::Spiral(Spiral::new(1.1)), flat, 0, "acceleration: expected 1.2");
    refuse(Pattern::Spiral(Spiral { turns: Turns::Number(f64::NAN), ..Spiral::new(4.0) }), flat, 0, "turns");
    refuse(Pattern::Spiral(Spiral { interleaves: 0, ..Spiral::new(4.0) }), flat, 0, "interleaves");
    let radial =
        |spokes| Radial { spokes, angles: Angles::Uniform, start_deg: None, axes: [Axis::H, Axis::W] };
    refuse(Pattern::Radial(radial(Spokes::Acceleration(1.1))), flat, 0, "acceleration: expected 1.2");
    refuse(Pattern::Radial(radial(Spokes::Number(0))), flat, 0, "spokes");
    // fastMRI: what the package refuses, or answers with something else than what was asked for.
    let columns = |kind, fraction, acceleration| Pattern::FastMri(FastMri::new(kind, fraction, acceleration));
    refuse(columns(Columns::EquispacedFraction, 0.25, 4.0), flat, 0, "calibration");
    refuse(columns(Columns::Random, 0.5, 4.0), flat, 0, "calibration");
    refuse(columns(Columns::MagicFraction, 0.3, 4.0), flat, 0, "calibration");
    refuse(columns(Columns::Equispaced, 0.08, 3.5), flat, 0, "acceleration: expected a whole number");
    refuse(columns(Columns::Magic, 1.5, 4.0), flat, 0, "centre_fractions");
    refuse(columns(Columns::Random, 0.08, 4.0), flat, 1 << 32, "seed");
    let unpaired = FastMri { accelerations: vec![4.0, 8.0], ..FastMri::new(Columns::Random, 0.08, 4.0) };
    refuse(Pattern::FastMri(unpaired), flat, 0, "centre_fractions, accelerations");
    let nameless = columns(Columns::Random, 0.08, 4.0).mask(flat, &Seed::Name(String::new()));
    assert!(nameless.expect_err("no name").to_string().starts_with("seed"));
}
