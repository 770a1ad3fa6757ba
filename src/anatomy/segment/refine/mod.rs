//! A segmentation network's labels, refined by the scan itself.
//!
//! Each scan gets a generative model of its own: Gaussian intensities of a few groups of structures, with local means
//! (the bias field), voxels that hold two groups, and the network's probabilities as the spatial prior. It is fitted by
//! expectation–maximisation for a few rounds (Ashburner & Friston 2005, "Unified segmentation"; Zhang et al. 2001,
//! "Segmentation of brain MR images through a hidden Markov random field model"; Puonti et al. 2016, "Fast and
//! sequence-adaptive whole-brain segmentation"; Van Leemput et al. 2003, "A unifying framework for partial volume
//! segmentation").

mod blur;
mod decision;
mod em;
mod expectation;
mod field;
mod groups;
mod model;
mod noise;
mod sites;
mod statistics;

use ndarray::{Array3, ArrayView3};

use super::super::STRUCTURES;
use groups::Group;
use sites::Prior;

pub struct Refined {
    pub labels: Array3<u8>,
    pub voxels: [f64; STRUCTURES],
    pub report: String,
}

pub fn refine(image: ArrayView3<f32>, probability: &mut [f32], _native_spacing_mm: [f64; 3]) -> Refined {
    let t = std::time::Instant::now();
    let mut prior = Prior::new(image, probability);
    let t1 = t.elapsed();
    let groups = groups::group_of_structure();
    let inside: Vec<bool> = prior
        .labels
        .iter()
        .zip(&prior.measured)
        .map(|(&label, &m)| m && groups[usize::from(label)] != Group::Outside.index())
        .collect();
    let inside = ArrayView3::from_shape(prior.shape, &inside).unwrap();
    let noise = noise::noise_sd(image, inside);
    let t2 = t.elapsed();
    let model = em::fit(image, &mut prior, noise);
    let t3 = t.elapsed();
    let voxels = decision::decide(&mut prior, probability);
    let sites: usize = prior.layers.iter().map(|l| l.sites.len()).sum();
    let report = format!(
        "prior {t1:.2?} noise {t2:.2?} em {t3:.2?} all {:.2?} sites {sites} noise {noise:.2} mean {:.1?} sd {:.1?}",
        t.elapsed(), model.mean, model.sd
    );
    let labels = Array3::from_shape_vec(prior.shape, std::mem::take(&mut prior.labels)).unwrap();
    Refined { labels, voxels, report }
}
