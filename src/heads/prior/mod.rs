//! A trained generator as prior: no network is trained for the task.
//!
//! An image is G(w), of which `y = A·G(w) + noise` was measured; the posterior of w is fitted (Bayesian reconstruction
//! through generative models: Marinescu, Moyer & Golland 2020, arXiv 2012.04567). A step of data consistency follows,
//! as for the other heads.
//!
//! ```text
//! Operator ──case──▶ Case ──fit──▶ Posterior of w ──draw, G──▶ images ──data consistency──▶ mean, deviation, samples
//! ```

mod fit;
mod latent;
mod observed;
mod operator;

use burn::backend::Autodiff;
use burn::module::{AutodiffModule, Module, Param, ParamId};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use ndarray::{Array4, s};

pub use fit::{FitSettings, FitStep, Posterior, fit};
pub use latent::{LatentPrior, collinearity};
pub use observed::Observed;
pub use operator::Operator;

use super::{Case, Restored};
use crate::convert::{image_to_tensor, tensor_to_image};
use crate::error::{Error, Result};
use crate::gan::{Generator, Synthesis};
use crate::nn::{ModulatedConv, Noise};
use crate::ops::VolumeOps;
use crate::random::{Purpose, normal, stream};

/// Latents that the prior of w is estimated from, and the phase of their draw.
const LATENTS: usize = 8192;
const LATENT_PHASE: u64 = 2;

/// A generator of images of one channel, and the prior of its w's.
#[derive(Clone, Debug)]
pub struct Prior<B: Backend> {
    /// The synthesis network, whose images are about −1 to 1.
    pub synthesis: Synthesis<B>,
    /// The prior of w.
    pub latent: LatentPrior<B>,
}

impl<B: VolumeOps> Prior<B> {
    /// The prior of a generator with latents of length `z_dim` under a condition `[1, condition_dim]`, its w's
    /// statistics from 8192 latents.
    ///
    /// # Panics
    /// If the generator is conditional and `condition` is `None`, or not conditional and it is not.
    pub fn of(
        generator: &Generator<B>,
        z_dim: usize,
        condition: Option<Tensor<B, 2>>,
        device: &B::Device,
    ) -> Self {
        let values = normal(&mut stream(0, 0, LATENT_PHASE, 0, Purpose::Posterior), LATENTS * z_dim);
        let z = Tensor::from_data(TensorData::new(values, [LATENTS, z_dim]), device);
        let latent = LatentPrior::of(&generator.mapping, z, condition);
        Self { synthesis: generator.synthesis.clone(), latent }
    }

    /// Number of w's a sample.
    pub fn num_ws(&self) -> usize {
        self.synthesis.num_ws()
    }

    /// Grid `[D, H, W]` of the images.
    pub fn grid(&self) -> [usize; 3] {
        self.noise_grids().pop().expect("a synthesis network has at least one layer")
    }

    /// Grids `[D, H, W]` of the noise inputs, layer by layer.
    pub fn noise_grids(&self) -> Vec<[usize; 3]> {
        layers(&mut self.synthesis.clone()).map(|layer| layer.noise_const.val().dims()).collect()
    }

    /// The images of w's, scaled from −1…1 to 0…1, so that the brightest tissue of the training set's scans is one.
    ///
    /// # Shapes
    /// - `ws`: `[N, num_ws, w_dim]`; `noise`: `[D, H, W]` for each layer, or empty for no noise
    /// - output: `[N, 1, D, H, W]`
    pub fn image(&self, ws: Tensor<B, 3>, noise: &[Tensor<B, 3>]) -> Tensor<B, 5> {
        let image = if noise.is_empty() {
            self.synthesis.forward(ws, Noise::None)
        } else {
            let mut synthesis = self.synthesis.clone();
            for (layer, field) in layers(&mut synthesis).zip(noise) {
                layer.noise_const = Param::initialized(ParamId::new(), field.clone());
            }
            synthesis.forward(ws, Noise::Const)
        };
        (image + 1.0) * 0.5
    }

