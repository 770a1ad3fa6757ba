//! Runs on a GPU against the CPU: the same steps, the same numbers.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::backend::Flex;
use ndarray::Array4;
use serde_json::Value;
use voxgan::config::Recipe;
use voxgan::ops::VolumeOps;
use voxgan::train::generator::{self, Job};
use voxgan::train::{Group, Reals};

use crate::card::{Fused, card, device, option};
use crate::prepared;
use crate::program::{printed, refused};

/// Largest relative difference of a logged number.
const TOLERANCE: f64 = 1e-3;
/// What a clock or the machine tells.
const OF_THE_MACHINE: [&str; 6] = [
    "seconds",
    "seconds_per_kimg",
    "seconds_per_step",
    "seconds_between_steps",
    "images_per_second",
    "peak_memory_mb",
];

/// An ellipsoid whose half-axes depend on `number`, brighter inside.
fn ellipsoid(number: usize) -> Array4<f32> {
    let axes = [2.2 + 0.2 * number as f64, 3.4 - 0.2 * number as f64, 2.6 + 0.1 * (number * 7 % 5) as f64];
    Array4::from_shape_fn((1, 8, 8, 8), |(_, k, j, i)| {
        let radius = [i, j, k].iter().zip(axes).map(|(&n, a)| ((n as f64 - 3.5) / a).powi(2)).sum::<f64>();
        if radius > 1.0 { 0.0 } else { (100.0 - 40.0 * radius) as f32 }
    })
}

/// The lines of a run's log, numbers by name.
pub fn log(run: &Path) -> Vec<BTreeMap<String, f64>> {
    let text = fs::read_to_string(run.join("stats.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<BTreeMap<String, Value>>(line).unwrap());
    lines
        .map(|line| {
            let numbers = line.into_iter().filter_map(|(name, value)| Some((name, value.as_f64()?)));
            numbers.filter(|(name, _)| !OF_THE_MACHINE.contains(&name.as_str())).collect()
        })
        .collect()
}

/// Compares two logs; returns the largest difference, relative to a number's size and to at least `least`.
pub fn compare(
    found: &[BTreeMap<String, f64>],
    expected: &[BTreeMap<String, f64>],
    tolerance: f64,
    least: f64,
) -> f64 {
    assert_eq!(found.len(), expected.len());
    let mut worst = 0.0f64;
    for (number, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(found.keys().eq(expected.keys()), "line {number}");
        for (name, expected) in expected {
            let difference = (found[name] - expected).abs();
            // Decibels by the ratio that they stand for.
            let error = match name.ends_with("_db") {
                true => difference * std::f64::consts::LN_10 / 10.0,
                false => difference / expected.abs().max(least),
            };
            assert!(error <= tolerance, "line {number}, {name}: {} for {expected}", found[name]);
            worst = worst.max(error);
        }
    }
    worst
}

/// Twenty steps of `tiny`, with augmentation from the start, R1 and path length.
fn run<B: VolumeOps>(
    folder: &Path,
    name: &str,
    recipe: &Recipe,
    device: &B::Device,
) -> Vec<BTreeMap<String, f64>> {
    let place = folder.join(name);
    let dataset = prepared::dataset(&place, (0..6).map(ellipsoid));
    let (reals, stop, out) =
        (Reals::new(dataset, recipe).unwrap(), AtomicBool::new(false), place.join("run"));
    let job = Job {
        recipe,
        reals: &reals,
        validation: None,
        from: None,
        out: &out,
        stop: &stop,
        last_step: Some(20),
        group: &Group::alone(),
    };
    generator::run::<B>(&job, device, &|_| {}).unwrap();
    log(&out)
}

#[test]
fn twenty_steps_log_the_same_numbers() {
    let Some(device) = device() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut recipe = Recipe::preset("tiny").unwrap();
    recipe.augmentation.initial_p = 0.4;
    recipe.output.log_every_steps = 1;
    let recipe = recipe.resolved();
    let expected = run::<Flex>(folder.path(), "cpu", &recipe, &Default::default());
    let found = run::<Fused>(folder.path(), "gpu", &recipe, &device);
    assert!(expected.len() >= 20 && expected[19].len() > 5, "{expected:?}");
    let worst = compare(&found, &expected, TOLERANCE, 1e-6);
    println!(
        "{} lines, {} numbers each, worst relative difference {worst:.1e}",
        found.len(),
        found[19].len()
    );
}

/// The recipe's key through the program: 16 bits around convolutions change what is logged a little.
#[test]
fn mixed_precision_stays_near() {
    let Some(card) = card() else { return };
    let (folder, option) = (tempfile::tempdir().unwrap(), option().expect("a card"));
    prepared::dataset(folder.path(), (0..6).map(ellipsoid));
    let path = |name: &str| folder.path().join(name).display().to_string();
    let run = |precision: &str| {
        let mut recipe = Recipe::preset("tiny").unwrap();
        (recipe.training.total_kimg, recipe.output.log_every_steps) = (0.032, 1);
        let toml = recipe
            .to_toml()
            .unwrap()
            .replace("[training]", &format!("[training]\nprecision = \"{precision}\""));
        let name = path(&format!("{precision}.toml"));
        fs::write(&name, toml).unwrap();
        [name, path("cache"), path(precision)]
    };
    let arguments = |files: &[String; 3]| -> Vec<String> {
        let [recipe, data, out] = files.clone();
        [
            "train".into(),
            recipe,
            "--data".into(),
            data,
            "--out".into(),
            out,
            "--device".into(),
            option.clone(),
        ]
        .to_vec()
    };
    let half = arguments(&run("float16"));
    let half: Vec<&str> = half.iter().map(String::as_str).collect();
    if !card.float16 {
        assert!(refused(&half).contains("training.precision"));
        return;
    }
    printed(&half);
    let single = arguments(&run("float32"));
    printed(&single.iter().map(String::as_str).collect::<Vec<_>>());
    let (half, single) = (log(Path::new(&path("float16"))), log(Path::new(&path("float32"))));
    let losses = |lines: &[BTreeMap<String, f64>]| -> Vec<f64> {
        lines.iter().flat_map(|line| [line["loss_g"], line["loss_d"]]).collect()
    };
    let (half, single) = (losses(&half), losses(&single));
    let worst = half.iter().zip(&single).map(|(a, b)| (a - b).abs() / b.abs()).fold(0.0, f64::max);
    println!("float16: losses of {} steps differ by {worst:.1e} at most", half.len() / 2);
    assert!(worst > 0.0 && worst < 0.02, "{worst:.1e}");
}
