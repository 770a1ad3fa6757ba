//! `voxgan train`: a recipe and its data become a run.

use std::collections::HashSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use indicatif::{ProgressBar, ProgressStyle};

use crate::anatomy::synthesis::{LabelMap, LabelledScan};
use crate::config::{AnyRecipe, Recipe, RestorationRecipe, SegmentationRecipe, in_file};
use crate::error::{Error, Result};
use crate::io::dataset::{Dataset, manifest};
use crate::io::{bids, nifti};
use crate::pipeline::{Device, on_device};
use crate::pretrained::{checkpoint_at, latest_checkpoint};
use crate::train::cycle::Domains;
use crate::train::restorer::Subjects;
use crate::train::transfer::Source;
use crate::train::{self, Ended, Estimate, Event, Numbers, Reals};

/// Train a generator or a restoration head on a prepared dataset, or a segmenter on label maps.
///
/// The run's folder holds the resolved recipe, stats.jsonl, event files for TensorBoard, pictures of samples and checkpoints;
/// `voxgan report RUN` shows it. An interrupt (Ctrl-C,
/// SIGTERM) finishes the step and saves; the same command goes on from there, exactly.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A recipe: a .toml file, or one inside the program (brain-4mm, brain-2mm, cube-64, slab, slice-2d, tiny; anatomy,
    /// anatomy-detail; superres,
    /// inpaint, motion, recon, translate, translate-unpaired, progress)
    #[arg(value_name = "CONFIG")]
    recipe: String,
    /// The dataset that `voxgan prepare` made; for a segmenter, translation and progression, a folder of whole-head
    /// label maps; to translate without pairs, either, a dataset together with --other
    #[arg(long, value_name = "CACHE")]
    data: PathBuf,
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
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
    /// Where to compute: cpu, cuda, cuda:N
    #[arg(long, default_value_t)]
    device: Device,
    /// Thousands of volumes to train for, instead of the recipe's
    #[arg(long, value_name = "N")]
    total_kimg: Option<f64>,
    /// The run's seed, instead of the recipe's
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Print the plan, the numbers of parameters and the memory it will take, and stop
    #[arg(long)]
    dry_run: bool,
}

/// Recipe and data → run.
///
/// # Errors
/// What is wrong with recipe, data, device or disk, and a loss that is not finite.
pub fn run(args: Args) -> Result<()> {
    let recipe = AnyRecipe::open(&args.recipe)?;
    let unpaired = matches!(&recipe, AnyRecipe::Head(recipe) if recipe.unpaired.is_some());
    if let (Some(other), false) = (&args.other, unpaired) {
        let (expected, advice) =
            ("a recipe with a table [unpaired]", "leave it out, or take translate-unpaired");
        return Err(Error::value("--other", expected, other.display().to_string(), advice));
    }
    if let (Some(validation), false) = (&args.validation, matches!(recipe, AnyRecipe::Generator(_))) {
        let found = validation.display().to_string();
        return Err(Error::value("--validation", "a generator's recipe", found, "leave it out"));
    }
    match recipe {
        AnyRecipe::Generator(recipe) => generator(*recipe, &args),
        AnyRecipe::Segmenter(recipe) => segmenter(*recipe, &args),
        AnyRecipe::Head(recipe) if unpaired => cycle(*recipe, &args),
        AnyRecipe::Head(recipe) => restorer(*recipe, &args),
    }
}

