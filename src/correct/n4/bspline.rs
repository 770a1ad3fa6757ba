//! Cubic B-splines on a lattice of control points: approximation of scattered samples, refinement, evaluation.
//!
//! Lee, Wolberg and Shin 1997, "Scattered data interpolation with multilevel B-splines", IEEE TVCG 3:228. A sample of
//! value z in the support of control point c with weight `w_c` gives the estimate `φ_c = w_c z / Σ w²` (their equation
//! 3), and the control point is the mean of the estimates, weighted by `w_c²`: `P_c = Σ w_c² φ_c / Σ w_c²` (equation
//! 5). On a regular grid each weight is a product over the axes and so is `Σ w²`: both sums are then three contractions
//! along one axis each, with `w³ / Σ w²` and with `w²`, in place of 64 updates a sample.

use ndarray::{Array2, Array3, ArrayView1, Axis, Zip};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::samples::{Samples, Slab};

/// Control points beyond the number of spans: a cubic reaches four.
const ORDER: usize = 3;

/// Control points `[D, H, W]` of a tensor product of uniform cubic B-splines; a span depends on four along each axis.
///
/// Position u, in spans from the lattice's start, is in the support of control points ⌊u⌋ to ⌊u⌋ + 3.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Flat", into = "Flat")]
pub struct Lattice(pub(super) Array3<f64>);

/// A lattice as it is recorded.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Flat {
    /// Control points along (D, H, W).
    shape: [usize; 3],
    /// In C order.
    values: Vec<f64>,
}

impl From<Lattice> for Flat {
    fn from(lattice: Lattice) -> Self {
        let shape = lattice.0.dim().into();
        Self { shape, values: lattice.0.into_iter().collect() }
    }
}

impl TryFrom<Flat> for Lattice {
    type Error = String;

    fn try_from(flat: Flat) -> Result<Self, String> {
        if flat.shape.iter().any(|&points| points <= ORDER) {
            return Err(format!(
                "expected four control points or more along each axis, found {:?}",
                flat.shape
            ));
        }
        let found = format!("{} control points for a shape of {:?}", flat.values.len(), flat.shape);
        Array3::from_shape_vec(flat.shape, flat.values).map(Self).map_err(|_| found)
    }
}

impl Lattice {
    /// Control points of zero, for this number of spans along `(D, H, W)`.
    pub fn zeros(spans: [usize; 3]) -> Self {
        Self(Array3::zeros(spans.map(|spans| spans + ORDER)))
    }

    /// Number of spans along `(D, H, W)`.
    pub fn spans(&self) -> [usize; 3] {
        <[usize; 3]>::from(self.0.dim()).map(|points| points - ORDER)
    }

    /// The lattice of the same function with spans of half the length: knots are inserted in the middle of every span.
    #[must_use]
    pub fn refined(&self) -> Self {
        Self((0..3).fold(self.0.clone(), |coarse, axis| {
            let mut shape = coarse.raw_dim();
            shape[axis] = 2 * (shape[axis] - ORDER) + ORDER;
            let mut fine = Array3::zeros(shape);
            for (to, from) in fine.lanes_mut(Axis(axis)).into_iter().zip(coarse.lanes(Axis(axis))) {
                for (i, value) in to.into_iter().enumerate() {
                    let near = i / 2;
                    *value = match i % 2 {
                        0 => (from[near] + from[near + 1]) / 2.0,
                        _ => (from[near] + 6.0 * from[near + 1] + from[near + 2]) / 8.0,
                    };
                }
            }
            fine
        }))
    }

    /// The spline on the plane `index` of the first axis: its control points along the other two.
    fn plane(&self, taps: &Taps, index: usize) -> Array2<f64> {
        let (first, weights) = taps.at(index);
        let (_, h, w) = self.0.dim();
        let mut plane = Array2::zeros((h, w));
        for (t, &weight) in weights.iter().enumerate() {
            plane.scaled_add(weight, &self.0.index_axis(Axis(0), first + t));
        }
        plane
    }

    /// Calls `act` with the flat index of each row of a grid's plane `d`, and the row's control points.
    pub(super) fn rows(&self, taps: [&Taps; 3], d: usize, mut act: impl FnMut(usize, &[f64])) {
        let plane = self.plane(taps[0], d);
        let mut line = vec![0.0; plane.ncols()];
        for h in 0..taps[1].len() {
            let (first, weights) = taps[1].at(h);
            line.fill(0.0);
            for (t, &weight) in weights.iter().enumerate() {
                line.iter_mut().zip(plane.row(first + t)).for_each(|(to, from)| *to += weight * from);
            }
            act(h, &line);
        }
    }
}