    /// The same to be differentiated in w, not in the generator's parameters.
    fn tracked(&self) -> Prior<Autodiff<B>> {
        let [mean, deviation] = [&self.latent.mean, &self.latent.deviation].map(|x| x.clone());
        Prior {
            synthesis: Synthesis::from_inner(self.synthesis.clone()).no_grad(),
            latent: LatentPrior { mean: Tensor::from_inner(mean), deviation: Tensor::from_inner(deviation) },
        }
    }
}

/// The layers with noise inputs, from coarse to fine.
fn layers<B: Backend>(synthesis: &mut Synthesis<B>) -> impl Iterator<Item = &mut ModulatedConv<B>> {
    synthesis.blocks.iter_mut().flat_map(|block| block.conv0.iter_mut().chain([&mut block.conv1]))
}

/// A reconstruction by a prior: samples of the posterior and their mean.
#[derive(Clone, Debug)]
pub struct Reconstructed {
    /// The mean of the samples, with the residuals of the classical baseline, of G(w) and of the result.
    pub restored: Restored,
    /// The samples' standard deviation, `[1, D, H, W]`; `None` with one sample.
    pub deviation: Option<Array4<f32>>,
    /// The samples, `[1, D, H, W]` each.
    pub samples: Vec<Array4<f32>>,
}

/// Restores a case of [`Operator::case`]: samples of the posterior after data consistency with `weight` (see
/// [`super::Measured::data_consistency`]), and their mean.
///
/// # Errors
/// [`Error::Value`] for a case on another grid than the prior's; as [`fit`].
pub fn reconstruct<B: VolumeOps>(
    prior: &Prior<B>,
    case: &Case,
    settings: &FitSettings,
    weight: f64,
    device: &B::Device,
    tell: &mut dyn FnMut(FitStep) -> Result<()>,
) -> Result<Reconstructed> {
    let grid = prior.grid();
    if case.initial.shape()[1..] != grid {
        let (expected, found) =
            (format!("the generator's {grid:?}"), format!("{:?}", &case.initial.shape()[1..]));
        return Err(Error::value(
            "grid [D, H, W]",
            expected,
            found,
            "bring the scan to the generator's grid",
        ));
    }
    let observed = Observed::<B>::new(&case.measurement, grid, device)?;
    let posterior = fit(prior, &case.measurement, settings, device, tell)?;
    let mut samples = Vec::with_capacity(settings.samples);
    let mut made = image_to_tensor::<B>(&Array4::zeros((1, grid[0], grid[1], grid[2])), device);
    let part = 1.0 / settings.samples as f64;
    for number in 0..settings.samples as u64 {
        let ws = prior.latent.styles(posterior.draw(settings.seed, number));
        let image = prior.image(ws, &posterior.noise);
        samples.push(tensor_to_image(observed.data_consistency(image.clone(), weight)));
        made = made + image * part;
    }
    // Data consistency is affine, so that it commutes with the mean.
    let mean = observed.data_consistency(made.clone(), weight);
    let baseline = image_to_tensor::<B>(&case.initial.slice(s![..1, .., .., ..]).to_owned(), device);
    let residuals = observed
        .residual(baseline)
        .zip(observed.residual(made))
        .zip(observed.residual(mean.clone()))
        .map(|((baseline, made), result)| [baseline, made, result]);
    let null_space = tensor_to_image(observed.null_space_component(mean.clone()));
    let image = tensor_to_image(mean);
    let deviation = (samples.len() > 1).then(|| deviation(&samples, &image));
    Ok(Reconstructed { restored: Restored { image, null_space, residuals }, deviation, samples })
}

/// The standard deviation of samples about their mean, voxel by voxel.
fn deviation(samples: &[Array4<f32>], mean: &Array4<f32>) -> Array4<f32> {
    let squares = samples.iter().fold(Array4::<f32>::zeros(mean.dim()), |mut sum, sample| {
        sum.zip_mut_with(&(sample - mean), |sum, &apart| *sum += apart * apart);
        sum
    });
    (squares / (samples.len() - 1) as f32).mapv(f32::sqrt)
}
