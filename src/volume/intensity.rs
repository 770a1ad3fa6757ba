//! Intensity: the foreground of a volume, its normalisation for a network, and the way back.

use ndarray::{Array3, Axis, Zip};
use serde::{Deserialize, Serialize};

use super::Volume;
use crate::error::{Error, Result};
use crate::stats::quantile_of;

/// How raw values become a network's input.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Normalisation {
    /// The range between two percentiles becomes [-1, 1]; what lies outside is clipped.
    ///
    /// The upper end is the `high` percentile *of the foreground*, so that the amount of air around a head does not
    /// change how bright the head becomes. The lower end is the `low` percentile *of all voxels*: where more than
    /// `low` percent of them are masked or empty background, as in every skull-stripped volume, that is exactly the
    /// background's value, air becomes exactly -1 and no dark tissue (ventricles) is clipped off with it; in a scan
    /// full of tissue or with noisy air it is a robust minimum.
    Percentile {
        /// Percentile of all voxels that becomes -1; from 0 to 100.
        low: f64,
        /// Percentile of the foreground that becomes 1; from 0 to 100.
        high: f64,
    },
    /// The foreground's mean becomes 0 and its standard deviation 1; nothing is clipped.
    ZScore,
}

impl Default for Normalisation {
    /// That of `voxgan prepare`.
    fn default() -> Self {
        Self::Percentile { low: 0.0, high: 99.9 }
    }
}

/// A fitted normalisation: `normalised = (raw · scale + offset)`, clipped to `clip`.
///
/// Kept beside every prepared volume so that outputs can return to the input's scale.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct IntensityMap {
    /// Normalised units per raw unit; positive and finite when fitted.
    pub scale: f64,
    /// The normalised value of a raw zero.
    pub offset: f64,
    /// The least and greatest normalised value, where values are clipped.
    pub clip: Option<[f64; 2]>,
}

impl IntensityMap {
    /// The map that normalises `volume` as asked; values that are not finite are left out of its statistics.
    ///
    /// # Errors
    /// [`Error::Value`] for percentiles that are out of order or out of range, and for a volume without contrast:
    /// all voxels NaN, or all the same. The caller knows the file and adds it.
    pub fn fit(volume: &Volume, normalisation: &Normalisation) -> Result<Self> {
        let mask = foreground(volume);
        let selected: Vec<f32> = foreground_values(volume, &mask).collect();
        if selected.is_empty() {
            let finite = volume.data.iter().find(|value| value.is_finite());
            let found = match finite {
                None if volume.data.is_empty() => "no voxels".to_string(),
                None => "no finite value".to_string(),
                Some(value) => format!("a constant {value}"),
            };
            return Err(no_contrast(found));
        }
        match *normalisation {
            Normalisation::Percentile { low, high } => {
                if !(0.0..=100.0).contains(&low) || !(0.0..=100.0).contains(&high) || low >= high {
                    return Err(Error::value(
                        "normalisation.percentile",
                        "0 ≤ low < high ≤ 100",
                        format!("low {low}, high {high}"),
                        "give percentiles such as low 0.5 and high 99.5",
                    ));
                }
                let mut all: Vec<f32> =
                    volume.data.iter().copied().filter(|value| value.is_finite()).collect();
                let least = quantile_of(&mut all, low / 100.0);
                let greatest = quantile_of(&mut selected.into_boxed_slice(), high / 100.0);
                if greatest <= least {
                    return Err(no_contrast(format!("{least} at percentile {low} and {greatest} at {high}")));
                }
                let scale = 2.0 / (greatest - least);
                Ok(Self { scale, offset: -1.0 - least * scale, clip: Some([-1.0, 1.0]) })
            }
            Normalisation::ZScore => {
                let count = selected.len() as f64;
                let mean = selected.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
                let variance =
                    selected.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count;
                if variance <= 0.0 {
                    return Err(no_contrast(format!("a constant {mean} in the foreground")));
                }
                let scale = 1.0 / variance.sqrt();
                Ok(Self { scale, offset: -mean * scale, clip: None })
            }
        }
    }

    /// `volume` in normalised units. Where values are clipped, a NaN becomes the least value, that is air.
    pub fn apply(&self, mut volume: Volume) -> Volume {
        let Self { scale, offset, clip } = *self;
        volume.data.par_mapv_inplace(|raw| {
            let normalised = f64::from(raw) * scale + offset;
            // Not `clamp`, which panics where a manifest holds a reversed range.
            clip.map_or(normalised, |[least, greatest]| normalised.max(least).min(greatest)) as f32
        });
        let clipped =
            clip.map_or(String::new(), |[least, greatest]| format!(", clipped to {least} to {greatest}"));
        volume.with_step(format!("intensity × {scale} + {offset}{clipped}"))
    }

