//! Structural similarity in two and three dimensions, at one scale and at several, and the diversity of a set.
//!
//! SSIM: Wang, Bovik, Sheikh and Simoncelli 2004, <https://doi.org/10.1109/TIP.2003.819861>; local statistics under a
//! Gaussian window (σ = 1.5 voxels, 11 taps an axis), K₁ = 0.01, K₂ = 0.03, averaged over the interior: the positions
//! where the whole window lies on the grid. MS-SSIM: Wang, Simoncelli and Bovik 2003,
//! <https://doi.org/10.1109/ACSSC.2003.1292216>; between scales, means of two voxels an axis (a last odd one is
//! dropped).
//!
//! Projects' definitions of SSIM differ by window and covariance: [`Window`] has those in use.
//!
//! On small grids [`ssim`] and [`ms_ssim`] are reduced. A scale counts only if every axis has 11 voxels, and the
//! weights of the scales that count are scaled to sum to one; where only one scale is left, the window shrinks to the
//! axis (to an odd length). So values from different grids are not comparable, and results have the scales and windows
//! used.

use ndarray::{Array2, Array3, ArrayView3, Axis, Slice};
use rayon::prelude::*;

use super::window::{Structure, Weights, gaussian, structure};
use crate::error::{Error, Result};
use crate::volume::Volume;

const SIGMA: f64 = 1.5;
const TAPS: usize = 11;
/// Weights of the scales from fine to coarse (Wang 2003).
const SCALE_WEIGHTS: [f64; 5] = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];

/// A similarity with the scales and windows used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Similarity {
    /// 1 for equal images, about 0 for unrelated ones.
    pub value: f64,
    /// Scales used: 1 for SSIM, up to 5 for MS-SSIM.
    pub scales: usize,
    /// Taps of the window along `[D, H, W]`: 11 each on grids large enough, 1 along an axis of one voxel.
    pub taps: [usize; 3],
}

/// The diversity of a set of volumes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Diversity {
    /// Mean MS-SSIM over all pairs. Lower is more diverse; compare it with that of real volumes on the same grid.
    pub mean: f64,
    /// Standard deviation over the pairs (n − 1), zero for one pair. Pairs share volumes, so that this over √pairs
    /// is not the mean's standard error.
    pub standard_deviation: f64,
    /// Number of pairs.
    pub pairs: usize,
    /// Scales used, as in [`Similarity`].
    pub scales: usize,
    /// Taps used, as in [`Similarity`].
    pub taps: [usize; 3],
}

/// The windows and covariances that publications use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Gaussian of 11 taps an axis, σ = 1.5 voxels, with the weighted covariance (Wang 2004; MONAI).
    Gaussian11,
    /// Uniform over 7 voxels an axis, with the sample's covariance: times n/(n − 1) for the n voxels of the window
    /// (scikit-image's default; fastMRI).
    Uniform7,
}

impl Window {
    /// Length of the window in voxels along an axis.
    pub const fn taps(self) -> usize {
        match self {
            Self::Gaussian11 => TAPS,
            Self::Uniform7 => 7,
        }
    }

    /// The weights along `[D, H, W]`, with one tap along D in two dimensions, and the factor of the covariances.
    fn weights(self, dimensions: Dimensions) -> (Weights, f64) {
        let one = match self {
            Self::Gaussian11 => gaussian(TAPS, SIGMA),
            Self::Uniform7 => vec![1.0 / 7.0; 7],
        };
        let depth = match dimensions {
            Dimensions::Slices => vec![1.0],
            Dimensions::Volume => one.clone(),
        };
        let voxels = (depth.len() * one.len() * one.len()) as f64;
        let covariance = match self {
            Self::Gaussian11 => 1.0,
            Self::Uniform7 => voxels / (voxels - 1.0),
        };
        ([depth, one.clone(), one], covariance)
    }
}

/// Whether windows extend across slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimensions {
    /// Slices `[H, W]`, each by itself.
    Slices,
    /// The volume `[D, H, W]`.
    Volume,
}

