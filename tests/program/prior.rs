//! A generator as prior: what is in its range is found again, the prior of w is that of its mapping network, what was not
//! measured is less certain, and the result is held to the measurement.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::backend::{Autodiff, Flex};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use ndarray::{Array3, Array4, s};
use serde_json::Value;
use voxgan::config::NetworkRecipe;
use voxgan::convert::{image_to_tensor, tensor_to_image};
use voxgan::gan::{Generator, Truncation};
use voxgan::heads::prior::{
    FitSettings, LatentPrior, Observed, Operator, Prior, Reconstructed, collinearity, reconstruct,
};
use voxgan::heads::{Measurement, measure};
use voxgan::io::nifti::{self, WriteOptions};
use voxgan::io::npy;
use voxgan::nn::parameters::replace;
use voxgan::ops::{backward, tape};
use voxgan::pipeline::{self, Event, Progress};
use voxgan::random::{Purpose, normal, stream};
use voxgan::volume::Volume;
use voxgan::volume::crop::Centre;

use crate::program::{printed, refused};

const GRID: [usize; 3] = [16; 3];
const Z: usize = 6;

fn draw<B: Backend, const R: usize>(shape: [usize; R], number: u64) -> Tensor<B, R> {
    let values = normal(&mut stream(3, 0, 0, number, Purpose::Latent), shape.iter().product());
    Tensor::from_data(TensorData::new(values, shape), &Default::default())
}

fn values<B: Backend, const R: usize>(x: Tensor<B, R>) -> Vec<f32> {
    x.into_data().iter::<f32>().collect()
}

fn number<B: Backend>(x: Tensor<B, 1>) -> f64 {
    f64::from(values(x)[0])
}

/// A tiny generator whose biases and noise strengths are not zero.
fn generator<B: Backend>(condition_dim: usize) -> Generator<B> {
    let network = NetworkRecipe {
        base: [4; 3],
        factors: vec![[2; 3]; 2],
        channel_base: Some(64),
        channel_max: Some(12),
        channels: None,
        z_dim: Z,
        w_dim: 8,
        mapping_layers: 2,
        image_channels: 1,
        minibatch_group: 2,
        discriminator_channel_base: None,
        discriminator_channel_max: None,
        discriminator_channels: None,
        discriminator_fc_channels: None,
    };
    let generator = Generator::<B>::init(&network, condition_dim, 1, &Default::default());
    let mut number = 100;
    replace(generator, |_, x: Tensor<B, 1>| {
        number += 1;
        let shape = x.dims();
        x + draw(shape, number) * 0.3
    })
}

fn prior() -> Prior<Flex> {
    Prior::of(&generator(0), Z, None, &Default::default())
}

/// An image of the generator's, `[1, D, H, W]`.
fn truth(prior: &Prior<Flex>, seed: u64) -> Array4<f32> {
    let ws = generator::<Flex>(0).styles(draw([1, Z], seed), None, Truncation::OFF);
    tensor_to_image(prior.image(ws, &[]))
}

/// A box in the middle is missing.
fn hole() -> Array3<bool> {
    let inside = |at: usize| (3..13).contains(&at);
    Array3::from_shape_fn(GRID, |(z, y, x)| !(inside(z) && inside(y) && inside(x)))
}

/// Lines of k-space: the middle ones, and every third.
fn lines() -> Array3<bool> {
    Array3::from_shape_fn(GRID, |(_, y, _)| (6..10).contains(&y) || y % 3 == 0)
}

/// Operators, and what each is given of a true image.
fn operators(truth: &Array4<f32>) -> Vec<(Operator, Array4<f32>)> {
    let superres = Operator::Superres([2, 4, 2]);
    // Means over boxes, without the toolkit's operator.
    let coarse = Array4::from_shape_fn((1, 8, 4, 8), |(_, z, y, x)| {
        truth.slice(s![0, 2 * z..2 * z + 2, 4 * y..4 * y + 4, 2 * x..2 * x + 2]).mean().expect("voxels")
    });
    let mut torn = truth.clone();
    torn.slice_mut(s![0, .., .., ..]).zip_mut_with(&hole(), |x, &known| *x = if known { *x } else { 1e3 });
    vec![(superres, coarse), (Operator::Inpaint(hole()), torn), (Operator::Kspace(lines()), truth.clone())]
}

