//! Restoration heads through the public API: what is measured stays measured, blocks leave no seams, a network that learns
//! beats its start, and runs resume exactly.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use burn::backend::Flex;
use burn::tensor::{Tensor, TensorData};
use nalgebra::Matrix4;
use ndarray::{Array3, Array4};
use serde_json::Value;
use voxgan::config::{AnyRecipe, HeadRecipe, RestorationRecipe};
use voxgan::heads::{
    Case, Example, Inpaint, Measured, Measurement, Problem, Progress, Restorer, Subject, Superres, Translate,
    blocks, head, restore,
};
use voxgan::io::dataset::Dataset;
use voxgan::io::nifti::{self, WriteOptions};
use voxgan::nn::parameters::{replace, values};
use voxgan::pretrained::{ImageSpace, TrainedRestorer, Weights};
use voxgan::random::{Purpose, normal, stream};
use voxgan::simulate::synthesis::LabelMap;
use voxgan::train::Ended;
use voxgan::train::Group;
use voxgan::train::restorer::{self, Job, Subjects};
use voxgan::volume::intensity::Normalisation;
use voxgan::volume::{Volume, VoxelToWorld};

use crate::{prepared, program, run_folder};

fn recipe(toml: &str) -> RestorationRecipe {
    RestorationRecipe::from_toml(toml, Path::new("test.toml")).unwrap()
}

fn noise(shape: (usize, usize, usize, usize), seed: u64) -> Array4<f32> {
    let (c, d, h, w) = shape;
    let values = normal(&mut stream(seed, 0, 0, 0, Purpose::Noise), c * d * h * w);
    Array4::from_shape_vec(shape, values).unwrap()
}

fn tensor(image: &Array4<f32>) -> Tensor<Flex, 5> {
    let (c, d, h, w) = image.dim();
    let values: Vec<f32> = image.iter().copied().collect();
    Tensor::from_data(TensorData::new(values, [1, c, d, h, w]), &Default::default())
}

fn largest(x: Tensor<Flex, 5>) -> f32 {
    x.abs().max().into_scalar()
}

/// A head's soft shapes: what a network can learn to sharpen.
fn shapes(number: usize, length: usize) -> Array4<f32> {
    let at = |axis: f64, n: usize| (number as f64 * axis + n as f64 * 2.1).sin() * length as f64 * 0.2;
    Array4::from_shape_fn((1, length, length, length), |(_, z, y, x)| {
        let mut value = 0.0f64;
        for n in 0..4 {
            let centre = [at(1.3, n), at(2.7, n), at(0.6, n)].map(|c| c + length as f64 / 2.0);
            let radius = length as f64 * (0.14 + 0.04 * n as f64);
            let far = [z, y, x].iter().zip(centre).map(|(&v, c)| (v as f64 - c).powi(2)).sum::<f64>().sqrt();
            // An edge of about two voxels.
            value += (0.2 + 0.1 * n as f64) / (1.0 + ((far - radius) / 0.4).exp());
        }
        value as f32
    })
}

/// A network that does something: all parameters are noise.
fn stirred(recipe: &RestorationRecipe) -> Restorer<Flex> {
    let network = Restorer::<Flex>::init(recipe, &*head(&recipe.head), 1, &Default::default());
    let mut seed = 100;
    replace(network, |_, old: Tensor<Flex, 1>| {
        seed += 1;
        let values = normal(&mut stream(seed, 0, 0, 0, Purpose::Noise), old.dims()[0]);
        let length = values.len();
        Tensor::from_data(TensorData::new(values, [length]), &Default::default())
    })
}

const SUPERRES: &str = r#"
[head]
task = "superres"
factors = [[2, 2, 2], [3, 1, 1]]

[network]
kind = "residual"
channels = 8
blocks = 1
space_to_depth = [2, 2, 2]

[training]
patch = [24, 24, 24]
steps = 100
learning_rate = 0.005
warm_up = 5
ema_half_life_steps = 5.0
log_every_steps = 20
picture_every_steps = 100
checkpoint_every_steps = 20
"#;