/// For each position along an axis: the first of the four control points that support it, and the weight of each.
#[derive(Clone, Debug)]
pub struct Taps {
    first: Vec<usize>,
    weights: Vec<[f64; 4]>,
}

impl Taps {
    /// The B-splines at `positions`, in spans; those outside 0 to `spans` are moved to its ends.
    pub fn new(positions: impl Iterator<Item = f64>, spans: usize) -> Self {
        let (first, weights) = positions
            .map(|position| {
                let position = position.clamp(0.0, spans as f64);
                // The very end belongs to the last span.
                let first = (position as usize).min(spans - 1);
                (first, cubic(position - first as f64))
            })
            .unzip();
        Self { first, weights }
    }

    fn map(&self, of: impl Fn([f64; 4]) -> [f64; 4]) -> Self {
        Self { first: self.first.clone(), weights: self.weights.iter().map(|&weights| of(weights)).collect() }
    }

    fn len(&self) -> usize {
        self.first.len()
    }

    fn at(&self, index: usize) -> (usize, &[f64; 4]) {
        (self.first[index], &self.weights[index])
    }

    /// The spline at position `index` from its control points along this axis.
    pub(super) fn value(&self, index: usize, line: &[f64]) -> f64 {
        let (first, weights) = self.at(index);
        let points = &line[first..first + 4];
        weights[0] * points[0] + weights[1] * points[1] + weights[2] * points[2] + weights[3] * points[3]
    }
}

/// The four uniform cubic B-splines at `t` from 0 to 1 of a span.
fn cubic(t: f64) -> [f64; 4] {
    let s = 1.0 - t;
    [
        s * s * s / 6.0,
        (3.0 * t * t * t - 6.0 * t * t + 4.0) / 6.0,
        (3.0 * s * s * s - 6.0 * s * s + 4.0) / 6.0,
        t * t * t / 6.0,
    ]
}

/// How far a step went, over the samples.
#[derive(Clone, Copy, Debug, Default)]
struct Spread {
    count: f64,
    /// Sums of `exp(step) − 1` and of its square: differences near zero stay exact.
    sum: f64,
    squares: f64,
}

/// The approximation of samples at fixed positions by lattices of a fixed size.
pub struct Approximation {
    /// Along (D, H, W): the B-splines.
    taps: [Taps; 3],
    /// `w³ / Σ w²`.
    asking: [Taps; 3],
    /// `Σ w²` over the samples, for each control point.
    trust: Array3<f64>,
}

impl Approximation {
    /// The approximation for the positions of `samples`, with the `taps` of their shrunk grid along `(D, H, W)` and the
    /// `spans` of a lattice.
    pub fn new(samples: &Samples, taps: [Taps; 3], spans: [usize; 3]) -> Self {
        let squared = taps.each_ref().map(|taps| taps.map(|w| w.map(|w| w * w)));
        let asking = taps.each_ref().map(|taps| {
            taps.map(|w| {
                let squares: f64 = w.iter().map(|w| w * w).sum();
                w.map(|w| w * w * w / squares)
            })
        });
        let trust = gather(samples, &squared, spans, |_| 1.0);
        Self { taps, asking, trust }
    }

    /// The lattice that approximates `of(value)` at the samples; zero for control points without a sample in their
    /// support.
    pub fn fit(&self, samples: &Samples, of: impl Fn(f64) -> f64 + Sync) -> Lattice {
        let spans = <[usize; 3]>::from(self.trust.dim()).map(|points| points - ORDER);
        let mut points = gather(samples, &self.asking, spans, of);
        Zip::from(&mut points).and(&self.trust).for_each(|point, &trust| {
            *point = if trust > 0.0 { *point / trust } else { 0.0 };
        });
        Lattice(points)
    }

    /// Subtracts the spline from the samples' values; returns the coefficient of variation of its exponential there,
    /// which measures convergence (Tustison 2010, equation 9).
    pub fn subtract(&self, samples: &mut Samples, lattice: &Lattice) -> f64 {
        let [td, th, tw] = &self.taps;
        let slabs = samples.slabs.par_iter_mut().enumerate();
        let spreads: Vec<Spread> = slabs
            .map(|(d, Slab { rows, columns, values })| {
                let mut spread = Spread { count: values.len() as f64, ..Spread::default() };
                if values.is_empty() {
                    return spread;
                }
                lattice.rows([td, th, tw], d, |h, line| {
                    for n in rows[h].clone() {
                        let step = tw.value(columns[n] as usize, line);
                        values[n] -= step;
                        let change = step.exp_m1();
                        spread.sum += change;
                        spread.squares += change * change;
                    }
                });
                spread
            })
            .collect();
        let total = spreads.iter().fold(Spread::default(), |total, slab| Spread {
            count: total.count + slab.count,
            sum: total.sum + slab.sum,
            squares: total.squares + slab.squares,
        });
        let mean = total.sum / total.count;
        let variance = (total.squares - total.sum * mean) / (total.count - 1.0).max(1.0);
        variance.max(0.0).sqrt() / (1.0 + mean)
    }
}

