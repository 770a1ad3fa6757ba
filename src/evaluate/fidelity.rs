//! Voxelwise errors: MSE, RMSE, MAE, NMSE, NRMSE and PSNR, over all voxels or over those of a mask.

use ndarray::{ArrayView2, ArrayView3, Zip};
use rayon::prelude::*;

use super::ssim::same_shape;
use crate::error::{Error, Result};

/// Sums over the voxels of a region, of which the measures are ratios. The sums of disjoint regions add up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Deviation {
    /// Number of voxels.
    pub count: usize,
    /// Σ (g − p)² for a target g and its prediction p.
    pub squared: f64,
    /// Σ |g − p|.
    pub absolute: f64,
    /// Σ g².
    pub energy: f64,
}

impl Deviation {
    /// Mean squared error.
    pub fn mse(&self) -> f64 {
        self.squared / self.count as f64
    }

    /// Root of the mean squared error, in the intensities' unit.
    pub fn rmse(&self) -> f64 {
        self.mse().sqrt()
    }

    /// Mean absolute error, in the intensities' unit.
    pub fn mae(&self) -> f64 {
        self.absolute / self.count as f64
    }

    /// ‖g − p‖² / ‖g‖² (fastMRI).
    pub fn nmse(&self) -> f64 {
        self.squared / self.energy
    }

    /// ‖g − p‖ / ‖g‖, the root of [`nmse`](Self::nmse); some publications call this one NMSE.
    pub fn nrmse(&self) -> f64 {
        self.nmse().sqrt()
    }

    /// Peak signal-to-noise ratio in dB, 10·log₁₀(range² / MSE); infinite for equal images.
    pub fn psnr_db(&self, data_range: f64) -> f64 {
        10.0 * (data_range * data_range / self.mse()).log10()
    }
}

impl std::iter::Sum for Deviation {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), |sum, part| Self {
            count: sum.count + part.count,
            squared: sum.squared + part.squared,
            absolute: sum.absolute + part.absolute,
            energy: sum.energy + part.energy,
        })
    }
}

/// The deviation of `prediction` from `target`, slice by slice along the first axis `[D, H, W]`, over the voxels of
/// `mask` where there is one. Their sum is that of the volume.
///
/// # Errors
/// [`Error::Value`] if the shapes differ or are empty.
pub fn deviation_of_slices(
    target: ArrayView3<f32>,
    prediction: ArrayView3<f32>,
    mask: Option<ArrayView3<bool>>,
) -> Result<Vec<Deviation>> {
    same_shape(target.shape(), prediction.shape())?;
    mask.map_or(Ok(()), |mask| same_shape(target.shape(), mask.shape()))?;
    let one = |slice: usize| {
        let plane = |view: &ArrayView3<f32>| view.index_axis(ndarray::Axis(0), slice).to_owned();
        let mask = mask.as_ref().map(|mask| mask.index_axis(ndarray::Axis(0), slice));
        deviation(plane(&target).view(), plane(&prediction).view(), mask)
    };
    Ok((0..target.dim().0).into_par_iter().map(one).collect())
}

fn deviation(
    target: ArrayView2<f32>,
    prediction: ArrayView2<f32>,
    mask: Option<ArrayView2<bool>>,
) -> Deviation {
    let mut sums = Deviation::default();
    let mut add = |g: f32, p: f32| {
        let (g, p) = (f64::from(g), f64::from(p));
        sums.count += 1;
        sums.squared += (g - p) * (g - p);
        sums.absolute += (g - p).abs();
        sums.energy += g * g;
    };
    match mask {
        None => Zip::from(target).and(prediction).for_each(|&g, &p| add(g, p)),
        Some(mask) => Zip::from(target).and(prediction).and(mask).for_each(|&g, &p, &inside| {
            if inside {
                add(g, p);
            }
        }),
    }
    sums
}

/// The smallest and the largest intensity.
///
/// # Errors
/// [`Error::Value`] if there is none, or one is not finite.
pub fn extremes<'a>(values: impl IntoIterator<Item = &'a f32>) -> Result<[f64; 2]> {
    let start = [f32::INFINITY, f32::NEG_INFINITY];
    // A NaN is smaller and larger than nothing: it has to be looked for.
    let mut clean = true;
    let [low, high] = values.into_iter().fold(start, |[low, high], &value| {
        clean &= value.is_finite();
        [low.min(value), high.max(value)]
    });
    if clean && low <= high {
        return Ok([f64::from(low), f64::from(high)]);
    }
    let found = if clean { "none" } else { "NaN or infinity" };
    Err(Error::value("intensities", "finite numbers", found, "clean the volumes first"))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, array};

    use super::*;

    #[test]
    fn measures_of_four_voxels() {
        let target = array![[[3.0f32, 0.0]], [[4.0, 12.0]]];
        let prediction = array![[[1.0f32, 0.0]], [[5.0, 10.0]]];
        let slices = deviation_of_slices(target.view(), prediction.view(), None).unwrap();
        assert_eq!((slices[0].squared, slices[1].squared), (4.0, 5.0));
        let whole: Deviation = slices.into_iter().sum();
        assert_eq!((whole.count, whole.mse(), whole.mae(), whole.rmse()), (4, 2.25, 1.25, 1.5));
        assert_eq!((whole.nmse(), whole.nrmse()), (9.0 / 169.0, 3.0 / 13.0));
        assert!((whole.psnr_db(15.0) - 20.0).abs() < 1e-12);
        let mask = array![[[true, false]], [[false, true]]];
        let inside: Deviation = deviation_of_slices(target.view(), prediction.view(), Some(mask.view()))
            .unwrap()
            .into_iter()
            .sum();
        assert_eq!((inside.count, inside.squared, inside.energy), (2, 8.0, 153.0));
        let equal: Deviation =
            deviation_of_slices(target.view(), target.view(), None).unwrap().into_iter().sum();
        assert_eq!(equal.psnr_db(12.0), f64::INFINITY);
    }

    #[test]
    fn extremes_are_of_finite_numbers() {
        assert_eq!(extremes(&[2.0, -1.0, 5.0]).unwrap(), [-1.0, 5.0]);
        assert!(extremes(&[2.0, f32::NAN, 5.0]).unwrap_err().to_string().contains("NaN"));
        assert!(extremes(&[]).is_err());
        let (a, b) = (Array3::zeros((1, 2, 3)), Array3::zeros((1, 3, 2)));
        assert!(deviation_of_slices(a.view(), b.view(), None).is_err());
    }
}
