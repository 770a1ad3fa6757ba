//! Radial sampling: spokes through DC at golden (Winkelmann 2007) or uniform angles.

use std::f64::consts::PI;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::plane::Plane;
use super::trajectory::{Trajectory, gridded};
use super::{Axis, Mask, PLANE, RADIAL, Seed};
use crate::error::{Error, Result};
use crate::random::{Purpose, stream};

/// Samples of a spoke for each place along the longest axis: as scanners oversample the readout, and close enough that
/// the gridded spoke has no gaps.
const OVERSAMPLING: usize = 2;

/// Spokes on the grid: every place that a sample of a spoke is nearest to.
///
/// Spokes end on the ellipse that the plane's extents inscribe, so that corners are never sampled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Radial {
    /// The number of spokes, or the acceleration that determines it.
    pub spokes: Spokes,
    /// The angles between spokes.
    #[serde(default = "usual_angles")]
    pub angles: Angles,
    /// Angle of the first spoke in degrees, from the second axis towards the first; drawn from the seed where none is
    /// given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_deg: Option<f64>,
    /// The plane.
    #[serde(default = "plane")]
    pub axes: [Axis; 2],
}

/// The number of spokes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spokes {
    /// As many as bring the gridded mask nearest to this acceleration.
    Acceleration(f64),
    /// This many.
    Number(usize),
}

/// The angles of spokes, over half a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Angles {
    /// Each (√5 − 1)/2 of half a turn, 111.25°, after the one before.
    Golden,
    /// Half a turn in equal parts.
    Uniform,
}

fn usual_angles() -> Angles {
    Angles::Golden
}

fn plane() -> [Axis; 2] {
    PLANE
}

impl Radial {
    /// The mask of a k-space of `shape` `[D, H, W]`; see [`Pattern::mask`](super::Pattern::mask).
    ///
    /// # Errors
    /// [`Error::Value`] as [`Pattern::mask`](super::Pattern::mask), for an acceleration that needs the corners, for no
    /// spoke, and for a start angle that is not finite.
    pub fn mask(&self, shape: [usize; 3], seed: &Seed) -> Result<Mask> {
        let plane = Plane::new(shape, &self.axes)?;
        let angles = self.choose(&plane, seed)?;
        let nominal = match self.spokes {
            Spokes::Acceleration(acceleration) => Some(acceleration),
            Spokes::Number(_) => None,
        };
        Ok(Mask { sampled: plane.spread(&gridded(&plane, &points(&plane, &angles))), nominal })
    }

    /// The true samples of the spokes that [`Radial::mask`] puts on the grid, spoke after spoke, with a ramp for
    /// density: each sample's area is its part of the ring, between half the angles to the neighbouring spokes.
    ///
    /// # Errors
    /// As [`Radial::mask`].
    pub fn trajectory(&self, shape: [usize; 3], seed: &Seed) -> Result<Trajectory> {
        let plane = Plane::new(shape, &self.axes)?;
        let angles = self.choose(&plane, seed)?;
        let shares = angular_shares(&angles);
        let ring = |at: f64| {
            // The ring's edges lie half a sample from its radius; of a spoke, each side of DC has one half.
            let (radius, step) = (at.abs(), 1.0 / samples(&plane) as f64);
            let inner = (radius - step).max(0.0);
            let outer = (radius + step).min(1.0);
            let halves = if radius < step { 2.0 } else { 1.0 };
            halves * (outer * outer - inner * inner) / 2.0
        };
        let places: Vec<f64> = along(&plane).map(ring).collect();
        let areas = shares.iter().flat_map(|share| places.iter().map(move |ring| share * ring));
        Ok(Trajectory::of(&plane, &points(&plane, &angles), areas))
    }

    /// The spokes' angles in radians.
    fn choose(&self, plane: &Plane, seed: &Seed) -> Result<Vec<f64>> {
        let phase = RADIAL + (plane.axis(0) * 3 + plane.axis(1)) as u64;
        let drawn = || PI * stream(seed.number(), 0, phase, 0, Purpose::Sampling).random::<f64>();
        let start = self.start_deg.map_or_else(drawn, f64::to_radians);
        if !start.is_finite() {
            return Err(Error::value("start_deg", "an angle", start.to_string(), "give degrees"));
        }
        let angles = |count: usize| -> Vec<f64> {
            let step = match self.angles {
                Angles::Golden => PI * (5f64.sqrt() - 1.0) / 2.0,
                Angles::Uniform => PI / count as f64,
            };
            (0..count).map(|spoke| start + spoke as f64 * step).collect()
        };
        let acceleration = match self.spokes {
            Spokes::Number(0) => {
                return Err(Error::value("spokes", "at least one", "0", "ask for a spoke or more"));
            }
            Spokes::Number(count) => return Ok(angles(count)),
            Spokes::Acceleration(acceleration) => acceleration,
        };
        let budget = plane.budget(acceleration)?;
        let measured = |count: usize| {
            gridded(plane, &points(plane, &angles(count))).iter().filter(|sampled| **sampled).count()
        };
        // The fewest spokes that reach the budget, between powers of two.
        let most = 8 * plane.longest();
        let mut enough = 1;
        while measured(enough) < budget {
            enough *= 2;
            if enough > most {
                let advice = "spokes leave the corners of k-space out: ask for a higher acceleration";
                let least = plane.places() as f64 / measured(most) as f64;
                return Err(Error::value(
                    "acceleration",
                    format!("{least:.2} or more"),
                    acceleration.to_string(),
                    advice,
                ));
            }
        }
        let mut few = enough / 2;
        while enough - few > 1 {
            let middle = few.midpoint(enough);
            if measured(middle) < budget { few = middle } else { enough = middle }
        }
        let off = |count: usize| measured(count).abs_diff(budget);
        Ok(angles(if few > 0 && off(few) < off(enough) { few } else { enough }))
    }
}

