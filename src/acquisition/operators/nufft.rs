//! The non-uniform Fourier transform: an image's spectrum at any points, by gridding.
//!
//! `y_m = N^(−½) Σ_v x_v exp(−2πi Σ_a k_ma (v_a − ⌊n_a/2⌋)/n_a)` over the transformed axes a, of N voxels in all: at
//! whole-numbered points it is [`super::super::fourier`]. The image is divided by the kernel's transform, padded to a
//! finer grid, transformed, and interpolated (Fessler & Sutton 2003; Beatty, Nishimura & Pauly 2005). The adjoint is
//! the same steps transposed, with the same weights.

use ndarray::{Array2, ArrayD, ArrayView2, ArrayViewD, Axis};
use rayon::prelude::*;

use super::crop::centred;
use super::gridding::{Gridding, gridding};
use super::kaiser_bessel::KaiserBessel;
use crate::acquisition::fourier::{fft, ifft};
use crate::acquisition::linear::LinearOperator;
use crate::acquisition::{Complex32, ComplexArray};
use crate::error::{Error, Result};

/// The accuracy of gridding: kernel width and oversampling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accuracy {
    /// Places that a point is interpolated from along each axis, 3 to 8.
    pub width: usize,
    /// How much finer than the image's spectrum the grid is, 1.25 to 2.
    pub oversampling: f64,
}

impl Default for Accuracy {
    /// Errors of 10⁻⁵ of the largest sample, and of some 10⁻⁵ of the largest voxel in the adjoint, whose border is what
    /// is divided by the smallest numbers.
    fn default() -> Self {
        Self { width: 7, oversampling: 1.5 }
    }
}

/// The non-uniform transform of images `[coils, D, H, W]` at one set of points.
///
/// In a volume all three axes are transformed: `[coils, 1, 1, samples]`. In slices H and W are, and every slice along D
/// is sampled at the same points: `[coils, D, 1, samples]`.
pub struct Nufft {
    input: [usize; 4],
    output: [usize; 4],
    /// The first of the transformed axes: 0 in a volume, 1 in slices.
    first: usize,
    grid: [usize; 3],
    /// What each axis of the image is multiplied by.
    scales: [Vec<f32>; 3],
    points: Box<dyn Gridding>,
}

impl Nufft {
    /// The transform of images of shape `[coils, D, H, W]` at `points` `[samples, 3]`, which are in cycles per field of
    /// view along (D, H, W), between −n/2 and n/2; in slices (`volume` is false) those along D are ignored.
    ///
    /// # Errors
    /// [`Error::Value`] if there is no point, one is not finite, or the accuracy is out of its range.
    pub fn new(image: [usize; 4], volume: bool, points: ArrayView2<f32>, accuracy: Accuracy) -> Result<Self> {
        let [coils, d, h, w] = image;
        // One voxel along D has no phase to tell: such a volume is a slice.
        let first = usize::from(!volume || d == 1);
        let mut grid = [1, 1, 1];
        let mut scales = [const { Vec::new() }; 3];
        let Accuracy { width, oversampling } = accuracy;
        if !(1.25..=2.0).contains(&oversampling) {
            let found = oversampling.to_string();
            return Err(Error::value("accuracy.oversampling", "1.25 to 2", found, "1.5 gives 1e-5"));
        }
        if points.ncols() != 3 || points.nrows() == 0 {
            let found = format!("{:?}", points.dim());
            return Err(Error::value(
                "trajectory",
                "points [samples, 3]",
                found,
                "give D, H and W of each point",
            ));
        }
        if let Some(at) = points.iter().position(|k| !k.is_finite()) {
            let found = format!("{} at sample {}", points[[at / 3, at % 3]], at / 3);
            return Err(Error::value("trajectory", "finite numbers", found, "repair the trajectory"));
        }
        let kernel = KaiserBessel::new(width, oversampling);
        for axis in first..3 {
            let n = image[axis + 1];
            let m = (oversampling * n as f64).ceil() as usize;
            grid[axis] = m;
            let scale = |v: usize| {
                let frequency = (v as f64 - (n / 2) as f64) / m as f64;
                ((m as f64 / n as f64).sqrt() / kernel.transformed(frequency)) as f32
            };
            scales[axis] = (0..n).map(scale).collect();
        }
        let places = Array2::from_shape_fn(points.dim(), |(sample, axis)| {
            let ratio = grid[axis] as f64 / image[axis + 1] as f64;
            f64::from(points[[sample, axis]]) * ratio + (grid[axis] / 2) as f64
        });
        let Some(gridded) = gridding(grid, places.view(), width, oversampling) else {
            let found = width.to_string();
            return Err(Error::value("accuracy.width", "3 to 8 places", found, "7 gives 1e-5"));
        };
        let output = [coils, if first == 0 { 1 } else { d }, 1, points.nrows()];
        Ok(Self { input: [coils, d, h, w], output, first, grid, scales, points: gridded })
    }

