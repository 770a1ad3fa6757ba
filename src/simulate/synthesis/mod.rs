//! Images simulated from label maps, of random contrast, resolution, bias, noise and shape, with the labels as targets
//! of a segmenter (Billot et al. 2023, "SynthSeg: Segmentation of brain MRI scans of any contrast and resolution
//! without retraining").

mod contrast;
mod labels;
mod pairs;
mod recipe;
mod scans;
mod space;

pub use labels::{LabelMap, Tissue};
pub use pairs::{synthesise_pair, synthesise_visits};
pub use recipe::{SynthesisRecipe, Weighting};
pub use scans::LabelledScan;

use ndarray::Array3;
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::anatomy::Structure;
use crate::anatomy::{APART, Classes};
use crate::random::{Purpose, normal_field, stream};
use crate::volume::rescale;
use crate::warp::fields::{along, coarser, control_points, field, linear};

/// Phases of an example's streams: what is drawn once, and the fields.
const ONCE: u64 = 0;
const WITHIN_TISSUE: u64 = 1;
const NOISE: u64 = 2;

/// Distance of the control points of the bias field, in millimetres.
const BIAS_SPACING_MM: f64 = 56.0;

/// An image and its labels.
#[derive(Clone, Debug)]
pub struct Example {
    /// Intensities after [`rescale`], `[D, H, W]` at 1 mm.
    pub image: Array3<f32>,
    /// Index of each voxel's [`Structure`], `[D, H, W]`.
    pub target: Array3<u8>,
    /// The classes of the structures that the target distinguishes.
    pub classes: Classes,
}

/// The part of a head that an example shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum View {
    /// A grid `[D, H, W]`, shifted at random about the brain.
    Crop([usize; 3]),
    /// A grid `[D, H, W]` about the brain's centre.
    Centred([usize; 3]),
}

/// The example at the address (seed, step, sample).
///
/// In the order of an acquisition: the head is rotated, scaled, deformed and possibly mirrored; every tissue gets a
/// mean and standard deviation of its intensity; the bias field multiplies; voxels become coarser; noise is added; and
/// the scan is resampled to 1 mm.
pub fn synthesise(
    map: &LabelMap,
    view: View,
    recipe: &SynthesisRecipe,
    [seed, step, sample]: [u64; 3],
) -> Example {
    let rng = |phase| stream(seed, step, phase, sample, Purpose::Synthesis);
    let once = &mut rng(ONCE);
    let space = space::Space::draw(map.centre, 1.0, view, recipe, once);
    let shape = space.shape;
    let shown = contrast::Shown::draw(recipe, once);
    let contrasts = contrast::draw(recipe, once);
    let labels = space.nearest(&map.labels, map.outside());
    let structure = |label: u8| {
        let tissue = map.tissues[usize::from(label)];
        shown.target(if space.mirrored { tissue.structure.mirrored() } else { tissue.structure })
    };
    let structures: Vec<Structure> = (0..map.tissues.len() as u8).map(structure).collect();
    let mut image = painted(map, &labels, &structures, shown, &contrasts, &rng(WITHIN_TISSUE));
    shade(&mut image, shape, recipe.bias, once);
    let mut target: Vec<u8> =
        labels.iter().map(|&label| structures[usize::from(label)].index() as u8).collect();
    // SynthSeg's own images are as sharp as their labels; a scanner's are not, so all pass through a voxel's blur.
    let image = acquired(image, &mut target, shape, 1.0, shown, recipe, once, &rng(NOISE));
    let whole = "the grid's voxels";
    Example {
        image: Array3::from_shape_vec(shape, image).expect(whole),
        target: Array3::from_shape_vec(shape, target).expect(whole),
        classes: APART,
    }
}

/// An image `[D, H, W]` of 1 mm as a scanner with coarser voxels, noise and a field of view that may be cut would have
/// it, back at 1 mm and on the scale of [`rescale`]. What was seen in voxels of `blurred_mm` already is not blurred to
/// them again.
#[allow(clippy::too_many_arguments)]
fn acquired(
    image: Vec<f32>,
    target: &mut [u8],
    shape: [usize; 3],
    voxel_mm: f64,
    shown: contrast::Shown,
    recipe: &SynthesisRecipe,
    once: &mut ChaCha8Rng,
    noise: &ChaCha8Rng,
) -> Vec<f32> {
    let spacing = spacing(recipe, once);
    let (mut image, mut coarse) = (image, shape);
    for axis in 0..3 {
        if spacing[axis] > voxel_mm || voxel_mm == 1.0 {
            (image, coarse) = along(&image, coarse, axis, &coarser(coarse[axis], spacing[axis]));
        }
    }
    add_noise(&mut image, recipe.noise, shown.is_stripped(), once, noise);
    for axis in [2, 1, 0] {
        if coarse[axis] != shape[axis] {
            (image, coarse) = along(&image, coarse, axis, &linear(coarse[axis], shape[axis]));
        }
    }
    if once.random::<f64>() < recipe.cut {
        cut(&mut image, target, shape, once);
    }
    rescale(&mut image);
    let exponent = (recipe.gamma * once.sample::<f64, _>(StandardNormal)).exp() as f32;
    image.iter_mut().for_each(|x| *x = x.max(0.0).powf(exponent));
    image
}

