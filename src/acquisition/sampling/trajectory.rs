//! Non-Cartesian sampling: points of k-space, and the area of each for density compensation.

use ndarray::Array2;

use super::plane::Plane;

/// Non-Cartesian samples of one plane of k-space; a volume (a stack of stars or of spirals) repeats them along the
/// third axis, whose column is zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Trajectory {
    /// `[samples, 3]`, in cycles per field of view along `(D, H, W)`, −n/2…n/2, in the order of measurement.
    pub points: Array2<f32>,
    /// Density compensation: the area of k-space of each sample, in places of the grid. They add up to the area of the
    /// measured ellipse.
    pub density: Vec<f32>,
}

impl Trajectory {
    /// Of points `[y, x]` in units of half of the plane's extents, and their areas in units of these halves.
    pub(super) fn of(plane: &Plane, points: &[[f64; 2]], areas: impl Iterator<Item = f64>) -> Self {
        let half = [0, 1].map(|axis| plane.extents[axis] as f64 / 2.0);
        let mut all = Array2::zeros((points.len(), 3));
        for (mut row, point) in all.outer_iter_mut().zip(points) {
            for axis in 0..2 {
                row[plane.axis(axis)] = (point[axis] * half[axis]) as f32;
            }
        }
        Self { points: all, density: areas.map(|area| (area * half[0] * half[1]) as f32).collect() }
    }
}

/// The places of the plane's grid that are nearest to the points `[y, x]`, in units of half of its extents.
pub(super) fn gridded(plane: &Plane, points: &[[f64; 2]]) -> Vec<bool> {
    let mut sampled = vec![false; plane.places()];
    for point in points {
        let nearest = [0, 1].map(|axis| {
            let n = plane.extents[axis];
            let index = (point[axis] * n as f64 / 2.0).round() + (n / 2) as f64;
            (0.0..n as f64).contains(&index).then_some(index as usize)
        });
        if let [Some(y), Some(x)] = nearest {
            sampled[y * plane.extents[1] + x] = true;
        }
    }
    sampled
}
