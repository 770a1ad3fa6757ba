//! Generation and training steps, like for like with `stylegan2_torch.py`: a generator phase, a discriminator phase on
//! fakes and reals, Adam, the generator's average; no augmentation, no style mixing. R1 shares the forward pass of the
//! reals; the path-length penalty runs on half the batch.

use burn::backend::Autodiff;
use burn::module::{AutodiffModule, Module};
use burn::tensor::{Tensor, TensorData};
use serde::Deserialize;
use voxgan::config::{NetworkRecipe, Recipe};
use voxgan::gan::{Truncation, image_gradient, loss, path_gradient};
use voxgan::nn::Noise;
use voxgan::nn::parameters::{Named, gradients};
use voxgan::ops::{VolumeOps, backward, tape};
use voxgan::random::{Purpose, Samples, normal, stream};
use voxgan::train::State;

/// Half-life of the generator's average in thousands of volumes, 0.5^(1/693) ≈ 0.999 a volume as the peer's.
const EMA_KIMG: f64 = 0.693;
/// R1's weight γ/2.
const R1_WEIGHT: f64 = 5.0;
/// The path-length penalty's weight, and the length that it aims at.
const PATH_LENGTH: (f64, f64) = (2.0, 1.0);

/// Sizes of the networks; the image is a cube of `resolution` voxels along each axis.
#[derive(Debug, Deserialize)]
pub struct Setup {
    pub resolution: usize,
    pub batch: usize,
    pub channel_base: usize,
    pub channel_max: usize,
    pub latent: usize,
}

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Generate,
    Step,
    StepR1,
    StepPathLength,
}

/// Networks, optimisers and a batch.
pub struct Bench<B: VolumeOps> {
    pub state: State<B>,
    z: Tensor<B, 2>,
    real: Tensor<B, 5>,
    device: B::Device,
    /// Passes of the generator so far: each draws noise of its own.
    passes: u64,
}

impl<B: VolumeOps> Bench<B> {
    pub fn new(setup: &Setup, device: &B::Device) -> Self {
        let &Setup { resolution, batch, channel_base, channel_max, latent } = setup;
        let network = NetworkRecipe {
            base: [4; 3],
            factors: vec![[2; 3]; (resolution / 4).ilog2() as usize],
            channel_base: Some(channel_base),
            channel_max: Some(channel_max),
            channels: None,
            z_dim: latent,
            w_dim: latent,
            mapping_layers: 8,
            image_channels: 1,
            minibatch_group: 4,
            discriminator_channel_base: None,
            discriminator_channel_max: None,
            discriminator_channels: None,
            discriminator_fc_channels: None,
        };
        let recipe = Recipe {
            network,
            conditions: Default::default(),
            training: Default::default(),
            transfer: Default::default(),
            coverage: Default::default(),
            augmentation: Default::default(),
            output: Default::default(),
        };
        let z = normals(Purpose::Latent, 0, [batch, latent], device);
        let real = normals(Purpose::Samples, 0, [batch, 1, resolution, resolution, resolution], device);
        let state = State::new(&recipe.resolved(), 0, device);
        Self { state, z, real, device: device.clone(), passes: 0 }
    }

    /// Numbers of trained parameters: generator, discriminator.
    pub fn parameter_counts(&self) -> [usize; 2] {
        self.state.parameter_counts()
    }

    pub fn run(&mut self, kind: Kind) {
        if kind == Kind::Generate {
            let noise = self.noise();
            let image = self.state.average.forward(self.z.clone(), None, Truncation::OFF, noise);
            std::hint::black_box(image);
            return;
        }
        let _tape = tape();
        let mut sum = self.generator_main();
        if kind == Kind::StepPathLength {
            add(&mut sum, self.generator_path_length());
        }
        self.state.generator = self.state.adam_g.step(self.state.generator.clone(), &sum);
        self.state.update_average(self.z.dims()[0], EMA_KIMG, 0.0);
        let mut sum = self.discriminator_fakes();
        add(&mut sum, self.discriminator_reals(kind == Kind::StepR1));
        self.state.discriminator = self.state.adam_d.step(self.state.discriminator.clone(), &sum);
    }

    fn generator_main(&mut self) -> Named<B> {
        let (noise, generator) = (self.noise(), &self.state.generator);
        let image = generator.forward(Tensor::from_inner(self.z.clone()), None, Truncation::OFF, noise);
        let logits = self.state.discriminator.clone().no_grad().forward(image, None);
        gradients(generator, &backward(&loss::logistic_real(logits)))
    }

    fn generator_path_length(&mut self) -> Named<B> {
        let (noise, generator) = (self.noise(), &self.state.generator);
        let [batch, c, d, h, w] = self.real.dims();
        let samples = (batch / 2).max(1);
        let z = Tensor::from_inner(self.z.clone().narrow(0, 0, samples));
        let ws = generator.styles(z, None, Truncation::OFF);
        let y = normals(Purpose::PathNoise, self.passes, [samples, c, d, h, w], &self.device);
        let y = y / ((d * h * w) as f64).sqrt();
        let lengths = loss::path_lengths(path_gradient(&generator.synthesis, ws, y, noise));
        let (weight, target) = PATH_LENGTH;
        let penalty = (lengths - target).powi_scalar(2).mean() * weight;
        gradients(generator, &backward(&penalty))
    }

    fn discriminator_fakes(&mut self) -> Named<B> {
        let (noise, discriminator) = (self.noise(), &self.state.discriminator);
        let generator = self.state.generator.valid();
        let fake = generator.forward(self.z.clone(), None, Truncation::OFF, noise);
        let logits = discriminator.forward(Tensor::from_inner(fake), None);
        gradients(discriminator, &backward(&loss::logistic_fake(logits)))
    }

    fn discriminator_reals(&self, r1: bool) -> Named<B> {
        let discriminator = &self.state.discriminator;
        let real = Tensor::<Autodiff<B>, 5>::from_inner(self.real.clone());
        let total = if r1 {
            let pass = image_gradient(discriminator, real, None, |x| x);
            loss::logistic_real(pass.logits) + loss::squared_norms(pass.gradient).mean() * R1_WEIGHT
        } else {
            loss::logistic_real(discriminator.forward(real, None))
        };
        gradients(discriminator, &backward(&total))
    }

    fn noise(&mut self) -> Noise {
        self.passes += 1;
        Noise::Random { seed: 0, step: self.passes, phase: 0, samples: Samples::from(0) }
    }
}

/// A draw from N(0, 1).
fn normals<B: VolumeOps, const R: usize>(
    purpose: Purpose,
    step: u64,
    shape: [usize; R],
    device: &B::Device,
) -> Tensor<B, R> {
    let values = normal(&mut stream(0, step, 0, 0, purpose), shape.iter().product());
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Adds gradients to those of the same names.
fn add<B: VolumeOps>(sum: &mut Named<B>, terms: Named<B>) {
    for (name, term) in terms {
        let total = match sum.remove(&name) {
            Some(before) => before + term,
            None => term,
        };
        sum.insert(name, total);
    }
}
