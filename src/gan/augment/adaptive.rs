//! The probability of augmentation, controlled by the discriminator's overfitting (ADA, section 3).

use serde::{Deserialize, Serialize};

use crate::config::{AugmentationPolicy, AugmentationRecipe};

/// The largest probability that adaptation reaches.
///
/// Every operation here leaves the identity some probability while p < 1, so that none leaks in principle; in practice
/// generators start to copy the augmentations between 0.8 (ADA, section 2.2) and 0.9. A run that stays at this limit
/// has too little data for its network.
pub const ADAPTIVE_P_MAX: f64 = 0.85;

/// The probability of augmentation and the statistics that it is adapted by: plain data, a part of a checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptiveP {
    p: f64,
    /// Sum of the signs of the logits seen since the last adjustment.
    sign_sum: f64,
    /// Number of these logits.
    images: u64,
    /// Steps since the last adjustment.
    steps: u64,
}

impl AdaptiveP {
    /// The state at the start of a run.
    pub fn new(recipe: &AugmentationRecipe) -> Self {
        Self { p: recipe.initial_p, sign_sum: 0.0, images: 0, steps: 0 }
    }

    /// The probability to augment with now: 0 if augmentation is off, 1 with DiffAugment, the recipe's `fixed_p` where
    /// it has one.
    pub fn p(&self, recipe: &AugmentationRecipe) -> f64 {
        match recipe.policy {
            _ if !recipe.enabled => 0.0,
            AugmentationPolicy::DiffAugment => 1.0,
            AugmentationPolicy::Adaptive => recipe.fixed_p.unwrap_or(self.p),
        }
    }

    /// Records the signs of the discriminator's logits on `images` reals, of which `sign_sum` is the sum ([`sign_sum`]); any
    /// number of times a step.
    pub fn observe(&mut self, sign_sum: f64, images: u64) {
        self.sign_sum += sign_sum;
        self.images += images;
    }

    /// Ends a step. Every `interval` steps p moves by `sign(r_t − target)·images/(adjust_kimg·1000)`, with the number
    /// of images observed since the last move (`batch·interval`), within `[0, ADAPTIVE_P_MAX]`; r_t, the mean sign, is
    /// returned then.
    ///
    /// With `fixed_p`, DiffAugment, or augmentation off, r_t is returned too and p does not change.
    pub fn end_step(&mut self, recipe: &AugmentationRecipe) -> Option<f64> {
        self.steps += 1;
        if self.steps < recipe.interval as u64 || self.images == 0 {
            return None;
        }
        let (mean_sign, images) = (self.sign_sum / self.images as f64, self.images as f64);
        let adaptive = recipe.policy == AugmentationPolicy::Adaptive && recipe.fixed_p.is_none();
        if recipe.enabled && adaptive {
            let over = mean_sign - recipe.target;
            let direction = if over == 0.0 { 0.0 } else { over.signum() };
            self.p = (self.p + direction * images / (recipe.adjust_kimg * 1000.0)).clamp(0.0, ADAPTIVE_P_MAX);
        }
        (self.sign_sum, self.images, self.steps) = (0.0, 0, 0);
        Some(mean_sign)
    }
}

/// The sum of the signs of logits; a NaN counts as sign 0.
pub fn sign_sum(logits: &[f32]) -> f64 {
    logits.iter().map(|&logit| f64::from(i8::from(logit > 0.0) - i8::from(logit < 0.0))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observe(adaptive: &mut AdaptiveP, logits: &[f32]) {
        adaptive.observe(sign_sum(logits), logits.len() as u64);
    }

    fn recipe() -> AugmentationRecipe {
        AugmentationRecipe { adjust_kimg: 0.4, interval: 4, target: 0.6, ..Default::default() }
    }

    /// Four steps of eight volumes with `positive` positive logits each.
    fn interval(adaptive: &mut AdaptiveP, recipe: &AugmentationRecipe, positive: usize) -> f64 {
        let logits: Vec<f32> = (0..8).map(|i| if i < positive { 0.3 } else { -5.0 }).collect();
        for _ in 0..3 {
            observe(adaptive, &logits[..3]);
            observe(adaptive, &logits[3..]);
            assert_eq!(adaptive.end_step(recipe), None);
        }
        observe(adaptive, &logits);
        adaptive.end_step(recipe).expect("the interval is over")
    }

    #[test]
    fn p_moves_by_the_images_of_an_interval_over_those_of_an_adjustment() {
        let (recipe, mut adaptive) = (recipe(), AdaptiveP::new(&recipe()));
        assert_eq!(interval(&mut adaptive, &recipe, 7), 0.75);
        assert_eq!(adaptive.p(&recipe), 32.0 / 400.0);
        assert_eq!(interval(&mut adaptive, &recipe, 8), 1.0);
        assert_eq!(adaptive.p(&recipe), 64.0 / 400.0);
        assert_eq!(interval(&mut adaptive, &recipe, 6), 0.5);
        assert_eq!(adaptive.p(&recipe), 32.0 / 400.0);
    }

    #[test]
    fn p_stays_within_its_limits() {
        let (recipe, mut adaptive) = (recipe(), AdaptiveP::new(&recipe()));
        interval(&mut adaptive, &recipe, 0);
        assert_eq!(adaptive.p(&recipe), 0.0);
        (0..20).for_each(|_| {
            interval(&mut adaptive, &recipe, 8);
        });
        assert_eq!(adaptive.p(&recipe), ADAPTIVE_P_MAX);
    }

    #[test]
    fn a_fixed_p_overrides_and_off_is_zero() {
        let fixed = AugmentationRecipe { fixed_p: Some(1.0), ..recipe() };
        let mut adaptive = AdaptiveP::new(&fixed);
        assert_eq!(interval(&mut adaptive, &fixed, 8), 1.0);
        assert_eq!((adaptive.p(&fixed), adaptive.p(&recipe())), (1.0, 0.0));
        assert_eq!(adaptive.p(&AugmentationRecipe { enabled: false, ..fixed }), 0.0);
        let simple = AugmentationRecipe { policy: AugmentationPolicy::DiffAugment, ..recipe() };
        assert_eq!(interval(&mut adaptive, &simple, 8), 1.0);
        assert_eq!((adaptive.p(&simple), adaptive.p(&recipe())), (1.0, 0.0));
        assert_eq!(adaptive.p(&AugmentationRecipe { enabled: false, ..simple }), 0.0);
    }

    #[test]
    fn a_run_that_resumes_within_an_interval_goes_on_as_it_would_have() {
        let (recipe, mut whole) = (recipe(), AdaptiveP::new(&recipe()));
        observe(&mut whole, &[1.0, f32::NAN, 0.0]);
        whole.end_step(&recipe);
        let text = serde_json::to_string(&whole).expect("plain data");
        let resumed: AdaptiveP = serde_json::from_str(&text).expect("what was written");
        assert_eq!(resumed, whole);
        assert_eq!((whole.sign_sum, whole.images, whole.steps), (1.0, 3, 1));
    }
}
