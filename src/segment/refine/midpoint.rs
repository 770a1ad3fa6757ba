//! The walls of the lateral ventricles half-way between fluid and tissue: for coarse voxels, of which most of a
//! ventricle's have two tissues, so that a model of intensities is poorly determined.

use ndarray::{Array3, ArrayView3, Zip, s};

use super::blur::{blur, taps};
use super::groups::group;
use super::noise::{median, noise_sd};
use crate::anatomy::Group;
use crate::anatomy::Structure;
use crate::anatomy::overlap::distance_transform_mm;
use crate::anatomy::shape::{Connectivity, components};

/// Rounds.
const ROUNDS: usize = 3;
/// Voxels of a ventricle below which nothing is done.
const LEAST: usize = 50;
/// Voxels of a ventricle's depths below which all of it that has no other neighbour says how bright fluid is.
const CORE_LEAST: usize = 100;
/// Millimetres around the ventricles that are looked at.
const MARGIN: usize = 9;
/// How far the wall may move from the network's, in millimetres.
const BAND_MM: f32 = 3.0;
/// Depth in fluid, and distance from it, at which a voxel holds one thing.
const PURE_MM: f32 = 1.5;
/// How far from the wall tissue still says how bright it is there.
const TISSUE_MM: f32 = 6.0;
/// Standard deviations of the Gaussians of local means in fluid and tissue, in voxels.
const FLUID_LOCAL: f64 = 8.0;
const TISSUE_LOCAL: f64 = 2.5;
/// How far the mean of a normal distribution lies from that of its outer half, in standard deviations: √(2/π).
const HALF: f32 = 0.797_884_6;
/// Weight of the global mean in a local one.
const PULL: f32 = 1e-4;
/// Least contrast of fluid and tissue, in noise.
const CONTRAST: f32 = 2.5;

/// The lateral ventricles of a scan by the mid-points between fluid and tissue.
#[derive(Clone, Debug)]
pub struct Walls {
    /// First voxel of the arrays below in the scan's.
    pub at: [usize; 3],
    /// The voxels that the wall may be in, and all of the ventricles.
    pub near: Array3<bool>,
    /// Fraction of ventricle in each voxel.
    pub fraction: Array3<f32>,
}

/// Whether a structure is a lateral ventricle.
pub fn is_lateral(structure: Structure) -> bool {
    matches!(structure, Structure::LeftLateralVentricle | Structure::RightLateralVentricle)
}

/// Whether tissue of this structure can border on a ventricle.
pub fn is_wall(structure: Structure) -> bool {
    matches!(group(structure), Group::Cortex | Group::WhiteMatter | Group::DeepGrey | Group::Hippocampus)
}

/// The walls of the network's ventricles in `image` `[D, H, W]` at 1 mm; `None` if the ventricles are too small.
pub fn walls(image: ArrayView3<f32>, labels: ArrayView3<u8>) -> Option<Walls> {
    let of = |label: u8| Structure::ALL[usize::from(label)];
    let (at, end) = bounds(labels.mapv(|label| is_lateral(of(label))).view())?;
    let part = s![at[0]..end[0], at[1]..end[1], at[2]..end[2]];
    let (image, labels) = (image.slice(part), labels.slice(part));
    let network = labels.mapv(|label| is_lateral(of(label)));
    let tissue = labels.mapv(|label| is_wall(of(label)));
    if count(&network) < LEAST {
        return None;
    }
    let free = Zip::from(&network).and(&tissue).map_collect(|&fluid, &tissue| fluid || tissue);
    let noise = noise_sd(image, free.view()) as f32;
    let mut near = distance_transform_mm(network.view(), [1.0; 3]).mapv(|far| far <= BAND_MM);
    Zip::from(&mut near).and(&free).for_each(|near, &free| *near &= free);
    let deep = depth(&network).mapv(|depth| depth > 1.0);
    let mut inside = network.clone();
    let mut fraction = network.mapv(|fluid| f32::from(u8::from(fluid)));
    for _ in 0..ROUNDS {
        let depth = depth(&inside);
        let away = distance_transform_mm(inside.view(), [1.0; 3]);
        let mut core = depth.mapv(|depth| depth > PURE_MM && depth.is_finite());
        if count(&core) < CORE_LEAST {
            core.clone_from(&inside);
        }
        let wall = Zip::from(&tissue)
            .and(&away)
            .map_collect(|&tissue, &away| tissue && away > PURE_MM && away < TISSUE_MM);
        let side = outer_half(image, &mut core, &wall)?;
        let (Some(fluid), Some(wall)) = (local(image, &core, FLUID_LOCAL), local(image, &wall, TISSUE_LOCAL))
        else {
            return None;
        };
        fraction = network.mapv(|fluid| f32::from(u8::from(fluid)));
        Zip::from(&mut fraction).and(&near).and(image).and(&fluid).and(&wall).for_each(
            |fraction, &near, &value, &fluid, &wall| {
                let contrast = fluid - side * HALF * noise - wall;
                if near && contrast.abs() > (CONTRAST * noise).max(f32::MIN_POSITIVE) {
                    *fraction = ((value - wall) / contrast).clamp(0.0, 1.0);
                }
            },
        );
        inside = fraction.mapv(|fraction| fraction > 0.5);
        keep_what_hangs_on(&mut inside, &deep);
    }
    // Fluid beyond the ventricles' own edge belongs to something else.
    let edge = distance_transform_mm(inside.view(), [1.0; 3]);
    Zip::from(&mut fraction).and(&edge).for_each(|fraction, &edge| {
        if edge > 1.0 {
            *fraction = 0.0;
        }
    });
    Some(Walls { at, near, fraction })
}

