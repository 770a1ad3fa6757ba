//! Nearest real volumes, to detect copies, and distances between a synthetic and a real set.
//!
//! Everything is computed over a common foreground, on volumes of one grid and one intensity scale; the units of
//! distances are those of the intensities.

use ndarray::Array3;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::stats::median;
use crate::volume::Volume;

/// Bins of the histograms behind the Wasserstein distance, over the joint range of both sets.
const BINS: usize = 4096;

/// The volume of a set that is nearest to a given one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NearestReal {
    /// Its index in the set.
    pub index: usize,
    /// Root mean square difference over the foreground, the distance by which it is nearest.
    pub rmse: f64,
    /// Pearson's correlation with it over the foreground; 0 where either volume is constant.
    pub correlation: f64,
}

/// The nearest real volume of each synthetic and of each real one.
#[derive(Clone, Debug, PartialEq)]
pub struct NearestReals {
    /// For each synthetic volume, the nearest real one.
    pub of_synthetic: Vec<NearestReal>,
    /// For each real volume, the nearest other real one: the distances without copying.
    pub of_real: Vec<NearestReal>,
}

impl NearestReals {
    /// Median distance of the synthetic volumes to their nearest real ones, divided by the median among real volumes.
    /// Near 1 or above: they are as far from the real volumes as these from one another. Well below 1: they are copies,
    /// or blurred towards the mean, which is near to all; the correlations and the images show which.
    pub fn distance_ratio(&self) -> f64 {
        let median = |list: &[NearestReal]| median(list.iter().map(|nearest| nearest.rmse).collect());
        median(&self.of_synthetic) / median(&self.of_real)
    }
}

/// Distances between two sets as distributions: three first-order summaries, each zero for equal sets. None of them
/// depends on shape or texture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SetDistance {
    /// Wasserstein-1 distance of the intensities of all foreground voxels: the area between the two cumulative
    /// histograms (4096 bins over the joint range, hence exact to a bin's width).
    pub intensity_wasserstein: f64,
    /// Root mean square over the foreground of the difference of the mean volumes.
    pub mean_volume_rms: f64,
    /// Root mean square over the foreground of the difference of the voxels' standard deviations (1/n).
    pub deviation_volume_rms: f64,
}

/// Voxels `[D, H, W]` at which the mean of `volumes` (over channels too) is above `threshold`, the level of air.
///
/// # Errors
/// [`Error::Value`] if there is no volume, the shapes differ, or no voxel is above.
pub fn foreground(volumes: &[Volume], threshold: f64) -> Result<Array3<bool>> {
    let shape = common_shape(&[volumes])?;
    let mut sum = Array3::<f64>::zeros((shape.1, shape.2, shape.3));
    for channel in volumes.iter().flat_map(|volume| volume.data.outer_iter()) {
        sum.zip_mut_with(&channel, |sum, &value| *sum += f64::from(value));
    }
    let count = (volumes.len() * shape.0) as f64;
    let foreground = sum.mapv(|sum| sum / count > threshold);
    if foreground.iter().any(|inside| *inside) {
        return Ok(foreground);
    }
    let found = format!("none above {threshold}");
    Err(Error::value("foreground", "at least one voxel brighter than air", found, "lower the threshold"))
}

/// The nearest real volume of each synthetic and, leaving it out, of each real one.
///
/// # Errors
/// [`Error::Value`] if there is no synthetic or fewer than two real volumes, the shapes differ among them or from the
/// foreground's, or an intensity is not finite.
pub fn nearest(synthetic: &[Volume], reals: &[Volume], foreground: &Array3<bool>) -> Result<NearestReals> {
    if reals.len() < 2 {
        let found = reals.len().to_string();
        return Err(Error::value("real volumes", "at least two", found, "give more real volumes"));
    }
    let [synthetic, reals] = within_foreground([synthetic, reals], foreground)?;
    let others = |left_out: usize| reals.iter().enumerate().filter(move |(index, _)| *index != left_out);
    Ok(NearestReals {
        of_synthetic: synthetic
            .par_iter()
            .map(|volume| nearest_of(volume, reals.iter().enumerate()))
            .collect(),
        of_real: reals
            .par_iter()
            .enumerate()
            .map(|(index, volume)| nearest_of(volume, others(index)))
            .collect(),
    })
}