    /// The finer grid along D, H and W; one place along an axis that is not transformed.
    pub fn grid(&self) -> [usize; 3] {
        self.grid
    }

    /// The first of the transformed axes D, H, W.
    pub fn first_axis(&self) -> usize {
        self.first
    }

    /// What each voxel along D, H and W is multiplied by before the orthonormal transform on the finer grid.
    pub fn scales(&self) -> &[Vec<f32>; 3] {
        &self.scales
    }

    /// The interpolation from the finer grid.
    pub fn gridding(&self) -> &dyn Gridding {
        &*self.points
    }

    /// The axes of one image that are transformed, and the shape of such an image.
    fn image(&self) -> &[usize] {
        &self.input[1 + self.first..]
    }

    fn scale(&self, x: &mut ComplexArray) {
        for axis in self.first..3 {
            let lanes = x.axis_iter_mut(Axis(axis - self.first)).into_par_iter();
            lanes.zip(&self.scales[axis]).for_each(|(mut plane, &scale)| plane.mapv_inplace(|z| z * scale));
        }
    }

    /// The samples of one image.
    fn forward(&self, x: ArrayViewD<Complex32>) -> Vec<Complex32> {
        let mut x = x.to_owned();
        self.scale(&mut x);
        // Axis by axis, so that what padding would add along the others is not transformed yet.
        for axis in (0..x.ndim()).rev() {
            let mut shape = x.shape().to_vec();
            shape[axis] = self.grid[self.first + axis];
            x = centred(x, &shape);
            fft(&mut x, &[axis]);
        }
        self.points.interpolate(x.as_slice().expect("the grid is in standard layout"))
    }

    /// The transpose of [`Nufft::forward`].
    fn backward(&self, samples: &[Complex32]) -> ComplexArray {
        let grid = self.points.spread(samples);
        let mut x = ArrayD::from_shape_vec(&self.grid[self.first..], grid).expect("the grid's places");
        for axis in 0..x.ndim() {
            ifft(&mut x, &[axis]);
            let mut shape = x.shape().to_vec();
            shape[axis] = self.image()[axis];
            x = centred(x, &shape);
        }
        self.scale(&mut x);
        x
    }

    /// `act` for every image: in parallel where images are small, one after the other where each fills the memory.
    fn each<T: Send>(&self, act: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
        let count: usize = self.input[..=self.first].iter().product();
        if self.first == 0 {
            (0..count).map(act).collect()
        } else {
            (0..count).into_par_iter().map(act).collect()
        }
    }
}

impl LinearOperator for Nufft {
    fn input_shape(&self) -> &[usize] {
        &self.input
    }

    fn output_shape(&self) -> &[usize] {
        &self.output
    }

    fn forward(&self, x: ComplexArray) -> ComplexArray {
        assert_eq!(x.shape(), self.input, "the image to transform");
        let x = x.as_standard_layout();
        let images = x.to_shape(batched(&self.input, self.first)).expect("the same voxels");
        let samples = self.each(|image| self.forward(images.index_axis(Axis(0), image))).concat();
        ArrayD::from_shape_vec(&self.output[..], samples).expect("as many samples as points")
    }

    fn adjoint(&self, y: ComplexArray) -> ComplexArray {
        assert_eq!(y.shape(), self.output, "the samples");
        let y = y.as_standard_layout();
        let samples = y.as_slice().expect("samples are in standard layout");
        let count = self.output[3];
        let images = self.each(|image| self.backward(&samples[image * count..(image + 1) * count]));
        let voxels = images.into_iter().flat_map(|image| image.into_raw_vec_and_offset().0).collect();
        ArrayD::from_shape_vec(&self.input[..], voxels).expect("as many voxels as before")
    }
}

/// `[coils, D, H, W]` with all axes before the transformed ones as one.
pub(super) fn batched(shape: &[usize; 4], first: usize) -> Vec<usize> {
    let mut batched = vec![shape[..=first].iter().product()];
    batched.extend(&shape[first + 1..]);
    batched
}
