//! Training in ranks: the program under `mpirun` of Open MPI and of MPICH, beside one process with the same recipe.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use ndarray::Array4;
use voxgan::pretrained::{Weights, latest_checkpoint};

use crate::{needs, prepared};

/// Launchers, and the packages they belong to.
const LAUNCHERS: [(&str, &str); 2] = [("openmpi", "mpirun.openmpi"), ("mpich", "mpirun.mpich")];

/// A generator whose batch has four deviation groups; augmentation, mixing, R1 and path lengths are at work.
const GENERATOR: &str = "
[network]
base = [4, 4, 4]
factors = [[2, 2, 2]]
channels = [8, 8]
z_dim = 16
w_dim = 16
mapping_layers = 2
minibatch_group = 2

[training]
batch = 8
total_kimg = 0.16
r1_interval = 4
path_length_interval = 2

[augmentation]
initial_p = 0.4
adjust_kimg = 1.0
interval = 2

[output]
sample_grid = 2
anatomy_samples = 0
checkpoint_kimg = 0.04
log_every_steps = 5
";

const HEAD: &str = "
[head]
task = \"superres\"
factors = [[2, 2, 2]]
";

const UNPAIRED: &str = "
[head]
task = \"translate\"

[unpaired]
rise = 1
";

/// The rest of both.
const SMALL: &str = "
[network]
kind = \"residual\"
channels = 4
blocks = 1

[discriminator]
levels = 1
channels = 4
learning_rate = 0.01

[training]
batch = 2
patch = [8, 8, 8]
steps = 4
log_every_steps = 2
";

/// Prepared datasets, recipes and runs.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        for (name, first) in [("a", 0), ("b", 3)] {
            let folder = place.at(name);
            let image = |number: usize| {
                let axes = [3.0 + number as f64, 8.0 - number as f64, 6.0];
                Array4::from_shape_fn((1, 8, 8, 8), |(_, k, j, i)| {
                    let parts =
                        [i, j, k].into_iter().zip(axes).map(|(n, axis)| ((n as f64 - 3.5) / axis).powi(2));
                    (1.0 - parts.sum::<f64>()).max(0.0) as f32
                })
            };
            prepared::dataset(&folder, (first..first + 5).map(image));
        }
        for (name, text) in [
            ("generator", GENERATOR),
            ("head", &[HEAD, SMALL].concat()),
            ("unpaired", &[UNPAIRED, SMALL].concat()),
        ] {
            place.recipe(name, text);
        }
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn recipe(&self, name: &str, text: &str) {
        fs::write(self.at(&format!("{name}.toml")), text).unwrap();
    }

    /// The arguments of a run by the recipe `recipe` in the folder `out`.
    fn train(&self, recipe: &str, out: &str) -> Vec<String> {
        let path = |name: &str| self.at(name).display().to_string();
        let recipe = path(&format!("{recipe}.toml"));
        ["train", &recipe, "--data", &path("a/cache"), "--out", &path(out)].map(String::from).to_vec()
    }

    /// The arrays of the latest checkpoint of a run.
    fn arrays(&self, out: &str) -> BTreeMap<String, Vec<f32>> {
        let path = latest_checkpoint(&self.at(out)).unwrap().expect("a checkpoint");
        let arrays = Weights::read(&path).unwrap().arrays;
        arrays.into_iter().map(|(name, (_, values))| (name, values)).collect()
    }

    /// How far two runs are apart: of the arrays whose names begin with `prefix`, as a part of their length.
    fn distance(&self, a: &str, b: &str, prefix: &str) -> f64 {
        let (a, b) = (self.arrays(a), self.arrays(b));
        assert!(a.keys().eq(b.keys()), "the arrays' names differ");
        let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>();
        let mine = || a.iter().filter(|(name, _)| name.starts_with(prefix));
        let apart = mine().flat_map(|(name, values)| values.iter().zip(&b[name]));
        let apart = squares(&mut apart.map(|(x, y)| f64::from(x - y)));
        let length = squares(&mut mine().flat_map(|(_, values)| values).map(|&x| f64::from(x)));
        assert!(length > 0.0, "no {prefix}");
        (apart / length).sqrt()
    }
}

