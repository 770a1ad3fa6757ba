//! Reconstruction: an image from undersampled k-space of one coil or several.

use ndarray::{Array3, Array4, ArrayView3, Axis, Ix3, Ix4, stack};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::case::part;
use super::{Case, Channels, Example, Head, Input, Measurement, Subject};
use crate::acquisition::coils::Birdcage;
use crate::acquisition::encoding::Encoding;
use crate::acquisition::{Complex32, ComplexArray};
use crate::config::{InitialEstimate, ReconRecipe};
use crate::error::{Error, Result};
use crate::random::{Purpose, stream};
use crate::recon::fista::Steps;
use crate::recon::{Acquired, L1Wavelet, Method, Problem, Reconstruct, TotalVariation};
use crate::stats::lower_rank;

/// Iterations of the total variation that networks see: a quarter of what the method takes for itself.
const VARIATION: usize = 100;
/// Iterations of the wavelets that networks see: half of what the method takes for itself.
const WAVELET: usize = 50;

/// Reconstruction of undersampled k-space: a true image gets a smooth phase, and its k-space is simulated with
/// simulated coils. The initial estimate is the image of a classical method; those of other methods can be further
/// inputs.
#[derive(Clone, Debug)]
pub struct Recon {
    recipe: ReconRecipe,
}

impl Recon {
    /// The head of this recipe.
    pub fn new(recipe: &ReconRecipe) -> Self {
        Self { recipe: recipe.clone() }
    }

    /// The case of a measurement.
    ///
    /// # Errors
    /// As [`crate::recon::Reconstruct::reconstruct`] of the recipe's classical methods.
    pub fn case(&self, problem: &Problem<'_>) -> Result<Case> {
        let initial = pair(&classical(self.recipe.initial, problem)?);
        let mut input = initial.clone();
        for &method in &self.recipe.extra_inputs {
            input.append(Axis(0), pair(&classical(method, problem)?).view()).expect("images of one shape");
        }
        let condition = match self.recipe.patterns.len() {
            1 => Vec::new(),
            _ => vec![(acceleration(problem.acquired.sampled) as f32).log2()],
        };
        let case = with_samples(problem.acquired.encoding(), problem.acquired.measured(), initial);
        Ok(Case { input, condition, ..case }.scaled(brightness(&problem.zero_filled())))
    }
}

/// The image of a classical method, after few iterations.
fn classical(method: InitialEstimate, problem: &Problem<'_>) -> Result<Array3<Complex32>> {
    let method = match method {
        InitialEstimate::ZeroFilled => Method::ZeroFilled,
        InitialEstimate::TotalVariation => {
            Method::TotalVariation(TotalVariation { iterations: VARIATION, ..TotalVariation::default() })
        }
        InitialEstimate::L1Wavelet => {
            let default = L1Wavelet::default();
            Method::Wavelet(L1Wavelet { steps: Steps { iterations: WAVELET, ..default.steps }, ..default })
        }
    };
    Ok(method.reconstruct(problem)?.image)
}

/// A case without a condition: samples, and this initial estimate, `[2, D, H, W]`.
pub(super) fn with_samples(encoding: Encoding, samples: ComplexArray, initial: Array4<f32>) -> Case {
    let measurement = Measurement::Kspace { encoding: Box::new(encoding), samples };
    Case { measurement, ..Case::unconstrained(initial) }
}

impl Head for Recon {
    fn channels(&self) -> Channels {
        Channels {
            input: 2 * (1 + self.recipe.extra_inputs.len()),
            image: 2,
            condition: usize::from(self.recipe.patterns.len() > 1),
        }
    }

    fn case_of(&self, input: Input) -> Result<Case> {
        match input {
            Input::Kspace(problem) if problem.acquired.moves.is_none() => self.case(problem),
            Input::Kspace(_) => {
                let advice = "give weights of motion that were trained with known = true";
                Err(Error::value("head", "one of known motion", "recon", advice))
            }
            other => Err(other.of_another("recon")),
        }
    }

