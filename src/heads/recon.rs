//! Reconstruction: an image from k-space that was measured in part, by one coil or several.

use ndarray::{Array3, Array4, Axis, Ix3, Ix4, stack};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::case::part;
use super::{Case, Channels, Example, Head, Measurement, Subject};
use crate::config::{ReconRecipe, ReconStart};
use crate::error::{Error, Result};
use crate::mri::coils::Birdcage;
use crate::mri::encoding::{Encoding, Sampling};
use crate::mri::recon::Acquired;
use crate::mri::recon::total_variation::{TotalVariation, least_variation, total_variation};
use crate::mri::{Complex32, ComplexArray, Linear};
use crate::random::{Purpose, stream};

/// The total variation that restoration can start from: a hundred iterations, a quarter of what the method takes for itself.
const VARIATION: usize = 100;

/// A true image is given a smooth phase, seen by simulated coils and measured in part; restoration starts from the
/// zero-filled image, or that of least total variation.
#[derive(Clone, Debug)]
pub struct Recon {
    recipe: ReconRecipe,
}

impl Recon {
    /// The head of this recipe.
    pub fn new(recipe: &ReconRecipe) -> Self {
        Self { recipe: recipe.clone() }
    }

    /// The case of measured `samples`, as `encoding` gives them of an image.
    ///
    /// # Errors
    /// As [`Encoding::operator`], and [`Error::Value`] for samples of another shape.
    pub fn case(&self, encoding: Encoding, samples: ComplexArray) -> Result<Case> {
        let operator = encoding.operator()?;
        if samples.shape() != operator.output_shape() {
            let (expected, found) =
                (format!("{:?}", operator.output_shape()), format!("{:?}", samples.shape()));
            return Err(Error::value("samples", expected, found, "give what this encoding measures"));
        }
        self.starting(encoding, &*operator, samples)
    }

    /// The case of samples that are scaled as networks take them.
    fn starting(&self, encoding: Encoding, operator: &dyn Linear, samples: ComplexArray) -> Result<Case> {
        let start = match self.recipe.start {
            ReconStart::ZeroFilled => three(operator.adjoint(samples.clone())),
            ReconStart::TotalVariation => least(&encoding, operator, &samples)?,
        };
        let condition = match self.recipe.patterns.len() {
            1 => Vec::new(),
            _ => vec![(acceleration(&encoding) as f32).log2()],
        };
        Ok(Case { condition, ..held_to_samples(encoding, samples, pair(&start)) })
    }
}

/// The image of least total variation.
fn least(encoding: &Encoding, operator: &dyn Linear, samples: &ComplexArray) -> Result<Array3<Complex32>> {
    let settings = TotalVariation { iterations: VARIATION, ..TotalVariation::default() };
    let plain = encoding.shots.is_none() && encoding.slice_profile.is_none() && encoding.encoded.is_none();
    let (Sampling::Mask(mask), true) = (&encoding.sampling, plain) else {
        return Ok(least_variation(operator, samples.clone(), &settings)?.image);
    };
    // A quicker way to the same.
    let kspace = samples.view().into_dimensionality::<Ix4>().expect("k-space of rank four");
    let maps = encoding.coil_maps.clone().unwrap_or_else(|| Array4::ones(kspace.raw_dim()));
    let axes: Vec<usize> = encoding.axes().iter().map(|axis| axis + 1).collect();
    let acquired = Acquired::still(kspace, mask.view(), maps.view(), &axes);
    Ok(total_variation(&acquired, &settings)?.image)
}

/// A case without a condition that starts from this image, `[2, D, H, W]`, and is held to the samples.
pub(super) fn held_to_samples(encoding: Encoding, samples: ComplexArray, start: Array4<f32>) -> Case {
    let measurement = Measurement::Kspace { encoding: Box::new(encoding), samples };
    Case { given: start.clone(), start, condition: Vec::new(), measurement }
}

impl Head for Recon {
    fn channels(&self) -> Channels {
        Channels { given: 2, image: 2, condition: usize::from(self.recipe.patterns.len() > 1) }
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
        let phase = smooth_phase(patch, self.recipe.phase, rng);
        let truth =
            ndarray::Zip::from(&magnitude).and(&phase).map_collect(|&m, &p| Complex32::from_polar(m, p));
        let pattern = &self.recipe.patterns[rng.random_range(0..self.recipe.patterns.len())];
        // fastMRI's patterns take seeds below 2³².
        let mask = pattern.mask(patch, &u64::from(rng.random::<u32>()).into())?.sampled;
        let mut encoding = Encoding::full(patch, [1.0; 3]);
        if self.recipe.coils > 1 {
            encoding.coil_maps = Some(Birdcage::new(self.recipe.coils).maps(patch)?);
        }
        encoding.sampling = Sampling::Mask(mask.clone());
        let operator = encoding.operator()?;
        let mut samples = operator.apply(truth.clone().into_dyn());
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
        // As measurements are scaled of which the truth is not known.
        let scale = 1.0 / brightness(&three(operator.adjoint(samples.clone())));
        let case = self.starting(encoding, &*operator, samples.mapv(|k| k * scale))?;
        Ok(Example { case, truth: pair(&truth.mapv(|z| z * scale)) })
    }
}

/// The magnitude that all but a thousandth of an image's voxels are below, or the smallest positive number: what becomes one.
pub fn brightness(image: &Array3<Complex32>) -> f32 {
    const SHARE: f64 = 0.999;
    let mut magnitudes: Vec<f32> = image.iter().map(|z| z.norm()).collect();
    let place = (SHARE * (magnitudes.len().saturating_sub(1)) as f64) as usize;
    let (_, &mut at, _) = magnitudes.select_nth_unstable_by(place, f32::total_cmp);
    at.max(f32::MIN_POSITIVE)
}

/// Places over samples.
fn acceleration(encoding: &Encoding) -> f64 {
    match &encoding.sampling {
        Sampling::Full => 1.0,
        Sampling::Mask(mask) => mask.len() as f64 / mask.iter().filter(|&&on| on).count().max(1) as f64,
        Sampling::Trajectory(points) => {
            encoding.grid().iter().product::<usize>() as f64 / points.nrows().max(1) as f64
        }
    }
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

/// The complex image `[D, H, W]` of real and imaginary part.
pub fn complex(image: &Array4<f32>) -> Array3<Complex32> {
    let (re, im) = (image.index_axis(Axis(0), 0), image.index_axis(Axis(0), 1));
    ndarray::Zip::from(&re).and(&im).map_collect(|&re, &im| Complex32::new(re, im))
}
