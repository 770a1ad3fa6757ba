//! Sharpening of the histogram: the expected intensity without the blur of the histogram by the bias field.
//!
//! Sled, Zijdenbos and Evans 1998, "A nonparametric method for automatic correction of intensity nonuniformity in MRI
//! data", IEEE TMI 17:87. A smooth field adds to the logarithm v of an intensity a value whose distribution F is
//! modelled as a Gaussian of known width, so that the histogram V is U ∗ F. A Wiener filter (equation 12) recovers U,
//! from which follows the expectation of the true value u given v (equation 13):
//! `E(u|v) = ∫ u F(v − u) U(u) du / ∫ F(v − u) U(u) du`.

use std::sync::Arc;

use num_complex::Complex64;
use rayon::prelude::*;
use rustfft::{Fft, FftPlanner};

use super::samples::Samples;

/// Below this share of the greatest denominator, E is the transform's rounding and not data.
const NEGLIGIBLE: f64 = 1e-12;

/// The sharpening of histograms with a fixed number of bins.
pub struct Sharpening {
    bins: usize,
    fwhm: f64,
    wiener_noise: f64,
    forward: Arc<dyn Fft<f64>>,
    inverse: Arc<dyn Fft<f64>>,
}

/// `E(u|v)` as a table over the histogram's bins.
#[derive(Clone, Debug)]
pub struct Expectation {
    minimum: f64,
    bins_per_unit: f64,
    table: Vec<f64>,
}

impl Sharpening {
    /// The sharpening for `bins` bins (two or more), a field whose histogram has the full width at half maximum `fwhm`
    /// (in logarithms), and the noise term of the Wiener filter.
    pub fn new(bins: usize, fwhm: f64, wiener_noise: f64) -> Self {
        // Zeros on both sides keep the cyclic convolution from reaching round.
        let padded = 2 * bins.next_power_of_two();
        let mut planner = FftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(padded), planner.plan_fft_inverse(padded));
        Self { bins, fwhm, wiener_noise, forward, inverse }
    }

    /// The expectation for the samples' histogram, each sample divided between the two bins nearest to it; `None` where
    /// all samples are equal.
    pub fn of(&self, samples: &Samples) -> Option<Expectation> {
        let [minimum, maximum] = samples.range();
        if minimum >= maximum {
            return None;
        }
        let bins_per_unit = (self.bins - 1) as f64 / (maximum - minimum);
        let count = |values: &[f64]| {
            let mut histogram = vec![0.0; self.bins];
            for value in values {
                let position = (value - minimum) * bins_per_unit;
                let bin = (position as usize).min(self.bins - 2);
                let share = position - bin as f64;
                histogram[bin] += 1.0 - share;
                histogram[bin + 1] += share;
            }
            histogram
        };
        let slabs: Vec<Vec<f64>> = samples.slabs.par_iter().map(|slab| count(&slab.values)).collect();
        let mut histogram = vec![0.0; self.bins];
        for slab in &slabs {
            histogram.iter_mut().zip(slab).for_each(|(total, count)| *total += count);
        }
        let table = self.expectation(&histogram, 1.0 / bins_per_unit);
        Some(Expectation {
            minimum,
            bins_per_unit,
            table: table.into_iter().map(|bin| minimum + bin / bins_per_unit).collect(),
        })
    }

    /// `E(u|v)` for each bin, in bins, from a histogram whose bins are `width` (in logarithms) apart.
    fn expectation(&self, histogram: &[f64], width: f64) -> Vec<f64> {
        let padded = self.forward.len();
        let start = (padded - self.bins) / 2;
        // The blur, about index 0; its transform is real.
        let fwhm = self.fwhm / width;
        let (ln2, pi) = (std::f64::consts::LN_2, std::f64::consts::PI);
        let mut blur: Vec<Complex64> = (0..padded)
            .map(|n| {
                let distance = n.min(padded - n) as f64;
                let value = 2.0 * (ln2 / pi).sqrt() / fwhm * (-4.0 * ln2 * (distance / fwhm).powi(2)).exp();
                value.into()
            })
            .collect();
        self.forward.process(&mut blur);

        let mut sharp = vec![Complex64::default(); padded];
        sharp[start..start + self.bins].iter_mut().zip(histogram).for_each(|(to, &count)| to.re = count);
        self.forward.process(&mut sharp);
        for (value, blur) in sharp.iter_mut().zip(&blur) {
            *value *= blur.re / (blur.re * blur.re + self.wiener_noise) / padded as f64;
        }
        self.inverse.process(&mut sharp);

        // Denominator and numerator are the real and the imaginary part of one signal: a real filter keeps them apart.
        for (n, value) in sharp.iter_mut().enumerate() {
            let count = value.re.max(0.0);
            *value = Complex64::new(count, count * (n as f64 - start as f64));
        }
        self.forward.process(&mut sharp);
        sharp.iter_mut().zip(&blur).for_each(|(value, blur)| *value *= blur.re);
        self.inverse.process(&mut sharp);
        let sharp = &sharp[start..start + self.bins];
        let negligible = NEGLIGIBLE * sharp.iter().fold(0.0, |greatest: f64, value| greatest.max(value.re));
        let of = |(bin, value): (usize, &Complex64)| {
            if value.re > negligible { value.im / value.re } else { bin as f64 }
        };
        sharp.iter().enumerate().map(of).collect()
    }
}

