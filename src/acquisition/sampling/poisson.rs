//! Poisson-disc sampling of variable density: random, but no two samples close together (Bridson 2007; Lustig 2007), so
//! that aliases are incoherent and neighbouring samples are not redundant.
//!
//! The grid's places are tried in one random order; a place that is taken blocks all places nearer than its radius or
//! theirs. That is dart throwing with every place as a dart, so that it ends with a maximal set after one pass, each
//! place is blocked a few times only, and nothing is searched. One order serves all radii, so that the scale of the
//! radii which leaves the number of samples asked for is found in a few passes; the last few samples beyond the number
//! are dropped, which makes the acceleration exact.

use std::ops::Range;

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::plane::{Plane, beyond_budget};
use super::{Axis, Mask, PLANE, POISSON, Seed};
use crate::error::{Error, Result};
use crate::random::{Purpose, stream};

/// Samples per area of a squared radius that a pass leaves: the jamming density of random sequential packing of discs
/// (0.547) over the area of a disc of half the radius. A first guess only.
const JAMMED: f64 = 0.7;
/// Share of the samples that may be given up at the end.
const SURPLUS: f64 = 0.004;
/// Relative difference of scales below which the number goes by jumps, as it does where many places have one radius.
const FINEST: f32 = 1e-3;
/// Passes over the places, at most; four or five are usual.
const PASSES: usize = 24;

/// A Poisson disc over two axes, around a fully sampled centre.
///
/// At distance k from the calibration region (one at the ends of the axes) the radius is s·(1 + falloff·k); s is found
/// from the acceleration. Distances and radii are in places of the longer axis; where the extents differ, discs are
/// ellipses of the plane's proportions, as equal voxels ask for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Poisson {
    /// Places over samples, all of the grid counted.
    pub acceleration: f64,
    /// Widths in places of the fully sampled centre.
    pub calibration: [usize; 2],
    /// How much the radius grows from the calibration region to the ends of the axes; zero is an even density.
    #[serde(default = "usual_falloff")]
    pub falloff: f64,
    /// Whether places outside the ellipse that the plane's extents inscribe are left out.
    #[serde(default = "usual_corners")]
    pub crop_corners: bool,
    /// The plane.
    #[serde(default = "plane")]
    pub axes: [Axis; 2],
}

fn usual_falloff() -> f64 {
    2.0
}

fn usual_corners() -> bool {
    true
}

fn plane() -> [Axis; 2] {
    PLANE
}

impl Poisson {
    /// A plane of H and W with cropped corners and the usual falloff.
    pub fn new(acceleration: f64, calibration: [usize; 2]) -> Self {
        Self {
            acceleration,
            calibration,
            falloff: usual_falloff(),
            crop_corners: usual_corners(),
            axes: PLANE,
        }
    }

    /// The mask of a k-space of `shape` `[D, H, W]`; see [`Pattern::mask`](super::Pattern::mask).
    ///
    /// # Errors
    /// [`Error::Value`] as [`Pattern::mask`](super::Pattern::mask), for an acceleration that needs the cropped corners,
    /// and for a falloff that is negative or beyond 100.
    pub fn mask(&self, shape: [usize; 3], seed: &Seed) -> Result<Mask> {
        let plane = Plane::new(shape, &self.axes)?;
        let (sampled, _) = self.sample(&plane, seed)?;
        Ok(Mask { sampled: plane.spread(&sampled), nominal: Some(self.acceleration) })
    }

    /// The places of the plane, and the scale s of the radii.
    fn sample(&self, plane: &Plane, seed: &Seed) -> Result<(Vec<bool>, f32)> {
        let (budget, centre) = (plane.budget(self.acceleration)?, plane.centre(&self.calibration)?);
        if !(0.0..=100.0).contains(&self.falloff) {
            let advice = "give the growth of the radius, such as 2; 0 is an even density";
            return Err(Error::value("falloff", "0 to 100", self.falloff.to_string(), advice));
        }
        let calibration = centre.iter().map(Range::len).product();
        let target = budget.checked_sub(calibration).ok_or_else(|| beyond_budget(calibration, budget))?;
        let field = Field::new(self, plane);
        let mut sampled = vec![false; plane.places()];
        let mut order = Vec::with_capacity(plane.places());
        let columns = plane.extents[1];
        for y in 0..plane.extents[0] {
            for x in 0..columns {
                if centre[0].contains(&y) && centre[1].contains(&x) {
                    sampled[y * columns + x] = true;
                } else if !self.crop_corners || field.in_ellipse(y, x) {
                    order.push((y * columns + x) as u32);
                }
            }
        }
        if order.len() < target {
            let least = plane.places() as f64 / (order.len() + calibration) as f64;
            let advice = "ask for a higher acceleration, or keep the corners";
            let found = self.acceleration.to_string();
            return Err(Error::value("acceleration", format!("{least:.3} or more"), found, advice));
        }
        let phase = POISSON + (plane.axis(0) * 3 + plane.axis(1)) as u64;
        order.shuffle(&mut stream(seed.number(), 0, phase, 0, Purpose::Sampling));
        let (taken, scale) = field.fill(&order, target);
        taken.iter().for_each(|&place| sampled[place as usize] = true);
        Ok((sampled, scale))
    }
}