    /// `volume`, in normalised units, in the raw units that the map was fitted on: `(normalised - offset) / scale`.
    ///
    /// What [`apply`](Self::apply) clipped comes back as the end of the range.
    pub fn invert(&self, mut volume: Volume) -> Volume {
        let Self { scale, offset, .. } = *self;
        volume.data.par_mapv_inplace(|normalised| ((f64::from(normalised) - offset) / scale) as f32);
        volume.with_step(format!("intensity - {offset}, ÷ {scale}"))
    }
}

/// The error of a volume from which no scale can be fitted.
fn no_contrast(found: String) -> Error {
    Error::value("intensity", "finite values that differ", found, "leave this volume out or replace it")
}

/// The finite values of every channel inside `mask`.
fn foreground_values<'a>(volume: &'a Volume, mask: &'a Array3<bool>) -> impl Iterator<Item = f32> + 'a {
    volume
        .data
        .outer_iter()
        .flat_map(move |channel| channel.into_iter().zip(mask))
        .filter(|(value, inside)| **inside && value.is_finite())
        .map(|(&value, _)| value)
}

/// The voxels brighter than Otsu's threshold, `[D, H, W]`: the head without the air, or the brain without the mask.
///
/// The threshold maximises the variance between the two classes of a 256-bin histogram (Otsu 1979, "A threshold
/// selection method from gray-level histograms", equation 18); where a whole range of thresholds does, its middle is
/// taken. The histogram ends at the 99.9th percentile, with everything above in its last bin, so that a few bright
/// vessels or a spike do not squeeze the tissue into a handful of bins. Several channels are averaged first. Dark
/// fluid beside bright tissue may fall below the threshold. Voxels that are not finite are background, and a volume
/// without contrast has no foreground.
pub fn foreground(volume: &Volume) -> Array3<bool> {
    if volume.channels() == 1 {
        above_otsu(volume.data.index_axis(Axis(0), 0))
    } else {
        let (_, d, h, w) = volume.data.dim();
        let mean = volume.data.mean_axis(Axis(0)).unwrap_or_else(|| Array3::zeros((d, h, w)));
        above_otsu(mean.view())
    }
}

/// Number of histogram bins for Otsu's threshold.
const BINS: usize = 256;

/// The voxels of one channel `[D, H, W]` above its threshold.
fn above_otsu(values: ndarray::ArrayView3<f32>) -> Array3<bool> {
    let mut finite: Vec<f32> = values.iter().copied().filter(|value| value.is_finite()).collect();
    let Some((least, greatest)) = range(&mut finite) else {
        return Array3::from_elem(values.dim(), false);
    };
    let bins_per_unit = BINS as f64 / (greatest - least);
    let mut histogram = [0_u64; BINS];
    for &value in &finite {
        let bin = ((f64::from(value) - least) * bins_per_unit) as usize;
        histogram[bin.min(BINS - 1)] += 1;
    }
    let threshold = least + otsu(&histogram) / bins_per_unit;
    Zip::from(values).par_map_collect(|&value| value.is_finite() && f64::from(value) > threshold)
}

/// Least value and 99.9th percentile (the greatest value where those are equal); `None` without contrast.
fn range(finite: &mut [f32]) -> Option<(f64, f64)> {
    let least = f64::from(finite.iter().copied().min_by(f32::total_cmp)?);
    let greatest = match quantile_of(finite, 99.9 / 100.0) {
        robust if robust > least => robust,
        _ => f64::from(finite.iter().copied().max_by(f32::total_cmp)?),
    };
    (greatest > least).then_some((least, greatest))
}

