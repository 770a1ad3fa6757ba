//! The network's probabilities as a spatial prior: the uncertain voxels, and the start of the fit.

use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;

use super::blur::{blur_plane, taps};
use super::field::{CELL, Cells};
use super::groups::{GROUPS, group_of_structure};
use super::noise::measured;
use crate::anatomy::Group;
use crate::anatomy::STRUCTURES;
use crate::anatomy::overlap::distance_transform_mm;

/// Standard deviation of the blur of probabilities, in voxels.
const BLUR: f64 = 0.7;
/// The least probability of a structure before it is sharpened.
const FLOOR: f32 = 1e-4;
/// Greatest prior of a group beyond which a voxel needs no look.
const DOUBT: f32 = 0.998;
/// The probability from which on a voxel says how its group looks at the start.
const START: f32 = 0.7;
/// Millimetres around the network's brain that are looked at.
const AROUND_MM: f32 = 3.0;
/// Millimetres from the network's brain beyond which nothing becomes brain: dura and fat are as bright as cortex.
const BRAIN_REACH_MM: f32 = 2.0;
/// Millimetres from the network's ventricles beyond which nothing becomes ventricle: fluid of sulci is as dark.
const VENTRICLE_REACH_MM: f32 = 6.0;
/// Least prior of a group that is looked at.
const PRIOR_MIN: f32 = 1e-4;
/// No group.
pub const NONE: u8 = u8::MAX;

/// An uncertain voxel.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    /// Its index in the array.
    pub at: u32,
    /// Prior of each group, of sum 1.
    pub prior: [f32; GROUPS],
}

/// Three planes of voxels, those of one layer of cells.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    /// The uncertain voxels, in the order of memory.
    pub sites: Vec<Site>,
    /// The fraction of each group in each of them.
    pub fraction: Vec<[f32; GROUPS]>,
    /// For each of them, the probabilities that ventricle, and that outer fluid, fills the whole voxel.
    pub pure: Vec<[f32; 2]>,
}

/// The network's segmentation of a scan as a prior.
#[derive(Debug)]
pub struct Prior {
    pub shape: [usize; 3],
    /// The network's structure of each voxel.
    pub labels: Vec<u8>,
    /// The network's mean probability of each structure where it is the likeliest.
    pub confidence: [f64; STRUCTURES],
    /// Number of voxels of each structure in the network's labels.
    pub voxels: [f64; STRUCTURES],
    /// Sum over voxels of the probability of each structure.
    pub expected: [f64; STRUCTURES],
    /// Sum of the probability of each structure over the voxels outside `region`.
    pub expected_elsewhere: [f64; STRUCTURES],
    /// The voxels that were measured.
    pub measured: Vec<bool>,
    /// The voxels of the brain and around it that are refined.
    pub region: Vec<bool>,
    /// The group of each voxel of the region that is certain enough for the start of the fit.
    pub start: Vec<u8>,
    /// Whether a voxel is uncertain.
    pub doubtful: Vec<bool>,
    /// Fraction of each group in each voxel, in 255ths, `[voxel, GROUPS]`.
    pub held: Vec<u8>,
    pub layers: Vec<Layer>,
}

/// Sharpened: the power 3/2.
fn sharpened(probability: f32) -> f32 {
    let p = probability.max(FLOOR);
    p * p.sqrt()
}

/// What the network says of one plane.
struct Said {
    confidence: [f64; STRUCTURES],
    voxels: [f64; STRUCTURES],
    expected: [f64; STRUCTURES],
}