/// The plane with the radius of each of its places, but for the scale.
struct Field {
    /// Places along both axes.
    extents: [usize; 2],
    /// Length of a step along each axis, in places of the longer one.
    steps: [f32; 2],
    /// Squares of 1 + falloff·k.
    growth_squared: Vec<f32>,
    /// By how much 1 + falloff·k grows over a distance of one, at most.
    slope: f32,
}

impl Field {
    fn new(pattern: &Poisson, plane: &Plane) -> Self {
        let extents = [plane.extents[0], plane.extents[1]];
        let longest = plane.longest() as f64;
        // Along an axis, k of every index, and how much it changes from place to place.
        let along = |axis: usize| {
            let (half, core) = (extents[axis] as f64 / 2.0, pattern.calibration[axis] as f64 / 2.0);
            let reach = (half - core).max(0.5);
            let distance =
                |index: usize| ((index as f64 - (extents[axis] / 2) as f64).abs() - core).max(0.0) / reach;
            ((0..extents[axis]).map(distance).collect::<Vec<f64>>(), 1.0 / reach)
        };
        let ((rows, row_rise), (columns, column_rise)) = (along(0), along(1));
        let growth = |y: &f64, x: &f64| (1.0 + pattern.falloff * (y * y + x * x).sqrt()).powi(2) as f32;
        let steps = extents.map(|n| longest / n as f64);
        Self {
            extents,
            steps: steps.map(|step| step as f32),
            growth_squared: rows.iter().flat_map(|y| columns.iter().map(move |x| growth(y, x))).collect(),
            slope: (pattern.falloff * (row_rise / steps[0]).max(column_rise / steps[1])) as f32,
        }
    }

    fn in_ellipse(&self, y: usize, x: usize) -> bool {
        let squares = [y, x].into_iter().zip(self.extents).map(|(index, n)| {
            let from_dc = 2.0 * (index as f32 - (n / 2) as f32) / n as f32;
            from_dc * from_dc
        });
        squares.sum::<f32>() <= 1.0
    }

    /// `target` places of `order`, none nearer to another than the radius of either, and the scale of the radii.
    fn fill(&self, order: &[u32], target: usize) -> (Vec<u32>, f32) {
        let room: f64 = order.iter().map(|&place| 1.0 / f64::from(self.growth_squared[place as usize])).sum();
        let enough = target + (SURPLUS * target as f64) as usize;
        // Scales that leave too many samples, and too few; the best of the first kind.
        let (mut low, mut high) = (0.0_f32, f32::INFINITY);
        let mut best = order.to_vec();
        let mut scale = (JAMMED * room / target.max(1) as f64).sqrt() as f32;
        let mut blocked = vec![false; self.growth_squared.len()];
        for _ in 0..PASSES {
            if best.len() <= enough {
                break;
            }
            let taken = self.pass(order, scale, &mut blocked);
            // Where the number goes with the inverse square, this leaves half of the surplus.
            let wanted = target.midpoint(enough).max(1) as f32;
            let guess = scale * (taken.len() as f32 / wanted).sqrt();
            if taken.len() >= target {
                (low, best) = (scale, taken);
            } else {
                high = scale;
            }
            let within = guess > low && guess < high;
            scale = match high.is_finite() {
                _ if within => guess,
                true => low.midpoint(high),
                false => 2.0 * scale,
            };
            if high - low <= FINEST * low {
                break;
            }
        }
        best.truncate(target);
        (best, low)
    }

    /// The places that one pass takes, in order.
    fn pass(&self, order: &[u32], scale: f32, blocked: &mut [bool]) -> Vec<u32> {
        blocked.fill(false);
        let mut taken = Vec::new();
        for &place in order {
            if !blocked[place as usize] {
                taken.push(place);
                self.block(place as usize, scale, blocked);
            }
        }
        taken
    }

