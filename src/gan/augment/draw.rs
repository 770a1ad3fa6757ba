//! The drawn operations for the samples of a batch, and their application.

use burn::tensor::{Tensor, TensorData};
use rand_chacha::ChaCha8Rng;

use super::sample::Sample;
use super::{AIR, bands};
use crate::ops::{Shaped, VolumeOps, product, warp};
use crate::random::normal_field;
use crate::warp::{WarpPass, passes};

/// The drawn operations for the samples of a batch: plain data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draw {
    /// Samples it is for; any number if nothing is done.
    batch: Option<usize>,
    pub(super) passes: Vec<WarpPass>,
    /// Gain, weight of the volume's mean, and offset of each sample; empty if none has any.
    intensities: Vec<[f64; 3]>,
    /// An axis (2, 3 or 4) and the matrices `[N, L, L]` along it.
    filters: Vec<(usize, Vec<f64>)>,
    /// Factor of each sample's constant part under the filters; empty without them.
    constant: Vec<f64>,
    /// The stream of each sample's noise and its standard deviation; empty if none has any.
    noise: Vec<Option<(ChaCha8Rng, f64)>>,
    /// 1 where a voxel stays and 0 where it becomes air, `[N, D, H, W]`; empty if all stay.
    mask: Vec<f32>,
}

impl Draw {
    pub(super) fn of(samples: Vec<Sample>, grid: [usize; 3]) -> Self {
        let bent = |a: usize| WarpPass::bent(a + 2, samples.iter().map(|s| s.bends[a].clone()).collect());
        let bent = [2, 1, 0].map(bent).into_iter().filter(|pass| !pass.is_identity(grid[pass.axis - 2]));
        let stage = |i: usize| passes(&samples.iter().map(|s| s.stages[i]).collect::<Vec<_>>(), grid);
        let mut draw = Self { batch: Some(samples.len()), ..Self::default() };
        draw.passes = bent.chain(stage(0)).chain(stage(1)).collect();

        let intensities: Vec<_> = samples.iter().map(|s| [s.gain, s.mean, s.offset]).collect();
        if intensities.iter().any(|intensity| *intensity != [1.0, 0.0, 0.0]) {
            draw.intensities = intensities;
        }
        let thick: Vec<usize> = (0..3).filter(|&a| grid[a] > 1).collect();
        if samples.iter().any(|s| s.bands != [1.0; bands::BANDS]) {
            // ADA's factors are of two axes: what is of one frequency along all is to be amplified as much by any number.
            let gains: Vec<_> =
                samples.iter().map(|s| s.bands.map(|gain| gain.powf(2.0 / thick.len() as f64))).collect();
            let matrix = |gains: &[f64; bands::BANDS], length: usize| {
                let same = *gains == [1.0; bands::BANDS];
                if same { bands::identity(length) } else { bands::matrix(gains, length) }
            };
            let along = |&a: &usize| (a + 2, gains.iter().flat_map(|gains| matrix(gains, grid[a])).collect());
            draw.filters = thick.iter().map(along).collect();
            draw.constant = gains.iter().map(|gains| gains[0].powi(thick.len() as i32)).collect();
        }
        if samples.iter().any(|s| s.noise.is_some()) {
            draw.noise = samples.iter().map(|s| s.noise.clone()).collect();
        }
        let holes = samples.iter().any(|s| s.hole.iter().all(|side| !side.is_empty()));
        if holes || samples.iter().any(|s| (0..3).any(|a| s.kept[a] != (0..grid[a]))) {
            draw.mask = samples.iter().flat_map(|s| mask(s, grid)).collect();
        }
        draw
    }

    /// Whether there is no operation for any sample.
    pub fn is_identity(&self) -> bool {
        let Self { batch: _, passes, intensities, filters, constant: _, noise, mask } = self;
        passes.is_empty()
            && intensities.is_empty()
            && filters.is_empty()
            && noise.is_empty()
            && mask.is_empty()
    }

