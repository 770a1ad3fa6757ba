//! Validation: distances of samples to people who are not in the training set, at intervals of a run.
//!
//! They are measured on tens of volumes, to follow a run and to choose its best checkpoint; `voxgan evaluate` measures
//! with intervals and references.

use std::path::Path;

use burn::tensor::{Tensor, TensorData};
use ndarray::{Array2, Array3};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::checkpoint::from_json;
use super::data::Reals;
use super::run::Numbers;
use super::watch::nearer;
use crate::anatomy::volumes::Volumes;
use crate::config::BestBy;
use crate::error::Result;
use crate::evaluate::foreground;
use crate::evaluate::realism::{Features, frechet_distance, precision_recall};
use crate::ops::VolumeOps;
use crate::pretrained::{Weights, segmenter};
use crate::segment::Encoder;
use crate::segment::Segmenter;
use crate::stats::upper_median;
use crate::volume::Volume;
use crate::volume::resample::Grid;

/// Regions whose volumes are logged and compared.
pub(super) const REGIONS: [&str; 5] =
    ["brain", "lateral_ventricles", "cerebral_cortex", "cerebral_white_matter", "cerebellum"];
/// Neighbours of precision and recall (Kynkäänniemi 2019).
const NEIGHBOURS: usize = 3;
/// A voxel is tissue where the mean over people is above this, air being −1.
const TISSUE: f64 = -0.9;
/// Before the names of numbers in the log.
const PREFIX: &str = "validation/";

/// The people that samples are compared with.
pub(super) struct Validation<'a, B: VolumeOps> {
    reals: &'a Reals,
    encoder: Encoder<B>,
    people: Option<People>,
    device: B::Device,
}

/// What was measured of them.
struct People {
    features: Features,
    /// Of as many training people as there are samples: what real people would get.
    training: Features,
    heads: Vec<Volumes>,
}

impl<'a, B: VolumeOps> Validation<'a, B> {
    /// # Errors
    /// As [`segmenter::features`].
    pub(super) fn new(reals: &'a Reals, device: &B::Device) -> Result<Self> {
        let encoder = segmenter::features::<B>(device)?;
        Ok(Self { reals, encoder, people: None, device: device.clone() })
    }

