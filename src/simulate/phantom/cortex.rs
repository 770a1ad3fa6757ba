//! Cortical folds: the sulci of the cerebrum and the fissures of the cerebellum.
//!
//! Sulci are the sheets on which a sum of plane waves of one wavelength and random directions is zero: such a field has
//! a labyrinth of nodal sheets about half a wavelength apart. It is evaluated at positions projected towards the
//! surface of a hemisphere, so that the sheets are perpendicular to that surface, and at |x|, slightly warped, so that
//! the two sides are similar but not equal.

use rand::{Rng, RngExt};

use super::shapes::{Point, length, minus};
use crate::random::{Purpose, stream};

/// Draw-site, as the phase of the stream: the folds of a phantom.
const FOLDS: u64 = 0x70;

const WAVES: usize = 24;
/// Distance between two zeros of the field is about half of this.
const WAVELENGTH_MM: f32 = 25.0;
/// Of the slow fields that vary the depth and the sides.
const SLOW_MM: f32 = 75.0;
/// Middle and half-axes of a hemisphere, for the projection; at |x|.
const HEMISPHERE: (Point, Point) = ([24.0, -4.0, 4.0], [44.0, 80.0, 58.0]);

/// A sum of plane waves of amplitude 1 each.
struct Waves {
    /// Cycles per millimetre.
    k: [[f32; WAVES]; 3],
    /// Cycles.
    phase: [f32; WAVES],
}

impl Waves {
    fn draw(wavelength_mm: f32, rng: &mut impl Rng) -> Self {
        let mut waves = Self { k: [[0.0; WAVES]; 3], phase: [0.0; WAVES] };
        for i in 0..WAVES {
            // Uniform on the sphere: z uniform (Archimedes), the length within a tenth of the one wanted.
            let (z, turn): (f32, f32) = (2.0 * rng.random::<f32>() - 1.0, rng.random());
            let across = (1.0 - z * z).sqrt();
            let (sin, cos) = (std::f32::consts::TAU * turn).sin_cos();
            let length = (0.9 + 0.2 * rng.random::<f32>()) / wavelength_mm;
            for (a, part) in [across * cos, across * sin, z].into_iter().enumerate() {
                waves.k[a][i] = part * length;
            }
            waves.phase[i] = rng.random();
        }
        waves
    }

    /// The field, of standard deviation √(waves/2).
    fn value(&self, p: Point) -> f32 {
        let mut value = [0.0f32; WAVES];
        (0..WAVES).for_each(|i| value[i] = sine(self.cycles(i, p)));
        total(&value)
    }

    /// The field and its gradient per millimetre.
    fn slope(&self, p: Point) -> (f32, Point) {
        let (mut value, mut slope) = ([0.0f32; WAVES], [0.0f32; WAVES]);
        for i in 0..WAVES {
            let cycles = self.cycles(i, p);
            value[i] = sine(cycles);
            slope[i] = std::f32::consts::TAU * sine(cycles + 0.25);
        }
        let along = |a: usize| {
            let mut part = slope;
            part.iter_mut().zip(&self.k[a]).for_each(|(part, k)| *part *= k);
            total(&part)
        };
        (total(&value), [along(0), along(1), along(2)])
    }

    fn cycles(&self, i: usize, p: Point) -> f32 {
        self.k[0][i] * p[0] + self.k[1][i] * p[1] + self.k[2][i] * p[2] + self.phase[i]
    }
}