fn settings() -> FitSettings {
    FitSettings {
        steps: 250,
        learning_rate: 0.1,
        sigma: 0.02,
        kappa: 1.0,
        samples: 1,
        ..FitSettings::default()
    }
}

fn solve(
    prior: &Prior<Flex>,
    (operator, image): &(Operator, Array4<f32>),
    settings: &FitSettings,
) -> Reconstructed {
    let case = operator.case(image).unwrap();
    reconstruct(prior, &case, settings, 1.0, &Default::default(), &mut |_| Ok(())).unwrap()
}

/// The root mean square of a difference.
fn apart(a: &Array4<f32>, b: &Array4<f32>) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
    (squares / a.len() as f64).sqrt()
}

/// What the generator can make is found again from what was measured of it, far better than by the baseline or by the mean w.
#[test]
fn an_image_in_the_range_is_found_again() {
    let prior = prior();
    let mean = prior.latent.styles(Tensor::zeros([1, prior.num_ws(), 8], &Default::default()));
    let mean = prior.image(mean, &[]);
    let truth = truth(&prior, 1);
    for problem in operators(&truth) {
        let name = problem.0.name();
        let case = problem.0.case(&problem.1).unwrap();
        let observed = Observed::<Flex>::new(&case.measurement, GRID, &Default::default()).unwrap();
        let found = solve(&prior, &problem, &settings());
        let (before, residuals) =
            (observed.residual(mean.clone()).unwrap(), found.restored.residuals.unwrap());
        assert!(residuals[1] < 0.1 * before, "{name}: {residuals:?} beside {before} of the mean");
        let baseline = apart(&case.initial.slice(s![..1, .., .., ..]).to_owned(), &truth);
        let of_mean = apart(&tensor_to_image(mean.clone()), &truth);
        let error = apart(&found.restored.image, &truth);
        println!(
            "{name}: residual {:.4} of {before:.3}; error {error:.4}, baseline {baseline:.4}, mean {of_mean:.4}",
            residuals[1]
        );
        assert!(
            error < 0.5 * baseline && error < 0.3 * of_mean,
            "{name}: {error} beside {baseline} and {of_mean}"
        );
        assert_eq!((found.samples.len(), found.deviation.is_none()), (1, true));
    }
}

/// Noise inputs that are fitted too explain more of an image that is not in the range.
#[test]
fn noise_inputs_explain_what_w_cannot() {
    let prior = prior();
    let image = truth(&prior, 2);
    let values = normal(&mut stream(9, 0, 0, 0, Purpose::Noise), image.len());
    let image = image + Array4::from_shape_vec((1, 16, 16, 16), values).unwrap() * 0.05;
    let problem = (Operator::Inpaint(hole()), image);
    let plain = FitSettings { steps: 60, ..settings() };
    let [without, with] = [false, true].map(|noise| {
        let found = solve(&prior, &problem, &FitSettings { noise, ..plain });
        found.restored.residuals.unwrap()[1]
    });
    assert!(with < 0.9 * without, "{with} with noise inputs, {without} without");
}

