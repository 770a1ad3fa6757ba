//! Expectation–maximisation: from the network's probabilities to the fractions of groups in each voxel.

use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;

use super::expectation::{Expectation, FLUID_PARTS};
use super::field::{CELL, Cells};
use super::groups::{GROUP_OF_PART, GROUPS, PARTS, group_of_structure};
use super::model::{Expected, Model};
use super::noise::{median, quantile};
use super::sites::{Layer, NONE, Prior};
use super::statistics::{Sums, cell};
use crate::anatomy::Group;
use crate::anatomy::overlap::distance_transform_mm;

/// Rounds. The fit drifts if it runs on: boundaries move to where intensities alone would have them.
const ITERATIONS: usize = 4;
/// How much the six neighbours of a voxel say: weight of each beyond a plane wall's three.
const NEIGHBOURS: f32 = 0.3;
/// Density of intensities that no group explains, on the scale of the brain's standard deviation.
const OUTLIER: f64 = 1e-4;
/// Sure voxels of fluid from which on only those farther from white matter count.
const FLUID_LEAST: f32 = 100.0;
/// Voxels that say how wide fluid is on its side away from tissue.
const SIDE_LEAST: f64 = 20.0;
/// Sure voxels of white matter that say how bright tissue is.
const WHITE_LEAST: f32 = 30.0;
/// Millimetres from its borders beyond which white matter is deep, and how many such voxels say how wide its
/// intensities are.
const DEEP_MM: f32 = 3.0;
const DEEP_LEAST: f64 = 1000.0;

/// How the parts look at the start.
struct Start {
    /// Intensities that divide the parts of a group, by group.
    edges: Vec<Vec<f32>>,
    /// Of fluid: the side of its median that lies away from white matter, and the median.
    far: [Option<(f32, f32)>; GROUPS],
}

impl Start {
    fn of(image: &[f32], prior: &Prior, inside: f32) -> Self {
        let mut values: Vec<Vec<f32>> = vec![Vec::new(); GROUPS];
        let mut weights = [0.0f32; GROUPS];
        for (at, &group) in prior.start.iter().enumerate().filter(|(_, group)| **group != NONE) {
            let group = usize::from(group);
            values[group].push(image[at]);
            weights[group] += 1.0;
        }
        let white = Group::WhiteMatter.index();
        let tissue = if weights[white] > WHITE_LEAST {
            values[white].iter().map(|&x| f64::from(x)).sum::<f64>() as f32 / values[white].len() as f32
        } else {
            inside
        };
        let mut far = [None; GROUPS];
        let edges = Group::ALL.map(|group| {
            let (index, parts) = (group.index(), group.parts());
            if group.is_fluid() && weights[index] > FLUID_LEAST {
                far[index] = median(&mut values[index]).map(|median| ((median - tissue).signum(), median));
            }
            (1..parts).filter_map(|n| quantile(&mut values[index], n as f64 / parts as f64)).collect()
        });
        Self { edges: edges.into(), far }
    }

    /// The part of a group that an intensity starts as; none of fluid on the side of tissue.
    fn part(&self, group: usize, value: f32) -> Option<usize> {
        if self.far[group].is_some_and(|(side, median)| side * value < side * median) {
            return None;
        }
        Some(Group::ALL[group].first() + self.edges[group].iter().filter(|edge| **edge <= value).count())
    }
}

/// A voxel that surely holds nothing but fluid: its place, which of [`FLUID_PARTS`], and its weight.
type Sure = (u32, u8, f32);