/// SSIM of two images `[D, H, W]`; depth one is the two-dimensional measure. `data_range` is the difference of the
/// largest and the smallest intensity that an image can have (255 for 8 bit, 2 for −1 to 1).
///
/// # Errors
/// [`Error::Value`] if the shapes differ or are empty, `data_range` is not above zero, or an intensity is not finite.
pub fn ssim(a: ArrayView3<f32>, b: ArrayView3<f32>, data_range: f64) -> Result<Similarity> {
    compare(a, b, data_range, 1, None)
}

/// SSIM of two images `[D, H, W]` under `window`: the mean of its map over all positions, or over those whose centre is
/// in `mask`. Positions nearer to the border than the window's radius do not exist. Unmasked, the mean over the
/// positions of all slices is the mean of the slices' values.
///
/// # Errors
/// As [`ssim`], and for a grid that is smaller than the window, or a mask without a position.
pub fn ssim_under(
    a: ArrayView3<f32>,
    b: ArrayView3<f32>,
    data_range: f64,
    window: Window,
    dimensions: Dimensions,
    mask: Option<ArrayView3<bool>>,
) -> Result<f64> {
    check_range(data_range)?;
    let planes = planes_under(a, b, |_| data_range, window, dimensions, mask)?;
    let value = planes.into_iter().sum::<Structure>().mean().ok_or_else(no_position)?;
    finite(value)
}

/// SSIM of each slice `[H, W]` of two images, each with its own data range; `None` where the range is zero or the mask
/// has no position.
///
/// # Errors
/// As [`ssim_under`], the mask aside.
///
/// # Panics
/// If there are not as many ranges as slices.
pub fn ssim_of_slices(
    a: ArrayView3<f32>,
    b: ArrayView3<f32>,
    data_ranges: &[f64],
    window: Window,
    mask: Option<ArrayView3<bool>>,
) -> Result<Vec<Option<f64>>> {
    assert_eq!(data_ranges.len(), a.dim().0, "a range for each slice");
    let planes = planes_under(a, b, |plane| data_ranges[plane], window, Dimensions::Slices, mask)?;
    let values = planes.iter().zip(data_ranges).map(|(plane, range)| plane.mean().filter(|_| *range > 0.0));
    values.map(|value| value.map(finite).transpose()).collect()
}

fn planes_under(
    a: ArrayView3<f32>,
    b: ArrayView3<f32>,
    range: impl Fn(usize) -> f64 + Sync,
    window: Window,
    dimensions: Dimensions,
    mask: Option<ArrayView3<bool>>,
) -> Result<Vec<Structure>> {
    same_shape(a.shape(), b.shape())?;
    mask.map_or(Ok(()), |mask| same_shape(a.shape(), mask.shape()))?;
    let (windows, covariance) = window.weights(dimensions);
    if a.shape().iter().zip(&windows).any(|(size, window)| *size < window.len()) {
        let [d, h, w] = [0, 1, 2].map(|axis| windows[axis].len());
        let expected = format!("at least {d}×{h}×{w} voxels, the window's size");
        let found = format!("{:?}", a.shape());
        return Err(Error::value("shape", expected, found, "score slices along another axis, or in 2D"));
    }
    Ok(structure(a, b, &windows, covariance, range, mask))
}

/// MS-SSIM of two images `[D, H, W]`, with at most five scales; the arguments are those of [`ssim`]. A negative mean
/// contrast-structure term (anticorrelated images) counts as zero, having no real fractional power.
///
/// # Errors
/// As [`ssim`].
pub fn ms_ssim(a: ArrayView3<f32>, b: ArrayView3<f32>, data_range: f64) -> Result<Similarity> {
    compare(a, b, data_range, scales_for(a.dim().into()), None)
}

/// MS-SSIM over the positions in `mask`; at coarser scales over those of which at least half was inside.
///
/// # Errors
/// As [`ssim`], and for a mask of another shape or without a position at one of the scales.
pub fn ms_ssim_within(
    a: ArrayView3<f32>,
    b: ArrayView3<f32>,
    data_range: f64,
    mask: ArrayView3<bool>,
) -> Result<Similarity> {
    same_shape(a.shape(), mask.shape())?;
    compare(a, b, data_range, scales_for(a.dim().into()), Some(mask))
}