/// Mean and deviation of w are those of what the mapping network gives, latent by latent; with a condition too.
#[test]
fn the_prior_of_w_is_that_of_the_mapping_network() {
    for condition_dim in [0, 3] {
        let generator = generator::<Flex>(condition_dim);
        let condition = (condition_dim > 0).then(|| draw::<Flex, 2>([1, condition_dim], 77));
        let z = draw::<Flex, 2>([200, Z], 5);
        let prior = LatentPrior::of(&generator.mapping, z.clone(), condition.clone());
        let ws: Vec<Vec<f32>> = (0..200)
            .map(|i| values(generator.mapping.forward(Some(z.clone().narrow(0, i, 1)), condition.clone())))
            .collect();
        let (mean, deviation) = (values(prior.mean), values(prior.deviation));
        for k in 0..8 {
            let m = ws.iter().map(|w| f64::from(w[k])).sum::<f64>() / 200.0;
            let s = (ws.iter().map(|w| (f64::from(w[k]) - m).powi(2)).sum::<f64>() / 200.0).sqrt();
            assert!((f64::from(mean[k]) - m).abs() < 1e-4 * (1.0 + m.abs()), "{} for {m}", mean[k]);
            assert!((f64::from(deviation[k]) - s).abs() < 1e-4 * (1.0 + s), "{} for {s}", deviation[k]);
        }
    }
    // A generator's own prior is that of many latents.
    let few = LatentPrior::of(&generator::<Flex>(0).mapping, draw([4000, Z], 6), None);
    let many = prior().latent;
    let apart = (few.mean - many.mean) / many.deviation.clone();
    assert!(values(apart).iter().all(|x| x.abs() < 0.1));
    let ratio = few.deviation / many.deviation;
    assert!(values(ratio).iter().all(|x| (x - 1.0).abs() < 0.1));
}

/// The sum of cosines, pair by pair.
#[test]
fn collinearity_is_the_sum_of_cosines() {
    let ws = draw::<Flex, 3>([1, 5, 8], 8);
    let rows: Vec<Vec<f64>> =
        values(ws.clone()).chunks(8).map(|row| row.iter().map(|&x| f64::from(x)).collect()).collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut sum = 0.0;
    for l in 0..5 {
        for m in l + 1..5 {
            sum += dot(&rows[l], &rows[m]) / (dot(&rows[l], &rows[l]) * dot(&rows[m], &rows[m])).sqrt();
        }
    }
    assert!((number(collinearity(ws)) - sum).abs() < 1e-4);
    let same = draw::<Flex, 3>([1, 1, 8], 9).expand([1, 5, 8]);
    assert!((number(collinearity(same)) - 10.0).abs() < 1e-4);
}

/// Where voxels are missing, samples of the posterior differ more than where they are known, before they are held to them.
#[test]
fn samples_differ_where_nothing_was_measured() {
    let prior = prior();
    let image = truth(&prior, 3);
    // Known is one face of the volume.
    let known = Array3::from_shape_fn(GRID, |(z, ..)| z < 3);
    let case = Operator::Inpaint(known.clone()).case(&image).unwrap();
    let settings = FitSettings { samples: 24, sigma: 0.1, ..settings() };
    let run = |weight: f64| {
        reconstruct(&prior, &case, &settings, weight, &Default::default(), &mut |_| Ok(())).unwrap()
    };
    let free = run(0.0);
    let over = |map: &Array4<f32>, wanted: bool| {
        let chosen: Vec<f64> = map
            .iter()
            .zip(&known)
            .filter(|(_, known)| **known == wanted)
            .map(|(&x, _)| f64::from(x).powi(2))
            .collect();
        (chosen.iter().sum::<f64>() / chosen.len() as f64).sqrt()
    };
    let map = free.deviation.as_ref().unwrap();
    let (inside, outside) = (over(map, false), over(map, true));
    // Beside what the prior alone leaves open there: more is left where nothing was measured.
    let v = |n: u64| draw::<Flex, 3>([1, prior.num_ws(), 8], 1000 + n);
    let images: Vec<Array4<f32>> =
        (0..64).map(|n| tensor_to_image(prior.image(prior.latent.styles(v(n)), &[]))).collect();
    let mean = images.iter().fold(Array4::<f32>::zeros(image.dim()), |sum, x| sum + x) / 64.0;
    let spread =
        images.iter().fold(Array4::<f32>::zeros(image.dim()), |sum, x| sum + (x - &mean).mapv(|x| x * x));
    let spread = (spread / 64.0).mapv(f32::sqrt);
    let left = [inside / over(&spread, false), outside / over(&spread, true)];
    println!(
        "deviation {inside:.4} where nothing was measured, {outside:.4} elsewhere; of the prior's {left:.3?}"
    );
    assert!(inside > 1.1 * outside && outside > 0.0, "{inside} beside {outside}");
    assert!(left[0] > left[1] && left[1] < 0.5, "of the prior's: {left:?}");
    // Held to what is known, they agree there, and the result is their mean.
    let held = run(1.0);
    assert_eq!(over(held.deviation.as_ref().unwrap(), true), 0.0);
    let mean = held.samples.iter().fold(Array4::zeros(image.dim()), |sum, sample| sum + sample) / 24.0;
    assert!(apart(&mean, &held.restored.image) < 1e-5);
    // The same seed gives the same samples, and another one others.
    assert_eq!(run(1.0).samples[7], held.samples[7]);
}