/// Fits the intensities of a scan to `prior`, whose layers then have the fractions of each uncertain voxel.
///
/// `inside` are the measured voxels of brain and fluid; in `coarse` scans the standard deviation of tissues is bounded
/// ([`Model::bound_tissues`]).
pub fn fit(
    image: ArrayView3<f32>,
    inside: &Array3<bool>,
    prior: &mut Prior,
    noise: f64,
    coarse: bool,
) -> Model {
    let cells = Cells::over(prior.shape);
    let (mean, sd) = self::inside(&image, inside);
    let image = image.as_slice().expect("an image in the order of memory");
    let start = Start::of(image, prior, mean as f32);
    let mut model = Model::new(cells, mean, noise.max(1e-6 * sd).max(f64::from(f32::MIN_POSITIVE)));
    let outlier = OUTLIER / sd.max(1e-6);
    let reference = mean as f32;

    let first: Vec<(Sums, Sums, Vec<Sure>)> = (0..cells.shape[0])
        .into_par_iter()
        .map(|layer| gather(image, prior, &start, cells, layer, reference))
        .collect();
    let (mut base, mut sums, mut sure) = (Vec::new(), Vec::new(), Vec::new());
    for (kept, all, fluid) in first {
        base.push(kept);
        sums.push(all);
        sure.push(fluid);
    }
    let expected = expectations(image, prior, reference);
    let deep = if coarse { deep_white_sd(image, prior) } else { None };
    let mut layers = std::mem::take(&mut prior.layers);
    for iteration in 0..ITERATIONS {
        model.maximise(&sums, &expected, iteration);
        if iteration > 0 {
            narrow_fluid(&mut model, image, prior.shape, &layers, &sure);
        }
        model.bound_plexus();
        if let Some(deep) = deep {
            model.bound_tissues(deep);
        }
        let expectation = Expectation::new(&model.sd, model.noise, outlier);
        let held = (iteration > 0).then_some(&prior.held[..]);
        layers.par_iter_mut().zip(sums.par_iter_mut()).zip(&base).for_each(|((layer, sums), base)| {
            sums.copy_from(base);
            expect(layer, sums, image, prior.shape, &model, &expectation, held);
        });
        for layer in &layers {
            for (site, fraction) in layer.sites.iter().zip(&layer.fraction) {
                let held = &mut prior.held[site.at as usize * GROUPS..][..GROUPS];
                held.iter_mut().zip(fraction).for_each(|(held, f)| *held = (255.0 * f + 0.5) as u8);
            }
        }
    }
    prior.layers = layers;
    model
}

/// Standard deviation of the network's white matter far from its borders; none where there is too little.
fn deep_white_sd(image: &[f32], prior: &Prior) -> Option<f64> {
    let groups = group_of_structure();
    let other = prior.labels_view().mapv(|label| groups[usize::from(label)] != Group::WhiteMatter.index());
    let deep = distance_transform_mm(other.view(), [1.0; 3]).mapv(|far| far > DEEP_MM);
    let voxels = deep.iter().filter(|&&deep| deep).count() as f64;
    let image = ArrayView3::from_shape(prior.shape, image).expect("an image of the prior's grid");
    (voxels >= DEEP_LEAST).then(|| inside(&image, &deep).1)
}

