//! Distances of synthetic volumes to real ones, beside those among real ones.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::device::on_device;
use super::generator::{Generator, Sampling};
use super::outputs::{Files, Writes};
use super::progress::{Event, Progress};
use super::realism::{ExtractorChoice, realism};
use super::segmenter::Segmenter;
use crate::anatomy::Region;
use crate::anatomy::volumes::Volumes;
use crate::error::{Error, Result};
use crate::evaluate::cohort::Asked;
use crate::evaluate::realism::Realism;
use crate::evaluate::{
    Diversity, Memorisation, NearestReal, NearestReals, SetDistance, diversity, foreground, nearest,
    set_distance, split_half_distance,
};
use crate::io::atomic_write;
use crate::io::dataset::Dataset;
use crate::report::{Montage, write_png};
use crate::stats::upper_median;
use crate::volume::Volume;
use crate::volume::resample::Grid;

/// The range that volumes are normalised to, as SSIM needs it.
const DATA_RANGE: f64 = 2.0;
/// A voxel is tissue where the real volumes' mean is above this, air being −1.
const TISSUE: f64 = -0.9;
/// Draws behind the intervals of the memorisation check.
const DRAWS: usize = 1000;
/// Least number of volumes of a set for measures of realism: each draw of half of them must have five neighbours.
pub const REALISM_LEAST: usize = 12;

/// The generator and the data of an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The generator and its sampling. Missing conditions are those of the real volumes.
    pub sampling: Sampling,
    /// Real volumes: a prepared dataset on the generator's grid.
    pub data: PathBuf,
    /// Number of synthetic volumes; `None` for as many as there are real ones.
    pub volumes: Option<usize>,
    /// First seed.
    pub first_seed: u64,
    /// The training dataset, for the memorisation check; `data` must then be of people who are not in it.
    pub training: Option<PathBuf>,
    /// The file for a picture of the samples nearest to training volumes.
    pub picture: Option<PathBuf>,
    /// Where the numbers go, as JSON.
    pub json: Option<PathBuf>,
    /// The network whose features realism is measured in.
    pub extractor: ExtractorChoice,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sampling: Sampling::default(),
            data: PathBuf::new(),
            volumes: None,
            first_seed: 100_000,
            training: None,
            picture: None,
            json: None,
            extractor: ExtractorChoice::default(),
        }
    }
}

impl Writes for Options {
    fn files(&self) -> Files {
        Files::reading([&self.data].into_iter().chain(&self.training))
            .asked("--picture", self.picture.as_ref())
            .asked("--json", self.json.as_ref())
    }
}

/// The result of an evaluation.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Numbers of synthetic and of real volumes.
    pub counts: [usize; 2],
    /// Diversity of the synthetic and of the real volumes.
    pub diversity: [Diversity; 2],
    /// Nearest real volumes.
    pub nearest: NearestReals,
    /// Distance of the synthetic volumes to the real ones, and of one half of these to the other.
    pub distances: [SetDistance; 2],
    /// The memorisation check, where the training set is given.
    pub memorisation: Option<Memorised>,
    /// The relation of measured volumes of regions to the conditions.
    pub asked: Vec<Asked>,
    /// Measures of realism; `None` with fewer than [`REALISM_LEAST`] volumes in a set.
    pub realism: Option<Realism>,
}

/// The memorisation check with the names of the nearest volumes.
#[derive(Clone, Debug)]
pub struct Memorised {
    /// The result of the check.
    pub check: Memorisation,
    /// For each of [`Memorisation::lowest`] the seed, the nearest training volume and the nearest unseen one.
    pub named: Vec<(u64, String, String)>,
}

/// Dataset and generator → two sets of volumes → numbers → a document, if one is asked for.
///
/// # Errors
/// [`Error::Io`] or [`Error::File`] for data and weights; [`Error::Value`] for fewer than four real volumes, another
/// grid, voxel size or normalisation, and conditions; [`Error::Device`]; [`Error::Cancelled`].
pub fn evaluate(options: &Options, progress: &Progress) -> Result<Evaluation> {
    let dataset = Dataset::open(&options.data)?;
    if dataset.len() < 4 {
        let advice = "prepare more scans";
        return Err(Error::value("--data", "four volumes or more", dataset.len().to_string(), advice));
    }
    let reals = dataset.volumes().collect::<Result<Vec<_>>>()?;
    let count = options.volumes.unwrap_or(reals.len()).max(2);
    let seeds: Vec<u64> = (options.first_seed..).take(count).collect();
    let people: Vec<_> = dataset.manifest.entries.iter().map(|e| (&*e.name, &e.labels)).collect();
    let generator = Generator::open(&options.sampling, &people)?;
    let mut samples = Vec::with_capacity(count);
    for (at, &seed) in seeds.iter().enumerate() {
        progress.check()?;
        samples.push(generator.sample(seed));
        progress.tell(Event::Done { what: "samples", done: at + 1, of: count, left: None });
    }
    if samples[0].data.dim() != reals[0].data.dim() {
        let [expected, found] = [&samples, &reals].map(|set| format!("{:?}", set[0].data.dim()));
        let expected = format!("the generator's grid {expected}");
        return Err(Error::value("--data", expected, found, "prepare on its grid"));
    }
    let sizes = samples[0].spacing_mm();
    dataset.check_spacing(sizes, "--data")?;
    let asked = asked(&generator, &seeds, &samples, options, progress)?;
    let intensity = generator.space.intensity;
    let synthetic: Vec<Volume> = samples.into_iter().map(|volume| intensity.apply(volume)).collect();
    let tissue = foreground(&reals, TISSUE)?;
    let memorisation = match &options.training {
        Some(path) => {
            let training = Dataset::open(path)?;
            training.check_prepared_as(&dataset, "--training")?;
            let volumes = training.volumes().collect::<Result<Vec<_>>>()?;
            let check = Memorisation::of(&synthetic, &volumes, &reals, &tissue, DRAWS)?;
            if let Some(path) = &options.picture {
                picture(path, &check, [&synthetic, &volumes, &reals])?;
                progress.tell(Event::Wrote(path));
            }
            let name = |dataset: &Dataset, at: usize| dataset.entry(at).name.clone();
            let named = check
                .lowest
                .iter()
                .map(|one| (seeds[one.sample], name(&training, one.training), name(&dataset, one.unseen)));
            Some(Memorised { named: named.collect(), check })
        }
        None => None,
    };
    progress.check()?;
    let realism = match synthetic.len().min(reals.len()) < REALISM_LEAST {
        true => None,
        false => Some(on_device!(options.sampling.device, |B, device| {
            realism::<B>(&options.extractor, &synthetic, &reals, DATA_RANGE, &device)
        })?),
    };
    let found = Evaluation {
        counts: [synthetic.len(), reals.len()],
        diversity: [diversity(&synthetic, DATA_RANGE)?, diversity(&reals, DATA_RANGE)?],
        nearest: nearest(&synthetic, &reals, &tissue)?,
        distances: [set_distance(&synthetic, &reals, &tissue)?, split_half_distance(&reals, &tissue)?],
        memorisation,
        asked,
        realism,
    };
    if let Some(path) = &options.json {
        let document = document(&found, options.sampling.psi);
        atomic_write(path, |file| writeln!(file, "{document:#}"))?;
    }
    Ok(found)
}

