//! The segmentation loss, Dice and cross-entropy, with its gradient in closed form.

use rayon::prelude::*;

use super::network::voxel_of_block;
use crate::anatomy::{Classes, STRUCTURES};

/// Keeps the Dice of a structure of few voxels finite, in voxels.
const SMOOTH: f64 = 1.0;

/// Value and gradient of the loss on one volume.
#[derive(Clone, Debug)]
pub struct Loss {
    /// 1 − mean soft Dice over the structures that the target has (Milletari et al. 2016).
    pub dice: f64,
    /// Mean cross-entropy over voxels in nats.
    pub cross_entropy: f64,
    /// Soft Dice of each structure; `None` if the target does not have it.
    pub structures: [Option<f64>; STRUCTURES],
    /// Gradient of `dice + weight · cross_entropy` in the logits, in the logits' layout.
    pub gradient: Vec<f32>,
}

/// The loss of logits `[f³·STRUCTURES, D/f, H/f, W/f]` in blocks of length f, `block` (see
/// [`super::SegmentationNet::forward`]), against the indices of structures `target` `[D, H, W]`, both in C order;
/// `grid` is `[D/f, H/f, W/f]`. `weight` is that of the cross-entropy: Dice alone favours small structures that are too
/// large. Structures of one class of `classes` count as one.
///
/// The result does not depend on the number of threads.
///
/// # Panics
/// If the lengths do not fit each other, or an index is not that of a structure.
pub fn loss(
    logits: &[f32],
    target: &[u8],
    grid: [usize; 3],
    block: usize,
    weight: f64,
    classes: &Classes,
) -> Loss {
    let packed = block.pow(3);
    let class = classes.map(usize::from);
    let members: Vec<Vec<usize>> =
        (0..STRUCTURES).map(|c| (0..STRUCTURES).filter(|&k| class[k] == c).collect()).collect();
    let [d, h, w] = grid;
    let places = d * h * w;
    assert_eq!(logits.len(), packed * STRUCTURES * places, "logits of the grid");
    assert_eq!(target.len(), packed * places, "a target of the grid");
    let voxels = target.len() as f64;
    // One plane d and one voxel of the blocks at a time; what it reads of the logits is a row of w in each structure.
    let slab = h * w;
    let parts: Vec<(Vec<f32>, Sums)> = (0..packed * d)
        .into_par_iter()
        .map(|part| {
            let (s, z) = (part / d, part % d);
            let mut p = vec![0.0f32; STRUCTURES * slab];
            for k in 0..STRUCTURES {
                let from = (s * STRUCTURES + k) * places + z * slab;
                p[k * slab..(k + 1) * slab].copy_from_slice(&logits[from..from + slab]);
            }
            let normaliser = softmax(&mut p, slab);
            let mut sums = Sums::default();
            for k in 0..STRUCTURES {
                sums.expected[class[k]] +=
                    p[k * slab..(k + 1) * slab].iter().map(|&p| f64::from(p)).sum::<f64>();
            }
            for y in 0..h {
                for x in 0..w {
                    let label = class[usize::from(target[voxel(s, [z, y, x], grid, block)])];
                    let at = y * w + x;
                    let logits =
                        members[label].iter().map(|k| logits[(s * STRUCTURES + k) * places + z * slab + at]);
                    let greatest = logits.clone().fold(f32::NEG_INFINITY, f32::max);
                    let joint = greatest + logits.map(|x| (x - greatest).exp()).sum::<f32>().ln();
                    sums.voxels[label] += 1.0;
                    sums.shared[label] +=
                        members[label].iter().map(|k| f64::from(p[k * slab + at])).sum::<f64>();
                    sums.cross_entropy += f64::from(normaliser[at] - joint);
                }
            }
            (p, sums)
        })
        .collect();
    let sums = parts.iter().fold(Sums::default(), |sum, (_, part)| sum.plus(part));
    let present = sums.voxels.iter().filter(|&&n| n > 0.0).count() as f64;
    let mut structures = [None; STRUCTURES];
    // Derivative of the Dice term in a probability: `hit` where the target has the structure, and `miss` everywhere.
    let (mut hit, mut miss) = ([0.0f32; STRUCTURES], [0.0f32; STRUCTURES]);
    for k in 0..STRUCTURES {
        if sums.voxels[k] > 0.0 {
            let (above, below) = (2.0 * sums.shared[k] + SMOOTH, sums.expected[k] + sums.voxels[k] + SMOOTH);
            structures[k] = Some(above / below);
            hit[k] = (-2.0 / below / present) as f32;
            miss[k] = (above / (below * below) / present) as f32;
        }
    }
    let mut gradient = vec![0.0f32; logits.len()];
    let mut planes: Vec<Vec<&mut [f32]>> = (0..packed * d).map(|_| Vec::with_capacity(STRUCTURES)).collect();
    for (place, plane) in gradient.chunks_exact_mut(slab).enumerate() {
        let (channel, z) = (place / d, place % d);
        planes[channel / STRUCTURES * d + z].push(plane);
    }
    let share = (weight / voxels) as f32;
    parts.into_par_iter().zip(planes).enumerate().for_each(|(part, ((p, _), mut planes))| {
        let (s, z) = (part / d, part % d);
        let mut mean = vec![0.0f32; slab];
        for k in 0..STRUCTURES {
            for (mean, p) in mean.iter_mut().zip(&p[k * slab..(k + 1) * slab]) {
                *mean += miss[class[k]] * p;
            }
        }
        let labels: Vec<usize> = (0..slab)
            .map(|at| class[usize::from(target[voxel(s, [z, at / w, at % w], grid, block)])])
            .collect();
        // Probability of the target's class.
        let mut joint = vec![0.0f32; slab];
        for (at, &label) in labels.iter().enumerate() {
            joint[at] = members[label].iter().map(|k| p[k * slab + at]).sum();
            mean[at] += hit[label] * joint[at];
        }
        for (k, plane) in planes.iter_mut().enumerate() {
            let p = &p[k * slab..(k + 1) * slab];
            for (at, (g, &p)) in plane.iter_mut().zip(p).enumerate() {
                *g = p * (miss[class[k]] - mean[at] + share);
                if class[k] == labels[at] {
                    // Of the class's probability, this structure's part.
                    let part = if joint[at] > 0.0 { p / joint[at] } else { 0.0 };
                    *g += p * hit[labels[at]] - share * part;
                }
            }
        }
    });
    let dice = structures.iter().flatten().sum::<f64>() / present;
    Loss { dice: 1.0 - dice, cross_entropy: sums.cross_entropy / voxels, structures, gradient }
}

