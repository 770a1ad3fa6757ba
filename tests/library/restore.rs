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
use voxgan::volume::Volume;
use voxgan::volume::resample::Interpolation;

/// The middle of a T1-weighted head at 1 mm, `[1, D, H, W]`, its brightest tissue one.
fn phantom(shape: [usize; 3]) -> Array4<f32> {
    weighted(shape, Contrast::T1)
}

fn weighted(shape: [usize; 3], contrast: Contrast) -> Array4<f32> {
    let brain = BrainPhantom { head_scale: 1.0, ventricle_scale: 1.0, seed: 0 };
    let volume = brain.volume(&centred_grid(shape, [1.0; 3]), contrast).expect("a phantom");
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
    let truth = Volume::new(phantom([96, 112, 96]), nalgebra::Matrix4::identity());
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
    let grid = centred_grid([32, 36, 40], [2.0; 3]);
    let (scan, original) = {
        let phantom = BrainPhantom::default().volume(&grid, Contrast::T1).expect("a phantom");
        // Left to right turned round: axes are those of the scan again at the end.
        let mut turned = phantom.clone();
        turned.data.invert_axis(Axis(3));
        let last = 31.0 * turned.affine[(0, 0)];
        turned.affine[(0, 3)] += last;
        turned.affine[(0, 0)] *= -1.0;
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
