//! One-dimensional passes over volumes: smooth fields from control points, blur, coarser voxels and interpolation.

use rayon::prelude::*;

/// The weights of neighbouring places of an axis for one place of a new axis.
#[derive(Clone, Debug)]
pub struct Taps {
    first: usize,
    weights: Vec<f32>,
}

/// `x` of `shape` `[D, H, W]` with the axis `axis` replaced by one of `taps.len()` places, and the new shape.
pub fn along(x: &[f32], shape: [usize; 3], axis: usize, taps: &[Taps]) -> (Vec<f32>, [usize; 3]) {
    let mut new = shape;
    new[axis] = taps.len();
    let inner: usize = shape[axis + 1..].iter().product();
    let (old_length, length) = (shape[axis], taps.len());
    let mut y = vec![0.0; new.iter().product()];
    let fill = |outer: usize, place: usize, row: &mut [f32]| {
        let Taps { first, weights } = &taps[place];
        for (t, weight) in weights.iter().enumerate() {
            let from = (outer * old_length + first + t) * inner;
            row.iter_mut().zip(&x[from..from + inner]).for_each(|(y, x)| *y += weight * x);
        }
    };
    if axis == 0 {
        y.par_chunks_mut(inner).enumerate().for_each(|(place, row)| fill(0, place, row));
    } else {
        y.par_chunks_mut(length * inner).enumerate().for_each(|(outer, block)| {
            block.chunks_mut(inner).enumerate().for_each(|(place, row)| fill(outer, place, row));
        });
    }
    (y, new)
}

/// Weights at the places of an axis of `length` that a kernel of `reach` about position `centre` covers, repeated at
/// the ends and of sum one.
fn kernel(centre: f64, reach: f64, length: usize, weight: impl Fn(f64) -> f64) -> Taps {
    let last = length as isize - 1;
    let (from, to) = ((centre - reach).ceil() as isize, (centre + reach).floor() as isize);
    let first = from.clamp(0, last);
    let mut weights = vec![0.0; (to.clamp(0, last) - first + 1) as usize];
    for place in from..=to {
        weights[(place.clamp(0, last) - first) as usize] += weight(place as f64 - centre);
    }
    let sum: f64 = weights.iter().sum();
    Taps { first: first as usize, weights: weights.iter().map(|w| (w / sum) as f32).collect() }
}

/// The weights from an axis of `length` to voxels `ratio` times as large: a Gaussian whose full width at half maximum
/// is the new voxel, at the new voxels' centres.
pub fn coarser(length: usize, ratio: f64) -> Vec<Taps> {
    let places = ((length as f64 / ratio).round() as usize).max(1);
    let sigma = ratio / (8.0 * std::f64::consts::LN_2).sqrt();
    (0..places)
        .map(|place| {
            let centre = centre(place, places, length);
            kernel(centre, (3.0 * sigma).max(1.0), length, |x| (-0.5 * (x / sigma).powi(2)).exp())
        })
        .collect()
}

/// The weights of linear interpolation from an axis of `length` to one of `places` over the same field of view.
pub fn linear(length: usize, places: usize) -> Vec<Taps> {
    (0..places)
        .map(|place| kernel(centre(place, places, length), 1.0, length, |x| (1.0 - x.abs()).max(1e-9)))
        .collect()
}

/// Cubic B-splines over `length` control points, the outermost beyond the ends of the new axis.
fn spline(length: usize, places: usize) -> Vec<Taps> {
    let cubic = |x: f64| match x.abs() {
        x if x < 1.0 => 2.0 / 3.0 - x * x + x * x * x / 2.0,
        x if x < 2.0 => (2.0 - x).powi(3) / 6.0,
        _ => 0.0,
    };
    let step = (length as f64 - 3.0) / (places.max(2) - 1) as f64;
    (0..places).map(|place| kernel(1.0 + place as f64 * step, 1.999, length, cubic)).collect()
}

/// Position in an axis of `length` of the centre of one of `places` over the same field of view.
fn centre(place: usize, places: usize, length: usize) -> f64 {
    (place as f64 + 0.5) * length as f64 / places as f64 - 0.5
}

/// Number of control points along an axis of `length` voxels at distances of about `spacing` voxels, with those beyond
/// its ends.
pub fn control_points(length: usize, spacing: f64) -> usize {
    (length as f64 / spacing).round().max(1.0) as usize + 3
}

/// The field over `shape` `[D, H, W]` of the control points `control` of shape `points`.
pub fn field(control: Vec<f32>, points: [usize; 3], shape: [usize; 3]) -> Vec<f32> {
    let start = (control, points);
    // The last axis first: rows get long at once.
    [2, 1, 0].into_iter().fold(start, |(x, of), axis| along(&x, of, axis, &spline(of[axis], shape[axis]))).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_stays_through_every_pass() {
        let shape = [5, 6, 7];
        let x = vec![2.5; 210];
        for axis in 0..3 {
            for taps in [coarser(shape[axis], 1.7), linear(shape[axis], 11), spline(shape[axis], 9)] {
                let (y, new) = along(&x, shape, axis, &taps);
                assert_eq!((new[axis], y.len()), (taps.len(), new.iter().product()));
                assert!(y.iter().all(|y| (y - 2.5).abs() < 1e-5));
            }
        }
    }

    #[test]
    fn linear_interpolation_keeps_a_ramp_inside() {
        let x: Vec<f32> = (0..8).map(|i| i as f32).collect();
        let (y, _) = along(&x, [1, 1, 8], 2, &linear(8, 16));
        for (i, y) in y.iter().enumerate().skip(1).take(14) {
            assert!((y - (i as f32 * 0.5 - 0.25)).abs() < 1e-5, "{i}: {y}");
        }
    }

    #[test]
    fn a_coarser_axis_has_the_blur_of_its_voxels() {
        let mut x = vec![0.0; 101];
        x[50] = 1.0;
        let (y, _) = along(&x, [1, 1, 101], 2, &coarser(101, 1.0));
        // Full width at half maximum of one voxel: the neighbour, half of it away twice over, has 2⁻⁴ of the peak.
        assert!((y[51] / y[50] - 0.0625).abs() < 1e-3, "{} of {}", y[51], y[50]);
    }
}
