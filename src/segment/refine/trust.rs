//! The structures that are not refined, because a scan has too little contrast or contradicts anatomy.

use ndarray::ArrayView3;
use rayon::prelude::*;

use super::expectation::separation;
use super::field::Between;
use super::groups::{GROUPS, group, group_of_structure};
use super::model::Model;
use super::sites::{NONE, Prior};
use crate::anatomy::overlap::distance_transform_mm;
use crate::anatomy::{Group, Reason, STRUCTURES, Structure};

/// Millimetres from the ventricles at which tissue is compared with fluid.
const RING_MM: [f32; 2] = [1.5, 5.0];
/// Least distance of tissue there from fluid, in standard deviations.
const SEPARATION_MIN: f64 = 1.0;
/// Least confidence of the network in its ventricles.
const CONFIDENCE_MIN: f64 = 0.6;
/// Voxels of a part in the ring below which it says nothing.
const RING_LEAST: f64 = 50.0;
/// Least part of a structure's sure voxels that the scan must leave to its group; less for what the network draws far
/// too large and is sure of.
const AGREEMENT_MIN: f64 = 0.4;
const AGREEMENT_MIN_OF_HORNS: f64 = 0.25;
/// Least distance of cortex and hindbrain from the fluid around them, in standard deviations.
const SURFACE_MIN: f64 = 1.0;
/// Sure voxels of a structure below which there is nothing to agree on.
const SURE_LEAST: usize = 20;

/// The assessment of a fit.
#[derive(Clone, Debug)]
pub struct Trust {
    /// The reason why a structure is not refined; `None` if it is.
    pub fallen_back: [Option<Reason>; STRUCTURES],
    /// The least separation of white matter or deep grey from fluid around the ventricles, in standard deviations;
    /// `None` without ventricles.
    pub separation: Option<f64>,
    /// Whether the surface of the brain stays the network's.
    pub surface_kept: bool,
    /// The least separation of a part of cortex or hindbrain from outer fluid, in standard deviations.
    pub surface: f64,
    /// The network's mean probability over its ventricles.
    pub confidence: Option<f64>,
}

impl Trust {
    /// The assessment of a fit.
    pub fn of(prior: &Prior, model: &Model) -> Self {
        let groups = group_of_structure();
        let separation = ring_separation(prior, model);
        let agreement = agreement(prior, &groups);
        let (mut sure, mut voxels) = (0.0, 0.0);
        for k in (0..STRUCTURES).filter(|&k| groups[k] == Group::Ventricles.index()) {
            sure += prior.confidence[k] * prior.voxels[k];
            voxels += prior.voxels[k];
        }
        let confidence = (voxels > 0.0).then(|| sure / voxels);
        let mut fallen_back = [None; STRUCTURES];
        for structure in Structure::ALL {
            let k = structure.index();
            let to = &mut fallen_back[k];
            let least = if is_horn(structure) { AGREEMENT_MIN_OF_HORNS } else { AGREEMENT_MIN };
            let within = !matches!(group(structure), Group::Outside | Group::OuterFluid);
            if within && agreement[k].is_some_and(|agreement| agreement < least) {
                *to = Some(Reason::Contradiction);
            }
            if matches!(group(structure), Group::Ventricles | Group::ChoroidPlexus) {
                if confidence.is_none_or(|confidence| confidence < CONFIDENCE_MIN) {
                    *to = Some(Reason::LowConfidence);
                }
                if separation.is_none_or(|separation| separation < SEPARATION_MIN) {
                    *to = Some(Reason::NoContrast);
                }
            }
        }
        let surface = surface_separation(model);
        let surface_kept = surface < SURFACE_MIN;
        Self { fallen_back, surface_kept, surface, separation, confidence }
    }
}

/// Whether a structure is a temporal horn.
fn is_horn(structure: Structure) -> bool {
    matches!(structure, Structure::LeftInferiorLateralVentricle | Structure::RightInferiorLateralVentricle)
}

/// How far the parts at the brain's surface are from the fluid around it: the least.
fn surface_separation(model: &Model) -> f64 {
    let fluid = Group::OuterFluid.first();
    let parts = [Group::Cortex, Group::Hindbrain].into_iter().flat_map(Group::range);
    let apart =
        |part: usize| separation([model.mean[part], model.mean[fluid]], [model.sd[part], model.sd[fluid]]);
    parts.map(apart).fold(f64::INFINITY, f64::min)
}