    /// The augmented batch `[N, C, D, H, W]`, differentiable in `x` to any order; `x` itself for the identity.
    ///
    /// # Panics
    /// If the batch's size or the grid differs from that of [`Augmentation::draw`](super::Augmentation::draw).
    pub fn apply<B: VolumeOps>(&self, x: Tensor<B, 5>) -> Tensor<B, 5> {
        let [n, c, d, h, w] = x.dims();
        assert!(self.batch.is_none_or(|batch| batch == n), "draw for {:?} samples, batch of {n}", self.batch);
        let device = x.device();
        let options = (&device, x.dtype());
        let column = |values: Vec<f64>| -> Tensor<B, 5> {
            Tensor::from_data(TensorData::new(values, [n, 1, 1, 1, 1]), options)
        };
        let part = |i: usize| column(self.intensities.iter().map(|intensity| intensity[i]).collect());
        let constant = self.intensities.iter().any(|intensity| intensity[1] != 0.0).then(|| {
            let mean: Tensor<B, 5> = x.clone().shaped([n, c * d * h * w]).mean_dim(1).shaped([n, 1, 1, 1, 1]);
            mean * part(1)
        });
        let mut x = self.passes.iter().fold(x, |x, pass| warp(x, pass));
        if !self.intensities.is_empty() {
            x = x * part(0) + part(2);
        }
        if let Some(constant) = constant {
            x = x + constant;
        }
        if !self.filters.is_empty() {
            // −1 + F(x + 1), a constant being multiplied by `constant`.
            x = self.filters.iter().fold(x, |x, (axis, matrices)| along(x, *axis, matrices));
            x = x + column(self.constant.iter().map(|constant| AIR - AIR * constant).collect());
        }
        if !self.noise.is_empty() {
            let field = |noise: &Option<(ChaCha8Rng, f64)>| match noise {
                Some((rng, sigma)) => {
                    normal_field(rng, c * d * h * w).into_iter().map(|x| x * *sigma as f32).collect()
                }
                None => vec![0.0; c * d * h * w],
            };
            let noise: Vec<f32> = self.noise.iter().flat_map(field).collect();
            x = x + Tensor::from_data(TensorData::new(noise, [n, c, d, h, w]), options);
        }
        if !self.mask.is_empty() {
            // −1 + m·(x + 1)
            let air = self.mask.iter().map(|mask| AIR as f32 * (1.0 - mask)).collect::<Vec<_>>();
            let [mask, air] = [self.mask.clone(), air].map(|values| -> Tensor<B, 5> {
                Tensor::from_data(TensorData::new(values, [n, 1, d, h, w]), options)
            });
            x = x * mask + air;
        }
        x
    }
}

/// 1 where a voxel of the sample stays, 0 where it becomes air: `[D, H, W]`.
fn mask(sample: &Sample, [d, h, w]: [usize; 3]) -> Vec<f32> {
    let within =
        |ranges: &[std::ops::Range<usize>; 3], at: [usize; 3]| (0..3).all(|a| ranges[a].contains(&at[a]));
    (0..d * h * w)
        .map(|i| {
            let at = [i / (h * w), i / w % h, i % w];
            if within(&sample.kept, at) && !within(&sample.hole, at) { 1.0 } else { 0.0 }
        })
        .collect()
}

/// Every line of `x` `[N, C, D, H, W]` along `axis` times the symmetric matrix of its sample, `[N, L, L]`.
///
/// A product a sample: a batch of them is wrong on GPUs for some lengths (`docs/decisions/0023-products-of-two-matrices.md`).
fn along<B: VolumeOps>(x: Tensor<B, 5>, axis: usize, matrices: &[f64]) -> Tensor<B, 5> {
    let x = x.swap_dims(axis, 4);
    let dims = x.dims();
    let [n, c, a, b, length] = dims;
    let (device, dtype) = (x.device(), x.dtype());
    let lines = x.shaped([n * c * a * b, length]);
    let products = matrices.chunks(length * length).enumerate().map(|(sample, matrix)| {
        let matrix = TensorData::new(matrix.to_vec(), [length, length]);
        let matrix: Tensor<B, 2> = Tensor::from_data(matrix, (&device, dtype));
        product(lines.clone().narrow(0, sample * c * a * b, c * a * b), matrix)
    });
    Tensor::cat(products.collect(), 0).shaped(dims).swap_dims(axis, 4)
}
