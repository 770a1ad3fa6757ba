//! `voxgan evaluate`: how close synthetic volumes come to real ones, beside how close real ones come to each other.

use std::path::PathBuf;

use super::files::ForceArgs;
use super::sampling::{PRINTED, SamplingArgs};
use crate::error::Result;
use crate::evaluate::{Ratio, SetDistance};
use crate::pipeline::ExtractorChoice;
use crate::pipeline::evaluate::{Evaluation, Memorised, Options, REALISM_LEAST, evaluate, least, median};

/// Measure a generator's volumes against real ones.
///
/// Diversity (MS-SSIM over pairs: lower is more diverse), the nearest real volume of each synthetic one (copies show
/// as distances far below those among reals), and distances between the sets; each beside the same among reals. From twelve
/// volumes on also the measures of realism in a network's features: Fréchet and kernel distance, MMD, precision and recall,
/// density and coverage, in the volume and in each middle plane. A conditional generator gets the conditions of the dataset's
/// volumes, drawn by the seed; those that --conditions gives count instead. Where they are volumes of regions, such as
/// lateral_ventricles_ml, those of the samples are measured and compared with them.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Real volumes that `voxgan prepare` made on the generator's grid
    #[arg(long, value_name = "CACHE")]
    data: PathBuf,
    /// Number of synthetic volumes; by default as many as there are real ones
    #[arg(long, value_name = "N")]
    volumes: Option<usize>,
    /// First seed
    #[arg(long, value_name = "SEED", default_value_t = 100_000)]
    first_seed: u64,
    /// The dataset that the generator was trained on, to check for memorisation: --data then has people it has not seen
    #[arg(long, value_name = "CACHE")]
    training: Option<PathBuf>,
    /// Where a picture of the five samples goes that are nearest to training volumes, each with its nearest training volume and
    /// its nearest volume of --data
    #[arg(long, value_name = "PNG", requires = "training")]
    picture: Option<PathBuf>,
    /// Also write the numbers here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    extractor: ExtractorArgs,
    #[command(flatten)]
    force: ForceArgs,
}

/// Which network realism is measured with.
#[derive(Clone, Debug, clap::Args)]
struct ExtractorArgs {
    /// Features of Inception v3 with these weights (safetensors of pytorch-fid's state_dict), of slices, instead of those of
    /// our own segmenter's encoder
    #[arg(long, value_name = "FILE", conflicts_with = "med3d")]
    inception: Option<PathBuf>,
    /// Features of a Med3D ResNet with these weights (safetensors of MedicalNet's state_dict), of whole volumes
    #[arg(long, value_name = "FILE")]
    med3d: Option<PathBuf>,
}

impl From<ExtractorArgs> for ExtractorChoice {
    fn from(args: ExtractorArgs) -> Self {
        match (args.inception, args.med3d) {
            (Some(path), _) => Self::Inception(path),
            (None, Some(path)) => Self::Med3d(path),
            (None, None) => Self::Encoder,
        }
    }
}

/// Evaluates, and prints the tables.
///
/// # Errors
/// Those of [`evaluate`].
pub fn run(args: Args) -> Result<()> {
    let Args { sampling, data, volumes, first_seed, training, picture, json, extractor, force } = args;
    let (sampling, extractor) = (sampling.into(), extractor.into());
    let options = Options { sampling, data, volumes, first_seed, training, picture, json, extractor };
    force.check(&options)?;
    print(&evaluate(&options, &PRINTED)?);
    Ok(())
}

fn print(found: &Evaluation) {
    let [synthetic, real] = found.counts;
    println!("{synthetic} synthetic volumes against {real} real ones, values in [-1, 1]");
    println!("{:<46} {:>10} {:>10}", "", "synthetic", "real");
    let row = |name: &str, [synthetic, real]: [f64; 2]| println!("{name:<46} {synthetic:>10.4} {real:>10.4}");
    let diverse = &found.diversity;
    row(
        &format!("MS-SSIM over pairs (scales: {}), mean", diverse[0].scales),
        [0, 1].map(|at| diverse[at].mean),
    );
    row("MS-SSIM over pairs, standard deviation", [0, 1].map(|at| diverse[at].standard_deviation));
    let near = [&found.nearest.of_synthetic, &found.nearest.of_real];
    row("nearest real volume, RMSE, median", near.map(|list| median(list)));
    row("nearest real volume, RMSE, least", near.map(|list| least(list)));
    let set = |value: fn(&SetDistance) -> f64| [0, 1].map(|at| value(&found.distances[at]));
    row("intensities, Wasserstein-1 (real: split half)", set(|d| d.intensity_wasserstein));
    row("mean volume, RMS difference", set(|d| d.mean_volume_rms));
    row("deviation volume, RMS difference", set(|d| d.deviation_volume_rms));
    if let Some(Memorised { check, named }) = &found.memorisation {
        println!(
            "\nMemorisation: nearest training volume over nearest unseen one, {} a side, median over samples, {} draws",
            check.volumes_a_side, check.draws
        );
        let row =
            |name: &str, Ratio { mean, low, high }| println!("{name:<12} {mean:.3} [{low:.3}, {high:.3}]");
        row("samples", check.of_samples);
        row("real", check.of_reals);
        for ((seed, training, unseen), one) in named.iter().zip(&check.lowest) {
            let ratio = one.ratio;
            println!(
                "seed {seed}: {ratio:.3}, nearest training volume {training}, nearest unseen one {unseen}"
            );
        }
    }
    if !found.asked.is_empty() {
        println!("\nVolumes asked for beside those that `voxgan anatomy` measures");
        found.asked.iter().for_each(|one| println!("{one}"));
    }
    match &found.realism {
        Some(realism) => println!("\n{realism}"),
        None => {
            println!(
                "\nMeasures of realism are left out: they need {REALISM_LEAST} volumes of each kind or more"
            )
        }
    }
}