fn generator(mut recipe: Recipe, args: &Args) -> Result<()> {
    recipe.training.total_kimg = args.total_kimg.unwrap_or(recipe.training.total_kimg);
    recipe.training.seed = args.seed.unwrap_or(recipe.training.seed);
    recipe.validate()?;
    let recipe = recipe.resolved();
    let reals = Reals::new(Dataset::open(&args.data)?, &recipe)?;
    let validation = match &args.validation {
        Some(folder) => Some(others(Reals::new(Dataset::open(folder)?, &recipe)?, &reals)?),
        None => None,
    };
    let from = args.from.as_ref().map(|from| Source::open(&from.to_string_lossy())).transpose()?;
    let taken = from.as_ref().map_or(Ok(Vec::new()), |source| source.report(&recipe, reals.spacing_mm()))?;
    if args.dry_run {
        return on_device!(args.device, |B, device| {
            plan(&recipe, &reals, validation.as_ref(), &Estimate::new::<B>(&recipe, &device), &taken, args);
            Ok(())
        });
    }
    let stop = interrupts(&args.out)?;
    let screen = Screen::new();
    if latest_checkpoint(&args.out)?.is_none() {
        taken.iter().for_each(|line| screen.say(format!("from: {line}")));
    }
    let job = train::generator::Job {
        recipe: &recipe,
        reals: &reals,
        validation: validation.as_ref(),
        from: from.as_ref(),
        out: &args.out,
        stop: &stop,
        last_step: None,
    };
    let tell = |event: Event| screen.show(event);
    let ended = on_device!(args.device, |B, device| train::generator::run::<B>(&job, &device, &tell))?;
    screen.end(ended, &args.out)
}

/// People to validate on, if there are enough of them and none is among those that are learned from.
fn others(people: Reals, learned_from: &Reals) -> Result<Reals> {
    const LEAST: usize = 4;
    if people.len() < LEAST {
        let (expected, found) = (format!("{LEAST} volumes or more"), people.len().to_string());
        return Err(Error::value("--validation", expected, found, "prepare more scans"));
    }
    let known: HashSet<&str> = learned_from.dataset().manifest.entries.iter().map(|e| &*e.sha256).collect();
    match people.dataset().manifest.entries.iter().find(|entry| known.contains(&*entry.sha256)) {
        Some(entry) => {
            let advice = "prepare datasets that have no scan in common";
            Err(Error::value("--validation", "scans that are not in --data", entry.name.as_str(), advice))
        }
        None => Ok(people),
    }
}

fn segmenter(mut recipe: SegmentationRecipe, args: &Args) -> Result<()> {
    recipe.training.seed = args.seed.unwrap_or(recipe.training.seed);
    no_kimg(args, "a segmenter's")?;
    let maps = label_maps(&args.data, &recipe.training.held_out)?;
    let from = args.from.as_deref().map(checkpoint_at).transpose()?;
    let scans = match (&args.scans, &args.scan_labels) {
        (Some(scans), Some(labels)) => labelled_scans(scans, labels, &recipe.training.held_out)?,
        _ => Vec::new(),
    };
    if args.dry_run {
        println!("crop [D, H, W]     {:?} at 1 mm", recipe.training.crop);
        println!("label maps         {} in {}", maps.len(), args.data.display());
        println!("real scans         {}", scans.len());
        println!("steps              {}", recipe.training.steps);
        println!("out                {}", args.out.display());
        return Ok(());
    }
    let stop = interrupts(&args.out)?;
    let screen = Screen::new();
    let tell = |event: Event| screen.show(event);
    if let Some(detail) = &recipe.detail {
        let from = from.as_deref().ok_or_else(|| {
            let advice = "give the weights of the first network, which the second one corrects";
            Error::value("--from", "a segmenter's weights", "none", advice)
        })?;
        let (maps, out) = (&maps, &args.out);
        let job = train::detail::Job { recipe: &recipe, detail, maps, from, out, stop: &stop };
        let ended = on_device!(args.device, |B, device| train::detail::run::<B>(&job, &device, &tell))?;
        return screen.end(ended, &args.out);
    }
    let job = train::segmenter::Job {
        recipe: &recipe,
        maps: &maps,
        scans: &scans,
        from: from.as_deref(),
        out: &args.out,
        stop: &stop,
    };
    let ended = on_device!(args.device, |B, device| train::segmenter::run::<B>(&job, &device, &tell))?;
    screen.end(ended, &args.out)
}

