//! Resampling from any grid to any other: nearest, trilinear or cubic, anti-aliased where the new grid is coarser.

use nalgebra::{Matrix4, Vector3, Vector4};
use ndarray::Array4;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use super::grid::Grid;
use super::{Volume, data_axis};

/// Samples that lie this near to a voxel centre or to the border, in voxels, are taken to lie on it. It keeps the
/// rounding of an affine's inverse from moving a flipped, shifted or cropped grid off the voxels it falls on.
pub(super) const COINCIDENT: f64 = 1e-6;

/// How values between voxel centres are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Interpolation {
    /// The nearest voxel's value (of two equally near, the one with the higher index): for labels; never blurs.
    Nearest,
    /// Trilinear.
    #[default]
    Linear,
    /// Tricubic convolution with a = -1/2 (Keys 1981, "Cubic convolution interpolation for digital image processing",
    /// equation 15; Catmull–Rom): reproduces quadratics, overshoots slightly beside edges.
    Cubic,
}

/// `volume` on `grid`, with 0 outside its field of view; see [`resample_with`].
pub fn resample(volume: &Volume, grid: &Grid, interpolation: Interpolation) -> Volume {
    resample_with(volume, grid, interpolation, 0.0)
}

/// `volume` with voxels of `spacing_mm` along `(i, j, k)`, about the same centre and over the same field of view to
/// within half a new voxel at each side (see [`Grid::with_spacing`], which also says when this panics); a sheared volume is straightened
/// ([`Grid::straight`]).
pub fn resample_spacing(volume: &Volume, spacing_mm: [f64; 3], interpolation: Interpolation) -> Volume {
    resample(volume, &Grid::of(volume).straight().with_spacing(spacing_mm), interpolation)
}

/// `volume` on `grid`, with the value `outside` wherever `grid` leaves the field of view.
///
/// The field of view ends at the outer faces of the outermost voxels, half a voxel beyond their centres; in that half
/// voxel, and for the outer taps of the cubic kernel, the outermost voxels are repeated.
///
/// Linear and cubic interpolation are preceded by a Gaussian along each voxel axis of the source along which `grid` is
/// coarser. Its standard deviation, in source voxels, is √(k² − 1) / (2 √(2 ln 2)): it widens the source's point
/// spread, a Gaussian whose full width at half maximum is one voxel, to that of the new grid (Cardoso et al. 2015,
/// "Scale factor point spread function matching: beyond aliasing in image resampling", equation 4). The ratio of
/// spacings k along a source axis is the length of that axis's row in the matrix from new voxels to source voxels,
/// which for aligned grids is the plain ratio, and 1 for a mere rotation.
///
/// On its own grid a volume is returned bit for bit, as are its voxels under flips, permutations and whole-voxel
/// shifts. The result does not depend on the number of threads.
pub fn resample_with(volume: &Volume, grid: &Grid, interpolation: Interpolation, outside: f32) -> Volume {
    if *grid == Grid::of(volume) {
        return volume.clone();
    }
    let step = format!("resampled to {:?} voxels, {interpolation:?}", grid.dims);
    let [w, h, d] = grid.dims;
    let dims = volume.dims();
    let mut data = Array4::from_elem((volume.channels(), d, h, w), outside);
    let finish =
        |data| Volume { data, affine: grid.affine, provenance: volume.provenance.clone() }.with_step(step);
    if data.is_empty() || volume.data.is_empty() {
        return finish(data);
    }
    let to_source = source_from_grid(volume, grid);

    let source = volume.data.as_standard_layout();
    let source = match interpolation {
        Interpolation::Nearest => source,
        Interpolation::Linear | Interpolation::Cubic => {
            [0, 1, 2].into_iter().fold(source, |blurred, axis| {
                let sigma = matching_sigma(to_source.fixed_view::<1, 3>(axis, 0).norm());
                if sigma > 0.0 && dims[axis] > 1 {
                    blur(&blurred, data_axis(axis), sigma).into()
                } else {
                    blurred
                }
            })
        }
    };

    let step_i = to_source.fixed_view::<3, 1>(0, 0).into_owned();
    let voxels_per_channel = dims.iter().product();
    let Some((source, planes)) = source.as_slice().zip(data.as_slice_mut()) else {
        unreachable!("both arrays are in standard layout");
    };
    planes.par_chunks_mut(w * h).enumerate().for_each(|(plane, voxels)| {
        let (channel, k) = (plane / d, plane % d);
        let channel = &source[channel * voxels_per_channel..][..voxels_per_channel];
        for (j, row) in voxels.chunks_mut(w).enumerate() {
            let start = (to_source * Vector4::new(0.0, j as f64, k as f64, 1.0)).xyz();
            for (i, voxel) in row.iter_mut().enumerate() {
                let position = start + step_i * i as f64;
                let within = |axis: usize| {
                    position[axis] >= -0.5 - COINCIDENT
                        && position[axis] <= dims[axis] as f64 - 0.5 + COINCIDENT
                };
                if within(0) && within(1) && within(2) {
                    *voxel = sample(channel, dims, &position, interpolation);
                }
            }
        }
    });
    finish(data)
}