impl Prior {
    /// The prior of probabilities `[D, STRUCTURES, H, W]` of sum 1, which are blurred plane by plane.
    pub fn new(image: ArrayView3<f32>, probability: &mut [f32]) -> Self {
        let (d, h, w) = image.dim();
        let (shape, plane, voxels) = ([d, h, w], h * w, d * h * w);
        let groups = group_of_structure();
        let (mut labels, mut start) = (vec![0u8; voxels], vec![NONE; voxels]);
        let mut held = vec![0u8; voxels * GROUPS];
        let said: Vec<Said> = probability
            .par_chunks(STRUCTURES * plane)
            .zip(labels.par_chunks_mut(plane))
            .zip(start.par_chunks_mut(plane))
            .zip(held.par_chunks_mut(plane * GROUPS))
            .map(|(((probability, labels), start), held)| {
                read_plane(probability, &groups, labels, start, held)
            })
            .collect();
        let mut prior = Self {
            shape,
            labels,
            confidence: [0.0; STRUCTURES],
            voxels: [0.0; STRUCTURES],
            expected: [0.0; STRUCTURES],
            expected_elsewhere: [0.0; STRUCTURES],
            measured: measured(image).into_raw_vec_and_offset().0,
            region: Vec::new(),
            start,
            doubtful: vec![false; voxels],
            held,
            layers: Vec::new(),
        };
        for k in 0..STRUCTURES {
            let sum = |of: &dyn Fn(&Said) -> f64| said.iter().map(of).sum::<f64>();
            prior.expected[k] = sum(&|said| said.expected[k]);
            prior.voxels[k] = sum(&|said| said.voxels[k]);
            prior.confidence[k] = sum(&|said| said.confidence[k]) / prior.voxels[k].max(1.0);
        }
        let outer = [Group::Outside, Group::OuterFluid].map(Group::index);
        let brain: Vec<bool> =
            prior.labels.iter().map(|&label| !outer.contains(&groups[usize::from(label)])).collect();
        let brain = ArrayView3::from_shape(shape, &brain).expect("a value for each voxel");
        let far = distance_transform_mm(brain, [1.0; 3]);
        prior.region =
            far.iter().zip(&prior.measured).map(|(&far, &measured)| far <= AROUND_MM && measured).collect();
        prior
            .start
            .iter_mut()
            .zip(&prior.region)
            .filter(|(_, region)| !**region)
            .for_each(|(s, _)| *s = NONE);
        let elsewhere: Vec<[f64; STRUCTURES]> = probability
            .par_chunks(STRUCTURES * plane)
            .zip(prior.region.par_chunks(plane))
            .map(|(probability, region)| {
                let of = |row: &[f32]| -> f64 {
                    row.iter().zip(region).map(|(&p, &inside)| if inside { 0.0 } else { f64::from(p) }).sum()
                };
                std::array::from_fn(|k| of(&probability[k * plane..(k + 1) * plane]))
            })
            .collect();
        for sums in elsewhere {
            (0..STRUCTURES).for_each(|k| prior.expected_elsewhere[k] += sums[k]);
        }
        let taps = taps(BLUR);
        probability
            .par_chunks_mut(plane)
            .for_each_init(Vec::new, |scratch, values| blur_plane(values, w, &taps, scratch));
        let near_ventricles =
            prior.near(&groups, &[Group::Ventricles, Group::ChoroidPlexus], VENTRICLE_REACH_MM);
        let near_brain: Vec<bool> = far.iter().map(|&far| far <= BRAIN_REACH_MM).collect();
        prior.find_sites(probability, &groups, &near_ventricles, &near_brain);
        prior
    }

    /// The voxels within so many millimetres of what the network takes for these groups.
    fn near(&self, groups: &[usize; STRUCTURES], of: &[Group], reach_mm: f32) -> Vec<bool> {
        let inside = |&label: &u8| of.iter().any(|group| group.index() == groups[usize::from(label)]);
        let mask: Vec<bool> = self.labels.iter().map(inside).collect();
        let mask = ArrayView3::from_shape(self.shape, &mask).expect("a value for each voxel");
        distance_transform_mm(mask, [1.0; 3]).iter().map(|&far| far <= reach_mm).collect()
    }

