//! A trained restoration network on any device.

use std::path::Path;

use ndarray::{Array4, Zip, s};

use super::device::{Device, on_device};
use super::memory;
use super::restore::{Problem, Scan, along_ras, known, oriented, turned};
use crate::config::RestorationRecipe;
use crate::error::{Error, Result};
use crate::heads::{self, Case, Restored, blocks_within, finer_grid};
use crate::pretrained::{ImageSpace, TrainedRestorer};
use crate::volume::Volume;
use crate::volume::orientation::from_ras;
use crate::volume::outliers::without_outliers;
use crate::volume::resample::{Grid, Interpolation, resample, resample_with};

/// Bytes that a restoration takes at its peak for each voxel of its result: 50 were measured at 192³ (superres by 2),
/// and a margin.
const BYTES_PER_VOXEL: u64 = 60;
/// The part of a voxel that must be missing on the scan's grid for it to count as missing on the network's.
const MISSING_SHARE: f32 = 0.01;

/// A trained restoration network: opened once, it restores any number of volumes.
pub struct Restorer {
    /// The network's name with the SHA-256 of its weights.
    pub name: String,
    weights: String,
    recipe: RestorationRecipe,
    space: ImageSpace,
    keeps_spacing: bool,
    restore: Box<Restore>,
}

/// A network's restoration of a case with this weight of data consistency.
type Restore = dyn Fn(&Case, f64) -> Result<Restored> + Send;

/// A restored image with baseline and null-space component, in the intensities and along the axes of the scan.
#[derive(Clone, Debug)]
pub struct Restoration {
    /// The image.
    pub image: Volume,
    /// The classical baseline.
    pub baseline: Volume,
    /// The null-space component of the image; without a measurement, its difference from the baseline.
    pub null_space: Volume,
    /// Norm of the null-space component divided by that of the image.
    pub null_space_share: f64,
    /// ‖A·x − y‖ / ‖y‖ of the baseline, of the output of network or generator, and of the image; `None` without a
    /// measurement.
    pub residuals: Option<[f64; 3]>,
}

impl Restorer {
    /// Opens a network: the name of one inside the program, a checkpoint or weights file, or a run's folder.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::File`] or [`Error::Value`] for the weights; [`Error::Device`].
    pub fn open(weights: &str, device: Device) -> Result<Self> {
        Self::direction(weights, false, device)
    }

    /// Opens the second network of a run of translation without pairs, which translates back.
    ///
    /// # Errors
    /// As [`Self::open`], and for weights without a second network.
    pub fn open_backward(weights: &str, device: Device) -> Result<Self> {
        Self::direction(weights, true, device)
    }

    fn direction(weights: &str, backward: bool, device: Device) -> Result<Self> {
        let tensor_bytes = device.find()?.tensor_bytes().unwrap_or(u64::MAX);
        on_device!(device, |B, device| {
            let open = if backward { TrainedRestorer::open_backward } else { TrainedRestorer::open };
            let TrainedRestorer::<B> { network, recipe, space, name } = open(weights, &device)?;
            let blocks = blocks_within(&recipe, tensor_bytes);
            let restore = Box::new(move |case: &Case, consistency: f64| {
                heads::restore(&network, case, blocks, consistency, &device)
            });
            Ok(Self { name, weights: weights.into(), recipe, space, keeps_spacing: false, restore })
        })
    }

    /// This restorer with or without resampling of scans to the voxel size of the training
    /// ([`ImageSpace::other_spacing`]); with it by default.
    #[must_use]
    pub fn keeping_spacing(self, keeps_spacing: bool) -> Self {
        Self { keeps_spacing, ..self }
    }

