//! Spikes in k-space: stripes over the whole image (herringbone), from sparks and loose connections.

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::spectrum::through_kspace;
use super::{Component, Degraded, check, uniform, whole};
use crate::acquisition::Complex32;
use crate::error::Result;
use crate::volume::Volume;

/// Ranges of [`Spikes`], those of torchio's `RandomSpike`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomSpikes {
    /// Range of the number of spikes, `[1, 1]` by default.
    pub count: [usize; 2],
    /// Range of the strength, `[1, 3]` by default; negative ones are spikes of the other sign.
    pub strength: [f64; 2],
    /// Magnitude or real part.
    pub component: Component,
}

impl Default for RandomSpikes {
    fn default() -> Self {
        Self { count: [1, 1], strength: [1.0, 3.0], component: Component::Magnitude }
    }
}

/// Single places of k-space to which `strength · max |k|` is added, with the maximum over the k-space without spikes.
/// (torchio takes the maximum over the k-space with the preceding spikes, which is the same for one spike.)
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spikes {
    /// Positions as parts of the extent of k-space along `(i, j, k)`, 0 to 1, with DC at about one half.
    pub positions: Vec<[f64; 3]>,
    /// Height, relative to the greatest modulus of k-space.
    pub strength: f64,
    /// Magnitude or real part.
    pub component: Component,
}

impl RandomSpikes {
    /// Draws positions, uniformly over k-space, and one strength for all.
    ///
    /// # Errors
    /// [`Error::Value`](crate::error::Error::Value) for invalid ranges.
    pub fn draw(&self, rng: &mut impl Rng) -> Result<Spikes> {
        let count = whole("count", self.count, 0, rng)?;
        check("count", count as f64, [0.0, 1e6])?;
        let strength = uniform("strength", self.strength, [f64::NEG_INFINITY, f64::INFINITY], rng)?;
        let positions = (0..count).map(|_| [0; 3].map(|_| rng.random())).collect();
        Ok(Spikes { positions, strength, component: self.component })
    }
}

impl Spikes {
    /// The volume with spikes.
    ///
    /// # Errors
    /// [`Error::Value`](crate::error::Error::Value) for parameters out of their ranges, as in a damaged record.
    pub fn apply(&self, volume: &Volume) -> Result<Degraded> {
        check("strength", self.strength, [f64::MIN, f64::MAX])?;
        self.positions.iter().flatten().try_for_each(|&part| check("positions", part, [0.0, 1.0]))?;
        let dims = volume.dims();
        let at = |position: &[f64; 3]| {
            [2, 1, 0].map(|a| ((position[a] * dims[a] as f64) as usize).min(dims[a].saturating_sub(1)))
        };
        let mut degraded = through_kspace(volume, &[0, 1, 2], self.component, |_, mut k| {
            let greatest = k.iter().fold(0f32, |greatest, z| greatest.max(z.norm_sqr())).sqrt();
            let height = Complex32::new(self.strength as f32 * greatest, 0.0);
            self.positions.iter().for_each(|position| k[&at(position)[..]] += height);
            Ok(k)
        })?;
        let step = format!("{} spikes in k-space, strength {:.3}", self.positions.len(), self.strength);
        degraded.volume = degraded.volume.with_step(step);
        Ok(degraded)
    }
}
