//! Runs: resuming, threads, micro-batches, files that vanish, losses that are not finite, interrupts, conditions. The
//! data are ellipsoids on a grid of 8³, the networks those of the recipe `tiny`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::needs;
use crate::program::{printed, refused};
use burn::backend::Flex;
use ndarray::Array4;
use serde_json::Value;
use voxgan::config::{BestBy, ClassCondition, Covariate, CoverageRecipe, Encoding, Recipe};
use voxgan::error::{Error, Result};
use voxgan::io::dataset::{Dataset, Plan, prepare};
use voxgan::io::nifti::{self, WriteOptions};
use voxgan::io::scan::ReadOptions;
use voxgan::pipeline;
use voxgan::pipeline::train::{Options, Plan as RunPlan, Training, train};
use voxgan::pretrained::latest_checkpoint;
use voxgan::pretrained::{Model, Weights, export, export_for_training};
use voxgan::train::generator::{self, Job};
use voxgan::train::transfer::Source;
use voxgan::train::{Best, Ended, Event, Group, Reals};
use voxgan::volume::crop::Centre;
use voxgan::volume::intensity::Normalisation;
use voxgan::volume::resample::Interpolation;
use voxgan::volume::{ImageGrid, Volume};

/// An ellipsoid of 4 mm voxels whose half-axes depend on `number`, brighter inside.
fn ellipsoid(number: usize) -> Volume {
    let axes_mm = [9.0 + number as f64, 14.0 - number as f64, 11.0 + (number * 7 % 5) as f64];
    let data = Array4::from_shape_fn((1, 8, 8, 8), |(_, k, j, i)| {
        let radius =
            [i, j, k].iter().zip(axes_mm).map(|(&n, a)| ((n as f64 - 3.5) * 4.0 / a).powi(2)).sum::<f64>();
        if radius > 1.0 { 0.0 } else { (100.0 - 40.0 * radius) as f32 }
    });
    Volume::new(data, ImageGrid::upright([8; 3], [4.0; 3]).unwrap().affine)
}

/// A folder with a prepared dataset and runs, removed at the end.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// With `count` ellipsoids from number `first` on; `sex` and `age_years` in their table.
    fn new(first: usize, count: usize) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        let bids = place.folder.path().join("bids");
        let mut table = "participant_id\tsex\tage_years\n".to_string();
        for number in first..first + count {
            let anat = bids.join(format!("sub-{number:02}/anat"));
            fs::create_dir_all(&anat).unwrap();
            let path = anat.join(format!("sub-{number:02}_T1w.nii.gz"));
            nifti::write(&path, &ellipsoid(number), &WriteOptions::default()).unwrap();
            let sex = if number.is_multiple_of(2) { "F" } else { "M" };
            table += &format!("sub-{number:02}\t{sex}\t{}\n", 20 + 7 * number);
        }
        fs::write(bids.join("dataset_description.json"), "{}").unwrap();
        fs::write(bids.join("participants.tsv"), table).unwrap();
        let plan = Plan {
            inputs: vec![bids],
            shape: [8; 3],
            spacing_mm: None,
            interpolation: Interpolation::Linear,
            normalisation: Normalisation::Percentile { low: 0.0, high: 100.0 },
            centre: Centre::Grid,
            participants: Vec::new(),
            labels: vec!["sex".into(), "age_years".into()],
            read: ReadOptions::default(),
            strict: true,
        };
        let report = prepare(&plan, None, &place.data(), &AtomicBool::new(false), &|_| {}).unwrap();
        assert_eq!((report.prepared, report.failures.len()), (count, 0));
        place
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn reals(&self, recipe: &Recipe) -> Reals {
        Reals::new(Dataset::open(&self.data()).unwrap(), recipe).unwrap()
    }

    /// The run `name` up to `last_step`.
    fn train(&self, recipe: &Recipe, name: &str, last_step: u64) -> Result<Ended> {
        self.train_from(None, recipe, name, last_step)
    }

    /// The run `name`, which starts from other weights, up to `last_step`.
    fn train_from(
        &self,
        from: Option<&Source>,
        recipe: &Recipe,
        name: &str,
        last_step: u64,
    ) -> Result<Ended> {
        let (reals, stop) = (self.reals(recipe), AtomicBool::new(false));
        let out = self.out(name);
        let job = Job { from, ..job(recipe, &reals, &out, &stop, last_step) };
        generator::run::<Flex>(&job, &Default::default(), &|_| {})
    }

    fn latest(&self, name: &str) -> PathBuf {
        latest_checkpoint(&self.out(name)).unwrap().expect("a checkpoint")
    }

    /// The log.
    fn lines(&self, name: &str) -> Vec<BTreeMap<String, Value>> {
        let text = fs::read_to_string(self.out(name).join("stats.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Lines of the log about steps, without what a clock tells.
    fn log(&self, name: &str) -> Vec<BTreeMap<String, Value>> {
        self.lines(name)
            .into_iter()
            .filter(|line| line.contains_key("loss_g"))
            .map(|mut line| {
                for key in [
                    "seconds",
                    "seconds_per_kimg",
                    "seconds_between_steps",
                    "images_per_second",
                    "peak_memory_mb",
                ] {
                    let value = line.remove(key);
                    assert!(value.and_then(|v| v.as_f64()).is_some_and(|v| v > 0.0), "{key}");
                }
                line
            })
            .collect()
    }
}

static ALONE: LazyLock<Group> = LazyLock::new(Group::alone);

/// A run without validation, up to `last_step`.
fn job<'a>(
    recipe: &'a Recipe,
    reals: &'a Reals,
    out: &'a Path,
    stop: &'a AtomicBool,
    last_step: u64,
) -> Job<'a> {
    let (group, last_step) = (&*ALONE, Some(last_step));
    Job { recipe, reals, validation: None, from: None, out, group, stop, last_step }
}