    fn example(
        &self,
        subject: Subject,
        patch: [usize; 3],
        [seed, step, sample]: [u64; 3],
    ) -> Result<Example> {
        let rng = &mut stream(seed, step, 0, sample, Purpose::Restoration);
        let image = subject.scan()?;
        let magnitude = part(image, patch, rng)?.index_axis_move(Axis(0), 0);
        let phase = smooth_phase(patch, self.recipe.phase_rad, rng);
        let truth =
            ndarray::Zip::from(&magnitude).and(&phase).map_collect(|&m, &p| Complex32::from_polar(m, p));
        let pattern = &self.recipe.patterns[rng.random_range(0..self.recipe.patterns.len())];
        // fastMRI's patterns take seeds below 2³².
        let mask = pattern.mask(patch, &u64::from(rng.random::<u32>()).into())?.sampled;
        let maps = match self.recipe.coils {
            1 => Array4::ones((1, patch[0], patch[1], patch[2])),
            coils => Birdcage::new(coils).maps(patch)?,
        };
        let axes: Vec<usize> = (1..=3).filter(|axis| patch[axis - 1] > 1).collect();
        let acquired = Acquired::still(maps.view(), mask.view(), maps.view(), &axes);
        let operator = acquired.encoding().operator()?;
        let mut samples = &operator * truth.clone().into_dyn();
        let noise = (self.recipe.noise * rng.random::<f64>()) as f32;
        if noise > 0.0 {
            for mut coil in samples.outer_iter_mut() {
                ndarray::Zip::from(&mut coil).and(&mask.view().into_dyn()).for_each(|k, &sampled| {
                    let draw: [f32; 2] = std::array::from_fn(|_| rng.sample(StandardNormal));
                    if sampled {
                        *k += Complex32::new(draw[0], draw[1]) * noise;
                    }
                });
            }
        }
        let samples = samples.into_dimensionality::<Ix4>().expect("k-space of rank four");
        let measured = Acquired { kspace: samples.view(), ..acquired };
        let case = self.case(&Problem::with_operator(measured, operator)?)?;
        let truth = pair(&truth.mapv(|z| z / case.scale));
        Ok(Example { case, truth })
    }
}

/// The 99.9 % quantile of an image's magnitudes, or the smallest positive number: the scale of a case, which becomes
/// one.
pub fn brightness(image: &Array3<Complex32>) -> f32 {
    let mut magnitudes: Vec<f32> = image.iter().map(|z| z.norm()).collect();
    lower_rank(&mut magnitudes, 0.999).unwrap_or(0.0).max(f32::MIN_POSITIVE)
}

/// Places over samples.
fn acceleration(sampled: ArrayView3<'_, bool>) -> f64 {
    sampled.len() as f64 / sampled.iter().filter(|&&on| on).count().max(1) as f64
}

/// A phase `[D, H, W]` in radians that is a polynomial of second degree, its coefficients from N(0, `deviation`²), in
/// coordinates from −1 to 1.
fn smooth_phase(shape: [usize; 3], deviation: f64, rng: &mut impl Rng) -> Array3<f32> {
    let draw: [f64; 10] = std::array::from_fn(|_| deviation * rng.sample::<f64, _>(StandardNormal));
    Array3::from_shape_fn(shape, |(z, y, x)| {
        let at = |place: usize, length: usize| (2.0 * place as f64 + 1.0) / length as f64 - 1.0;
        let [z, y, x] = [at(z, shape[0]), at(y, shape[1]), at(x, shape[2])];
        let terms = [1.0, z, y, x, z * z, y * y, x * x, z * y, y * x, x * z];
        terms.iter().zip(draw).map(|(term, draw)| term * draw).sum::<f64>() as f32
    })
}

/// An image of rank three.
///
/// # Panics
/// If it is of another.
pub(super) fn three(image: ComplexArray) -> Array3<Complex32> {
    image.into_dimensionality::<Ix3>().expect("an image of rank three")
}

/// A complex image `[D, H, W]` as real and imaginary part, `[2, D, H, W]`.
pub fn pair(image: &Array3<Complex32>) -> Array4<f32> {
    let (re, im) = (image.mapv(|z| z.re), image.mapv(|z| z.im));
    stack(Axis(0), &[re.view(), im.view()]).expect("parts of one shape")
}

/// The complex image `[D, H, W]` of real and imaginary part, `[2, D, H, W]`.
pub fn complex(image: &Array4<f32>) -> Array3<Complex32> {
    let (re, im) = (image.index_axis(Axis(0), 0), image.index_axis(Axis(0), 1));
    ndarray::Zip::from(&re).and(&im).map_collect(|&re, &im| Complex32::new(re, im))
}
