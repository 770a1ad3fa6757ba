//! The Kaiser–Bessel kernel: interpolation between the places of a finer grid, and its Fourier transform, by which the
//! image is divided.
//!
//! Jackson et al. 1991 chose it for gridding; the shape parameter is that of Beatty, Nishimura & Pauly 2005, equation
//! 5, which keeps it good at small oversampling.

/// Rows of the table of weights for one step of the grid: linear interpolation between them is then exact to 10⁻⁶.
const ROWS: usize = 1024;

/// The kernel for one width and oversampling.
#[derive(Clone, Copy, Debug)]
pub struct KaiserBessel {
    width: usize,
    beta: f64,
}

impl KaiserBessel {
    /// Over `width` places of a grid that is finer by `oversampling`.
    pub fn new(width: usize, oversampling: f64) -> Self {
        let ratio = width as f64 / oversampling * (oversampling - 0.5);
        Self { width, beta: std::f64::consts::PI * (ratio * ratio - 0.8).sqrt() }
    }

    /// The kernel at a distance of `u` places.
    fn at(&self, u: f64) -> f64 {
        let inside = 1.0 - (2.0 * u / self.width as f64).powi(2);
        if inside < 0.0 { 0.0 } else { bessel_i0(self.beta * inside.sqrt()) / bessel_i0(self.beta) }
    }

    /// Its Fourier transform at `frequency` cycles per place.
    pub fn transformed(&self, frequency: f64) -> f64 {
        let width = self.width as f64;
        let square = self.beta.powi(2) - (std::f64::consts::PI * width * frequency).powi(2);
        let root = square.abs().sqrt();
        let ratio = match root {
            0.0 => 1.0,
            root if square > 0.0 => root.sinh() / root,
            root => root.sin() / root,
        };
        width * ratio / bessel_i0(self.beta)
    }
}

/// Weights of a kernel `W` places wide, by the distance of the first place.
#[derive(Clone, Debug)]
pub struct Table<const W: usize> {
    rows: Vec<[f32; W]>,
}

impl<const W: usize> Table<W> {
    /// The weights of the kernel for this oversampling.
    pub fn new(oversampling: f64) -> Self {
        let kernel = KaiserBessel::new(W, oversampling);
        let row = |row: usize| {
            let fraction = row as f64 / ROWS as f64;
            std::array::from_fn(|t| kernel.at(fraction + t as f64 - W as f64 / 2.0) as f32)
        };
        Self { rows: (0..=ROWS).map(row).collect() }
    }

    /// The weights of the places 0 to W − 1 for a point that is W/2 − `fraction` behind place 0.
    #[inline]
    pub fn weights(&self, fraction: f32) -> [f32; W] {
        let at = fraction * ROWS as f32;
        let row = (at as usize).min(ROWS - 1);
        let part = at - row as f32;
        let (low, high) = (&self.rows[row], &self.rows[row + 1]);
        std::array::from_fn(|t| low[t] + part * (high[t] - low[t]))
    }
}

/// The modified Bessel function I₀, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut term, mut sum, mut k) = (1.0, 1.0, 1.0);
    while term > 1e-17 * sum {
        term *= quarter / (k * k);
        sum += term;
        k += 1.0;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bessel_is_scipys() {
        // scipy.special.i0
        for (x, expected) in [
            (0.0, 1.0),
            (0.5, 1.063_483_370_741_323_4),
            (3.7, 8.738_617_524_169_396),
            (12.25, 24_075.740_039_016_83),
            (25.0, 5_774_560_606.466_31),
        ] {
            assert!((bessel_i0(x) / expected - 1.0).abs() < 1e-13, "I0({x}) = {}", bessel_i0(x));
        }
    }

    #[test]
    fn the_transform_is_that_of_the_kernel() {
        let kernel = KaiserBessel::new(6, 1.5);
        for frequency in [0.0, 0.1, 0.33, 0.66, 0.9] {
            // The trapezoidal rule; the kernel jumps by 1/I₀(β) at its ends, so that it is good to 10⁻⁶ or so.
            let n = 60_000;
            let sum: f64 = (0..=n)
                .map(|t| {
                    let u = 6.0 * t as f64 / f64::from(n) - 3.0;
                    let weight = if t == 0 || t == n { 0.5 } else { 1.0 };
                    weight * kernel.at(u) * (std::f64::consts::TAU * frequency * u).cos()
                })
                .sum();
            let integral = sum * 6.0 / f64::from(n);
            assert!((integral - kernel.transformed(frequency)).abs() < 1e-8, "{frequency}: {integral}");
        }
    }

    #[test]
    fn the_table_is_the_kernel() {
        let (kernel, table) = (KaiserBessel::new(5, 2.0), Table::<5>::new(2.0));
        for step in 0..=997 {
            let fraction = f64::from(step) / 997.0;
            for (t, weight) in table.weights(fraction as f32).into_iter().enumerate() {
                let exact = kernel.at(fraction + t as f64 - 2.5);
                assert!((f64::from(weight) - exact).abs() < 1e-6, "{fraction}, {t}");
            }
        }
    }
}
