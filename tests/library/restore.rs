//! The networks inside the program, on a phantom that none of them was trained on.

use burn::backend::Flex;
use ndarray::{Array3, Array4, Axis};
use voxgan::acquisition::encoding::{Encoding, Sampling};
use voxgan::acquisition::sampling::{Angles, Axis as Encoded, Columns, FastMri, Pattern, Radial, Spokes};
use voxgan::acquisition::{Complex32, LinearOperator as _};
use voxgan::config::HeadRecipe;
use voxgan::heads::{
    Case, Inpaint, Motion, Network, Progress, Superres, Translate, blocks, interpolated, measure, restore,
};
use voxgan::pipeline;
use voxgan::pretrained::{TrainedRestorer, restorer};
use voxgan::random::{Purpose, stream};
use voxgan::recon::{Acquired, ZeroFilled};
use voxgan::simulate::phantom::{BrainPhantom, Contrast, centred_grid};
use voxgan::volume::resample::Interpolation;
use voxgan::volume::{Volume, VoxelToWorld};

/// The middle of a T1-weighted head at 1 mm, `[1, D, H, W]`, its brightest tissue one.
fn phantom(shape: [usize; 3]) -> Array4<f32> {
    weighted(shape, Contrast::T1)
}

fn weighted(shape: [usize; 3], contrast: Contrast) -> Array4<f32> {
    let brain = BrainPhantom { head_scale: 1.0, ventricle_scale: 1.0, seed: 0 };
    let volume = brain.volume(&centred_grid(shape, [1.0; 3]).unwrap(), contrast).expect("a phantom");
    let most = volume.data.iter().copied().fold(0.0, f32::max);
    volume.data.mapv(|x| x / most)
}

fn open(name: &str) -> TrainedRestorer<Flex> {
    TrainedRestorer::open(name, &Default::default()).expect("weights inside the program")
}

fn error(image: &Array4<f32>, truth: &Array4<f32>) -> f32 {
    (image - truth).mapv(|d| d * d).mean().expect("voxels").sqrt()
}

fn made(trained: &TrainedRestorer<Flex>, case: &Case) -> Array4<f32> {
    restore(&trained.network, case, blocks(&trained.recipe), 1.0, &Default::default())
        .expect("an image")
        .image
}

#[test]
fn each_is_at_most_a_megabyte() {
    let names: Vec<_> = restorer::embedded_names().collect();
    for name in ["superres", "recon", "motion", "inpaint", "translate", "progress"] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
    for name in names {
        let path = format!("weights/{name}.safetensors");
        let bytes = std::fs::metadata(&path).expect(&path).len();
        assert!(bytes <= 1_048_576, "{name}: {bytes} bytes");
        let card = std::fs::read_to_string(format!("weights/{name}.md")).expect("a model card");
        assert!(
            open(name).name.split("sha256:").nth(1).is_some_and(|sha| card.contains(sha)),
            "{name}'s card"
        );
    }
}

#[test]
fn super_resolution_beats_cubic_interpolation() {
    let trained = open(restorer::SUPERRES);
    let HeadRecipe::Superres(recipe) = &trained.recipe.head else { panic!("weights of superres") };
    let superres = Superres::new(recipe);
    let truth = phantom([64, 72, 64]);
    for factor in [[2, 2, 2], [4, 4, 4], [4, 1, 1]] {
        let measured = measure(&truth, &superres.profiles(factor));
        let cubic = error(&interpolated(&measured, factor, Interpolation::Cubic), &truth);
        let case = superres.case(&measured, factor).expect("a case");
        let found = error(&made(&trained, &case), &truth);
        // By a decibel at least.
        assert!(found < 0.89 * cubic, "{factor:?}: {found} beside {cubic}");
    }
}

