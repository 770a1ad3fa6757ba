//! The normal operator of a non-uniform Fourier transform as a convolution.
//!
//! `AᴴA` depends on two voxels by their difference alone, so that it is a convolution with the trajectory's point-spread
//! function: a product on a grid of twice the size (Fessler et al. 2005, "Toeplitz-based iterative image reconstruction").

use ndarray::{Array2, ArrayD, ArrayView2, Axis, Zip};

use super::super::fourier::{fft, ifft};
use super::super::linear::Linear;
use super::super::{Complex32, ComplexArray};
use super::crop::centred;
use super::nufft::{Accuracy, Nufft, batched};
use crate::error::{Error, Result};

/// `Aᴴ·diag(w)·A` of the transform A of images `[coils, D, H, W]`; its own adjoint.
pub struct Toeplitz {
    shape: [usize; 4],
    /// The first of the transformed axes D, H, W.
    first: usize,
    /// What the spectrum on the doubled grid is multiplied by.
    spectrum: ArrayD<f32>,
}

impl Toeplitz {
    /// For `points` as in [`Nufft::new`], each weighted by its entry of `weights`, by one where there are none.
    ///
    /// # Errors
    /// As [`Nufft::new`], and if there are not as many weights as points.
    pub fn new(
        image: [usize; 4],
        volume: bool,
        points: ArrayView2<f32>,
        weights: Option<&[f32]>,
        accuracy: Accuracy,
    ) -> Result<Self> {
        let first = usize::from(!volume || image[1] == 1);
        let mut doubled = image.map(|n| 2 * n);
        doubled[..=first].fill(1);
        // Voxels of the doubled grid lie as far apart as those of the image: its field of view holds twice the cycles.
        let points: Array2<f32> = points.mapv(|k| 2.0 * k);
        let samples = match weights {
            Some(weights) if weights.len() != points.nrows() => {
                let (expected, found) = (format!("{} of them", points.nrows()), weights.len().to_string());
                return Err(Error::value("weights", expected, found, "give one a sample"));
            }
            Some(weights) => weights.iter().map(|&weight| Complex32::from(weight)).collect(),
            None => vec![Complex32::ONE; points.nrows()],
        };
        let nufft = Nufft::new(doubled, volume, points.view(), accuracy)?;
        let samples = ArrayD::from_shape_vec(nufft.output_shape(), samples).expect("a sample a point");
        let spread = nufft.adjoint(samples);
        let mut spread = spread.into_shape_with_order(&doubled[first + 1..]).expect("the same voxels");
        let axes: Vec<usize> = (0..spread.ndim()).collect();
        // The first difference along an axis has no opposite and does not occur; without it the spectrum is real.
        axes.iter().for_each(|&axis| spread.index_axis_mut(Axis(axis), 0).fill(Complex32::ZERO));
        fft(&mut spread, &axes);
        // Twice the orthonormal transform's factor: of the point spread and of the convolution; over the image's voxels.
        let [places, voxels] =
            [&doubled, &image].map(|shape| shape[first + 1..].iter().product::<usize>() as f64);
        let scale = (places / voxels) as f32;
        Ok(Self { shape: image, first, spectrum: spread.mapv(|z| z.re * scale) })
    }
}

impl Linear for Toeplitz {
    fn input_shape(&self) -> &[usize] {
        &self.shape
    }

    fn output_shape(&self) -> &[usize] {
        &self.shape
    }

    fn apply(&self, x: ComplexArray) -> ComplexArray {
        assert_eq!(x.shape(), self.shape, "the image to convolve");
        let x = x.as_standard_layout();
        let mut images = x.to_shape(batched(&self.shape, self.first)).expect("the same voxels").to_owned();
        let shape = &self.shape[self.first + 1..];
        for mut image in images.outer_iter_mut() {
            let mut x = image.to_owned();
            for axis in (0..x.ndim()).rev() {
                let mut padded = x.shape().to_vec();
                padded[axis] *= 2;
                x = centred(x, &padded);
                fft(&mut x, &[axis]);
            }
            Zip::from(&mut x).and(&self.spectrum).par_for_each(|z, &weight| *z *= weight);
            for axis in 0..x.ndim() {
                ifft(&mut x, &[axis]);
                let mut cut = x.shape().to_vec();
                cut[axis] = shape[axis];
                x = centred(x, &cut);
            }
            image.assign(&x);
        }
        images.into_shape_with_order(&self.shape[..]).expect("the same voxels").into_dyn()
    }

    fn adjoint(&self, y: ComplexArray) -> ComplexArray {
        self.apply(y)
    }
}

/// A non-uniform transform whose normal operator is its [`Toeplitz`] convolution, by transforms of twice the size instead of
/// gridding.
pub struct ToeplitzNufft {
    nufft: Nufft,
    normal: Toeplitz,
}

impl ToeplitzNufft {
    /// As [`Nufft::new`], which also tells the arguments.
    ///
    /// # Errors
    /// As [`Nufft::new`].
    pub fn new(image: [usize; 4], volume: bool, points: ArrayView2<f32>, accuracy: Accuracy) -> Result<Self> {
        let normal = Toeplitz::new(image, volume, points, None, accuracy)?;
        Ok(Self { nufft: Nufft::new(image, volume, points, accuracy)?, normal })
    }
}

impl Linear for ToeplitzNufft {
    fn input_shape(&self) -> &[usize] {
        self.nufft.input_shape()
    }

    fn output_shape(&self) -> &[usize] {
        self.nufft.output_shape()
    }

    fn apply(&self, x: ComplexArray) -> ComplexArray {
        self.nufft.apply(x)
    }

    fn adjoint(&self, y: ComplexArray) -> ComplexArray {
        self.nufft.adjoint(y)
    }

    fn normal(&self, x: ComplexArray) -> ComplexArray {
        self.normal.apply(x)
    }
}
