//! Phantoms with known truth.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::outputs::{Files, Writes};
use super::progress::{Event, Progress};
use super::sidecar;
use super::simulate::write_synthetic;
use crate::error::{Error, Result};
use crate::io::nifti::DataType;
use crate::simulate::phantom::{BrainPhantom, Contrast, Ellipsoids, centred_grid};
use crate::volume::Volume;

/// A phantom, its grid and the output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The file of the phantom, .nii or .nii.gz; its parameters are written beside it, .json.
    pub output: PathBuf,
    /// The kind of phantom.
    pub of: Shown,
    /// Number of voxels along W, H and D; one along D for a slice.
    pub shape: [usize; 3],
    /// Voxel size along W, H and D in millimetres.
    pub spacing_mm: [f64; 3],
    /// Contrast of the brain's tissues.
    pub contrast: Contrast,
    /// Parameters of the brain.
    pub brain: BrainPhantom,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            output: PathBuf::new(),
            of: Shown::default(),
            shape: [160, 192, 160],
            spacing_mm: [1.0; 3],
            contrast: Contrast::default(),
            brain: BrainPhantom::default(),
        }
    }
}

impl Writes for Options {
    fn files(&self) -> Files {
        Files::default().writing(&self.output).recording(sidecar::path(&self.output))
    }
}

/// The kind of phantom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// A head with folded cortex
    #[default]
    Brain,
    /// The brain's FreeSurfer labels
    Labels,
    /// The Shepp-Logan ellipsoids of Koay 2007; ellipses in a slice
    SheppLogan,
}

impl Options {
    /// The phantom in memory.
    ///
    /// # Errors
    /// [`Error::Value`] for an invalid grid and parameters of the brain out of range.
    pub fn volume(&self) -> Result<Volume> {
        let Self { of, shape, spacing_mm, contrast, brain, .. } = self;
        if !spacing_mm.iter().all(|&mm| mm > 0.0 && mm.is_finite()) || shape.contains(&0) {
            let found = format!("{shape:?} voxels of {spacing_mm:?} mm");
            return Err(Error::value("--shape, --spacing-mm", "numbers above zero", found, "correct them"));
        }
        let grid = centred_grid(*shape, *spacing_mm)?;
        match of {
            Shown::Brain => brain.volume(&grid, *contrast),
            Shown::Labels => brain.labels(&grid),
            Shown::SheppLogan => self.ellipsoids().volume(&grid),
        }
    }

    /// The ellipsoids that fill the longest side; ellipses in a slice.
    fn ellipsoids(&self) -> Ellipsoids {
        let Self { shape, spacing_mm, .. } = self;
        let side_mm = (0..3).map(|axis| shape[axis] as f64 * spacing_mm[axis]).fold(0.0, f64::max);
        let planar = shape[2] == 1;
        if planar { Ellipsoids::shepp_logan_2d(side_mm) } else { Ellipsoids::shepp_logan_3d(side_mm) }
    }

    /// What is known of it.
    fn truth(&self) -> Result<Value> {
        if self.of == Shown::SheppLogan {
            return Ok(json!({ "Ellipsoids": self.ellipsoids() }));
        }
        let volumes_ml = self.brain.volumes_ml()?.into_iter();
        let volumes_ml: serde_json::Map<String, Value> =
            volumes_ml.map(|(tissue, ml)| (format!("{tissue:?}"), json!(ml))).collect();
        Ok(json!({ "Phantom": self.brain, "VolumesMl": volumes_ml }))
    }
}

/// Phantom → volume → file and record.
///
/// # Errors
/// As [`Options::volume`]; [`Error::Io`] or [`Error::File`] for the output.
pub fn phantom(options: &Options, progress: &Progress) -> Result<Volume> {
    let volume = options.volume()?;
    let data_type = if options.of == Shown::Labels { DataType::I16 } else { DataType::F32 };
    write_synthetic(&options.output, &volume, data_type, "phantom", options.truth()?)?;
    progress.tell(Event::Wrote(&options.output));
    Ok(volume)
}
