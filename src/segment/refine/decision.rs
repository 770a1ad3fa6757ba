//! From the fractions of groups in voxels to structures and their volumes.

use rayon::prelude::*;

use super::field::CELL;
use super::groups::group_of_structure;
use super::midpoint::{Walls, is_lateral, is_wall};
use super::sites::{Prior, Site, priors_of_plane, within};
use crate::anatomy::Group;
use crate::anatomy::{STRUCTURES, Side, Structure};

/// The parts of a fit that are not used.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Structures whose labels stay the network's.
    pub kept: [bool; STRUCTURES],
    /// Whether the surface of the brain stays the network's.
    pub surface_kept: bool,
    /// Whether the border between cortex and white matter stays the network's.
    pub mantle_kept: bool,
    /// Walls of the lateral ventricles that replace those of the fit.
    pub walls: Option<Walls>,
    /// Whether a voxel counts as a ventricle or as none, by its greater part: in scans of fine voxels, where parts are noise as often
    /// as walls.
    pub fine: bool,
}

/// A voxel to decide on: its place, and what it holds of groups if it is in doubt.
type Open<'a> = (usize, Option<(&'a Site, &'a [f32; super::groups::GROUPS])>);

/// Which structures are what.
struct Kinds {
    groups: [usize; STRUCTURES],
    outer: [bool; STRUCTURES],
    mantle: [bool; STRUCTURES],
    wall: [bool; STRUCTURES],
    ventricle: [bool; STRUCTURES],
    lateral: [usize; 2],
}

impl Kinds {
    fn new() -> Self {
        let groups = group_of_structure();
        let outer = [Group::OuterFluid, Group::Outside].map(Group::index);
        let lateral = [Side::Left, Side::Right].map(|side| {
            let of_side = |s: &Structure| is_lateral(*s) && s.side() == Some(side);
            Structure::ALL.into_iter().find(of_side).expect("one of each side").index()
        });
        let ventricles = [Group::Ventricles, Group::ChoroidPlexus].map(Group::index);
        let mantle = [Group::Cortex, Group::WhiteMatter].map(Group::index);
        Self {
            outer: groups.map(|g| outer.contains(&g)),
            mantle: groups.map(|g| mantle.contains(&g)),
            ventricle: groups.map(|g| ventricles.contains(&g)),
            groups,
            wall: Structure::ALL.map(is_wall),
            lateral,
        }
    }
}

/// Labels the uncertain voxels by their largest fraction, and returns the volume of each structure in voxels: uncertain
/// voxels count by their fractions, certain ones for their structure, those outside the region by the network's
/// probabilities `probability` `[D, STRUCTURES, H, W]`, which are blurred within planes.
pub fn decide(prior: &mut Prior, probability: &[f32], limits: &Limits) -> [f64; STRUCTURES] {
    let [d, h, w] = prior.shape;
    let plane = h * w;
    let kinds = Kinds::new();
    let (shape, layers, doubtful, region) = (prior.shape, &prior.layers, &prior.doubtful, &prior.region);
    let parts: Vec<[f64; STRUCTURES]> = prior
        .labels
        .par_chunks_mut(CELL * plane)
        .enumerate()
        .map(|(layer, labels)| {
            let mut sums = [0.0; STRUCTURES];
            let found = &layers[layer];
            let mut sites = found.sites.iter().zip(&found.fraction).peekable();
            for z in layer * CELL..((layer + 1) * CELL).min(d) {
                let labels = &mut labels[(z - layer * CELL) * plane..][..plane];
                let wall = |at: usize| limits.walls.as_ref().and_then(|walls| walls.at([z, at / w, at % w]));
                let mut open: Vec<Open> = Vec::new();
                for at in (0..plane).filter(|at| region[z * plane + at]) {
                    if doubtful[z * plane + at] {
                        open.push((at, sites.next()));
                    } else if wall(at).is_some() {
                        open.push((at, None));
                    } else {
                        sums[usize::from(labels[at])] += 1.0;
                    }
                }
                if open.is_empty() {
                    continue;
                }
                let mut likely = vec![[0.0; STRUCTURES]; open.len()];
                priors_of_plane(probability, shape, z, |k, values| {
                    likely.iter_mut().zip(&open).for_each(|(likely, open)| likely[k] = values[open.0]);
                });
                for (values, (at, held)) in likely.iter().zip(open) {
                    let label = usize::from(labels[at]);
                    let held = held.map(|(_, fraction)| {
                        let within = within(values, &kinds.groups);
                        std::array::from_fn(|k| fraction[kinds.groups[k]] * within[k])
                    });
                    let mut held = limits.applied(held, label, &kinds);
                    let best = match wall(at) {
                        Some(part) => walled(&mut held, part, values, &kinds),
                        None => greatest(&held, |_| true),
                    };
                    if limits.fine {
                        whole(&mut held, &kinds);
                    }
                    (0..STRUCTURES).for_each(|k| sums[k] += f64::from(held[k]));
                    labels[at] = best as u8;
                }
            }
            debug_assert!(sites.peek().is_none());
            sums
        })
        .collect();
    let mut volumes = prior.expected_elsewhere;
    for sums in parts {
        (0..STRUCTURES).for_each(|k| volumes[k] += sums[k]);
    }
    volumes
}