/// MS-SSIM of every two volumes of a set.
pub(super) struct PairSimilarities {
    /// `[N, N]`, symmetric, with ones on the diagonal.
    pub values: Array2<f64>,
    /// Scales used, as in [`Similarity`].
    pub scales: usize,
    /// Taps used, as in [`Similarity`].
    pub taps: [usize; 3],
}

/// MS-SSIM of every two of `volumes`, the mean over channels where there are several.
///
/// # Errors
/// As [`ssim`], and for fewer than two volumes.
pub(super) fn ms_ssim_pairs(volumes: &[Volume], data_range: f64) -> Result<PairSimilarities> {
    let [first, _, ..] = volumes else {
        let found = volumes.len().to_string();
        return Err(Error::value("volumes", "at least two volumes", found, "give more volumes"));
    };
    let similarities = pairs(volumes.len()).into_par_iter().map(|[i, j]| {
        let (a, b) = (&volumes[i].data, &volumes[j].data);
        same_shape(a.shape(), b.shape())?;
        let channels = a.outer_iter().zip(b.outer_iter());
        let values = channels.map(|(a, b)| ms_ssim(a, b, data_range).map(|similarity| similarity.value));
        Ok(([i, j], values.sum::<Result<f64>>()? / a.dim().0 as f64))
    });
    let mut values = Array2::eye(volumes.len());
    for ([i, j], similarity) in similarities.collect::<Result<Vec<_>>>()? {
        values[[i, j]] = similarity;
        values[[j, i]] = similarity;
    }
    let (_, d, h, w) = first.data.dim();
    Ok(PairSimilarities { values, scales: scales_for([d, h, w]), taps: taps_for([d, h, w]) })
}

/// Each two of `count` volumes, once.
fn pairs(count: usize) -> Vec<[usize; 2]> {
    (0..count).flat_map(|i| (0..i).map(move |j| [i, j])).collect()
}

impl PairSimilarities {
    /// Mean and standard deviation over the pairs.
    pub fn diversity(&self) -> Diversity {
        let values: Vec<f64> = pairs(self.values.nrows()).into_iter().map(|pair| self.values[pair]).collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        Diversity {
            mean,
            standard_deviation: (squares / (count - 1.0).max(1.0)).sqrt(),
            pairs: values.len(),
            scales: self.scales,
            taps: self.taps,
        }
    }
}

/// Mean MS-SSIM over all pairs of `volumes` (over all channels, where there are several).
///
/// # Errors
/// As [`ssim`], and for fewer than two volumes.
pub fn diversity(volumes: &[Volume], data_range: f64) -> Result<Diversity> {
    ms_ssim_pairs(volumes, data_range).map(|pairs| pairs.diversity())
}

/// Scales at which every axis (but those of one voxel) has the window's length; at least one.
fn scales_for(shape: [usize; 3]) -> usize {
    let smallest = shape.into_iter().filter(|size| *size > 1).min().unwrap_or(1);
    (1..SCALE_WEIGHTS.len()).take_while(|scale| smallest >> scale >= TAPS).count() + 1
}

/// The largest odd window up to the full one that fits each axis.
fn taps_for(shape: [usize; 3]) -> [usize; 3] {
    shape.map(|size| TAPS.min(size - (1 - size % 2)))
}

pub(super) fn same_shape(a: &[usize], b: &[usize]) -> Result<()> {
    if a == b && !a.contains(&0) {
        return Ok(());
    }
    let expected = format!("two images of the same shape {a:?}, not empty");
    Err(Error::value("shape", expected, format!("{b:?}"), "bring both to one grid"))
}

fn check_range(data_range: f64) -> Result<()> {
    if data_range.is_finite() && data_range > 0.0 {
        return Ok(());
    }
    let advice = "give the difference of the largest and smallest possible intensity";
    Err(Error::value("data_range", "a finite number above 0", data_range.to_string(), advice))
}

fn finite(value: f64) -> Result<f64> {
    if value.is_finite() {
        return Ok(value);
    }
    Err(Error::value("intensities", "finite numbers", "NaN or infinity", "clean the volumes first"))
}

