//! From raw data to a volume: prewhitening, coil compression, sensitivities, a method, and the image's own grid.

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

/// The source of coil sensitivities.
#[derive(Clone, Debug, PartialEq)]
pub enum Maps {
    /// No maps: coil images are combined by their root sum of squares, for methods that need none
    /// ([`Reconstruct::fill`]).
    None,
    /// ESPIRiT on the calibration region, as wide as it is fully measured, up to the options' width.
    Espirit(EspiritOptions),
    /// Known maps `[coils, D, H, W]` of the physical coils, before prewhitening and compression.
    Given(Array4<Complex32>),
}

/// The preparation of the coils of raw data.
#[derive(Clone, Debug, PartialEq)]
pub struct CoilSettings {
    /// Coil sensitivities. For a single coil without given maps they are ones.
    pub maps: Maps,
    /// Whether the coils are prewhitened first, where the raw data has a noise scan.
    pub whiten: bool,
    /// Virtual coils to compress to; `None` for no compression.
    pub compress: Option<Keep>,
}

/// A reconstructed volume with its residual and its iterations.
#[derive(Clone, Debug)]
pub struct Reconstructed {
    /// The image on its own grid.
    pub volume: Volume,
    /// ‖Ax − y‖ / ‖y‖ over the samples, x the complex image. `None` without maps, and for methods whose image fits a
    /// part of the samples only ([`Reconstruct::explains_samples`]).
    pub data_residual: Option<f64>,
    /// The iterations, one trace for each slice that was solved by itself.
    pub traces: Vec<Trace>,
    /// Initial estimate and null-space component, where the method is a network.
    pub learned: Option<LearnedVolumes>,
}

/// Initial estimate and null-space component of a network's image, as volumes on the image's own grid.
#[derive(Clone, Debug)]
pub struct LearnedVolumes {
    /// The classical method's image that was the network's initial estimate.
    pub initial: Volume,
    /// ‖Ax − y‖ / ‖y‖ over the samples, x the initial estimate.
    pub initial_residual: f64,
    /// The component of the result in the null space of A, which the samples do not determine.
    pub null_space: Volume,
}

/// Raw data prepared for a method: prewhitened, with compressed coils and their sensitivities.
#[derive(Clone, Debug)]
pub struct Measurement {
    kspace: KSpace,
    /// `[coils, D, H, W]`; none where coil images are to be combined without.
    maps: Option<Array4<Complex32>>,
    /// How the head moved; none where it lay still.
    shots: Option<Shots>,
}

impl Measurement {
    /// Prepares raw data according to `settings`.
    ///
    /// # Errors
    /// [`Error::Value`] where a step of the preparation is not possible: a noise scan that [`noise_covariance`] or
    /// [`whitening_matrix`] refuses, a number of virtual coils that [`compression`] refuses, or a calibration region
    /// that is narrower than ESPIRiT's kernel; given maps of another number of coils.
    pub fn new(kspace: KSpace, settings: &CoilSettings) -> Result<Self> {
        let (kspace, maps) = coils(kspace, settings)?;
        Ok(Self { kspace, maps, shots: None })
    }

    /// The grid of k-space, `[D, H, W]`.
    pub fn grid(&self) -> [usize; 3] {
        self.kspace.sampled.dim().into()
    }

    /// This measurement of a head that moved between shots; `shots.shot_of` has the shape [`Measurement::grid`].
    #[must_use]
    pub fn moved(self, shots: Shots) -> Self {
        Self { shots: Some(shots), ..self }
    }

    /// The `part` of the complex image of `method`, as a volume on the image's own grid.
    ///
    /// # Errors
    /// [`Error::Value`] for several coils without maps where the method needs them, given maps of another shape than
    /// k-space, shots that do not fit, and as [`Reconstruct::reconstruct`] and [`to_volume`].
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
    if let Maps::Given(given) = &maps
        && given.dim().0 != kspace.coils()
    {
        let (expected, found) = (format!("{} coils, as k-space", kspace.coils()), given.dim().0.to_string());
        return Err(Error::value("coil maps", expected, found, "give the maps of this acquisition's coils"));
    }
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
            if found.unsettled > 0 {
                let (unsettled, voxels) = (found.unsettled, kspace.sampled.len());
                kspace.provenance.steps.push(format!(
                    "ESPIRiT: the iteration for the maps has not converged at {unsettled} of {voxels} voxels, where a second set \
                     of maps explains the data nearly as well, as where the object is larger than the field of view"
                ));
            }
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