impl Limits {
    /// What a voxel that the network gives to `label` holds, of sum 1, where some of it is not to be believed.
    fn applied(&self, held: Option<[f32; STRUCTURES]>, label: usize, kinds: &Kinds) -> [f32; STRUCTURES] {
        let network = std::array::from_fn(|k| f32::from(u8::from(k == label)));
        let outer = kinds.outer[label];
        let Some(mut held) = held.filter(|_| !(self.kept[label] || self.surface_kept && outer)) else {
            return network;
        };
        for (k, p) in held.iter_mut().enumerate() {
            if self.kept[k] || self.surface_kept && kinds.outer[k] {
                *p = 0.0;
            }
        }
        if self.mantle_kept && kinds.mantle[label] {
            let both =
                (0..STRUCTURES).filter(|&k| kinds.mantle[k]).map(|k| std::mem::take(&mut held[k])).sum();
            held[label] = both;
        }
        let sum: f32 = held.iter().sum();
        if sum > 0.0 { held.map(|p| p / sum) } else { network }
    }
}

/// Makes a voxel ventricle with its plexus, or what else it holds, by the greater part.
///
/// Around a small ventricle more voxels lie outside its wall than inside, and what noise makes of them adds up: on map 13 of
/// validation (6 to 11 ml) parts of voxels were half of the error.
fn whole(held: &mut [f32; STRUCTURES], kinds: &Kinds) {
    let part: f32 = (0..STRUCTURES).filter(|&k| kinds.ventricle[k]).map(|k| held[k]).sum();
    let kept = part > 0.5;
    let sum = if kept { part } else { 1.0 - part };
    (0..STRUCTURES).for_each(|k| held[k] = if kinds.ventricle[k] == kept { held[k] / sum } else { 0.0 });
}

/// Gives this part of a voxel to the lateral ventricle of its side and the rest to what else it holds, or to the tissue
/// that the network thinks likeliest. The structure of the greater part.
fn walled(held: &mut [f32; STRUCTURES], part: f32, values: &[f32; STRUCTURES], kinds: &Kinds) -> usize {
    let [left, right] = kinds.lateral;
    let ventricle = if values[left] >= values[right] { left } else { right };
    (held[left], held[right]) = (0.0, 0.0);
    let rest: f32 = held.iter().sum();
    if rest > 1e-3 {
        held.iter_mut().for_each(|p| *p *= (1.0 - part) / rest);
    } else {
        held.fill(0.0);
        held[greatest(values, |k| kinds.wall[k])] = 1.0 - part;
    }
    held[ventricle] = part;
    if part > 0.5 { ventricle } else { greatest(held, |k| k != ventricle) }
}