/// The misfit's gradient in the image and in w is that of central differences.
#[test]
fn the_misfit_has_the_gradient_of_its_differences() {
    type A = Autodiff<Flex>;
    let truth = truth(&prior(), 4);
    let prior = Prior::<A>::of(&generator(0), Z, None, &Default::default());
    for (operator, image) in operators(&truth) {
        let name = operator.name();
        let case = operator.case(&image).unwrap();
        let observed = Observed::<A>::new(&case.measurement, GRID, &Default::default()).unwrap();
        let _tape = tape();
        let check = |what: &str, exact: f64, difference: f64, tolerance: f64| {
            let error = (exact - difference).abs() / exact.abs();
            assert!(error < tolerance, "{name}, {what}: {exact} beside {difference}");
        };
        // A quadratic's central differences are exact.
        let (x, way) = (draw::<A, 5>([1, 1, 16, 16, 16], 11), draw::<A, 5>([1, 1, 16, 16, 16], 12));
        let x = x.require_grad();
        let gradient = x.grad(&backward(&observed.misfit(x.clone()))).unwrap();
        let slope = number((gradient * way.clone().inner()).sum());
        let at = |step: f64| number(observed.misfit(x.clone() + way.clone() * step));
        check("image", slope, (at(0.5) - at(-0.5)) / 1.0, 2e-3);
        // Along the gradient, so that rounding stays small beside the slope.
        let ws =
            (prior.latent.styles(draw::<A, 3>([1, prior.num_ws(), 8], 13) * 0.5)).detach().require_grad();
        let of = |ws: Tensor<A, 3>| observed.misfit(prior.image(ws, &[]));
        let gradient = ws.grad(&backward(&of(ws.clone()))).unwrap();
        let length = number(gradient.clone().powi_scalar(2).sum()).sqrt();
        let way = Tensor::<A, 3>::from_inner(gradient / length);
        let at = |step: f64| number(of(ws.clone() + way.clone() * step));
        check("w", length, (at(1e-3) - at(-1e-3)) / 2e-3, 2e-2);
    }
}

/// After a few steps from which nothing good comes, the result gives the measurement all the same, and what was added has no
/// part in that.
#[test]
fn results_give_the_measurement() {
    let prior = prior();
    let truth = truth(&prior, 5);
    let few = FitSettings { steps: 3, samples: 2, ..settings() };
    for problem in operators(&truth) {
        let name = problem.0.name();
        let found = solve(&prior, &problem, &few);
        let [baseline, made, result] = found.restored.residuals.unwrap();
        println!("{name}: baseline {baseline:.2e}, generator {made:.2e}, result {result:.2e}");
        assert!(made > 0.05 && result < 1e-5, "{name}: {made}, {result}");
        let case = problem.0.case(&problem.1).unwrap();
        let observed = Observed::<Flex>::new(&case.measurement, GRID, &Default::default()).unwrap();
        let tensor = |image: &Array4<f32>| image_to_tensor::<Flex>(image, &Default::default());
        // What was added measures nothing: with and without it, the misfit is the same.
        let without = tensor(&(&found.restored.image - &found.restored.null_space));
        assert!(observed.residual(without).unwrap() < 1e-4, "{name}: what was added is seen");
    }
    // The toolkit's means are those of boxes.
    let (operator, coarse) = operators(&truth).swap_remove(0);
    let Measurement::Means { profiles, .. } = operator.case(&coarse).unwrap().measurement else {
        panic!("means")
    };
    assert!(apart(&measure(&truth, &profiles), &coarse) < 1e-6);
}