/// `tiny`, with augmentation from the start and a line of log every five steps.
fn tiny() -> Recipe {
    let mut recipe = Recipe::preset("tiny").unwrap();
    recipe.augmentation.initial_p = 0.4;
    recipe.output.sample_grid = 2;
    recipe.resolved()
}

/// A checkpoint's arrays by name, shape and bits, and its metadata without the seconds.
type Content = (BTreeMap<String, (Vec<usize>, Vec<u32>)>, BTreeMap<String, String>);

fn content(path: &Path) -> Content {
    let mut weights = Weights::read(path).unwrap();
    let counters = weights.metadata.get_mut("counters").expect("counters");
    let mut parsed: BTreeMap<String, Value> = serde_json::from_str(counters).unwrap();
    assert!(parsed.remove("seconds").is_some());
    *counters = serde_json::to_string(&parsed).unwrap();
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect();
    let arrays = weights.arrays.into_iter().map(|(name, (shape, values))| (name, (shape, bits(values))));
    (arrays.collect(), weights.metadata)
}

fn assert_same_checkpoints(a: &Path, b: &Path) {
    let ((a, a_text), (b, b_text)) = (content(a), content(b));
    assert!(a.keys().eq(b.keys()), "the arrays' names differ");
    assert!(
        a.keys().any(|name| name.starts_with("adam_g.")) && a.keys().any(|name| name.starts_with("adam_d."))
    );
    let different: Vec<&String> = a.keys().filter(|name| a[*name] != b[*name]).collect();
    assert!(different.is_empty(), "{} arrays differ: {different:?}", different.len());
    assert_eq!(a_text, b_text);
}

fn words(error: &Error, words: &[&str]) {
    let message = error.to_string();
    words.iter().for_each(|word| assert!(message.contains(word), "{word:?} is missing in: {message}"));
}