    /// Restores a volume of one channel; `consistency` is as in [`super::restore::Options`].
    ///
    /// Voxels without signal are filled first ([`crate::volume::outliers`]). A scan of another voxel size than that of
    /// the training is resampled to it, and the result back to the scan's grid; super-resolution, whose result must
    /// agree with the scan's voxels, refuses it. In in-painting, voxels outside the mask stay the same to the bit.
    ///
    /// # Errors
    /// [`Error::Value`] for a volume or a mask that does not fit, a problem that the network was not trained for, and
    /// one that needs more than the free memory.
    pub fn restore(
        &self,
        volume: &Volume,
        problem: &Problem<Volume>,
        consistency: f64,
    ) -> Result<Restoration> {
        let source = &volume.provenance.source;
        let in_scan = |error: Error| if source.is_empty() { error } else { error.in_file(Path::new(source)) };
        let (ras, original) = oriented(volume.clone()).map_err(in_scan)?;
        let normalisation = &self.space.normalisation;
        let finer = match problem {
            Problem::Superres(factor) => along_ras(*factor, &original),
            _ => [1; 3],
        };
        let result = finer_grid(&Grid::of(&ras), finer);
        let other = self.other_grid(&result);
        let voxels = [Some(&result), other.as_ref()].into_iter().flatten().map(|grid| grid.dims);
        let voxels =
            voxels.max_by_key(|dims| dims.iter().map(|&n| n as u128).product::<u128>()).expect("a grid");
        let bytes = voxels.iter().try_fold(BYTES_PER_VOXEL, |bytes, &n| bytes.checked_mul(n as u64));
        let what = format!("{} of {voxels:?} voxels", problem.head());
        let advice = "choose a smaller factor, crop the scan to the head, or work where there is more";
        memory::check(bytes.unwrap_or(u64::MAX), &what, advice)?;
        let restored = match (&other, problem) {
            (Some(other), Problem::Superres(_)) => {
                let scan = Scan::new(ras, original, normalisation).map_err(in_scan)?;
                problem.order(&scan, &self.recipe)?;
                return Err(self.wrong_size(&result, other));
            }
            (Some(other), _) => {
                let (learned, own) = (rounded(other.spacing_mm()), rounded(result.spacing_mm()));
                let step = format!(
                    "voxels of {own:?} mm resampled to {learned:?} mm, near those that the network learned on, and back"
                );
                tracing::warn!("{}: {step}", if source.is_empty() { "volume" } else { source });
                let problem = on_grid(problem, &ras, other)?;
                let cleaned = without_outliers(ras.clone());
                let seen = resample(&cleaned, other, Interpolation::Linear).with_step(step);
                let scan = Scan::new(seen, original.clone(), normalisation).map_err(in_scan)?;
                let restored = self.of_scan(&scan, &problem, consistency)?;
                restored.brought_back(&from_ras(cleaned, &original), &problem)
            }
            (None, _) => {
                let scan = Scan::new(ras.clone(), original.clone(), normalisation).map_err(in_scan)?;
                self.of_scan(&scan, problem, consistency)?
            }
        };
        match problem {
            Problem::Inpaint(mask) if consistency == 1.0 => {
                let known = Volume::of_mask(known(mask, &ras)?.view(), ras.affine);
                Ok(restored.keeping(volume, &from_ras(known, &original)))
            }
            _ => Ok(restored),
        }
    }

    /// The grid along RAS+ that the network is to see in place of `own`; none where that is fine.
    fn other_grid(&self, own: &Grid) -> Option<Grid> {
        // A slice has no size across, and a network of slices learned of none.
        let axes = [0, 1, 2].map(|axis| own.dims[axis] > 1 && !(axis == 2 && self.recipe.flat()));
        let spacing = (!self.keeps_spacing).then(|| self.space.other_spacing(own.spacing_mm(), axes))??;
        // A whole number of voxels over the same field of view.
        let sizes = own.spacing_mm();
        let exact = [0, 1, 2].map(|axis| {
            let extent = own.dims[axis] as f64 * sizes[axis];
            extent / (extent / spacing[axis]).round().max(1.0)
        });
        Some(own.straight().with_spacing(exact))
    }

