//! The forward operators for reconstruction by a generator.

use ndarray::{Array3, Array4, Axis};

use super::super::recon::{three, with_samples};
use super::super::{Case, Inpaint, Superres};
use crate::acquisition::Complex32;
use crate::acquisition::encoding::{Encoding, Sampling};
use crate::config::SuperresRecipe;
use crate::error::{Error, Result};

/// A forward operator, as plain data.
#[derive(Clone, Debug, PartialEq)]
pub enum Operator {
    /// Means over this many voxels along `[D, H, W]`.
    Superres([usize; 3]),
    /// The voxels that are known, `[D, H, W]`.
    Inpaint(Array3<bool>),
    /// The places of k-space that are measured, `[D, H, W]` with DC in the centre, of all axes longer than one: by one
    /// coil with sensitivity one, of an image without phase.
    Kspace(Array3<bool>),
}

impl Operator {
    /// The operator's name: `superres`, `inpaint` or `kspace`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Superres(_) => "superres",
            Self::Inpaint(_) => "inpaint",
            Self::Kspace(_) => "kspace",
        }
    }

    /// The case of an image `[1, D, H, W]` whose brightest tissue is one, with the classical baseline as initial
    /// estimate. For super-resolution and in-painting `image` is the measurement; for k-space, samples are simulated of
    /// it.
    ///
    /// # Errors
    /// [`Error::Value`] for a factor with a zero or of ones only, for a mask of another shape, and for a mask without a
    /// measured voxel.
    pub fn case(&self, image: &Array4<f32>) -> Result<Case> {
        match self {
            Self::Superres(factor) if factor.contains(&0) || *factor == [1; 3] => {
                let advice = "give how many times finer the result is";
                Err(Error::value("factor", "2 or more along an axis", format!("{factor:?}"), advice))
            }
            Self::Superres(factor) => {
                let recipe = SuperresRecipe { factors: vec![*factor], ..SuperresRecipe::default() };
                Superres::new(&recipe).case(image, *factor)
            }
            Self::Inpaint(known) => Inpaint::new(&Default::default()).case(image, known),
            Self::Kspace(sampled) => kspace(image, sampled),
        }
    }
}

/// The case of samples that are simulated of `image`.
fn kspace(image: &Array4<f32>, sampled: &Array3<bool>) -> Result<Case> {
    let grid = sampled.dim();
    if image.shape()[1..] != [grid.0, grid.1, grid.2] {
        let (expected, found) = (format!("{:?}", &image.shape()[1..]), format!("{grid:?}"));
        return Err(Error::value("mask", expected, found, "give a mask on the image's grid"));
    }
    if !sampled.iter().any(|&sampled| sampled) {
        let advice = "give a mask that is not zero where k-space is measured";
        return Err(Error::value("mask", "a measured place", "none", advice));
    }
    let mut encoding = Encoding::full(grid.into(), [1.0; 3]);
    encoding.sampling = Sampling::Mask(sampled.clone());
    let operator = encoding.operator()?;
    let complex = image.index_axis(Axis(0), 0).mapv(|x| Complex32::new(x, 0.0));
    let samples = &operator * complex.into_dyn();
    let initial = super::super::pair(&three(&operator.adjoint() * samples.clone()));
    Ok(with_samples(encoding, samples, initial))
}
