//! `voxgan anatomy compare`: do synthetic heads have the anatomy of real ones?

use std::path::PathBuf;

use super::structures::StructuresArgs;
use crate::cli::files::{ReadArgs, StrictArgs};
use crate::cli::sampling::PRINTED;
use crate::error::{Error, Result};
use crate::evaluate::cohort::{HeadMeasure, QUANTITIES};
use crate::pipeline::compare::{Compared, Nearest, Options, compare};

/// Compare the anatomy of synthetic heads with that of real ones.
///
/// Real scans are first brought to the grid of the synthetic ones (resampled, cropped or padded about the head), so that
/// resolution is not taken for anatomy. Then each structure's volumes are set side by side: effect sizes with bootstrap
/// intervals, tests of difference and of equivalence corrected for their number, what structures have to do with one
/// another, and beside every distance what two halves of the real cohort differ by. The same follows with head size and
/// covariates accounted for, and the lateral ventricles against age where ages are known. The nearest real scan of every
/// synthetic one shows copies.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Real scans: a folder or a BIDS tree
    #[arg(value_name = "REAL")]
    real: PathBuf,
    /// Synthetic or restored scans: a folder or a BIDS tree
    #[arg(value_name = "SYNTHETIC")]
    synthetic: PathBuf,
    /// The folder for label maps, volumes and the comparison
    #[arg(long, value_name = "OUT")]
    out: PathBuf,
    /// Regions and measures to compare, by their names in definitions.csv
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_values = QUANTITIES)]
    quantities: Vec<String>,
    /// Columns of participants.tsv to account for: numbers, or categories of words
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    covariates: Vec<String>,
    /// The table of the subjects; give it twice where real and synthetic ones have their own [default: participants.tsv
    /// in the folder of each cohort's scans or above]
    #[arg(long, value_name = "FILE.tsv")]
    participants: Vec<PathBuf>,
    /// What stands for head size: auto takes the brain where a scan lacks the fluid around it
    #[arg(long, value_enum, default_value_t)]
    head_size: HeadSizeBy,
    /// The difference of means that still counts as none, in standard deviations of the real cohort
    #[arg(long = "margin-sd", value_name = "SD", default_value_t = 0.5)]
    margin: f64,
    /// Error probability of the tests
    #[arg(long, value_name = "P", default_value_t = 0.05)]
    alpha: f64,
    /// Seed of bootstrap, permutations and splits
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    structures: StructuresArgs,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    cohort: StrictArgs,
}

/// What stands for head size.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum HeadSizeBy {
    #[default]
    Auto,
    Intracranial,
    Brain,
}

impl HeadSizeBy {
    fn measure(self) -> Option<HeadMeasure> {
        match self {
            Self::Auto => None,
            Self::Intracranial => Some(HeadMeasure::Intracranial),
            Self::Brain => Some(HeadMeasure::Brain),
        }
    }
}

/// Compares, and prints the tables.
///
/// # Errors
/// Those of [`compare`], and of the segmenter; [`Error::Incomplete`] where some scans could not be measured.
pub fn run(args: Args) -> Result<()> {
    let segmenter = args.structures.open()?;
    let options = Options {
        real: args.real,
        synthetic: args.synthetic,
        out: args.out,
        quantities: args.quantities,
        covariates: args.covariates,
        participants: args.participants,
        head_size: args.head_size.measure(),
        margin_sd: args.margin,
        alpha: args.alpha,
        seed: args.seed,
        read: args.read.into(),
        strict: args.cohort.strict,
    };
    let Compared { trust, comparison, nearest, table, adjusted_table, failures, scans } =
        compare(&options, &segmenter, &PRINTED)?;
    trust.iter().for_each(|trust| println!("{trust}"));
    println!("\n{}", comparison.to_table());
    if let Some((nearest, ratio)) = nearest {
        print(&nearest, ratio);
    }
    println!("{}\n{}", table.display(), adjusted_table.display());
    Error::incomplete("scans", scans, failures)
}

/// What the distances to the nearest real scans are.
fn print(list: &[Nearest], ratio: f64) {
    println!(
        "Nearest real scan: the synthetic ones are {:.2} times as far from theirs as real ones from one another (medians); \
         least {:.3} of the synthetic, {:.3} among real ones",
        ratio,
        least(list, true),
        least(list, false),
    );
    let closest = list.iter().filter(|one| one.synthetic && one.rmse < least(list, false));
    for one in closest {
        println!("  nearer than any two real scans: {} to {} ({:.3})", one.subject, one.nearest, one.rmse);
    }
}

fn least(list: &[Nearest], synthetic: bool) -> f64 {
    list.iter().filter(|one| one.synthetic == synthetic).map(|one| one.rmse).fold(f64::INFINITY, f64::min)
}