fn restorer(mut recipe: RestorationRecipe, args: &Args) -> Result<()> {
    recipe.training.seed = args.seed.unwrap_or(recipe.training.seed);
    no_kimg(args, "a head's")?;
    let held_out = recipe.head.held_out();
    let maps = held_out.map(|held_out| label_maps(&args.data, held_out)).transpose()?;
    let dataset = if maps.is_none() { Some(Dataset::open(&args.data)?) } else { None };
    let (subjects, count) = match (&maps, &dataset) {
        (Some(maps), _) => (Subjects::Maps(maps), format!("{} label maps", maps.len())),
        (_, Some(dataset)) => (Subjects::Scans(dataset), format!("{} volumes", dataset.len())),
        _ => unreachable!("a head learns from maps or volumes"),
    };
    if args.dry_run {
        plan_of_head(&recipe, &format!("{count} in {}", args.data.display()), args);
        return Ok(());
    }
    let stop = interrupts(&args.out)?;
    let screen = Screen::new();
    let job = train::restorer::Job { recipe: &recipe, subjects, out: &args.out, stop: &stop };
    let tell = |event: Event| screen.show(event);
    let ended = on_device!(args.device, |B, device| train::restorer::run::<B>(&job, &device, &tell))?;
    screen.end(ended, &args.out)
}

/// Translation without pairs: of two datasets, or of label maps.
fn cycle(mut recipe: RestorationRecipe, args: &Args) -> Result<()> {
    recipe.training.seed = args.seed.unwrap_or(recipe.training.seed);
    no_kimg(args, "a head's")?;
    if args.other.is_none() && args.data.join(manifest::FILE).exists() {
        let advice = "give it, or a folder of whole-head label maps as --data";
        return Err(Error::value("--other", "the dataset of the other contrast", "none", advice));
    }
    let other = args.other.as_ref();
    let datasets =
        other.map(|other| Ok::<_, Error>([Dataset::open(&args.data)?, Dataset::open(other)?])).transpose()?;
    let held_out = recipe.head.held_out().unwrap_or_default();
    let maps = if other.is_none() { label_maps(&args.data, held_out)? } else { Vec::new() };
    let (domains, found) = match &datasets {
        Some([data, other]) => (
            Domains::Scans([data, other]),
            format!("{} volumes and {} of the other contrast", data.len(), other.len()),
        ),
        None => (Domains::Maps(&maps), format!("{} label maps in {}", maps.len(), args.data.display())),
    };
    if args.dry_run {
        plan_of_head(&recipe, &found, args);
        return Ok(());
    }
    let stop = interrupts(&args.out)?;
    let screen = Screen::new();
    let job = train::cycle::Job { recipe: &recipe, domains, out: &args.out, stop: &stop };
    let tell = |event: Event| screen.show(event);
    let ended = on_device!(args.device, |B, device| train::cycle::run::<B>(&job, &device, &tell))?;
    screen.end(ended, &args.out)
}

fn plan_of_head(recipe: &RestorationRecipe, training_set: &str, args: &Args) {
    println!("patch [D, H, W]    {:?}", recipe.training.patch);
    println!("training set       {training_set}");
    println!("steps              {} of {}", recipe.training.steps, recipe.training.batch);
    println!("out                {}", args.out.display());
}

/// Only generators are trained for so many thousands of volumes.
fn no_kimg(args: &Args, found: &str) -> Result<()> {
    match args.total_kimg {
        Some(_) => {
            let advice = "set training.steps in the recipe";
            Err(Error::value("--total-kimg", "a generator's recipe", found, advice))
        }
        None => Ok(()),
    }
}

