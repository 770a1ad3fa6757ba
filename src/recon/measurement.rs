//! From raw data to a volume: noise made white, coils compressed, sensitivities estimated, a method, the image's own grid.

use ndarray::{Array3, Array4, ArrayView4};

use super::{Acquired, Moves, Problem, Reconstruct, Reconstruction, Trace};
use crate::acquisition::Complex32;
use crate::acquisition::coils::{
    EspiritOptions, Keep, calibration_widths, centre, compression, espirit, mix, noise_covariance,
    root_sum_of_squares, whitening_matrix,
};
use crate::acquisition::fourier::ifft;
use crate::acquisition::image::{Part, to_volume};
use crate::acquisition::operators::shots::Shots;
use crate::error::{Error, Result};
use crate::volume::{KSpace, Volume};

/// Where coil sensitivities come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Maps {
    /// From nowhere: coil images are combined by their root sum of squares, of methods that can do without
    /// ([`Reconstruct::fill`]).
    None,
    /// From the calibration region, which is taken as wide as it is measured, up to the options' width.
    Espirit(EspiritOptions),
    /// Known already, `[coils, D, H, W]`, in the coils as measured.
    Given(Array4<Complex32>),
}

/// What is done with the coils of raw data before an image is made.
#[derive(Clone, Debug, PartialEq)]
pub struct CoilSettings {
    /// Coil sensitivities; of no account for a single coil.
    pub maps: Maps,
    /// Whether noise is made white first, where the raw data has a noise scan.
    pub whiten: bool,
    /// Virtual coils to compress to.
    pub compress: Option<Keep>,
}

/// A volume and how it came to be.
#[derive(Clone, Debug)]
pub struct Reconstructed {
    /// The image on its own grid.
    pub volume: Volume,
    /// ‖Ax − y‖ / ‖y‖ over the samples, x the complex image: what the image leaves unexplained. Not known without maps,
    /// nor for an image that answers for a part of the samples only ([`Reconstruct::explains_samples`]).
    pub data_residual: Option<f64>,
    /// The course of the iterations, slice by slice.
    pub traces: Vec<Trace>,
    /// What a network's image rests on.
    pub learned: Option<LearnedVolumes>,
}

/// What a network's image rests on, as volumes on the image's own grid.
#[derive(Clone, Debug)]
pub struct LearnedVolumes {
    /// The image of a classical method that the network improved.
    pub initial: Volume,
    /// As [`Reconstructed::data_residual`], of that image.
    pub initial_residual: f64,
    /// The null-space component of the result, which the samples do not determine.
    pub null_space: Volume,
}

/// Raw data as methods take it: noise made white, coils compressed, their maps known.
#[derive(Clone, Debug)]
pub struct Measurement {
    kspace: KSpace,
    /// `[coils, D, H, W]`; none where coil images are to be combined without.
    maps: Option<Array4<Complex32>>,
    /// How the head moved; none where it lay still.
    shots: Option<Shots>,
}

impl Measurement {
    /// Raw data after what `settings` say of its coils.
    ///
    /// # Errors
    /// [`Error::Value`] where the data does not allow it: no calibration region for the maps, maps of another shape.
    pub fn new(kspace: KSpace, settings: &CoilSettings) -> Result<Self> {
        let (kspace, maps) = coils(kspace, settings)?;
        Ok(Self { kspace, maps, shots: None })
    }

    /// The grid of k-space, `[D, H, W]`.
    pub fn grid(&self) -> [usize; 3] {
        self.kspace.sampled.dim().into()
    }

    /// The same of a head that moved from shot to shot, each of which measured places of [`Measurement::grid`].
    #[must_use]
    pub fn moved(self, shots: Shots) -> Self {
        Self { shots: Some(shots), ..self }
    }

    /// The volume that `method` makes, and what `part` of the complex image it shows.
    ///
    /// # Errors
    /// [`Error::Value`] for several coils without maps where the method needs them, and what the method refuses.
    pub fn reconstruct(&self, method: &dyn Reconstruct, part: Part) -> Result<Reconstructed> {
        let Self { kspace, maps, shots } = self;
        let axes = kspace.axes();
        // Filling looks at no maps.
        let seen = maps.as_ref().map_or(kspace.data.view(), |maps| maps.view());
        let (_, d, h, w) = kspace.data.dim();
        let fov_mm = kspace.image.encoded_fov_mm;
        let spacing_mm = [fov_mm[0] / w as f64, fov_mm[1] / h as f64, fov_mm[2] / d as f64];
        let acquired = Acquired {
            moves: shots.as_ref().map(|shots| Moves { shots, spacing_mm }),
            ..Acquired::still(kspace.data.view(), kspace.sampled.view(), seen, &axes)
        };
        let placed = |image: Array3<Complex32>, what: String| {
            let mut volume = to_volume(image.into_dyn(), kspace, part)?;
            volume.provenance.steps.push(what);
            Ok::<_, Error>(volume)
        };
        let made = format!("reconstructed: {}", method.name());
        if maps.is_none() {
            let filled = if shots.is_none() { method.fill(&acquired) } else { None };
            let found = format!("{} coils and no maps for {}", kspace.coils(), method.name());
            let advice = "estimate them by ESPIRiT or give a file";
            let without = Error::value("coil maps", "sensitivities of every coil", found, advice);
            let image = combined(filled.ok_or(without)??, &axes);
            let volume = placed(image, made)?;
            return Ok(Reconstructed { volume, data_residual: None, traces: Vec::new(), learned: None });
        }
        let problem = Problem::new(acquired)?;
        let Reconstruction { image, traces, learned } = method.reconstruct(&problem)?;
        let data_residual = method.explains_samples().then(|| problem.residual(&image));
        let learned = learned.map(|learned| {
            let initial_residual = problem.residual(&learned.initial);
            let initial = placed(learned.initial, "initial estimate of the network".into())?;
            let null_space = placed(learned.null_space, "null-space component".into())?;
            Ok::<_, Error>(LearnedVolumes { initial, initial_residual, null_space })
        });
        Ok(Reconstructed {
            volume: placed(image, made)?,
            data_residual,
            traces,
            learned: learned.transpose()?,
        })
    }
}

