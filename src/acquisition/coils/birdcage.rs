//! Simulated birdcage coils: loops on a circle about the body, several rings of them along `D` for a volume.

use ndarray::{Array4, ArrayViewMut1};
use num_complex::Complex64;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::acquisition::Complex32;
use crate::error::{Error, Result};

/// A birdcage array: the magnitude of a sensitivity falls off with the distance from the loop, its phase turns about
/// it.
///
/// The same model as sigpy's `birdcage_maps`, from the Michigan image reconstruction toolbox: half the field of view
/// is 1 along every axis, coil c of a slice sits at the angle 2πc/coils; in a volume `ring_coils` loops make a ring and
/// the rings are one half field of view apart along `D`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Birdcage {
    /// Number of coils.
    pub coils: usize,
    /// Distance of the loops from the centre, in half fields of view; more than 1.
    pub radius: f64,
    /// Coils of a ring, where there is more than one slice.
    pub ring_coils: usize,
    /// Whether the root sum of squares is made 1 everywhere.
    pub normalised: bool,
}

impl Birdcage {
    /// An array of `coils` loops, 1.5 half fields of view from the centre, eight a ring, normalised.
    pub fn new(coils: usize) -> Self {
        Self { coils, radius: 1.5, ring_coils: 8, normalised: true }
    }

    /// The maps `[coils, D, H, W]` for an image of `shape` `[D, H, W]`; with `D = 1` all coils are in one ring.
    ///
    /// # Errors
    /// [`Error::Value`] if `coils`, `ring_coils` or an extent of `shape` is zero, or the radius is not more than 1.
    pub fn maps(&self, shape: [usize; 3]) -> Result<Array4<Complex32>> {
        self.validate(shape)?;
        let [depth, height, width] = shape;
        let mut maps = Array4::zeros((self.coils, depth, height, width));
        let loops: Vec<Loop> = (0..self.coils).map(|coil| self.place(coil, depth)).collect();
        // One line along W through all coils at a time, so that it can be normalised on the spot.
        let lines: Vec<_> = maps.lanes_mut(ndarray::Axis(0)).into_iter().enumerate().collect();
        lines.into_par_iter().with_min_len(1 << 10).for_each(|(place, voxel)| {
            let position = [place / (height * width), place / width % height, place % width];
            let centred = |axis: usize| {
                let half = shape[axis] as f64 / 2.0;
                (position[axis] as f64 - half) / half
            };
            let z = if depth == 1 { 0.0 } else { centred(0) };
            self.sensitivities([z, centred(1), centred(2)], &loops, voxel);
        });
        Ok(maps)
    }

    fn validate(&self, shape: [usize; 3]) -> Result<()> {
        if self.coils == 0 || self.ring_coils == 0 {
            let found = format!("{} coils, {} a ring", self.coils, self.ring_coils);
            return Err(Error::value(
                "coils",
                "at least one coil, and one a ring",
                found,
                "ask for 4 to 32 coils",
            ));
        }
        if !(self.radius.is_finite() && self.radius > 1.0) {
            let expected = "a distance in half fields of view greater than 1";
            return Err(Error::value("radius", expected, self.radius.to_string(), "use 1.5"));
        }
        if shape.contains(&0) {
            let found = format!("{shape:?}");
            return Err(Error::value(
                "shape",
                "at least one voxel along D, H and W",
                found,
                "give the image's shape",
            ));
        }
        Ok(())
    }

    fn place(&self, coil: usize, depth: usize) -> Loop {
        let (ring, of_ring) =
            if depth == 1 { (0, self.coils) } else { (coil / self.ring_coils, self.ring_coils) };
        let rings = if depth == 1 { 1 } else { self.coils.div_ceil(self.ring_coils) };
        let step = std::f64::consts::TAU / of_ring as f64;
        let angle = coil as f64 * step;
        Loop {
            x: self.radius * angle.cos(),
            y: self.radius * angle.sin(),
            z: ring as f64 - 0.5 * (rings - 1) as f64,
            phase: -((coil + ring) as f64) * step,
        }
    }

    fn sensitivities(&self, [z, y, x]: [f64; 3], loops: &[Loop], mut voxel: ArrayViewMut1<Complex32>) {
        let mut energy = 0.0;
        let values: Vec<Complex64> = loops
            .iter()
            .map(|coil| {
                let (x, y, z) = (x - coil.x, y - coil.y, z - coil.z);
                // A voxel that holds the loop itself would be infinitely bright.
                let distance = (x * x + y * y + z * z).sqrt().max(1e-3);
                energy += distance.powi(-2);
                Complex64::from_polar(1.0 / distance, x.atan2(-y) + coil.phase)
            })
            .collect();
        let scale = if self.normalised { 1.0 / energy.sqrt() } else { 1.0 };
        voxel.iter_mut().zip(values).for_each(|(to, from)| {
            *to = Complex32::new((from.re * scale) as f32, (from.im * scale) as f32);
        });
    }
}

/// Where a coil is, in half fields of view, and the phase it is wired with.
struct Loop {
    x: f64,
    y: f64,
    z: f64,
    phase: f64,
}