/// The sum, eight lanes at a time.
fn total(values: &[f32; WAVES]) -> f32 {
    let mut lanes = [0.0f32; 8];
    for eight in values.chunks_exact(8) {
        lanes.iter_mut().zip(eight).for_each(|(lane, value)| *lane += value);
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}

/// A sine of this many cycles to within 0.1 %, from two parabolas; the same on every machine.
fn sine(cycles: f32) -> f32 {
    const WHOLE: f32 = 12_582_912.0; // 1.5 · 2²³: adding it rounds
    let turn = 2.0 * (cycles - ((cycles + WHOLE) - WHOLE)); // [−1, 1]
    let y = 4.0 * turn * (1.0 - turn.abs());
    y + 0.225 * (y * y.abs() - y)
}

/// The folds of one phantom.
pub struct Folds {
    sulci: Waves,
    slow: Waves,
}

impl Folds {
    pub fn draw(seed: u64) -> Self {
        let mut rng = stream(seed, 0, FOLDS, 0, Purpose::Degradation);
        Self { sulci: Waves::draw(WAVELENGTH_MM, &mut rng), slow: Waves::draw(SLOW_MM, &mut rng) }
    }

    /// A field of long wavelength and standard deviation one, for the variation of shapes.
    pub fn slow(&self, p: Point) -> f32 {
        self.slow.value(p) / (WAVES as f32 / 2.0).sqrt()
    }

    /// The distance from `p` in the cerebrum to the nearest sulcus; `depth` is that below the surface and `deepest`
    /// the usual depth of a sulcus there, all in millimetres; `slow` is [`Folds::slow`] at `p`.
    pub fn sulcus(&self, p: Point, depth: f32, deepest: f32, slow: f32) -> f32 {
        let deepest = deepest * (1.0 + 0.3 * slow.clamp(-2.0, 2.0));
        let beyond = (depth - deepest).max(0.0);
        if beyond > 8.0 {
            return beyond;
        }
        let (centre, radii) = HEMISPHERE;
        let v = minus([(p[0] + 2.5 * slow).abs(), p[1] + 2.0 * slow, p[2]], centre);
        let stretch = length([v[0] / radii[0], v[1] / radii[1], v[2] / radii[2]]).max(0.3).powf(-0.7);
        let (field, slope) = self.sulci.slope(v.map(|u| u * stretch));
        // At saddles the slope vanishes where the field may, too: the distance stays finite.
        let least = 0.3 * (WAVES as f32 / 2.0).sqrt() * std::f32::consts::TAU / WAVELENGTH_MM;
        let across = field.abs() / (length([length(slope), least, 0.0]) * stretch);
        // Open at the surface, nearly closed at the bottom.
        let half_width = 0.9 - 0.5 * (depth / deepest).clamp(0.0, 1.0);
        length([across, beyond, 0.0]) - half_width
    }

    /// The distance from `p` in the cerebellum to the nearest fissure between folia, `depth` below its surface: they
    /// fan out from the fourth ventricle.
    pub fn fissure(&self, p: Point, depth: f32) -> f32 {
        const MIDDLE: [f32; 2] = [-40.0, -35.0];
        const COUNT: f32 = 17.0;
        const DEEPEST_MM: f32 = 13.0;
        let (y, z) = (p[1] - MIDDLE[0], p[2] - MIDDLE[1]);
        let radius = length([0.0, y, z]);
        let warp = 0.08 * sine(p[0] / 37.0) + 0.12 * sine(p[0].abs() / 61.0 + radius / 40.0);
        let turns = COUNT * (z.atan2(y) / std::f32::consts::TAU + 0.35 * warp);
        let across = (turns - turns.round()).abs() / COUNT * std::f32::consts::TAU * radius;
        length([across, (depth - DEEPEST_MM).max(0.0), 0.0]) - 0.5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sines_are_sines() {
        for i in -500..500 {
            let cycles = i as f32 * 0.0137;
            let exact = (f64::from(cycles) * std::f64::consts::TAU).sin() as f32;
            assert!((sine(cycles) - exact).abs() < 1.2e-3, "{cycles}");
        }
    }

    #[test]
    fn the_slope_is_that_of_the_field() {
        let waves = Waves::draw(30.0, &mut stream(1, 0, 0, 0, Purpose::Degradation));
        let p = [12.0, -7.0, 31.0];
        let (value, slope) = waves.slope(p);
        assert_eq!(value, waves.value(p));
        for a in 0..3 {
            let (mut low, mut high) = (p, p);
            low[a] -= 0.2;
            high[a] += 0.2;
            let difference = (waves.value(high) - waves.value(low)) / 0.4;
            assert!((difference - slope[a]).abs() < 0.02, "{difference} {}", slope[a]);
        }
    }
}