/// `Σ weight · of(value)` over the samples for each control point, with weights that are products over the axes.
///
/// Slabs are summed on their own and then in their order, so that the number of threads changes nothing.
fn gather(
    samples: &Samples,
    [td, th, tw]: &[Taps; 3],
    spans: [usize; 3],
    of: impl Fn(f64) -> f64 + Sync,
) -> Array3<f64> {
    let shape = spans.map(|spans| spans + ORDER);
    let plane_of = |slab: &Slab| {
        let mut plane = Array2::<f64>::zeros((shape[1], shape[2]));
        let mut line = vec![0.0; shape[2]];
        for (h, row) in slab.rows.iter().enumerate().filter(|(_, row)| !row.is_empty()) {
            line.fill(0.0);
            for (&w, &value) in slab.columns[row.clone()].iter().zip(&slab.values[row.clone()]) {
                let (first, weights) = tw.at(w as usize);
                let value = of(value);
                line[first..first + 4].iter_mut().zip(weights).for_each(|(to, weight)| *to += weight * value);
            }
            let (first, weights) = th.at(h);
            for (t, &weight) in weights.iter().enumerate() {
                plane.row_mut(first + t).scaled_add(weight, &ArrayView1::from(&line));
            }
        }
        plane
    };
    let planes: Vec<Array2<f64>> = samples.slabs.par_iter().map(plane_of).collect();
    let mut points = Array3::zeros(shape);
    for (d, plane) in planes.iter().enumerate() {
        let (first, weights) = td.at(d);
        for (t, &weight) in weights.iter().enumerate() {
            points.index_axis_mut(Axis(0), first + t).scaled_add(weight, plane);
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use std::array::from_fn;

    use super::*;

    const SPANS: [usize; 3] = [2, 3, 1];
    const DIMS: [usize; 3] = [5, 7, 6];

    /// Some two of three voxels of a grid, with values that are neither smooth nor round.
    fn samples() -> Samples {
        let mut slabs = Vec::new();
        for d in 0..DIMS[0] {
            let mut slab = Slab { rows: Vec::new(), columns: Vec::new(), values: Vec::new() };
            for h in 0..DIMS[1] {
                let start = slab.values.len();
                for w in (0..DIMS[2]).filter(|w| (d * 5 + h * 3 + w * w) % 3 > 0 && h < 6) {
                    slab.columns.push(w as u32);
                    slab.values.push(((d * 12 + h * 5 + w * 31) as f64).sin());
                }
                slab.rows.push(start..slab.values.len());
            }
            slabs.push(slab);
        }
        Samples { slabs, places: DIMS.map(|length| (0..length).collect()) }
    }

    /// Position in spans of index `i` of an axis.
    fn position(axis: usize, i: usize) -> f64 {
        (i as f64 + 0.2) / DIMS[axis] as f64 * SPANS[axis] as f64
    }

    fn taps() -> [Taps; 3] {
        from_fn(|axis| Taps::new((0..DIMS[axis]).map(|i| position(axis, i)), SPANS[axis]))
    }

    /// `(d, h, w, value)` of each sample.
    fn listed(samples: &Samples) -> Vec<([usize; 3], f64)> {
        let slabs = samples.slabs.iter().enumerate();
        slabs
            .flat_map(|(d, slab)| {
                let rows = slab.rows.iter().cloned().enumerate();
                rows.flat_map(move |(h, row)| {
                    row.map(move |n| ([d, h, slab.columns[n] as usize], slab.values[n]))
                })
            })
            .collect()
    }

    /// The B-spline of control point `c` at `u`, from the recursion of Cox and de Boor on whole knots.
    fn de_boor(c: usize, u: f64) -> f64 {
        fn b(order: usize, knot: f64, u: f64) -> f64 {
            if order == 0 {
                return f64::from(u8::from(knot <= u && u < knot + 1.0));
            }
            let k = order as f64;
            (u - knot) / k * b(order - 1, knot, u) + (knot + k + 1.0 - u) / k * b(order - 1, knot + 1.0, u)
        }
        b(3, c as f64 - 3.0, u)
    }

    /// Every control point that reaches a sample, and its weight there.
    fn weights([d, h, w]: [usize; 3]) -> Vec<([usize; 3], f64)> {
        let u = [position(0, d), position(1, h), position(2, w)];
        let reach =
            |axis: usize| (u[axis] as usize..u[axis] as usize + 4).map(move |c| (c, de_boor(c, u[axis])));
        let plane = |(a, x): (usize, f64)| reach(1).map(move |(b, y)| ([a, b], x * y));
        reach(0)
            .flat_map(plane)
            .flat_map(|([a, b], xy)| reach(2).map(move |(c, z)| ([a, b, c], xy * z)))
            .collect()
    }

    #[test]
    fn contractions_are_64_updates_a_sample() {
        let samples = samples();
        let (mut delta, mut omega) = (Lattice::zeros(SPANS).0, Lattice::zeros(SPANS).0);
        for (place, value) in listed(&samples) {
            let weights = weights(place);
            assert_eq!(weights.len(), 64);
            let squares: f64 = weights.iter().map(|(_, w)| w * w).sum();
            for (point, weight) in weights {
                delta[point] += weight * weight * (weight * value / squares);
                omega[point] += weight * weight;
            }
        }
        let lattice = Approximation::new(&samples, taps(), SPANS).fit(&samples, |value| value);
        for ((point, &fitted), (delta, omega)) in lattice.0.indexed_iter().zip(delta.iter().zip(&omega)) {
            let expected = if *omega > 0.0 { delta / omega } else { 0.0 };
            assert!((fitted - expected).abs() < 1e-12, "{point:?}: {fitted}, expected {expected}");
        }
    }

    #[test]
    fn subtracting_takes_the_spline_and_returns_the_variation_of_its_exponential() {
        let mut samples = samples();
        let before = listed(&samples);
        let approximation = Approximation::new(&samples, taps(), SPANS);
        let lattice = approximation.fit(&samples, |value| 0.3 * value);
        let variation = approximation.subtract(&mut samples, &lattice);
        let steps: Vec<f64> = before
            .iter()
            .map(|(place, _)| weights(*place).iter().map(|(point, weight)| weight * lattice.0[*point]).sum())
            .collect();
        for ((old, new), step) in before.iter().zip(&listed(&samples)).zip(&steps) {
            assert!((old.1 - step - new.1).abs() < 1e-13);
        }
        let factors: Vec<f64> = steps.iter().map(|step| step.exp()).collect();
        let mean = factors.iter().sum::<f64>() / factors.len() as f64;
        let squares: f64 = factors.iter().map(|factor| (factor - mean).powi(2)).sum();
        let expected = (squares / (factors.len() - 1) as f64).sqrt() / mean;
        assert!((variation - expected).abs() < 1e-12, "{variation}, expected {expected}");
    }

    #[test]
    fn refining_changes_nothing() {
        let mut coarse = Lattice::zeros(SPANS);
        coarse.0.iter_mut().enumerate().for_each(|(i, value)| *value = (i as f64 * 1.7).sin());
        let fine = coarse.refined();
        assert_eq!(fine.spans(), SPANS.map(|spans| 2 * spans));
        // Of a point at a time, ends included.
        let at = |lattice: &Lattice, share: [f64; 3]| {
            let spans = lattice.spans();
            let [d, h, w] = from_fn(|a| Taps::new([share[a] * spans[a] as f64].into_iter(), spans[a]));
            let mut value = f64::NAN;
            lattice.rows([&d, &h, &w], 0, |_, line| value = w.value(0, line));
            value
        };
        for n in 0..200 {
            let share = [n * 7 % 200, n * 31 % 199, n * 13 % 101].map(|n| f64::from(n) / 199.0);
            let (a, b) = (at(&coarse, share), at(&fine, share));
            assert!((a - b).abs() < 1e-13, "{share:?}: {a}, {b}");
        }
        assert!((at(&coarse, [1.0; 3]) - at(&fine, [1.0; 3])).abs() < 1e-13);
    }

    #[test]
    fn records_that_do_not_fit_are_refused() {
        let lattice = Lattice::zeros(SPANS);
        let text = serde_json::to_string(&lattice).expect("plain data");
        assert_eq!(serde_json::from_str::<Lattice>(&text).expect("read back"), lattice);
        let huge = format!("{{\"shape\":[{},9,9],\"values\":[1.0]}}", usize::MAX);
        for text in [r#"{"shape":[3,4,4],"values":[]}"#, r#"{"shape":[4,4,4],"values":[1.0]}"#, &huge] {
            assert!(serde_json::from_str::<Lattice>(text).is_err(), "{text}");
        }
    }
}
