//! Degradation of volumes.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::outputs::{Files, Writes};
use super::progress::{Event, Progress};
use super::records::Records;
use super::sidecar;
use crate::error::{Error, Result};
use crate::io::nifti::{self, DataType, WriteOptions};
use crate::io::scan::{self, ReadOptions};
use crate::io::{masks, npy};
use crate::simulate::degrade;
use crate::simulate::degrade::{
    Applied, Component, Degradation, MaskRuns, RandomUndersampling, Sampling, Simulated,
};
use crate::text::read_text;
use crate::volume::Volume;

/// A volume, its degradations and the outputs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The volume.
    pub input: PathBuf,
    /// The file of the degraded volume, .nii or .nii.gz; its record is written beside it, .json.
    pub output: PathBuf,
    /// The degradations, applied one after the other.
    pub cascade: Vec<Degradation>,
    /// Seed of random draws.
    pub seed: u64,
    /// The .npy file for the samples of a cascade that begins with motion, with DC in the middle.
    pub kspace: Option<PathBuf>,
    /// Options for reading the volume.
    pub read: ReadOptions,
}

impl Writes for Options {
    fn files(&self) -> Files {
        let Self { input, output, kspace, .. } = self;
        Files::reading([input])
            .writing(output)
            .recording(sidecar::path(output))
            .asked("--kspace", kspace.as_ref())
    }
}

/// A volume, and the record of what is done to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Replayed {
    /// The record that lies beside a degraded volume.
    pub record: PathBuf,
    /// The volume.
    pub input: PathBuf,
    /// The degraded volume, .nii or .nii.gz; its record goes beside it, .json.
    pub output: PathBuf,
    /// How the volume is read.
    pub read: ReadOptions,
}

impl Writes for Replayed {
    fn files(&self) -> Files {
        let Self { record, input, output, .. } = self;
        Files::reading([input, record]).writing(output).recording(sidecar::path(output))
    }
}

/// Volume → degradations → volume and record.
///
/// # Errors
/// [`Error::Io`] or [`Error::File`] for the files; [`Error::Value`] for `kspace` without motion as the first
/// degradation, and as [`degrade::simulate`]; [`Error::Cancelled`].
pub fn simulate(options: &Options, progress: &Progress) -> Result<Simulated> {
    let Options { input, output, cascade, seed, kspace, read } = options;
    if let (Some(path), false) = (kspace, matches!(cascade.first(), Some(Degradation::Motion(_)))) {
        let (found, advice) = (path.display().to_string(), "leave it out");
        return Err(Error::value("kspace", "motion as the first degradation", found, advice));
    }
    let volume = scan::read(input, read)?;
    progress.check()?;
    let simulated = degrade::simulate(&volume, cascade, *seed)?;
    write(output, input, &simulated, json!({ "Seed": seed }))?;
    progress.tell(Event::Wrote(output));
    if let (Some(path), Some(Applied::Motion(motion))) =
        (kspace, simulated.records.first().map(|record| &record.applied))
    {
        npy::write_complex(path, motion.kspace(&volume)?.view().into_dyn())?;
    }
    Ok(simulated)
}

/// Does to a volume what the record of another says, and writes it with a record of its own.
///
/// # Errors
/// [`Error::Io`] or [`Error::File`] for the files; [`Error::Value`] as [`degrade::replay`].
pub fn replay(Replayed { record, input, output, read }: &Replayed, progress: &Progress) -> Result<Simulated> {
    let Records { records } = Records::read(record)?;
    let volume = degrade::replay(&scan::read(input, read)?, &records)?;
    let simulated = Simulated { volume, records };
    write(output, input, &simulated, json!({}))?;
    progress.tell(Event::Wrote(output));
    Ok(simulated)
}

/// Undersampling by the mask in a file (.npy, .mat, .png, .tif).
///
/// # Errors
/// As [`masks::read`].
pub fn undersampling(mask: &Path, component: Component) -> Result<Degradation> {
    let sampling = Sampling::Mask(MaskRuns::from(&masks::read(mask)?.sampled));
    Ok(Degradation::Undersampling(RandomUndersampling { sampling, seed: None, component }))
}

/// The degradations of a recipe: a TOML file with a table `[[degradation]]` for each, its `kind` and ranges.
///
/// # Errors
/// [`Error::Io`] if it cannot be read; [`Error::File`] if it is no such recipe.
pub fn recipe(path: &Path) -> Result<Vec<Degradation>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Recipe {
        degradation: Vec<Degradation>,
    }
    let text = read_text(path, "read the recipe")?;
    let recipe: Recipe = toml::from_str(&text).map_err(|error| {
        let found = error.message().to_string();
        Error::file(path, "recipe", "[[degradation]] tables", found, "see the guide for kinds and ranges")
    })?;
    Ok(recipe.degradation)
}

/// Writes a degraded volume and its record.
fn write(output: &Path, input: &Path, simulated: &Simulated, mut details: Value) -> Result<()> {
    details["Source"] = json!(input.file_name().map(|name| name.to_string_lossy()));
    details["Records"] = json!(simulated.records);
    write_synthetic(output, &simulated.volume, DataType::F32, "degraded", details)
}

/// Writes a volume that says it is synthetic and, beside it, what `details` say of it.
pub(super) fn write_synthetic(
    path: &Path,
    volume: &Volume,
    data_type: DataType,
    what: &str,
    details: Value,
) -> Result<()> {
    let description = format!("SYNTHETIC voxgan {} {what}", env!("CARGO_PKG_VERSION"));
    nifti::write(path, volume, &WriteOptions { data_type, description, ..WriteOptions::default() })?;
    let record = json!({ "Synthetic": true, "Steps": volume.provenance.steps });
    sidecar::write(path, &sidecar::joined(sidecar::joined(record, sidecar::generated_by()), details))
}