fn no_position() -> Error {
    let advice = "give a mask that reaches further from the border";
    Error::value("mask", "voxels at which a whole window fits on the grid", "none", advice)
}

/// Both images at a scale, and the share of each voxel that is in the mask.
struct Coarse {
    a: Array3<f64>,
    b: Array3<f64>,
    inside: Option<Array3<f64>>,
}

fn compare(
    a: ArrayView3<f32>,
    b: ArrayView3<f32>,
    data_range: f64,
    scales: usize,
    mask: Option<ArrayView3<bool>>,
) -> Result<Similarity> {
    same_shape(a.shape(), b.shape())?;
    check_range(data_range)?;
    let taps = taps_for(a.dim().into());
    let windows = taps.map(|taps| gaussian(taps, SIGMA));
    let weights = &SCALE_WEIGHTS[..scales];
    let total: f64 = weights.iter().sum();
    let mut value = 1.0;
    let mut coarse: Option<Coarse> = None;
    for (scale, weight) in weights.iter().enumerate() {
        let planes = match &coarse {
            None => structure(a, b, &windows, 1.0, |_| data_range, mask),
            Some(Coarse { a, b, inside }) => {
                let mask = inside.as_ref().map(|inside| inside.mapv(|share| share >= 0.5));
                let mask = mask.as_ref().map(|mask| mask.view());
                structure(a.view(), b.view(), &windows, 1.0, |_| data_range, mask)
            }
        };
        let sums: Structure = planes.into_iter().sum();
        let similarity = sums.mean().ok_or_else(no_position)?;
        if scales == 1 {
            value = similarity;
            continue;
        }
        let coarsest = scale + 1 == scales;
        let term = if coarsest { similarity } else { sums.contrast_structure / sums.count as f64 };
        // Not `max`, which would turn a NaN into zero.
        value *= if term < 0.0 { 0.0 } else { term.powf(weight / total) };
        if !coarsest {
            let Coarse { a, b, inside } = coarse.take().unwrap_or_else(|| Coarse {
                a: a.mapv(f64::from),
                b: b.mapv(f64::from),
                inside: mask.map(|mask| mask.mapv(|inside| f64::from(u8::from(inside)))),
            });
            coarse = Some(Coarse { a: halve(a), b: halve(b), inside: inside.map(halve) });
        }
    }
    Ok(Similarity { value: finite(value)?, scales, taps })
}

/// Means of two voxels along every axis that has two.
fn halve(mut image: Array3<f64>) -> Array3<f64> {
    for axis in 0..3 {
        let size = image.len_of(Axis(axis));
        if size > 1 {
            let every_second = |start: usize| Slice::new(start as isize, Some((size - size % 2) as isize), 2);
            let first = image.slice_axis(Axis(axis), every_second(0));
            image = (&first + &image.slice_axis(Axis(axis), every_second(1))) * 0.5;
        }
    }
    image
}

#[cfg(test)]
mod tests {
    use crate::volume::VoxelToWorld;

    use super::*;

    /// Ramps and a deterministic texture, exact in float32: the fields that the expected values were computed on.
    fn field(shape: (usize, usize, usize), k: i64) -> Array3<f32> {
        Array3::from_shape_fn(shape, |(d, h, w)| {
            let (d, h, w) = (d as i64, h as i64, w as i64);
            let ramps = ((d * 4 - h).abs() + 2 * w) % 64;
            let texture = (d * d * 31 + h * 17 * (w + k) + w * w * 7 * k) % 31;
            (ramps * 2 + texture * k) as f32 / 256.0
        })
    }

    fn both(shape: (usize, usize, usize), measure: Measure) -> Similarity {
        measure(field(shape, 1).view(), field(shape, 2).view(), 1.0).unwrap()
    }

    type Measure = fn(ArrayView3<f32>, ArrayView3<f32>, f64) -> Result<Similarity>;

    /// scikit-image `structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False)`.
    #[test]
    fn ssim_agrees_with_scikit_image() {
        let cases =
            [((12, 14, 13), 0.398635427910), ((26, 30, 25), 0.636271133817), ((1, 48, 50), 0.380197776011)];
        for (shape, expected) in cases {
            let found = both(shape, ssim);
            assert!((found.value - expected).abs() < 1e-10, "{shape:?}: {found:?}");
            assert_eq!((found.scales, found.taps), (1, [if shape.0 == 1 { 1 } else { 11 }, 11, 11]));
        }
    }

