//! Refinement of a segmentation network's labels by the scan's intensities.
//!
//! Each scan gets a generative model of its own: Gaussian intensities of a few groups of structures with local means
//! (the bias field), voxels of two groups, and the network's probabilities as the spatial prior. It is fitted by a few
//! iterations of expectation–maximisation (Ashburner & Friston 2005, "Unified segmentation"; Zhang et al. 2001,
//! "Segmentation of brain MR images through a hidden Markov random field model and the expectation-maximization
//! algorithm"; Van Leemput et al. 2003, "A unifying framework for partial volume segmentation of brain MR images";
//! Puonti et al. 2016, "Fast and sequence-adaptive whole-brain segmentation using parametric Bayesian modeling"). In
//! coarse scans the walls of the lateral ventricles are half-way between fluid and tissue instead. Where a scan has too
//! little contrast, or contradicts labels of high probability, the network's labels stay.
//!
//! The result does not depend on the number of threads.

mod blur;
mod decision;
mod em;
mod expectation;
mod field;
mod groups;
mod islands;
mod midpoint;
mod model;
mod noise;
mod sites;
mod statistics;
mod trust;

use ndarray::{Array3, ArrayView3};

use crate::anatomy::{Group, Refinement, RefinementMethod, STRUCTURES, Structure};
use decision::Limits;
use model::Model;
use sites::Prior;
use trust::Trust;

/// Voxel size in millimetres beyond which a scan counts as coarse.
const COARSE_MM: f64 = 1.2;
/// Detail below which it does too, whatever its header says: it was interpolated from coarser voxels
/// ([`noise::sharpness`]).
const SHARPNESS_MIN: f64 = 0.1175;
/// Voxel size in millimetres beyond which a voxel is as thick as the cortex, and its wall to white matter is not to be
/// seen.
const THICK_MM: f64 = 3.0;
/// Voxels of a brain below which there is nothing to fit.
const BRAIN_LEAST: f64 = 1000.0;

/// Refined labels with the record of the refinement.
#[derive(Clone, Debug)]
pub struct Refined {
    /// Index of each voxel's [`Structure`], `[D, H, W]`.
    pub labels: Array3<u8>,
    /// Volume of each structure in voxels, with partial volumes.
    pub voxels: [f64; STRUCTURES],
    /// The record of the refinement.
    pub record: Refinement,
}

/// Refines a network's segmentation of `image`, a scan on a 1 mm RAS+ grid `[D, H, W]` of finite values.
///
/// `probability` `[D, STRUCTURES, H, W]` are the network's, of sum 1 over structures; they are overwritten by a blurred
/// version. `native_spacing_mm` is the voxel size of the scan before resampling.
///
/// # Panics
/// If there are not `STRUCTURES` probabilities for each voxel.
pub fn refine(image: ArrayView3<f32>, probability: &mut [f32], native_spacing_mm: [f64; 3]) -> Refined {
    assert_eq!(probability.len(), STRUCTURES * image.len(), "probabilities of another grid");
    if image.is_empty() {
        return unrefined(Array3::zeros(image.dim()), [0.0; STRUCTURES]);
    }
    let image = image.as_standard_layout();
    let image = image.view();
    let mut prior = Prior::new(image, probability);
    let inside = prior.inside();
    let (_, spread) = em::inside(&image, &inside);
    let brain: f64 = Structure::ALL
        .iter()
        .filter(|s| !matches!(groups::group(**s), Group::Outside | Group::OuterFluid))
        .map(|s| prior.voxels[s.index()])
        .sum();
    if brain < BRAIN_LEAST || spread <= 0.0 {
        return unrefined(prior.take_labels(), prior.expected);
    }
    let noise = noise::noise_sd(image, inside.view());
    let sharpness = noise::sharpness(image, inside.view());
    let network = prior.labels.clone();
    let coarse = native_spacing_mm.iter().any(|&mm| mm > COARSE_MM)
        || sharpness.is_some_and(|sharpness| sharpness < SHARPNESS_MIN);
    let model = em::fit(image, &inside, &mut prior, noise, coarse);
    let trust = Trust::of(&prior, &model);
    let mut limits = Limits {
        kept: trust.fallen_back.map(|reason| reason.is_some()),
        surface_kept: trust.surface_kept,
        mantle_kept: native_spacing_mm.iter().any(|&mm| mm > THICK_MM),
        walls: None,
        fine: !coarse,
    };
    if coarse && !Structure::ALL.iter().any(|s| midpoint::is_lateral(*s) && limits.kept[s.index()]) {
        limits.walls = midpoint::walls(image, prior.labels_view());
    }
    if limits.walls.is_some() {
        // Plexus in coarse voxels is as bright as a wall, so only the network knows it.
        let plexus = |s: &Structure| groups::group(*s) == Group::ChoroidPlexus;
        Structure::ALL.iter().filter(|s| plexus(s)).for_each(|s| limits.kept[s.index()] = true);
    }
    let mut voxels = decision::decide(&mut prior, probability, &limits);
    let mut labels = prior.take_labels();
    islands::remove(&mut labels, &network, &mut voxels);
    let method = if limits.walls.is_some() {
        RefinementMethod::IntensitiesAndMidpoints
    } else {
        RefinementMethod::Intensities
    };
    Refined { labels, voxels, record: Refinement::new(method, sharpness, &model, &trust, &limits) }
}

/// The network's labels and volumes as they are.
fn unrefined(labels: Array3<u8>, voxels: [f64; STRUCTURES]) -> Refined {
    let record = Refinement {
        method: RefinementMethod::None,
        noise_sd: 0.0,
        sharpness: None,
        intensities: Default::default(),
        ventricle_confidence: None,
        ventricle_separation: None,
        surface_separation: None,
        surface_kept: true,
        mantle_kept: true,
        fallen_back: Default::default(),
    };
    Refined { labels, voxels, record }
}

impl Refinement {
    fn new(
        method: RefinementMethod,
        sharpness: Option<f64>,
        model: &Model,
        trust: &Trust,
        limits: &Limits,
    ) -> Self {
        let intensity = |part: usize| [model.mean[part], model.sd[part]];
        let of = |group: Group| (group, group.range().map(intensity).collect());
        let fallen_back = Structure::ALL
            .into_iter()
            .filter_map(|s| trust.fallen_back[s.index()].map(|reason| (s, reason)))
            .collect();
        Self {
            method,
            noise_sd: model.noise,
            sharpness,
            intensities: Group::ALL.into_iter().map(of).collect(),
            ventricle_confidence: trust.confidence,
            ventricle_separation: trust.separation,
            surface_separation: Some(trust.surface),
            surface_kept: limits.surface_kept,
            mantle_kept: limits.mantle_kept,
            fallen_back,
        }
    }
}

#[cfg(test)]
mod tests;
