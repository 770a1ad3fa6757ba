//! Generation of synthetic volumes from seeds.

use std::io::Write;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::generator::{Generator, Output, Sampling};
use super::progress::{Event, Progress};
use super::segmenter::Segmenter;
use crate::anatomy::volumes::Volumes;
use crate::error::Result;
use crate::io::atomic_write;
use crate::report::{Montage, write_png};
use crate::volume::resample::Grid;

/// The picture of the samples.
pub(super) const MONTAGE: &str = "montage.png";
/// What each sample is conditioned on.
const TABLE: &str = "participants.tsv";
/// Most volumes in the montage.
const PICTURED: usize = 64;

/// The generator, the seeds and the output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The generator and its sampling.
    pub sampling: Sampling,
    /// The seeds; there is a sample for each.
    pub seeds: Vec<u64>,
    /// The output folder and file type.
    pub output: Output,
    /// Whether the structures of each sample are measured.
    pub check: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sampling: Sampling::default(),
            seeds: (0..4).collect(),
            output: Output::default(),
            check: false,
        }
    }
}

/// The generated samples and files.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The samples, in the order of the seeds.
    pub samples: Vec<Sample>,
    /// A picture of the first of them.
    pub montage: PathBuf,
    /// The table of their conditions; `None` for a generator without conditions.
    pub participants: Option<PathBuf>,
}

/// A sample.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Its seed.
    pub seed: u64,
    /// The NIfTI file.
    pub path: PathBuf,
    /// Its measurements, with [`Options::check`].
    pub volumes: Option<Volumes>,
}

/// Seeds → latents → w's → volumes → files: a NIfTI file with its sidecar for each seed, a montage, and for a
/// conditional generator the table of the samples' conditions.
///
/// # Errors
/// As [`Generator::open`]; [`Error::Io`](crate::error::Error::Io) or [`Error::File`](crate::error::Error::File) for the
/// output; [`Error::Cancelled`](crate::error::Error::Cancelled).
pub fn generate(options: &Options, progress: &Progress) -> Result<Generated> {
    let Options { sampling, seeds, output, check } = options;
    let segmenter = check.then(|| Segmenter::for_samples(sampling.device)).transpose()?;
    let generator = Generator::open(sampling, &[])?;
    let table = (!generator.conditions().is_empty()).then_some(TABLE);
    let files = seeds.iter().map(|&seed| name(seed) + ".nii.gz");
    let files = files.chain([MONTAGE].into_iter().chain(table).map(String::from));
    let folder = output.folder("synthetic", files, progress)?;
    let (mut samples, mut pictured) = (Vec::with_capacity(seeds.len()), Vec::new());
    for &seed in seeds {
        progress.check()?;
        let volume = generator.sample(seed);
        let path = folder.join(format!("{}.nii.gz", name(seed)));
        let mut details = json!({ "Seed": seed });
        let volumes = segmenter
            .as_ref()
            .map(|segmenter| {
                segmenter
                    .segment(&volume)
                    .map(|found| Volumes::of(name(seed), &found, Some(&Grid::of(&volume))))
            })
            .transpose()?;
        if let (Some(segmenter), Some(volumes)) = (&segmenter, &volumes) {
            progress.tell(Event::Note(&in_a_line(volumes)));
            details["Anatomy"] = json!({ "Segmenter": segmenter.name, "Volumes": volumes });
        }
        generator.write(&path, std::slice::from_ref(&volume), output.stored, seed, details)?;
        progress.tell(Event::Wrote(&path));
        samples.push(Sample { seed, path, volumes });
        if pictured.len() < PICTURED {
            pictured.push(volume);
        }
    }
    let participants = match table {
        None => None,
        Some(table) => {
            let path = folder.join(table);
            atomic_write(&path, |file| file.write_all(participants(&generator, seeds).as_bytes()))?;
            progress.tell(Event::Wrote(&path));
            Some(path)
        }
    };
    let montage = folder.join(MONTAGE);
    write_png(&montage, &Montage::fit(&pictured)?.render(&pictured)?)?;
    progress.tell(Event::Wrote(&montage));
    Ok(Generated { samples, montage, participants })
}

/// A sample's name.
fn name(seed: u64) -> String {
    format!("seed-{seed:04}")
}

/// What each sample is conditioned on, as the table of participants that `voxgan anatomy compare` takes covariates
/// from.
fn participants(generator: &Generator, seeds: &[u64]) -> String {
    let columns = generator.conditions();
    let row = |fields: Vec<&str>| fields.join("\t") + "\n";
    let header = row([&["participant_id"], &columns[..]].concat());
    let rows = seeds.iter().map(|&seed| {
        let (name, labels) = (name(seed), generator.labels(seed));
        let values = columns.iter().map(|column| labels.get(*column).map_or("n/a", String::as_str));
        row([name.as_str()].into_iter().chain(values).collect())
    });
    [header].into_iter().chain(rows).collect()
}

/// The volumes that a reader looks at first, and the flags.
fn in_a_line(found: &Volumes) -> String {
    let ml = |name: &str| found.region(name).map_or(f64::NAN, |region| region.volume_ml);
    let flags: Vec<String> = found.flags.iter().map(ToString::to_string).collect();
    let flags = if flags.is_empty() { "plausible".to_string() } else { flags.join("; ") };
    let (brain, ventricles) = (ml("brain"), ml("lateral_ventricles"));
    let quality = found.quality;
    format!("brain {brain:.0} ml, lateral ventricles {ventricles:.1} ml, quality {quality:.2}: {flags}")
}