impl Expectation {
    /// E for the logarithm `value`, linear between bins; beyond the histogram extrapolated from the last two bins.
    pub fn at(&self, value: f64) -> f64 {
        let position = (value - self.minimum) * self.bins_per_unit;
        let bin = (position as usize).min(self.table.len() - 2);
        self.table[bin] + (self.table[bin + 1] - self.table[bin]) * (position - bin as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::Slab;
    use super::*;

    #[test]
    fn expectations_are_those_of_numpy() {
        let text = include_str!("../../../tests/fixtures/mri/n4/sharpening.txt");
        let (histogram, expected): (Vec<f64>, Vec<f64>) = text
            .lines()
            .map(|line| {
                let mut numbers = line.split(' ').map(|number| number.parse::<f64>().expect("a number"));
                (numbers.next().expect("a count"), numbers.next().expect("an expectation"))
            })
            .unzip();
        let found = Sharpening::new(histogram.len(), 0.15, 0.01).expectation(&histogram, 0.02);
        for (bin, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert!((found - expected).abs() < 1e-7, "bin {bin}: {found}, numpy {expected}");
        }
    }

    #[test]
    fn sharpening_draws_values_to_their_mode() {
        // Two tissues 0.6 apart, each as wide as the blur: what is seen between a mode and its flank belongs to the mode.
        let sigma = 0.15 / 2.354_82;
        let quantile = |n: usize| {
            let share = (n as f64 + 0.5) / 500.0 * 2.0 - 1.0;
            // The normal quantile, by Winitzki's approximation of the inverse error function.
            let log = (1.0 - share * share).ln();
            let a = 2.0 / (std::f64::consts::PI * 0.147) + log / 2.0;
            share.signum() * ((a * a - log / 0.147).sqrt() - a).sqrt() * sigma * std::f64::consts::SQRT_2
        };
        let values: Vec<f64> =
            (0..1000).map(|n| quantile(n / 2) + if n % 2 == 0 { 4.0 } else { 4.6 }).collect();
        let slab = Slab { rows: std::iter::once(0..1000).collect(), columns: (0..1000).collect(), values };
        let samples = Samples { slabs: vec![slab], places: [vec![0], vec![0], (0..1000).collect()] };
        let expectation = Sharpening::new(200, 0.15, 0.01).of(&samples).expect("values that differ");
        for (seen, mode) in [(3.93, 4.0), (4.0, 4.0), (4.07, 4.0), (4.53, 4.6), (4.67, 4.6)] {
            let expected = expectation.at(seen);
            assert!((expected - mode).abs() < 0.02_f64.max(0.4 * (seen - mode).abs()), "{seen}: {expected}");
        }
    }
}