#[test]
fn reconstruction_beats_the_zero_filled_image() {
    let trained = open(restorer::RECON);
    let truth = phantom([160, 160, 1]);
    let image = truth.index_axis(Axis(0), 0).mapv(|x| Complex32::from_polar(x, 0.7));
    let (d, h, w) = image.dim();
    let patterns = [
        Pattern::Radial(Radial {
            spokes: Spokes::Acceleration(4.0),
            angles: Angles::Golden,
            start_deg: Some(0.0),
            axes: [Encoded::H, Encoded::W],
        }),
        Pattern::FastMri(FastMri { offset: Some(1), ..FastMri::new(Columns::Equispaced, 0.08, 4.0) }),
    ];
    for pattern in patterns {
        let mask: Array3<bool> = pattern.mask([d, h, w], &0.into()).expect("a mask").sampled;
        let mut encoding = Encoding::full([d, h, w], [1.0; 3]);
        encoding.sampling = Sampling::Mask(mask.clone());
        let samples = encoding.operator().expect("an operator").forward(image.clone().into_dyn());
        let samples: Array4<Complex32> = samples.into_dimensionality().expect("k-space of rank four");
        let maps = Array4::ones((1, d, h, w));
        let (kspace, sampled) = (samples.view(), mask.view());
        let acquired = Acquired::still(kspace, sampled, maps.view(), &[2, 3]);
        let of = |image: Array3<Complex32>| error(&image.mapv(|z| z.norm()).insert_axis(Axis(0)), &truth);
        let baseline = of(acquired.reconstruct(&ZeroFilled).expect("an image").image);
        let method = Network {
            name: &trained.name,
            network: &trained.network,
            recipe: &trained.recipe,
            consistency: 1.0,
            device: &Default::default(),
        };
        let found = acquired.reconstruct(&method).expect("an image");
        let learned = found.learned.expect("what the image rests on");
        // What was added is the part that the samples do not determine: none of it is measured.
        let null_space = encoding.operator().expect("an operator").forward(learned.null_space.into_dyn());
        assert!(null_space.iter().all(|k| k.norm() < 1e-3), "what was added is among the samples");
        let found = of(found.image);
        // By a decibel at least.
        assert!(found < 0.89 * baseline, "{found} beside {baseline}");
    }
}

#[test]
fn motion_correction_takes_ghosts_away() {
    let trained = open(restorer::MOTION);
    let HeadRecipe::Motion(recipe) = &trained.recipe.head else { panic!("weights of motion") };
    let truth = Volume::new(phantom([96, 112, 96]), VoxelToWorld::identity());
    let (mut before, mut after) = (0.0, 0.0);
    for seed in 0..3 {
        let mut rng = stream(seed, 0, 0, 0, Purpose::Degradation);
        let moved = recipe.motion.draw(&truth, &mut rng).expect("a motion").apply(&truth).expect("an image");
        let case = Motion::new(recipe).unknown(moved.volume.data.clone());
        before += error(&moved.volume.data, &truth.data);
        after += error(&made(&trained, &case), &truth.data);
    }
    assert!(after < before, "{after} beside {before}");
}

#[test]
fn missing_slices_are_filled_better_than_harmonically() {
    let trained = open(restorer::INPAINT);
    let HeadRecipe::Inpaint(recipe) = &trained.recipe.head else { panic!("weights of inpaint") };
    let truth = phantom([64, 72, 64]);
    let known = Array3::from_shape_fn((64, 72, 64), |(z, ..)| !(31..34).contains(&z));
    let case = Inpaint::new(recipe).case(&truth, &known).expect("a case");
    let found = made(&trained, &case);
    let known = known.insert_axis(Axis(0));
    assert!(found.iter().zip(&truth).zip(&known).all(|((a, b), known)| !known || a == b));
    let (baseline, found) = (error(&case.initial, &truth), error(&found, &truth));
    assert!(found < baseline, "{found} beside {baseline}");
}

#[test]
fn translation_beats_the_best_line_of_intensities() {
    let trained = open(restorer::TRANSLATE);
    let HeadRecipe::Translate(recipe) = &trained.recipe.head else { panic!("weights of translate") };
    let [source, truth] = [Contrast::T1, Contrast::T2].map(|contrast| weighted([96, 112, 96], contrast));
    let found = made(&trained, &Translate::new(recipe).case(source.clone()));
    let mean = |image: &Array4<f32>| image.mean().expect("voxels");
    let (x, y) = (&source - mean(&source), &truth - mean(&truth));
    let line = &x * ((&x * &y).sum() / (&x * &x).sum()) + mean(&truth);
    let (line, found) = (error(&line, &truth), error(&found, &truth));
    assert!(found < line, "{found} beside {line}");
}

/// Dark fluid takes the place of brain: the more, the more years lie between, and the faster the group.
#[test]
fn brains_lose_tissue_with_the_years() {
    let trained = open(restorer::PROGRESS);
    let HeadRecipe::Progress(recipe) = &trained.recipe.head else { panic!("weights of progress") };
    let now = phantom([96, 112, 96]);
    let lost = |years: f64, group: &str| {
        let case = Progress::new(recipe).case(now.clone(), years, Some(group)).expect("a case");
        (&now - &made(&trained, &case)).sum() / now.sum()
    };
    let (few, many) = (lost(2.0, "healthy"), lost(10.0, "healthy"));
    let fast = lost(10.0, "alzheimers");
    assert!(few.abs() < many && many < fast && fast < 0.2, "{few}, {many}, {fast}");
}

