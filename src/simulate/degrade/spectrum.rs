//! Degradations in k-space: the transform and its inverse, and the displaced energy.

use ndarray::{Array4, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Degraded;
use crate::acquisition::fourier::{fft, ifft};
use crate::acquisition::linear::norm;
use crate::acquisition::{Complex32, ComplexArray};
use crate::error::{Error, Result};
use crate::volume::Volume;

/// The part of the complex image that becomes the degraded volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Component {
    /// `|z|`, as stored by a scanner; the sign of the volume is lost.
    #[default]
    Magnitude,
    /// The real part, as in torchio: linear in the volume.
    Real,
}

/// Every channel of `volume` through `corrupt`, which takes the image `[D, H, W]` and its k-space over `axes` and gives
/// the k-space that was measured instead.
///
/// # Errors
/// [`Error::Value`] for a volume whose voxels are not all finite, which would spread over all of it; what `corrupt`
/// refuses.
pub(super) fn through_kspace(
    volume: &Volume,
    axes: &[usize],
    component: Component,
    corrupt: impl Fn(&ComplexArray, ComplexArray) -> Result<ComplexArray>,
) -> Result<Degraded> {
    if let Some(value) = volume.data.iter().find(|value| !value.is_finite()) {
        let advice = "replace such voxels first";
        return Err(Error::value("volume", "finite voxels", value.to_string(), advice));
    }
    let mut data = Array4::zeros(volume.data.raw_dim());
    let (mut displaced, mut energy) = (0.0, 0.0);
    for (channel, mut to) in volume.data.outer_iter().zip(data.axis_iter_mut(Axis(0))) {
        let image = channel.mapv(|value| Complex32::new(value, 0.0)).into_dyn();
        let mut before = image.clone();
        fft(&mut before, axes);
        let mut after = corrupt(&image, before.clone())?;
        energy += norm(&before).powi(2);
        before.zip_mut_with(&after, |before, after| *before = after - *before);
        displaced += norm(&before).powi(2);
        ifft(&mut after, axes);
        let after = after.as_standard_layout();
        let (Some(to), Some(after)) = (to.as_slice_mut(), after.as_slice()) else {
            unreachable!("both arrays are in standard layout");
        };
        to.par_iter_mut().zip(after).for_each(|(to, z)| {
            *to = match component {
                Component::Magnitude => z.norm(),
                Component::Real => z.re,
            };
        });
    }
    let displaced_energy = Some(if energy > 0.0 { displaced / energy } else { 0.0 });
    let volume = Volume { data, affine: volume.affine, provenance: volume.provenance.clone() };
    Ok(Degraded { volume, displaced_energy })
}