/// Intensities of labels: the mean of each tissue and its deviation, drawn voxel by voxel.
fn painted(
    map: &LabelMap,
    labels: &[u8],
    structures: &[Structure],
    shown: contrast::Shown,
    contrasts: &[[f32; 2]],
    rng: &ChaCha8Rng,
) -> Vec<f32> {
    let mut image = normal_field(rng, labels.len());
    for (x, &label) in image.iter_mut().zip(labels) {
        let [mean, deviation] =
            if structures[usize::from(label)] == Structure::Background && shown.is_stripped() {
                [0.0; 2]
            } else {
                contrasts[map.tissues[usize::from(label)].contrast]
            };
        *x = (mean + deviation * *x).max(0.0);
    }
    image
}

/// Multiplies an image `[D, H, W]` by the exponential of a smooth field, whose control points deviate by at most
/// `most`.
fn shade(image: &mut [f32], shape: [usize; 3], most: f64, once: &mut ChaCha8Rng) {
    let sigma = most * once.random::<f64>();
    let points = shape.map(|length| control_points(length, BIAS_SPACING_MM));
    let bias = field(gaussian(once, points.iter().product(), sigma), points, shape);
    image.iter_mut().zip(bias).for_each(|(x, bias)| *x *= bias.exp());
}

/// Adds the field of `rng` as noise that deviates by at most `most` of the greatest value, and takes magnitudes. Where
/// a mask has set voxels to zero, they stay so.
fn add_noise(image: &mut [f32], most: f64, stripped: bool, once: &mut ChaCha8Rng, rng: &ChaCha8Rng) {
    let greatest = image.iter().fold(1e-6f32, |greatest, &x| greatest.max(x));
    let noise = (most * once.random::<f64>()) as f32 * greatest;
    let draws = normal_field(rng, image.len());
    for (x, draw) in image.iter_mut().zip(draws) {
        *x = if stripped && *x == 0.0 { 0.0 } else { (*x + noise * draw).abs() };
    }
}

/// `n` draws from N(0, `sigma`²).
fn gaussian(rng: &mut ChaCha8Rng, n: usize, sigma: f64) -> Vec<f32> {
    (0..n).map(|_| (sigma * rng.sample::<f64, _>(StandardNormal)) as f32).collect()
}

/// A draw from `[low, high)`.
fn between(rng: &mut impl Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * rng.random::<f64>()
}

/// Voxel size along `[D, H, W]` that an example was acquired with.
fn spacing(recipe: &SynthesisRecipe, rng: &mut impl Rng) -> [f64; 3] {
    let [coarse, slices, axis, cubes, thick] = [(); 5].map(|()| rng.random::<f64>());
    let mut spacing = [1.0; 3];
    if coarse < recipe.coarse {
        if slices < 0.5 {
            spacing = [1.0 + cubes * (recipe.isotropic_max_mm - 1.0); 3];
        } else {
            spacing[(axis * 3.0) as usize] = 1.0 + thick * (recipe.slices_max_mm - 1.0);
        }
    }
    spacing
}

