//! One quantity of one group, and how far two groups are apart in it.

use serde::{Deserialize, Serialize};
use statrs::function::gamma::ln_gamma;

use super::quantile;

/// Values in ascending order, without those that are missing.
pub struct Sample {
    pub values: Vec<f64>,
    pub mean: f64,
    /// With divisor n − 1; exactly zero for values that are all equal.
    pub variance: f64,
}

impl Sample {
    /// The sample of these values; NaN is left out.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().filter(|value| !value.is_nan()).collect();
        values.sort_unstable_by(f64::total_cmp);
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = match (values.first(), values.last()) {
            (Some(first), Some(last)) if first < last => {
                values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0)
            }
            _ => 0.0,
        };
        Self { values, mean, variance }
    }

    pub fn n(&self) -> usize {
        self.values.len()
    }

    pub fn sd(&self) -> f64 {
        self.variance.sqrt()
    }

    /// Each of the samples with one value less.
    pub fn without_one(&self) -> impl Iterator<Item = Self> {
        (0..self.n()).map(|left_out| {
            let rest = self.values.iter().enumerate().filter(move |(index, _)| *index != left_out);
            Self::of(rest.map(|(_, value)| *value))
        })
    }

    pub fn summary(&self, rows: usize) -> Summary {
        let [p5, p25, median, p75, p95] =
            [0.05, 0.25, 0.5, 0.75, 0.95].map(|share| quantile(&self.values, share));
        Summary {
            n: self.n(),
            missing: rows - self.n(),
            mean: self.mean,
            sd: self.sd(),
            minimum: self.values[0],
            p5,
            p25,
            median,
            p75,
            p95,
            maximum: self.values[self.n() - 1],
            iqr: p75 - p25,
        }
    }
}

/// Summary of a quantity in one cohort, in its unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Number of subjects that have a value.
    pub n: usize,
    /// Number of subjects without a value.
    pub missing: usize,
    pub mean: f64,
    /// Standard deviation, with divisor n − 1.
    pub sd: f64,
    pub minimum: f64,
    /// The 5th percentile; percentiles interpolate linearly (type 7 of Hyndman and Fan 1996, as NumPy).
    pub p5: f64,
    pub p25: f64,
    pub median: f64,
    pub p75: f64,
    pub p95: f64,
    pub maximum: f64,
    /// Interquartile range, `p75 − p25`.
    pub iqr: f64,
}

/// Cohen's d: the difference of the means in pooled standard deviations. Not finite where neither sample varies.
pub fn cohens_d(real: &Sample, synthetic: &Sample) -> f64 {
    let (n, m) = (real.n() as f64 - 1.0, synthetic.n() as f64 - 1.0);
    (synthetic.mean - real.mean) / ((n * real.variance + m * synthetic.variance) / (n + m)).sqrt()
}

/// What takes the bias out of Cohen's d: Γ(ν/2) / (√(ν/2) Γ((ν − 1)/2)) with ν = n + m − 2 (Hedges 1981, eq. 6e).
pub fn hedges_factor(real: &Sample, synthetic: &Sample) -> f64 {
    let half = (real.n() + synthetic.n() - 2) as f64 / 2.0;
    (ln_gamma(half) - ln_gamma(half - 0.5)).exp() / half.sqrt()
}

/// Logarithm of the ratio of the standard deviations, synthetic over real.
pub fn log_sd_ratio(real: &Sample, synthetic: &Sample) -> f64 {
    (synthetic.variance / real.variance).ln() / 2.0
}

/// The steps of both cumulative distributions: each pooled value with how many of `a` and of `b` are not above it.
pub fn steps(a: &[f64], b: &[f64]) -> impl Iterator<Item = (f64, usize, usize)> {
    let (mut i, mut j) = (0, 0);
    std::iter::from_fn(move || {
        let next = match (a.get(i), b.get(j)) {
            (Some(&x), Some(&y)) => x.min(y),
            (Some(&x), None) | (None, Some(&x)) => x,
            (None, None) => return None,
        };
        i += a[i..].iter().take_while(|&&x| x == next).count();
        j += b[j..].iter().take_while(|&&x| x == next).count();
        Some((next, i, j))
    })
}

/// 1-Wasserstein distance in the quantity's unit: the area between the cumulative distributions.
pub fn wasserstein(a: &Sample, b: &Sample) -> f64 {
    let (n, m) = (a.n() as f64, b.n() as f64);
    let mut area = 0.0;
    let mut last: Option<(f64, f64)> = None;
    for (value, i, j) in steps(&a.values, &b.values) {
        if let Some((from, gap)) = last {
            area += gap * (value - from);
        }
        last = Some((value, (i as f64 / n - j as f64 / m).abs()));
    }
    area
}

/// Kolmogorov–Smirnov distance times n·m, a whole number: the largest gap between the cumulative distributions.
pub fn largest_gap(a: &Sample, b: &Sample) -> u64 {
    let (n, m) = (a.n() as u64, b.n() as u64);
    steps(&a.values, &b.values)
        .map(|(_, i, j)| (i as u64 * m).abs_diff(j as u64 * n))
        .max()
        .expect("samples are not empty")
}

/// Kolmogorov–Smirnov distance: the largest gap between the cumulative distributions.
pub fn kolmogorov_smirnov_distance(a: &Sample, b: &Sample) -> f64 {
    largest_gap(a, b) as f64 / (a.n() * b.n()) as f64
}
