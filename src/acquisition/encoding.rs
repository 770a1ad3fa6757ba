//! A measurement in plain data, from which its operator is built: on the host here, on a device by the heads.
//!
//! An image `x` `[D, H, W]` is measured as `y = Σ_s P_s·F·C·Z·B·M_s·x`: `M_s` moves it to its position at shot s; `B`
//! blurs it into slices; `Z` pads it to the encoded field of view; `C` weights it by the coils; `F` is the
//! Fourier transform over some axes, Cartesian or along a trajectory; and `P_s` keeps what shot s measured. Any of them
//! may be missing.

use ndarray::{Array2, Array3, Array4};
use serde::{Deserialize, Serialize};

use super::fourier::Fourier;
use super::linear::{LinearOperator, Operator};
use super::operators::array;
use super::operators::cartesian::Cartesian;
use super::operators::crop::Crop;
use super::operators::nufft::{Accuracy, Nufft};
use super::operators::sampled::Sampled;
use super::operators::sensitivities::Sensitivities;
use super::operators::shots::{Shots, motion_encoded};
use super::operators::slice_profile::{SliceProfile, Sliced};
use super::{Complex32, ComplexArray};
use crate::error::{Error, Result};

/// How an image was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoding {
    /// Voxels of the image, `[D, H, W]`.
    pub shape: [usize; 3],
    /// Size of a voxel along `(i, j, k) = (W, H, D)` in millimetres.
    pub spacing_mm: [f64; 3],
    /// Motion between shots.
    #[serde(default)]
    pub shots: Option<Shots>,
    /// Thick slices.
    #[serde(default)]
    pub slice_profile: Option<SliceProfile>,
    /// The grid `[D, H, W]` of the encoded field of view, which the image (or its slices) is padded with zeros to, or
    /// cut to, about its centre: readout oversampling and the like.
    #[serde(default)]
    pub encoded: Option<[usize; 3]>,
    /// Sensitivities of the coils on the encoded grid, `[coils, D, H, W]`; `None`: one coil of sensitivity 1.
    #[serde(default, with = "maps")]
    pub coil_maps: Option<Array4<Complex32>>,
    /// Which of the axes D, H, W are Fourier-transformed.
    pub transformed: [bool; 3],
    /// What is measured of the spectrum.
    pub sampling: Sampling,
}

