//! `voxgan train`: a recipe and its data become a run.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::files::ReadArgs;
use crate::config::AnyRecipe;
use crate::error::{Error, Result};
use crate::pipeline::memory;
use crate::pipeline::train::{Options, Plan, Scans, Trained, Training, Trial};
use crate::pipeline::{Device, Event, Progress};

/// Train a generator or a restoration head on a prepared dataset, or a segmenter on label maps.
///
/// The run's folder holds the resolved recipe, stats.jsonl, event files for TensorBoard, pictures of samples and checkpoints;
/// `voxgan report RUN` shows it. An interrupt (Ctrl-C,
/// SIGTERM) finishes the step and saves; the same command goes on from there, exactly. Several processes that `mpirun` or
/// `srun` starts train one network together.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A recipe: a .toml file, or one inside the program (brain-4mm, brain-2mm, cube-64, slab, slice-2d, tiny; anatomy,
    /// anatomy-detail; superres, inpaint, motion, recon, translate, translate-unpaired, progress)
    #[arg(value_name = "CONFIG")]
    recipe: String,
    /// Print the recipe of this name inside the program, as TOML with its comments, and stop
    #[arg(long)]
    print: bool,
    /// The dataset that `voxgan prepare` made; for a segmenter, translation and progression, a folder of whole-head
    /// label maps; to translate without pairs, either, a dataset together with --other
    #[arg(long, value_name = "CACHE", required_unless_present = "print")]
    data: Option<PathBuf>,
    /// The dataset of the other contrast, to learn translation without pairs from two datasets
    #[arg(long, value_name = "CACHE")]
    other: Option<PathBuf>,
    /// For a segmenter, also real skull-stripped scans to learn from: a folder of them
    #[arg(long, value_name = "FOLDER", requires = "scan_labels")]
    scans: Option<PathBuf>,
    /// The label maps of these scans, on their grids: sub-01_dseg.nii.gz belongs to sub-01_T1w.nii.gz
    #[arg(long, value_name = "FOLDER", requires = "scans")]
    scan_labels: Option<PathBuf>,
    /// For a generator or a segmenter, the weights to start from: a run, a checkpoint or exported weights; for a generator also a
    /// name inside the program (brain-4mm). A generator may have more blocks, wider ones and more conditions than they have: its
    /// first image is theirs, up-sampled
    #[arg(long, value_name = "WEIGHTS")]
    from: Option<PathBuf>,
    /// For a generator, a dataset of people who are not in --data: samples are compared with them at intervals, and the best
    /// checkpoint is kept as checkpoints/best.safetensors
    #[arg(long, value_name = "CACHE")]
    validation: Option<PathBuf>,
    /// The run's folder; a run that is there is resumed
    #[arg(long, value_name = "RUN", required_unless_present = "print")]
    out: Option<PathBuf>,
    /// Where to compute: cpu, auto, cuda, cuda:N, gpu, gpu:N, vulkan:NAME, metal:NAME
    #[arg(long, default_value_t)]
    device: Device,
    /// Thousands of volumes to train for, instead of the recipe's
    #[arg(long, value_name = "N")]
    total_kimg: Option<f64>,
    /// The run's seed, instead of the recipe's
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// End after so many minutes as an interrupt does: the step is finished and saved, and the same command goes on
    #[arg(long, value_name = "MINUTES", value_parser = minutes)]
    max_minutes: Option<Duration>,
    /// Print the plan, the numbers of parameters, the memory and, from three steps, the time it will take, and stop
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    read: ReadArgs,
}

/// Trains, or says what would be trained, or by which recipe.
///
/// # Errors
/// Those of [`Training`] and of [`AnyRecipe::preset_text`].
pub fn run(args: Args) -> Result<()> {
    if args.print {
        print!("{}", AnyRecipe::preset_text(&args.recipe)?);
        return Ok(());
    }
    let Args {
        recipe,
        print: _,
        data,
        other,
        scans,
        scan_labels,
        from,
        validation,
        out,
        device,
        total_kimg,
        seed,
        max_minutes,
        dry_run,
        read,
    } = args;
    let scans = scans.zip(scan_labels).map(|(images, labels)| Scans { images, labels });
    let read = read.into();
    let (data, out) = (data.unwrap_or_default(), out.unwrap_or_default());
    let (of_data, into) = (data.clone(), out.clone());
    let options =
        Options { recipe, data, other, scans, from, validation, out, total_kimg, seed, device, read };
    let training = Training::open(options)?;
    if dry_run {
        let plan = training.plan()?;
        print(&plan, &of_data);
        match plan_memory(&plan).is_some_and(|bytes| memory::free().is_some_and(|free| bytes as u64 > free)) {
            true => println!("time               not tried: less memory than that is free here"),
            false => {
                let Trial { steps, seconds_per_step } = training.trial()?;
                let hours = steps as f64 * seconds_per_step / 3600.0;
                println!(
                    "time               about {hours:.1} h, {seconds_per_step:.2} s a step as measured; pictures and the like on top"
                );
            }
        }
        println!("out                {}", into.display());
        return Ok(());
    }
    let (stop, screen) = (interrupts(&into)?, Screen::new());
    if let Some(most) = max_minutes {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            std::thread::sleep(most);
            stop.store(true, Ordering::Relaxed);
        });
    }
    let ended = training.run(&Progress::new(&|event| screen.show(event)).cancelled_by(&stop));
    screen.bar.finish_and_clear();
    let Trained { complete, checkpoint } = ended?;
    if !training.group().is_first() {
        return Ok(());
    }
    let checkpoint = checkpoint.map_or(String::new(), |path| path.display().to_string());
    match complete {
        true => println!("done: {checkpoint}"),
        false => println!("stopped: {checkpoint}; the same command goes on"),
    }
    Ok(())
}