/// How far the parts of white matter and deep grey around the ventricles are from their fluid: the least.
fn ring_separation(prior: &Prior, model: &Model) -> Option<f64> {
    let groups = group_of_structure();
    let [d, h, w] = prior.shape;
    let of = |label: u8| groups[usize::from(label)];
    let fluid = Group::Ventricles;
    let mask: Vec<bool> = prior.labels.iter().map(|&label| of(label) == fluid.index()).collect();
    let far = distance_transform_mm(ArrayView3::from_shape(prior.shape, &mask).ok()?, [1.0; 3]);
    let far = far.as_slice()?;
    let tissue = [Group::WhiteMatter, Group::DeepGrey];
    let parts: Vec<usize> = tissue.iter().flat_map(|group| group.range()).collect();
    // Weight, and weighted difference from fluid, of each part.
    let layers: Vec<Vec<[f64; 2]>> = (0..d)
        .into_par_iter()
        .map(|z| {
            let cells = model.cells.shape;
            let columns = model.cells.columns(w);
            let mut sums = vec![[0.0; 2]; parts.len()];
            let mut rows = vec![vec![0.0f32; cells[2]]; 2 * parts.len() + 1];
            for y in 0..h {
                let line = (z * h + y) * w;
                let within = |x: usize| far[line + x] > RING_MM[0] && far[line + x] < RING_MM[1];
                if !(0..w).any(within) {
                    continue;
                }
                model.cells.row(&model.local[fluid.first()], [z, y], &mut rows[0]);
                for (n, &part) in parts.iter().enumerate() {
                    model.cells.row(&model.local[part], [z, y], &mut rows[1 + 2 * n]);
                    if !model.share[part].is_empty() {
                        model.cells.row(&model.share[part], [z, y], &mut rows[2 + 2 * n]);
                    }
                }
                for x in (0..w).filter(|&x| within(x)) {
                    let read = |row: usize| f64::from(Between::read(columns[x], &rows[row]));
                    for (n, &part) in parts.iter().enumerate() {
                        let label = prior.labels[line + x];
                        if super::groups::GROUP_OF_PART[part] != of(label) {
                            continue;
                        }
                        let weight = if model.share[part].is_empty() { 1.0 } else { read(2 + 2 * n) };
                        sums[n][0] += weight;
                        sums[n][1] += weight * (read(1 + 2 * n) - read(0));
                    }
                }
            }
            sums
        })
        .collect();
    let least = parts.iter().enumerate().filter_map(|(n, &part)| {
        let [weight, sum] = [0, 1].map(|c| layers.iter().map(|sums| sums[n][c]).sum::<f64>());
        let apart = || separation([sum / weight, 0.0], [model.sd[part], model.sd[fluid.first()]]);
        (weight > RING_LEAST).then(apart)
    });
    least.reduce(f64::min)
}

/// Of the voxels that the network is sure of, the part that stays with its group, by structure.
fn agreement(prior: &Prior, groups: &[usize; STRUCTURES]) -> [Option<f64>; STRUCTURES] {
    let mut sure = [0usize; STRUCTURES];
    let mut kept = [0usize; STRUCTURES];
    for (at, &group) in prior.start.iter().enumerate() {
        let label = usize::from(prior.labels[at]);
        if group != NONE && groups[label] == usize::from(group) && !prior.doubtful[at] {
            sure[label] += 1;
            kept[label] += 1;
        }
    }
    for layer in &prior.layers {
        for (site, fraction) in layer.sites.iter().zip(&layer.fraction) {
            let at = site.at as usize;
            let (group, label) = (prior.start[at], usize::from(prior.labels[at]));
            if group != NONE && groups[label] == usize::from(group) {
                sure[label] += 1;
                kept[label] += usize::from(greatest(fraction) == groups[label]);
            }
        }
    }
    std::array::from_fn(|k| (sure[k] >= SURE_LEAST).then(|| kept[k] as f64 / sure[k] as f64))
}

/// The group of which a voxel holds most.
fn greatest(fraction: &[f32; GROUPS]) -> usize {
    (1..GROUPS).fold(0, |best, g| if fraction[g] > fraction[best] { g } else { best })
}
