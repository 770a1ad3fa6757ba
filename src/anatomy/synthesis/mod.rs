//! Images made of label maps, with any contrast, resolution, bias, noise and shape, and what a segmenter should say of
//! them (Billot et al. 2023, "SynthSeg: Segmentation of brain MRI scans of any contrast and resolution without
//! retraining").

mod contrast;
mod fields;
mod labels;
mod scans;
mod space;

pub use labels::{LabelMap, Tissue};
pub use scans::LabelledScan;

use ndarray::{Array3, s};
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::Structure;
use super::ageing::{Ageing, Walls};
use super::segment::{APART, Classes, rescale};
use crate::config::{SynthesisRecipe, Weighting};
use crate::random::{Purpose, normal_field, stream};
use fields::{along, coarser, control_points, field, linear};

/// Phases of an example's streams: what is drawn once, and the fields.
const ONCE: u64 = 0;
const WITHIN_TISSUE: u64 = 1;
const NOISE: u64 = 2;
const WITHIN_TISSUE_OF_SECOND: u64 = 3;
const BRIGHTNESS: u64 = 4;

/// Distance of the control points of the bias field, in millimetres.
const BIAS_SPACING_MM: f64 = 56.0;

/// Every how many voxels of a head are looked at for its brightness.
const SEEN: usize = 499;
/// What the blur of a voxel leaves of a deviation from voxel to voxel: √(Σ w²)³ over its weights along an axis.
const BLURRED: f32 = 0.71;

/// An image and its truth.
#[derive(Clone, Debug)]
pub struct Example {
    /// Intensities as a segmenter takes them (see [`rescale`]), `[D, H, W]` at 1 mm.
    pub image: Array3<f32>,
    /// Index of each voxel's [`Structure`].
    pub target: Array3<u8>,
    /// What the target does not tell apart.
    pub classes: Classes,
}

/// What part of a head an example shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum View {
    /// A grid of this size, shifted at random about the brain.
    Crop([usize; 3]),
    /// A grid of this size about the brain's centre.
    Centred([usize; 3]),
}

/// The example number `sample` of step `step` in a run of this seed.
///
/// In the order of an acquisition: the head is turned, scaled, bent and perhaps mirrored; every tissue gets an intensity
/// and a spread; the bias field acts; voxels become coarser; noise is added; and the scan is brought back to 1 mm.
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

/// An image `[D, H, W]` of 1 mm as a scanner with coarser voxels, noise and a field of view that may be cut would have it, back
/// at 1 mm and on the scale of [`rescale`]. What was seen in voxels of `blurred_mm` already is not blurred to them again.
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

/// Two images of one head at 1 mm, `[D, H, W]` each from 0 to 1: T1-like, with bias and noise by the recipe, and of another
/// weighting with neither. Simulated: for training and testing of translation, where real pairs are missing.
pub fn synthesise_pair(
    map: &LabelMap,
    view: View,
    recipe: &SynthesisRecipe,
    weighting: Weighting,
    address: [u64; 3],
) -> [Array3<f32>; 2] {
    let mut head = Drawn::new(map, view, recipe, address);
    let first = head.t1_like(recipe);
    let contrasts = contrast::weighted(weighting);
    let mut second = head.painted(&contrasts, WITHIN_TISSUE_OF_SECOND);
    head.scale(&mut second, &contrasts);
    [first, second].map(|image| head.shaped(image))
}

/// Voxels drawn around what is shown of a head that ages: walls that far away move it.
const AROUND: usize = 8;

/// One head at two visits, at 1 mm, `[D, H, W]`: T1-like images on one scale from 0 to 1. Simulated: the second is the first
/// after an [`Ageing`] of the head as a whole, so that bias, noise and all else that is the person's stay.
pub fn synthesise_visits(
    map: &LabelMap,
    view: View,
    recipe: &SynthesisRecipe,
    ageing: Ageing,
    address: [u64; 3],
) -> [Array3<f32>; 2] {
    let wider = |shape: [usize; 3]| shape.map(|length| length + 2 * AROUND);
    let wide = match view {
        View::Crop(shape) => View::Crop(wider(shape)),
        View::Centred(shape) => View::Centred(wider(shape)),
    };
    let mut head = Drawn::new(map, wide, recipe, address);
    let image = head.t1_like(recipe);
    let image = head.shaped(image);
    let structure = |label: &u8| map.tissues[usize::from(*label)].structure.index() as u8;
    let structures = head.labels.iter().map(structure).collect();
    let structures = Array3::from_shape_vec(head.space.shape, structures).expect("the grid's voxels");
    let walls = Walls::of(structures.view(), [1.0; 3]);
    let later = walls.moved(image.view(), map.response().steps(ageing));
    let [d, h, w] = head.space.shape.map(|length| AROUND..length - AROUND);
    let within = s![d, h, w];
    [image, later].map(|image| image.slice(&within).to_owned())
}

