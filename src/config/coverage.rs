//! The coverage term of the generator's loss, which includes every training volume.

use serde::{Deserialize, Serialize};

use super::validation::{above_zero, at_least_one, check, not_below_zero, probability};
use crate::error::Result;

/// The coverage term: the distance of every training volume to the nearest of a pool of samples. It is implicit maximum
/// likelihood estimation (IMLE, Li and Malik 2018, arXiv 1809.09087), beside an adversarial loss as in Inclusive GAN
/// (Yu et al. 2020, arXiv 2004.03355).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CoverageRecipe {
    /// Weight of the mean squared difference from the nearest sample in the generator's loss; 0 for none.
    pub weight: f64,
    /// Weight of the features of the segmenter's encoder beside voxels in that difference.
    pub features: f64,
    /// Number of samples in the pool for each training volume.
    pub pool: usize,
    /// Thousands of volumes from one search of the nearest samples to the next.
    pub search_kimg: f64,
    /// Thousands of volumes at the start of a run in which this term is the generator's only loss.
    pub alone_kimg: f64,
    /// Thousands of volumes at the end of that start in which the discriminator is trained already, on pairs of a
    /// volume and its nearest sample.
    pub discriminator_ahead_kimg: f64,
    /// Share of the discriminator's later steps with such pairs.
    #[serde(skip_serializing_if = "is_zero")]
    pub discriminator_pairs: f64,
}

impl Default for CoverageRecipe {
    fn default() -> Self {
        Self {
            weight: 0.0,
            features: 0.0,
            pool: 8,
            search_kimg: 1.0,
            alone_kimg: 0.0,
            discriminator_ahead_kimg: 0.0,
            discriminator_pairs: 0.0,
        }
    }
}

impl CoverageRecipe {
    /// Whether all keys have their defaults; a recipe is then written without this table.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the term is part of the loss.
    pub fn is_on(&self) -> bool {
        self.weight > 0.0
    }

    /// Whether this term is the generator's only loss after `images` volumes shown.
    pub fn is_alone(&self, images: u64) -> bool {
        (images as f64) < self.alone_kimg * 1000.0
    }

    /// Whether the discriminator is trained after `images` volumes shown.
    pub fn has_discriminator(&self, images: u64) -> bool {
        images as f64 >= (self.alone_kimg - self.discriminator_ahead_kimg) * 1000.0
    }

    /// Whether the discriminator's batch of this step consists of pairs of a volume and its nearest sample, after
    /// `images` volumes shown.
    pub fn in_pairs(&self, step: u64, images: u64) -> bool {
        let upto = |steps: u64| (steps as f64 * self.discriminator_pairs).floor();
        self.is_alone(images) || (self.is_on() && upto(step + 1) > upto(step))
    }

    pub(super) fn validate(&self) -> Result<()> {
        let key = |name: &str| format!("coverage.{name}");
        not_below_zero(&key("weight"), self.weight)?;
        not_below_zero(&key("features"), self.features)?;
        at_least_one(&key("pool"), self.pool)?;
        above_zero(&key("search_kimg"), self.search_kimg)?;
        not_below_zero(&key("alone_kimg"), self.alone_kimg)?;
        let ahead = self.discriminator_ahead_kimg;
        not_below_zero(&key("discriminator_ahead_kimg"), ahead)?;
        check(
            ahead <= self.alone_kimg,
            &key("discriminator_ahead_kimg"),
            "at most alone_kimg",
            ahead,
            "lower it, or raise alone_kimg",
        )?;
        probability(&key("discriminator_pairs"), self.discriminator_pairs)?;
        let learns = self.is_on() || self.alone_kimg == 0.0;
        check(
            learns,
            &key("weight"),
            "above 0, as alone_kimg is",
            self.weight,
            "set it, or remove alone_kimg",
        )
    }
}

fn is_zero(share: &f64) -> bool {
    *share == 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_take_their_share_of_the_steps() {
        let coverage = CoverageRecipe { weight: 1.0, discriminator_pairs: 0.25, ..CoverageRecipe::default() };
        let paired = |coverage: &CoverageRecipe| (0..100).filter(|&step| coverage.in_pairs(step, 9)).count();
        assert_eq!(paired(&coverage), 25);
        assert_eq!(paired(&CoverageRecipe { discriminator_pairs: 0.0, ..coverage.clone() }), 0);
        assert_eq!(paired(&CoverageRecipe { discriminator_pairs: 1.0, ..coverage.clone() }), 100);
        // Before it joins, in all; without the term there are none.
        assert_eq!(paired(&CoverageRecipe { alone_kimg: 1.0, ..coverage.clone() }), 100);
        assert_eq!(paired(&CoverageRecipe { weight: 0.0, ..coverage }), 0);
    }
}
