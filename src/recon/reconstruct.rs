//! From raw data to a volume by a classical method: noise made white, coils compressed, sensitivities estimated, the
//! method, the image's own grid.

use ndarray::{Array3, Array4, ArrayView4};

use super::grappa::{Grappa, fill, grappa};
use super::homodyne::homodyne;
use super::pocs::{Pocs, pocs};
use super::sense::{Sense, sense};
use super::total_variation::{TotalVariation, total_variation};
use super::wavelet::{L1Wavelet, wavelet};
use super::zero_filled::zero_filled;
use super::{Acquired, Moves, Reconstruction, Trace};
use crate::acquisition::coils::{
    EspiritOptions, Keep, calibration_widths, centre, compression, espirit, mix, noise_covariance,
    root_sum_of_squares, whitening_matrix,
};
use crate::acquisition::fourier::ifft;
use crate::acquisition::image::{Part, to_volume};
use crate::acquisition::linear::norm;
use crate::acquisition::operators::shots::Shots;
use crate::acquisition::{Complex32, Linear};
use crate::error::{Error, Result};
use crate::volume::{KSpace, Volume};

/// A classical method and its settings.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Zeros where nothing was measured.
    ZeroFilled,
    /// Least squares by conjugate gradients.
    Sense(Sense),
    /// Missing samples from their neighbours.
    Grappa(Grappa),
    /// Few edges.
    TotalVariation(TotalVariation),
    /// Few wavelet coefficients.
    Wavelet(L1Wavelet),
    /// Partial Fourier by the phase of its symmetric centre.
    Homodyne,
    /// The same, iterated.
    Pocs(Pocs),
}

/// Where coil sensitivities come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Maps {
    /// From nowhere: coil images are combined by their root sum of squares. Only [`Method::ZeroFilled`] and
    /// [`Method::Grappa`] can do without.
    None,
    /// From the calibration region, which is taken as wide as it is measured, up to the options' width.
    Espirit(EspiritOptions),
    /// Known already, `[coils, D, H, W]`, in the coils as measured.
    Given(Array4<Complex32>),
}

/// How raw data becomes a volume.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The method.
    pub method: Method,
    /// What is done with the coils first.
    pub coils: CoilSettings,
    /// What of the complex image is kept.
    pub part: Part,
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
    /// nor for homodyne and POCS, whose image answers for a part of the samples only.
    pub data_residual: Option<f64>,
    /// The course of the iterations, slice by slice.
    pub traces: Vec<Trace>,
}

/// Carries out `plan`.
///
/// # Errors
/// As [`Measurement::new`] and [`Measurement::by`].
pub fn reconstruct(kspace: KSpace, plan: &Plan) -> Result<Reconstructed> {
    Measurement::new(kspace, &plan.coils)?.by(&plan.method, plan.part)
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
    pub fn moved(self, shots: Shots) -> Self {
        Self { shots: Some(shots), ..self }
    }

    /// Whether the head moved.
    pub fn is_moved(&self) -> bool {
        self.shots.is_some()
    }

    /// The volume of a classical method.
    ///
    /// # Errors
    /// [`Error::Value`] for several coils without maps where the method needs them, and what its steps refuse.
    pub fn by(&self, method: &Method, part: Part) -> Result<Reconstructed> {
        let name = format!("{method:?}");
        if self.maps.is_none() && self.shots.is_none() {
            return self.finish(without_maps(&self.kspace, method)?, None, &name, part);
        }
        // Their images answer for a part of the samples only.
        let partial = matches!(method, Method::Homodyne | Method::Pocs(_));
        let found = self.with(&name, part, |acquired| match method {
            Method::ZeroFilled => zero_filled(acquired),
            Method::Sense(settings) => sense(acquired, settings),
            Method::Grappa(settings) => grappa(acquired, settings),
            Method::TotalVariation(settings) => total_variation(acquired, settings),
            Method::Wavelet(settings) => wavelet(acquired, settings),
            Method::Homodyne => homodyne(acquired),
            Method::Pocs(settings) => pocs(acquired, settings),
        })?;
        Ok(Reconstructed { data_residual: found.data_residual.filter(|_| !partial), ..found })
    }

    /// The volume of any method that uses maps; `name` is noted.
    ///
    /// # Errors
    /// [`Error::Value`] for several coils without maps, and what the method refuses.
    pub fn with(
        &self,
        name: &str,
        part: Part,
        method: impl FnOnce(&Acquired<'_>) -> Result<Reconstruction>,
    ) -> Result<Reconstructed> {
        let Self { kspace, maps, shots } = self;
        let Some(maps) = maps else {
            return Err(without(kspace, name));
        };
        let axes = kspace.axes();
        let (_, d, h, w) = kspace.data.dim();
        let fov_mm = kspace.image.encoded_fov_mm;
        let spacing_mm = [fov_mm[0] / w as f64, fov_mm[1] / h as f64, fov_mm[2] / d as f64];
        let acquired = Acquired {
            kspace: kspace.data.view(),
            sampled: kspace.sampled.view(),
            maps: maps.view(),
            axes: &axes,
            moves: shots.as_ref().map(|shots| Moves { shots, spacing_mm }),
        };
        acquired.check()?;
        let found = method(&acquired)?;
        let residual = data_residual(&acquired, &found)?;
        self.finish(found, Some(residual), name, part)
    }

    fn finish(
        &self,
        found: Reconstruction,
        data_residual: Option<f64>,
        name: &str,
        part: Part,
    ) -> Result<Reconstructed> {
        let mut volume = to_volume(found.image.into_dyn(), &self.kspace, part)?;
        volume.provenance.steps.push(format!("reconstructed: {name}"));
        Ok(Reconstructed { volume, data_residual, traces: found.traces })
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

/// ‖Ax − y‖ / ‖y‖ over the samples.
fn data_residual(acquired: &Acquired<'_>, found: &Reconstruction) -> Result<f64> {
    let mut explained = acquired.operator()?.0.apply(found.image.clone().into_dyn());
    let measured = acquired.measured();
    explained -= &measured;
    Ok(norm(&explained) / norm(&measured).max(f64::MIN_POSITIVE))
}

/// A method that cannot do without maps.
fn without(kspace: &KSpace, method: &str) -> Error {
    let found = format!("{} coils and no maps for {method}", kspace.coils());
    Error::value("coil maps", "sensitivities of every coil", found, "estimate them by ESPIRiT or give a file")
}

/// Coil images, combined by their root sum of squares.
fn without_maps(kspace: &KSpace, method: &Method) -> Result<Reconstruction> {
    let (axes, sampled) = (kspace.axes(), &kspace.sampled);
    let filled = match method {
        Method::ZeroFilled => kspace.data.clone(),
        Method::Grappa(settings) => {
            let kspace = kspace.data.view();
            // Filling looks at no maps.
            fill(&Acquired::still(kspace, sampled.view(), kspace, &axes), settings)?
        }
        other => return Err(without(kspace, &format!("{other:?}"))),
    };
    let mut images = filled.into_dyn();
    ifft(&mut images, &axes);
    let images = images.into_dimensionality().expect("coil images of rank four");
    let image: Array3<Complex32> = root_sum_of_squares(images.view()).mapv(Complex32::from);
    Ok(Reconstruction { image, traces: Vec::new() })
}