/// The affine from voxels of `grid` to voxels of `volume`; near-integer entries are made whole where that moves no
/// sample of the grid by more than [`COINCIDENT`].
fn source_from_grid(volume: &Volume, grid: &Grid) -> Matrix4<f64> {
    let matrix = volume.affine.voxels_of(&grid.affine.steps_mm());
    let shift = volume.affine.voxels_of(&(grid.affine.origin_mm() - volume.affine.origin_mm()));

    let mut whole = Matrix4::identity();
    let snap = |entry: f64, extent: usize| {
        let near = entry.round();
        if (entry - near).abs() * extent as f64 <= COINCIDENT { near } else { entry }
    };
    for row in 0..3 {
        for column in 0..3 {
            whole[(row, column)] = snap(matrix[(row, column)], grid.dims[column].saturating_sub(1).max(1));
        }
        whole[(row, 3)] = snap(shift[row], 1);
    }
    whole
}

/// The standard deviation, in source voxels, of the Gaussian that widens a point spread of one voxel to one of
/// `ratio` voxels; zero where the new grid is not coarser.
fn matching_sigma(ratio: f64) -> f64 {
    // Below this the kernel's neighbours weigh less than 1e-8 of its centre and the blur does nothing.
    const LEAST_SIGMA: f64 = 0.16;
    let sigma = (ratio * ratio - 1.0).max(0.0).sqrt() / (2.0 * (2.0 * 2_f64.ln()).sqrt());
    if sigma < LEAST_SIGMA { 0.0 } else { sigma }
}

/// `source` `[C, D, H, W]` convolved along `axis` with a Gaussian of `sigma` voxels, cut off at four of them; near the
/// ends the kernel is normalised to the part of it that meets voxels.
pub(crate) fn blur(source: &ndarray::CowArray<f32, ndarray::Ix4>, axis: usize, sigma: f64) -> Array4<f32> {
    let shape = source.shape();
    let n = shape[axis];
    let inner: usize = shape[axis + 1..].iter().product();
    // The radius is at most the axis, however coarse the new grid.
    let radius = ((4.0 * sigma).ceil() as usize).min(n - 1);
    let kernel: Vec<f64> = (0..=radius).map(|t| (-0.5 * (t as f64 / sigma).powi(2)).exp()).collect();
    let scale: Vec<f32> = (0..n)
        .map(|x| {
            let met = |reach: usize| kernel[1..=reach.min(radius)].iter().sum::<f64>();
            (1.0 / (kernel[0] + met(x) + met(n - 1 - x))) as f32
        })
        .collect();
    let kernel: Vec<f32> = kernel.into_iter().map(|weight| weight as f32).collect();

    let mut blurred = Array4::zeros(source.raw_dim());
    let Some((from, to)) = source.as_slice().zip(blurred.as_slice_mut()) else {
        unreachable!("both arrays are in standard layout");
    };
    if inner == 1 {
        to.par_chunks_mut(n).zip(from.par_chunks(n)).for_each(|(to, from)| {
            for (shift, &weight) in kernel.iter().enumerate() {
                add_scaled(&mut to[shift..], &from[..n - shift], weight);
                if shift > 0 {
                    add_scaled(&mut to[..n - shift], &from[shift..], weight);
                }
            }
            to.iter_mut().zip(&scale).for_each(|(value, scale)| *value *= scale);
        });
    } else {
        to.par_chunks_mut(inner).enumerate().for_each(|(row, to)| {
            let x = row % n;
            for neighbour in x.saturating_sub(radius)..=(x + radius).min(n - 1) {
                let from = &from[(row - x + neighbour) * inner..][..inner];
                add_scaled(to, from, kernel[neighbour.abs_diff(x)]);
            }
            to.iter_mut().for_each(|value| *value *= scale[x]);
        });
    }
    blurred
}