/// The program with threads that leave the machine to others.
fn voxgan(arguments: &[String]) -> Command {
    let mut command = Command::new(cargo_bin("voxgan"));
    command.args(arguments).env("RAYON_NUM_THREADS", "1");
    command
}

/// A launcher with two ranks, which may have different arguments.
fn mpirun(name: &str, ranks: [&[String]; 2]) -> Command {
    let mut command = Command::new(name);
    let program = cargo_bin("voxgan");
    // More ranks than cores; and where one is killed, the others are to notice, not to be killed at once too.
    command.args(match name {
        "mpirun.openmpi" => &["--oversubscribe", "--bind-to", "none"][..],
        _ => &["-disable-auto-cleanup"],
    });
    for (arguments, before) in ranks.into_iter().zip([&[][..], &[":"][..]]) {
        command.args(before).args(["-n", "1"]).arg(&program).args(arguments);
    }
    command
        .env("RAYON_NUM_THREADS", "1")
        .envs(["OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"].map(|name| (name, "1")));
    command
}

/// Runs `command` and takes what it says.
fn told(mut command: Command) -> (bool, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.success(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

fn runs(command: Command) -> String {
    let (well, text) = told(command);
    assert!(well, "{text}");
    text
}

fn fails(command: Command) -> String {
    let (well, text) = told(command);
    assert!(!well, "{text}");
    text
}

/// Tests each launcher that is here.
fn with_launchers(test: impl Fn(&str)) {
    for (package, name) in LAUNCHERS {
        let there = Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
        if needs::found(package, there.then_some(())).is_some() {
            test(name);
        }
    }
}

/// Arguments of the run `train` that end after so many steps of eight volumes.
fn until(train: &[String], steps: u64) -> Vec<String> {
    [train, &["--total-kimg".to_string(), (0.008 * steps as f64).to_string()]].concat()
}

/// Gradients are those of one process, and twenty steps come to the same networks; the log has the same numbers.
#[test]
fn two_ranks_learn_what_one_does() {
    let place = Place::new();
    // Without ε, the optimiser divides noise by noise; its first moments are the last phase's gradients.
    let exact = GENERATOR.replace("[training]", "[training]\nadam_epsilon = 1.0");
    place.recipe("exact", &exact);
    place.recipe(
        "main",
        &exact.replace(
            "r1_interval = 4\npath_length_interval = 2",
            "r1_interval = 0\npath_length_interval = 0",
        ),
    );
    for recipe in ["exact", "main"] {
        runs(voxgan(&until(&place.train(recipe, &format!("{recipe}-1")), 1)));
    }
    runs(voxgan(&place.train("generator", "one")));
    with_launchers(|name| {
        for recipe in ["exact", "main"] {
            let out = format!("{recipe}-{name}");
            let train = until(&place.train(recipe, &out), 1);
            runs(mpirun(name, [&train, &train]));
            for network in ["adam_g.first.", "adam_d.first."] {
                let distance = place.distance(&format!("{recipe}-1"), &out, network);
                println!("{name}, {recipe}, {network}: {distance:.1e}");
                assert!(distance < 1e-6, "{name}, {recipe}, {network}: {distance:.1e}");
            }
        }
        let train = place.train("generator", name);
        runs(mpirun(name, [&train, &train]));
        let distance = ["G.", "D.", "G_ema."].map(|prefix| place.distance("one", name, prefix));
        println!("{name}, 20 steps: {distance:?}");
        assert!(distance.iter().all(|distance| *distance < 1e-3), "{distance:?}");
        let lines = |out: &str| fs::read_to_string(place.at(out).join("stats.jsonl")).unwrap();
        let parsed = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        for (a, b) in lines("one").lines().zip(lines(name).lines()) {
            let (a, b) = (parsed(a), parsed(b));
            for key in ["step", "images", "augmentation_p", "path_mean", "loss_g", "loss_d", "r_t"] {
                let [a, b] = [&a, &b].map(|line| line.get(key).and_then(serde_json::Value::as_f64));
                let near = a.zip(b).is_none_or(|(a, b)| (a - b).abs() < 1e-3 * a.abs().max(1.0));
                assert!(a.is_some() == b.is_some() && near, "{name}, {key}: {a:?}, {b:?}");
            }
        }
    });
}

/// A checkpoint of two ranks goes on with one, and that of one with two.
#[test]
fn a_run_changes_its_number_of_ranks() {
    let place = Place::new();
    runs(voxgan(&place.train("generator", "one")));
    with_launchers(|name| {
        let train = place.train("generator", name);
        for (steps, alone) in [(6, false), (13, true), (20, false)] {
            let train = until(&train, steps);
            let text = runs(if alone { voxgan(&train) } else { mpirun(name, [&train, &train]) });
            assert_eq!(text.matches("done: ").count(), 1, "the first rank alone tells: {text}");
        }
        let distance = place.distance("one", name, "G.");
        println!("{name}, 2, 1 and 2 ranks: {distance:.1e}");
        assert!(distance < 1e-3, "{name}: {distance:.1e}");
    });
}

/// Restoration with a discriminator, and translation without pairs.
#[test]
fn heads_learn_in_ranks() {
    let place = Place::new();
    let train = |recipe: &str, out: &str| {
        let mut train = place.train(recipe, out);
        if recipe == "unpaired" {
            train.extend(["--other".to_string(), place.at("b/cache").display().to_string()]);
        }
        train
    };
    for recipe in ["head", "unpaired"] {
        runs(voxgan(&train(recipe, recipe)));
    }
    with_launchers(|name| {
        for recipe in ["head", "unpaired"] {
            let out = format!("{recipe}-{name}");
            let train = train(recipe, &out);
            runs(mpirun(name, [&train, &train]));
            let distance = place.distance(recipe, &out, "");
            println!("{name}, {recipe}: {distance:.1e}");
            assert!(distance < 1e-4, "{name}, {recipe}: {distance:.1e}");
        }
    });
}

/// What one rank alone finds wrong ends all, with its message; nobody waits.
#[test]
fn an_error_on_one_rank_ends_all() {
    let place = Place::new();
    // A copy of the dataset, in which volumes have vanished: its manifest is the same.
    let copy = place.at("copy");
    fs::create_dir_all(&copy).unwrap();
    fs::copy(place.at("a/cache/manifest.json"), copy.join("manifest.json")).unwrap();
    place.recipe(
        "other",
        &GENERATOR.replace("style_mixing", "").replace("initial_p = 0.4", "initial_p = 0.3"),
    );
    place.recipe(
        "odd",
        &GENERATOR.replace("batch = 8", "batch = 6").replace("minibatch_group = 2", "minibatch_group = 6"),
    );
    with_launchers(|name| {
        let train = place.train("generator", &format!("refused-{name}"));
        let mut elsewhere = train.clone();
        elsewhere[3] = copy.display().to_string();
        let text = fails(mpirun(name, [&train, &elsewhere]));
        assert!(text.contains("rank 1 of 2: ") && text.contains("copy"), "{name}: {text}");
        let mut other = train.clone();
        other[1] = place.at("other.toml").display().to_string();
        let text = fails(mpirun(name, [&train, &other]));
        assert!(text.contains("recipe of rank 1: expected that of the first rank"), "{name}: {text}");
        elsewhere[3] = place.at("b/cache").display().to_string();
        let text = fails(mpirun(name, [&train, &elsewhere]));
        assert!(text.contains("training set of rank 1"), "{name}: {text}");
        let odd = place.train("odd", &format!("odd-{name}"));
        let text = fails(mpirun(name, [&odd, &odd]));
        assert!(text.contains("training.batch: expected a multiple of 12"), "{name}: {text}");
        assert!(latest_checkpoint(&place.at(&format!("refused-{name}"))).unwrap().is_none());
    });
}

/// Long enough to be interrupted.
fn long(place: &Place) {
    place.recipe(
        "long",
        &GENERATOR
            .replace("total_kimg = 0.16", "total_kimg = 800.0")
            .replace("checkpoint_kimg = 0.04", "checkpoint_kimg = 0.016"),
    );
}

/// Waits until `there` has something.
fn waited<T>(what: &str, there: impl Fn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(it) = there() {
            return it;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "no {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A process of the program whose arguments name the run `out` and whose rank is `rank`.
fn process(out: &Path, rank: usize) -> Option<u32> {
    let wanted = ["OMPI_COMM_WORLD_RANK", "PMI_RANK"].map(|key| format!("{key}={rank}"));
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let id: u32 = entry.file_name().to_str()?.parse().ok()?;
        let texts = ["cmdline", "environ"].map(|name| fs::read(entry.path().join(name)).unwrap_or_default());
        let [arguments, environment] = texts.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let of_run = arguments.split('\0').any(|argument| Path::new(argument) == out);
        let of_rank = environment.split('\0').any(|line| wanted.iter().any(|wanted| wanted == line));
        (of_run && of_rank).then_some(id)
    })
}

fn signal(id: u32, name: &str) {
    assert!(Command::new("kill").args([name, &id.to_string()]).status().unwrap().success());
}

/// Starts two ranks of a long run, and waits for its first checkpoint.
fn started(place: &Place, launcher: &str, out: &str) -> Child {
    let train = place.train("long", out);
    let mut command = mpirun(launcher, [&train, &train]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let folder = place.at(out);
    waited("checkpoint", || latest_checkpoint(&folder).ok().flatten());
    child
}

#[test]
fn a_killed_rank_ends_the_others_and_the_run_goes_on() {
    let place = Place::new();
    long(&place);
    with_launchers(|name| {
        for rank in [1, 0] {
            let out = format!("killed-{name}-{rank}");
            let child = started(&place, name, &out);
            let began = Instant::now();
            signal(waited("rank", || process(&place.at(&out), rank)), "-KILL");
            let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
            let text = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
            println!("{name}, rank {rank}: {:.1} s\n{text}", began.elapsed().as_secs_f64());
            assert!(!status.success() && began.elapsed() < Duration::from_secs(60), "{name}: {text}");
            // MPICH's launcher says it too, and may end the others before they do.
            let launcher = name == "mpirun.mpich" && text.contains("Killed (signal 9)");
            assert!(launcher || text.contains(&format!("rank {rank} of 2: gone")), "{name}: {text}");
            // The checkpoint is whole, and the run goes on from it.
            let step = latest_checkpoint(&place.at(&out)).unwrap().unwrap();
            Weights::read(&step).unwrap();
            let child = started(&place, name, &out);
            let further = waited("further checkpoint", || {
                latest_checkpoint(&place.at(&out)).ok().flatten().filter(|path| *path > step)
            });
            assert!(further > step);
            end(child);
        }
    });
}

/// Ends a job as a launcher's user does.
fn end(child: Child) -> String {
    signal(child.id(), "-TERM");
    let Output { stdout, stderr, .. } = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned()
}

/// As SLURM does before its time limit: every rank is asked to end, or only one of them.
#[test]
fn a_rank_that_is_asked_to_end_saves_the_run_of_all() {
    let place = Place::new();
    long(&place);
    with_launchers(|name| {
        let out = format!("asked-{name}");
        let child = started(&place, name, &out);
        let began = latest_checkpoint(&place.at(&out)).unwrap();
        signal(waited("rank", || process(&place.at(&out), 1)), "-TERM");
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
        assert!(status.success() && text.contains("stopped: "), "{name}: {text}");
        assert!(latest_checkpoint(&place.at(&out)).unwrap() >= began);
    });
}