fn cases() -> Vec<(&'static str, Case)> {
    let truth = shapes(1, 12);
    let superres = |factors: &str, profile: &str| {
        let toml = SUPERRES.replace("[[2, 2, 2], [3, 1, 1]]", factors);
        let toml = toml.replace("task = \"superres\"", &format!("task = \"superres\"\n{profile}"));
        let head = head(&recipe(&toml).head);
        head.example(Subject::Scan(&truth), [12; 3], [0, 0, 0]).unwrap().case
    };
    let known = Array3::from_shape_fn((12, 12, 12), |(z, y, x)| !(z > 2 && z < 9 && y > 3 && x < 6));
    vec![
        ("cubes", superres("[[2, 2, 2]]", "")),
        ("thick slices", superres("[[1, 4, 1]]", "")),
        ("gaps", superres("[[1, 1, 3]]", "width = 0.6")),
        ("Gaussian", superres("[[2, 1, 3]]", "profile = \"gaussian\"")),
        ("holes", Inpaint::new(&Default::default()).case(&truth, &known).unwrap()),
        ("k-space", example(RECON, &truth, [1, 12, 12])),
        ("k-space of a volume", example(RECON, &truth, [12, 12, 12])),
        ("coils", example(&RECON.replace("coils = 1", "coils = 6"), &truth, [1, 12, 12])),
        ("shots", example(MOTION, &truth, [12, 12, 12])),
    ]
}

const RECON: &str = r#"
[head]
task = "recon"
patterns = [{ kind = "gaussian", acceleration = 2.0, calibration = [4, 4], axes = ["H", "W"] }]
coils = 1

[network]
kind = "residual"
channels = 8
blocks = 1

[training]
patch = [1, 24, 24]
steps = 100
learning_rate = 0.005
warm_up = 5
ema_half_life_steps = 5.0
log_every_steps = 20
picture_every_steps = 100
"#;

const MOTION: &str = r#"
[head]
task = "motion"
known = true
motion = { moves = 1, rotation_deg = [-4.0, 4.0], translation_mm = [-1.0, 1.0], axes = ["H"] }

[network]
kind = "residual"
channels = 8
blocks = 1

[training]
patch = [16, 16, 16]
steps = 100
learning_rate = 0.005
warm_up = 5
ema_half_life_steps = 5.0
log_every_steps = 20
picture_every_steps = 100
"#;

fn example(toml: &str, truth: &Array4<f32>, patch: [usize; 3]) -> Case {
    head(&recipe(toml).head).example(Subject::Scan(truth), patch, [0, 0, 0]).unwrap().case
}

/// A projection: what is measured of it is the measurement, twice is once, and no image that is consistent lies nearer.
#[test]
fn results_are_held_to_what_was_measured() {
    for (name, case) in cases() {
        // Where several coils or shots see the same, conjugate gradients come near the samples and not upon them.
        let exact = !matches!(name, "coils" | "shots");
        let measured =
            Measured::<Flex>::new(&case.measurement, case.initial.dim(), &Default::default()).unwrap();
        let x = tensor(&noise(case.initial.dim(), 3));
        let once = measured.data_consistency(x.clone(), 1.0);
        let residual = measured.residual(once.clone()).unwrap();
        let before = measured.residual(x.clone()).unwrap();
        assert!(
            before > 0.1 && residual < if exact { 2e-6 } else { 0.1 * before },
            "{name}: {before} {residual}"
        );
        if exact {
            let twice = measured.data_consistency(once.clone(), 1.0);
            assert!(largest(twice - once.clone()) < 2e-5, "{name}: twice is not once");
        }
        // The way gone is orthogonal to all that the measurement does not see.
        let gone = once.clone() - x.clone();
        let other = tensor(&noise(case.initial.dim(), 4));
        let unseen = other.clone() - measured.range_component(other);
        let (dot, norm) = (
            (gone.clone() * unseen.clone()).sum().into_scalar(),
            (gone.clone() * gone.clone()).sum().into_scalar(),
        );
        assert!(!exact || dot.abs() < 1e-3 * norm, "{name}: {dot} beside {norm}");
        let half = measured.data_consistency(x.clone(), 0.5);
        assert!(largest(half - (x + gone * 0.5)) < 1e-5, "{name}: half of the way");
    }
}

/// A case's measurement is that of its truth, on the host and on the device.
#[test]
fn an_examples_measurement_is_that_of_its_truth() {
    for (factors, grid) in [("[[2, 2, 2]]", [12; 3]), ("[[1, 3, 1]]", [4, 12, 8])] {
        let recipe = recipe(&SUPERRES.replace("[[2, 2, 2], [3, 1, 1]]", factors));
        let example = head(&recipe.head).example(Subject::Scan(&shapes(2, 16)), grid, [5, 6, 7]).unwrap();
        let measured =
            Measured::<Flex>::new(&example.case.measurement, example.truth.dim(), &Default::default())
                .unwrap();
        assert_eq!(example.truth.shape()[1..], grid);
        assert!(measured.residual(tensor(&example.truth)).unwrap() < 1e-6);
        let Measurement::Means { values, .. } = &example.case.measurement else { panic!("means") };
        // The mean over all voxels is the mean over all means.
        assert!((values.mean().unwrap() - example.truth.mean().unwrap()).abs() < 1e-5);
        // The start lies where the truth does: they correlate.
        let (start, truth) = (&example.case.initial, &example.truth);
        let errors: f32 = start.iter().zip(truth).map(|(a, b)| (a - b).powi(2)).sum();
        let spread: f32 = truth.iter().map(|b| (b - truth.mean().unwrap()).powi(2)).sum();
        assert!(errors < 0.3 * spread, "{factors}: {errors} beside {spread}");
    }
}