#[test]
fn what_does_not_fit_is_told() {
    let prior = prior();
    let image = Array4::from_elem((1, 16, 16, 16), 0.5);
    let wrong: Vec<(Operator, &str)> = vec![
        (Operator::Superres([1; 3]), "factor"),
        (Operator::Inpaint(Array3::from_elem(GRID, false)), "a known voxel"),
        (Operator::Inpaint(Array3::from_elem([8, 16, 16], true)), "mask"),
        (Operator::Kspace(Array3::from_elem(GRID, false)), "a measured place"),
        (Operator::Kspace(Array3::from_elem([1, 16, 16], true)), "mask"),
    ];
    for (operator, part) in wrong {
        let error = operator.case(&image).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let run = |operator: Operator, settings: FitSettings| {
        let case = operator.case(&image).unwrap();
        let found = reconstruct(&prior, &case, &settings, 1.0, &Default::default(), &mut |_| Ok(()));
        found.unwrap_err().to_string()
    };
    assert!(run(Operator::Superres([2; 3]), settings()).contains("the generator's [16, 16, 16]"));
    for (settings, key) in [
        (FitSettings { steps: 0, ..settings() }, "steps"),
        (FitSettings { samples: 0, ..settings() }, "samples"),
        (FitSettings { sigma: 0.0, ..settings() }, "sigma"),
        (FitSettings { kappa: -1.0, ..settings() }, "kappa"),
        (FitSettings { learning_rate: f64::NAN, ..settings() }, "learning rate"),
    ] {
        assert!(run(Operator::Inpaint(hole()), settings).starts_with(key), "{key}");
    }
}

/// From file to files with the generator inside the program: the result's means are what was measured, in the scan's own
/// intensities and place.
#[test]
fn the_program_restores_with_the_generator_inside() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    printed(&["generate", "--seeds", "5", "--out", &path("own")]);
    let own = nifti::read(path("own/seed-0005.nii.gz")).unwrap();
    // Sums over two voxels from bottom to top, on a scale of its own.
    let coarse = Array4::from_shape_fn((1, 20, 48, 40), |(_, z, y, x)| {
        3.0 * (own.data[(0, 2 * z, y, x)] + own.data[(0, 2 * z + 1, y, x)])
    });
    let affine = own.affine.with_origin_at([0.0, 0.0, 0.5]).stretched(2, 2.0);
    let write = |name: &str, data: Array4<f32>, affine| {
        nifti::write(path(name), &Volume::new(data, affine), &WriteOptions::default()).unwrap();
    };
    write("coarse.nii.gz", coarse.clone(), affine);
    let few = ["--steps", "2", "--samples", "2", "--centre", "grid", "--no-anatomy"];
    let run = |arguments: &[&str]| {
        [&["restore"], arguments, &few].concat().iter().map(|x| x.to_string()).collect::<Vec<_>>()
    };
    let run = |arguments: &[&str]| printed(&run(arguments).iter().map(String::as_str).collect::<Vec<_>>());
    let said = run(&[
        &path("coarse.nii.gz"),
        &path("fine.nii.gz"),
        "--operator",
        "superres",
        "--factor",
        "1,1,2",
        "--write-samples",
    ]);
    assert!(said.contains("generator") && said.contains("[40, 48, 40]"), "{said}");
    let fine = nifti::read(path("fine.nii.gz")).unwrap();
    assert!((*fine.affine - *own.affine).abs().max() < 1e-4);
    let means = Array4::from_shape_fn(coarse.dim(), |(_, z, y, x)| {
        0.5 * (fine.data[(0, 2 * z, y, x)] + fine.data[(0, 2 * z + 1, y, x)])
    });
    let brightest = coarse.iter().copied().fold(0.0, f32::max);
    assert!(apart(&means, &coarse) < 1e-4 * f64::from(brightest));
    for name in ["std", "baseline", "nullspace", "sample-1", "sample-2"] {
        let volume = nifti::read(path(&format!("fine_{name}.nii.gz"))).unwrap();
        assert_eq!(volume.dims(), [40, 48, 40], "{name}");
    }
    let record = |name: &str| -> Value {
        serde_json::from_str(&std::fs::read_to_string(Path::new(&path(name))).unwrap()).unwrap()
    };
    let found = record("fine.json");
    assert_eq!(
        (&found["Restored"], &found["Operator"]["Factor"]),
        (&true.into(), &serde_json::json!([1, 1, 2]))
    );
    assert!(found["Weights"].as_str().unwrap().contains("brain-4mm sha256:"));
    assert!(found["DataResidual"]["Generator"].as_f64() > found["DataResidual"]["Result"].as_f64());
    // In-painting leaves what is known, and k-space says that it is simulated.
    let mask =
        Array4::from_shape_fn((1, 40, 48, 40), |(_, z, ..)| f32::from(u8::from((15..20).contains(&z))));
    write("mask.nii.gz", mask.clone(), own.affine);
    let scan = path("own/seed-0005.nii.gz");
    run(&[&scan, &path("filled.nii.gz"), "--operator", "inpaint", "--missing", &path("mask.nii.gz")]);
    let filled = nifti::read(path("filled.nii.gz")).unwrap();
    let brightest = own.data.iter().copied().fold(0.0, f32::max);
    for ((a, b), missing) in filled.data.iter().zip(&own.data).zip(&mask) {
        assert!(*missing == 1.0 || (a - b).abs() < 1e-4 * brightest);
    }
    // So does the generator that is opened once, in memory; a fit may be cancelled.
    let opened = pipeline::Prior::open("brain-4mm", None, pipeline::Device::Cpu).unwrap();
    let operator = pipeline::prior::Operator::Inpaint(Volume::new(mask.clone(), own.affine));
    let settings = FitSettings { steps: 2, samples: 2, ..FitSettings::default() };
    let restore =
        |progress: &Progress| opened.restore(own.clone(), &operator, Centre::Grid, &settings, 1.0, progress);
    let in_memory = restore(&Progress::default()).unwrap();
    assert!(apart(&in_memory.restored.image.data, &filled.data) < 1e-6 * f64::from(brightest));
    assert!(in_memory.deviation.is_some() && in_memory.samples.len() == 2);
    let enough = AtomicBool::new(false);
    let tell = |event: Event| {
        if let Event::Step { step, .. } = event {
            assert_eq!(step, 1);
            enough.store(true, Ordering::Relaxed);
        }
    };
    let cancelled = restore(&Progress::new(&tell).cancelled_by(&enough));
    assert!(matches!(cancelled, Err(voxgan::error::Error::Cancelled)));
    let lines = Array3::from_shape_fn((40, 48, 1), |(_, y, _)| y % 2 == 0 || (18..30).contains(&y));
    let lines = lines.broadcast((40, 48, 40)).unwrap();
    npy::write_bool(Path::new(&path("mask.npy")), lines.into_dyn()).unwrap();
    run(&[&scan, &path("known.nii.gz"), "--operator", "kspace", "--mask", &path("mask.npy")]);
    assert_eq!(record("known.json")["Operator"]["Simulated"], true);
    // What is missing, or does not fit, is told.
    let refused = |arguments: &[&str]| refused(&[&["restore"], arguments, &few].concat());
    let out = path("out.nii.gz");
    assert!(refused(&[&scan, &out, "--operator", "superres"]).contains("--factor"));
    assert!(refused(&[&scan, &out, "--operator", "inpaint"]).contains("--missing"));
    assert!(refused(&[&scan, &out, "--operator", "superres", "--factor", "2"]).contains("8.000 mm"));
    assert!(refused(&[&scan, &out, "--operator", "superres", "--factor", "7"]).contains("divisors"));
}
