//! Spiral sampling: interleaved spirals whose radius grows with a power of the angle (Kim 2003, "Simple analytic
//! variable density spiral design", without its limits of gradient and slew rate).

use std::f64::consts::{PI, TAU};

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::plane::Plane;
use super::trajectory::{Trajectory, gridded};
use super::{Axis, Mask, PLANE, SPIRAL, Seed};
use crate::error::{Error, Result};
use crate::random::{Purpose, stream};

/// Distance of samples along a spiral, in places of the longest axis: close enough that the gridded spiral has no gaps.
const STEP: f64 = 0.5;

/// Spirals on the grid: every place that a sample is nearest to.
///
/// With τ from 0 to 1, an interleaf is at radius τᵅ and angle 2π·turns·τ, within the ellipse that the plane's extents
/// inscribe; corners are never sampled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spiral {
    /// The turns of each interleaf, or the acceleration that determines them.
    pub turns: Turns,
    /// The number of spirals, rotated against each other by equal angles.
    #[serde(default = "usual_interleaves")]
    pub interleaves: usize,
    /// α: one is an Archimedean spiral of equal distances, more is denser at the centre.
    #[serde(default = "usual_exponent")]
    pub exponent: f64,
    /// Angle in degrees at which the first interleaf begins, from the second axis towards the first; drawn from the
    /// seed where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_deg: Option<f64>,
    /// The plane.
    #[serde(default = "plane")]
    pub axes: [Axis; 2],
}

/// The turns of an interleaf; fractions are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Turns {
    /// As many as bring the gridded mask to this acceleration.
    Acceleration(f64),
    /// This many.
    Number(f64),
}

fn usual_interleaves() -> usize {
    8
}

fn usual_exponent() -> f64 {
    1.5
}

fn plane() -> [Axis; 2] {
    PLANE
}

/// A spiral whose every parameter is known.
struct Drawn {
    plane: Plane,
    interleaves: usize,
    exponent: f64,
    start: f64,
}

impl Spiral {
    /// A spiral in H and W with this acceleration, the default interleaves and exponent, at a drawn angle.
    pub fn new(acceleration: f64) -> Self {
        Self {
            turns: Turns::Acceleration(acceleration),
            interleaves: usual_interleaves(),
            exponent: usual_exponent(),
            start_deg: None,
            axes: PLANE,
        }
    }

    /// The mask of a k-space of `shape` `[D, H, W]`; see [`Pattern::mask`](super::Pattern::mask).
    ///
    /// # Errors
    /// [`Error::Value`] as [`Pattern::mask`](super::Pattern::mask), for an acceleration that needs the corners, and for
    /// interleaves, turns or an exponent of zero.
    pub fn mask(&self, shape: [usize; 3], seed: &Seed) -> Result<Mask> {
        let (spiral, turns) = self.choose(shape, seed)?;
        let nominal = match self.turns {
            Turns::Acceleration(acceleration) => Some(acceleration),
            Turns::Number(_) => None,
        };
        let sampled = gridded(&spiral.plane, &spiral.points(&spiral.parameters(turns), turns));
        Ok(Mask { sampled: spiral.plane.spread(&sampled), nominal })
    }

    /// The true samples of the spirals that [`Spiral::mask`] puts on the grid, interleaf after interleaf; each sample's
    /// area is its part of the ring between its neighbours' radii.
    ///
    /// # Errors
    /// As [`Spiral::mask`].
    pub fn trajectory(&self, shape: [usize; 3], seed: &Seed) -> Result<Trajectory> {
        let (spiral, turns) = self.choose(shape, seed)?;
        let parameters = spiral.parameters(turns);
        let edge = |i: usize| match i {
            0 => 0.0,
            i if i == parameters.len() => 1.0,
            i => parameters[i - 1].midpoint(parameters[i]).powf(self.exponent),
        };
        let rings = (0..parameters.len()).map(|i| {
            let (inner, outer) = (edge(i), edge(i + 1));
            PI * (outer * outer - inner * inner) / self.interleaves as f64
        });
        let rings: Vec<f64> = rings.collect();
        let areas = (0..self.interleaves).flat_map(|_| rings.iter().copied());
        Ok(Trajectory::of(&spiral.plane, &spiral.points(&parameters, turns), areas))
    }

    fn choose(&self, shape: [usize; 3], seed: &Seed) -> Result<(Drawn, f64)> {
        let plane = Plane::new(shape, &self.axes)?;
        let phase = SPIRAL + (plane.axis(0) * 3 + plane.axis(1)) as u64;
        let drawn = || TAU * stream(seed.number(), 0, phase, 0, Purpose::Sampling).random::<f64>();
        let start = self.start_deg.map_or_else(drawn, f64::to_radians);
        let refuse = |key: &str, expected: &str, found: String| {
            Err(Error::value(key, expected, found, "correct the spiral's parameters"))
        };
        if !start.is_finite() {
            return refuse("start_deg", "an angle", start.to_string());
        }
        if !(1..=plane.longest()).contains(&self.interleaves) {
            return refuse("interleaves", "1 to the longest axis", self.interleaves.to_string());
        }
        if !(1.0..=4.0).contains(&self.exponent) {
            return refuse("exponent", "1 (equal distances) to 4", self.exponent.to_string());
        }
        // Beyond this, turns are closer than places.
        let most = 4.0 * plane.longest() as f64;
        if let Turns::Number(turns) = self.turns
            && !(turns > 0.0 && turns <= most)
        {
            return refuse("turns", &format!("above 0, {most} at most"), turns.to_string());
        }
        let spiral = Drawn { plane, interleaves: self.interleaves, exponent: self.exponent, start };
        let turns = match self.turns {
            Turns::Number(turns) => turns,
            Turns::Acceleration(acceleration) => spiral.turns(acceleration, most)?,
        };
        Ok((spiral, turns))
    }
}

