//! Noise of the receiver: Gaussian in the complex image, Rician in its magnitude.

use rand::Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Degraded, NOISE_IMAGINARY, NOISE_REAL, check, uniform};
use crate::error::{Error, Result};
use crate::random::{Purpose, normal_field, stream};
use crate::volume::Volume;
use crate::volume::intensity::foreground;

/// Ranges of [`Noise`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomNoise {
    /// Rician or Gaussian.
    pub distribution: Distribution,
    /// The strength.
    pub level: NoiseLevel,
}

impl Default for RandomNoise {
    fn default() -> Self {
        Self { distribution: Distribution::Rician, level: NoiseLevel::Snr([10.0, 40.0]) }
    }
}

/// The strength of noise, as a range of one of three measures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoiseLevel {
    /// Signal-to-noise ratio: the reference intensity divided by σ. The reference is the mean of the foreground (Otsu).
    Snr([f64; 2]),
    /// σ as a part of the reference intensity.
    Relative([f64; 2]),
    /// σ in the volume's own units.
    Sigma([f64; 2]),
}

/// The distribution of a voxel's intensity A with noise n₁, n₂ ~ N(0, σ²).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// `|A + n₁ + i·n₂|`: the magnitude of a complex image (Gudbjartsson & Patz 1995, "The Rician distribution of noisy
    /// MRI data").
    #[default]
    Rician,
    /// `A + n₁`, each channel by itself: complex Gaussian noise where two channels are real and imaginary part.
    Gaussian,
}

impl Distribution {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rician => "Rician",
            Self::Gaussian => "Gaussian",
        }
    }
}

/// White noise of known strength over all voxels and channels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    /// Rician or Gaussian.
    pub distribution: Distribution,
    /// Standard deviation of each of the two parts, in the volume's units.
    pub sigma: f64,
    /// The reference intensity that σ was computed from; `None` for [`NoiseLevel::Sigma`].
    pub reference: Option<f64>,
    /// Seed of the noise.
    pub seed: u64,
}

impl RandomNoise {
    /// Draws σ and the noise's seed.
    ///
    /// # Errors
    /// [`Error::Value`] for invalid ranges, or a volume without a foreground for the reference.
    pub fn draw(&self, volume: &Volume, rng: &mut impl Rng) -> Result<Noise> {
        let positive = [f64::MIN_POSITIVE, f64::INFINITY];
        let reference = match self.level {
            NoiseLevel::Sigma(_) => None,
            _ => Some(foreground_mean(volume)?),
        };
        let sigma = match (self.level, reference.unwrap_or(1.0)) {
            (NoiseLevel::Snr(range), reference) => reference / uniform("level.snr", range, positive, rng)?,
            (NoiseLevel::Relative(range), reference) => {
                reference * uniform("level.relative", range, [0.0, f64::INFINITY], rng)?
            }
            (NoiseLevel::Sigma(range), _) => uniform("level.sigma", range, [0.0, f64::INFINITY], rng)?,
        };
        Ok(Noise { distribution: self.distribution, sigma, reference, seed: rng.next_u64() })
    }
}

impl Noise {
    /// The volume with noise.
    ///
    /// # Errors
    /// [`Error::Value`] for a σ that is negative or not finite.
    pub fn apply(&self, volume: &Volume) -> Result<Degraded> {
        check("sigma", self.sigma, [0.0, f64::MAX])?;
        let sigma = self.sigma as f32;
        let field =
            |site: u64| normal_field(&stream(self.seed, 0, site, 0, Purpose::Degradation), volume.data.len());
        let mut degraded =
            volume.clone().with_step(format!("{} noise, sigma {:.6}", self.distribution.name(), self.sigma));
        let mut data = degraded.data.as_standard_layout().into_owned();
        let voxels = data.as_slice_mut().expect("an array in standard layout is contiguous");
        let along = voxels.par_iter_mut().zip(field(NOISE_REAL));
        match self.distribution {
            Distribution::Gaussian => along.for_each(|(voxel, n)| *voxel += sigma * n),
            Distribution::Rician => along.zip(field(NOISE_IMAGINARY)).for_each(|((voxel, n), across)| {
                *voxel = (*voxel + sigma * n).hypot(sigma * across);
            }),
        }
        degraded.data = data;
        Ok(Degraded { volume: degraded, displaced_energy: None })
    }
}

/// Mean modulus of the voxels brighter than Otsu's threshold, over all channels.
fn foreground_mean(volume: &Volume) -> Result<f64> {
    let mask = foreground(volume);
    let values = volume.data.outer_iter().flat_map(|channel| channel.into_iter().zip(&mask));
    let (sum, count) = values
        .filter(|(value, inside)| **inside && value.is_finite())
        .fold((0.0, 0_u64), |(sum, count), (value, _)| (sum + f64::from(value.abs()), count + 1));
    if sum > 0.0 {
        return Ok(sum / count as f64);
    }
    let advice = "give the noise as sigma, in the volume's own units";
    Err(Error::value("level", "a volume with a foreground, to reckon from", "one without contrast", advice))
}
