//! A restoration problem: as plain data on the host, and as tensors on a device.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use ndarray::{Array3, Array4, Axis, s};
use rand::{Rng, RngExt};

use super::Measured;
use crate::acquisition::ComplexArray;
use crate::acquisition::encoding::Encoding;
use crate::acquisition::operators::slice_profile::SliceProfile;
use crate::anatomy::shape::{Connectivity, components};
use crate::convert::image_to_tensor;
use crate::error::{Error, Result};
use crate::ops::VolumeOps;
use crate::recon;
use crate::simulate::synthesis::LabelMap;

/// A restoration problem as plain data: the network's input, an initial estimate, and the measurement.
#[derive(Clone, Debug)]
pub struct Case {
    /// The network's input, `[C, D, H, W]`.
    pub input: Array4<f32>,
    /// The initial estimate on the result's grid, `[C, D, H, W]`: a classical reconstruction of the measurement.
    pub initial: Array4<f32>,
    /// The vector that modulates the network's layers; empty for a network without a condition.
    pub condition: Vec<f32>,
    /// The measurement that the result must be consistent with.
    pub measurement: Measurement,
    /// The number that all values were divided by; one for images that were scaled before.
    pub scale: f32,
}

/// A user's input to a head.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Input<'a, 'k> {
    /// An image `[C, D, H, W]`, and how many times coarser than the result it is along `[D, H, W]`.
    Coarse(&'a Array4<f32>, [usize; 3]),
    /// An image `[C, D, H, W]`, and the mask `[D, H, W]` of its known voxels.
    Torn(&'a Array4<f32>, &'a Array3<bool>),
    /// An image `[C, D, H, W]`.
    Image(&'a Array4<f32>),
    /// An image `[C, D, H, W]`, the years from it to the result, and the person's group; `None` for the first group.
    Earlier(&'a Array4<f32>, f64, Option<&'a str>),
    /// k-space.
    Kspace(&'a recon::Problem<'k>),
}

impl Input<'_, '_> {
    /// Weights of the head `name` restore something else than this.
    pub(super) fn of_another(self, name: &str) -> Error {
        let needed = match self {
            Self::Coarse(..) => "superres",
            Self::Torn(..) => "inpaint",
            Self::Image(_) => "motion or translate",
            Self::Earlier(..) => "progress",
            Self::Kspace(_) => "recon, or motion with known = true of a head whose motion is known",
        };
        Error::value("head", needed, name, "give weights of that head")
    }
}

/// The source of a training example.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// A true image `[C, D, H, W]`, scaled so that its brightest tissue is one.
    Scan(&'a Array4<f32>),
    /// A label map of a head, from which images are simulated.
    Labels(&'a LabelMap),
}

impl<'a> Subject<'a> {
    /// The image.
    ///
    /// # Errors
    /// [`Error::Value`] for labels.
    pub fn scan(self) -> Result<&'a Array4<f32>> {
        match self {
            Self::Scan(image) => Ok(image),
            Self::Labels(map) => {
                let advice = "give a dataset that `voxgan prepare` made";
                Err(Error::value("data", "images", format!("the label map {}", map.name), advice))
            }
        }
    }

    /// The label map.
    ///
    /// # Errors
    /// [`Error::Value`] for an image.
    pub fn labels(self) -> Result<&'a LabelMap> {
        match self {
            Self::Labels(map) => Ok(map),
            Self::Scan(_) => {
                Err(Error::value("data", "label maps", "images", "give a folder of whole-head label maps"))
            }
        }
    }
}

/// A training example: a case and its solution.
#[derive(Clone, Debug)]
pub struct Example {
    /// The problem.
    pub case: Case,
    /// Its solution, `[C, D, H, W]`.
    pub truth: Array4<f32>,
}

/// A measurement that a result can be made consistent with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Measurement {
    /// No measurement, and so no data consistency.
    Nothing,
    /// No measurement, but the result is zero outside a mask, as where a skull was removed.
    Mask {
        /// The mask, true inside, `[D, H, W]`.
        shown: Array3<bool>,
    },
    /// Means over several voxels of the result along some axes.
    Means {
        /// The slice profile of a measured voxel along each axis that is coarser.
        profiles: Vec<SliceProfile>,
        /// The means, `[C, D, H, W]`.
        values: Array4<f32>,
    },
    /// The values of some voxels.
    Voxels {
        /// The mask of the measured voxels, `[D, H, W]`.
        known: Array3<bool>,
        /// Their values, `[C, D, H, W]`; values elsewhere are ignored.
        values: Array4<f32>,
    },
    /// k-space of a complex image, whose real and imaginary part are two channels.
    Kspace {
        /// The encoding of the measurement.
        encoding: Box<Encoding>,
        /// The samples, in the shape of the output of [`Encoding::operator`].
        samples: ComplexArray,
    },
}

/// A [`Case`] on a device, of one sample.
#[derive(Clone, Debug)]
pub struct Problem<B: VolumeOps> {
    /// The network's input, `[1, C, D, H, W]`.
    pub input: Tensor<B, 5>,
    /// The initial estimate, `[1, C, D, H, W]`.
    pub initial: Tensor<B, 5>,
    /// The condition, `[1, length]`; `None` for a network without one.
    pub condition: Option<Tensor<B, 2>>,
    /// The measurement that the result must be consistent with.
    pub measured: Measured<B>,
}