/// The structure of the greatest value, of those that are asked for.
fn greatest(values: &[f32; STRUCTURES], asked: impl Fn(usize) -> bool) -> usize {
    let best = (0..STRUCTURES)
        .filter(|&k| asked(k))
        .reduce(|best, k| if values[k] > values[best] { k } else { best });
    best.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(structure: Structure) -> usize {
        structure.index()
    }

    #[test]
    fn a_wall_shares_a_voxel_between_the_ventricle_and_what_else_it_holds() {
        let kinds = Kinds::new();
        let [ventricle, white, cortex] = [
            Structure::RightLateralVentricle,
            Structure::RightCerebralWhiteMatter,
            Structure::RightCerebralCortex,
        ]
        .map(index);
        let mut values = [0.0; STRUCTURES];
        (values[ventricle], values[white]) = (0.7, 0.3);
        let mut held = [0.0; STRUCTURES];
        (held[ventricle], held[white], held[cortex]) = (0.5, 0.3, 0.2);
        let best = walled(&mut held, 0.4, &values, &kinds);
        assert_eq!(best, white);
        assert!((held[ventricle] - 0.4).abs() < 1e-6 && (held[white] - 0.36).abs() < 1e-6);
        let mut held = [0.0; STRUCTURES];
        held[ventricle] = 1.0;
        assert_eq!(walled(&mut held, 0.9, &values, &kinds), ventricle);
        assert!((held[white] - 0.1).abs() < 1e-6);
    }

    #[test]
    fn a_fine_voxel_is_ventricle_by_its_greater_part() {
        let kinds = Kinds::new();
        let [ventricle, plexus, white] = [
            Structure::RightLateralVentricle,
            Structure::RightChoroidPlexus,
            Structure::RightCerebralWhiteMatter,
        ]
        .map(index);
        for (before, after) in [
            ([0.1, 0.1, 0.8], [0.0, 0.0, 1.0]),
            ([0.2, 0.2, 0.6], [0.0, 0.0, 1.0]),
            ([0.45, 0.15, 0.4], [0.75, 0.25, 0.0]),
            ([0.0, 0.0, 1.0], [0.0, 0.0, 1.0]),
            ([1.0, 0.0, 0.0], [1.0, 0.0, 0.0]),
        ] {
            let mut held = [0.0; STRUCTURES];
            (held[ventricle], held[plexus], held[white]) = (before[0], before[1], before[2]);
            whole(&mut held, &kinds);
            for (k, expected) in [ventricle, plexus, white].into_iter().zip(after) {
                assert!((held[k] - expected).abs() < 1e-6, "{before:?}: {held:?}");
            }
        }
    }

    #[test]
    fn what_is_kept_neither_loses_nor_gains() {
        let kinds = Kinds::new();
        let [third, white, fluid] =
            [Structure::ThirdVentricle, Structure::LeftCerebralWhiteMatter, Structure::Csf].map(index);
        let mut limits = Limits {
            kept: [false; STRUCTURES],
            surface_kept: false,
            mantle_kept: false,
            walls: None,
            fine: false,
        };
        limits.kept[third] = true;
        let mut held = [0.0; STRUCTURES];
        (held[third], held[white], held[fluid]) = (0.6, 0.3, 0.1);
        assert_eq!(limits.applied(Some(held), third, &kinds)[third], 1.0);
        let other = limits.applied(Some(held), white, &kinds);
        assert!(other[third] == 0.0 && (other[white] - 0.75).abs() < 1e-6);
        let cortex = index(Structure::LeftCerebralCortex);
        let mut mantle = [0.0; STRUCTURES];
        (mantle[cortex], mantle[white], mantle[fluid]) = (0.6, 0.3, 0.1);
        limits.mantle_kept = true;
        assert!((limits.applied(Some(mantle), white, &kinds)[white] - 0.9).abs() < 1e-6);
        assert!((limits.applied(Some(mantle), fluid, &kinds)[cortex] - 0.6).abs() < 1e-6);
        limits.surface_kept = true;
        assert_eq!(limits.applied(Some(held), white, &kinds)[white], 1.0);
        assert_eq!(limits.applied(Some(held), fluid, &kinds)[fluid], 1.0);
    }
}
