//! `voxgan evaluate`: how close synthetic volumes come to real ones, beside how close real ones come to each other.

mod features;

use std::io::Write;
use std::ops::Range;
use std::path::PathBuf;

use serde_json::json;

use super::anatomy::structures::Finder;
use super::device::{Device, on_device};
use super::sampler::{Sampler, SamplingArgs};
use crate::anatomy::Region;
use crate::anatomy::cohort::Asked;
use crate::anatomy::volumes::Volumes;
use crate::error::{Error, Result};
use crate::io::dataset::Dataset;
use crate::io::write_beside;
use crate::metrics::{
    Neighbour, SetDistance, diversity, foreground, nearest, set_distance, split_half_distance,
};
use crate::ops::VolumeOps;
use crate::stats::upper_median;
use crate::volume::Volume;
use crate::volume::resample::Grid;
use features::{ExtractorArgs, LEAST, realism};

/// The range that volumes are normalised to, as SSIM needs it.
const DATA_RANGE: f64 = 2.0;
/// A voxel is tissue where the real volumes' mean is above this, air being −1.
const TISSUE: f64 = -0.9;

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
    /// Also write the numbers here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    extractor: ExtractorArgs,
}

/// Dataset and generator → two sets of volumes → numbers.
///
/// # Errors
/// What is wrong with data, weights or device; fewer than four real volumes.
pub fn run(args: Args) -> Result<()> {
    let dataset = Dataset::open(&args.data)?;
    if dataset.len() < 4 {
        let advice = "prepare more scans";
        return Err(Error::value("--data", "four volumes or more", dataset.len().to_string(), advice));
    }
    let reals = (0..dataset.len()).map(|i| dataset.volume(i)).collect::<Result<Vec<_>>>()?;
    let count = args.volumes.unwrap_or(reals.len()).max(2) as u64;
    let seeds = args.first_seed..args.first_seed + count;
    let (synthetic, asked): (Vec<Volume>, Vec<Asked>) = on_device!(args.sampling.device, |B, device| {
        let people: Vec<_> = dataset.manifest.entries.iter().map(|e| (&*e.name, &e.labels)).collect();
        let sampler = Sampler::<B>::open(&args.sampling, &people, device)?;
        let intensity = sampler.model.space.intensity;
        let one = |seed| sampler.volume(sampler.styles(sampler.latent(seed), seed), seed);
        let volumes: Vec<Volume> = seeds.clone().map(one).collect();
        let asked = asked(&sampler, seeds, &volumes, args.sampling.device)?;
        (volumes.into_iter().map(|volume| intensity.apply(volume)).collect(), asked)
    });
    if synthetic[0].data.dim() != reals[0].data.dim() {
        let (expected, found) =
            (format!("{:?}", synthetic[0].data.dim()), format!("{:?}", reals[0].data.dim()));
        return Err(Error::value(
            "--data",
            format!("the generator's grid {expected}"),
            found,
            "prepare on its grid",
        ));
    }
    let tissue = foreground(&reals, TISSUE)?;
    let (diverse, diverse_real) = (diversity(&synthetic, DATA_RANGE)?, diversity(&reals, DATA_RANGE)?);
    let neighbours = nearest(&synthetic, &reals, &tissue)?;
    let (sets, floor) = (set_distance(&synthetic, &reals, &tissue)?, split_half_distance(&reals, &tissue)?);
    let median = |list: &[Neighbour]| {
        upper_median(list.iter().map(|n| n.rmse).collect()).expect("both sets have volumes")
    };
    let least = |list: &[Neighbour]| list.iter().map(|n| n.rmse).fold(f64::INFINITY, f64::min);
    let (of_synthetic, of_real) = (&neighbours.of_synthetic, &neighbours.of_real);
    println!("{} synthetic volumes against {} real ones, values in [-1, 1]", synthetic.len(), reals.len());
    println!("{:<46} {:>10} {:>10}", "", "synthetic", "real");
    let row = |name: &str, synthetic: f64, real: f64| println!("{name:<46} {synthetic:>10.4} {real:>10.4}");
    row(&format!("MS-SSIM over pairs (scales: {}), mean", diverse.scales), diverse.mean, diverse_real.mean);
    row(
        "MS-SSIM over pairs, standard deviation",
        diverse.standard_deviation,
        diverse_real.standard_deviation,
    );
    row("nearest real volume, RMSE, median", median(of_synthetic), median(of_real));
    row("nearest real volume, RMSE, least", least(of_synthetic), least(of_real));
    row(
        "intensities, Wasserstein-1 (real: split half)",
        sets.intensity_wasserstein,
        floor.intensity_wasserstein,
    );
    row("mean volume, RMS difference", sets.mean_volume_rms, floor.mean_volume_rms);
    row("deviation volume, RMS difference", sets.deviation_volume_rms, floor.deviation_volume_rms);
    if !asked.is_empty() {
        println!("\nVolumes asked for beside those that `voxgan anatomy` measures");
        asked.iter().for_each(|one| println!("{one}"));
    }
    let realism = if synthetic.len().min(reals.len()) < LEAST {
        println!("\nMeasures of realism are left out: they need {LEAST} volumes of each kind or more");
        None
    } else {
        let found = on_device!(args.sampling.device, |B, device| {
            realism::<B>(&args.extractor, &synthetic, &reals, DATA_RANGE, &device)
        })?;
        println!("\n{found}");
        Some(found)
    };
    let Some(path) = &args.json else { return Ok(()) };
    let distance = |d: &SetDistance| {
        json!({ "intensity_wasserstein": d.intensity_wasserstein, "mean_volume_rms": d.mean_volume_rms,
                "deviation_volume_rms": d.deviation_volume_rms })
    };
    let document = json!({
        "synthetic_volumes": synthetic.len(),
        "real_volumes": reals.len(),
        "psi": args.sampling.psi,
        "ms_ssim": { "synthetic": diverse.mean, "real": diverse_real.mean, "scales": diverse.scales,
                     "synthetic_deviation": diverse.standard_deviation, "real_deviation": diverse_real.standard_deviation },
        "nearest_rmse": { "synthetic_median": median(of_synthetic), "real_median": median(of_real),
                          "synthetic_least": least(of_synthetic), "real_least": least(of_real) },
        "set_distance": { "synthetic_real": distance(&sets), "real_split_half": distance(&floor) },
        "asked": asked,
        "realism": realism,
    });
    write_beside(path, |file| writeln!(file, "{document:#}"))
}