    /// Blocks what is nearer to `place` than the larger of both radii.
    fn block(&self, place: usize, scale: f32, blocked: &mut [bool]) {
        let [rows, columns] = self.extents;
        let (y, x) = (place / columns, place % columns);
        let own = self.growth_squared[place];
        // A place at distance d has a radius of at most s·(growth + slope·d), which is below d from here on.
        let shrink = 1.0 - scale * self.slope;
        let reach = if shrink > 0.0 { scale * own.sqrt() / shrink } else { f32::INFINITY };
        let reach_y = (reach / self.steps[0]) as usize;
        let per_scale = [0, 1].map(|axis| (self.steps[axis] / scale).powi(2));
        for to_y in y.saturating_sub(reach_y)..rows.min(y.saturating_add(reach_y).saturating_add(1)) {
            let dy = to_y.abs_diff(y) as f32;
            let left = reach * reach - (dy * self.steps[0]).powi(2);
            let reach_x = (left.max(0.0).sqrt() / self.steps[1]) as usize;
            let row = to_y * columns;
            let range = row + x.saturating_sub(reach_x)
                ..row + columns.min(x.saturating_add(reach_x).saturating_add(1));
            let dy_squared = dy * dy * per_scale[0];
            let from = range.start - row;
            let targets = blocked[range.clone()].iter_mut().zip(&self.growth_squared[range]);
            for (i, (blocked, &other)) in targets.enumerate() {
                let dx = (from + i) as f32 - x as f32;
                *blocked |= dy_squared + dx * dx * per_scale[1] < own.max(other);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the definition, over all pairs.
    #[test]
    fn no_two_samples_outside_the_calibration_region_are_nearer_than_either_radius() {
        for (shape, acceleration, calibration, falloff, crop_corners) in [
            ([1, 128, 128], 8.0, [24, 24], 2.0, true),
            ([1, 90, 61], 4.0, [9, 12], 3.0, false),
            ([1, 64, 160], 12.0, [0, 0], 0.0, true),
            ([1, 40, 40], 40.0, [2, 2], 30.0, false),
        ] {
            let pattern = Poisson { falloff, crop_corners, ..Poisson::new(acceleration, calibration) };
            let plane = Plane::new(shape, &PLANE).unwrap();
            let (sampled, scale) = pattern.sample(&plane, &5.into()).unwrap();
            let centre = plane.centre(&calibration).unwrap();
            let longest = plane.longest() as f64;
            let outside: Vec<[f64; 3]> = (0..plane.places())
                .filter(|&place| sampled[place] && !plane.within(&centre, place))
                .map(|place| {
                    let position = plane.position(place);
                    let mut k = [0.0; 2];
                    for axis in 0..2 {
                        let (n, core) = (plane.extents[axis] as f64, calibration[axis] as f64);
                        let from_dc = position[axis] as f64 - (plane.extents[axis] / 2) as f64;
                        k[axis] = (from_dc.abs() - core / 2.0).max(0.0) / ((n - core) / 2.0);
                    }
                    let radius = f64::from(scale) * (1.0 + falloff * (k[0] * k[0] + k[1] * k[1]).sqrt());
                    let metric = |axis: usize| position[axis] as f64 * longest / plane.extents[axis] as f64;
                    [metric(0), metric(1), radius]
                })
                .collect();
            let budget = (plane.places() as f64 / acceleration).round() as usize;
            assert_eq!(outside.len(), budget - calibration[0] * calibration[1]);
            for (i, a) in outside.iter().enumerate() {
                for b in &outside[..i] {
                    let apart = (a[0] - b[0]).hypot(a[1] - b[1]);
                    assert!(apart >= a[2].max(b[2]) * (1.0 - 1e-5), "{shape:?}: {a:?}, {b:?}");
                }
            }
        }
    }

    /// A set that is far from maximal would have holes: in an even density a place without a sample within twice the
    /// radius.
    #[test]
    fn there_are_no_holes() {
        let pattern = Poisson { falloff: 0.0, crop_corners: false, ..Poisson::new(9.0, [0, 0]) };
        let plane = Plane::new([1, 120, 120], &PLANE).unwrap();
        let (sampled, scale) = pattern.sample(&plane, &1.into()).unwrap();
        let samples: Vec<[usize; 3]> =
            (0..plane.places()).filter(|&place| sampled[place]).map(|place| plane.position(place)).collect();
        for place in 0..plane.places() {
            let [y, x, _] = plane.position(place);
            let apart = samples.iter().map(|s| (s[0] as f32 - y as f32).hypot(s[1] as f32 - x as f32));
            let nearest = apart.fold(f32::INFINITY, f32::min);
            assert!(nearest < 2.0 * scale, "{y}, {x}: {nearest}, radius {scale}");
        }
    }
}
