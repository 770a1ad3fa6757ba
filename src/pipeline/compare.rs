//! Comparison of the anatomy of synthetic heads with that of real ones.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::derivatives::{Derivatives, Derived, subject, write_json};
use super::participants::{ages, in_tables, known, tables};
use super::progress::Progress;
use super::segmenter::Segmenter;
use crate::anatomy::volumes::Volumes;
use crate::csv::push_row;
use crate::error::{Error, Result};
use crate::evaluate::cohort;
use crate::evaluate::cohort::{
    AgeTrend, Aged, Cohort, Comparison, Covariates, HeadMeasure, HeadSize, Known, Margin, QUANTITIES,
    Quantity, Settings, adjust,
};
use crate::evaluate::{NearestReals, foreground, nearest};
use crate::io::scan::{self, ReadOptions};
use crate::io::{atomic_write, bids};
use crate::volume::Volume;
use crate::volume::crop::{Centre, crop_pad};
use crate::volume::intensity::{IntensityMap, Normalisation};
use crate::volume::orientation::to_ras;
use crate::volume::resample::{Interpolation, resample_spacing};

/// Name of the comparison's file in its folder.
pub const COMPARISON: &str = "comparison.json";
/// Name of the file with the nearest real scans in the comparison's folder.
pub const MEMORISATION: &str = "memorisation.json";
/// Names of the folders of both cohorts' derivatives in the comparison's folder.
pub const COHORTS: [&str; 2] = ["real", "synthetic"];
/// The region that is set against age.
const AGEING: &str = "lateral_ventricles";
/// A voxel is tissue where the real volumes' mean is above this, air being −1.
const TISSUE: f64 = -0.9;
/// Grids of one size: spacings that differ by less, in millimetres.
const SAME_MM: f64 = 1e-3;

/// Two cohorts and the settings of their comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Real scans: a folder or a BIDS tree.
    pub real: PathBuf,
    /// Synthetic or restored scans: a folder or a BIDS tree.
    pub synthetic: PathBuf,
    /// The folder for label maps, volumes and the comparison.
    pub out: PathBuf,
    /// Regions and measures to compare, by their names in definitions.csv.
    pub quantities: Vec<String>,
    /// Columns of participants.tsv that are covariates.
    pub covariates: Vec<String>,
    /// Tables of the subjects: one for both, or one each; if empty, the participants.tsv beside the scans or above.
    pub participants: Vec<PathBuf>,
    /// The measure of head size; `None` for the intracranial volume if every scan has the fluid around the brain, or
    /// else the brain.
    pub head_size: Option<HeadMeasure>,
    /// Margin of equivalence of the means, in standard deviations of the real cohort.
    pub margin_sd: f64,
    /// Significance level of the tests.
    pub alpha: f64,
    /// Seed of bootstrap, permutations and splits.
    pub seed: u64,
    /// How scans are read.
    pub read: ReadOptions,
    /// Whether the first scan that fails ends the job.
    pub strict: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            real: PathBuf::new(),
            synthetic: PathBuf::new(),
            out: PathBuf::new(),
            quantities: QUANTITIES.map(String::from).into(),
            covariates: Vec::new(),
            participants: Vec::new(),
            head_size: None,
            margin_sd: 0.5,
            alpha: 0.05,
            seed: 0,
            read: ReadOptions::default(),
            strict: false,
        }
    }
}

/// The result, beside the files in the folder.
#[derive(Clone, Debug)]
pub struct Compared {
    /// Quality of the measurements of the real and of the synthetic scans.
    pub trust: [Trust; 2],
    /// The comparison.
    pub comparison: Comparison,
    /// The nearest real scan of every scan, and the ratio of the median distances of synthetic and of real scans to
    /// them ([`NearestReals::distance_ratio`](crate::evaluate::NearestReals::distance_ratio)); `None` for label maps.
    pub nearest: Option<(Vec<Nearest>, f64)>,
    /// The table of the comparison.
    pub table: PathBuf,
    /// The table adjusted for head size and covariates.
    pub adjusted_table: PathBuf,
    /// A line for each scan that could not be measured.
    pub failures: Vec<String>,
    /// Number of scans of both cohorts.
    pub scans: usize,
}

