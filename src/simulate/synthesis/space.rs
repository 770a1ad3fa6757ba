//! The position in its source of each voxel of an example: rotated, scaled, sheared, deformed, mirrored.

use nalgebra::{Matrix3, Vector3};
use ndarray::Array3;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::SynthesisRecipe;
use super::{View, between, gaussian};
use crate::warp::fields::{control_points, field};

/// A map from an example's voxels, of 1 mm, to those of its source.
pub(super) struct Space {
    pub(super) shape: [usize; 3],
    pub(super) mirrored: bool,
    linear: Matrix3<f64>,
    /// Of the example's centre, in the source.
    centre: Vector3<f64>,
    /// Elastic displacement along D, H and W in voxels of the source.
    displacement: [Vec<f32>; 3],
}

impl Space {
    /// Draws a map into a source of cubic voxels of `voxel_mm` whose brain's middle is the voxel `centre` `[D, H, W]`.
    pub(super) fn draw(
        centre: [f64; 3],
        voxel_mm: f64,
        view: View,
        recipe: &SynthesisRecipe,
        rng: &mut ChaCha8Rng,
    ) -> Self {
        let (shape, shift) = match view {
            View::Crop(shape) => (shape, recipe.shift_mm),
            View::Centred(shape) => (shape, 0.0),
        };
        let mirrored = rng.random::<f64>() < recipe.mirrored;
        let angles = [(); 3].map(|()| between(rng, -recipe.rotation_deg, recipe.rotation_deg).to_radians());
        let scales = [(); 3].map(|()| between(rng, 1.0 - recipe.scaling, 1.0 + recipe.scaling));
        let mut shear = Matrix3::identity();
        for (row, column) in [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)] {
            shear[(row, column)] = between(rng, -recipe.shear, recipe.shear);
        }
        let turn = nalgebra::Rotation3::from_euler_angles(angles[0], angles[1], angles[2]);
        let mirror = Vector3::new(1.0, 1.0, if mirrored { -1.0 } else { 1.0 });
        let linear = turn.matrix() * shear * Matrix3::from_diagonal(&Vector3::from(scales));
        let linear = linear * Matrix3::from_diagonal(&mirror) / voxel_mm;
        let centre =
            Vector3::from([0, 1, 2].map(|axis| centre[axis] + between(rng, -1.0, 1.0) * shift / voxel_mm));
        let points = shape.map(|length| control_points(length, recipe.elastic_spacing_mm));
        let sigma = between(rng, 0.0, recipe.elastic_mm) / voxel_mm;
        let displacement =
            [(); 3].map(|()| field(gaussian(rng, points.iter().product(), sigma), points, shape));
        Self { shape, mirrored, linear, centre, displacement }
    }

    /// The label of the nearest voxel of `source` `[D, H, W]` at each voxel of the example; `outside` beyond its ends.
    pub(super) fn nearest(&self, source: &Array3<u8>, outside: u8) -> Vec<u8> {
        let of = Source::new(source);
        self.read(|place| of.at(place.map(|x| (x + 0.5).floor() as isize)).unwrap_or(outside))
    }

    /// The label that has the most weight among the eight voxels of `source` around each voxel of the example, by
    /// linear interpolation: labels of coarse voxels get smooth borders. `outside` lies beyond its ends.
    pub(super) fn likeliest(&self, source: &Array3<u8>, outside: u8) -> Vec<u8> {
        let of = Source::new(source);
        self.read(|place| {
            let mut votes = [(outside, 0.0f32); 8];
            let mut count = 0;
            corners(place, |at, weight| {
                let label = of.at(at).unwrap_or(outside);
                match votes[..count].iter_mut().find(|(other, _)| *other == label) {
                    Some((_, sum)) => *sum += weight,
                    None => {
                        votes[count] = (label, weight);
                        count += 1;
                    }
                }
            });
            votes[..count]
                .iter()
                .fold((outside, f32::MIN), |best, vote| if vote.1 > best.1 { *vote } else { best })
                .0
        })
    }

    /// The intensity of `source` `[D, H, W]` at each voxel of the example, by linear interpolation; 0 beyond its ends.
    pub(super) fn linear(&self, source: &Array3<f32>) -> Vec<f32> {
        let of = Source::new(source);
        self.read(|place| {
            let mut sum = 0.0;
            corners(place, |at, weight| sum += weight * of.at(at).unwrap_or(0.0));
            sum
        })
    }

    /// What `of` says of the place in the source, in voxels, of each voxel of the example.
    fn read<T: Copy + Default + Send>(&self, of: impl Fn([f32; 3]) -> T + Sync) -> Vec<T> {
        let [d, h, w] = self.shape;
        let middle = self.shape.map(|length| (length as f64 - 1.0) / 2.0);
        let mut values = vec![T::default(); d * h * w];
        values.par_chunks_mut(w).enumerate().for_each(|(row, values)| {
            let (z, y) = (row / h, row % h);
            let start = Vector3::new(z as f64 - middle[0], y as f64 - middle[1], -middle[2]);
            let start = (self.linear * start + self.centre).map(|x| x as f32);
            let step = self.linear.column(2).map(|x| x as f32);
            for (x, value) in values.iter_mut().enumerate() {
                let at = row * w + x;
                *value =
                    of([0, 1, 2]
                        .map(|axis| start[axis] + step[axis] * x as f32 + self.displacement[axis][at]));
            }
        });
        values
    }
}

/// What is read, without an index check for each axis.
struct Source<'a, T> {
    values: &'a [T],
    shape: [usize; 3],
}

impl<'a, T: Copy> Source<'a, T> {
    fn new(source: &'a Array3<T>) -> Self {
        Self { values: source.as_slice().expect("a source is contiguous"), shape: source.dim().into() }
    }

    /// None beyond the ends.
    fn at(&self, place: [isize; 3]) -> Option<T> {
        let within = |axis: usize| place[axis] >= 0 && (place[axis] as usize) < self.shape[axis];
        (within(0) && within(1) && within(2)).then(|| {
            let [i, j, k] = place.map(|x| x as usize);
            self.values[(i * self.shape[1] + j) * self.shape[2] + k]
        })
    }
}

/// The eight voxels around a place with their weights.
fn corners(place: [f32; 3], mut take: impl FnMut([isize; 3], f32)) {
    let low = place.map(f32::floor);
    let part = [0, 1, 2].map(|axis| place[axis] - low[axis]);
    for corner in 0..8 {
        let high = [corner >> 2 & 1, corner >> 1 & 1, corner & 1];
        let weights = [0, 1, 2].map(|axis| if high[axis] == 1 { part[axis] } else { 1.0 - part[axis] });
        take([0, 1, 2].map(|axis| low[axis] as isize + high[axis]), weights.iter().product());
    }
}