#[test]
fn a_run_that_was_interrupted_ends_where_the_other_does_bit_for_bit() {
    let place = Place::new(0, 6);
    let recipe = tiny();
    assert_eq!(place.train(&recipe, "whole", 20).unwrap(), Ended::Complete);
    assert_eq!(place.train(&recipe, "halves", 10).unwrap(), Ended::Complete);
    assert!(place.latest("halves").ends_with("step-00000010.safetensors"));
    assert_eq!(place.train(&recipe, "halves", 20).unwrap(), Ended::Complete);
    assert!(place.latest("halves").ends_with("step-00000020.safetensors"));
    assert_same_checkpoints(&place.latest("whole"), &place.latest("halves"));
    let steps: Vec<u64> = place.log("whole").iter().map(|line| line["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, [5, 10, 15, 20]);
    assert_eq!(place.log("whole"), place.log("halves"));
    // A run that is complete does nothing more.
    let before = fs::read(place.latest("whole")).unwrap();
    assert_eq!(place.train(&recipe, "whole", 20).unwrap(), Ended::Complete);
    assert!(fs::read(place.latest("whole")).unwrap() == before);
    assert_eq!(place.log("whole").len(), 4);
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let place = Place::new(0, 5);
    let recipe = tiny();
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let name = format!("threads-{threads}");
        pool.install(|| place.train(&recipe, &name, 9)).unwrap();
        place.latest(&name)
    };
    let (one, two, three) = (with(1), with(2), with(3));
    assert_same_checkpoints(&one, &two);
    assert_same_checkpoints(&one, &three);
}

#[test]
fn another_seed_is_another_run() {
    let place = Place::new(0, 5);
    let mut recipe = tiny();
    place.train(&recipe, "a", 1).unwrap();
    recipe.training.seed = 1;
    place.train(&recipe, "b", 1).unwrap();
    let name = "G.synthesis.b4.const";
    let [a, b] = ["a", "b"].map(|run| content(&place.latest(run)).0);
    assert!(a.contains_key(name), "{:?}", a.keys());
    assert_ne!(a[name], b[name]);
}

/// With a group of one sample, every term of a gradient is a sample's own, and a batch in parts gives the same sum. With
/// β₁ = 0 the first moments of Adam are the gradients of the last phase.
#[test]
fn micro_batches_give_the_batchs_gradients() {
    let place = Place::new(0, 6);
    for (path_interval, r1_interval, network) in
        [(0, 0, "adam_g.first."), (1, 0, "adam_g.first."), (0, 0, "adam_d.first."), (0, 1, "adam_d.first.")]
    {
        let gradients = |micro: usize| {
            let mut recipe = tiny();
            recipe.network.minibatch_group = 2;
            let training = &mut recipe.training;
            assert_eq!(training.adam_betas[0], 0.0);
            (training.batch, training.micro_batch) = (8, Some(micro));
            (training.r1_interval, training.path_length_interval) = (r1_interval, path_interval);
            // The discriminator's phases see the generator after its step: without ε, that divides noise by noise.
            training.adam_epsilon = 1.0;
            recipe.validate().unwrap();
            let name = format!("{network}{path_interval}{r1_interval}-{micro}");
            place.train(&recipe, &name, 1).unwrap();
            let arrays = Weights::read(&place.latest(&name)).unwrap().arrays;
            let mine = arrays.into_iter().filter(|(name, _)| name.starts_with(network));
            mine.flat_map(|(_, (_, values))| values).map(f64::from).collect::<Vec<_>>()
        };
        let whole = gradients(8);
        let norm = whole.iter().map(|g| g * g).sum::<f64>().sqrt();
        assert!(norm > 1e-6, "{norm}");
        for micro in [4, 2] {
            let parts = gradients(micro);
            assert_eq!(whole.len(), parts.len());
            let distance = whole.iter().zip(&parts).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
            println!(
                "{network} path {path_interval} R1 {r1_interval}, {micro} at once: {:.1e}",
                distance / norm
            );
            assert!(
                distance / norm < 1e-5,
                "{network} path {path_interval} R1 {r1_interval}, {micro} at once: {:.1e}",
                distance / norm
            );
        }
    }
}

#[test]
fn a_vanished_volume_is_an_error_that_names_it() {
    let place = Place::new(0, 6);
    let recipe = tiny();
    place.train(&recipe, "run", 3).unwrap();
    let checkpoint = place.latest("run");
    let before = fs::read(&checkpoint).unwrap();
    let mut volumes: Vec<PathBuf> =
        fs::read_dir(place.data().join("volumes")).unwrap().map(|entry| entry.unwrap().path()).collect();
    volumes.sort();
    let hidden = place.folder.path().join("hidden");
    fs::rename(&volumes[4], &hidden).unwrap();
    let error = place.train(&recipe, "run", 6).unwrap_err();
    words(&error, &[volumes[4].file_name().unwrap().to_str().unwrap()]);
    assert_eq!(place.latest("run"), checkpoint);
    assert!(fs::read(&checkpoint).unwrap() == before);
    Model::<Flex>::open(place.out("run").to_str().unwrap(), &Default::default()).unwrap();
    // With the file back, the run goes on as if nothing had been.
    fs::rename(&hidden, &volumes[4]).unwrap();
    place.train(&recipe, "run", 6).unwrap();
    place.train(&recipe, "other", 6).unwrap();
    assert_same_checkpoints(&place.latest("run"), &place.latest("other"));
}

#[test]
fn a_checkpoint_of_another_recipe_or_dataset_is_refused() {
    let place = Place::new(0, 5);
    let recipe = tiny();
    place.train(&recipe, "run", 2).unwrap();
    let checkpoint = place.latest("run").display().to_string();
    for change in [
        (|r| r.network.w_dim = 8) as fn(&mut Recipe),
        |r| r.training.batch = 8,
        |r| r.training.seed = 5,
        |r| r.training.gamma = Some(3.0),
        |r| r.augmentation.target = 0.5,
    ] {
        let mut other = recipe.clone();
        change(&mut other);
        words(&place.train(&other, "run", 4).unwrap_err(), &[&checkpoint, "recipe", "--out"]);
    }
    let elsewhere = Place::new(1, 5);
    let reals = elsewhere.reals(&recipe);
    let (out, stop) = (place.out("run"), AtomicBool::new(false));
    let job = job(&recipe, &reals, &out, &stop, 4);
    let error = generator::run::<Flex>(&job, &Default::default(), &|_| {}).unwrap_err();
    words(&error, &[&checkpoint, "training set", "--data"]);
    assert_eq!(place.latest("run").display().to_string(), checkpoint);
    // A longer run with other output is the same run.
    let mut longer = recipe.clone();
    (longer.training.total_kimg, longer.output.sample_grid) = (9.0, 1);
    place.train(&longer, "run", 3).unwrap();
}

#[test]
fn a_damaged_checkpoint_is_refused() {
    let place = Place::new(0, 5);
    let recipe = tiny();
    place.train(&recipe, "run", 1).unwrap();
    let checkpoint = place.latest("run");
    let bytes = fs::read(&checkpoint).unwrap();
    for content in [&bytes[..bytes.len() - 9], &bytes[..40], b"{}"] {
        fs::write(&checkpoint, content).unwrap();
        words(&place.train(&recipe, "run", 2).unwrap_err(), &[checkpoint.to_str().unwrap(), "safetensors"]);
    }
}

#[test]
fn a_grid_that_is_not_the_recipes_is_refused() {
    let place = Place::new(0, 2);
    let mut recipe = tiny();
    recipe.network.base = [4, 4, 5];
    let error = Reals::new(Dataset::open(&place.data()).unwrap(), &recipe).unwrap_err();
    words(&error, &["network.base", "[8, 8, 8]", "[8, 8, 10]", "--shape"]);
}

#[test]
fn a_loss_that_is_not_finite_ends_the_run_and_leaves_the_checkpoint() {
    let place = Place::new(0, 5);
    let mut recipe = tiny();
    recipe.training.learning_rate_discriminator = 1e12;
    recipe.training.r1_interval = 0;
    // A checkpoint every step.
    recipe.output.checkpoint_kimg = 0.004;
    let error = place.train(&recipe, "run", 20).unwrap_err();
    let Error::Training { step, .. } = error else { panic!("{error}") };
    words(&error, &["loss", "learning rate", "checkpoint"]);
    assert!(step > 0, "the first step is finite");
    assert!(place.latest("run").ends_with(format!("step-{step:08}.safetensors")));
    Model::<Flex>::open(place.out("run").to_str().unwrap(), &Default::default()).unwrap();
    // Resumed, it comes to the same step and the same end.
    let before = fs::read(place.latest("run")).unwrap();
    let again = place.train(&recipe, "run", 20).unwrap_err();
    assert_eq!(again.to_string(), error.to_string());
    assert!(fs::read(place.latest("run")).unwrap() == before);
}

#[test]
fn the_stop_flag_ends_a_run_with_a_checkpoint() {
    let place = Place::new(0, 5);
    let recipe = tiny();
    let (reals, stop) = (place.reals(&recipe), AtomicBool::new(false));
    let out = place.out("run");
    let job = job(&recipe, &reals, &out, &stop, 12);
    let tell = |event: Event| {
        if let Event::Logged { step: 5, .. } = event {
            stop.store(true, Ordering::Relaxed);
        }
    };
    assert_eq!(generator::run::<Flex>(&job, &Default::default(), &tell).unwrap(), Ended::Stopped);
    assert!(place.latest("run").ends_with("step-00000005.safetensors"));
    // Nothing partial beside it.
    let checkpoints = fs::read_dir(out.join("checkpoints")).unwrap().count();
    assert_eq!(checkpoints, 1);
    assert_eq!(place.train(&recipe, "run", 12).unwrap(), Ended::Complete);
    place.train(&recipe, "whole", 12).unwrap();
    assert_same_checkpoints(&place.latest("run"), &place.latest("whole"));
    // Set before the start, there is nothing to save.
    let none = place.out("none");
    let job = Job { out: &none, ..job };
    assert_eq!(generator::run::<Flex>(&job, &Default::default(), &|_| {}).unwrap(), Ended::Stopped);
    assert_eq!(latest_checkpoint(&none).unwrap(), None);
}

/// The job of a program: it tells of its steps, is cancelled, and the same options go on to the same end.
#[test]
fn a_job_that_was_cancelled_goes_on() {
    let place = Place::new(0, 5);
    let mut recipe = tiny();
    recipe.training.total_kimg = 12.0 * recipe.training.batch as f64 / 1000.0;
    let path = place.out("recipe.toml");
    fs::write(&path, recipe.to_toml().unwrap()).unwrap();
    let options = Options {
        recipe: path.to_str().unwrap().into(),
        data: place.data(),
        out: place.out("run"),
        ..Options::default()
    };
    let plan = Training::open(options.clone()).unwrap().plan().unwrap();
    assert!(matches!(plan, RunPlan::Generator { volumes: 5, validated: None, .. }), "{plan:?}");
    let (stop, heard) = (AtomicBool::new(false), std::sync::Mutex::new(Vec::new()));
    let tell = |event: pipeline::Event| match event {
        pipeline::Event::Done { what, done, of, .. } => {
            heard.lock().unwrap().push(format!("{what} {done} of {of}"));
        }
        pipeline::Event::Step { step: 5, of: 12, numbers } => {
            assert!(numbers["loss_g"].is_finite());
            stop.store(true, Ordering::Relaxed);
        }
        _ => {}
    };
    let cancelled = train(options.clone(), &pipeline::Progress::new(&tell).cancelled_by(&stop)).unwrap();
    assert!(!cancelled.complete);
    assert!(cancelled.checkpoint.unwrap().ends_with("step-00000005.safetensors"));
    let ended = train(options, &pipeline::Progress::new(&tell)).unwrap();
    assert!(ended.complete);
    assert_eq!(*heard.lock().unwrap(), ["steps 0 of 12", "steps 5 of 12"]);
    place.train(&recipe, "whole", 12).unwrap();
    assert_same_checkpoints(&ended.checkpoint.unwrap(), &place.latest("whole"));
}

#[test]
fn resuming_from_an_older_checkpoint_repeats_no_line_of_the_log() {
    let place = Place::new(0, 5);
    let mut recipe = tiny();
    // Every ten steps.
    recipe.output.checkpoint_kimg = 0.04;
    place.train(&recipe, "run", 20).unwrap();
    let (first, last) = (place.log("run"), content(&place.latest("run")));
    // The last checkpoint is lost, and the log ends within a line.
    fs::remove_file(place.latest("run")).unwrap();
    assert!(place.latest("run").ends_with("step-00000010.safetensors"));
    let stats = place.out("run").join("stats.jsonl");
    let text = fs::read_to_string(&stats).unwrap();
    fs::write(&stats, &text[..text.len() - 30]).unwrap();
    place.train(&recipe, "run", 20).unwrap();
    assert_eq!(place.log("run"), first);
    assert!(content(&place.latest("run")) == last);
}

#[test]
fn the_two_last_checkpoints_are_kept() {
    let place = Place::new(0, 5);
    let mut recipe = tiny();
    recipe.output.checkpoint_kimg = 0.004;
    place.train(&recipe, "run", 5).unwrap();
    let mut names: Vec<_> = fs::read_dir(place.out("run").join("checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["step-00000004.safetensors", "step-00000005.safetensors"]);
    for file in
        ["recipe.toml", "versions.json", "stats.jsonl", "samples/reals.png", "samples/kimg-00000.000.png"]
    {
        assert!(place.out("run").join(file).is_file(), "{file}");
    }
    let written = Recipe::read(&place.out("run").join("recipe.toml")).unwrap();
    assert_eq!(written, recipe);
}

/// Validated every ten steps on four other ellipsoids: the numbers do not depend on where the run was cut, the best
/// checkpoint is that of the best line, and what is learned is what a run without validation learns.
#[test]
fn the_best_checkpoint_on_other_people_is_kept() {
    let [place, others] = [Place::new(0, 6), Place::new(6, 4)];
    let mut recipe = tiny();
    (recipe.output.validation_kimg, recipe.output.validation_volumes) = (0.04, 4);
    let (reals, people, stop) = (place.reals(&recipe), others.reals(&recipe), AtomicBool::new(false));
    let best = |name: &str| place.out(name).join("checkpoints/best.safetensors");
    let train = |name: &str, last_step: u64| {
        let out = place.out(name);
        let job = Job { validation: Some(&people), ..job(&recipe, &reals, &out, &stop, last_step) };
        generator::run::<Flex>(&job, &Default::default(), &|_| {}).unwrap();
    };
    let lines = |name: &str| {
        let text = fs::read_to_string(place.out(name).join("stats.jsonl")).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["validation/recall"].is_f64()).collect::<Vec<_>>()
    };
    train("whole", 20);
    train("halves", 10);
    train("halves", 20);
    let found = lines("whole");
    assert_eq!(found.iter().map(|line| line["step"].as_u64().unwrap()).collect::<Vec<_>>(), [10, 20]);
    assert_eq!(found, lines("halves"));
    for line in &found {
        let number = |key: &str| line[format!("validation/{key}")].as_f64().unwrap();
        assert!(number("frechet_distance") > 0.0 && number("nearest_ratio") > 0.0, "{line}");
        assert!((0.0..=1.0).contains(&number("precision")), "{line}");
        assert_eq!(
            line["validation/frechet_distance_of_reals"],
            found[0]["validation/frechet_distance_of_reals"]
        );
    }
    place.train(&recipe, "plain", 20).unwrap();
    assert_same_checkpoints(&place.latest("whole"), &place.latest("plain"));
    assert_same_checkpoints(&place.latest("whole"), &place.latest("halves"));
    assert_same_checkpoints(&best("whole"), &best("halves"));
    let distance = |line: &&Value| line["validation/frechet_distance"].as_f64().unwrap();
    let lowest = found.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap();
    let told = Best::read(&best("whole")).unwrap().unwrap();
    assert_eq!((told.step, told.value), (lowest["step"].as_u64().unwrap(), distance(&lowest)));
    assert_eq!(told.measure, BestBy::FrechetDistance);
    // It is a checkpoint as any other, and outlives those that follow it.
    Model::<Flex>::open(best("whole").to_str().unwrap(), &Default::default()).unwrap();
    assert!(Best::read(&best("plain")).unwrap().is_none());
    // The report shows it, and what was warned of.
    let stats = place.out("whole").join("stats.jsonl");
    let warned = r#"{"step":20,"warning":"collapse","text":"samples have collapsed"}"#;
    fs::write(&stats, fs::read_to_string(&stats).unwrap() + warned + "\n").unwrap();
    let report = place.out("report.html");
    printed(&["report", place.out("whole").to_str().unwrap(), "-o", report.to_str().unwrap()]);
    let html = fs::read_to_string(&report).unwrap();
    for part in [
        &format!("best checkpoint is that of step {}", told.step),
        "Step 20: samples have collapsed.",
        "Precision and recall on people of validation",
        "Real volumes: axial, coronal and sagittal planes of each.",
        "kimg-00000.080.png",
        "Peak memory",
    ] {
        assert!(html.contains(part), "{part}");
    }
}

/// Whoever is learned from cannot be validated on.
#[test]
fn people_of_validation_are_others() {
    let [place, others] = [Place::new(0, 6), Place::new(4, 5)];
    let train = |validation: &Path, out: &str| {
        let (data, out) = (place.data(), place.out(out));
        let arguments = ["train", "tiny", "--data", data.to_str().unwrap(), "--out", out.to_str().unwrap()];
        refused(&[&arguments[..], &["--validation", validation.to_str().unwrap()]].concat())
    };
    let message = train(&others.data(), "run");
    assert!(message.contains("--validation") && message.contains("sub-04"), "{message}");
    let message = train(&Place::new(9, 3).data(), "run");
    assert!(message.contains("4 volumes or more"), "{message}");
    assert!(!place.out("run").exists());
}

/// A discriminator that has won is told of once, also by a run that was resumed.
#[test]
fn a_warning_is_told_once() {
    let place = Place::new(0, 5);
    let mut recipe = tiny();
    recipe.output.log_every_steps = 1;
    recipe.training.r1_interval = 0;
    recipe.augmentation.enabled = false;
    // The generator stands still, and the discriminator learns fast.
    (recipe.training.learning_rate_generator, recipe.training.learning_rate_discriminator) = (1e-9, 0.02);
    let mut told = Vec::new();
    for last_step in [60, 80] {
        let (reals, stop, out) = (place.reals(&recipe), AtomicBool::new(false), place.out("run"));
        let warnings = std::cell::RefCell::new(Vec::new());
        let tell = |event: Event| {
            if let Event::Warned { text, .. } = event {
                warnings.borrow_mut().push(text.to_string());
            }
        };
        generator::run::<Flex>(&job(&recipe, &reals, &out, &stop, last_step), &Default::default(), &tell)
            .unwrap();
        told.push(warnings.into_inner());
    }
    let text = fs::read_to_string(place.out("run").join("stats.jsonl")).unwrap();
    assert_eq!(text.matches(r#""warning":"discriminator_won""#).count(), 1, "{text}");
    assert!(told[0].len() == 1 && told[0][0].contains("has won") && told[1].is_empty(), "{told:?}");
}

/// Reads the event files of a run with TensorBoard's own reader.
const READER: &str = "
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={'scalars': 0, 'images': 0, 'histograms': 0}).Reload()
tags = events.Tags()
print(json.dumps({
    'scalars': {tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in tags['scalars']},
    'images': {tag: [[e.step, e.width, e.height, e.encoded_image_string[:4].hex()] for e in events.Images(tag)]
               for tag in tags['images']},
    'histograms': {tag: [[e.step, e.histogram_value.num, sum(e.histogram_value.bucket)] for e in events.Histograms(tag)]
                   for tag in tags['histograms']},
}))";

/// Interrupted after its tenth step, with what was told of later ones lost; what TensorBoard shows is what `stats.jsonl` says.
#[test]
fn tensorboard_reads_what_a_run_tells() {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let there = std::process::Command::new(&python).args(["-c", "import tensorboard"]).output();
    let there = there.is_ok_and(|output| output.status.success());
    let Some(()) = needs::found("tensorboard", there.then_some(())) else { return };
    let place = Place::new(0, 5);
    let mut recipe = tiny();
    recipe.output.checkpoint_kimg = 0.04;
    place.train(&recipe, "run", 15).unwrap();
    fs::remove_file(place.latest("run")).unwrap();
    place.train(&recipe, "run", 20).unwrap();
    let read =
        std::process::Command::new(&python).args(["-c", READER]).arg(place.out("run")).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let read: Value = serde_json::from_slice(&read.stdout).unwrap();
    let text = fs::read_to_string(place.out("run").join("stats.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines: Vec<Value> = lines.filter(|line| line["loss_g"].is_f64()).collect();
    assert_eq!(lines.iter().map(|line| line["step"].as_u64().unwrap()).collect::<Vec<_>>(), [5, 10, 15, 20]);
    for name in ["loss_g", "loss_d", "r_t", "augmentation_p", "seconds_per_kimg"] {
        let told = read["scalars"][name].as_array().unwrap_or_else(|| panic!("no {name} in {read}"));
        assert_eq!(told.len(), 4, "{name}: {told:?}");
        for (event, line) in told.iter().zip(&lines) {
            assert_eq!(event[0], line["step"]);
            assert_eq!(event[1].as_f64().unwrap() as f32, line[name].as_f64().unwrap() as f32, "{name}");
        }
    }
    let steps = |kind: &str, name: &str| {
        let events = read[kind][name].as_array().unwrap_or_else(|| panic!("no {name} in {read}"));
        events.iter().map(|event| event[0].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((steps("images", "reals"), steps("images", "samples")), (vec![0], vec![0, 20]));
    let picture = image::image_dimensions(place.out("run").join("samples/reals.png")).unwrap();
    assert_eq!(read["images"]["reals"][0], serde_json::json!([0, picture.0, picture.1, "89504e47"]));
    assert_eq!(steps("histograms", "intensities/samples"), [0, 20]);
    assert_eq!(read["histograms"]["intensities/reals"][0], serde_json::json!([0, 1024.0, 1024.0]));
}

/// `tiny` with a class and a covariate.
fn conditional() -> Recipe {
    let mut recipe = tiny();
    recipe.conditions.classes =
        vec![ClassCondition { label: "sex".into(), values: vec!["F".into(), "M".into()] }];
    let encoding = Encoding::Fourier { frequencies: 2 };
    recipe.conditions.covariates =
        vec![Covariate { label: "age_years".into(), min: 20.0, max: 90.0, encoding }];
    recipe.validate().unwrap();
    recipe
}

#[test]
fn conditions_come_from_the_table_and_resume() {
    let place = Place::new(0, 6);
    let recipe = conditional();
    place.train(&recipe, "whole", 10).unwrap();
    place.train(&recipe, "parts", 4).unwrap();
    place.train(&recipe, "parts", 10).unwrap();
    assert_same_checkpoints(&place.latest("whole"), &place.latest("parts"));
    let arrays = content(&place.latest("whole")).0;
    let embed = &arrays["G.mapping.embed.weight"];
    assert_eq!(embed.0, [16, 6]);
    let start = {
        place.train(&recipe, "start", 1).unwrap();
        content(&place.latest("start")).0["G.mapping.embed.weight"].clone()
    };
    assert_ne!(&start, embed, "the embedding learns");
    assert!(arrays.contains_key("D.mapping.embed.weight"));
}

/// Conditions are drawn by the seed, from a range or from the people of a dataset.
#[test]
fn conditions_are_drawn() {
    let place = Place::new(0, 6);
    let recipe = conditional();
    place.train(&recipe, "run", 1).unwrap();
    let (run, out, data) = (place.out("run"), place.out("out"), place.data());
    let [run, out, data] = [&run, &out, &data].map(|path| path.to_str().unwrap());
    let generate = |conditions: &'static str| {
        vec![
            "generate",
            "--force",
            "--weights",
            run,
            "--out",
            out,
            "--seeds",
            "0-7",
            "--conditions",
            conditions,
        ]
    };
    printed(&generate("sex=F,age_years=20-40"));
    let ages = || {
        let age = |seed: u64| {
            let sidecar = fs::read_to_string(place.out("out").join(format!("seed-{seed:04}.json"))).unwrap();
            let sidecar: Value = serde_json::from_str(&sidecar).unwrap();
            assert_eq!(sidecar["Conditions"]["sex"], "F");
            sidecar["Conditions"]["age_years"].as_str().unwrap().parse::<f64>().unwrap()
        };
        (0..8).map(age).collect::<Vec<f64>>()
    };
    let first = ages();
    assert!(first.iter().all(|age| (20.0..=40.0).contains(age)), "{first:?}");
    assert!(first.iter().any(|age| *age < 30.0) && first.iter().any(|age| *age > 30.0), "{first:?}");
    printed(&generate("sex=F,age_years=20-40"));
    assert_eq!(ages(), first);
    assert!(refused(&generate("sex=F,age_years=10-40")).contains("`10`"));
    // What is left out is drawn as it is among the people, and written down.
    printed(&generate("age_years=48"));
    let table = fs::read_to_string(place.out("out").join("participants.tsv")).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(rows[0], ["participant_id", "sex", "age_years"]);
    assert!(rows.len() == 9 && rows[1..].iter().all(|row| row[2] == "48" && ["F", "M"].contains(&row[1])));
    assert_eq!(rows[1][0], "seed-0000");
    assert!(rows[1..].iter().any(|row| row[1] == "M") && rows[1..].iter().any(|row| row[1] == "F"));
    let beyond = generate("age_years=95");
    assert!(refused(&beyond).contains("--extrapolate"));
    printed(&[&beyond[..], &["--extrapolate"]].concat());
    let mix =
        ["mix", "--weights", run, "--rows", "0", "--columns", "1", "--layers", "0", "--out", out, "--force"];
    printed(&mix);
    assert!(place.out("out").join("row-0000_column-0001.nii.gz").is_file());
    // All six, although the network asks for conditions that nobody gave.
    assert!(
        printed(&["evaluate", "--weights", run, "--data", data]).contains("6 synthetic volumes against 6")
    );
}

#[test]
fn a_label_outside_the_recipe_names_the_volume() {
    let place = Place::new(0, 6);
    let refuse = |change: fn(&mut Recipe), expected: &[&str]| {
        let mut recipe = conditional();
        change(&mut recipe);
        words(&Reals::new(Dataset::open(&place.data()).unwrap(), &recipe).unwrap_err(), expected);
    };
    refuse(|r| r.conditions.covariates[0].max = 50.0, &["age_years", "sub-05", "`55`", "from 20 to 50"]);
    refuse(|r| r.conditions.classes[0].values = vec!["F".into(), "X".into()], &["sex", "sub-01", "`M`"]);
    refuse(|r| r.conditions.classes[0].label = "site".into(), &["site", "sub-00", "none"]);
}

/// A recipe whose generator first learns from coverage alone, for 40 volumes, in voxels and features; after 20 of them its
/// discriminator begins.
fn covering(recipe: Recipe) -> Recipe {
    let coverage = CoverageRecipe {
        weight: 10.0,
        features: 0.5,
        pool: 4,
        search_kimg: 0.02,
        alone_kimg: 0.04,
        discriminator_ahead_kimg: 0.02,
        discriminator_pairs: 0.5,
    };
    Recipe { coverage, ..recipe }.resolved()
}

#[test]
fn samples_come_to_the_people_without_a_discriminator() {
    let place = Place::new(0, 6);
    let mut recipe = covering(tiny());
    (recipe.coverage.alone_kimg, recipe.coverage.discriminator_ahead_kimg) = (10.0, 0.0);
    place.train(&recipe, "alone", 1).unwrap();
    let of_discriminator = |path: &Path| {
        let (arrays, _) = content(path);
        arrays.into_iter().filter(|(name, _)| name.starts_with("D.")).collect::<Vec<_>>()
    };
    let before = of_discriminator(&place.latest("alone"));
    place.train(&recipe, "alone", 60).unwrap();
    assert!(before == of_discriminator(&place.latest("alone")) && !before.is_empty());
    let log = place.lines("alone");
    let of = |name: &str| log.iter().filter_map(|line| line.get(name)?.as_f64()).collect::<Vec<f64>>();
    assert!(of("loss_g").is_empty() && of("loss_d").is_empty());
    let [voxels, features] = ["coverage", "coverage_features"].map(of);
    assert!(voxels.len() == 13 && voxels[12] < 0.4 * voxels[0], "{voxels:?}");
    assert!(features.len() == 13 && features[12] < features[0], "{features:?}");
}

/// The discriminator comes to tell volumes from the samples that are to become them, and the generator learns nothing from it yet.
#[test]
fn a_discriminator_learns_ahead_of_its_turn() {
    let place = Place::new(0, 6);
    let mut recipe = covering(tiny());
    recipe.augmentation.enabled = false;
    (recipe.coverage.alone_kimg, recipe.coverage.discriminator_ahead_kimg) = (10.0, 9.9);
    place.train(&recipe, "ahead", 150).unwrap();
    let log = place.lines("ahead");
    let of = |name: &str| log.iter().filter_map(|line| line.get(name)?.as_f64()).collect::<Vec<f64>>();
    let loss = of("loss_d");
    let last = loss[loss.len() - 5..].iter().sum::<f64>() / 5.0;
    assert!(loss.len() < of("coverage").len() && last < 1.0, "{loss:?}");
    assert!(of("loss_g").is_empty());
}

#[test]
fn a_run_with_coverage_resumes_bit_for_bit() {
    let place = Place::new(0, 6);
    for (name, recipe) in [("free", covering(tiny())), ("conditional", covering(conditional()))] {
        // Steps 7 and 13 are between two searches, one without a discriminator and one with.
        let [whole, parts] = ["whole", "parts"].map(|kind| format!("{name}-{kind}"));
        place.train(&recipe, &whole, 20).unwrap();
        for last in [7, 13, 20] {
            place.train(&recipe, &parts, last).unwrap();
        }
        assert_same_checkpoints(&place.latest(&whole), &place.latest(&parts));
    }
}

/// `tiny` with one more block of the same grid, wider, conditional, with everything of `[transfer]`.
fn grown() -> Recipe {
    let mut recipe = conditional();
    let network = &mut recipe.network;
    (network.channel_base, network.channel_max) = (None, None);
    (network.discriminator_channel_base, network.discriminator_channel_max) = (None, None);
    network.factors.push([1; 3]);
    (network.channels, network.discriminator_channels) = (Some(vec![12, 8, 4]), Some(vec![10, 8, 6]));
    recipe.transfer.freeze_d = 2;
    recipe.transfer.ramp_kimg = 0.02;
    recipe.validate().unwrap();
    recipe.resolved()
}

#[test]
fn a_run_that_started_from_other_weights_resumes_bit_for_bit_and_freezes_layers() {
    let place = Place::new(0, 6);
    place.train(&tiny(), "old", 3).unwrap();
    let source = Source::open(place.out("old").to_str().unwrap()).unwrap();
    let recipe = grown();
    place.train_from(Some(&source), &recipe, "whole", 9).unwrap();
    place.train_from(Some(&source), &recipe, "parts", 4).unwrap();
    // The weights are needed no more.
    place.train(&recipe, "parts", 6).unwrap();
    place.train_from(Some(&source), &recipe, "parts", 9).unwrap();
    assert_same_checkpoints(&place.latest("whole"), &place.latest("parts"));
    place.train_from(Some(&source), &recipe, "first", 1).unwrap();
    let ((first, text), (last, _)) = (content(&place.latest("first")), content(&place.latest("whole")));
    assert!(text["origin"].contains("\"generator_blocks\":2"), "{}", text["origin"]);
    // Of the old finest block, conv0 and conv1; what is new learns, and so does the skip.
    let old = content(&place.latest("old")).0;
    for name in ["D.b8.conv0.weight", "D.b8.conv0.bias", "D.b8.conv1.weight", "D.b8.conv1.bias"] {
        assert_eq!(first[name], last[name], "{name}");
        assert!(!last.contains_key(&format!("adam_d.first.{name}")), "{name}");
    }
    assert_eq!(old["D.b8.conv0.weight"], last["D.b8.conv0.weight"], "as wide as it was");
    for name in ["D.b8.skip.weight", "D.b16.fromrgb.weight", "D.b16.conv1.weight", "D.b4.fc.weight"] {
        assert_ne!(first[name], last[name], "{name}");
    }
    // Others than those it began with, or any for a run that began with none, are refused.
    let other = Source::open(place.out("first").to_str().unwrap()).unwrap();
    words(&place.train_from(Some(&other), &recipe, "parts", 10).unwrap_err(), &["origin", "--out"]);
    words(&place.train_from(Some(&source), &tiny(), "old", 4).unwrap_err(), &["origin", "--out"]);
    // Without weights, there is nothing to freeze.
    words(&place.train(&recipe, "none", 1).unwrap_err(), &["--from", "[transfer]"]);
}

#[test]
fn a_frozen_mapping_network_stays() {
    let place = Place::new(0, 6);
    place.train(&tiny(), "old", 3).unwrap();
    let source = Source::open(place.out("old").to_str().unwrap()).unwrap();
    let mut recipe = tiny();
    recipe.transfer.freeze_mapping = true;
    place.train_from(Some(&source), &recipe, "new", 5).unwrap();
    let (old, new) = (content(&place.latest("old")).0, content(&place.latest("new")).0);
    for name in ["G.mapping.fc0.weight", "G.mapping.fc0.bias", "G.mapping.fc1.weight"] {
        assert_eq!(old[name], new[name], "{name}");
    }
    assert_ne!(old["G.synthesis.b4.const"], new["G.synthesis.b4.const"]);
}

/// With β₁ = 0, Adam's first step is a step size long in every parameter that has a gradient.
#[test]
fn step_sizes_rise_from_nothing() {
    let place = Place::new(0, 6);
    place.train(&tiny(), "old", 3).unwrap();
    let source = Source::open(place.out("old").to_str().unwrap()).unwrap();
    let start = Weights::read(&place.latest("old")).unwrap();
    let longest = |ramp_kimg: f64| {
        let mut recipe = tiny();
        recipe.transfer.ramp_kimg = ramp_kimg;
        (recipe.training.r1_interval, recipe.training.path_length_interval) = (0, 0);
        let name = format!("ramp-{ramp_kimg}");
        place.train_from(Some(&source), &recipe, &name, 1).unwrap();
        let end = Weights::read(&place.latest(&name)).unwrap();
        let (before, after) = (&start.arrays["D.b4.fc.weight"].1, &end.arrays["D.b4.fc.weight"].1);
        let steps = before.iter().zip(after).map(|(a, b)| f64::from((a - b).abs()));
        steps.fold(0.0, f64::max)
    };
    let rate = tiny().training.learning_rate_discriminator;
    let (full, tenth) = (longest(0.0), longest(0.04));
    assert!((full / rate - 1.0).abs() < 1e-2, "{full}");
    assert!((tenth / rate - 0.1).abs() < 1e-2, "{tenth}");
}

#[test]
fn exported_weights_are_those_of_the_checkpoint_in_float16() {
    let place = Place::new(0, 6);
    place.train(&conditional(), "old", 5).unwrap();
    let checkpoint = Weights::read(&place.latest("old")).unwrap();
    let bytes = export_for_training(&checkpoint).unwrap();
    let file = place.out("old.safetensors");
    fs::write(&file, &bytes).unwrap();
    let weights = Weights::read(&file).unwrap();
    let of = |prefix: &str| weights.arrays.keys().filter(|name| name.starts_with(prefix)).count();
    assert!(of("G.") > 0 && of("D.") > 0 && of("G_ema.") > of("G.") && of("adam") == 0);
    for (name, (shape, values)) in &weights.arrays {
        let (there, exact) = &checkpoint.arrays[name];
        assert_eq!(shape, there, "{name}");
        let near = values.iter().zip(exact).all(|(a, b)| (a - b).abs() <= b.abs() * 5e-4 + 1e-7);
        assert!(near, "{name}");
    }
    // It is a generator as well, and the same run starts from it as from the checkpoint.
    Model::<Flex>::open(file.to_str().unwrap(), &Default::default()).unwrap();
    let mut recipe = conditional();
    recipe.transfer.ramp_kimg = 1e9;
    for (name, from) in [("a", &file), ("b", &place.out("old"))] {
        let source = Source::open(from.to_str().unwrap()).unwrap();
        place.train_from(Some(&source), &recipe, name, 1).unwrap();
    }
    let [a, b] = ["a", "b"].map(|name| Weights::read(&place.latest(name)).unwrap().arrays);
    for (name, (_, values)) in
        a.iter().filter(|(name, _)| !name.starts_with("adam") && !name.ends_with("w_avg"))
    {
        let near = values.iter().zip(&b[name].1).all(|(a, b)| (a - b).abs() <= b.abs() * 5e-4 + 1e-6);
        assert!(near, "{name}");
    }
    // The average alone is no start for a discriminator, and no export for training can be made of it.
    let alone = Weights::from_bytes(&export(&checkpoint, true).unwrap(), &file).unwrap();
    words(&export_for_training(&alone).unwrap_err(), &["G.*", "none"]);
}
