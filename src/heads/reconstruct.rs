//! A trained network as a method of reconstruction, beside the classical ones of [`crate::recon`].

use ndarray::{Array3, Axis, Slice, concatenate};

use super::recon::encoding;
use super::{Motion, Recon, Restored, Restorer, blocks, brightness, complex, restore};
use crate::acquisition::Complex32;
use crate::config::{HeadRecipe, RestorationRecipe};
use crate::error::{Error, Result};
use crate::ops::VolumeOps;
use crate::recon::Acquired;
use crate::recon::zero_filled::zero_filled;

/// What a network makes of a measurement.
#[derive(Clone, Debug)]
pub struct FromNetwork {
    /// The image, `[D, H, W]`.
    pub image: Array3<Complex32>,
    /// Its null-space component, which the samples do not determine.
    pub null_space: Array3<Complex32>,
}

/// The image of a measurement by `network` of this recipe; `weight` of the way to the samples is gone at last. A network of
/// slices takes those along D one by one, which must not be in k-space. Networks of reconstruction start where their recipe
/// says, those of known motion from the least-squares image.
///
/// # Errors
/// [`Error::Value`] for weights of another head, slices that lie otherwise, and motion where a network sees slices or where it
/// is of known motion and none is known.
pub fn reconstruct<B: VolumeOps>(
    network: &Restorer<B>,
    recipe: &RestorationRecipe,
    acquired: &Acquired<'_>,
    weight: f64,
    device: &B::Device,
) -> Result<FromNetwork> {
    let slices = acquired.kspace.shape()[1];
    if recipe.flat() && slices > 1 && acquired.axes.contains(&1) {
        let advice = "give slices whose k-space is two-dimensional, or a network of volumes";
        return Err(Error::value("k-space axes", "H and W, with slices along D", "D too", advice));
    }
    if recipe.flat() && slices > 1 && acquired.moves.is_some() {
        let advice = "give a network of volumes: motion mixes slices";
        return Err(Error::value("shots", "none for a network of slices", "known motion", advice));
    }
    let parts = if recipe.flat() { slices } else { 1 };
    let images = (0..parts).map(|number| {
        let mut part = *acquired;
        if recipe.flat() {
            let at = Slice::from(number..number + 1);
            part.kspace.slice_axis_inplace(Axis(1), at);
            part.sampled.slice_axis_inplace(Axis(0), at);
            part.maps.slice_axis_inplace(Axis(1), at);
        }
        one(network, recipe, &part, weight, device)
    });
    let found = images.collect::<Result<Vec<_>>>()?;
    let joined = |part: &dyn Fn(&FromNetwork) -> Array3<Complex32>| {
        let parts: Vec<_> = found.iter().map(part).collect();
        let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
        concatenate(Axis(0), &views).expect("slices of one shape")
    };
    Ok(FromNetwork {
        image: joined(&|one| one.image.clone()),
        null_space: joined(&|one| one.null_space.clone()),
    })
}

/// A slice, or a whole volume.
fn one<B: VolumeOps>(
    network: &Restorer<B>,
    recipe: &RestorationRecipe,
    acquired: &Acquired<'_>,
    weight: f64,
    device: &B::Device,
) -> Result<FromNetwork> {
    let zero_filled = zero_filled(acquired)?.image;
    let scale = brightness(&zero_filled);
    if scale <= f32::MIN_POSITIVE {
        return Ok(FromNetwork { null_space: Array3::zeros(zero_filled.raw_dim()), image: zero_filled });
    }
    let kspace = acquired.kspace.mapv(|k| k / scale);
    let acquired = &Acquired { kspace: kspace.view(), ..*acquired };
    let case = match &recipe.head {
        HeadRecipe::Recon(head) => Recon::new(head).case(acquired)?,
        HeadRecipe::Motion(head) if head.known && acquired.moves.is_some() => {
            Motion::new(head).known(encoding(acquired), acquired.measured())?
        }
        _ => {
            let expected = "recon, or motion with known = true of a head whose motion is known";
            let advice = "give other weights, or the motion";
            return Err(Error::value("head", expected, "another head's weights", advice));
        }
    };
    let Restored { image, null_space, .. } = restore(network, &case, blocks(recipe), weight, device)?;
    let [image, null_space] = [image, null_space].map(|parts| complex(&parts).mapv(|z| z * scale));
    Ok(FromNetwork { image, null_space })
}