/// Quality of the measurements of a cohort.
#[derive(Clone, Debug, PartialEq)]
pub struct Trust {
    /// The cohort.
    pub name: &'static str,
    /// Number of scans.
    pub scans: usize,
    /// Mean quality of the scans, 0 to 1 ([`Volumes::quality`]).
    pub mean_quality: f64,
    /// Number of scans with flags.
    pub flagged: usize,
    /// The flags and the number of scans with each, the most frequent first.
    pub flags: Vec<(&'static str, usize)>,
}

/// The least mean quality of a cohort that looks like brains.
const QUALITY_MIN: f64 = 0.5;

impl Trust {
    /// The quality of these measurements.
    pub fn of(name: &'static str, volumes: &[Volumes]) -> Self {
        let mut flags = BTreeMap::new();
        for flag in volumes.iter().flat_map(|one| &one.flags) {
            *flags.entry(flag.name()).or_insert(0) += 1;
        }
        let mut flags: Vec<_> = flags.into_iter().collect();
        flags.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        Self {
            name,
            scans: volumes.len(),
            mean_quality: volumes.iter().map(|one| one.quality).sum::<f64>() / volumes.len().max(1) as f64,
            flagged: volumes.iter().filter(|one| !one.flags.is_empty()).count(),
            flags,
        }
    }

    /// Whether at least half of the scans are flagged, or their mean quality is low, so that differences may not be
    /// anatomical.
    pub fn is_doubtful(&self) -> bool {
        2 * self.flagged >= self.scans || self.mean_quality < QUALITY_MIN
    }
}

impl std::fmt::Display for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, scans, mean_quality, flagged, flags } = self;
        write!(f, "{name}: {scans} scans, mean quality {mean_quality:.3}, {flagged} flagged")?;
        let flags: Vec<String> = flags.iter().map(|(flag, count)| format!("{flag} {count}")).collect();
        if !flags.is_empty() {
            write!(f, " ({})", flags.join(", "))?;
        }
        if self.is_doubtful() {
            write!(
                f,
                "; most do not look like sound brains, so that differences below say little of anatomy"
            )?;
        }
        Ok(())
    }
}

/// A scan and the real scan that is nearest to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Nearest {
    /// Whether the scan is synthetic; for a real scan, `nearest` is another.
    pub synthetic: bool,
    /// The scan.
    pub subject: String,
    /// The nearest real scan.
    pub nearest: String,
    /// Root mean square difference over the head, intensities from −1 to 1.
    pub rmse: f64,
    /// Correlation over the head.
    pub correlation: f64,
}

/// Two folders → one grid → structures → volumes → comparison.
///
/// # Errors
/// [`Error::Io`] or [`Error::File`] for scans, tables and the output folder; [`Error::Value`] for cohorts or covariates
/// that cannot be compared; [`Error::Incomplete`] if no scan of a cohort could be measured; with `strict` the error of
/// the first scan that fails; [`Error::Cancelled`].
pub fn compare(options: &Options, segmenter: &Segmenter, progress: &Progress) -> Result<Compared> {
    let settings = Settings {
        seed: options.seed,
        alpha: options.alpha,
        margin: Margin::RealSds(options.margin_sd),
        ..Settings::default()
    };
    let all = [bids::volumes(&options.real)?, bids::volumes(&options.synthetic)?];
    let tables = tables(&options.participants, &all, &options.covariates)?;
    let space = Space::of(&all[1], &options.read, segmenter.interpolation)?;
    let names: Vec<&str> = options.quantities.iter().map(String::as_str).collect();
    let (mut cohorts, mut measurements) = (Vec::with_capacity(2), Vec::with_capacity(2));
    let (mut images, mut failures) = (Vec::with_capacity(2), Vec::new());
    let mut paths = [Vec::new(), Vec::new()];
    for (at, name) in COHORTS.into_iter().enumerate() {
        let found = measured(&options.out.join(name), &all[at], &space, options, segmenter, progress)?;
        failures.extend(found.failures);
        if found.derived.is_empty() {
            return Error::incomplete("scans", all[at].len(), failures)
                .map(|()| unreachable!("a folder has scans"));
        }
        let volumes: Vec<Volumes> = found.derived.into_iter().map(|one| one.volumes).collect();
        cohorts.push(Cohort::of_volumes(&volumes, &names)?);
        measurements.push(volumes);
        images.push(found.images);
        paths[at] = found.paths;
    }
    let known = [0, 1].map(|at| known(tables[at].as_ref(), &paths[at]));
    let covariates = if options.covariates.is_empty() {
        None
    } else {
        let read = Covariates::of(&options.covariates, &known[0], &known[1]);
        Some(read.map_err(|e| in_tables(e, &tables))?)
    };
    let mut comparison = cohort::compare(&cohorts[0], &cohorts[1], &settings)?;
    let head = HeadSize::of(&measurements[0], &measurements[1], options.head_size);
    let adjusted = adjust(&cohorts[0], &cohorts[1], &head, covariates.as_ref(), &settings)
        .map_err(|e| in_tables(e, &tables))?;
    let adjusted_table = options.out.join("adjusted.csv");
    atomic_write(&adjusted_table, |file| file.write_all(adjusted.to_csv().as_bytes()))?;
    comparison.adjusted = Some(adjusted);
    let [real, synthetic] = [0, 1].map(|at| aged(&measurements[at], &known[at]));
    comparison.age = AgeTrend::of(Quantity::new(AGEING, "ml"), real, synthetic, settings.confidence);
    write_json(&options.out.join(COMPARISON), &comparison)?;
    let table = options.out.join("comparison.csv");
    atomic_write(&table, |file| file.write_all(comparison.to_csv().as_bytes()))?;
    let nearest = match segmenter.interpolation {
        Interpolation::Nearest => None,
        _ => {
            let tissue = foreground(&images[0], TISSUE)?;
            let nearest_reals = nearest(&images[1], &images[0], &tissue)?;
            Some((memorisation_of(&nearest_reals, &paths, &options.out)?, nearest_reals.distance_ratio()))
        }
    };
    let scans = all.iter().map(Vec::len).sum();
    let trust = [0, 1].map(|at| Trust::of(COHORTS[at], &measurements[at]));
    Ok(Compared { trust, comparison, nearest, table, adjusted_table, failures, scans })
}