/// The raw data as methods take them, and the maps of the coils; none where coil images are to be combined without.
fn coils(mut kspace: KSpace, settings: &CoilSettings) -> Result<(KSpace, Option<Array4<Complex32>>)> {
    let mut maps = settings.maps.clone();
    if let (true, Some(noise)) = (settings.whiten, &kspace.noise) {
        let matrix = whitening_matrix(&noise_covariance(noise.view())?)?;
        transform_coils(&mut kspace, &mut maps, |x| mix(matrix.view(), x));
        kspace.provenance.steps.push("noise made white by the noise scan".into());
    }
    if let Some(keep) = settings.compress {
        let widths = calibration_widths(kspace.data.view(), kspace.transformed, COMPRESSION_WIDTH);
        let from = if widths.contains(&0) { kspace.data.view() } else { centre(kspace.data.view(), widths) };
        let virtual_coils = compression(from, keep)?;
        transform_coils(&mut kspace, &mut maps, |x| mix(virtual_coils.matrix.view(), x));
        let (coils, energy) = (kspace.coils(), 100.0 * virtual_coils.energy());
        kspace
            .provenance
            .steps
            .push(format!("compressed to {coils} virtual coils with {energy:.2} % of the energy"));
    }
    let maps = sensitivities(&mut kspace, maps)?;
    Ok((kspace, maps))
}

/// The most of the calibration region that coil compression looks at.
const COMPRESSION_WIDTH: usize = 24;

fn transform_coils(
    kspace: &mut KSpace,
    maps: &mut Maps,
    mix: impl Fn(ArrayView4<Complex32>) -> Array4<Complex32>,
) {
    kspace.data = mix(kspace.data.view());
    if let Maps::Given(given) = maps {
        *given = mix(given.view());
    }
}

/// The maps `[coils, D, H, W]`; none where the coil images are to be combined without.
fn sensitivities(kspace: &mut KSpace, maps: Maps) -> Result<Option<Array4<Complex32>>> {
    if kspace.coils() == 1 && !matches!(maps, Maps::Given(_)) {
        return Ok(Some(Array4::ones(kspace.data.raw_dim())));
    }
    match maps {
        Maps::None => Ok(None),
        Maps::Given(maps) => Ok(Some(maps)),
        Maps::Espirit(mut options) => {
            let most = options.calibration.iter().copied().max().unwrap_or_default();
            let widths = calibration_widths(kspace.data.view(), kspace.transformed, most);
            let measured =
                (0..3).filter(|&axis| kspace.transformed[axis] && kspace.data.shape()[axis + 1] > 1);
            let narrowest = measured.map(|axis| widths[axis]).min().unwrap_or_default();
            if narrowest < options.kernel {
                let expected =
                    format!("a fully measured centre of at least {} in every direction", options.kernel);
                let advice = "give coil maps, or reconstruct zero-filled without any";
                return Err(Error::value("calibration region", expected, format!("{widths:?}"), advice));
            }
            options.calibration =
                std::array::from_fn(|axis| if kspace.transformed[axis] { widths[axis] } else { most });
            let mut found = espirit(kspace.data.view(), kspace.transformed, &options)?;
            let step = format!("ESPIRiT: calibration {widths:?} along D, H, W, kernel {}", options.kernel);
            kspace.provenance.steps.push(step);
            Ok(Some(found.maps.swap_remove(0)))
        }
    }
}

/// Coil images of k-space, combined by their root sum of squares.
fn combined(kspace: Array4<Complex32>, axes: &[usize]) -> Array3<Complex32> {
    let mut images = kspace.into_dyn();
    ifft(&mut images, axes);
    let images = images.into_dimensionality().expect("coil images of rank four");
    root_sum_of_squares(images.view()).mapv(Complex32::from)
}