/// Blocks that overlap by more than what a voxel is seen from give what the whole gives; with less, nearly.
#[test]
fn blocks_leave_no_seams() {
    let recipe = recipe(SUPERRES);
    let network = stirred(&recipe);
    let superres = superres_of(&recipe);
    let measured = noise((1, 40, 30, 26), 2).mapv(|x| 0.5 + 0.1 * x);
    let case = superres.case(&measured, [2, 2, 2]).unwrap();
    let device = Default::default();
    let whole = restore(&network, &case, ([96; 3], recipe.multiple()), 0.0, &device).unwrap();
    let blocks = restore(&network, &case, ([48; 3], recipe.multiple()), 0.0, &device).unwrap();
    assert_eq!(whole.image.dim(), (1, 80, 60, 52));
    let scale = whole.image.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
    let difference =
        whole.image.iter().zip(&blocks.image).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
    assert!((difference / scale).sqrt() < 0.01, "{}", (difference / scale).sqrt());
    // After the projection the blocks' result is held to the measurement as a whole.
    let case = superres.case(&Array4::from_elem((1, 40, 30, 26), 0.5), [2, 2, 2]).unwrap();
    let flat = restore(&network, &case, ([48; 3], recipe.multiple()), 1.0, &device).unwrap();
    let residuals = flat.residuals.unwrap();
    assert!(residuals[2] < 1e-5 && residuals[1] > residuals[2], "{residuals:?}");
}

fn superres_of(recipe: &RestorationRecipe) -> Superres {
    match &recipe.head {
        HeadRecipe::Superres(superres) => Superres::new(superres),
        _ => panic!("a recipe of superres"),
    }
}

/// A folder with prepared shapes and runs.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        prepared::dataset(place.folder.path(), (0..3).map(|number| shapes(number, 32)));
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn train(&self, recipe: &RestorationRecipe, name: &str) -> Ended {
        let truths = Dataset::open(&self.path("cache")).unwrap();
        let stop = AtomicBool::new(false);
        let job = Job {
            recipe,
            subjects: Subjects::Scans(&truths),
            out: &self.path(name),
            group: &Group::alone(),
            stop: &stop,
        };
        restorer::run::<Flex>(&job, &Default::default(), &|_| {}).unwrap()
    }
}