/// Samples of a spoke.
fn samples(plane: &Plane) -> usize {
    OVERSAMPLING * plane.longest()
}

/// The samples of a spoke from −1 up to below 1, DC among them, in units of its half length.
fn along(plane: &Plane) -> impl Iterator<Item = f64> + Clone + use<> {
    let count = samples(plane);
    (0..count).map(move |i| (i as f64 - (count / 2) as f64) / (count / 2) as f64)
}

/// The samples `[y, x]` of all spokes, in units of half of the plane's extents.
fn points(plane: &Plane, angles: &[f64]) -> Vec<[f64; 2]> {
    let along = along(plane);
    let spoke = |angle: &f64| {
        let (sin, cos) = angle.sin_cos();
        along.clone().map(move |at| [at * sin, at * cos])
    };
    angles.iter().flat_map(spoke).collect()
}

/// For each spoke half the angle between its neighbours; all make half a turn.
fn angular_shares(angles: &[f64]) -> Vec<f64> {
    let folded: Vec<f64> = angles.iter().map(|angle| angle.rem_euclid(PI)).collect();
    let mut order: Vec<usize> = (0..angles.len()).collect();
    order.sort_by(|&a, &b| folded[a].total_cmp(&folded[b]));
    let count = order.len();
    let mut shares = vec![PI; count];
    if count > 1 {
        for (i, &spoke) in order.iter().enumerate() {
            let (before, after) = (order[(i + count - 1) % count], order[(i + 1) % count]);
            let gap = |from: usize, to: usize| (folded[to] - folded[from]).rem_euclid(PI);
            // Two spokes are each other's neighbours on both sides.
            shares[spoke] = (gap(before, spoke) + gap(spoke, after)) / 2.0;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn radial(spokes: Spokes, angles: Angles) -> Radial {
        Radial { spokes, angles, start_deg: Some(0.0), axes: PLANE }
    }

    #[test]
    fn the_densities_make_up_the_ellipse() {
        for angles in [Angles::Golden, Angles::Uniform] {
            for (shape, count) in [([1, 64, 64], 1), ([1, 48, 96], 2), ([3, 31, 45], 21)] {
                let trajectory = radial(Spokes::Number(count), angles).trajectory(shape, &0.into()).unwrap();
                assert_eq!(trajectory.points.nrows(), count * 2 * shape[1].max(shape[2]));
                let area: f64 = trajectory.density.iter().map(|&area| f64::from(area)).sum();
                let [h, w] = [shape[1], shape[2]].map(|n| n as f64 / 2.0);
                // The last sample of a spoke, one step below its end, stands for a ring of half a step less on one
                // side: no more than a part in the number of samples.
                let missing = 1.0 / shape[1].max(shape[2]) as f64;
                let whole = PI * h * w;
                assert!(
                    area <= whole * (1.0 + 1e-6) && area > whole * (1.0 - missing),
                    "{shape:?}: {area}, {whole}"
                );
            }
        }
    }

    #[test]
    fn golden_spokes_are_apart_by_the_golden_angle_and_weighed_by_a_ramp() {
        let trajectory =
            radial(Spokes::Number(3), Angles::Golden).trajectory([1, 64, 64], &0.into()).unwrap();
        for spoke in 0..3 {
            let points = trajectory.points.slice(ndarray::s![spoke * 128..(spoke + 1) * 128, ..]);
            let angle = (points[(0, 1)].atan2(points[(0, 2)])).to_degrees();
            let expected = (180.0 + 111.246_12 * spoke as f32).rem_euclid(360.0);
            assert!((angle.rem_euclid(360.0) - expected).abs() < 1e-3, "{angle}, {expected}");
            assert_eq!(points.row(64).to_vec(), [0.0; 3]);
            let density = &trajectory.density[spoke * 128..(spoke + 1) * 128];
            for i in 66..127 {
                let ratio = density[i] / density[65];
                assert!((ratio - (i - 64) as f32).abs() < 1e-3, "{i}: {ratio}");
            }
        }
    }

    #[test]
    fn a_spoke_on_an_axis_is_that_axis() {
        let mask = radial(Spokes::Number(2), Angles::Uniform).mask([1, 16, 12], &0.into()).unwrap().sampled;
        assert!(mask.indexed_iter().all(|((_, h, w), &sampled)| sampled == (h == 8 || w == 6)));
    }
}