/// First voxel and end of a mask with [`MARGIN`] around; none of an empty one.
fn bounds(mask: ArrayView3<bool>) -> Option<([usize; 3], [usize; 3])> {
    let mut bounds: Option<([usize; 3], [usize; 3])> = None;
    for ((z, y, x), _) in mask.indexed_iter().filter(|(_, inside)| **inside) {
        let here = [z, y, x];
        let (low, high) = bounds.get_or_insert((here, here));
        for axis in 0..3 {
            low[axis] = low[axis].min(here[axis]);
            high[axis] = high[axis].max(here[axis]);
        }
    }
    let shape: [usize; 3] = mask.dim().into();
    bounds.map(|(low, high)| {
        let end = [0, 1, 2].map(|axis| (high[axis] + 1 + MARGIN).min(shape[axis]));
        (low.map(|low| low.saturating_sub(MARGIN)), end)
    })
}

/// Keeps the half of `core` that is farther from the tissue of `wall` in intensity, since voxels of small ventricles
/// hold tissue or plexus nearly everywhere; the sign of fluid's intensity less that of tissue. None where there is
/// nothing of either.
fn outer_half(image: ArrayView3<f32>, core: &mut Array3<bool>, wall: &Array3<bool>) -> Option<f32> {
    let median_of = |mask: &Array3<bool>| {
        let inside = image.iter().zip(mask).filter(|(_, inside)| **inside);
        median(&mut inside.map(|(&x, _)| x).collect::<Vec<_>>())
    };
    let (middle, tissue) = (median_of(core)?, median_of(wall)?);
    let side = if middle < tissue { -1.0 } else { 1.0 };
    Zip::from(core).and(image).for_each(|core, &x| *core &= side * (x - middle) >= 0.0);
    Some(side)
}

fn count(mask: &Array3<bool>) -> usize {
    mask.iter().filter(|&&inside| inside).count()
}

/// How deep each voxel lies within a mask, in millimetres; 0 outside it.
fn depth(mask: &Array3<bool>) -> Array3<f32> {
    distance_transform_mm(mask.mapv(|inside| !inside).view(), [1.0; 3])
}

/// Local means of the voxels of a mask; none of an empty one.
fn local(image: ArrayView3<f32>, mask: &Array3<bool>, sigma: f64) -> Option<Array3<f32>> {
    let shape: [usize; 3] = image.dim().into();
    let voxels = count(mask);
    let sum: f64 = image.iter().zip(mask).filter(|(_, inside)| **inside).map(|(&x, _)| f64::from(x)).sum();
    let mean = if voxels == 0 { return None } else { (sum / voxels as f64) as f32 };
    let mut weight: Vec<f32> = mask.iter().map(|&inside| f32::from(u8::from(inside))).collect();
    let mut value: Vec<f32> =
        image.iter().zip(mask).map(|(&x, &inside)| if inside { x - mean } else { 0.0 }).collect();
    let taps = taps(sigma);
    rayon::join(|| blur(&mut weight, shape, &taps), || blur(&mut value, shape, &taps));
    let local = value.iter().zip(&weight).map(|(value, weight)| mean + value / (weight + PULL)).collect();
    Some(Array3::from_shape_vec(shape, local).expect("a mean for each voxel"))
}

/// Clears the components of a mask without a voxel of `deep`.
fn keep_what_hangs_on(mask: &mut Array3<bool>, deep: &Array3<bool>) {
    let found = components(mask, Connectivity::Faces);
    let components = found.labels();
    let mut kept = vec![false; found.components.len() + 1];
    components
        .iter()
        .zip(deep)
        .filter(|(_, deep)| **deep)
        .for_each(|(&component, _)| kept[component as usize] = true);
    Zip::from(mask).and(&components).for_each(|inside, &component| *inside &= kept[component as usize]);
}

