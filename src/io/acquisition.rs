//! What a raw file may leave open, and what follows from its samples.

use ndarray::{Array3, Array4, Axis};
use num_complex::Complex32;
use serde::{Deserialize, Serialize};

use super::dc::DcPlace;

/// What a file may leave open, and which of its images is meant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RawOptions {
    /// Size of the image's voxels along `(i, j, k) = (W, H, D)`, for files that do not say it; 1 mm if it is not
    /// given here either.
    pub spacing_mm: Option<[f64; 3]>,
    /// The only slice to read of a multi-slice scan, the slab of a scan in several.
    pub slice: Option<usize>,
    /// ISMRMRD: the repetition to read of several.
    pub repetition: Option<usize>,
    /// ISMRMRD: the contrast (echo) to read of several.
    pub contrast: Option<usize>,
    /// ISMRMRD: the cardiac phase to read of several.
    pub phase: Option<usize>,
    /// ISMRMRD: the set to read of several.
    pub set: Option<usize>,
    /// ISMRMRD: which of the header's encodings is read; if not given the first one that has readouts of an image.
    pub encoding: Option<usize>,
    /// ISMRMRD: whether calibration lines that are marked as no part of the image are put on its grid; if not given,
    /// where the header says that they are embedded.
    pub calibration: Option<bool>,
    /// `.cfl` and `.npy`: which of the axes D, H, W are in k-space; those longer than 1 if not given.
    pub transformed: Option<[bool; 3]>,
    /// `.cfl` and `.npy`: where DC is along those axes.
    pub dc: DcPlace,
    /// `.cfl` and `.npy`: by how much the readout, W, was oversampled; 1 if not given. The image is W / this wide.
    pub readout_oversampling: Option<f64>,
}

/// The positions `[D, H, W]` at which any coil of `data` `[coils, D, H, W]` has a sample other than zero.
pub(crate) fn measured(data: &Array4<Complex32>) -> Array3<bool> {
    let zero = Complex32::default();
    let mut sampled = Array3::from_elem((data.dim().1, data.dim().2, data.dim().3), false);
    for coil in data.axis_iter(Axis(0)) {
        sampled.zip_mut_with(&coil, |sampled, value| *sampled |= *value != zero);
    }
    sampled
}
