//! A trained head, on any device.

use ndarray::{Array4, s};

use super::device::{Device, on_device};
use super::restore::{Problem, Scan};
use crate::config::RestorationRecipe;
use crate::error::{Error, Result};
use crate::heads::{self, Case, Restored, blocks};
use crate::pretrained::TrainedRestorer;
use crate::volume::Volume;
use crate::volume::resample::Grid;

/// A trained head: opened once, it restores any number of volumes.
pub struct Restorer {
    /// Which network it is, with the SHA-256 of its weights.
    pub name: String,
    weights: String,
    recipe: RestorationRecipe,
    restore: Box<Restore>,
}

/// A network's restoration of a case with this weight of data consistency.
type Restore = dyn Fn(&Case, f64) -> Result<Restored> + Send;

/// A restored image and what it rests on, in the values and along the axes of the scan.
#[derive(Clone, Debug)]
pub struct Restoration {
    /// The image.
    pub image: Volume,
    /// The classical baseline.
    pub baseline: Volume,
    /// The null-space component of the image; without a measurement, its change from the baseline.
    pub null_space: Volume,
    /// Its norm, as a part of the image's.
    pub null_space_share: f64,
    /// Relative residuals of the data: of the baseline, of what the network or generator made, and of the image.
    pub residuals: Option<[f64; 3]>,
}

impl Restorer {
    /// Opens a network: one inside the program by its name, a checkpoint or weights file, or a run's folder.
    ///
    /// # Errors
    /// What is wrong with weights or device.
    pub fn open(weights: &str, device: Device) -> Result<Self> {
        Self::direction(weights, false, device)
    }

    /// The network of the way back of a run of translation without pairs.
    ///
    /// # Errors
    /// As [`Self::open`]; also for weights that have none.
    pub fn open_backward(weights: &str, device: Device) -> Result<Self> {
        Self::direction(weights, true, device)
    }

    fn direction(weights: &str, backward: bool, device: Device) -> Result<Self> {
        on_device!(device, |B, device| {
            let open = if backward { TrainedRestorer::open_backward } else { TrainedRestorer::open };
            let TrainedRestorer::<B> { network, recipe, name } = open(weights, &device)?;
            let blocks = blocks(&recipe);
            let restore = Box::new(move |case: &Case, consistency: f64| {
                heads::restore(&network, case, blocks, consistency, &device)
            });
            Ok(Self { name, weights: weights.into(), recipe, restore })
        })
    }

    /// Restores a volume of one channel; `consistency` is as in [`super::restore::Options`].
    ///
    /// # Errors
    /// What is wrong with the volume or its mask; [`Error::Value`] for a problem that the network was not trained for.
    pub fn restore(
        &self,
        volume: &Volume,
        problem: &Problem<Volume>,
        consistency: f64,
    ) -> Result<Restoration> {
        self.of_scan(&Scan::of(volume.clone())?, problem, consistency)
    }

    /// The same of a scan.
    pub(super) fn of_scan(
        &self,
        scan: &Scan,
        problem: &Problem<Volume>,
        consistency: f64,
    ) -> Result<Restoration> {
        let case = problem.case(scan, &self.recipe).map_err(|error| match error {
            Error::Value { key, expected, found, advice } => {
                Error::value(format!("{key} for the weights {}", self.weights), expected, found, advice)
            }
            other => other,
        })?;
        let restored = (self.restore)(&case, consistency)?;
        let step = format!("{} by {}", problem.head(), self.name);
        Ok(Restoration::of(restored, &case.initial, scan, &problem.grid(scan), &step))
    }
}

impl Restoration {
    /// The volumes of images on `grid`, `[C, D, H, W]`, of which the first channel is kept.
    pub(super) fn of(
        restored: Restored,
        baseline: &Array4<f32>,
        scan: &Scan,
        grid: &Grid,
        step: &str,
    ) -> Self {
        let Restored { image, null_space, residuals } = restored;
        let first = |image: &Array4<f32>| image.slice(s![..1, .., .., ..]).to_owned();
        Self {
            null_space_share: norm(&null_space) / norm(&image).max(f64::MIN_POSITIVE),
            image: scan.back(first(&image), grid, step),
            baseline: scan.back(first(baseline), grid, "classical baseline"),
            null_space: scan.back_difference(first(&null_space), grid),
            residuals,
        }
    }
}

impl std::fmt::Debug for Restorer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Restorer").field("name", &self.name).finish_non_exhaustive()
    }
}

fn norm(image: &Array4<f32>) -> f64 {
    image.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt()
}
