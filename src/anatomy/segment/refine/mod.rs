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
mod trust;
pub mod midpoint;

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
    let mode = std::env::var("MODE").unwrap_or_default();
    let coarse = _native_spacing_mm.iter().any(|&s| s > 1.2);
    let net = {
        let (d, h, w) = image.dim();
        let plane = h * w;
        let mut v = vec![0u8; d * plane];
        for (z, to) in v.chunks_mut(plane).enumerate() {
            for (at, to) in to.iter_mut().enumerate() {
                let of = |k: usize| probability[(z * STRUCTURES + k) * plane + at];
                *to = (1..STRUCTURES).fold(0, |b, k| if of(k) > of(b) { k } else { b }) as u8;
            }
        }
        Array3::from_shape_vec((d, h, w), v).unwrap()
    };
    let walls = if coarse { midpoint::walls(image, net.view()) } else { None };
    if coarse && mode == "mid" {
        let mut labels = net;
        let (_, h, w) = image.dim();
        let mut voxels = [0.0; STRUCTURES];
        for (i, row) in probability.chunks_exact(h * w).enumerate() {
            voxels[i % STRUCTURES] += row.iter().map(|&x| f64::from(x)).sum::<f64>();
        }
        if let Some(walls) = walls { walls.apply(&mut labels, &mut voxels, probability); }
        return Refined { labels, voxels, report: format!("mid {:.2?}", t.elapsed()) };
    }
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
    let trust = trust::Trust::of(&prior, &model);
    for k in 0..STRUCTURES {
        if trust.agreement[k].is_some_and(|a| a < 0.8) || trust.fallen_back[k].is_some() {
            println!("  {:?} agreement {:?} {:?} conf {:.3}", crate::anatomy::Structure::ALL[k], trust.agreement[k], trust.fallen_back[k], prior.confidence[k]);
        }
    }
    println!("  separation {:?} confidence {:?}", trust.separation, trust.confidence);
    let kept = trust.fallen_back.map(|r| r.is_some());
    let voxels = decision::decide(&mut prior, probability, &kept);
    let sites: usize = prior.layers.iter().map(|l| l.sites.len()).sum();
    let report = format!(
        "prior {t1:.2?} noise {t2:.2?} em {t3:.2?} all {:.2?} sites {sites} noise {noise:.2} mean {:.1?} sd {:.1?}",
        t.elapsed(), model.mean, model.sd
    );
    let labels = Array3::from_shape_vec(prior.shape, std::mem::take(&mut prior.labels)).unwrap();
    let mut voxels = voxels;
    let mut labels = labels;
    if let (true, Some(walls)) = (mode == "both", &walls) { walls.apply(&mut labels, &mut voxels, probability); }
    Refined { labels, voxels, report }
}