/// Index of voxel `s` of the block at the place `at` of the grid `[_, h, w]` in the full one.
fn voxel(s: usize, at: [usize; 3], [_, h, w]: [usize; 3], block: usize) -> usize {
    let [z, y, x] = voxel_of_block(s, at, block);
    (z * block * h + y) * block * w + x
}

/// Logits `[STRUCTURES, n]` become probabilities, voxel by voxel; returns the logarithms of the normalisers.
pub(super) fn softmax(logits: &mut [f32], n: usize) -> Vec<f32> {
    let mut greatest = logits[..n].to_vec();
    for row in logits[n..].chunks_exact(n) {
        greatest.iter_mut().zip(row).for_each(|(greatest, &x)| *greatest = greatest.max(x));
    }
    let mut sum = vec![0.0f32; n];
    for row in logits.chunks_exact_mut(n) {
        for ((x, greatest), sum) in row.iter_mut().zip(&greatest).zip(&mut sum) {
            *x = (*x - greatest).exp();
            *sum += *x;
        }
    }
    for row in logits.chunks_exact_mut(n) {
        row.iter_mut().zip(&sum).for_each(|(x, sum)| *x /= sum);
    }
    greatest.iter().zip(&sum).map(|(greatest, sum)| greatest + sum.ln()).collect()
}

/// What the loss needs of all voxels.
#[derive(Clone, Copy)]
struct Sums {
    /// Σ probability.
    expected: [f64; STRUCTURES],
    /// Σ probability where the target has the structure.
    shared: [f64; STRUCTURES],
    /// Voxels of the target.
    voxels: [f64; STRUCTURES],
    cross_entropy: f64,
}

impl Default for Sums {
    fn default() -> Self {
        let none = [0.0; STRUCTURES];
        Self { expected: none, shared: none, voxels: none, cross_entropy: 0.0 }
    }
}

impl Sums {
    fn plus(mut self, other: &Self) -> Self {
        for k in 0..STRUCTURES {
            self.expected[k] += other.expected[k];
            self.shared[k] += other.shared[k];
            self.voxels[k] += other.voxels[k];
        }
        self.cross_entropy += other.cross_entropy;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anatomy::APART;
    use crate::random::{Purpose, normal, stream};

    /// Finite differences of the value in random directions.
    #[test]
    fn the_gradient_is_that_of_the_value() {
        let half = [2, 3, 2];
        let places = 12;
        // The fourth and fifth structure count as one, as do the second and the last.
        let mut classes = APART;
        classes[4] = 3;
        classes[STRUCTURES - 1] = 1;
        let mut rng = stream(3, 0, 0, 0, Purpose::Synthesis);
        let logits = normal(&mut rng, 8 * STRUCTURES * places);
        let target: Vec<u8> = (0..8 * places).map(|i| (i * 7 % 5) as u8).collect();
        let value = |logits: &[f32]| {
            let loss = loss(logits, &target, half, 2, 1.5, &classes);
            loss.dice + 1.5 * loss.cross_entropy
        };
        let gradient = loss(&logits, &target, half, 2, 1.5, &classes).gradient;
        for seed in 0..4 {
            let direction = normal(&mut stream(seed, 1, 0, 0, Purpose::Synthesis), logits.len());
            let step = 1e-2;
            let moved = |sign: f32| -> Vec<f32> {
                logits.iter().zip(&direction).map(|(x, v)| x + sign * step * v).collect()
            };
            let slope = (value(&moved(1.0)) - value(&moved(-1.0))) / (2.0 * f64::from(step));
            let expected: f64 =
                gradient.iter().zip(&direction).map(|(g, v)| f64::from(*g) * f64::from(*v)).sum();
            assert!((slope - expected).abs() < 2e-4, "{slope} for {expected}");
        }
    }

    #[test]
    fn a_sure_and_right_answer_costs_nothing() {
        let half = [1, 1, 2];
        let target: Vec<u8> = (0..16).map(|i| (i % 3) as u8).collect();
        let mut logits = vec![0.0; 8 * STRUCTURES * 2];
        for s in 0..8 {
            for x in 0..2 {
                let label = usize::from(target[voxel(s, [0, 0, x], half, 2)]);
                logits[(s * STRUCTURES + label) * 2 + x] = 40.0;
            }
        }
        let found = loss(&logits, &target, half, 2, 1.0, &APART);
        assert!(found.dice.abs() < 1e-9 && found.cross_entropy.abs() < 1e-9, "{found:?}");
        assert_eq!(found.structures.iter().flatten().count(), 3);
    }
}
