//! [`Encoding::operator`] as tensor operations on a device.

use burn::tensor::Tensor;

use super::{Along, Coils, Gridded, Matrix, Motion, Selection, centred};
use crate::acquisition::encoding::{Encoding, Sampling};
use crate::acquisition::operators::motion::Moved;
use crate::error::Result;
use crate::ops::VolumeOps;

/// The operator of an encoding on complex tensors: images `[N, 2, D, H, W]` to measurements `[N, 2·C, D, H, W]`, in the
/// layout of [`crate::ops::physics`]; it is [`Encoding::operator`] of every sample, differentiable to any order.
#[derive(Clone, Debug)]
pub struct Encoder<B: VolumeOps> {
    image: [usize; 3],
    sliced: [usize; 3],
    grid: [usize; 3],
    shots: Vec<(Motion<B>, Selection<B>)>,
    slice_profile: Option<Along<B>>,
    coils: Option<Coils<B>>,
    /// Transforms along the axes, the first acts first.
    transforms: Vec<Along<B>>,
    mask: Option<Selection<B>>,
    trajectory: Option<Gridded<B>>,
}

impl<B: VolumeOps> Encoder<B> {
    /// The operator of `encoding` on `device`.
    ///
    /// # Errors
    /// As [`Encoding::operator`].
    pub fn new(encoding: &Encoding, device: &B::Device) -> Result<Self> {
        encoding.check()?;
        let selection = |places: &ndarray::Array3<bool>| {
            Selection::new(places.iter().copied(), places.dim().into(), device)
        };
        let slice_profile = encoding.slice_profile.as_ref().map(|profile| {
            let length = encoding.shape[profile.axis];
            let matrix = profile.matrix(length);
            let values: Vec<f32> = matrix.iter().copied().collect();
            Along::new(&Matrix::real(&values, length), profile.axis + 2, device)
        });
        let coils = encoding.coil_maps.as_ref().map(|maps| {
            let parts = [maps.iter().map(|z| z.re).collect(), maps.iter().map(|z| z.im).collect()];
            Coils::new(parts, maps.dim().into(), device)
        });
        let grid = encoding.grid();
        let mut transforms = Vec::new();
        let mut trajectory = None;
        if let Some(nufft) = encoding.nufft()? {
            for axis in nufft.first_axis()..3 {
                let matrix = Matrix::padded_fourier(nufft.grid()[axis], &nufft.scales()[axis]);
                transforms.push(Along::new(&matrix, axis + 2, device));
            }
            let (firsts, weights) = nufft.gridding().places();
            trajectory = Some(Gridded::new(nufft.grid(), &firsts, &weights, device));
        } else {
            let along = |axis: usize| Along::new(&Matrix::fourier(grid[axis]), axis + 2, device);
            transforms.extend(encoding.axes().into_iter().map(along));
        }
        let mask = match &encoding.sampling {
            Sampling::Mask(mask) => Some(selection(mask)),
            Sampling::Full | Sampling::Trajectory(_) => None,
        };
        let mut shots = Vec::new();
        if let Some(given) = &encoding.shots {
            for (rigid, shot) in given.transforms.iter().zip(0..) {
                let places = given.shot_of.mapv(|of| of == shot);
                if places.iter().any(|&measured| measured) {
                    let moved = Moved::new(encoding.shape, rigid, encoding.spacing_mm)?;
                    let motion = Motion::new(moved.passes(), moved.inside().map(selection));
                    shots.push((motion, selection(&places)));
                }
            }
        }
        let (image, sliced) = (encoding.shape, encoding.sliced());
        Ok(Self { image, sliced, grid, shots, slice_profile, coils, transforms, mask, trajectory })
    }

    /// Whether `A·Aᴴ` leaves samples unchanged, so that `Aᴴ` is the pseudo-inverse: Cartesian sampling by one coil,
    /// without motion, slice profile and padding.
    pub fn is_isometric(&self) -> bool {
        self.shots.is_empty()
            && self.slice_profile.is_none()
            && self.coils.is_none()
            && self.trajectory.is_none()
            && self.grid == self.image
    }

    /// `A·x`: `[N, 2, D, H, W]` → `[N, 2·C, D, H, W]`; along a trajectory `[N, 2·C, 1, 1, samples]`, or
    /// `[N, 2·C, D, 1, samples]` where D is not transformed.
    ///
    /// # Panics
    /// If `x` has another shape than `[N, 2, D, H, W]` with the encoding's `[D, H, W]`.
    pub fn apply(&self, x: Tensor<B, 5>) -> Tensor<B, 5> {
        assert_eq!((x.dims()[1], &x.dims()[2..]), (2, &self.image[..]), "the image to encode");
        let shot =
            |(motion, places): &(Motion<B>, Selection<B>)| places.apply(self.still(motion.apply(x.clone())));
        match self.shots.iter().map(shot).reduce(|sum, part| sum + part) {
            Some(measured) => measured,
            None => self.still(x),
        }
    }

    /// `Aᴴ·y`: measurements in the shape of [`Encoder::apply`]'s output → `[N, 2, D, H, W]`.
    pub fn adjoint(&self, y: Tensor<B, 5>) -> Tensor<B, 5> {
        let shot = |(motion, places): &(Motion<B>, Selection<B>)| {
            motion.adjoint(self.still_adjoint(places.apply(y.clone())))
        };
        match self.shots.iter().map(shot).reduce(|sum, part| sum + part) {
            Some(image) => image,
            None => self.still_adjoint(y),
        }
    }

    /// The encoding of an image that stays still.
    fn still(&self, mut x: Tensor<B, 5>) -> Tensor<B, 5> {
        if let Some(profile) = &self.slice_profile {
            x = profile.apply(x);
        }
        x = centred(x, self.grid);
        if let Some(coils) = &self.coils {
            x = coils.apply(x);
        }
        x = self.transforms.iter().fold(x, |x, transform| transform.apply(x));
        if let Some(mask) = &self.mask {
            x = mask.apply(x);
        }
        match &self.trajectory {
            Some(trajectory) => trajectory.apply(x),
            None => x,
        }
    }

    fn still_adjoint(&self, mut y: Tensor<B, 5>) -> Tensor<B, 5> {
        if let Some(trajectory) = &self.trajectory {
            y = trajectory.adjoint(y);
        }
        if let Some(mask) = &self.mask {
            y = mask.apply(y);
        }
        y = self.transforms.iter().rev().fold(y, |y, transform| transform.adjoint(y));
        if let Some(coils) = &self.coils {
            y = coils.adjoint(y);
        }
        y = centred(y, self.sliced);
        match &self.slice_profile {
            Some(profile) => profile.adjoint(y),
            None => y,
        }
    }
}