/// The numbers as JSON.
fn document(found: &Evaluation, psi: f64) -> Value {
    let [synthetic, real] = &found.diversity;
    let (of_synthetic, of_real) = (&found.nearest.of_synthetic, &found.nearest.of_real);
    let distance = |d: &SetDistance| {
        json!({ "intensity_wasserstein": d.intensity_wasserstein, "mean_volume_rms": d.mean_volume_rms,
                "deviation_volume_rms": d.deviation_volume_rms })
    };
    json!({
        "synthetic_volumes": found.counts[0],
        "real_volumes": found.counts[1],
        "psi": psi,
        "ms_ssim": { "synthetic": synthetic.mean, "real": real.mean, "scales": synthetic.scales,
                     "synthetic_deviation": synthetic.standard_deviation, "real_deviation": real.standard_deviation },
        "nearest_rmse": { "synthetic_median": median(of_synthetic), "real_median": median(of_real),
                          "synthetic_least": least(of_synthetic), "real_least": least(of_real) },
        "set_distance": { "synthetic_real": distance(&found.distances[0]), "real_split_half": distance(&found.distances[1]) },
        "memorisation": found.memorisation.as_ref().map(|memorised| &memorised.check),
        "asked": found.asked,
        "realism": found.realism,
    })
}

/// The median distance to the nearest real volume.
pub fn median(list: &[NearestReal]) -> f64 {
    upper_median(list.iter().map(|n| n.rmse).collect()).expect("both sets have volumes")
}

/// The least of these distances.
pub fn least(list: &[NearestReal]) -> f64 {
    list.iter().map(|n| n.rmse).fold(f64::INFINITY, f64::min)
}

/// Each of the lowest samples with its nearest training volume and its nearest unseen one.
fn picture(path: &Path, check: &Memorisation, [samples, training, unseen]: [&[Volume]; 3]) -> Result<()> {
    let rows = check.lowest.iter();
    let volumes: Vec<Volume> = rows
        .flat_map(|one| {
            [&samples[one.sample], &training[one.training], &unseen[one.unseen]].map(Volume::clone)
        })
        .collect();
    let montage = Montage { columns: 3, window: (-1.0, 1.0), ..Montage::fit(&volumes)? };
    write_png(path, &montage.render(&volumes)?)
}

/// How the volumes that samples measure follow those they were conditioned on: of each covariate named as a region,
/// `brain_ml`.
fn asked(
    generator: &Generator,
    seeds: &[u64],
    volumes: &[Volume],
    options: &Options,
    progress: &Progress,
) -> Result<Vec<Asked>> {
    let regions: Vec<(&str, &Region)> = generator
        .conditions()
        .into_iter()
        .filter_map(|label| Some((label, Region::named(label.strip_suffix("_ml")?)?)))
        .collect();
    if regions.is_empty() {
        return Ok(Vec::new());
    }
    let segmenter = Segmenter::for_samples(options.sampling.device)?;
    let mut pairs = vec![Vec::new(); regions.len()];
    for (at, (&seed, volume)) in seeds.iter().zip(volumes).enumerate() {
        progress.check()?;
        let found = Volumes::of("", &segmenter.segment(volume)?, Some(&Grid::of(volume)));
        let labels = generator.labels(seed);
        for ((label, region), pairs) in regions.iter().zip(&mut pairs) {
            let measured = found.region(region.name).map(|region| region.volume_ml);
            let asked = labels.get(*label).and_then(|value| value.parse().ok());
            pairs.extend(asked.zip(measured).map(|(asked, measured)| [asked, measured]));
        }
        progress.tell(Event::Done { what: "samples measured", done: at + 1, of: volumes.len(), left: None });
    }
    Ok(regions.iter().zip(&pairs).filter_map(|((label, _), pairs)| Asked::of(*label, pairs)).collect())
}
