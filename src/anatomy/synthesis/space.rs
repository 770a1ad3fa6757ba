//! Where each voxel of an example is read in its label map: turned, scaled, sheared, bent, mirrored.

use nalgebra::{Matrix3, Vector3};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::fields::{control_points, field};
use super::labels::LabelMap;
use super::{View, between, gaussian};
use crate::config::SynthesisRecipe;

/// A map from an example's voxels to those of a label map.
pub(super) struct Space {
    pub(super) shape: [usize; 3],
    pub(super) mirrored: bool,
    linear: Matrix3<f64>,
    /// Of the example's centre, in the label map.
    centre: Vector3<f64>,
    /// Elastic displacement along D, H and W in voxels.
    displacement: [Vec<f32>; 3],
}

impl Space {
    pub(super) fn draw(map: &LabelMap, view: View, recipe: &SynthesisRecipe, rng: &mut ChaCha8Rng) -> Self {
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
        let linear = linear * Matrix3::from_diagonal(&mirror);
        let centre = Vector3::from([0, 1, 2].map(|axis| map.centre[axis] + between(rng, -1.0, 1.0) * shift));
        let points = shape.map(|length| control_points(length, recipe.elastic_spacing_mm));
        let sigma = between(rng, 0.0, recipe.elastic_mm);
        let displacement =
            [(); 3].map(|()| field(gaussian(rng, points.iter().product(), sigma), points, shape));
        Self { shape, mirrored, linear, centre, displacement }
    }

    /// The label at each voxel of the example, by the nearest voxel of the map; 0 outside it.
    pub(super) fn labels(&self, map: &LabelMap) -> Vec<u8> {
        let [d, h, w] = self.shape;
        let of: [usize; 3] = map.labels.dim().into();
        let source = map.labels.as_slice().expect("a label map is contiguous");
        // Maps begin with a corner of the head's box, which is air.
        let outside = source[0];
        let middle = self.shape.map(|length| (length as f64 - 1.0) / 2.0);
        let mut labels = vec![outside; d * h * w];
        labels.par_chunks_mut(w).enumerate().for_each(|(row, labels)| {
            let (z, y) = (row / h, row % h);
            let start = Vector3::new(z as f64 - middle[0], y as f64 - middle[1], -middle[2]);
            let start = (self.linear * start + self.centre).map(|x| x as f32);
            let step = self.linear.column(2).map(|x| x as f32);
            for (x, label) in labels.iter_mut().enumerate() {
                let at = row * w + x;
                let place = |axis: usize| {
                    (start[axis] + step[axis] * x as f32 + self.displacement[axis][at] + 0.5).floor() as isize
                };
                let [i, j, k] = [place(0), place(1), place(2)];
                let within = |i: isize, axis: usize| i >= 0 && (i as usize) < of[axis];
                if within(i, 0) && within(j, 1) && within(k, 2) {
                    *label = source[((i as usize * of[1]) + j as usize) * of[2] + k as usize];
                }
            }
        });
        labels
    }
}