/// Nothing is seen of a slab of up to a quarter at one side.
fn cut(image: &mut [f32], target: &mut [u8], [d, h, w]: [usize; 3], rng: &mut impl Rng) {
    let side = (rng.random::<f64>() * 6.0) as usize;
    let axis = side / 2;
    let length = [d, h, w][axis];
    let thickness = (rng.random::<f64>() * 0.25 * length as f64) as usize;
    for (at, (x, label)) in image.iter_mut().zip(target).enumerate() {
        let place = [at / (h * w), at / w % h, at % w][axis];
        if if side.is_multiple_of(2) { place < thickness } else { place + thickness >= length } {
            (*x, *label) = (0.0, Structure::Background.index() as u8);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use ndarray::Array4;

    use super::*;
    use crate::volume::{Volume, VoxelToWorld};

    /// Skull, fluid, cortex of either side and white matter, within each other; the left half is at low x.
    pub fn map() -> LabelMap {
        let data = Array4::from_shape_fn((1, 40, 44, 40), |(_, z, y, x)| {
            let p = [z as f64 - 19.5, y as f64 - 21.5, x as f64 - 19.5];
            let r = p.iter().map(|c| c * c).sum::<f64>().sqrt();
            match r {
                ..10.0 => {
                    if p[2] < 0.0 {
                        2.0
                    } else {
                        41.0
                    }
                }
                ..14.0 => {
                    if p[2] < 0.0 {
                        3.0
                    } else {
                        42.0
                    }
                }
                ..16.0 => 24.0,
                ..18.0 => 502.0,
                _ => 0.0,
            }
        });
        LabelMap::new("phantom", Volume::new(data, VoxelToWorld::identity())).unwrap()
    }

    /// Nothing moves, nothing is coarse.
    pub fn still() -> SynthesisRecipe {
        SynthesisRecipe {
            rotation_deg: 0.0,
            scaling: 0.0,
            shear: 0.0,
            elastic_mm: 0.0,
            mirrored: 0.0,
            t1_like: 1.0,
            stripped: 0.0,
            cut: 0.0,
            bias: 0.0,
            coarse: 0.0,
            noise: 0.0,
            gamma: 0.0,
            ..SynthesisRecipe::default()
        }
    }

    fn voxels(example: &Example, structure: Structure) -> usize {
        example.target.iter().filter(|&&label| usize::from(label) == structure.index()).count()
    }

    #[test]
    fn an_address_gives_one_example() {
        let (map, recipe) = (map(), SynthesisRecipe::default());
        let make = |address| synthesise(&map, View::Crop([32; 3]), &recipe, address);
        let [one, again, other] = [[1, 2, 3], [1, 2, 3], [1, 3, 3]].map(make);
        assert_eq!((&one.image, &one.target), (&again.image, &again.target));
        assert_ne!(one.image, other.image);
        assert!(one.image.iter().all(|x| x.is_finite() && *x >= 0.0));
    }

    #[test]
    fn volumes_are_those_of_the_map_where_nothing_moves() {
        let example = synthesise(&map(), View::Centred([48; 3]), &still(), [0; 3]);
        let ball = |r: f64| 4.0 / 3.0 * std::f64::consts::PI * r.powi(3);
        let expected = [
            (Structure::LeftCerebralWhiteMatter, ball(10.0) / 2.0),
            (Structure::RightCerebralCortex, (ball(14.0) - ball(10.0)) / 2.0),
            (Structure::Csf, ball(16.0) - ball(14.0)),
        ];
        for (structure, voxels_expected) in expected {
            let found = voxels(&example, structure) as f64;
            assert!((found / voxels_expected - 1.0).abs() < 0.06, "{structure:?}: {found} {voxels_expected}");
        }
        // T1-like: white matter is brighter than cortex, and cortex than fluid.
        let mean = |structure: Structure| {
            let seen = example.image.iter().zip(&example.target);
            let seen: Vec<f32> = seen
                .filter(|(_, label)| usize::from(**label) == structure.index())
                .map(|(x, _)| *x)
                .collect();
            seen.iter().sum::<f32>() / seen.len() as f32
        };
        let order =
            [Structure::LeftCerebralWhiteMatter, Structure::LeftCerebralCortex, Structure::Csf].map(mean);
        assert!(order[0] > order[1] && order[1] > order[2], "{order:?}");
    }

    #[test]
    fn a_mirrored_head_has_its_sides_exchanged() {
        let recipe = SynthesisRecipe { mirrored: 1.0, ..still() };
        for recipe in [&still(), &recipe] {
            let Example { target, .. } = synthesise(&map(), View::Centred([48; 3]), recipe, [0; 3]);
            let left = Structure::LeftCerebralWhiteMatter.index();
            let columns = target.indexed_iter().filter(|(_, label)| usize::from(**label) == left);
            assert!(columns.map(|((_, _, x), _)| x).all(|x| x < 25));
        }
    }

    #[test]
    fn a_stripped_head_is_black_outside_and_so_is_its_truth() {
        let recipe = SynthesisRecipe { stripped: 1.0, stripped_to_brain: 1.0, ..still() };
        let example = synthesise(&map(), View::Centred([48; 3]), &recipe, [0; 3]);
        assert_eq!(voxels(&example, Structure::Head) + voxels(&example, Structure::Csf), 0);
        let corner = example.image[[0, 0, 0]];
        assert_eq!(corner, 0.0);
        assert!(voxels(&example, Structure::LeftCerebralCortex) > 1000);
    }
}