    /// Fills the layers with the voxels in doubt.
    fn find_sites(
        &mut self,
        probability: &[f32],
        groups: &[usize; STRUCTURES],
        near_ventricles: &[bool],
        near_brain: &[bool],
    ) {
        let [d, h, w] = self.shape;
        let plane = h * w;
        let (region, shape) = (&self.region, self.shape);
        self.layers = self
            .doubtful
            .par_chunks_mut(CELL * plane)
            .enumerate()
            .map(|(layer, doubtful)| {
                let mut sites = Vec::new();
                let mut sums = vec![0.0; GROUPS * plane];
                for z in layer * CELL..((layer + 1) * CELL).min(d) {
                    let region = &region[z * plane..(z + 1) * plane];
                    if !region.contains(&true) {
                        continue;
                    }
                    sums.fill(0.0);
                    priors_of_plane(probability, shape, z, |k, values| {
                        let sums = &mut sums[groups[k] * plane..(groups[k] + 1) * plane];
                        sums.iter_mut().zip(values).for_each(|(sum, &p)| *sum += sharpened(p));
                    });
                    for at in (0..plane).filter(|&at| region[at]) {
                        let mut prior: [f32; GROUPS] = std::array::from_fn(|g| sums[g * plane + at]);
                        let whole: f32 = prior.iter().sum();
                        for group in Group::ALL {
                            let out = match group {
                                Group::OuterFluid | Group::Outside => false,
                                Group::Ventricles => !near_ventricles[z * plane + at],
                                _ => !near_brain[z * plane + at],
                            };
                            let p = &mut prior[group.index()];
                            if out || *p < PRIOR_MIN * whole {
                                *p = 0.0;
                            }
                        }
                        let sum: f32 = prior.iter().sum();
                        if sum <= 0.0 {
                            continue;
                        }
                        let prior = prior.map(|p| p / sum);
                        if prior.iter().all(|&p| p < DOUBT) {
                            doubtful[(z - layer * CELL) * plane + at] = true;
                            sites.push(Site { at: (z * plane + at) as u32, prior });
                        }
                    }
                }
                let fraction = sites.iter().map(|site| site.prior).collect();
                let pure = vec![[0.0; 2]; sites.len()];
                Layer { sites, fraction, pure }
            })
            .collect();
        debug_assert_eq!(self.layers.len(), Cells::over(self.shape).shape[0]);
    }

    /// The labels `[D, H, W]`.
    pub fn labels_view(&self) -> ArrayView3<'_, u8> {
        ArrayView3::from_shape(self.shape, &self.labels).expect("a label for each voxel")
    }

    /// The labels `[D, H, W]`, moved out of the prior.
    pub fn take_labels(&mut self) -> Array3<u8> {
        Array3::from_shape_vec(self.shape, std::mem::take(&mut self.labels)).expect("a label for each voxel")
    }

    /// The measured voxels that the network labels as brain or fluid.
    pub fn inside(&self) -> Array3<bool> {
        let groups = group_of_structure();
        let labels = self.labels.iter().zip(&self.measured);
        let inside = labels
            .map(|(&label, &measured)| measured && groups[usize::from(label)] != Group::Outside.index())
            .collect();
        Array3::from_shape_vec(self.shape, inside).expect("a value for each voxel")
    }
}

/// Reads one plane of probabilities `[STRUCTURES, H, W]`.
fn read_plane(
    probability: &[f32],
    groups: &[usize; STRUCTURES],
    labels: &mut [u8],
    start: &mut [u8],
    held: &mut [u8],
) -> Said {
    let plane = labels.len();
    let zero = [0.0; STRUCTURES];
    let mut said = Said { confidence: zero, voxels: zero, expected: zero };
    for at in 0..plane {
        let (mut best, mut greatest, mut sums) = (0, f32::NEG_INFINITY, [0.0f32; GROUPS]);
        for k in 0..STRUCTURES {
            let p = probability[k * plane + at];
            said.expected[k] += f64::from(p);
            sums[groups[k]] += p;
            if p > greatest {
                (best, greatest) = (k, p);
            }
        }
        labels[at] = best as u8;
        said.voxels[best] += 1.0;
        said.confidence[best] += f64::from(greatest);
        for g in 0..GROUPS {
            held[at * GROUPS + g] = (255.0 * sums[g] + 0.5) as u8;
            if sums[g] > START {
                start[at] = g as u8;
            }
        }
    }
    said
}

