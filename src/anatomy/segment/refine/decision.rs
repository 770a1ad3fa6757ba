//! From what voxels hold of groups to structures and their volumes.

use rayon::prelude::*;

use super::field::CELL;
use super::groups::group_of_structure;
use super::sites::{Prior, priors_of_plane, within};
use crate::anatomy::STRUCTURES;

/// Labels the voxels in doubt by the largest of what they hold, and counts what they hold of each structure, in voxels;
/// a sure voxel counts for its structure, one that was not looked at by the network's probabilities.
/// The structures that are `kept` stay where the network has them.
pub fn decide(prior: &mut Prior, probability: &[f32], kept: &[bool; STRUCTURES]) -> [f64; STRUCTURES] {
    let [_, h, w] = prior.shape;
    let plane = h * w;
    let groups = group_of_structure();
    let (shape, layers, doubtful, region) = (prior.shape, &prior.layers, &prior.doubtful, &prior.region);
    let parts: Vec<[f64; STRUCTURES]> = prior
        .labels
        .par_chunks_mut(CELL * plane)
        .enumerate()
        .map(|(layer, labels)| {
            let first = layer * CELL * plane;
            let mut sums = [0.0; STRUCTURES];
            for (n, &label) in labels.iter().enumerate() {
                if region[first + n] && !doubtful[first + n] {
                    sums[usize::from(label)] += 1.0;
                }
            }
            let found = &layers[layer];
            let mut from = 0;
            while from < found.sites.len() {
                let z = found.sites[from].at as usize / plane;
                let end = from + found.sites[from..].partition_point(|site| site.at as usize / plane == z);
                let mut likely = vec![[0.0; STRUCTURES]; end - from];
                priors_of_plane(probability, shape, z, |k, values| {
                    for (likely, site) in likely.iter_mut().zip(&found.sites[from..end]) {
                        likely[k] = values[site.at as usize - z * plane];
                    }
                });
                for (n, values) in likely.iter().enumerate() {
                    let (site, fraction) = (&found.sites[from + n], &found.fraction[from + n]);
                    let label = &mut labels[site.at as usize - first];
                    if kept[usize::from(*label)] {
                        sums[usize::from(*label)] += 1.0;
                        continue;
                    }
                    let within = within(values, &groups);
                    let held: [f32; STRUCTURES] =
                        std::array::from_fn(|k| if kept[k] { 0.0 } else { fraction[groups[k]] * within[k] });
                    let sum = held.iter().sum::<f32>().max(f32::MIN_POSITIVE);
                    let (mut best, mut greatest) = (0, f32::NEG_INFINITY);
                    for (k, p) in held.into_iter().enumerate() {
                        sums[k] += f64::from(p / sum);
                        if p > greatest {
                            (best, greatest) = (k, p);
                        }
                    }
                    *label = best as u8;
                }
                from = end;
            }
            sums
        })
        .collect();
    let mut volumes = prior.expected_elsewhere;
    for sums in parts {
        (0..STRUCTURES).for_each(|k| volumes[k] += sums[k]);
    }
    volumes
}