/// Ages and volumes of a cohort.
fn aged(volumes: &[Volumes], known: &[Known]) -> Vec<Aged> {
    let of = |(volumes, age): (&Volumes, Option<f64>)| {
        let value = volumes.region(AGEING)?.volume_ml;
        Some(Aged { subject: volumes.subject.clone(), age, value })
    };
    volumes.iter().zip(ages(known)).filter_map(of).collect()
}

/// The grid that both cohorts are brought to.
struct Space {
    dims: [usize; 3],
    spacing_mm: [f64; 3],
    interpolation: Interpolation,
}

impl Space {
    /// That of the first scan that can be read.
    fn of(paths: &[PathBuf], read: &ReadOptions, interpolation: Interpolation) -> Result<Self> {
        let first = paths.iter().map(|path| scan::read(path, read)).reduce(Result::or);
        let (volume, _) = to_ras(first.expect("a folder has scans")?);
        Ok(Self { dims: volume.dims(), spacing_mm: volume.spacing_mm(), interpolation })
    }

    /// `volume` on a grid of this size: one that has it stays as it is.
    fn bring(&self, volume: Volume) -> Volume {
        let (volume, _) = to_ras(volume);
        let alike = |volume: &Volume| {
            volume.spacing_mm().iter().zip(self.spacing_mm).all(|(one, other)| (one - other).abs() < SAME_MM)
        };
        if alike(&volume) && volume.dims() == self.dims {
            return volume;
        }
        let volume = if alike(&volume) {
            volume
        } else {
            resample_spacing(&volume, self.spacing_mm, self.interpolation)
        };
        crop_pad(&volume, self.dims, Centre::Foreground, 0.0)
    }
}

/// What is known of a cohort on the common grid.
struct OnGrid {
    derived: Vec<Derived>,
    /// From −1 to 1; none of label maps.
    images: Vec<Volume>,
    /// The scans that were measured.
    paths: Vec<PathBuf>,
    failures: Vec<String>,
}