impl Drawn {
    /// The turns that bring the gridded mask nearest to an acceleration, by bisection.
    fn turns(&self, acceleration: f64, most: f64) -> Result<f64> {
        let budget = self.plane.budget(acceleration)?;
        let measured = |turns: f64| {
            let sampled = gridded(&self.plane, &self.points(&self.parameters(turns), turns));
            sampled.into_iter().filter(|sampled| *sampled).count()
        };
        let (mut few, mut enough) = (0.0, 1.0);
        while measured(enough) < budget {
            if enough > most {
                let advice = "spirals leave the corners of k-space out: ask for a higher acceleration";
                let least = self.plane.places() as f64 / measured(enough) as f64;
                let found = acceleration.to_string();
                return Err(Error::value("acceleration", format!("{least:.2} or more"), found, advice));
            }
            (few, enough) = (enough, 2.0 * enough);
        }
        // The count rises with the turns but for a few places, which the nearest of all tries makes up for.
        let (mut best, mut off) = (enough, usize::MAX);
        for _ in 0..24 {
            let turns = few.midpoint(enough);
            let count = measured(turns);
            if count.abs_diff(budget) < off {
                (best, off) = (turns, count.abs_diff(budget));
            }
            if off <= budget / 1000 {
                break;
            }
            if count < budget { few = turns } else { enough = turns }
        }
        Ok(best)
    }

    /// τ of an interleaf's samples, at most [`STEP`] apart along the spiral.
    fn parameters(&self, turns: f64) -> Vec<f64> {
        let (half, alpha) = (self.plane.longest() as f64 / 2.0, self.exponent);
        let step = |tau: f64| {
            let (along, around) = (alpha * tau.powf(alpha - 1.0), TAU * turns * tau.powf(alpha));
            STEP / half / along.hypot(around)
        };
        let first = (STEP / half).powf(1.0 / alpha);
        let mut parameters = vec![0.0];
        let mut tau = 0.0;
        loop {
            // The speed grows along the spiral: that at the end of the step keeps within the distance.
            let ahead = step(tau).min(first);
            tau += step(tau + ahead).min(ahead);
            if tau >= 1.0 {
                return parameters;
            }
            parameters.push(tau);
        }
    }

    /// The samples `[y, x]` of all interleaves, in units of half of the plane's extents.
    fn points(&self, parameters: &[f64], turns: f64) -> Vec<[f64; 2]> {
        let first: Vec<[f64; 2]> = parameters
            .iter()
            .map(|&tau| {
                let (sin, cos) = (self.start + TAU * turns * tau).sin_cos();
                let radius = tau.powf(self.exponent);
                [radius * sin, radius * cos]
            })
            .collect();
        let turned = |interleaf: usize| {
            let (sin, cos) = (TAU * interleaf as f64 / self.interleaves as f64).sin_cos();
            first.iter().map(move |[y, x]| [y * cos + x * sin, x * cos - y * sin])
        };
        (0..self.interleaves).flat_map(turned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_densities_make_up_the_ellipse_and_samples_follow_each_other_closely() {
        for (shape, interleaves, exponent) in
            [([1, 64, 64], 4, 1.0), ([1, 48, 96], 1, 1.5), ([3, 31, 45], 7, 2.5)]
        {
            let turns = Turns::Number(5.3);
            let spiral = Spiral { turns, interleaves, exponent, ..Spiral::new(4.0) };
            let trajectory = spiral.trajectory(shape, &1.into()).unwrap();
            let area: f64 = trajectory.density.iter().map(|&area| f64::from(area)).sum();
            let whole = PI * (shape[1] * shape[2]) as f64 / 4.0;
            assert!((area / whole - 1.0).abs() < 1e-5, "{area}, {whole}");
            let count = trajectory.points.nrows() / interleaves;
            for i in (0..trajectory.points.nrows() - 1).filter(|i| !(i + 1).is_multiple_of(count)) {
                let apart: f32 = (0..3)
                    .map(|axis| (trajectory.points[(i + 1, axis)] - trajectory.points[(i, axis)]).powi(2))
                    .sum();
                assert!(apart.sqrt() < 0.51, "{i}: {apart}");
            }
            // On the curve: the radius in units of the ellipse gives the angle.
            for i in 0..count {
                let half = |axis: usize| shape[axis] as f64 / 2.0;
                let (y, x) = (
                    f64::from(trajectory.points[(i, 1)]) / half(1),
                    f64::from(trajectory.points[(i, 2)]) / half(2),
                );
                let tau = y.hypot(x).powf(1.0 / exponent);
                let first = (f64::from(trajectory.points[(1, 1)]) / half(1))
                    .atan2(f64::from(trajectory.points[(1, 2)]) / half(2));
                let tau_first = (f64::from(trajectory.points[(1, 1)]) / half(1))
                    .hypot(f64::from(trajectory.points[(1, 2)]) / half(2))
                    .powf(1.0 / exponent);
                let angle = (y.atan2(x) - first - TAU * 5.3 * (tau - tau_first)).rem_euclid(TAU);
                assert!(i == 0 || angle.min(TAU - angle) < 1e-3, "{i}: {angle}");
            }
        }
    }
}