impl<B: VolumeOps> Problem<B> {
    /// The problem of `case` on `device`.
    ///
    /// # Errors
    /// As [`Measured::new`].
    pub fn new(case: &Case, device: &B::Device) -> Result<Self> {
        Ok(Self::with_measurement(
            case,
            Measured::new(&case.measurement, case.initial.dim(), device)?,
            device,
        ))
    }

    /// The problem of an image `[1, C, D, H, W]` without a measurement, and so without data consistency.
    pub fn unconstrained(image: Tensor<B, 5>) -> Self {
        Self { input: image.clone(), initial: image, condition: None, measured: Measured::Nothing }
    }

    /// The same with a measurement that is on the device already.
    pub(super) fn with_measurement(case: &Case, measured: Measured<B>, device: &B::Device) -> Self {
        let [input, initial] = [&case.input, &case.initial].map(|image| image_to_tensor(image, device));
        Self { input, initial, condition: case.condition_on(device), measured }
    }
}

impl Case {
    /// The case of an image `[C, D, H, W]` without a measurement, and so without data consistency.
    pub fn unconstrained(image: Array4<f32>) -> Self {
        let input = image.clone();
        let measurement = Measurement::Nothing;
        Self { input, initial: image, condition: Vec::new(), measurement, scale: 1.0 }
    }

    /// The case of an image `[C, D, H, W]` without a measurement whose result is zero outside the head: in the largest
    /// connected component of zeros, if that reaches the grid's border, as after skull-stripping.
    pub fn cut_out(image: Array4<f32>) -> Self {
        let measurement = shown(&image).map_or(Measurement::Nothing, |shown| Measurement::Mask { shown });
        Self { measurement, ..Self::unconstrained(image) }
    }

    /// The case with all values divided by `scale`.
    pub(super) fn scaled(mut self, scale: f32) -> Self {
        for image in [&mut self.input, &mut self.initial] {
            image.mapv_inplace(|x| x / scale);
        }
        match &mut self.measurement {
            Measurement::Nothing | Measurement::Mask { .. } => {}
            Measurement::Means { values, .. } | Measurement::Voxels { values, .. } => {
                values.mapv_inplace(|x| x / scale);
            }
            Measurement::Kspace { samples, .. } => samples.mapv_inplace(|k| k / scale),
        }
        Self { scale: self.scale * scale, ..self }
    }

    /// The condition `[1, length]`; none without.
    pub(super) fn condition_on<B: Backend>(&self, device: &B::Device) -> Option<Tensor<B, 2>> {
        let length = self.condition.len();
        (length > 0).then(|| Tensor::from_data(TensorData::new(self.condition.clone(), [1, length]), device))
    }
}

/// What an image `[C, D, H, W]` shows, `[D, H, W]`: all but its largest piece of zeros, if that reaches the grid's
/// border, as where a skull was removed; none where there is no such piece.
fn shown(image: &Array4<f32>) -> Option<Array3<bool>> {
    let dark = image.map_axis(Axis(0), |channels| channels.iter().all(|&x| x == 0.0));
    let outside = components(&dark, Connectivity::Faces).mask(0);
    let ends = [0, 1, 2].map(|axis| outside.shape()[axis] - 1);
    let at_border = |(z, y, x)| [z, y, x].iter().zip(ends).any(|(&at, end)| at == 0 || at == end);
    let reaches = outside.indexed_iter().any(|(at, &outside)| outside && at_border(at));
    reaches.then(|| outside.mapv(|outside| !outside))
}

/// A part of this grid at a place that is drawn, its centre on what is not background where a few tries find that.
pub(super) fn part(image: &Array4<f32>, patch: [usize; 3], rng: &mut impl Rng) -> Result<Array4<f32>> {
    Ok(part_at(image, patch, rng)?.0)
}

/// [`part`] and its first voxel.
pub(super) fn part_at(
    image: &Array4<f32>,
    patch: [usize; 3],
    rng: &mut impl Rng,
) -> Result<(Array4<f32>, [usize; 3])> {
    const TRIES: usize = 20;
    /// What counts as background.
    const DARK: f32 = 0.1;
    let (_, d, h, w) = image.dim();
    let shape = [d, h, w];
    if (0..3).any(|axis| patch[axis] > shape[axis]) {
        let advice = "lower training.patch, or prepare larger volumes";
        return Err(Error::value(
            "training.patch",
            format!("at most {shape:?}"),
            format!("{patch:?}"),
            advice,
        ));
    }
    let mut first = [0; 3];
    for _ in 0..TRIES {
        first = [0, 1, 2].map(|axis| rng.random_range(0..=shape[axis] - patch[axis]));
        let [z, y, x] = [0, 1, 2].map(|axis| first[axis] + patch[axis] / 2);
        if image[(0, z, y, x)] > DARK {
            break;
        }
    }
    let [z, y, x] = first;
    let part = image.slice(s![.., z..z + patch[0], y..y + patch[1], x..x + patch[2]]).to_owned();
    Ok((part, first))
}