/// Mean and standard deviation of the intensities inside; zero if nothing is inside.
pub fn inside(image: &ArrayView3<f32>, inside: &Array3<bool>) -> (f64, f64) {
    let values = || image.iter().zip(inside).filter(|(_, inside)| **inside).map(|(&x, _)| f64::from(x));
    let n = (values().count() as f64).max(1.0);
    let mean = values().sum::<f64>() / n;
    (mean, (values().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt())
}

/// Sums of what the voxels of a layer start as: of those that stay so, and of all.
fn gather(
    image: &[f32],
    prior: &Prior,
    start: &Start,
    cells: Cells,
    layer: usize,
    reference: f32,
) -> (Sums, Sums, Vec<Sure>) {
    let [d, h, w] = prior.shape;
    let (mut kept, mut sure) = (Sums::new(cells), Vec::new());
    let mut doubtful = Vec::new();
    let voxels = layer * CELL * h * w..((layer + 1) * CELL).min(d) * h * w;
    for (at, &group) in voxels.clone().zip(&prior.start[voxels]) {
        if group == NONE {
            continue;
        }
        let Some(part) = start.part(usize::from(group), image[at]) else { continue };
        let weight = f32::from(prior.held[at * GROUPS + usize::from(group)]) / 255.0;
        if prior.doubtful[at] {
            doubtful.push((part, at, weight));
            continue;
        }
        kept.add(part, cell(cells, at / w % h, at % w), weight, image[at] - reference);
        if let Some(fluid) = FLUID_PARTS.iter().position(|&fluid| fluid == part) {
            sure.push((at as u32, fluid as u8, weight));
        }
    }
    let mut all = kept.clone();
    for (part, at, weight) in doubtful {
        all.add(part, cell(cells, at / w % h, at % w), weight, image[at] - reference);
    }
    (kept, all, sure)
}

/// What the prior alone says of each group's intensities.
fn expectations(image: &[f32], prior: &Prior, reference: f32) -> Vec<Expected> {
    let mut expected = vec![[0.0; 3]; GROUPS];
    let mut add = |group: usize, p: f64, value: f64| {
        let sums = &mut expected[group];
        *sums = [sums[0] + p, sums[1] + p * value, sums[2] + p * value * value];
    };
    for site in prior.layers.iter().flat_map(|layer| &layer.sites) {
        let value = f64::from(image[site.at as usize] - reference);
        (0..GROUPS).for_each(|g| add(g, f64::from(site.prior[g]), value));
    }
    for (at, &group) in prior.start.iter().enumerate() {
        if group != NONE && !prior.doubtful[at] {
            add(usize::from(group), 1.0, f64::from(image[at] - reference));
        }
    }
    expected
}

/// Where a local mean is read, row after row.
struct Rows<'a> {
    model: &'a Model,
    columns: Vec<super::field::Between>,
    /// Local means of parts, and shares of those that have some, along the row.
    means: Vec<f32>,
    shares: Vec<f32>,
    at: usize,
}

impl<'a> Rows<'a> {
    fn new(model: &'a Model, width: usize) -> Self {
        let row = model.cells.shape[2];
        let (means, shares) = (vec![0.0; PARTS * row], vec![1.0; PARTS * row]);
        Self { model, columns: model.cells.columns(width), means, shares, at: usize::MAX }
    }

    /// Makes row `y` of plane `z` ready.
    fn go(&mut self, row: usize, height: usize) {
        if self.at == row {
            return;
        }
        self.at = row;
        let (cells, length) = (self.model.cells, self.model.cells.shape[2]);
        for part in 0..PARTS {
            let place = [row / height, row % height];
            let span = part * length..(part + 1) * length;
            cells.row(&self.model.local[part], place, &mut self.means[span.clone()]);
            if !self.model.share[part].is_empty() {
                cells.row(&self.model.share[part], place, &mut self.shares[span]);
            }
        }
    }

    fn mean(&self, part: usize, x: usize) -> f32 {
        let length = self.model.cells.shape[2];
        self.columns[x].read(&self.means[part * length..(part + 1) * length])
    }

    fn share(&self, part: usize, x: usize) -> f32 {
        if self.model.share[part].is_empty() {
            return 1.0;
        }
        let length = self.model.cells.shape[2];
        self.columns[x].read(&self.shares[part * length..(part + 1) * length])
    }
}