/// A head that is drawn, of which images are made at 1 mm.
struct Drawn<'a> {
    map: &'a LabelMap,
    space: space::Space,
    shown: contrast::Shown,
    labels: Vec<u8>,
    /// What each tissue of the map is shown as.
    structures: Vec<Structure>,
    once: ChaCha8Rng,
    address: [u64; 3],
}

impl<'a> Drawn<'a> {
    fn new(map: &'a LabelMap, view: View, recipe: &SynthesisRecipe, address: [u64; 3]) -> Self {
        let mut once = stream(address[0], address[1], ONCE, address[2], Purpose::Synthesis);
        let space = space::Space::draw(map.centre, 1.0, view, recipe, &mut once);
        let shown = contrast::Shown::draw(recipe, &mut once);
        let labels = space.nearest(&map.labels, map.outside());
        let structures = map.tissues.iter().map(|tissue| shown.target(tissue.structure)).collect();
        Self { map, space, shown, labels, structures, once, address }
    }

    fn rng(&self, phase: u64) -> ChaCha8Rng {
        let [seed, step, sample] = self.address;
        stream(seed, step, phase, sample, Purpose::Synthesis)
    }

    /// Intensities by these contrasts, as sharp as voxels of 1 mm are.
    fn painted(&self, contrasts: &[[f32; 2]], phase: u64) -> Vec<f32> {
        let image =
            painted(self.map, &self.labels, &self.structures, self.shown, contrasts, &self.rng(phase));
        let shape = self.space.shape;
        (0..3).fold(image, |image, axis| along(&image, shape, axis, &coarser(shape[axis], 1.0)).0)
    }

    /// A T1-like image with bias and noise, from 0 to 1.
    fn t1_like(&mut self, recipe: &SynthesisRecipe) -> Vec<f32> {
        let contrasts = contrast::draw(&SynthesisRecipe { t1_like: 1.0, ..recipe.clone() }, &mut self.once);
        let mut image = self.painted(&contrasts, WITHIN_TISSUE);
        let shape = self.space.shape;
        let fields = self.rng(NOISE);
        shade(&mut image, shape, recipe.bias, &mut self.once);
        add_noise(&mut image, recipe.noise, self.shown.is_stripped(), &mut self.once, &fields);
        self.scale(&mut image, &contrasts);
        image
    }

    /// Brings the brightest of the whole head to 1, whatever part of it is drawn, as scans are brought to one scale by their
    /// foreground; a thousandth of it is brighter still and becomes 1.
    fn scale(&self, image: &mut [f32], contrasts: &[[f32; 2]]) {
        let mut rng = self.rng(BRIGHTNESS);
        let labels = self.map.labels.iter().step_by(SEEN).map(|&label| usize::from(label));
        let shown = labels.filter(|&label| self.structures[label] != Structure::Background);
        let mut seen: Vec<f32> = shown
            .map(|label| {
                let [mean, deviation] = contrasts[self.map.tissues[label].contrast];
                mean + deviation * BLURRED * rng.sample::<f32, _>(StandardNormal)
            })
            .collect();
        let place = (0.999 * seen.len().saturating_sub(1) as f64).round() as usize;
        let brightest =
            if seen.is_empty() { 1.0 } else { *seen.select_nth_unstable_by(place, f32::total_cmp).1 };
        let scale = 1.0 / brightest.max(1.0);
        image.iter_mut().for_each(|x| *x = (*x * scale).min(1.0));
    }

    fn shaped(&self, image: Vec<f32>) -> Array3<f32> {
        Array3::from_shape_vec(self.space.shape, image).expect("the grid's voxels")
    }
}