/// A network that is opened once restores volumes in memory as it does cases, in their own values and along their own axes.
#[test]
fn a_restorer_takes_volumes() {
    let grid = centred_grid([32, 36, 40], [1.0, 1.0, 2.0]).unwrap();
    let (scan, original) = {
        let phantom = BrainPhantom::default().volume(&grid, Contrast::T1).expect("a phantom");
        // Left to right turned round: axes are those of the scan again at the end.
        let mut turned = phantom.clone();
        turned.data.invert_axis(Axis(3));
        let mut steps = turned.affine.steps_mm();
        steps.column_mut(0).neg_mut();
        let origin = turned.affine.world_mm([31.0, 0.0, 0.0]);
        turned.affine = VoxelToWorld::from_axes(&steps, &origin).unwrap();
        (turned, phantom)
    };
    let restorer =
        pipeline::Restorer::open(restorer::SUPERRES, pipeline::Device::Cpu).expect("weights inside");
    let problem = pipeline::restore::Problem::Superres([1, 1, 2]);
    let [turned, upright] =
        [&scan, &original].map(|scan| restorer.restore(scan, &problem, 1.0).expect("a restored volume"));
    assert_eq!(turned.image.dims(), [32, 36, 80]);
    assert!(turned.residuals.is_some_and(|[.., result]| result < 1e-4));
    let mut back = turned.image.data.clone();
    back.invert_axis(Axis(3));
    let most = original.data.iter().copied().fold(0.0, f32::max);
    assert!(error(&back, &upright.image.data) < 1e-6 * most);
    // Means over the measured voxels are what they were.
    let means = Array4::from_shape_fn(original.data.dim(), |(_, z, y, x)| {
        0.5 * (upright.image.data[(0, 2 * z, y, x)] + upright.image.data[(0, 2 * z + 1, y, x)])
    });
    assert!(error(&means, &original.data) < 1e-4 * most);
    let other = pipeline::restore::Problem::Motion;
    let refused = restorer.restore(&original, &other, 1.0).expect_err("weights of another head").to_string();
    assert!(refused.contains("superres"), "{refused}");
}

fn opened(name: &str) -> pipeline::Restorer {
    pipeline::Restorer::open(name, pipeline::Device::Cpu).expect("weights inside")
}

/// A head in the values of a scanner, on voxels of this size.
fn scan(shape: [usize; 3], spacing_mm: [f64; 3]) -> Volume {
    let brain = BrainPhantom { head_scale: 1.0, ventricle_scale: 1.0, seed: 0 };
    let mut volume =
        brain.volume(&centred_grid(shape, spacing_mm).unwrap(), Contrast::T1).expect("a phantom");
    let most = volume.data.iter().copied().fold(0.0, f32::max);
    volume.data.mapv_inplace(|x| 1234.5 * x / most);
    volume
}

/// Stacks of sagittal and coronal slices are turned for a network that knows axial ones, and gain as much or nearly.
#[test]
fn stacks_along_any_axis_become_finer() {
    let truth = scan([64, 72, 64], [1.0; 3]);
    let superres = opened(restorer::SUPERRES);
    for axis in 0..3 {
        let mut factor = [1; 3];
        factor[axis] = 4; // (i, j, k)
        let of_array = [factor[2], factor[1], factor[0]];
        let coarse = Array4::from_shape_fn(
            (1, 64 / of_array[0], 72 / of_array[1], 64 / of_array[2]),
            |(_, z, y, x)| {
                (0..4)
                    .map(|n| {
                        let at = |place: usize, axis: usize| {
                            if of_array[axis] == 4 { 4 * place + n } else { place }
                        };
                        truth.data[(0, at(z, 0), at(y, 1), at(x, 2))]
                    })
                    .sum::<f32>()
                    / 4.0
            },
        );
        let mut middle = [0.0; 3];
        middle[axis] = 1.5;
        let affine = truth.affine.with_origin_at(middle).stretched(axis, 4.0);
        let thick = Volume::new(coarse, affine);
        let problem = pipeline::restore::Problem::Superres(factor);
        let found = superres.restore(&thick, &problem, 1.0).expect("a restored volume");
        assert!((*found.image.affine - *truth.affine).abs().max() < 1e-9);
        let (cubic, network) =
            (error(&found.baseline.data, &truth.data), error(&found.image.data, &truth.data));
        // By a decibel at least.
        assert!(network < 0.89 * cubic, "{factor:?}: {network} beside {cubic}");
        // Nothing is darker than air, and where a slice is air all of it is.
        assert!(found.image.data.iter().all(|&x| x >= 0.0), "{factor:?}");
        for ((_, z, y, x), &value) in thick.data.indexed_iter().filter(|(_, value)| **value == 0.0) {
            let [z, y, x] = [(z, 0), (y, 1), (x, 2)].map(|(at, axis)| at * of_array[axis]);
            assert_eq!((value, found.image.data[(0, z, y, x)]), (0.0, 0.0));
        }
        assert!(found.residuals.is_some_and(|[.., result]| result < 1e-5));
    }
}

