//! `voxgan prepare`: a folder of scans becomes a dataset for training.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};

use super::files::{ReadArgs, ShardArgs, StrictArgs};
use super::numbers::{one_or_three, three, two};
use crate::error::{Error, Result};
use crate::io::dataset::{Outcome, Plan, Progress, Report};
use crate::pipeline::Device;
use crate::pipeline::prepare::{Options, Prepared, prepare};
use crate::volume::crop::Centre;
use crate::volume::intensity::Normalisation;
use crate::volume::resample::Interpolation;

/// Prepare scans for training.
///
/// Every scan is turned to RAS+ (right, anterior, superior), resampled, cropped or padded to one shape, normalised,
/// and stored in OUT with a manifest that says where it came from. The same command goes on where it was stopped,
/// and keeps what is there already.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A scan (NIfTI, MGH, NRRD, MetaImage, PNG, TIFF), a folder of them, a BIDS tree (its T1w images), or a .txt
    /// file with a path a line, relative to its own folder
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The folder for the dataset
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// Voxels from left to right, back to front and bottom to top, such as 64,64,64; W,H,1 for slices
    #[arg(long, value_name = "W,H,D", value_parser = three::<usize>)]
    shape: [usize; 3],
    /// Resample to voxels of this size in mm, one number or three; without it scans keep their own
    #[arg(long, value_name = "MM", value_parser = one_or_three::<f64>)]
    spacing_mm: Option<[f64; 3]>,
    /// What lies in the middle: the head, or the middle of the scan's own grid
    #[arg(long, value_enum, default_value_t = CentreName::Foreground)]
    centre: CentreName,
    /// Intensities: percentiles to -1 and 1, or the foreground's mean to 0 and its deviation to 1
    #[arg(long, value_enum, default_value_t = NormalisationName::Percentile)]
    normalise: NormalisationName,
    /// Lower percentile (of all voxels) and upper (of the foreground) for --normalise percentile
    #[arg(long, value_name = "LOW,HIGH", default_value = "0,99.9", value_parser = two::<f64>)]
    percentiles: [f64; 2],
    /// Between voxels
    #[arg(long, value_enum, default_value_t = InterpolationName::Linear)]
    interpolation: InterpolationName,
    /// A table with labels, by participant_id: a .tsv file, or volumes.csv of `voxgan anatomy volumes`; several are joined
    /// (give the option again). By default participants.tsv in the root of a BIDS tree
    #[arg(long, value_name = "FILE")]
    participants: Vec<PathBuf>,
    /// Columns of the table to keep as labels, such as age,sex
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    labels: Vec<String>,
    #[command(flatten)]
    read: ReadArgs,
    /// Remove each scan's bias field by N4 first, as `voxgan n4` does with its defaults
    #[arg(long)]
    bias_correct: bool,
    /// Remove what is not brain from each scan, as `voxgan anatomy strip` does with its defaults; after --bias-correct
    #[arg(long)]
    strip: bool,
    /// Remove face and ears from each scan, as `voxgan anatomy deface` does with its defaults; after --bias-correct
    #[arg(long)]
    deface: bool,
    #[command(flatten)]
    cohort: StrictArgs,
    #[command(flatten)]
    shard: ShardArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum CentreName {
    Foreground,
    Grid,
}

impl From<CentreName> for Centre {
    fn from(name: CentreName) -> Self {
        match name {
            CentreName::Foreground => Self::Foreground,
            CentreName::Grid => Self::Grid,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum NormalisationName {
    Percentile,
    #[value(name = "zscore")]
    ZScore,
}

/// A kind of interpolation by its name.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum InterpolationName {
    /// The nearest voxel's value
    Nearest,
    /// Trilinear
    Linear,
    /// Tricubic (Keys 1981)
    Cubic,
}

impl From<InterpolationName> for Interpolation {
    fn from(name: InterpolationName) -> Self {
        match name {
            InterpolationName::Nearest => Self::Nearest,
            InterpolationName::Linear => Self::Linear,
            InterpolationName::Cubic => Self::Cubic,
        }
    }
}

/// Prepares the dataset and prints what became of the scans.
///
/// # Errors
/// As [`prepare()`]; also when some scans could not be prepared, or none at all.
pub fn run(args: Args) -> Result<()> {
    let options = Options {
        plan: args.plan(),
        bias_correct: args.bias_correct,
        strip: args.strip,
        deface: args.deface,
        device: Device::Cpu,
        shard: args.shard.shard,
    };
    let bar = progress_bar();
    let made = prepare(&options, &args.output, &AtomicBool::new(false), &|progress| show(&bar, &progress));
    bar.finish_and_clear();
    let Prepared { report, dataset } = made?;
    print_summary(&report);
    if let Some(dataset) = dataset {
        println!(
            "{}: {} volumes, [C, D, H, W] = {:?}, content {}",
            dataset.folder.display(),
            dataset.len(),
            dataset.shape(),
            &dataset.content_sha256()[..12],
        );
    }
    let scans = report.prepared + report.kept + report.failures.len();
    Error::incomplete("scans", scans, report.failures.into_iter().map(|failure| failure.reason).collect())
}

impl Args {
    fn plan(&self) -> Plan {
        Plan {
            inputs: vec![self.input.clone()],
            shape: self.shape,
            spacing_mm: self.spacing_mm,
            interpolation: self.interpolation.into(),
            normalisation: match (self.normalise, self.percentiles) {
                (NormalisationName::Percentile, [low, high]) => Normalisation::Percentile { low, high },
                (NormalisationName::ZScore, _) => Normalisation::ZScore,
            },
            centre: self.centre.into(),
            participants: self.participants.clone(),
            labels: self.labels.clone(),
            read: self.read.clone().into(),
            strict: self.cohort.strict,
        }
    }
}

/// A bar on a terminal; hidden elsewhere, where [`show`] prints lines instead.
fn progress_bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg} (about {eta} left)");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn show(bar: &ProgressBar, progress: &Progress) {
    let name = progress.source.file_name().unwrap_or_default().to_string_lossy();
    let what = match &progress.outcome {
        Outcome::Prepared => "prepared",
        Outcome::Kept => "kept",
        Outcome::Failed(_) => "failed",
    };
    if bar.is_hidden() {
        eprintln!("{}/{} {what} {}", progress.done, progress.total, progress.source.display());
    } else {
        bar.set_length(progress.total as u64);
        bar.set_message(name.into_owned());
        bar.inc(1);
    }
}

fn print_summary(report: &Report) {
    println!("prepared  {:>6}", report.prepared);
    println!("kept      {:>6}  (there already, unchanged)", report.kept);
    println!("failed    {:>6}", report.failures.len());
    for [copy, of] in &report.copies {
        println!("{copy} is a copy of {of}");
    }
    for (label, names) in &report.missing_labels {
        let shown = names.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
        let more = if names.len() > 5 { ", …" } else { "" };
        println!("no {label} for {} of the volumes: {shown}{more}", names.len());
    }
}
