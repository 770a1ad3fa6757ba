//! Warnings of a run, once each.

use super::run::Numbers;
use crate::error::Result;
use crate::evaluate::diversity;
use crate::volume::Volume;

/// A reason not to continue a run with its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// The discriminator distinguishes synthetic from real volumes so reliably that the generator no longer improves.
    DiscriminatorWon,
    /// Samples are much less diverse than real volumes.
    Collapse,
    /// Samples are nearer to volumes of the training set than to those of other people.
    Memorisation,
}

/// Loss of a discriminator that gives the right answer a probability of 95 % to both kinds; it is 1.386 where it cannot
/// tell.
const WON: f64 = 0.1;
/// Lines of the log in a row on which that holds.
const WON_LINES: u32 = 10;
/// Least part of the reals' variety, and pictures in a row below it.
const LEAST_VARIETY: f64 = 0.2;
const ALIKE_PICTURES: u32 = 2;
/// Volumes shown before samples can be called alike: at the beginning they are.
const LEARNED: u64 = 1000;
/// Nearest volume of the training set over nearest volume of other people; 1 without memorising.
const NEARER: f64 = 0.8;
/// Volumes that are compared in pairs.
const PAIRED: usize = 6;

impl Warning {
    /// Its key in the log.
    pub const fn key(self) -> &'static str {
        match self {
            Self::DiscriminatorWon => "discriminator_won",
            Self::Collapse => "collapse",
            Self::Memorisation => "memorisation",
        }
    }

    /// The observation and the remedy.
    pub const fn text(self) -> &'static str {
        match self {
            Self::DiscriminatorWon => {
                "the discriminator has won: its loss stays below 0.1 (1.386 where it cannot tell synthetic from real); raise \
                 training.gamma or the augmentation, or narrow the discriminator"
            }
            Self::Collapse => {
                "samples have collapsed: they differ among themselves less than a fifth as much as real volumes do (1 - MS-SSIM \
                 over pairs); go back to an earlier checkpoint, with a higher training.gamma"
            }
            Self::Memorisation => {
                "samples are memorised: their nearest training volume is nearer than the nearest of other people (ratio below \
                 0.8); stop here, use the best checkpoint, or train on more people with more augmentation"
            }
        }
    }
}

/// Counts of what has been seen in a row.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    won: u32,
    alike: u32,
}

impl Watch {
    /// Whether a discriminator has won, of a line of the log.
    pub(super) fn line(&mut self, line: &Numbers) -> Option<Warning> {
        let won = line.get("loss_d").is_some_and(|&loss| loss < WON);
        self.won = if won { self.won + 1 } else { 0 };
        (self.won >= WON_LINES).then_some(Warning::DiscriminatorWon)
    }

    /// Whether samples have collapsed, of their [`variety`] after so many volumes shown.
    pub(super) fn picture(&mut self, variety: f64, images: u64) -> Option<Warning> {
        let alike = variety < LEAST_VARIETY && images >= LEARNED;
        self.alike = if alike { self.alike + 1 } else { 0 };
        (self.alike >= ALIKE_PICTURES).then_some(Warning::Collapse)
    }
}

/// Whether samples are memorised, of how much nearer training volumes are than those of other people ([`nearer`]).
pub(super) fn memorised(ratio: f64) -> Option<Warning> {
    (ratio < NEARER).then_some(Warning::Memorisation)
}

/// How much volumes differ: 1 − MS-SSIM, its mean over pairs of the first six; none of fewer than two, and of
/// intensities that are not finite.
///
/// # Errors
/// As [`diversity`].
pub(super) fn unlikeness(volumes: &[Volume]) -> Result<Option<f64>> {
    let volumes = &volumes[..PAIRED.min(volumes.len())];
    if volumes.len() < 2 || volumes.iter().any(|volume| volume.data.iter().any(|x| !x.is_finite())) {
        return Ok(None);
    }
    // The range that volumes are normalised to is from −1 to 1.
    Ok(Some(1.0 - diversity(volumes, 2.0)?.mean))
}

