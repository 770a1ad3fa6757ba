//! The expectation: the fractions of groups in a voxel from its intensity and its prior, with voxels of two groups.

use super::groups::{GROUP_OF_PART, GROUPS, PART_PAIRS, PARTS, part_pairs};
use crate::anatomy::Group;

/// Weight of a voxel of two groups beside their priors' geometric mean.
const MIXED: f32 = 0.5;
/// Least weight of a pair that is looked at.
const WEIGHT_MIN: f32 = 1e-6;
/// Least distance of two parts, in noise, of which a voxel may hold both.
const APART: f32 = 0.5;
/// Standard deviations beyond the pure intensities at which a voxel holds one alone.
const BEYOND: f32 = 6.0;

/// The constants of the expectation, for all voxels.
#[derive(Clone, Debug)]
pub struct Expectation {
    pairs: [[usize; 2]; PART_PAIRS],
    /// Inverse of each part's standard deviation, and the height of its density.
    narrow: [f32; PARTS],
    height: [f32; PARTS],
    /// Standard deviation within a voxel of each pair.
    spread: [f32; PART_PAIRS],
    /// Density of intensities that no group explains.
    outlier: f32,
}

/// The fractions of groups in a voxel.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// Fraction of each group.
    pub fraction: [f32; GROUPS],
    /// Probability of each part to fill the whole voxel.
    pub pure: [f32; PARTS],
}

/// 1/√(2π).
const HEIGHT: f32 = 0.398_942_3;

impl Expectation {
    /// The expectation for parts with these standard deviations.
    pub fn new(sd: &[f64; PARTS], noise: f64, outlier: f64) -> Self {
        let pairs = part_pairs();
        Self {
            pairs,
            narrow: sd.map(|sd| (1.0 / sd) as f32),
            height: sd.map(|sd| HEIGHT / sd as f32),
            spread: pairs.map(|[a, b]| sd[a].min(sd[b]).max(noise) as f32),
            outlier: outlier as f32,
        }
    }

    /// The fractions in a voxel of intensity `value`, from the priors of groups and the local means and shares of
    /// parts.
    pub fn of(&self, value: f32, prior: &[f32; GROUPS], mean: &[f32; PARTS], share: &[f32; PARTS]) -> Held {
        let (mut pure, mut sum) = ([0.0; PARTS], 0.0);
        let mut weight = [0.0; PARTS];
        for k in (0..PARTS).filter(|&k| prior[GROUP_OF_PART[k]] > 0.0) {
            let z = (value - mean[k]) * self.narrow[k];
            weight[k] = prior[GROUP_OF_PART[k]] * share[k];
            pure[k] = weight[k] * (self.height[k] * (-0.5 * z * z).exp() + self.outlier);
            sum += pure[k];
        }
        let (mut fraction, mut mixed) = ([0.0; GROUPS], [0.0; GROUPS]);
        for (pair, &[a, b]) in self.pairs.iter().enumerate() {
            let both = weight[a] * weight[b];
            if both == 0.0 {
                continue;
            }
            let weight = MIXED * both.sqrt();
            let apart = mean[a] - mean[b];
            if weight < WEIGHT_MIN || apart.abs() < APART * self.spread[pair] {
                continue;
            }
            if let Some((density, part)) = mixture(value - mean[b], apart, self.spread[pair]) {
                let p = weight * density;
                sum += p;
                mixed[GROUP_OF_PART[a]] += p * part;
                mixed[GROUP_OF_PART[b]] += p * (1.0 - part);
            }
        }
        let scale = 1.0 / (sum + 1e-30);
        for k in 0..PARTS {
            pure[k] *= scale;
            fraction[GROUP_OF_PART[k]] += pure[k];
        }
        (0..GROUPS).for_each(|g| fraction[g] += mixed[g] * scale);
        Held { fraction, pure }
    }
}

/// The density of an intensity `value`, counted from the one group's mean, of voxels that hold any part of the other
/// group, all parts being equally likely, and the mean part that such a voxel holds of it; the other's mean is `apart`
/// away, and noise has standard deviation `sd`. None far beyond the two.
///
/// The part is normal about `value / apart` with `sd / |apart|`, cut off at 0 and 1.
fn mixture(value: f32, apart: f32, sd: f32) -> Option<(f32, f32)> {
    let width = sd / apart.abs();
    let middle = value / apart;
    let (low, high) = (-middle / width, (1.0 - middle) / width);
    if low > BEYOND || high < -BEYOND {
        return None;
    }
    let [bell_low, bell_high] = [low, high].map(|z| (-0.5 * z * z).exp());
    let mass = mass(low, bell_low, high, bell_high).max(1e-9);
    let part = middle + width * HEIGHT * (bell_low - bell_high) / mass;
    Some((mass / apart.abs(), part.clamp(0.0, 1.0)))
}

