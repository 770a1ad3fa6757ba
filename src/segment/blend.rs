//! Probabilities of overlapping blocks, averaged.

use ndarray::Array3;
use rayon::prelude::*;

use super::core::core;
use super::tiles::window;
use crate::anatomy::overlap::distance_transform_mm;
use crate::anatomy::{STRUCTURES, Structure};

/// A running average of the probabilities of overlapping blocks.
pub struct Blend {
    shape: [usize; 3],
    tile: [usize; 3],
    windows: [Vec<f32>; 3],
    /// Weighted sums, `[D, STRUCTURES, H, W]`: planes are worked on side by side.
    probability: Vec<f32>,
    /// Sums of weights, `[D, H, W]`.
    weight: Vec<f32>,
}

/// Sums over voxels by structure.
#[derive(Clone, Copy, Debug)]
pub struct Sums {
    /// Sum of its probability.
    pub expected: [f64; STRUCTURES],
    /// Sum of its probability where it is the most likely one.
    pub sure: [f64; STRUCTURES],
    /// Number of the voxels where it is the most likely one.
    pub voxels: [f64; STRUCTURES],
}

impl Default for Sums {
    fn default() -> Self {
        let none = [0.0; STRUCTURES];
        Self { expected: none, sure: none, voxels: none }
    }
}

impl Sums {
    /// The sums of probabilities `[D, STRUCTURES, H, W]` and the most likely labels `[D, H, W]`.
    pub fn of(probability: &[f32], labels: &Array3<u8>) -> Self {
        let (_, h, w) = labels.dim();
        let labels = labels.as_slice().expect("labels are contiguous");
        let parts: Vec<Self> = probability
            .par_chunks(STRUCTURES * h * w)
            .zip(labels.par_chunks(h * w))
            .map(|(probability, labels)| {
                let mut sums = Self::default();
                for (k, row) in probability.chunks_exact(h * w).enumerate() {
                    sums.expected[k] = row.iter().map(|&p| f64::from(p)).sum();
                }
                for (at, &label) in labels.iter().enumerate() {
                    let label = usize::from(label);
                    sums.voxels[label] += 1.0;
                    sums.sure[label] += f64::from(probability[label * h * w + at]);
                }
                sums
            })
            .collect();
        parts.iter().fold(Self::default(), |sums, part| sums.plus(part))
    }

    /// The sums of both.
    pub fn plus(mut self, other: &Self) -> Self {
        for k in 0..STRUCTURES {
            self.expected[k] += other.expected[k];
            self.sure[k] += other.sure[k];
            self.voxels[k] += other.voxels[k];
        }
        self
    }
}

impl Blend {
    /// An empty average over a region `shape` `[D, H, W]` for blocks `tile` `[D, H, W]`.
    pub fn new(shape: [usize; 3], tile: [usize; 3]) -> Self {
        let voxels: usize = shape.iter().product();
        let windows = tile.map(window);
        Self { shape, tile, windows, probability: vec![0.0; STRUCTURES * voxels], weight: vec![0.0; voxels] }
    }

    /// Adds the probabilities of a block whose first voxel is `at`, folded as the network's logits
    /// ([`super::SegmentationNet::forward`]). Those of a mirrored image are mirrored back, with sides exchanged.
    pub fn add(&mut self, packed: Vec<f32>, at: [usize; 3], mirrored: bool) {
        let [_, height, width] = self.shape;
        let [_, th, tw] = self.tile;
        let (rows, columns) = (th.min(height - at[1]), tw.min(width - at[2]));
        let places = packed.len() / (8 * STRUCTURES);
        let last = at[0] + self.tile[0].min(self.shape[0] - at[0]);
        let windows = &self.windows;
        let plane = height * width;
        let planes = at[0] * plane..last * plane;
        let probability = &mut self.probability[STRUCTURES * planes.start..STRUCTURES * planes.end];
        let weight = &mut self.weight[planes];
        probability
            .par_chunks_mut(STRUCTURES * plane)
            .zip(weight.par_chunks_mut(plane))
            .enumerate()
            .for_each(|(z, (probability, weight))| {
                for y in 0..rows {
                    let outer = windows[0][z] * windows[1][y];
                    let line = (at[1] + y) * width + at[2];
                    for x in 0..columns {
                        weight[line + x] += outer * windows[2][x];
                    }
                    for k in 0..STRUCTURES {
                        let from = if mirrored { Structure::ALL[k].mirrored().index() } else { k };
                        let to = &mut probability[k * plane + line..k * plane + line + columns];
                        for (x, to) in to.iter_mut().enumerate() {
                            // A mirrored image has its last column first.
                            let seen = if mirrored { columns - 1 - x } else { x };
                            let s = (z % 2) * 4 + (y % 2) * 2 + seen % 2;
                            let place = ((z / 2) * (th / 2) + y / 2) * (tw / 2) + seen / 2;
                            *to += outer * windows[2][x] * packed[(s * STRUCTURES + from) * places + place];
                        }
                    }
                }
            });
    }

