//! The exact Euclidean distance transform: the distance of each voxel to a set of voxels, and the nearest of them.

use ndarray::parallel::prelude::*;
use ndarray::{Array3, ArrayView3, ArrayViewMut2, Axis, s};

/// Lines that are transformed together, so that a plane is read and written along its memory.
const LINES: usize = 16;

/// Distance of each voxel's centre to the nearest centre of a voxel in `set`, in millimetres, `[D, H, W]`; infinite
/// where the set is empty.
///
/// `spacing_mm` is the voxel size along `(i, j, k) = (W, H, D)`. Felzenszwalb & Huttenlocher 2012, "Distance
/// transforms of sampled functions": axis after axis, squared distances are the lower envelope of parabolas, in
/// linear time. The result is exact to the rounding of `f32` and does not depend on the number of threads.
pub fn distance_transform_mm(set: ArrayView3<bool>, spacing_mm: [f64; 3]) -> Array3<f32> {
    let mut squared = Array3::from_elem(set.raw_dim(), f32::INFINITY);
    squared.axis_iter_mut(Axis(0)).into_par_iter().zip(set.axis_iter(Axis(0))).for_each(|(mut to, from)| {
        for (to, from) in to.rows_mut().into_iter().zip(from.rows()) {
            let (mut to, n) = (to, from.len());
            let mut sweep = |places: &mut dyn Iterator<Item = usize>| {
                let mut steps = f64::INFINITY;
                for x in places {
                    steps = if from[x] { 0.0 } else { steps + 1.0 };
                    to[x] = to[x].min((steps * spacing_mm[0]).powi(2) as f32);
                }
            };
            sweep(&mut (0..n));
            sweep(&mut (0..n).rev());
        }
    });
    squared
        .axis_iter_mut(Axis(0))
        .into_par_iter()
        .for_each(|plane| envelope_plane(plane, None, spacing_mm[1]));
    squared
        .axis_iter_mut(Axis(1))
        .into_par_iter()
        .for_each(|plane| envelope_plane(plane, None, spacing_mm[2]));
    squared.par_mapv_inplace(f32::sqrt);
    squared
}

/// What stands in an array of numbers where there is no number.
pub(super) const NONE: u32 = u32::MAX;

/// Of voxels `[D, H, W]` some of which have a number, the others [`NONE`]: the number of the voxel nearest to each, its
/// own where it has one; [`NONE`] everywhere where there is none. Of equally near ones it is any.
pub(super) fn nearest(mut numbers: Array3<u32>, spacing_mm: [f64; 3]) -> Array3<u32> {
    let mut squared = Array3::from_elem(numbers.raw_dim(), f32::INFINITY);
    let planes = numbers.axis_iter_mut(Axis(0)).into_par_iter().zip(squared.axis_iter_mut(Axis(0)));
    planes.for_each(|(mut numbers, mut squared)| {
        for (mut numbers, mut squared) in numbers.rows_mut().into_iter().zip(squared.rows_mut()) {
            let (own, n) = (numbers.to_vec(), numbers.len());
            let mut sweep = |places: &mut dyn Iterator<Item = usize>| {
                let (mut steps, mut number) = (f64::INFINITY, NONE);
                for x in places {
                    (steps, number) = if own[x] == NONE { (steps + 1.0, number) } else { (0.0, own[x]) };
                    let square = (steps * spacing_mm[0]).powi(2) as f32;
                    if square < squared[x] {
                        (squared[x], numbers[x]) = (square, number);
                    }
                }
            };
            sweep(&mut (0..n));
            sweep(&mut (0..n).rev());
        }
    });
    for (axis, step_mm) in [(0, spacing_mm[1]), (1, spacing_mm[2])] {
        let planes = squared.axis_iter_mut(Axis(axis)).into_par_iter();
        planes
            .zip(numbers.axis_iter_mut(Axis(axis)))
            .for_each(|(plane, numbers)| envelope_plane(plane, Some(numbers), step_mm));
    }
    numbers
}

/// Each column of a plane `[N, W]` becomes the lower envelope of the parabolas that stand on it, each of its `numbers`
/// that of the voxel whose parabola is the lowest there.
fn envelope_plane(mut plane: ArrayViewMut2<f32>, mut numbers: Option<ArrayViewMut2<u32>>, step_mm: f64) {
    let (n, width) = plane.dim();
    let mut heights = vec![0.0; n * LINES];
    let mut vertices = vec![0; if numbers.is_some() { n * LINES } else { 0 }];
    let mut line_numbers = vec![NONE; n];
    let mut envelope = Envelope::default();
    for first in (0..width).step_by(LINES) {
        let end = (first + LINES).min(width);
        let mut columns = plane.slice_mut(s![.., first..end]);
        for (y, row) in columns.rows().into_iter().enumerate() {
            row.iter().enumerate().for_each(|(x, &height)| heights[x * n + y] = f64::from(height));
        }
        for (x, line) in heights.chunks_exact_mut(n).take(end - first).enumerate() {
            match vertices.get_mut(x * n..(x + 1) * n) {
                Some(vertices) => {
                    envelope.of(line, step_mm * step_mm, |place, vertex| vertices[place] = vertex)
                }
                None => envelope.of(line, step_mm * step_mm, |_, _| ()),
            }
        }
        for (y, mut row) in columns.rows_mut().into_iter().enumerate() {
            row.iter_mut().enumerate().for_each(|(x, height)| *height = heights[x * n + y] as f32);
        }
        for (x, vertices) in vertices.chunks_exact(n.max(1)).take(end - first).enumerate() {
            let Some(numbers) = &mut numbers else { break };
            let mut column = numbers.column_mut(first + x);
            line_numbers.iter_mut().zip(&column).for_each(|(to, &number)| *to = number);
            column.iter_mut().zip(vertices).for_each(|(to, &vertex)| *to = line_numbers[vertex]);
        }
    }
}