/// Measures a cohort on the common grid; what is in `folder` from the same scans is kept.
fn measured(
    folder: &Path,
    paths: &[PathBuf],
    space: &Space,
    options: &Options,
    segmenter: &Segmenter,
    progress: &Progress,
) -> Result<OnGrid> {
    let grid = json!({ "Dims": space.dims, "SpacingMm": space.spacing_mm });
    let mut derivatives = Derivatives::create(folder, paths, &options.read, segmenter, grid)?;
    let mut cohort = super::cohort::Cohort::new(paths.len(), options.strict, progress);
    let (mut images, mut measured) = (Vec::with_capacity(paths.len()), Vec::with_capacity(paths.len()));
    for path in paths {
        let image = cohort.next(&path.display().to_string(), || {
            let scan = space.bring(scan::read(path, &options.read)?);
            let map = (segmenter.interpolation != Interpolation::Nearest)
                .then(|| IntensityMap::fit(&scan, &Normalisation::default()).map_err(|e| e.in_file(path)))
                .transpose()?;
            if derivatives.kept(path)?.is_none() {
                let segmentation = segmenter.segment(&scan).map_err(|e| e.in_file(path))?;
                derivatives.add(path, &scan, &segmentation)?;
            }
            Ok(map.map(|map| map.apply(scan)))
        })?;
        if let Some(image) = image {
            images.extend(image);
            measured.push(path.clone());
        }
    }
    let failures = cohort.failures();
    Ok(OnGrid { derived: derivatives.finish()?, images, paths: measured, failures })
}

/// Writes the neighbours, and lists them.
fn memorisation_of(
    nearest_reals: &NearestReals,
    paths: &[Vec<PathBuf>; 2],
    out: &Path,
) -> Result<Vec<Nearest>> {
    let [reals, synthetics] =
        paths.each_ref().map(|paths| paths.iter().map(|p| subject(p)).collect::<Vec<_>>());
    let sets = [(true, &synthetics, &nearest_reals.of_synthetic), (false, &reals, &nearest_reals.of_real)];
    let list: Vec<Nearest> = sets
        .iter()
        .flat_map(|(synthetic, subjects, found)| {
            subjects.iter().zip(found.iter()).map(|(subject, found)| Nearest {
                synthetic: *synthetic,
                subject: subject.clone(),
                nearest: reals[found.index].clone(),
                rmse: found.rmse,
                correlation: found.correlation,
            })
        })
        .collect();
    write_json(&out.join(MEMORISATION), &list)?;
    let mut text = "synthetic,subject,nearest_real,rmse,correlation\n".to_string();
    for one in &list {
        let numbers = [one.rmse.to_string(), one.correlation.to_string()];
        push_row(
            &mut text,
            [if one.synthetic { "yes" } else { "no" }, &one.subject, &one.nearest, &numbers[0], &numbers[1]],
        );
    }
    atomic_write(&out.join("memorisation.csv"), |file| file.write_all(text.as_bytes()))?;
    Ok(list)
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::*;
    use crate::volume::VoxelToWorld;

    #[test]
    fn a_cohort_of_no_brains_is_doubtful() {
        use crate::anatomy::Segmentation;
        let empty = Segmentation::of_labels(ndarray::Array3::zeros((4, 4, 4)), VoxelToWorld::identity());
        let volumes = |qualities: &[f64]| -> Vec<Volumes> {
            let of = |&quality: &f64| {
                let mut volumes = Volumes::of("a", &empty, None);
                volumes.quality = quality;
                if quality > 0.5 {
                    volumes.flags.clear();
                }
                volumes
            };
            qualities.iter().map(of).collect()
        };
        let sound = Trust::of("real", &volumes(&[0.9, 0.8, 0.7]));
        assert!(!sound.is_doubtful() && sound.to_string() == "real: 3 scans, mean quality 0.800, 0 flagged");
        let doubtful = Trust::of("synthetic", &volumes(&[0.002, 0.011]));
        assert!(
            doubtful.is_doubtful() && doubtful.flagged == 2 && doubtful.to_string().contains("say little")
        );
    }

    #[test]
    fn a_scan_is_brought_to_the_grid_and_one_that_has_it_stays() {
        let space = Space { dims: [8, 10, 6], spacing_mm: [2.0; 3], interpolation: Interpolation::Linear };
        let data = Array4::from_shape_fn((1, 16, 24, 20), |(_, k, j, i)| {
            if (4..12).contains(&k) && (4..20).contains(&j) && (4..16).contains(&i) { 100.0 } else { 0.0 }
        });
        let brought = space.bring(Volume::new(data, VoxelToWorld::identity()));
        assert_eq!(brought.dims(), [8, 10, 6]);
        assert!(brought.spacing_mm().iter().all(|mm| (mm - 2.0).abs() < 1e-9));
        // The block's volume is kept: 8 x 16 x 12 mm.
        let ml: f64 = brought.data.iter().map(|&x| f64::from(x) / 100.0 * 0.008).sum();
        assert!((ml - 1.536).abs() < 0.08, "{ml}");
        let again = space.bring(brought.clone());
        assert_eq!(again.data, brought.data);
    }
}