/// The volumes of a folder but those whose names contain one of `held_out`; `what` they are.
fn learned_from(folder: &Path, held_out: &[String], what: &str) -> Result<Vec<PathBuf>> {
    let mut paths = bids::volumes(folder)?;
    paths.retain(|path| !held_out.iter().any(|part| file_name(path).contains(part.as_str())));
    if paths.is_empty() {
        let advice = format!("give a folder of {what}, some of which are not held out");
        return Err(Error::file(folder, what, "*.nii or *.nii.gz", "none", advice));
    }
    Ok(paths)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The label maps of a folder but those whose names contain one of `held_out`.
fn label_maps(folder: &Path, held_out: &[String]) -> Result<Vec<LabelMap>> {
    let paths = learned_from(folder, held_out, "label maps")?;
    paths.iter().map(|path| LabelMap::new(&file_name(path), nifti::read(path)?)).collect()
}

/// The scans of a folder but those held out, each with the one label map in the folder `labels` whose name is the same up to
/// its last underscore.
fn labelled_scans(folder: &Path, labels: &Path, held_out: &[String]) -> Result<Vec<LabelledScan>> {
    let subject = |path: &Path| {
        let name = file_name(path);
        name.rsplit_once('_').map_or(name.clone(), |(subject, _)| subject.to_string())
    };
    let maps = bids::volumes(labels)?;
    let scan = |path: &PathBuf| {
        let mut of = maps.iter().filter(|map| subject(map) == subject(path));
        let (Some(map), None) = (of.next(), of.next()) else {
            let (expected, advice) =
                (format!("one {}_….nii.gz", subject(path)), "name them alike, or move the scan");
            return Err(Error::file(
                labels,
                format!("label map of {}", path.display()),
                expected,
                "none or several",
                advice,
            ));
        };
        LabelledScan::new(&file_name(path), nifti::read(path)?, &nifti::read(map)?)
            .map_err(|e| in_file(e, map))
    };
    learned_from(folder, held_out, "scans")?.iter().map(scan).collect()
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

fn plan(
    recipe: &Recipe,
    reals: &Reals,
    validation: Option<&Reals>,
    estimate: &Estimate,
    taken: &[String],
    args: &Args,
) {
    let (network, training) = (&recipe.network, &recipe.training);
    println!("grid [D, H, W]     {:?} at {:?} mm", network.shape(), reals.spacing_mm());
    let channels: Vec<usize> = (0..network.blocks()).map(|i| network.channels(i)).collect();
    println!("channels           {channels:?}");
    let discriminator: Vec<usize> =
        (0..network.blocks()).map(|i| network.discriminator_channels(i)).collect();
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
    println!("training set       {} volumes in {}", reals.len(), args.data.display());
    if let Some(people) = validation {
        println!("validation         {} volumes", people.len());
    }
    println!(
        "steps              {} of {} volumes ({} at once)",
        estimate.steps,
        training.batch,
        training.micro_batch.unwrap_or(training.batch)
    );
    println!("gamma              {:.3}", training.gamma.unwrap_or(0.0));
    println!("memory             about {:.2} GB at the peak of a step", estimate.memory_bytes as f64 / 1e9);
    println!("out                {}", args.out.display());
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
            Event::Started { step, steps } => {
                self.bar.set_length(steps);
                self.bar.set_position(step);
                self.bar.reset_eta();
                let resumed = if step > 0 { format!("resuming at step {step}") } else { "starting".into() };
                self.say(format!("{resumed}, {steps} steps in all"));
            }
            Event::Logged { step, numbers } => {
                self.bar.set_position(step);
                let line = summary(numbers);
                if self.plain {
                    eprintln!("step {step}: {line}");
                } else {
                    self.bar.set_message(line);
                }
            }
            Event::Warned { step, text } => self.say(format!("warning at step {step}: {text}")),
            Event::Wrote(path) => self.say(format!("wrote {}", path.display())),
        }
    }

    fn end(&self, ended: Ended, out: &Path) -> Result<()> {
        self.bar.finish_and_clear();
        let checkpoint = latest_checkpoint(out)?.map_or(String::new(), |path| path.display().to_string());
        match ended {
            Ended::Complete => println!("done: {checkpoint}"),
            Ended::Stopped => println!("stopped: {checkpoint}; the same command goes on"),
        }
        Ok(())
    }

    fn say(&self, line: String) {
        if self.plain {
            eprintln!("{line}");
        } else {
            self.bar.println(line);
        }
    }
}

fn summary(numbers: &Numbers) -> String {
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