    fn wrong_size(&self, result: &Grid, learned: &Grid) -> Error {
        let expected = format!(
            "a result with voxels of about {:?} mm along right, front and up, which the weights {} learned on",
            rounded(self.space.spacing_mm.unwrap_or_else(|| learned.spacing_mm())),
            self.weights
        );
        let found = format!("{:?} mm", rounded(result.spacing_mm()));
        let advice = "give the --factor between the scan's voxels and those, resample the scan first (voxgan resample), train on \
                      such voxels, or give --keep-spacing to try all the same";
        Error::value("--factor", expected, found, advice)
    }

    /// The restoration of a scan as it is.
    fn of_scan(&self, scan: &Scan, problem: &Problem<Volume>, consistency: f64) -> Result<Restoration> {
        let (case, order) = problem.case(scan, &self.recipe).map_err(|error| {
            error.with_key(|key| match key.starts_with("--") {
                true => key.to_string(),
                false => format!("{key} for the weights {}", self.weights),
            })
        })?;
        let Restored { image, null_space, residuals } = (self.restore)(&case, consistency)?;
        let upright =
            [0, 1, 2].map(|axis| order.iter().position(|&from| from == axis).expect("an order of axes"));
        let back = |image: Array4<f32>| turned(image, upright);
        let restored = Restored { image: back(image), null_space: back(null_space), residuals };
        let step = format!("{} by {}", problem.head(), self.name);
        Ok(Restoration::of(restored, &back(case.initial), scan, &problem.grid(scan), &step))
    }
}

/// The problem with its mask on another grid: what is missing in part is missing there.
fn on_grid(problem: &Problem<Volume>, scan: &Volume, grid: &Grid) -> Result<Problem<Volume>> {
    problem.clone().with_mask(|mask| {
        let missing = known(&mask, scan)?.mapv(|known| !known);
        let missing = Volume::of_mask(missing.view(), scan.affine);
        let mut missing = resample(&missing, grid, Interpolation::Linear);
        missing.data.mapv_inplace(|share| f32::from(u8::from(share > MISSING_SHARE)));
        Ok(missing)
    })
}

/// Sizes to the hundredth of a millimetre.
fn rounded(spacing_mm: [f64; 3]) -> [f64; 3] {
    spacing_mm.map(|mm| (mm * 100.0).round() / 100.0)
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

    /// The same on the grid of `scan`, from which it was resampled for the network. Where the network changes an image,
    /// its change is what is brought back, so that the rest stays as sharp as it was.
    fn brought_back(self, scan: &Volume, problem: &Problem<Volume>) -> Self {
        let steps = self.image.provenance.clone();
        let mut back = self.on_grid(&Grid::of(scan));
        if matches!(problem, Problem::Motion | Problem::Translate { .. } | Problem::Progress { .. }) {
            back.baseline.data.assign(&scan.data);
        }
        if matches!(problem, Problem::Motion | Problem::Progress { .. }) {
            let air = scan.data.iter().copied().fold(f32::INFINITY, f32::min);
            back.image.data = (&scan.data + &back.null_space.data).mapv(|x| x.max(air));
        }
        back.image.provenance = steps;
        back.null_space_share = norm(&back.null_space.data) / norm(&back.image.data).max(f64::MIN_POSITIVE);
        back
    }

    /// The same on another grid.
    #[must_use]
    pub fn on_grid(self, grid: &Grid) -> Self {
        let onto = |volume: Volume| {
            let air = volume.data.iter().copied().fold(f32::INFINITY, f32::min);
            resample_with(&volume, grid, Interpolation::Linear, air)
        };
        let null_space = resample(&self.null_space, grid, Interpolation::Linear);
        Self { image: onto(self.image), baseline: onto(self.baseline), null_space, ..self }
    }

    /// The same with the voxels of `scan` where `known` is one, to the bit.
    fn keeping(mut self, scan: &Volume, known: &Volume) -> Self {
        for image in [&mut self.image.data, &mut self.baseline.data] {
            Zip::from(image).and(&scan.data).and(&known.data).for_each(|x, &own, &known| {
                *x = if known > 0.5 { own } else { *x };
            });
        }
        self
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