impl Walls {
    /// Fraction of ventricle in the scan's voxel `[z, y, x]`; `None` where no wall can be.
    pub fn at(&self, place: [usize; 3]) -> Option<f32> {
        let mut here = [0; 3];
        for axis in 0..3 {
            here[axis] = place[axis].checked_sub(self.at[axis])?;
        }
        self.near.get(here).is_some_and(|&near| near).then(|| self.fraction[here])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Share of a voxel that lies within a ball, from 8³ points.
    fn ball_share(place: [usize; 3], middle: f64, radius: f64) -> f64 {
        let mut inside = 0;
        for n in 0..512 {
            let sub = [n / 64, n / 8 % 8, n % 8];
            let r2: f64 =
                (0..3).map(|a| (place[a] as f64 + (sub[a] as f64 + 0.5) / 8.0 - 0.5 - middle).powi(2)).sum();
            inside += usize::from(r2 < radius * radius);
        }
        inside as f64 / 512.0
    }

    /// A ball of fluid in white matter that the network took for a smaller one.
    #[test]
    fn a_ball_gets_the_volume_that_the_image_shows() {
        let (side, radius, seen) = (44, 11.0, 9.6);
        let middle = (side as f64 - 1.0) / 2.0;
        let image = Array3::from_shape_fn((side, side, side), |(z, y, x)| {
            (100.0 - 70.0 * ball_share([z, y, x], middle, radius)) as f32
        });
        let (left, white) =
            (Structure::LeftLateralVentricle.index(), Structure::LeftCerebralWhiteMatter.index());
        let labels = Array3::from_shape_fn((side, side, side), |(z, y, x)| {
            let r2: f64 = [z, y, x].iter().map(|&c| (c as f64 - middle).powi(2)).sum();
            (if r2 < seen * seen { left } else { white }) as u8
        });
        let walls = walls(image.view(), labels.view()).unwrap();
        let truth = 4.0 / 3.0 * std::f64::consts::PI * radius.powi(3);
        let found = f64::from(walls.fraction.sum());
        assert!((found / truth - 1.0).abs() < 0.01, "{found} {truth}");
        let counted = walls.fraction.iter().filter(|&&part| part > 0.5).count() as f64;
        assert!((counted / truth - 1.0).abs() < 0.02, "{counted} {truth}");
        let far = (0.5f64 + radius).ceil() as usize;
        assert_eq!(walls.at([side / 2, side / 2, side / 2]), Some(1.0));
        assert_eq!((walls.at([0, 0, 0]), walls.at([side / 2, side / 2, side / 2 + far + 4])), (None, None));
    }

    /// A ventricle so small that scarcely a voxel of it, blurred to 3 mm, is nothing but fluid.
    #[test]
    fn a_small_ball_in_a_blurred_scan_gets_its_volume() {
        let (side, radius, seen) = (32, 4.0, 5.0);
        let middle = (side as f64 - 1.0) / 2.0;
        let mut values: Vec<f32> = (0..side * side * side)
            .map(|n| {
                (100.0 - 70.0 * ball_share([n / side / side, n / side % side, n % side], middle, radius))
                    as f32
            })
            .collect();
        blur(&mut values, [side; 3], &taps(1.27));
        let image = Array3::from_shape_vec((side, side, side), values).unwrap();
        let [left, white] =
            [Structure::LeftLateralVentricle, Structure::LeftCerebralWhiteMatter].map(Structure::index);
        let labels = Array3::from_shape_fn((side, side, side), |(z, y, x)| {
            let r2: f64 = [z, y, x].iter().map(|&c| (c as f64 - middle).powi(2)).sum();
            (if r2 < seen * seen { left } else { white }) as u8
        });
        let truth = 4.0 / 3.0 * std::f64::consts::PI * radius.powi(3);
        let found = f64::from(walls(image.view(), labels.view()).unwrap().fraction.sum());
        assert!((found / truth - 1.0).abs() < 0.1, "{found} {truth}");
    }

    /// Where nothing is to be seen the network's walls stay, and where there is no ventricle there are none.
    #[test]
    fn without_contrast_the_walls_stay() {
        let labels = Array3::from_shape_fn((20, 20, 20), |(z, y, x)| {
            let inside = [z, y, x].iter().all(|c| (6..14).contains(c));
            (if inside { Structure::RightLateralVentricle } else { Structure::RightCerebralWhiteMatter })
                .index() as u8
        });
        let found = walls(Array3::from_elem((20, 20, 20), 3.0).view(), labels.view()).unwrap();
        assert_eq!(found.fraction.sum(), 512.0);
        assert!(walls(Array3::zeros((5, 5, 5)).view(), Array3::zeros((5, 5, 5)).view()).is_none());
    }
}