/// The distances between `synthetic` and `reals` as distributions.
///
/// # Errors
/// [`Error::Value`] if either is empty, the shapes differ among them or from the foreground's, or an intensity is
/// not finite.
pub fn set_distance(
    synthetic: &[Volume],
    reals: &[Volume],
    foreground: &Array3<bool>,
) -> Result<SetDistance> {
    let [synthetic, reals] = within_foreground([synthetic, reals], foreground)?;
    Ok(distance_between(&synthetic, &reals))
}

/// The distances between the even-numbered and the odd-numbered of `reals`: those of two real sets of that size, and so
/// the least that can be expected of synthetic ones.
///
/// # Errors
/// As [`set_distance`], and for fewer than two volumes.
pub fn split_half_distance(reals: &[Volume], foreground: &Array3<bool>) -> Result<SetDistance> {
    let half = |start: usize| reals.iter().skip(start).step_by(2).cloned().collect::<Vec<_>>();
    set_distance(&half(0), &half(1), foreground)
}

fn distance_between(a: &[Vec<f32>], b: &[Vec<f32>]) -> SetDistance {
    let ((mean_a, deviation_a), (mean_b, deviation_b)) = (mean_and_deviation(a), mean_and_deviation(b));
    let rms = |x: &[f64], y: &[f64]| {
        (x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum::<f64>() / x.len() as f64).sqrt()
    };
    SetDistance {
        intensity_wasserstein: wasserstein(a, b),
        mean_volume_rms: rms(&mean_a, &mean_b),
        deviation_volume_rms: rms(&deviation_a, &deviation_b),
    }
}

/// Shape `(C, D, H, W)` of all volumes of all sets, none of which may be empty.
fn common_shape(sets: &[&[Volume]]) -> Result<(usize, usize, usize, usize)> {
    let Some(first) =
        sets.iter().flat_map(|set| set.iter()).next().filter(|_| sets.iter().all(|set| !set.is_empty()))
    else {
        return Err(Error::value(
            "volumes",
            "at least one volume in each set",
            "none",
            "give volumes to compare",
        ));
    };
    let shape = first.data.dim();
    match sets.iter().flat_map(|set| set.iter()).find(|volume| volume.data.dim() != shape) {
        None => Ok(shape),
        Some(other) => {
            let found = format!("{:?} {}", other.data.shape(), other.provenance.source);
            let expected = format!("volumes of the shape {:?}", first.data.shape());
            Err(Error::value("shape", expected, found.trim_end(), "bring all volumes to one grid"))
        }
    }
}

/// Foreground intensities of each volume of the sets.
pub(super) fn within_foreground<const N: usize>(
    sets: [&[Volume]; N],
    foreground: &Array3<bool>,
) -> Result<[Vec<Vec<f32>>; N]> {
    let (_, d, h, w) = common_shape(&sets)?;
    let inside = foreground.iter().filter(|inside| **inside).count();
    if foreground.dim() != (d, h, w) || inside == 0 {
        let found = format!("{:?} with {inside} voxels inside", foreground.shape());
        let expected = format!("a mask of the shape {:?}, not empty", [d, h, w]);
        return Err(Error::value("foreground", expected, found, "make the mask from volumes of this grid"));
    }
    let gather = |volume: &Volume| {
        let channels = volume.data.outer_iter();
        let intensities: Vec<f32> = channels
            .flat_map(|channel| {
                let pairs = channel.into_iter().zip(foreground);
                pairs.filter(|(_, inside)| **inside).map(|(value, _)| *value).collect::<Vec<_>>()
            })
            .collect();
        if intensities.iter().all(|value| value.is_finite()) {
            return Ok(intensities);
        }
        let found = format!("NaN or infinity {}", volume.provenance.source);
        Err(Error::value("intensities", "finite numbers", found.trim_end(), "clean the volumes first"))
    };
    let mut intensities = sets.map(|_| Vec::new());
    for (intensities, set) in intensities.iter_mut().zip(sets) {
        *intensities = set.iter().map(gather).collect::<Result<_>>()?;
    }
    Ok(intensities)
}

/// The first of the nearest, if several are equally near.
fn nearest_of<'a>(volume: &[f32], set: impl Iterator<Item = (usize, &'a Vec<f32>)>) -> NearestReal {
    let distances = set.map(|(index, other)| (index, other, root_mean_square(volume, other)));
    let (index, other, rmse) =
        distances.min_by(|a, b| a.2.total_cmp(&b.2)).expect("callers give sets that are not empty");
    NearestReal { index, rmse, correlation: correlation(volume, other) }
}

