//! What a scanner measured: k-space of one acquisition on a Cartesian grid, before reconstruction.

use nalgebra::{Matrix3, Vector3};
use ndarray::{Array2, Array3, Array4};
use num_complex::Complex32;

use super::{Provenance, VoxelToWorld};
use crate::error::Result;

/// Raw data of an acquisition on a Cartesian grid.
#[derive(Clone, Debug)]
pub struct KSpace {
    /// Samples, `[coils, D, H, W]`, zero where nothing was measured. Along a transformed axis of n places DC is at
    /// ⌊n/2⌋; along the others (slices of a multi-slice scan) this is image space. Which axis is the readout is the format's
    /// matter: `W` for ISMRMRD, `H` for fastMRI.
    pub data: Array4<Complex32>,
    /// Which of the axes `D`, `H`, `W` are in k-space.
    pub transformed: [bool; 3],
    /// Positions that were measured, `[D, H, W]`.
    pub sampled: Array3<bool>,
    /// Noise without signal, `[coils, samples]`, where the file has it: for prewhitening.
    pub noise: Option<Array2<Complex32>>,
    /// What the image is to be cut to.
    pub image: ImageGrid,
    /// The file's own reconstruction `[D, H, W]`, where it has one (fastMRI's `reconstruction_rss`).
    pub reference: Option<Array3<f32>>,
    /// What was read.
    pub provenance: Provenance,
}

/// The grid of the image that belongs to a k-space: where it lies, and how much of the encoded field of view it is.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageGrid {
    /// Encoded field of view along `(i, j, k) = (W, H, D)` in millimetres, oversampling included.
    pub encoded_fov_mm: [f64; 3],
    /// Field of view of the image along `(i, j, k)` in millimetres; centred in the encoded one.
    pub fov_mm: [f64; 3],
    /// Voxels of the image along `(i, j, k)`.
    pub dims: [usize; 3],
    /// Whether an image of odd length is cut out of one of even length as fastMRI's `center_crop` cuts it: from place (n − m)/2, rounded
    /// down, so that its middle is not the other's. The files' own images are cut so.
    pub low_crop: bool,
    /// Voxel to world millimetres (RAS+) of that image. Where the file gives no geometry, the axes of the grid with
    /// the world's origin at its centre; `provenance` says so.
    pub affine: VoxelToWorld,
}

impl KSpace {
    /// Number of receive coils.
    pub fn coils(&self) -> usize {
        self.data.dim().0
    }

    /// The axes of `data` that are in k-space: 1, 2 or 3 for `D`, `H`, `W`.
    pub fn axes(&self) -> Vec<usize> {
        (0..3).filter(|&axis| self.transformed[axis]).map(|axis| axis + 1).collect()
    }
}

impl ImageGrid {
    /// The grid of an image of `dims` voxels of `spacing_mm`, along `(i, j, k)`, that is the whole encoded field of
    /// view, upright about the world's origin: what is assumed where a file says nothing.
    ///
    /// # Errors
    /// [`Error::Value`](crate::error::Error::Value) for a spacing that is not positive and finite.
    pub fn upright(dims: [usize; 3], spacing_mm: [f64; 3]) -> Result<Self> {
        let along = |f: &dyn Fn(usize) -> f64| Vector3::from_fn(|axis, _| f(axis));
        let steps = Matrix3::from_diagonal(&spacing_mm.into());
        let origin = along(&|axis| -0.5 * (dims[axis] as f64 - 1.0) * spacing_mm[axis]);
        let fov_mm = along(&|axis| dims[axis] as f64 * spacing_mm[axis]).into();
        let affine = VoxelToWorld::from_axes(&steps, &origin)?;
        Ok(Self { encoded_fov_mm: fov_mm, fov_mm, dims, low_crop: false, affine })
    }
}