/// What the voxels in doubt of a layer hold; adds what is pure to the sums. `held` is what their neighbours held
/// before.
fn expect(
    layer: &mut Layer,
    sums: &mut Sums,
    image: &[f32],
    shape: [usize; 3],
    model: &Model,
    expectation: &Expectation,
    held: Option<&[u8]>,
) {
    let [_, h, w] = shape;
    let mut rows = Rows::new(model, w);
    let reference = model.reference as f32;
    for (n, site) in layer.sites.iter().enumerate() {
        let at = site.at as usize;
        let (row, x) = (at / w, at % w);
        rows.go(row, h);
        let mut prior = site.prior;
        if let Some(held) = held {
            let around = around(held, at, shape);
            for g in (0..GROUPS).filter(|&g| site.prior[g] > 0.0) {
                prior[g] *= (NEIGHBOURS * (f32::from(around[g]) / 255.0 - 3.0)).exp();
            }
        }
        let (mut mean, mut share) = ([0.0; PARTS], [0.0; PARTS]);
        for part in (0..PARTS).filter(|&part| prior[GROUP_OF_PART[part]] > 0.0) {
            (mean[part], share[part]) = (rows.mean(part, x), rows.share(part, x));
        }
        let value = image[at] - reference;
        let found = expectation.of(value, &prior, &mean, &share);
        layer.fraction[n] = found.fraction;
        layer.pure[n] = FLUID_PARTS.map(|part| found.pure[part]);
        let cell = cell(model.cells, row % h, x);
        for part in (0..PARTS).filter(|&part| found.pure[part] > 0.0) {
            sums.add(part, cell, found.pure[part], value);
        }
    }
}

/// What the six neighbours of a voxel hold of each group, in 255ths of a voxel.
fn around(held: &[u8], at: usize, [d, h, w]: [usize; 3]) -> [u16; GROUPS] {
    let [z, y, x] = [at / (h * w), at / w % h, at % w];
    let mut sums = [0u16; GROUPS];
    let mut add = |near: bool, other: usize| {
        if near {
            let held = &held[other * GROUPS..][..GROUPS];
            sums.iter_mut().zip(held).for_each(|(sum, &held)| *sum += u16::from(held));
        }
    };
    add(z > 0, at.wrapping_sub(h * w));
    add(z + 1 < d, at + h * w);
    add(y > 0, at.wrapping_sub(w));
    add(y + 1 < h, at + w);
    add(x > 0, at.wrapping_sub(1));
    add(x + 1 < w, at + 1);
    sums
}

/// Takes the spread of fluid from its side away from white matter, where no voxel holds tissue too.
fn narrow_fluid(model: &mut Model, image: &[f32], shape: [usize; 3], layers: &[Layer], sure: &[Vec<Sure>]) {
    let [_, h, w] = shape;
    let white = model.mean[Group::WhiteMatter.first()];
    let sides = FLUID_PARTS.map(|part| (model.mean[part] - white).signum() as f32);
    let parts: Vec<[[f64; 2]; 2]> = layers
        .par_iter()
        .zip(sure)
        .map(|(layer, sure)| {
            let mut sums = [[0.0; 2]; 2];
            let mut rows = Rows::new(model, w);
            let mut add = |at: u32, fluid: usize, weight: f32| {
                let at = at as usize;
                rows.go(at / w, h);
                let far = image[at] - model.reference as f32 - rows.mean(FLUID_PARTS[fluid], at % w);
                if far * sides[fluid] > 0.0 {
                    sums[fluid][0] += f64::from(weight);
                    sums[fluid][1] += f64::from(weight * far * far);
                }
            };
            for (site, pure) in layer.sites.iter().zip(&layer.pure) {
                (0..2).filter(|&fluid| pure[fluid] > 0.0).for_each(|fluid| add(site.at, fluid, pure[fluid]));
            }
            sure.iter().for_each(|&(at, fluid, weight)| add(at, usize::from(fluid), weight));
            sums
        })
        .collect();
    for (fluid, part) in FLUID_PARTS.into_iter().enumerate() {
        let [weight, square] = [0, 1].map(|n| parts.iter().map(|sums| sums[fluid][n]).sum::<f64>());
        if weight > SIDE_LEAST {
            let sd = (square / weight).sqrt();
            model.sd[part] = sd.min(model.sd[part]).max(model.noise);
        }
    }
    debug_assert!(FLUID_PARTS.iter().all(|&part| Group::ALL[GROUP_OF_PART[part]].is_fluid()));
}