/// A hundred steps on three shapes: the mean square error sinks below that of the consistent start, every head and network.
#[test]
fn training_beats_the_start() {
    let place = Place::new();
    let inpaint = SUPERRES.replace(
        "task = \"superres\"\nfactors = [[2, 2, 2], [3, 1, 1]]",
        "task = \"inpaint\"\nradius_voxels = [3.0, 5.0]",
    );
    let unet = "kind = \"u-net\"\nwidths = [6, 8]\nfold = [1, 1, 1]";
    let residual = "kind = \"residual\"\nchannels = 6\nblocks = 1\nfold = [2, 2, 2]";
    let measured = SUPERRES
        .replace("[[2, 2, 2], [3, 1, 1]]", "[[2, 2, 2]]\nmeasured = true")
        .replace("space_to_depth = [2, 2, 2]", "upsampling = \"resize\"");
    let recipes = [
        ("superres", SUPERRES.to_string(), 0.2),
        ("unet", SUPERRES.replace(residual, unet), 0.2),
        ("measured", measured, 0.2),
        ("inpaint", inpaint, 0.0),
        ("recon", RECON.to_string(), 0.2),
        (
            "cascade",
            RECON
                .replace("[training]", "[cascade]\nstages = 2\nbetween = \"data-consistency\"\n\n[training]"),
            0.2,
        ),
        (
            "unrolled",
            RECON
                .replace("coils = 1", "coils = 3")
                .replace("[training]", "[cascade]\nstages = 2\nbetween = \"step\"\n\n[training]"),
            0.2,
        ),
        ("known motion", MOTION.to_string(), 0.0),
        ("motion", MOTION.replace("known = true", "known = false"), 0.1),
    ];
    for (name, toml, least) in recipes {
        let recipe = recipe(&toml);
        assert_eq!(place.train(&recipe, name), Ended::Complete);
        let gains: Vec<f64> = run_folder::log(&place.path(name))
            .iter()
            .map(|line| line["psnr_gain_db"].as_f64().unwrap())
            .collect();
        assert_eq!(gains.len(), 5);
        assert!(gains[4] > least, "{name}: {gains:?} dB over the start");
        let samples = place.path(name).join("samples");
        assert_eq!(fs::read_dir(samples).unwrap().count(), 2);
    }
    // The demonstration gives its commands and shows what came of them; raw data comes back with its baseline and what was added.
    let (out, weights) = (place.path("demo"), place.path("recon"));
    let arguments = ["demo", "recon", "--out", out.to_str().unwrap(), "--weights", weights.to_str().unwrap()];
    let told = program::printed(&arguments);
    assert!(told.contains("$ voxgan recon") && told.contains("restored  against the truth"), "{told}");
    for name in ["picture.png", "restored_baseline.nii.gz", "restored_nullspace.nii.gz"] {
        assert!(out.join(name).exists(), "{name}");
    }
    let record: Value = serde_json::from_slice(&fs::read(out.join("restored.json")).unwrap()).unwrap();
    assert!(record["DataResidual"]["Result"].as_f64().unwrap() < 1e-5, "{record}");
    assert!(program::refused(&arguments).contains("a new or empty folder"));
    // What was trained opens, and restores as a problem of its own.
    let trained =
        TrainedRestorer::<Flex>::open(place.path("superres").to_str().unwrap(), &Default::default()).unwrap();
    let example =
        head(&trained.recipe.head).example(Subject::Scan(&shapes(7, 32)), [24; 3], [1, 2, 3]).unwrap();
    let problem = Problem::<Flex>::new(&example.case, &Default::default()).unwrap();
    let found = trained.network.forward(&problem);
    let error = |x: Tensor<Flex, 5>| (x - tensor(&example.truth)).powi_scalar(2).mean().into_scalar();
    let start = problem.measured.data_consistency(problem.initial.clone(), 1.0);
    let found = problem.measured.data_consistency(found, 1.0);
    assert!(error(found) < error(start), "an unseen shape is no better than its start");
}

/// Every discriminator under every loss learns to tell restored from true images, while the network hardly moves.
#[test]
fn critics_learn() {
    let place = Place::new();
    for (number, discriminator) in ["patch", "stylegan2"].iter().enumerate() {
        for (kind, loss) in ["logistic", "least-squares", "wasserstein"].iter().enumerate() {
            let discriminator = format!(
                "\n[discriminator]\nkind = \"{discriminator}\"\nloss = \"{loss}\"\nlevels = 2\nchannels = 4\npenalty = 0.1\n\
                 penalty_interval = 4\nlearning_rate = 0.01\n"
            );
            let toml = RECON.replace("learning_rate = 0.005", "learning_rate = 1e-6");
            let recipe = recipe(&(toml.replace("\nsteps = 100", "\nsteps = 60\nbatch = 2") + &discriminator));
            let name = format!("{number}{kind}");
            assert_eq!(place.train(&recipe, &name), Ended::Complete);
            let log = run_folder::log(&place.path(&name));
            let of = |line: usize, key: &str| log[line][key].as_f64().unwrap();
            assert!(
                of(2, "loss_discriminator") < of(0, "loss_discriminator"),
                "{discriminator} {loss}: {log:?}"
            );
            assert!(of(2, "discriminator_penalty") >= 0.0 && of(2, "loss_adversarial").is_finite());
        }
    }
}

#[test]
fn a_run_that_was_cut_off_goes_on_exactly() {
    let place = Place::new();
    let toml = SUPERRES.replace("\nsteps = 100", "\nsteps = 40\nbatch = 2")
        + "\n[discriminator]\nlevels = 2\nchannels = 4\n";
    let whole = recipe(&toml);
    assert_eq!(place.train(&whole, "whole"), Ended::Complete);
    place.train(&whole, "parts");
    // As if it had been killed after its checkpoint at step 20.
    let checkpoints = place.path("parts").join("checkpoints");
    fs::remove_file(checkpoints.join("step-00000040.safetensors")).unwrap();
    assert_eq!(place.train(&whole, "parts"), Ended::Complete);
    let [whole, parts] = ["whole", "parts"].map(|name| place.path(name));
    assert_eq!(run_folder::log(&whole), run_folder::log(&parts));
    assert_eq!(run_folder::arrays(&whole), run_folder::arrays(&parts));
}