/// Otsu's threshold on a histogram, in bins from its lower end.
fn otsu(histogram: &[u64; BINS]) -> f64 {
    let total = histogram.iter().sum::<u64>() as f64;
    let total_moment: f64 = histogram.iter().enumerate().map(|(bin, &count)| bin as f64 * count as f64).sum();
    let (mut count_below, mut moment_below) = (0.0, 0.0);
    let (mut best, mut first, mut last) = (0.0, 0, 0);
    for (bin, &count) in histogram.iter().enumerate() {
        count_below += count as f64;
        moment_below += bin as f64 * count as f64;
        let weight = count_below * (total - count_below);
        if weight <= 0.0 {
            continue;
        }
        let between = (total_moment * count_below - moment_below * total).powi(2) / weight;
        if between > best {
            (best, first, last) = (between, bin, bin);
        } else if between == best {
            last = bin;
        }
    }
    // A threshold lies at the upper edge of its bin.
    (first + last) as f64 / 2.0 + 1.0
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::*;
    use crate::volume::VoxelToWorld;

    fn line(values: &[f32]) -> Volume {
        let data = Array4::from_shape_vec((1, 1, 1, values.len()), values.to_vec()).expect("one line");
        Volume::new(data, VoxelToWorld::identity())
    }

    /// A skull-stripped head: 600 voxels of exactly `background`, then tissue from 40 to 199.
    fn stripped(background: f32) -> Volume {
        line(&(0..1000).map(|n| if n < 600 { background } else { (40 + n % 160) as f32 }).collect::<Vec<_>>())
    }

    #[test]
    fn threshold_separates_as_well_as_any() {
        // Integers 0 to 255 and a greatest value of 255 make the histogram exact, so that trying every threshold on
        // the values themselves is an independent answer.
        let values: Vec<f32> =
            (0..4000_u32).map(|n| if n % 3 == 0 { 150 + n * 7 % 106 } else { n * 13 % 60 } as f32).collect();
        let between = |above: &dyn Fn(usize) -> bool| {
            let class = |wanted: bool| {
                let of: Vec<f64> =
                    (0..4000).filter(|&n| above(n) == wanted).map(|n| values[n].into()).collect();
                (of.len() as f64, of.iter().sum::<f64>() / of.len().max(1) as f64)
            };
            let ((n0, mean0), (n1, mean1)) = (class(false), class(true));
            n0 * n1 * (mean1 - mean0).powi(2)
        };
        let mask = foreground(&line(&values));
        let found = between(&|n| mask[[0, 0, n]]);
        let best = (0..255).map(|t| between(&|n| values[n] > t as f32)).fold(0.0, f64::max);
        assert!((found / best - 1.0).abs() < 1e-12, "{found} against {best}");
    }

    #[test]
    fn without_contrast_there_is_no_foreground_and_no_map() {
        let flat = [line(&[3.0; 9]), line(&[f32::NAN; 9]), line(&[f32::INFINITY, 2.0, f32::NAN]), line(&[])];
        for volume in flat {
            assert!(!foreground(&volume).iter().any(|&inside| inside));
            for normalisation in [Normalisation::ZScore, Normalisation::Percentile { low: 0.5, high: 99.5 }] {
                let error = IntensityMap::fit(&volume, &normalisation).expect_err("nothing to fit");
                assert!(
                    error.to_string().contains("intensity: expected finite values that differ"),
                    "{error}"
                );
            }
        }
        for (low, high) in [(50.0, 50.0), (-1.0, 99.0), (1.0, 101.0), (f64::NAN, 99.0)] {
            assert!(IntensityMap::fit(&stripped(0.0), &Normalisation::Percentile { low, high }).is_err());
        }
    }

    #[test]
    fn percentile_puts_air_at_exactly_minus_one_and_keeps_dark_tissue() {
        for background in [0.0, -1024.0, 0.1] {
            let volume = stripped(background);
            let normalisation = Normalisation::Percentile { low: 0.5, high: 100.0 };
            let map = IntensityMap::fit(&volume, &normalisation).expect("has contrast");
            let normalised = map.apply(volume.clone()).data;
            assert!(normalised.iter().take(600).all(|&value| value == -1.0), "air from {background}");
            let tissue = normalised.iter().skip(600).copied();
            assert!(tissue.clone().all(|value| value > -1.0), "dark tissue is not air");
            assert_eq!(tissue.fold(-1.0, f32::max), 1.0);
        }
    }

    #[test]
    fn z_score_gives_the_foreground_mean_zero_and_deviation_one() {
        let volume = stripped(0.0);
        let mask = foreground(&volume);
        let map = IntensityMap::fit(&volume, &Normalisation::ZScore).expect("has contrast");
        let normalised = map.apply(volume);
        let values: Vec<f64> = foreground_values(&normalised, &mask).map(f64::from).collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
        assert!(mean.abs() < 1e-6 && (deviation - 1.0).abs() < 1e-6, "{mean} {deviation}");
    }

    #[test]
    fn damaged_maps_and_values_do_not_panic() {
        let map = IntensityMap { scale: 1.0, offset: 0.0, clip: Some([1.0, -1.0]) };
        assert!(map.apply(line(&[0.5, f32::NAN])).data.iter().all(|value| value.is_finite()));
        let map = IntensityMap { clip: Some([-1.0, 1.0]), ..map };
        assert_eq!(map.apply(line(&[f32::NAN])).data[[0, 0, 0, 0]], -1.0);
    }
}