/// How the volumes that samples measure follow those they were conditioned on: of each covariate named as a region, `brain_ml`.
fn asked<B: VolumeOps>(
    sampler: &Sampler<B>,
    seeds: Range<u64>,
    volumes: &[Volume],
    device: Device,
) -> Result<Vec<Asked>> {
    let regions: Vec<(&str, &Region)> = sampler
        .conditions()
        .into_iter()
        .filter_map(|label| Some((label, Region::named(label.strip_suffix("_ml")?)?)))
        .collect();
    if regions.is_empty() {
        return Ok(Vec::new());
    }
    let finder = Finder::for_samples(device)?;
    let mut pairs = vec![Vec::new(); regions.len()];
    for (seed, volume) in seeds.zip(volumes) {
        let found = Volumes::of("", &finder.of(volume)?, Some(&Grid::of(volume)));
        let labels = sampler.labels(seed);
        for ((label, region), pairs) in regions.iter().zip(&mut pairs) {
            let measured = found.region(region.name).map(|region| region.volume_ml);
            let asked = labels.get(*label).and_then(|value| value.parse().ok());
            pairs.extend(asked.zip(measured).map(|(asked, measured)| [asked, measured]));
        }
    }
    Ok(regions.iter().zip(&pairs).filter_map(|((label, _), pairs)| Asked::of(*label, pairs)).collect())
}