/// Root of the mean squared difference.
pub(super) fn root_mean_square(a: &[f32], b: &[f32]) -> f64 {
    let difference = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
    (a.iter().zip(b).map(difference).sum::<f64>() / a.len() as f64).sqrt()
}

fn correlation(a: &[f32], b: &[f32]) -> f64 {
    let mean =
        |values: &[f32]| values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (&a, &b) in a.iter().zip(b) {
        let (a, b) = (f64::from(a) - mean_a, f64::from(b) - mean_b);
        (ab, aa, bb) = (ab + a * b, aa + a * a, bb + b * b);
    }
    if aa > 0.0 && bb > 0.0 { ab / (aa * bb).sqrt() } else { 0.0 }
}

/// Mean and standard deviation (1/n) of each voxel over a set.
fn mean_and_deviation(set: &[Vec<f32>]) -> (Vec<f64>, Vec<f64>) {
    let count = set.len() as f64;
    let voxels = set[0].len();
    let over_set = |voxel: usize| set.iter().map(move |volume| f64::from(volume[voxel]));
    let mean: Vec<f64> = (0..voxels).map(|voxel| over_set(voxel).sum::<f64>() / count).collect();
    let variance =
        |voxel: usize| over_set(voxel).map(|value| (value - mean[voxel]).powi(2)).sum::<f64>() / count;
    let deviation = (0..voxels).map(|voxel| variance(voxel).sqrt()).collect();
    (mean, deviation)
}