/// `to += weight · from`.
fn add_scaled(to: &mut [f32], from: &[f32], weight: f32) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += weight * from);
}

/// The value of `channel`, `dims` voxels with `i` fastest, at a position inside its field of view.
fn sample(channel: &[f32], dims: [usize; 3], position: &Vector3<f64>, interpolation: Interpolation) -> f32 {
    let [w, h, _] = dims;
    match interpolation {
        Interpolation::Nearest => {
            let [i, j, k] = [0, 1, 2].map(|axis| {
                let nearest = (position[axis] + 0.5 + COINCIDENT).floor();
                (nearest.max(0.0) as usize).min(dims[axis] - 1)
            });
            channel[(k * h + j) * w + i]
        }
        Interpolation::Linear => {
            weigh(channel, dims, [0, 1, 2].map(|axis| taps(position[axis], dims[axis], linear_weights)))
        }
        Interpolation::Cubic => {
            weigh(channel, dims, [0, 1, 2].map(|axis| taps(position[axis], dims[axis], cubic_weights)))
        }
    }
}

/// The two weights of linear interpolation a `fraction` of a voxel past the first.
fn linear_weights(fraction: f64) -> [f64; 2] {
    [1.0 - fraction, fraction]
}

/// The four weights of Keys' cubic convolution a `fraction` of a voxel past the second.
fn cubic_weights(t: f64) -> [f64; 4] {
    [
        ((-0.5 * t + 1.0) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1.0,
        ((-1.5 * t + 2.0) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    ]
}

/// Voxel indices along one axis of `length` voxels and their weights.
fn taps<const N: usize>(position: f64, length: usize, weights: fn(f64) -> [f64; N]) -> [(usize, f64); N] {
    let below = position.floor();
    let weights = weights(position - below);
    let first = below as i64 - (N as i64 / 2 - 1);
    std::array::from_fn(|tap| ((first + tap as i64).clamp(0, length as i64 - 1) as usize, weights[tap]))
}

/// The weighted sum over the voxels that `[i, j, k]` taps select. A tap without weight is not read, so that a sample
/// at a voxel's centre is that voxel's value even beside NaN.
fn weigh<const N: usize>(channel: &[f32], [w, h, _]: [usize; 3], [i, j, k]: [[(usize, f64); N]; 3]) -> f32 {
    let mut sum = 0.0;
    for (k, weight_k) in k {
        if weight_k == 0.0 {
            continue;
        }
        for (j, weight_j) in j {
            if weight_j == 0.0 {
                continue;
            }
            let row = &channel[(k * h + j) * w..][..w];
            let mut line = 0.0;
            for (i, weight_i) in i {
                if weight_i != 0.0 {
                    line += weight_i * f64::from(row[i]);
                }
            }
            sum += weight_k * weight_j * line;
        }
    }
    sum as f32
}

#[cfg(test)]
mod tests {
    use nalgebra::Matrix3;

    use super::*;
    use crate::volume::VoxelToWorld;

    /// A volume of 6 × 5 × 4 voxels without symmetry, oblique.
    fn oblique() -> Volume {
        let data = Array4::from_shape_fn((1, 4, 5, 6), |(_, k, j, i)| {
            ((i * 37 + j * 101 + k * 59 + i * j * 13 + k * k * 7) % 97) as f32
        });
        #[rustfmt::skip]
        let affine = Matrix4::new(
            1.5, 0.2, -0.1, -3.0,
            -0.3, -1.2, 0.2, 4.0,
            0.1, 0.3, 2.0, -2.0,
            0.0, 0.0, 0.0, 1.0,
        );
        Volume::new(data, VoxelToWorld::new(affine).unwrap())
    }

    /// A ball in a grid that is sheared by 20 degrees, as of a tilted gantry, is a ball for the world and for the new grid's axes, and
    /// its volume stays.
    #[test]
    fn a_sheared_grid_is_straightened() {
        let mut steps = Matrix3::identity();
        steps[(1, 2)] = 20f64.to_radians().tan();
        let affine = VoxelToWorld::from_axes(&steps, &Vector3::zeros()).unwrap();
        assert!(!affine.right_angled() && VoxelToWorld::identity().right_angled());
        let centre = affine.world_mm([18.0, 26.0, 18.0]);
        let data = Array4::from_shape_fn((1, 37, 53, 37), |(_, z, y, x)| {
            let far = (affine.world_mm([x, y, z].map(|n| n as f64)) - centre).norm();
            1.0 / (1.0 + (far - 10.0).exp()) as f32
        });
        let sheared = Volume::new(data, affine);
        let straight = resample_spacing(&sheared, [1.0; 3], Interpolation::Linear);
        assert!(straight.affine.right_angled());
        let moments = |volume: &Volume, world: bool| {
            let (mut sum, mut mean, mut square) = (0.0, Vector3::zeros(), Matrix3::zeros());
            for ((_, z, y, x), &value) in volume.data.indexed_iter() {
                let at = Vector3::new(x as f64, y as f64, z as f64);
                let at = if world { volume.affine.world_mm(at.into()) } else { at };
                (sum, mean, square) = (
                    sum + f64::from(value),
                    mean + at * f64::from(value),
                    square + at * at.transpose() * f64::from(value),
                );
            }
            let mean = mean / sum;
            let ends = (square / sum - mean * mean.transpose()).symmetric_eigenvalues();
            (sum, mean, (ends.max() / ends.min()).sqrt())
        };
        let (before, after) = (moments(&sheared, true), moments(&straight, true));
        assert!(
            (after.1 - before.1).norm() < 0.05 && (after.0 / before.0 - 1.0).abs() < 0.01,
            "{before:?} {after:?}"
        );
        assert!(moments(&sheared, false).2 > 1.3 && moments(&straight, false).2 < 1.03);
        // All of the old field of view lies in the new one.
        assert!(straight.data.iter().copied().fold(0.0, f32::max) > 0.99);
    }

    #[test]
    fn agrees_with_scipy_on_oblique_grids() {
        #[rustfmt::skip]
        let affine = Matrix4::new(
            0.78, -0.24, 0.12, -2.0,
            0.18, 0.66, 0.06, -1.0,
            -0.12, 0.06, 0.96, -1.0,
            0.0, 0.0, 0.0, 1.0,
        );
        let grid = Grid { dims: [5, 4, 3], affine: VoxelToWorld::new(affine).unwrap() };
        // The plane k = 0 of scipy.ndimage.map_coordinates(order = 0 and 1, mode = "nearest"), and of Keys' kernel
        // summed over 64 voxels in numpy.
        #[rustfmt::skip]
        let cases: [(Interpolation, [f32; 20]); 3] = [
            (Interpolation::Nearest, [
                16.0, 8.0, 8.0, 67.0, 67.0, 16.0, 88.0, 88.0, 67.0, 37.0,
                12.0, 12.0, 88.0, 37.0, 37.0, 12.0, 8.0, 71.0, 37.0, 7.0,
            ]),
            (Interpolation::Linear, [
                15.12581, 19.89578, 42.76628, 55.5923, 57.65504, 15.04882, 42.19314, 83.87999, 66.1057, 42.52547,
                18.87924, 48.6587, 77.76623, 55.46577, 29.93308, 24.14962, 41.006, 65.52899, 44.71386, 21.29951,
            ]),
            (Interpolation::Cubic, [
                12.2357, 15.13115, 44.27052, 62.04394, 62.01285, 14.63717, 46.50939, 90.94471, 79.65563, 45.24992,
                14.88649, 52.6522, 86.49622, 63.01755, 28.16442, 18.05366, 41.42505, 68.06069, 46.9133, 12.4259,
            ]),
        ];
        for (interpolation, expected) in cases {
            let found = resample(&oblique(), &grid, interpolation);
            for (found, expected) in found.data.iter().zip(expected) {
                assert!((found - expected).abs() < 2e-5, "{interpolation:?}: {found} is not {expected}");
            }
        }
    }

    #[test]
    fn shrinking_blurs_as_scipy_does() {
        // scipy.ndimage.gaussian_filter1d(sigma = sqrt(8) / 2.35482, mode = "constant"), divided by that of ones, at
        // every third voxel from the second.
        let expected =
            [26.324372, 33.682797, 29.979249, 27.055465, 12.531674, 19.284054, 15.234736, 20.497362_f32];
        for axis in 0..3 {
            let mut dims = [1; 3];
            dims[axis] = 24;
            let values = (0..24).map(|n| ((n * n * 29 + n * 11) % 53) as f32).collect();
            let data = Array4::from_shape_vec((1, dims[2], dims[1], dims[0]), values).expect("24 values");
            let volume = Volume::new(data, VoxelToWorld::identity());
            let mut spacing_mm = [1.0; 3];
            spacing_mm[axis] = 3.0;
            let found = resample_spacing(&volume, spacing_mm, Interpolation::Linear);
            for (found, expected) in found.data.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-5, "axis {axis}: {found} is not {expected}");
            }
            let labels = resample_spacing(&volume, spacing_mm, Interpolation::Nearest);
            assert!(labels.data.iter().zip((0..8).map(|n| 3 * n + 1)).all(|(&label, n)| {
                label == ((n * n * 29 + n * 11) % 53) as f32 // never blurred
            }));
        }
    }

    #[test]
    fn keeps_to_the_field_of_view() {
        let volume = Volume::new(Array4::from_elem((2, 2, 2, 2), 5.0), VoxelToWorld::identity());
        let at = |x: f64| {
            let affine = VoxelToWorld::identity().with_origin_at([x, 0.0, 1.0]);
            let grid = Grid { dims: [1, 1, 1], affine };
            resample_with(&volume, &grid, Interpolation::Cubic, -3.0).data[[1, 0, 0, 0]]
        };
        assert_eq!([-0.51, -0.5, 0.3, 1.5, 1.51].map(at), [-3.0, 5.0, 5.0, 5.0, -3.0]);
    }

    #[test]
    fn absurdly_coarse_grids_cost_and_break_nothing() {
        let coarse = resample_spacing(&oblique(), [1e6, 1e200, 3.0], Interpolation::Cubic);
        assert_eq!(coarse.dims(), [1, 1, 3]);
        assert!(coarse.data.iter().all(|value| value.is_finite()));
        let huge = VoxelToWorld::from_axes(&Matrix3::from_diagonal_element(1e100), &Vector3::repeat(1e100));
        let far = Grid { dims: [2, 2, 2], affine: huge.unwrap() };
        assert!(resample(&oblique(), &far, Interpolation::Linear).data.iter().all(|&value| value == 0.0));
    }
}