/// What a run of this plan takes on the host, where that is known.
fn plan_memory(plan: &Plan) -> Option<usize> {
    match plan {
        Plan::Generator { estimate, .. } => Some(estimate.memory_bytes),
        _ => None,
    }
}

/// A number of minutes.
fn minutes(text: &str) -> std::result::Result<Duration, String> {
    let number =
        text.parse::<f64>().ok().and_then(|minutes| Duration::try_from_secs_f64(60.0 * minutes).ok());
    number.ok_or_else(|| "expected a number of minutes, such as 90".into())
}

/// A flag that an interrupt sets.
fn interrupts(out: &Path) -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))
            .map_err(|e| Error::io(out, "listen to interrupts", e))?;
    }
    Ok(stop)
}

fn print(plan: &Plan, data: &Path) {
    let data = data.display();
    match plan {
        Plan::Generator { recipe, estimate, spacing_mm, taken, volumes, validated } => {
            let (network, training) = (&recipe.network, &recipe.training);
            println!("grid [D, H, W]     {:?} at {spacing_mm:?} mm", network.shape());
            let of_blocks = |channels: &dyn Fn(usize) -> usize| {
                (0..network.blocks()).map(channels).collect::<Vec<usize>>()
            };
            let channels = of_blocks(&|i| network.channels(i));
            println!("channels           {channels:?}");
            let discriminator = of_blocks(&|i| network.discriminator_channels(i));
            if discriminator != channels {
                println!("discriminator's    {discriminator:?}");
            }
            println!("generator          {} parameters", estimate.generator_parameters);
            println!(
                "discriminator      {} parameters, {} of them in its fully connected layer",
                estimate.discriminator_parameters,
                network.fully_connected_parameters()
            );
            taken.iter().for_each(|line| println!("from               {line}"));
            println!("training set       {volumes} volumes in {data}");
            if let Some(people) = validated {
                println!("validation         {people} volumes");
            }
            println!(
                "steps              {} of {} volumes ({} at once)",
                estimate.steps,
                training.batch,
                training.micro_batch.unwrap_or(training.batch)
            );
            println!("gamma              {:.3}", training.gamma.unwrap_or(0.0));
            println!("memory             about {:.2} GB at the peak", estimate.memory_bytes as f64 / 1e9);
        }
        Plan::Segmenter { recipe, maps, scans } => {
            println!("crop [D, H, W]     {:?} at 1 mm", recipe.training.crop);
            println!("label maps         {maps} in {data}");
            println!("real scans         {scans}");
            println!("steps              {}", recipe.training.steps);
        }
        Plan::Head { recipe, maps, volumes } => {
            println!("patch [D, H, W]    {:?}", recipe.training.patch);
            match volumes[..] {
                [] => println!("training set       {maps} label maps in {data}"),
                [volumes] => println!("training set       {volumes} volumes in {data}"),
                _ => println!(
                    "training set       {} volumes and {} of the other contrast",
                    volumes[0], volumes[1]
                ),
            }
            println!("steps              {} of {}", recipe.training.steps, recipe.training.batch);
        }
    }
}

/// A progress bar on a terminal, plain lines elsewhere.
struct Screen {
    bar: ProgressBar,
    plain: bool,
}

impl Screen {
    fn new() -> Self {
        let plain = !std::io::stderr().is_terminal();
        let bar = if plain { ProgressBar::hidden() } else { ProgressBar::no_length() };
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} steps, {eta} left {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, plain }
    }

    fn show(&self, event: Event) {
        match event {
            Event::Done { done, of, .. } => {
                self.bar.set_length(of as u64);
                self.bar.set_position(done as u64);
                self.bar.reset_eta();
                let resumed = if done > 0 { format!("resuming at step {done}") } else { "starting".into() };
                self.say(format!("{resumed}, {of} steps in all"));
            }
            Event::Step { step, numbers, .. } => {
                self.bar.set_position(step);
                let line = summary(numbers);
                if self.plain {
                    eprintln!("step {step}: {line}");
                } else {
                    self.bar.set_message(line);
                }
            }
            Event::Wrote(path) => self.say(format!("wrote {}", path.display())),
            Event::Note(text) => self.say(text.into()),
            Event::Failed(error) => self.say(error.to_string()),
        }
    }

    fn say(&self, line: String) {
        if self.plain {
            eprintln!("{line}");
        } else {
            self.bar.println(line);
        }
    }
}

fn summary(numbers: &BTreeMap<String, f64>) -> String {
    let shown = [
        ("loss_g", "G"),
        ("loss_d", "D"),
        ("coverage", "coverage"),
        ("r_t", "r_t"),
        ("augmentation_p", "p"),
        ("loss_dice", "1 - Dice"),
        ("cross_entropy", "cross-entropy"),
        ("loss_l1", "L1"),
        ("loss_cycle", "cycle L1"),
        ("loss_identity", "identity L1"),
        ("psnr_gain_db", "dB over the start"),
        ("validation/frechet_distance", "validation: Fréchet distance"),
        ("validation/frechet_distance_of_reals", "of real people"),
        ("validation/precision", "precision"),
        ("validation/recall", "recall"),
        ("validation/anatomy_difference", "anatomy |d|"),
        ("seconds_per_step", "s/step"),
    ];
    let mut parts = Vec::new();
    parts.extend(numbers.get("images").map(|n| format!("{:.1} kimg", n / 1000.0)));
    parts.extend(shown.iter().filter_map(|(key, name)| numbers.get(*key).map(|v| format!("{name} {v:.3}"))));
    parts.extend(numbers.get("seconds_per_kimg").map(|seconds| format!("{seconds:.0} s/kimg")));
    parts.join(", ")
}