    /// The validation people.
    pub(super) fn reals(&self) -> &'a Reals {
        self.reals
    }

    /// How near `samples` come to them and to the `training` people; the anatomy only with a segmenter.
    ///
    /// # Errors
    /// Those of files; [`crate::error::Error::Value`] for fewer than four samples or people.
    pub(super) fn measure(
        &mut self,
        samples: &[Volume],
        training: &Reals,
        segmenter: Option<&Segmenter<B>>,
    ) -> Result<Numbers> {
        let people = match self.people.take() {
            Some(people) => people,
            None => self.people(samples.len(), training, segmenter)?,
        };
        let mut found = Numbers::new();
        let mut note = |name: &str, value: f64| found.insert(format!("{PREFIX}{name}"), value);
        let seen = self.features(samples.iter().map(|volume| Ok(volume.clone())))?;
        note("frechet_distance", frechet_distance(&seen, &people.features)?);
        note("frechet_distance_of_reals", frechet_distance(&people.training, &people.features)?);
        let [precision, recall] = precision_recall(&seen, &people.features, NEIGHBOURS)?;
        note("precision", precision);
        note("recall", recall);
        note("nearest_ratio", self.nearest_ratio(samples, training)?);
        if let Some(segmenter) = segmenter {
            let heads = measured(samples, segmenter);
            let plausible = heads.iter().filter(|head| head.flags.is_empty()).count();
            note("plausible", plausible as f64 / samples.len() as f64);
            if let Some(difference) = difference(&heads, &people.heads) {
                note("anatomy_difference", difference);
            }
        }
        self.people = Some(people);
        Ok(found)
    }

    fn people(&self, samples: usize, training: &Reals, segmenter: Option<&Segmenter<B>>) -> Result<People> {
        let volumes = || self.reals.volumes(self.reals.len());
        let heads = match segmenter {
            Some(segmenter) => measured(&volumes().collect::<Result<Vec<_>>>()?, segmenter),
            None => Vec::new(),
        };
        let training = self.features(training.volumes(samples))?;
        Ok(People { features: self.features(volumes())?, training, heads })
    }

    /// What the encoder sees of volumes.
    fn features(&self, volumes: impl Iterator<Item = Result<Volume>>) -> Result<Features> {
        let mut rows = Vec::new();
        for volume in volumes {
            let image = Encoder::<B>::image(&volume?);
            let (d, h, w) = image.dim();
            let data = TensorData::new(image.into_raw_vec_and_offset().0, [1, 1, d, h, w]);
            let seen = self.encoder.encoded(Tensor::from_data(data, &self.device));
            rows.extend(seen.into_data().iter::<f32>().map(f64::from));
        }
        let width = self.encoder.channels();
        let rows = Array2::from_shape_vec((rows.len() / width, width), rows).expect("a row for each volume");
        Features::new(self.encoder.name(), rows, None)
    }

    /// The median over samples of their distance to the nearest training volume over that to the nearest volume of
    /// validation.
    fn nearest_ratio(&self, samples: &[Volume], training: &Reals) -> Result<f64> {
        let people = self.reals.volumes(self.reals.len()).collect::<Result<Vec<_>>>()?;
        let tissue = foreground(&people, TISSUE)?;
        let to_people: Vec<Vec<f64>> =
            people.iter().map(|person| distances(samples, person, &tissue)).collect();
        // One at a time: a training set need not fit into memory.
        let to_training = training.volumes(training.len());
        let to_training: Vec<Vec<f64>> =
            to_training.map(|volume| Ok(distances(samples, &volume?, &tissue))).collect::<Result<_>>()?;
        let of = |all: &[Vec<f64>], sample: usize| all.iter().map(|row| row[sample]).collect::<Vec<_>>();
        let ratios: Vec<f64> = (0..samples.len())
            .map(|sample| nearer(&mut of(&to_training, sample), &mut of(&to_people, sample)))
            .collect();
        Ok(upper_median(ratios).expect("there are samples"))
    }
}

/// Root mean square difference of each sample from `real`, within `tissue` `[D, H, W]`.
fn distances(samples: &[Volume], real: &Volume, tissue: &Array3<bool>) -> Vec<f64> {
    let distance = |sample: &Volume| {
        let voxels = sample.data.iter().zip(&real.data).zip(tissue.iter().cycle());
        let inside = voxels.filter(|(_, inside)| **inside);
        let (sum, count) = inside.fold((0.0, 0u64), |(sum, count), ((a, b), _)| {
            (sum + (f64::from(*a) - f64::from(*b)).powi(2), count + 1)
        });
        (sum / count as f64).sqrt()
    };
    samples.par_iter().map(distance).collect()
}

/// The structures of the heads among `volumes`; a volume on whose grid no head fits has none.
pub(super) fn measured<B: VolumeOps>(volumes: &[Volume], segmenter: &Segmenter<B>) -> Vec<Volumes> {
    let head =
        |volume: &Volume| Some(Volumes::of("", &segmenter.segment(volume).ok()?, Some(&Grid::of(volume))));
    volumes.iter().filter_map(head).collect()
}

/// How far volumes of regions differ between two sets of heads: |Cohen's d|, its mean over the regions; none of fewer
/// than two heads in a set.
fn difference(a: &[Volumes], b: &[Volumes]) -> Option<f64> {
    if a.len().min(b.len()) < 2 {
        return None;
    }
    let moments = |heads: &[Volumes], name: &str| {
        let of = |head: &Volumes| head.region(name).map_or(0.0, |region| region.volume_ml);
        let values: Vec<f64> = heads.iter().map(of).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
        (mean, squares / (values.len() - 1) as f64)
    };
    let effects = REGIONS.map(|name| {
        let ((mean_a, variance_a), (mean_b, variance_b)) = (moments(a, name), moments(b, name));
        let deviation = ((variance_a + variance_b) / 2.0).sqrt();
        // Equal constants do not differ; different ones differ without bounds.
        if mean_a == mean_b { 0.0 } else { (mean_a - mean_b).abs() / deviation }
    });
    Some(effects.iter().sum::<f64>() / REGIONS.len() as f64)
}

