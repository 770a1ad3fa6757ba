//! Two images of one head, for restoration: in two contrasts, or at two visits.

use ndarray::{Array3, s};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::{LabelMap, NOISE, ONCE, View, WITHIN_TISSUE, add_noise, contrast, painted, shade, space};
use super::{SynthesisRecipe, Weighting};
use crate::anatomy::Structure;
use crate::random::{Purpose, stream};
use crate::simulate::ageing::{Ageing, Walls};
use crate::stats::nearest_rank;
use crate::warp::fields::{along, coarser};

/// Phases of the streams of an example that only pairs have.
const WITHIN_TISSUE_OF_SECOND: u64 = 3;
const BRIGHTNESS: u64 = 4;

/// Every how many voxels of a head are looked at for its brightness.
const SEEN: usize = 499;
/// What the blur of a voxel leaves of a deviation from voxel to voxel: √(Σ w²)³ over its weights along an axis.
const BLURRED: f32 = 0.71;

/// Two simulated images of one head at 1 mm, `[D, H, W]` each from 0 to 1: a T1-like one with bias and noise by the
/// recipe, and one of another weighting without. `address` is (seed, step, sample).
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

/// Two simulated visits of one head at 1 mm, `[D, H, W]`: T1-like images on one scale from 0 to 1. The second is the
/// first after an [`Ageing`] of the whole head, with the same bias and noise. `address` is (seed, step, sample).
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

    /// Brings the brightest of the whole head to 1, whatever part of it is drawn, as scans are brought to one scale by
    /// their foreground; a thousandth of it is brighter still and becomes 1.
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
        let brightest = nearest_rank(&mut seen, 0.999).unwrap_or(1.0);
        let scale = 1.0 / brightest.max(1.0);
        image.iter_mut().for_each(|x| *x = (*x * scale).min(1.0));
    }

    fn shaped(&self, image: Vec<f32>) -> Array3<f32> {
        Array3::from_shape_vec(self.space.shape, image).expect("the grid's voxels")
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{map, still};
    use super::*;

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
}
