//! From raw data to a volume by a classical method: noise made white, coils compressed, sensitivities estimated, the
//! method, the image's own grid.

use ndarray::{Array3, Array4, ArrayView4};

use super::coils::{
    EspiritOptions, Keep, calibration_widths, centre, compression, espirit, mix, noise_covariance,
    root_sum_of_squares, whitening_matrix,
};
use super::fourier::ifft;
use super::image::{Part, to_volume};
use super::linear::norm;
use super::recon::grappa::{Grappa, fill, grappa};
use super::recon::homodyne::homodyne;
use super::recon::pocs::{Pocs, pocs};
use super::recon::sense::{Sense, sense};
use super::recon::total_variation::{TotalVariation, total_variation};
use super::recon::wavelet::{L1Wavelet, wavelet};
use super::recon::zero_filled::zero_filled;
use super::recon::{Acquired, Reconstruction, Trace};
use super::{Complex32, Linear};
use crate::error::{Error, Result};
use crate::volume::{KSpace, Volume};

/// A classical method and its settings.
#[derive(Clone, Copy, Debug, PartialEq)]
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
/// [`Error::Value`] where the data does not allow the plan: no calibration region for the maps, several coils without
/// maps for a method that needs them, maps of another shape, and what the steps themselves refuse.
pub fn reconstruct(kspace: KSpace, plan: &Plan) -> Result<Reconstructed> {
    let (kspace, maps) = coils(kspace, &plan.coils)?;
    let (found, data_residual) = match &maps {
        Some(maps) => with_maps(&kspace, maps, &plan.method)?,
        None => (without_maps(&kspace, &plan.method)?, None),
    };
    finish(kspace, found, data_residual, &format!("{:?}", plan.method), plan.part)
}

/// Reconstructs by a method from elsewhere that needs the maps of several coils; `name` is noted.
///
/// # Errors
/// As [`reconstruct`].
pub fn reconstruct_by(
    kspace: KSpace,
    settings: &CoilSettings,
    part: Part,
    name: &str,
    method: impl FnOnce(&Acquired<'_>) -> Result<Reconstruction>,
) -> Result<Reconstructed> {
    let (kspace, maps) = coils(kspace, settings)?;
    let Some(maps) = maps else {
        return Err(without(&kspace, name));
    };
    let axes = kspace.axes();
    let acquired = Acquired {
        kspace: kspace.data.view(),
        sampled: kspace.sampled.view(),
        maps: maps.view(),
        axes: &axes,
    };
    acquired.check()?;
    let found = method(&acquired)?;
    let residual = data_residual(&acquired, &found);
    finish(kspace, found, Some(residual), name, part)
}

fn finish(
    mut kspace: KSpace,
    found: Reconstruction,
    data_residual: Option<f64>,
    name: &str,
    part: Part,
) -> Result<Reconstructed> {
    kspace.provenance.steps.push(format!("reconstructed: {name}"));
    let volume = to_volume(found.image.into_dyn(), &kspace, part)?;
    Ok(Reconstructed { volume, data_residual, traces: found.traces })
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

fn with_maps(
    kspace: &KSpace,
    maps: &Array4<Complex32>,
    method: &Method,
) -> Result<(Reconstruction, Option<f64>)> {
    let axes = kspace.axes();
    let acquired = Acquired {
        kspace: kspace.data.view(),
        sampled: kspace.sampled.view(),
        maps: maps.view(),
        axes: &axes,
    };
    let found = match method {
        Method::ZeroFilled => zero_filled(&acquired)?,
        Method::Sense(settings) => sense(&acquired, settings)?,
        Method::Grappa(settings) => grappa(&acquired, settings)?,
        Method::TotalVariation(settings) => total_variation(&acquired, settings)?,
        Method::Wavelet(settings) => wavelet(&acquired, settings)?,
        Method::Homodyne => return Ok((homodyne(&acquired)?, None)),
        Method::Pocs(settings) => return Ok((pocs(&acquired, settings)?, None)),
    };
    let residual = data_residual(&acquired, &found);
    Ok((found, Some(residual)))
}

/// ‖Ax − y‖ / ‖y‖ over the samples.
fn data_residual(acquired: &Acquired<'_>, found: &Reconstruction) -> f64 {
    let mut explained = acquired.encoding().apply(found.image.clone().into_dyn());
    let measured = acquired.measured();
    explained -= &measured;
    norm(&explained) / norm(&measured).max(f64::MIN_POSITIVE)
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
            fill(&Acquired { kspace, sampled: sampled.view(), maps: kspace, axes: &axes }, settings)?
        }
        other => return Err(without(kspace, &format!("{other:?}"))),
    };
    let mut images = filled.into_dyn();
    ifft(&mut images, &axes);
    let images = images.into_dimensionality().expect("coil images of rank four");
    let image: Array3<Complex32> = root_sum_of_squares(images.view()).mapv(Complex32::from);
    Ok(Reconstruction { image, traces: Vec::new() })
}