/// The expected least of a random choice of `chosen` of these distances, in closed form: with fewer to choose from, the
/// nearest is farther, so that sets of different sizes compare.
pub(super) fn expected_nearest(distances: &mut [f64], chosen: usize) -> f64 {
    distances.sort_by(f64::total_cmp);
    let (all, chosen) = (distances.len() as f64, chosen as f64);
    // The probability that the distance of this rank is the least of those chosen.
    let mut probability = chosen / all;
    let mut mean = 0.0;
    for (rank, distance) in distances.iter().enumerate() {
        mean += probability * distance;
        let left = all - 1.0 - rank as f64;
        probability *= ((left - chosen + 1.0) / left).max(0.0);
        if probability == 0.0 || left <= 0.0 {
            break;
        }
    }
    mean
}

/// By what part the nearest training volume is nearer than the nearest of other people, of a sample's distances to all
/// of them: expected among as many of each.
pub(super) fn nearer(training: &mut [f64], others: &mut [f64]) -> f64 {
    let count = training.len().min(others.len());
    expected_nearest(training, count) / expected_nearest(others, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(loss: f64) -> Numbers {
        Numbers::from([("loss_d".to_string(), loss)])
    }

    #[test]
    fn a_discriminator_has_won_after_ten_lines_in_a_row() {
        let mut watch = Watch::default();
        let told: Vec<bool> =
            (0..25).map(|i| watch.line(&line(if i == 5 { 0.5 } else { 0.05 })).is_some()).collect();
        assert_eq!(told.iter().position(|told| *told), Some(15));
        assert!(Watch::default().line(&Numbers::new()).is_none());
    }

    #[test]
    fn samples_have_collapsed_after_two_pictures_but_not_at_the_beginning() {
        let mut watch = Watch::default();
        assert_eq!([0, 400, 900].map(|images| watch.picture(0.0, images)), [None; 3]);
        assert_eq!(watch.picture(0.1, 2000), None);
        assert_eq!(watch.picture(0.3, 3000), None);
        assert_eq!(watch.picture(0.1, 4000), None);
        assert_eq!(watch.picture(0.1, 5000), Some(Warning::Collapse));
    }

    /// Against the mean over all choices, counted out.
    #[test]
    fn the_nearest_of_a_choice_is_that_of_all_choices() {
        let distances = [4.0, 1.0, 7.0, 2.0, 9.0];
        let least = |mask: u32| {
            let chosen = (0..5).filter(|i| mask >> i & 1 == 1);
            chosen.map(|i: usize| distances[i]).fold(f64::INFINITY, f64::min)
        };
        for count in 1..=5 {
            let masks: Vec<u32> = (0..32u32).filter(|mask| mask.count_ones() == count).collect();
            let mean = masks.iter().map(|&mask| least(mask)).sum::<f64>() / masks.len() as f64;
            let found = expected_nearest(&mut distances.clone(), count as usize);
            assert!((found - mean).abs() < 1e-12, "{count}: {found} for {mean}");
        }
    }

    #[test]
    fn a_copy_is_memorised_and_larger_sets_do_not_look_so() {
        // A sample as far from everyone as they are from one another, in sets of 100 and 20: draws of one distribution.
        let uniform = |n: usize| (0..n).map(|i| 1.0 + (i as f64 + 0.5) / n as f64).collect::<Vec<_>>();
        let ratio = nearer(&mut uniform(100), &mut uniform(20));
        assert!((0.97..1.03).contains(&ratio), "{ratio}");
        let mut training = uniform(20);
        training[3] = 0.1;
        let ratio = nearer(&mut training, &mut uniform(20));
        assert!(memorised(ratio).is_some() && memorised(1.0).is_none(), "{ratio}");
    }
}