/// The parabolas that make up a lower envelope, from left to right.
#[derive(Default)]
struct Envelope {
    /// Where a parabola has its vertex, how high it stands there, and from where on it is the lowest.
    parts: Vec<(f64, f64, f64)>,
}

impl Envelope {
    /// `heights[x]` becomes the minimum over `y` of `heights[y] + square_mm2·(x − y)²`; `lowest` is told every `x` and
    /// its `y`, and nothing where all heights are infinite.
    fn of(&mut self, heights: &mut [f64], square_mm2: f64, mut lowest: impl FnMut(usize, usize)) {
        self.parts.clear();
        for (place, &height) in heights.iter().enumerate().filter(|(_, height)| height.is_finite()) {
            let at = place as f64;
            let mut from = f64::NEG_INFINITY;
            while let Some(&(vertex, low, start)) = self.parts.last() {
                // Where this parabola falls below the last one.
                from = 0.5 * ((height - low) / (square_mm2 * (at - vertex)) + at + vertex);
                if from > start {
                    break;
                }
                self.parts.pop();
                from = f64::NEG_INFINITY;
            }
            self.parts.push((at, height, from));
        }
        let mut parts = self.parts.iter().peekable();
        let Some(&(mut vertex, mut low, _)) = parts.next() else { return };
        for (place, height) in heights.iter_mut().enumerate() {
            let at = place as f64;
            while let Some(&&(next, next_low, _)) = parts.peek().filter(|(_, _, start)| *start <= at) {
                (vertex, low) = (next, next_low);
                parts.next();
            }
            *height = low + square_mm2 * (at - vertex) * (at - vertex);
            lowest(place, vertex as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nearest_mm(set: &Array3<bool>, [d, h, w]: [usize; 3], spacing_mm: [f64; 3]) -> f64 {
        let away = |at: usize, to: usize, mm: f64| ((at as f64 - to as f64) * mm).powi(2);
        let squared = set.indexed_iter().filter(|(_, inside)| **inside).map(|((z, y, x), _)| {
            away(d, z, spacing_mm[2]) + away(h, y, spacing_mm[1]) + away(w, x, spacing_mm[0])
        });
        squared.fold(f64::INFINITY, f64::min).sqrt()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn it_is_the_distance_to_the_nearest_voxel_of_all(
            dims in (1..7usize, 1..9usize, 1..40usize),
            bits in prop::collection::vec(0..20u8, 7 * 9 * 40),
            spacing_mm in (0.3..3.0f64, 0.3..3.0f64, 0.3..3.0f64),
        ) {
            let set = Array3::from_shape_fn(dims, |(z, y, x)| bits[(z * 9 + y) * 40 + x] == 0);
            let spacing_mm = [spacing_mm.0, spacing_mm.1, spacing_mm.2];
            for ((z, y, x), &mm) in distance_transform_mm(set.view(), spacing_mm).indexed_iter() {
                let expected = nearest_mm(&set, [z, y, x], spacing_mm);
                prop_assert!(
                    f64::from(mm) == expected || (f64::from(mm) - expected).abs() <= 2e-7 * expected,
                    "{mm} for {expected}"
                );
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn the_nearest_is_as_far_as_the_distance_says(
            dims in (1..7usize, 1..9usize, 1..40usize),
            bits in prop::collection::vec(0..20u8, 7 * 9 * 40),
            spacing_mm in (0.3..3.0f64, 0.3..3.0f64, 0.3..3.0f64),
        ) {
            let set = Array3::from_shape_fn(dims, |(z, y, x)| bits[(z * 9 + y) * 40 + x] == 0);
            let spacing_mm = [spacing_mm.0, spacing_mm.1, spacing_mm.2];
            let at = |number: u32| {
                let number = number as usize;
                [number / (dims.1 * dims.2), number / dims.2 % dims.1, number % dims.2]
            };
            let numbers = Array3::from_shape_fn(dims, |(z, y, x)| {
                if set[[z, y, x]] { ((z * dims.1 + y) * dims.2 + x) as u32 } else { NONE }
            });
            let found = nearest(numbers, spacing_mm);
            for ((z, y, x), &number) in found.indexed_iter() {
                let expected = nearest_mm(&set, [z, y, x], spacing_mm);
                if number == NONE {
                    prop_assert!(expected.is_infinite());
                    continue;
                }
                let (to, from) = (at(number), [z, y, x]);
                let away = |axis: usize| (to[axis] as f64 - from[axis] as f64) * spacing_mm[2 - axis];
                let mm = (0..3).map(|axis| away(axis).powi(2)).sum::<f64>().sqrt();
                prop_assert!(set[at(number)] && (mm - expected).abs() <= 1e-6 * expected, "{mm} for {expected}");
            }
        }
    }

    #[test]
    fn the_rest_of_a_cube_lies_as_far_from_its_corner_as_pythagoras_says() {
        let mut set = Array3::from_elem((30, 41, 52), false);
        set[[0, 0, 0]] = true;
        let far = distance_transform_mm(set.view(), [1.0, 2.0, 3.0])[[29, 40, 51]];
        assert_eq!(far, (51f32.powi(2) + 80f32.powi(2) + 87f32.powi(2)).sqrt());
    }
}
