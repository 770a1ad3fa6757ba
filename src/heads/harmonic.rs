//! Harmonic filling of missing voxels, by Laplace's equation: the baseline of in-painting.

use ndarray::{Array3, Array4, ArrayView3};

use crate::acquisition::conjugate_gradient::{ConjugateGradient, Stop};
use crate::acquisition::{Complex32, ComplexArray};

/// Iterations at most.
const ITERATIONS: usize = 2000;
/// ‖residual‖ / ‖right-hand side‖ at which it ends.
const TOLERANCE: f64 = 1e-5;

/// `image` `[C, D, H, W]` with every voxel that is not `known` `[D, H, W]` set to the mean of its neighbours: Laplace's
/// equation with the known voxels as boundary values and no flow across the grid's faces. Zero in connected components
/// of unknown voxels without a known neighbour.
pub fn harmonic(image: &Array4<f32>, known: &Array3<bool>) -> Array4<f32> {
    let unknown: Vec<[usize; 3]> =
        known.indexed_iter().filter(|(_, known)| !**known).map(|((z, y, x), _)| [z, y, x]).collect();
    let mut number = Array3::from_elem(known.dim(), usize::MAX);
    unknown.iter().enumerate().for_each(|(n, &at)| number[at] = n);
    let beside: Vec<Vec<[usize; 3]>> = unknown.iter().map(|&at| neighbours(at, known.dim().into())).collect();
    let mut filled = image.clone();
    for mut channel in filled.outer_iter_mut() {
        let solution = solve(channel.view(), &number, &beside);
        unknown.iter().zip(solution).for_each(|(&at, value)| channel[at] = value);
    }
    filled
}

/// The voxels that share a face with this one.
fn neighbours(at: [usize; 3], shape: [usize; 3]) -> Vec<[usize; 3]> {
    let mut found = Vec::with_capacity(6);
    for axis in 0..3 {
        let moved = |to: usize| {
            let mut beside = at;
            beside[axis] = to;
            beside
        };
        if at[axis] > 0 {
            found.push(moved(at[axis] - 1));
        }
        if at[axis] + 1 < shape[axis] {
            found.push(moved(at[axis] + 1));
        }
    }
    found
}

/// Values of the unknown voxels: `number` is that of each, or the greatest number for the known ones.
fn solve(image: ArrayView3<f32>, number: &Array3<usize>, beside: &[Vec<[usize; 3]>]) -> Vec<f32> {
    let unknown = |at: &[usize; 3]| number[*at] != usize::MAX;
    let given = |beside: &Vec<[usize; 3]>| -> f32 {
        beside.iter().filter(|at| !unknown(at)).map(|&at| image[at]).sum()
    };
    let rhs: Vec<Complex32> = beside.iter().map(|beside| Complex32::new(given(beside), 0.0)).collect();
    let rhs = ComplexArray::from_shape_vec(vec![beside.len()], rhs).expect("one value a voxel");
    let laplacian = |x: ComplexArray| {
        let values = beside.iter().enumerate().map(|(n, beside)| {
            let flow: Complex32 = beside.iter().filter(|at| unknown(at)).map(|&at| x[number[at]]).sum();
            x[n] * beside.len() as f32 - flow
        });
        ComplexArray::from_shape_vec(vec![beside.len()], values.collect()).expect("one value a voxel")
    };
    let stop = Stop { iterations: ITERATIONS, tolerance: TOLERANCE };
    let solution = ConjugateGradient::new(&laplacian, stop).solve(&rhs, &mut |_| ());
    solution.iter().map(|z| z.re).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Linear functions solve Laplace's equation: a hole in one is filled with itself.
    #[test]
    fn a_slope_is_filled_with_itself() {
        let slope = |(_, z, y, x): (usize, usize, usize, usize)| (2 * z + y) as f32 - 0.5 * x as f32;
        let image = Array4::from_shape_fn((1, 9, 10, 8), slope);
        let known = Array3::from_shape_fn((9, 10, 8), |(z, y, x)| {
            !((2..6).contains(&z) && (3..8).contains(&y) && (1..6).contains(&x))
        });
        let mut torn = image.clone();
        known
            .indexed_iter()
            .filter(|(_, known)| !**known)
            .for_each(|((z, y, x), _)| torn[(0, z, y, x)] = 1e6);
        let filled = harmonic(&torn, &known);
        let worst = filled.iter().zip(&image).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-3, "{worst}");
    }

    /// Slices that are missing at an end repeat the last one.
    #[test]
    fn nothing_flows_over_the_edge() {
        let image = Array4::from_shape_fn((1, 6, 4, 4), |(_, z, ..)| if z < 3 { 2.0 } else { -7.0 });
        let known = Array3::from_shape_fn((6, 4, 4), |(z, ..)| z < 3);
        let filled = harmonic(&image, &known);
        assert!(filled.iter().all(|value| (value - 2.0).abs() < 1e-3));
    }
}
