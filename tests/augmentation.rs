//! Augmentations do not leak: what the discriminator sees is flipped in most cases, and what the generator makes is not
//! (Karras et al. 2020, arXiv 2006.06676, section 2.2).

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::backend::Flex;
use burn::tensor::{Tensor, TensorData};
use nalgebra::{Matrix4, Vector3};
use ndarray::Array4;
use voxgan::config::{AugmentationRecipe, Recipe};
use voxgan::gan::Truncation;
use voxgan::io::dataset::{Dataset, Plan, prepare};
use voxgan::io::nifti::{self, WriteOptions};
use voxgan::nn::Noise;
use voxgan::pretrained::Model;
use voxgan::random::{Purpose, normal, stream};
use voxgan::train::Reals;
use voxgan::train::generator::{self, Job};
use voxgan::volume::Volume;
use voxgan::volume::crop::Centre;
use voxgan::volume::intensity::Normalisation;
use voxgan::volume::resample::Interpolation;

/// Samples that a generator is judged by.
const SAMPLES: usize = 200;

/// A bright blob in the right half of a grid of 8³.
fn right_handed(number: u64) -> Volume {
    let place = normal(&mut stream(1, 0, 0, number, Purpose::Start), 3);
    let [x, y, z] = [5.6 + 0.3 * place[0], 3.5 + 0.6 * place[1], 3.5 + 0.6 * place[2]];
    let data = Array4::from_shape_fn((1, 8, 8, 8), |(_, k, j, i)| {
        let distance2 = [(i, x), (j, y), (k, z)].map(|(n, at)| (n as f32 - at).powi(2)).iter().sum::<f32>();
        100.0 * (-distance2 / 3.0).exp()
    });
    Volume::new(data, Matrix4::new_nonuniform_scaling(&Vector3::new(4.0, 4.0, 4.0)))
}

/// Prepared volumes in `folder`.
fn dataset(folder: &Path) -> Dataset {
    let scans = folder.join("scans");
    fs::create_dir_all(&scans).unwrap();
    for number in 0..48 {
        let path = scans.join(format!("{number:02}.nii.gz"));
        nifti::write(&path, &right_handed(number), &WriteOptions::default()).unwrap();
    }
    let plan = Plan {
        inputs: vec![scans],
        shape: [8; 3],
        spacing_mm: None,
        interpolation: Interpolation::Linear,
        normalisation: Normalisation::Percentile { low: 0.0, high: 100.0 },
        centre: Centre::Grid,
        participants: None,
        labels: Vec::new(),
        frame: None,
        strict: true,
    };
    assert_eq!(prepare(&plan, None, &folder.join("data"), &|_| {}).unwrap().prepared, 48);
    Dataset::open(&folder.join("data")).unwrap()
}

/// How much brighter the right half is than the left, from −1 to 1.
fn handedness(volume: &[f32]) -> f32 {
    let half = |right: bool| {
        let voxels = volume.iter().enumerate().filter(|(i, _)| (i % 8 >= 4) == right);
        voxels.map(|(_, value)| (value + 1.0).max(0.0)).sum::<f32>()
    };
    let (left, right) = (half(false), half(true));
    (right - left) / (right + left)
}

/// Handedness of what a generator makes that was trained with flips at probability `p`.
fn trained(folder: &Path, p: f64, steps: u64) -> Vec<f32> {
    let mut recipe = Recipe::preset("tiny").unwrap();
    recipe.augmentation = AugmentationRecipe {
        fixed_p: Some(p),
        rotation_sigma_deg: 0.0,
        scale_sigma: 0.0,
        anisotropic_sigma: 0.0,
        shift_sigma: 0.0,
        brightness_sigma: 0.0,
        contrast_sigma: 0.0,
        ..Default::default()
    };
    recipe.training.batch = 16;
    recipe.training.total_kimg = 1000.0;
    recipe.training.path_length_interval = 0;
    let env = |k: &str, d: f64| std::env::var(k).ok().map_or(d, |v| v.parse().unwrap());
    recipe.training.gamma = Some(env("GAMMA", 0.1));
    recipe.training.batch = env("BATCH", 16.0) as usize;
    recipe.training.learning_rate_generator = env("LRG", 0.0025);
    recipe.training.learning_rate_discriminator = env("LRD", 0.0025);
    recipe.training.ema_kimg = Some(env("EMA", 1.0));
    (recipe.output.snapshot_kimg, recipe.output.checkpoint_kimg) = (1000.0, 1000.0);
    recipe.output.sample_grid = 1;
    let recipe = recipe.resolved();
    recipe.validate().unwrap();
    let reals = Reals::new(Dataset::open(&folder.join("data")).unwrap(), &recipe).unwrap();
    let (out, stop) = (folder.join(format!("run-{p}-{steps}")), AtomicBool::new(false));
    let job = Job { recipe: &recipe, reals: &reals, out: &out, stop: &stop, last_step: Some(steps) };
    generator::run::<Flex>(&job, &Default::default(), &|_| {}).unwrap();
    let device = Default::default();
    let model = Model::<Flex>::open(out.to_str().unwrap(), &device).unwrap();
    let z = normal(&mut stream(7, 0, 0, 0, Purpose::Samples), SAMPLES * 16);
    let z = Tensor::from_data(TensorData::new(z, [SAMPLES, 16]), &device);
    let images = model.generator.forward(z, None, Truncation::OFF, Noise::None);
    let values: Vec<f32> = images.into_data().iter::<f32>().collect();
    values.chunks(512).map(handedness).collect()
}

#[test]
fn flips_below_probability_one_do_not_leak() {
    let folder = tempfile::tempdir().unwrap();
    dataset(folder.path());
    let steps: Vec<u64> =
        std::env::var("STEPS").unwrap_or("300".into()).split(',').map(|s| s.parse().unwrap()).collect();
    for p in std::env::var("PS").unwrap_or("0.8".into()).split(',') {
        for &steps in &steps {
            let start = std::time::Instant::now();
            let h = trained(folder.path(), p.parse().unwrap(), steps);
            let share = |f: &dyn Fn(f32) -> bool| h.iter().filter(|h| f(**h)).count();
            let stats =
                fs::read_to_string(folder.path().join(format!("run-{p}-{steps}/stats.jsonl"))).unwrap();
            println!(
                "p {p} steps {steps}: right {} clear right {} clear left {} mean {:.2} min {:.2}; {:.1} s {}",
                share(&|h| h > 0.0),
                share(&|h| h > 0.5),
                share(&|h| h < -0.5),
                h.iter().sum::<f32>() / 200.0,
                h.iter().cloned().fold(1.0, f32::min),
                start.elapsed().as_secs_f64(),
                stats.lines().last().unwrap()
            );
        }
    }
}
