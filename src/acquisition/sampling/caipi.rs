//! CAIPIRINHA: a regular lattice in the plane of two phase encodings whose rows are shifted against each other, so that
//! the coils' sensitivities differ more between aliases (Breuer 2006, "Controlled aliasing in volumetric parallel
//! imaging").

use serde::{Deserialize, Serialize};

use super::plane::Plane;
use super::{Axis, Mask, PLANE};
use crate::error::{Error, Result};

/// A shifted lattice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caipi {
    /// Steps R along the first and second axis; the acceleration is their product.
    pub steps: [usize; 2],
    /// Shift Δ along the second axis from one sampled row of the first axis to the next; below the second step.
    pub shift: usize,
    /// Widths in places of a fully sampled centre; zeros for none.
    #[serde(default)]
    pub calibration: [usize; 2],
    /// The two phase encodings; `["H", "D"]` where W is the readout.
    #[serde(default = "plane")]
    pub axes: [Axis; 2],
}

fn plane() -> [Axis; 2] {
    PLANE
}

impl Caipi {
    /// The mask of a k-space of `shape` `[D, H, W]`; see [`Pattern::mask`](super::Pattern::mask). With y and z counted
    /// from DC, a place is sampled where y ≡ 0 (mod R₁) and z ≡ Δ·y/R₁ (mod R₂).
    ///
    /// # Errors
    /// [`Error::Value`] as [`Pattern::mask`](super::Pattern::mask), for steps of zero or beyond the axis, and for a
    /// shift that is not below the second step.
    pub fn mask(&self, shape: [usize; 3]) -> Result<Mask> {
        let plane = Plane::new(shape, &self.axes)?;
        let centre = plane.centre(&self.calibration)?;
        if self.steps.iter().zip(&plane.extents).any(|(step, n)| !(1..=*n).contains(step)) {
            let expected = format!("1 to {:?}", plane.extents);
            let advice = "correct the steps, or name the axes of the two phase encodings";
            return Err(Error::value("steps", expected, format!("{:?}", self.steps), advice));
        }
        if self.shift >= self.steps[1] {
            let expected = format!("below the second step, {}", self.steps[1]);
            return Err(Error::value(
                "shift",
                expected,
                self.shift.to_string(),
                "take the rest of the division",
            ));
        }
        let [rows, columns] = self.steps.map(|step| step as i64);
        let from_dc = |index: usize, n: usize| index as i64 - (n / 2) as i64;
        let lattice = |place: usize| {
            let position = plane.position(place);
            let (y, z) = (from_dc(position[0], plane.extents[0]), from_dc(position[1], plane.extents[1]));
            y % rows == 0 && (z - self.shift as i64 * (y / rows)) % columns == 0
        };
        let sampled: Vec<bool> =
            (0..plane.places()).map(|place| lattice(place) || plane.within(&centre, place)).collect();
        Ok(Mask { sampled: plane.spread(&sampled), nominal: Some((self.steps[0] * self.steps[1]) as f64) })
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    /// Aliases of a lattice: its point spread is one at the points of the reciprocal lattice, and zero elsewhere.
    #[test]
    fn the_point_spread_is_the_reciprocal_lattice() {
        let (n, m) = (16, 24);
        let pattern = Caipi { steps: [2, 4], shift: 1, calibration: [0; 2], axes: [Axis::H, Axis::D] };
        let mask = pattern.mask([m, n, 3]).unwrap().sampled;
        assert_eq!(mask.iter().filter(|sampled| **sampled).count(), n * m * 3 / 8);
        for (y, z) in (0..n).flat_map(|y| (0..m).map(move |z| (y, z))) {
            let mut sum = (0.0, 0.0);
            for ((d, h, w), &sampled) in mask.indexed_iter() {
                if sampled && w == 0 {
                    let (ky, kz) = (h as f64 - 8.0, d as f64 - 12.0);
                    let phase = TAU * (ky * y as f64 / n as f64 + kz * z as f64 / m as f64);
                    sum = (sum.0 + phase.cos(), sum.1 + phase.sin());
                }
            }
            let spread = (sum.0 * sum.0 + sum.1 * sum.1).sqrt() / (n * m / 8) as f64;
            // Basis vectors (2, 1) and (0, 4): their phases 2y/n + z/m and 4z/m are whole numbers.
            let alias = (2 * y * m + z * n).is_multiple_of(n * m) && (4 * z).is_multiple_of(m);
            assert!((spread - f64::from(u8::from(alias))).abs() < 1e-9, "{y}, {z}: {spread}");
        }
    }

    #[test]
    fn impossible_lattices_are_refused() {
        let refuse = |steps, shift, key: &str| {
            let pattern = Caipi { steps, shift, calibration: [0; 2], axes: PLANE };
            let message = pattern.mask([1, 8, 8]).unwrap_err().to_string();
            assert!(message.starts_with(key), "{message}");
        };
        refuse([0, 2], 0, "steps");
        refuse([2, 9], 0, "steps");
        refuse([2, 2], 2, "shift");
    }
}