/// Normal probability between `low` and `high`, of which `bell` is exp(−z²/2).
fn mass(low: f32, bell_low: f32, high: f32, bell_high: f32) -> f32 {
    let (near, far) = (tail(low, bell_low), tail(high, bell_high));
    match (low < 0.0, high < 0.0) {
        (true, true) => far - near,
        (true, false) => 1.0 - near - far,
        (false, _) => near - far,
    }
}

/// Normal probability beyond |z| on one side (Abramowitz & Stegun 1964, 7.1.26; to 1e-7).
fn tail(z: f32, bell: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.327_591_1 * z.abs() * std::f32::consts::FRAC_1_SQRT_2);
    let series = 1.061_405_4f32.mul_add(t, -1.453_152);
    let series = series.mul_add(t, 1.421_413_7).mul_add(t, -0.284_496_74).mul_add(t, 0.254_829_6);
    0.5 * t * series * bell
}

/// Separation of two groups in standard deviations: |difference of means| / √(sum of variances).
pub fn separation(means: [f64; 2], sds: [f64; 2]) -> f64 {
    (means[0] - means[1]).abs() / sds[0].hypot(sds[1]).max(1e-12)
}

/// The first part of ventricles and of outer fluid.
pub const FLUID_PARTS: [usize; 2] = [Group::Ventricles.first(), Group::OuterFluid.first()];

#[cfg(test)]
mod tests {
    use statrs::distribution::{ContinuousCDF, Normal};

    use super::*;

    #[test]
    fn normal_probabilities_agree_with_statrs() {
        let normal = Normal::new(0.0, 1.0).unwrap();
        for (low, high) in [(-7.0, -1.0), (-2.0, -0.1), (-1.0, 2.5), (0.3, 0.9), (2.0, 8.0)] {
            let bell = |z: f32| (-0.5 * z * z).exp();
            let found = mass(low, bell(low), high, bell(high));
            let expected = normal.cdf(f64::from(high)) - normal.cdf(f64::from(low));
            assert!((f64::from(found) - expected).abs() < 3e-7, "{low} {high}: {found} {expected}");
        }
    }

    /// Against the integral over all parts.
    #[test]
    fn a_mixture_has_the_density_of_the_integral() {
        for (value, apart, sd) in
            [(3.0f32, 10.0f32, 1.5f32), (-1.0, 10.0, 2.0), (-4.0, -6.0, 2.5), (12.0, 10.0, 1.0)]
        {
            let (density, part) = mixture(value, apart, sd).unwrap();
            let steps = 20_000;
            let (mut sum, mut first) = (0.0f64, 0.0f64);
            for n in 0..steps {
                let f = (f64::from(n) + 0.5) / f64::from(steps);
                let z = (f64::from(value) - f * f64::from(apart)) / f64::from(sd);
                let p = (-0.5 * z * z).exp() * f64::from(HEIGHT) / f64::from(sd) / f64::from(steps);
                sum += p;
                first += p * f;
            }
            assert!((f64::from(density) / sum - 1.0).abs() < 1e-3, "{density} {sum}");
            assert!((f64::from(part) - first / sum).abs() < 1e-3, "{part} {}", first / sum);
        }
        assert!(mixture(100.0, 1.0, 0.5).is_none());
    }

    /// Half-way between two groups a voxel holds half of each; at a group's mean it is that group.
    #[test]
    fn a_voxel_between_fluid_and_white_matter_holds_both() {
        let expectation = Expectation::new(&[2.0; PARTS], 2.0, 0.0);
        let mut mean = [500.0; PARTS];
        let (fluid, white) = (Group::Ventricles, Group::WhiteMatter);
        (mean[fluid.first()], mean[white.first()]) = (0.0, 100.0);
        let mut prior = [0.0; GROUPS];
        (prior[fluid.index()], prior[white.index()]) = (0.5, 0.5);
        let fluid_at = |value: f32| {
            let held = expectation.of(value, &prior, &mean, &[1.0; PARTS]);
            assert!((held.fraction.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            held.fraction[fluid.index()]
        };
        assert!((fluid_at(50.0) - 0.5).abs() < 1e-3 && (fluid_at(25.0) - 0.75).abs() < 1e-3);
        assert!(fluid_at(0.0) > 0.99 && fluid_at(100.0) < 0.01);
    }
}
