//! Places drawn with a Gaussian density about DC, along one axis or over two or three.
//!
//! Exactly `round(places / R)` places are sampled: the calibration region, and of the rest a draw without replacement
//! whose chances go with the density. Such a draw is the places with the largest `ln w + G`, G a standard Gumbel number
//! for each (the Gumbel form of Efraimidis & Spirakis 2006, "Weighted random sampling with a reservoir").

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::plane::{Plane, beyond_budget};
use super::{Axis, GAUSSIAN, Mask, Seed};
use crate::error::{Error, Result};
use crate::random::{Purpose, stream};

/// Variable-density sampling with a Gaussian density.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gaussian {
    /// Places over samples.
    pub acceleration: f64,
    /// Widths in places of the fully sampled centre, one an axis.
    pub calibration: Vec<usize>,
    /// Standard deviation of the density, as a part of each axis' length.
    #[serde(default = "usual_deviation")]
    pub deviation: f64,
    /// One axis: lines; two: points of a plane; three: of the volume.
    #[serde(default = "columns_axis")]
    pub axes: Vec<Axis>,
}

fn usual_deviation() -> f64 {
    0.2
}

fn columns_axis() -> Vec<Axis> {
    vec![Axis::W]
}

impl Gaussian {
    /// Columns, with the usual deviation.
    pub fn columns(acceleration: f64, calibration: usize) -> Self {
        let (calibration, axes) = (vec![calibration], columns_axis());
        Self { acceleration, calibration, deviation: usual_deviation(), axes }
    }

    /// Points of the plane of H and W, with the usual deviation.
    pub fn points(acceleration: f64, calibration: [usize; 2]) -> Self {
        let (calibration, axes) = (calibration.to_vec(), super::PLANE.to_vec());
        Self { acceleration, calibration, deviation: usual_deviation(), axes }
    }

    /// The mask of a k-space of `shape` `[D, H, W]`; see [`Pattern::mask`](super::Pattern::mask).
    ///
    /// # Errors
    /// [`Error::Value`] as [`Pattern::mask`](super::Pattern::mask), and for a deviation that is not above zero.
    pub fn mask(&self, shape: [usize; 3], seed: &Seed) -> Result<Mask> {
        let plane = Plane::new(shape, &self.axes)?;
        let (budget, centre) = (plane.budget(self.acceleration)?, plane.centre(&self.calibration)?);
        if !(self.deviation > 0.0 && self.deviation.is_finite()) {
            let advice = "give the density's standard deviation as a part of the axis, such as 0.2";
            return Err(Error::value("deviation", "a number above 0", self.deviation.to_string(), advice));
        }
        let phase = GAUSSIAN + self.axes.iter().map(|&axis| 1 << axis as u64).sum::<u64>();
        let mut rng = stream(seed.number(), 0, phase, 0, Purpose::Sampling);
        let mut sampled = vec![false; plane.places()];
        let mut keys = Vec::with_capacity(plane.places());
        for (place, sampled) in sampled.iter_mut().enumerate() {
            // 53 bits and never zero, so that the logarithms are finite.
            let uniform = ((rng.random::<u64>() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
            *sampled = plane.within(&centre, place);
            if !*sampled {
                let squares = plane.position(place).into_iter().zip(&plane.extents).map(|(i, &n)| {
                    let from_dc = (i as f64 - (n / 2) as f64) / n as f64;
                    (from_dc / self.deviation).powi(2)
                });
                keys.push((-0.5 * squares.sum::<f64>() - (-uniform.ln()).ln(), place));
            }
        }
        let calibration = plane.places() - keys.len();
        let drawn = budget.checked_sub(calibration).ok_or_else(|| beyond_budget(calibration, budget))?;
        if drawn > 0 && drawn < keys.len() {
            keys.select_nth_unstable_by(drawn - 1, |a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        }
        keys[..drawn].iter().for_each(|&(_, place)| sampled[place] = true);
        Ok(Mask { sampled: plane.spread(&sampled), nominal: Some(self.acceleration) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of many draws of few columns, the share that lies within one and two deviations is a normal distribution's.
    #[test]
    fn the_density_is_gaussian() {
        let pattern = Gaussian { deviation: 0.1, ..Gaussian::columns(1000.0, 0) };
        let mut distances: Vec<f64> = Vec::new();
        for seed in 0..2000 {
            let mask = pattern.mask([1, 1, 2000], &seed.into()).unwrap().sampled;
            let columns = mask.iter().enumerate().filter(|(_, sampled)| **sampled);
            distances.extend(columns.map(|(w, _)| (w as f64 - 1000.0).abs() / 200.0));
        }
        assert_eq!(distances.len(), 4000);
        for (deviations, expected) in [(1.0, 0.6827), (2.0, 0.9545)] {
            let share = distances.iter().filter(|d| **d <= deviations).count() as f64 / 4000.0;
            // Four standard errors.
            let error = 4.0 * (expected * (1.0_f64 - expected) / 4000.0).sqrt();
            assert!((share - expected).abs() < error, "{deviations}: {share}");
        }
    }
}