/// Multiplies an image `[D, H, W]` by the exponential of a smooth field, whose control points deviate by at most `most`.
fn shade(image: &mut [f32], shape: [usize; 3], most: f64, once: &mut ChaCha8Rng) {
    let sigma = most * once.random::<f64>();
    let points = shape.map(|length| control_points(length, BIAS_SPACING_MM));
    let bias = field(gaussian(once, points.iter().product(), sigma), points, shape);
    image.iter_mut().zip(bias).for_each(|(x, bias)| *x *= bias.exp());
}

/// Adds the field of `rng` as noise that deviates by at most `most` of the greatest value, and takes magnitudes. Where a mask
/// has set voxels to zero, they stay so.
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
mod tests {
    use nalgebra::Matrix4;
    use ndarray::Array4;

    use super::*;
    use crate::volume::Volume;

    /// Skull, fluid, cortex of either side and white matter, within each other; the left half lies at low x.
    fn map() -> LabelMap {
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
        LabelMap::new("phantom", Volume::new(data, Matrix4::identity())).unwrap()
    }

    /// Fluid is dark in the first image and bright in the second, and white matter and cortex change places.
    #[test]
    fn a_pair_shows_one_head_in_two_contrasts() {
        let map = map();
        let recipe = SynthesisRecipe { noise: 0.0, bias: 0.0, stripped: 0.0, ..still() };
        let [t1, t2] = synthesise_pair(&map, View::Centred([40, 44, 40]), &recipe, Weighting::T2, [3, 0, 0]);
        // Middles of fluid, cortex and white matter along the first axis.
        let at = |image: &Array3<f32>, radius: usize| image[(20 + radius, 22, 20)];
        let [fluid, cortex, white] = [15, 12, 4];
        assert!(at(&t1, white) > at(&t1, cortex) && at(&t1, cortex) > at(&t1, fluid));
        assert!(at(&t2, fluid) > at(&t2, cortex) && at(&t2, cortex) > at(&t2, white));
        assert_eq!(t1.dim(), t2.dim());
    }

    /// A part of a head is as bright as within the whole, whatever it shows.
    #[test]
    fn a_part_has_the_scale_of_its_head() {
        let map = map();
        for stripped in [0.0, 1.0] {
            let recipe = SynthesisRecipe { stripped, stripped_to_brain: 1.0, ..still() };
            let pair = |shape: [usize; 3]| {
                synthesise_pair(&map, View::Centred(shape), &recipe, Weighting::T2, [3, 0, 0])
            };
            // Nothing but white matter, and the same place of the whole head.
            let ([t1, t2], [_, whole]) = (pair([8; 3]), pair([40, 44, 40]));
            let within = whole.slice(s![16..24, 18..26, 16..24]);
            let ratio = t2.mean().unwrap() / within.mean().unwrap();
            assert!((ratio - 1.0).abs() < 0.02, "{ratio}");
            // Contrasts of T1 are drawn anew for each grid, but one tissue never spans all intensities.
            let [least, most] = [f32::min, f32::max].map(|pick| t1.iter().copied().reduce(pick).unwrap());
            assert!(least > 0.5 && most - least < 0.4, "{least} to {most}");
            // All but a thousandth of the head is darker.
            let brightest = whole.iter().filter(|x| **x >= 1.0).count();
            assert!(brightest * 100 < whole.len() && whole.iter().any(|x| *x > 0.8));
        }
    }

    /// Where the cortex thins, less of the brain is bright; the middle of the white matter stays to the bit.
    #[test]
    fn a_second_visit_differs_where_the_cortex_is() {
        let map = map();
        let recipe = SynthesisRecipe { stripped: 1.0, stripped_to_brain: 1.0, ..still() };
        let visits = |cortex: f64| {
            let ageing = Ageing { ventricles: 1.0, cortex };
            synthesise_visits(&map, View::Centred([40, 44, 40]), &recipe, ageing, [3, 0, 0])
        };
        let [now, same] = visits(1.0);
        assert_eq!(now, same);
        let [again, later] = visits(0.9);
        assert_eq!(now, again);
        let ratio = later.sum() / now.sum();
        assert!((0.9..0.99).contains(&ratio), "{ratio}");
        let middle = s![16..24, 18..26, 16..24];
        assert_eq!(now.slice(middle), later.slice(middle));
    }

    /// Nothing moves, nothing is coarse.
    fn still() -> SynthesisRecipe {
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