    /// From scipy.ndimage.gaussian_filter on each scale, in float64.
    #[test]
    fn ms_ssim_agrees_with_scipy() {
        let cases = [
            ((26, 30, 25), 2, 0.901292392102),
            ((1, 48, 50), 3, 0.867206102930),
            ((1, 176, 180), 5, 0.916295877477),
        ];
        for (shape, scales, expected) in cases {
            let found = both(shape, ms_ssim);
            assert!((found.value - expected).abs() < 1e-10, "{shape:?}: {found:?}");
            assert_eq!(found.scales, scales);
        }
    }

    /// From scipy.ndimage.correlate1d with the shorter windows.
    #[test]
    fn a_small_grid_has_small_windows_and_says_so() {
        let found = both((7, 9, 8), ms_ssim);
        assert!((found.value - 0.254273336993).abs() < 1e-10, "{found:?}");
        assert_eq!((found.scales, found.taps), (1, [7, 9, 7]));
        // One voxel: l·cs with variances of zero is the luminance term alone.
        let (a, b) = (Array3::from_elem((1, 1, 1), 0.25), Array3::from_elem((1, 1, 1), 0.75));
        let luminance = (2.0 * 0.25 * 0.75 + 1e-4) / (0.25f64.powi(2) + 0.75f64.powi(2) + 1e-4);
        assert!((ssim(a.view(), b.view(), 1.0).unwrap().value - luminance).abs() < 1e-12);
    }

    #[test]
    fn equal_images_are_similar_by_one_and_the_measure_is_symmetric() {
        let (a, b) = (field((24, 23, 22), 1), field((24, 23, 22), 3));
        for measure in [ssim as Measure, ms_ssim] {
            assert!((measure(a.view(), a.view(), 1.0).unwrap().value - 1.0).abs() < 1e-12);
            let there = measure(a.view(), b.view(), 1.0).unwrap().value;
            assert!((there - measure(b.view(), a.view(), 1.0).unwrap().value).abs() < 1e-12);
            assert!(there < 0.95);
            // Scaling the intensities with their range changes nothing.
            let scaled = measure((&a * 8.0).view(), (&b * 8.0).view(), 8.0).unwrap().value;
            assert!((there - scaled).abs() < 1e-12);
        }
        let anti = a.mapv(|value| 1.0 - value);
        assert_eq!(ms_ssim(a.view(), anti.view(), 1.0).unwrap().value, 0.0);
    }

    #[test]
    fn diversity_is_the_mean_over_pairs() {
        let volume = |k| Volume::new(field((26, 30, 25), k).insert_axis(Axis(0)), VoxelToWorld::identity());
        let found = diversity(&[volume(1), volume(2), volume(3)], 1.0).unwrap();
        assert!((found.mean - 0.840505277949).abs() < 1e-10, "{found:?}");
        assert!((found.standard_deviation - 0.052956705007).abs() < 1e-10, "{found:?}");
        assert_eq!((found.pairs, found.scales, found.taps), (3, 2, [11; 3]));
        assert!(diversity(&[volume(1)], 1.0).is_err());
    }

    #[test]
    fn what_cannot_be_compared_is_an_error() {
        let (a, mut b) = (field((12, 12, 12), 1), field((12, 12, 12), 2));
        assert!(ssim(a.view(), field((12, 12, 13), 1).view(), 1.0).is_err());
        assert!(ssim(a.view(), b.view(), 0.0).is_err());
        assert!(ssim(a.view(), b.view(), f64::NAN).is_err());
        assert!(ssim(Array3::zeros((0, 3, 3)).view(), Array3::zeros((0, 3, 3)).view(), 1.0).is_err());
        b[[6, 6, 6]] = f32::NAN;
        for measure in [ssim as Measure, ms_ssim] {
            assert!(measure(a.view(), b.view(), 1.0).unwrap_err().to_string().contains("NaN"));
        }
    }
}