/// The measured part of the spectrum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Sampling {
    /// All of the Cartesian grid.
    Full,
    /// Places of the Cartesian grid, `[D, H, W]`.
    Mask(#[serde(with = "array")] Array3<bool>),
    /// Points `[samples, 3]` in cycles per encoded field of view along (D, H, W), −n/2 to n/2: those of a volume, or,
    /// where D is not transformed, those of every slice.
    Trajectory(#[serde(with = "array")] Array2<f32>),
}

impl Encoding {
    /// The fully sampled encoding of an image `[D, H, W]`: one coil with sensitivity one, all axes longer than one
    /// transformed.
    pub fn full(shape: [usize; 3], spacing_mm: [f64; 3]) -> Self {
        Self {
            shape,
            spacing_mm,
            shots: None,
            slice_profile: None,
            encoded: None,
            coil_maps: None,
            transformed: shape.map(|length| length > 1),
            sampling: Sampling::Full,
        }
    }

    /// The grid `[D, H, W]` of the slices: the image's where there is no slice profile.
    pub fn sliced(&self) -> [usize; 3] {
        self.slice_profile.as_ref().map_or(self.shape, |profile| profile.output(self.shape))
    }

    /// The grid `[D, H, W]` that is encoded.
    pub fn grid(&self) -> [usize; 3] {
        self.encoded.unwrap_or_else(|| self.sliced())
    }

    /// The number of receive coils.
    pub fn coils(&self) -> usize {
        self.coil_maps.as_ref().map_or(1, |maps| maps.dim().0)
    }

    /// The transformed axes, 0, 1, 2 for D, H, W.
    pub fn axes(&self) -> Vec<usize> {
        (0..3).filter(|&axis| self.transformed[axis]).collect()
    }

    /// Whether the parts of the description fit together.
    ///
    /// # Errors
    /// [`Error::Value`] with the key that does not fit. A trajectory's points are checked by [`Encoding::nufft`].
    pub fn check(&self) -> Result<()> {
        let shape = |key: &str, shape: [usize; 3]| match shape.contains(&0) {
            true => {
                let found = format!("{shape:?}");
                Err(Error::value(key, "at least one voxel along D, H and W", found, "give the whole shape"))
            }
            false => Ok(()),
        };
        shape("shape", self.shape)?;
        if let Some(profile) = &self.slice_profile {
            profile.check(self.shape)?;
        }
        if let Some(encoded) = self.encoded {
            shape("encoded", encoded)?;
        }
        let grid = self.grid();
        if let Some(maps) = &self.coil_maps
            && (maps.shape()[1..] != grid || maps.dim().0 == 0)
        {
            let (expected, found) =
                (format!("[coils, D, H, W] on the grid {grid:?}"), format!("{:?}", maps.dim()));
            return Err(Error::value("coil_maps", expected, found, "estimate them on the encoded grid"));
        }
        match &self.sampling {
            Sampling::Full => {}
            Sampling::Mask(mask) if mask.shape() == grid => {}
            Sampling::Mask(mask) => {
                let (expected, found) = (format!("{grid:?}, the encoded grid"), format!("{:?}", mask.dim()));
                return Err(Error::value(
                    "sampling.mask",
                    expected,
                    found,
                    "make the mask on the encoded grid",
                ));
            }
            Sampling::Trajectory(_) if matches!(self.transformed, [_, true, true]) => {}
            Sampling::Trajectory(_) => {
                let expected = "H and W, and D of a volume, along a trajectory";
                let found = format!("{:?}", self.transformed);
                let advice = "turn the volume so that slices lie along D";
                return Err(Error::value("transformed", expected, found, advice));
            }
        }
        self.shots.as_ref().map_or(Ok(()), |shots| shots.check(&self.places()))
    }

    /// The places `[D, H, W]` that each coil measures.
    fn places(&self) -> [usize; 3] {
        match &self.sampling {
            Sampling::Trajectory(points) if self.transformed[0] => [1, 1, points.nrows()],
            Sampling::Trajectory(points) => [self.grid()[0], 1, points.nrows()],
            _ => self.grid(),
        }
    }

    /// The non-uniform transform, where the encoding has a trajectory.
    ///
    /// # Errors
    /// As [`Nufft::new`].
    pub fn nufft(&self) -> Result<Option<Nufft>> {
        let Sampling::Trajectory(points) = &self.sampling else {
            return Ok(None);
        };
        let [d, h, w] = self.grid();
        let image = [self.coils(), d, h, w];
        Nufft::new(image, self.transformed[0], points.view(), Accuracy::default()).map(Some)
    }

    /// The operator from images `[D, H, W]` to measurements: `[coils, D, H, W]`, zero where nothing was measured; along
    /// a trajectory `[coils, 1, 1, samples]`, or `[coils, D, 1, samples]` where D is not transformed.
    ///
    /// # Errors
    /// [`Error::Value`] with the key that does not fit, and as [`Nufft::new`] and [`motion_encoded`].
    pub fn operator(&self) -> Result<Operator> {
        self.check()?;
        let still = self.still()?;
        match &self.shots {
            Some(shots) => motion_encoded(&still, shots, self.spacing_mm),
            None => Ok(still),
        }
    }

    /// The operator for an image that does not move.
    fn still(&self) -> Result<Operator> {
        let [d, h, w] = self.grid();
        let (sliced, grid, coils) = (self.sliced(), self.grid(), [self.coils(), d, h, w]);
        let axes: Vec<usize> = self.axes().iter().map(|axis| axis + 1).collect();
        if let (Sampling::Mask(mask), true) =
            (&self.sampling, self.slice_profile.is_none() && grid == self.shape)
        {
            let maps = self.coil_maps.clone().unwrap_or_else(|| Array4::ones(coils));
            return Ok(Operator::new(Cartesian::new(maps, mask.clone(), &axes)));
        }
        let mut operator = Operator::new(Crop::new(&sliced, &grid));
        if let Some(profile) = &self.slice_profile {
            operator = &operator * &Operator::new(Sliced::new(self.shape, profile)?);
        }
        let seen = match &self.coil_maps {
            Some(maps) => Operator::new(Sensitivities::new(maps.clone())),
            None => Operator::new(OneCoil { image: grid, coils }),
        };
        let transform = match self.nufft()? {
            Some(nufft) => Operator::new(nufft),
            None => Operator::new(Fourier::new(&coils, &axes)),
        };
        operator = &transform * &(&seen * &operator);
        if let Sampling::Mask(mask) = &self.sampling {
            operator = &Operator::new(Sampled::new(mask.clone(), coils[0])) * &operator;
        }
        Ok(operator)
    }
}

/// An image `[D, H, W]` as that of one coil of sensitivity 1, `[1, D, H, W]`.
struct OneCoil {
    image: [usize; 3],
    coils: [usize; 4],
}

impl LinearOperator for OneCoil {
    fn input_shape(&self) -> &[usize] {
        &self.image
    }

    fn output_shape(&self) -> &[usize] {
        &self.coils
    }

    fn forward(&self, x: ComplexArray) -> ComplexArray {
        assert_eq!(x.shape(), self.image, "the image of one coil");
        x.insert_axis(ndarray::Axis(0))
    }

    fn adjoint(&self, y: ComplexArray) -> ComplexArray {
        assert_eq!(y.shape(), self.coils, "one coil's image");
        y.index_axis_move(ndarray::Axis(0), 0)
    }

    fn normal(&self, x: ComplexArray) -> ComplexArray {
        x
    }
}

/// Coil maps as their shape and pairs of real and imaginary part.
mod maps {
    use ndarray::{Array4, ArrayD, Ix4};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Complex32, array};

    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct Pairs(#[serde(with = "array")] ArrayD<[f32; 2]>);

    pub fn serialize<S: Serializer>(maps: &Option<Array4<Complex32>>, to: S) -> Result<S::Ok, S::Error> {
        maps.as_ref().map(|maps| Pairs(maps.mapv(|z| [z.re, z.im]).into_dyn())).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Array4<Complex32>>, D::Error> {
        let pairs: Option<Pairs> = Deserialize::deserialize(from)?;
        let maps = pairs
            .map(|Pairs(pairs)| pairs.mapv(|[re, im]| Complex32::new(re, im)).into_dimensionality::<Ix4>());
        maps.transpose().map_err(serde::de::Error::custom)
    }
}