/// Area between the cumulative histograms of all intensities of two sets.
fn wasserstein(a: &[Vec<f32>], b: &[Vec<f32>]) -> f64 {
    let limits = (f32::INFINITY, f32::NEG_INFINITY);
    let all = a.iter().chain(b).flatten();
    let (low, high) = all.fold(limits, |(low, high), &value| (low.min(value), high.max(value)));
    let width = (f64::from(high) - f64::from(low)) / BINS as f64;
    if width <= 0.0 {
        return 0.0;
    }
    let parts = |set: &[Vec<f32>]| {
        let mut counts = vec![0u64; BINS];
        for &value in set.iter().flatten() {
            counts[(((f64::from(value) - f64::from(low)) / width) as usize).min(BINS - 1)] += 1;
        }
        let total = counts.iter().sum::<u64>() as f64;
        counts.into_iter().map(move |count| count as f64 / total)
    };
    let mut ahead = 0.0;
    let mut area = 0.0;
    for (a, b) in parts(a).zip(parts(b)) {
        ahead += a - b;
        area += f64::abs(ahead) * width;
    }
    area
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::*;
    use crate::volume::VoxelToWorld;

    /// A bright box, different for each `k`, in air.
    fn volume(k: usize) -> Volume {
        let data = Array4::from_shape_fn((1, 6, 7, 8), |(_, d, h, w)| {
            let inside = (1..5).contains(&d) && (1..6).contains(&h) && (2..6).contains(&w);
            if inside {
                1.0 + ((d * 31 + h * 17 + w * 7 + d * h * w * (k + 1)) % 13) as f32 / 13.0
            } else {
                0.0
            }
        });
        Volume::new(data, VoxelToWorld::identity())
    }

    fn mapped(volume: &Volume, f: impl Fn(f32) -> f32) -> Volume {
        Volume::new(volume.data.mapv(f), volume.affine)
    }

    #[test]
    fn the_foreground_is_what_is_bright() {
        let reals = [volume(0), volume(1), volume(2)];
        let mask = foreground(&reals, 0.5).unwrap();
        assert_eq!(mask.iter().filter(|inside| **inside).count(), 4 * 5 * 4);
        assert!(mask[[1, 1, 2]] && !mask[[0, 1, 2]]);
        assert!(foreground(&reals, 5.0).is_err());
        assert!(foreground(&[], 0.5).is_err());
    }

    #[test]
    fn a_copy_shows() {
        let reals: Vec<Volume> = (0..5).map(volume).collect();
        let mask = foreground(&reals, 0.5).unwrap();
        // A copy, one made brighter by a half, and one that is not among the reals.
        let synthetic = [reals[3].clone(), mapped(&reals[1], |value| value + 0.125), volume(9)];
        let found = nearest(&synthetic, &reals, &mask).unwrap();
        assert_eq!(found.of_synthetic[0], NearestReal { index: 3, rmse: 0.0, correlation: 1.0 });
        assert_eq!(found.of_synthetic[1].index, 1);
        assert!((found.of_synthetic[1].rmse - 0.125).abs() < 1e-7);
        assert!((found.of_synthetic[1].correlation - 1.0).abs() < 1e-7);
        assert!(found.of_synthetic[2].rmse > 0.2 && found.of_synthetic[2].correlation < 0.9);
        // Each real's nearest is another, and being nearest is mutual for at least one pair.
        assert!(
            found.of_real.iter().enumerate().all(|(i, nearest)| nearest.index != i && nearest.rmse > 0.0)
        );
        assert!((0..5).any(|i| found.of_real[found.of_real[i].index].index == i));
        let copies = nearest(&reals, &reals, &mask).unwrap();
        assert_eq!(copies.distance_ratio(), 0.0);
    }

    #[test]
    fn the_nearest_agrees_with_numpy() {
        let reals: Vec<Volume> = (0..5).map(volume).collect();
        let mask = foreground(&reals, 0.5).unwrap();
        let found = nearest(&[volume(9)], &reals, &mask).unwrap();
        let NearestReal { index, rmse, correlation } = found.of_synthetic[0];
        assert_eq!(index, 1);
        assert!((rmse - 0.4196539777).abs() < 1e-7, "{rmse}");
        assert!((correlation - -0.1112696836).abs() < 1e-6, "{correlation}");
        assert!((found.distance_ratio() - 1.0307628661).abs() < 1e-6, "{}", found.distance_ratio());
    }

    #[test]
    fn distances_of_shifted_and_stretched_sets_are_those_of_the_closed_forms() {
        let reals: Vec<Volume> = (0..4).map(volume).collect();
        let mask = foreground(&reals, 0.5).unwrap();
        let same = set_distance(&reals, &reals, &mask).unwrap();
        assert_eq!(
            same,
            SetDistance { intensity_wasserstein: 0.0, mean_volume_rms: 0.0, deviation_volume_rms: 0.0 }
        );
        let shifted: Vec<Volume> = reals.iter().map(|real| mapped(real, |value| value + 0.5)).collect();
        let found = set_distance(&shifted, &reals, &mask).unwrap();
        let bin = 1.5 / BINS as f64;
        assert!((found.intensity_wasserstein - 0.5).abs() <= bin, "{found:?}");
        assert!((found.mean_volume_rms - 0.5).abs() < 1e-6 && found.deviation_volume_rms < 1e-6, "{found:?}");
        // Doubled intensities move each quantile by itself, so that the distance is the mean intensity.
        let doubled: Vec<Volume> = reals.iter().map(|real| mapped(real, |value| 2.0 * value)).collect();
        let found = set_distance(&doubled, &reals, &mask).unwrap();
        let total: f64 = reals.iter().flat_map(|real| &real.data).map(|&value| f64::from(value)).sum();
        let bin = 3.0 / BINS as f64;
        assert!((found.intensity_wasserstein - total / (4.0 * 80.0)).abs() <= bin, "{found:?}");
    }

    #[test]
    fn set_distances_agree_with_scipy() {
        let reals: Vec<Volume> = (0..6).map(volume).collect();
        let mask = foreground(&reals, 0.5).unwrap();
        let found = split_half_distance(&reals, &mask).unwrap();
        assert!((found.intensity_wasserstein - 0.0201923102).abs() <= 1.0 / BINS as f64, "{found:?}");
        assert!((found.mean_volume_rms - 0.2396612983).abs() < 1e-7, "{found:?}");
        assert!((found.deviation_volume_rms - 0.1099796917).abs() < 1e-7, "{found:?}");
    }

    #[test]
    fn what_cannot_be_compared_is_an_error() {
        let reals = [volume(0), volume(1)];
        let mask = foreground(&reals, 0.5).unwrap();
        let odd = Volume::new(Array4::zeros((1, 6, 7, 9)), VoxelToWorld::identity());
        assert!(nearest(std::slice::from_ref(&odd), &reals, &mask).is_err());
        assert!(nearest(&reals, &reals[..1], &mask).is_err());
        assert!(nearest(&[], &reals, &mask).is_err());
        assert!(set_distance(&reals, &reals, &Array3::from_elem((6, 7, 9), true)).is_err());
        assert!(set_distance(&reals, &reals, &Array3::from_elem((6, 7, 8), false)).is_err());
        assert!(split_half_distance(&reals[..1], &mask).is_err());
        let broken = mapped(&reals[0], |value| value / 0.0 * 0.0);
        assert!(set_distance(&[broken], &reals, &mask).unwrap_err().to_string().contains("NaN"));
    }
}