/// Voxels outside the mask stay to the bit, whatever the scale, and those of another size that are resampled for the network.
#[test]
fn voxels_that_are_not_missing_stay_to_the_bit() {
    let inpaint = opened(restorer::INPAINT);
    for (scale, spacing_mm) in [(1.0, 1.0), (1e-3, 1.0), (1e6, 1.0), (1.0, 3.0)] {
        let mut scan = scan([24, 28, 20], [spacing_mm; 3]);
        scan.data.mapv_inplace(|x| (x + 1.2345) * scale);
        let mut mask = Volume::new(Array4::zeros(scan.data.dim()), scan.affine);
        mask.data.slice_mut(ndarray::s![.., 5..9, 6..12, 4..9]).fill(1.0);
        let problem = pipeline::restore::Problem::Inpaint(mask.clone());
        let found = inpaint.restore(&scan, &problem, 1.0).expect("a restored volume");
        for image in [&found.image.data, &found.baseline.data] {
            let kept = image.iter().zip(&scan.data).zip(&mask.data).filter(|(_, missing)| **missing == 0.0);
            assert!(kept.into_iter().all(|((a, b), _)| a == b), "{scale}, {spacing_mm} mm");
        }
        assert_ne!(found.image.data, scan.data);
    }
}

/// A spike, a spoilt slice, a fill far below zero or another scale of values change a restored brain by less than 0.1 % of its mean.
#[test]
fn what_is_no_signal_does_not_reach_a_network() {
    let translate = opened(restorer::TRANSLATE).keeping_spacing(true);
    let plain = scan([48, 56, 48], [4.0; 3]);
    let of = |scan: &Volume| {
        let problem = pipeline::restore::Problem::Translate { backward: false };
        translate.restore(scan, &problem, 1.0).expect("a restored volume").image.data
    };
    let expected = of(&plain);
    let brain = expected.slice(ndarray::s![.., 12..36, 14..42, 12..36]).to_owned();
    let mean = brain.mean().expect("voxels");
    let with = |change: &dyn Fn(&mut Array4<f32>)| {
        let mut scan = plain.clone();
        change(&mut scan.data);
        of(&scan)
    };
    let off = |found: Array4<f32>, scale: f32| {
        let inside = found.slice(ndarray::s![.., 12..36, 14..42, 12..36]).mapv(|x| x / scale);
        (&inside - &brain).mapv(f32::abs).mean().expect("voxels") / mean
    };
    assert!(off(with(&|data| data[(0, 1, 1, 1)] = 1e7), 1.0) < 1e-3);
    assert!(off(with(&|data| data.index_axis_mut(Axis(3), 0).fill(2e4)), 1.0) < 1e-3);
    assert!(off(with(&|data| data.mapv_inplace(|x| if x == 0.0 { -1024.0 } else { x })), 1.0) < 1e-3);
    for scale in [1e-6, 1e6] {
        assert!(off(with(&|data| data.mapv_inplace(|x| x * scale)), scale) < 1e-3, "{scale}");
    }
}

/// Voxels of 2 mm are brought to the 1 mm that the networks learned on, and the result back; super-resolution refuses a result of
/// 2 mm. Both can be told to take voxels as they are.
#[test]
fn voxels_of_another_size_are_resampled_or_refused() {
    let coarse = scan([48, 56, 48], [2.0; 3]);
    let problem = pipeline::restore::Problem::Motion;
    let found = opened(restorer::MOTION).restore(&coarse, &problem, 1.0).expect("a restored volume");
    assert_eq!((found.image.dims(), found.image.affine), (coarse.dims(), coarse.affine));
    assert_eq!(found.baseline.data, coarse.data);
    assert!(found.image.provenance.steps.iter().any(|step| step.contains("2.0") && step.contains("1.0")));
    let kept =
        opened(restorer::MOTION).keeping_spacing(true).restore(&coarse, &problem, 1.0).expect("a volume");
    assert!(!kept.image.provenance.steps.iter().any(|step| step.contains("resampled")));
    assert_ne!(kept.image.data, found.image.data);
    let problem = pipeline::restore::Problem::Superres([1, 1, 2]);
    let refused = opened(restorer::SUPERRES).restore(&coarse, &problem, 1.0).expect_err("2 mm").to_string();
    assert!(refused.contains("1.0, 1.0, 1.0") && refused.contains("2.0, 2.0, 1.0"), "{refused}");
    assert!(opened(restorer::SUPERRES).keeping_spacing(true).restore(&coarse, &problem, 1.0).is_ok());
    let problem = pipeline::restore::Problem::Superres([5, 1, 1]);
    let refused = opened(restorer::SUPERRES).restore(&scan([16, 16, 16], [5.0, 1.0, 1.0]), &problem, 1.0);
    let refused = refused.expect_err("another factor").to_string();
    assert!(refused.contains("1,1,4") && refused.contains("5,1,1"), "{refused}");
}