/// The commands on files whose axes lie in another order, and what they refuse.
#[test]
fn commands_restore_files_and_say_what_they_rest_on() {
    let place = Place::new();
    let toml = SUPERRES.replace("\nsteps = 100", "\nsteps = 20");
    place.train(&recipe(&toml), "run");
    let run = place.path("run");
    let text = |path: &Path| path.to_str().unwrap().to_string();
    // Slices of three voxels along the file's second axis, which is the world's third.
    let mut affine = Matrix4::zeros();
    affine[(0, 0)] = 1.0;
    affine[(2, 1)] = 3.0;
    affine[(1, 2)] = -1.0;
    affine[(3, 3)] = 1.0;
    let thick =
        Volume::new(noise((1, 16, 8, 16), 5).mapv(|x| 500.0 + 90.0 * x), VoxelToWorld::new(affine).unwrap());
    let (input, output) = (place.path("thick.nii"), place.path("out/fine.nii.gz"));
    nifti::write(&input, &thick, &WriteOptions::default()).unwrap();
    let arguments = |factor: &'static str| {
        vec!["superres", "IN", "OUT", "--factor", factor, "--weights", "RUN", "--no-anatomy"]
    };
    let with_paths = |arguments: Vec<&str>| -> Vec<String> {
        let path = |argument: &str| match argument {
            "IN" => text(&input),
            "OUT" => text(&output),
            "RUN" => text(&run),
            other => other.to_string(),
        };
        arguments.into_iter().map(path).collect()
    };
    let owned = with_paths(arguments("1,3,1"));
    let printed = program::printed(&owned.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(printed.contains("data residual"), "{printed}");
    let fine = nifti::read(&output).unwrap();
    assert_eq!(fine.dims(), [16, 24, 16]);
    assert_eq!(fine.spacing_mm().map(|mm| (mm * 1e4).round() / 1e4), [1.0; 3]);
    // The mean of each three planes is the plane that was measured, in the scan's own units and places.
    for j in 0..8 {
        for (k, i) in [(0, 0), (7, 3), (15, 15)] {
            let mean = (0..3).map(|n| fine.data[(0, k, 3 * j + n, i)]).sum::<f32>() / 3.0;
            let expected = thick.data[(0, k, j, i)];
            assert!((mean - expected).abs() < 0.01 * 90.0, "{mean} for {expected}");
        }
    }
    let (coarse, middle) = (thick.world_mm([3.0, 2.0, 5.0]), fine.world_mm([3.0, 7.0, 5.0]));
    assert!(coarse.iter().zip(middle).all(|(a, b)| (a - b).abs() < 1e-3), "{coarse:?} {middle:?}");
    for name in ["out/fine_baseline.nii.gz", "out/fine_nullspace.nii.gz", "out/fine.json"] {
        assert!(place.path(name).exists(), "{name}");
    }
    let record: Value = serde_json::from_slice(&fs::read(place.path("out/fine.json")).unwrap()).unwrap();
    assert_eq!(record["Restored"], true);
    assert!(record["DataResidual"]["Result"].as_f64().unwrap() < 1e-5);
    let mut owned = with_paths(arguments("2,1,1"));
    owned.push("--force".into());
    let refused = program::refused(&owned.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(refused.contains("factor") && refused.contains("2,2,2"), "{refused}");
}

/// A head of balls: fluid about a cortex about white matter about two ventricles.
fn head_of_balls() -> LabelMap {
    let data = Array4::from_shape_fn((1, 48, 48, 48), |(_, z, y, x)| {
        let far = |centre: [f64; 3]| {
            [z, y, x].iter().zip(centre).map(|(&v, c)| (v as f64 - c).powi(2)).sum::<f64>().sqrt()
        };
        let left = x < 24;
        if far([24.0, 24.0, 17.5]) < 4.5 || far([24.0, 24.0, 29.5]) < 4.5 {
            return if left { 4.0 } else { 43.0 };
        }
        match far([23.5; 3]) {
            ..14.0 => {
                if left {
                    2.0
                } else {
                    41.0
                }
            }
            ..17.0 => {
                if left {
                    3.0
                } else {
                    42.0
                }
            }
            ..19.0 => 24.0,
            _ => 0.0,
        }
    });
    LabelMap::new("balls", Volume::new(data, VoxelToWorld::identity())).unwrap()
}

/// A recipe for images simulated of labels that neither move nor are spoilt.
fn simulated(task: &str) -> RestorationRecipe {
    let still = "synthesis = { stripped = 1.0, noise = 0.0, bias = 0.0, elastic_mm = 0.0, shift_mm = 4.0 }";
    let toml = SUPERRES
        .replace("task = \"superres\"\nfactors = [[2, 2, 2], [3, 1, 1]]", &format!("{task}\n{still}"))
        .replace("patch = [24, 24, 24]", "patch = [32, 32, 32]");
    recipe(&toml)
}

/// Translation, which learns from images simulated of labels, beats the image that it starts from.
#[test]
fn training_on_labels_beats_the_start() {
    let (maps, recipe) = ([head_of_balls()], simulated("task = \"translate\""));
    let folder = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    let job = Job {
        recipe: &recipe,
        subjects: Subjects::Maps(&maps),
        out: folder.path(),
        group: &Group::alone(),
        stop: &stop,
    };
    assert_eq!(restorer::run::<Flex>(&job, &Default::default(), &|_| {}).unwrap(), Ended::Complete);
    let log = fs::read_to_string(folder.path().join("stats.jsonl")).unwrap();
    let last: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    let gain = last["psnr_gain_db"].as_f64().unwrap();
    assert!(gain > 1.5, "{gain} dB");
}

/// Dark ventricles take the place of bright white matter, the more the more years lie between.
#[test]
fn later_visits_have_wider_ventricles() {
    let groups = "groups = [{ name = \"all\", ventricles = 0.2, cortex = 0.0 }]\nspread = 0.0";
    let recipe = simulated(&format!("task = \"progress\"\n{groups}"));
    let (map, progress) = (head_of_balls(), head(&recipe.head));
    let mut lost: Vec<(f32, f32)> = (0..6)
        .map(|step| {
            let example = progress.example(Subject::Labels(&map), [32; 3], [1, step, 0]).unwrap();
            let (now, later) = (example.case.initial.sum(), example.truth.sum());
            (example.case.condition[0], (now - later) / now)
        })
        .collect();
    lost.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert!(lost.iter().all(|(years, lost)| *lost > 0.0 && (0.0..1.0).contains(years)), "{lost:?}");
    assert!(lost[5].1 > 2.0 * lost[0].1, "{lost:?}");
}

/// Restoration of k-space may start from the image of another method: nearer to the truth than the zero-filled one, by one
/// coil or several, and from the same samples. What the network sees besides comes behind it.
#[test]
fn reconstruction_starts_where_its_recipe_says() {
    for coils in [1, 4] {
        let example = |initial: &str| {
            let toml = RECON
                .replace("coils = 1", &format!("coils = {coils}\n{initial}"))
                .replace("patch = [1, 24, 24]", "patch = [1, 32, 32]");
            let image = shapes(1, 32);
            head(&recipe(&toml).head).example(Subject::Scan(&image), [1, 32, 32], [3, 0, 0]).unwrap()
        };
        let [zero_filled, variation, wavelet, both] = [
            "",
            "initial = \"total-variation\"",
            "initial = \"l1-wavelet\"",
            "initial = \"total-variation\"\nextra_inputs = [\"l1-wavelet\", \"zero-filled\"]",
        ]
        .map(example);
        let off = |example: &Example| (&example.case.initial - &example.truth).mapv(|d| d * d).sum().sqrt();
        for (name, found) in [("total variation", &variation), ("L1-wavelet", &wavelet)] {
            assert_eq!(zero_filled.truth, found.truth);
            let (zero_filled, found) = (off(&zero_filled), off(found));
            assert!(found < 0.7 * zero_filled, "{coils} coils, {name}: {found} beside {zero_filled}");
        }
        assert_eq!(both.case.initial, variation.case.initial);
        let images = [&variation, &wavelet, &zero_filled].map(|example| example.case.initial.view());
        assert_eq!(both.case.input, ndarray::concatenate(ndarray::Axis(0), &images).unwrap());
    }
}

/// A relative loss is one where nothing is learned yet, whatever the example; an absolute one is as its example is.
#[test]
fn relative_losses_weigh_examples_alike() {
    let place = Place::new();
    let toml = RECON
        .replace("steps = 100", "steps = 6")
        .replace("learning_rate = 0.005", "learning_rate = 1e-9")
        .replace("log_every_steps = 20", "log_every_steps = 1")
        + "\n[loss]\nrelative = true\n";
    place.train(&recipe(&toml), "relative");
    let log = run_folder::log(&place.path("relative"));
    let of = |key: &str| -> Vec<f64> { log.iter().map(|line| line[key].as_f64().unwrap()).collect() };
    assert!(of("loss_relative").iter().all(|loss| (loss - 1.0).abs() < 1e-3), "{log:?}");
    assert!(of("loss_l1").iter().any(|loss| (loss / of("loss_l1")[0] - 1.0).abs() > 0.05), "{log:?}");
}

/// Of a scan whose skull was removed nothing is translated outside; what is dark within is. Nor does anything grow there.
#[test]
fn what_was_cut_away_stays_away() {
    let toml =
        SUPERRES.replace("task = \"superres\"\nfactors = [[2, 2, 2], [3, 1, 1]]", "task = \"translate\"");
    let recipe = recipe(&toml);
    let HeadRecipe::Translate(translate) = &recipe.head else { panic!("translation") };
    let (network, translate) = (stirred(&recipe), Translate::new(translate));
    let within = |at: [usize; 3]| at.iter().all(|at| (3..13).contains(at));
    let image = Array4::from_shape_fn((1, 16, 16, 16), |(_, z, y, x)| {
        if within([z, y, x]) && [z, y, x] != [8; 3] { 0.4 + 0.02 * z as f32 } else { 0.0 }
    });
    let made = |image: &Array4<f32>, weight: f64| {
        let case = translate.case(image.clone());
        restore(&network, &case, blocks(&recipe), weight, &Default::default()).unwrap()
    };
    let (held, free) = (made(&image, 1.0), made(&image, 0.0));
    assert!(held.residuals.is_none());
    for ((at, &held), &free) in held.image.indexed_iter().zip(&free.image) {
        let within = within([at.1, at.2, at.3]);
        assert_eq!(held, if within { free.max(0.0) } else { 0.0 }, "{at:?}");
    }
    assert!(held.image[(0, 8, 8, 8)] != 0.0 && free.image[(0, 0, 0, 0)] != 0.0);
    let AnyRecipe::Head(progress) = AnyRecipe::open("progress").unwrap() else { panic!("a head") };
    let HeadRecipe::Progress(progress) = &progress.head else { panic!("progression") };
    let case = Progress::new(progress).case(image.clone(), 1.0, None).unwrap();
    let Measurement::Mask { shown } = case.measurement else { panic!("a mask") };
    assert_eq!(shown.iter().filter(|shown| **shown).count(), 1000);
    // A scan that shows something everywhere is held to nothing, but to what is darkest in it.
    let full = image.mapv(|x| x + 0.1);
    let (held, free) = (made(&full, 1.0).image, made(&full, 0.0).image);
    assert_eq!(held, free.mapv(|x| x.max(0.1)));
}

/// Groups and years that a network was not trained for are refused; those it was are its condition.
#[test]
fn progression_knows_its_groups_and_years() {
    let AnyRecipe::Head(recipe) = AnyRecipe::open("progress").unwrap() else { panic!("a head") };
    let HeadRecipe::Progress(recipe) = &recipe.head else { panic!("progression") };
    let (progress, image) = (Progress::new(recipe), shapes(1, 8));
    let condition = |years, group| progress.case(image.clone(), years, group).map(|case| case.condition);
    assert_eq!(condition(5.0, None).unwrap(), [0.5, 1.0, 0.0]);
    assert_eq!(condition(10.0, Some("alzheimers")).unwrap(), [1.0, 0.0, 1.0]);
    assert!(condition(11.0, None).unwrap_err().to_string().contains("0 to 10"));
    assert!(condition(1.0, Some("young")).unwrap_err().to_string().contains("healthy, alzheimers"));
    let two = progress.ageing(0, 2.0, 1.0);
    assert!(
        (two.ventricles - 1.04f64.powi(2)).abs() < 1e-12 && (two.cortex - 0.995f64.powi(2)).abs() < 1e-12
    );
}

#[test]
fn recipes_of_heads_are_inside_the_program() {
    for name in ["superres", "recon", "motion", "inpaint", "translate", "progress"] {
        let AnyRecipe::Head(recipe) = AnyRecipe::open(name).unwrap() else { panic!("{name} is a head's") };
        let network = Restorer::<Flex>::init(&recipe, &*head(&recipe.head), 0, &Default::default());
        let numbers: usize = values(&network).values().map(|array| array.shape.num_elements()).sum();
        // What ships is at most 1 MB of float16.
        assert!(numbers < 500_000, "{name} has {numbers} numbers");
    }
}

#[test]
fn recipes_are_refused_by_the_key_that_is_wrong() {
    let wrong = [
        ("[[2, 2, 2], [3, 1, 1]]", "[[1, 1, 1]]", "head.factors"),
        ("[[2, 2, 2], [3, 1, 1]]", "[[2, 2, 2], [3, 1, 1]]\nmeasured = true", "head.factors"),
        ("patch = [24, 24, 24]", "patch = [24, 24, 25]", "training.patch"),
        (
            "space_to_depth = [2, 2, 2]",
            "space_to_depth = [3, 2, 1]\nupsampling = \"resize\"",
            "network.upsampling",
        ),
        ("channels = 8", "channels = 0", "network.channels"),
        ("[training]", "[loss]\nl1 = 0.0\n[training]", "loss"),
        ("kind = \"residual\"", "kind = \"recursive\"", "network"),
    ];
    for (from, to, key) in wrong {
        let toml = SUPERRES.replace(from, to);
        assert_ne!(toml, SUPERRES);
        let error = RestorationRecipe::from_toml(&toml, Path::new("test.toml")).unwrap_err().to_string();
        assert!(error.contains(key), "{key}: {error}");
    }
}

/// Weights hold the space of their training images; datasets that no head learns from are refused, and runs that go on with others.
#[test]
fn the_space_of_the_images_travels() {
    let place = Place::new();
    let toml = SUPERRES.replace("\nsteps = 100", "\nsteps = 20");
    place.train(&recipe(&toml), "run");
    let path = place.path("run");
    let opened = TrainedRestorer::<Flex>::open(path.to_str().unwrap(), &Default::default()).unwrap();
    let percentiles = Normalisation::Percentile { low: 0.0, high: 100.0 };
    let expected = ImageSpace { normalisation: percentiles, spacing_mm: Some([1.0; 3]), channels: 1 };
    assert_eq!(opened.space, expected);
    let exported = place.path("exported.safetensors");
    program::printed(&["export", path.to_str().unwrap(), exported.to_str().unwrap()]);
    let exported = TrainedRestorer::<Flex>::open(exported.to_str().unwrap(), &Default::default()).unwrap();
    assert_eq!(exported.space, expected);
    // Those inside the program have that of their cards.
    let inside = TrainedRestorer::<Flex>::open("motion", &Default::default()).unwrap();
    assert_eq!(inside.space, ImageSpace::of_1_mm());
    let manifest = place.path("cache").join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    let mut json: Value = serde_json::from_str(&text).unwrap();
    let refused = |json: &Value, out: &str| {
        fs::write(&manifest, json.to_string()).unwrap();
        let truths = Dataset::open(&place.path("cache")).unwrap();
        let (recipe, stop) = (recipe(&toml), AtomicBool::new(false));
        let job = Job {
            recipe: &recipe,
            subjects: Subjects::Scans(&truths),
            out: &place.path(out),
            group: &Group::alone(),
            stop: &stop,
        };
        restorer::run::<Flex>(&job, &Default::default(), &|_| {}).unwrap_err().to_string()
    };
    json["settings"]["spacing_mm"] = serde_json::json!([2.0, 2.0, 2.0]);
    assert!(refused(&json, "run").contains("training set"));
    json["settings"]["normalisation"] = "z_score".into();
    assert!(refused(&json, "other").contains("--normalise percentile"));
    json["channels"] = 3.into();
    assert!(refused(&json, "other").contains("one channel"));
}

/// What a foreign recipe claims is held against its arrays before anything is made of it.
#[test]
fn recipes_that_claim_more_than_their_file_has_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("claims.safetensors");
    let refused = |toml: String| {
        let mut weights = Weights { path: path.clone(), ..Weights::default() };
        weights.arrays.insert("R_ema.a".into(), (vec![2], vec![0.0; 2]));
        weights.metadata.insert("recipe".into(), toml);
        fs::write(&path, weights.to_bytes(false).unwrap()).unwrap();
        TrainedRestorer::<Flex>::open(path.to_str().unwrap(), &Default::default()).unwrap_err().to_string()
    };
    let residual = |channels: u64, blocks: u64| {
        SUPERRES
            .replace("channels = 8", &format!("channels = {channels}"))
            .replace("blocks = 1", &format!("blocks = {blocks}"))
    };
    assert!(refused(residual(4096, 200)).contains("at least"));
    assert!(refused(residual(1 << 40, 1)).contains("network.channels"));
    let unet = |widths: &str| {
        let residual = "kind = \"residual\"\nchannels = 8\nblocks = 1\nspace_to_depth = [2, 2, 2]";
        SUPERRES.replace(residual, &format!("kind = \"u-net\"\nwidths = {widths}"))
    };
    assert!(refused(unet(&format!("{:?}", vec![8; 70]))).contains("network.widths"));
    assert!(refused(unet("[4096, 4096]")).contains("at least"));
    // The networks inside the program have what their recipes claim.
    for name in ["superres", "recon", "motion", "inpaint", "translate", "progress"] {
        assert!(TrainedRestorer::<Flex>::open(name, &Default::default()).is_ok(), "{name}");
    }
}
