//! Memorisation: whether samples are nearer to a generator's training volumes than to those of other people.
//!
//! The measure is the distance of a sample to its nearest training volume, divided by that to its nearest volume of
//! other people: the median of this ratio over samples. Both sets have the same number of volumes in every draw, as the
//! distance to the nearest falls with their number. The reference without memorisation is the ratio of real volumes of
//! other people, each left out of its own set (after Carlini et al. 2023, arXiv 2301.13188, who compare distances to
//! the training set with those within it).

use ndarray::Array3;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::nearest::{root_mean_square, within_foreground};
use crate::error::{Error, Result};
use crate::random::{Purpose, permutation, stream};
use crate::stats::{median, nearest_rank, with_replacement};
use crate::volume::Volume;

/// Samples that are named.
const NAMED: usize = 5;

/// The result of the memorisation check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memorisation {
    /// Number of volumes of each set in a draw.
    pub volumes_a_side: usize,
    /// Number of draws.
    pub draws: usize,
    /// The median ratio of the samples, over draws of volumes without and of samples with replacement.
    pub of_samples: Ratio,
    /// The median ratio of real volumes of other people, over such draws.
    pub of_reals: Ratio,
    /// The samples with the lowest ratios of the distances to all volumes, lowest first.
    pub lowest: Vec<Nearest>,
}

/// A ratio over draws.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// Mean over the draws.
    pub mean: f64,
    /// 2.5 % of the draws are below.
    pub low: f64,
    /// 2.5 % of the draws are above.
    pub high: f64,
}

/// A sample with the volumes nearest to it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Nearest {
    /// Number of the sample.
    pub sample: usize,
    /// Number of its nearest training volume.
    pub training: usize,
    /// Number of the nearest volume of other people.
    pub unseen: usize,
    /// Distance to `training` divided by distance to `unseen`.
    pub ratio: f64,
}

impl Memorisation {
    /// The check of `samples` against the `training` volumes and those of `unseen` people; distances are root mean
    /// square differences over the foreground `[D, H, W]`. A draw has as many volumes of each set as the smaller set,
    /// less one.
    ///
    /// # Errors
    /// [`Error::Value`] for fewer than three volumes in a set, and as [`nearest`](super::nearest).
    pub fn of(
        samples: &[Volume],
        training: &[Volume],
        unseen: &[Volume],
        foreground: &Array3<bool>,
        draws: usize,
    ) -> Result<Self> {
        for (name, set) in [("samples", samples), ("training volumes", training), ("unseen volumes", unseen)]
        {
            if set.len() < 3 {
                return Err(Error::value(name, "three or more", set.len().to_string(), "give more volumes"));
            }
        }
        let [samples, training, unseen] = within_foreground([samples, training, unseen], foreground)?;
        let matrix = |rows: &[Vec<f32>], columns: &[Vec<f32>]| -> Vec<Vec<f64>> {
            rows.par_iter()
                .map(|row| columns.iter().map(|column| root_mean_square(row, column)).collect())
                .collect()
        };
        let to_training = [matrix(&samples, &training), matrix(&unseen, &training)];
        let to_unseen = [matrix(&samples, &unseen), matrix(&unseen, &unseen)];
        let a_side = training.len().min(unseen.len()) - 1;
        let ratios: [Vec<f64>; 2] = [0, 1].map(|set| {
            let drawn = (0..draws as u64).into_par_iter().map(|draw| {
                let mut rng = stream(0, draw, set as u64, 0, Purpose::Resampling);
                let training = permutation(&mut rng, training.len());
                let unseen = permutation(&mut rng, unseen.len());
                let count = to_training[set].len();
                let ratios: Vec<f64> = with_replacement(&mut rng, count, count)
                    .into_iter()
                    .map(|row| {
                        let of = |distances: &[f64], columns: &mut dyn Iterator<Item = usize>| {
                            columns.take(a_side).map(|at| distances[at]).fold(f64::INFINITY, f64::min)
                        };
                        // A real volume is no neighbour of itself.
                        let mut others = unseen.iter().copied().filter(|&at| set == 0 || at != row);
                        of(&to_training[set][row], &mut training.iter().copied())
                            / of(&to_unseen[set][row], &mut others)
                    })
                    .collect();
                median(ratios)
            });
            drawn.collect()
        });
        let [of_samples, of_reals] = ratios.map(Ratio::of);
        let least = |distances: &[f64]| {
            let (at, distance) =
                distances.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)).expect("volumes");
            (at, *distance)
        };
        let mut lowest: Vec<Nearest> = (0..samples.len())
            .map(|sample| {
                let ((training, near), (unseen, far)) =
                    (least(&to_training[0][sample]), least(&to_unseen[0][sample]));
                Nearest { sample, training, unseen, ratio: near / far }
            })
            .collect();
        lowest.sort_by(|a, b| a.ratio.total_cmp(&b.ratio));
        lowest.truncate(NAMED);
        Ok(Self { volumes_a_side: a_side, draws, of_samples, of_reals, lowest })
    }

    /// Whether memorisation is unlikely: the interval of the samples' ratio contains the mean of the reals', or is
    /// above it.
    pub fn is_unlikely(&self) -> bool {
        self.of_samples.high >= self.of_reals.mean
    }
}