/// Calls `each(structure, values)` with the probabilities of plane `z`, blurred across planes too, in the order of
/// structures.
pub fn priors_of_plane(
    probability: &[f32],
    [d, h, w]: [usize; 3],
    z: usize,
    mut each: impl FnMut(usize, &[f32]),
) {
    let (plane, taps) = (h * w, taps(BLUR));
    let reach = taps.len() / 2;
    let mut values = vec![0.0; plane];
    for k in 0..STRUCTURES {
        values.fill(0.0);
        for other in z.saturating_sub(reach)..(z + reach + 1).min(d) {
            let weight = taps[reach + other - z];
            let from = &probability[(other * STRUCTURES + k) * plane..][..plane];
            values.iter_mut().zip(from).for_each(|(to, &from)| *to += weight * from);
        }
        each(k, &values);
    }
}

/// The likelihood of each structure within its group at one place, from [`priors_of_plane`].
pub fn within(values: &[f32; STRUCTURES], groups: &[usize; STRUCTURES]) -> [f32; STRUCTURES] {
    let sharp = values.map(sharpened);
    let mut sums = [0.0; GROUPS];
    (0..STRUCTURES).for_each(|k| sums[groups[k]] += sharp[k]);
    std::array::from_fn(|k| sharp[k] / sums[groups[k]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anatomy::Structure;

    /// Probabilities `[D, STRUCTURES, H, W]` of a head whose structure is `of(z, y, x)`, with this probability.
    pub fn certain(shape: [usize; 3], p: f32, of: impl Fn(usize, usize, usize) -> Structure) -> Vec<f32> {
        let [d, h, w] = shape;
        let mut probability = vec![(1.0 - p) / (STRUCTURES - 1) as f32; d * STRUCTURES * h * w];
        for z in 0..d {
            for y in 0..h {
                for x in 0..w {
                    probability[((z * STRUCTURES + of(z, y, x).index()) * h + y) * w + x] = p;
                }
            }
        }
        probability
    }

    #[test]
    fn doubt_is_where_structures_meet() {
        let shape = [9, 9, 20];
        let structure = |_, _, x| {
            if x < 10 { Structure::LeftLateralVentricle } else { Structure::LeftCerebralWhiteMatter }
        };
        let mut probability = certain(shape, 1.0, structure);
        let image = Array3::from_elem(shape, 1.0);
        let prior = Prior::new(image.view(), &mut probability);
        assert_eq!(prior.expected[Structure::LeftLateralVentricle.index()], 810.0);
        assert_eq!(prior.confidence[Structure::LeftCerebralWhiteMatter.index()], 1.0);
        let sites: usize = prior.layers.iter().map(|layer| layer.sites.len()).sum();
        let doubtful = prior.doubtful.iter().filter(|&&doubtful| doubtful).count();
        assert_eq!(sites, doubtful);
        for (at, &doubtful) in prior.doubtful.iter().enumerate() {
            assert_eq!(doubtful, (9..11).contains(&(at % 20)), "{at}");
        }
        // Beside the wall G(0.7) leaves so much on this side of it.
        let weights = taps(BLUR);
        let (here, there) = (weights[2..].iter().sum::<f32>(), weights[3..].iter().sum::<f32>());
        let site = prior.layers[1].sites.iter().find(|site| site.at as usize % 20 == 9).unwrap();
        let expected = here.powf(1.5) / (here.powf(1.5) + there.powf(1.5));
        assert!((site.prior[0] - expected).abs() < 1e-3, "{:?} {expected}", site.prior);
    }
}