/// The best checkpoint of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// The measure.
    pub measure: BestBy,
    /// Its value.
    pub value: f64,
    /// Number of steps done at this checkpoint.
    pub step: u64,
}

impl Best {
    /// What it is called among a checkpoint's metadata.
    pub(super) const KEY: &str = "best";

    /// The best checkpoint in the file `path`; `None` if it does not exist.
    ///
    /// # Errors
    /// [`crate::error::Error::File`] if it is damaged.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        if !path.is_file() {
            return Ok(None);
        }
        from_json(&Weights::read(path)?, Self::KEY).map(Some)
    }

    /// The one that `line` of the log makes of `step`, if it is better than `before`.
    pub(super) fn after(before: Option<&Self>, measure: BestBy, line: &Numbers, step: u64) -> Option<Self> {
        let number = |name: &str| line.get(&format!("{PREFIX}{name}")).copied().filter(|x| x.is_finite());
        let (value, lower) = match measure {
            BestBy::FrechetDistance => (number("frechet_distance")?, true),
            BestBy::PrecisionRecall => {
                let (precision, recall) = (number("precision")?, number("recall")?);
                // The harmonic mean, none of which hides the other.
                (2.0 * precision * recall / (precision + recall).max(f64::MIN_POSITIVE), false)
            }
            BestBy::Anatomy => (number("anatomy_difference")?, true),
        };
        let better = match before {
            Some(before) if before.measure == measure && lower => value < before.value,
            Some(before) if before.measure == measure => value > before.value,
            _ => true,
        };
        better.then_some(Self { measure, value, step })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::*;
    use crate::volume::VoxelToWorld;

    fn line(numbers: &[(&str, f64)]) -> Numbers {
        numbers.iter().map(|(name, value)| (format!("{PREFIX}{name}"), *value)).collect()
    }

    #[test]
    fn the_best_is_the_lowest_distance_or_the_highest_score() {
        let distance = |before: Option<&Best>, value, step| {
            Best::after(before, BestBy::FrechetDistance, &line(&[("frechet_distance", value)]), step)
        };
        let first = distance(None, 0.5, 10).unwrap();
        assert_eq!((first.value, first.step), (0.5, 10));
        assert!(distance(Some(&first), 0.5, 20).is_none() && distance(Some(&first), f64::NAN, 20).is_none());
        assert_eq!(distance(Some(&first), 0.4, 20).unwrap().step, 20);
        let score = |before: Option<&Best>, precision, recall| {
            let line = line(&[("precision", precision), ("recall", recall)]);
            Best::after(before, BestBy::PrecisionRecall, &line, 30)
        };
        let found = score(None, 1.0, 0.5).unwrap();
        assert!((found.value - 2.0 / 3.0).abs() < 1e-12);
        // The harmonic mean of 1 and 0 is none, and by another measure the search begins anew.
        assert_eq!(score(None, 1.0, 0.0).unwrap().value, 0.0);
        assert_eq!(score(None, 0.0, 0.0).unwrap().value, 0.0);
        assert!(score(Some(&found), 0.6, 0.6).is_none() && score(Some(&found), 0.9, 0.6).is_some());
        assert!(score(Some(&first), 0.1, 0.1).is_some());
        assert!(Best::after(None, BestBy::Anatomy, &line(&[("precision", 1.0)]), 1).is_none());
    }

    #[test]
    fn distances_are_within_tissue() {
        let volume = |value: f32| {
            let data =
                Array4::from_shape_fn((1, 2, 2, 2), |(_, d, ..)| if d == 0 { value } else { 9.0 * value });
            Volume::new(data, VoxelToWorld::identity())
        };
        let tissue = Array3::from_shape_fn((2, 2, 2), |(d, ..)| d == 0);
        assert_eq!(distances(&[volume(1.0), volume(4.0)], &volume(2.0), &tissue), [1.0, 2.0]);
    }
}