    /// The most likely structure of each voxel, `[D, H, W]`, the sums over them, and the mean probabilities
    /// `[D, STRUCTURES, H, W]`. Brain and fluid that are too far from the core of the brain become the likelier of head
    /// and air, with all their probability.
    pub fn finish(mut self) -> (Array3<u8>, Sums, Vec<f32>) {
        let [d, h, w] = self.shape;
        let plane = h * w;
        let likeliest: Vec<u8> = self
            .probability
            .par_chunks(STRUCTURES * plane)
            .flat_map_iter(|probability| {
                (0..plane).map(|at| greatest(probability, plane, at, STRUCTURES) as u8)
            })
            .collect();
        let mut labels = Array3::from_shape_vec((d, h, w), likeliest).expect("a label for each voxel");
        let far = core(&labels).map(|core| distance_transform_mm(core.view(), [1.0; 3]));
        let far = far.as_ref().map(|far| far.as_slice().expect("distances are contiguous"));
        let labels_of = labels.as_slice_mut().expect("a new array is contiguous");
        self.probability
            .par_chunks_mut(STRUCTURES * plane)
            .zip(self.weight.par_chunks(plane))
            .zip(labels_of.par_chunks_mut(plane))
            .enumerate()
            .for_each(|(z, ((probability, weight), labels))| {
                for at in 0..plane {
                    let far = far.map_or(0.0, |far| far[z * plane + at]);
                    if far > BRAIN_MM {
                        move_out(probability, plane, at, if far > FLUID_MM { FLUID } else { FLUID + 1 });
                        labels[at] = greatest(probability, plane, at, STRUCTURES) as u8;
                    }
                }
                for row in probability.chunks_exact_mut(plane) {
                    row.iter_mut().zip(weight).for_each(|(p, weight)| *p /= weight);
                }
            });
        let sums = Sums::of(&self.probability, &labels);
        (labels, sums, self.probability)
    }
}

/// How far from its core a brain reaches, in millimetres, and the fluid around it.
const BRAIN_MM: f32 = 10.0;
const FLUID_MM: f32 = 25.0;
/// Structures before this one are no part of what the skull holds.
const FLUID: usize = Structure::Csf.index();

/// The likeliest of the first `count` structures of a voxel.
fn greatest(probability: &[f32], plane: usize, at: usize, count: usize) -> usize {
    let of = |k: usize| probability[k * plane + at];
    (1..count).fold(0, |best, k| if of(k) > of(best) { k } else { best })
}

/// Gives the probability of the structures from `first` on to the likelier of air and head.
fn move_out(probability: &mut [f32], plane: usize, at: usize, first: usize) {
    let to = greatest(probability, plane, at, FLUID);
    let mut moved = 0.0;
    for k in first..STRUCTURES {
        moved += std::mem::take(&mut probability[k * plane + at]);
    }
    probability[to * plane + at] += moved;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Folded probabilities of a block in which voxel `(z, y, x)` surely is `structure(z, y, x)`.
    fn packed(tile: [usize; 3], structure: impl Fn(usize, usize, usize) -> usize) -> Vec<f32> {
        let [d, h, w] = tile;
        let places = d * h * w / 8;
        let mut packed = vec![0.0; 8 * STRUCTURES * places];
        for z in 0..d {
            for y in 0..h {
                for x in 0..w {
                    let s = (z % 2) * 4 + (y % 2) * 2 + x % 2;
                    let place = ((z / 2) * (h / 2) + y / 2) * (w / 2) + x / 2;
                    packed[(s * STRUCTURES + structure(z, y, x)) * places + place] = 1.0;
                }
            }
        }
        packed
    }

    #[test]
    fn blocks_come_back_where_they_were_and_mirrored_ones_agree() {
        let (shape, tile) = ([6, 4, 7], [4, 4, 4]);
        let (left, right) = (Structure::LeftCerebralCortex.index(), Structure::RightCerebralCortex.index());
        let truth = |z: usize, y: usize, x: usize| match (z + y + x) % 3 {
            0 => 0,
            1 => left,
            _ => right,
        };
        let mirrored = |k: usize| Structure::ALL[k].mirrored().index();
        let mut blend = Blend::new(shape, tile);
        for z in [0, 2] {
            for x in [0, 3] {
                blend.add(packed(tile, |c, b, a| truth(z + c, b, x + a)), [z, 0, x], false);
                blend.add(packed(tile, |c, b, a| mirrored(truth(z + c, b, x + 3 - a))), [z, 0, x], true);
            }
        }
        let (labels, sums, _) = blend.finish();
        for ((z, y, x), &label) in labels.indexed_iter() {
            assert_eq!(usize::from(label), truth(z, y, x), "{z} {y} {x}");
        }
        let voxels = labels.len() as f64;
        assert!((sums.expected.iter().sum::<f64>() - voxels).abs() < 1e-4);
        assert!((sums.sure.iter().sum::<f64>() - voxels).abs() < 1e-4);
    }

    #[test]
    fn a_region_smaller_than_a_block_takes_its_part() {
        let (shape, tile) = ([3, 4, 3], [4, 4, 4]);
        let truth = |z: usize, y: usize, x: usize| (z + y + x) % 2;
        let mut blend = Blend::new(shape, tile);
        blend.add(packed(tile, truth), [0; 3], false);
        // The mirrored part is the region's own, with air behind it.
        blend.add(packed(tile, |z, y, x| if x < 3 { truth(z, y, 2 - x) } else { 0 }), [0; 3], true);
        let (labels, sums, _) = blend.finish();
        assert!(labels.indexed_iter().all(|((z, y, x), &label)| usize::from(label) == truth(z, y, x)));
        assert!((sums.expected[1] - 18.0).abs() < 1e-4, "{:?}", sums.expected);
    }
}