impl Ratio {
    fn of(mut draws: Vec<f64>) -> Self {
        draws.sort_by(f64::total_cmp);
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let [low, high] = [0.025, 0.975].map(|share| nearest_rank(&mut draws, share).expect("draws"));
        Self { mean, low, high }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::*;
    use crate::random::normal;
    use crate::volume::VoxelToWorld;

    /// White noise: people are as far from each other as from anyone.
    fn people(first: u64, count: u64) -> Vec<Volume> {
        let one = |person| {
            let values = normal(&mut stream(person, 0, 0, 0, Purpose::Noise), 512);
            Volume::new(Array4::from_shape_vec((1, 8, 8, 8), values).unwrap(), VoxelToWorld::identity())
        };
        (first..first + count).map(one).collect()
    }

    /// A mixture of a volume with another one.
    fn near(a: &[Volume], b: &[Volume], part: f32) -> Vec<Volume> {
        let mixed = a.iter().zip(b).map(|(a, b)| (&a.data * (1.0 - part)) + &b.data * part);
        mixed.map(|data| Volume::new(data, VoxelToWorld::identity())).collect()
    }

    #[test]
    fn copies_are_told_from_strangers() {
        let everywhere = Array3::from_elem((8, 8, 8), true);
        let (training, unseen) = (people(0, 30), people(100, 12));
        let strangers = Memorisation::of(&people(200, 20), &training, &unseen, &everywhere, 100).unwrap();
        assert!(strangers.is_unlikely() && strangers.volumes_a_side == 11, "{strangers:?}");
        assert!(
            (strangers.of_samples.mean - 1.0).abs() < 0.05 && (strangers.of_reals.mean - 1.0).abs() < 0.05
        );
        // All of them near to a training volume, which eleven of thirty hold in a third of the draws.
        let copies = near(&training, &people(300, 30), 0.2);
        let copied = Memorisation::of(&copies, &training, &unseen, &everywhere, 100).unwrap();
        assert!(
            copied.lowest.iter().all(|nearest| nearest.training == nearest.sample && nearest.ratio < 0.3)
        );
        let all = near(&training[..11], &people(300, 11), 0.2);
        let copied = Memorisation::of(&all, &training[..12], &unseen, &everywhere, 100).unwrap();
        assert!(!copied.is_unlikely() && copied.of_samples.high < 0.5, "{copied:?}");
    }

    #[test]
    fn too_few_volumes_are_refused() {
        let everywhere = Array3::from_elem((8, 8, 8), true);
        let two = Memorisation::of(&people(0, 2), &people(9, 5), &people(20, 5), &everywhere, 10);
        assert!(two.unwrap_err().to_string().contains("samples"));
    }
}
