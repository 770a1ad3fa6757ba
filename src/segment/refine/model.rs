//! The maximisation: the local mean and standard deviation of each part's intensities.

use rayon::prelude::*;

use super::blur::{blur, taps};
use super::field::{CELL, Cells};
use super::groups::{GROUP_OF_PART, PARTS};
use super::statistics::{Sums, of_part};
use crate::anatomy::Group;

/// Standard deviation of the Gaussian of local means, in voxels.
const LOCAL: f64 = 5.0;
/// Voxels that pull a local mean to the global one; for fluid, whose surroundings say little of it, ten times as many.
const PULL: f32 = 30.0;
const PULL_OF_FLUID: f32 = 300.0;
/// Voxels from which on a part has a mean of its own.
const LEAST: f64 = 20.0;
/// Greatest spread of choroid plexus beside that of the wider of ventricle and white matter.
const PLEXUS_SPREAD: f64 = 1.5;
/// Greatest spread of a tissue beside that of deep white matter.
const TISSUE_SPREAD: f64 = 1.3;
/// Voxels that each part of a group is given everywhere.
const SHARED: f32 = 5.0;
/// From this iteration on the mean of fluid moves only away from that of white matter.
const ONE_WAY: usize = 2;

/// The model of a scan's intensities.
#[derive(Clone, Debug)]
pub struct Model {
    pub cells: Cells,
    /// The reference that is subtracted from intensities.
    pub reference: f64,
    /// Standard deviation of noise.
    pub noise: f64,
    /// Global mean of each part.
    pub mean: [f64; PARTS],
    /// Standard deviation of each part about its local mean.
    pub sd: [f64; PARTS],
    /// Local mean of each part less the reference, in cells.
    pub local: Vec<Vec<f32>>,
    /// Local share of each part in its group, in cells; empty for the only part of a group.
    pub share: Vec<Vec<f32>>,
}

/// The network's expectation for a group without certain voxels: sums over voxels of the prior, and of the intensities
/// less the reference and their squares, weighted with the prior.
pub type Expected = [f64; 3];

impl Model {
    /// A model without means.
    pub fn new(cells: Cells, reference: f64, noise: f64) -> Self {
        Self {
            cells,
            reference,
            noise,
            mean: [0.0; PARTS],
            sd: [noise; PARTS],
            local: vec![vec![0.0; cells.count()]; PARTS],
            share: GROUP_OF_PART
                .iter()
                .map(|&g| if Group::ALL[g].parts() > 1 { vec![0.0; cells.count()] } else { Vec::new() })
                .collect(),
        }
    }

    /// Sets means and standard deviations from sums over voxels; `expected` is used for groups with too few voxels.
    pub fn maximise(&mut self, layers: &[Sums], expected: &[Expected], iteration: usize) {
        let white = Group::WhiteMatter.first();
        let old = self.mean;
        let totals: Vec<[f64; 3]> = (0..PARTS)
            .map(|part| {
                let sum = |values: Vec<f32>| values.iter().map(|&x| f64::from(x)).sum::<f64>();
                let weight = sum(of_part(layers, part, |sums| &sums.weight));
                let value = sum(of_part(layers, part, |sums| &sums.value));
                [weight, value, layers.iter().map(|sums| sums.square[part]).sum()]
            })
            .collect();
        for part in 0..PARTS {
            let [weight, value, _] =
                if totals[part][0] < LEAST { expected[GROUP_OF_PART[part]] } else { totals[part] };
            self.mean[part] = self.reference + value / weight.max(1e-6);
        }
        for part in 0..PARTS {
            let fluid = Group::ALL[GROUP_OF_PART[part]].is_fluid();
            if fluid && totals[part][0] >= LEAST && iteration >= ONE_WAY {
                // The mean of white matter before it is renewed: a group's place in the table changes nothing.
                let side = (old[part] - old[white]).signum();
                self.mean[part] = side * (side * self.mean[part]).max(side * old[part]);
            }
        }
        let (cells, mean, reference, noise) = (self.cells, self.mean, self.reference, self.noise);
        let wide = taps(LOCAL / CELL as f64);
        let around = (2.0 * std::f64::consts::PI).powf(1.5) * (LOCAL / CELL as f64).powi(3);
        let spreads: Vec<f64> = self
            .local
            .par_iter_mut()
            .enumerate()
            .map(|(part, local)| {
                let group = GROUP_OF_PART[part];
                let offset = mean[part] - reference;
                let [total, _, square] = totals[part];
                if total < LEAST {
                    local.fill(offset as f32);
                    let [weight, value, square] = expected[group];
                    let variance =
                        (square - 2.0 * offset * value + offset * offset * weight) / weight.max(1e-6);
                    return variance.max(noise * noise).sqrt();
                }
                let weight = of_part(layers, part, |sums| &sums.weight);
                let values = of_part(layers, part, |sums| &sums.value);
                let pull = if Group::ALL[group].is_fluid() { PULL_OF_FLUID } else { PULL };
                let (mut near, mut deviation) = (weight.clone(), values.clone());
                deviation.iter_mut().zip(&weight).for_each(|(d, n)| *d -= offset as f32 * n);
                blur(&mut near, cells.shape, &wide);
                blur(&mut deviation, cells.shape, &wide);
                let around = around as f32;
                let mut variance = square;
                for (cell, local) in local.iter_mut().enumerate() {
                    *local = offset as f32 + around * deviation[cell] / (around * near[cell] + pull);
                    let m = f64::from(*local);
                    variance += m * (m * f64::from(weight[cell]) - 2.0 * f64::from(values[cell]));
                }
                (variance / total).max(noise * noise).sqrt()
            })
            .collect();
        self.sd.copy_from_slice(&spreads);
        self.divide(layers);
    }

    /// Bounds the standard deviation of choroid plexus, which has few certain voxels.
    pub fn bound_plexus(&mut self) {
        let [plexus, ventricles, white] =
            [Group::ChoroidPlexus, Group::Ventricles, Group::WhiteMatter].map(Group::first);
        self.sd[plexus] = self.sd[plexus].min(PLEXUS_SPREAD * self.sd[ventricles].max(self.sd[white]));
    }

    /// Bounds the standard deviation of tissues by `deep`, that of white matter far from its borders: otherwise, in a
    /// coarse scan, the distribution of a cortex as thin as a voxel would include voxels of two tissues.
    pub fn bound_tissues(&mut self, deep: f64) {
        let most = (TISSUE_SPREAD * deep).max(self.noise);
        for (sd, group) in self.sd.iter_mut().zip(GROUP_OF_PART) {
            if Group::ALL[group].is_tissue() {
                *sd = sd.min(most);
            }
        }
    }

    /// Shares of the parts of groups that have several.
    fn divide(&mut self, layers: &[Sums]) {
        let sigma = LOCAL / CELL as f64 / 1.5;
        let taps = taps(sigma);
        let around = ((2.0 * std::f64::consts::PI).powf(1.5) * sigma.powi(3)) as f32;
        let cells = self.cells;
        self.share.par_iter_mut().enumerate().filter(|(_, share)| !share.is_empty()).for_each(
            |(part, share)| {
                *share = of_part(layers, part, |sums| &sums.weight);
                blur(share, cells.shape, &taps);
                share.iter_mut().for_each(|share| *share = around * *share + SHARED);
            },
        );
        for group in Group::ALL.into_iter().filter(|group| group.parts() > 1) {
            for cell in 0..cells.count() {
                let sum: f32 = group.range().map(|part| self.share[part][cell]).sum();
                group.range().for_each(|part| self.share[part][cell] /= sum);
            }
        }
    }
}
